//! What makes two places of a walk the same module.

use super::{Module, Visitor};
use crate::Variable;
use std::any::TypeId;

/// The `Arc` a module sits in, seen from a walk.
///
/// An `Arc` of several modules (`Arc<Vec<Relu>>`) tells them apart by their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    address: usize,
    order: usize,
}

impl Held {
    pub(super) fn new(address: usize, order: usize) -> Held {
        Held { address, order }
    }
}

/// Tells whether two places hold the same module: it has the same class and the same variables, or, without variables,
/// it is in the same `Arc`.
///
/// Never an address alone: a struct and its first field share one, all unit structs share one, and every handle to a
/// module has another. So a module without variables that is not in an `Arc` has no identity, and each of its
/// occurrences counts by itself. An identity means something only while the modules it was taken from live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    State(TypeId, Vec<u64>),
    Held(TypeId, Held),
}

impl Identity {
    /// The identity of a module, with the `Arc` that a walk found it in.
    pub fn of(module: &(impl Module + ?Sized), held: Option<Held>) -> Option<Identity> {
        let mut ids = Ids(Vec::new());
        module.fields(&mut ids);
        Identity::new(module.as_module().type_id(), ids.0, held)
    }

    pub(super) fn new(class: TypeId, variables: Vec<u64>, held: Option<Held>) -> Option<Identity> {
        if !variables.is_empty() {
            return Some(Identity(Key::State(class, variables)));
        }
        held.map(|held| Identity(Key::Held(class, held)))
    }
}

struct Ids(Vec<u64>);

impl Visitor for Ids {
    fn variable(&mut self, _: &str, variable: &Variable) {
        self.0.push(variable.id());
    }

    fn module(&mut self, _: &str, module: &dyn Module) {
        module.fields(self);
    }
}
