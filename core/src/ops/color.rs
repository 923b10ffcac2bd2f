//! Colors as red, green and blue, and as hue, saturation and value.

use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank, unsupported,
};
use crate::ops::slice::Ellipsis;
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_kernels::Color;

/// The spec of colors as others: floats whose last axis has three places.
fn inferred(inputs: &[Input]) -> Result<Vec<Spec>> {
    let [x] = arity(inputs)?;
    allowed(x.spec.dtype, DType::is_float, "floats")?;
    let shape = &x.spec.shape;
    at_least_rank(shape, 1, "the colors")?;
    match shape.dims().and_then(|dims| *dims.last()?) {
        Some(found) if found != 3 => {
            Err(Error::failed_precondition(format!("the last axis has 3 places for a color, found shape {shape}")))
        }
        _ => Ok(vec![x.spec.clone()]),
    }
}

/// Ops from colors to colors.
macro_rules! colors {
    ($($op:ident $kernel:ident |$b:ident| $grad:expr;)*) => { $(
        #[derive(Debug, Default)]
        struct $op;

        impl Op for $op {
            fn name(&self) -> &'static str {
                stringify!($op)
            }
            fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                inferred(inputs)
            }
            fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                inputs[0].dense_room() * size_of::<u128>()
            }
            fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                let (x, out) = (inputs[0], &mut outputs[0]);
                let room = scratch.take::<u128>(x.dense_room())?;
                dispatch!(x.dtype(), float T => T::$kernel(x.dense(room)?.0, out.elements()?),
                    else => return Err(unsupported(x.dtype())));
                Ok(())
            }
            fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                $grad
            }
        }
    )* };
}

colors! {
    RGBToHSV rgb_to_hsv |b| Ok(vec![Some(from_hue_saturation_and_value(b.input(0), b.dy(0))?)]);
    // As TensorFlow's, it has no gradient.
    HSVToRGB hsv_to_rgb |_b| Ok(vec![None]);
}

/// What arrives at hue, saturation and value, at red, green and blue. Of several greatest or least the first of red, green
/// and blue is the greatest and the last the least.
fn from_hue_saturation_and_value(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dtype = x.dtype();
    let part = |x: &Tensor, i: i64| x.slice((Ellipsis, i));
    let [r, g, b] = [part(x, 0)?, part(x, 1)?, part(x, 2)?];
    let [hue, saturation, value] = [part(dy, 0)?, part(dy, 1)?, part(dy, 2)?];
    let both = |a: Tensor, b: Tensor| a.logical_and(&b)?.cast(dtype);
    let greatest = [
        both(r.greater_equal(&b)?, r.greater_equal(&g)?)?,
        both(g.greater(&r)?, g.greater_equal(&b)?)?,
        both(b.greater(&r)?, b.greater(&g)?)?,
    ];
    let least = [
        both(r.less(&b)?, r.less(&g)?)?,
        both(g.less_equal(&r)?, g.less(&b)?)?,
        both(b.less_equal(&r)?, b.less_equal(&g)?)?,
    ];
    let [red, green, blue] = &greatest;
    let most = r.maximum(&g)?.maximum(&b)?;
    let fewest = r.minimum(&g)?.minimum(&b)?;
    let one = value.ones_like()?;
    let by_range = one.div_no_nan(&most - &fewest)?;
    let by_most = one.div_no_nan(&most)? * most.greater(0.0)?.cast(dtype)?;
    // Of the hue, (ahead − behind) / (6 · range) and a constant; the range grows with the greatest and with the least less.
    let ahead = red * (&g - &b) + green * (&b - &r) + blue * (&r - &g);
    let turned = &hue * &by_range / 6.0;
    let widened = &turned * &ahead * &by_range;
    let sides = [blue - green, red - blue, green - red];
    let parts = greatest.iter().zip(&least).zip(&sides).map(|((greatest, least), side)| {
        let by_saturation = greatest * &fewest * &by_most * &by_most - least * &by_most;
        &value * greatest + &saturation * by_saturation + &turned * side - &widened * (greatest - least)
    });
    Tensor::stack(&parts.collect::<Vec<_>>(), -1)
}

impl Tensor {
    /// Colors, red, green and blue along the last axis, as hue, saturation and value: of numbers from 0 to 1 all are from 0
    /// to 1. TensorFlow's `RGBToHSV`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let green = Tensor::from([0.0_f32, 0.5, 0.0]).rgb_to_hsv()?;
    /// assert_eq!(green.to_vec::<f32>()?, [1.0 / 3.0, 1.0, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rgb_to_hsv(&self) -> Result<Tensor> {
        apply_one(RGBToHSV, &[self])
    }

    /// Colors, hue, saturation and value along the last axis, as red, green and blue. TensorFlow's `HSVToRGB`; it has no
    /// gradient.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let blue = Tensor::from([2.0_f32 / 3.0, 1.0, 1.0]).hsv_to_rgb()?;
    /// assert_eq!(blue.to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hsv_to_rgb(&self) -> Result<Tensor> {
        apply_one(HSVToRGB, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] =
    &[&[OpDef::plain::<RGBToHSV>("RGBToHSV", Accuracy::Sum), OpDef::plain::<HSVToRGB>("HSVToRGB", Accuracy::Sum)]];
