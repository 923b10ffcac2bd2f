//! `#[config(into)]`: `new` and the builder method take whatever is `Into` the setting.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config(into)]
    name: String,
    #[config(default, into)]
    rate: f64,
}

#[test]
fn arguments_are_converted() {
    let a = A::new("x").rate(0.5_f32);
    assert_eq!((a.name.as_str(), a.rate), ("x", 0.5));
}
