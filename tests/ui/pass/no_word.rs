//! A field without a word: a variable, a module, or a container of them.

use modulor::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

#[derive(Module, Default)]
struct A {
    one: Variable,
    option: Option<Variable>,
    list: Vec<Variable>,
    array: [Variable; 3],
    tuple: (Variable, Option<Box<A>>),
    boxed: Box<Variable>,
    counted: Arc<Variable>,
    locked: Mutex<Vec<Variable>>,
    map: BTreeMap<String, Variable>,
    hashed: HashMap<String, Variable>,
    dynamic: Option<Box<dyn Layer>>,
    counted_dynamic: Option<Arc<dyn Layer<(Tensor, Tensor), Vec<Tensor>>>>,
    nested: Vec<Option<[Box<dyn Layer>; 2]>>,
}

#[test]
fn containers_are_entered() {
    let a = A {
        option: Some(Variable::new(0.0)),
        list: vec![Variable::new(0.0)],
        map: BTreeMap::from([("k".to_owned(), Variable::new(0.0))]),
        dynamic: Some(Box::new(Dense::new(1))),
        ..A::default()
    };
    let paths: Vec<_> = modulor::module::walk(&a).variables.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(
        paths,
        ["one", "option", "list/0", "array/0", "array/1", "array/2", "tuple/0", "boxed", "counted", "map/k"]
    );
    assert_eq!(a.submodules().len(), 1);
}

#[test]
fn what_a_type_is_called_decides_nothing() {
    mod mine {
        #[derive(super::Module, Default)]
        pub struct Tensor(super::Variable);
        pub type Weights = Vec<super::Variable>;
    }
    #[derive(Module, Default)]
    struct B {
        one: mine::Tensor,
        list: Vec<mine::Tensor>,
        weights: mine::Weights,
    }
    let b = B { list: vec![mine::Tensor::default()], weights: vec![Variable::new(0.0)], ..B::default() };
    assert_eq!((b.submodules().len(), b.one.variables().len(), b.variables().len()), (2, 0, 1));
}
