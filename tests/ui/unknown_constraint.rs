use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], constraint = "nonneg")]
    w: Variable,
}

fn main() {}
