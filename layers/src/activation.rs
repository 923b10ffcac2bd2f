//! Keras's activations: functions of one tensor, and [`AnyActivation`], the setting that names one of them.
//!
//! ```
//! use modulor::Tensor;
//! use modulor_layers::activation::{self, AnyActivation};
//! # fn main() -> modulor::Result<()> {
//! let x = Tensor::from([-1.0_f32, 2.0]);
//! assert_eq!(activation::elu(&x, 1.0)?.to_vec::<f32>()?, [-0.63212055, 2.0]);
//! assert_eq!(AnyActivation::from("relu").apply(&x)?.to_vec::<f32>()?, [0.0, 2.0]);
//! let error = AnyActivation::from("rellu").apply(&x).unwrap_err();
//! assert!(error.to_string().starts_with("unknown activation `rellu`"));
//! # Ok(())
//! # }
//! ```

use crate::family::unknown;
use modulor::{Result, Tensor};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The list of all that a name stands for, one a row: the variant, Keras's name, its other names, and what it computes.
macro_rules! activations {
    ($($(#[$doc:meta])* $variant:ident $name:literal $($alias:literal)* = |$x:ident| $value:expr;)*) => {
        /// The names of all activations that are built in, each a variant of [`AnyActivation`].
        pub const ACTIVATIONS: &[&str] = &[$($name),*];

        /// An activation with its default arguments: the setting of a layer.
        ///
        /// Serialized as its name, and read from it; null is [`Linear`](AnyActivation::Linear), as in Keras. A name that
        /// nothing has is kept, and [`apply`](AnyActivation::apply) is the error.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub enum AnyActivation {
            $($(#[$doc])* $variant,)*
            /// A name that is none of [`ACTIVATIONS`].
            Unknown(String),
        }

        impl AnyActivation {
            /// Keras's name.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(name) => name,
                }
            }

            /// The function of `x`.
            pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
                match self {
                    $(Self::$variant => { let $x = x; $value })*
                    Self::Unknown(name) => Err(unknown("activation", name, ACTIVATIONS)),
                }
            }
        }

        impl From<&str> for AnyActivation {
            fn from(name: &str) -> Self {
                match name {
                    $($name $(| $alias)* => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }
    };
}

activations! {
    /// [`celu`] with α = 1.
    Celu "celu" = |x| celu(x, 1.0);
    /// [`elu`] with α = 1.
    Elu "elu" = |x| elu(x, 1.0);
    /// `eˣ`.
    Exponential "exponential" = |x| x.exp();
    /// [`gelu`], not approximated.
    Gelu "gelu" = |x| gelu(x, false);
    /// [`hard_shrink`] at 0.5.
    HardShrink "hard_shrink" = |x| hard_shrink(x, 0.5);
    /// [`hard_sigmoid`].
    HardSigmoid "hard_sigmoid" = |x| hard_sigmoid(x);
    /// [`hard_silu`].
    HardSilu "hard_silu" "hard_swish" = |x| hard_silu(x);
    /// [`hard_tanh`].
    HardTanh "hard_tanh" = |x| hard_tanh(x);
    /// [`leaky_relu`] of slope 0.2.
    LeakyRelu "leaky_relu" = |x| leaky_relu(x, 0.2);
    /// `x`.
    #[default]
    Linear "linear" = |x| Ok(x.clone());
    /// [`log_sigmoid`].
    LogSigmoid "log_sigmoid" = |x| log_sigmoid(x);
    /// [`log_softmax`] along the last axis.
    LogSoftmax "log_softmax" = |x| log_softmax(x, -1);
    /// [`mish`].
    Mish "mish" = |x| mish(x);
    /// `max(x, 0)`.
    Relu "relu" = |x| x.relu();
    /// `min(max(x, 0), 6)`.
    Relu6 "relu6" = |x| x.relu6();
    /// `1.0507·x` above 0, `1.7581·(eˣ − 1)` below.
    Selu "selu" = |x| x.selu();
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid "sigmoid" = |x| x.sigmoid();
    /// [`silu`].
    Silu "silu" "swish" = |x| silu(x);
    /// [`soft_shrink`] at 0.5.
    SoftShrink "soft_shrink" = |x| soft_shrink(x, 0.5);
    /// [`softmax`] along the last axis.
    Softmax "softmax" = |x| softmax(x, -1);
    /// `ln(1 + eˣ)`.
    Softplus "softplus" = |x| x.softplus();
    /// `x/(1 + |x|)`.
    Softsign "softsign" = |x| x.softsign();
    /// [`sparse_plus`].
    SparsePlus "sparse_plus" = |x| sparse_plus(x);
    /// [`sparse_sigmoid`].
    SparseSigmoid "sparse_sigmoid" = |x| sparse_sigmoid(x);
    /// [`sparsemax`] along the last axis.
    Sparsemax "sparsemax" = |x| sparsemax(x, -1);
    /// [`squareplus`] with b = 4.
    Squareplus "squareplus" = |x| squareplus(x, 4.0);
    /// The hyperbolic tangent.
    Tanh "tanh" = |x| x.tanh();
    /// [`tanh_shrink`].
    TanhShrink "tanh_shrink" = |x| tanh_shrink(x);
}

impl Serialize for AnyActivation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AnyActivation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            /// A function as older files have it.
            Object {
                #[serde(rename = "class_name")]
                _class: IgnoredAny,
                config: String,
            },
            Nothing(()),
        }
        let name = match Form::deserialize(deserializer)? {
            Form::Name(name) | Form::Object { config: name, .. } => name,
            Form::Nothing(()) => return Ok(AnyActivation::Linear),
        };
        match AnyActivation::from(name.as_str()) {
            AnyActivation::Unknown(name) => Err(D::Error::custom(unknown("activation", &name, ACTIVATIONS))),
            known => Ok(known),
        }
    }
}

