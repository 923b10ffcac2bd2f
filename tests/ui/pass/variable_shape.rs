//! `#[variable(shape = [DIM, ..])]`: settings, constants, arithmetic and axes of the inputs.

use modulor::module::InputShapes;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
    #[variable(shape = [units * 2, N, 1])]
    fixed: Variable,
    #[variable(shape = [input[-1], inputs[1][0] + input[0]])]
    sized: Variable,
}

const N: usize = 4;

#[test]
fn the_shape_follows_from_settings_and_inputs() -> Result<()> {
    let a = A::new(3);
    assert_eq!(a.fixed.shape(), Some(vec![6, 4, 1]));
    a.build(&InputShapes::of(&[Tensor::zeros([2, 5], DType::F32)?, Tensor::zeros([7], DType::F32)?]))?;
    assert_eq!(a.sized.shape(), Some(vec![5, 9]));
    Ok(())
}
