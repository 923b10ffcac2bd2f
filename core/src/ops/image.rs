//! Images of other sizes.

use super::composite::composite;
use super::sliding::sizes;
use super::triangle::narrow;
use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, ints, unsupported,
    with_rank,
};
use crate::shape::count;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Area, Grid, Interpolation, Resampling, Resize, Resized, area_means, cast};
use std::sync::Arc;

/// How images are resized: what a resizing and its gradient share.
#[derive(Clone, Copy, Debug)]
struct How(Resize);

impl How {
    fn parse(attrs: &Attrs, interpolation: Interpolation) -> Result<How> {
        let (corners, half) = (attrs.bool("align_corners", false)?, attrs.bool("half_pixel_centers", false)?);
        let grid = match (corners, half) {
            (false, false) => Grid::TopLeft,
            (true, false) => Grid::AlignCorners,
            (false, true) => Grid::HalfPixelCenters,
            (true, true) => {
                let message = "align_corners and half_pixel_centers exclude each other, found both";
                return Err(Error::invalid_argument(message));
            }
        };
        Ok(How(Resize { interpolation, grid }))
    }

    fn attrs(self) -> Attrs {
        Attrs::new()
            .with("align_corners", self.0.grid == Grid::AlignCorners)
            .with("half_pixel_centers", self.0.grid == Grid::HalfPixelCenters)
    }

    /// The name of an op of this interpolation, of a resizing or of its gradient.
    fn name(self, back: bool) -> &'static str {
        match (self.0.interpolation, back) {
            (Interpolation::Nearest, false) => "ResizeNearestNeighbor",
            (Interpolation::Nearest, true) => "ResizeNearestNeighborGrad",
            (Interpolation::Bilinear, false) => "ResizeBilinear",
            (Interpolation::Bilinear, true) => "ResizeBilinearGrad",
            (Interpolation::Bicubic, false) => "ResizeBicubic",
            (Interpolation::Bicubic, true) => "ResizeBicubicGrad",
        }
    }

    fn is_nearest(self) -> bool {
        self.0.interpolation == Interpolation::Nearest
    }

    /// The sizes of images of these dims that become images of those.
    fn sizes(from: &[usize], to: &[usize]) -> Resized {
        Resized { batch: from[0], from: [from[1], from[2]], to: [to[1], to[2]], channels: from[3] }
    }

    /// The words of scratch for the places of a row.
    fn words(self, sizes: &Resized) -> usize {
        (self.0.scratch(sizes) * size_of::<[u32; 2]>()).div_ceil(size_of::<u128>())
    }
}

/// The words of scratch for so many elements of a type.
pub(super) fn words<T>(len: usize) -> usize {
    (len * size_of::<T>()).div_ceil(size_of::<u128>())
}

/// The shape of images `x` with the rows and columns that `size` says, which must not be 0, nor those of `x`.
pub(super) fn resized(x: &Shape, size: &Input) -> Result<Shape> {
    let numbers = ints(size, "the size")?;
    let length = with_rank(&size.spec.shape, 1, "the size")?;
    if length.merge(&[2].into()).is_none() {
        return Err(Error::invalid_argument(format!("the size is two numbers, rows and columns, found {length}")));
    }
    let mut dims = with_rank(x, 4, "the images")?.dims().unwrap_or_default();
    if dims[1..].contains(&Some(0)) {
        return Err(Error::invalid_argument(format!("images have rows, columns and channels, found {x}")));
    }
    for axis in [1, 2] {
        dims[axis] = None;
        if let Some(numbers) = &numbers {
            let number = usize::try_from(numbers[axis - 1]).ok().filter(|&n| n > 0);
            let wrong = || Error::invalid_argument(format!("the size must be positive, found {numbers:?}"));
            dims[axis] = Some(number.ok_or_else(wrong)?);
        }
    }
    let shape: Shape = dims.into();
    shape.known().map(count).transpose()?;
    Ok(shape)
}

/// A size as the ops of images take it.
pub(super) fn size_tensor(size: [usize; 2]) -> Result<Tensor> {
    let number =
        |n: usize| i32::try_from(n).map_err(|_| Error::invalid_argument(format!("the size is of int32, found {n}")));
    Tensor::new([2], vec![number(size[0])?, number(size[1])?])
}

/// Images of another size.
#[derive(Clone, Copy, Debug)]
struct Resizing(How);

