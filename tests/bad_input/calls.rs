//! Calls of the public API that cannot be right, and what their errors say.

use crate::ops::caught;
use modulor::graph::trace;
use modulor::op::{Attr, Attrs};
use modulor::tensor::set_memory_limit;
use modulor::variable::commit;
use modulor::{
    DType, Ellipsis, Error, ErrorKind, GradientTape, NewAxis, Result, Shape, Spec, Tensor, Variable, registry, step,
};

use ErrorKind::{FailedPrecondition, InvalidArgument, ResourceExhausted, Unimplemented};

/// A tensor of float32 zeros.
fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32).expect("small")
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::from(values.to_vec())
}

/// The error of a call that has one.
fn error<T>(what: &str, call: impl FnOnce() -> Result<T>) -> Error {
    match caught(|| call().map(|_| ())) {
        Ok(()) => panic!("{what} is accepted"),
        Err(error) => error,
    }
}

/// Checks the kind of an error, the op it names, and that its text has all of these words.
fn check<T>(what: &str, call: impl FnOnce() -> Result<T>, kind: ErrorKind, op: &str, says: &[&str]) {
    let error = error(what, call);
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{what}: {text}");
    assert_eq!(error.op().unwrap_or_default(), op, "{what}: {text}");
    for words in says {
        assert!(text.contains(words), "{what}: {text:?} does not say {words:?}");
    }
}

fn invalid<T>(what: &str, call: impl FnOnce() -> Result<T>, op: &str, says: &[&str]) {
    check(what, call, InvalidArgument, op, says);
}

#[test]
fn shapes_that_do_not_fit() {
    let (a, b) = (zeros(&[2, 3]), zeros(&[4]));
    invalid("add", || (&a + &b).check(), "AddV2", &["[2,3] vs. [4]", "calls.rs"]);
    invalid("add, found later", || (&a + &b).relu(), "AddV2", &["[2,3] vs. [4]"]);
    invalid("matmul", || zeros(&[1, 4]).matmul(zeros(&[3, 3])), "MatMul", &["[1,4]", "[3,3]", "4 vs. 3"]);
    invalid("matmul of a scalar", || zeros(&[]).matmul(&a), "MatMul", &["rank", "()"]);
    invalid("matmul of a vector", || zeros(&[3]).matmul(zeros(&[3, 3])), "MatMul", &["rank", "(3,)"]);
    invalid("bias", || a.bias_add(&b), "BiasAdd", &["3", "4"]);
    invalid("reshape", || a.reshape([4, 2]), "Reshape", &["(2, 3)", "[4, 2]", "6"]);
    invalid("reshape with two -1", || a.reshape([-1, -1]), "Reshape", &["-1"]);
    invalid("reshape to -2", || a.reshape([-2, 3]), "Reshape", &["-2"]);
    invalid("reshape that overflows", || a.reshape([i64::MAX, i64::MAX]), "Reshape", &[]);
    invalid("broadcast", || a.broadcast_to([3, 2]), "BroadcastTo", &["[2,3]", "[3,2]"]);
    invalid("concat", || Tensor::concat(&[a.clone(), b.clone()], 0), "ConcatV2", &["(2, 3)", "(4,)"]);
    invalid("concat of nothing", || Tensor::concat(&[], 0), "ConcatV2", &[]);
    invalid("stack", || Tensor::stack(&[a.clone(), b.clone()], 0), "Pack", &["(2, 3)", "(4,)"]);
    invalid("split", || a.split(2, 1), "Split", &["3", "2"]);
    invalid("split in none", || a.split(0, 1), "Split", &["0"]);
    invalid("split by lengths", || a.split_lengths([1, 1], 1), "SplitV", &["3", "2"]);
    invalid("squeeze", || a.squeeze([0]), "Squeeze", &["2"]);
    invalid("select", || zeros(&[2]).greater(0.0)?.select(&a, &a), "SelectV2", &["[2]", "[2,3]"]);
    invalid("add_n", || Tensor::add_n(&[a.clone(), b.clone()]), "AddN", &["(2, 3)", "(4,)"]);
    invalid("one dim more than there may be", || Tensor::zeros(vec![1; 255], DType::F32), "", &["254", "255"]);
    invalid("expand beyond the highest rank", || zeros(&[1; 254]).expand_dims(0), "ExpandDims", &["254", "255"]);
    invalid("elements that are not there", || Tensor::new([2, 2], vec![1.0_f32; 3]), "", &["(2, 2)", "4", "3"]);
    invalid("item of several", || a.item::<f32>(), "", &["(2, 3)"]);
}

