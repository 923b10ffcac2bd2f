//! `#[module(no_config)]` on a type: it is walked, and cannot be made from a config.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
#[module(no_config)]
struct A {
    inner: Inner,
}

#[test]
fn it_has_variables_and_no_config() {
    let a = A { inner: Inner::new() };
    assert_eq!((a.variables().len(), a.inner.w.shape()), (1, Some(vec![])));
    let error = a.config().expect_err("it says so").to_string();
    assert!(error.contains("`A` has no config: it is derived with `#[module(no_config)]`"), "{error}");
}
