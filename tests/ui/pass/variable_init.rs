//! `#[variable(init = EXPR)]`: an initializer, its name, or the value itself.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = Ones)]
    by_type: Variable,
    #[variable(shape = [2], init = "ones")]
    by_name: Variable,
    #[variable(init = 5)]
    number: Variable,
    #[variable(init = Tensor::from([1.0_f64, 2.0]))]
    tensor: Variable,
}

#[test]
fn variables_begin_as_they_say() -> Result<()> {
    let a = A::new();
    assert_eq!(a.by_type.value()?.to_vec::<f32>()?, [1.0, 1.0]);
    assert_eq!(a.by_name.value()?.to_vec::<f32>()?, [1.0, 1.0]);
    assert_eq!(a.number.value()?.item::<i32>()?, 5);
    assert_eq!(a.tensor.value()?.to_vec::<f64>()?, [1.0, 2.0]);
    Ok(())
}