#[test]
fn dtypes_that_do_not_fit() {
    let (x, n) = (zeros(&[2]), Tensor::from([1_i32, 2]));
    let b = Tensor::from([true, false]);
    let text = Tensor::strings([2], ["a", "b"]).unwrap();
    invalid("add", || (&x + &n).check(), "AddV2", &["float32", "int32", "cast"]);
    invalid("add of bools", || (&b + &b).check(), "AddV2", &["bool"]);
    invalid("a number that an integer cannot be", || (&n + 0.5).check(), "", &["0.5", "int32"]);
    invalid("a number beyond the dtype", || Tensor::number(300.0, DType::U8), "", &["300", "uint8"]);
    invalid("exp of integers", || n.exp(), "Exp", &["int32"]);
    invalid("not of numbers", || x.logical_not(), "LogicalNot", &["float32"]);
    invalid("a condition of numbers", || x.select(&x, &x), "SelectV2", &["float32"]);
    invalid("sum of strings", || text.sum(..), "Sum", &["string"]);
    invalid("indices that are floats", || x.gather(&x, 0), "GatherV2", &["float32"]);
    invalid("reading as another type", || x.to_vec::<f64>(), "", &["float32", "float64"]);
    invalid("strings as bytes", || text.to_bytes(), "", &["string"]);
    invalid("numbers as strings", || x.to_strings(), "", &["float32"]);
    invalid("bytes of another length", || Tensor::from_bytes(DType::F32, [2], &[0; 7]), "", &["7", "float32"]);
    invalid("a bool that is neither", || Tensor::from_bytes(DType::Bool, [1], &[2]), "", &["0 or 1"]);
    invalid("zeros of no kind", || Tensor::zeros([1], DType::Resource), "", &["resource"]);
    invalid("a dtype nobody has", || DType::from_name("float31"), "", &["float31", "float32"]);
    check("casting strings", || text.cast(DType::F32), Unimplemented, "Cast", &["string", "float32"]);
}

#[test]
fn axes_and_indices_that_are_not_there() {
    let x = zeros(&[2, 3]);
    for axis in [2, -3, i64::MAX, i64::MIN] {
        let found = axis.to_string();
        let range = [&*found, "[-2, 2)"];
        invalid("sum", || x.sum(axis), "Sum", &range);
        invalid("max", || x.max(axis), "Max", &range);
        invalid("argmax", || x.argmax(axis), "ArgMax", &[]);
        invalid("cumsum", || x.cumsum(axis), "Cumsum", &[&found]);
        invalid("concat", || Tensor::concat(&[x.clone(), x.clone()], axis), "ConcatV2", &[]);
        invalid("gather", || x.gather(&ints(&[0]), axis), "GatherV2", &[]);
        invalid("reverse", || x.reverse([axis]), "ReverseV2", &[]);
        invalid("permute", || x.permute([0, axis]), "Transpose", &[]);
        invalid("unstack", || x.unstack(axis), "Unpack", &[]);
        invalid("squeeze", || x.squeeze([axis]), "Squeeze", &[]);
        if axis != 2 && axis != -3 {
            invalid("expand", || x.expand_dims(axis), "ExpandDims", &[]);
            invalid("stack", || Tensor::stack(std::slice::from_ref(&x), axis), "Pack", &[]);
        }
    }
    invalid("an axis twice", || x.sum([0, -2]), "Sum", &["twice"]);
    invalid("a permutation with an axis twice", || x.permute([1, 1]), "Transpose", &["1"]);
    invalid("a permutation that is too short", || x.permute([0]), "Transpose", &["2"]);
    invalid("an axis of a scalar", || zeros(&[]).sum(0), "Sum", &["0"]);
    for index in [2, -1, i64::MAX, i64::MIN] {
        invalid("gather", || x.gather(&ints(&[0, index]), 0), "GatherV2", &[&index.to_string(), "2"]);
        invalid("gather_nd", || x.gather_nd(&ints(&[index])), "GatherNd", &[&index.to_string()]);
        let row = zeros(&[1, 3]);
        let at = ints(&[index]).reshape([1, 1]).unwrap();
        invalid("scatter_update", || x.scatter_update(&at, &row), "TensorScatterUpdate", &[&index.to_string()]);
        invalid("scatter_nd", || Tensor::scatter_nd(&at, &row, [2, 3]), "ScatterNd", &[&index.to_string()]);
    }
    invalid("the largest of nothing", || zeros(&[0]).argmax(0), "ArgMax", &[]);
    invalid("more of the largest than there are", || x.top_k(4), "TopKV2", &["4", "3"]);
}