impl Op for Resizing {
    fn name(&self) -> &'static str {
        self.0.name(false)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, size] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        allowed(size.spec.dtype, |d| d == DType::I32, "a size of int32")?;
        let dtype = if self.0.is_nearest() { dtype } else { DType::F32 };
        Ok(vec![Spec::new(dtype, resized(&x.spec.shape, size)?)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let x = inputs[0];
        let own = self.0.words(&How::sizes(x.dims(), outputs[0].dims()));
        let images = match self.0.is_nearest() || x.dtype() == DType::F32 {
            true => x.dense_room(),
            false => words::<f32>(x.len()),
        };
        (own + images) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, how) = (inputs[0], self.0);
        let sizes = How::sizes(x.dims(), outputs[0].dims());
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        if how.is_nearest() {
            let bytes = x.dtype().size();
            return by_width!(x.dtype(), T => {
                let (x, _) = x.dense::<T>(room)?;
                how.0.nearest(&sizes, bytes, bytemuck::cast_slice(x), outputs[0].bytes());
                Ok(())
            });
        }
        let (taps, room) = room.split_at_mut(how.words(&sizes));
        let (taps, out) = (bytemuck::cast_slice_mut(taps), outputs[0].elements()?);
        if x.dtype() == DType::F32 {
            how.0.filter(&sizes, x.dense(room)?.0, out, taps);
            return Ok(());
        }
        let wide: &mut [f32] = &mut bytemuck::cast_slice_mut(room)[..x.len()];
        dispatch!(x.dtype(), number T => cast(x.elements::<T>()?, wide), else => return Err(unsupported(x.dtype())));
        how.0.filter(&sizes, wide, out, taps);
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.input(0);
        let of = if self.0.is_nearest() { sizes(x)?.block([1], [2])? } else { x.clone() };
        let takes = x.dtype().is_float();
        let at_x = if takes { Some(apply_one(ResizingGrad(self.0), &[b.dy(0), &of])?) } else { None };
        Ok(vec![at_x, None])
    }
}

/// The gradient of a [`Resizing`] at its images, whose rows and columns, or which, come second.
#[derive(Clone, Copy, Debug)]
struct ResizingGrad(How);

