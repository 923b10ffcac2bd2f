extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], constraint = "nonnneg")]
    w: Variable,
}

fn main() {}