/// `max(x, 0) + α·(e^(min(x, 0)/α) − 1)`.
pub fn celu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    Ok(x.maximum(0.0)? + (x.minimum(0.0)? / alpha).expm1()? * alpha)
}

/// `x` above 0, `α·(eˣ − 1)` below.
pub fn elu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    let y = x.elu()?;
    if alpha == 1.0 { Ok(y) } else { x.greater(0.0)?.select(&y, &(&y * alpha)) }
}

/// `x·Φ(x)` with Φ the distribution function of the standard normal, or its approximation by tanh.
pub fn gelu(x: &Tensor, approximate: bool) -> Result<Tensor> {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
    let twice_phi = match approximate {
        // √(2/π) · (x + 0.044715·x³), of Hendrycks and Gimpel, "Gaussian error linear units".
        true => ((x + 0.044_715 * x * x * x) * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2)).tanh()? + 1.0,
        false => (x * FRAC_1_SQRT_2).erf()? + 1.0,
    };
    (x * 0.5).mul(twice_phi)
}

/// `x` where `|x|` is above a threshold, 0 elsewhere.
pub fn hard_shrink(x: &Tensor, threshold: f64) -> Result<Tensor> {
    x.abs()?.greater(threshold)?.select(x, &x.zeros_like()?)
}

/// `min(max(x + 3, 0), 6)/6`.
pub fn hard_sigmoid(x: &Tensor) -> Result<Tensor> {
    (x + 3.0).relu6()?.div(6.0)
}

/// `x·hard_sigmoid(x)`.
pub fn hard_silu(x: &Tensor) -> Result<Tensor> {
    x.mul(hard_sigmoid(x)?)
}

/// `min(max(x, −1), 1)`.
pub fn hard_tanh(x: &Tensor) -> Result<Tensor> {
    x.minimum(1.0)?.maximum(-1.0)
}

/// `x` above 0, `negative_slope·x` below.
pub fn leaky_relu(x: &Tensor, negative_slope: f64) -> Result<Tensor> {
    x.leaky_relu(negative_slope as f32)
}

/// `−ln(1 + e⁻ˣ)`.
pub fn log_sigmoid(x: &Tensor) -> Result<Tensor> {
    (-x).softplus()?.neg()
}

