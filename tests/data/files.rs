//! Files as datasets, and what is said of broken ones.

use super::refused;
use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};
use modulor::data::{Compression, Csv, Dataset, ExampleParser, TextFolder};
use modulor::data::{read_idx, read_npy, read_npz};
use modulor::prelude::*;
use modulor_wire::example::{Example, Values};
use modulor_wire::record::Writer;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file in a folder of its own.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// That an error names the file and says these words.
fn check(error: Error, path: &Path, words: &str) {
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
    assert!(text.contains(words), "`{words}` in: {text}");
}

/// That no byte changed, and no end, makes a reader panic; most are errors, and all name the file.
fn check_harmless<T>(bytes: &[u8], read: impl Fn(&Path) -> Result<T>) {
    let (_folder, path) = file(bytes);
    read(&path).map(drop).unwrap();
    let mut refused = 0;
    let mut harm = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        if let Err(error) = read(&path) {
            refused += 1;
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        }
    };
    for at in 0..bytes.len() {
        harm(&bytes[..at]);
        for flip in [1, 0x80, 0xff] {
            let mut changed = bytes.to_vec();
            changed[at] ^= flip;
            harm(&changed);
        }
    }
    assert!(refused > 0);
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let gzip = || {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish())
    };
    let zlib = || {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish())
    };
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => gzip().unwrap(),
        Compression::Zlib => zlib().unwrap(),
    }
}

#[test]
fn idx_holds_six_dtypes() {
    let cases: [(u8, Vec<u8>, DType, [f64; 2]); 6] = [
        (8, vec![1, 255], DType::U8, [1.0, 255.0]),
        (9, vec![1, 255], DType::I8, [1.0, -1.0]),
        (11, [1_i16, -300].map(i16::to_be_bytes).concat(), DType::I16, [1.0, -300.0]),
        (12, [1_i32, -70_000].map(i32::to_be_bytes).concat(), DType::I32, [1.0, -70_000.0]),
        (13, [1.5_f32, -2.0].map(f32::to_be_bytes).concat(), DType::F32, [1.5, -2.0]),
        (14, [1.5_f64, -2.0].map(f64::to_be_bytes).concat(), DType::F64, [1.5, -2.0]),
    ];
    for (code, elements, dtype, expected) in cases {
        let bytes = [&[0, 0, code, 2, 0, 0, 0, 1, 0, 0, 0, 2], &*elements].concat();
        for compression in [Compression::None, Compression::Gzip] {
            let (_folder, path) = file(&compressed(&bytes, compression));
            let tensor = read_idx(&path).unwrap();
            assert_eq!((tensor.dtype(), tensor.dims().unwrap()), (dtype, &[1, 2][..]));
            assert_eq!(tensor.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(), expected);
        }
        check_harmless(&bytes, |path| read_idx(path));
        check_harmless(&compressed(&bytes, Compression::Gzip), |path| read_idx(path));
    }
}

#[test]
fn idx_files_that_lie_are_refused_before_anything_is_allocated() {
    let huge = [&[0, 0, 14, 3][..], &[0xff; 12]].concat();
    for bytes in [huge.clone(), compressed(&huge, Compression::Gzip), [&[0, 0, 8, 1][..], &[0, 1, 0, 0]].concat()] {
        let (_folder, path) = file(&bytes);
        check(read_idx(&path).unwrap_err(), &path, "more bytes than the file can hold");
    }
    let (_folder, path) = file(&[0, 0, 8, 1, 0, 0, 0, 1, 5, 6]);
    check(read_idx(&path).unwrap_err(), &path, "dims [1] of uint8 are 1 bytes, there are more");
    let missing = path.with_extension("gone");
    let error = read_idx(&missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    check(error, &missing, "No such file");
    check(read_idx(path.parent().unwrap()).unwrap_err(), path.parent().unwrap(), "is a directory");
}

fn npy(header: &str, elements: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), elements].concat()
}

#[test]
fn arrays_of_numpy_that_lie_are_refused() {
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }";
    let good = npy(header, &[0; 8]);
    check_harmless(&good, |path| read_npy(path));
    for (was, is, words) in [
        ("<f4", "|O", "elements of `|O`"),
        ("'<f4'", "[('a', '<f4')]", "records of several fields"),
        ("<f4", "<f400", "elements of `<f400`"),
        ("True", "Maybe", "fortran_order"),
        ("(2, 1)", "(2, -1)", "a dim of \"-1\""),
        ("(2, 1)", "(4000000000, 4000000000)", "overflows"),
        ("(2, 1)", "(4000000000, 1)", "is 16000000000 bytes, found 8"),
        ("<f4", "|S0", "is 0 bytes, found 8"),
    ] {
        let (_folder, path) = file(&npy(&header.replace(was, is), &[0; 8]));
        check(read_npy(&path).unwrap_err(), &path, words);
    }
    let (_folder, path) = file(&npy("{'descr': '|S0', 'fortran_order': False, 'shape': (9000000000,), }", &[]));
    check(read_npy(&path).unwrap_err(), &path, "elements without bytes");
}

