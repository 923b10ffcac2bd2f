use super::BinOutput;
use super::hashing::{check_dense, numbers_are_integers};
use super::settings::{Settings, of_settings};
use modulor::module::Config;
use modulor::{DType, DTypePolicy, Error, Layer, Result, Tensor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Crossing {
    num_bins: usize,
    #[serde(default)]
    output_mode: BinOutput,
    #[serde(default)]
    sparse: bool,
}

impl Settings for Crossing {
    fn complete(config: &mut Config) {
        numbers_are_integers(config);
    }

    fn finish(&self, config: &mut Config) {
        named_dtype(config);
    }
}

/// The config of a layer that says its dtype by name, and not whether it is trainable, since it has nothing to train.
pub(super) fn named_dtype(config: &mut Config) {
    config.remove("trainable");
    if let Some(dtype) = config.get_mut("dtype") {
        *dtype = dtype["config"]["name"].take();
    }
}

/// What goes into the hash first, in TensorFlow.
const KEY: u64 = 0xde_cafc_affe;

/// By what fingerprints are multiplied to become one.
const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;

/// The upper bits of words in the lower ones.
fn mixed(x: &Tensor) -> Result<Tensor> {
    x.bitwise_xor(x.right_shift(Tensor::scalar(47_u64))?)
}

/// Two words as one, for each pair: TensorFlow's `FingerprintCat64`.
fn joined(first: &Tensor, second: &Tensor) -> Result<Tensor> {
    let factor = Tensor::scalar(FACTOR);
    let second = mixed(&second.mul(&factor)?)?.mul(&factor)?;
    let both = first.bitwise_xor(&factor)?.bitwise_xor(second)?.mul(&factor)?;
    mixed(&mixed(&both)?.mul(&factor)?)
}

/// Each element as a word: a string by its fingerprint, an integer by itself.
fn words(x: &Tensor) -> Result<Tensor> {
    if x.dtype() != DType::String {
        return x.cast(DType::I64)?.cast(DType::U64);
    }
    let bytes = x.reshape([-1])?.fingerprint()?.cast(DType::U64)?;
    let places = Tensor::new([8], (0..8).map(|byte| 8 * byte).collect::<Vec<u64>>())?;
    bytes.left_shift(places)?.sum([-1])?.reshape_as(x)
}

/// Two features or more as one, by the bin that a hash gives all of them together: a number below `num_bins`, or a vector of
/// it. The numbers are TensorFlow's.
///
/// It is called with a list of strings and integers. Numbers are of int64, vectors of the ambient policy's dtype, unless
/// `dtype` says another.
///
/// # Shapes
///
/// The inputs are of one shape, `[]`, `[batch]` or `[batch, 1]`, and so are numbers; vectors are of `[batch, num_bins]`, or of
/// `[1, num_bins]`.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::HashedCrossing;
/// # fn main() -> modulor::Result<()> {
/// let (letters, numbers) = (Tensor::strings([3], ["a", "b", "c"])?, Tensor::from([1, 2, 3]));
/// let bins = HashedCrossing::new(5).call([&letters, &numbers])?;
/// assert_eq!(bins.to_vec::<i64>()?, [0, 2, 4]);
/// # Ok(())
/// # }
/// ```
pub struct HashedCrossing {
    dtype: DTypePolicy,
    settings: Crossing,
}

impl HashedCrossing {
    /// Of so many bins, at least one.
    pub fn new(num_bins: usize) -> HashedCrossing {
        let settings = Crossing { num_bins, output_mode: BinOutput::Int, sparse: false };
        HashedCrossing { dtype: DType::I64.into(), settings }
    }

    /// What a bin becomes, its number, as it is unless set, or a vector of it. Vectors are of the ambient dtype, if none was
    /// set before.
    #[must_use]
    pub fn output_mode(mut self, output_mode: BinOutput) -> HashedCrossing {
        if output_mode != BinOutput::Int && self.dtype == DType::I64.into() {
            self.dtype = DTypePolicy::default();
        }
        self.settings.output_mode = output_mode;
        self
    }
}

impl Layer<Vec<Tensor>, Tensor> for HashedCrossing {
    fn forward(&self, inputs: &Vec<Tensor>) -> Result<Tensor> {
        let Crossing { num_bins, output_mode, sparse } = self.settings;
        let refused = |message: String| Err(Error::invalid_argument(message));
        check_dense(sparse)?;
        if num_bins == 0 {
            return refused("`num_bins` must be at least 1, found 0".to_owned());
        }
        if !matches!(output_mode, BinOutput::Int | BinOutput::OneHot) {
            return refused(format!("`output_mode` must be int or one_hot, found {output_mode:?}"));
        }
        let [first, _, ..] = &inputs[..] else {
            return refused(format!("at least two features are crossed, found {}", inputs.len()));
        };
        let shape = first.shape();
        if shape.rank().is_some_and(|rank| rank > 2 || rank == 2 && shape.dim(1).is_some_and(|dim| dim != 1)) {
            return refused(format!("features are of shape (), (batch,) or (batch, 1), found {shape}"));
        }
        if let Some(other) = inputs.iter().find(|x| !x.shape().is_compatible_with(shape)) {
            return refused(format!("features must have one shape, found {shape} and {}", other.shape()));
        }
        if let Some(other) = inputs.iter().find(|x| !x.dtype().is_integer() && x.dtype() != DType::String) {
            return refused(format!("features must be integers or strings, found {}", other.dtype()));
        }
        let mut all = Tensor::scalar(KEY);
        for x in inputs {
            all = joined(&all, &words(x)?)?;
        }
        let bins = all.floor_mod(Tensor::scalar(num_bins as u64))?.cast(DType::I64)?;
        // Also of a batch that is not known yet, vectors take the place of an axis of 1.
        let bins = if shape.rank() == Some(2) { bins.reshape([-1, 1])? } else { bins };
        output_mode.of(&bins, num_bins, self.dtype.compute_dtype()?)
    }

    fn autocast(&self) -> bool {
        false
    }
}

of_settings!(HashedCrossing "hashed_crossing" ["num_bins" "output_mode" "sparse"]);