#[test]
fn slices_that_are_not_there() {
    let x = zeros(&[2, 3]);
    let names_slice = |what: &str, call: &dyn Fn() -> Result<Tensor>| {
        let error = error(what, call);
        assert!(matches!(error.kind(), InvalidArgument | ErrorKind::OutOfRange), "{what}: {error}");
        assert_eq!(error.op(), Some("StridedSlice"), "{what}: {error}");
    };
    names_slice("an index", &|| x.slice(2));
    names_slice("an index from the end", &|| x.slice((0, -4)));
    names_slice("the last index of all", &|| x.slice(i64::MAX));
    names_slice("the first index of all", &|| x.slice(i64::MIN));
    names_slice("too many", &|| x.slice((0, 0, 0)));
    names_slice("a step of 0", &|| x.slice(step(.., 0)));
    names_slice("two ellipses", &|| x.slice((Ellipsis, 0, Ellipsis)));
    invalid("a block", || x.block([0, 2], [2, 2]), "Slice", &["2"]);
    invalid("a block of other rank", || x.block([0], [1]), "Slice", &[]);
    // Ranges are cut to what there is, as in Python.
    let dims = |tensor: Result<Tensor>| tensor.unwrap().dims().unwrap().to_vec();
    assert_eq!(dims(x.slice(5..9)), [0, 3]);
    assert_eq!(dims(x.slice((.., i64::MIN..i64::MAX))), [2, 3]);
    assert_eq!(dims(x.slice(step(.., i64::MIN))), [1, 3]);
    assert_eq!(dims(x.slice((Ellipsis, NewAxis, 1..1))), [2, 1, 0]);
}

#[test]
fn more_memory_than_there_is() {
    set_memory_limit(512 << 20);
    let exhausted = |what: &str, call: &dyn Fn() -> Result<Tensor>, op: &str| {
        check(what, call, ResourceExhausted, op, &["bytes"]);
    };
    exhausted("zeros", &|| Tensor::zeros([1 << 40], DType::F32), "");
    exhausted("fill", &|| Tensor::fill([1 << 30], &Tensor::scalar(1.0_f64)), "Fill");
    exhausted("tile", &|| zeros(&[1]).tile([1 << 40]), "Tile");
    exhausted(
        "an outer product",
        &|| Ok(&zeros(&[1 << 16, 1]) + &zeros(&[1, 1 << 16])).and_then(|y| y.relu()),
        "AddV2",
    );
    exhausted("a range", &|| Tensor::range(0_i64, i64::MAX, 1), "Range");
    exhausted("one-hot", &|| ints(&[0]).one_hot(1 << 40, DType::F32), "OneHot");
    exhausted("padding", &|| zeros(&[1]).pad([[0, 1 << 40]]), "Pad");
    let huge = zeros(&[1]).broadcast_to([1 << 40]).unwrap();
    check("reading a view", || huge.to_vec::<f32>(), ResourceExhausted, "", &["memory"]);
    assert!(huge.to_string().starts_with("tf.Tensor([0. 0. 0. ... 0. 0. 0.]"));
    invalid("dims that overflow", || Tensor::zeros([1 << 40, 1 << 40], DType::F32), "", &["more elements"]);
    invalid("dims that overflow beside a 0", || zeros(&[1]).broadcast_to([0, 1 << 62, 1 << 62]), "BroadcastTo", &[]);
}

