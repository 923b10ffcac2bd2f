//! What gives back what it is given, left out.

use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Effect, scope};
use crate::ops::array::IdentityN;
use crate::shape::normalize_axis;
use crate::{DType, Spec, Tensor};
use std::any::Any;
use std::collections::HashMap;

/// The most elements of a constant that is looked at.
const MOST: usize = 1024;

/// Puts in the place of an output the tensor whose elements it has, bit by bit: of `x·1`, `x/1`, `x − 0`, `x + (−0)` and, of
/// integers, `x + 0` and `x¹`; of a function of a function that undoes it, as two negations and two transpositions; of
/// movements of elements that leave each where it is; of a choice whose condition is known. A reshape reads what the reshape
/// before it read.
///
/// `x + 0` is `0` where `x` is `−0`, and `0·x` is NaN where `x` is: these stay, of floats. Dtypes, shapes and what is known of
/// dims stay too.
pub(crate) fn simplify(mut graph: Graph) -> Graph {
    let mut moved: HashMap<Edge, Edge> = HashMap::new();
    let now = |moved: &HashMap<Edge, Edge>, edge: &Edge| *moved.get(edge).unwrap_or(edge);
    for at in 0..graph.nodes.len() {
        for edge in &mut graph.nodes[at].inputs {
            *edge = now(&moved, edge);
        }
        if let Some(edge) = graph.reshaped(&graph.nodes[at]) {
            graph.nodes[at].inputs[0] = edge;
        }
        let node = &graph.nodes[at];
        if let Kind::Op(op) = &node.kind
            && (&**op as &dyn Any).is::<IdentityN>()
        {
            for (output, edge) in node.inputs.iter().enumerate() {
                moved.insert(Edge { node: at, output }, *edge);
            }
        } else if let Some(edge) = graph.same(node)
            && graph.spec(&edge) == &node.specs[0]
        {
            moved.insert(Edge { node: at, output: 0 }, edge);
        }
    }
    for edge in &mut graph.outputs {
        *edge = now(&moved, edge);
    }
    graph.without_unused()
}

/// The name of the op of a node without effect.
fn pure(node: &GraphNode) -> Option<&'static str> {
    match &node.kind {
        Kind::Op(op) if op.effect() == Effect::Pure && op.as_fused().is_none() => Some(op.name()),
        _ => None,
    }
}

impl Graph {
    fn spec(&self, edge: &Edge) -> &Spec {
        &self.nodes[edge.node].specs[edge.output]
    }

    /// The node behind an edge, if it is this op.
    fn of_op(&self, edge: &Edge, name: &str) -> Option<&GraphNode> {
        Some(&self.nodes[edge.node]).filter(|node| pure(node) == Some(name))
    }

    fn constant(&self, edge: &Edge) -> Option<&Tensor> {
        match &self.nodes[edge.node].kind {
            Kind::Captured(value) => Some(value),
            _ => None,
        }
    }

    /// The number that all elements of a small constant are, as bits of a float64.
    fn number(&self, edge: &Edge) -> Option<f64> {
        let value = self.constant(edge)?;
        if !value.dtype().is_float() && !value.dtype().is_integer() {
            return None;
        }
        value.shape().elements().filter(|elements| (1..=MOST).contains(elements))?;
        let numbers = scope::outside(|| value.cast(DType::F64)?.to_vec::<f64>()).ok()?;
        numbers.iter().all(|number| number.to_bits() == numbers[0].to_bits()).then_some(numbers[0])
    }

    /// The integers of a constant.
    fn integers(&self, edge: &Edge) -> Option<Vec<i64>> {
        let value = self.constant(edge).filter(|value| value.dtype().is_integer())?;
        scope::outside(|| value.cast(DType::I64)?.to_vec::<i64>()).ok()
    }

    /// The axes of a transposition.
    fn permutation(&self, node: &GraphNode) -> Option<Vec<usize>> {
        let axes = self.integers(node.inputs.get(1)?)?;
        axes.iter().map(|&axis| normalize_axis(axis, axes.len()).ok()).collect()
    }

