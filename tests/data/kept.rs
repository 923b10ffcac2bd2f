//! Elements kept in files, and lines read one by one.

use super::{check_positions, numbers, refused};
use modulor::data::{Csv, Dataset};
use modulor::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers, and how many of them have been made.
fn counted(length: i64) -> (Dataset<Tensor>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let made = count.clone();
    let numbers = Dataset::range(0..length).map(move |n| {
        made.fetch_add(1, Ordering::Relaxed);
        n.mul(&n)
    });
    (numbers, count)
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_file_is_written_once_and_read_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squares");
    let (squares, made) = counted(50);
    let kept = squares.cache_to_file(&path);
    let expected: Vec<i64> = (0..50).map(|n| n * n).collect();
    // An iteration that does not come to the end leaves nothing behind.
    {
        let mut items = kept.iter();
        assert_eq!(items.next().unwrap().unwrap().item::<i64>().unwrap(), 0);
        assert_eq!(names(folder.path()).len(), 1);
    }
    assert_eq!((names(folder.path()).len(), made.load(Ordering::Relaxed)), (0, 1));
    // One that leaves some out in front makes all of them.
    assert_eq!(numbers(kept.iter_at(3, 40)), expected[40..]);
    assert_eq!((names(folder.path()), made.load(Ordering::Relaxed)), (vec!["squares".to_owned()], 51));
    assert_eq!(numbers(&kept), expected);
    assert_eq!(numbers(&counted(7).0.cache_to_file(&path)), expected);
    assert_eq!(made.load(Ordering::Relaxed), 51);
    check_positions(&kept, 50);
    // Two at a time write what is the same.
    fs::remove_file(&path).unwrap();
    let (mut a, mut b) = (kept.iter(), kept.iter());
    let both: Vec<i64> = (0..100)
        .map(|at| if at % 2 == 0 { a.next() } else { b.next() })
        .map(|n| n.unwrap().unwrap().item().unwrap())
        .collect();
    assert!(a.next().is_none() && b.next().is_none());
    assert_eq!(both.iter().step_by(2).copied().collect::<Vec<_>>(), expected);
    assert_eq!((numbers(&kept), names(folder.path()).len()), (expected, 1));
}

#[derive(Structure, Clone)]
struct Sample {
    words: Tensor,
    more: Option<Tensor>,
    parts: Vec<Tensor>,
    masked: (Tensor, Tensor),
}

#[test]
fn elements_of_all_kinds_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let sample = |n: usize| Sample {
        words: Tensor::strings([2], ["", &"ä".repeat(n)]).unwrap(),
        more: n.is_multiple_of(2).then(|| Tensor::zeros([n, 0, 3], DType::BF16).unwrap()),
        parts: (0..n).map(|n| Tensor::scalar(n as u16)).collect(),
        masked: (
            Tensor::from([f64::NAN, -0.0]).with_mask(Some(Tensor::from([true, false]))),
            Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]).transpose().unwrap(),
        ),
    };
    let samples: Dataset<Sample> = (0..5).map(sample).collect();
    let kept = samples.cache_to_file(folder.path().join("samples"));
    assert_eq!(kept.iter().count(), 5);
    for (n, found) in kept.iter().enumerate() {
        let (found, expected) = (found.unwrap(), sample(n));
        assert_eq!(found.words.to_strings().unwrap(), expected.words.to_strings().unwrap());
        assert_eq!(found.more.as_ref().map(Tensor::spec), expected.more.as_ref().map(Tensor::spec));
        assert_eq!(found.parts.len(), n);
        let bits = |x: &Tensor| x.to_bytes().unwrap();
        assert_eq!(bits(&found.masked.0), bits(&expected.masked.0));
        assert_eq!(bits(found.masked.0.mask().unwrap()), [1, 0]);
        assert_eq!((found.masked.1.dims().unwrap(), bits(&found.masked.1)), (&[2, 2][..], bits(&expected.masked.1)));
    }
    let (given, message) = refused(&Dataset::range(0..1).cache_to_file(folder.path().join("samples")));
    assert!(given == 0 && message.contains("element 0 of") && message.contains("samples"), "{message}");
}

