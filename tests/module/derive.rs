//! Every kind of type, every word of the grammar.

use super::*;
use modulor::module::{FromConfig, InputShapes, ManualBuild, Visitor};
use serde_json::{Value, json};

fn value(config: modulor::module::Config) -> Value {
    Value::Object(config)
}

#[test]
fn structs_of_every_kind() {
    #[derive(Module)]
    struct Tuple(FlexibleDense, #[config] f32, #[variable(init = 1.0)] Variable);
    #[derive(Module)]
    struct Unit;
    #[derive(Module)]
    struct Empty {}
    let tuple = Tuple::new(FlexibleDense::new(1), 2.0);
    assert_eq!(paths(&tuple), ["2", "0/b", "0/w"]);
    assert_eq!(value(tuple.config().unwrap())["1"], json!(2.0));
    assert_eq!(Tuple::from_config(&tuple.config().unwrap()).unwrap().1, 2.0);
    assert!(Unit.variables().is_empty() && Empty {}.submodules().is_empty());
    assert_eq!((Unit.class_name(), Unit.default_name()), ("Unit", "unit"));
}

#[derive(Module)]
enum Block {
    Linear {
        dense: FlexibleDense,
        #[config]
        scale: f64,
    },
    #[module(tagged, rename = "pair")]
    Pair(FlexibleDense, FlexibleDense),
    #[module(default)]
    Off,
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Block::Linear { dense, scale } => Ok(dense.call(x)? * *scale),
            Block::Pair(a, b) => b.call(&a.call(x)?),
            Block::Off => Ok(x.clone()),
        }
    }
}

#[test]
fn enums_of_every_kind_of_variant() {
    let linear = Block::Linear { dense: FlexibleDense::new(2), scale: 2.0 };
    let pair = Block::Pair(FlexibleDense::new(2), FlexibleDense::new(1));
    assert_eq!(paths(&linear), ["dense/b", "dense/w"]);
    assert_eq!(paths(&pair), ["pair/0/b", "pair/0/w", "pair/1/b", "pair/1/w"]);
    assert!(paths(&Block::Off).is_empty());
    for block in [linear, pair, Block::Off] {
        let config = block.config().unwrap();
        let again = Block::from_config(&config).unwrap();
        assert_eq!(again.config().unwrap(), config);
        let dims = |block: &Block| block.call(ones([1, 3])).unwrap().dims().unwrap().to_vec();
        assert_eq!(dims(&again), dims(&block));
    }
    assert!(matches!(Block::from_config(&Default::default()), Ok(Block::Off)));
    let unknown = json!({"variant": "Linaer"}).as_object().unwrap().clone();
    let error = Block::from_config(&unknown).err().unwrap().to_string();
    assert_eq!(error, "config of `Block`: unknown variant `Linaer`; did you mean `Linear`?");
}

#[test]
fn an_enum_without_variants_compiles() {
    #[derive(Module)]
    enum Never {}
    fn walks<M: Module>() {}
    walks::<Never>();
}

#[derive(Module)]
struct Sized2<const N: usize, L>
where
    L: Layer,
{
    layers: [L; N],
    #[variable(shape = [N, input[-1] * 2], init = 1.0)]
    v: Variable,
    #[skip]
    _mark: std::marker::PhantomData<L>,
}

#[test]
fn generics_const_generics_and_where_clauses() {
    let module = Sized2::<2, FlexibleDense>::new([FlexibleDense::new(1), FlexibleDense::new(1)]);
    module.build(&InputShapes::of(&[ones([1, 3])])).unwrap();
    assert_eq!(module.v.shape(), Some(vec![2, 6]));
    let config = module.config().unwrap();
    assert_eq!(Sized2::<2, FlexibleDense>::from_config(&config).unwrap().layers.len(), 2);
    assert!(Sized2::<3, FlexibleDense>::from_config(&config).is_err());
}

#[derive(Module)]
struct Nested<L> {
    below: Option<Box<Nested<L>>>,
    layer: L,
    #[config]
    depth: usize,
}

