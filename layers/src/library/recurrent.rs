//! What all recurrent layers are: a cell, and the way that sequences are taken through it.

use super::recurrent_dropout::Masks;
use super::{ActivityRegularizer, Cell};
use crate::OrNone;
use crate::initializer::Zeros;
use crate::regularizer::AnyRegularizer;
use modulor::module::{
    Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name, object, read_object, write,
};
use modulor::ops::recurrent::{Cell as Kind, Recurrence, Weights};
use modulor::variable::Declaration;
use modulor::{Call, DType, DTypePolicy, Error, Layer, Result, Shape, Tensor, Variable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The settings that are not the cell's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub(super) return_sequences: bool,
    pub(super) return_state: bool,
    pub(super) go_backwards: bool,
    pub(super) stateful: bool,
    pub(super) unroll: bool,
    pub(super) zero_output_for_mask: bool,
}

impl Settings {
    /// These as the ways of a kernel, of some cell.
    fn ways(&self) -> Recurrence {
        Recurrence {
            cell: Kind::Lstm,
            zero_masked: self.zero_output_for_mask,
            backwards: self.go_backwards,
            all_outputs: self.return_sequences,
        }
    }
}

/// The error of a cell for so many states.
pub(super) fn states_expected(expected: usize, found: usize) -> Error {
    Error::invalid_argument(format!("the cell has {expected} states, and {found} were given"))
}

/// A cell that can go through a sequence by a kernel.
pub trait Whole: Cell {
    /// Whether there is a kernel for its settings.
    fn has_kernel(&self) -> bool;

    /// Takes a sequence through all steps, in the ways that are given.
    fn run(&self, x: &Tensor, states: &[Tensor], ways: Recurrence) -> Result<(Tensor, Vec<Tensor>)>;
}

/// Runs the composite of a recurrence on what dropout leaves of the inputs.
pub(super) fn whole(
    x: &Tensor,
    masks: &Masks,
    [kernel, recurrent_kernel]: [&Tensor; 2],
    bias: Option<&Tensor>,
    states: &[&Tensor],
    ways: Recurrence,
) -> Result<(Tensor, Vec<Tensor>)> {
    let mask = x.mask().map(|mask| mask.cast(x.dtype())).transpose()?;
    let left = masks.x.first().map(|mask| x.mul(mask.expand_dims(1)?)).transpose()?;
    let weights = Weights { kernel, recurrent_kernel, bias };
    ways.call(left.as_ref().unwrap_or(x), weights, states, mask.as_ref())
}

/// A module with another function.
pub struct Under<M, K> {
    module: M,
    function: K,
}

impl<M, K> Under<M, K> {
    /// The function of a module.
    pub(super) fn of(module: M, function: K) -> Under<M, K> {
        Under { module, function }
    }

    /// The module.
    pub(super) fn module(&self) -> &M {
        &self.module
    }

    /// What tells its function from the module's own.
    pub(super) fn function(&self) -> &K {
        &self.function
    }
}

/// A function that a module has beside its own.
pub trait Otherwise: Clone + Default + Send + Sync + 'static {
    /// What tells a call of it from one of the module itself, by Keras's names of arguments; null stands for the second part
    /// of the input.
    #[doc(hidden)]
    fn arguments(&self) -> Config {
        Config::new()
    }
}

impl Otherwise for Settings {}

/// Keras has the states by a setting and not by an argument.
impl Otherwise for BothWays {
    fn arguments(&self) -> Config {
        Config::from_iter([("return_state".to_owned(), true.into()), ("initial_state".to_owned(), Value::Null)])
    }
}

impl<M: Module + Sized, K: Otherwise> Track for Under<M, K> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        self.module.track(name, visitor);
    }

    fn share(&self) -> Self {
        Under { module: self.module.share(), function: self.function.clone() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        self.module.field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        Ok(Under { module: M::from_field(config)?, function: K::default() })
    }
}

impl<M: Module + Sized, K: Otherwise> Module for Under<M, K> {
    fn as_module(&self) -> &dyn Module {
        self.module.as_module()
    }

    fn class_name(&self) -> &str {
        self.module.class_name()
    }

    fn default_name(&self) -> &str {
        self.module.default_name()
    }

