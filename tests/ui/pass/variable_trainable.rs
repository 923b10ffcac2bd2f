//! `#[variable(trainable = false)]`: state that is not trained; and `trainable = EXPR`, where the settings say so.

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

#[derive(Module)]
struct B {
    #[config(default)]
    is_kept: bool,
    #[variable(init = 0.0, trainable = !is_kept)]
    kept: Variable,
    #[variable(init = 0.0, trainable = false)]
    state: Variable,
    #[variable(init = 0.0)]
    trained: Variable,
}

#[test]
fn what_settings_keep_from_training_keeps_its_place_and_its_value() {
    let ids = |variables: Vec<Variable>| variables.iter().map(Variable::id).collect::<Vec<_>>();
    let b = B::new();
    let order = [&b.kept, &b.trained, &b.state].map(Variable::id);
    assert_eq!((ids(b.weights()), b.trainable_variables().len()), (order.to_vec(), 2));
    b.kept.assign(&Tensor::scalar(3.0_f32)).expect("a number");
    let b = b.is_kept(true);
    assert_eq!(ids(b.weights()), order);
    assert_eq!(ids(b.trainable_variables()), [b.trained.id()]);
    assert_eq!(b.kept.read().and_then(|kept| kept.item::<f32>()).expect("a number"), 3.0);
    // Declared so, it is not thawed.
    b.thaw();
    assert!(!b.kept.trainable() && b.is_kept(false).kept.trainable());
}
