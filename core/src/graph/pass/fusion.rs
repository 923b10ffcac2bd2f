//! Elementwise ops that follow each other, in one pass over memory.

use super::Uses;
use crate::dtype::dispatch;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Input, Op, Scalar, Scratch, View, ViewMut, elements, unsupported};
use crate::{DType, Error, Result, Spec};
use modulor_kernels::{Expression, Fault, Number, Output, Source, Step};
use smallvec::SmallVec;
use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// The most ops in one pass, and the most inputs of either kind: what an expression holds.
const MOST: usize = 60;
const INPUTS: usize = 16;
/// Tensors of more axes are left alone.
const AXES: usize = 8;

/// Several elementwise ops as one.
pub(crate) struct Elementwise {
    dtype: DType,
    /// An `Expression` of the type of the dtype.
    expression: Box<dyn Any + Send + Sync>,
    /// How many inputs are values; masks follow.
    values: usize,
    masks: usize,
    /// How many ops there are.
    steps: u64,
    spec: Spec,
    text: String,
}

/// Ops in one pass.
struct Group {
    /// In running order reversed: the last one first.
    members: Vec<usize>,
    /// The dtype of the values, once one of the ops has said it.
    dtype: Option<DType>,
    /// What is read from without.
    values: BTreeSet<(usize, usize)>,
    masks: BTreeSet<(usize, usize)>,
}

/// Which inputs are masks, and the dtype of the values; none if it is not such an op.
fn kinds(graph: &Graph, node: &GraphNode) -> Option<(Scalar, Option<DType>)> {
    let Kind::Op(op) = &node.kind else { return None };
    let scalar = op.scalar()?;
    let [spec] = &*node.specs else { return None };
    spec.shape.known().filter(|dims| dims.len() <= AXES && !dims.contains(&0))?;
    let dtype_of = |at: usize| graph.nodes[node.inputs[at].node].specs[node.inputs[at].output].dtype;
    let dtype = match scalar {
        Scalar::Unary(_) | Scalar::Binary(_) => Some(spec.dtype),
        Scalar::Select => Some(spec.dtype),
        Scalar::Compare(_) | Scalar::Test(_) => Some(dtype_of(0)),
        Scalar::Logical(_) | Scalar::Not => None,
    };
    // Bools are masks, and values of no op here; there are no sums of strings.
    let is_number = |dtype: &DType| dispatch!(*dtype, arithmetic T => true, else => false);
    dtype.is_none_or(|dtype| is_number(&dtype)).then_some((scalar, dtype))
}

/// Puts elementwise ops whose results only one pass reads into that pass. Their results never reach memory; bits are the same.
pub(crate) fn fuse(graph: Graph) -> Graph {
    let uses = Uses::of(&graph);
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[at];
        let Some((scalar, dtype)) = kinds(&graph, node) else { continue };
        let users = uses.of_edge(&Edge { node: at, output: 0 });
        let joined = join(&graph, &groups, &group_of, node, dtype, users);
        let group = joined.unwrap_or_else(|| {
            groups.push(Group { members: Vec::new(), dtype: None, values: BTreeSet::new(), masks: BTreeSet::new() });
            groups.len() - 1
        });
        let group_now = &mut groups[group];
        group_now.members.push(at);
        group_now.dtype = group_now.dtype.or(dtype);
        group_now.values.remove(&(at, 0));
        group_now.masks.remove(&(at, 0));
        for (input, edge) in node.inputs.iter().enumerate() {
            let set = if is_mask(scalar, input) { &mut group_now.masks } else { &mut group_now.values };
            set.insert((edge.node, edge.output));
        }
        group_of[at] = Some(group);
    }
    rebuild(graph, &groups)
}

fn is_mask(scalar: Scalar, input: usize) -> bool {
    match scalar {
        Scalar::Logical(_) | Scalar::Not => true,
        Scalar::Select => input == 0,
        _ => false,
    }
}

/// The group that all users of a node are in, if the node may be in it too.
fn join(
    graph: &Graph,
    groups: &[Group],
    group_of: &[Option<usize>],
    node: &GraphNode,
    dtype: Option<DType>,
    users: &[Option<usize>],
) -> Option<usize> {
    let first = group_of[(*users.first()?)?]?;
    let same = |user: &Option<usize>| user.is_some_and(|user| group_of[user] == Some(first));
    let group = &groups[first];
    let shape = &graph.nodes[group.members[0]].specs[0].shape;
    let fits = dtype.is_none() || group.dtype.is_none() || group.dtype == dtype;
    let room = group.members.len() < MOST
        && group.values.len() + node.inputs.len() <= INPUTS
        && group.masks.len() + node.inputs.len() <= INPUTS;
    (users.iter().all(same) && node.specs[0].shape == *shape && fits && room).then_some(first)
}

/// The graph with one node in the place of the last of each group.
fn rebuild(mut graph: Graph, groups: &[Group]) -> Graph {
    let mut fused: HashMap<usize, GraphNode> = HashMap::new();
    for group in groups.iter().filter(|group| group.members.len() > 1) {
        if let Some(node) = Elementwise::of(&graph, group) {
            fused.insert(group.members[0], node);
        }
    }
    for (at, node) in fused {
        graph.nodes[at] = node;
    }
    graph.without_unused()
}

