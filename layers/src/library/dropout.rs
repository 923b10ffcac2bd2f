use super::SeedGenerator;
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{Error, Layer, Module, Result, Tensor};

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

impl Dropout {
    /// The dims of the choice, as a tensor.
    fn noise_dims(&self, x: &Tensor) -> Result<Tensor> {
        let Some(wanted) = &self.noise_shape else { return x.shape_tensor() };
        let dims = x.dims()?;
        if wanted.len() != dims.len() {
            let message =
                format!("`noise_shape` {wanted:?} is for another rank than that of an input of {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        let dims: Vec<i64> = wanted.iter().zip(dims).map(|(wanted, &dim)| wanted.unwrap_or(dim) as i64).collect();
        Tensor::new([dims.len()], dims)
    }
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
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(Error::invalid_argument(format!("`rate` must be from 0 to 1, found {}", self.rate)));
        }
        if !scope::training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        if self.rate == 1.0 {
            return x.zeros_like();
        }
        x.dropout(self.rate, &self.seed_generator.next_seed()?, Some(&self.noise_dims(x)?))
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}
