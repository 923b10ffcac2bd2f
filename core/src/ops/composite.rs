//! What TensorFlow has no op for: named functions over public tensor operations.
//!
//! Shapes and gradients follow from the bodies. In a graph the nodes of a body carry its name at the end of their path,
//! so that the graph's text shows where they come from and they can be found again together.

use super::reduce::Axes;
use crate::op::{Operand, scope};
use crate::{DType, Error, Result, Tensor};

/// Runs `body`, whose nodes carry `name` at the end of their path.
///
/// ```
/// use modulor_core::{DType, Spec, graph::trace, ops::composite::composite};
/// # fn main() -> modulor_core::Result<()> {
/// let twice = |x: &Tensor| composite("twice", || x.add(x));
/// # use modulor_core::Tensor;
/// let graph = trace(|x| Ok(vec![twice(&x[0])?]), &[Spec::new(DType::F32, [2])])?;
/// assert!(graph.to_string().contains("%1 = AddV2(%0, %0) : float32(2,)  # twice"));
/// # Ok(())
/// # }
/// ```
pub fn composite<R>(name: &str, body: impl FnOnce() -> R) -> R {
    scope::within(name, body)
}

/// √(2/π)
const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

/// Elementwise functions: the name, the numbers it takes, and the body.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident($($number:ident),*) |$x:ident| $body:expr;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                pub fn $name(&self, $($number: f64),*) -> Result<Tensor> {
                    composite(stringify!($name), || {
                        let $x = self;
                        $body
                    })
                }
            )*
        }
    };
}

elementwise! {
    /// `x·σ(x)`, also called swish.
    silu() |x| x.mul(x.sigmoid()?);
    /// `x·tanh(ln(1 + eˣ))`.
    mish() |x| x.mul(x.softplus()?.tanh()?);
    /// `ln σ(x)`, exact where `x` is large.
    log_sigmoid() |x| (-x).softplus()?.neg();
    /// `x/6 + ½`, kept between 0 and 1.
    hard_sigmoid() |x| (x / 6.0 + 0.5).clip_by_value(0.0, 1.0);
    /// `x·hard_sigmoid(x)`, also called hard swish.
    hard_silu() |x| x.mul(x.hard_sigmoid()?);
    /// `x`, kept between −1 and 1.
    hard_tanh() |x| x.clip_by_value(-1.0, 1.0);
    /// `x` above 0, `alpha·(e^(x/alpha) − 1)` below.
    celu(alpha) |x| x.maximum(0.0)?.add((x.minimum(0.0)? / alpha).expm1()? * alpha);
    /// `x − tanh x`.
    tanh_shrink() |x| x.sub(x.tanh()?);
    /// `x` where `|x|` is above the threshold, else 0.
    hard_shrink(threshold) |x| x.abs()?.greater(threshold)?.select(x, &x.zeros_like()?);
    /// `x` nearer to 0 by the threshold, and 0 where that would cross it.
    soft_shrink(threshold) |x| {
        let below = x.less(-threshold)?.select(&(x + threshold), &x.zeros_like()?)?;
        x.greater(threshold)?.select(&(x - threshold), &below)
    };
    /// `(x + √(x² + b))/2`.
    squareplus(b) |x| ((x + (x.square()? + b).sqrt()?) * 0.5).identity();
    /// 0 up to −1, `x` from 1 on, `(x + 1)²/4` between.
    sparse_plus() |x| {
        let between = x.greater(-1.0)?.select(&((x + 1.0).square()? * 0.25), &x.zeros_like()?)?;
        x.less(1.0)?.select(&between, x)
    };
    /// `(x + 1)/2`, kept between 0 and 1.
    sparse_sigmoid() |x| ((x + 1.0) * 0.5).clip_by_value(0.0, 1.0);
    /// `x` where it is above the threshold, else the value.
    threshold(threshold, value) |x| x.greater(threshold)?.select(x, &Tensor::number(value, x.dtype())?);
}

