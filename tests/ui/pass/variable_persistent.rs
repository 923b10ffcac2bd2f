//! `#[variable(persistent = false)]`: state that is not saved.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0, persistent = true)]
    saved: Variable,
    #[variable(init = 0.0, trainable = false, persistent = false)]
    passing: Variable,
}

#[test]
fn a_variable_knows_whether_it_is_saved() {
    let a = A::new();
    assert_eq!((a.saved.persistent(), a.passing.persistent()), (true, false));
}