#[test]
fn an_archive_of_arrays_is_a_map() {
    let zipped = |arrays: &[(&str, Vec<u8>)]| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    let x = npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", &[1, 0, 0, 0, 2, 0, 0, 0]);
    let bytes =
        zipped(&[("x.npy", x), ("y.npy", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", &[1, 0]))]);
    let (_folder, path) = file(&bytes);
    let arrays = read_npz(&path).unwrap();
    assert_eq!(arrays["x"].to_vec::<i32>().unwrap(), [1, 2]);
    assert_eq!(Dataset::from_tensor_slices(arrays).unwrap().iter().count(), 2);
    check_harmless(&bytes, |path| read_npz(path));
    // What is packed a thousand times smaller is not unpacked beyond what its header says.
    let bomb = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", &vec![0; 4 << 20]);
    let (_folder, path) = file(&zipped(&[("bomb.npy", bomb)]));
    check(read_npz(&path).unwrap_err(), &path, "array `bomb`: the shape [3] is 3 bytes");
}

#[test]
fn lines_of_text_come_in_order_from_all_files() {
    let (folder, path) = file(b"a\nb\r\n\n\xff");
    let packed = folder.path().join("more.gz");
    fs::write(&packed, compressed(b"c\n", Compression::Gzip)).unwrap();
    let lines = |dataset: &Dataset<Tensor>| -> Vec<Vec<u8>> {
        dataset.iter().map(|line| line.unwrap().to_strings().unwrap()[0].to_vec()).collect()
    };
    let both = Dataset::text_lines([&path, &packed]);
    assert_eq!(lines(&both), [&b"a"[..], b"b", b"", b"\xff", b"c"]);
    assert_eq!(lines(&both.skip(3)), [&b"\xff"[..], b"c"]);
    let gone = folder.path().join("gone");
    let (given, message) = refused(&Dataset::text_lines([&path, &gone]));
    assert_eq!(given, 4);
    assert!(message.contains(&*gone.to_string_lossy()), "{message}");
    fs::write(&packed, b"\x1f\x8b no").unwrap();
    let (given, message) = refused(&Dataset::text_lines([&path, &packed]));
    assert!(given == 4 && message.contains("at line 1"), "{message}");
}

#[test]
fn a_table_is_columns_of_their_own_dtypes() {
    let (_folder, path) = file(b"n,big,x,wide,name,flag\n1,3000000000,1.5,1e300,\"a,b\",true\n-2,4,2,1,,FALSE\n");
    let columns = Csv::new(&path).dtype("flag", DType::Bool).columns().unwrap();
    let dtypes: Vec<_> = ["n", "big", "x", "wide", "name", "flag"].iter().map(|name| columns[*name].dtype()).collect();
    assert_eq!(dtypes, [DType::I32, DType::I64, DType::F32, DType::F64, DType::String, DType::Bool]);
    assert_eq!(&*columns["name"].to_strings().unwrap()[0], b"a,b");
    assert_eq!(columns["flag"].to_vec::<bool>().unwrap(), [true, false]);
    let rows = Csv::new(&path).select(["x", "n"]).labelled::<BTreeMap<String, Tensor>>("n").unwrap();
    let (row, label) = rows.batch(2).iter().next().unwrap().unwrap();
    assert_eq!((row.len(), label.to_vec::<i32>().unwrap()), (1, vec![1, -2]));
    assert_eq!(row["x"].to_vec::<f32>().unwrap(), [1.5, 2.0]);
    let (_folder, plain) = file(b"1;2\n3;4\n");
    let columns = Csv::new(&plain).header(false).delimiter(b';').columns().unwrap();
    assert_eq!(columns["1"].to_vec::<i32>().unwrap(), [2, 4]);
    let named = Csv::new(&plain).header(false).delimiter(b';').names(["a", "b"]).columns().unwrap();
    assert_eq!(named["a"].to_vec::<i32>().unwrap(), [1, 3]);
}

#[test]
fn a_broken_table_is_refused_with_the_line_and_the_column() {
    let message = |text: &[u8], change: fn(Csv) -> Csv| {
        let (_folder, path) = file(text);
        let error = change(Csv::new(&path)).columns().unwrap_err().to_string();
        error.strip_prefix(&*path.to_string_lossy()).unwrap_or(&error).to_owned()
    };
    let same = |csv: Csv| csv;
    assert_eq!(message(b"a,b\n1,2\n3\n", same), ": line 3: 1 fields, and there are 2 columns");
    assert_eq!(message(b"a,b\n1,2\n3,\n", same), ": line 3: column `b` of int32 is empty and has no default");
    let typed = |csv: Csv| csv.dtype("b", DType::U8);
    assert_eq!(message(b"a,b\n1,256\n", typed), ": line 2: column `b` of uint8 has \"256\"");
    assert_eq!(message(b"a,b\n1,2\n", |csv| csv.select(["bb"])), ": there is no column `bb`; there are `a`, `b`");
    assert_eq!(message(b"a,a\n1,2\n", same), ": two columns are called `a`");
    assert_eq!(message(b"a,\xff\n1,2\n", same), ": line 1: the name of a column must be UTF-8");
    check_harmless(b"x,y\n1,\"a\"\"b\"\n2,c\n", |path| match Csv::new(path).columns() {
        Ok(columns) if columns.len() == 2 => Ok(()),
        Ok(_) => Err(Error::data_loss(path.to_string_lossy())),
        Err(error) => Err(error),
    });
}

/// Records in a file, as TensorFlow frames them.
fn framed(records: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    records.iter().for_each(|record| writer.write(record).unwrap());
    writer.into_inner()
}

#[test]
fn damaged_records_are_named_by_number_and_offset() {
    let bytes = framed(&[b"one", b"two"]);
    let read = |path: &Path| Dataset::tf_records([path], Compression::None).iter().collect::<Result<Vec<_>>>();
    check_harmless(&bytes, read);
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for compression in [Compression::None, Compression::Gzip, Compression::Zlib] {
        let (_folder, path) = file(&compressed(&damaged, compression));
        let (given, message) = refused(&Dataset::tf_records([&path], compression));
        assert_eq!(given, 1);
        assert!(
            message.contains("the data of a record: checksum") && message.contains("record 2, at byte 19"),
            "{message}"
        );
        let (_folder, path) = file(&compressed(&bytes[..25], compression));
        let (_, message) = refused(&Dataset::tf_records([&path], compression));
        assert!(message.contains("ends within the header of a record, after 6 bytes of 12"), "{message}");
    }
    // Lengths with right checksums that no file has.
    for length in [1_u64 << 62, 1 << 35, u64::MAX] {
        let length = length.to_le_bytes();
        let crc = modulor_wire::crc::mask(modulor_wire::crc::crc32c(&length));
        let (_folder, path) = file(&[&length[..], &crc.to_le_bytes(), &[0; 4]].concat());
        let (given, message) = refused(&Dataset::tf_records([&path], Compression::None));
        assert!(given == 0 && message.contains("and the file has at most"), "{message}");
    }
}

#[test]
fn features_that_are_not_there_are_named() {
    let example =
        Example::from_iter([("x".to_owned(), Values::Floats(vec![1.0, 2.0])), ("n".to_owned(), Values::Ints(vec![]))]);
    let record = Tensor::strings([], [example.to_bytes()]).unwrap();
    let message = |parser: ExampleParser| parser.parse(&record).unwrap_err().to_string();
    let parser = ExampleParser::new;
    assert_eq!(message(parser().fixed("y", DType::F32, [])), "feature `y`: is not there, and has no default");
    assert_eq!(message(parser().fixed("x", DType::F32, [3])), "feature `x`: expected 3 values for (3,), found 2");
    assert_eq!(message(parser().fixed("x", DType::I64, [2])), "feature `x`: expected int64, found Floats");
    assert!(message(parser().fixed("x", DType::F64, [2])).contains("of float64; float32, int64 and string are there"));
    let read = parser().fixed_or("n", Tensor::from([7_i64])).var_len("x", DType::F32).parse(&record).unwrap();
    assert_eq!((read["n"].to_vec::<i64>().unwrap(), read["x"].dims().unwrap()), (vec![7], &[2][..]));
    let broken = Tensor::strings([], [&b"\x0a\xff"[..]]).unwrap();
    assert!(parser().parse(&broken).unwrap_err().message().starts_with("no example: "));
}

#[test]
fn texts_come_by_class() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("pos/1.txt", "good"), ("neg/1.txt", "bad"), ("neg/2.txt", "")] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let texts = TextFolder::new(folder.path()).unwrap();
    assert_eq!(texts.class_names(), ["neg", "pos"]);
    let (texts, labels) = texts.dataset().batch(3).iter().next().unwrap().unwrap();
    assert_eq!(labels.to_vec::<i32>().unwrap(), [0, 0, 1]);
    assert_eq!(texts.to_strings().unwrap().iter().map(|text| &**text).collect::<Vec<_>>(), [&b"bad"[..], b"", b"good"]);
}
