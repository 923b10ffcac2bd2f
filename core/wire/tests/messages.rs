//! Messages whose bytes are known, and those that are none.

use modulor_wire::message::{
    BoolValue, BundleEntryProto, BundleHeaderProto, DataType, Dim, Extent, ObjectReference, RegisteredSaver,
    SerializedTensor, SlotVariableReference, TensorShapeProto, TensorSliceProto, TrackableObject, TrackableObjectGraph,
    VersionDef, decode, encode,
};
use prost::Message;

/// `message` has these bytes, and they are `message`.
#[track_caller]
fn check<M: Message + Default + PartialEq + std::fmt::Debug>(message: M, bytes: &[u8]) {
    assert_eq!(encode(&message), bytes);
    assert_eq!(decode::<M>(bytes).as_ref(), Ok(&message));
}

#[test]
fn bytes_are_tensorflows() {
    check(BundleHeaderProto::default(), b"");
    check(
        BundleHeaderProto {
            num_shards: 3,
            endianness: 1,
            version: Some(VersionDef { producer: 1, min_consumer: 2, bad_consumers: vec![3, 300, -1] }),
        },
        b"\x08\x03\x10\x01\x1A\x13\x08\x01\x10\x02\x1A\x0D\x03\xAC\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    );
    check(
        BundleEntryProto {
            dtype: DataType::Float as i32,
            shape: Some(TensorShapeProto::default()),
            crc32c: 0xA282_EAD8,
            ..Default::default()
        },
        b"\x08\x01\x12\x00\x35\xD8\xEA\x82\xA2",
    );
    let dim = |size| Dim { size, name: String::new() };
    check(
        BundleEntryProto {
            dtype: 9,
            shape: Some(TensorShapeProto { dim: vec![dim(0), dim(3), dim(-1)], unknown_rank: false }),
            shard_id: 2,
            offset: 1 << 40,
            size: 24,
            crc32c: 1,
            slices: vec![TensorSliceProto {
                extent: vec![Extent { start: 0, length: None }, Extent { start: 2, length: Some(0) }],
            }],
        },
        b"\x08\x09\x12\x13\x12\x00\x12\x02\x08\x03\x12\x0B\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x18\x02\
          \x20\x80\x80\x80\x80\x80\x20\x28\x18\x35\x01\0\0\0\x3A\x08\x0A\x00\x0A\x04\x08\x02\x10\x00",
    );
    check(
        TrackableObjectGraph {
            nodes: vec![
                TrackableObject {
                    children: vec![ObjectReference { node_id: 1, local_name: "w".to_owned() }],
                    has_checkpoint_values: Some(BoolValue { value: true }),
                    ..Default::default()
                },
                TrackableObject {
                    attributes: vec![SerializedTensor {
                        name: "V".to_owned(),
                        full_name: "n".to_owned(),
                        checkpoint_key: "k".to_owned(),
                    }],
                    slot_variables: vec![SlotVariableReference {
                        original_variable_node_id: 1,
                        slot_name: "m".to_owned(),
                        slot_variable_node_id: 2,
                    }],
                    registered_saver: Some(RegisteredSaver { name: "s".to_owned(), object_name: "o".to_owned() }),
                    has_checkpoint_values: Some(BoolValue { value: false }),
                    ..Default::default()
                },
            ],
        },
        b"\x0A\x0B\x0A\x05\x08\x01\x12\x01w\x2A\x02\x08\x01\
          \x0A\x1E\x12\x09\x0A\x01V\x12\x01n\x1A\x01k\x1A\x07\x08\x01\x12\x01m\x18\x02\x22\x06\x0A\x01s\x12\x01o\x2A\x00",
    );
}

#[test]
fn other_forms_of_the_same_message_are_read() {
    let unpacked = decode::<VersionDef>(b"\x18\x03\x18\x04\x1A\x01\x05").expect("packed or not");
    assert_eq!(unpacked.bad_consumers, [3, 4, 5]);
    let unknown = decode::<BundleHeaderProto>(b"\x08\x02\x7A\x03abc\xF8\x01\x05").expect("unknown fields are skipped");
    assert_eq!(unknown, BundleHeaderProto { num_shards: 2, ..Default::default() });
}

#[test]
fn what_is_no_message_is_refused_by_name() {
    for (bytes, expected) in [
        (&b"\x12\x05\x12"[..], "not a BundleEntryProto: BundleEntryProto.shape: buffer underflow"),
        (b"\x08", "not a BundleEntryProto: BundleEntryProto.dtype: invalid varint"),
        (
            b"\x0A\x00",
            "not a BundleEntryProto: BundleEntryProto.dtype: invalid wire type: LengthDelimited (expected Varint)",
        ),
        (b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "not a BundleEntryProto: invalid varint"),
    ] {
        assert_eq!(decode::<BundleEntryProto>(bytes).unwrap_err().to_string(), expected);
    }
    let bytes = b"\x0A\x07\x0A\x05\x08\x01\x12\x01\xFF";
    assert_eq!(
        decode::<TrackableObjectGraph>(bytes).unwrap_err().message(),
        "not a TrackableObjectGraph: ObjectReference.local_name: TrackableObject.children: TrackableObjectGraph.nodes: \
         invalid string value: data is not UTF-8 encoded"
    );
    let deep = [&[0x7B; 100_000][..], &[0x7C; 100_000]].concat();
    assert!(decode::<BundleEntryProto>(&deep).is_err(), "groups in groups do not use up the stack");
}

#[test]
fn dtypes_have_tensorflows_numbers() {
    assert_eq!(DataType::try_from(33), Ok(DataType::Float4E2m1fn));
    assert_eq!((DataType::String as i32, DataType::Half as i32, DataType::Bool as i32), (7, 19, 10));
    for number in [-1, 34, 101, 999] {
        assert!(DataType::try_from(number).is_err(), "{number}");
    }
}

#[test]
fn a_message_in_memory_has_no_more_bytes_than_is_documented() {
    let sizes = [
        size_of::<Dim>(),
        size_of::<Extent>(),
        size_of::<TensorSliceProto>(),
        size_of::<ObjectReference>(),
        size_of::<SerializedTensor>(),
        size_of::<SlotVariableReference>(),
        size_of::<TrackableObject>(),
    ];
    assert!(sizes.iter().all(|&size| size <= 128), "{sizes:?}");
}
