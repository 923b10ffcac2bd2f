use modulor::module::{Config, InputShapes, Module, Track, Visitor};
use modulor::variable::{Declaration, Initializer};
use modulor::{DType, Error, Result, Tensor, Variable};
use serde_json::{Value, json};
use std::sync::Arc;

/// Seeds, one after the other: Keras's `SeedGenerator`.
///
/// A layer that draws holds one, so that what it will draw is saved with its weights. The state is `[seed, count]`.
///
/// # Variables
///
/// `seed_generator_state`, int64 of `[2]`, neither trainable nor a weight.
#[derive(Debug, Default)]
pub struct SeedGenerator {
    seed_generator_state: Variable,
}

/// The first state; without a seed, one that follows from the variable's path.
struct FirstState(Option<i64>);

impl Initializer for FirstState {
    fn init(&self, _: &[usize], _: DType, seed: u64) -> Result<Tensor> {
        // Keras draws the seed from 1 to 10⁹.
        let seed = self.0.unwrap_or((seed % 1_000_000_000) as i64 + 1);
        Ok(Tensor::from([seed, 0]))
    }
}

impl SeedGenerator {
    /// Says how the seeds begin; of no effect once one has been drawn.
    pub fn declare(&self, seed: Option<i64>) {
        self.seed_generator_state.declare(Declaration {
            shape: Some(vec![Some(2)]),
            dtype: Some(DType::I64),
            trainable: false,
            weight: false,
            ..Declaration::new(Arc::new(FirstState(seed)))
        });
    }

    /// The next seed, int64 of `[2]`: the state before it is counted on, in the 31 bits that Keras keeps of it.
    pub fn next_seed(&self) -> Result<Tensor> {
        let state = self.seed_generator_state.read()?;
        self.seed_generator_state.assign_add(&Tensor::from([0_i64, 1]))?;
        state.floor_mod(f64::from(i32::MAX - 1))
    }
}

/// As a part of a layer it is not in the layer's config, which has the seed itself.
impl Track for SeedGenerator {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        SeedGenerator { seed_generator_state: self.seed_generator_state.clone() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            None => Ok(SeedGenerator::default()),
            Some(_) => Err(Error::invalid_argument("a seed generator has no config within a layer")),
        }
    }
}

impl Module for SeedGenerator {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "SeedGenerator"
    }

    fn default_name(&self) -> &str {
        "seed_generator"
    }

    fn package(&self) -> &str {
        "keras.random"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        visitor.variable("seed_generator_state", &self.seed_generator_state);
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        Ok(Config::from_iter([("name".to_owned(), json!(self.default_name()))]))
    }
}
