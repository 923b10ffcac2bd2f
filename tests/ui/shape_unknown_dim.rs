extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
    #[variable(shape = [input[-1], untis], init = 0.0)]
    w: Variable,
}

fn main() {}
