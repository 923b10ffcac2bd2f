use modulor::prelude::*;

#[derive(Module)]
struct A<'a> {
    w: Variable,
    #[skip]
    name: std::marker::PhantomData<&'a str>,
}

fn main() {}