    fn given_name(&self) -> Option<&str> {
        self.module.given_name()
    }

    fn call_arguments(&self) -> Config {
        self.function.arguments()
    }

    fn package(&self) -> &str {
        self.module.package()
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.module.fields(visitor);
    }

    fn declare(&self) {
        self.module.declare();
    }

    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.module.build(inputs)
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        self.module.dtype_policy()
    }

    fn config(&self) -> Result<Config> {
        self.module.config()
    }
}

impl<C: Whole> Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for Under<C, Settings> {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        self.module.run(x, states, self.function.ways())
    }
}

/// What a recurrent layer holds a cell as: of its own class, with settings beside the layer's, or of any.
pub trait Held: Track {
    /// The layer's class.
    const CLASS: &'static str;
    /// What automatic names of the layer start from.
    const NAME: &'static str;

    /// The cell.
    fn cell(&self) -> &dyn Cell;

    /// The cell's part of the layer's config.
    fn write(&self, config: &mut Config) -> Result<()>;

    /// The inverse of [`write`](Held::write), of what is not the layer's own.
    fn read(config: &Config) -> Result<Self>
    where
        Self: Sized;

    /// The cell with the layer's policy, where it has none of its own.
    fn with_dtype(self, _policy: &DTypePolicy) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// Takes a sequence through the cell by a kernel, if there is one.
    fn whole(&self, _x: &Tensor, _states: &[Tensor], _settings: Settings) -> Option<Result<(Tensor, Vec<Tensor>)>> {
        None
    }
}

/// As [`Held::whole`], of a cell that has a kernel.
pub(super) fn by_kernel<C: Whole>(
    cell: &C,
    x: &Tensor,
    states: &[Tensor],
    settings: Settings,
) -> Option<Result<(Tensor, Vec<Tensor>)>> {
    let whole = || Under { module: cell.share(), function: settings };
    cell.has_kernel().then(|| whole().call(&(x.clone(), states.to_vec())))
}

/// The keys that every layer has.
const BASE_KEYS: [&str; 3] = ["name", "trainable", "dtype"];

/// Writes the config of a cell into that of its layer.
pub(super) fn write_flat(cell: &dyn Module, config: &mut Config) -> Result<()> {
    config.extend(cell.config()?.into_iter().filter(|(key, _)| !BASE_KEYS.contains(&key.as_str())));
    config.entry("activity_regularizer").or_insert(Value::Null);
    Ok(())
}

/// A recurrent layer: [`RNN`] of any cell, and [`SimpleRNN`](super::SimpleRNN), [`LSTM`](super::LSTM),
/// [`GRU`](super::GRU) and [`ConvLSTM2D`](super::ConvLSTM2D) of their own.
pub struct RecurrentLayer<C: Held> {
    dtype: DTypePolicy,
    pub(super) cell: C,
    pub(super) settings: Settings,
    pub(super) activity_regularizer: ActivityRegularizer,
    states: Vec<Variable>,
}

/// A layer that takes sequences through a cell, step by step: `[batch, time, ..]` becomes the output of the last step or,
/// with `return_sequences`, `[batch, time, ..]`, the outputs of all.
///
/// By itself it takes any [`Cell`] of the library or of yours; [`SimpleRNN`](super::SimpleRNN), [`LSTM`](super::LSTM) and
/// [`GRU`](super::GRU) have one of their own. The number of steps must be known; in a graph they follow each other in it.
///
/// Where the mask of the input is false a row skips a step: the states stay as they are, and the output is that of the step
/// before.
///
/// States other than zeros to begin with, and those after the last step, are had by
/// [`with_states`](RecurrentLayer::with_states).
///
/// # Variables
///
/// Those of the cell, and with `stateful` `rnn_state`, `rnn_state_1`, .., which are no weights.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{GRUCell, RNN};
/// # fn main() -> modulor::Result<()> {
/// let layer = RNN::new(Box::new(GRUCell::new(4))).return_sequences(true);
/// assert_eq!(*layer.call(&Tensor::zeros([2, 5, 3], DType::F32)?)?.shape(), [2, 5, 4]);
/// # Ok(())
/// # }
/// ```
pub type RNN = RecurrentLayer<Box<dyn Cell>>;

