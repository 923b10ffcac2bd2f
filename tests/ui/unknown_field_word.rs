extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shpae = [2], init = 0.0)]
    w: Variable,
}

fn main() {}
