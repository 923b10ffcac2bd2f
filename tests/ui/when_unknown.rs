extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    use_bias: bool,
    #[variable(shape = [2], init = 0.0, when = use_bais)]
    w: Variable,
}

fn main() {}