    /// The tensor of which the one output of a node has the elements, if it has the spec too.
    fn same(&self, node: &GraphNode) -> Option<Edge> {
        let (name, first) = (pure(node)?, *node.inputs.first()?);
        let [spec] = &*node.specs else { return None };
        let is_float = !spec.dtype.is_integer();
        // Where dims are not known, two that look the same may be none.
        let keeps = |edge: Edge| (self.spec(&edge) == spec && spec.shape.is_known()).then_some(edge);
        // The other input of an op on two, one of which is this number; a scalar has no say in the shape.
        let beside = |at: usize, number: f64| {
            let (edge, other) = (*node.inputs.get(1 - at)?, node.inputs.get(at)?);
            let is_scalar = self.spec(other).shape.rank() == Some(0);
            let found = self.number(other).filter(|found| found.to_bits() == number.to_bits());
            found.and_then(|_| if is_scalar { Some(edge) } else { keeps(edge) })
        };
        let nothing = if is_float { -0.0 } else { 0.0 };
        let undone = |name: &str| Some(self.of_op(&first, name)?.inputs[0]);
        match name {
            "Identity" | "StopGradient" => Some(first),
            "Cast" | "Bitcast" if self.spec(&first).dtype == spec.dtype => Some(first),
            "Mul" => beside(1, 1.0).or_else(|| beside(0, 1.0)),
            "RealDiv" => beside(1, 1.0),
            "AddV2" => beside(1, nothing).or_else(|| beside(0, nothing)),
            "Sub" => beside(1, 0.0),
            "Pow" if !is_float => beside(1, 1.0),
            "Neg" | "LogicalNot" | "Conj" => undone(name),
            "Transpose" => {
                let axes = self.permutation(node)?;
                if axes.iter().enumerate().all(|(at, &axis)| at == axis) {
                    return Some(first);
                }
                let before = self.of_op(&first, "Transpose")?;
                let inner = self.permutation(before)?;
                let is_undone =
                    axes.len() == inner.len() && axes.iter().enumerate().all(|(at, &axis)| inner[axis] == at);
                is_undone.then_some(before.inputs[0])
            }
            // What is moved nowhere, as it has the shape that it had.
            "Reshape" | "ExpandDims" | "Squeeze" | "BroadcastTo" | "Slice" | "Tile" | "Pad" | "PadV2" | "MirrorPad" => {
                keeps(first)
            }
            "AddN" if node.inputs.len() == 1 => Some(first),
            "ConcatV2" if node.inputs.len() == 2 => Some(first),
            "SelectV2" | "Select" => {
                let holds =
                    self.constant(&first).filter(|value| value.shape().elements().is_some_and(|n| n <= MOST))?;
                let holds = holds.to_vec::<bool>().ok()?;
                let all = holds.iter().all(|&it| it == holds[0]).then(|| holds.first()).flatten()?;
                keeps(node.inputs[if *all { 1 } else { 2 }])
            }
            _ => None,
        }
    }

