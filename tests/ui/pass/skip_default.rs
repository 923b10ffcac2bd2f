//! `#[skip(default = EXPR)]`: made anew by `EXPR`; the type needs no `Default`.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[skip(default = Cache(7))]
    cache: Cache,
    #[config]
    units: usize,
}

#[derive(Clone)]
struct Cache(u8);

#[test]
fn the_expression_makes_the_field() {
    let a = A::new(3);
    assert_eq!((a.cache.0, a.units), (7, 3));
    let again = A::from_config(&a.config().expect("plain data")).expect("its own config");
    assert_eq!(again.cache.0, 7);
}
