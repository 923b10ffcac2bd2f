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
use modulor::ops::composite::composite;
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
    /// [`Tensor::gelu`], not approximated.
    Gelu "gelu" = |x| x.gelu(false);
    /// [`glu`] along the last axis.
    Glu "glu" = |x| glu(x, -1);
    /// [`hard_shrink`] at 0.5.
    HardShrink "hard_shrink" = |x| hard_shrink(x, 0.5);
    /// [`hard_sigmoid`].
    HardSigmoid "hard_sigmoid" = |x| hard_sigmoid(x);
    /// [`hard_silu`].
    HardSilu "hard_silu" "hard_swish" = |x| hard_silu(x);
    /// [`hard_tanh`].
    HardTanh "hard_tanh" = |x| hard_tanh(x);
    /// [`Tensor::leaky_relu`] of slope 0.2.
    LeakyRelu "leaky_relu" = |x| x.leaky_relu(0.2);
    /// `x`.
    #[default]
    Linear "linear" = |x| Ok(x.clone());
    /// [`Tensor::log_sigmoid`].
    LogSigmoid "log_sigmoid" = |x| x.log_sigmoid();
    /// [`Tensor::log_softmax`] along the last axis.
    LogSoftmax "log_softmax" = |x| x.log_softmax(-1);
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
    /// [`Tensor::silu`].
    Silu "silu" "swish" = |x| x.silu();
    /// [`soft_shrink`] at 0.5.
    SoftShrink "soft_shrink" = |x| soft_shrink(x, 0.5);
    /// [`Tensor::softmax`] along the last axis.
    Softmax "softmax" = |x| x.softmax(-1);
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

/// The functions, each a composite of its name: documentation, arguments after `x`, and what it computes.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) |$x:ident| $value:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name($x: &Tensor, $($argument: $type),*) -> Result<Tensor> {
            composite(stringify!($name), || $value)
        }
    )* };
}

functions! {
    /// `max(x, 0) + α·(e^(min(x, 0)/α) − 1)`.
    celu(alpha: f64) |x| x.maximum(0.0)?.add((x.minimum(0.0)? / alpha).expm1()? * alpha);
    /// `x` above 0, `α·(eˣ − 1)` below.
    elu(alpha: f64) |x| {
        let y = x.elu()?;
        if alpha == 1.0 { Ok(y) } else { x.greater(0.0)?.select(&y, &(&y * alpha)) }
    };
    /// `a·σ(b)` with `a` and `b` the two halves of `x` along an axis, whose dim must be even.
    glu(axis: i64) |x| {
        let halves = x.split(2, axis)?;
        halves[0].mul(halves[1].sigmoid()?)
    };
    /// `x` where `|x|` is above a threshold, 0 elsewhere.
    hard_shrink(threshold: f64) |x| x.abs()?.greater(threshold)?.select(x, &x.zeros_like()?);
    /// `min(max(x + 3, 0), 6)/6`.
    hard_sigmoid() |x| (x + 3.0).relu6()?.div(6.0);
    /// `x·hard_sigmoid(x)`.
    hard_silu() |x| x.mul(hard_sigmoid(x)?);
    /// `min(max(x, −1), 1)`.
    hard_tanh() |x| x.clip_by_value(-1.0, 1.0);
    /// `x·tanh(ln(1 + eˣ))`.
    mish() |x| x.mul(x.softplus()?.tanh()?);
    /// `x` above `threshold` and at most `max_value`; below, `negative_slope·(x − threshold)`.
    relu(negative_slope: f64, max_value: Option<f64>, threshold: f64) |x| {
        if negative_slope != 0.0 && max_value.is_none() && threshold == 0.0 {
            return x.leaky_relu(negative_slope as f32);
        }
        let above = match max_value {
            _ if threshold != 0.0 => x.greater(threshold)?.select(x, &x.zeros_like()?)?,
            Some(6.0) => x.relu6()?,
            _ => x.relu()?,
        };
        let clipped = match max_value {
            Some(max) => above.clip_by_value(0.0, max)?,
            None => above,
        };
        if negative_slope == 0.0 { Ok(clipped) } else { clipped.sub((threshold - x).relu()? * negative_slope) }
    };
    /// `x` moved towards 0 by a threshold, and 0 where it would pass it.
    soft_shrink(threshold: f64) |x| {
        let below = x.less(-threshold)?.select(&(x + threshold), &x.zeros_like()?)?;
        x.greater(threshold)?.select(&(x - threshold), &below)
    };
    /// 0 up to −1, `(x + 1)²/4` up to 1, `x` above.
    sparse_plus() |x| {
        let curve = x.less(1.0)?.select(&((x + 1.0).square()? * 0.25), x)?;
        x.less_equal(-1.0)?.select(&x.zeros_like()?, &curve)
    };
    /// 0 up to −1, `(x + 1)/2` up to 1, 1 above.
    sparse_sigmoid() |x| {
        let line = x.greater_equal(1.0)?.select(&x.ones_like()?, &((x + 1.0) * 0.5))?;
        x.less_equal(-1.0)?.select(&x.zeros_like()?, &line)
    };
    /// The point of the probability simplex nearest to `x`, along an axis: `max(x − τ, 0)` with τ such that it sums to 1.
    ///
    /// From Martins and Astudillo, "From softmax to sparsemax"; takes n² memory for an axis of n. Keras 3.15 gives
    /// something else, which does not sum to 1, where more than one element is above 0.
    sparsemax(axis: i64) |x| {
        // An element is above 0 where all that exceed it do so by less than 1 together.
        let (own, other) = if axis < 0 { (axis, axis.saturating_sub(1)) } else { (axis.saturating_add(1), axis) };
        let excess = x.expand_dims(other)?.sub(x.expand_dims(own)?)?.relu()?.sum(own)?;
        let support = excess.less(1.0)?;
        let count = support.cast(x.dtype())?.sum_keepdims(axis)?;
        let sum = support.select(x, &x.zeros_like()?)?.sum_keepdims(axis)?;
        x.sub((sum - 1.0) / count)?.relu()
    };
    /// `(x + √(x² + b))/2`.
    squareplus(b: f64) |x| (x + (x.square()? + b).sqrt()?).div(2.0);
    /// `x − tanh x`.
    tanh_shrink() |x| x.sub(x.tanh()?);
    /// `x` above a threshold, a default below.
    threshold(threshold: f64, default_value: f64) |x| {
        x.greater(threshold)?.select(x, &Tensor::number(default_value, x.dtype())?)
    };
}
