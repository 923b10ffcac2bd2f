//! `#[config(default)]` and `#[config(default = EXPR)]`: `new` does not ask, a builder method sets.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config(default)]
    label: Option<String>,
    #[config(default = 0.5)]
    rate: f64,
}

#[test]
fn a_setting_with_a_default_may_be_left_out() {
    let a = A::new();
    assert_eq!((&a.label, a.rate), (&None, 0.5));
    let a = A::new().rate(0.1).label(Some("x".to_owned()));
    assert_eq!((a.label.as_deref(), a.rate), (Some("x"), 0.1));
    assert_eq!(A::from_config(&Default::default()).expect("nothing is asked for").rate, 0.5);
}
