//! The protocol buffers of a graph, written by hand; names and numbers are TensorFlow's.
//!
//! Maps are lists of entries in the order of the file, so that what is read and written again is what it was. Tensors stay
//! bytes until somebody wants one, so that a graph takes no more memory than its nodes and its file.
//!
//! ```
//! use modulor_wire::graph::{GraphDef, NodeDef};
//! use modulor_wire::message::{decode, encode};
//! let node = NodeDef { name: "y".to_owned(), op: "Relu".to_owned(), input: vec!["x".to_owned()], ..Default::default() };
//! let graph = GraphDef { node: vec![node], ..Default::default() };
//! assert_eq!(decode::<GraphDef>(&encode(&graph))?, graph);
//! # Ok::<(), modulor_wire::Error>(())
//! ```

use prost::{Message, Oneof};

use crate::message::{TensorShapeProto, VersionDef};

/// Ops that feed each other, and the functions that they call.
#[derive(Clone, PartialEq, Message)]
pub struct GraphDef {
    /// In any order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeDef>,
    /// What nodes may call by name.
    #[prost(message, optional, tag = "2")]
    pub library: Option<FunctionDefLibrary>,
    /// What old writers have in the place of `versions`.
    #[prost(int32, tag = "3")]
    pub version: i32,
    /// What the ops mean, and who may read them.
    #[prost(message, optional, tag = "4")]
    pub versions: Option<VersionDef>,
    /// Where nodes were made, a `GraphDebugInfo`.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub debug_info: Option<Vec<u8>>,
}

/// One op of a graph.
#[derive(Clone, PartialEq, Message)]
pub struct NodeDef {
    /// Unique in its graph.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of the op, or of a function.
    #[prost(string, tag = "2")]
    pub op: String,
    /// `node:2` for an output, `node` for its first, `^node` for what only has to run before; in a function
    /// `node:output_arg:2`.
    #[prost(string, repeated, tag = "3")]
    pub input: Vec<String>,
    /// Where it is to run.
    #[prost(string, tag = "4")]
    pub device: String,
    /// By name, in no order.
    #[prost(message, repeated, tag = "5")]
    pub attr: Vec<AttrEntry>,
    /// What it was before rewrites.
    #[prost(message, optional, boxed, tag = "6")]
    pub experimental_debug_info: Option<Box<ExperimentalDebugInfo>>,
    /// The type of what it gives.
    #[prost(message, optional, boxed, tag = "7")]
    pub experimental_type: Option<Box<FullTypeDef>>,
}

/// What a node was before rewrites, `NodeDef.ExperimentalDebugInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct ExperimentalDebugInfo {
    /// The names that it had.
    #[prost(string, repeated, tag = "1")]
    pub original_node_names: Vec<String>,
    /// The functions that it was in.
    #[prost(string, repeated, tag = "2")]
    pub original_func_names: Vec<String>,
}

/// A type with parameters.
#[derive(Clone, PartialEq, Message)]
pub struct FullTypeDef {
    /// A `FullTypeId`.
    #[prost(int32, tag = "1")]
    pub type_id: i32,
    /// The parameters.
    #[prost(message, repeated, tag = "2")]
    pub args: Vec<FullTypeDef>,
    /// A text in its place.
    #[prost(string, optional, tag = "3")]
    pub s: Option<String>,
    /// A number in its place.
    #[prost(int64, optional, tag = "4")]
    pub i: Option<i64>,
}

/// An attribute and its name, an entry of a map.
#[derive(Clone, PartialEq, Message)]
pub struct AttrEntry {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value; none is one of no kind.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AttrValue>,
}

/// What an attribute is.
#[derive(Clone, PartialEq, Message)]
pub struct AttrValue {
    /// By kind.
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub value: Option<Value>,
}

