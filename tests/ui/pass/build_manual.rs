use modulor::prelude::*;

use modulor::module::{InputShapes, ManualBuild};

#[derive(Module)]
#[module(build = manual)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

impl ManualBuild for A {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        inputs.size(&self.w, "w", &[inputs.dim(0, -1)?])
    }
}

fn main() {}
