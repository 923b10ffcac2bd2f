use super::input::{InputLayer, admitted};
use modulor::layer::infer;
use modulor::module::{
    Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name, object, read_object, reading, writing,
};
use modulor::{Call, DTypePolicy, Error, Layer, NameLayer, Result, Shape, Spec, Tensor, nearest};
use serde_json::{Value, json};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

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
///
/// Told what it is fed, by [`input`](Sequential::input) or an [`InputLayer`] in front, it is built as layers are added:
///
/// ```
/// use modulor::ModuleExt;
/// use modulor_layers::library::{Dense, Sequential};
/// # fn main() -> modulor::Result<()> {
/// let model = Sequential::new().input([3]).add(Dense::new(3)).add(Dense::new(2));
/// assert_eq!(model.count_params(), 20);
/// assert_eq!(model.output_shape()?.to_string(), "(None, 2)");
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Sequential {
    /// Of no effect but on its config: each layer has its own.
    dtype: DTypePolicy,
    /// What it was told of its input, with the name of that.
    input: Option<(Arc<InputLayer>, String)>,
    layers: Vec<Box<dyn Layer>>,
    /// The names of the layers, in order.
    names: Vec<String>,
    /// What it is fed: as it was told, or else what it was first called on.
    fed: Arc<OnceLock<Spec>>,
    /// What comes out of the last layer, as far as it is known: a symbol that nothing can be computed from.
    output: Option<Tensor>,
    /// Why it cannot be called.
    fault: Option<Error>,
}

impl Sequential {
    /// No layers yet.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// Told what it is fed: batches of any size of float32 samples of this shape. For more, [`add`](Sequential::add) an
    /// [`InputLayer`].
    #[must_use]
    pub fn input(self, shape: impl Into<Shape>) -> Sequential {
        let dims = shape.into().dims().unwrap_or_default();
        self.add(InputLayer::new([None].into_iter().chain(dims).collect()))
    }

    /// With one more layer at the end. An [`InputLayer`], which must be the first, says what the model is fed.
    ///
    /// A name that is there already, and an input that is not the first, make every call an error.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "Keras's name")]
    pub fn add(mut self, layer: impl Layer) -> Sequential {
        self.push(Box::new(layer));
        self
    }

    /// Adds a layer at the end, as [`add`](Sequential::add).
    pub fn push(&mut self, layer: Box<dyn Layer>) {
        if let Some(input) = (layer.as_module() as &dyn Any).downcast_ref::<InputLayer>() {
            let name = layer.given_name().unwrap_or_else(|| input.default_name()).to_owned();
            let spec = input.spec();
            let is_first = self.layers.is_empty() && self.input.is_none();
            self.input = Some((Arc::new(input.share()), name));
            match spec {
                _ if !is_first => self.blame("an input is not the first of its layers"),
                Err(error) => self.fault = Some(error),
                Ok(spec) => {
                    self.output = Some(Tensor::placeholder(spec.clone()));
                    self.fed = Arc::new(spec.into());
                }
            }
            return;
        }
        let base = layer.given_name().unwrap_or_else(|| layer.default_name());
        let name = match layer.given_name() {
            Some(name) => name.to_owned(),
            None => {
                let before = self.layers.iter().filter(|other| other.given_name().is_none());
                name::numbered(base, before.filter(|other| other.default_name() == base).count())
            }
        };
        if self.names.contains(&name) {
            self.blame(&format!("two of its layers are called `{name}`"));
        }
        self.output = self.output.take().and_then(|x| infer(&layer, &x).ok()).map(|y| alone(&y));
        self.layers.push(layer);
        self.names.push(name);
    }

    /// Takes the last layer off.
    pub fn pop(&mut self) -> Option<Box<dyn Layer>> {
        let layer = self.layers.pop()?;
        self.names.pop();
        let names = &self.names;
        if (1..names.len()).all(|at| !names[..at].contains(&names[at])) {
            self.fault = None;
        }
        self.output = self.through().ok();
        Some(layer)
    }

    fn blame(&mut self, fault: &str) {
        self.fault.get_or_insert_with(|| Error::invalid_argument(format!("the model cannot be called: {fault}")));
    }

    /// The layers, in order, without the input.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The names of the layers, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The layer of this name.
    pub fn get_layer(&self, name: &str) -> Result<&dyn Layer> {
        let place = self.names.iter().position(|known| known == name);
        place.map(|place| &*self.layers[place]).ok_or_else(|| {
            let known = nearest::suggestion(name, self.names.iter().map(String::as_str));
            Error::not_found(format!("no layer of the model is called `{name}`; {known}"))
        })
    }

    /// What it is told that it is fed, or was first called on.
    pub fn input_spec(&self) -> Option<&Spec> {
        self.fed.get()
    }

    /// The shape of what comes out, as far as it follows from what is known of the input.
    ///
    /// Fails where nothing is known of the input, and where a layer cannot take what the one before it gives.
    pub fn output_shape(&self) -> Result<Shape> {
        match &self.output {
            Some(output) => Ok(output.shape().clone()),
            None => self.through().map(|output| output.shape().clone()),
        }
    }

