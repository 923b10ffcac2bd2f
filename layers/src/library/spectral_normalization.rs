use crate::initializer::{AnyInitializer, TruncatedNormal};
use modulor::module::{InputShapes, ManualBuild, Track, Visitor};
use modulor::op::scope;
use modulor::variable::commit;
use modulor::{Call, DTypePolicy, Error, Layer, Module, ModuleExt, Result, Tensor, Variable};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// Another layer, whose kernel each training step divides by its greatest singular value, or nearly: Miyato et al.,
/// "Spectral normalization for generative adversarial networks".
///
/// The value is found by power iteration, which goes on from step to step. A kernel of zeros stays.
///
/// # Variables
///
/// `kernel`, which is the layer's `kernel` or its `embeddings`; `vector_u` of `[1, n]`, n being the last dim of that, not
/// trainable; the layer's others.
///
/// ```
/// use modulor::{Call, Tensor, scope};
/// use modulor_layers::library::{Dense, SpectralNormalization};
/// # fn main() -> modulor::Result<()> {
/// let dense = Dense::new(1).kernel_initializer("ones").use_bias(false);
/// let layer = SpectralNormalization::new(Box::new(dense));
/// let x = Tensor::from([[3.0_f32, 4.0, 0.0, 0.0]]);
/// let y = scope::with_training(true, || layer.call(&x))?;
/// assert_eq!(y.to_vec::<f32>()?, [3.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct SpectralNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[module(default)]
    kernel: Normalized,
    layer: Box<dyn Layer>,
    /// How many steps of the power iteration are made for each of training; 1 unless set.
    #[config(default = 1)]
    power_iterations: usize,
    #[variable(init = AnyInitializer::from(TruncatedNormal { stddev: 0.02, ..Default::default() }), trainable = false)]
    vector_u: Variable,
}

/// The variable that is normalized, once the layer is built: one of the wrapper's own as well, as Keras has it.
#[derive(Clone, Debug, Default)]
pub struct Normalized(Arc<OnceLock<Variable>>);

impl Track for Normalized {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        if let Some(variable) = self.0.get() {
            visitor.variable(name, variable);
        }
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(_: Option<&Value>) -> Result<Self> {
        Ok(Normalized::default())
    }
}

/// The square of the least norm that counts.
const LEAST: f64 = 1e-14;

impl ManualBuild for SpectralNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.layer.build(inputs)?;
        let kernel = self.found()?;
        let columns = kernel.shape().and_then(|dims| dims.last().copied());
        self.kernel.0.get_or_init(|| kernel);
        let columns = columns.ok_or_else(|| Error::invalid_argument("a kernel must have at least one dim"))?;
        inputs.size(&self.vector_u, "vector_u", &[1, columns])
    }
}

impl Layer for SpectralNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.power_iterations == 0 {
            return Err(Error::invalid_argument("`power_iterations` must be at least 1, found 0"));
        }
        if scope::training() {
            self.normalize()?;
        }
        self.layer.call(x)?.cast(x.dtype())
    }
}

impl SpectralNormalization {
    /// The variable that is normalized.
    fn found(&self) -> Result<Variable> {
        let named = self.layer.as_module().named_variables();
        let of = |wanted: &str| named.iter().find(|(name, _)| name == wanted).map(|(_, variable)| variable.clone());
        of("kernel").or_else(|| of("embeddings")).ok_or_else(|| {
            let class = self.layer.class_name();
            Error::invalid_argument(format!("a `{class}` has neither a `kernel` nor `embeddings` to normalize"))
        })
    }

    fn normalize(&self) -> Result<()> {
        let variable = self.found()?;
        let kernel = variable.read()?;
        let before = self.vector_u.read()?.cast(kernel.dtype())?;
        let columns = before.shape().dim(1).unwrap_or(0) as i64;
        let rows = kernel.reshape([-1, columns])?;
        let unit = |x: &Tensor| x.l2_normalize(.., LEAST);
        let mut u = before.clone();
        let mut v = u.clone();
        for _ in 0..self.power_iterations {
            v = unit(&u.matmul(rows.transpose()?)?)?;
            u = unit(&v.matmul(&rows)?)?;
        }
        let sigma = v.matmul(&rows)?.matmul(u.transpose()?)?.reshape([])?;
        let is_zero = kernel.equal(0.0)?.all(..)?;
        let after = is_zero.select(&kernel, &kernel.div(sigma)?)?;
        let u = is_zero.select(&before, &u)?.cast(self.vector_u.dtype())?;
        commit([(self.vector_u.clone(), u), (variable.clone(), after.cast(variable.dtype())?)])
    }
}
