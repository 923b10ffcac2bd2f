extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    a: std::rc::Rc<Dense>,
    b: std::cell::RefCell<Dense>,
}

fn main() {}
