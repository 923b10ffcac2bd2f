//! What a step of `fit` asks the allocator for once all is warm.

use super::*;
use crate::ops::asked;
use modulor::data::Dataset;
use modulor::keras::callback::{Callback, Context};

/// How often each step asked, and what came before it: the batch, and the callbacks after the step before.
struct Counts {
    last: usize,
    between: Vec<usize>,
    steps: Vec<usize>,
}

impl Counts {
    fn new() -> Counts {
        // They do not count themselves.
        Counts { last: 0, between: Vec::with_capacity(1000), steps: Vec::with_capacity(1000) }
    }

    /// Those of all steps but the first few.
    fn steady(&self) -> (&[usize], &[usize]) {
        (&self.between[4..], &self.steps[4..])
    }
}

impl Callback for Counts {
    fn name(&self) -> &str {
        "counts"
    }

    fn on_train_batch_begin(&mut self, _: usize, _: &mut Context) -> Result<()> {
        self.between.push(asked() - self.last);
        self.last = asked();
        Ok(())
    }

    fn on_train_batch_end(&mut self, _: usize, _: &mut Context) -> Result<()> {
        self.steps.push(asked() - self.last);
        self.last = asked();
        Ok(())
    }
}

fn small() -> Sequential {
    Sequential::new().add(Dense::new(32).activation("relu")).add(Dense::new(10))
}

#[test]
fn a_steady_step_asks_for_nothing_and_its_batch_for_little() {
    let (x, y) = (rows(480, 64), classes(&rows(480, 64), 10));
    let loss = || SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
    let trainer = || small().compile(Adam::new(), loss()).unwrap().metrics(["accuracy"]).unwrap();

    let seen = |what: &str, train: &dyn Fn(&mut Counts)| {
        let mut counts = Counts::new();
        train(&mut counts);
        let (between, steps) = counts.steady();
        assert!(steps.len() > 5 && steps.iter().all(|&asked| asked == 0), "{what}: the steps asked {steps:?}");
        between.iter().copied().max().expect("there were batches")
    };
    let shuffled = seen("shuffled tensors", &|counts| {
        trainer().fit(&x, &y).batch_size(32).verbose(0).callback(counts).run().unwrap();
    });
    let in_order = seen("tensors", &|counts| {
        trainer().fit(&x, &y).batch_size(32).shuffle(false).verbose(0).callback(counts).run().unwrap();
    });
    let dataset = Dataset::from_tensor_slices((x.clone(), y.clone())).unwrap().shuffle(usize::MAX, 1).batch(32);
    let of_dataset = seen("a dataset", &|counts| {
        trainer().fit_batches(&dataset).verbose(0).callback(counts).run().unwrap();
    });
    let dataset = Dataset::from_tensor_slices((x.clone(), y.clone())).unwrap().batch(32);
    let of_dataset_in_order = seen("a dataset in order", &|counts| {
        trainer().fit_batches(&dataset).verbose(0).callback(counts).run().unwrap();
    });
    // Rows that are gathered lie in buffers, and what is asked for is their numbers; rows that lie behind one another are
    // views.
    assert!(shuffled <= 8 && of_dataset <= 10, "{shuffled} {of_dataset}");
    assert!(in_order <= 8 && of_dataset_in_order <= 10, "{in_order} {of_dataset_in_order}");
}
