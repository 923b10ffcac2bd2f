//! Sums, means and extremes over axes.

use super::array::index_tensor;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity, ints,
    unsupported,
};
use crate::shape::{MAX_RANK, normalize_axis};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Fold, Number};
use std::ops::RangeFull;
use std::sync::Arc;

/// Which axes: one, several, or `..` for all. Negative ones count from the end.
pub trait Axes {
    /// The axes for a tensor of so many dims; an error when `..` meets an unknown rank.
    fn axes(&self, rank: Option<usize>) -> Result<Vec<i64>>;
}

impl Axes for i64 {
    fn axes(&self, _: Option<usize>) -> Result<Vec<i64>> {
        Ok(vec![*self])
    }
}

impl<const N: usize> Axes for [i64; N] {
    fn axes(&self, _: Option<usize>) -> Result<Vec<i64>> {
        Ok(self.to_vec())
    }
}

impl Axes for &[i64] {
    fn axes(&self, _: Option<usize>) -> Result<Vec<i64>> {
        Ok(self.to_vec())
    }
}

impl Axes for Vec<i64> {
    fn axes(&self, _: Option<usize>) -> Result<Vec<i64>> {
        Ok(self.clone())
    }
}

impl Axes for RangeFull {
    fn axes(&self, rank: Option<usize>) -> Result<Vec<i64>> {
        let rank = rank.ok_or_else(|| Error::failed_precondition("`..` means all axes, and the rank is unknown"))?;
        Ok((0..rank as i64).collect())
    }
}

/// The axes given as an input, as a mask over the dims; repeated axes are refused.
pub(super) fn mask(axes: &[i64], rank: usize) -> Result<Vec<bool>> {
    let mut mask = vec![false; rank];
    for &axis in axes {
        let axis = normalize_axis(axis, rank)?;
        if std::mem::replace(&mut mask[axis], true) {
            return Err(Error::invalid_argument(format!("axis {axis} is given twice: {axes:?}")));
        }
    }
    Ok(mask)
}

/// The shape after reducing `x` over the axes of the second input.
fn reduced(inputs: &[Input], keep_dims: bool) -> Result<Shape> {
    let [x, axes] = arity(inputs)?;
    let (axes, dims) = (ints(axes, "axes")?, x.spec.shape.dims());
    let (Some(axes), Some(dims)) = (axes, &dims) else {
        return Ok(dims.filter(|_| keep_dims).map_or(Shape::unknown(), |dims| Shape::of_rank(dims.len())));
    };
    let mask = mask(&axes, dims.len())?;
    let kept = dims.iter().zip(mask).filter_map(|(&dim, gone)| match (gone, keep_dims) {
        (false, _) => Some(dim),
        (true, true) => Some(Some(1)),
        (true, false) => None,
    });
    Ok(kept.collect())
}

/// The mask of axes, without allocating, for a kernel whose inputs `infer` has accepted.
fn with_mask<R>(inputs: &[View], f: impl FnOnce(&[bool]) -> Result<R>) -> Result<R> {
    let rank = inputs[0].dims().len();
    let mut mask = [false; MAX_RANK];
    let mut mark = |axis: i64| mask[if axis < 0 { axis + rank as i64 } else { axis } as usize] = true;
    let axes = inputs[1];
    for i in 0..axes.len() {
        let at = |stride: isize| i as isize * stride;
        let stride = axes.strides().first().copied().unwrap_or(0);
        match axes.dtype() {
            DType::I32 => {
                let axes = axes.elements::<i32>()?;
                mark(i64::from(axes.data()[axes.offset().wrapping_add_signed(at(stride))]));
            }
            _ => {
                let axes = axes.elements::<i64>()?;
                mark(axes.data()[axes.offset().wrapping_add_signed(at(stride))]);
            }
        }
    }
    f(&mask[..rank])
}

/// One reduction of numbers a row; its gradient over the input `x`, the output `y` and the incoming `dy`, both with
/// the reduced axes kept as dims of 1.
macro_rules! reductions {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $keep:ident,
        |$b:ident, $x:ident, $y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op {
                keep_dims: bool,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("keep_dims", self.keep_dims)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let shape = reduced(inputs, self.keep_dims)?;
                    let extreme = matches!(Fold::$op, Fold::Max | Fold::Min);
                    let numbers = |d: DType| d.is_float() || d.is_integer() || d.is_complex() && !extreme;
                    Ok(vec![Spec::new(allowed(inputs[0].spec.dtype, numbers, "numbers")?, shape)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let x = inputs[0];
                    with_mask(inputs, |mask| dispatch!(x.dtype(), arithmetic T => {
                        T::fold(Fold::$op, x.elements()?, mask, outputs[0].elements()?)
                            .map_err(|_| unsupported(x.dtype()))
                    }, else => Err(unsupported(x.dtype()))))
                }
                fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let $x = $b.input(0);
                    let kept = |t: &Tensor| if self.keep_dims { Ok(t.clone()) } else { restore_axes(t, $b) };
                    let ($y, $dy) = (&kept($b.output(0))?, &kept($b.dy(0))?);
                    let _ = $y;
                    Ok(vec![Some($grad), None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nThe axes are one, several or `..`. TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, axes: impl Axes) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op { keep_dims: false }, &[self, &index_tensor(&axes.axes(self.rank())?)?])
                }

                #[doc = concat!("As [`", stringify!($method), "`](Tensor::", stringify!($method), "), with dims of 1 in place of the axes.")]
                pub fn $keep(&self, axes: impl Axes) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op { keep_dims: true }, &[self, &index_tensor(&axes.axes(self.rank())?)?])
                }
            }
        )*
        const REDUCTIONS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { keep_dims: attrs.bool("keep_dims", false)? })),
            accuracy: Accuracy::$class,
        }),*];
    };
}

