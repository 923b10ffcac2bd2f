//! Sums, means, products and extremes over axes, where the extremes are, and running totals.

use super::array::{element_count, index_tensor};
use super::fill::range;
use super::row_major;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity, int_values,
    ints, unsupported,
};
use crate::shape::{MAX_RANK, normalize_axis};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Binary, Fold, Logical, Number, Strided, cast, fold_logical};
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
                        // What goes alone stays as it is: a negative zero, too.
                        if x.dims().iter().zip(mask).all(|(&dim, &folded)| dim == 1 || !folded) {
                            cast(x.elements::<T>()?, outputs[0].elements::<T>()?);
                            return Ok(());
                        }
                        T::fold(Fold::$op, x.elements()?, mask, outputs[0].elements()?)
                            .map_err(|_| unsupported(x.dtype()))
                    }, else => Err(unsupported(x.dtype()))))
                }
                fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let $x = $b.input(0);
                    let kept = |t: &Tensor| match self.keep_dims {
                        true => Ok(t.clone()),
                        false => restore_axes(t, $b, || apply_one($op { keep_dims: true }, &[$x, $b.input(1)])),
                    };
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

/// Puts dims of 1 back where the call reduced; `kept` computes a tensor of that shape, for when the axes or the rank
/// are not known before the graph runs.
fn restore_axes(t: &Tensor, b: &Backward, kept: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
    let (Some(rank), false) = (b.input(0).rank(), b.input(1).is_symbolic()) else {
        return t.reshape_as(&kept()?);
    };
    let axes = int_values(b.input(1))?;
    let mask = mask(&axes, rank)?;
    let mut t = t.clone();
    for axis in (0..rank).filter(|&axis| mask[axis]) {
        t = t.expand_dims(axis as i64)?;
    }
    Ok(t)
}

/// How many elements of the input went into one of the output, as a scalar of a dtype of numbers that have fractions.
pub(super) fn terms(x: &Tensor, y: &Tensor, dtype: DType) -> Result<Tensor> {
    if let (Some(all), Some(left)) = (x.shape().elements(), y.shape().elements()) {
        return Tensor::number((all / left.max(1)) as f64, dtype);
    }
    // Of all elements there may be more than the dtype, or int32, can count.
    element_count(x)?.floor_div(element_count(y)?.maximum(1.0)?)?.cast(DType::F64)?.cast(dtype)
}

/// The gradient goes to the extreme elements, in equal parts where there are several.
fn to_extremes(x: &Tensor, y: &Tensor, dy: &Tensor, b: &Backward) -> Result<Tensor> {
    let chosen = x.equal(y)?.cast(dy.dtype())?;
    let number = apply_one(Sum { keep_dims: true }, &[&chosen, b.input(1)])?;
    Ok(dy * (chosen / number))
}

/// The derivative of a product in each factor: the product of all others, also where some are 0.
///
/// Over several axes it is a product of products: axis by axis, of the products over the axes before, that of the others
/// along this one.
fn products_of_others(x: &Tensor, dy: &Tensor, b: &Backward) -> Result<Tensor> {
    if b.input(1).is_symbolic() {
        return Err(Error::unimplemented("the gradient of a product needs the axes' values"));
    }
    let (mut gradient, mut product) = (dy.clone(), x.clone());
    for axis in int_values(b.input(1))? {
        let before = product.cumprod_with(axis, true, false)?;
        let after = product.cumprod_with(axis, true, true)?;
        gradient *= before * after;
        product = product.prod_keepdims(axis)?;
    }
    // Without axes nothing is multiplied.
    gradient.broadcast_like(x)
}

reductions! {
    /// The sum over axes; 0 of none.
    Sum Sum sum sum_keepdims, |b, x, y, dy| dy.broadcast_like(x)?;
    /// The mean over axes; NaN of none.
    Sum Mean mean mean_keepdims, |b, x, y, dy| (dy / terms(x, y, dy.dtype())?).broadcast_like(x)?;
    /// The product over axes; 1 of none.
    Sum Prod prod prod_keepdims, |b, x, y, dy| products_of_others(x, dy, b)?;
    /// The largest over axes; −∞ (the least integer) of none.
    Exact Max max max_keepdims, |b, x, y, dy| to_extremes(x, y, dy, b)?;
    /// The smallest over axes; ∞ (the greatest integer) of none.
    Exact Min min min_keepdims, |b, x, y, dy| to_extremes(x, y, dy, b)?;
}