/// The kinds of attributes.
#[derive(Clone, PartialEq, Oneof)]
pub enum Value {
    /// Several of one kind.
    #[prost(message, tag = "1")]
    List(Box<ListValue>),
    /// Any bytes.
    #[prost(bytes, tag = "2")]
    S(Vec<u8>),
    /// An integer.
    #[prost(int64, tag = "3")]
    I(i64),
    /// A float.
    #[prost(float, tag = "4")]
    F(f32),
    /// A bool.
    #[prost(bool, tag = "5")]
    B(bool),
    /// A [`DataType`](crate::message::DataType).
    #[prost(int32, tag = "6")]
    Type(i32),
    /// A shape.
    #[prost(message, tag = "7")]
    Shape(TensorShapeProto),
    /// The bytes of a [`TensorProto`](crate::tensor::TensorProto).
    #[prost(bytes, tag = "8")]
    Tensor(Vec<u8>),
    /// In a function: the name of the attribute of the call that it is.
    #[prost(string, tag = "9")]
    Placeholder(String),
    /// A function.
    #[prost(message, tag = "10")]
    Func(Box<NameAttrList>),
}

/// Attributes of one kind, `AttrValue.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    /// Any bytes.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub s: Vec<Vec<u8>>,
    /// Integers.
    #[prost(int64, repeated, tag = "3")]
    pub i: Vec<i64>,
    /// Floats.
    #[prost(float, repeated, tag = "4")]
    pub f: Vec<f32>,
    /// Bools.
    #[prost(bool, repeated, tag = "5")]
    pub b: Vec<bool>,
    /// Of [`DataType`](crate::message::DataType).
    #[prost(int32, repeated, tag = "6")]
    pub r#type: Vec<i32>,
    /// Shapes.
    #[prost(message, repeated, tag = "7")]
    pub shape: Vec<TensorShapeProto>,
    /// The bytes of each [`TensorProto`](crate::tensor::TensorProto).
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub tensor: Vec<Vec<u8>>,
    /// Functions.
    #[prost(message, repeated, tag = "9")]
    pub func: Vec<NameAttrList>,
}

/// A function by name, and the attributes that it is called with.
#[derive(Clone, PartialEq, Message)]
pub struct NameAttrList {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// By name.
    #[prost(message, repeated, tag = "2")]
    pub attr: Vec<AttrEntry>,
}

/// Functions.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionDefLibrary {
    /// With their bodies.
    #[prost(message, repeated, tag = "1")]
    pub function: Vec<FunctionDef>,
    /// Which function is another's gradient.
    #[prost(message, repeated, tag = "2")]
    pub gradient: Vec<GradientDef>,
    /// Gradients of ops, each a `RegisteredGradient`.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub registered_gradients: Vec<Vec<u8>>,
}

/// A function and its gradient.
#[derive(Clone, PartialEq, Message)]
pub struct GradientDef {
    /// The function.
    #[prost(string, tag = "1")]
    pub function_name: String,
    /// The other.
    #[prost(string, tag = "2")]
    pub gradient_func: String,
}

/// A graph with arguments and results.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionDef {
    /// Its name, arguments and results.
    #[prost(message, optional, boxed, tag = "1")]
    pub signature: Option<Box<OpDef>>,
    /// In any order.
    #[prost(message, repeated, tag = "3")]
    pub node_def: Vec<NodeDef>,
    /// Where each result comes from, by its name.
    #[prost(message, repeated, tag = "4")]
    pub ret: Vec<TextEntry>,
    /// By name.
    #[prost(message, repeated, tag = "5")]
    pub attr: Vec<AttrEntry>,
    /// Which node each control output is.
    #[prost(message, repeated, tag = "6")]
    pub control_ret: Vec<TextEntry>,
    /// Attributes of the arguments, by place: each an [`ArgAttrsEntry`].
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub arg_attr: Vec<Vec<u8>>,
    /// Which arguments are one resource: entries of a map of numbers.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub resource_arg_unique_id: Vec<Vec<u8>>,
}