impl RNN {
    /// A new `RNN` of a cell. Variables whose shapes depend on the input are built by the first call.
    pub fn new(cell: Box<dyn Cell>) -> RNN {
        RecurrentLayer::of(cell)
    }
}

/// The builder methods of the settings.
macro_rules! settings {
    ($($(#[$doc:meta])* $setting:ident)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $setting(mut self, $setting: bool) -> Self {
            self.settings.$setting = $setting;
            self
        }
    )* };
}

impl<C: Held> RecurrentLayer<C> {
    /// A layer of a cell.
    pub(super) fn of(cell: C) -> RecurrentLayer<C> {
        let states = cell.cell().state_shapes().iter().map(|_| Variable::default()).collect();
        RecurrentLayer {
            dtype: DTypePolicy::default(),
            cell,
            settings: Settings::default(),
            activity_regularizer: ActivityRegularizer(None),
            states,
        }
    }

    settings! {
        /// Whether the result has the outputs of all steps, or that of the last alone, as it has unless this is set.
        return_sequences
        /// Whether the states after the last step are results too. These are had by [`with_states`](RecurrentLayer::with_states); a
        /// `call` of the layer itself, which gives one tensor, is an error then.
        return_state
        /// Whether the last input is taken first; the outputs are in the order of the steps.
        go_backwards
        /// Whether a batch begins with the states that the one before ended with. The size of the batch is fixed then.
        stateful
        /// Keras's setting for graphs, in which the steps always follow each other here: of no effect. With this,
        /// `go_backwards` and `zero_output_for_mask`, Keras makes zeros of other outputs than without it.
        unroll
        /// Whether the output of a step that is masked is zeros, and not that of the step before.
        zero_output_for_mask
    }

    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set. A cell
    /// that a [`RNN`] is given keeps its own.
    #[must_use]
    pub fn dtype(mut self, dtype: impl Into<DTypePolicy>) -> Self {
        self.dtype = dtype.into();
        self.cell = self.cell.with_dtype(&self.dtype);
        self
    }

    /// What the output costs; nothing unless set.
    #[must_use]
    pub fn activity_regularizer(mut self, activity_regularizer: impl Into<OrNone<AnyRegularizer>>) -> Self {
        self.activity_regularizer = ActivityRegularizer(activity_regularizer.into().0);
        self
    }

    /// The cell.
    pub fn cell(&self) -> &dyn Cell {
        self.cell.cell()
    }

    /// This layer, with the same variables, as one of two inputs, the sequence and the states before its first step, and
    /// two results, the output and the states after the last step.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::LSTM;
    /// # fn main() -> modulor::Result<()> {
    /// let (encoder, decoder) = (LSTM::new(4), LSTM::new(4).return_sequences(true));
    /// let (x, y) = (Tensor::zeros([2, 5, 3], DType::F32)?, Tensor::zeros([2, 6, 3], DType::F32)?);
    /// let (_, states) = encoder.with_states().call((&x, &None))?;
    /// let (outputs, _) = decoder.with_states().call((&y, &Some(states)))?;
    /// assert_eq!(*outputs.shape(), [2, 6, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_states(&self) -> WithStates<Self> {
        Under { module: self.share(), function: BothWays }
    }

    /// Zeros in the values that the states of a layer which is `stateful` have, if they have any.
    pub fn reset_state(&self) -> Result<()> {
        self.states
            .iter()
            .filter(|state| state.is_valued())
            .try_for_each(|state| state.assign(&state.read()?.zeros_like()?))
    }

    fn run(&self, x: &Tensor, initial: Option<&[Tensor]>) -> Result<(Tensor, Vec<Tensor>)> {
        if x.rank().is_some_and(|rank| rank < 3) {
            let message =
                format!("the input must have at least 3 dims, `[batch, time, ..]`, found shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        if x.shape().dim(1) == Some(0) {
            return Err(Error::invalid_argument(format!(
                "a sequence has at least one step, found shape {}",
                x.shape()
            )));
        }
        let states = match initial {
            Some(given) if given.len() == self.states.len() => given.to_vec(),
            Some(given) => return Err(states_expected(self.states.len(), given.len())),
            None if self.settings.stateful => self.states.iter().map(Variable::read).collect::<Result<_>>()?,
            None => {
                let shapes = self.cell().state_shapes_for(&step_of(x.shape()))?;
                shapes.iter().map(|shape| zeros(x, shape)).collect::<Result<_>>()?
            }
        };
        // A cell of another policy keeps them in what it computes in.
        let dtype = self.cell().dtype_policy().map_or(Ok(x.dtype()), |policy| policy.compute_dtype())?;
        let inner = |state: Tensor| if state.dtype().is_float() { state.cast(dtype) } else { Ok(state) };
        let states: Vec<Tensor> = states.into_iter().map(inner).collect::<Result<_>>()?;
        let (output, after) = match self.cell.whole(x, &states, self.settings) {
            Some(done) => done?,
            None => steps(self.cell(), x, states, &self.settings)?,
        };
        if self.settings.stateful {
            let wide = |(state, after): (&Variable, &Tensor)| state.assign(&after.cast(state.dtype())?);
            self.states.iter().zip(&after).try_for_each(wide)?;
        }
        let dtype = self.dtype.compute_dtype()?;
        let output = output.cast(dtype)?;
        let after = after.iter().map(|after| after.cast(dtype)).collect::<Result<Vec<_>>>()?;
        self.activity_regularizer.charge(&output)?;
        Ok((output, after))
    }
}

