use super::recurrent::{BothWays, Otherwise, Recurrent, Settings, Under, WithStates, states_expected};
use modulor::module::{Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, object, read_object, reading};
use modulor::{DTypePolicy, Error, Layer, Result, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the outputs of two directions become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMode {
    /// One behind the other, along the last axis.
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Mul,
    /// Their mean.
    Ave,
}

/// Two recurrent layers, of which one takes the sequence backwards.
///
/// The outputs of the two become one by the [`MergeMode`], [`Concat`](MergeMode::Concat) unless set; where it is `None` they
/// stay apart, and are had by [`directions`](Bidirectional::directions). The outputs of all steps are in the order of the
/// inputs, and where a step is masked they are zeros.
///
/// # Variables
///
/// Those of the two layers: of the first below `forward_` and its name, of the other below `backward_` and its name, or its
/// name where it was given.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{Bidirectional, LSTM};
/// # fn main() -> modulor::Result<()> {
/// let layer = Bidirectional::new(LSTM::new(4).return_sequences(true))?;
/// assert_eq!(*layer.call(&Tensor::zeros([2, 5, 3], DType::F32)?)?.shape(), [2, 5, 8]);
/// # Ok(())
/// # }
/// ```
pub struct Bidirectional {
    dtype: DTypePolicy,
    forward: Box<dyn Recurrent>,
    backward: Box<dyn Recurrent>,
    /// Whether the other layer was given, under its own name.
    is_given: bool,
    merge_mode: Option<MergeMode>,
}

impl Bidirectional {
    /// A layer, and another one with its settings that takes the sequence the other way.
    ///
    /// Fails where the layer's config cannot be read back, as that of a cell which is not registered.
    pub fn new(layer: impl Recurrent) -> Result<Bidirectional> {
        let mut backward = layer.another()?;
        let settings = backward.settings();
        backward.set(Settings { go_backwards: !settings.go_backwards, ..settings });
        Bidirectional { is_given: false, ..Bidirectional::of_both(layer, backward) }.checked()
    }

    /// A layer, and one for the other direction.
    ///
    /// Fails where both go the same way, or one has `return_sequences`, `return_state` or `stateful` set and the other not.
    pub fn of(layer: impl Recurrent, backward_layer: impl Recurrent) -> Result<Bidirectional> {
        Bidirectional::of_both(layer, Box::new(backward_layer)).checked()
    }

    fn of_both(layer: impl Recurrent, backward: Box<dyn Recurrent>) -> Bidirectional {
        Bidirectional {
            dtype: DTypePolicy::default(),
            forward: Box::new(layer),
            backward,
            is_given: true,
            merge_mode: Some(MergeMode::Concat),
        }
    }

    /// With the settings that the two must have in common, where they have the others.
    fn checked(mut self) -> Result<Bidirectional> {
        let [one, other] = [self.forward.settings(), self.backward.settings()];
        if one.go_backwards == other.go_backwards {
            return Err(Error::invalid_argument(
                "one of the two layers must have `go_backwards` set, and the other not",
            ));
        }
        let common = |settings: Settings| [settings.return_sequences, settings.return_state, settings.stateful];
        if common(one) != common(other) {
            let message = "`return_sequences`, `return_state` and `stateful` must be the same in both layers";
            return Err(Error::invalid_argument(message));
        }
        for layer in [&mut self.forward, &mut self.backward] {
            let settings = layer.settings();
            layer.set(Settings { zero_output_for_mask: settings.return_sequences, ..settings });
        }
        Ok(self)
    }

    /// How the two outputs become one; one behind the other unless set, and left apart by `None`.
    #[must_use]
    pub fn merge_mode(mut self, merge_mode: impl Into<Option<MergeMode>>) -> Bidirectional {
        self.merge_mode = merge_mode.into();
        self
    }

    /// What it computes in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[must_use]
    pub fn dtype(mut self, dtype: impl Into<DTypePolicy>) -> Bidirectional {
        self.dtype = dtype.into();
        self
    }

    /// This layer with the states before the sequence as an input, and those after it as a result, first those of the first
    /// layer; see [`with_states`](super::RecurrentLayer::with_states).
    pub fn with_states(&self) -> WithStates<Self> {
        Under::of(self.share(), BothWays)
    }

    /// Zeros in the values that the states of both layers have, where these are stateful and have any; see
    /// [`reset_state`](super::RecurrentLayer::reset_state).
    pub fn reset_state(&self) -> Result<()> {
        self.forward.reset()?;
        self.backward.reset()
    }

    /// This layer with two results, the outputs of the two directions.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::{Bidirectional, GRU};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = Bidirectional::new(GRU::new(4))?.merge_mode(None);
    /// let (forth, back) = layer.directions().call(&Tensor::zeros([2, 5, 3], DType::F32)?)?;
    /// assert_eq!([forth.dims()?, back.dims()?], [[2, 4]; 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn directions(&self) -> Directions {
        Under::of(self.share(), Apart)
    }

    /// Whether the outputs of the two directions stay apart.
    pub(super) fn is_apart(&self) -> bool {
        self.merge_mode.is_none()
    }

    /// The outputs of both, in the order of the inputs, and the states after the sequence.
    fn both(&self, x: &Tensor, states: Option<&[Tensor]>) -> Result<([Tensor; 2], Vec<Tensor>)> {
        let of_first = self.forward.states();
        let given = match states {
            Some(states) if states.len() < of_first => return Err(states_expected(2 * of_first, states.len())),
            Some(states) => {
                let (first, second) = states.split_at(of_first);
                [Some(first), Some(second)]
            }
            None => [None, None],
        };
        let (forth, mut after) = self.forward.through(x, given[0])?;
        let (mut back, others) = self.backward.through(x, given[1])?;
        after.extend(others);
        if self.forward.settings().return_sequences {
            back = back.reverse([1])?;
        }
        let dtype = self.dtype.compute_dtype()?;
        Ok(([forth.cast(dtype)?, back.cast(dtype)?], after))
    }

    /// The two layers with their names and those of their attributes.
    fn places(&self) -> [(String, &'static str, &dyn Recurrent); 2] {
        let backward = match self.is_given {
            true => self.backward.default_name().to_owned(),
            false => format!("backward_{}", self.backward.default_name()),
        };
        [
            (format!("forward_{}", self.forward.default_name()), "forward_layer", &*self.forward),
            (backward, "backward_layer", &*self.backward),
        ]
    }
}

/// The function of [`Directions`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Apart;

impl Otherwise for Apart {}

/// A [`Bidirectional`] whose two outputs stay apart.
pub type Directions = Under<Bidirectional, Apart>;

impl Layer<Tensor, (Tensor, Tensor)> for Directions {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.module().both(x, None).map(|([forth, back], _)| (forth, back))
    }
}

