//! Low rank adaptation: what a layer learns in place of a kernel that stays, as a product of two narrow matrices. Hu et al.,
//! "LoRA: low-rank adaptation of large language models".

use crate::initializer::{AnyInitializer, HeUniform, Zeros};
use modulor::module::{Track, Visitor};
use modulor::{DType, Error, Result, Tensor};
use serde_json::Value;

/// The setting `lora_rank`, which Keras leaves out of a configuration where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoraRank(pub(super) Option<usize>);

impl LoraRank {
    /// Whether there is one, and so a product.
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The columns of the first factor.
    pub(super) fn columns(&self) -> usize {
        self.0.unwrap_or(0)
    }
}

/// How the two factors begin: what Keras's `enable_lora` is told, and no config says.
#[derive(Clone, Debug)]
pub struct LoraInitializers {
    pub(super) a: AnyInitializer,
    pub(super) b: AnyInitializer,
}

impl Default for LoraInitializers {
    fn default() -> Self {
        LoraInitializers { a: HeUniform::default().into(), b: Zeros.into() }
    }
}

/// The setting `lora_alpha`, which is the rank where it is not given, and which Keras leaves out where there is no rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoraAlpha {
    pub(super) given: Option<f64>,
    pub(super) rank: Option<usize>,
}

fn read<T: serde::de::DeserializeOwned>(config: Option<&Value>) -> Result<Option<T>> {
    let read = config.map(|config| serde_json::from_value(config.clone())).transpose();
    read.map(Option::flatten).map_err(|error| Error::invalid_argument(error.to_string()))
}

impl Track for LoraRank {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        *self
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(self.0.map(Value::from))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        Ok(LoraRank(read(config)?))
    }
}

impl Track for LoraAlpha {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        *self
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(self.given.map(Value::from).or(self.rank.map(Value::from)))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        Ok(LoraAlpha { given: read(config)?, rank: None })
    }
}

/// Refuses settings that a product does not go with; `constraint` names that of the kernel, where there is one.
pub(super) fn check(rank: LoraRank, constraint: Option<&str>) -> Result<()> {
    match (rank.0, constraint) {
        (Some(0), _) => Err(Error::invalid_argument("`lora_rank` must be at least 1, found 0")),
        (Some(_), Some(name)) => {
            let message = format!("`lora_rank` does not go with `{name}`: what is adapted has no variable of its own");
            Err(Error::invalid_argument(message))
        }
        _ => Ok(()),
    }
}

/// `kernel + (alpha/rank)·a·b` in a dtype, without rounding in between to a narrower one. The kernel of an einsum may be a
/// vector, and so is then `a`.
pub(super) fn adapted(
    kernel: &Tensor,
    [a, b]: [Tensor; 2],
    (rank, alpha): (LoraRank, LoraAlpha),
    dtype: DType,
) -> Result<Tensor> {
    let rank = rank.columns() as f64;
    let product = match a.rank() {
        Some(1) => a.expand_dims(0)?.matmul(b)?.squeeze([0])?,
        _ => a.matmul(b)?,
    };
    let learnt = product.mul(alpha.given.unwrap_or(rank) / rank)?;
    let wide = match (kernel.dtype(), learnt.dtype()) {
        (kernel, learnt) if kernel == learnt => kernel,
        (DType::F64, _) | (_, DType::F64) => DType::F64,
        _ => DType::F32,
    };
    kernel.cast(wide)?.add(learnt.cast(wide)?)?.cast(dtype)
}

/// What the layers that can be adapted have in common: a layer a row, with the fields of what is adapted, of the two factors
/// and of the constraint.
macro_rules! adapts {
    ($($layer:ident $kernel:ident by $a:ident $b:ident, $constraint:ident;)*) => { $(
        impl $layer {
            #[doc = concat!("The rank of what is learnt in place of `", stringify!($kernel), "`, which then stays as it is:")]
            #[doc = concat!("`", stringify!($kernel), " + (lora_alpha/lora_rank)·", stringify!($a), "·", stringify!($b), "`")]
            /// takes its place; nothing is adapted unless set. It does not go with a constraint.
            #[must_use]
            pub fn lora_rank(mut self, lora_rank: usize) -> $layer {
                self.adapt(lora_rank);
                self
            }

            /// How much what is learnt counts, over the rank; the rank unless set.
            ///
            /// In Keras 3.15 only layers of convolution heed it where it is an argument of a new layer, and others where it is one of
            /// `enable_lora`; here all do.
            #[must_use]
            pub fn lora_alpha(mut self, lora_alpha: f64) -> $layer {
                self.lora_alpha.given = Some(lora_alpha);
                self
            }

            #[doc = concat!("How `", stringify!($a), "` and `", stringify!($b), "` begin, by name or as an")]
            /// [`AnyInitializer`](crate::initializer::AnyInitializer); he_uniform and zeros unless set. As in Keras, whose
            /// `enable_lora` takes them, they are not in the config.
            #[must_use]
            pub fn lora_initializers(
                mut self,
                a: impl Into<crate::initializer::AnyInitializer>,
                b: impl Into<crate::initializer::AnyInitializer>,
            ) -> $layer {
                self.lora_initializers = $crate::library::lora::LoraInitializers { a: a.into(), b: b.into() };
                modulor::Module::declare(&self);
                self
            }

            #[doc = concat!("Keeps `", stringify!($kernel), "` as it is from now on, built or not, and learns a product of this rank,")]
            /// times `lora_alpha/rank`, beside it: at first 0. `lora_alpha` is the rank unless given.
            ///
            /// Other handles to this layer, which [`share`](modulor::module::Track::share) gave before, do not add the product.
            ///
            /// # Errors
            ///
            /// A rank of 0, a constraint, or a rank that is set already.
            pub fn enable_lora(
                &mut self,
                rank: usize,
                lora_alpha: impl Into<Option<f64>>,
            ) -> modulor::Result<()> {
                if let Some(rank) = self.lora_rank.0 {
                    let message = format!("`lora_rank` is set already, and is {rank}");
                    return Err(modulor::Error::failed_precondition(message));
                }
                $crate::library::lora::check($crate::library::lora::LoraRank(Some(rank)), self.adapted_constraint())?;
                self.lora_alpha.given = lora_alpha.into();
                self.adapt(rank);
                Ok(())
            }

            fn adapt(&mut self, rank: usize) {
                self.lora_rank.0 = Some(rank);
                self.lora_alpha.rank = Some(rank);
                modulor::Module::declare(self);
            }

            fn adapted_constraint(&self) -> Option<&'static str> {
                self.$constraint.0.as_ref().map(|_| stringify!($constraint))
            }

            /// What takes the place of the kernel, or of the part of it that `part` reads, in the dtype that the layer computes
            /// in; `None` where that is the kernel.
            fn adapted(
                &self,
                part: impl Fn(&modulor::Variable) -> modulor::Result<modulor::Tensor>,
            ) -> modulor::Result<Option<modulor::Tensor>> {
                use $crate::library::lora;
                if !self.lora_rank.is_set() {
                    return Ok(None);
                }
                lora::check(self.lora_rank, self.adapted_constraint())?;
                let factors = [part(&self.$a)?, self.$b.read()?];
                let how = (self.lora_rank, self.lora_alpha);
                lora::adapted(&part(&self.$kernel)?, factors, how, self.dtype.compute_dtype()?).map(Some)
            }
        }
    )* };
}
pub(super) use adapts;
