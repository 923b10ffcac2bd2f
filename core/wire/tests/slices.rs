//! The keys of slices: TensorFlow's, in order, and no others.

use modulor_wire::slice::{decode_key, encode_key};

#[track_caller]
fn refused(key: &[u8]) -> String {
    decode_key(key).expect_err("it must be refused").to_string()
}

#[test]
fn numbers_are_tensorflows() {
    for (value, bytes) in [
        (0, &[0x80][..]),
        (15, &[0x8F]),
        (63, &[0xBF]),
        (64, &[0xC0, 0x40]),
        (8191, &[0xDF, 0xFF]),
        (8192, &[0xE0, 0x20, 0x00]),
        (-1, &[0x7F]),
        (-64, &[0x40]),
        (-65, &[0x3F, 0xBF]),
        (i64::MAX, &[0xFF, 0xC0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        (i64::MIN, &[0x00, 0x3F, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
    ] {
        let key = encode_key("", &[(value, 0)]);
        assert_eq!(key, [&[0, 0, 1, 1, 1][..], bytes, &[0x80]].concat(), "{value}");
        assert_eq!(decode_key(&key), Ok((String::new(), vec![(value, 0)])));
    }
    assert_eq!(encode_key("a\0b", &[]), b"\0a\0\xFFb\0\x01\0");
    assert_eq!(encode_key("", &vec![(0, 0); 256])[..6], [0, 0, 1, 2, 1, 0]);
}

#[test]
fn keys_sort_as_what_they_say() {
    let mut values = vec![0, i64::MIN, i64::MAX];
    values.extend((0..63).flat_map(|bit| [1 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1]));
    values.sort();
    values.dedup();
    let keys: Vec<Vec<u8>> = values.iter().map(|&value| encode_key("w", &[(value, value)])).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    for (key, value) in keys.iter().zip(values) {
        assert_eq!(decode_key(key), Ok(("w".to_owned(), vec![(value, value)])));
    }
    let names = ["", "\0", "\0\0", "\0a", "a", "a\0", "ab", "é", "\u{10FFFF}"];
    let keys: Vec<Vec<u8>> = names.iter().map(|name| encode_key(name, &[])).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    for (key, name) in keys.iter().zip(names) {
        assert_eq!(decode_key(key), Ok((name.to_owned(), Vec::new())));
    }
}

#[test]
fn a_key_that_no_slice_has_is_refused() {
    let key = encode_key("w", &[(0, 8192), (-65, 2)]);
    for length in 0..key.len() {
        assert!(decode_key(&key[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(refused(b""), "the kind of the key: 1 bytes are needed, 0 are left at byte 0");
    assert_eq!(refused(b"kernel"), "the kind of the key has 107 bytes, more than 8 at byte 0");
    assert_eq!(refused(b"\x01\x05w\0\x01\0"), "not the key of a slice: it begins with 5, not 0 at byte 0");
    assert_eq!(refused(b"\0w\0\x02"), "the name of a slice's tensor: 0x02 after 0x00 at byte 2");
    assert_eq!(
        refused(b"\0\x80\0\x01\0"),
        "the name of a slice's tensor is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0 at byte 1"
    );
    let huge = [&b"\0w\0\x01\x08"[..], &[0xFF; 8]].concat();
    assert_eq!(refused(&huge), "a start: 1 bytes are needed, 0 are left at byte 13");
    assert_eq!(
        refused(&[&key[..], b"\0"].concat()),
        format!("1 bytes follow the key of a slice at byte {}", key.len())
    );
    let long = "the key of a slice of \"w\" has a number with more bytes than it takes";
    assert_eq!(refused(b"\0w\0\x01\x01\x01\xC0\x01\x80"), long);
    assert_eq!(refused(b"\0w\0\x01\x02\0\x01\x80\x80"), long);
    let wide = [&b"\0w\0\x01\x01\x01"[..], &[0xFF, 0xC1], &[0xFF; 8], &[0x80]].concat();
    assert_eq!(refused(&wide), "a start: a number of 10 bytes at byte 6");
    assert!(decode_key(&[&b"\0w\0\x01\x01\x01"[..], &[0xFF; 30]].concat()).is_err());
    assert!(decode_key(&[&b"\0w\0\x01\x01\x01"[..], &[0x00; 30]].concat()).is_err());
}
