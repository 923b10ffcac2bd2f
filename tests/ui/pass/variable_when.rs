//! `#[variable(when = EXPR)]`: the variable exists only if the settings say so.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    use_bias: bool,
    #[variable(shape = [2], when = use_bias)]
    bias: Variable,
}

#[test]
fn a_variable_that_the_settings_exclude_is_not_there() {
    assert_eq!(A::new(true).variables().len(), 1);
    let without = A::new(false);
    assert!(without.variables().is_empty() && !without.bias.is_sized());
}
