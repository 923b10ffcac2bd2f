//! Images scaled and moved, each place of the result a sum of places weighted by a kernel.

use super::composite::composite;
use super::image::{resized, size_tensor, words};
use super::sliding::sizes;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, unsupported,
    with_rank,
};
use crate::{DType, Error, Result, Spec, Tensor, nearest};
use modulor_kernels::{Sampling, SamplingKernel, cast, copy};
use std::sync::Arc;

/// TensorFlow's names of the kernels.
const KERNELS: [(&str, SamplingKernel); 8] = [
    ("lanczos1", SamplingKernel::Lanczos1),
    ("lanczos3", SamplingKernel::Lanczos3),
    ("lanczos5", SamplingKernel::Lanczos5),
    ("gaussian", SamplingKernel::Gaussian),
    ("box", SamplingKernel::Flat),
    ("triangle", SamplingKernel::Triangle),
    ("keyscubic", SamplingKernel::KeysCubic),
    ("mitchellcubic", SamplingKernel::MitchellCubic),
];

/// What the op and its gradient share.
#[derive(Clone, Copy, Debug)]
struct How {
    kernel: SamplingKernel,
    antialias: bool,
}

impl How {
    fn parse(attrs: &Attrs) -> Result<How> {
        let name = attrs.string("kernel_type", "lanczos3".to_owned())?;
        let unknown = || {
            let known = nearest::suggestion(&name, KERNELS.map(|(name, _)| name));
            Error::invalid_argument(format!("unknown kernel_type `{name}`; {known}"))
        };
        let &(_, kernel) = KERNELS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        Ok(How { kernel, antialias: attrs.bool("antialias", true)? })
    }

    fn attrs(self) -> Attrs {
        let name = KERNELS.iter().find(|(_, kernel)| *kernel == self.kernel).map_or("", |(name, _)| name);
        Attrs::new().with("kernel_type", name).with("antialias", self.antialias)
    }

    /// How images of these dims become images of those, along rows and columns.
    fn along(self, from: &[usize], to: &[usize], [scale, translation]: [[f32; 2]; 2]) -> [Sampling; 2] {
        [0, 1].map(|axis| Sampling {
            kernel: self.kernel,
            antialias: self.antialias,
            scale: scale[axis],
            translation: translation[axis],
            from: from[axis + 1],
            to: to[axis + 1],
        })
    }
}

/// The two numbers, of rows and columns, of a scale or a translation.
fn pair(x: &View) -> Result<[f32; 2]> {
    let mut pair = [0.0; 2];
    copy(x.elements::<f32>()?, &mut pair);
    Ok(pair)
}

/// Refuses a scale that is not above 0.
fn scales(scale: [f32; 2]) -> Result<()> {
    match scale.iter().all(|&scale| scale > 0.0) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("the scale must be above 0, found {scale:?}"))),
    }
}

/// Refuses what is no scale and translation.
fn check(scale: &Input, translation: &Input) -> Result<()> {
    for (input, what) in [(scale, "the scale"), (translation, "the translation")] {
        allowed(input.spec.dtype, |d| d == DType::F32, &format!("{what} of float32"))?;
        let length = with_rank(&input.spec.shape, 1, what)?;
        if length.merge(&[2].into()).is_none() {
            return Err(Error::invalid_argument(format!("{what} is two numbers, of rows and columns, found {length}")));
        }
    }
    scale.value.map_or(Ok(()), |scale| scales(pair(&View::of(scale)?)?))
}

/// The words of scratch of both axes, and between them: `[batch, rows of the result, columns of the image, channels]`.
fn room([rows, columns]: [Sampling; 2], from: &[usize]) -> [usize; 2] {
    let spans = rows.scratch().saturating_add(columns.scratch());
    let between = [from[0], rows.to, columns.from, from[3]].into_iter().fold(1, usize::saturating_mul);
    [spans.div_ceil(4), between.div_ceil(4)]
}

/// Images scaled, then moved.
#[derive(Clone, Copy, Debug)]
struct ScaleAndTranslate(How);

