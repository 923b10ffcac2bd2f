//! Tables that must be refused, and those whose form TensorFlow chose.

use modulor_wire::crc::crc32c;
use modulor_wire::table::{self, Entry, Writer};

use crate::corpus::{Forge, contents, varint};

/// The error of a table, with its offset.
#[track_caller]
fn refused(file: &[u8]) -> String {
    table::read(file).expect_err("it must be refused").to_string()
}

/// Of a table with one block of these contents.
#[track_caller]
fn refused_block(contents: &[u8]) -> String {
    refused(&Forge::default().data(b"z", contents, 0).finish())
}

fn footer(metaindex: [u64; 2], index: [u64; 2]) -> Vec<u8> {
    [metaindex, index].concat().into_iter().flat_map(varint).collect()
}

#[test]
fn an_empty_table_is_read_and_written() {
    let file = Writer::new().finish();
    assert_eq!(file.len(), 74);
    assert_eq!(table::read(&file), Ok(Vec::new()));
}

#[test]
fn a_table_of_three_blocks_is_what_tensorflows_rules_give() {
    let mut writer = Writer::new();
    writer.add(b"", b"\x08\x01\x1A\x02\x08\x01").expect("the first");
    for i in 0..12000 {
        writer.add(format!("layer_{i:05}/kernel").as_bytes(), format!("{i};").repeat(8).as_bytes()).expect("in order");
    }
    let file = writer.finish();
    // From a codec in Python whose files TensorFlow's own are equal to.
    assert_eq!((file.len(), crc32c(&file)), (631_055, 0xAF32_0F53));
    let entries = table::read(&file).expect("a table");
    assert_eq!(entries.len(), 12001);
    assert_eq!(entries[12000].value, b"11999;11999;11999;11999;11999;11999;11999;11999;");
}

#[test]
fn keys_of_the_index_are_short() {
    // Between blocks: a byte between the two keys if there is one. A value of this size closes its block.
    let value = vec![0; 262_144];
    for (last, next, expected) in [
        (&b"abc"[..], &b"ax"[..], &b"ac"[..]),
        (b"abc", b"ac", b"abc"),
        (b"ab", b"abc", b"ab"),
        (b"a\xFFb", b"b", b"a\xFFb"),
        (b"", b"b", b""),
    ] {
        let mut writer = Writer::new();
        writer.add(last, &value).expect("the first");
        writer.add(next, b"").expect("above it");
        let file = writer.finish();
        let entries = table::read(&file).expect("a table");
        assert_eq!([&entries[0].key[..], &entries[1].key], [last, next]);
        let entry = [&[0, expected.len() as u8, 4][..], expected, &[0]].concat();
        let index = &file[file.len() - 100..];
        assert!(index.windows(entry.len()).any(|bytes| bytes == entry), "{last:?} {next:?}");
    }
    // Behind the last block: one byte.
    for (last, expected) in [(&b"model/a"[..], &b"n"[..]), (b"\xFF\xFEa", b"\xFF\xFF"), (b"\xFF", b"\xFF"), (b"", b"")]
    {
        let mut writer = Writer::new();
        writer.add(last, b"v").expect("the first");
        let file = writer.finish();
        let entry = [&[0, expected.len() as u8, 2][..], expected, &[0]].concat();
        assert!(file.windows(entry.len()).any(|bytes| bytes == entry), "{last:?}");
        assert_eq!(table::read(&file), Ok(vec![Entry { key: last.to_vec(), value: b"v".to_vec() }]));
    }
}

