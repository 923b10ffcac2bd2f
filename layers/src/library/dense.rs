use super::ActivityRegularizer;
use super::lora::{LoraAlpha, LoraInitializers, LoraRank, adapts};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{Track, Visitor};
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};
use serde_json::Value;

/// A layer in which every output depends on every input: `activation(x · kernel + bias)`.
///
/// # Shapes
///
/// `[.., n]` becomes `[.., units]`; there is at least one dim before the last.
///
/// # Variables
///
/// `kernel` of `[n, units]` and, unless `use_bias` is false, `bias` of `[units]`. With a `lora_rank`, `kernel` is not
/// trainable, and there are `lora_kernel_a` of `[n, lora_rank]` and `lora_kernel_b` of `[lora_rank, units]`, float32.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::initializer::Ones;
/// use modulor_layers::library::Dense;
/// # fn main() -> modulor::Result<()> {
/// let layer = Dense::new(2).activation("relu").kernel_initializer(Ones);
/// let y = layer.call(&Tensor::from([[1.0_f32, 2.0], [-3.0, 1.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 3.0, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
///
/// What was learnt stays, and something small is learnt beside it, by a low rank:
///
/// ```
/// use modulor::{Call, ModuleExt, Tensor};
/// use modulor_layers::library::Dense;
/// # fn main() -> modulor::Result<()> {
/// let mut layer = Dense::new(100);
/// let x = Tensor::from([[1.0_f32; 50]]);
/// let before: Tensor = layer.call(&x)?;
/// layer.enable_lora(4, 8.0)?;
/// let after: Tensor = layer.call(&x)?;
/// assert_eq!(after.to_vec::<f32>()?, before.to_vec::<f32>()?);
/// let learnt: Vec<_> = layer.trainable_variables().iter().flat_map(|variable| variable.shape()).collect();
/// assert_eq!(learnt, [vec![100], vec![50, 4], vec![4, 100]]);
/// # Ok(())
/// # }
/// ```
///
/// Whatever has a name in Keras is set by that name, by a value, or, where there may be none, by `None`. Classes of your
/// own join those after [`register_class!`](crate::register_class).
///
/// ```
/// use modulor::Module;
/// use modulor_layers::library::Dense;
/// use modulor_layers::regularizer::L2;
/// # fn main() -> modulor::Result<()> {
/// let layer = Dense::new(2).kernel_regularizer(L2 { l2: 0.5 }).bias_regularizer("l2").kernel_constraint(None);
/// let config = layer.config()?;
/// assert_eq!(config["kernel_regularizer"]["config"]["l2"], 0.5);
/// assert_eq!(config["bias_regularizer"]["class_name"], "L2");
/// assert!(config["kernel_constraint"].is_null());
/// # Ok(())
/// # }
/// ```
///
/// With a [`DTypePolicy`], as every layer has one, it may compute in half precision and keep its variables in float32.
///
/// ```
/// use modulor::{Call, DType, ModuleExt, Tensor};
/// use modulor_layers::library::Dense;
/// # fn main() -> modulor::Result<()> {
/// let layer = Dense::new(2).dtype("mixed_bfloat16");
/// assert_eq!(layer.call(&Tensor::from([[1.0_f32, 2.0]]))?.dtype(), DType::BF16);
/// assert_eq!(layer.weights()[0].dtype(), DType::F32);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Dense {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    units: usize,
    /// The function of the result, by name or as an [`AnyActivation`]; linear unless set.
    #[config(default, into)]
    activation: AnyActivation,
    /// Whether there is a bias; there is unless this says no.
    #[config(default = true)]
    use_bias: bool,
    /// How the kernel begins; [`GlorotUniform`] unless set.
    #[config(default = GlorotUniform::default().into(), into)]
    kernel_initializer: AnyInitializer,
    /// How the bias begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    bias_initializer: AnyInitializer,
    /// What the kernel costs; nothing unless set.
    #[config(default, into)]
    kernel_regularizer: OrNone<AnyRegularizer>,
    /// What the bias costs; nothing unless set.
    #[config(default, into)]
    bias_regularizer: OrNone<AnyRegularizer>,
    #[module(default)]
    activity_regularizer: ActivityRegularizer,
    /// Where the kernel may be; anywhere unless set.
    #[config(default, into)]
    kernel_constraint: OrNone<AnyConstraint>,
    /// Where the bias may be; anywhere unless set.
    #[config(default, into)]
    bias_constraint: OrNone<AnyConstraint>,
    #[module(default)]
    lora_rank: LoraRank,
    #[module(default)]
    lora_alpha: LoraAlpha,
    #[skip]
    lora_initializers: LoraInitializers,
    #[module(default)]
    quantization_config: Unquantized,
    #[variable(
        shape = [input[-1], units],
        init = kernel_initializer,
        regularizer = kernel_regularizer,
        constraint = kernel_constraint,
        trainable = !lora_rank.is_set()
    )]
    kernel: Variable,
    #[variable(
        shape = [units],
        init = bias_initializer,
        regularizer = bias_regularizer,
        constraint = bias_constraint,
        when = use_bias
    )]
    bias: Variable,
    #[variable(
        shape = [input[-1], lora_rank.columns()],
        init = lora_initializers.a.clone(),
        dtype = DType::F32,
        regularizer = kernel_regularizer,
        when = lora_rank.is_set()
    )]
    lora_kernel_a: Variable,
    #[variable(
        shape = [lora_rank.columns(), units],
        init = lora_initializers.b.clone(),
        dtype = DType::F32,
        regularizer = kernel_regularizer,
        when = lora_rank.is_set()
    )]
    lora_kernel_b: Variable,
}

impl Layer for Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        if x.rank().is_some_and(|rank| rank < 2) {
            let message = format!("the input must have at least 2 dims, `[batch, n]`, found shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        let mut y = match self.adapted(Variable::read)? {
            None => x.matmul(&self.kernel)?,
            Some(kernel) => x.matmul(kernel)?,
        };
        if self.use_bias {
            y = y.bias_add(&self.bias)?;
        }
        let y = self.activation.apply(&y)?;
        self.activity_regularizer.charge(&y)?;
        Ok(y)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

adapts! { Dense kernel by lora_kernel_a lora_kernel_b, kernel_constraint; }

impl Dense {
    /// What the output costs; nothing unless set.
    #[must_use]
    pub fn activity_regularizer(mut self, activity_regularizer: impl Into<OrNone<AnyRegularizer>>) -> Dense {
        self.activity_regularizer = ActivityRegularizer(activity_regularizer.into().0);
        self
    }
}

/// Keras's setting for kernels of integers, which do not exist here: null, whatever is asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unquantized;

impl Track for Unquantized {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        *self
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(Some(Value::Null))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            None | Some(Value::Null) => Ok(Unquantized),
            Some(other) => Err(Error::unimplemented(format!("kernels of integers do not exist here, found {other}"))),
        }
    }
}
