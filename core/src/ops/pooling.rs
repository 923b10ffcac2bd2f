//! Pooling: the greatest or the mean of what a window holds, and the ways back.

use super::sliding::{Slide, Sliding, shape_of, sizes, spatial, too_many};
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity, ints,
    same_dtype, unsupported, with_rank,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Images, MaxPooling, Pooling, Window};
use std::sync::Arc;

/// Windows of one size.
#[derive(Clone, Debug)]
struct Pool {
    size: [usize; 3],
    slide: Slide,
}

impl Pool {
    fn parse(attrs: &Attrs, name: &str, axes: usize, explicit: bool) -> Result<Pool> {
        let slide = Slide::parse(attrs, axes)?;
        slide.without(name, true, !explicit)?;
        Ok(Pool { size: slide.size(attrs)?, slide })
    }

    fn attrs(&self, explicit: bool) -> Attrs {
        self.slide.attrs(false, explicit).with("ksize", self.slide.list(&self.size))
    }

    /// The name of an op by the number of axes.
    fn named(&self, names: [&'static str; 2]) -> &'static str {
        names[self.slide.axes - 2]
    }

    fn input(&self, x: &Shape) -> Result<Shape> {
        with_rank(x, self.slide.rank(), "the input")
    }

    /// The shape of the output.
    fn output(&self, x: &Shape) -> Result<Shape> {
        let shape = self.slide.outputs(x, |i| Some(self.size[i]), x.dim(self.slide.channels()))?;
        x.known().map(|x| self.window(x).ok_or_else(too_many)).transpose()?;
        Ok(shape)
    }

    /// Refuses a shape other than that of the output.
    fn check(&self, x: &Shape, y: &Shape, what: &str) -> Result<Shape> {
        let expected = self.output(x)?;
        expected.merge(y).ok_or_else(|| {
            Error::invalid_argument(format!("{what} of input {x} must have shape {expected}, found {y}"))
        })
    }

    fn window(&self, x: &[usize]) -> Option<Window> {
        self.slide.window(x, &self.size[..self.slide.axes])
    }

    /// Windows and images, of an input of these dims.
    fn of(&self, x: &[usize]) -> Result<(Window, Images)> {
        let window = self.window(x).ok_or_else(|| Error::internal("windows that were inferred do not fit"))?;
        Ok((window, self.slide.images(x)))
    }

    /// The bytes for the taps of the greatest elements of so many windows.
    fn taps(outputs: usize) -> usize {
        (outputs * size_of::<u32>()).next_multiple_of(size_of::<u128>())
    }
}

/// Bytes for these inputs in row-major order.
fn room(inputs: &[View]) -> usize {
    inputs.iter().map(View::dense_room).sum::<usize>() * size_of::<u128>()
}

/// The dtypes of which there is a greatest element.
fn ordered(dtype: DType) -> bool {
    dtype.is_float() || dtype.is_integer() && !matches!(dtype, DType::U32 | DType::U64)
}

/// The greatest of every window.
#[derive(Clone, Debug)]
struct MaxPool(Pool);

impl MaxPool {
    const NAMES: [&'static str; 2] = ["MaxPool", "MaxPool3D"];
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        self.0.named(MaxPool::NAMES)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs(self.0.slide.axes == 2)
    }
    fn samples(&self) -> &'static [usize] {
        &[0]
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, ordered, "floats, int8 to int64, uint8, uint16")?;
        Ok(vec![Spec::new(dtype, self.0.output(&self.0.input(&x.spec.shape)?)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (window, images) = self.0.of(inputs[0].dims())?;
        let dtype = inputs[0].dtype();
        dispatch!(dtype, number T => {
            let (x, _) = inputs[0].dense::<T>(scratch.take(inputs[0].dense_room())?)?;
            let least = if self.0.slide.axes == 2 { T::LEAST_FINITE } else { T::LEAST };
            T::max_pool(&window, images, least, x, outputs[0].elements()?);
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(MaxPoolGrad(self.0.clone()), &[b.input(0), b.output(0), b.dy(0)])?)])
    }
}

/// The gradient of [`MaxPool`] at its input: that of a window goes to its first greatest element; in volumes, to all that are
/// nearly the greatest.
#[derive(Clone, Debug)]
struct MaxPoolGrad(Pool);

impl MaxPoolGrad {
    const NAMES: [&'static str; 2] = ["MaxPoolGrad", "MaxPool3DGrad"];
}

impl Op for MaxPoolGrad {
    fn name(&self) -> &'static str {
        self.0.named(MaxPoolGrad::NAMES)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs(self.0.slide.axes == 2)
    }
    fn samples(&self) -> &'static [usize] {
        &[0, 1, 2]
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, y, dy] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        let x = self.0.input(&x.spec.shape)?;
        self.0.check(&x, &y.spec.shape, "the output")?;
        self.0.check(&x, &dy.spec.shape, "the output gradient")?;
        Ok(vec![Spec::new(dtype, x)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        match self.0.slide.axes {
            2 => Pool::taps(inputs[2].len()) + room(&[inputs[0], inputs[2]]),
            _ => room(inputs),
        }
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, y, dy] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (window, images) = self.0.of(x.dims())?;
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        dispatch!(x.dtype(), float T => {
            let dx = outputs[0].elements()?;
            let (x, room) = x.dense::<T>(room)?;
            let (dy, room) = dy.dense::<T>(room)?;
            match self.0.slide.axes {
                2 => T::max_pool_gradient(&window, images, x, dy, dx, bytemuck::cast_slice_mut(room)),
                _ => T::max_pool_gradient_near(&window, images, x, [y.dense::<T>(room)?.0, dy], dx),
            }
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let at_dy = b.when(2, || apply_one(MaxPoolGradGrad(self.0.clone()), &[b.input(0), b.input(1), b.dy(0)]))?;
        Ok(vec![None, None, at_dy])
    }
}

/// Of every window, the element of another tensor that lies where the first is that is equal to the output; 0 where none is.
#[derive(Clone, Debug)]
struct MaxPoolGradGrad(Pool);

impl MaxPoolGradGrad {
    const NAMES: [&'static str; 2] = ["MaxPoolGradGrad", "MaxPool3DGradGrad"];
}

impl Op for MaxPoolGradGrad {
    fn name(&self) -> &'static str {
        self.0.named(MaxPoolGradGrad::NAMES)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs(false)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, y, from] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        let x = self.0.input(&x.spec.shape)?;
        let shape = self.0.check(&x, &y.spec.shape, "the output")?;
        if x.merge(&from.spec.shape).is_none() {
            let found = &from.spec.shape;
            return Err(Error::invalid_argument(format!(
                "the gradient must have the input's shape {x}, found {found}"
            )));
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, y, from] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (window, images) = self.0.of(x.dims())?;
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        dispatch!(x.dtype(), float T => {
            let (x, room) = x.dense::<T>(room)?;
            let (from, room) = from.dense::<T>(room)?;
            T::max_pool_pick(&window, images, [x, from], y.dense::<T>(room)?.0, outputs[0].elements()?);
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let at_from = b.when(2, || apply_one(MaxPoolGrad(self.0.clone()), &[b.input(0), b.input(1), b.dy(0)]))?;
        Ok(vec![None, None, at_from])
    }
}

/// The greatest of every window, and where in its image, or among all images, it is.
#[derive(Clone, Debug)]
struct MaxPoolWithArgmax {
    pool: Pool,
    index: DType,
    include_batch: bool,
}

impl MaxPoolWithArgmax {
    const NAME: &'static str = "MaxPoolWithArgmax";

    fn parse(attrs: &Attrs) -> Result<Arc<dyn Op>> {
        let index = allowed(
            attrs.dtype("Targmax", DType::I64)?,
            |d| matches!(d, DType::I32 | DType::I64),
            "Targmax of int32 or int64",
        )?;
        let pool = Pool::parse(attrs, MaxPoolWithArgmax::NAME, 2, false)?;
        let include_batch = attrs.bool("include_batch_in_index", false)?;
        Ok(Arc::new(MaxPoolWithArgmax { pool, index, include_batch }))
    }
}

/// The attributes of both ops that know where the greatest are: they have no format.
fn indexed(pool: &Pool, include_batch: bool) -> Attrs {
    let all = pool.attrs(false);
    let own = all.iter().filter(|(name, _)| *name != "data_format");
    own.fold(Attrs::new(), |attrs, (name, value)| attrs.with(name, value.clone()))
        .with("include_batch_in_index", include_batch)
}

impl Op for MaxPoolWithArgmax {
    fn name(&self) -> &'static str {
        MaxPoolWithArgmax::NAME
    }
    fn attrs(&self) -> Attrs {
        indexed(&self.pool, self.include_batch).with("Targmax", self.index)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, DType::is_float, "floats")?;
        let shape = self.pool.output(&self.pool.input(&x.spec.shape)?)?;
        Ok(vec![Spec::new(dtype, &shape), Spec::new(self.index, shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let wide =
            if self.index == DType::I64 { 0 } else { (outputs[0].len() * size_of::<i64>()).next_multiple_of(16) };
        Pool::taps(outputs[0].len()) + room(inputs) + wide
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (window, images) = self.pool.of(inputs[0].dims())?;
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let [out, index] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let dtype = inputs[0].dtype();
        dispatch!(dtype, float T => {
            let (x, room) = inputs[0].dense::<T>(room)?;
            let (taps, room) = room.split_at_mut(Pool::taps(out.len()) / size_of::<u128>());
            let taps = bytemuck::cast_slice_mut(taps);
            if self.index == DType::I64 {
                T::max_pool_argmax(&window, images, self.include_batch, x, out.elements()?, index.elements()?, taps);
                return Ok(());
            }
            let wide: &mut [i64] = &mut bytemuck::cast_slice_mut(room)[..index.len()];
            T::max_pool_argmax(&window, images, self.include_batch, x, out.elements()?, wide, taps);
            for (narrow, &wide) in index.elements::<i32>()?.iter_mut().zip(&*wide) {
                *narrow = wide as i32;
            }
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let back = MaxPoolGradWithArgmax { pool: self.pool.clone(), include_batch: self.include_batch };
        Ok(vec![Some(apply_one(back, &[b.input(0), b.dy(0), b.output(1)])?)])
    }
}

/// The gradient of [`MaxPoolWithArgmax`] at its input: that of a window goes to the element that was its greatest.
#[derive(Clone, Debug)]
struct MaxPoolGradWithArgmax {
    pool: Pool,
    include_batch: bool,
}

impl MaxPoolGradWithArgmax {
    const NAME: &'static str = "MaxPoolGradWithArgmax";

    fn parse(attrs: &Attrs) -> Result<Arc<dyn Op>> {
        let pool = Pool::parse(attrs, MaxPoolGradWithArgmax::NAME, 2, false)?;
        let include_batch = attrs.bool("include_batch_in_index", false)?;
        Ok(Arc::new(MaxPoolGradWithArgmax { pool, include_batch }))
    }
}

impl Op for MaxPoolGradWithArgmax {
    fn name(&self) -> &'static str {
        MaxPoolGradWithArgmax::NAME
    }
    fn attrs(&self) -> Attrs {
        indexed(&self.pool, self.include_batch)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, dy, argmax] = arity(inputs)?;
        let dtype = allowed(same_dtype(&[*x, *dy])?, DType::is_float, "floats")?;
        allowed(argmax.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "an argmax of int32 or int64")?;
        let x = self.pool.input(&x.spec.shape)?;
        self.pool.check(&x, &dy.spec.shape, "the output gradient")?;
        self.pool.check(&x, &argmax.spec.shape, "the argmax")?;
        Ok(vec![Spec::new(dtype, x)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        Pool::taps(inputs[1].len()) + room(&[inputs[1]]) + inputs[2].ints_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, dy, argmax] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (window, images) = self.pool.of(x.dims())?;
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let (argmax, room) = argmax.ints(room)?;
        dispatch!(dy.dtype(), float T => {
            let (dy, room) = dy.dense::<T>(room)?;
            let (dx, taps) = (outputs[0].elements()?, bytemuck::cast_slice_mut(room));
            T::max_pool_gradient_at(&window, images, self.include_batch, argmax, dy, dx, taps)
                .map_err(|fault| Error::invalid_argument(format!("argmax {} at {fault}", argmax[fault.at])))
        }, else => Err(unsupported(dy.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let at_dy = b.when(1, || {
            let (g, argmax) = (b.dy(0), b.input(2));
            if self.include_batch {
                return g.reshape([-1])?.gather(argmax, 0);
            }
            let dims = sizes(argmax)?;
            let rows = |x: &Tensor| x.reshape_by(&Tensor::concat(&[dims.block([0], [1])?, Tensor::from([-1])], 0)?);
            rows(g)?.gather_batched(&rows(argmax)?, 1, 1)?.reshape_as(argmax)
        })?;
        Ok(vec![None, at_dy, None])
    }
}

/// The mean of every window: of what lies in the image.
#[derive(Clone, Debug)]
struct AvgPool(Pool);

impl AvgPool {
    const NAMES: [&'static str; 2] = ["AvgPool", "AvgPool3D"];
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        self.0.named(AvgPool::NAMES)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs(false)
    }
    fn samples(&self) -> &'static [usize] {
        &[0]
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, DType::is_float, "floats")?;
        Ok(vec![Spec::new(dtype, self.0.output(&self.0.input(&x.spec.shape)?)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (window, images) = self.0.of(inputs[0].dims())?;
        let dtype = inputs[0].dtype();
        dispatch!(dtype, float T => {
            let (x, _) = inputs[0].dense::<T>(scratch.take(inputs[0].dense_room())?)?;
            T::average_pool(&window, images, x, outputs[0].elements()?);
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(AvgPoolGrad(self.0.clone()), &[&sizes(b.input(0))?, b.dy(0)])?)])
    }
}

/// The gradient of [`AvgPool`] at its input, whose dims come first.
#[derive(Clone, Debug)]
struct AvgPoolGrad(Pool);

impl AvgPoolGrad {
    const NAMES: [&'static str; 2] = ["AvgPoolGrad", "AvgPool3DGrad"];
}

impl Op for AvgPoolGrad {
    fn name(&self) -> &'static str {
        self.0.named(AvgPoolGrad::NAMES)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs(false)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dims, dy] = arity(inputs)?;
        let dtype = allowed(dy.spec.dtype, DType::is_float, "floats")?;
        let values = ints(dims, "dims")?;
        with_rank(&dims.spec.shape, 1, "dims")?;
        let x = shape_of(values, self.0.slide.rank(), "the input's")?;
        self.0.check(&x, &dy.spec.shape, "the output gradient")?;
        Ok(vec![Spec::new(dtype, x)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let dtype = outputs[0].dtype();
        let own = self.0.of(outputs[0].dims()).map(|(window, images)| {
            dispatch!(dtype, float T => T::average_pool_gradient_scratch(&window, images) * size_of::<T>(), else => 0)
        });
        room(&inputs[1..]) + own.unwrap_or(0).next_multiple_of(size_of::<u128>())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let (window, images) = self.0.of(outputs[0].dims())?;
        let dtype = outputs[0].dtype();
        dispatch!(dtype, float T => {
            let (dy, room) = inputs[1].dense::<T>(room)?;
            let own = T::average_pool_gradient_scratch(&window, images);
            let room = &mut bytemuck::cast_slice_mut(room)[..own];
            T::average_pool_gradient(&window, images, dy, outputs[0].elements()?, room);
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, b.when(1, || apply_one(AvgPool(self.0.clone()), &[b.dy(0)]))?])
    }
}

/// Calls `f` with images of two or three axes and windows of this size over them.
fn pooled(
    x: &Tensor,
    size: &[usize],
    sliding: &Sliding,
    op: &'static str,
    f: impl FnOnce(&Tensor, Pool) -> Result<Tensor>,
) -> Result<Tensor> {
    x.check()?;
    let axes = spatial(x.rank(), "images")?;
    let mut size = size.to_vec();
    if size.len() != axes || size.contains(&0) {
        let message = format!("a window has a size of at least 1 for each of {axes} spatial axes, found {size:?}");
        return Err(Error::invalid_argument(message).in_op(op));
    }
    let one = (axes == 1).then_some(if sliding.is_channels_first() { 2 } else { 1 });
    let (x, axes, sliding) = match one {
        Some(at) => {
            size.insert(0, 1);
            (x.expand_dims(at)?, 2, sliding.with_axis())
        }
        None => (x.clone(), axes, sliding.clone()),
    };
    let made = || {
        let slide = sliding.slide(axes, &size)?;
        slide.without(op, true, op != "MaxPool" || axes == 3)?;
        let mut all = [1; 3];
        all[..axes].copy_from_slice(&size);
        Ok(Pool { size: all, slide })
    };
    let y = f(&x, made().map_err(|error: Error| error.in_op(op))?)?;
    one.map_or(Ok(y.clone()), |at| y.squeeze([at]))
}

impl Tensor {
    /// The greatest element of every window of these images, of each channel, along one to three axes.
    ///
    /// `[batch, places.., channels]` becomes `[batch, windows.., channels]`, with channels first where
    /// [`Sliding::channels_first`] says so. Windows lie beside each other unless [`Sliding::strides`] says else; padding
    /// counts as nothing, and so does NaN. Where there is nothing else, the result is the lowest finite number, also of −∞; along
    /// three axes, −∞. The gradient goes to the first greatest element of a window, or to NaN where it comes first; along three
    /// axes, to all that are less than 10⁻⁵ from the result. TensorFlow's `MaxPool` of one or two axes, `MaxPool3D` of three,
    /// which takes no explicit padding.
    ///
    /// ```
    /// use modulor_core::{Sliding, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[[1], [5], [2], [3], [4]]]);
    /// assert_eq!(x.max_pool([2], &Sliding::new())?.to_vec::<i32>()?, [5, 3]);
    /// assert_eq!(x.max_pool([2], &Sliding::new().strides([1]).same())?.to_vec::<i32>()?, [5, 5, 3, 4, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_pool(&self, size: impl AsRef<[usize]>, sliding: &Sliding) -> Result<Tensor> {
        pooled(self, size.as_ref(), sliding, "MaxPool", |x, pool| apply_one(MaxPool(pool), &[x]))
    }

    /// The mean of every window of these images, of each channel, along one to three axes; windows are as for
    /// [`max_pool`](Tensor::max_pool), and padding is no part of a mean.
    ///
    /// TensorFlow's `AvgPool` of one or two axes, `AvgPool3D` of three; no explicit padding.
    ///
    /// ```
    /// use modulor_core::{Sliding, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[[1.0_f32], [5.0], [2.0]]]);
    /// assert_eq!(x.average_pool([2], &Sliding::new())?.to_vec::<f32>()?, [3.0]);
    /// assert_eq!(x.average_pool([2], &Sliding::new().same())?.to_vec::<f32>()?, [3.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn average_pool(&self, size: impl AsRef<[usize]>, sliding: &Sliding) -> Result<Tensor> {
        pooled(self, size.as_ref(), sliding, "AvgPool", |x, pool| apply_one(AvgPool(pool), &[x]))
    }

    /// As [`max_pool`](Tensor::max_pool) along two axes with channels last, and, as int64, where each of the greatest is:
    /// `(y·width + x)·channels + c` in its image. NaN that comes first in a window stays, and −∞. TensorFlow's
    /// `MaxPoolWithArgmax`.
    pub fn max_pool_with_argmax(&self, size: [usize; 2], sliding: &Sliding) -> Result<(Tensor, Tensor)> {
        let mut argmax = None;
        let values = pooled(self, &size, sliding, MaxPoolWithArgmax::NAME, |x, pool| {
            if pool.slide.is_first() {
                return Err(
                    Error::unimplemented("an argmax is of images with channels last").in_op(MaxPoolWithArgmax::NAME)
                );
            }
            let op = MaxPoolWithArgmax { pool, index: DType::I64, include_batch: false };
            let mut both = apply(op, &[x])?;
            argmax = both.pop();
            both.pop().ok_or_else(|| Error::internal("two outputs were inferred"))
        })?;
        Ok((values, argmax.ok_or_else(|| Error::internal("two outputs were inferred"))?))
    }
}

/// The rows of an op of windows along two axes and of that along three; whether the first takes explicit padding.
macro_rules! both {
    ($op:ident $explicit:literal $accuracy:ident) => {
        &[
            OpDef {
                name: $op::NAMES[0],
                parse: |attrs| Ok(Arc::new($op(Pool::parse(attrs, $op::NAMES[0], 2, $explicit)?))),
                accuracy: Accuracy::$accuracy,
            },
            OpDef {
                name: $op::NAMES[1],
                parse: |attrs| Ok(Arc::new($op(Pool::parse(attrs, $op::NAMES[1], 3, false)?))),
                accuracy: Accuracy::$accuracy,
            },
        ]
    };
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    both!(MaxPool true Exact),
    both!(MaxPoolGrad true Sum),
    both!(MaxPoolGradGrad false Exact),
    both!(AvgPool false Sum),
    both!(AvgPoolGrad false Sum),
    &[
        OpDef { name: MaxPoolWithArgmax::NAME, parse: MaxPoolWithArgmax::parse, accuracy: Accuracy::Exact },
        OpDef { name: MaxPoolGradWithArgmax::NAME, parse: MaxPoolGradWithArgmax::parse, accuracy: Accuracy::Sum },
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GradientTape, hessian};

    fn numbers(dims: &[usize]) -> Tensor {
        let count = dims.iter().product::<usize>();
        let values: Vec<f64> = (0..count).map(|i| (i * 37 % 101) as f64 / 8.0).collect();
        Tensor::new(dims, values).unwrap()
    }

    type Kind = fn(&Tensor, &[usize], &Sliding) -> Result<Tensor>;
    const KINDS: [Kind; 2] =
        [|x, size, sliding| x.max_pool(size, sliding), |x, size, sliding| x.average_pool(size, sliding)];

    #[test]
    fn images_with_channels_first_are_those_with_channels_last_moved() {
        for (kind, axes) in KINDS.into_iter().flat_map(|kind| [1, 2, 3].map(|axes| (kind, axes))) {
            let last: Vec<i64> = [0].into_iter().chain(2..axes + 2).chain([1]).collect();
            let first: Vec<i64> = [0, axes + 1].into_iter().chain(1..=axes).collect();
            let x = numbers(&[&[2, 3], &[5, 4, 3][..axes as usize]].concat());
            let size = &[2, 3, 2][..axes as usize];
            for sliding in [Sliding::new(), Sliding::new().same().strides(vec![1; axes as usize])] {
                let gradient = |f: &dyn Fn() -> Result<Tensor>| {
                    let tape = GradientTape::new();
                    tape.watch(&x);
                    let y = tape.record(|| f()?.square()).unwrap();
                    let dx = tape.gradient(&y, &x).unwrap();
                    [y, dx].map(|t| t.to_vec::<f64>().unwrap())
                };
                let expected = gradient(&|| kind(&x.permute(&last)?, size, &sliding)?.permute(&first));
                let found = gradient(&|| kind(&x, size, &sliding.clone().channels_first()));
                for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn the_curve_of_the_greatest_of_a_volume_is_there() {
        let x = numbers(&[1, 2, 1, 2, 1]);
        let curve = hessian(|x| x.max_pool([2, 1, 1], &Sliding::new())?.square()?.sum(..), &x).unwrap();
        let at_greatest: Vec<f64> = curve.to_vec::<f64>().unwrap().into_iter().step_by(5).collect();
        assert_eq!(at_greatest, [0.0, 2.0, 2.0, 0.0]);
    }

    #[test]
    fn the_gradient_of_a_gradient_by_index_is_what_lies_there() {
        let (x, sliding) = (numbers(&[2, 3, 4, 2]), Sliding::new().strides([1, 1]));
        let squares = |x: &Tensor| x.max_pool_with_argmax([2, 2], &sliding)?.0.square()?.sum(..);
        let plain = |x: &Tensor| x.max_pool([2, 2], &sliding)?.square()?.sum(..);
        let [a, b] = [hessian(squares, &x), hessian(plain, &x)].map(|curve| curve.unwrap().to_vec::<f64>().unwrap());
        assert_eq!(a, b);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let x = numbers(&[1, 4, 4, 3]);
        for (found, words) in [
            (x.max_pool([2], &Sliding::new()), "for each of 2 spatial axes, found [2] [Op:MaxPool]"),
            (x.max_pool([2, 0], &Sliding::new()), "at least 1"),
            (x.max_pool([6, 1], &Sliding::new().strides([1, 1])), "no window of 6 places"),
            (
                x.average_pool([2, 2], &Sliding::new().dilations([2, 2])),
                "takes no dilations, found [2, 2] [Op:AvgPool]",
            ),
            (x.average_pool([2, 2], &Sliding::new().padding([[1, 1], [0, 0]])), "SAME or VALID"),
            (numbers(&[4, 4]).average_pool([2], &Sliding::new()), "rank 3 to 5, found rank 2"),
        ] {
            let error = found.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
