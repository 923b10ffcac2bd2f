//! Ops in a row that treat each sample by itself, on some samples at a time.

use super::Uses;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Input, Op, Scratch, View, ViewMut};
use crate::tensor::{Layout, bytes_of};
use crate::{DType, Error, Result, Spec};
use smallvec::SmallVec;
use std::sync::Arc;

/// The bytes of what lies between the ops for so many samples as go together: they stay in the cache.
const BYTES: usize = 1 << 21;

/// Ops of which each reads the one before, on some samples at a time, so that what lies between them never reaches memory. The
/// inputs are all of the first, then those of the others but for their first. Bits are the same.
#[derive(Debug)]
struct BySamples {
    steps: Vec<Step>,
    /// How many samples go together, and all of them.
    samples: usize,
    all: usize,
    spec: Spec,
}

#[derive(Debug)]
struct Step {
    op: Arc<dyn Op>,
    /// For each of the inputs beside the first, whether it is of these samples too.
    others: Vec<bool>,
    dtype: DType,
    /// The output for as many samples as go together, and for those that are left.
    layouts: [Layout; 2],
}

impl Step {
    fn words(&self) -> Result<usize> {
        let elements = self.layouts[0].dims.iter().product();
        Ok(bytes_of(self.dtype, elements)?.div_ceil(size_of::<u128>()))
    }

    /// The dims of the other inputs, for so many samples.
    fn dims(&self, others: &[View], count: usize) -> SmallVec<[SmallVec<[usize; 6]>; 3]> {
        let dims = |(view, is_sampled): (&View, &bool)| {
            let mut dims: SmallVec<[usize; 6]> = view.dims().into();
            if *is_sampled {
                dims[0] = count;
            }
            dims
        };
        others.iter().zip(&self.others).map(dims).collect()
    }

    /// The inputs, of the samples from one on.
    fn with<'a>(
        &self,
        first: View<'a>,
        others: &[View<'a>],
        dims: &'a [SmallVec<[usize; 6]>],
        start: usize,
    ) -> SmallVec<[View<'a>; 4]> {
        let others = others.iter().zip(dims).zip(&self.others);
        let others =
            others.map(|((view, dims), &is_sampled)| if is_sampled { view.samples(start, dims) } else { *view });
        [first].into_iter().chain(others).collect()
    }
}

/// Gathers ops that follow each other sample by sample, where much lies between them.
pub(crate) fn by_samples(mut graph: Graph) -> Graph {
    let uses = Uses::of(&graph);
    let mut taken = vec![false; graph.nodes.len()];
    for at in 0..graph.nodes.len() {
        let mut row = vec![at];
        let mut last = at;
        while !taken[last]
            && sampled(&graph, &graph.nodes[last]).is_some()
            && let &[Some(next)] = uses.of_edge(&Edge { node: last, output: 0 })
            && sampled(&graph, &graph.nodes[next]).is_some()
            && graph.nodes[next].inputs[0] == (Edge { node: last, output: 0 })
        {
            row.push(next);
            last = next;
        }
        if let Some(node) = gathered(&graph, &row) {
            row.iter().for_each(|&at| taken[at] = true);
            graph.nodes[last] = node;
        }
    }
    graph.without_unused()
}

/// For each input, whether its first axis is that of the samples; none if the node does not treat each by itself.
fn sampled(graph: &Graph, node: &GraphNode) -> Option<Vec<bool>> {
    let (Kind::Op(op), [spec]) = (&node.kind, &*node.specs) else { return None };
    spec.shape.elements().filter(|&elements| elements > 0)?;
    let is_like = |edge: &Edge| graph.nodes[edge.node].specs[edge.output].shape == spec.shape;
    if op.scalar().is_some() && node.inputs.iter().all(is_like) {
        return Some(vec![true; node.inputs.len()]);
    }
    let own = op.samples();
    own.contains(&0).then(|| (0..node.inputs.len()).map(|input| own.contains(&input)).collect())
}

