//! Structures of tensors: what goes into a layer and comes out of it.
//!
//! A [`Structure`] is a tensor, or tuples, arrays, lists, maps and derived structs of structures; its erased form is a
//! [`Tree`]. [`Feed`] is what may stand between the brackets of `call`, [`Refs`] what may stand in `Model::new`.

use crate::{Error, Result, Tensor};
use std::collections::BTreeMap;

/// The erased form of a structure: what signatures, configs and models loaded from a file see.
///
/// A tree is itself a [`Structure`], so a model of unknown structure is `Model<Tree, Tree>`.
#[derive(Clone, Debug)]
pub enum Tree {
    /// One tensor.
    Leaf(Tensor),
    /// Parts in a fixed order: a tuple, an array, a `Vec`.
    List(Vec<Tree>),
    /// Parts by name: a map, a derived struct.
    Map(BTreeMap<String, Tree>),
    /// A part that may be there and is not.
    None,
}

impl Tree {
    /// The tensors, lists in order and maps by sorted key, as `tf.nest.flatten` gives them.
    pub fn leaves(&self) -> Vec<Tensor> {
        let mut leaves = Vec::new();
        let mut keep = |part: Part| {
            if let Part::Tensor(leaf) = part {
                leaves.push(leaf.clone());
            }
        };
        self.visit(&mut keep);
        leaves
    }

    /// The same tree with every tensor replaced, in the order of [`leaves`](Tree::leaves).
    ///
    /// Returns the first error of `replace`.
    pub fn map(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Tree> {
        Ok(match self {
            Tree::Leaf(tensor) => Tree::Leaf(replace(tensor)?),
            Tree::List(parts) => Tree::List(parts.iter().map(|part| part.map(replace)).collect::<Result<_>>()?),
            Tree::Map(parts) => {
                let replaced = parts.iter().map(|(key, part)| Ok((key.clone(), part.map(replace)?)));
                Tree::Map(replaced.collect::<Result<_>>()?)
            }
            Tree::None => Tree::None,
        })
    }

    /// The same structure around other tensors, one for each leaf.
    ///
    /// Fails where there are fewer or more tensors than leaves.
    pub fn with_leaves(&self, leaves: impl IntoIterator<Item = Tensor>) -> Result<Tree> {
        let mut leaves = leaves.into_iter();
        let tree = self.map(&mut |_| leaves.next().ok_or_else(|| Error::invalid_argument("too few tensors")))?;
        match leaves.next() {
            None => Ok(tree),
            Some(_) => Err(Error::invalid_argument("more tensors than the structure has leaves")),
        }
    }

    /// The parts of a list of exactly `count` parts.
    pub fn into_list(self, count: usize) -> Result<Vec<Tree>> {
        match self {
            Tree::List(parts) if parts.len() == count => Ok(parts),
            other => Err(mismatch(&format!("{count} parts"), &other)),
        }
    }

    /// The parts of a map.
    pub fn into_map(self) -> Result<BTreeMap<String, Tree>> {
        match self {
            Tree::Map(parts) => Ok(parts),
            other => Err(mismatch("parts by name", &other)),
        }
    }

    /// What the tree is, in two or three words, for messages.
    fn describe(&self) -> String {
        match self {
            Tree::Leaf(_) => "one tensor".to_owned(),
            Tree::List(parts) => format!("a list of {}", parts.len()),
            Tree::Map(parts) => format!("a map of {}", parts.keys().cloned().collect::<Vec<_>>().join(", ")),
            Tree::None => "nothing".to_owned(),
        }
    }
}

fn mismatch(expected: &str, found: &Tree) -> Error {
    Error::invalid_argument(format!("expected {expected}, found {}", found.describe()))
}

/// What a layer may take and give: a [`Tensor`] or a composition of tensors.
///
/// Implemented for [`Tensor`], [`Tree`], `()`, tuples of up to six, arrays, `Vec`, `Option`, `BTreeMap<String, _>`; derived
/// for structs with named fields:
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::{Structure, Tensor};
///
/// #[derive(Structure, Clone)]
/// struct Query {
///     query: Tensor,
///     value: Tensor,
///     mask: Option<Tensor>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input or output of a layer",
    label = "not a structure of tensors",
    note = "use a Tensor, a tuple, array, Vec, Option or BTreeMap<String, _> of them, or a struct with `#[derive(Structure, Clone)]`"
)]
pub trait Structure: Clone + Send + Sync + 'static {
    /// The erased form, which [`from_tree`](Structure::from_tree) reads back.
    fn to_tree(&self) -> Tree;

    /// The structure out of its erased form; an error says which part is missing or of another kind.
    fn from_tree(tree: Tree) -> Result<Self>;

    /// Shows the parts, in the order of [`Tree::leaves`]. What has tensors at known places shows them without making a tree.
    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        self.to_tree().visit(visit);
    }

    /// The same structure around other tensors, in the order of [`visit`](Structure::visit).
    ///
    /// Returns the first error of `replace`.
    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Self::from_tree(self.to_tree().map(replace)?)
    }
}

