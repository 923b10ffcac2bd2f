use modulor::prelude::*;

#[derive(Module)]
enum A {
    #[module(tagged, rename = "one")]
    One(Variable),
    #[module(tagged)]
    Two {
        #[config]
        units: usize,
        #[variable(shape = [units], init = 0.0)]
        w: Variable,
    },
    #[module(default)]
    Three,
}

fn main() {}