/// The shape of one step of a sequence.
fn step_of(sequence: &Shape) -> Shape {
    let Some(dims) = sequence.dims() else { return sequence.clone() };
    dims.into_iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim).collect()
}

/// Zeros for each row of `x`, whose number need not be known.
fn zeros(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if let Some(batch) = x.shape().dim(0) {
        return Tensor::zeros([&[batch], shape].concat(), x.dtype());
    }
    // A column of zeros, spread over the shape.
    let mut column = x.slice((.., 0))?;
    while column.rank().is_some_and(|rank| rank > 1) {
        column = column.slice((.., 0))?;
    }
    let ones = vec![1_i64; shape.len()];
    let dims: Vec<i64> = [-1].into_iter().chain(ones).collect();
    column.zeros_like()?.reshape(dims)?.add(Tensor::zeros(shape, x.dtype())?)
}

/// Takes a sequence through a cell, one step after the other.
fn steps(cell: &dyn Cell, x: &Tensor, states: Vec<Tensor>, settings: &Settings) -> Result<(Tensor, Vec<Tensor>)> {
    let time = x.shape().dim(1).filter(|&time| time > 0).ok_or_else(|| {
        let message =
            format!("the number of steps must be known, and at least 1; found an input of shape {}", x.shape());
        Error::invalid_argument(message)
    })? as i64;
    let own = cell.for_sequence(&x.slice((.., 0))?, &states)?;
    let cell = own.as_deref().unwrap_or(cell);
    let mask = x.mask().map(|mask| mask.cast(DType::Bool)).transpose()?;
    let (mut states, mut outputs, mut last) = (states, Vec::new(), None);
    for step in 0..time {
        let at = if settings.go_backwards { time - 1 - step } else { step };
        let (mut output, mut after): (Tensor, Vec<Tensor>) = cell.call(&(x.slice((.., at))?, states.clone()))?;
        if after.len() != states.len() {
            return Err(states_expected(states.len(), after.len()));
        }
        if let Some(mask) = &mask {
            let kept = mask.slice((.., at))?;
            let otherwise = match last {
                Some(last) if !settings.zero_output_for_mask => last,
                _ => output.zeros_like()?,
            };
            output = select_rows(&kept, &output, &otherwise)?;
            for (after, before) in after.iter_mut().zip(&states) {
                *after = select_rows(&kept, after, before)?;
            }
        }
        states = after;
        if settings.return_sequences {
            outputs.push(output.clone());
        }
        last = Some(output);
    }
    match last {
        Some(last) if !settings.return_sequences => Ok((last, states)),
        _ => Ok((Tensor::stack(&outputs, 1)?, states)),
    }
}

/// Rows of `a` where `kept`, of `b` elsewhere.
fn select_rows(kept: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let others =
        a.rank().ok_or_else(|| Error::invalid_argument("a cell gives tensors of known rank"))?.saturating_sub(1);
    let dims: Vec<i64> = [-1].into_iter().chain(vec![1; others]).collect();
    kept.reshape(dims)?.select(a, b)
}

