//! `fit`, `evaluate` and `predict`: beside Keras, interrupted and taken up again, and with what goes wrong.

mod allocation;
mod callbacks;
mod faults;
mod progress;
mod referee;
mod resume;
mod settings;

use modulor::keras::training::{Batch, Batches};
use modulor::prelude::*;
use modulor::{DType, Tree};

/// Rows of numbers that follow from their places.
fn rows(samples: usize, width: usize) -> Tensor {
    let value = |at: usize| ((at * 37 + 11) % 101) as f32 / 50.0 - 1.0;
    Tensor::new([samples, width], (0..samples * width).map(value).collect::<Vec<f32>>()).unwrap()
}

/// A class for each row, that follows from it.
fn classes(x: &Tensor, count: i64) -> Tensor {
    let places = x.sum(-1).unwrap().to_vec::<f32>().unwrap();
    Tensor::from(places.iter().map(|sum| (sum * 3.0).floor().rem_euclid(count as f32) as i64).collect::<Vec<i64>>())
}

/// A model that forgets, normalizes and answers, with paths of its own.
fn model() -> Sequential {
    let model = Sequential::new()
        .add(Dense::new(8).activation("relu"))
        .add(modulor::keras::library::BatchNormalization::new())
        .add(Dropout::new(0.25))
        .add(Dense::new(3).activation("softmax"));
    modulor::module::name::stamp(&model, "fitted");
    model
}

/// The bits of all variables of a model.
fn bits(model: &impl Module) -> Vec<u8> {
    model.variables().iter().flat_map(|variable| variable.value().unwrap().to_bytes().unwrap()).collect()
}

/// Batches that come from a closure of the epoch and the place in it.
struct From<F>(Option<usize>, F);

impl<F: Fn(usize, usize) -> Option<Result<(Tensor, Tensor)>>> Batches<Tensor> for From<F> {
    fn cardinality(&self) -> Option<usize> {
        self.0
    }

    fn epoch<'b>(
        &'b self,
        _: u64,
        epoch: usize,
        skip: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch<Tensor>>> + 'b>> {
        let batches = (skip..).map_while(move |at| (self.1)(epoch, at));
        Ok(Box::new(batches.map(|given| given.map(|(x, y)| Batch { x, y: Tree::Leaf(y), weight: Tree::None }))))
    }
}

fn zeros(dims: [usize; 2]) -> Tensor {
    Tensor::zeros(dims, DType::F32).unwrap()
}
