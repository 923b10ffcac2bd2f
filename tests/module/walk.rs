//! Order, paths, identity: what the walk shows.

use super::*;
use modulor::module::{Track, walk};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

#[derive(Module)]
struct Leaf {
    #[variable(init = 1.0)]
    w: Variable,
}

fn leaf() -> Leaf {
    Leaf::new()
}

#[derive(Module)]
struct Branch {
    z: Leaf,
    a: Leaf,
    #[variable(init = 1.0)]
    own: Variable,
}

fn branch() -> Branch {
    Branch::new(leaf(), leaf())
}

#[derive(Module)]
struct Root {
    b: Branch,
    #[variable(init = 1.0)]
    v: Variable,
    a: Branch,
    #[variable(init = 1.0)]
    c: Variable,
}

#[test]
fn variables_come_in_tensorflows_order_and_weights_in_that_of_declaration() {
    let root = Root::new(branch(), branch());
    assert_eq!(paths(&root), ["c", "v", "a/own", "a/a/w", "a/z/w", "b/own", "b/a/w", "b/z/w"]);
    let submodules: Vec<_> = root.submodules().into_iter().map(|(path, _)| path).collect();
    assert_eq!(submodules, ["a", "b", "a/a", "a/z", "b/a", "b/z"]);
    let by_id: HashMap<u64, String> = root.named_variables().into_iter().map(|(path, v)| (v.id(), path)).collect();
    let weights: Vec<_> = root.weights().iter().map(|v| by_id[&v.id()].clone()).collect();
    assert_eq!(weights, ["v", "c", "b/own", "b/z/w", "b/a/w", "a/own", "a/z/w", "a/a/w"]);
}

#[derive(Module)]
struct Counter {
    #[variable(init = 0, trainable = false, weight = false)]
    calls: Variable,
    #[variable(init = 0.0, trainable = false)]
    mean: Variable,
    leaf: Leaf,
    given: Variable,
}

#[test]
fn state_that_is_no_weight_is_a_variable_all_the_same() -> Result<()> {
    let counter = Counter::new(leaf(), Variable::new(Tensor::from([1.0_f32, 2.0])));
    let weights: Vec<u64> = counter.weights().iter().map(Variable::id).collect();
    assert_eq!(weights, [&counter.given, &counter.mean, &counter.leaf.w].map(Variable::id));
    assert_eq!(counter.count_params(), 4);
    assert_eq!(counter.variables().len(), 4);
    assert_eq!(counter.non_trainable_variables().len(), 2);
    assert!(!counter.calls.is_weight() && counter.calls.persistent());
    counter.calls.assign_add(&Tensor::scalar(3))?;
    let copy = counter.copy()?;
    assert_eq!(copy.calls.value()?.item::<i32>()?, 3);
    assert_eq!(copy.count_params(), 4);
    Ok(())
}

#[derive(Module)]
struct Containers {
    list: Vec<Leaf>,
    map: BTreeMap<String, Leaf>,
    hashed: HashMap<String, Leaf>,
    option: Option<Leaf>,
    missing: Option<Leaf>,
    array: [Leaf; 2],
    tuple: (Leaf, Vec<Variable>),
    boxed: Box<Leaf>,
    counted: Arc<Leaf>,
    locked: Mutex<Vec<Variable>>,
    dynamic: Box<dyn Layer>,
    dynamic_counted: Arc<dyn Layer>,
    pairs: Box<dyn Layer<(Tensor, Tensor)>>,
}

#[derive(Module)]
struct Add;

impl Layer<(Tensor, Tensor)> for Add {
    fn forward(&self, (a, b): &(Tensor, Tensor)) -> Result<Tensor> {
        Ok(a + b)
    }
}