#[test]
fn a_generic_type_may_hold_itself_in_a_box() {
    let inner = Box::new(Nested::new(None, Relu, 2));
    let nested = Nested::new(Some(inner), Relu, 1);
    let again = Nested::<Relu>::from_config(&nested.config().unwrap()).unwrap();
    assert_eq!(again.below.unwrap().depth, 2);
}

#[derive(Module)]
#[module(bound = "T: modulor::Module")]
struct Bounded<T> {
    inner: T,
}

#[test]
fn bounds_can_be_given() {
    assert_eq!(paths(&Bounded { inner: FlexibleDense::new(1) }), ["inner/b", "inner/w"]);
}

#[derive(Module)]
struct Places {
    #[module(rename = "encoder", alias = "enc")]
    first: FlexibleDense,
    #[variable(init = 1.0)]
    #[module(rename = "gain", alias = "scale")]
    g: Variable,
    #[module(flatten)]
    inner: FlexibleDense,
}

#[test]
fn places_can_be_renamed_aliased_and_flattened() {
    let places = Places::new(FlexibleDense::new(1), FlexibleDense::new(2));
    assert_eq!(paths(&places), ["b", "gain", "w", "encoder/b", "encoder/w"]);
    let aliases = modulor::module::walk(&places).aliases.clone();
    assert_eq!(aliases, [("encoder", "enc"), ("gain", "scale")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    let mut config = places.config().unwrap();
    assert_eq!(config["encoder"]["config"]["out_features"], 1);
    assert_eq!(config["inner"]["config"]["out_features"], 2);
    let older = config.remove("encoder").unwrap();
    config.insert("enc".to_owned(), older);
    assert_eq!(Places::from_config(&config).unwrap().first.out_features, 1);
}

#[test]
fn a_transparent_wrapper_adds_no_part_to_paths() {
    #[derive(Module)]
    #[module(transparent)]
    struct Wrapper {
        #[config]
        note: String,
        inner: FlexibleDense,
    }
    impl Layer for Wrapper {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.inner.call(x)
        }
    }
    #[derive(Module)]
    struct Outer {
        wrapped: Wrapper,
    }
    impl Layer for Outer {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.wrapped.call(x)
        }
    }
    let outer = Outer { wrapped: Wrapper::new("x".to_owned(), FlexibleDense::new(1)) };
    assert_eq!(paths(&outer), ["wrapped/b", "wrapped/w"]);
    assert_eq!(paths(&outer.wrapped), ["b", "w"]);
    outer.call(ones([1, 3])).unwrap();
    let error = outer.call(ones([1, 4])).unwrap_err();
    assert_eq!(error.path(), ["outer", "wrapped"]);
}

#[derive(Module)]
#[module(build = manual, name = "pairing", no_new)]
struct Pairwise {
    #[variable(init = 1.0)]
    kernel: Variable,
}

impl ManualBuild for Pairwise {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let pairs = inputs.dim(0, -1)? * inputs.dim(1, -1)?;
        inputs.size(&self.kernel, "kernel", &[pairs])
    }
}

impl Pairwise {
    fn new() -> Self {
        Self { kernel: Variable::default() }.declared()
    }
}

impl Layer<(Tensor, Tensor)> for Pairwise {
    fn forward(&self, _: &(Tensor, Tensor)) -> Result<Tensor> {
        self.kernel.read()
    }
}

#[test]
fn a_build_of_ones_own() {
    let layer = Pairwise::new();
    assert_eq!(layer.default_name(), "pairing");
    assert_eq!(layer.call((&ones([1, 2]), &ones([1, 3]))).unwrap().dims().unwrap(), [6]);
    let error = layer.call((&ones([1, 2]), &ones([1, 4]))).unwrap_err().to_string();
    assert!(error.starts_with("pairing: `kernel` was built as [6] for inputs of shapes (1, 2), (1, 3) at "), "{error}");
}

#[derive(Module)]
struct Bilinear {
    #[config]
    units: usize,
    #[variable(shape = [inputs[0][-1], inputs[1][-1], units], init = 0.0)]
    kernel: Variable,
}

impl Layer<(Tensor, Tensor)> for Bilinear {
    fn forward(&self, _: &(Tensor, Tensor)) -> Result<Tensor> {
        self.kernel.read()
    }
}