/// The attributes of an argument by its place: an entry of [`FunctionDef::arg_attr`].
#[derive(Clone, PartialEq, Message)]
pub struct ArgAttrsEntry {
    /// Which argument.
    #[prost(uint32, tag = "1")]
    pub key: u32,
    /// Its attributes.
    #[prost(message, optional, tag = "2")]
    pub value: Option<ArgAttrs>,
}

/// The attributes of an argument, `FunctionDef.ArgAttrs`.
#[derive(Clone, PartialEq, Message)]
pub struct ArgAttrs {
    /// By name.
    #[prost(message, repeated, tag = "1")]
    pub attr: Vec<AttrEntry>,
}

/// A text and its name, an entry of a map.
#[derive(Clone, PartialEq, Message)]
pub struct TextEntry {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// What an op or a function takes and gives.
#[derive(Clone, PartialEq, Message)]
pub struct OpDef {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it takes.
    #[prost(message, repeated, tag = "2")]
    pub input_arg: Vec<ArgDef>,
    /// What it gives.
    #[prost(message, repeated, tag = "3")]
    pub output_arg: Vec<ArgDef>,
    /// Its attributes.
    #[prost(message, repeated, tag = "4")]
    pub attr: Vec<AttrDef>,
    /// In a line.
    #[prost(string, tag = "5")]
    pub summary: String,
    /// In more.
    #[prost(string, tag = "6")]
    pub description: String,
    /// Whether it adds up any number of inputs.
    #[prost(bool, tag = "16")]
    pub is_aggregate: bool,
    /// Whether it does more than compute.
    #[prost(bool, tag = "17")]
    pub is_stateful: bool,
    /// Whether its two inputs may change places.
    #[prost(bool, tag = "18")]
    pub is_commutative: bool,
    /// Whether it takes variables without value.
    #[prost(bool, tag = "19")]
    pub allows_uninitialized_input: bool,
    /// What has to have run when it is done.
    #[prost(string, repeated, tag = "20")]
    pub control_output: Vec<String>,
    /// Whether it speaks with other processes.
    #[prost(bool, tag = "21")]
    pub is_distributed_communication: bool,
}

/// An argument or a result, `OpDef.ArgDef`. Its dtype is `type`, or what an attribute says.
#[derive(Clone, PartialEq, Message)]
pub struct ArgDef {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// In words.
    #[prost(string, tag = "2")]
    pub description: String,
    /// A [`DataType`](crate::message::DataType).
    #[prost(int32, tag = "3")]
    pub r#type: i32,
    /// Which attribute is the dtype.
    #[prost(string, tag = "4")]
    pub type_attr: String,
    /// Which attribute says how many tensors it is.
    #[prost(string, tag = "5")]
    pub number_attr: String,
    /// Which attribute is the list of dtypes, one a tensor.
    #[prost(string, tag = "6")]
    pub type_list_attr: String,
    /// What a handle leads to, each a `ResourceHandleProto.DtypeAndShape`.
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub handle_data: Vec<Vec<u8>>,
    /// Whether it is a reference, of TensorFlow 1.
    #[prost(bool, tag = "16")]
    pub is_ref: bool,
    /// The type with its parameters.
    #[prost(message, optional, boxed, tag = "17")]
    pub experimental_full_type: Option<Box<FullTypeDef>>,
}

/// An attribute that an op or a function has, `OpDef.AttrDef`.
#[derive(Clone, PartialEq, Message)]
pub struct AttrDef {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The kind: `list(int)`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// What it is where a node has none.
    #[prost(message, optional, tag = "3")]
    pub default_value: Option<AttrValue>,
    /// In words.
    #[prost(string, tag = "4")]
    pub description: String,
    /// Whether there is a least value, or length.
    #[prost(bool, tag = "5")]
    pub has_minimum: bool,
    /// The least.
    #[prost(int64, tag = "6")]
    pub minimum: i64,
    /// A list of all values that it may have.
    #[prost(message, optional, tag = "7")]
    pub allowed_values: Option<AttrValue>,
}
