//! `#[module(flatten)]` on a field: the fields of that module are in its place.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
struct A {
    #[module(flatten)]
    inner: Inner,
}

#[test]
fn the_path_leaves_the_field_out() {
    let a = A { inner: Inner::new() };
    let [(path, variable)] = &a.named_variables()[..] else { panic!("one variable") };
    assert_eq!((path.as_str(), variable.id()), ("w", a.inner.w.id()));
}
