//! `#[module(version = N)]` on a type: the version of its config.

use modulor::module::{Config, FromConfig};
use modulor::prelude::*;

#[derive(Module)]
#[module(version = 2, migrate = unchanged)]
struct A {
    #[config]
    units: usize,
}

fn unchanged(config: Config, _: u32) -> Result<Config> {
    Ok(config)
}

#[test]
fn the_version_is_written_and_a_later_one_refused() {
    let mut config = A::new(3).config().expect("plain data");
    assert_eq!(config["schema_version"], 2);
    assert_eq!(A::from_config(&config).expect("its own config").units, 3);
    config.insert("schema_version".to_owned(), 3.into());
    assert!(A::from_config(&config).is_err());
}
