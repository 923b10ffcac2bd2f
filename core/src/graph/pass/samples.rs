//! Ops in a row that treat each sample by itself, on some samples at a time.

use super::Uses;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Input, Op, Scratch, View, ViewMut};
use crate::tensor::{Layout, bytes_of};
use crate::{DType, Result, Spec};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of what lies between the ops for so many samples as go together: they stay in the cache.
const BYTES: usize = 1 << 19;
/// The most ops in a row, each of which may be an output.
const KEPT: usize = 8;
/// What more nodes than these read begins no row, so that the time for a graph stays in proportion to its size.
const USERS: usize = 64;

/// Ops of which each reads one before, on some samples at a time, so that what lies between them is read while it is in the
/// cache. What others read of it is an output too; the rest never reaches memory. Bits are the same.
#[derive(Debug)]
struct BySamples {
    steps: Vec<Step>,
    /// How many samples go together, and all of them.
    samples: usize,
    all: usize,
    /// What is kept, in the order of the steps, the last of which is.
    specs: Vec<Spec>,
}

#[derive(Debug)]
struct Step {
    op: Arc<dyn Op>,
    sources: SmallVec<[Source; 4]>,
    dtype: DType,
    /// The output for as many samples as go together, and for those that are left.
    layouts: [Layout; 2],
    place: Place,
}

impl Step {
    /// The bytes of the output, of as many samples as one of the layouts has.
    fn bytes(&self, which: usize) -> Result<usize> {
        bytes_of(self.dtype, self.layouts[which].dims.iter().product())
    }
}

/// What a step reads.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// What the step of this number made.
    Step(usize),
    /// An input, whole.
    Whole(usize),
    /// An input, of these samples.
    Samples(usize),
}

/// Where the output of a step goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The output of this number.
    Kept(usize),
    /// So many words from the first on that are aside.
    Aside { first: usize, count: usize },
}

/// Gathers ops that follow each other sample by sample, where much lies between them.
pub(crate) fn by_samples(graph: Graph) -> Graph {
    let mut graph = with_values_first(graph);
    let uses = Uses::of(&graph);
    // Where each node runs, and where what is read of it has gone.
    let mut places: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut taken = vec![false; graph.nodes.len()];
    let mut moved: HashMap<usize, Edge> = HashMap::new();
    for at in 0..graph.nodes.len() {
        // Little is small enough as it is.
        let bytes = |spec: &Spec| bytes_of(spec.dtype, spec.shape.elements()?).ok();
        let is_little = |spec: &Spec| bytes(spec).is_none_or(|bytes| bytes < 2 * BYTES / KEPT);
        if taken[at] || graph.nodes[at].specs.iter().all(is_little) || sampled(&graph, at).is_none() {
            continue;
        }
        let mut row = vec![at];
        while row.len() < KEPT
            && let Some(next) = next(&graph, &uses, &places, &taken, &row)
        {
            row.push(next);
        }
        let Some(place) = place(&graph, &uses, &places, &row) else { continue };
        let Some((node, kept)) = gathered(&graph, &uses, &row) else { continue };
        for (output, &at) in kept.iter().enumerate() {
            moved.insert(at, Edge { node: place, output });
        }
        for &at in &row {
            (taken[at], places[at]) = (true, place);
        }
        // The others of the row stay until nothing reads them.
        graph.nodes[place] = node;
    }
    let edges = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut graph.outputs);
    for edge in edges {
        if let Some(&to) = moved.get(&edge.node) {
            *edge = to;
        }
    }
    graph.without_unused()
}

/// The graph with what is there from the start in front.
fn with_values_first(mut graph: Graph) -> Graph {
    let (first, others): (Vec<usize>, Vec<usize>) = (0..graph.nodes.len())
        .partition(|&at| graph.nodes[at].inputs.is_empty() && !matches!(graph.nodes[at].kind, Kind::Op(_)));
    let mut moved = vec![0; graph.nodes.len()];
    for (to, &at) in first.iter().chain(&others).enumerate() {
        moved[at] = to;
    }
    let mut nodes: Vec<(usize, GraphNode)> = moved.iter().copied().zip(graph.nodes).collect();
    nodes.sort_by_key(|&(to, _)| to);
    graph.nodes = nodes.into_iter().map(|(_, node)| node).collect();
    let edges = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut graph.outputs);
    edges.for_each(|edge| edge.node = moved[edge.node]);
    graph.inputs.iter_mut().for_each(|node| *node = moved[*node]);
    graph
}

