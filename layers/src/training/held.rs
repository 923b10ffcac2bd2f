//! Metrics that layers hold, and count in.

use crate::metric::{Mean, Sum};
use modulor::module::{Module, Track, Visitor};
use modulor::{Result, Tensor, Variable};
use std::any::Any;
use std::sync::Arc;

/// A metric of numbers that a layer computes, as a field of it: it is counted in `forward`, and told in the logs.
pub(super) enum Held {
    Mean(Mean),
    Sum(Sum),
}

impl Held {
    pub fn name(&self) -> &str {
        match self {
            Held::Mean(mean) => mean.label(),
            Held::Sum(sum) => sum.label(),
        }
    }

    pub fn result(&self) -> Result<Tensor> {
        match self {
            Held::Mean(mean) => mean.result(),
            Held::Sum(sum) => sum.result(),
        }
    }

    pub fn reset_state(&self) -> Result<()> {
        match self {
            Held::Mean(mean) => mean.reset_state(),
            Held::Sum(sum) => sum.reset_state(),
        }
    }

    pub fn into_module(self) -> Arc<dyn Module> {
        match self {
            Held::Mean(mean) => Arc::new(mean),
            Held::Sum(sum) => Arc::new(sum),
        }
    }
}

/// Those of all layers of a model, each once.
pub(super) fn held_by(model: &dyn Module) -> Vec<Held> {
    struct Search(Vec<Held>);
    impl Visitor for Search {
        fn variable(&mut self, _: &str, _: &Variable) {}

        fn module(&mut self, _: &str, module: &dyn Module) {
            let any = module.as_module() as &dyn Any;
            match (any.downcast_ref::<Mean>(), any.downcast_ref::<Sum>()) {
                (Some(mean), _) => self.0.push(Held::Mean(mean.share())),
                (_, Some(sum)) => self.0.push(Held::Sum(sum.share())),
                _ => module.fields(self),
            }
        }
    }
    let mut search = Search(Vec::new());
    model.fields(&mut search);
    search.0
}
