//! Reductions that pass over NaN, numbers in its place, and whether floats are near each other.

use super::along::{between, quantiles};
use super::composite::composite;
use super::reduce::Axes;
use crate::op::{Operand, allowed};
use crate::{DType, Result, Tensor};
use half::{bf16, f16};

/// A float, and where it is NaN.
fn floats(x: &Tensor) -> Result<Tensor> {
    x.check()?;
    allowed(x.dtype(), |dtype| dtype.is_float(), "floats")?;
    x.is_nan()
}

/// `x` with a number in place of NaN.
fn filled(x: &Tensor, is_nan: &Tensor, number: f64) -> Result<Tensor> {
    is_nan.select(&number.operand(x.dtype())?, x)
}

/// The greatest number of a dtype of floats.
pub(super) fn greatest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16::MAX.to_f64(),
        DType::BF16 => bf16::MAX.to_f64(),
        DType::F32 => f32::MAX.into(),
        _ => f64::MAX,
    }
}

/// A reduction of `x` with a number in place of NaN.
fn passing_over(
    name: &str,
    x: &Tensor,
    number: f64,
    axes: impl Axes,
    reduce: impl FnOnce(&Tensor, &[i64]) -> Result<Tensor>,
) -> Result<Tensor> {
    x.check()?;
    let axes = axes.axes(x.rank())?;
    composite(name, || reduce(&filled(x, &floats(x)?, number)?, &axes))
}

/// The mean of `x` over what is summed, without the places that are NaN.
fn mean(x: &Tensor, is_nan: &Tensor, sum: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    sum(&filled(x, is_nan, 0.0)?)?.div(sum(&is_nan.logical_not()?.cast(x.dtype())?)?)
}

