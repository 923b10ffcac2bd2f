//! Files made by hand: what is read of them, and what is refused.

use super::attrs::entry;
use crate::graph::{Graph, trace};
use crate::{DType, Error, ErrorKind, Result, Spec, Tensor, Variable, op::scope};
use modulor_wire::graph::{
    ArgDef, AttrEntry, FunctionDef, FunctionDefLibrary, GraphDef, ListValue, NameAttrList, NodeDef, OpDef, TextEntry,
    Value,
};
use modulor_wire::message::{DataType, Dim, TensorShapeProto, VersionDef, decode, encode};
use modulor_wire::tensor::TensorProto;

pub(super) const F32: i32 = DataType::Float as i32;
pub(super) const I32: i32 = DataType::Int32 as i32;

fn shape(dims: &[i64]) -> TensorShapeProto {
    let dim = dims.iter().map(|&size| Dim { size, name: String::new() }).collect();
    TensorShapeProto { dim, unknown_rank: false }
}

pub(super) fn node(name: &str, op: &str, inputs: &[&str], attr: Vec<AttrEntry>) -> NodeDef {
    let input = inputs.iter().map(|&text| text.to_owned()).collect();
    NodeDef { name: name.to_owned(), op: op.to_owned(), input, attr, ..Default::default() }
}

pub(super) fn of_type(dtype: i32) -> Vec<AttrEntry> {
    vec![entry("T", Value::Type(dtype))]
}

pub(super) fn unary(name: &str, op: &str, input: &str) -> NodeDef {
    node(name, op, &[input], of_type(F32))
}

pub(super) fn placeholder(name: &str, dims: &[i64]) -> NodeDef {
    let attr = vec![entry("dtype", Value::Type(F32)), entry("shape", Value::Shape(shape(dims)))];
    node(name, "Placeholder", &[], attr)
}

pub(super) fn constant(name: &str, tensor: TensorProto) -> NodeDef {
    let attr = vec![entry("dtype", Value::Type(tensor.dtype)), entry("value", Value::Tensor(encode(&tensor)))];
    node(name, "Const", &[], attr)
}

pub(super) fn ints(dims: &[i64], values: &[i32]) -> TensorProto {
    TensorProto { dtype: I32, tensor_shape: Some(shape(dims)), int_val: values.to_vec(), ..Default::default() }
}

fn floats(dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto { dtype: F32, tensor_shape: Some(shape(dims)), float_val: values.to_vec(), ..Default::default() }
}

pub(super) fn read_all(graph: &GraphDef, inputs: &[&str], outputs: &[&str]) -> Result<Graph> {
    Graph::from_graph_def(&encode(graph), inputs, outputs, |_, _| None)
}

/// `y` from `x`.
fn read(nodes: Vec<NodeDef>) -> Result<Graph> {
    read_all(&GraphDef { node: nodes, ..Default::default() }, &["x"], &["y"])
}

#[track_caller]
fn refused(nodes: Vec<NodeDef>) -> String {
    read(nodes).unwrap_err().to_string()
}

pub(super) fn value(graph: Result<Graph>, x: &[f32]) -> Vec<f32> {
    graph.unwrap().run(&[&Tensor::from(x.to_vec())]).unwrap()[0].to_vec().unwrap()
}

#[test]
fn nodes_may_come_in_any_order() {
    let nodes = vec![
        node("y", "AddV2", &["b", "a:0", "^done"], of_type(F32)),
        node("done", "NoOp", &["^b"], vec![]),
        unary("b", "Neg", "a"),
        unary("a", "Square", "x"),
        unary("dead", "Foreign", "nowhere"),
        placeholder("x", &[2]),
    ];
    let graph = read(nodes).unwrap();
    assert_eq!(graph.op_names().collect::<Vec<_>>(), ["Placeholder", "Square", "Neg", "AddV2"]);
    assert_eq!(value(Ok(graph), &[2.0, 3.0]), [0.0, 0.0]);
}

#[test]
fn what_is_known_is_computed_and_what_is_not_needed_is_left_out() {
    let nodes = vec![
        placeholder("x", &[-1, 4]),
        constant("two", ints(&[2], &[2])),
        node("shape", "Mul", &["two", "two"], of_type(I32)),
        node("y", "Reshape", &["x", "shape"], vec![entry("T", Value::Type(F32)), entry("Tshape", Value::Type(I32))]),
    ];
    let graph = read(nodes).unwrap();
    assert_eq!(graph.outputs().next().unwrap(), &Spec::new(DType::F32, [4, 4]));
    assert_eq!(graph.op_names().collect::<Vec<_>>(), ["Placeholder", "Const", "Reshape"]);
}

