//! String tensors: their bytes, and those that must be refused.

use modulor_wire::crc::{crc32c, mask};
use modulor_wire::strings::{decode, encode};

use crate::corpus::varint;

/// The error of a tensor whose lengths are these bytes, with the checksum of `checked` and then `data`.
#[track_caller]
fn refused(lengths: &[u8], checked: &[u32], data: &[u8], count: usize) -> String {
    let checked: Vec<u8> = checked.iter().flat_map(|length| length.to_le_bytes()).collect();
    let bytes = [lengths, &mask(crc32c(&checked)).to_le_bytes(), data].concat();
    decode(&bytes, count, 0).expect_err("it must be refused").to_string()
}

#[test]
fn no_elements_have_a_checksum_all_the_same() {
    let none: [&str; 0] = [];
    let (bytes, crc) = encode(&none);
    assert_eq!((&bytes[..], crc), (&[0xD8, 0xEA, 0x82, 0xA2][..], 0x640C_C1F6));
    assert_eq!(decode(&bytes, 0, crc), Ok(Vec::new()));
}

#[test]
fn elements_of_any_length_come_back() {
    let long = vec![0xAB; 70_000];
    let elements = [&b""[..], b"a", &long, b"\0\xFF", b""];
    let (bytes, crc) = encode(&elements);
    assert_eq!(bytes.len(), 1 + 1 + 3 + 1 + 1 + 4 + 70_003);
    assert_eq!(decode(&bytes, 5, crc), Ok(elements.to_vec()));
}

#[test]
fn every_length_and_every_flipped_bit_is_seen() {
    let (bytes, crc) = encode(&["one", "", "three"]);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], 3, crc).is_err(), "{length} bytes");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes, 3, crc).is_err(), "bit {bit}");
    }
    for count in [0, 1, 2, 4, 5] {
        assert!(decode(&bytes, count, crc).is_err(), "{count} strings");
    }
}

#[test]
fn a26_counts_and_lengths_are_compared_with_what_is_there() {
    assert_eq!(decode(&[0; 12], 1 << 40, 0).unwrap_err().to_string(), "12 bytes cannot hold 1099511627776 strings");
    assert_eq!(decode(&[0; 3], 0, 0).unwrap_err().to_string(), "3 bytes cannot hold 0 strings");
    assert_eq!(
        refused(&varint(1 << 62), &[], b"", 1),
        "string 0 of 1 has 4611686018427387904 bytes and those before it 0, 4 are left at byte 0"
    );
    let twice = [varint(u64::MAX), varint(1)].concat();
    assert_eq!(
        refused(&twice, &[], b"", 2),
        "string 0 of 2 has 18446744073709551615 bytes and those before it 0, 5 are left at byte 0"
    );
    assert_eq!(refused(&[0xFF; 20], &[], b"", 1), "string 0 of 1: its length: a varint of more than 64 bits at byte 0");
    let wide = [&[0xFF; 9][..], &[2]].concat();
    assert_eq!(refused(&wide, &[], b"", 1), "string 0 of 1: its length: a varint of more than 64 bits at byte 0");
    assert_eq!(
        refused(&[0x81, 0], &[1], b"a", 1),
        "string 0 of 1: its length: a varint with more bytes than it takes at byte 0"
    );
    assert_eq!(refused(&[1, 2], &[1, 2], b"ab", 2), "2 strings have 3 bytes together, 2 are left at byte 6");
    assert_eq!(refused(&[1, 2], &[1, 2], b"abcd", 2), "2 strings have 3 bytes together, 4 are left at byte 6");
    let lengths = refused(&[1, 2], &[2, 1], b"abc", 2);
    assert!(
        lengths.starts_with("the lengths of 2 strings: checksum 0x") && lengths.ends_with(" at byte 2"),
        "{lengths}"
    );
    let data = refused(&[1, 2], &[1, 2], b"abc", 2);
    assert!(data.starts_with("2 strings: checksum 0x") && data.ends_with(", stored 0x00000000"), "{data}");
}
