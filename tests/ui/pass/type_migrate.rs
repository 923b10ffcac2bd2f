//! `#[module(migrate = PATH)]` on a type: brings older configs to the present version.

use modulor::module::{Config, FromConfig};
use modulor::prelude::*;

#[derive(Module)]
#[module(version = 2, migrate = migrate)]
struct A {
    #[config]
    units: usize,
}

/// Version 1 called it `n`.
fn migrate(mut config: Config, from: u32) -> Result<Config> {
    assert_eq!(from, 1);
    let units = config.remove("n").expect("version 1 has it");
    config.insert("units".to_owned(), units);
    Ok(config)
}

#[test]
fn an_older_config_is_brought_up_to_date() {
    let older = Config::from_iter([("n".to_owned(), 3.into())]);
    assert_eq!(A::from_config(&older).expect("migrated").units, 3);
}
