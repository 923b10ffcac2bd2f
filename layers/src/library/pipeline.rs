use modulor::module::{
    Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name, object, read_object, reading, writing,
};
use modulor::{Call, Error, Layer, NameLayer, Result, Tensor};
use serde_json::Value;
use std::collections::HashMap;

/// Layers one after the other as one, which unlike [`Sequential`](super::Sequential) is no model: as for images on their way to one.
///
/// Each has a name in it: the one it was given by [`named`](modulor::NameLayer::named), or `random_flip`, `random_flip_1`, .. by
/// its class and how many of that class are before it.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::{AutoContrast, Pipeline, Rescaling};
/// # fn main() -> modulor::Result<()> {
/// let pipeline = Pipeline::new().add(AutoContrast::new()).add(Rescaling::new(1.0 / 255.0));
/// assert_eq!(pipeline.call(&Tensor::from([[[3.0_f32], [5.0]]]))?.to_vec::<f32>()?, [0.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Pipeline {
    layers: Vec<Box<dyn Layer>>,
}

impl Pipeline {
    /// No layers yet.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// With one more layer at the end.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "as Sequential's")]
    pub fn add(mut self, layer: impl Layer) -> Pipeline {
        self.layers.push(Box::new(layer));
        self
    }

    /// Its layers in order.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The layers with their names.
    fn places(&self) -> impl Iterator<Item = (String, &Box<dyn Layer>)> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        self.layers.iter().map(move |layer| {
            if let Some(name) = layer.given_name() {
                return (name.to_owned(), layer);
            }
            let count = counts.entry(layer.default_name()).or_default();
            *count += 1;
            (name::numbered(layer.default_name(), *count - 1), layer)
        })
    }
}

impl Layer for Pipeline {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some((first, others)) = self.layers.split_first() else { return Ok(x.clone()) };
        others.iter().try_fold(first.call(x)?, |x, layer| layer.call(&x))
    }
}

impl Track for Pipeline {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Pipeline { layers: self.layers.share() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("Pipeline", config)
    }
}

impl Module for Pipeline {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Pipeline"
    }

    fn default_name(&self) -> &str {
        "pipeline"
    }

    fn package(&self) -> &str {
        "keras.layers"
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
            // Keras writes nothing else.
            config.retain(|key, _| key == "name");
            config.insert("layers".to_owned(), Value::Array(layers.collect::<Result<_>>()?));
            Ok(())
        })
    }
}

impl FromConfig for Pipeline {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "Pipeline", version: 1, migrate: None };
        const KEYS: &[&str] = &["layers"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let Some(Value::Array(layers)) = config.get("layers") else {
            return Err(Error::invalid_argument("config of `Pipeline`: `layers` must be a list of layers"));
        };
        let read = |layer: &Value| <Box<dyn Layer>>::from_field(Some(layer));
        let read: Vec<Box<dyn Layer>> = reading(|| layers.iter().map(read).collect::<Result<_>>())?;
        let mut pipeline = Pipeline { layers: read };
        let automatic: Vec<String> = pipeline.places().map(|(name, _)| name).collect();
        for ((layer, config), automatic) in pipeline.layers.iter_mut().zip(layers).zip(automatic) {
            // A name that is not the automatic one is a name that was given.
            if let Some(name) = config["config"]["name"].as_str().filter(|&name| name != automatic && !name.is_empty())
            {
                *layer = Box::new(layer.share().named(name));
            }
        }
        SCHEMA.close(pipeline, config, KEYS)
    }
}

modulor::register!(Pipeline, "keras.layers");