/// One reduction of bools a row.
macro_rules! connectives {
    ($($(#[$doc:meta])* $op:ident $method:ident $keep:ident $kernel:ident;)*) => {
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
                    Ok(vec![Spec::new(allowed(inputs[0].spec.dtype, |d| d == DType::Bool, "bools")?, shape)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    with_mask(inputs, |mask| {
                        fold_logical(Logical::$kernel, inputs[0].elements()?, mask, outputs[0].elements()?);
                        Ok(())
                    })
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
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
        const CONNECTIVES: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { keep_dims: attrs.bool("keep_dims", false)? })),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

connectives! {
    /// Whether all bools over axes are true; true of none.
    All all all_keepdims And;
    /// Whether any bool over axes is true; false of none.
    Any any any_keepdims Or;
}

/// The one axis of an input, as an index below `rank`, where it has a value.
fn one_axis(input: &Input, rank: Option<usize>) -> Result<Option<usize>> {
    if input.spec.shape.rank().is_some_and(|rank| rank != 0) {
        return Err(Error::invalid_argument(format!("the axis must be a scalar, found shape {}", input.spec.shape)));
    }
    match (ints(input, "an axis")?.as_deref(), rank) {
        (Some([axis]), Some(rank)) => normalize_axis(*axis, rank).map(Some),
        _ => Ok(None),
    }
}

/// The same for a kernel, whose inputs `infer` has accepted.
fn axis_of(inputs: &[View]) -> Result<usize> {
    let (rank, axis) = (inputs[0].dims().len() as i64, inputs[1]);
    let axis = match axis.dtype() {
        DType::I32 => i64::from(only(axis.elements::<i32>()?)),
        _ => only(axis.elements::<i64>()?),
    };
    Ok(if axis < 0 { axis + rank } else { axis } as usize)
}

fn only<T: Copy>(scalar: Strided<T>) -> T {
    scalar.data()[scalar.offset()]
}

/// Where the extreme lies along an axis: one a row.
macro_rules! places {
    ($($(#[$doc:meta])* $op:ident $method:ident $max:literal;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                output_type: DType,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("output_type", self.output_type)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    Ok(vec![Spec::new(self.output_type, place_shape(inputs, self.output_type)?)])
                }
                fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
                    if self.output_type == DType::I64 { 0 } else { outputs[0].len() * size_of::<i64>() }
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    write_places($max, inputs, &mut outputs[0], scratch)
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                #[doc = concat!("Indices are int64. TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, axis: i64) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op { output_type: DType::I64 }, &[self, &axis_tensor(axis)?])
                }
            }
        )*
        const PLACES: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { output_type: attrs.dtype("output_type", DType::I64)? })),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

places! {
    /// The index along an axis of the largest element: of the first of equals; NaN is taken for no element.
    ArgMax argmax true;
    /// The index along an axis of the smallest element: of the first of equals; NaN is taken for no element.
    ArgMin argmin false;
}

/// An axis as TensorFlow passes it: an int32 scalar.
fn axis_tensor(axis: i64) -> Result<Tensor> {
    index_tensor(&[axis])?.reshape_to(&[])
}

fn place_shape(inputs: &[Input], output_type: DType) -> Result<Shape> {
    let [x, axis] = arity(inputs)?;
    allowed(x.spec.dtype, |d| d.is_float() || d.is_integer() || d == DType::Bool, "numbers and bools")?;
    let indices = |d| matches!(d, DType::I32 | DType::I64 | DType::I16 | DType::U16);
    allowed(output_type, indices, "an output_type of int16, uint16, int32 or int64")?;
    let dims = x.spec.shape.dims();
    let axis = one_axis(axis, x.spec.shape.rank())?;
    let Some(mut dims) = dims else { return Ok(Shape::unknown()) };
    if dims.is_empty() {
        return Err(Error::invalid_argument("a scalar has no axis along which to look"));
    }
    let Some(axis) = axis else { return Ok(Shape::of_rank(dims.len() - 1)) };
    if dims.remove(axis) == Some(0) {
        let message = format!("axis {axis} is empty in shape {}: there is no element to point at", x.spec.shape);
        return Err(Error::invalid_argument(message));
    }
    Ok(dims.into())
}

fn write_places(max: bool, inputs: &[View], out: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
    let (x, axis) = (inputs[0], axis_of(inputs)?);
    let find = |places: &mut [i64]| match x.dtype() {
        DType::Bool => u8::arg_extreme(max, x.elements()?, axis, places).map_err(|_| unsupported(x.dtype())),
        dtype => dispatch!(dtype, number T => {
            T::arg_extreme(max, x.elements()?, axis, places).map_err(|_| unsupported(dtype))
        }, else => Err(unsupported(dtype))),
    };
    if out.dtype() == DType::I64 {
        return find(out.elements()?);
    }
    let places = scratch.take::<i64>(out.len())?;
    find(places)?;
    dispatch!(out.dtype(), integer T => {
        row_major(places, &[places.len()], |places| {
            cast::<i64, T>(places, out.elements()?);
            Ok(())
        })
    }, else => Err(unsupported(out.dtype())))
}

/// Running totals along an axis: one a row; the gradient over the input `x`, the output `y` and the incoming `dy`.
macro_rules! running {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $with:ident $sum:literal,
        |$this:ident, $axis:ident, $x:ident, $y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op {
                exclusive: bool,
                reverse: bool,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("exclusive", self.exclusive).with("reverse", self.reverse)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x, axis] = arity(inputs)?;
                    let numbers = |d: DType| d.is_float() || d.is_integer() || d.is_complex();
                    allowed(x.spec.dtype, numbers, "numbers and complex numbers")?;
                    one_axis(axis, x.spec.shape.rank())?;
                    Ok(vec![x.spec.clone()])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let (x, axis) = (inputs[0], axis_of(inputs)?);
                    dispatch!(x.dtype(), arithmetic T => {
                        T::cumulate($sum, x.elements()?, axis, self.exclusive, self.reverse, outputs[0].elements()?);
                        Ok(())
                    }, else => Err(unsupported(x.dtype())))
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    #[allow(unused_variables)]
                    let ($this, $axis, $x, $y, $dy) = (self, b.input(1), b.input(0), b.output(0), b.dy(0));
                    Ok(vec![Some($grad), None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, axis: i64) -> Result<Tensor> {
                    self.$with(axis, false, false)
                }

                #[doc = concat!("As [`", stringify!($method), "`](Tensor::", stringify!($method), "),")]
                /// without the element itself if `exclusive`, from the end if `reverse`.
                pub fn $with(&self, axis: i64, exclusive: bool, reverse: bool) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op { exclusive, reverse }, &[self, &axis_tensor(axis)?])
                }
            }
        )*
        const RUNNING: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| {
                let exclusive = attrs.bool("exclusive", false)?;
                Ok(Arc::new($op { exclusive, reverse: attrs.bool("reverse", false)? }))
            },
            accuracy: Accuracy::$class,
        }),*];
    };
}

