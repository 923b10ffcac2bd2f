//! What layers of attention have in common: how they are called, masks, and projections to heads and back.

use super::einsum_dense::ByAxes;
use super::recurrent::{Otherwise, Under};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::AnyInitializer;
use crate::regularizer::AnyRegularizer;
use modulor::module::{Config, InputShapes, Track, Visitor};
use modulor::op::scope;
use modulor::variable::{Declaration, IntoConstraint, IntoRegularizer};
use modulor::{DType, Error, Feed, Layer, Module, Result, Structure, Tensor, Variable};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a layer of several heads is called with: a query, a value and a key, which is the value unless it is given, and perhaps
/// which of the keys each place of the query is to see.
///
/// `(&query, &value)` and `(&query, &value, &key)` do in its place.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{AttentionInputs, MultiHeadAttention};
/// # fn main() -> modulor::Result<()> {
/// let (layer, x) = (MultiHeadAttention::new(2, 3), Tensor::ones([1, 2, 4], DType::F32)?);
/// let inputs = AttentionInputs::new(&x, &x).attention_mask(&Tensor::from([[true, false], [true, true]]));
/// assert_eq!(*layer.call(inputs)?.shape(), [1, 2, 4]);
/// assert_eq!(*layer.call((&x, &x))?.shape(), [1, 2, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Structure, Clone, Debug)]
pub struct AttentionInputs {
    /// What asks: `[batch, queries.., n]`.
    pub query: Tensor,
    /// What the result is made of: `[batch, keys.., m]`.
    pub value: Tensor,
    /// What is compared with the query: `[batch, keys.., l]`.
    pub key: Tensor,
    /// True where a query sees a key: `[batch, queries.., keys..]`, or with an axis of heads after the batch, or broadcasting to
    /// one of these.
    pub attention_mask: Option<Tensor>,
}

impl AttentionInputs {
    /// A query and a value, which is the key as well.
    pub fn new(query: &Tensor, value: &Tensor) -> AttentionInputs {
        let [query, value, key] = [query, value, value].map(Tensor::clone);
        AttentionInputs { query, value, key, attention_mask: None }
    }

    /// With a key of its own.
    #[must_use]
    pub fn key(mut self, key: &Tensor) -> AttentionInputs {
        self.key = key.clone();
        self
    }

    /// With a mask of which keys each query sees.
    #[must_use]
    pub fn attention_mask(mut self, mask: &Tensor) -> AttentionInputs {
        self.attention_mask = Some(mask.clone());
        self
    }
}

impl Feed<AttentionInputs> for AttentionInputs {
    fn feed(self) -> AttentionInputs {
        self
    }
}

impl Feed<AttentionInputs> for (&Tensor, &Tensor) {
    fn feed(self) -> AttentionInputs {
        AttentionInputs::new(self.0, self.1)
    }
}

impl Feed<AttentionInputs> for (&Tensor, &Tensor, &Tensor) {
    fn feed(self) -> AttentionInputs {
        AttentionInputs::new(self.0, self.1).key(self.2)
    }
}

/// The places of query, value and key among the shapes of [`AttentionInputs`], which go by name.
pub(super) fn query_value_key(inputs: &InputShapes) -> Result<[usize; 3]> {
    match inputs.count() {
        count @ 3.. => Ok([count - 2, count - 1, count - 3]),
        count => Err(Error::internal(format!("a query, a value and a key are three tensors, found {count}"))),
    }
}

/// What a call of a layer of attention may ask for beside its inputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// That a query sees no key after its own place.
    pub(super) causal: bool,
    /// For the weights of all keys.
    pub(super) scores: bool,
}

/// A layer of attention.
pub trait Attends: Module + Sized {
    /// Its inputs.
    type Inputs: Structure;

    /// The output and, where asked for, the weights.
    #[doc(hidden)]
    fn attend(&self, x: &Self::Inputs, asked: Asked) -> Result<(Tensor, Option<Tensor>)>;

