extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(version = 2, migrate = migrate)]
struct A;

fn migrate(_: u32) {}

fn main() {}
