//! The protocol buffers of a checkpoint, written by hand; names and numbers are TensorFlow's.
//!
//! ```
//! use modulor_wire::message::{BundleHeaderProto, VersionDef, decode, encode};
//! let header =
//!     BundleHeaderProto { num_shards: 1, version: Some(VersionDef { producer: 1, ..Default::default() }), ..Default::default() };
//! let bytes = encode(&header);
//! assert_eq!(bytes, b"\x08\x01\x1A\x02\x08\x01");
//! assert_eq!(decode::<BundleHeaderProto>(&bytes)?, header);
//! # Ok::<(), modulor_wire::Error>(())
//! ```

use prost::{Enumeration, Message};

use crate::{Error, Result};

/// The message that `bytes` are. Fields that it does not know are skipped.
///
/// A message within another takes two bytes at least, and 216 in memory at most, twice that while a list grows: that is
/// what hostile bytes can do. Messages are nested 100 deep at most.
///
/// # Errors
/// When they are not a message of that kind; it names the field.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|error| {
        let name = std::any::type_name::<M>().rsplit("::").next().unwrap_or_default();
        let reason = error.to_string();
        let reason = reason.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&reason);
        Error::new(format!("not a {name}: {reason}"))
    })
}

/// The bytes of `message`, which are TensorFlow's: in the order of the fields' numbers, zeros left out.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    message.encode_to_vec()
}

/// What the elements of a tensor are. Fields hold the number, since a file may hold any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DataType {
    Invalid = 0,
    Float = 1,
    Double = 2,
    Int32 = 3,
    Uint8 = 4,
    Int16 = 5,
    Int8 = 6,
    String = 7,
    Complex64 = 8,
    Int64 = 9,
    Bool = 10,
    Qint8 = 11,
    Quint8 = 12,
    Qint32 = 13,
    Bfloat16 = 14,
    Qint16 = 15,
    Quint16 = 16,
    Uint16 = 17,
    Complex128 = 18,
    Half = 19,
    Resource = 20,
    Variant = 21,
    Uint32 = 22,
    Uint64 = 23,
    Float8E5m2 = 24,
    Float8E4m3fn = 25,
    Float8E4m3fnuz = 26,
    Float8E4m3b11fnuz = 27,
    Float8E5m2fnuz = 28,
    Int4 = 29,
    Uint4 = 30,
    Int2 = 31,
    Uint2 = 32,
    Float4E2m1fn = 33,
}

/// The value under the empty key of a checkpoint's index.
#[derive(Clone, PartialEq, Message)]
pub struct BundleHeaderProto {
    /// The number of data files.
    #[prost(int32, tag = "1")]
    pub num_shards: i32,
    /// The order of bytes in the data files: 0 little, 1 big.
    #[prost(int32, tag = "2")]
    pub endianness: i32,
    /// The version of the format.
    #[prost(message, optional, tag = "3")]
    pub version: Option<VersionDef>,
}

/// The version of what was written, and which readers it is for.
#[derive(Clone, PartialEq, Message)]
pub struct VersionDef {
    /// The version of the code that wrote.
    #[prost(int32, tag = "1")]
    pub producer: i32,
    /// The oldest reader that understands it.
    #[prost(int32, tag = "2")]
    pub min_consumer: i32,
    /// Readers that must not try.
    #[prost(int32, repeated, tag = "3")]
    pub bad_consumers: Vec<i32>,
}

/// The value under any other key of a checkpoint's index: what a tensor is, and where its bytes are.
#[derive(Clone, PartialEq, Message)]
pub struct BundleEntryProto {
    /// A [`DataType`].
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// A scalar's is there, and empty.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
    /// Which data file, from 0.
    #[prost(int32, tag = "3")]
    pub shard_id: i32,
    /// The first byte in the data file.
    #[prost(int64, tag = "4")]
    pub offset: i64,
    /// The number of bytes.
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// The masked checksum of the bytes.
    #[prost(fixed32, tag = "6")]
    pub crc32c: u32,
    /// Of a tensor that was saved in parts; each is an entry of its own, see [`slice`](crate::slice).
    #[prost(message, repeated, tag = "7")]
    pub slices: Vec<TensorSliceProto>,
}