impl Layer for Bidirectional {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.forward.settings().return_state {
            return Err(Error::invalid_argument("`return_state` gives more than one tensor: call `with_states()`"));
        }
        self.recur(x, None).map(|(output, _)| output)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned().filter(|_| self.forward.settings().return_sequences))
    }
}

impl Bidirectional {
    pub(super) fn recur(&self, x: &Tensor, states: Option<&[Tensor]>) -> Result<(Tensor, Vec<Tensor>)> {
        let ([forth, back], after) = self.both(x, states)?;
        let output = match self.merge_mode {
            Some(MergeMode::Concat) => Tensor::concat(&[forth, back], -1),
            Some(MergeMode::Sum) => forth.add(back),
            Some(MergeMode::Mul) => forth.mul(back),
            Some(MergeMode::Ave) => (forth + back).div(2.0),
            None => Err(Error::invalid_argument("outputs that are not merged are two tensors: call `directions()`")),
        };
        Ok((output?, after))
    }
}

impl Layer<(Tensor, Option<Vec<Tensor>>), (Tensor, Vec<Tensor>)> for WithStates<Bidirectional> {
    fn forward(&self, (x, states): &(Tensor, Option<Vec<Tensor>>)) -> Result<(Tensor, Vec<Tensor>)> {
        self.module().recur(x, states.as_deref())
    }

    fn mask(&self, (x, _): &(Tensor, Option<Vec<Tensor>>)) -> Result<Option<Tensor>> {
        self.module().mask(x)
    }
}

impl Track for Bidirectional {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Bidirectional {
            dtype: self.dtype.clone(),
            forward: self.forward.share(),
            backward: self.backward.share(),
            is_given: self.is_given,
            merge_mode: self.merge_mode,
        }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("Bidirectional", config)
    }
}

impl Module for Bidirectional {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Bidirectional"
    }

    fn default_name(&self) -> &str {
        "bidirectional"
    }

    fn package(&self) -> &str {
        "keras.layers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        for (name, attribute, layer) in self.places() {
            visitor.alias(&name, attribute);
            layer.track(&name, visitor);
        }
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        Some(self.dtype.clone())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            for ((name, _, layer), key) in self.places().into_iter().zip(["layer", "backward_layer"]) {
                let mut object = object(layer.as_module())?;
                object["config"]["name"] = name.into();
                config.insert(key.to_owned(), object);
            }
            let merge_mode = serde_json::to_value(self.merge_mode).unwrap_or_default();
            config.insert("merge_mode".to_owned(), merge_mode);
            Ok(())
        })
    }
}

impl FromConfig for Bidirectional {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "Bidirectional", version: 1, migrate: None };
        const KEYS: &[&str] = &["dtype", "layer", "backward_layer", "merge_mode"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let fault = |error: String| Error::invalid_argument(format!("config of `Bidirectional`: {error}"));
        let (forward, backward): (Box<dyn Recurrent>, _) = reading(|| {
            let forward = <Box<dyn Recurrent>>::from_field(config.get("layer")).map_err(|e| e.within("layer"))?;
            let given = config.get("backward_layer").filter(|layer| !layer.is_null());
            let backward = given.map(|layer| <Box<dyn Recurrent>>::from_field(Some(layer)));
            Ok((forward, backward.transpose().map_err(|e| e.within("backward_layer"))?))
        })?;
        let is_given = config.get("backward_layer").and_then(|layer| layer["config"]["name"].as_str());
        let is_given = is_given.is_some_and(|name| !name.starts_with("backward_"));
        let backward = match backward {
            Some(backward) => backward,
            None => {
                let mut backward = forward.another()?;
                let settings = backward.settings();
                backward.set(Settings { go_backwards: !settings.go_backwards, ..settings });
                backward
            }
        };
        let merge_mode = match config.get("merge_mode") {
            None => Some(MergeMode::Concat),
            Some(mode) => Deserialize::deserialize(mode).map_err(|e: serde_json::Error| fault(e.to_string()))?,
        };
        let dtype = SCHEMA.policy(config)?;
        SCHEMA.close(Bidirectional { dtype, forward, backward, is_given, merge_mode }.checked()?, config, KEYS)
    }
}

modulor::register!(Bidirectional, "keras.layers");
