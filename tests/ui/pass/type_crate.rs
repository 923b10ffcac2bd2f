//! `#[module(crate = PATH)]` on a type: where modulor is, behind another crate or under another name.

mod facade {
    pub use modulor as renamed;
}

use facade::renamed::{Module, ModuleExt, Variable};

#[derive(Module)]
#[module(crate = crate::pass::type_crate::facade::renamed)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

#[test]
fn the_generated_code_finds_it() {
    let a = A::new();
    assert_eq!(a.variables()[0].id(), a.w.id());
}
