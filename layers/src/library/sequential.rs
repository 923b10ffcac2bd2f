use modulor::module::{
    Config, FromConfig, InputShapes, Module, Track, Visitor, name, object, read_object, reading, writing,
};
use modulor::{Call, DTypePolicy, Error, Layer, NameLayer, Result, Tensor};
use serde_json::Value;
use std::collections::HashMap;

/// Layers one after the other.
///
/// Each has a name in it: the one it was given by [`named`](modulor::NameLayer::named), or `dense`, `dense_1`, .. by its
/// class and how many of that class are before it.
///
/// ```
/// use modulor::{Call, DType, ModuleExt, Tensor};
/// use modulor_layers::library::{Dense, Sequential};
/// # fn main() -> modulor::Result<()> {
/// let model = Sequential::new().add(Dense::new(3).activation("relu")).add(Dense::new(2));
/// assert_eq!(*model.call(&Tensor::zeros([5, 3], DType::F32)?)?.shape(), [5, 2]);
/// assert_eq!(model.count_params(), 20);
/// assert_eq!(model.weights()[2].path().as_deref(), Some("sequential/dense_1/kernel"));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Sequential {
    /// Of no effect but on its config: each layer has its own.
    dtype: DTypePolicy,
    layers: Vec<Box<dyn Layer>>,
}

impl Sequential {
    /// No layers yet.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With one more layer at the end.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "Keras's name")]
    pub fn add(mut self, layer: impl Layer) -> Sequential {
        self.layers.push(Box::new(layer));
        self
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The layers with their names.
    fn places(&self) -> impl Iterator<Item = (String, &Box<dyn Layer>)> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        self.layers.iter().map(move |layer| {
            let base = layer.default_name();
            let count = counts.entry(base).or_default();
            *count += 1;
            (name::numbered(base, *count - 1), layer)
        })
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| layer.call(&x))
    }
}

impl Track for Sequential {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Sequential { dtype: self.dtype.clone(), layers: self.layers.iter().map(Track::share).collect() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("Sequential", config)
    }
}

impl Module for Sequential {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Sequential"
    }

    fn default_name(&self) -> &str {
        "sequential"
    }

    fn package(&self) -> &str {
        "keras"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.places().for_each(|(name, layer)| layer.track(&name, visitor));
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            let layers = self.places().map(|(name, layer)| {
                let mut object = writing(self, || object(layer.as_module()))?;
                object["config"]["name"] = name.into();
                Ok(object)
            });
            let dtype = serde_json::to_value(&self.dtype).map_err(|e| Error::invalid_argument(e.to_string()))?;
            config.insert("dtype".to_owned(), dtype);
            config.insert("layers".to_owned(), Value::Array(layers.collect::<Result<_>>()?));
            Ok(())
        })
    }
}

impl FromConfig for Sequential {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: modulor::module::Schema =
            modulor::module::Schema { class: "Sequential", version: 1, migrate: None };
        const KEYS: &[&str] = &["dtype", "layers", "build_input_shape"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let Some(Value::Array(layers)) = config.get("layers") else {
            return Err(Error::invalid_argument("config of `Sequential`: `layers` must be a list of layers"));
        };
        let read = |layer: &Value| <Box<dyn Layer>>::from_field(Some(layer));
        let dtype = SCHEMA.policy(config)?;
        let model =
            Sequential { dtype: dtype.clone(), layers: reading(|| layers.iter().map(read).collect::<Result<_>>())? };
        // A name that is not the automatic one is a name that was given.
        let automatic: Vec<String> = model.places().map(|(name, _)| name).collect();
        let named =
            model.layers.into_iter().zip(automatic).zip(layers).map(|((layer, automatic), config)| {
                match config["config"]["name"].as_str() {
                    Some(name) if name != automatic => Box::new(layer.named(name)) as Box<dyn Layer>,
                    _ => layer,
                }
            });
        SCHEMA.close(Sequential { dtype, layers: named.collect() }, config, KEYS)
    }
}

modulor::register!(Sequential, "keras");