/// Puts dims of 1 back where the call reduced.
fn restore_axes(t: &Tensor, b: &Backward) -> Result<Tensor> {
    let (Some(rank), false) = (b.input(0).rank(), b.input(1).is_symbolic()) else {
        return Err(Error::unimplemented("the gradient of a reduction needs the rank of its input and its axes"));
    };
    let axes = crate::op::int_values(b.input(1))?;
    let mask = mask(&axes, rank)?;
    let mut t = t.clone();
    for axis in (0..rank).filter(|&axis| mask[axis]) {
        t = t.expand_dims(axis as i64)?;
    }
    Ok(t)
}

/// How many elements of the input went into one of the output, as a scalar like `dy`.
fn terms(x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    if let (Some(all), Some(left)) = (x.shape().elements(), y.shape().elements()) {
        return Tensor::number((all / left.max(1)) as f64, dy.dtype());
    }
    Ok(x.size_tensor()?.cast(dy.dtype())? / y.size_tensor()?.maximum(1.0)?.cast(dy.dtype())?)
}

/// The gradient goes to the extreme elements, in equal parts where there are several.
fn to_extremes(x: &Tensor, y: &Tensor, dy: &Tensor, b: &Backward) -> Result<Tensor> {
    let chosen = x.equal(y)?.cast(dy.dtype())?;
    let axes = crate::op::int_values(b.input(1))?;
    Ok(dy * (&chosen / chosen.sum_keepdims(axes)?))
}

reductions! {
    /// The sum over axes; 0 of none.
    Sum Sum sum sum_keepdims, |b, x, y, dy| dy.broadcast_like(x)?;
    /// The mean over axes; NaN of none.
    Sum Mean mean mean_keepdims, |b, x, y, dy| (dy / terms(x, y, dy)?).broadcast_like(x)?;
    /// The largest over axes; −∞ (the least integer) of none.
    Exact Max max max_keepdims, |b, x, y, dy| to_extremes(x, y, dy, b)?;
    /// The smallest over axes; ∞ (the greatest integer) of none.
    Exact Min min min_keepdims, |b, x, y, dy| to_extremes(x, y, dy, b)?;
}

/// The axes over which gradients of two broadcast operands are summed, from the operands' shapes.
#[derive(Debug, Default)]
struct BroadcastGradientArgs;

impl Op for BroadcastGradientArgs {
    fn name(&self) -> &'static str {
        "BroadcastGradientArgs"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [a, b] = arity(inputs)?;
        ints(a, "a shape")?;
        ints(b, "a shape")?;
        if let (Some(a), Some(b)) = (a.value, b.value) {
            let dims = |t: &Tensor| crate::op::int_values(t).and_then(|d| crate::ops::array::dims_from(&d));
            crate::shape::broadcast(&dims(a)?.into(), &dims(b)?.into())?;
        }
        Ok(vec![Spec::new(a.spec.dtype, [None]); 2])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (a, b) = (crate::op::int_values(inputs[0])?, crate::op::int_values(inputs[1])?);
        let rank = a.len().max(b.len());
        let at = |dims: &[i64], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
        // As TensorFlow: an axis of 1 on both sides is summed on both, unless the shapes are equal as they stand.
        let over = |own: &[i64]| -> Vec<i64> {
            let summed = |i: &usize| a != b && at(own, *i) == 1;
            (0..rank).filter(summed).map(|i| i as i64).collect()
        };
        [over(&a), over(&b)]
            .iter()
            .map(|axes| match inputs[0].dtype() {
                DType::I32 => index_tensor(axes),
                _ => Tensor::new([axes.len()], axes.clone()),
            })
            .collect()
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

/// `gradient`, which has the shape that `input` was broadcast to, summed back to the shape of `input`.
pub(crate) fn unbroadcast(gradient: &Tensor, input: &Tensor) -> Result<Tensor> {
    let (from, to) = (gradient.shape(), input.shape());
    if from == to && from.is_known() {
        return Ok(gradient.clone());
    }
    if let (Some(from), Some(to)) = (from.known(), to.known()) {
        let missing = from.len() - to.len();
        let widened = |&axis: &usize| axis < missing || to[axis - missing] == 1 && from[axis] != 1;
        let axes: Vec<i64> = (0..from.len()).filter(widened).map(|axis| axis as i64).collect();
        return gradient.sum(axes)?.reshape_to(to);
    }
    let shape = input.shape_tensor()?;
    let axes = apply(BroadcastGradientArgs, &[&shape, &gradient.shape_tensor()?])?;
    apply_one(Sum { keep_dims: false }, &[gradient, &axes[0]])?.reshape_as(input)
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] =
    &[REDUCTIONS, &[OpDef::plain::<BroadcastGradientArgs>("BroadcastGradientArgs", Accuracy::Exact)]];
