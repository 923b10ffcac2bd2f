//! Connectionist temporal classification: labels of sequences that nobody aligned with their steps.

use super::composite::composite;
use super::fill::range;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, arity, unsupported, with_rank,
};
use crate::{DType, Ellipsis, Error, NewAxis, Result, Shape, Spec, Tensor};
use modulor_kernels::ctc::{Alignment, ctc_scratch};
use modulor_kernels::{Matrix, Strided, cast, each_row};
use std::sync::Arc;

/// The loss of labels, and its gradient at the logits, of which the last class is the blank. Computed in float64 whatever
/// the dtype.
#[derive(Clone, Copy, Debug)]
struct CTCLoss {
    preprocess_collapse_repeated: bool,
    ctc_merge_repeated: bool,
    ignore_longer_outputs_than_inputs: bool,
}

/// The numbers that are kept of a sequence beside its labels: its loss, its length and how many labels there are.
const KEPT: usize = 3;
/// Picoseconds for a place of the labels in a step, and for a class.
const PLACE: usize = 100_000;
const CLASS: usize = 20_000;

/// The labels of sequences, one after the other: their numbers and the sequences they are of.
struct Labels<'a> {
    indices: View<'a>,
    values: View<'a>,
}

impl Labels<'_> {
    /// The sequence and the place of a label.
    fn place(&self, label: usize) -> Result<[i64; 2]> {
        let [row, column] = [self.indices.strides()[0], self.indices.strides()[1]];
        let first = label as isize * row;
        Ok([self.indices.int_at(first)?, self.indices.int_at(first + column)?])
    }

    /// The most labels of one sequence, as far as their places are in order.
    fn longest(&self) -> Result<usize> {
        let (mut longest, mut length, mut last) = (0, 0, None);
        for label in 0..self.values.len() {
            let [sequence, _] = self.place(label)?;
            length = if last == Some(sequence) { length + 1 } else { 1 };
            last = Some(sequence);
            longest = longest.max(length);
        }
        Ok(longest)
    }

    /// Refuses labels out of order, of sequences that are not there, negative ones, and those of a class before the blank
    /// that come after one of another: the blank and what is above end the labels of a sequence.
    fn check(&self, sequences: usize, blank: usize) -> Result<()> {
        let (mut last, mut ended) = (None::<[i64; 2]>, false);
        for label in 0..self.values.len() {
            let place = self.place(label)?;
            let there = usize::try_from(place[0]).is_ok_and(|sequence| sequence < sequences) && place[1] >= 0;
            if !there || last.is_some_and(|last| last >= place) {
                return Err(Error::invalid_argument(format!(
                    "labels_indices are pairs in order, of {sequences} sequences, found {place:?} at {label}"
                )));
            }
            ended &= last.is_some_and(|last| last[0] == place[0]);
            last = Some(place);
            let value = self.values.int(label)?;
            let ends = value >= blank as i64;
            if value < 0 || ended && !ends {
                let message = format!("labels are numbers below {blank}, the blank, found {value} at {label}");
                return Err(Error::invalid_argument(message));
            }
            ended = ends;
        }
        Ok(())
    }
}

