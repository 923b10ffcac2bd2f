//! Tensors print as TensorFlow prints them.

use crate::golden::{Entry, Fixture};
use crate::ops::tensor;
use serde::Deserialize;

#[derive(Deserialize)]
struct Printed {
    case: String,
    value: Entry,
    /// What `str` gives.
    str: String,
}

#[test]
fn tensors_print_as_tensorflow_prints_them() {
    let fixture = Fixture::<Printed>::read("printing").unwrap();
    let mut wrong = Vec::new();
    for printed in fixture.cases.iter().filter(|printed| printed.case != "variable") {
        let found = tensor(&fixture.array(&printed.value).unwrap()).to_string();
        if found != printed.str {
            wrong.push(format!("{}:\n{found}\n{}", printed.case, printed.str));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