impl<C: Held> Layer for RecurrentLayer<C> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.settings.return_state {
            return Err(Error::invalid_argument("`return_state` gives more than one tensor: call `with_states()`"));
        }
        self.run(x, None).map(|(output, _)| output)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned().filter(|_| self.settings.return_sequences))
    }
}

/// The function of [`WithStates`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BothWays;

/// A recurrent layer from a sequence and the states before it, zeros where there are none, to the output and the states
/// after it.
pub type WithStates<L> = Under<L, BothWays>;

impl<C: Held> Layer<(Tensor, Option<Vec<Tensor>>), (Tensor, Vec<Tensor>)> for WithStates<RecurrentLayer<C>> {
    fn forward(&self, (x, states): &(Tensor, Option<Vec<Tensor>>)) -> Result<(Tensor, Vec<Tensor>)> {
        self.module.run(x, states.as_deref())
    }

    fn mask(&self, (x, _): &(Tensor, Option<Vec<Tensor>>)) -> Result<Option<Tensor>> {
        self.module.mask(x)
    }
}

/// A recurrent layer of some cell: what a [`Bidirectional`](super::Bidirectional) takes.
pub trait Recurrent: Layer {
    /// The settings that are not the cell's.
    #[doc(hidden)]
    fn settings(&self) -> Settings;

    /// Gives it other settings.
    #[doc(hidden)]
    fn set(&mut self, settings: Settings);

    /// The number of its states.
    #[doc(hidden)]
    fn states(&self) -> usize;

    /// Another layer with the same settings.
    #[doc(hidden)]
    fn another(&self) -> Result<Box<dyn Recurrent>>;

    /// Another handle to this layer.
    #[doc(hidden)]
    fn share_recurrent(&self) -> Box<dyn Recurrent>;

    /// As [`RecurrentLayer::reset_state`].
    #[doc(hidden)]
    fn reset(&self) -> Result<()>;

    /// Calls it with the states before a sequence, zeros where there are none, for the output and the states after it.
    #[doc(hidden)]
    fn through(&self, x: &Tensor, states: Option<&[Tensor]>) -> Result<(Tensor, Vec<Tensor>)>;
}

impl<C: Held> Recurrent for RecurrentLayer<C> {
    fn settings(&self) -> Settings {
        self.settings
    }

    fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    fn states(&self) -> usize {
        self.states.len()
    }

    fn another(&self) -> Result<Box<dyn Recurrent>> {
        Ok(Box::new(Self::from_field(self.field_config()?.as_ref())?))
    }

    fn share_recurrent(&self) -> Box<dyn Recurrent> {
        Box::new(self.share())
    }

    fn reset(&self) -> Result<()> {
        self.reset_state()
    }

    fn through(&self, x: &Tensor, states: Option<&[Tensor]>) -> Result<(Tensor, Vec<Tensor>)> {
        self.with_states().call(&(x.clone(), states.map(<[Tensor]>::to_vec)))
    }
}

#[diagnostic::do_not_recommend]
impl Track for Box<dyn Recurrent> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        (**self).track(name, visitor);
    }

    fn share(&self) -> Self {
        (**self).share_recurrent()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        (**self).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        fn read<L: Recurrent>(config: Option<&Value>) -> Result<Box<dyn Recurrent>> {
            Ok(Box::new(L::from_field(config)?))
        }
        match config.and_then(|config| config["class_name"].as_str()) {
            Some("LSTM") => read::<super::LSTM>(config),
            Some("GRU") => read::<super::GRU>(config),
            Some("SimpleRNN") => read::<super::SimpleRNN>(config),
            Some("ConvLSTM1D") => read::<super::ConvLSTM1D>(config),
            Some("ConvLSTM2D") => read::<super::ConvLSTM2D>(config),
            Some("ConvLSTM3D") => read::<super::ConvLSTM3D>(config),
            Some("RNN") => read::<RNN>(config),
            other => Err(Error::invalid_argument(format!("expected a recurrent layer, found {other:?}"))),
        }
    }
}

