//! `#[variable(weight = false)]`: state that is no weight and not counted.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0, weight = true)]
    counted: Variable,
    #[variable(init = 0, trainable = false, weight = false)]
    seed: Variable,
}

#[test]
fn what_is_no_weight_is_a_variable_all_the_same() {
    let a = A::new();
    assert_eq!((a.counted.is_weight(), a.seed.is_weight()), (true, false));
    assert_eq!((a.variables().len(), a.weights().len(), a.count_params()), (2, 1, 1));
}