    /// What a reshape may read in the place of what the one before it gave: all dims but those that are said follow from the
    /// elements, which are as many.
    fn reshaped(&self, node: &GraphNode) -> Option<Edge> {
        let (Some("Reshape"), [x, dims]) = (pure(node), &*node.inputs) else { return None };
        let before = self.of_op(x, "Reshape")?;
        self.integers(dims)?.iter().all(|&dim| dim >= 0).then_some(before.inputs[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trace;
    use crate::op::apply_one;
    use crate::{Result, Shape};

    type Body = fn(&Tensor) -> Result<Tensor>;

    const NUMBERS: [f64; 12] =
        [0.0, -0.0, 1.0, -2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-310, -1e-42, f64::MAX, 3e-8, 65504.0];

    fn numbers(dtype: DType) -> Tensor {
        Tensor::new([3, 4], NUMBERS.to_vec()).unwrap().cast(dtype).unwrap()
    }

    fn number(value: f64, like: &Tensor) -> Result<Tensor> {
        Tensor::scalar(value).cast(like.dtype())
    }

    /// The ops that are left of a function of a 3 by 4 matrix, and whether it has the same bits; also where the dims are unknown.
    fn left(body: Body, dtype: DType) -> (Vec<String>, Vec<String>) {
        let x = numbers(dtype);
        let of = |shape: Shape| {
            let before = trace(|x| Ok(vec![body(&x[0])?]), &[Spec::new(dtype, shape)]).unwrap();
            let after = simplify(before.clone());
            assert!(before.outputs().eq(after.outputs()) && before.inputs().eq(after.inputs()), "{before}{after}");
            let bits = |graph: &Graph| graph.run(&[&x]).unwrap()[0].to_bytes().unwrap();
            assert_eq!(bits(&before), bits(&after), "{before}{after}");
            after.ops().map(|op| op.name().to_owned()).collect()
        };
        (of(x.shape().clone()), of(Shape::of_rank(2)))
    }

    #[test]
    fn what_gives_back_its_input_is_left_out() {
        let always: &[Body] = &[
            |x| x.mul(&number(1.0, x)?),
            |x| number(1.0, x)?.mul(x),
            |x| x.sub(&number(0.0, x)?),
            |x| x.identity()?.stop_gradient(),
            |x| x.cast(x.dtype()),
            |x| x.transpose()?.permute([-1, 0]),
            |x| x.permute([0, 1]),
            |x| Tensor::concat(std::slice::from_ref(x), 0),
            |x| Tensor::add_n(std::slice::from_ref(x)),
            |x| {
                crate::custom_gradient(|x| Ok(x.to_vec()), |_, _, dy| Ok(dy.to_vec()), std::slice::from_ref(x))
                    .map(|y| y[0].clone())
            },
        ];
        let of_numbers: &[Body] = &[|x| x.neg()?.neg(), |x| x.mul(&number(1.0, x)?.broadcast_to([1])?)];
        let of_known: &[Body] = &[
            |x| x.mul(&number(1.0, x)?.broadcast_to([3, 4])?),
            |x| x.reshape([-1])?.reshape([3, 4]),
            |x| x.broadcast_to([3, 4]),
            |x| Tensor::from([[true], [true], [true]]).select(x, &x.exp()?),
            |x| Tensor::scalar(false).select(&x.exp()?, x),
        ];
        let nothing: Vec<String> = Vec::new();
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for body in always.iter().chain(&of_numbers[..1]) {
                assert_eq!(left(*body, dtype), (nothing.clone(), nothing.clone()));
            }
            for body in of_known.iter().chain(of_numbers) {
                assert_eq!(left(*body, dtype).0, nothing);
            }
            assert_eq!(left(|x| x.div(&number(1.0, x)?), dtype).1, nothing);
            assert_eq!(left(|x| x.add(&number(-0.0, x)?), dtype).1, nothing);
        }
        for dtype in [DType::I32, DType::I64, DType::U8] {
            for body in always {
                assert_eq!(left(*body, dtype), (nothing.clone(), nothing.clone()));
            }
            assert_eq!(left(|x| x.add(&number(0.0, x)?), dtype).1, nothing);
        }
        assert_eq!(left(|x| x.neg()?.neg(), DType::I32).1, nothing);
        assert_eq!(left(|x| x.pow(&number(1.0, x)?), DType::I32).1, nothing);
    }

    #[test]
    fn what_may_change_bits_or_shapes_stays() {
        let stays: &[(Body, &[&str])] = &[
            (|x| x.add(&number(0.0, x)?), &["AddV2"]),
            (|x| x.sub(&number(-0.0, x)?), &["Sub"]),
            (|x| number(0.0, x)?.sub(x), &["Sub"]),
            (|x| x.mul(&number(0.0, x)?), &["Mul"]),
            (|x| number(1.0, x)?.div(x), &["RealDiv"]),
            (|x| x.mul(&number(1.0, x)?.broadcast_to([2, 3, 4])?), &["Mul"]),
            (|x| x.mul(Tensor::from([1.0, 1.0, 1.0, 1.5]).cast(x.dtype())?), &["Mul"]),
            (|x| x.transpose()?.transpose()?.transpose(), &["Transpose"]),
            (|x| x.neg()?.abs()?.neg(), &["Neg", "Abs", "Neg"]),
            (|x| x.cast(DType::F64)?.cast(x.dtype()), &["Cast", "Cast"]),
            (|x| Tensor::from([[true], [false], [true]]).select(x, &x.neg()?), &["Neg", "SelectV2"]),
        ];
        for (body, ops) in stays {
            assert_eq!(left(*body, DType::F32).0, *ops);
        }
        // Of dims that are not known, a shape that looks the same may be another.
        assert_eq!(left(|x| x.broadcast_to([3, 4])?.reshape([-1])?.reshape([3, 4]), DType::F32).0, [""; 0]);
        assert_eq!(left(|x| x.reshape([-1, 4])?.reshape([3, -1]), DType::F32).1, ["Reshape", "Reshape"]);
    }

    #[test]
    fn a_reshape_reads_what_the_one_before_it_read() {
        assert_eq!(left(|x| x.reshape([2, 6])?.reshape([4, 3])?.reshape([12]), DType::F32).1, ["Reshape"]);
        assert_eq!(left(|x| x.reshape([2, 6])?.reshape([4, -1]), DType::F32).1, ["Reshape", "Reshape"]);
    }

    #[test]
    fn rows_of_such_are_left_out_at_once() {
        let body = |x: &Tensor| {
            let y = (0..100).try_fold(x.clone(), |y, _| y.mul(&number(1.0, x)?)?.neg()?.identity()?.neg())?;
            apply_one(crate::ops::array::Identity, &[&y])
        };
        assert_eq!(left(body, DType::F32).1, [""; 0]);
    }
}
