//! `#[module(name = "..")]` on a type: what automatic names start from.

use modulor::prelude::*;

#[derive(Module)]
#[module(name = "encoder")]
struct A;

#[test]
fn the_name_is_the_given_one() {
    assert_eq!((A.default_name(), A.class_name()), ("encoder", "A"));
}
