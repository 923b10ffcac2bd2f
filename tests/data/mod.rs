//! Pipelines: what they give, in which order, and what becomes of broken input.

mod files;
mod golden;
mod images;
mod kept;
mod order;
mod rows;
mod threads;

use modulor::data::Dataset;
use modulor::{Element, Result, Tensor};

/// All elements of some dataset of one tensor.
fn all<T: Element>(dataset: &Dataset<Tensor>) -> Vec<Vec<T>> {
    values(dataset.iter())
}

fn values<T: Element>(elements: impl Iterator<Item = Result<Tensor>>) -> Vec<Vec<T>> {
    elements.map(|element| element.unwrap().to_vec().unwrap()).collect()
}

/// All scalars of a dataset of int64.
fn numbers(elements: impl IntoIterator<Item = Result<Tensor>>) -> Vec<i64> {
    elements.into_iter().map(|element| element.unwrap().item().unwrap()).collect()
}

/// The error that an iteration ends with, and how many elements came before it.
fn refused<T: std::fmt::Debug + 'static>(dataset: &Dataset<T>) -> (usize, String) {
    let mut items = dataset.iter();
    let mut given = 0;
    loop {
        match items.next().expect("an error before the end") {
            Ok(_) => given += 1,
            Err(error) => {
                assert!(items.next().is_none(), "an error is the last item");
                return (given, error.to_string());
            }
        }
    }
}

/// That every rest of every one of the first epochs is the same elements as in the whole of it, and that the cardinality
/// is told rightly.
fn check_positions(dataset: &Dataset<Tensor>, length: usize) {
    if let Some(known) = dataset.cardinality().known() {
        assert_eq!(known, length as u64);
    }
    for epoch in [0, 1, 5] {
        let whole: Vec<Vec<u8>> = bytes(dataset, epoch, 0);
        assert_eq!(whole.len(), length, "epoch {epoch}");
        for skip in 0..=length + 1 {
            assert_eq!(bytes(dataset, epoch, skip as u64), whole[skip.min(length)..], "epoch {epoch}, skip {skip}");
        }
    }
}

fn bytes(dataset: &Dataset<Tensor>, epoch: u64, skip: u64) -> Vec<Vec<u8>> {
    dataset.iter_at(epoch, skip).map(|element| element.unwrap().to_bytes().unwrap()).collect()
}