/// For each input of a node of one output, whether its first axis is that of the samples; none if the node does not treat
/// each by itself.
fn sampled(graph: &Graph, at: usize) -> Option<Vec<bool>> {
    let node = &graph.nodes[at];
    let (Kind::Op(op), [spec]) = (&node.kind, &*node.specs) else { return None };
    spec.shape.elements().filter(|&elements| elements > 0)?;
    let is_like = |edge: &Edge| graph.nodes[edge.node].specs[edge.output].shape == spec.shape;
    if op.scalar().is_some() && node.inputs.iter().all(is_like) {
        return Some(vec![true; node.inputs.len()]);
    }
    let own = op.samples();
    (!own.is_empty()).then(|| (0..node.inputs.len()).map(|input| own.contains(&input)).collect())
}

/// A node that may follow the last of a row.
fn next(graph: &Graph, uses: &Uses, places: &[usize], taken: &[bool], row: &[usize]) -> Option<usize> {
    let last = Edge { node: *row.last()?, output: 0 };
    let users = uses.of_edge(&last);
    if users.len() > USERS {
        return None;
    }
    let users = users.iter().flatten().copied();
    users.filter(|&user| !taken[user] && !row.contains(&user)).find(|&user| {
        let follows = |sampled: Vec<bool>| {
            graph.nodes[user].inputs.iter().zip(sampled).any(|(edge, is_sampled)| is_sampled && *edge == last)
        };
        let reads_samples_of_row = |sampled: Vec<bool>| {
            let mut inputs = graph.nodes[user].inputs.iter().zip(sampled);
            inputs.all(|(edge, is_sampled)| is_sampled || !row.contains(&edge.node))
        };
        let longer: Vec<usize> = row.iter().copied().chain([user]).collect();
        sampled(graph, user).is_some_and(follows)
            && sampled(graph, user).is_some_and(reads_samples_of_row)
            && place(graph, uses, places, &longer).is_some()
    })
}

/// Where in the running order a row can run as one: behind all that it reads and before all that read it.
fn place(graph: &Graph, uses: &Uses, places: &[usize], row: &[usize]) -> Option<usize> {
    let is_outside = |at: &usize| !row.contains(at);
    let inputs = row.iter().flat_map(|&at| &graph.nodes[at].inputs).map(|edge| edge.node);
    let after = inputs.filter(is_outside).map(|at| places[at]).max();
    let users = row.iter().flat_map(|&node| uses.of_edge(&Edge { node, output: 0 })).flatten().copied();
    let before = users.filter(is_outside).map(|at| places[at]).min();
    row.iter().copied().find(|&at| after.is_none_or(|after| after < at) && before.is_none_or(|before| at < before))
}

/// The node that does what these do, and those whose outputs it has; none where there is no need of it.
fn gathered(graph: &Graph, uses: &Uses, row: &[usize]) -> Option<(GraphNode, Vec<usize>)> {
    let (&last, before) = row.split_last().filter(|(_, before)| !before.is_empty())?;
    let dims = |at: usize| graph.nodes[at].specs[0].shape.known();
    let all = *dims(last)?.first()?;
    let bytes = |&at: &usize| bytes_of(graph.nodes[at].specs[0].dtype, dims(at)?.iter().product()).ok();
    let between = before.iter().map(bytes).sum::<Option<usize>>()?;
    let samples = (BYTES / between.div_ceil(all)).clamp(1, all);
    if samples * 2 > all || row.iter().any(|&at| dims(at).and_then(|dims| dims.first()) != Some(&all)) {
        return None;
    }
    let is_kept = |at: usize| {
        let mut users = uses.of_edge(&Edge { node: at, output: 0 }).iter();
        at == last || users.any(|user| user.is_none_or(|user| !row.contains(&user)))
    };
    let (mut inputs, mut kept, mut aside) = (Vec::new(), Vec::new(), 0);
    let steps = row.iter().map(|&at| {
        let node = &graph.nodes[at];
        let Kind::Op(op) = &node.kind else { return None };
        let layouts = [samples, all % samples].map(|count| {
            let mut own = dims(at).unwrap_or_default().to_vec();
            own[0] = count;
            Layout::contiguous(own)
        });
        let sources = node.inputs.iter().zip(sampled(graph, at)?).map(|(edge, is_sampled)| {
            if let Some(step) = row.iter().position(|&at| at == edge.node) {
                return Source::Step(step);
            }
            let number = inputs.iter().position(|input| input == edge).unwrap_or_else(|| {
                inputs.push(*edge);
                inputs.len() - 1
            });
            if is_sampled { Source::Samples(number) } else { Source::Whole(number) }
        });
        let sources = sources.collect();
        let dtype = node.specs[0].dtype;
        let place = if is_kept(at) {
            kept.push(at);
            Place::Kept(kept.len() - 1)
        } else {
            let count = bytes_of(dtype, layouts[0].dims.iter().product()).ok()?.div_ceil(size_of::<u128>());
            aside += count;
            Place::Aside { first: aside - count, count }
        };
        Some(Step { op: op.clone(), sources, dtype, layouts, place })
    });
    let steps = steps.collect::<Option<Vec<_>>>()?;
    let specs: Vec<Spec> = kept.iter().map(|&at| graph.nodes[at].specs[0].clone()).collect();
    let op = BySamples { steps, samples, all, specs: specs.clone() };
    let path = graph.nodes[last].path.clone();
    Some((GraphNode { kind: Kind::Op(Arc::new(op)), inputs, specs, path }, kept))
}

