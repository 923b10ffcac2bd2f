//! Records: whole files, files that end too soon, and damage.

use modulor_wire::crc::{crc32c, mask};
use modulor_wire::record::{Reader, Writer};

const RECORDS: [&[u8]; 4] = [b"first", b"", b"the third", &[0; 40]];

fn file() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for record in RECORDS {
        writer.write(record).expect("a vector takes all");
    }
    writer.flush().expect("a vector has no buffer");
    writer.into_inner()
}

/// A header with a valid checksum.
fn header(length: u64) -> Vec<u8> {
    let length = length.to_le_bytes();
    [&length[..], &mask(crc32c(&length)).to_le_bytes()].concat()
}

/// The records of a file and what is said of its end.
fn read(file: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
    let mut reader = Reader::new(file);
    let records = reader.by_ref().map(|record| record.expect("no damage").to_vec()).collect();
    (records, reader.tail().map(ToString::to_string))
}

#[test]
fn records_come_back() {
    let file = file();
    assert_eq!(file.len(), 4 * 16 + 5 + 9 + 40);
    assert_eq!(read(&file), (RECORDS.map(<[u8]>::to_vec).to_vec(), None));
    // The bytes that TensorFlow writes for a record of one zero.
    let mut writer = Writer::new(Vec::new());
    writer.write(&[0]).expect("a vector takes all");
    let expected = [header(1), vec![0], mask(crc32c(&[0])).to_le_bytes().to_vec()].concat();
    assert_eq!(writer.into_inner(), expected);
    assert_eq!(read(b""), (Vec::new(), None));
}

#[test]
fn e1_e2_a_length_beyond_the_file_allocates_nothing() {
    for length in [1 << 62, u64::MAX, 1 << 35, 1 << 31] {
        let file = [header(length), vec![0; 4]].concat();
        let tail = format!("a record of {length} bytes and its checksum, 4 bytes are left at byte 0");
        assert_eq!(read(&file), (Vec::new(), Some(tail)));
    }
}

#[test]
fn e3_a_file_cut_anywhere_gives_its_whole_records() {
    let file = file();
    let ends = [0, 21, 37, 62, 118];
    for length in 0..file.len() {
        let (records, tail) = read(&file[..length]);
        let whole = ends.iter().filter(|&&end| end <= length).count() - 1;
        assert_eq!(records, RECORDS[..whole], "{length} bytes");
        assert_eq!(tail.is_some(), !ends.contains(&length), "{length} bytes: {tail:?}");
    }
    let (_, tail) = read(&file[..25]);
    assert_eq!(tail.as_deref(), Some("a record's header has 12 bytes, 4 are left at byte 21"));
    let (_, tail) = read(&file[..60]);
    assert_eq!(tail.as_deref(), Some("a record of 9 bytes and its checksum, 11 bytes are left at byte 37"));
}

#[test]
fn e4_a_flipped_bit_is_an_error_with_an_offset_and_reading_goes_on_behind_it() {
    let file = file();
    let starts = [0, 21, 37, 62];
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let hit = starts.iter().rposition(|&start| start <= bit / 8).expect("the first starts at 0");
        let mut reader = Reader::new(&damaged);
        let mut records: Vec<&[u8]> = Vec::new();
        for record in reader.by_ref() {
            match record {
                Ok(record) => records.push(record),
                Err(error) => assert_eq!(error.offset(), Some(starts[hit]), "bit {bit}: {error}"),
            }
        }
        assert_eq!(records, RECORDS[..hit], "bit {bit}");
        assert_eq!(reader.offset(), starts[hit], "bit {bit}");
        assert_eq!(reader.next(), None);
        let end = starts.get(hit + 1).copied().unwrap_or(file.len());
        assert_eq!(reader.resync(), end - starts[hit], "bit {bit}");
        assert_eq!(reader.resync(), 0);
        let rest: Vec<&[u8]> = reader.by_ref().map(|record| record.expect("no more damage")).collect();
        assert_eq!(rest, RECORDS[hit + 1..], "bit {bit}");
        assert_eq!(reader.tail(), None);
    }
    let mut damaged = file.clone();
    damaged[14] ^= 1;
    let error = Reader::new(&damaged).next().expect("a record").expect_err("damage").to_string();
    assert!(error.starts_with("a record of 5 bytes: checksum 0x") && error.ends_with(" at byte 0"), "{error}");
    damaged[3] ^= 1;
    let error = Reader::new(&damaged).next().expect("a record").expect_err("damage").to_string();
    assert!(error.starts_with("the length of a record: checksum 0x") && error.ends_with(" at byte 0"), "{error}");
}

#[test]
fn e5_zeros_at_the_end_are_a_tail() {
    let mut file = file();
    file.extend([0; 500]);
    let tail = "the last 500 bytes are zeros at byte 118".to_owned();
    assert_eq!(read(&file), (RECORDS.map(<[u8]>::to_vec).to_vec(), Some(tail)));
    file.push(1);
    let last = Reader::new(&file).last().expect("an item");
    assert_eq!(last.expect_err("not only zeros").offset(), Some(118));
}