impl<C: Held> Track for RecurrentLayer<C> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        RecurrentLayer {
            dtype: self.dtype.clone(),
            cell: self.cell.share(),
            settings: self.settings,
            activity_regularizer: self.activity_regularizer.share(),
            states: self.states.share(),
        }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object(C::CLASS, config)
    }
}

/// What files that go by attributes call the cell.
const CELL: &str = "cell";

impl<C: Held> Module for RecurrentLayer<C> {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        C::CLASS
    }

    fn default_name(&self) -> &str {
        C::NAME
    }

    fn package(&self) -> &str {
        "keras.layers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        let cell = self.cell().default_name();
        if cell != CELL {
            visitor.alias(cell, CELL);
        }
        self.cell.track(cell, visitor);
        if self.settings.stateful {
            for (i, state) in self.states.iter().enumerate() {
                visitor.variable(&name::numbered("rnn_state", i), state);
            }
        }
    }

    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if !self.settings.stateful {
            return Ok(());
        }
        let batch = inputs.dim(0, 0)?;
        let shapes = self.cell().state_shapes_for(&step_of(inputs.shape(0)?))?;
        for (i, (state, shape)) in self.states.iter().zip(shapes).enumerate() {
            let dims = [&[batch][..], &shape].concat();
            state.declare(Declaration {
                shape: Some(vec![None; dims.len()]),
                dtype: Some(self.dtype.variable_dtype()?),
                trainable: false,
                weight: false,
                ..Declaration::new(Arc::new(Zeros))
            });
            inputs.size(state, &name::numbered("rnn_state", i), &dims)?;
        }
        Ok(())
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        Some(self.dtype.clone())
    }

    fn config(&self) -> Result<Config> {
        write(self, 1, &mut |config| {
            if let Ok(Value::Object(settings)) = serde_json::to_value(self.settings) {
                config.extend(settings);
            }
            if let Some(penalty) = self.activity_regularizer.field_config()? {
                config.insert("activity_regularizer".to_owned(), penalty);
            }
            self.cell.write(config)
        })
    }
}

impl<C: Held> FromConfig for RecurrentLayer<C> {
    fn from_config(config: &Config) -> Result<Self> {
        let schema = Schema { class: C::CLASS, version: 1, migrate: None };
        let config = &*schema.open(config)?;
        let is_base = |key: &&str| BASE_KEYS.contains(key) && *key != "dtype";
        let keys: Vec<&str> = config.keys().map(String::as_str).filter(|key| !is_base(key)).collect();
        schema.faults(config, &keys).into_result()?;
        let (mut own, mut of_cell) = (Config::new(), Config::new());
        let settings = serde_json::to_value(Settings::default()).unwrap_or_default();
        for (key, value) in config {
            match key.as_str() {
                "activity_regularizer" => {}
                key if BASE_KEYS.contains(&key) => {}
                key if settings.get(key).is_some() => drop(own.insert(key.to_owned(), value.clone())),
                key => drop(of_cell.insert(key.to_owned(), value.clone())),
            }
        }
        let mut layer = RecurrentLayer::of(C::read(&of_cell)?).dtype(schema.policy(config)?);
        layer.settings = serde_json::from_value(Value::Object(own))
            .map_err(|error| Error::invalid_argument(format!("config of `{}`: {error}", C::CLASS)))?;
        layer.activity_regularizer = ActivityRegularizer::from_field(config.get("activity_regularizer"))?;
        schema.close(layer, config, &keys)
    }
}

impl Held for Box<dyn Cell> {
    const CLASS: &'static str = "RNN";
    const NAME: &'static str = "rnn";

    fn cell(&self) -> &dyn Cell {
        &**self
    }

    fn write(&self, config: &mut Config) -> Result<()> {
        let cell = self.field_config()?.ok_or_else(|| Error::internal("a cell has a config"))?;
        config.insert(CELL.to_owned(), cell);
        Ok(())
    }

    fn read(config: &Config) -> Result<Self> {
        if let Some(key) = config.keys().find(|key| *key != CELL) {
            return Err(Error::invalid_argument(format!("config of `RNN`: unknown key `{key}`")));
        }
        Track::from_field(config.get(CELL))
    }
}

modulor::register!(RNN, "keras.layers");