impl Tensor {
    /// The sum of floats over axes without those that are NaN; 0 of none. Keras's `ops.nansum`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1.0_f32, f32::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nan_sum(1)?.to_vec::<f32>()?, [1.0, 8.0]);
    /// assert_eq!(x.nan_mean(0)?.to_vec::<f32>()?, [2.0, 5.0]);
    /// assert_eq!(x.nan_max(..)?.item::<f32>()?, 5.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_sum(&self, axes: impl Axes) -> Result<Tensor> {
        passing_over("nan_sum", self, 0.0, axes, |x, axes| x.sum(axes))
    }

    /// The product of floats over axes without those that are NaN; 1 of none. Keras's `ops.nanprod`.
    pub fn nan_prod(&self, axes: impl Axes) -> Result<Tensor> {
        passing_over("nan_prod", self, 1.0, axes, |x, axes| x.prod(axes))
    }

    /// The greatest of floats over axes without those that are NaN; NaN where all are. Keras's `ops.nanmax`.
    pub fn nan_max(&self, axes: impl Axes) -> Result<Tensor> {
        self.nan_extreme("nan_max", f64::NEG_INFINITY, axes, |x, axes| x.max(axes))
    }

    /// The least of floats over axes without those that are NaN; NaN where all are. Keras's `ops.nanmin`.
    pub fn nan_min(&self, axes: impl Axes) -> Result<Tensor> {
        self.nan_extreme("nan_min", f64::INFINITY, axes, |x, axes| x.min(axes))
    }

    fn nan_extreme(
        &self,
        name: &str,
        farthest: f64,
        axes: impl Axes,
        extreme: impl FnOnce(&Tensor, &[i64]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        passing_over(name, self, farthest, axes, |x, axes| {
            let none = self.is_nan()?.all(axes)?;
            none.select(&f64::NAN.operand(self.dtype())?, &extreme(x, axes)?)
        })
    }

    /// The mean of floats over axes without those that are NaN; NaN where all are. Keras's `ops.nanmean`.
    pub fn nan_mean(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("nan_mean", || mean(self, &floats(self)?, |x| x.sum(&*axes)))
    }

    /// The variance of floats over axes, `mean((x − mean)²)`, without those that are NaN; NaN where all are. Keras's `ops.nanvar`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, f32::NAN, 5.0]);
    /// assert_eq!((x.nan_variance(..)?.item::<f32>()?, x.nan_std(..)?.item::<f32>()?), (4.0, 2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_variance(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("nan_variance", || {
            let is_nan = floats(self)?;
            let middle = mean(self, &is_nan, |x| x.sum_keepdims(&*axes))?;
            // Without NaN before they are squared, as the gradient of a square is a product with it.
            let squares = filled(&self.sub(middle)?, &is_nan, 0.0)?.square()?;
            mean(&squares, &is_nan, |x| x.sum(&*axes))
        })
    }

    /// The standard deviation of floats over axes without those that are NaN: the root of their
    /// [variance](Tensor::nan_variance). Keras's `ops.nanstd`.
    pub fn nan_std(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("nan_std", || self.nan_variance(axes)?.sqrt())
    }

    /// The place of the greatest float along an axis without those that are NaN (int64); −1 where all are. Keras's
    /// `ops.nanargmax`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1.0_f32, f32::NAN, 5.0], [f32::NAN, f32::NAN, f32::NAN]]);
    /// assert_eq!(x.nan_argmax(1)?.to_vec::<i64>()?, [2, -1]);
    /// assert_eq!(x.nan_argmin(1)?.to_vec::<i64>()?, [0, -1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_argmax(&self, axis: i64) -> Result<Tensor> {
        self.nan_place("nan_argmax", f64::NEG_INFINITY, axis, |x| x.argmax(axis))
    }

    /// The place of the least float along an axis without those that are NaN (int64); −1 where all are. Keras's `ops.nanargmin`.
    pub fn nan_argmin(&self, axis: i64) -> Result<Tensor> {
        self.nan_place("nan_argmin", f64::INFINITY, axis, |x| x.argmin(axis))
    }

    fn nan_place(
        &self,
        name: &str,
        farthest: f64,
        axis: i64,
        place: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        passing_over(name, self, farthest, axis, |x, axes| {
            let place = place(x)?;
            self.is_nan()?.all(axes)?.select(&(-1.0).operand(place.dtype())?, &place)
        })
    }

    /// The sums of floats along an axis up to each, as if those that are NaN were 0. NumPy's `nancumsum`; Keras's makes infinities
    /// the greatest numbers, too.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([2.0_f32, f32::NAN, 3.0]);
    /// assert_eq!(x.nan_cumsum(0)?.to_vec::<f32>()?, [2.0, 2.0, 5.0]);
    /// assert_eq!(x.nan_cumprod(0)?.to_vec::<f32>()?, [2.0, 2.0, 6.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_cumsum(&self, axis: i64) -> Result<Tensor> {
        composite("nan_cumsum", || filled(self, &floats(self)?, 0.0)?.cumsum(axis))
    }

    /// The products of floats along an axis up to each, as if those that are NaN were 1. NumPy's `nancumprod`.
    pub fn nan_cumprod(&self, axis: i64) -> Result<Tensor> {
        composite("nan_cumprod", || filled(self, &floats(self)?, 1.0)?.cumprod(axis))
    }

    /// The `q`-[`quantile`](Tensor::quantile) of floats along an axis, whose length must be known, without those that are NaN; NaN
    /// where all are. Keras's `ops.nanquantile`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([4.0_f32, f32::NAN, 1.0, 2.0]);
    /// assert_eq!((x.nan_quantile(0.25, 0)?.item::<f32>()?, x.nan_median(0)?.item::<f32>()?), (1.5, 2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_quantile(&self, q: f64, axis: i64) -> Result<Tensor> {
        let length = quantiles(self, q, axis)?;
        composite("nan_quantile", || {
            if length == 0 {
                return self.mean(axis);
            }
            let sorted = self.sort(axis, false)?;
            let counted = sorted.is_nan()?.logical_not()?.cast(DType::F64)?.sum_keepdims(axis)?;
            let at = counted.sub(1.0)?.maximum(0.0)?.mul(q)?;
            let before = at.floor()?;
            let value = |place: &Tensor| sorted.take_along_axis(&place.cast(DType::I64)?, axis);
            let (below, above) = (value(&before)?, value(&at.ceil()?)?);
            between(&below, &above, &at.sub(&before)?.cast(self.dtype())?)?.squeeze([axis])
        })
    }

    /// The median of floats along an axis without those that are NaN: their 0.5-[quantile](Tensor::nan_quantile). Keras's
    /// `ops.nanmedian`.
    pub fn nan_median(&self, axis: i64) -> Result<Tensor> {
        self.nan_quantile(0.5, axis)
    }

    /// Floats with numbers in place of NaN, of ∞ and of −∞: the last two are the greatest and the least of the dtype where they
    /// are not given. Keras's `ops.nan_to_num`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0]);
    /// assert_eq!(x.nan_to_num(0.0, None, -1.0)?.to_vec::<f32>()?, [0.0, f32::MAX, -1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nan_to_num(
        &self,
        nan: f64,
        infinity: impl Into<Option<f64>>,
        negative: impl Into<Option<f64>>,
    ) -> Result<Tensor> {
        let (infinity, negative) = (infinity.into(), negative.into());
        composite("nan_to_num", || {
            let x = filled(self, &floats(self)?, nan)?;
            let dtype = x.dtype();
            let greatest = greatest(dtype);
            let above = x.equal(f64::INFINITY)?.select(&infinity.unwrap_or(greatest).operand(dtype)?, &x)?;
            x.equal(f64::NEG_INFINITY)?.select(&negative.unwrap_or(-greatest).operand(dtype)?, &above)
        })
    }

    /// Where floats are within `absolute + relative·|other|` of others, or equal; also where both are NaN, if `equal_nan`. Shapes
    /// broadcast. NumPy's `isclose`, whose `rtol` and `atol` are 1e-5 and 1e-8 where they are not given.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f64, f64::INFINITY, f64::NAN]);
    /// let near = x.is_close(Tensor::from([1.000_000_1, f64::INFINITY, f64::NAN]), 1e-5, 1e-8, false)?;
    /// assert_eq!(near.to_vec::<bool>()?, [true, true, false]);
    /// assert!(x.all_close(&x, 0.0, 0.0, true)?.item::<bool>()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_close(&self, other: impl Operand, relative: f64, absolute: f64, equal_nan: bool) -> Result<Tensor> {
        let is_nan = floats(self)?;
        let other = other.operand(self.dtype())?;
        composite("is_close", || {
            let near = self.sub(&other)?.abs()?.less_equal(other.abs()?.mul(relative)?.add(absolute)?)?;
            // Infinities are near what is equal to them alone.
            let finite = self.is_finite()?.logical_and(&other.is_finite()?)?;
            let near = near.logical_and(&finite)?.logical_or(&self.equal(&other)?)?;
            if equal_nan { near.logical_or(&is_nan.logical_and(&other.is_nan()?)?) } else { Ok(near) }
        })
    }

    /// Whether all floats [are close](Tensor::is_close) to others: a scalar. Keras's `ops.allclose`.
    pub fn all_close(&self, other: impl Operand, relative: f64, absolute: f64, equal_nan: bool) -> Result<Tensor> {
        composite("all_close", || self.is_close(other, relative, absolute, equal_nan)?.all(..))
    }
}
