use modulor::module::{Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, object, read_object, reading};
use modulor::{Call, DTypePolicy, Error, Layer, NameLayer, Result, Tensor};
use serde_json::Value;

/// Another layer, applied to every step of a sequence: `[batch, time, ..]` becomes `[batch, time, ..]`.
///
/// Steps are taken one after the other, each in a call of the layer, so that what it draws differs from step to step, and
/// what it learns of one step it has in the next. Layers which give every sample the same alone and in any batch, as
/// [`Dense`](super::Dense) and [`Conv2D`](super::Conv2D), take all steps at once, as one larger batch; then the number of
/// steps need not be known.
///
/// A mask of `[batch, time, ..]` goes to the layer step by step, and is that of the output. What the layer's calls charge
/// counts for each step, the cost of its activity too, which Keras leaves out here.
///
/// # Variables
///
/// Those of the layer, below its name.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{Conv2D, TimeDistributed};
/// # fn main() -> modulor::Result<()> {
/// let layer = TimeDistributed::new(Conv2D::new(4, 3));
/// let y = layer.call(&Tensor::zeros([2, 5, 8, 8, 1], DType::F32)?)?;
/// assert_eq!(*y.shape(), [2, 5, 6, 6, 4]);
/// # Ok(())
/// # }
/// ```
pub struct TimeDistributed {
    dtype: DTypePolicy,
    layer: Box<dyn Layer>,
    /// Whether the layer takes all steps at once.
    at_once: bool,
}

/// The layers that give a sample the same alone and in any batch, whatever is drawn, learnt or masked.
const BY_SAMPLE: &[&str] = &[
    "Activation",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "LayerNormalization",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "RMSNormalization",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "UnitNormalization",
];

/// Whether a serialized layer gives a sample the same alone and in any batch, and charges nothing.
fn is_by_sample(object: &Value) -> bool {
    let (class, config) = (object["class_name"].as_str().unwrap_or_default(), &object["config"]);
    match object["module"].as_str() {
        Some("keras.layers") => BY_SAMPLE.contains(&class) && config["activity_regularizer"].is_null(),
        Some("keras") if class == "Sequential" => config["layers"].as_array().into_iter().flatten().all(is_by_sample),
        _ => false,
    }
}

impl TimeDistributed {
    /// A layer for every step.
    pub fn new(layer: impl Layer) -> TimeDistributed {
        let at_once = object(layer.as_module()).is_ok_and(|object| is_by_sample(&object));
        TimeDistributed { dtype: DTypePolicy::default(), layer: Box::new(layer), at_once }
    }

    /// What it computes in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[must_use]
    pub fn dtype(mut self, dtype: impl Into<DTypePolicy>) -> TimeDistributed {
        self.dtype = dtype.into();
        self
    }

    /// All steps as one batch; `None` where dims must be known for that.
    fn together(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let Some(dims) = x.shape().dims().filter(|_| self.at_once) else { return Ok(None) };
        let ([batch, time], Some(sample)) = ([dims[0], dims[1]], known(&dims[2..])) else { return Ok(None) };
        if batch.is_none() && time.is_none() {
            return Ok(None);
        }
        let rows = batch.zip(time).map(|(batch, time)| batch.saturating_mul(time));
        let rows = rows.map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
        let y: Tensor = self.layer.call(&x.reshape([&[rows], &sample[..]].concat())?)?;
        let apart = y.shape().dims().filter(|dims| !dims.is_empty()).and_then(|dims| known(&dims[1..]));
        let Some(sample) = apart else { return Ok(None) };
        let first = [batch, time].map(|dim| dim.map_or(-1, |dim| dim as i64));
        y.reshape([&first[..], &sample].concat()).map(Some)
    }

    /// One step after the other.
    fn in_turn(&self, x: &Tensor) -> Result<Tensor> {
        let time = x.shape().dim(1).filter(|&time| time > 0).ok_or_else(|| {
            let class = self.layer.class_name();
            let message = format!("the number of steps of a `{class}` must be known, and at least 1");
            Error::invalid_argument(format!("{message}; found an input of shape {}", x.shape()))
        })?;
        let step = |at: i64| -> Result<Tensor> {
            let mask = x.mask().map(|mask| mask.slice((.., at))).transpose()?;
            self.layer.call(x.slice((.., at))?.with_mask(mask))
        };
        Tensor::stack(&(0..time as i64).map(step).collect::<Result<Vec<_>>>()?, 1)
    }
}

/// Dims that are all known.
fn known(dims: &[Option<usize>]) -> Option<Vec<i64>> {
    dims.iter().map(|dim| dim.map(|dim| dim as i64)).collect()
}

/// Refuses a mask that is not one of an input's steps.
fn check_mask(x: &Tensor, mask: &Tensor) -> Result<()> {
    let differs = |axis| x.shape().dim(axis).zip(mask.shape().dim(axis)).is_some_and(|(x, mask)| x != mask);
    if mask.rank().is_some_and(|rank| rank < 2) || differs(0) || differs(1) {
        return Err(Error::invalid_argument(format!(
            "the mask must have the batch and the steps of the input as its first dims, found shape {} for an input of \
             shape {}",
            mask.shape(),
            x.shape()
        )));
    }
    Ok(())
}

impl Layer for TimeDistributed {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.rank().is_none_or(|rank| rank < 3) {
            return Err(Error::invalid_argument(format!(
                "the input must have at least 3 dims, `[batch, time, ..]`, found shape {}",
                x.shape()
            )));
        }
        x.mask().map_or(Ok(()), |mask| check_mask(x, mask))?;
        match self.together(x)? {
            Some(y) => Ok(y),
            None => self.in_turn(x),
        }
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

impl Track for TimeDistributed {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        TimeDistributed { dtype: self.dtype.clone(), layer: self.layer.share(), at_once: self.at_once }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("TimeDistributed", config)
    }
}

/// What Keras calls the layer.
const LAYER: &str = "layer";

impl Module for TimeDistributed {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "TimeDistributed"
    }

    fn default_name(&self) -> &str {
        "time_distributed"
    }

    fn package(&self) -> &str {
        "keras.layers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        let name = self.layer.default_name();
        if name != LAYER {
            visitor.alias(name, LAYER);
        }
        self.layer.track(name, visitor);
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        Some(self.dtype.clone())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            let mut layer = object(self.layer.as_module())?;
            layer["config"]["name"] = self.layer.default_name().into();
            config.insert(LAYER.to_owned(), layer);
            Ok(())
        })
    }
}

impl FromConfig for TimeDistributed {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "TimeDistributed", version: 1, migrate: None };
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, &["dtype", LAYER]).into_result()?;
        let written = config.get(LAYER);
        let layer = reading(|| <Box<dyn Layer>>::from_field(written)).map_err(|error| error.within(LAYER))?;
        let name = written.and_then(|layer| layer["config"]["name"].as_str());
        let layer = match name.filter(|&name| name != layer.default_name()) {
            Some(name) => TimeDistributed::new(layer.named(name)),
            None => TimeDistributed::new(layer),
        };
        SCHEMA.close(layer.dtype(SCHEMA.policy(config)?), config, &["dtype", LAYER])
    }
}

modulor::register!(TimeDistributed, "keras.layers");