#[test]
fn paths_are_the_scopes_of_names() {
    let nodes = vec![placeholder("x", &[1]), unary("y", "Relu", "net/dense/Neg"), unary("net/dense/Neg", "Neg", "x")];
    let text = read(nodes).unwrap().to_string();
    assert!(text.contains("%1 = Neg(%0) : float32(1,)  # net/dense\n"), "{text}");
    assert!(text.contains("%2 = Relu(%1) : float32(1,)\n"), "{text}");
}

#[test]
fn c1_no_bytes_are_a_graph_without_nodes_and_noise_is_none() {
    let error = Graph::from_graph_def(b"", &[], &["y"], |_, _| None).unwrap_err();
    assert_eq!(error.message(), "`y`, which was asked for: there is no node `y`");
    assert!(Graph::from_graph_def(b"", &[], &[], |_, _| None).is_ok());
    let error = Graph::from_graph_def(&[0x0A, 0x7F, 1], &[], &[], |_, _| None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(error.message().starts_with("not a GraphDef: "), "{error}");
    let versions = VersionDef { min_consumer: 99_999, ..Default::default() };
    let error = read_all(&GraphDef { versions: Some(versions), ..Default::default() }, &[], &[]).unwrap_err();
    assert!(error.message().contains("version 99999 on, and this is 2474"), "{error}");
}

#[test]
fn c5_cycles_are_named() {
    let ring = vec![
        placeholder("x", &[1]),
        node("a", "AddV2", &["x", "c"], of_type(F32)),
        unary("b", "Relu", "a"),
        unary("c", "Neg", "b"),
        unary("y", "Neg", "c"),
    ];
    assert!(refused(ring).contains("nodes wait for each other: a → b → c → a"));
    let own = vec![placeholder("x", &[1]), unary("y", "Relu", "y")];
    assert!(refused(own).contains("nodes wait for each other: y → y"));
    let waits =
        vec![placeholder("x", &[1]), node("y", "Relu", &["x", "^n"], of_type(F32)), node("n", "NoOp", &["^y"], vec![])];
    assert!(refused(waits).contains("nodes wait for each other: "));
}

pub(super) fn function(name: &str, nodes: Vec<NodeDef>, result: &str) -> FunctionDef {
    let arg = |name: &str| ArgDef { name: name.to_owned(), r#type: F32, ..Default::default() };
    FunctionDef {
        signature: Some(Box::new(OpDef {
            name: name.to_owned(),
            input_arg: vec![arg("a")],
            output_arg: vec![arg("r")],
            ..Default::default()
        })),
        node_def: nodes,
        ret: vec![TextEntry { key: "r".to_owned(), value: result.to_owned() }],
        ..Default::default()
    }
}

fn call(name: &str, function: &str, input: &str) -> NodeDef {
    let types = || Value::List(Box::new(ListValue { r#type: vec![F32], ..Default::default() }));
    let f = Value::Func(Box::new(NameAttrList { name: function.to_owned(), attr: vec![] }));
    node(name, "PartitionedCall", &[input], vec![entry("Tin", types()), entry("Tout", types()), entry("f", f)])
}

pub(super) fn with_functions(nodes: Vec<NodeDef>, functions: Vec<FunctionDef>) -> GraphDef {
    let library = FunctionDefLibrary { function: functions, ..Default::default() };
    GraphDef { node: nodes, library: Some(library), ..Default::default() }
}

#[test]
fn calls_become_what_the_functions_say() {
    let twice = function("twice", vec![node("sum", "AddV2", &["a", "a"], of_type(F32))], "sum:z:0");
    let inner = function("outer", vec![call("p/in", "twice", "a"), unary("n", "Neg", "p/in:output:0")], "n:y:0");
    let legacy = node("y", "twice", &["m"], vec![]);
    let file = with_functions(vec![placeholder("x", &[1]), call("m", "outer", "x"), legacy], vec![inner, twice]);
    let graph = read_all(&file, &["x:0"], &["y:0"]).unwrap();
    assert!(graph.to_string().contains("AddV2(%0, %0) : float32(1,)  # m/p/in\n"), "{graph}");
    assert_eq!(value(Ok(graph), &[3.0]), [-12.0]);
}

#[test]
fn attributes_of_a_call_stand_for_those_of_the_body() {
    let mut shift = function("shift", vec![node("s", "AddV2", &["a", "a"], vec![])], "s:z:0");
    shift.node_def[0].attr = vec![entry("T", Value::Placeholder("dtype".to_owned()))];
    let mut y = call("y", "shift", "x");
    let file = |y: &NodeDef| with_functions(vec![placeholder("x", &[1]), y.clone()], vec![shift.clone()]);
    let error = read_all(&file(&y), &["x"], &["y"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "y/s: attribute `T` is what the caller says of `dtype`, and it says nothing [Op:AddV2]\n    in function `shift`"
    );
    y.attr[2] = entry(
        "f",
        Value::Func(Box::new(NameAttrList { name: "shift".to_owned(), attr: vec![entry("dtype", Value::Type(F32))] })),
    );
    assert_eq!(value(read_all(&file(&y), &["x"], &["y"]), &[3.0]), [6.0]);
}

#[test]
fn c6_functions_that_call_themselves_are_refused() {
    let f = function("f", vec![call("c", "g", "a")], "c:output:0");
    let g = function("g", vec![call("d", "f", "a")], "d:output:0");
    let file = with_functions(vec![placeholder("x", &[1]), call("y", "f", "x")], vec![f, g]);
    let error = read_all(&file, &["x"], &["y"]).unwrap_err().to_string();
    assert!(error.contains("a function calls itself: f → g → f"), "{error}");
    // Each calls the next one, in a body of two calls: 2⁴⁰ nodes.
    let chain = |i: usize| {
        let next = format!("f{}", i + 1);
        let nodes = vec![call("p", &next, "a"), call("q", &next, "p:output:0")];
        function(&format!("f{i}"), nodes, "q:output:0")
    };
    let last = function("f40", vec![unary("n", "Neg", "a")], "n:y:0");
    let functions: Vec<FunctionDef> = (0..40).map(chain).chain([last]).collect();
    let file = with_functions(vec![placeholder("x", &[1]), call("y", "f0", "x")], functions);
    let error = read_all(&file, &["x"], &["y"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    let deep = |i: usize| function(&format!("f{i}"), vec![call("p", &format!("f{}", i + 1), "a")], "p:output:0");
    let functions: Vec<FunctionDef> = (0..5000).map(deep).collect();
    let file = with_functions(vec![placeholder("x", &[1]), call("y", "f0", "x")], functions);
    let error = read_all(&file, &["x"], &["y"]).unwrap_err();
    assert!(error.message().contains("more than 64 deep"), "{error}");
}

#[test]
fn c7_all_unknown_ops_are_named() {
    let body = function("f", vec![unary("w", "WriteFile", "a")], "w:y:0");
    let nodes = vec![
        placeholder("x", &[1]),
        unary("a", "Rellu", "x"),
        unary("b", "PyFunc", "a"),
        unary("c", "PyFunc", "b"),
        call("d", "f", "c"),
        unary("y", "Neg", "d"),
    ];
    let error = read_all(&with_functions(nodes, vec![body]), &["x"], &["y"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    for wanted in ["`Rellu` of node `a`; did you mean `Relu`?", "`PyFunc` of node `c`, `b`"] {
        assert!(error.message().contains(wanted), "{error}");
    }
    let nodes = vec![placeholder("x", &[1]), call("y", "g", "x")];
    let other = function("gg", vec![], "a");
    let error = read_all(&with_functions(nodes, vec![other]), &["x"], &["y"]).unwrap_err();
    assert_eq!(error.to_string(), "y: there is no function `g` [Op:PartitionedCall]");
}

#[test]
fn c8_attributes_are_checked() {
    let with = |attr: Vec<AttrEntry>| refused(vec![placeholder("x", &[1]), node("y", "Relu", &["x"], attr)]);
    let type_of = |number| vec![entry("T", Value::Type(number))];
    assert_eq!(
        with(type_of(DataType::Int64 as i32)),
        "y: attribute `T` is int64, and the inputs have float32 [Op:Relu]"
    );
    assert!(with(type_of(12345)).contains("attribute `T` takes a dtype that is here, found 12345, which there is not"));
    assert!(with(type_of(DataType::Qint8 as i32)).contains("found 11 (Qint8)"));
    assert!(with(vec![]).contains("attribute `T`, of kind type, is missing"));
    assert!(with(vec![entry("T", Value::I(1))]).contains("attribute `T` takes a dtype, found the integer 1"));
    assert!(with([type_of(F32), type_of(F32)].concat()).contains("attribute `T` is there twice"));
    assert!(with([type_of(F32), vec![entry("U", Value::I(1))]].concat()).contains("there is no attribute `U`"));
    let none = AttrEntry { key: "T".to_owned(), value: None };
    assert!(with(vec![none]).contains("attribute `T` has no value"));
    let nodes = |attr: AttrEntry| {
        vec![placeholder("x", &[1, 1]), node("y", "MatMul", &["x", "x"], [of_type(F32), vec![attr]].concat())]
    };
    let error = refused(nodes(entry("transpose_b", Value::S(b"yes".to_vec()))));
    assert!(error.contains("`transpose_b` takes a bool, found the string \"yes\""), "{error}");
    let error = refused(nodes(entry("transpos_a", Value::B(true))));
    assert!(error.contains("no attribute `transpos_a`; did you mean `transpose_a`?"), "{error}");
    assert!(read(nodes(entry("_private", Value::B(true)))).is_ok());
}

#[test]
fn c9_inputs_are_checked() {
    let with = |op: &str, inputs: &[&str]| refused(vec![placeholder("x", &[1]), node("y", op, inputs, of_type(F32))]);
    assert_eq!(with("AddV2", &["x", "nowhere:0"]), "y: input 1 `nowhere:0`: there is no node `nowhere` [Op:AddV2]");
    assert_eq!(with("Relu", &["x:99"]), "y: input 0 `x:99`: `x`, Placeholder, has 1 outputs [Op:Relu]");
    assert_eq!(with("AddV2", &["x"]), "y: takes (x, y), and 1 inputs were given [Op:AddV2]");
    assert_eq!(with("Relu", &["x", "x"]), "y: takes (features), and 2 inputs were given [Op:Relu]");
    assert!(with("Relu", &["x:a"]).contains("`x:a` names no output"));
    assert!(with("Relu", &["x:0:0:0"]).contains("names no output"));
    assert!(with("AddV2", &["^x", "x"]).contains("stands behind"));
    assert!(with("Relu", &["x:99999999999999999999999"]).contains("names no output"));
    assert!(
        refused(vec![placeholder("xx1", &[1]), unary("y", "Relu", "xx2"), placeholder("x", &[])])
            .contains("there is no node `xx2`; did you mean `xx1`?")
    );
    // What is fed and asked for.
    let nodes = || GraphDef { node: vec![placeholder("x", &[1]), unary("y", "Relu", "x")], ..Default::default() };
    let error = |inputs: &[&str], outputs: &[&str]| read_all(&nodes(), inputs, outputs).unwrap_err().to_string();
    assert_eq!(error(&["y"], &["y"]), "`y` is an output of `Relu`, and a placeholder can be fed");
    assert_eq!(error(&["x", "x:0"], &["y"]), "two inputs are `x:0`");
    assert_eq!(error(&[], &["y"]), "x: is needed, and is none of the inputs that are fed [Op:Placeholder]");
    assert!(error(&["x"], &["y:1"]).contains("`y`, Relu, has 1 outputs"));
    assert!(error(&["x"], &["^nothing"]).contains("there is no node `nothing`"));
}

#[test]
fn c10_names_are_there_once() {
    assert!(refused(vec![placeholder("x", &[1]), placeholder("x", &[1])]).contains("two nodes are called `x`"));
    let same = || function("f", vec![], "a");
    let error = read_all(&with_functions(vec![], vec![same(), same()]), &[], &[]).unwrap_err();
    assert_eq!(error.message(), "two functions are called `f`");
}

pub(super) fn handle(name: &str, dims: &[i64]) -> NodeDef {
    let attr = vec![
        entry("dtype", Value::Type(F32)),
        entry("shape", Value::Shape(shape(dims))),
        entry("shared_name", Value::S(name.as_bytes().to_vec())),
    ];
    node(name, "VarHandleOp", &[], attr)
}

#[test]
fn c11_handles_are_no_tensors_and_variables_are_what_they_are_declared() {
    let v = Variable::new(1.0);
    let error = |nodes: Vec<NodeDef>| {
        let file = encode(&GraphDef { node: nodes, ..Default::default() });
        let read = Graph::from_graph_def(&file, &["x"], &["y"], |name, _| (name == "v").then(|| v.clone()));
        read.unwrap_err().to_string()
    };
    let read_of = |name: &str| node("y", "ReadVariableOp", &[name], vec![entry("dtype", Value::Type(F32))]);
    let x = || placeholder("x", &[]);
    assert!(error(vec![x(), read_of("x")]).contains("`resource` takes resource, found float32"));
    assert!(error(vec![x(), handle("v", &[]), unary("y", "Relu", "v")]).contains("and the inputs have resource"));
    let found = error(vec![x(), handle("v", &[3]), read_of("v")]);
    assert_eq!(found, "v: variable `v` is float32(3,) here, and float32() was given [Op:VarHandleOp]");
    let found = error(vec![x(), handle("w", &[3]), read_of("w")]);
    assert_eq!(found, "w: variable `w`, float32(3,), was not given [Op:VarHandleOp]");
}

#[test]
fn c12_a_variable_without_value_is_named() {
    let v = Variable::default();
    let file = GraphDef {
        node: vec![handle("v", &[]), node("y", "ReadVariableOp", &["v"], vec![entry("dtype", Value::Type(F32))])],
        ..Default::default()
    };
    let read = Graph::from_graph_def(&encode(&file), &[], &["y"], |_, _| Some(v.clone()));
    assert!(read.and_then(|graph| graph.run(&[])).unwrap_err().to_string().contains("variable"));
}

#[test]
fn c13_constants_are_checked() {
    let of = |tensor: TensorProto| {
        read_all(&GraphDef { node: vec![constant("y", tensor)], ..Default::default() }, &[], &["y"])
    };
    let elements = |tensor: TensorProto| of(tensor).unwrap().run(&[]).unwrap()[0].to_vec::<f32>().unwrap();
    let error = |tensor: TensorProto| of(tensor).unwrap_err().to_string();
    assert_eq!(elements(floats(&[4], &[1.0, 2.0])), [1.0, 2.0, 2.0, 2.0]);
    assert_eq!(elements(floats(&[2], &[])), [0.0, 0.0]);
    assert_eq!(elements(floats(&[0, 5], &[])), [0.0; 0]);
    assert!(error(floats(&[-1], &[])).contains("a tensor has a known shape, found (None,)"));
    assert!(
        error(floats(&[-5], &[]))
            .contains("the tensor takes dims from 0 on, and -1 for one that is not known, found -5")
    );
    assert!(error(floats(&[1 << 40, 1 << 40], &[1.0])).contains("more elements than can be counted"));
    assert!(error(floats(&[1; 300], &[1.0])).contains("the tensor takes at most 254 dims, found 300"));
    assert!(error(floats(&[2], &[1.0; 3])).contains("3 elements are given, and the shape has 2"));
    let content = |bytes: usize| TensorProto { tensor_content: vec![0; bytes], ..floats(&[2], &[]) };
    assert_eq!(elements(content(8)), [0.0, 0.0]);
    for bytes in [7, 9, 4] {
        assert!(error(content(bytes)).contains(&format!("{bytes} bytes of content are not 2 elements of 4 bytes")));
    }
    // Repeated elements: in no room at all, or within what a file may ask for.
    let many = of(floats(&[1 << 14, 1 << 14], &[7.0])).unwrap();
    assert_eq!(many.outputs().next().unwrap().to_string(), "float32(16384, 16384)");
    for tensor in [floats(&[1 << 40], &[7.0]), floats(&[1 << 28], &[7.0, 8.0]), floats(&[1 << 40], &[7.0, 8.0])] {
        assert_eq!(of(tensor).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    }
    let half = 1 << 24;
    let file = (0..4).map(|i| constant(&format!("c{i}"), floats(&[half], &[1.0, 2.0]))).collect();
    let file = GraphDef { node: file, ..Default::default() };
    assert!(read_all(&file, &[], &["c0"]).is_ok());
    let error_of_all = read_all(&file, &[], &["c0", "c1", "c2", "c3"]).unwrap_err();
    assert_eq!(error_of_all.kind(), ErrorKind::ResourceExhausted, "{error_of_all}");
    let mut other = constant("y", floats(&[], &[1.0]));
    other.attr[0] = entry("dtype", Value::Type(I32));
    let found = read_all(&GraphDef { node: vec![other], ..Default::default() }, &[], &["y"]).unwrap_err();
    assert_eq!(found.to_string(), "y: attribute `dtype` is int32, and the tensor is float32() [Op:Const]");
    let resource = TensorProto { dtype: DataType::Resource.into(), ..Default::default() };
    assert!(error(resource).contains("has no elements"));
    let variant = error(TensorProto { dtype: DataType::Variant.into(), ..Default::default() });
    assert!(variant.contains("has no elements"), "{variant}");
    let bools = TensorProto { dtype: DataType::Bool.into(), tensor_content: vec![2], ..Default::default() };
    assert!(error(bools).contains("a bool is stored as 0 or 1"));
    let mut noise = constant("y", floats(&[], &[1.0]));
    noise.attr[1] = entry("value", Value::Tensor(vec![0xFF; 3]));
    let found = read_all(&GraphDef { node: vec![noise], ..Default::default() }, &[], &["y"]).unwrap_err();
    assert!(found.message().contains("not a TensorProto"), "{found}");
}

#[test]
fn strings_are_repeated_too() {
    let strings = |dims: &[i64], values: &[&str]| TensorProto {
        dtype: DataType::String.into(),
        tensor_shape: Some(shape(dims)),
        string_val: values.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ..Default::default()
    };
    let of = |tensor: TensorProto| {
        let file = GraphDef { node: vec![constant("y", tensor)], ..Default::default() };
        read_all(&file, &[], &["y"]).and_then(|graph| graph.run(&[])?[0].to_strings())
    };
    let texts = |tensor| of(tensor).unwrap().iter().map(|text| text.to_vec()).collect::<Vec<_>>();
    assert_eq!(texts(strings(&[2], &["a", "b"])), [b"a", b"b"]);
    assert_eq!(texts(strings(&[3], &["a", "b"])), [b"a", b"b", b"b"]);
    assert_eq!(texts(strings(&[2], &["a"])), [b"a", b"a"]);
    assert_eq!(texts(strings(&[1], &[])), [b""]);
    assert_eq!(of(strings(&[1 << 40], &["a", "b"])).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    assert_eq!(of(strings(&[1 << 60], &[])).unwrap_err().kind(), ErrorKind::ResourceExhausted);
}

/// `y` of an op on a float placeholder of these dims, and int constants.
fn on(dims: &[i64], op: &str, constants: &[TensorProto], attr: Vec<AttrEntry>) -> Result<Graph> {
    let names: Vec<String> = (0..constants.len()).map(|i| format!("c{i}")).collect();
    let inputs: Vec<&str> = std::iter::once("x").chain(names.iter().map(String::as_str)).collect();
    let mut nodes = vec![placeholder("x", dims), node("y", op, &inputs, attr)];
    nodes.extend(names.iter().zip(constants).map(|(name, tensor)| constant(name, tensor.clone())));
    read(nodes)
}

fn types(pairs: &[(&str, i32)]) -> Vec<AttrEntry> {
    pairs.iter().map(|(name, dtype)| entry(name, Value::Type(*dtype))).collect()
}

fn int_list(name: &str, values: &[i64]) -> AttrEntry {
    entry(name, Value::List(Box::new(ListValue { i: values.to_vec(), ..Default::default() })))
}

#[test]
fn c14_what_would_be_huge_is_refused_when_it_is_asked_for() {
    let tile =
        |multiple| on(&[1, 1], "Tile", &[ints(&[2], &[multiple, multiple])], types(&[("T", F32), ("Tmultiples", I32)]));
    assert!(tile(-1).unwrap_err().to_string().starts_with("y: "));
    crate::tensor::set_memory_limit(1 << 36);
    let run = tile(i32::MAX).and_then(|graph| graph.run(&[&Tensor::from([[1.0_f32]])]));
    crate::tensor::set_memory_limit(usize::MAX);
    assert_eq!(run.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    let dims =
        TensorProto { int64_val: vec![1 << 40], dtype: 9, tensor_shape: Some(shape(&[1])), ..Default::default() };
    let nodes = vec![
        constant("dims", dims),
        constant("v", floats(&[], &[0.0])),
        node("y", "Fill", &["dims", "v"], types(&[("T", F32), ("index_type", 9)])),
    ];
    let file = GraphDef { node: nodes, ..Default::default() };
    // Nothing so large is computed while reading.
    assert_eq!(read_all(&file, &[], &["y"]).unwrap().outputs().next().unwrap().to_string(), "float32(1099511627776,)");
}

#[test]
fn c15_shapes_that_cannot_be_are_refused() {
    let reshape = |dims: &[i64], to: &[i32]| {
        on(dims, "Reshape", &[ints(&[to.len() as i64], to)], types(&[("T", F32), ("Tshape", I32)]))
    };
    for to in [&[-1, -1][..], &[-5], &[1 << 30; 8], &[3]] {
        let error = reshape(&[4], to).unwrap_err().to_string();
        assert!(error.starts_with("y: ") && error.ends_with("[Op:Reshape]"), "{error}");
    }
    assert!(reshape(&[0], &[0, -1]).is_ok());
}

#[test]
fn c16_c17_indices_strides_and_windows_are_checked() {
    let slice = |begin: i32, size: i32| {
        let constants = [ints(&[1], &[begin]), ints(&[1], &[size])];
        on(&[4], "Slice", &constants, types(&[("T", F32), ("Index", I32)]))
    };
    assert!(slice(1, -1).is_ok());
    for (begin, size) in [(i32::MIN, 1), (5, 1), (1, 4), (-1, 1), (1, -2)] {
        assert!(slice(begin, size).unwrap_err().to_string().starts_with("y: "), "{begin} {size}");
    }
    let strided = |step: i32| {
        let constants = [ints(&[1], &[0]), ints(&[1], &[4]), ints(&[1], &[step])];
        on(&[4], "StridedSlice", &constants, types(&[("T", F32), ("Index", I32)]))
    };
    assert!(strided(0).unwrap_err().to_string().starts_with("y: "));
    assert!(strided(i32::MIN).is_ok());
    let pool = |ksize: &[i64], strides: &[i64]| {
        let attr = [of_type(F32), vec![int_list("ksize", ksize), int_list("strides", strides)]].concat();
        on(&[1, 4, 4, 1], "MaxPool", &[], [attr, vec![entry("padding", Value::S(b"VALID".to_vec()))]].concat())
    };
    assert!(pool(&[1, 2, 2, 1], &[1, 2, 2, 1]).is_ok());
    for (ksize, strides) in [([1, 2, 2, 1], [1, 0, 2, 1]), ([1, 0, 2, 1], [1, 1, 1, 1]), ([1, i64::MAX, 2, 1], [1; 4])]
    {
        assert!(pool(&ksize, &strides).unwrap_err().to_string().starts_with("y: "), "{ksize:?} {strides:?}");
    }
    assert!(pool(&[1, 2], &[1, 2]).is_err());
}

#[test]
fn c18_integers_that_are_divided_by_nothing_are_an_error_of_the_node() {
    let nodes = vec![
        constant("one", ints(&[], &[1])),
        constant("zero", ints(&[], &[0])),
        node("y", "FloorDiv", &["one", "zero"], of_type(I32)),
    ];
    let error = read_all(&GraphDef { node: nodes, ..Default::default() }, &[], &["y"]).unwrap_err().to_string();
    assert!(error.starts_with("y: ") && error.ends_with("[Op:FloorDiv]"), "{error}");
}

#[test]
fn c29_many_nodes_are_read_in_order_and_against_it() {
    let count = 100_000;
    let name = |i: usize| if i == 0 { "x".to_owned() } else { format!("n{i}") };
    let nodes: Vec<NodeDef> = (1..=count).map(|i| node(&name(i), "Identity", &[&name(i - 1)], of_type(F32))).collect();
    let mut file = GraphDef { node: nodes, ..Default::default() };
    file.node.reverse();
    file.node.push(placeholder("x", &[2]));
    let last = name(count);
    let graph = read_all(&file, &["x"], &[&last]).unwrap();
    assert_eq!(value(Ok(graph), &[1.0, 2.0]), [1.0, 2.0]);
    // Fan-in.
    let inputs = vec!["x"; 100_000];
    let attr = [of_type(F32), vec![entry("N", Value::I(100_000))]].concat();
    let graph = read(vec![placeholder("x", &[1]), node("y", "AddN", &inputs, attr)]).unwrap();
    assert_eq!(graph.nodes[1].inputs.len(), 100_000);
}

#[test]
fn c30_damaged_files_are_errors_or_graphs() {
    let x = Spec::new(DType::F32, [2, 3]);
    let w = Variable::new(2.0);
    let graph = trace(
        |x| {
            let y = x[0].matmul(&x[0].transpose()?)?.softmax(1)?;
            w.assign(&y.sum(..)?)?;
            Ok(vec![y.reshape([4])? * w.read()?, x[0].split(3, 1)?[1].gelu(true)?])
        },
        &[x],
    )
    .unwrap();
    damage(&graph.to_graph_def(&["x"], &["y", "z"]).unwrap(), &w);
}

/// Reads a file of `x`, `y` and `z` with all kinds of damage.
pub(super) fn damage(bytes: &[u8], w: &Variable) {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |end: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % end as u64) as usize
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut damaged = bytes.to_vec();
        for _ in 0..=below(3) {
            let at = below(damaged.len());
            match below(4) {
                0 => damaged[at] ^= 1 << below(8),
                1 => damaged[at] = [0, 1, 0x7F, 0x80, 0xFF][below(5)],
                2 => drop(damaged.remove(at)),
                _ => damaged.insert(at, below(256) as u8),
            }
        }
        match Graph::from_graph_def(&damaged, &["x"], &["y", "z"], |_, _| Some(w.clone())) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 10 && refused > 1000, "{read} read, {refused} refused");
}

#[test]
fn names_that_cannot_be_written_are_refused() {
    let graph = trace(|x| Ok(vec![x[0].relu()?]), &[Spec::new(DType::F32, [1])]).unwrap();
    let error = |inputs: &[&str], outputs: &[&str]| graph.to_graph_def(inputs, outputs).unwrap_err();
    assert_eq!(error(&[], &["y"]).message(), "the graph has 1 inputs, and 0 names were given");
    assert_eq!(error(&["x"], &["y", "z"]).message(), "the graph has 1 outputs, and 2 names were given");
    assert_eq!(error(&["x"], &["x"]).message(), "two inputs or outputs are called `x`");
    assert!(error(&["x:0"], &["y"]).message().starts_with("`x:0` is no name of a node"));
}

#[test]
fn what_is_written_has_paths_attributes_and_order() {
    let v = Variable::new(1.0);
    v.stamp("net/v");
    let graph = trace(
        |x| {
            let before = scope::within("net", || v.read())?;
            v.assign_add(&x[0])?;
            Ok(vec![scope::within("net", || before.add(&v.read()?))?.gelu(false)?])
        },
        &[Spec::new(DType::F32, [] as [usize; 0])],
    )
    .unwrap();
    let file: GraphDef = decode(&graph.to_graph_def(&["x"], &["y"]).unwrap()).unwrap();
    let names: Vec<&str> = file.node.iter().map(|node| &*node.name).collect();
    assert_eq!(
        names[..6],
        ["x", "net/v", "net/ReadVariableOp", "AssignAddVariableOp", "net/ReadVariableOp_1", "net/AddV2"]
    );
    assert!(names.contains(&"gelu_0/Erfc"), "{names:?}");
    let by_name = |name: &str| file.node.iter().find(|node| node.name == name).unwrap();
    assert_eq!(by_name("net/ReadVariableOp_1").input, ["net/v", "^AssignAddVariableOp"]);
    assert_eq!(by_name("AssignAddVariableOp").input, ["net/v", "x", "^net/ReadVariableOp"]);
    assert_eq!(by_name("effects").input, ["^AssignAddVariableOp"]);
    let y = by_name("y");
    assert_eq!((&*y.op, y.input.len(), &*y.input[1]), ("Identity", 2, "^effects"));
    // A graph that only writes is run by the name of what waits for that.
    let writes = trace(|x| v.assign(&x[0]).map(|()| vec![]), &[Spec::new(DType::F32, [] as [usize; 0])]).unwrap();
    let bytes = writes.to_graph_def(&["x"], &[]).unwrap();
    let again = Graph::from_graph_def(&bytes, &["x"], &["^effects"], |_, _| Some(v.clone())).unwrap();
    again.run(&[&Tensor::scalar(5.0_f32)]).unwrap();
    assert_eq!(v.value().unwrap().item::<f32>().unwrap(), 5.0);
}

#[test]
fn two_variables_of_one_name_stay_two() {
    let (a, b) = (Variable::new(1.0), Variable::new(2.0));
    a.stamp("w");
    b.stamp("w");
    let graph = trace(|_| Ok(vec![a.read()? - b.read()?]), &[]).unwrap();
    let bytes = graph.to_graph_def(&[], &["y"]).unwrap();
    let mut seen = Vec::new();
    let again = Graph::from_graph_def(&bytes, &[], &["y"], |name, spec| {
        seen.push(format!("{name}: {spec}"));
        Some(if name == "w" { a.clone() } else { b.clone() })
    });
    assert_eq!(again.unwrap().run(&[]).unwrap()[0].item::<f32>().unwrap(), -1.0);
    assert_eq!(seen, ["w: float32()", "w_1: float32()"]);
}

#[test]
fn constants_of_one_element_repeated_are_written_as_one() {
    let ones = Tensor::scalar(3.0_f32).broadcast_to([1000, 1000]).unwrap();
    let graph = trace(|_| Ok(vec![ones.clone(), Tensor::from([1_i64, 2])]), &[]).unwrap();
    let bytes = graph.to_graph_def(&[], &["y", "z"]).unwrap();
    assert!(bytes.len() < 300, "{} bytes", bytes.len());
    let again = Graph::from_graph_def(&bytes, &[], &["y", "z"], |_, _| None).unwrap().run(&[]).unwrap();
    assert_eq!(again[0].to_vec::<f32>().unwrap(), vec![3.0; 1_000_000]);
    assert_eq!(again[1].to_vec::<i64>().unwrap(), [1, 2]);
}

#[test]
fn an_op_that_tensorflow_does_not_have_is_not_written() {
    use crate::op::{Input, Op, apply};
    #[derive(Debug)]
    struct Own;
    impl Op for Own {
        fn name(&self) -> &'static str {
            "Own"
        }
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>, Error> {
            Ok(vec![inputs[0].spec.clone()])
        }
    }
    let graph = trace(|x| scope::within("net", || apply(Own, &[&x[0]])), &[Spec::new(DType::F32, [1])]).unwrap();
    let error = graph.to_graph_def(&["x"], &["y"]).unwrap_err();
    assert_eq!(error.to_string(), "net/Own: `Own` is none of the ops of TensorFlow that graphs here have");
}