impl Op for CTCLoss {
    fn name(&self) -> &'static str {
        "CTCLoss"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new()
            .with("preprocess_collapse_repeated", self.preprocess_collapse_repeated)
            .with("ctc_merge_repeated", self.ctc_merge_repeated)
            .with("ignore_longer_outputs_than_inputs", self.ignore_longer_outputs_than_inputs)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, indices, values, lengths] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| matches!(d, DType::F32 | DType::F64), "logits of float32 or float64")?;
        allowed(indices.spec.dtype, |d| d == DType::I64, "labels_indices of int64")?;
        for (input, what) in [(values, "labels_values of int32"), (lengths, "a sequence_length of int32")] {
            allowed(input.spec.dtype, |d| d == DType::I32, what)?;
        }
        let shape = with_rank(&x.spec.shape, 3, "the logits")?;
        let places = with_rank(&indices.spec.shape, 2, "labels_indices")?;
        let values = with_rank(&values.spec.shape, 1, "labels_values")?;
        let lengths = with_rank(&lengths.spec.shape, 1, "sequence_length")?;
        if places.merge(&[values.dim(0), Some(2)].into()).is_none() {
            return Err(Error::invalid_argument(format!(
                "labels_indices are two numbers for each of labels_values, found {places} and {values}"
            )));
        }
        let sequences: Shape = [shape.dim(1)].into();
        let sequences = sequences.merge(&lengths).ok_or_else(|| {
            Error::invalid_argument(format!(
                "sequence_length is a number for each sequence of {shape}, found {lengths}"
            ))
        })?;
        if shape.dim(2) == Some(0) {
            return Err(Error::invalid_argument(format!("there must be a class at least, the blank, found {shape}")));
        }
        Ok(vec![Spec::new(dtype, &sequences), Spec::new(dtype, [shape.dim(0), sequences.dim(0), shape.dim(2)])])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let [x, indices, values, _] = inputs else { return 0 };
        let labels = Labels { indices: *indices, values: *values }.longest().unwrap_or(0);
        let (steps, sequences) = (x.dims()[0], x.dims()[1]);
        (x.len() + sequences * (KEPT + labels + ctc_scratch(steps, labels))) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, indices, values, lengths] = inputs else { return Err(Error::internal("four inputs were inferred")) };
        let [loss_out, gradient_out] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let &[steps, sequences, classes] = x.dims() else { return Err(Error::internal("three axes were inferred")) };
        let labels = Labels { indices: *indices, values: *values };
        labels.check(sequences, classes - 1)?;
        let longest = labels.longest()?;
        // Of each sequence its loss, its length, how many labels it has, those, and room.
        let each = KEPT + longest + ctc_scratch(steps, longest);
        let (logits, rooms) = scratch.take::<f64>(x.len() + sequences * each)?.split_at_mut(x.len());
        let mut next = 0;
        for (sequence, room) in rooms.chunks_exact_mut(each).enumerate() {
            let length = lengths.int(sequence)?;
            let length = usize::try_from(length).ok().filter(|&length| length <= steps).ok_or_else(|| {
                Error::invalid_argument(format!("sequence_length is at most the {steps} steps, found {length}"))
            })?;
            let numbers: &mut [usize] = bytemuck::cast_slice_mut(&mut room[1..KEPT + longest]);
            let (sizes, own) = numbers.split_at_mut(KEPT - 1);
            let mut count = 0;
            while next < values.len() && labels.place(next)?[0] == sequence as i64 {
                let label = values.int(next)? as usize;
                next += 1;
                let again = self.preprocess_collapse_repeated && count > 0 && own[count - 1] == label;
                if label < classes - 1 && !again {
                    own[count] = label;
                    count += 1;
                }
            }
            if count > length && !self.ignore_longer_outputs_than_inputs {
                let message = format!("sequence {sequence} has {count} labels and {length} steps");
                return Err(Error::invalid_argument(message));
            }
            sizes.copy_from_slice(&[length, count]);
        }
        let (dims, strides) = ([sequences, steps, classes], [x.strides()[1], x.strides()[0], x.strides()[2]]);
        dispatch!(x.dtype(), float T => cast(x.restrided::<T>(&dims, &strides)?, logits),
            else => return Err(unsupported(x.dtype())));
        let how = Alignment { blank: classes - 1, merge_repeated: self.ctc_merge_repeated };
        let cost = steps.saturating_mul(PLACE * (2 * longest + 1) + CLASS * classes);
        let parts = [(&mut *logits, steps * classes), (&mut *rooms, each)].map(|(all, each)| Matrix::new(all, each));
        each_row(sequences, cost, parts, |_, [logits, room]| {
            let (kept, room) = room.split_at_mut(KEPT + longest);
            let (loss, numbers) = kept.split_at_mut(1);
            let (sizes, own) = bytemuck::cast_slice::<f64, usize>(numbers).split_at(KEPT - 1);
            let (length, count) = (sizes[0], sizes[1]);
            let (logits, beyond) = logits.split_at_mut(length * classes);
            beyond.fill(0.0);
            loss[0] = if count <= length {
                how.loss(&own[..count], classes, logits, room)
            } else {
                logits.fill(0.0);
                0.0
            };
        });
        let (shape, strides) = ([sequences], [each as isize]);
        let losses = Strided::new(rooms, &shape, &strides, 0);
        let (shape, strides) = ([steps, sequences, classes], [classes as isize, (steps * classes) as isize, 1]);
        let (Some(losses), Some(gradients)) = (losses, Strided::new(logits, &shape, &strides, 0)) else {
            return Err(Error::internal("a loss and gradients for each sequence"));
        };
        dispatch!(x.dtype(), float T => {
            cast(losses, loss_out.elements::<T>()?);
            cast(gradients, gradient_out.elements::<T>()?);
        }, else => return Err(unsupported(x.dtype())));
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if b.arrives(1) {
            return Err(Error::unimplemented("the gradient of a CTC loss has no gradient"));
        }
        Ok(vec![Some(b.output(1).mul(b.dy(0).expand_dims(-1)?)?), None, None, None])
    }
}

