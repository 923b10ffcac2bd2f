//! `#[module(no_new)]` on a type: neither `new` nor builder methods, so that the type has its own.

use modulor::prelude::*;

#[derive(Module)]
#[module(no_new)]
struct A {
    #[config(default = 1)]
    units: usize,
}

impl A {
    fn new(half: usize) -> A {
        A { units: half * 2 }.declared()
    }

    fn units(&self) -> usize {
        self.units
    }
}

#[test]
fn the_names_are_free() {
    assert_eq!(A::new(3).units(), 6);
}