/// What a structure is made of, as [`Structure::visit`] shows it: parts before what is in them.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A tensor.
    Tensor(&'a Tensor),
    /// So many parts in a fixed order.
    List(usize),
    /// So many parts, each behind its name.
    Map(usize),
    /// The name of the part that comes next.
    Name(&'a str),
    /// A part that may be there and is not.
    Nothing,
}

impl Structure for Tree {
    fn to_tree(&self) -> Tree {
        self.clone()
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        Ok(tree)
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        match self {
            Tree::Leaf(tensor) => visit(Part::Tensor(tensor)),
            Tree::List(parts) => {
                visit(Part::List(parts.len()));
                parts.iter().for_each(|part| part.visit(visit));
            }
            Tree::Map(parts) => {
                visit(Part::Map(parts.len()));
                for (name, part) in parts {
                    visit(Part::Name(name));
                    part.visit(visit);
                }
            }
            Tree::None => visit(Part::Nothing),
        }
    }

    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.map(replace)
    }
}

impl Structure for Tensor {
    fn to_tree(&self) -> Tree {
        Tree::Leaf(self.clone())
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        match tree {
            Tree::Leaf(tensor) => Ok(tensor),
            other => Err(mismatch("one tensor", &other)),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::Tensor(self));
    }

    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        replace(self)
    }
}

/// No tensor at all: the result of a function that only changes variables.
#[diagnostic::do_not_recommend]
impl Structure for () {
    fn to_tree(&self) -> Tree {
        Tree::List(Vec::new())
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        tree.into_list(0).map(|_| ())
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::List(0));
    }

    fn replace(&self, _: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(())
    }
}

impl<S: Structure> Structure for Vec<S> {
    fn to_tree(&self) -> Tree {
        Tree::List(self.iter().map(S::to_tree).collect())
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        match tree {
            Tree::List(parts) => parts.into_iter().map(S::from_tree).collect(),
            other => Err(mismatch("a list", &other)),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::List(self.len()));
        self.iter().for_each(|part| part.visit(visit));
    }

    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.iter().map(|part| part.replace(replace)).collect()
    }
}

impl<S: Structure, const N: usize> Structure for [S; N] {
    fn to_tree(&self) -> Tree {
        Tree::List(self.iter().map(S::to_tree).collect())
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        let parts = tree.into_list(N)?.into_iter().map(S::from_tree).collect::<Result<Vec<S>>>()?;
        parts.try_into().map_err(|_| Error::internal("a list of N parts is not an array of N"))
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        visit(Part::List(N));
        self.iter().for_each(|part| part.visit(visit));
    }

    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let mut replaced = self.clone();
        replaced.iter_mut().try_for_each(|part| part.replace(replace).map(|new| *part = new))?;
        Ok(replaced)
    }
}

