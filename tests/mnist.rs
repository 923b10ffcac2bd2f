//! The loader of the example `mnist`; what the network learns is checked where the digits are.

#[path = "../examples/mnist/data.rs"]
mod data;

use crate::digits::shuffle;
use data::Digits;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::Path;

/// A file of bytes in dims, as the format describes it.
fn idx(dims: &[u32], bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
    file.extend(bytes);
    file
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(name), bytes).expect("a folder of ours");
}

/// Four files: three digits to learn from, and two held out, compressed.
fn published() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let pixels = |n: usize| (0..n * 784).map(|i| (i / 784 * 51 + i % 2) as u8);
    write(folder.path(), "train-images-idx3-ubyte", idx(&[3, 28, 28], pixels(3)));
    write(folder.path(), "train-labels-idx1-ubyte", idx(&[3], [7, 0, 9]));
    write(folder.path(), "t10k-images-idx3-ubyte.gz", zipped(&idx(&[2, 28, 28], pixels(2))));
    write(folder.path(), "t10k-labels-idx1-ubyte.gz", zipped(&idx(&[2], [1, 2])));
    folder
}

#[test]
fn the_files_that_were_published_are_read() {
    let folder = published();
    let (learn, test) = Digits::load(folder.path()).expect("they are whole");
    assert_eq!(learn.labels.to_vec::<i32>().expect("labels"), [7, 0, 9]);
    assert_eq!(test.labels.to_vec::<i32>().expect("labels"), [1, 2]);
    assert_eq!((learn.images.dims().expect("known"), test.len()), (&[3, 28, 28, 1][..], 2));
    let pixels: Vec<f32> = learn.images.to_vec().expect("floats");
    assert_eq!([pixels[0], pixels[1], pixels[2 * 784]], [0.0, 1.0 / 255.0, 0.4]);
}

#[test]
fn files_of_classes_are_read_and_a_fifth_is_held_out() {
    let folder = tempfile::tempdir().expect("a folder");
    for digit in 0..10 {
        let pixels = vec![format!("0.{digit}"); 784 * 2].join(",");
        write(folder.path(), &format!("{digit}.json"), format!("{{\"data\": [{pixels}]}}"));
    }
    let (learn, test) = Digits::load(folder.path()).expect("they are whole");
    assert_eq!((learn.len(), test.len()), (16, 4));
    let mut labels = [learn.labels, test.labels].map(|labels| labels.to_vec::<i32>().expect("labels")).concat();
    let first: Vec<f32> = learn.images.slice((.., 0, 0, 0)).and_then(|first| first.to_vec()).expect("floats");
    assert!(first.iter().zip(&labels).all(|(&pixel, &label)| pixel == label as f32 / 10.0), "{first:?} {labels:?}");
    labels.sort_unstable();
    assert_eq!(labels, (0..20).map(|i| i / 2).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_broken_is_an_error_that_names_it() {
    let empty = tempfile::tempdir().expect("a folder");
    let error = Digits::load(empty.path()).err().expect("there is nothing").to_string();
    assert!(error.contains("examples/mnist/fetch.sh brings them"), "{error}");
    let images = "train-images-idx3-ubyte";
    let labels = "train-labels-idx1-ubyte";
    for (name, bytes, words) in [
        (images, Vec::new(), "begins with [], and IDX begins with two zeros"),
        (images, vec![0, 0, 8, 3, 0, 0], "ends within its 3 dims"),
        (images, idx(&[u32::MAX, u32::MAX, u32::MAX], []), "which are more bytes than the file can hold"),
        (images, idx(&[1, 28, 28], [0; 783]), "dims [1, 28, 28] of uint8 are 784 bytes, found 783"),
        (images, idx(&[3, 27, 28], [0; 3 * 27 * 28]), "expected images of 28×28 pixels, found dims [3, 27, 28]"),
        (labels, idx(&[2], [1, 2]), "expected 3 labels, found dims [2]"),
        (labels, idx(&[3], [1, 2, 10]), "a label of 10"),
        ("t10k-labels-idx1-ubyte.gz", vec![1, 2, 3], "t10k-labels-idx1-ubyte.gz: "),
    ] {
        let folder = published();
        write(folder.path(), name, bytes);
        let error = Digits::load(folder.path()).err().expect(words).to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
    let folder = published();
    fs::remove_file(folder.path().join(labels)).expect("it is there");
    let error = Digits::load(folder.path()).err().expect("one is missing").to_string();
    assert!(error.contains("there is no train-labels-idx1-ubyte in"), "{error}");
    fs::remove_file(folder.path().join(images)).expect("it is there");
    for (digit, text, words) in [(9, "{\"data\": [1, 2]}", "2 pixels are no whole number"), (0, "{", "0.json: EOF")] {
        (0..10).for_each(|digit| write(folder.path(), &format!("{digit}.json"), "{\"data\": []}"));
        write(folder.path(), &format!("{digit}.json"), text);
        let error = Digits::load(folder.path()).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