#[test]
fn variables_that_are_not_ready() {
    let unbuilt = Variable::default();
    check("reading", || unbuilt.read(), FailedPrecondition, "ReadVariableOp", &["no value yet", "`call`"]);
    check(
        "adding to it",
        || unbuilt.assign_add(&zeros(&[])),
        FailedPrecondition,
        "AssignAddVariableOp",
        &["no value yet"],
    );
    let v = Variable::new(Tensor::from([1.0_f32, 2.0]));
    for (what, value, says) in [
        ("another shape", zeros(&[3]), ["(2,)", "(3,)"]),
        ("another dtype", Tensor::from([1_i32, 2]), ["float32", "int32"]),
    ] {
        invalid(what, || v.assign(&value), "AssignVariableOp", &says);
        invalid(what, || v.assign_add(&value), "AssignAddVariableOp", &says);
        let w = Variable::new(Tensor::from([5.0_f32]));
        let writes = [(w.clone(), Tensor::from([6.0_f32])), (v.clone(), value)];
        invalid(what, || commit(writes), "", &says);
        assert_eq!(w.value().unwrap().to_vec::<f32>().unwrap(), [5.0], "a commit is whole or not at all");
    }
    assert_eq!(v.value().unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn gradients_that_are_not_there() {
    let (x, y) = (Tensor::scalar(2.0_f32), Tensor::scalar(3.0_f32));
    let tape = GradientTape::new();
    tape.watch(&x);
    let z = tape.record(|| &x * &x);
    check(
        "of what was not watched",
        || tape.gradient(&z, &y),
        FailedPrecondition,
        "",
        &["not watched", "neither"][1..],
    );
    check("a second time", || tape.gradient(&z, &x), FailedPrecondition, "", &["persistent"]);
    let tape = GradientTape::persistent();
    tape.watch(&x);
    let cut = tape.record(|| x.cast(DType::I32)?.cast(DType::F32)).unwrap();
    check("through integers", || tape.gradient(&cut, &x), FailedPrecondition, "", &["Cast"]);
    invalid("of integers", || tape.gradient(&ints(&[1]), &x), "", &["int64"]);
    let once = GradientTape::new();
    check("a Jacobian", || once.jacobian(&z, &x), FailedPrecondition, "", &["persistent"]);
}

#[test]
fn graphs_that_cannot_be() {
    let spec = Spec::new(DType::F32, [None, Some(2)]);
    let graph = trace(|x| Ok(vec![x[0].relu()?]), std::slice::from_ref(&spec)).unwrap();
    invalid("another number of inputs", || graph.run(&[]), "", &["1", "0"]);
    invalid("another shape", || graph.run(&[&zeros(&[3])]), "", &["(None, 2)", "(3,)"]);
    invalid("another dtype", || graph.run(&[&Tensor::from([[1.0_f64, 2.0]])]), "", &["float32", "float64"]);
    let traced = |f: fn(&Tensor) -> Result<Tensor>| trace(|x| Ok(vec![f(&x[0])?]), std::slice::from_ref(&spec));
    check(
        "a value",
        || traced(|x| x.relu()?.to_vec::<f32>().map(|_| x.clone())),
        FailedPrecondition,
        "Relu",
        &["symbol"],
    );
    check("dims", || traced(|x| x.dims().map(|_| x.clone())), FailedPrecondition, "", &["(None, 2)"]);
    invalid("shapes", || traced(|x| x.matmul(zeros(&[3, 1]))), "MatMul", &["[?,2]", "[3,1]"]);
    let open = Spec::new(DType::F32, Shape::unknown());
    check(
        "all axes of an unknown rank",
        || trace(|x| Ok(vec![x[0].sum(..)?]), &[open]),
        FailedPrecondition,
        "",
        &["rank"],
    );
}

#[test]
fn ops_and_attributes_that_are_not_there() {
    check("an op", || registry::op("MatMull", &Attrs::new()), Unimplemented, "", &["MatMull"]);
    let wrong = Attrs::new().with("transpose_a", Attr::Int(1));
    invalid("a kind", || registry::op("MatMul", &wrong), "MatMul", &["transpose_a", "a bool", "1"]);
    invalid("a dtype missing", || registry::op("Cast", &Attrs::new()), "Cast", &["DstT", "missing"]);
    let wrong = Attrs::new().with("data_format", "HWNC");
    invalid("a layout", || registry::op("BiasAdd", &wrong), "BiasAdd", &["HWNC", "NHWC"]);
}

/// Any bytes are a string: they travel as they are, and print as Python prints them.
#[test]
fn strings_need_not_be_text() {
    let bytes: [&[u8]; 3] = [b"a\0b", b"\xff\xfe", b""];
    let text = Tensor::strings([3], bytes).unwrap();
    let round = Tensor::stack(&text.unstack(0).unwrap(), 0).unwrap();
    assert_eq!(round.to_strings().unwrap().iter().map(|s| &**s).collect::<Vec<_>>(), bytes);
    assert_eq!(round.to_string(), r"tf.Tensor([b'a\x00b' b'\xff\xfe' b''], shape=(3,), dtype=string)");
}

#[test]
fn integers_wrap_and_refuse_to_divide_by_zero() {
    let least = Tensor::from([i32::MIN]);
    assert_eq!((&least + -1.0).to_vec::<i32>().unwrap(), [i32::MAX]);
    assert_eq!((&least * -1.0).to_vec::<i32>().unwrap(), [i32::MIN]);
    assert_eq!((-&least).to_vec::<i32>().unwrap(), [i32::MIN]);
    assert_eq!(least.floor_div(-1.0).unwrap().to_vec::<i32>().unwrap(), [i32::MIN]);
    for (op, call) in [("FloorDiv", least.floor_div(0.0)), ("FloorMod", least.floor_mod(0.0))] {
        invalid("by zero", || call, op, &["division by zero"]);
    }
}