impl<S: Structure> Structure for Option<S> {
    fn to_tree(&self) -> Tree {
        self.as_ref().map_or(Tree::None, S::to_tree)
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        match tree {
            Tree::None => Ok(None),
            some => S::from_tree(some).map(Some),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(Part)) {
        match self {
            Some(part) => part.visit(visit),
            None => visit(Part::Nothing),
        }
    }

    fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.as_ref().map(|part| part.replace(replace)).transpose()
    }
}

impl<S: Structure> Structure for BTreeMap<String, S> {
    fn to_tree(&self) -> Tree {
        Tree::Map(self.iter().map(|(key, part)| (key.clone(), part.to_tree())).collect())
    }

    fn from_tree(tree: Tree) -> Result<Self> {
        let parts = tree.into_map()?.into_iter();
        parts.map(|(key, part)| Ok((key, S::from_tree(part)?))).collect()
    }
}

/// What may be written between the brackets of `call(..)` for a layer that takes `In`.
///
/// That is `&In`; a `Tensor` by value; a tuple or an array of references. Another spelling of the input of a layer is
/// an implementation of this trait, never a second `impl Layer`.
#[diagnostic::on_unimplemented(
    message = "this layer takes `{In}`, and was given `{Self}`",
    label = "wrong structure of inputs",
    note = "pass a reference to `{In}`; for a tuple, `(&a, &b)` does too; after a call that can fail write `?`"
)]
pub trait Feed<In> {
    /// The input itself; tensors are handles, so nothing is copied.
    fn feed(self) -> In;
}

impl<S: Structure> Feed<S> for &S {
    fn feed(self) -> S {
        self.clone()
    }
}

impl Feed<Tensor> for Tensor {
    fn feed(self) -> Tensor {
        self
    }
}

impl Feed<Tensor> for &&Tensor {
    fn feed(self) -> Tensor {
        (*self).clone()
    }
}

impl<S: Structure, const N: usize> Feed<Vec<S>> for [&S; N] {
    fn feed(self) -> Vec<S> {
        self.into_iter().cloned().collect()
    }
}

/// A group of references that stands for one structure: the arguments of `Model::new`.
///
/// Unlike [`Feed`] it never leaves a choice, so that a model's types follow from its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reference to a structure of tensors",
    label = "not a reference to a structure",
    note = "write `&x`, `(&a, &b)`, `[&a, &b]` or `&vec`"
)]
pub trait Refs {
    /// The structure that the references stand for.
    type Owned: Structure;

    /// The structure itself; tensors are handles, so nothing is copied.
    fn owned(self) -> Self::Owned;
}

impl<S: Structure> Refs for &S {
    type Owned = S;

    fn owned(self) -> S {
        self.clone()
    }
}

impl<S: Structure, const N: usize> Refs for [&S; N] {
    type Owned = Vec<S>;

    fn owned(self) -> Vec<S> {
        self.into_iter().cloned().collect()
    }
}

macro_rules! tuples {
    ($($count:literal: $($part:ident $index:tt),+;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($part: Structure),+> Structure for ($($part,)+) {
            fn to_tree(&self) -> Tree {
                Tree::List(vec![$(self.$index.to_tree()),+])
            }

            fn from_tree(tree: Tree) -> Result<Self> {
                let mut parts = tree.into_list($count)?.into_iter();
                let mut next = || parts.next().ok_or_else(|| Error::internal("a list is shorter than it was counted"));
                Ok(($($part::from_tree(next()?)?,)+))
            }

            fn visit(&self, visit: &mut dyn FnMut(Part)) {
                visit(Part::List($count));
                $(self.$index.visit(visit);)+
            }

            fn replace(&self, replace: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
                Ok(($(self.$index.replace(replace)?,)+))
            }
        }

        impl<$($part: Structure),+> Feed<($($part,)+)> for ($(&$part,)+) {
            fn feed(self) -> ($($part,)+) {
                ($(self.$index.clone(),)+)
            }
        }

        impl<$($part: Structure),+> Refs for ($(&$part,)+) {
            type Owned = ($($part,)+);

            fn owned(self) -> Self::Owned {
                ($(self.$index.clone(),)+)
            }
        }
    )* };
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
}
