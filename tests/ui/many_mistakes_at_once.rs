extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(nmae = "x", version = 2)]
struct A {
    #[variable(shpae = [2], init = "glorot_unifrom")]
    w: Variable,
    #[config(defualt = 3)]
    #[skip]
    units: usize,
    #[module(rename = "w")]
    v: Variable,
}

fn main() {}