    /// The query among the inputs, whose mask is the output's.
    #[doc(hidden)]
    fn query(x: &Self::Inputs) -> Option<&Tensor>;
}

/// The function of [`CausalAttention`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Causal;

impl Otherwise for Causal {
    fn arguments(&self) -> Config {
        Config::from_iter([("use_causal_mask".to_owned(), true.into())])
    }
}

/// A layer of attention in which a query sees no key after its own place.
pub type CausalAttention<L> = Under<L, Causal>;

/// The function of [`AttentionScores`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WithScores {
    causal: bool,
}

impl Otherwise for WithScores {
    fn arguments(&self) -> Config {
        let causal = self.causal.then(|| ("use_causal_mask".to_owned(), true.into()));
        causal.into_iter().chain([("return_attention_scores".to_owned(), true.into())]).collect()
    }
}

/// A layer of attention with two results, the output and the weight of each key for each query.
pub type AttentionScores<L> = Under<L, WithScores>;

/// A layer of attention as one with the weights as a result.
pub(super) fn with_scores<L: Track>(layer: &L, causal: bool) -> AttentionScores<L> {
    Under::of(layer.share(), WithScores { causal })
}

impl<L: Attends> CausalAttention<L> {
    /// This layer, with the same variables, as one of two results, the output and the weight of each key for each query.
    pub fn with_scores(&self) -> AttentionScores<L> {
        with_scores(self.module(), true)
    }
}

impl<L: Attends> Layer<L::Inputs, Tensor> for CausalAttention<L> {
    fn forward(&self, x: &L::Inputs) -> Result<Tensor> {
        Ok(self.module().attend(x, Asked { causal: true, scores: false })?.0)
    }

    fn mask(&self, x: &L::Inputs) -> Result<Option<Tensor>> {
        Ok(L::query(x).and_then(Tensor::mask).cloned())
    }
}

impl<L: Attends> Layer<L::Inputs, (Tensor, Tensor)> for AttentionScores<L> {
    fn forward(&self, x: &L::Inputs) -> Result<(Tensor, Tensor)> {
        let (y, scores) = self.module().attend(x, Asked { causal: self.function().causal, scores: true })?;
        Ok((y, scores.ok_or_else(|| Error::internal("the weights were asked for"))?))
    }

    fn mask(&self, x: &L::Inputs) -> Result<Option<Tensor>> {
        Ok(L::query(x).and_then(Tensor::mask).cloned())
    }
}

/// The layer itself, and what it is called as otherwise.
macro_rules! attends {
    ($layer:ident of $inputs:ty) => {
        impl modulor::Layer<$inputs, modulor::Tensor> for $layer {
            fn forward(&self, x: &$inputs) -> modulor::Result<modulor::Tensor> {
                use $crate::library::attending::{Asked, Attends};
                Ok(self.attend(x, Asked::default())?.0)
            }

            fn mask(&self, x: &$inputs) -> modulor::Result<Option<modulor::Tensor>> {
                use $crate::library::attending::Attends;
                Ok(Self::query(x).and_then(modulor::Tensor::mask).cloned())
            }
        }

        impl $layer {
            /// This layer, with the same variables, as one in which a query sees no key after its own place: Keras's
            /// `use_causal_mask`.
            pub fn causal(&self) -> $crate::library::CausalAttention<$layer> {
                use modulor::module::Track;
                $crate::library::recurrent::Under::of(self.share(), $crate::library::attending::Causal)
            }

            /// This layer, with the same variables, as one of two results, the output and the weight of each key for each
            /// query: Keras's `return_attention_scores`.
            pub fn with_scores(&self) -> $crate::library::AttentionScores<$layer> {
                $crate::library::attending::with_scores(self, false)
            }
        }
    };
}
pub(super) use attends;

/// The places along the second axis, int64.
fn places(x: &Tensor) -> Result<Tensor> {
    if let Some(count) = x.shape().dim(1) {
        return Tensor::range(0_i64, count as i64, 1);
    }
    // Their number is known when the graph runs: ones are counted.
    let rank = x.rank().ok_or_else(|| Error::invalid_argument("the rank of query and key must be known"))?;
    let others: Vec<i64> = (0..rank as i64).filter(|&axis| axis != 1).collect();
    x.zeros_like()?.cast(DType::I64)?.max(others)?.ones_like()?.cumsum_with(0, true, false)
}

