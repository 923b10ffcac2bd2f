//! `#[variable(constraint = EXPR)]`: where the variable may be.

use modulor::keras::constraint::NonNeg;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = -2.0, constraint = NonNeg)]
    by_value: Variable,
    #[variable(shape = [2], init = -2.0, constraint = "non_neg")]
    by_name: Variable,
}

#[test]
fn the_variable_has_its_constraint() -> Result<()> {
    let a = A::new();
    for v in [a.by_value, a.by_name] {
        let constraint = v.declaration().and_then(|declaration| declaration.constraint).expect("it has one");
        assert_eq!(constraint.project(&v.value()?)?.to_vec::<f32>()?, [0.0, 0.0]);
    }
    Ok(())
}
