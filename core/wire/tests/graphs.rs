//! Graphs: what TensorFlow wrote comes back byte for byte, and a tensor's elements out of either form.

use crate::corpus;
use modulor_wire::graph::{AttrEntry, AttrValue, FunctionDef, GraphDef, ListValue, NameAttrList, NodeDef, Value};
use modulor_wire::message::{DataType, Dim, TensorShapeProto, decode, encode};
use modulor_wire::tensor::{Elements, TensorProto};

fn attr(key: &str, value: Value) -> AttrEntry {
    AttrEntry { key: key.to_owned(), value: Some(AttrValue { value: Some(value) }) }
}

#[test]
fn bytes_are_tensorflows() {
    let node = NodeDef {
        name: "y".to_owned(),
        op: "Op".to_owned(),
        input: vec!["x".to_owned(), "^z".to_owned()],
        attr: vec![
            attr("i", Value::I(-1)),
            attr("l", Value::List(Box::new(ListValue { i: vec![2, 3], ..Default::default() }))),
            attr("s", Value::Shape(TensorShapeProto::default())),
        ],
        ..Default::default()
    };
    let graph = GraphDef { node: vec![node], ..Default::default() };
    let bytes = b"\x0A\x36\x0A\x01y\x12\x02Op\x1A\x01x\x1A\x02^z\
        \x2A\x10\x0A\x01i\x12\x0B\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\
        \x2A\x0B\x0A\x01l\x12\x06\x0A\x04\x1A\x02\x02\x03\
        \x2A\x07\x0A\x01s\x12\x02\x3A\x00";
    assert_eq!(encode(&graph), bytes);
    assert_eq!(decode::<GraphDef>(bytes).as_ref(), Ok(&graph));
}

#[test]
fn graphs_of_saved_models_come_back_byte_for_byte() {
    let (mut nodes, mut functions) = (0, 0);
    for (path, bytes) in corpus::files("saved_model.pb") {
        for graph in corpus::graph_defs(&bytes) {
            let read: GraphDef = decode(graph).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(encode(&read) == graph, "{}: other bytes", path.display());
            nodes += read.node.len();
            for function in read.library.iter().flat_map(|library| &library.function) {
                functions += 1;
                nodes += function.node_def.len();
            }
        }
    }
    assert!(nodes > 1000 && functions > 50, "{nodes} nodes, {functions} functions");
}

#[test]
fn nesting_has_an_end() {
    let mut value = AttrValue { value: Some(Value::B(true)) };
    for _ in 0..200 {
        let attr = vec![AttrEntry { key: String::new(), value: Some(value) }];
        value = AttrValue { value: Some(Value::Func(Box::new(NameAttrList { name: String::new(), attr }))) };
    }
    let error = decode::<AttrValue>(&encode(&value)).unwrap_err();
    assert!(error.message().contains("recursion limit"), "{error}");
}

/// What `decode` promises of hostile bytes.
#[test]
fn messages_take_no_more_memory_than_is_said() {
    use modulor_wire::graph::{ArgDef, AttrDef, FullTypeDef, GradientDef, OpDef, TextEntry};
    let sizes = [
        size_of::<NodeDef>(),
        size_of::<AttrEntry>(),
        size_of::<FunctionDef>(),
        size_of::<ArgDef>(),
        size_of::<AttrDef>(),
        size_of::<FullTypeDef>(),
        size_of::<NameAttrList>(),
        size_of::<GradientDef>(),
        size_of::<TextEntry>(),
        size_of::<OpDef>(),
        size_of::<ListValue>(),
    ];
    assert!(sizes.iter().all(|&size| size <= 216), "{sizes:?}");
}

#[test]
fn an_error_names_the_field() {
    let error = decode::<GraphDef>(b"\x0A\x02\x0A\xFF").unwrap_err();
    assert!(error.message().starts_with("not a GraphDef: ") && error.message().contains("node"), "{error}");
    assert!(decode::<FunctionDef>(b"\x0B").is_err(), "a group");
    assert!(decode::<GraphDef>(&[&[0x0A], &corpus::varint(1 << 63)[..]].concat()).is_err(), "a length beyond the end");
    assert!(decode::<GraphDef>(&[0xFF; 11]).is_err(), "a varint of more than ten bytes");
}