/// The classes of the greatest logits of the steps, without blanks, as a sparse matrix.
#[derive(Debug)]
struct CTCGreedyDecoder {
    merge_repeated: bool,
    blank_index: i64,
}

impl Op for CTCGreedyDecoder {
    fn name(&self) -> &'static str {
        "CTCGreedyDecoder"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("merge_repeated", self.merge_repeated).with("blank_index", self.blank_index)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, lengths] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| matches!(d, DType::F32 | DType::F64), "logits of float32 or float64")?;
        allowed(lengths.spec.dtype, |d| d == DType::I32, "a sequence_length of int32")?;
        let shape = with_rank(&x.spec.shape, 3, "the logits")?;
        let lengths = with_rank(&lengths.spec.shape, 1, "sequence_length")?;
        let sequences: Shape = [shape.dim(1)].into();
        let sequences = sequences.merge(&lengths).ok_or_else(|| {
            Error::failed_precondition(format!(
                "sequence_length is a number for each sequence of {shape}, found {lengths}"
            ))
        })?;
        if let Some(classes) = shape.dim(2) {
            self.blank(classes)?;
        }
        Ok(vec![
            Spec::new(DType::I64, [None, Some(2)]),
            Spec::new(DType::I64, [None]),
            Spec::new(DType::I64, [2]),
            Spec::new(dtype, [sequences.dim(0), Some(1)]),
        ])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (x, lengths) = (View::of(inputs[0])?, View::of(inputs[1])?);
        let &[steps, sequences, classes] = x.dims() else { return Err(Error::internal("three axes were inferred")) };
        let blank = self.blank(classes)?;
        if x.is_empty() {
            return Err(Error::invalid_argument(format!("the logits must not be empty, found {}", inputs[0].shape())));
        }
        let (mut row, mut indices, mut values) = (vec![0.0; classes], Vec::new(), Vec::new());
        let (mut longest, mut scores) = (0, vec![0.0; sequences]);
        for (sequence, score) in scores.iter_mut().enumerate() {
            let length = lengths.int(sequence)?;
            let length = usize::try_from(length).ok().filter(|&length| length <= steps).ok_or_else(|| {
                Error::failed_precondition(format!("sequence_length is at most the {steps} steps, found {length}"))
            })?;
            let (mut last, mut count) = (None, 0);
            for step in 0..length {
                let shift = step as isize * x.strides()[0] + sequence as isize * x.strides()[1];
                let (dims, strides) = ([classes], [x.strides()[2]]);
                dispatch!(x.dtype(), float T => cast(x.shifted::<T>(shift, &dims, &strides)?, &mut row),
                    else => return Err(unsupported(x.dtype())));
                let best = (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
                *score -= row[best];
                if best != blank && !(self.merge_repeated && last == Some(best)) {
                    indices.extend([sequence as i64, count]);
                    values.push(best as i64);
                    count += 1;
                }
                last = Some(best);
            }
            longest = longest.max(count);
        }
        let scores = Tensor::new([sequences, 1], scores)?.cast(inputs[0].dtype())?;
        let count = values.len();
        Ok(vec![
            Tensor::new([count, 2], indices)?,
            Tensor::new([count], values)?,
            Tensor::from([sequences as i64, longest]),
            scores,
        ])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; b.inputs().len()])
    }
}