impl Op for BySamples {
    fn name(&self) -> &'static str {
        "BySamples"
    }
    fn describe(&self) -> String {
        self.steps.iter().map(|step| step.op.describe()).collect::<Vec<_>>().join(" → ")
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        let (mut made, mut flops): (Vec<Spec>, u64) = (Vec::new(), 0);
        for step in &self.steps {
            let spec = |source: &Source| match *source {
                Source::Step(step) => made[step].clone(),
                Source::Whole(input) | Source::Samples(input) => inputs[input].clone(),
            };
            let given: Vec<Spec> = step.sources.iter().map(spec).collect();
            let mut dims = step.layouts[0].dims.to_vec();
            dims[0] = self.all;
            let output = Spec::new(step.dtype, &*dims);
            flops += step.op.flops(&given, std::slice::from_ref(&output));
            made.push(output);
        }
        flops
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(self.specs.clone())
    }
    fn scratch(&self, _: &[View], _: &[ViewMut]) -> usize {
        // Each of the threads has its own.
        0
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let parts = self.all.div_ceil(self.samples);
        let dims = [self.samples, self.all % self.samples].map(|count| self.dims(inputs, count));
        let bytes = self.bytes(inputs, &dims);
        let threads = parts.min(modulor_kernels::num_threads());
        let scratch = scratch.others(threads, bytes, self.aside())?;
        let mut kept: [(&mut [u8], usize); KEPT] = std::array::from_fn(|_| Default::default());
        let steps = self.steps.iter().filter(|step| matches!(step.place, Place::Kept(_)));
        for ((slot, output), step) in kept.iter_mut().zip(outputs).zip(steps) {
            *slot = (output.bytes(), step.bytes(0)?);
        }
        // Of several the one of the first samples, whichever thread is faster.
        let failure = Mutex::new(None);
        modulor_kernels::run_parts(parts, kept, scratch, |part, mut kept, scratch| {
            let which = usize::from((part + 1) * self.samples > self.all);
            let mut aside = scratch.take_aside();
            let samples = (part * self.samples, which);
            let ran = self.steps.iter().try_for_each(|step| {
                self.run_step(step, (inputs, &dims[which]), (&mut kept, &mut aside), samples, scratch)
            });
            scratch.put_aside(aside);
            if let Err(error) = ran {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.as_ref().is_none_or(|&(first, _)| part < first) {
                    *failure = Some((part, error));
                }
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// The dims of each input.
type Dims = SmallVec<[SmallVec<[usize; 6]>; 8]>;

impl BySamples {
    /// Those of so many samples of them.
    fn dims(&self, inputs: &[View], count: usize) -> Dims {
        let some = |view: &View| {
            let mut dims: SmallVec<[usize; 6]> = view.dims().into();
            if let Some(first) = dims.first_mut() {
                *first = count;
            }
            dims
        };
        inputs.iter().map(some).collect()
    }

    /// The words that lie aside.
    fn aside(&self) -> usize {
        let end = |step: &Step| match step.place {
            Place::Aside { first, count } => first + count,
            Place::Kept(_) => 0,
        };
        self.steps.iter().map(end).max().unwrap_or(0)
    }

    /// The bytes of scratch that steps want, for inputs of these dims.
    fn bytes(&self, inputs: &[View], dims: &[Dims; 2]) -> usize {
        let bytes = |step: &Step, which: usize| {
            let view = |&source: &Source| match source {
                Source::Step(step) => View::within(self.steps[step].dtype, &self.steps[step].layouts[which], 0, &[]),
                Source::Whole(input) => inputs[input],
                Source::Samples(input) => inputs[input].samples(0, &dims[which][input]),
            };
            let views: SmallVec<[View; 4]> = step.sources.iter().map(view).collect();
            step.op.scratch(&views, &[ViewMut::hollow(step.dtype, &step.layouts[which].dims)])
        };
        // A few samples may take more than many.
        let which = if self.all.is_multiple_of(self.samples) { 0..1 } else { 0..2 };
        let all = which.flat_map(|which| self.steps.iter().map(move |step| (step, which)));
        all.map(|(step, which)| bytes(step, which)).max().unwrap_or(0)
    }

    /// Runs a step on the samples from one on, given what the steps before it have made of them.
    fn run_step(
        &self,
        step: &Step,
        (inputs, dims): (&[View], &Dims),
        (kept, aside): (&mut [&mut [u8]], &mut [u128]),
        (start, which): (usize, usize),
        scratch: &mut Scratch,
    ) -> Result<()> {
        let count = step.bytes(which)?;
        // Places are in the order of steps.
        let (kept, aside, own): (&[&mut [u8]], &[u128], &mut [u8]) = match step.place {
            Place::Kept(output) => {
                let (before, own) = kept.split_at_mut(output);
                (before, aside, &mut own[0][..])
            }
            Place::Aside { first, count: words } => {
                let (before, own) = aside.split_at_mut(first);
                (kept, before, &mut bytemuck::cast_slice_mut(&mut own[..words])[..count])
            }
        };
        let view = |source: &Source| {
            let from = match *source {
                Source::Whole(input) => return Ok(inputs[input]),
                Source::Samples(input) => return Ok(inputs[input].samples(start, &dims[input])),
                Source::Step(step) => &self.steps[step],
            };
            let count = from.bytes(which)?;
            let bytes = match from.place {
                Place::Kept(output) => &kept[output][..],
                Place::Aside { first, count: words } => &bytemuck::cast_slice(&aside[first..][..words])[..count],
            };
            Ok(View::within(from.dtype, &from.layouts[which], 0, bytes))
        };
        let views = step.sources.iter().map(view).collect::<Result<SmallVec<[View; 4]>>>()?;
        step.op.run(&views, &mut [ViewMut::new(step.dtype, &step.layouts[which].dims, own)?], scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{append, fuse, share};
    use super::*;
    use crate::graph::trace;
    use crate::{GradientTape, Sliding, Tensor};

    /// Two convolutions and a pool, what is between them, and the gradients of them all.
    fn network(inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let [x, first, second] = inputs else { unreachable!("there are three") };
        let tape = GradientTape::new();
        inputs.iter().for_each(|input| tape.watch(input));
        let (between, loss) = tape.record(|| {
            let between = x.convolution(first, &Sliding::new())?.relu()?;
            let y = between.convolution(second, &Sliding::new().same())?.relu()?;
            let pooled = y.max_pool([2, 2], &Sliding::new().strides([2, 2]))?;
            Ok((between, (&pooled * &pooled).sum(..)?))
        })?;
        let gradients = tape.gradients(&loss, [x, first, second])?;
        let gradients = gradients.into_iter().flatten().collect();
        Ok([vec![loss, between.sum([0])?, between], gradients].concat())
    }

    #[test]
    fn samples_go_through_ops_in_a_row_and_what_others_read_is_kept() {
        let wave = |dims: &[usize]| {
            let values = (0..dims.iter().product()).map(|i: usize| (i as f32 * 1.37).sin()).collect::<Vec<_>>();
            Tensor::new(dims, values).unwrap()
        };
        for batch in [37, 64] {
            let inputs = [wave(&[batch, 20, 21, 3]), wave(&[3, 3, 3, 16]), wave(&[3, 3, 16, 16])];
            let graph = trace(network, &inputs.each_ref().map(|input| input.spec().clone())).unwrap();
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            let expected = graph.run(&inputs).unwrap();
            let graph = by_samples(fuse(append(share(graph))));
            let rows = graph.nodes.iter().filter_map(|node| match &node.kind {
                Kind::Op(op) if op.name() == "BySamples" => Some(op.describe()),
                _ => None,
            });
            assert_eq!(
                rows.collect::<Vec<_>>(),
                [
                    "Conv2D, Relu → Conv2D, Relu → MaxPool → Mul",
                    "MaxPoolGrad → ReluGrad → Conv2DBackpropInput → ReluGrad → Conv2DBackpropInput",
                ],
            );
            for threads in [1, 2, 3, 0] {
                modulor_kernels::set_num_threads(threads);
                for (found, expected) in graph.run(&inputs).unwrap().iter().zip(&expected) {
                    let bits = |x: &Tensor| x.to_vec::<f32>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert!(bits(found) == bits(expected), "{threads} threads, {batch} samples");
                }
            }
        }
    }
}