impl Op for ScaleAndTranslate {
    fn name(&self) -> &'static str {
        "ScaleAndTranslate"
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, size, scale, translation] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        allowed(size.spec.dtype, |d| d == DType::I32, "a size of int32")?;
        check(scale, translation)?;
        Ok(vec![Spec::new(DType::F32, resized(&x.spec.shape, size)?)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (x, [scale, translation]) = (inputs[0], [2, 3].map(|i| pair(&inputs[i]).unwrap_or_default()));
        let own = room(self.0.along(x.dims(), outputs[0].dims(), [scale, translation]), x.dims());
        let images = if x.dtype() == DType::F32 { x.dense_room() } else { words::<f32>(x.len()) };
        own[0].saturating_add(own[1]).saturating_add(images).saturating_mul(size_of::<u128>())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let all = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let (x, out, scale) = (inputs[0], &mut outputs[0], pair(&inputs[2])?);
        scales(scale)?;
        let [rows, columns] = self.0.along(x.dims(), out.dims(), [scale, pair(&inputs[3])?]);
        let (spans, rest) = all.split_at_mut(room([rows, columns], x.dims())[0]);
        let (between, rest) = rest.split_at_mut(room([rows, columns], x.dims())[1]);
        let channels = x.dims()[3];
        let (spans, len) = (bytemuck::cast_slice_mut(spans), x.dims()[0] * rows.to * columns.from * channels);
        let between: &mut [f32] = &mut bytemuck::cast_slice_mut(between)[..len];
        let images: &[f32] = if x.dtype() == DType::F32 {
            x.dense(rest)?.0
        } else {
            let wide: &mut [f32] = &mut bytemuck::cast_slice_mut(rest)[..x.len()];
            dispatch!(x.dtype(), number T => cast(x.elements::<T>()?, wide), else => return Err(unsupported(x.dtype())));
            wide
        };
        rows.gather(images, between, columns.from * channels, spans);
        columns.gather(between, out.elements()?, channels, spans);
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, scale, translation) = (b.input(0), b.input(2), b.input(3));
        if !x.dtype().is_float() {
            return Ok(vec![None; 4]);
        }
        // Of the images only the shape counts.
        let dx = apply_one(ScaleAndTranslateGrad(self.0), &[b.dy(0), &x.cast(DType::F32)?, scale, translation])?;
        Ok(vec![Some(dx.cast(x.dtype())?), None, None, None])
    }
}

/// The gradient of a [`ScaleAndTranslate`] at its images, which come second.
#[derive(Clone, Copy, Debug)]
struct ScaleAndTranslateGrad(How);

