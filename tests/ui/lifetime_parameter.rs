extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A<'a> {
    w: Variable,
    #[skip]
    name: std::marker::PhantomData<&'a str>,
}

fn main() {}
