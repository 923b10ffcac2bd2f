//! The names that the derive checks at compile time are those that the library knows.

use modulor::DType;
use modulor::keras::{
    constraint::{AnyConstraint, CONSTRAINTS},
    initializer::{AnyInitializer, INITIALIZERS},
    regularizer::{AnyRegularizer, REGULARIZERS},
};

#[path = "../../derive/src/names.rs"]
mod known;

fn classes(rows: &'static [&'static [&'static str]]) -> Vec<&'static str> {
    rows.iter().map(|row| row[1]).collect()
}

#[test]
fn every_class_has_its_row() {
    assert_eq!(classes(known::INITIALIZERS), INITIALIZERS);
    assert_eq!(classes(known::REGULARIZERS), REGULARIZERS);
    assert_eq!(classes(known::CONSTRAINTS), CONSTRAINTS);
}

#[test]
fn every_name_of_a_row_is_known_at_run_time() {
    for row in known::INITIALIZERS {
        for name in *row {
            assert_eq!(AnyInitializer::named(name).expect(name).class_name(), row[1]);
        }
    }
    for name in known::REGULARIZERS.concat() {
        AnyRegularizer::named(name).expect(name);
    }
    for name in known::CONSTRAINTS.concat() {
        AnyConstraint::named(name).expect(name);
    }
    let dtypes: Vec<_> = DType::ALL.iter().filter(|dtype| dtype.has_elements()).map(|dtype| dtype.name()).collect();
    let mut known = known::DTYPES.concat();
    assert!(known.iter().all(|name| dtypes.contains(name)));
    known.sort_unstable();
    assert_eq!(known.len(), dtypes.len(), "{known:?} {dtypes:?}");
}
