//! Softmax, and the cross entropies made of it.

use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply, apply_one, arity,
    at_least_rank, same_dtype, unsupported, with_rank,
};
use crate::shape::{broadcast, normalize_axis};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::{Fault, Float, Strided, copy};

/// One softmax over the last axis a row; its gradient over the output `y` and the incoming `dy`.
macro_rules! softmaxes {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $log:literal, |$y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    allowed(x.spec.dtype, DType::is_float, "floats")?;
                    at_least_rank(&x.spec.shape, 1, "the logits")?;
                    Ok(vec![x.spec.clone()])
                }
                fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                    dense_size(&inputs[0])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let x = inputs[0];
                    let columns = x.dims().last().copied().unwrap_or(1);
                    dispatch!(x.dtype(), float T => {
                        let room = scratch.take::<T>(dense_size(&x) / size_of::<T>())?;
                        T::softmax(dense(x.elements()?, room), columns, outputs[0].elements()?, $log);
                        Ok(())
                    }, else => Err(unsupported(x.dtype())))
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let ($y, $dy) = (b.output(0), b.dy(0));
                    Ok(vec![Some($grad)])
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                #[doc = concat!("TensorFlow's `", stringify!($op), "`, which works along the last axis; another one is moved there and back.")]
                pub fn $method(&self, axis: i64) -> Result<Tensor> {
                    self.along_last(axis, |x| apply_one($op, &[x]))
                }
            }
        )*
        const SOFTMAXES: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

softmaxes! {
    /// `eˣ` over its sum along an axis: positive, and 1 together.
    Ulp4 Softmax softmax false, |y, dy| (dy - (dy * y).sum_keepdims(-1)?) * y;
    /// The logarithm of [`softmax`](Tensor::softmax), exact where that is near 0.
    Sum LogSoftmax log_softmax true, |y, dy| dy - dy.sum_keepdims(-1)? * y.exp()?;
}

/// The bytes that [`dense`] wants: none where the elements lie in row-major order already.
fn dense_size(x: &View) -> usize {
    let mut step = 1;
    let dense = x.dims().iter().zip(x.strides()).rev().all(|(&dim, &stride)| {
        let fits = dim == 1 || stride == step;
        step *= dim as isize;
        fits
    });
    if dense || x.is_empty() { 0 } else { x.len() * x.dtype().size() }
}

/// The elements in row-major order: where they lie, or copied into `room`.
fn dense<'a, T: Pod>(x: Strided<'a, T>, room: &'a mut [T]) -> &'a [T] {
    x.as_slice().unwrap_or_else(|| {
        copy(x, room);
        room
    })
}

/// Per row, −Σ labels · log softmax(logits), and beside it softmax(logits) − labels, the gradient.
#[derive(Debug, Default)]
struct SoftmaxCrossEntropyWithLogits;