#[test]
fn shapes_may_follow_from_any_input() {
    let y = Bilinear::new(4).call((&ones([1, 2]), &ones([1, 3]))).unwrap();
    assert_eq!(y.dims().unwrap(), [2, 3, 4]);
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Start(f64);

impl Initializer for Start {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        Tensor::scalar(self.0).cast(dtype)?.broadcast_to(dims)
    }
}

#[derive(Module)]
struct Declared {
    #[config(default = 2.0)]
    scale: f64,
    #[config(default = 3)]
    n: usize,
    #[config(default = Start(4.0))]
    start: Start,
    #[config(default)]
    dtype_name: String,
    #[variable(shape = [n, 2], init = start, dtype = DType::F64)]
    k: Variable,
    #[variable(init = scale, trainable = false, persistent = false)]
    s: Variable,
    #[variable(shape = [2], init = 1.0, dtype = "int32")]
    whole: Variable,
    plain: Variable,
}

#[derive(Module)]
struct Stacked {
    #[config]
    n: usize,
    #[module(default)]
    grown: Vec<Variable>,
    #[module(default = Declared::new(Variable::new(9.0)).n(2))]
    below: Declared,
}

#[test]
fn parts_with_a_default_are_neither_asked_for_nor_missed() {
    let module = Stacked::new(1);
    assert_eq!((module.n, module.grown.len(), module.below.n), (1, 0, 2));
    let config = serde_json::json!({ "n": 3 });
    let read = Stacked::from_config(config.as_object().unwrap()).unwrap();
    assert_eq!((read.n, read.below.n), (3, 2));
    assert!(module.named_variables().iter().any(|(path, _)| path == "below/k"));
}

#[test]
fn settings_reach_the_declarations() {
    let module = Declared::new(Variable::new(9.0)).n(4).scale(7.0);
    assert_eq!(module.k.value().unwrap().to_vec::<f64>().unwrap(), [4.0; 8]);
    assert_eq!(module.s.value().unwrap().item::<f32>().unwrap(), 7.0);
    assert!(!module.s.trainable() && !module.s.persistent() && module.k.persistent());
    assert_eq!(module.whole.dtype(), DType::I32);
    assert_eq!(module.plain.value().unwrap().item::<f32>().unwrap(), 9.0);
    let late = module.n(5);
    assert_eq!(late.k.shape(), Some(vec![4, 2]), "a value that was drawn is not drawn again");
}

#[test]
fn a_constructor_that_forgets_to_declare_is_told() {
    let layer = FlexibleDense { out_features: 2, w: Variable::default(), b: Variable::default() };
    let error = layer.call(ones([1, 3])).unwrap_err().to_string();
    assert!(error.contains("variable `w` was never declared: end the constructor with `.declared()`"), "{error}");
}

#[test]
fn forward_in_place_of_call_is_told() {
    let error = FlexibleDense::new(2).forward(&ones([1, 3])).unwrap_err().to_string();
    assert!(error.contains("use `call`"), "{error}");
}

/// Names of the standard library, taken by the user.
mod hygiene {
    #![allow(dead_code, non_camel_case_types)]
    mod std {}
    mod core {}
    struct Option;
    struct Vec;
    struct String;
    struct Box;
    struct Some;
    struct Ok;
    struct Err;
    struct Default;
    type Result = ();
    trait Clone {}
    trait Module {}
    trait Track {}

    #[derive(::modulor::Module)]
    pub struct r#type {
        #[config]
        r#fn: u32,
        #[variable(init = 1.0)]
        r#match: ::modulor::Variable,
        __visitor: ::modulor::Variable,
        #[config(default = 3)]
        __config: usize,
        #[variable(shape = [__config, input[-1]], init = 0.0)]
        __m: ::modulor::Variable,
    }

    pub fn new() -> r#type {
        r#type::new(1, ::modulor::Variable::new(1.0))
    }
}

#[test]
fn no_name_of_the_users_is_in_the_way() {
    let module = hygiene::new();
    assert_eq!(paths(&module), ["__m", "__visitor", "match"]);
    assert_eq!(module.class_name(), "type");
    assert_eq!(value(module.config().unwrap()), json!({"fn": 1, "__config": 3}));
}

