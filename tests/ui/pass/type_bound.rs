//! `#[module(bound = "..")]` on a type: these bounds in place of those that follow from the fields.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
#[module(bound = "T: modulor::Module")]
struct A<T> {
    inner: T,
}

/// The bound is enough, and what follows from the fields (`T: Track`) need not be said.
fn count<T: Module>(a: &A<T>) -> usize {
    a.variables().len()
}

#[test]
fn the_bound_is_the_given_one() {
    let a = A { inner: Inner::new() };
    assert_eq!((count(&a), a.inner.w.shape()), (1, Some(vec![])));
}
