//! `#[module(rename = "..")]` on a tagged variant: another name in paths and configs.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
enum A {
    #[module(tagged, rename = "first")]
    One(Inner),
}

#[test]
fn the_path_and_the_config_have_the_other_name() {
    let a = A::One(Inner::new());
    assert_eq!(a.named_variables()[0].0, "first/0/w");
    assert_eq!(a.config().expect("plain data")["variant"], "first");
    let A::One(inner) = a;
    assert_eq!(inner.w.shape(), Some(vec![]));
}
