use modulor::prelude::*;

use modulor::module::Config;

#[derive(Module)]
#[module(name = "a", package = "mine", version = 2, migrate = migrate, no_new, crate = ::modulor)]
struct A {
    #[config]
    units: usize,
}

fn migrate(config: Config, _: u32) -> Result<Config> {
    Ok(config)
}

impl A {
    fn new() -> A {
        A { units: 3 }.declared()
    }
}

#[derive(Module)]
#[module(transparent)]
struct B(A);

#[derive(Module)]
#[module(no_config)]
struct C {
    a: A,
}

#[derive(Module)]
#[module(bound = "T: Module")]
struct D<T>(T);

fn main() {
    let _ = (B(A::new()), C { a: A::new() }, D(A::new()));
}