impl CTCGreedyDecoder {
    /// The blank of so many classes.
    fn blank(&self, classes: usize) -> Result<usize> {
        let blank = if self.blank_index < 0 { self.blank_index + classes as i64 } else { self.blank_index };
        usize::try_from(blank).ok().filter(|&blank| blank < classes).ok_or_else(|| {
            Error::invalid_argument(format!("blank_index is one of {classes} classes, found {}", self.blank_index))
        })
    }
}

/// What Keras's loss of labels that no alignment gives begins at: `−ln 10⁻³⁰⁷`.
const IMPOSSIBLE: f64 = 706.893_623_549_172;

impl Tensor {
    /// How unlikely the first `label_length` of each row of `labels`, numbers of classes, are by the first `logit_length`
    /// steps of these logits: `−ln` of the probability of all alignments of the labels with the steps, where a label lasts one
    /// step or several and blanks, class `blank`, may stand between labels, and do between equal ones.
    ///
    /// The logits are `[batch, steps, classes]`, labels `[batch, most labels]`, the lengths vectors, of int32 or int64; the
    /// result is `[batch]`, in float32, or float64 of such logits. The gradient is exact, and of the first order only.
    ///
    /// `keras.ops.ctc_loss`, by TensorFlow's `CTCLoss`. Where there are fewer steps than the labels need, the loss is
    /// `−ln 10⁻³⁰⁷` and the gradient 0; Keras's is about that, with a slope that means nothing.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// // Two steps and two classes as likely: three of four sequences say 1.
    /// let logits = Tensor::zeros([1, 2, 2], DType::F64)?;
    /// let loss = logits.ctc_loss(&Tensor::from([[1]]), &Tensor::from([1]), &Tensor::from([2]), 0)?;
    /// assert!((loss.item::<f64>()? - (4.0_f64 / 3.0).ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the shapes do not fit each other, the number of classes is not known, a label is negative, a length is more than
    /// there is, or a blank, or what is no class, stands between labels; at their end it counts as none.
    pub fn ctc_loss(
        &self,
        labels: &Tensor,
        label_length: &Tensor,
        logit_length: &Tensor,
        blank: usize,
    ) -> Result<Tensor> {
        self.check()?;
        labels.check()?;
        let (shape, rows) = (with_rank(self.shape(), 3, "the logits")?, with_rank(labels.shape(), 2, "the labels")?);
        let classes = shape.dim(2).filter(|&classes| blank < classes).ok_or_else(|| {
            Error::invalid_argument(format!("the blank is a class, found {blank} and logits of shape {shape}"))
        })?;
        if matches!((shape.dim(0), rows.dim(0)), (Some(a), Some(b)) if a != b) {
            return Err(Error::invalid_argument(format!(
                "there are labels for each sequence, found {rows} and {shape}"
            )));
        }
        composite("ctc_loss", || {
            let dtype = if self.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
            let (labels, wanted) = (labels.cast(DType::I32)?, label_length.cast(DType::I32)?);
            let steps = logit_length.cast(DType::I32)?;

            // The blank as the last class, and the classes after it one before.
            let mut logits = self.cast(dtype)?.permute([1, 0, 2])?;
            let last = (classes - 1) as f64;
            let mut numbers = labels.clone();
            if blank + 1 < classes {
                let [before, own, after] = [
                    logits.slice((Ellipsis, ..blank))?,
                    logits.slice((Ellipsis, blank..blank + 1))?,
                    logits.slice((Ellipsis, blank + 1..))?,
                ];
                logits = Tensor::concat(&[before, after, own], -1)?;
                let lower = &labels - labels.greater(blank as f64)?.cast(DType::I32)?;
                numbers = labels.equal(blank as f64)?.select(&labels.zeros_like()?.add(last)?, &lower)?;
            }

            let all = labels.shape_tensor()?.slice(1)?.cast(DType::I32)?;
            let place = range(&Tensor::scalar(0), &all, &Tensor::scalar(1))?;
            let counts = place.less(wanted.slice((.., NewAxis))?)?;
            let indices = counts.nonzero()?;
            let values = numbers.gather_nd(&indices)?;
            let op = CTCLoss {
                preprocess_collapse_repeated: false,
                ctc_merge_repeated: true,
                ignore_longer_outputs_than_inputs: true,
            };
            let both = apply(op, &[&logits, &indices, &values, &steps])?;
            let loss = both.into_iter().next().ok_or_else(|| Error::internal("two outputs were inferred"))?;

            // Equal labels in a row need a blank between them.
            let again =
                labels.slice((.., 1..))?.equal(labels.slice((.., ..-1))?)?.logical_and(&counts.slice((.., 1..))?)?;
            let needed = wanted.add(again.cast(DType::I32)?.sum(1)?)?;
            steps.greater_equal(needed)?.select(&loss, &loss.zeros_like()?.add(IMPOSSIBLE)?)
        })
    }

