//! Rows of a table by their numbers, and back from a row to what may have been its number.

use super::activity::charge;
use super::dense::Unquantized;
use super::lora::{LoraAlpha, LoraInitializers, LoraRank, adapts};
use super::recurrent::{Otherwise, Under};
use crate::OrNone;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, RandomUniform};
use crate::regularizer::AnyRegularizer;
use modulor::module::{Config, Track};
use modulor::variable::Initializer;
use modulor::{DType, DTypePolicy, Error, Layer, Module, ModuleExt, Result, Tensor, Variable};

/// The rows of a table.
fn rows(table: &Variable, x: &Tensor) -> Result<Tensor> {
    let x = if matches!(x.dtype(), DType::I32 | DType::I64) { x.clone() } else { x.cast(DType::I32)? };
    table.read()?.gather(&x, 0)
}

/// Where numbers are not 0.
fn not_zero(mask_zero: bool, x: &Tensor) -> Result<Option<Tensor>> {
    mask_zero.then(|| x.not_equal(0.0)).transpose()
}

/// Refuses a table of no rows or no columns.
fn check([input_dim, output_dim]: [usize; 2]) -> Result<()> {
    for (name, dim) in [("input_dim", input_dim), ("output_dim", output_dim)] {
        if dim == 0 {
            return Err(Error::invalid_argument(format!("`{name}` must be at least 1, found 0")));
        }
    }
    Ok(())
}

/// How a table begins: as an initializer has it, or as the numbers that were given.
struct Beginning {
    initializer: AnyInitializer,
    weights: Option<Tensor>,
}

impl Initializer for Beginning {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        match &self.weights {
            None => self.initializer.init(dims, dtype, seed),
            Some(weights) if *weights.shape() == *dims => weights.cast(dtype),
            Some(weights) => {
                let message =
                    format!("the weights must have the shape of the table, {dims:?}, found {}", weights.shape());
                Err(Error::invalid_argument(message))
            }
        }
    }
}

/// A row of a table for each number: of as many rows as `input_dim`, with `output_dim` columns.
///
/// Numbers of any type count, as int32; one that is no row is an error. (A negative one, which Keras counts from the end, is
/// an error too.)
///
/// With `mask_zero` the result has a mask, false where the number is 0.
///
/// # Shapes
///
/// `[..]` becomes `[.., output_dim]`.
///
/// # Variables
///
/// `embeddings` of `[input_dim, output_dim]`. With a `lora_rank` it is not trainable, and there are `lora_embeddings_a` of
/// `[input_dim, lora_rank]` and `lora_embeddings_b` of `[lora_rank, output_dim]`, float32.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Embedding;
/// # fn main() -> modulor::Result<()> {
/// let y = Embedding::new(10, 4).mask_zero(true).call(&Tensor::from([[1, 2, 0]]))?;
/// assert_eq!(*y.shape(), [1, 3, 4]);
/// assert_eq!(y.mask().expect("zeros are masked").to_vec::<bool>()?, [true, true, false]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Embedding {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    input_dim: usize,
    #[config]
    output_dim: usize,
    /// How the table begins; [`RandomUniform`] unless set.
    #[config(default = RandomUniform::default().into(), into)]
    embeddings_initializer: AnyInitializer,
    /// What the table costs; nothing unless set.
    #[config(default, into)]
    embeddings_regularizer: OrNone<AnyRegularizer>,
    /// What the output costs; nothing unless set.
    #[config(default, into)]
    activity_regularizer: OrNone<AnyRegularizer>,
    /// Where the table may be; anywhere unless set.
    #[config(default, into)]
    embeddings_constraint: OrNone<AnyConstraint>,
    /// Whether 0 stands for no number, and is masked; not unless set.
    #[config(default)]
    mask_zero: bool,
    #[module(default)]
    lora_rank: LoraRank,
    #[module(default)]
    lora_alpha: LoraAlpha,
    #[skip]
    lora_initializers: LoraInitializers,
    #[module(default)]
    quantization_config: Unquantized,
    #[skip]
    weights: Option<Tensor>,
    #[variable(
        shape = [input_dim, output_dim],
        init = Beginning { initializer: embeddings_initializer, weights: weights.clone() },
        regularizer = embeddings_regularizer,
        constraint = embeddings_constraint,
        trainable = !lora_rank.is_set()
    )]
    embeddings: Variable,
    #[variable(
        shape = [input_dim, lora_rank.columns()],
        init = lora_initializers.a.clone(),
        dtype = DType::F32,
        regularizer = embeddings_regularizer,
        when = lora_rank.is_set()
    )]
    lora_embeddings_a: Variable,
    #[variable(
        shape = [lora_rank.columns(), output_dim],
        init = lora_initializers.b.clone(),
        dtype = DType::F32,
        regularizer = embeddings_regularizer,
        when = lora_rank.is_set()
    )]
    lora_embeddings_b: Variable,
}