mod renamed {
    pub mod deep {
        pub use modulor as other;
    }
}

#[test]
fn the_crate_may_have_another_name() {
    mod modulor {}
    #[derive(::modulor::Module)]
    #[module(crate = crate::module::derive::renamed::deep::other)]
    struct Elsewhere {
        #[variable(init = 1.0)]
        v: Variable,
    }
    #[derive(::modulor::Structure, Clone)]
    #[module(crate = crate::module::derive::renamed::deep::other)]
    struct Pair {
        a: Tensor,
    }
    assert_eq!(paths(&Elsewhere::new()), ["v"]);
    let _ = Pair { a: ones([1]) }.a;
}

#[derive(Structure, Clone)]
struct Query {
    query: Tensor,
    value: Tensor,
    mask: Option<Tensor>,
}

#[derive(Structure, Clone)]
struct Scored(Tensor, Vec<Tensor>);

impl modulor::Feed<Query> for (&Tensor, &Tensor) {
    fn feed(self) -> Query {
        Query { query: self.0.clone(), value: self.1.clone(), mask: None }
    }
}

#[derive(Module)]
struct Attend;

impl Layer<Query, Scored> for Attend {
    fn forward(&self, x: &Query) -> Result<Scored> {
        Ok(Scored(&x.query + &x.value, vec![x.query.clone()]))
    }
}

#[test]
fn structures_are_derived_and_fed() {
    use modulor::Tree;
    let x = ones([1]);
    let Scored(sum, scores) = Attend.call((&x, &x)).unwrap();
    assert_eq!((sum.to_vec::<f32>().unwrap(), scores.len()), (vec![2.0], 1));
    let query = Query { query: x.clone(), value: x.clone(), mask: None };
    let tree = query.to_tree();
    assert_eq!(tree.leaves().len(), 2);
    assert!(Query::from_tree(tree).unwrap().mask.is_none());
    let error = Query::from_tree(Tree::Map([("query".to_owned(), Tree::Leaf(x.clone()))].into())).err().unwrap();
    assert_eq!(error.to_string(), "value: expected one tensor, found nothing");
    let mut parts = query.to_tree().into_map().unwrap();
    parts.insert("key".to_owned(), Tree::None);
    let error = Query::from_tree(Tree::Map(parts)).err().unwrap();
    assert_eq!(error.to_string(), "the structure has no part `key`");
    let boxed: std::sync::Arc<dyn Layer<Query, Scored>> = std::sync::Arc::new(Attend);
    boxed.call(&query).unwrap();
}

#[test]
fn layers_take_lists_tuples_and_references_of_references() {
    #[derive(Module)]
    struct Sum;
    impl Layer<Vec<Tensor>> for Sum {
        fn forward(&self, x: &Vec<Tensor>) -> Result<Tensor> {
            x[1..].iter().try_fold(x[0].clone(), |sum, x| sum.add(x))
        }
    }
    let (x, y) = (ones([1]), ones([1]));
    assert_eq!(Sum.call([&x, &y, &x]).unwrap().to_vec::<f32>().unwrap(), [3.0]);
    let reference = &x;
    Relu.call(reference).unwrap();
    Relu.call(Relu.call(&x).unwrap()).unwrap();
}

#[test]
fn an_operator_that_failed_in_forward_is_an_error_of_the_layer() {
    #[derive(Module)]
    struct Adds;
    impl Layer for Adds {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            Ok(x + &ones([7, 7, 7]))
        }
    }
    let error = Adds.call(ones([2, 3])).unwrap_err();
    assert_eq!(error.path(), ["adds"]);
    let error = Relu.call(&ones([2, 3]) + &ones([7, 7, 7])).unwrap_err();
    assert_eq!(error.path(), ["relu"]);
}

/// A visitor of one's own needs two methods.
#[test]
fn walks_are_open_to_everybody() {
    struct Count(usize);
    impl Visitor for Count {
        fn variable(&mut self, _: &str, _: &Variable) {
            self.0 += 1;
        }
        fn module(&mut self, _: &str, module: &dyn Module) {
            module.fields(self);
        }
    }
    let mut count = Count(0);
    my_sequential_model().fields(&mut count);
    assert_eq!(count.0, 4);
}
