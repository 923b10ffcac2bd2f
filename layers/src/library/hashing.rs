use super::Salt;
use super::category_encoding::{OutputMode, encoded};
use super::settings::{Settings, of_settings};
use super::vocabulary::hashed;
use modulor::module::Config;
use modulor::{DType, DTypePolicy, Error, Layer, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What a bin becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinOutput {
    /// Its number.
    #[default]
    Int,
    /// A vector, 1 at its number.
    OneHot,
    /// With the others of its sample a vector, 1 at each number that is there.
    MultiHot,
    /// With the others of its sample a vector of how often each number is there.
    Count,
}

impl BinOutput {
    /// What the numbers of bins below `depth` become.
    pub(super) fn of(self, bins: &Tensor, depth: usize, dtype: DType) -> Result<Tensor> {
        match self {
            BinOutput::Int => bins.cast(dtype),
            BinOutput::OneHot => encoded(bins, None, OutputMode::OneHot, depth, dtype),
            BinOutput::MultiHot => encoded(bins, None, OutputMode::MultiHot, depth, dtype),
            BinOutput::Count => encoded(bins, None, OutputMode::Count, depth, dtype),
        }
    }
}

/// Refuses what is said of sparse tensors.
pub(super) fn check_dense(sparse: bool) -> Result<()> {
    match sparse {
        true => Err(Error::invalid_argument(
            "`sparse` must be false: there are no sparse tensors here, and vectors are dense",
        )),
        false => Ok(()),
    }
}

/// A value of the input that has a bin of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaskValue {
    /// An integer.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Text(String),
}

impl From<i64> for MaskValue {
    fn from(value: i64) -> Self {
        MaskValue::Int(value)
    }
}

impl From<f64> for MaskValue {
    fn from(value: f64) -> Self {
        MaskValue::Float(value)
    }
}

impl From<&str> for MaskValue {
    fn from(value: &str) -> Self {
        MaskValue::Text(value.to_owned())
    }
}

impl MaskValue {
    /// Where the elements of a tensor are this.
    fn is_at(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            MaskValue::Text(text) if x.dtype() == DType::String => x.equal(Tensor::strings([], [text])?),
            MaskValue::Int(value) if x.dtype().is_integer() || x.dtype().is_float() => {
                x.equal(Tensor::scalar(*value).cast(x.dtype())?)
            }
            MaskValue::Float(value) if x.dtype().is_float() => x.equal(Tensor::scalar(*value).cast(x.dtype())?),
            _ => Err(Error::invalid_argument(format!("`mask_value` is no value of {}, found {self:?}", x.dtype()))),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Bins {
    num_bins: usize,
    #[serde(default)]
    mask_value: Option<MaskValue>,
    #[serde(default)]
    salt: Option<Salt>,
    #[serde(default)]
    output_mode: BinOutput,
    #[serde(default)]
    sparse: bool,
}

/// Where a config says no dtype, numbers of bins are of int64, as Keras's are.
pub(super) fn numbers_are_integers(config: &mut Config) {
    let says = |key: &str| config.get(key).filter(|value| !value.is_null());
    if says("dtype").is_none() && says("output_mode").is_none_or(|mode| mode == "int") {
        config.insert("dtype".to_owned(), DType::I64.name().into());
    }
}

impl Settings for Bins {
    fn complete(config: &mut Config) {
        numbers_are_integers(config);
    }
}

/// Strings and numbers by the bin that a hash gives them: a number below `num_bins`, or a vector of it.
///
/// The hash is FarmHash, or with a `salt`, which is its key, SipHash; of a number it is that of its digits, without a
/// fraction. A `mask_value` has bin 0, which no other value gets then. The numbers are TensorFlow's.
///
/// Bins are of int64, vectors of the ambient policy's dtype, unless `dtype` says another.
///
/// # Shapes
///
/// Numbers have the shape of the input; vectors are as those of [`CategoryEncoding`](super::CategoryEncoding).
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Hashing;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::strings([5], ["A", "B", "C", "D", "E"])?;
/// assert_eq!(Hashing::new(3).call(&x)?.to_vec::<i64>()?, [1, 0, 1, 1, 2]);
/// assert_eq!(Hashing::new(3).mask_value("A").call(&x)?.to_vec::<i64>()?[0], 0);
/// # Ok(())
/// # }
/// ```
pub struct Hashing {
    dtype: DTypePolicy,
    settings: Bins,
}

impl Hashing {
    /// Of so many bins, at least one.
    pub fn new(num_bins: usize) -> Hashing {
        let settings = Bins { num_bins, mask_value: None, salt: None, output_mode: BinOutput::Int, sparse: false };
        Hashing { dtype: DType::I64.into(), settings }
    }

    /// A value that has bin 0 to itself; there is none unless set.
    #[must_use]
    pub fn mask_value(mut self, mask_value: impl Into<MaskValue>) -> Hashing {
        self.settings.mask_value = Some(mask_value.into());
        self
    }

    /// The key of the hash, which is SipHash then; without one it is FarmHash.
    #[must_use]
    pub fn salt(mut self, salt: impl Into<Salt>) -> Hashing {
        self.settings.salt = Some(salt.into());
        self
    }

    /// What a bin becomes; its number unless set. Vectors are of the ambient dtype, if none was set before.
    #[must_use]
    pub fn output_mode(mut self, output_mode: BinOutput) -> Hashing {
        if output_mode != BinOutput::Int && self.dtype == DType::I64.into() {
            self.dtype = DTypePolicy::default();
        }
        self.settings.output_mode = output_mode;
        self
    }

    /// The number of each element's bin.
    fn bins(&self, x: &Tensor) -> Result<Tensor> {
        let Bins { num_bins, mask_value, salt, .. } = &self.settings;
        // One bin alone is that of the mask and of all others.
        let mask = mask_value.as_ref().filter(|_| *num_bins > 1).map(|value| value.is_at(x)).transpose()?;
        let whole = if x.dtype().is_float() { x.cast(DType::I64)? } else { x.clone() };
        let texts = if whole.dtype() == DType::String { whole } else { whole.as_string()? };
        match mask {
            None => hashed(&texts, *num_bins, *salt),
            Some(mask) => {
                let others = hashed(&texts, num_bins - 1, *salt)?.add(Tensor::scalar(1_i64))?;
                mask.select(&Tensor::scalar(0_i64), &others)
            }
        }
    }
}

impl Layer for Hashing {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Bins { num_bins, output_mode, sparse, .. } = self.settings;
        check_dense(sparse)?;
        if num_bins == 0 {
            return Err(Error::invalid_argument("`num_bins` must be at least 1, found 0"));
        }
        let dtype = self.dtype.compute_dtype()?;
        if output_mode == BinOutput::Int && !matches!(dtype, DType::I32 | DType::I64) {
            let message = format!("the numbers of bins are int32 or int64, and `dtype` is {dtype}");
            return Err(Error::invalid_argument(message));
        }
        output_mode.of(&self.bins(x)?, num_bins, dtype)
    }

    // What is hashed is no float.
    fn autocast(&self) -> bool {
        false
    }
}

of_settings!(Hashing "hashing" ["num_bins" "mask_value" "salt" "output_mode" "sparse"]);