impl Embedding {
    /// The numbers that the table begins as, of shape `[input_dim, output_dim]`, cast to its dtype; those of the initializer
    /// unless set: Keras's argument `weights`, which is the name of what a layer has. A config does not hold them.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::Embedding;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = Embedding::new(3, 2).with_weights([[0.0_f32, 0.5], [1.0, 1.5], [2.0, 2.5]]);
    /// assert_eq!(layer.call(&Tensor::from([2, 1]))?.to_vec::<f32>()?, [2.0, 2.5, 1.0, 1.5]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_weights(mut self, weights: impl Into<Tensor>) -> Embedding {
        self.weights = Some(weights.into());
        self.declared()
    }
}

impl Layer for Embedding {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        check([self.input_dim, self.output_dim])?;
        let y = self.adapted(|table| rows(table, x))?.map_or_else(|| rows(&self.embeddings, x), Ok)?;
        let y = y.cast(self.dtype.compute_dtype()?)?;
        charge(self.activity_regularizer.0.as_ref(), &y)?;
        Ok(y)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        not_zero(self.mask_zero, x)
    }

    /// The rows are cast, and not the whole table.
    fn autocast(&self) -> bool {
        false
    }
}

/// An [`Embedding`] that also goes back: by [`reversed`](ReversibleEmbedding::reversed), from rows to a logit for each number.
///
/// # Shapes
///
/// `[..]` becomes `[.., output_dim]`; reversed, `[.., output_dim]` becomes `[.., input_dim]`.
///
/// # Variables
///
/// `embeddings` of `[input_dim, output_dim]`, whose transpose leads back; where `tie_weights` is false, that is
/// `reverse_embeddings`, of `[output_dim, input_dim]`. With a `lora_rank`, `embeddings` is not trainable, and there are
/// `lora_embeddings_a` of `[input_dim, lora_rank]` and `lora_embeddings_b` of `[lora_rank, output_dim]`, float32.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::ReversibleEmbedding;
/// # fn main() -> modulor::Result<()> {
/// let layer = ReversibleEmbedding::new(10, 4).logit_soft_cap(30.0);
/// let y = layer.call(&Tensor::from([[1, 2, 0]]))?;
/// assert_eq!(*layer.reversed().call(&y)?.shape(), [1, 3, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct ReversibleEmbedding {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    input_dim: usize,
    #[config]
    output_dim: usize,
    /// How the tables begin; [`RandomUniform`] unless set.
    #[config(default = RandomUniform::default().into(), into)]
    embeddings_initializer: AnyInitializer,
    /// What the table costs; nothing unless set.
    #[config(default, into)]
    embeddings_regularizer: OrNone<AnyRegularizer>,
    /// What the output costs; nothing unless set.
    #[config(default, into)]
    activity_regularizer: OrNone<AnyRegularizer>,
    /// Where the table may be; anywhere unless set.
    #[config(default, into)]
    embeddings_constraint: OrNone<AnyConstraint>,
    /// Whether 0 stands for no number, and is masked; not unless set.
    #[config(default)]
    mask_zero: bool,
    #[module(default)]
    lora_rank: LoraRank,
    #[module(default)]
    lora_alpha: LoraAlpha,
    #[skip]
    lora_initializers: LoraInitializers,
    #[module(default)]
    quantization_config: Unquantized,
    /// Whether one table leads both ways; it does unless this says no.
    #[config(default = true)]
    tie_weights: bool,
    /// The name of the dtype in which the way back is computed; that of the input unless set.
    #[config(default, into)]
    reverse_dtype: OrNone<String>,
    /// The bound that logits approach, by `tanh(logits/bound)·bound`; none unless set.
    #[config(default, into)]
    logit_soft_cap: Option<f64>,
    #[variable(
        shape = [input_dim, output_dim],
        init = embeddings_initializer,
        regularizer = embeddings_regularizer,
        constraint = embeddings_constraint,
        trainable = !lora_rank.is_set()
    )]
    embeddings: Variable,
    #[variable(shape = [output_dim, input_dim], init = embeddings_initializer, when = !tie_weights)]
    reverse_embeddings: Variable,
    #[variable(
        shape = [input_dim, lora_rank.columns()],
        init = lora_initializers.a.clone(),
        dtype = DType::F32,
        regularizer = embeddings_regularizer,
        when = lora_rank.is_set()
    )]
    lora_embeddings_a: Variable,
    #[variable(
        shape = [lora_rank.columns(), output_dim],
        init = lora_initializers.b.clone(),
        dtype = DType::F32,
        regularizer = embeddings_regularizer,
        when = lora_rank.is_set()
    )]
    lora_embeddings_b: Variable,
}