impl Elementwise {
    /// The node of a group; none if it is more than an expression holds.
    fn of(graph: &Graph, group: &Group) -> Option<GraphNode> {
        let last = &graph.nodes[group.members[0]];
        let dtype = group.dtype?;
        let (values, masks) = (group.values.len(), group.masks.len());
        let mut registers: HashMap<(usize, usize), u8> = HashMap::new();
        for (number, edge) in group.values.iter().chain(&group.masks).enumerate() {
            registers.insert(*edge, number as u8);
        }
        // A tensor may be read as a value here and made as a mask there, but is one register.
        if registers.len() != values + masks {
            return None;
        }
        let mut steps = Vec::new();
        let mut text = Vec::new();
        for &at in group.members.iter().rev() {
            let node = &graph.nodes[at];
            let (scalar, _) = kinds(graph, node)?;
            let of = |input: usize| {
                let edge = node.inputs.get(input)?;
                registers.get(&(edge.node, edge.output)).copied()
            };
            let step = match scalar {
                Scalar::Unary(op) => Step::Unary(op, of(0)?),
                Scalar::Binary(op) => Step::Binary(op, of(0)?, of(1)?),
                Scalar::Compare(op) => Step::Compare(op, of(0)?, of(1)?),
                Scalar::Test(op) => Step::Test(op, of(0)?),
                Scalar::Logical(op) => Step::Logical(op, of(0)?, of(1)?),
                Scalar::Not => Step::Not(of(0)?),
                Scalar::Select => Step::Select(of(0)?, of(1)?, of(2)?),
            };
            if let Kind::Op(op) = &node.kind {
                text.push(op.name());
            }
            registers.insert((at, 0), (values + masks + steps.len()) as u8);
            steps.push(step);
        }
        let output = [(values + masks + steps.len() - 1) as u8];
        let expression: Box<dyn Any + Send + Sync> = dispatch!(dtype, arithmetic T => {
            Box::new(Expression::<T>::new(values, masks, &steps, &output).ok()?)
        }, else => return None);
        let spec = last.specs[0].clone();
        let count = steps.len() as u64;
        let op =
            Elementwise { dtype, expression, values, masks, steps: count, spec: spec.clone(), text: text.join(", ") };
        let inputs = group.values.iter().chain(&group.masks).map(|&(node, output)| Edge { node, output }).collect();
        Some(GraphNode { kind: Kind::Op(Arc::new(op)), inputs, specs: vec![spec], path: last.path.clone() })
    }

    /// Evaluates the expression; `over` is the input that stands in the output.
    fn evaluate(
        &self,
        inputs: &[View],
        over: Option<usize>,
        output: &mut ViewMut,
        scratch: &mut Scratch,
    ) -> Result<()> {
        dispatch!(self.dtype, arithmetic T => {
            let Some(expression) = self.expression.downcast_ref::<Expression<T>>() else {
                return Err(Error::internal("an expression is of its dtype"));
            };
            let dims = output.dims();
            let mut strides: SmallVec<[[isize; AXES]; INPUTS]> = SmallVec::new();
            for view in inputs {
                let mut own = [0; AXES];
                view.broadcast_strides(dims, &mut own[..dims.len()]);
                strides.push(own);
            }
            let mut values: SmallVec<[Source<T>; INPUTS]> = SmallVec::new();
            let mut masks: SmallVec<[Source<u8>; INPUTS]> = SmallVec::new();
            let mut given = inputs.iter().zip(&strides);
            for number in 0..self.values + self.masks {
                if over == Some(number) {
                    values.push(Source::Over(0));
                    continue;
                }
                let Some((view, strides)) = given.next() else {
                    return Err(Error::internal("an expression is given its inputs"));
                };
                match number < self.values {
                    true => values.push(Source::View(view.restrided(dims, &strides[..dims.len()])?)),
                    false => masks.push(Source::View(view.restrided(dims, &strides[..dims.len()])?)),
                }
            }
            let outcome = {
                let out = match self.spec.dtype == DType::Bool {
                    true => Output::Mask(output.elements()?),
                    false => Output::Values(output.elements()?),
                };
                T::evaluate(expression, &values, &masks, &mut [out], scratch.take(expression.scratch())?)
            };
            outcome.map_err(|fault| match fault {
                Fault::Unsupported => unsupported(self.dtype),
                fault => crate::ops::math::refused(fault, self.dtype),
            })
        }, else => Err(unsupported(self.dtype)))
    }
}

impl Op for Elementwise {
    fn name(&self) -> &'static str {
        "elementwise"
    }
    fn flops(&self, _: &[Spec], outputs: &[Spec]) -> u64 {
        self.steps * outputs.iter().map(elements).sum::<u64>()
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(vec![self.spec.clone()])
    }
    fn scratch(&self, _: &[View], _: &[ViewMut]) -> usize {
        dispatch!(self.dtype, arithmetic T => {
            self.expression.downcast_ref::<Expression<T>>().map_or(0, |e| e.scratch() * size_of::<T>())
        }, else => 0)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        self.evaluate(inputs, None, &mut outputs[0], scratch)
    }
    fn overwrites(&self) -> &'static [usize] {
        const ALL: [usize; INPUTS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        if self.spec.dtype == DType::Bool { &[] } else { &ALL[..self.values] }
    }
    fn run_over(&self, over: usize, others: &[View], output: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
        self.evaluate(others, Some(over), output, scratch)
    }
    fn scratch_over(&self) -> usize {
        self.scratch(&[], &[])
    }
    fn describe(&self) -> String {
        format!("{self:?}")
    }
    fn is_its_text(&self) -> bool {
        false
    }
}

/// As `elementwise(Mul, AddV2, Tanh)`.
impl fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "elementwise({})", self.text)
    }
}