running! {
    /// The sum along an axis of the elements up to each.
    Sum Cumsum cumsum cumsum_with true, |this, axis, x, y, dy| {
        apply_one(Cumsum { exclusive: this.exclusive, reverse: !this.reverse }, &[dy, axis])?
    };
    /// The product along an axis of the elements up to each. Its gradient is 0 in an element that is 0, as
    /// TensorFlow's.
    Sum Cumprod cumprod cumprod_with false, |this, axis, x, y, dy| {
        let later = Cumsum { exclusive: this.exclusive, reverse: !this.reverse };
        apply_one(later, &[&(y * dy), axis])?.div_no_nan(x)?
    };
}

/// Half the sum of the squares of all elements.
#[derive(Debug, Default)]
struct L2Loss;

impl Op for L2Loss {
    fn name(&self) -> &'static str {
        "L2Loss"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Ok(vec![Spec::new(allowed(x.spec.dtype, DType::is_float, "floats")?, Shape::scalar())])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (inputs[0].len() + 1) * outputs[0].dtype().size()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let dtype = x.dtype();
        dispatch!(dtype, float T => {
            let (squares, sum) = scratch.take::<T>(x.len() + 1)?.split_at_mut(x.len());
            let all = x.elements::<T>()?;
            T::binary(Binary::Mul, all, all, squares).map_err(|_| unsupported(dtype))?;
            let mut half = [<T as bytemuck::Zeroable>::zeroed()];
            row_major(squares, &[x.len()], |squares| {
                T::fold(Fold::Sum, squares, &[true], sum).map_err(|_| unsupported(dtype))
            })?;
            row_major(&[0.5_f32], &[], |value| {
                cast(value, &mut half);
                Ok(())
            })?;
            row_major(sum, &[], |sum| row_major(&half, &[], |half| {
                T::binary(Binary::Mul, sum, half, outputs[0].elements()?).map_err(|_| unsupported(dtype))
            }))
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.input(0) * b.dy(0))])
    }
}