impl Layer for ReversibleEmbedding {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        check([self.input_dim, self.output_dim])?;
        let y = self.adapted(|table| rows(table, x))?.map_or_else(|| rows(&self.embeddings, x), Ok)?;
        let y = y.cast(self.dtype.compute_dtype()?)?;
        charge(self.activity_regularizer.0.as_ref(), &y)?;
        Ok(y)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        not_zero(self.mask_zero, x)
    }

    /// The rows are cast, and not the whole table.
    fn autocast(&self) -> bool {
        false
    }
}

adapts! {
    Embedding embeddings by lora_embeddings_a lora_embeddings_b, embeddings_constraint;
    ReversibleEmbedding embeddings by lora_embeddings_a lora_embeddings_b, embeddings_constraint;
}

/// The function of [`Reversed`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Backwards;

impl Otherwise for Backwards {
    fn arguments(&self) -> Config {
        Config::from_iter([("reverse".to_owned(), true.into())])
    }
}

/// A [`ReversibleEmbedding`] from rows to logits.
pub type Reversed = Under<ReversibleEmbedding, Backwards>;

impl ReversibleEmbedding {
    /// This layer, with the same variables, the other way: Keras's `reverse=True`.
    pub fn reversed(&self) -> Reversed {
        Under::of(self.share(), Backwards)
    }
}

impl Layer for Reversed {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let layer = self.module();
        check([layer.input_dim, layer.output_dim])?;
        let (mut x, mut kernel) = match layer.tie_weights {
            true => (x.clone(), layer.adapted(Variable::read)?.map_or_else(|| layer.embeddings.read(), Ok)?),
            false => (x.clone(), layer.reverse_embeddings.read()?),
        };
        if let Some(name) = &layer.reverse_dtype.0 {
            let dtype = DType::from_name(name)?;
            (x, kernel) = (x.cast(dtype)?, kernel.cast(dtype)?);
        }
        let logits = x.matmul_with(kernel, false, layer.tie_weights)?;
        let logits = match layer.logit_soft_cap {
            Some(bound) => logits.div(bound)?.tanh()?.mul(bound)?,
            None => logits,
        };
        charge(layer.activity_regularizer.0.as_ref(), &logits)?;
        Ok(logits)
    }
}