#[test]
fn every_container_is_entered_in_place() {
    let containers = Containers {
        list: (0..11).map(|_| leaf()).collect(),
        map: [("x.y".to_owned(), leaf()), ("a/b".to_owned(), leaf())].into(),
        hashed: ["d", "c", "b"].into_iter().map(|key| (key.to_owned(), leaf())).collect(),
        option: Some(leaf()),
        missing: None,
        array: [leaf(), leaf()],
        tuple: (leaf(), vec![Variable::new(1.0)]),
        boxed: Box::new(leaf()),
        counted: Arc::new(leaf()),
        locked: Mutex::new(vec![Variable::new(2.0)]),
        dynamic: Box::new(Relu),
        dynamic_counted: Arc::new(FlexibleDense::new(2)),
        pairs: Box::new(Add),
    };
    let expected = [
        "locked/0",
        "tuple/1/0",
        "array/0/w",
        "array/1/w",
        "boxed/w",
        "counted/w",
        "dynamic_counted/b",
        "dynamic_counted/w",
        "hashed/b/w",
        "hashed/c/w",
        "hashed/d/w",
        "list/0/w",
        "list/1/w",
        "list/2/w",
        "list/3/w",
        "list/4/w",
        "list/5/w",
        "list/6/w",
        "list/7/w",
        "list/8/w",
        "list/9/w",
        "list/10/w",
        "map/a.Sb/w",
        "map/x..y/w",
        "option/w",
        "tuple/0/w",
    ];
    assert_eq!(paths(&containers), expected);
    assert_eq!(containers.pairs.call((&ones([1]), &ones([1]))).unwrap().to_vec::<f32>().unwrap(), [2.0]);
    fn is_shared_between_threads<T: Send + Sync>(_: &T) {}
    is_shared_between_threads(&containers);
}

#[derive(Module)]
struct Shared {
    first: Leaf,
    holder: Holder,
    tied: Variable,
}

#[derive(Module)]
struct Holder {
    again: Leaf,
    last: Leaf,
}

#[test]
fn what_is_shared_is_listed_once_where_tensorflow_meets_it_first() {
    let shared = leaf();
    let root = Shared { first: shared.share(), tied: shared.w.clone(), holder: Holder { again: shared, last: leaf() } };
    assert_eq!(paths(&root), ["tied", "holder/last/w"]);
    let submodules: Vec<_> = root.submodules().into_iter().map(|(path, _)| path).collect();
    assert_eq!(submodules, ["first", "holder", "holder/last"]);
    let root = Holder { again: leaf(), last: root.first.share() };
    assert_eq!(root.variables().len(), 2);
}

#[test]
fn a_module_without_variables_has_an_identity_only_in_an_arc() {
    #[derive(Module)]
    struct Two {
        a: Arc<dyn Layer>,
        b: Arc<dyn Layer>,
        c: Box<dyn Layer>,
        d: Relu,
    }
    let relu: Arc<dyn Layer> = Arc::new(Relu);
    let two = Two { a: relu.clone(), b: relu, c: Box::new(Relu), d: Relu };
    let submodules: Vec<_> = two.submodules().into_iter().map(|(path, _)| path).collect();
    assert_eq!(submodules, ["a", "c", "d"]);
    let other = Two { a: Arc::new(Relu), b: Arc::new(Relu), c: Box::new(Relu), d: Relu };
    assert_eq!(other.submodules().len(), 4);
}

#[test]
fn a_chain_of_one_class_is_not_taken_for_one_module() {
    #[derive(Module)]
    struct Chain {
        next: Option<Box<Chain>>,
        leaf: Option<Leaf>,
    }
    let chain = Chain { leaf: None, next: Some(Box::new(Chain { leaf: Some(leaf()), next: None })) };
    assert_eq!(paths(&chain), ["next/leaf/w"]);
    assert_eq!(chain.submodules().len(), 2);
}

#[test]
fn arcs_of_arcs_are_walked_once_each() {
    #[derive(Module)]
    struct Level {
        left: Option<Arc<Level>>,
        right: Option<Arc<Level>>,
        leaf: Option<Leaf>,
    }
    let mut level = Arc::new(Level { left: None, right: None, leaf: Some(leaf()) });
    for _ in 0..60 {
        level = Arc::new(Level { left: Some(level.clone()), right: Some(level), leaf: None });
    }
    let mut sixty_four = 0;
    let root = walk(&level);
    let mut node = &root;
    while let Some((_, next)) = node.modules.first() {
        sixty_four += 1;
        node = next;
    }
    assert_eq!(sixty_four, 61);
}
