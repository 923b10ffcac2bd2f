//! Images under projective maps.

use super::image::{resized, size_tensor};
use super::sliding::sizes;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, unsupported,
    with_rank,
};
use crate::{DType, Error, Result, Spec, Tensor, nearest};
use half::{bf16, f16};
use modulor_kernels::{FillMode, Interpolation, Projected, Projection, Resized, copy};
use std::sync::Arc;

/// TensorFlow's names of what lies beyond the edges.
const FILL_MODES: [(&str, FillMode); 4] = [
    ("CONSTANT", FillMode::Constant),
    ("REFLECT", FillMode::Reflect),
    ("WRAP", FillMode::Wrap),
    ("NEAREST", FillMode::Nearest),
];

/// TensorFlow's names of how places are taken: whether between four.
const INTERPOLATIONS: [(&str, bool); 2] = [("NEAREST", false), ("BILINEAR", true)];

/// What a name stands for.
fn named<T: Copy>(name: &str, known: &[(&'static str, T)], what: &str) -> Result<T> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|&(_, value)| value).ok_or_else(|| {
        let known = nearest::suggestion(name, known.iter().map(|&(name, _)| name));
        Error::invalid_argument(format!("unknown {what} `{name}`; {known}"))
    })
}

/// Images, each under a map of its own or all under one.
#[derive(Clone, Copy, Debug)]
struct ImageProjectiveTransformV3(Projection);

impl ImageProjectiveTransformV3 {
    fn parse(attrs: &Attrs) -> Result<ImageProjectiveTransformV3> {
        let interpolation = attrs.string("interpolation", String::new())?;
        let fill_mode = attrs.string("fill_mode", "CONSTANT".to_owned())?;
        Ok(ImageProjectiveTransformV3(Projection {
            bilinear: named(&interpolation, &INTERPOLATIONS, "interpolation")?,
            fill_mode: named(&fill_mode, &FILL_MODES, "fill_mode")?,
        }))
    }
}

