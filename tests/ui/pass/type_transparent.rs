//! `#[module(transparent)]` on a type: a wrapper of one module that adds no part to paths.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
#[module(transparent)]
struct Wrapper(Inner);

#[derive(Module)]
struct A {
    wrapped: Wrapper,
}

#[test]
fn the_wrapper_is_not_in_the_path() {
    let a = A { wrapped: Wrapper(Inner::new()) };
    let [(path, variable)] = &a.named_variables()[..] else { panic!("one variable") };
    assert_eq!((path.as_str(), variable.id()), ("wrapped/w", a.wrapped.0.w.id()));
}