/// `x − ln Σeˣ` along an axis.
pub fn log_softmax(x: &Tensor, axis: i64) -> Result<Tensor> {
    let shifted = x.sub(x.max_keepdims(axis)?.stop_gradient()?)?;
    shifted.sub(shifted.exp()?.sum_keepdims(axis)?.log()?)
}

/// `x·tanh(ln(1 + eˣ))`.
pub fn mish(x: &Tensor) -> Result<Tensor> {
    x.mul(x.softplus()?.tanh()?)
}

/// `x` above `threshold` and at most `max_value`; below, `negative_slope·(x − threshold)`.
pub fn relu(x: &Tensor, negative_slope: f64, max_value: Option<f64>, threshold: f64) -> Result<Tensor> {
    if negative_slope != 0.0 && max_value.is_none() && threshold == 0.0 {
        return leaky_relu(x, negative_slope);
    }
    let above = match max_value {
        _ if threshold != 0.0 => x.greater(threshold)?.select(x, &x.zeros_like()?)?,
        Some(6.0) => x.relu6()?,
        _ => x.relu()?,
    };
    let clipped = match max_value {
        Some(max) => above.minimum(max)?.maximum(0.0)?,
        None => above,
    };
    if negative_slope == 0.0 { Ok(clipped) } else { clipped.sub((threshold - x).relu()? * negative_slope) }
}

/// `x·σ(x)`.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.mul(x.sigmoid()?)
}

/// `x` moved towards 0 by a threshold, and 0 where it would pass it.
pub fn soft_shrink(x: &Tensor, threshold: f64) -> Result<Tensor> {
    let below = x.less(-threshold)?.select(&(x + threshold), &x.zeros_like()?)?;
    x.greater(threshold)?.select(&(x - threshold), &below)
}

/// `eˣ/Σeˣ` along an axis.
pub fn softmax(x: &Tensor, axis: i64) -> Result<Tensor> {
    let powers = x.sub(x.max_keepdims(axis)?.stop_gradient()?)?.exp()?;
    powers.div(powers.sum_keepdims(axis)?)
}

/// 0 up to −1, `(x + 1)²/4` up to 1, `x` above.
pub fn sparse_plus(x: &Tensor) -> Result<Tensor> {
    let curve = x.less(1.0)?.select(&((x + 1.0).square()? * 0.25), x)?;
    x.less_equal(-1.0)?.select(&x.zeros_like()?, &curve)
}

/// 0 up to −1, `(x + 1)/2` up to 1, 1 above.
pub fn sparse_sigmoid(x: &Tensor) -> Result<Tensor> {
    let line = x.greater_equal(1.0)?.select(&x.ones_like()?, &((x + 1.0) * 0.5))?;
    x.less_equal(-1.0)?.select(&x.zeros_like()?, &line)
}

/// The point of the probability simplex nearest to `x`, along an axis: `max(x − τ, 0)` with τ such that it sums to 1.
///
/// From Martins and Astudillo, "From softmax to sparsemax"; takes n² memory for an axis of n.
pub fn sparsemax(x: &Tensor, axis: i64) -> Result<Tensor> {
    // An element is above 0 where all that exceed it do so by less than 1 together.
    let beside = if axis < 0 { (axis - 1, axis) } else { (axis, axis + 1) };
    let excess = x.expand_dims(beside.0)?.sub(x.expand_dims(beside.1)?)?.relu()?.sum(beside.1)?;
    let support = excess.less(1.0)?;
    let count = support.cast(x.dtype())?.sum_keepdims(axis)?;
    let sum = support.select(x, &x.zeros_like()?)?.sum_keepdims(axis)?;
    x.sub((sum - 1.0) / count)?.relu()
}

/// `(x + √(x² + b))/2`.
pub fn squareplus(x: &Tensor, b: f64) -> Result<Tensor> {
    (x + (x.square()? + b).sqrt()?).div(2.0)
}

/// `x − tanh x`.
pub fn tanh_shrink(x: &Tensor) -> Result<Tensor> {
    x.sub(x.tanh()?)
}

/// `x` above a threshold, a default below.
pub fn threshold(x: &Tensor, threshold: f64, default_value: f64) -> Result<Tensor> {
    x.greater(threshold)?.select(x, &Tensor::number(default_value, x.dtype())?)
}
