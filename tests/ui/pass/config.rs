//! `#[config]`: a setting, an argument of `new` and a key of the config.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
}

#[test]
fn a_setting_is_written_and_read() {
    let config = A::new(3).config().expect("plain data");
    assert_eq!(config["units"], 3);
    assert_eq!(A::from_config(&config).expect("its own config").units, 3);
}
