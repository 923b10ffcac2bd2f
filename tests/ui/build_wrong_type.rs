extern crate modulor_core as modulor;

use modulor::*;

use modulor::module::{InputShapes, ManualBuild};

#[derive(Module)]
#[module(build = manual)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

impl ManualBuild for A {
    fn build(&self, _: &InputShapes) {}
}

fn main() {}
