//! `#[module(package = "..")]` on a type: the first half of the registered name.

use modulor::prelude::*;

#[derive(Module)]
#[module(package = "my_models")]
struct A;

#[derive(Module)]
struct B;

#[test]
fn the_package_is_the_given_one_or_the_crates() {
    assert_eq!((A.package(), B.package()), ("my_models", env!("CARGO_PKG_NAME")));
}