    /// The classes of the greatest logits of the first `logit_length` steps, without blanks, class `blank`, and each once
    /// where it stands in several steps in a row if `merge_repeated`: `[batch, steps]`, int32, filled up with −1. And the sum
    /// of these logits for each sequence, negative: `[batch, 1]`.
    ///
    /// `keras.ops.ctc_decode` with the strategy `greedy`, but for the axis of paths, of which there is one. The logits are
    /// `[batch, steps, classes]`, of known batch and steps.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let logits = Tensor::from([0, 1, 1, 0, 1]).one_hot(2, modulor_core::DType::F32)?.expand_dims(0)?;
    /// let (labels, scores) = logits.ctc_decode_greedy(&Tensor::from([5]), true, 0)?;
    /// assert_eq!(labels.to_vec::<i32>()?, [1, 1, -1, -1, -1]);
    /// assert_eq!(scores.item::<f32>()?, -5.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ctc_decode_greedy(
        &self,
        logit_length: &Tensor,
        merge_repeated: bool,
        blank: usize,
    ) -> Result<(Tensor, Tensor)> {
        self.check()?;
        let shape = with_rank(self.shape(), 3, "the logits")?;
        let (Some(batch), Some(steps)) = (shape.dim(0), shape.dim(1)) else {
            return Err(Error::unimplemented(format!("batch and steps must be known, found logits of shape {shape}")));
        };
        composite("ctc_decode", || {
            let dtype = if self.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
            let logits = self.cast(dtype)?.permute([1, 0, 2])?;
            let op = CTCGreedyDecoder { merge_repeated, blank_index: i64::try_from(blank).unwrap_or(i64::MAX) };
            let all = apply(op, &[&logits, &logit_length.cast(DType::I32)?])?;
            let [indices, values, _, scores] =
                all.try_into().map_err(|_| Error::internal("four outputs were inferred"))?;
            // One more each, so that nothing is 0 but what nothing was written to.
            let more = Tensor::scatter_nd(&indices, &values.add(1.0)?, [batch, steps])?;
            Ok((more.sub(1.0)?.cast(DType::I32)?, scores))
        })
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "CTCLoss",
        parse: |attrs| {
            Ok(Arc::new(CTCLoss {
                preprocess_collapse_repeated: attrs.bool("preprocess_collapse_repeated", false)?,
                ctc_merge_repeated: attrs.bool("ctc_merge_repeated", true)?,
                ignore_longer_outputs_than_inputs: attrs.bool("ignore_longer_outputs_than_inputs", false)?,
            }))
        },
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "CTCGreedyDecoder",
        parse: |attrs| {
            let (merge_repeated, blank_index) = (attrs.bool("merge_repeated", false)?, attrs.int("blank_index", -1)?);
            Ok(Arc::new(CTCGreedyDecoder { merge_repeated, blank_index }))
        },
        accuracy: Accuracy::Sum,
    },
]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::trace, value_and_grad};

    fn logits() -> Tensor {
        let numbers: Vec<f32> = (0..60).map(|i| (i * 7 % 13) as f32 / 8.0).collect();
        Tensor::new([3, 5, 4], numbers).expect("as many")
    }

    #[track_caller]
    fn check(labels: [[i32; 2]; 3], label_length: [i32; 3], blank: usize, expected: [f32; 3]) {
        let steps = Tensor::from([5, 4, 3]);
        let found = logits().ctc_loss(&Tensor::from(labels), &Tensor::from(label_length), &steps, blank);
        let found = found.and_then(|found| found.to_vec::<f32>()).expect("losses");
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() <= 2e-6 * y, "{found:?} is not {expected:?}");
        }
    }

    /// `keras.ops.ctc_loss(labels, logits, label_length, [5, 4, 3], mask_index=blank)`.
    #[test]
    fn losses_are_kerass() {
        check([[1, 2], [1, 1], [3, 3]], [2, 2, 1], 0, [3.029_079, 4.013_832_6, 2.586_62]);
        check([[1, 2], [1, 1], [3, 3]], [0, 2, 1], 0, [8.232_071, 4.013_832_6, 2.586_62]);
        check([[0, 1], [0, 0], [2, 1]], [2, 2, 1], 3, [4.250_333, 3.878_316_9, 2.097_481_3]);
    }

    #[test]
    fn what_cannot_be_has_a_loss_and_no_slope() -> Result<()> {
        let (labels, steps) = (Tensor::from([[1, 1], [1, 2], [1, 2]]), Tensor::from([2, 2, 0]));
        let loss = |x: &[Tensor]| x[0].ctc_loss(&labels, &Tensor::from([2, 2, 2]), &steps, 0);
        let (_, dx) = value_and_grad(|x| loss(x)?.sum(..), &[logits()])?;
        let found = loss(&[logits()])?.to_vec::<f32>()?;
        assert!((found[0] - 706.8936).abs() < 1e-3 && found[1] < 10.0 && found[2] == found[0], "{found:?}");
        let dx = dx[0].to_vec::<f32>()?;
        assert!(dx[..20].iter().chain(&dx[28..]).all(|&x| x == 0.0) && dx[20..28].iter().all(|&x| x != 0.0));
        Ok(())
    }

    #[test]
    fn a_graph_of_sequences_of_any_length_computes_the_same() -> Result<()> {
        let specs = [
            Spec::new(DType::F32, [None, None, Some(4)]),
            Spec::new(DType::I32, [None, None]),
            Spec::new(DType::I32, [None]),
            Spec::new(DType::I32, [None]),
        ];
        let graph = trace(|x| Ok(vec![x[0].ctc_loss(&x[1], &x[2], &x[3], 1)?]), &specs)?;
        let inputs =
            [logits(), Tensor::from([[2, 3], [0, 0], [2, 0]]), Tensor::from([2, 2, 1]), Tensor::from([5, 4, 3])];
        let eager = inputs[0].ctc_loss(&inputs[1], &inputs[2], &inputs[3], 1)?;
        let traced = graph.run(&[&inputs[0], &inputs[1], &inputs[2], &inputs[3]])?;
        assert_eq!(traced[0].to_vec::<f32>()?, eager.to_vec::<f32>()?);
        Ok(())
    }

    /// `keras.ops.ctc_decode(logits, [5, 4, 3], strategy="greedy")`.
    #[test]
    fn decoded_labels_are_kerass() -> Result<()> {
        let (labels, scores) = logits().ctc_decode_greedy(&Tensor::from([5, 4, 3]), true, 0)?;
        assert_eq!(labels.to_vec::<i32>()?, [3, 2, -1, -1, -1, 2, 3, -1, -1, -1, 2, -1, -1, -1, -1]);
        assert_eq!(scores.to_vec::<f32>()?, [-5.75, -5.375, -3.75]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (two, three) = (Tensor::from([1, 1]), Tensor::from([1, 1, 1]));
        let labels = Tensor::from([[1], [1], [1]]);
        assert!(logits().ctc_loss(&labels, &three, &three, 4).is_err());
        assert!(logits().ctc_loss(&Tensor::from([[1], [1]]), &two, &three, 0).is_err());
        assert!(logits().ctc_loss(&labels, &three, &two, 0).is_err());
        assert!(logits().ctc_loss(&labels, &three, &Tensor::from([1, 6, 1]), 0).is_err());
        assert!(logits().ctc_loss(&three, &three, &three, 0).is_err());
    }
}
