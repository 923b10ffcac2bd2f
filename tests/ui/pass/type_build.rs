//! `#[module(build = manual)]` on a type: it says itself how its variables get their shapes.

use modulor::module::{InputShapes, ManualBuild};
use modulor::prelude::*;

#[derive(Module)]
#[module(build = manual)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

impl ManualBuild for A {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        inputs.size(&self.w, "w", &[inputs.dim(0, -1)? * 2])
    }
}

#[test]
fn its_own_build_is_called() -> Result<()> {
    let a = A::new();
    Module::build(&a, &InputShapes::of(&[Tensor::zeros([1, 3], DType::F32)?]))?;
    assert_eq!(a.w.shape(), Some(vec![6]));
    Ok(())
}
