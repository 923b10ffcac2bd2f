use modulor::prelude::*;

#[derive(Module)]
#[module(version = 2, migrate = migrate)]
struct A;

fn migrate(_: u32) {}

fn main() {}
