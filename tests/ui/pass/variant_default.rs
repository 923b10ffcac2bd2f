//! `#[module(default)]` on a variant: the one of a config that names none.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
enum A {
    One,
    #[module(default)]
    Two,
}

#[test]
fn a_config_that_names_no_variant_is_that_one() {
    assert!(matches!(A::from_config(&Default::default()), Ok(A::Two)));
    let one = A::One.config().expect("plain data");
    assert!(matches!(A::from_config(&one), Ok(A::One)));
}