impl Op for ScaleAndTranslateGrad {
    fn name(&self) -> &'static str {
        "ScaleAndTranslateGrad"
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dy, x, scale, translation] = arity(inputs)?;
        allowed(dy.spec.dtype, |d| d == DType::F32, "a gradient of float32")?;
        allowed(x.spec.dtype, |d| d == DType::F32, "images of float32")?;
        check(scale, translation)?;
        let (x, dy) = (with_rank(&x.spec.shape, 4, "the images")?, with_rank(&dy.spec.shape, 4, "the gradient")?);
        for axis in 0..4 {
            let pair = (x.dim(axis), dy.dim(axis));
            let differ = matches!(pair, (Some(x), Some(dy)) if x != dy) && (axis == 0 || axis == 3);
            if differ || axis > 0 && (pair.0 == Some(0) || pair.1 == Some(0)) {
                let message =
                    format!("a gradient {dy} has the batch and channels of the images {x}, and no axis of 0 places");
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(vec![Spec::new(DType::F32, x)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (dy, [scale, translation]) = (inputs[0], [2, 3].map(|i| pair(&inputs[i]).unwrap_or_default()));
        let own = room(self.0.along(outputs[0].dims(), dy.dims(), [scale, translation]), outputs[0].dims());
        own[0].saturating_add(own[1]).saturating_add(dy.dense_room()).saturating_mul(size_of::<u128>())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let all = scratch.take::<u128>(self.scratch(inputs, outputs) / size_of::<u128>())?;
        let (dy, dx, scale) = (inputs[0], &mut outputs[0], pair(&inputs[2])?);
        scales(scale)?;
        let [rows, columns] = self.0.along(dx.dims(), dy.dims(), [scale, pair(&inputs[3])?]);
        let (spans, rest) = all.split_at_mut(room([rows, columns], dx.dims())[0]);
        let (between, rest) = rest.split_at_mut(room([rows, columns], dx.dims())[1]);
        let (channels, spans) = (dy.dims()[3], bytemuck::cast_slice_mut(spans));
        let len = dy.dims()[0] * rows.to * columns.from * channels;
        let between: &mut [f32] = &mut bytemuck::cast_slice_mut(between)[..len];
        columns.scatter(dy.dense(rest)?.0, between, channels, spans);
        rows.scatter(between, dx.elements()?, columns.from * channels, spans);
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let size = sizes(b.input(0))?.block([1], [2])?;
        let g = apply_one(ScaleAndTranslate(self.0), &[b.dy(0), &size, b.input(2), b.input(3)])?;
        Ok(vec![Some(g), None, None, None])
    }
}

impl Tensor {
    /// Images of another size: `[batch, rows, columns, channels]`, or one image without the batch, with `size[0]` rows and
    /// `size[1]` columns, in float32. Each place is a sum of places of the image, weighted by `kernel`, which with
    /// `antialias` is as much wider as the image becomes smaller.
    ///
    /// As `tf.image.resize` and `keras.ops.image.resize` by Lanczos's, the Gaussian and Mitchell and Netravali's kernels, and,
    /// with antialiasing, bilinear ([`SamplingKernel::Triangle`]) and bicubic ([`SamplingKernel::KeysCubic`]); see
    /// [`resize`](Tensor::resize) for those without.
    ///
    /// ```
    /// use modulor_core::{SamplingKernel, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([0.0_f32, 4.0, 0.0, 0.0]).reshape([1, 4, 1])?;
    /// assert_eq!(x.resize_by([1, 2], SamplingKernel::Triangle, false)?.to_vec::<f32>()?, [2.0, 0.0]);
    /// assert_eq!(x.resize_by([1, 2], SamplingKernel::Flat, true)?.to_vec::<f32>()?, [2.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resize_by(&self, size: [usize; 2], kernel: SamplingKernel, antialias: bool) -> Result<Tensor> {
        self.check()?;
        composite("resize_by", || {
            let images = if self.rank() == Some(3) { &self.expand_dims(0)? } else { self };
            let from = sizes(images)?.block([1], [2])?.cast(DType::F32)?;
            let scale = size_tensor(size)?.cast(DType::F32)?.div(from)?;
            let y = images.scale_and_translate(size, &scale, &Tensor::zeros([2], DType::F32)?, kernel, antialias)?;
            if self.rank() == Some(3) { y.squeeze([0]) } else { Ok(y) }
        })
    }

    /// Images `[batch, rows, columns, channels]` scaled, then moved, in float32: what is at x is at `x · scale + translation`
    /// in the result, which has `size[0]` rows and `size[1]` columns and is 0 where no image lies.
    ///
    /// TensorFlow's `ScaleAndTranslate`. Scale and translation are two numbers each, float32, of rows and of columns, and have
    /// no gradient. An error for a scale that is not above 0, and for images without rows, columns or channels, or of that
    /// size.
    pub fn scale_and_translate(
        &self,
        size: [usize; 2],
        scale: &Tensor,
        translation: &Tensor,
        kernel: SamplingKernel,
        antialias: bool,
    ) -> Result<Tensor> {
        let op = ScaleAndTranslate(How { kernel, antialias });
        self.check()?;
        apply_one(op, &[self, &size_tensor(size).map_err(|error| error.in_op(op.name()))?, scale, translation])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "ScaleAndTranslate",
        parse: |attrs| Ok(Arc::new(ScaleAndTranslate(How::parse(attrs)?))),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "ScaleAndTranslateGrad",
        parse: |attrs| Ok(Arc::new(ScaleAndTranslateGrad(How::parse(attrs)?))),
        accuracy: Accuracy::Sum,
    },
]];
