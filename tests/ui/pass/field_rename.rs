//! `#[module(rename = "..")]` on a field: another name in paths and configs.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    #[module(rename = "kernel")]
    w: Variable,
}

#[test]
fn the_path_has_the_other_name() {
    let a = A::new();
    let [(path, variable)] = &a.named_variables()[..] else { panic!("one variable") };
    assert_eq!((path.as_str(), variable.id()), ("kernel", a.w.id()));
}