/// True where a query comes no earlier than a key, `[queries, keys]`, of tensors that have them along their second axes.
pub(super) fn causal_mask(query: &Tensor, key: &Tensor) -> Result<Tensor> {
    places(query)?.expand_dims(1)?.greater_equal(places(key)?)
}

/// True where a query and a key are less than so many places apart, likewise.
pub(super) fn window_mask(query: &Tensor, key: &Tensor, window: usize) -> Result<Tensor> {
    places(query)?.expand_dims(1)?.sub(places(key)?)?.abs()?.less(window as f64)
}

/// The conjunction of masks that there are.
pub(super) fn both(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => a.logical_and(&b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}

/// What the masks that travel on the inputs, the mask of the call, and the window hide: `[batch, queries, keys]`, or of more
/// dims if the call's is.
pub(super) fn combined_mask(x: &AttentionInputs, window: Option<usize>) -> Result<Option<Tensor>> {
    let bools = |mask: &Tensor| mask.cast(DType::Bool);
    let along = |mask: Option<&Tensor>, axis: i64| mask.map(|mask| bools(mask)?.expand_dims(axis)).transpose();
    let mut mask = along(x.query.mask(), -1)?;
    mask = both(mask, along(x.value.mask(), -2)?)?;
    mask = both(mask, along(x.key.mask(), -2)?)?;
    if let Some(window) = window {
        mask = both(mask, Some(window_mask(&x.query, &x.value, window)?.expand_dims(0)?))?;
    }
    both(x.attention_mask.as_ref().map(bools).transpose()?, mask)
}

/// A mask with axes of 1 in front of its last `places`, so that it has so many axes.
pub(super) fn with_heads(mask: &Tensor, rank: usize, places: usize) -> Result<Tensor> {
    let own = mask.rank().ok_or_else(|| Error::invalid_argument("the rank of an attention mask must be known"))?;
    let mut mask = mask.clone();
    for own in own..rank {
        mask = mask.expand_dims(own.saturating_sub(places) as i64)?;
    }
    Ok(mask)
}

/// The softmax of scores over their last axes, with zeros where the mask is false.
pub(super) fn masked_softmax(scores: &Tensor, mask: Option<&Tensor>, axes: usize) -> Result<Tensor> {
    let least = if scores.dtype() == DType::F16 { -3e4 } else { -1e9 };
    let shown = match mask {
        Some(mask) => mask.select(scores, &Tensor::number(least, scores.dtype())?)?,
        None => scores.clone(),
    };
    let weights = match axes {
        1 => shown.softmax(-1)?,
        _ => {
            let axes: Vec<i64> = (1..=axes as i64).map(|axis| -axis).collect();
            let greatest = shown.max_keepdims(&*axes)?;
            let powers = (shown - greatest).exp()?;
            powers.div(powers.sum_keepdims(&*axes)?)?
        }
    };
    mask.map_or_else(|| Ok(weights.clone()), |mask| mask.select(&weights, &weights.zeros_like()?))
}

/// What dropout leaves of weights, in training.
pub(super) fn dropped(weights: &Tensor, rate: f64, seeds: &super::SeedGenerator) -> Result<Tensor> {
    match scope::training() && rate > 0.0 {
        true if rate == 1.0 => weights.zeros_like(),
        true => weights.dropout(rate, &seeds.next_seed()?, None),
        false => Ok(weights.clone()),
    }
}

/// Refuses a rate that is none.
pub(super) fn check_rate(dropout: f64) -> Result<()> {
    match (0.0..=1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("`dropout` must be from 0 to 1, found {dropout}"))),
    }
}