#[test]
fn a_file_that_is_not_whole_gives_no_wrong_elements() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squares");
    let kept = counted(6).0.cache_to_file(&path);
    let expected = numbers(&kept);
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8], about: String| {
        fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        for item in kept.iter() {
            match item {
                Ok(number) => found.push(number.item::<i64>().unwrap()),
                Err(error) => {
                    assert!(
                        error.to_string().contains("squares") && error.to_string().contains("remove the file"),
                        "{error}"
                    );
                    assert!(expected.starts_with(&found), "{about}: {found:?}");
                    return;
                }
            }
        }
        panic!("{about} is read to the end: {found:?}");
    };
    (0..whole.len()).for_each(|end| check(&whole[..end], format!("of {end} bytes")));
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, format!("with another byte {at}"));
    }
    check(&[&whole[..], b"more"].concat(), "with more".into());
    check(&[&whole[..], &whole[..]].concat(), "twice".into());
    fs::remove_file(&path).unwrap();
    let missing = counted(6).0.cache_to_file(folder.path().join("no/such/place"));
    let (given, message) = refused(&missing);
    assert!(given == 0 && message.contains("no/such/place"), "{message}");
    // An error of what stands before leaves nothing behind.
    let failing = Dataset::range(0..4).map(|n| match n.item::<i64>()? {
        2 => Err(Error::invalid_argument("two")),
        _ => Ok(n),
    });
    let (given, message) = refused(&failing.cache_to_file(&path));
    assert!(given == 2 && message.contains("two"), "{message}");
    assert_eq!(names(folder.path()).len(), 0);
}

#[test]
fn lines_are_read_one_by_one_as_all_are_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowers.csv");
    fs::write(&path, "petal,sepal,kind\n1.5,3,iris\n,4,\"a, rose\"\n-2,5,\n").unwrap();
    let csv = || {
        let csv = Csv::new(&path).select(["petal", "kind"]).default("petal", "0.25");
        csv.dtype("petal", DType::F32).dtype("kind", DType::String)
    };
    type Line = BTreeMap<String, Tensor>;
    let told = |lines: Dataset<Line>| -> Vec<(f32, String)> {
        let each = |line: Result<Line>| {
            let line = line.unwrap();
            assert_eq!(line.len(), 2);
            let kind = line["kind"].to_strings().unwrap()[0].to_vec();
            (line["petal"].item().unwrap(), String::from_utf8(kind).unwrap())
        };
        lines.iter().map(each).collect()
    };
    let lines = csv().stream::<Line>().unwrap();
    assert_eq!(told(lines.clone()), told(csv().rows::<Line>().unwrap()));
    assert_eq!(lines.iter_at(4, 2).count(), 1);
    let says = |error: Error, words: &str| assert!(error.to_string().contains(words), "{error}");
    says(csv().select(["sepal"]).stream::<Line>().unwrap_err(), "the dtype of column `sepal` must be said");
    says(csv().dtype("pental", DType::F32).stream::<Line>().unwrap_err(), "did you mean `petal`?");
    // Only what is drawn is read: what is wrong farther down is an error there.
    fs::write(&path, "1,x\n2,y\nthree,z\n4\n").unwrap();
    let csv = Csv::new(&path).header(false).dtype("0", DType::I32).dtype("1", DType::String);
    let lines = csv.stream::<Line>().unwrap();
    assert_eq!(lines.take(2).iter().filter(Result::is_ok).count(), 2);
    let (given, message) = refused(&lines);
    assert!(given == 2 && message.contains("line 3: column `0` of int32 has \"three\""), "{message}");
    let texts = csv.dtype("0", DType::String).stream::<Line>().unwrap();
    let (given, message) = refused(&texts);
    assert!(given == 3 && message.contains("line 4: 1 fields, and there are 2 columns"), "{message}");
    fs::remove_file(&path).unwrap();
    says(Csv::new(&path).stream::<Line>().unwrap_err(), "flowers.csv");
}