/// Elements of 1 and 2 in the list of a dtype, and as bytes.
fn samples() -> Vec<(DataType, TensorProto, Vec<u8>)> {
    let t = TensorProto::default;
    let int = |dtype, bytes: &[u8]| (dtype, TensorProto { int_val: vec![1, 2], ..t() }, bytes.to_vec());
    let one_two = |bytes: [&[u8]; 2]| bytes.concat();
    let f32s = one_two([&1_f32.to_le_bytes(), &2_f32.to_le_bytes()]);
    let f64s = one_two([&1_f64.to_le_bytes(), &2_f64.to_le_bytes()]);
    let wide = one_two([&1_i64.to_le_bytes(), &2_i64.to_le_bytes()]);
    vec![
        (DataType::Float, TensorProto { float_val: vec![1.0, 2.0], ..t() }, f32s.clone()),
        (DataType::Double, TensorProto { double_val: vec![1.0, 2.0], ..t() }, f64s.clone()),
        int(DataType::Int32, b"\x01\0\0\0\x02\0\0\0"),
        int(DataType::Qint32, b"\x01\0\0\0\x02\0\0\0"),
        int(DataType::Int16, b"\x01\0\x02\0"),
        int(DataType::Uint16, b"\x01\0\x02\0"),
        int(DataType::Int8, b"\x01\x02"),
        int(DataType::Uint8, b"\x01\x02"),
        int(DataType::Quint8, b"\x01\x02"),
        (DataType::Int64, TensorProto { int64_val: vec![1, 2], ..t() }, wide.clone()),
        (DataType::Uint64, TensorProto { uint64_val: vec![1, 2], ..t() }, wide),
        (DataType::Uint32, TensorProto { uint32_val: vec![1, 2], ..t() }, b"\x01\0\0\0\x02\0\0\0".to_vec()),
        (DataType::Bool, TensorProto { bool_val: vec![true, false], ..t() }, b"\x01\0".to_vec()),
        (DataType::Half, TensorProto { half_val: vec![0x3C00, 0xC000], ..t() }, b"\0\x3C\0\xC0".to_vec()),
        (DataType::Bfloat16, TensorProto { half_val: vec![0x3F80, 0x4000], ..t() }, b"\x80\x3F\0\x40".to_vec()),
        (DataType::Float8E5m2, TensorProto { float8_val: vec![1, 2], ..t() }, b"\x01\x02".to_vec()),
        (DataType::Complex64, TensorProto { scomplex_val: vec![1.0, 2.0, 1.0, 2.0], ..t() }, f32s.repeat(2)),
        (DataType::Complex128, TensorProto { dcomplex_val: vec![1.0, 2.0, 1.0, 2.0], ..t() }, f64s.repeat(2)),
    ]
}

#[test]
fn elements_are_read_from_lists_and_from_bytes() {
    for (dtype, listed, bytes) in samples() {
        let listed = TensorProto { dtype: dtype.into(), ..listed };
        let all = Elements::Plain { bytes: bytes.clone(), given: 2 };
        assert_eq!(listed.clone().elements(2).as_ref(), Ok(&all), "{dtype:?}");
        assert_eq!(listed.clone().elements(5).as_ref(), Ok(&all), "{dtype:?}: the last one is repeated");
        assert!(listed.elements(1).is_err(), "{dtype:?}: more than there should be");
        let content = TensorProto { dtype: dtype.into(), tensor_content: bytes.clone(), ..Default::default() };
        assert_eq!(content.clone().elements(2), Ok(all), "{dtype:?}");
        assert!(content.elements(3).unwrap_err().message().contains("are not 3 elements"), "{dtype:?}");
        let none = TensorProto { dtype: dtype.into(), ..Default::default() };
        assert_eq!(none.elements(7), Ok(Elements::Plain { bytes: Vec::new(), given: 0 }), "{dtype:?}");
        let element = &bytes[..bytes.len() / 2];
        let shape = TensorShapeProto { dim: vec![Dim { size: 9, name: String::new() }], unknown_rank: false };
        let filled = TensorProto::filled(dtype, shape, element).unwrap();
        assert_eq!(filled.elements(9), Ok(Elements::Plain { bytes: element.to_vec(), given: 1 }), "{dtype:?}");
    }
}

#[test]
fn what_is_no_element_is_refused() {
    let of = |dtype: DataType, tensor: TensorProto| TensorProto { dtype: dtype.into(), ..tensor }.elements(3);
    let ints = |value| TensorProto { int_val: vec![0, value], ..Default::default() };
    assert!(of(DataType::Int8, ints(-128)).is_ok() && of(DataType::Uint8, ints(255)).is_ok());
    let error = of(DataType::Int8, ints(128)).unwrap_err();
    assert_eq!(error.message(), "element 1 is 128, which Int8 does not have");
    assert!(of(DataType::Uint16, ints(-1)).is_err() && of(DataType::Uint8, ints(256)).is_err());
    assert!(of(DataType::Half, TensorProto { half_val: vec![0x10000], ..Default::default() }).is_err());
    assert!(of(DataType::Complex64, TensorProto { scomplex_val: vec![1.0], ..Default::default() }).is_err());
    let strings = TensorProto { string_val: vec![b"a".to_vec(), vec![0xFF]], ..Default::default() };
    assert_eq!(of(DataType::String, strings.clone()), Ok(Elements::Strings(strings.string_val.clone())));
    let fewer = TensorProto { dtype: DataType::String.into(), ..strings }.elements(1);
    assert!(fewer.is_err());
    for dtype in [DataType::Resource, DataType::Variant, DataType::Invalid] {
        assert!(of(dtype, TensorProto::default()).unwrap_err().message().contains("no elements"), "{dtype:?}");
    }
    assert!(TensorProto { dtype: 12345, ..Default::default() }.elements(0).is_err());
    assert!(TensorProto::filled(DataType::Float, TensorShapeProto::default(), &[0; 3]).is_err());
    assert!(TensorProto::filled(DataType::String, TensorShapeProto::default(), &[]).is_err());
}