impl Tensor {
    /// `x·Φ(x)`, Φ being the distribution function of the normal distribution: by the error function or, if
    /// `approximate`, as `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([-1.0_f64, 0.0, 1.0]).gelu(false)?.to_vec::<f64>()?;
    /// assert!((y[0] + 0.158_655_253_931_457).abs() < 1e-15 && y[1] == 0.0 && (y[2] - y[0] - 1.0).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gelu(&self, approximate: bool) -> Result<Tensor> {
        composite("gelu", || {
            let twice = match approximate {
                true => ((self + self.pow(3.0)? * 0.044_715) * SQRT_2_OVER_PI).tanh()? + 1.0,
                false => (self / std::f64::consts::SQRT_2).erf()? + 1.0,
            };
            (self * 0.5).mul(twice)
        })
    }

    /// `ln Σ eˣ` over axes, without overflow; −∞ of none. NumPy's and TensorFlow's `reduce_logsumexp`.
    pub fn log_sum_exp(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("log_sum_exp", || {
            let greatest = self.max_keepdims(&*axes)?;
            let shift = greatest.is_finite()?.select(&greatest, &greatest.zeros_like()?)?.stop_gradient()?;
            let sum = (self - &shift).exp()?.sum(&*axes)?;
            sum.log()?.add(shift.reshape_as(&sum)?)
        })
    }

    /// The Euclidean norm over axes, `√Σ x²`. Its gradient is NaN where it is 0, as TensorFlow's.
    pub fn norm(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("norm", || self.square()?.sum(axes)?.sqrt())
    }

    /// This over its Euclidean norm over axes, or over `√epsilon` where the norm is less. TensorFlow's
    /// `tf.math.l2_normalize`.
    pub fn l2_normalize(&self, axes: impl Axes, epsilon: f64) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("l2_normalize", || self.mul(self.square()?.sum_keepdims(axes)?.maximum(epsilon)?.rsqrt()?))
    }

    /// The mean and the variance, `mean((x − mean)²)`, over axes, with dims of 1 in place of them. Those of float16 and
    /// bfloat16 are computed in float32.
    pub fn moments_keepdims(&self, axes: impl Axes) -> Result<(Tensor, Tensor)> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("moments", || {
            let wide = match self.dtype() {
                DType::F16 | DType::BF16 => self.cast(DType::F32)?,
                _ => self.clone(),
            };
            let mean = wide.mean_keepdims(&*axes)?;
            let variance = wide.squared_difference(&mean)?.mean_keepdims(&*axes)?;
            Ok((mean.cast(self.dtype())?, variance.cast(self.dtype())?))
        })
    }

    /// As [`moments_keepdims`](Tensor::moments_keepdims), without the axes. TensorFlow's `tf.nn.moments`.
    pub fn moments(&self, axes: impl Axes) -> Result<(Tensor, Tensor)> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        let (mean, variance) = self.moments_keepdims(&*axes)?;
        if axes.is_empty() {
            return Ok((mean, variance));
        }
        Ok((mean.squeeze(&axes)?, variance.squeeze(&axes)?))
    }

    /// The cross entropy of `labels`, probabilities, and the sigmoid of these logits, element by element, without
    /// overflow: `max(x, 0) − x·labels + ln(1 + e^−|x|)`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let loss = Tensor::from([1000.0_f32, -1000.0]).sigmoid_cross_entropy_with_logits(1.0)?;
    /// assert_eq!(loss.to_vec::<f32>()?, [0.0, 1000.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sigmoid_cross_entropy_with_logits(&self, labels: impl Operand) -> Result<Tensor> {
        self.check()?;
        let labels = labels.operand(self.dtype())?;
        composite("sigmoid_cross_entropy_with_logits", || {
            // By selection and not by `abs` and `relu`, whose derivatives in 0 would not add up to σ(0) − label.
            let positive = self.greater_equal(0.0)?;
            let above = positive.select(self, &self.zeros_like()?)?;
            let below = positive.select(&-self, self)?;
            (above - self * labels).add(below.exp()?.log1p()?)
        })
    }

    /// Zeros in place of elements, each with probability `rate`, and the others scaled by `1/(1 − rate)`: as many as
    /// before in the mean.
    ///
    /// What goes follows from `seed`, two int32 or int64. One draw serves for all elements of axes where `noise_shape`
    /// has a 1; by default it is the shape of this. An error for a rate not in [0, 1).
    /// TensorFlow's `tf.nn.experimental.stateless_dropout`, with the same draws.
    pub fn dropout(&self, rate: f64, seed: &Tensor, noise_shape: Option<&Tensor>) -> Result<Tensor> {
        self.check()?;
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::invalid_argument(format!("the rate must be in [0, 1), found {rate}")));
        }
        composite("dropout", || {
            let shape = match noise_shape {
                Some(shape) => shape.clone(),
                None => self.shape_tensor()?,
            };
            let draws = Tensor::stateless_uniform(&shape, seed, self.dtype())?;
            draws.greater_equal(rate)?.select(&(self * (1.0 / (1.0 - rate))), &self.zeros_like()?)
        })
    }
}