impl Op for ResizingGrad {
    fn name(&self) -> &'static str {
        self.0.name(true)
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dy, of] = arity(inputs)?;
        if self.0.is_nearest() {
            let dtype = allowed(dy.spec.dtype, DType::is_float, "floats")?;
            allowed(of.spec.dtype, |d| d == DType::I32, "a size of int32")?;
            return Ok(vec![Spec::new(dtype, resized(&dy.spec.shape, of)?)]);
        }
        allowed(dy.spec.dtype, |d| d == DType::F32, "a gradient of float32")?;
        let dtype = allowed(of.spec.dtype, DType::is_float, "images of floats")?;
        let (x, dy) = (with_rank(&of.spec.shape, 4, "the images")?, with_rank(&dy.spec.shape, 4, "the gradient")?);
        for axis in 0..4 {
            let pair = (x.dim(axis), dy.dim(axis));
            let differ = matches!(pair, (Some(x), Some(dy)) if x != dy) && (axis == 0 || axis == 3);
            if differ || matches!(axis, 1 | 2) && (pair.0 == Some(0) || pair.1 == Some(0)) {
                let message =
                    format!("a gradient {dy} has the batch and channels of the images {x}, and rows and columns");
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(vec![Spec::new(dtype, x)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (dy, out) = (inputs[0], &outputs[0]);
        let own = self.0.words(&How::sizes(out.dims(), dy.dims()));
        let half = matches!(out.dtype(), DType::F16 | DType::BF16);
        let gradients = if half { words::<f32>(dy.len()) } else { 0 };
        let images = if half { words::<f32>(out.len()) } else { 0 };
        (own + gradients + images + dy.dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (dy, how) = (inputs[0], self.0);
        if outputs[0].is_empty() {
            return Ok(());
        }
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let out = &mut outputs[0];
        let sizes = How::sizes(out.dims(), dy.dims());
        let (taps, room) = room.split_at_mut(how.words(&sizes));
        let taps = bytemuck::cast_slice_mut(taps);
        let nearest = how.is_nearest();
        match out.dtype() {
            DType::F32 if nearest => f32::nearest_gradient(&how.0, &sizes, dy.dense(room)?.0, out.elements()?, taps),
            DType::F32 => f32::filter_gradient(&how.0, &sizes, dy.dense(room)?.0, out.elements()?, taps),
            DType::F64 if nearest => f64::nearest_gradient(&how.0, &sizes, dy.dense(room)?.0, out.elements()?, taps),
            DType::F64 => f64::filter_gradient(&how.0, &sizes, dy.dense(room)?.0, out.elements()?, taps),
            dtype => dispatch!(dtype, float T => {
                let (sum, room) = room.split_at_mut(words::<f32>(out.len()));
                let sum: &mut [f32] = &mut bytemuck::cast_slice_mut(sum)[..out.len()];
                if nearest {
                    let wide: &mut [f32] = &mut bytemuck::cast_slice_mut(room)[..dy.len()];
                    cast(dy.elements::<T>()?, wide);
                    f32::nearest_gradient(&how.0, &sizes, wide, sum, taps);
                } else {
                    f32::filter_gradient(&how.0, &sizes, dy.dense(room)?.0, sum, taps);
                }
                narrow(sum, out.elements::<T>()?)?;
            }, else => return Err(unsupported(dtype))),
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (dy, g) = (b.input(0), b.dy(0));
        Ok(vec![Some(apply_one(Resizing(self.0), &[g, &sizes(dy)?.block([1], [2])?])?), None])
    }
}

/// Images of another size, each place the mean of what it covers.
#[derive(Debug)]
struct ResizeArea {
    align_corners: bool,
}

impl Op for ResizeArea {
    fn name(&self) -> &'static str {
        "ResizeArea"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("align_corners", self.align_corners)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, size] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        allowed(size.spec.dtype, |d| d == DType::I32, "a size of int32")?;
        Ok(vec![Spec::new(DType::F32, resized(&x.spec.shape, size)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let x = inputs[0];
        let images = if x.dtype() == DType::F32 { x.dense_room() } else { words::<f32>(x.len()) };
        images * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let (x, out) = (inputs[0], &mut outputs[0]);
        let (from, to) = (x.dims(), out.dims());
        let along = |axis: usize| Area { from: from[axis], to: to[axis], align_corners: self.align_corners };
        let (areas, channels) = ([along(1), along(2)], from[3]);
        if x.dtype() == DType::F32 {
            area_means(x.dense(room)?.0, out.elements()?, areas, channels);
            return Ok(());
        }
        let wide: &mut [f32] = &mut bytemuck::cast_slice_mut(room)[..x.len()];
        dispatch!(x.dtype(), number T => cast(x.elements::<T>()?, wide), else => return Err(unsupported(x.dtype())));
        area_means(wide, out.elements()?, areas, channels);
        Ok(())
    }
}

impl Tensor {
    /// Images of another size: `[batch, rows, columns, channels]`, or one image without the batch, with `size[0]` rows and
    /// `size[1]` columns.
    ///
    /// As `keras.ops.image.resize` without antialiasing and `tf.image.resize`: of the dtype of the images by the nearest
    /// places, float32 else.
    ///
    /// ```
    /// use modulor_core::{Interpolation, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, 3.0]).reshape([1, 2, 1])?;
    /// assert_eq!(x.resize([1, 4], Interpolation::Bilinear)?.to_vec::<f32>()?, [1.0, 1.5, 2.5, 3.0]);
    /// assert_eq!(x.resize([1, 4], Interpolation::Nearest)?.to_vec::<f32>()?, [1.0, 1.0, 3.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resize(&self, size: [usize; 2], interpolation: Interpolation) -> Result<Tensor> {
        self.check()?;
        composite("resize", || {
            if self.rank() == Some(3) {
                let images = self.expand_dims(0)?.resize_on(size, interpolation, Grid::HalfPixelCenters)?;
                return images.squeeze([0]);
            }
            self.resize_on(size, interpolation, Grid::HalfPixelCenters)
        })
    }

    /// Images `[batch, rows, columns, channels]` with `size[0]` rows and `size[1]` columns, whose places lie on those of
    /// the images as `grid` says.
    ///
    /// TensorFlow's `ResizeNearestNeighbor`, `ResizeBilinear` and `ResizeBicubic`: the first gives the dtype of the images,
    /// the others float32. An error for images without rows, columns or channels, or of that size.
    pub fn resize_on(&self, size: [usize; 2], interpolation: Interpolation, grid: Grid) -> Result<Tensor> {
        let op = Resizing(How(Resize { interpolation, grid }));
        self.check()?;
        apply_one(op, &[self, &size_tensor(size).map_err(|error| error.in_op(op.name()))?])
    }

    /// Images `[batch, rows, columns, channels]` with `size[0]` rows and `size[1]` columns, each place the mean of what it
    /// covers of the images, in float32.
    ///
    /// TensorFlow's `ResizeArea`, as `tf.image.resize` by `AREA`, with the first and last places on each other where
    /// `align_corners` says so. As there, there is no gradient. An error for images without rows, columns or channels, or of
    /// that size.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, 2.0, 6.0, 7.0]).reshape([1, 1, 4, 1])?;
    /// assert_eq!(x.resize_area([1, 2], false)?.to_vec::<f32>()?, [1.5, 6.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resize_area(&self, size: [usize; 2], align_corners: bool) -> Result<Tensor> {
        let op = ResizeArea { align_corners };
        self.check()?;
        apply_one(op, &[self, &size_tensor(size).map_err(|error| error.in_op("ResizeArea"))?])
    }
}

/// The row of a resizing or of its gradient.
macro_rules! rows {
    ($($interpolation:ident $accuracy:ident $name:literal $gradient:literal;)*) => {
        &[$(
            OpDef {
                name: $name,
                parse: |attrs| Ok(Arc::new(Resizing(How::parse(attrs, Interpolation::$interpolation)?))),
                accuracy: Accuracy::$accuracy,
            },
            OpDef {
                name: $gradient,
                parse: |attrs| Ok(Arc::new(ResizingGrad(How::parse(attrs, Interpolation::$interpolation)?))),
                accuracy: Accuracy::Sum,
            },
        )*]
    };
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    rows! {
        Nearest Exact "ResizeNearestNeighbor" "ResizeNearestNeighborGrad";
        Bilinear Sum "ResizeBilinear" "ResizeBilinearGrad";
        Bicubic Sum "ResizeBicubic" "ResizeBicubicGrad";
    },
    &[OpDef {
        name: "ResizeArea",
        parse: |attrs| Ok(Arc::new(ResizeArea { align_corners: attrs.bool("align_corners", false)? })),
        accuracy: Accuracy::Sum,
    }],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_and_grad;

    const ALL: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];

    /// Resizing is linear, so that its gradient is its adjoint: ⟨resized x, y⟩ = ⟨x, gradient of y⟩.
    #[test]
    fn the_gradient_is_the_adjoint() -> Result<()> {
        let numbers = |len: usize, by: usize| (0..len).map(|i| (i * i * by % 17) as f32 - 8.0).collect::<Vec<f32>>();
        let x = Tensor::new([2, 5, 4, 3], numbers(120, 7))?;
        for interpolation in ALL {
            for grid in [Grid::TopLeft, Grid::AlignCorners, Grid::HalfPixelCenters] {
                for size in [[3, 7], [10, 2], [5, 4], [1, 1]] {
                    let weights = Tensor::new([2, size[0], size[1], 3], numbers(6 * size[0] * size[1], 5))?;
                    let (sum, dx) = value_and_grad(
                        |x| (x[0].resize_on(size, interpolation, grid)? * &weights).sum(..),
                        std::slice::from_ref(&x),
                    )?;
                    let (sum, other) = (sum.item::<f32>()?, (&dx[0] * &x).sum(..)?.item::<f32>()?);
                    assert!((sum - other).abs() <= 1e-3, "{interpolation:?} {grid:?} {size:?}: {sum} {other}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_gradient_may_be_derived_again() -> Result<()> {
        let x = Tensor::new([1, 2, 2, 1], vec![1.0_f32, 2.0, 3.0, 5.0])?;
        for interpolation in ALL {
            let square = |x: &Tensor| x.resize([3, 3], interpolation)?.square()?.sum(..);
            let slope = |x: &[Tensor]| {
                let (_, dx) = value_and_grad(|x| square(&x[0]), x)?;
                dx[0].sum(..)
            };
            let (_, second) = value_and_grad(slope, std::slice::from_ref(&x))?;
            // All places move alike, by 1: the square's slope along that is twice the resized image's sum.
            let weights = value_and_grad(|x| x[0].resize([3, 3], interpolation)?.sum(..), std::slice::from_ref(&x))?;
            for (found, expected) in second[0].to_vec::<f32>()?.into_iter().zip(weights.1[0].to_vec::<f32>()?) {
                assert!((found - 2.0 * expected).abs() < 1e-5, "{interpolation:?}: {found} {expected}");
            }
        }
        Ok(())
    }

    /// `keras.ops.image.resize(images, (3, 2), interpolation="bicubic")`.
    #[test]
    fn images_are_kerass() -> Result<()> {
        let x = Tensor::new([1, 2, 3, 1], (0..6).map(|i| i as f32).collect::<Vec<_>>())?;
        let expected = [-0.029_783_32, 1.634_450_2, 1.667_883_2, 3.332_116_8, 3.365_549_3, 5.029_783_2];
        for (found, expected) in x.resize([3, 2], Interpolation::Bicubic)?.to_vec::<f32>()?.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6, "{found} is not {expected}");
        }
        Ok(())
    }

    #[test]
    fn one_image_is_resized_like_a_batch_of_it() -> Result<()> {
        let x = Tensor::new([2, 3, 2], (0..12).collect::<Vec<i32>>())?;
        let batch = x.expand_dims(0)?.resize([4, 2], Interpolation::Bicubic)?;
        let one = x.resize([4, 2], Interpolation::Bicubic)?;
        assert_eq!((one.dims()?, one.dtype()), (&[4, 2, 2][..], DType::F32));
        assert_eq!(one.to_vec::<f32>()?, batch.to_vec::<f32>()?);
        Ok(())
    }
}