/// The node that does what these do; none where there is no need of it.
fn gathered(graph: &Graph, row: &[usize]) -> Option<GraphNode> {
    let (&last, before) = row.split_last().filter(|(_, before)| !before.is_empty())?;
    let dims = |at: usize| graph.nodes[at].specs[0].shape.known();
    let all = *dims(last)?.first()?;
    let bytes = |&at: &usize| bytes_of(graph.nodes[at].specs[0].dtype, dims(at)?.iter().product()).ok();
    let between = before.iter().map(bytes).sum::<Option<usize>>()?;
    let samples = (BYTES / between.div_ceil(all)).clamp(1, all);
    if samples * 2 > all || row.iter().any(|&at| dims(at).and_then(|dims| dims.first()) != Some(&all)) {
        return None;
    }
    let mut inputs = vec![graph.nodes[row[0]].inputs[0]];
    let steps = row.iter().map(|&at| {
        let node = &graph.nodes[at];
        let Kind::Op(op) = &node.kind else { return None };
        inputs.extend(&node.inputs[1..]);
        let layouts = [samples, all % samples].map(|count| {
            let mut own = dims(at).unwrap_or_default().to_vec();
            own[0] = count;
            Layout::contiguous(own)
        });
        let others = sampled(graph, node)?.split_off(1);
        Some(Step { op: op.clone(), others, dtype: node.specs[0].dtype, layouts })
    });
    let steps = steps.collect::<Option<Vec<_>>>()?;
    let GraphNode { specs, path, .. } = graph.nodes[last].clone();
    let op = BySamples { steps, samples, all, spec: specs[0].clone() };
    Some(GraphNode { kind: Kind::Op(Arc::new(op)), inputs, specs, path })
}

impl Op for BySamples {
    fn name(&self) -> &'static str {
        "BySamples"
    }
    fn describe(&self) -> String {
        self.steps.iter().map(|step| step.op.describe()).collect::<Vec<_>>().join(" → ")
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        let (mut first, mut others, mut flops) = (inputs[0].clone(), &inputs[1..], 0);
        for step in &self.steps {
            let (own, rest) = others.split_at(step.others.len());
            others = rest;
            let mut dims = step.layouts[0].dims.to_vec();
            dims[0] = self.all;
            let output = Spec::new(step.dtype, &*dims);
            flops += step.op.flops(&[&[first], own].concat(), std::slice::from_ref(&output));
            first = output;
        }
        flops
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(vec![self.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        // A few samples may take more than many.
        let counts = [self.samples, self.all % self.samples];
        (0..2)
            .filter(|&which| counts[which] > 0)
            .map(|which| self.scratch_of(inputs, counts[which], which))
            .fold(0, usize::max)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let between = &self.steps[..self.steps.len() - 1];
        let words = between.iter().map(Step::words).sum::<Result<usize>>()?;
        let mut room = scratch.aside(words)?;
        let ran = self.run_in(inputs, &mut outputs[0], &mut room, scratch);
        scratch.put_aside(room);
        ran
    }
}

impl BySamples {
    fn scratch_of(&self, inputs: &[View], count: usize, which: usize) -> usize {
        let mut dims: SmallVec<[usize; 6]> = inputs[0].dims().into();
        dims[0] = count;
        let (mut first, mut most, mut others) = (inputs[0].samples(0, &dims), 0, &inputs[1..]);
        for step in &self.steps {
            let (own, rest) = others.split_at(step.others.len());
            others = rest;
            let (dims, layout) = (step.dims(own, count), &step.layouts[which]);
            most = most
                .max(step.op.scratch(&step.with(first, own, &dims, 0), &[ViewMut::hollow(step.dtype, &layout.dims)]));
            first = View::within(step.dtype, layout, 0, &[]);
        }
        most
    }

    fn run_in(&self, inputs: &[View], out: &mut ViewMut, room: &mut [u128], scratch: &mut Scratch) -> Result<()> {
        let mut dims: SmallVec<[usize; 6]> = inputs[0].dims().into();
        let (last, before) = self.steps.split_last().ok_or_else(|| Error::internal("there are ops in a row"))?;
        let bytes_of_sample = out.bytes().len() / self.all;
        for start in (0..self.all).step_by(self.samples) {
            let count = self.samples.min(self.all - start);
            let which = usize::from(count < self.samples);
            dims[0] = count;
            let mut first = inputs[0].samples(start, &dims);
            let (mut others, mut rest) = (&inputs[1..], &mut room[..]);
            let mut call = |step: &Step, first: View, out: ViewMut| {
                let (own, after) = others.split_at(step.others.len());
                others = after;
                step.op.run(&step.with(first, own, &step.dims(own, count), start), &mut [out], scratch)
            };
            for step in before {
                let (own, after) = rest.split_at_mut(step.words()?);
                rest = after;
                let layout = &step.layouts[which];
                let bytes = bytes_of(step.dtype, layout.dims.iter().product())?;
                let own = &mut bytemuck::cast_slice_mut(own)[..bytes];
                call(step, first, ViewMut::new(step.dtype, &layout.dims, own)?)?;
                first = View::within(step.dtype, layout, 0, own);
            }
            let own = &mut out.bytes()[start * bytes_of_sample..][..count * bytes_of_sample];
            call(last, first, ViewMut::new(last.dtype, &last.layouts[which].dims, own)?)?;
        }
        Ok(())
    }
}
