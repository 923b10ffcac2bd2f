use super::SeedGenerator;
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};

/// In training, leaves out each input with probability `rate`, and scales the others so that their sum stays: Srivastava
/// et al., "Dropout: a simple way to prevent neural networks from overfitting". Otherwise hands its input on.
///
/// # Variables
///
/// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`].
///
/// ```
/// use modulor::{Call, Tensor, scope};
/// use modulor_layers::library::Dropout;
/// # fn main() -> modulor::Result<()> {
/// let (layer, x) = (Dropout::new(0.5).seed(1), Tensor::from([[1.0_f32; 8]]));
/// assert_eq!(layer.call(&x)?.to_vec::<f32>()?, [1.0; 8]);
/// let y = scope::with_training(true, || layer.call(&x))?;
/// assert!(y.to_vec::<f32>()?.iter().all(|&y| y == 0.0 || y == 2.0));
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct Dropout {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    rate: f64,
    /// The seed; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    /// The dims of the choice, `None` for those of the input: along a dim of 1, inputs go or stay together.
    #[config(default, into)]
    noise_shape: Option<Vec<Option<usize>>>,
    #[module(default)]
    seed_generator: SeedGenerator,
}

impl ManualBuild for Dropout {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.rate > 0.0 {
            self.seed_generator.declare(self.seed);
        }
        Ok(())
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        dropped(x, self.rate, &self.seed_generator, self.noise_shape.as_deref())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// What dropout gives, in training and out of it; the dims of the choice are those of `x` where they are `None`.
pub(super) fn dropped(
    x: &Tensor,
    rate: f64,
    seeds: &SeedGenerator,
    noise_shape: Option<&[Option<usize>]>,
) -> Result<Tensor> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(Error::invalid_argument(format!("`rate` must be from 0 to 1, found {rate}")));
    }
    if !scope::training() || rate == 0.0 {
        return Ok(x.clone());
    }
    if rate == 1.0 {
        return x.zeros_like();
    }
    let noise_shape = noise_shape.map(|wanted| noise_dims(x, wanted)).transpose()?;
    x.dropout(rate, &seeds.next_seed()?, noise_shape.as_ref())
}

/// The dims of a choice as a tensor, those of `x` where they are `None`.
pub(super) fn noise_dims(x: &Tensor, wanted: &[Option<usize>]) -> Result<Tensor> {
    let needs_rank = || Error::invalid_argument(format!("`noise_shape` {wanted:?} needs an input of known rank"));
    let dims = x.shape().dims().ok_or_else(needs_rank)?;
    if wanted.len() != dims.len() {
        let message = format!("`noise_shape` {wanted:?} is for another rank than that of an input of {}", x.shape());
        return Err(Error::invalid_argument(message));
    }
    let dims: Vec<Option<usize>> = wanted.iter().zip(dims).map(|(wanted, dim)| wanted.or(dim)).collect();
    if let Some(dims) = dims.iter().map(|&dim| i64::try_from(dim?).ok()).collect::<Option<Vec<i64>>>() {
        return Tensor::new([dims.len()], dims);
    }
    let all = x.shape_tensor()?.cast(DType::I64)?;
    let dim = |(axis, dim): (usize, &Option<usize>)| match dim {
        Some(dim) => Ok(Tensor::from([i64::try_from(*dim).unwrap_or(i64::MAX)])),
        None => all.slice(axis..axis + 1),
    };
    Tensor::concat(&dims.iter().enumerate().map(dim).collect::<Result<Vec<_>>>()?, 0)
}
