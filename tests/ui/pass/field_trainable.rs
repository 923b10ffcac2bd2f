//! `#[module(trainable = false)]` on a field: frozen from the start.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
struct A {
    #[config]
    units: usize,
    #[module(trainable = false)]
    frozen: Inner,
    free: Inner,
}

#[test]
fn the_variables_below_are_frozen() {
    let a = A::new(1, Inner::new(), Inner::new());
    assert_eq!((a.frozen.w.trainable(), a.free.w.trainable(), a.units), (false, true, 1));
}