impl Op for SoftmaxCrossEntropyWithLogits {
    fn name(&self) -> &'static str {
        "SoftmaxCrossEntropyWithLogits"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [logits, labels] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        let logits = with_rank(&logits.spec.shape, 2, "the logits")?;
        let both = broadcast(&logits, &with_rank(&labels.spec.shape, 2, "the labels")?)?;
        Ok(vec![Spec::new(dtype, [both.dim(0)]), Spec::new(dtype, both)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        inputs.iter().map(|x| repeated_size(x, outputs[1].dims())).sum()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [loss, gradient] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let dims = gradient.dims();
        dispatch!(gradient.dtype(), float T => {
            let [rows, labels] = [&inputs[0], &inputs[1]].map(|x| repeated_size(x, dims) / size_of::<T>());
            let (rows, labels) = scratch.take::<T>(rows + labels)?.split_at_mut(rows);
            let [mut by_logits, mut by_labels] = [[0; 2]; 2];
            let rows = dense(repeated(&inputs[0], dims, &mut by_logits)?, rows);
            let labels = dense(repeated(&inputs[1], dims, &mut by_labels)?, labels);
            T::cross_entropy(rows, labels, dims[1], loss.elements()?, gradient.elements()?);
            Ok(())
        }, else => Err(unsupported(gradient.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let dlabels = b.when(1, || {
            let dloss = b.dy(0).expand_dims(-1)?;
            let d = -(dloss * b.input(0).log_softmax(-1)?);
            if b.arrives(1) { d.sub(b.dy(1)) } else { Ok(d) }
        })?;
        Ok(vec![b.when(0, || at_logits(b))?, dlabels])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

/// The same of labels that are one column each.
#[derive(Debug, Default)]
struct SparseSoftmaxCrossEntropyWithLogits;

impl Op for SparseSoftmaxCrossEntropyWithLogits {
    fn name(&self) -> &'static str {
        "SparseSoftmaxCrossEntropyWithLogits"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [logits, labels] = arity(inputs)?;
        let dtype = allowed(logits.spec.dtype, DType::is_float, "logits of floats")?;
        allowed(labels.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "labels of int32 or int64")?;
        let logits = with_rank(&logits.spec.shape, 2, "the logits")?;
        let labels = with_rank(&labels.spec.shape, 1, "the labels")?;
        if logits.dim(1) == Some(0) {
            return Err(Error::invalid_argument(format!("there must be at least one class, found logits {logits}")));
        }
        let rows = Shape::from([logits.dim(0)]).merge(&labels).ok_or_else(|| {
            Error::invalid_argument(format!("there must be one label for each row, found {labels} of logits {logits}"))
        })?;
        Ok(vec![Spec::new(dtype, &rows), Spec::new(dtype, [rows.dim(0), logits.dim(1)])])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[1].len() * size_of::<i64>() + dense_size(&inputs[0])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [loss, gradient] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let (logits, labels) = (inputs[0], inputs[1]);
        let words = labels.len() + dense_size(&logits).div_ceil(size_of::<i64>());
        let (columns, room) = scratch.take::<i64>(words)?.split_at_mut(labels.len());
        match labels.dtype() {
            DType::I32 => modulor_kernels::cast::<i32, i64>(labels.elements()?, columns),
            _ => copy(labels.elements()?, columns),
        }
        let classes = logits.dims()[1];
        dispatch!(logits.dtype(), float T => {
            let room: &mut [T] = bytemuck::cast_slice_mut(room);
            let room = &mut room[..dense_size(&logits) / size_of::<T>()];
            let rows = dense(logits.elements()?, room);
            T::sparse_cross_entropy(rows, columns, classes, loss.elements()?, gradient.elements()?).map_err(|fault| {
                match fault {
                    Fault::LabelOutOfRange { element } => Error::invalid_argument(format!(
                        "label {} of row {element} is outside of the range [0, {classes}) of classes",
                        columns[element]
                    )),
                    _ => unsupported(logits.dtype()),
                }
            })
        }, else => Err(unsupported(logits.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![b.when(0, || at_logits(b))?, None])
    }
}

/// The gradient at the logits: the loss's is its second output; where something depends on that output too, as second
/// derivatives do, the derivative of softmax comes to it.
fn at_logits(b: &Backward) -> Result<Tensor> {
    let first = b.dy(0).expand_dims(-1)? * b.output(1);
    if !b.arrives(1) {
        return Ok(first);
    }
    let (y, dy) = (b.input(0).softmax(-1)?, b.dy(1));
    Ok(first + (dy - (dy * &y).sum_keepdims(-1)?) * &y)
}

/// The bytes that [`dense`] wants of a view repeated to `dims`.
fn repeated_size(x: &View, dims: &[usize]) -> usize {
    if x.dims() == dims { dense_size(x) } else { dims.iter().product::<usize>() * x.dtype().size() }
}

/// A view repeated to `dims`; `strides` is room for as many strides.
fn repeated<'a, T: Pod>(x: &View<'a>, dims: &'a [usize], strides: &'a mut [isize]) -> Result<Strided<'a, T>> {
    x.broadcast_strides(dims, strides);
    x.restrided(dims, strides)
}

/// Dims to reshape to, one of which may be unknown.
fn dims_to_reshape(dims: &[Option<usize>]) -> Result<Vec<i64>> {
    if dims.iter().filter(|dim| dim.is_none()).count() > 1 {
        let shape = Shape::from(dims.to_vec());
        return Err(Error::unimplemented(format!("at most one dim may be unknown, found {shape}")));
    }
    Ok(dims.iter().map(|dim| dim.map_or(-1, |dim| dim as i64)).collect())
}

impl Tensor {
    /// `f` along an axis: moved to the end, and back.
    fn along_last(&self, axis: i64, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        self.check()?;
        let Some(rank) = self.rank().filter(|_| axis != -1) else { return f(self) };
        let axis = normalize_axis(axis, rank)?;
        if axis + 1 == rank {
            return f(self);
        }
        let mut swapped: Vec<i64> = (0..rank as i64).collect();
        swapped.swap(axis, rank - 1);
        f(&self.permute(&swapped)?)?.permute(&swapped)
    }

    /// These logits as a matrix, a row for each index of the outer axes; `None` if they are one, as far as is known.
    fn as_rows(&self) -> Result<Option<Tensor>> {
        let dims = match self.shape().dims() {
            Some(dims) if dims.len() != 2 => dims,
            _ => return Ok(None),
        };
        match dims.last() {
            Some(Some(classes)) => Ok(Some(self.reshape([-1, *classes as i64])?)),
            Some(None) => Err(Error::unimplemented("a cross entropy needs the number of classes, which is unknown")),
            None => Err(Error::invalid_argument("logits have at least one axis, that of classes; found a scalar")),
        }
    }

    /// The dims but the last, of a known rank.
    fn leading(&self) -> Vec<Option<usize>> {
        let mut dims = self.shape().dims().unwrap_or_default();
        dims.pop();
        dims
    }

    /// The cross entropy of `labels`, distributions over the last axis, and the softmax of these logits:
    /// `−Σ labels · log softmax(logits)` along the last axis, which goes.
    ///
    /// TensorFlow's `SoftmaxCrossEntropyWithLogits`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let logits = Tensor::from([[0.0_f64, 0.0]]);
    /// let loss = logits.softmax_cross_entropy_with_logits(&Tensor::from([[0.0_f64, 1.0]]))?;
    /// assert!((loss.to_vec::<f64>()?[0] - 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn softmax_cross_entropy_with_logits(&self, labels: impl Operand) -> Result<Tensor> {
        self.check()?;
        let labels = labels.operand(self.dtype())?;
        let Some(rows) = self.as_rows()? else {
            return Ok(apply(SoftmaxCrossEntropyWithLogits, &[self, &labels])?.swap_remove(0));
        };
        if !labels.shape().is_compatible_with(self.shape()) {
            return Err(Error::invalid_argument(format!(
                "labels must have the shape of the logits, found {} and {}",
                labels.shape(),
                self.shape()
            ))
            .in_op("SoftmaxCrossEntropyWithLogits"));
        }
        let labels = labels.reshape_as(&rows)?;
        apply(SoftmaxCrossEntropyWithLogits, &[&rows, &labels])?
            .swap_remove(0)
            .reshape(dims_to_reshape(&self.leading())?)
    }

    /// The cross entropy of `labels`, the indices of classes, and the softmax of these logits along the last axis:
    /// `−log softmax(logits)[label]`, of the shape of the labels.
    ///
    /// Labels are int32 or int64; one that is not a class is an error. TensorFlow's
    /// `SparseSoftmaxCrossEntropyWithLogits`.
    pub fn sparse_softmax_cross_entropy_with_logits(&self, labels: &Tensor) -> Result<Tensor> {
        self.check()?;
        let Some(rows) = self.as_rows()? else {
            return Ok(apply(SparseSoftmaxCrossEntropyWithLogits, &[self, labels])?.swap_remove(0));
        };
        let outer = Shape::from(self.leading());
        if !labels.shape().is_compatible_with(&outer) {
            return Err(Error::invalid_argument(format!(
                "there must be one label for each row, found {} of logits {}",
                labels.shape(),
                self.shape()
            ))
            .in_op("SparseSoftmaxCrossEntropyWithLogits"));
        }
        let loss = apply(SparseSoftmaxCrossEntropyWithLogits, &[&rows, &labels.reshape([-1])?])?;
        loss[0].reshape_as(labels)
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    SOFTMAXES,
    &[
        OpDef::plain::<SoftmaxCrossEntropyWithLogits>("SoftmaxCrossEntropyWithLogits", Accuracy::Sum),
        OpDef::plain::<SparseSoftmaxCrossEntropyWithLogits>("SparseSoftmaxCrossEntropyWithLogits", Accuracy::Sum),
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, hessian};

    fn logits() -> Tensor {
        Tensor::new([2, 3, 2], (0..12).map(|i| f64::from(i * i % 7) / 3.0).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_softmax_along_any_axis_is_one_along_the_last() {
        let x = logits();
        for (axis, order) in [(0, [1, 2, 0]), (1, [0, 2, 1]), (-2, [0, 2, 1])] {
            let back: Vec<i64> = (0..3).map(|axis| order.iter().position(|&o| o == axis).unwrap() as i64).collect();
            let moved = x.permute(order).unwrap();
            let copied = Tensor::new(moved.dims().unwrap(), moved.to_vec::<f64>().unwrap()).unwrap();
            let expected = copied.softmax(-1).unwrap().permute(&back).unwrap().to_vec::<f64>().unwrap();
            assert_eq!(x.softmax(axis).unwrap().to_vec::<f64>().unwrap(), expected);
        }
        assert!(x.softmax(3).is_err());
        assert!(Tensor::scalar(1.0_f32).log_softmax(-1).is_err());
    }

    #[test]
    fn cross_entropies_agree_on_labels_of_one_class() {
        let classes = Tensor::from([[0_i32, 1, 1], [1, 0, 1]]);
        let sparse = logits().sparse_softmax_cross_entropy_with_logits(&classes).unwrap();
        assert_eq!(*sparse.shape(), [2, 3]);
        let second = classes.cast(DType::F64).unwrap();
        let dense = Tensor::stack(&[1.0 - &second, second], -1).unwrap();
        let loss = logits().softmax_cross_entropy_with_logits(&dense).unwrap();
        let (sparse, loss) = (sparse.to_vec::<f64>().unwrap(), loss.to_vec::<f64>().unwrap());
        assert!(sparse.iter().zip(&loss).all(|(a, b)| (a - b).abs() < 1e-15), "{sparse:?} vs. {loss:?}");
    }

    #[test]
    fn a_label_that_is_no_class_is_named() {
        let error = logits().sparse_softmax_cross_entropy_with_logits(&Tensor::from([[0, 1, 1], [1, -1, 1]]));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.to_string(),
            "label -1 of row 4 is outside of the range [0, 2) of classes [Op:SparseSoftmaxCrossEntropyWithLogits]"
        );
        let transposed = logits().sparse_softmax_cross_entropy_with_logits(&Tensor::from([[0, 1], [1, 1], [0, 0]]));
        assert!(transposed.unwrap_err().message().starts_with("there must be one label for each row"));
    }

    #[test]
    fn the_curve_of_a_cross_entropy_is_that_of_its_softmax() {
        let x = Tensor::from([[0.5_f64, -1.0]]);
        let curve = hessian(|x| x.sparse_softmax_cross_entropy_with_logits(&Tensor::from([1]))?.sum(..), &x).unwrap();
        let p = x.softmax(-1).unwrap().to_vec::<f64>().unwrap();
        let (found, expected) = (curve.to_vec::<f64>().unwrap(), p[0] * p[1]);
        let expected = [expected, -expected, -expected, expected];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?} vs. {expected:?}");
    }
}