impl Tensor {
    /// Half the sum of the squares of all elements: `Σ x²/2`. TensorFlow's `L2Loss`.
    pub fn l2_loss(&self) -> Result<Tensor> {
        apply_one(L2Loss, &[self])
    }
}

/// The root of the sum of squares over axes.
#[derive(Debug, Default)]
struct EuclideanNorm {
    keep_dims: bool,
}

impl Op for EuclideanNorm {
    fn name(&self) -> &'static str {
        "EuclideanNorm"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("keep_dims", self.keep_dims)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let shape = reduced(inputs, self.keep_dims)?;
        let dtype = allowed(inputs[0].spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (inputs[0].len() + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        let (squares, norms) = scratch.take::<f64>(x.len() + out.len())?.split_at_mut(x.len());
        dispatch!(x.dtype(), number T => cast(x.elements::<T>()?, squares), else => return Err(unsupported(x.dtype())));
        squares.iter_mut().for_each(|x| *x *= *x);
        with_mask(inputs, |mask| {
            row_major(squares, x.dims(), |squares| {
                f64::fold(Fold::Sum, squares, mask, norms).map_err(|_| unsupported(DType::F64))
            })
        })?;
        norms.iter_mut().for_each(|x| *x = x.sqrt());
        dispatch!(x.dtype(), number T => row_major(norms, &[norms.len()], |norms| {
            cast(norms, out.elements::<T>()?);
            Ok(())
        }), else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.input(0);
        let kept = |t: &Tensor| match self.keep_dims {
            true => Ok(t.clone()),
            false => restore_axes(t, b, || apply_one(EuclideanNorm { keep_dims: true }, &[x, b.input(1)])),
        };
        Ok(vec![Some(kept(b.dy(0))? * (x / kept(b.output(0))?)), None])
    }
}

impl Tensor {
    /// The Euclidean norm over axes, as [`norm`](Tensor::norm), by an op of its own that computes in float64 and rounds
    /// once; that of integers loses its fraction. Its gradient is NaN where it is 0. TensorFlow's `EuclideanNorm`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[3e30_f32, 4e30], [0.0, 2.0]]).euclidean_norm(1)?.to_vec::<f32>()?, [5e30, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn euclidean_norm(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        apply_one(EuclideanNorm { keep_dims: false }, &[self, &index_tensor(&axes.axes(self.rank())?)?])
    }
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
            let dims = |t: &Tensor| int_values(t).and_then(|d| crate::ops::array::dims_from(&d));
            crate::shape::broadcast(&dims(a)?.into(), &dims(b)?.into())?;
        }
        Ok(vec![Spec::new(a.spec.dtype, [None]); 2])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (a, b) = (int_values(inputs[0])?, int_values(inputs[1])?);
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

/// The sum over all axes but the last so many; the rank need not be known.
pub(super) fn sum_but_last(x: &Tensor, axes: usize) -> Result<Tensor> {
    let outer = x.rank_tensor()?.sub(axes as f64)?;
    apply_one(Sum { keep_dims: false }, &[x, &range(&Tensor::scalar(0), &outer, &Tensor::scalar(1))?])
}

/// `gradient`, which has the shape that `input` was broadcast to, summed back to the shape of `input`.
pub(crate) fn unbroadcast(gradient: &Tensor, input: &Tensor) -> Result<Tensor> {
    let (from, to) = (gradient.shape(), input.shape());
    if from == to && from.is_known() {
        return Ok(gradient.clone());
    }
    if let (Some(from), Some(to)) = (from.known(), to.known()) {
        let missing = from.len().checked_sub(to.len()).ok_or_else(|| {
            Error::internal(format!("a gradient of shape {} for an input of shape {}", gradient.shape(), input.shape()))
        })?;
        let widened = |&axis: &usize| axis < missing || to[axis - missing] == 1 && from[axis] != 1;
        let axes: Vec<i64> = (0..from.len()).filter(widened).map(|axis| axis as i64).collect();
        return gradient.sum(axes)?.reshape_to(to);
    }
    let shape = input.shape_tensor()?;
    let axes = apply(BroadcastGradientArgs, &[&shape, &gradient.shape_tensor()?])?;
    apply_one(Sum { keep_dims: false }, &[gradient, &axes[0]])?.reshape_as(input)
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    REDUCTIONS,
    CONNECTIVES,
    PLACES,
    RUNNING,
    &[
        OpDef::plain::<L2Loss>("L2Loss", Accuracy::Sum),
        OpDef {
            name: "EuclideanNorm",
            parse: |attrs| Ok(Arc::new(EuclideanNorm { keep_dims: attrs.bool("keep_dims", false)? })),
            accuracy: Accuracy::Sum,
        },
        OpDef::plain::<BroadcastGradientArgs>("BroadcastGradientArgs", Accuracy::Exact),
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, GradientTape, graph::trace, value_and_grad};

    fn slope(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Vec<f64> {
        let (_, mut dx) = value_and_grad(|x| f(&x[0]), std::slice::from_ref(x)).unwrap();
        dx.remove(0).to_vec().unwrap()
    }

    #[test]
    fn the_slope_of_a_product_is_the_product_of_the_others() {
        let x = Tensor::from([[2.0_f64, 0.0], [3.0, 5.0]]);
        assert_eq!(slope(|x| x.prod(..), &x), [0.0, 30.0, 0.0, 0.0]);
        assert_eq!(slope(|x| x.prod(1), &x), [0.0, 2.0, 5.0, 3.0]);
        let zeros = Tensor::from([0.0_f64, 0.0, 7.0]);
        assert_eq!(slope(|x| x.prod(0), &zeros), [0.0; 3]);
    }

    #[test]
    fn extremes_share_their_gradient() {
        let x = Tensor::from([[2.0_f64, 2.0, 1.0], [0.0, 3.0, 1.0]]);
        assert_eq!(slope(|x| x.max(1), &x), [0.5, 0.5, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(slope(|x| x.min(..), &x), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn reductions_of_unknown_rank_have_gradients() {
        let x = Tensor::from([[2.0_f64, 2.0, 1.0], [0.0, 3.0, 1.0]]);
        let gradients = |x: &Tensor| {
            let tape = GradientTape::new();
            tape.watch(x);
            let y = tape.record(|| {
                let of_rows = [x.sum(1)?, x.mean(1)?, x.max(1)?, x.min(1)?, x.prod(1)?];
                of_rows[1..].iter().try_fold(of_rows[0].square()?, |sum, y| sum.add(y.square()?))
            })?;
            tape.gradient(&y, x)
        };
        let graph = trace(|x| Ok(vec![gradients(&x[0])?]), &[Spec::new(DType::F64, Shape::unknown())]).unwrap();
        let traced = graph.run(&[&x]).unwrap().remove(0);
        assert_eq!(traced.to_vec::<f64>().unwrap(), gradients(&x).unwrap().to_vec::<f64>().unwrap());
    }

    #[test]
    fn an_extreme_of_nothing_has_no_place() {
        let empty = Tensor::zeros([2, 0], DType::F32).unwrap();
        let error = empty.argmax(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.to_string(), "axis 1 is empty in shape (2, 0): there is no element to point at [Op:ArgMax]");
        assert_eq!(*empty.argmax(0).unwrap().shape(), [0]);
        assert!(Tensor::scalar(1.0_f32).argmin(0).is_err());
    }

    #[test]
    fn running_totals_go_either_way() {
        let x = Tensor::from([1.0_f32, 2.0, 3.0]);
        let totals = |exclusive, reverse| x.cumsum_with(-1, exclusive, reverse).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(totals(false, false), [1.0, 3.0, 6.0]);
        assert_eq!(totals(true, false), [0.0, 1.0, 3.0]);
        assert_eq!(totals(false, true), [6.0, 5.0, 3.0]);
        assert_eq!(x.cumprod(0).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0, 6.0]);
        assert!(x.cumsum(1).is_err());
    }
}
