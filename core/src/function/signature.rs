//! Of what kind the arguments of a call are.

use crate::op::{DTypePolicy, scope};
use crate::structure::Part;
use crate::{DType, Spec, Structure, Tensor};
use smallvec::SmallVec;

/// The tensors of some arguments, each followed by its mask if it has one.
pub(super) type Leaves = SmallVec<[Tensor; 8]>;

/// What a graph was traced for, beside the key.
#[derive(PartialEq)]
pub(super) struct Signature {
    pub specs: Vec<Spec>,
    /// What the structure around the tensors hashes to.
    pub structure: u64,
    pub surroundings: Surroundings,
}

/// What is ambient and has a say in what a trace does.
#[derive(PartialEq)]
pub(super) struct Surroundings {
    training: bool,
    policy: Option<DTypePolicy>,
    autocast: Option<DType>,
}

impl Surroundings {
    fn here() -> Surroundings {
        scope::with(|scopes| Surroundings {
            training: scopes.training,
            policy: scopes.policy.clone(),
            autocast: scopes.autocast,
        })
    }

    pub fn are_here(&self) -> bool {
        scope::with(|scopes| {
            self.training == scopes.training && self.policy == scopes.policy && self.autocast == scopes.autocast
        })
    }
}

impl Signature {
    pub fn new(specs: Vec<Spec>, structure: u64) -> Signature {
        Signature { specs, structure, surroundings: Surroundings::here() }
    }

    /// Whether tensors in the same structure have these dtypes and shapes.
    pub fn is_of(&self, leaves: &[Tensor]) -> bool {
        self.specs.len() == leaves.len() && self.specs.iter().zip(leaves).all(|(spec, leaf)| spec == leaf.spec())
    }

    /// In what another one differs from this, in words.
    pub fn differences(&self, new: &Signature) -> Vec<String> {
        let mut found = Vec::new();
        if self.structure != new.structure || self.specs.len() != new.specs.len() {
            found.push("the arguments are another structure".to_owned());
        } else {
            for (at, (old, new)) in self.specs.iter().zip(&new.specs).enumerate() {
                if old != new {
                    found.push(format!("argument {at} is {new}, and was {old}"));
                }
            }
        }
        let (old, new) = (&self.surroundings, &new.surroundings);
        if old.training != new.training {
            let phase = |training| if training { "in the training phase" } else { "not in the training phase" };
            found.push(format!("it is called {}, and was {}", phase(new.training), phase(old.training)));
        }
        if old.policy != new.policy || old.autocast != new.autocast {
            found.push("it is called under another dtype policy".to_owned());
        }
        found
    }
}

/// The tensors of a structure with their masks, and what the structure around them hashes to.
pub(super) fn leaves<S: Structure>(x: &S) -> (Leaves, u64) {
    let (mut leaves, mut hash) = (Leaves::new(), Hash(0xcbf2_9ce4_8422_2325));
    x.visit(&mut |part| match part {
        Part::Tensor(leaf) => {
            hash.add(1);
            leaves.push(leaf.with_mask(None));
            if let Some(mask) = leaf.mask() {
                hash.add(2);
                leaves.push(mask.clone());
            }
        }
        Part::List(len) => hash.add(3 + 5 * len as u64),
        Part::Map(len) => hash.add(4 + 5 * len as u64),
        Part::Name(name) => {
            hash.add(5);
            name.bytes().for_each(|byte| hash.add(u64::from(byte)));
        }
        Part::Nothing => hash.add(6),
    });
    (leaves, hash.0)
}

/// The structure of `like` around these tensors, each mask with the tensor before it.
pub(super) fn with_leaves<S: Structure>(like: &S, leaves: &mut dyn Iterator<Item = Tensor>) -> crate::Result<S> {
    let mut next = || leaves.next().ok_or_else(|| crate::Error::internal("there are as many tensors as leaves"));
    like.replace(&mut |leaf| {
        let new = next()?;
        match leaf.mask() {
            Some(_) => Ok(new.with_mask(Some(next()?))),
            None => Ok(new),
        }
    })
}

/// Fowler, Noll and Vo's hash, of words.
struct Hash(u64);

impl Hash {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }
}