impl Op for ImageProjectiveTransformV3 {
    fn name(&self) -> &'static str {
        "ImageProjectiveTransformV3"
    }
    fn attrs(&self) -> Attrs {
        let fill_mode = FILL_MODES.iter().find(|(_, mode)| *mode == self.0.fill_mode).map_or("", |(name, _)| name);
        let interpolation = INTERPOLATIONS[usize::from(self.0.bilinear)].0;
        Attrs::new().with("interpolation", interpolation).with("fill_mode", fill_mode)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, maps, size, fill] = arity(inputs)?;
        let has_kernel = |d: DType| d.is_float() || matches!(d, DType::U8 | DType::I32 | DType::I64);
        let dtype = allowed(x.spec.dtype, has_kernel, "images of floats, uint8, int32 or int64")?;
        allowed(maps.spec.dtype, |d| d == DType::F32, "transforms of float32")?;
        allowed(size.spec.dtype, |d| d == DType::I32, "a size of int32")?;
        allowed(fill.spec.dtype, |d| d == DType::F32, "a fill value of float32")?;
        with_rank(&fill.spec.shape, 0, "the fill value")?;
        let (images, maps) =
            (with_rank(&x.spec.shape, 4, "the images")?, with_rank(&maps.spec.shape, 2, "the transforms")?);
        let fit = match (images.dim(0), maps.dim(0)) {
            (Some(batch), Some(count)) => count == 1 || count == batch,
            _ => true,
        };
        if !fit || maps.dim(1).is_some_and(|numbers| numbers != 8) {
            let message = format!("transforms are eight numbers for each image, or for all of {images}, found {maps}");
            return Err(Error::invalid_argument(message));
        }
        Ok(vec![Spec::new(dtype, resized(&x.spec.shape, size)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + inputs[1].dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take::<u128>(inputs[0].dense_room() + inputs[1].dense_room())?;
        let (maps, room) = inputs[1].dense::<f32>(room)?;
        let mut fill = [0.0_f32];
        copy(inputs[3].elements()?, &mut fill);
        let ([fill], x, out) = (fill, inputs[0], &mut outputs[0]);
        let (from, to) = (x.dims(), out.dims());
        let sizes = Resized { batch: from[0], from: [from[1], from[2]], to: [to[1], to[2]], channels: from[3] };
        macro_rules! projected {
            ($($dtype:ident $t:ident $fill:expr;)*) => {
                match x.dtype() {
                    $(DType::$dtype => $t::project(self.0, &sizes, x.dense(room)?.0, maps, $fill, out.elements()?),)*
                    dtype => return Err(unsupported(dtype)),
                }
            };
        }
        projected! {
            F32 f32 fill;
            F64 f64 f64::from(fill);
            F16 f16 f16::from_f32(fill);
            BF16 bf16 bf16::from_f32(fill);
            U8 u8 fill as u8;
            I32 i32 fill as i32;
            I64 i64 fill as i64;
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, maps) = (b.input(0), b.input(1));
        if !x.dtype().is_float() {
            return Ok(vec![None; 4]);
        }
        let ones = maps.slice((.., ..1))?.ones_like()?;
        let matrices = Tensor::concat(&[maps.clone(), ones], 1)?.reshape([-1, 3, 3])?;
        let inverse = matrices.inverse()?.reshape([-1, 9])?;
        let back = inverse.div(inverse.slice((.., 8..))?)?.slice((.., ..8))?;
        let size = sizes(x)?.block([1], [2])?;
        let dx = apply_one(*self, &[b.dy(0), &back, &size, &Tensor::scalar(0.0_f32)])?;
        Ok(vec![Some(dx), None, None, None])
    }
}

impl Tensor {
    /// Images `[batch, rows, columns, channels]` under projective maps, with `size[0]` rows and `size[1]` columns.
    ///
    /// `transforms`, float32 of `[batch, 8]`, or `[1, 8]` for all images, holds `a0 a1 a2 b0 b1 b2 c0 c1` of each map: place
    /// (x, y) of the result is ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k) of the image, of k = c0·x + c1·y + 1: column and
    /// row. The nearest place is taken, or, bilinearly, what lies between four. `fill_value` lies beyond the edges with
    /// [`FillMode::Constant`].
    ///
    /// TensorFlow's `ImageProjectiveTransformV3`, Keras's `affine_transform`. Its gradient at the images is TensorFlow's, too:
    /// the gradient of the result under the inverse maps, so that a map that has none is an error. The maps have none.
    ///
    /// ```
    /// use modulor_core::{FillMode, Interpolation, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, 3.0, 5.0]).reshape([1, 1, 3, 1])?;
    /// let left = Tensor::from([[1.0_f32, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0]]);
    /// let y = x.projective_transform(&left, [1, 3], Interpolation::Bilinear, FillMode::Constant, 0.0)?;
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 4.0, 2.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn projective_transform(
        &self,
        transforms: &Tensor,
        size: [usize; 2],
        interpolation: Interpolation,
        fill_mode: FillMode,
        fill_value: f64,
    ) -> Result<Tensor> {
        let size = size_tensor(size).map_err(|error| error.in_op("ImageProjectiveTransformV3"))?;
        self.projected(transforms, &size, interpolation, fill_mode, fill_value)
    }

    /// As [`projective_transform`](Tensor::projective_transform), with as many rows and columns as the images have, which need
    /// not be known.
    pub fn projective_transform_in_place(
        &self,
        transforms: &Tensor,
        interpolation: Interpolation,
        fill_mode: FillMode,
        fill_value: f64,
    ) -> Result<Tensor> {
        self.check()?;
        self.projected(transforms, &sizes(self)?.block([1], [2])?, interpolation, fill_mode, fill_value)
    }

    fn projected(
        &self,
        transforms: &Tensor,
        size: &Tensor,
        interpolation: Interpolation,
        fill_mode: FillMode,
        fill_value: f64,
    ) -> Result<Tensor> {
        let bilinear = match interpolation {
            Interpolation::Nearest => false,
            Interpolation::Bilinear => true,
            Interpolation::Bicubic => {
                let error =
                    Error::invalid_argument("images are mapped to the nearest places or bilinearly, found Bicubic");
                return Err(error.in_op("ImageProjectiveTransformV3"));
            }
        };
        let op = ImageProjectiveTransformV3(Projection { bilinear, fill_mode });
        apply_one(op, &[self, transforms, size, &Tensor::scalar(fill_value as f32)])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "ImageProjectiveTransformV3",
    parse: |attrs| Ok(Arc::new(ImageProjectiveTransformV3::parse(attrs)?)),
    accuracy: Accuracy::Sum,
}]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_and_grad;

    /// Of steps by whole places within a border of zeros the inverse map is the adjoint.
    #[test]
    fn the_gradient_moves_back() -> Result<()> {
        let x = Tensor::new([2, 3, 4, 1], (0..24).map(|i| i as f32).collect::<Vec<_>>())?;
        let maps =
            Tensor::from([[1.0_f32, 0.0, 1.0, 0.0, 1.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0]]);
        let weights = Tensor::new([2, 3, 4, 1], (0..24).map(|i| (i * 7 % 11) as f32).collect::<Vec<_>>())?;
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            let moved = |x: &[Tensor]| {
                let y = x[0].projective_transform_in_place(&maps, interpolation, FillMode::Constant, 0.0)?;
                (y * &weights).sum(..)
            };
            let (sum, dx) = value_and_grad(moved, std::slice::from_ref(&x))?;
            assert_eq!(sum.item::<f32>()?, (&dx[0] * &x).sum(..)?.item::<f32>()?, "{interpolation:?}");
        }
        Ok(())
    }
}
