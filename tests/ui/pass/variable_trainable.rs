//! `#[variable(trainable = false)]`: state that is not trained.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0, trainable = true)]
    trained: Variable,
    #[variable(init = 0.0, trainable = false)]
    state: Variable,
}

#[test]
fn what_is_not_trained_is_not_among_the_trainable() {
    let a = A::new();
    let ids = |variables: Vec<Variable>| variables.iter().map(Variable::id).collect::<Vec<_>>();
    assert_eq!(ids(a.trainable_variables()), [a.trained.id()]);
    assert_eq!(ids(a.non_trainable_variables()), [a.state.id()]);
}
