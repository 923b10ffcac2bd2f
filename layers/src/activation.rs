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
    /// [`Tensor::celu`] with α = 1.
    Celu "celu" = |x| x.celu(1.0);
    /// [`elu`] with α = 1.
    Elu "elu" = |x| elu(x, 1.0);
    /// `eˣ`.
    Exponential "exponential" = |x| x.exp();
    /// [`Tensor::gelu`], not approximated.
    Gelu "gelu" = |x| x.gelu(false);
    /// [`Tensor::hard_shrink`] at 0.5.
    HardShrink "hard_shrink" = |x| x.hard_shrink(0.5);
    /// [`Tensor::hard_sigmoid`].
    HardSigmoid "hard_sigmoid" = |x| x.hard_sigmoid();
    /// [`Tensor::hard_silu`].
    HardSilu "hard_silu" "hard_swish" = |x| x.hard_silu();
    /// [`Tensor::hard_tanh`].
    HardTanh "hard_tanh" = |x| x.hard_tanh();
    /// [`Tensor::leaky_relu`] of slope 0.2.
    LeakyRelu "leaky_relu" = |x| x.leaky_relu(0.2);
    /// `x`.
    #[default]
    Linear "linear" = |x| Ok(x.clone());
    /// [`Tensor::log_sigmoid`].
    LogSigmoid "log_sigmoid" = |x| x.log_sigmoid();
    /// [`Tensor::log_softmax`] along the last axis.
    LogSoftmax "log_softmax" = |x| x.log_softmax(-1);
    /// [`Tensor::mish`].
    Mish "mish" = |x| x.mish();
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
    /// [`Tensor::soft_shrink`] at 0.5.
    SoftShrink "soft_shrink" = |x| x.soft_shrink(0.5);
    /// [`Tensor::softmax`] along the last axis.
    Softmax "softmax" = |x| x.softmax(-1);
    /// `ln(1 + eˣ)`.
    Softplus "softplus" = |x| x.softplus();
    /// `x/(1 + |x|)`.
    Softsign "softsign" = |x| x.softsign();
    /// [`Tensor::sparse_plus`].
    SparsePlus "sparse_plus" = |x| x.sparse_plus();
    /// [`Tensor::sparse_sigmoid`].
    SparseSigmoid "sparse_sigmoid" = |x| x.sparse_sigmoid();
    /// [`sparsemax`] along the last axis.
    Sparsemax "sparsemax" = |x| sparsemax(x, -1);
    /// [`Tensor::squareplus`] with b = 4.
    Squareplus "squareplus" = |x| x.squareplus(4.0);
    /// The hyperbolic tangent.
    Tanh "tanh" = |x| x.tanh();
    /// [`Tensor::tanh_shrink`].
    TanhShrink "tanh_shrink" = |x| x.tanh_shrink();
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

/// `x` above 0, `α·(eˣ − 1)` below.
pub fn elu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    let y = x.elu()?;
    if alpha == 1.0 { Ok(y) } else { x.greater(0.0)?.select(&y, &(&y * alpha)) }
}

/// `x` above `threshold` and at most `max_value`; below, `negative_slope·(x − threshold)`.
pub fn relu(x: &Tensor, negative_slope: f64, max_value: Option<f64>, threshold: f64) -> Result<Tensor> {
    if negative_slope != 0.0 && max_value.is_none() && threshold == 0.0 {
        return x.leaky_relu(negative_slope as f32);
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