#[test]
fn the_writer_refuses_keys_that_do_not_increase() {
    let mut writer = Writer::new();
    writer.add(b"b", b"").expect("the first");
    let twice = writer.add(b"b", b"").expect_err("it is there");
    assert_eq!(twice.to_string(), r#"key "b" is there twice"#);
    let lower = writer.add(b"a", b"").expect_err("it is lower");
    assert_eq!(lower.to_string(), r#"key "a" follows "b": keys must increase"#);
    writer.add(b"c", &vec![0; 262_144]).expect("what was refused is not there");
    assert_eq!(writer.add(b"c", b"").expect_err("in a block before").to_string(), r#"key "c" is there twice"#);
    let keys: Vec<Vec<u8>> = table::read(&writer.finish()).expect("a table").into_iter().map(|e| e.key).collect();
    assert_eq!(keys, [b"b", b"c"]);
}

#[test]
fn a1_a_file_without_room_for_a_footer() {
    assert_eq!(refused(b""), "a table has at least the 48 bytes of its footer, this has 0");
    assert_eq!(refused(&[0; 47]), "a table has at least the 48 bytes of its footer, this has 47");
    assert_eq!(
        refused(&[0; 60]),
        "not a table, or its end is missing: magic number 0x0000000000000000, expected 0xdb4775248b80fb57 at byte 52"
    );
}

#[test]
fn a4_handles_that_lie_outside_the_file() {
    let far = 1 << 62;
    let forge = || Forge { file: vec![0; 100], ..Forge::default() };
    for (index, shown) in [
        ([far, far], "[4611686018427387904, 9223372036854775808)"),
        ([0, 96], "[0, 96)"),
        ([100, 0], "[100, 100)"),
        ([u64::MAX, 1], "[18446744073709551615, 18446744073709551615)"),
    ] {
        let expected = format!("block {shown} outside the 100 bytes before the footer at byte 100");
        assert_eq!(refused(&forge().footer(&footer([0, 0], index))), expected);
    }
    let handle = footer([far, 8], [0, 0])[..10].to_vec();
    let file = Forge::default().index(b"z", &handle).finish();
    let expected = format!("block [{far}, {}) outside the {} bytes before the footer", far + 8, file.len() - 48);
    assert!(refused(&file).starts_with(&expected), "{}", refused(&file));
    let endless = Forge::default().footer(&[0xFF; 40]);
    assert_eq!(refused(&endless), "a block's offset: a varint of more than 64 bits at byte 0");
    let filled = Forge::default().footer(&[[0, 0, 0, 0, 0, 7].as_slice(), &[0; 34]].concat());
    assert_eq!(refused(&filled), "the footer is not padded with zeros at byte 5");
}

#[test]
fn a5_compressions_that_are_not_what_they_say() {
    let plain = contents(&[(0, b"a", b"value")], &[0]);
    let table = |contents: &[u8], compression| Forge::default().data(b"z", contents, compression).finish();
    assert_eq!(refused(&table(&plain, 7)), "unknown block compression 7 at byte 0");
    let raw = refused(&table(&plain, 1));
    assert!(raw.starts_with("a snappy block is damaged: ") && raw.ends_with(" at byte 0"), "{raw}");
    let bomb = [varint(1 << 31), vec![0; 20]].concat();
    assert_eq!(refused(&table(&bomb, 1)), "a snappy block of 25 bytes says that it unpacks to 2147483648 at byte 0");
    let packed = snap::raw::Encoder::new().compress_vec(&plain).expect("small");
    let entry = Entry { key: b"a".to_vec(), value: b"value".to_vec() };
    assert_eq!(table::read(&table(&packed, 1)), Ok(vec![entry]));
    let shared = snap::raw::Encoder::new().compress_vec(&contents(&[(1, b"a", b"")], &[0])).expect("small");
    assert_eq!(
        refused(&table(&shared, 1)),
        "an entry shares 1 bytes, there are 0 at a restart (byte 0 of the unpacked block) at byte 0"
    );
}

#[test]
fn the_best_that_snappy_can_do_is_unpacked() {
    let plain = contents(&[(0, b"a", &vec![7; 1 << 20])], &[0]);
    let packed = snap::raw::Encoder::new().compress_vec(&plain).expect("small");
    assert!(plain.len() > 20 * packed.len(), "{} of {}", packed.len(), plain.len());
    let entries = table::read(&Forge::default().data(b"z", &packed, 1).finish()).expect("a table");
    assert_eq!(entries[0].value.len(), 1 << 20);
}

#[test]
fn a6_entries_and_restarts_that_do_not_fit() {
    let shares = contents(&[(0, b"ab", b""), (3, b"c", b"")], &[0]);
    assert_eq!(refused_block(&shares), "an entry shares 3 bytes, there are 2 of the key before at byte 5");
    let huge = contents(&[(0, b"ab", b""), (u64::MAX, b"c", b"")], &[0]);
    assert_eq!(
        refused_block(&huge),
        "an entry shares 18446744073709551615 bytes, there are 2 of the key before at byte 5"
    );
    let restart = contents(&[(0, b"ab", b""), (1, b"c", b"")], &[0, 5]);
    assert_eq!(refused_block(&restart), "an entry shares 1 bytes, there are 0 at a restart at byte 5");
    let between = contents(&[(0, b"ab", b""), (1, b"c", b"")], &[0, 4]);
    assert_eq!(refused_block(&between), "the restart 4 is not where a later entry begins at byte 9");
    let backwards = contents(&[(0, b"ab", b""), (0, b"c", b"")], &[5, 0]);
    assert_eq!(refused_block(&backwards), "the first restart is 5, not 0 at byte 9");
    let twice = contents(&[(0, b"ab", b""), (0, b"c", b"")], &[0, 0]);
    assert_eq!(refused_block(&twice), "the restart 0 is not where a later entry begins at byte 9");
    let many = [contents(&[(0, b"ab", b"")], &[0]), vec![0xFF; 4]].concat();
    assert_eq!(refused_block(&many), "a block of 17 bytes with 4294967295 restarts at byte 13");
    assert_eq!(refused_block(&contents(&[], &[])), "a block of 4 bytes with 0 restarts at byte 0");
    assert_eq!(refused_block(&[0; 3]), "a block of 3 bytes has no room for its restarts at byte 0");
    let long = [&[0, 1, 100, b'a'][..], &contents(&[], &[0])].concat();
    assert_eq!(refused_block(&long), "the length of a value is 100, 1 bytes are left at byte 0");
    let together = [&[0, 3, 3, b'a', b'b', b'c', b'd', b'e'][..], &contents(&[], &[0])].concat();
    assert_eq!(refused_block(&together), "a value: 3 bytes are needed, 2 are left at byte 0");
    let padded = [&[0, 0x81, 0, 0, b'a'][..], &contents(&[], &[0])].concat();
    assert_eq!(refused_block(&padded), "the length of a key's end: a varint with more bytes than it takes at byte 0");
    assert_eq!(refused_block(&contents(&[], &[0])), "a data block without entries at byte 0");
}

#[test]
fn a6_keys_written_short_do_not_grow_without_bound() {
    let long = vec![b'a'; 1 << 20];
    let mut entries = vec![(0, &long[..], &b""[..])];
    entries.extend(std::iter::repeat_n((1 << 20, &b"b"[..], &b""[..]), 60));
    // Each key is the one before and a byte.
    for (i, entry) in entries.iter_mut().enumerate().skip(1) {
        entry.0 += i as u64 - 1;
    }
    let file = Forge::default().data(b"z", &contents(&entries, &[0]), 0).finish();
    let error = refused(&file);
    assert!(error.starts_with("the keys take more than 16 MiB and 32 times the bytes of the file at byte "), "{error}");
    let file = Forge::default().data(b"z", &contents(&entries[..30], &[0]), 0).finish();
    assert_eq!(table::read(&file).expect("fewer of them").len(), 30);
}

#[test]
fn a6_many_entries_in_few_bytes_count_too() {
    // Four bytes each, with keys of a hundred that differ in the last three.
    let key = |i: u32| [&[b'a'; 97][..], &i.to_be_bytes()[1..]].concat();
    let file = |count| {
        let keys: Vec<Vec<u8>> = (0..count).map(key).collect();
        let shared = |i: usize| match i {
            0 => 0,
            i => keys[i].iter().zip(&keys[i - 1]).take_while(|(a, b)| a == b).count(),
        };
        let entries: Vec<_> = (0..keys.len()).map(|i| (shared(i) as u64, &keys[i][shared(i)..], &b""[..])).collect();
        Forge::default().data(b"z", &contents(&entries, &[0]), 0).finish()
    };
    assert_eq!(table::read(&file(400_000)).expect("no more than is allowed").len(), 400_000);
    let error = refused(&file(600_000));
    assert!(error.starts_with("the keys take more than 16 MiB and 32 times the bytes of the file at byte "), "{error}");
}

#[test]
fn a7_keys_out_of_order() {
    let inside = contents(&[(0, b"b", b""), (0, b"a", b"")], &[0]);
    assert_eq!(refused_block(&inside), r#"key "a" follows "b": keys must increase at byte 4"#);
    let one = |key| contents(&[(0, key, b"")], &[0]);
    let over = Forge::default().data(b"b", &one(b"b"), 0).data(b"c", &one(b"a"), 0).finish();
    assert_eq!(refused(&over), r#"key "a" follows "b": keys must increase at byte 17"#);
    let index = Forge::default().data(b"c", &one(b"b"), 0).data(b"a", &one(b"d"), 0).finish();
    assert_eq!(refused(&index), r#"key "a" follows "c": keys must increase at byte 53"#);
}

#[test]
fn a7_an_index_that_disagrees_with_its_blocks() {
    let one = |key| contents(&[(0, key, b"")], &[0]);
    let low = Forge::default().data(b"a", &one(b"b"), 0).finish();
    assert_eq!(refused(&low), r#"the index has "a" for a block whose last key is "b" at byte 30"#);
    let high = Forge::default().data(b"d", &one(b"b"), 0).data(b"e", &one(b"c"), 0).finish();
    assert_eq!(refused(&high), r#"key "c" is in a block after the index's "d" at byte 17"#);
    let mut forge = Forge::default();
    let handle = [forge.block(&one(b"b"), 0), vec![1]].concat();
    assert_eq!(refused(&forge.index(b"z", &handle).finish()), "1 bytes follow a block's handle at byte 30");
    let cut = Forge::default().index(b"z", &[0x80]).finish();
    assert_eq!(refused(&cut), "a block's offset: 1 bytes are needed, 0 are left at byte 13");
}

#[test]
fn a7_blocks_that_overlap_or_are_not_in_order() {
    let mut forge = Forge::default();
    let first = forge.block(&contents(&[(0, b"a", b"")], &[0]), 0);
    let second = forge.block(&contents(&[(0, b"b", b"")], &[0]), 0);
    let file = forge.index(b"b", &second).index(b"c", &first).finish();
    let error = refused(&file);
    assert_eq!(error, "the block [0, 12) begins before the one in front of it ends, at 34 at byte 47");
    let mut forge = Forge::default();
    let metaindex = forge.block(&contents(&[], &[0]), 0);
    let data = forge.block(&contents(&[(0, b"a", b"")], &[0]), 0);
    let index = forge.block(&contents(&[(0, b"b", &data)], &[0]), 0);
    let file = forge.footer(&[metaindex, index].concat());
    assert_eq!(
        refused(&file),
        "the metaindex [0, 8) and the index [30, 44) do not follow the data, which end at 30 at byte 49"
    );
}

#[test]
fn a7_an_index_in_front_of_the_metaindex() {
    let mut forge = Forge::default();
    let data = forge.block(&contents(&[(0, b"a", b"")], &[0]), 0);
    let index = forge.block(&contents(&[(0, b"b", &data)], &[0]), 0);
    let metaindex = forge.block(&contents(&[], &[0]), 0);
    let file = forge.footer(&[metaindex, index].concat());
    assert_eq!(
        refused(&file),
        "the metaindex [36, 44) and the index [17, 31) do not follow the data, which end at 17 at byte 49"
    );
}

#[test]
fn a8_a_key_that_is_there_twice() {
    let inside = contents(&[(0, b"kernel", b"1"), (0, b"kernel", b"2")], &[0]);
    assert_eq!(refused_block(&inside), r#"key "kernel" is there twice at byte 10"#);
    let one = |value| contents(&[(0, b"kernel", value)], &[0]);
    let over = Forge::default().data(b"kernel", &one(b"1"), 0).data(b"l", &one(b"2"), 0).finish();
    assert_eq!(refused(&over), r#"key "kernel" is there twice at byte 23"#);
    let long = vec![b'k'; 120];
    let long = contents(&[(0, &long, b""), (0, &long, b"")], &[0]);
    let shown = format!("key \"{}\".. (120 bytes) is there twice at byte 123", "k".repeat(100));
    assert_eq!(refused(&Forge::default().data(b"z", &long, 0).finish()), shown);
}

#[test]
fn a_checksum_that_differs_is_named() {
    let mut file = Forge::default().data(b"z", &contents(&[(0, b"a", b"1")], &[0]), 0).finish();
    file[4] = b'2';
    let error = refused(&file);
    assert!(error.starts_with("block [0, 13): checksum 0x") && error.ends_with(" at byte 0"), "{error}");
    let [entry] = &table::read_unverified(&file).expect("a fuzzer gets past it")[..] else { panic!("one entry") };
    assert_eq!(entry.value, b"2");
}