/// The dimensions of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// Of a scalar there are none.
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<Dim>,
    /// There are no dimensions because nobody knows them.
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

/// A dimension, `TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, Message)]
pub struct Dim {
    /// -1 is unknown.
    #[prost(int64, tag = "1")]
    pub size: i64,
    /// Mostly empty.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// A part of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorSliceProto {
    /// One for each dimension.
    #[prost(message, repeated, tag = "1")]
    pub extent: Vec<Extent>,
}

/// A range of a dimension, `TensorSliceProto.Extent`.
#[derive(Clone, PartialEq, Message)]
pub struct Extent {
    /// The first index.
    #[prost(int64, tag = "1")]
    pub start: i64,
    /// The number of indices, or nothing for the whole dimension.
    #[prost(int64, optional, tag = "2")]
    pub length: Option<i64>,
}

/// The objects that a checkpoint was written from, and the keys of their variables.
#[derive(Clone, PartialEq, Message)]
pub struct TrackableObjectGraph {
    /// The first is the root.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<TrackableObject>,
}

/// An object, `TrackableObjectGraph.TrackableObject`.
#[derive(Clone, PartialEq, Message)]
pub struct TrackableObject {
    /// The objects that it names.
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<ObjectReference>,
    /// What is stored of it; a variable has one, `VARIABLE_VALUE`.
    #[prost(message, repeated, tag = "2")]
    pub attributes: Vec<SerializedTensor>,
    /// Of an optimizer: the variables that belong to a variable.
    #[prost(message, repeated, tag = "3")]
    pub slot_variables: Vec<SlotVariableReference>,
    /// Of an object that stores itself in its own way.
    #[prost(message, optional, tag = "4")]
    pub registered_saver: Option<RegisteredSaver>,
    /// Whether something is stored of it or of what it leads to.
    #[prost(message, optional, tag = "5")]
    pub has_checkpoint_values: Option<BoolValue>,
}

/// An edge to an object, `TrackableObject.ObjectReference`.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectReference {
    /// Its place among the nodes.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// What the parent calls it, unescaped.
    #[prost(string, tag = "2")]
    pub local_name: String,
}

/// A stored value of an object, `TrackableObject.SerializedTensor`.
#[derive(Clone, PartialEq, Message)]
pub struct SerializedTensor {
    /// What the object calls it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The variable's own name, for checkpoints without objects.
    #[prost(string, tag = "2")]
    pub full_name: String,
    /// The key in the checkpoint's index.
    #[prost(string, tag = "3")]
    pub checkpoint_key: String,
}

/// A variable that belongs to a variable, `TrackableObject.SlotVariableReference`.
#[derive(Clone, PartialEq, Message)]
pub struct SlotVariableReference {
    /// The node of the variable that it belongs to.
    #[prost(int32, tag = "1")]
    pub original_variable_node_id: i32,
    /// What the optimizer calls it: `m`.
    #[prost(string, tag = "2")]
    pub slot_name: String,
    /// Its own node.
    #[prost(int32, tag = "3")]
    pub slot_variable_node_id: i32,
}

/// Which registered code stored an object.
#[derive(Clone, PartialEq, Message)]
pub struct RegisteredSaver {
    /// Of the saver.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of the object, for the saver.
    #[prost(string, tag = "2")]
    pub object_name: String,
}

/// A bool that may be missing, `google.protobuf.BoolValue`.
#[derive(Clone, PartialEq, Message)]
pub struct BoolValue {
    /// What it is if it is there.
    #[prost(bool, tag = "1")]
    pub value: bool,
}
