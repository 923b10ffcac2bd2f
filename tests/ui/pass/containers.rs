use modulor::prelude::*;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

#[derive(Module)]
struct A {
    option: Option<Variable>,
    list: Vec<Variable>,
    array: [Variable; 3],
    tuple: (Variable, Option<Box<A>>),
    boxed: Box<Variable>,
    counted: Arc<Variable>,
    locked: Mutex<Vec<Variable>>,
    map: BTreeMap<String, Variable>,
    hashed: HashMap<String, Variable>,
    dynamic: Box<dyn Layer>,
    counted_dynamic: Arc<dyn Layer<(Tensor, Tensor), Vec<Tensor>>>,
    nested: Vec<Option<[Box<dyn Layer>; 2]>>,
}

fn main() {}