/// The settings that all projections of a layer have in common.
pub(super) struct Common<'a> {
    pub(super) dtype: DType,
    pub(super) use_bias: bool,
    pub(super) kernel_initializer: &'a AnyInitializer,
    pub(super) bias_initializer: &'a AnyInitializer,
    pub(super) kernel_regularizer: &'a OrNone<AnyRegularizer>,
    pub(super) bias_regularizer: &'a OrNone<AnyRegularizer>,
    pub(super) activity_regularizer: &'a OrNone<AnyRegularizer>,
    pub(super) kernel_constraint: &'a OrNone<AnyConstraint>,
    pub(super) bias_constraint: &'a OrNone<AnyConstraint>,
}

/// An [`EinsumDense`](super::EinsumDense) whose settings are those of the layer that has it.
#[derive(Debug, Default)]
pub(super) struct Projection {
    kernel: Variable,
    bias: Variable,
}

/// The way of a projection: from the last axis to heads, or from heads to some last axes.
#[derive(Clone, Copy)]
pub(super) enum Way {
    ToHeads,
    FromHeads,
}

impl Way {
    /// The equation, where the output has so many axes beside those that it shares with the input.
    fn equation(self, axes: usize) -> String {
        match self {
            Way::ToHeads => "...x,xyz->...yz".to_owned(),
            Way::FromHeads => {
                let out: String = ('a'..='w').take(axes).collect();
                format!("...yz,yz{out}->...{out}")
            }
        }
    }
}

impl Projection {
    /// Says how the variables begin, and gives them their shapes: of the kernel `from` and `to`, of the bias `to`.
    pub(super) fn build(
        &self,
        (name, inputs): (&str, &InputShapes),
        common: &Common,
        way: Way,
        [from, to]: [&[usize]; 2],
    ) -> Result<()> {
        let initializer = ByAxes { initializer: common.kernel_initializer.clone(), equation: way.equation(to.len()) };
        self.kernel.declare(Declaration {
            shape: Some(vec![None; from.len() + to.len()]),
            dtype: Some(common.dtype),
            regularizer: common.kernel_regularizer.clone().0.into_regularizer(),
            constraint: common.kernel_constraint.clone().0.into_constraint(),
            ..Declaration::new(Arc::new(initializer))
        });
        inputs.size(&self.kernel, &format!("{name}/kernel"), &[from, to].concat())?;
        if !common.use_bias {
            return Ok(());
        }
        self.bias.declare(Declaration {
            shape: Some(vec![None; to.len()]),
            dtype: Some(common.dtype),
            regularizer: common.bias_regularizer.clone().0.into_regularizer(),
            constraint: common.bias_constraint.clone().0.into_constraint(),
            ..Declaration::new(Arc::new(common.bias_initializer.clone()))
        });
        inputs.size(&self.bias, &format!("{name}/bias"), to)
    }

    /// The projection of a tensor, by a function.
    pub(super) fn apply(&self, x: &Tensor, common: &Common, way: Way, function: &AnyActivation) -> Result<Tensor> {
        let kernel = self.kernel.read()?;
        let axes = kernel.rank().unwrap_or(2).saturating_sub(2);
        let mut y = Tensor::einsum(&way.equation(axes), &[x, &kernel])?;
        if common.use_bias {
            y = y.add(&self.bias)?;
        }
        let y = function.apply(&y)?;
        super::activity::charge(common.activity_regularizer.0.as_ref(), &y)?;
        Ok(y)
    }
}

/// As a part of a layer it is not in the layer's config, which has the settings.
impl Track for Projection {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Projection { kernel: self.kernel.clone(), bias: self.bias.clone() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            None => Ok(Projection::default()),
            Some(_) => Err(Error::invalid_argument("a projection has no config within a layer")),
        }
    }
}

impl Module for Projection {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "EinsumDense"
    }

    fn default_name(&self) -> &str {
        "einsum_dense"
    }

    fn package(&self) -> &str {
        "keras.layers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        visitor.variable("kernel", &self.kernel);
        visitor.variable("bias", &self.bias);
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        Ok(Config::from_iter([("name".to_owned(), json!(self.default_name()))]))
    }
}
