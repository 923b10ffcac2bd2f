//! `#[module(alias = "..")]` on a field: a name that older files have.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    #[module(alias = "kernel")]
    w: Variable,
}

#[test]
fn the_older_name_is_known() {
    let a = A::new();
    assert_eq!(a.named_variables()[0].0, "w");
    assert_eq!(modulor::module::walk(&a).aliases, [("w".to_owned(), "kernel".to_owned())]);
    assert_eq!(a.w.shape(), Some(vec![]));
}
