//! All that is wrong at once, as a table.

use super::case::{CASES, Case, reals};
use modulor::{DType, Result, Tensor};
use std::collections::BTreeMap;

/// What of ours differs from TensorFlow's on purpose: op, what the case's name contains, how the check begins, why.
const DELIBERATE: &[[&str; 4]] = &[
    ["Cast", "Truncate", "result", "casts round; this one is refused as Unimplemented"],
    ["Erf", "float64 special values", "", "TensorFlow's float64 erf is NaN at the lowest numbers, where it is -1"],
    ["FloorDiv", "special values", "bits", "a quotient that underflows is -0 there, and floored to -1 here"],
    ["PadV2", "", "float64 gradient of input 2", "TensorFlow gives none for the value that is padded with"],
    ["PadV2", "", "float32 gradient of input 2", "TensorFlow gives none for the value that is padded with"],
    ["Prod", "zero", "slope of gradient", "as TensorFlow's, the gradient of a cumulative product leaves zeros out"],
    ["Round", "int", "bits", "TensorFlow's kernel leaves integers at 0, against its documentation"],
    ["SoftmaxCrossEntropyWithLogits", "[1,5]", "float", "TensorFlow does not sum a gradient to its input's shape here"],
    ["SoftmaxCrossEntropyWithLogits", "both", "float", "TensorFlow leaves out what the second output gives the labels"],
    ["TensorScatterUpdate", "[[1], [1]]", "slope", "as TensorFlow's, the gradient goes to both updates of one place"],
];

/// Rows of op, case, what, found, expected.
#[derive(Default)]
pub struct Report {
    rows: Vec<[String; 5]>,
}

/// More rows than this are counted, and not shown.
const SHOWN: usize = 150;

impl Report {
    pub fn new() -> Report {
        Report::default()
    }

    /// One thing that is wrong with one case.
    pub fn add(&mut self, case: &Case, what: &str, found: impl ToString, expected: impl ToString) {
        let known = |&[op, name, check, _]: &[&str; 4]| {
            op == case.def.name && case.golden.case.contains(name) && what.starts_with(check)
        };
        if DELIBERATE.iter().any(known) {
            return;
        }
        let row = [
            case.def.name.to_owned(),
            case.golden.case.clone(),
            what.to_owned(),
            found.to_string(),
            expected.to_string(),
        ];
        self.rows.push(row);
    }

    /// Compares outputs with those of another way to compute them: bit for bit.
    pub fn same(&mut self, case: &Case, what: &str, found: &Result<Vec<Tensor>>, expected: &[Tensor]) {
        match found {
            Err(error) => self.add(case, what, format!("{error:?}"), "the same outputs"),
            Ok(found) if found.len() != expected.len() => self.add(case, what, found.len(), expected.len()),
            Ok(found) => {
                for (found, expected) in found.iter().zip(expected) {
                    if let Some((found, expected)) = difference(found, expected) {
                        self.add(case, what, found, expected);
                    }
                }
            }
        }
    }

    /// Fails the test if anything was added.
    pub fn finish(self) {
        if self.rows.is_empty() {
            return;
        }
        let mut counts: BTreeMap<[&str; 2], usize> = BTreeMap::new();
        for [op, _, what, ..] in &self.rows {
            *counts.entry([op, what]).or_default() += 1;
        }
        let mut text = format!("{} failures\n", self.rows.len());
        for row in self.rows.iter().take(SHOWN) {
            text +=
                &format!("  {}\n", row.each_ref().map(|cell| cell.chars().take(110).collect::<String>()).join(" | "));
        }
        for ([op, what], count) in counts {
            text += &format!("  {count} x {op}: {what}\n");
        }
        panic!("{text}");
    }
}

/// The first place where two tensors differ, if they do: dtype, shape, any bit of any element.
pub fn difference(found: &Tensor, expected: &Tensor) -> Option<(String, String)> {
    if found.spec() != expected.spec() {
        return Some((found.spec().to_string(), expected.spec().to_string()));
    }
    if found.dtype() == DType::String {
        let strings = [found, expected].map(|t| t.to_strings());
        let [Ok(a), Ok(b)] = &strings else { return Some((format!("{:?}", strings[0]), format!("{:?}", strings[1]))) };
        return (a != b).then(|| (format!("{a:?}"), format!("{b:?}")));
    }
    let (a, b) = match (found.to_bytes(), expected.to_bytes()) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => return Some((format!("{:?}", a.err()), format!("{:?}", b.err()))),
    };
    let size = found.dtype().size();
    let at = a.chunks(size).zip(b.chunks(size)).position(|(a, b)| a != b)?;
    let show = |t: &Tensor, bytes: &[u8]| {
        let value = reals(t).get(at).copied().unwrap_or(f64::NAN);
        format!("[{at}] {value:?} {:x?}", &bytes[at * size..][..size])
    };
    Some((show(found, &a), show(expected, &b)))
}

#[test]
fn every_difference_that_is_allowed_is_of_a_case() {
    for [op, name, ..] in DELIBERATE {
        let of = |case: &Case| case.def.name == *op && case.golden.case.contains(name);
        assert!(CASES.iter().any(of), "no case of {op} contains {name:?}");
    }
}