    /// What each layer gives, as symbols that nothing can be computed from: as far as they can take what there is.
    pub(crate) fn outputs(&self) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::new();
        let Some(spec) = self.fed.get() else { return outputs };
        let first = Tensor::placeholder(spec.clone());
        for layer in &self.layers {
            match infer(layer, outputs.last().unwrap_or(&first)) {
                Ok(output) => outputs.push(alone(&output)),
                Err(_) => break,
            }
        }
        outputs
    }

    /// A symbol of what comes out.
    fn through(&self) -> Result<Tensor> {
        let Some(spec) = self.fed.get() else {
            return Err(Error::failed_precondition(
                "nothing is known of the model's input: add an `input`, or call it",
            ));
        };
        let first = Tensor::placeholder(spec.clone());
        self.layers.iter().zip(&self.names).try_fold(first, |x, (layer, name)| {
            infer(layer, &x).map(|y: Tensor| alone(&y)).map_err(|error| error.within(name.as_str()))
        })
    }

    /// The layers with their names.
    fn places(&self) -> impl Iterator<Item = (&str, &Box<dyn Layer>)> {
        self.names.iter().map(String::as_str).zip(&self.layers)
    }
}

/// A symbol of the same dtype and shape, with such a mask, that holds on to nothing.
fn alone(x: &Tensor) -> Tensor {
    let placeholder = |x: &Tensor| Tensor::placeholder(x.spec().clone());
    placeholder(x).with_mask(x.mask().map(placeholder))
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let first = match (&self.input, self.fed.get()) {
            (Some((_, name)), Some(spec)) => {
                Some(admitted(x.clone(), spec).map_err(|error| error.within(name.as_str()))?)
            }
            (_, None) => {
                // Another thread may have been faster.
                let _ = self.fed.set(x.spec().clone());
                None
            }
            _ => None,
        };
        let mut layers = self.layers.iter();
        let Some(layer) = layers.next() else { return Ok(first.unwrap_or_else(|| x.clone())) };
        let y = layer.call(first.as_ref().unwrap_or(x))?;
        drop(first);
        layers.try_fold(y, |x, layer| layer.call(&x))
    }
}

impl Track for Sequential {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Sequential {
            dtype: self.dtype.clone(),
            input: self.input.clone(),
            layers: self.layers.iter().map(Track::share).collect(),
            names: self.names.clone(),
            fed: self.fed.clone(),
            output: self.output.clone(),
            fault: self.fault.clone(),
        }
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
        self.places().for_each(|(name, layer)| layer.track(&name.replace('.', ".."), visitor));
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            let named = |name: &str, layer: &dyn Module| {
                let mut object = writing(self, || object(layer))?;
                object["config"]["name"] = name.into();
                Ok(object)
            };
            let input = self.input.iter().map(|(layer, name)| {
                let mut object = named(name, &**layer)?;
                object["config"].as_object_mut().and_then(|config| config.remove("trainable"));
                Ok(object)
            });
            let layers = input.chain(self.places().map(|(name, layer)| named(name, layer.as_module())));
            let dtype = serde_json::to_value(&self.dtype).map_err(|e| Error::invalid_argument(e.to_string()))?;
            config.insert("dtype".to_owned(), dtype);
            config.insert("layers".to_owned(), Value::Array(layers.collect::<Result<_>>()?));
            if let Some(spec) = self.input.as_ref().and(self.fed.get()) {
                config.insert("build_input_shape".to_owned(), json!(spec.shape.dims()));
            }
            Ok(())
        })
    }
}

impl FromConfig for Sequential {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "Sequential", version: 1, migrate: None };
        const KEYS: &[&str] = &["dtype", "layers", "build_input_shape"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let Some(Value::Array(layers)) = config.get("layers") else {
            return Err(Error::invalid_argument("config of `Sequential`: `layers` must be a list of layers"));
        };
        let read = |layer: &Value| <Box<dyn Layer>>::from_field(Some(layer));
        let read: Vec<Box<dyn Layer>> = reading(|| layers.iter().map(read).collect::<Result<_>>())?;
        let mut model = Sequential { dtype: SCHEMA.policy(config)?, ..Sequential::default() };
        let mut counts: HashMap<String, usize> = HashMap::new();
        for (layer, config) in read.into_iter().zip(layers) {
            let base = layer.default_name().to_owned();
            let count = counts.entry(base.clone()).or_default();
            let automatic = name::numbered(&base, *count);
            // A name that is not the automatic one is a name that was given.
            match config["config"]["name"].as_str() {
                Some(name) if name != automatic && !name.is_empty() => model.push(Box::new(layer.named(name))),
                _ => {
                    *count += 1;
                    model.push(layer);
                }
            }
        }
        if let Some(fault) = model.fault {
            return Err(fault);
        }
        SCHEMA.close(model, config, KEYS)
    }
}

modulor::register!(Sequential, "keras");
