//! `#[variable(regularizer = EXPR)]`: what the variable costs.

use modulor::keras::regularizer::L2;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = 2.0, regularizer = L2 { l2: 0.5 })]
    by_value: Variable,
    #[variable(shape = [2], init = 2.0, regularizer = "l2")]
    by_name: Variable,
}

fn penalty(v: &Variable) -> Result<f32> {
    let regularizer = v.declaration().and_then(|declaration| declaration.regularizer).expect("it has one");
    regularizer.penalty(&v.value()?)?.item()
}

#[test]
fn the_variable_has_its_regularizer() -> Result<()> {
    let a = A::new();
    assert_eq!((penalty(&a.by_value)?, penalty(&a.by_name)?), (4.0, 0.08));
    Ok(())
}
