//! `#[module(tagged)]` on a variant: its name is a part of the paths below it.

use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    #[variable(init = 0.0)]
    w: Variable,
}

#[derive(Module)]
enum A {
    #[module(tagged)]
    One(Inner),
    Two(Inner),
}

#[test]
fn only_a_tagged_variant_is_in_the_path() {
    let path = |a: A| a.named_variables().remove(0).0;
    assert_eq!(path(A::One(Inner::new())), "One/0/w");
    assert_eq!(path(A::Two(Inner::new())), "0/w");
    assert_eq!(Inner::new().w.shape(), Some(vec![]));
}
