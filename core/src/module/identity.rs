//! What makes two places of a walk the same module.

use super::{Module, walk};
use std::any::TypeId;
use std::sync::Arc;

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
/// A module that only wraps another of its own class has the same variables and is told from it by how deep it nests.
///
/// Never an address alone: a struct and its first field share one, all unit structs share one, and every handle to a
/// module has another. So a module without variables that is not in an `Arc` has no identity, and each of its
/// occurrences counts by itself. An identity means something only while the modules it was taken from live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    State(TypeId, Arc<[u64]>, usize),
    Held(TypeId, Held),
}

impl Identity {
    /// The identity of a module, with the `Arc` that it is in.
    pub fn of(module: &dyn Module, held: Option<Held>) -> Option<Identity> {
        let held = held.map(|held| Identity(Key::Held(module.as_module().type_id(), held)));
        walk(module).identity.clone().or(held)
    }

    pub(super) fn new(class: TypeId, variables: &Arc<[u64]>, depth: usize, held: Option<Held>) -> Option<Identity> {
        if !variables.is_empty() {
            return Some(Identity(Key::State(class, variables.clone(), depth)));
        }
        held.map(|held| Identity(Key::Held(class, held)))
    }
}
