//! `#[config(written = EXPR)]`: what the config says of a setting that follows from others where it is not set.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
    #[config(default, into, written = width.or(Some(units)))]
    width: Option<usize>,
}

#[test]
fn the_config_says_what_follows() {
    let config = A::new(3).config().expect("plain data");
    assert_eq!((&config["units"], &config["width"]), (&3.into(), &3.into()));
    assert_eq!(A::from_config(&config).expect("its own config").width, Some(3));
    let told = A::new(3).width(5).config().expect("plain data");
    assert_eq!(told["width"], 5);
    assert_eq!(A::new(3).width, None, "the setting itself is as it was set");
}
