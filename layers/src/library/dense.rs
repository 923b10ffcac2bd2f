use super::ActivityRegularizer;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::{Error, Layer, Module, ModuleExt, Result, Tensor, Variable};

/// A layer in which every output depends on every input: `activation(x · kernel + bias)`.
///
/// # Shapes
///
/// `[.., n]` becomes `[.., units]`; there is at least one dim before the last.
///
/// # Variables
///
/// `kernel` of `[n, units]` and, unless `use_bias` is false, `bias` of `[units]`.
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
#[derive(Module)]
#[module(package = "keras.layers", no_new)]
pub struct Dense {
    #[config]
    units: usize,
    #[config(default)]
    activation: AnyActivation,
    #[config(default = true)]
    use_bias: bool,
    #[config(default = GlorotUniform::default().into())]
    kernel_initializer: AnyInitializer,
    #[config(default = Zeros.into())]
    bias_initializer: AnyInitializer,
    #[config(default)]
    kernel_regularizer: Option<AnyRegularizer>,
    #[config(default)]
    bias_regularizer: Option<AnyRegularizer>,
    activity_regularizer: ActivityRegularizer,
    #[config(default)]
    kernel_constraint: Option<AnyConstraint>,
    #[config(default)]
    bias_constraint: Option<AnyConstraint>,
    /// Keras's key for kernels of integers, which are not there: only null is read.
    #[config(default)]
    quantization_config: (),
    #[variable(
        shape = [input[-1], units],
        init = kernel_initializer,
        regularizer = kernel_regularizer,
        constraint = kernel_constraint
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
}

impl Layer for Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.units == 0 || x.rank().is_some_and(|rank| rank < 2) {
            let message =
                format!("{} units of an input of shape {}: at least 1 and 2 dims are needed", self.units, x.shape());
            return Err(Error::invalid_argument(message));
        }
        let mut y = x.matmul(&self.kernel)?;
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

impl Dense {
    /// A layer of so many outputs, linear, with Glorot's uniform kernel and a bias of zeros.
    pub fn new(units: usize) -> Dense {
        Dense {
            units,
            activation: AnyActivation::Linear,
            use_bias: true,
            kernel_initializer: GlorotUniform::default().into(),
            bias_initializer: Zeros.into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: ActivityRegularizer::default(),
            kernel_constraint: None,
            bias_constraint: None,
            quantization_config: (),
            kernel: Variable::default(),
            bias: Variable::default(),
        }
        .declared()
    }
}

/// One builder method a row: the setting, what it takes, and how that is stored.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $stored:expr;)*) => {
        impl Dense { $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Dense {
                self.$name = $stored;
                self.declared()
            }
        )* }
    };
}

settings! {
    /// The function of the result, by name or as an [`AnyActivation`].
    activation: impl Into<AnyActivation> => activation.into();
    /// Whether there is a bias.
    use_bias: bool => use_bias;
    /// How the kernel begins.
    kernel_initializer: impl Into<AnyInitializer> => kernel_initializer.into();
    /// How the bias begins.
    bias_initializer: impl Into<AnyInitializer> => bias_initializer.into();
    /// What the kernel costs.
    kernel_regularizer: impl Into<AnyRegularizer> => Some(kernel_regularizer.into());
    /// What the bias costs.
    bias_regularizer: impl Into<AnyRegularizer> => Some(bias_regularizer.into());
    /// What the output costs.
    activity_regularizer: impl Into<AnyRegularizer> => ActivityRegularizer(Some(activity_regularizer.into()));
    /// Where the kernel may be.
    kernel_constraint: impl Into<AnyConstraint> => Some(kernel_constraint.into());
    /// Where the bias may be.
    bias_constraint: impl Into<AnyConstraint> => Some(bias_constraint.into());
}
