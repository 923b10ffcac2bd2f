extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    units: f32,
    #[variable(shape = [units], init = 0.0)]
    w: Variable,
}

fn main() {}
