//! A model's calls one after the other, in an order and with places for their results that are worked out once.

use super::graph::{Graph, Kind, Masked, Source};
use modulor::op::dispatch_given;
use modulor::{Error, Result, Tensor};
use std::borrow::Cow;

/// When the results of a model may be let go of.
pub(super) struct Schedule {
    /// Of each step, the place of its first result.
    first: Vec<usize>,
    /// Of each place, the last step that takes it; the number of steps for one that is an output.
    last: Vec<usize>,
}

impl Schedule {
    pub fn of(graph: &Graph) -> Schedule {
        let mut count = 0;
        let first: Vec<usize> = graph
            .steps
            .iter()
            .map(|step| {
                count += step.outputs;
                count - step.outputs
            })
            .collect();
        let mut last = vec![0; count];
        for (at, step) in graph.steps.iter().enumerate() {
            step.inputs.iter().for_each(|source| mark(source, at, &first, &mut last));
        }
        graph.results.iter().for_each(|source| mark(source, graph.steps.len(), &first, &mut last));
        Schedule { first, last }
    }

    /// Calls all layers and operations; the outputs, in order.
    pub fn run(&self, graph: &Graph, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let mut held = Held { schedule: self, tensors: vec![None; self.last.len()] };
        let mut inputs = inputs.into_iter();
        for (at, step) in graph.steps.iter().enumerate() {
            let results = match &step.kind {
                Kind::Input => {
                    vec![inputs.next().ok_or_else(|| Error::internal("a model has fewer inputs than steps"))?]
                }
                Kind::Layer(layer) => {
                    let taken = step.inputs.iter().map(|source| held.take(source)).collect::<Result<Vec<_>>>()?;
                    layer.call(&mut taken.into_iter())?
                }
                Kind::Op(op) => {
                    let taken = step.inputs.iter().map(|source| held.give(source, at)).collect::<Result<Vec<_>>>()?;
                    dispatch_given(op.clone(), taken).map_err(|error| error.within(&graph.places[step.place].name))?
                }
            };
            held.keep(at, &step.kind, results);
            step.inputs.iter().for_each(|source| held.drop_after(source, at));
        }
        graph.results.iter().map(|source| held.take(source)).collect()
    }
}

/// Says that a source is needed until `step`.
fn mark(source: &Source, step: usize, first: &[usize], last: &mut [usize]) {
    let Source::Made { step: from, output, mask } = source else { return };
    last[first[*from] + output] = step;
    if let Masked::By(mask) = mask {
        mark(mask, step, first, last);
    }
}

/// The results of a run under way that are still needed.
struct Held<'a> {
    schedule: &'a Schedule,
    tensors: Vec<Option<Tensor>>,
}

impl Held<'_> {
    fn place(&self, step: usize, output: usize) -> usize {
        self.schedule.first[step] + output
    }

    fn missing(&self) -> Error {
        Error::failed_precondition("a layer gave no mask, and gave one when the model was made")
    }

    /// A tensor with its mask.
    fn take(&self, source: &Source) -> Result<Tensor> {
        match source {
            Source::Value(value) => Ok(value.clone()),
            Source::Made { step: from, output, mask } => {
                let tensor = self.tensors[self.place(*from, *output)].as_ref().ok_or_else(|| self.missing())?;
                Ok(match mask {
                    Masked::Own => tensor.clone(),
                    Masked::Not => tensor.with_mask(None),
                    Masked::By(mask) => tensor.with_mask(Some(self.take(mask)?)),
                })
            }
        }
    }

    /// A tensor for an operation, which may write over one that nothing takes after it.
    fn give<'t>(&mut self, source: &'t Source, step: usize) -> Result<Cow<'t, Tensor>> {
        match source {
            Source::Value(value) => Ok(Cow::Borrowed(value)),
            Source::Made { step: from, output, .. } => {
                let place = self.place(*from, *output);
                let is_last = self.schedule.last[place] == step;
                let tensor = if is_last { self.tensors[place].take() } else { self.tensors[place].clone() };
                tensor.map(Cow::Owned).ok_or_else(|| self.missing())
            }
        }
    }

    fn keep(&mut self, step: usize, kind: &Kind, results: Vec<Tensor>) {
        let first = self.schedule.first[step];
        let needed = |place: usize| self.schedule.last[place] > step;
        for (output, result) in results.into_iter().enumerate() {
            let mask = match kind {
                Kind::Layer(layer) => layer.mask(output),
                Kind::Input | Kind::Op(_) => None,
            };
            if let Some(mask) = mask.filter(|mask| needed(first + mask)) {
                self.tensors[first + mask] = result.mask().cloned();
            }
            if needed(first + output) {
                self.tensors[first + output] = Some(result);
            }
        }
    }

    /// Lets go of what nothing takes after this step.
    fn drop_after(&mut self, source: &Source, step: usize) {
        let Source::Made { step: from, output, mask } = source else { return };
        let place = self.place(*from, *output);
        if self.schedule.last[place] == step {
            self.tensors[place] = None;
        }
        if let Masked::By(mask) = mask {
            self.drop_after(mask, step);
        }
    }
}
