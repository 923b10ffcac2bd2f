//! `#[module(default)]` and `#[module(default = EXPR)]` on a field: a part that `new` does not ask for.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
struct A {
    #[config]
    units: usize,
    #[module(default)]
    grown: Vec<Inner>,
    #[module(default = Inner::new())]
    inner: Inner,
}

#[test]
fn new_does_not_ask_for_it() {
    let a = A::new(1);
    assert_eq!((a.units, a.grown.len(), a.inner.w.shape()), (1, 0, Some(vec![])));
}
