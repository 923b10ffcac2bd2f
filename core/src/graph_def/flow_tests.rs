//! Branches and loops in files made by hand: what is read of them, and what is refused.

use super::attrs::entry;
use super::tests::{
    F32, I32, constant, damage, function, handle, ints, node, of_type, placeholder, read_all, unary, value,
    with_functions,
};
use crate::graph::{Graph, trace};
use crate::{DType, ErrorKind, Result, Spec, Tensor, Variable, cond, recompute, scan, switch_case, while_loop};
use modulor_wire::graph::{ArgDef, AttrEntry, FunctionDef, GraphDef, ListValue, NameAttrList, NodeDef, Value};
use modulor_wire::message::{DataType, decode, encode};

const BOOL: i32 = DataType::Bool as i32;

fn types(name: &str, types: &[i32]) -> AttrEntry {
    entry(name, Value::List(Box::new(ListValue { r#type: types.to_vec(), ..Default::default() })))
}

fn named(attribute: &str, function: &str) -> AttrEntry {
    let f = NameAttrList { name: function.to_owned(), attr: vec![] };
    entry(attribute, Value::Func(Box::new(f)))
}

/// A loop over a float.
fn looped(name: &str, input: &str, cond: &str, body: &str) -> NodeDef {
    node(name, "While", &[input], vec![types("T", &[F32]), named("cond", cond), named("body", body)])
}

/// Whether a float is below 100, and twice that.
fn below_and_twice() -> Vec<FunctionDef> {
    let mut below = function("below", vec![], "less:z:0");
    let hundred = modulor_wire::tensor::TensorProto {
        dtype: F32,
        tensor_shape: Some(Default::default()),
        float_val: vec![100.0],
        ..Default::default()
    };
    let sum =
        node("sum", "Sum", &["a", "axis:output:0"], [of_type(F32), vec![entry("Tidx", Value::Type(I32))]].concat());
    let less = node("less", "Less", &["sum:output:0", "hundred:output:0"], of_type(F32));
    below.node_def = vec![less, sum, constant("axis", ints(&[1], &[0])), constant("hundred", hundred)];
    result(&mut below).r#type = BOOL;
    vec![below, function("twice", vec![node("two", "AddV2", &["a", "a"], of_type(F32))], "two:z:0")]
}

fn result(function: &mut FunctionDef) -> &mut ArgDef {
    &mut function.signature.as_mut().unwrap().output_arg[0]
}

fn file(nodes: Vec<NodeDef>, functions: Vec<FunctionDef>) -> GraphDef {
    with_functions([vec![placeholder("x", &[1])], nodes].concat(), functions)
}

#[track_caller]
fn refused(nodes: Vec<NodeDef>, functions: Vec<FunctionDef>) -> String {
    read_all(&file(nodes, functions), &["x"], &["y"]).unwrap_err().to_string()
}

#[test]
fn a_loop_is_read_with_its_functions() {
    let graph = read_all(&file(vec![looped("y", "x", "below", "twice")], below_and_twice()), &["x"], &["y"]);
    assert_eq!(graph.as_ref().unwrap().outputs().next().unwrap(), &Spec::new(DType::F32, [1]));
    assert_eq!(value(graph, &[3.0]), [192.0]);
    // A condition that is not of the variables alone, and functions that nobody calls.
    let mut functions = below_and_twice();
    functions.push(function("dead", vec![unary("n", "Foreign", "a")], "n:y:0"));
    assert!(read_all(&file(vec![looped("y", "x", "below", "twice")], functions), &["x"], &["y"]).is_ok());
}

#[test]
fn c5_c6_circles_of_functions_are_named() {
    let mut functions = below_and_twice();
    functions.push(function("f", vec![looped("in", "a", "below", "g")], "in:output:0"));
    functions.push(function("g", vec![looped("again", "a", "below", "f")], "again:output:0"));
    let error = refused(vec![looped("y", "x", "below", "f")], functions);
    assert!(error.contains("a function calls itself: f → g → f"), "{error}");
    assert!(error.starts_with("y/body/in/body/again: ") && error.ends_with("in function `g`"), "{error}");
    // Bodies in bodies, each of which is read twice over: it ends.
    let deep =
        |i: usize| function(&format!("f{i}"), vec![looped("p", "a", "below", &format!("f{}", i + 1))], "p:output:0");
    let functions: Vec<FunctionDef> = (0..100).map(deep).chain(below_and_twice()).collect();
    let error = refused(vec![looped("y", "x", "below", "f0")], functions);
    assert!(error.contains("there is no function `f100`") || error.contains("more than 64 deep"), "{error}");
    let ring = |at: &str, input: &str| unary(at, "Relu", input);
    let mut functions = below_and_twice();
    functions.push(function("f", vec![ring("n", "m:activations:0"), ring("m", "n:activations:0")], "n:activations:0"));
    let error = refused(vec![looped("y", "x", "below", "f")], functions);
    assert!(error.contains("nodes wait for each other") && error.contains("function `f`"), "{error}");
}

#[test]
fn c7_what_is_not_there_is_named() {
    let error = refused(vec![looped("y", "x", "beloww", "twice")], below_and_twice());
    assert_eq!(error, "y: there is no function `beloww`; did you mean `below`? [Op:While]");
    let mut functions = below_and_twice();
    functions.push(function("f", vec![unary("w", "WriteFile", "a")], "w:y:0"));
    let error = refused(vec![looped("y", "x", "below", "f")], functions);
    assert!(error.contains("these ops are not there: `WriteFile` of node `w`"), "{error}");
    // Without functions, or with something else.
    let attr = |attr: Vec<AttrEntry>| refused(vec![node("y", "While", &["x"], attr)], below_and_twice());
    let error = attr(vec![types("T", &[F32]), named("cond", "below")]);
    assert_eq!(error, "y: attribute `body` is missing [Op:While]");
    let error = attr(vec![types("T", &[F32]), named("cond", "below"), entry("body", Value::I(3))]);
    assert_eq!(error, "y: attribute `body` takes a function, found the integer 3 [Op:While]");
    let attr = vec![types("Tin", &[F32]), types("Tout", &[F32]), entry("branches", Value::List(Box::default()))];
    let case = vec![constant("i", ints(&[], &[0])), node("y", "Case", &["i", "x"], attr)];
    assert!(refused(case, vec![]).contains("attribute `branches` takes functions, found a list of 0 items"));
}

#[test]
fn c20_arguments_and_results_are_checked() {
    let with = |change: &dyn Fn(&mut FunctionDef)| {
        let mut functions = below_and_twice();
        change(&mut functions[1]);
        refused(vec![looped("y", "x", "below", "twice")], functions)
    };
    let error = with(&|f| {
        let again = f.signature.as_ref().unwrap().input_arg[0].clone();
        f.signature.as_mut().unwrap().input_arg.push(ArgDef { name: "b".to_owned(), ..again });
    });
    assert_eq!(error, "y: function `twice` takes 2 arguments, and 1 were given [Op:While]");
    let error = with(&|f| f.signature.as_mut().unwrap().input_arg[0].r#type = I32);
    assert_eq!(error, "y: `a`, an argument of `twice`, is int32, found float32 [Op:While]");
    let error = with(&|f| result(f).r#type = I32);
    assert_eq!(error, "y: `r`, a result of `twice`, is int32, found float32 [Op:While]");
    let error = with(&|f| {
        f.node_def.push(node(
            "cut",
            "Cast",
            &["two:z:0"],
            vec![entry("SrcT", Value::Type(F32)), entry("DstT", Value::Type(I32))],
        ));
        f.ret[0].value = "cut:y:0".to_owned();
        result(f).r#type = I32;
    });
    assert!(error.starts_with("y: loop variable 0 is float32(1,), and the body makes it int32(1,)"), "{error}");
    let error = with(&|f| f.node_def[0].input[1] = "b".to_owned());
    assert!(error.contains("there is no node `b`") && error.contains("function `twice`"), "{error}");
    let error = with(&|f| f.node_def[0].attr = of_type(I32));
    assert_eq!(
        error,
        "y/body/two: attribute `T` is int32, and the inputs have float32 [Op:AddV2]\n    in function `twice`"
    );
    // Branches that do not agree.
    let mut rows = function("rows", vec![], "s:output:0");
    rows.node_def = vec![
        node(
            "s",
            "Reshape",
            &["a", "d:output:0"],
            vec![entry("T", Value::Type(F32)), entry("Tshape", Value::Type(I32))],
        ),
        constant("d", ints(&[2], &[1, 1])),
    ];
    let attr = vec![
        entry("Tcond", Value::Type(F32)),
        types("Tin", &[F32]),
        types("Tout", &[F32]),
        named("then_branch", "twice"),
        named("else_branch", "rows"),
    ];
    let error = refused(vec![node("y", "If", &["x", "x"], attr)], [below_and_twice(), vec![rows]].concat());
    assert!(
        error.contains("output 0 of `then_branch` is float32(1,), and that of `else_branch` is float32(1, 1)"),
        "{error}"
    );
}

#[test]
fn loops_of_tensorflow_1_are_refused_by_what_they_are() {
    let nodes = vec![
        node("enter", "Enter", &["x"], of_type(F32)),
        node("merge", "Merge", &["enter", "next"], of_type(F32)),
        node("switch", "Switch", &["merge", "merge"], of_type(F32)),
        node("next", "NextIteration", &["switch:1"], of_type(F32)),
        node("y", "Exit", &["switch"], of_type(F32)),
    ];
    let error = read_all(&file(nodes, vec![]), &["x"], &["y"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    for wanted in ["`Merge` of node `merge`", "`Exit` of node `y`", "branches and loops of TensorFlow 1 are not read"] {
        assert!(error.message().contains(wanted), "{error}");
    }
}

#[test]
fn a_handle_goes_into_a_loop_by_an_argument_or_by_its_name() {
    let v = Variable::new(Tensor::from([2.0_f32]));
    let read = |inputs: &str| node("read", "ReadVariableOp", &[inputs], vec![entry("dtype", Value::Type(F32))]);
    let product = node("p", "Mul", &["a", "read:value:0"], of_type(F32));
    // By its name, in the body.
    let own = function("own", vec![handle("v", &[1]), read("v:resource:0"), product.clone()], "p:z:0");
    let by_name = file(vec![looped("y", "x", "below", "own")], [below_and_twice(), vec![own]].concat());
    // As an argument that the body hands on.
    let resource = DataType::Resource as i32;
    let two = |mut f: FunctionDef| {
        let signature = f.signature.as_mut().unwrap();
        signature.input_arg.push(ArgDef { name: "h".to_owned(), r#type: resource, ..Default::default() });
        f
    };
    let mut body = two(function("body", vec![read("h"), product], "p:z:0"));
    body.signature.as_mut().unwrap().output_arg.push(ArgDef {
        name: "s".to_owned(),
        r#type: resource,
        ..Default::default()
    });
    body.ret.push(modulor_wire::graph::TextEntry { key: "s".to_owned(), value: "h".to_owned() });
    let below = two(below_and_twice().remove(0));
    let attr = vec![types("T", &[F32, resource]), named("cond", "below"), named("body", "body")];
    let by_argument = file(vec![handle("v", &[1]), node("y", "While", &["x", "v"], attr)], vec![below, body]);
    for file in [by_name, by_argument] {
        let graph = Graph::from_graph_def(&encode(&file), &["x"], &["y"], |_, _| Some(v.clone())).unwrap();
        assert_eq!(value(Ok(graph.clone()), &[3.0]), [192.0]);
        v.stamp("v");
        let again = graph.to_graph_def(&["x"], &["y"]).unwrap();
        let graph = Graph::from_graph_def(&again, &["x"], &["y"], |_, _| Some(v.clone()));
        assert_eq!(value(graph, &[3.0]), [192.0]);
    }
}

/// All kinds of bodies in one graph.
fn all_kinds(w: &Variable) -> Graph {
    let body = |x: &[Tensor]| {
        let step = |(i, y): &(Tensor, Tensor)| {
            w.assign_add(&y.sum(..)?)?;
            let y = cond(&y.sum(..)?.greater(1.0)?, || y.gelu(true), || Ok(y + w.read()?))?;
            Ok((i + 1.0, y))
        };
        let (i, y) = while_loop(|(i, _)| i.less(3.0), step, (Tensor::scalar(0), x[0].clone()))?;
        let z = switch_case(&i, &[&|| y.square(), &|| recompute(|y: &Tensor| y.neg(), &y)])?;
        let (_, all) = scan(|c: &Tensor, x: &Tensor| Ok((c + x, c * 2.0)), y.slice(0)?, &z)?;
        Ok(vec![y, all])
    };
    trace(body, &[Spec::new(DType::F32, [2, 3])]).unwrap()
}

#[test]
fn what_is_written_has_functions_by_unique_names() -> Result<()> {
    let w = Variable::new(2.0);
    let graph = all_kinds(&w);
    let bytes = graph.to_graph_def(&["x"], &["y", "z"])?;
    let file: GraphDef = decode(&bytes).unwrap();
    let functions = &file.library.as_ref().unwrap().function;
    let mut names: Vec<&str> = functions.iter().map(|f| &*f.signature.as_ref().unwrap().name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count), (count, 9), "{names:?}");
    let body = functions.iter().find(|f| f.signature.as_ref().unwrap().name == "While_body").unwrap();
    let signature = body.signature.as_ref().unwrap();
    assert!(signature.is_stateful && signature.control_output.len() == 1 && body.control_ret.len() == 1, "{body:?}");
    assert_eq!((signature.input_arg.len(), body.arg_attr.len(), body.ret.len()), (3, 3, 3));
    let x = Tensor::from([[0.5_f32, -1.0, 2.0], [1.0, 0.25, -0.5]]);
    let expected = (graph.run(&[&x])?, w.value()?.item::<f32>()?);
    w.assign(&Tensor::scalar(2.0_f32))?;
    let again = Graph::from_graph_def(&bytes, &["x"], &["y", "z"], |_, _| Some(w.clone()))?;
    for (found, expected) in again.run(&[&x])?.iter().zip(&expected.0) {
        let off = (found - expected).abs()?.max(..)?.item::<f32>()?;
        assert!(off < 1e-5, "{found} vs. {expected}");
    }
    assert!((w.value()?.item::<f32>()? - expected.1).abs() < 1e-5);
    Ok(())
}

#[test]
fn a_list_that_is_known_is_written_as_what_makes_it() -> Result<()> {
    use crate::ops::list;
    let element = Spec::new(DType::F32, [2]);
    let full = list::push(&list::empty(&element)?, &Tensor::from([1.0_f32, 2.0]))?;
    let popped = |x: &[Tensor]| {
        let (_, last) = list::pop(&full, &element, None)?;
        let (_, other) = list::pop(&list::push(&full, &x[0])?, &element, None)?;
        let stacked = list::stack(&list::push(&full, &x[0])?, &element, None)?;
        Ok(vec![last + other, stacked])
    };
    let graph = trace(popped, std::slice::from_ref(&element))?;
    let again = Graph::from_graph_def(&graph.to_graph_def(&["x"], &["y", "z"])?, &["x"], &["y", "z"], |_, _| None)?;
    let found = again.run(&[&Tensor::from([5.0_f32, 7.0])])?;
    assert_eq!(found[0].to_vec::<f32>()?, [6.0, 9.0]);
    assert_eq!(found[1].to_vec::<f32>()?, [1.0, 2.0, 5.0, 7.0]);
    Ok(())
}

#[test]
fn c30_damaged_bodies_are_errors_or_graphs() {
    let w = Variable::new(2.0);
    damage(&all_kinds(&w).to_graph_def(&["x"], &["y", "z"]).unwrap(), &w);
}
