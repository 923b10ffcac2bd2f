//! Attention of several heads, each with projections of its own.

use super::SeedGenerator;
use super::activity::charge;
use super::attending::{
    Asked, Attends, AttentionInputs, Common, Projection, Way, attends, both, causal_mask, check_rate, combined_mask,
    dropped, masked_softmax, query_value_key, with_heads,
};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{DTypePolicy, Error, Module, Result, Tensor};

/// The settings that layers of several heads have in common, as what their projections are told.
macro_rules! common {
    ($self:ident) => {
        Common {
            dtype: $self.dtype.variable_dtype()?,
            use_bias: $self.use_bias,
            kernel_initializer: &$self.kernel_initializer,
            bias_initializer: &$self.bias_initializer,
            kernel_regularizer: &$self.kernel_regularizer,
            bias_regularizer: &$self.bias_regularizer,
            activity_regularizer: &$self.activity_regularizer,
            kernel_constraint: &$self.kernel_constraint,
            bias_constraint: &$self.bias_constraint,
        }
    };
}

/// Refuses settings that must be at least 1.
fn at_least_one(settings: &[(&str, usize)]) -> Result<()> {
    match settings.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(Error::invalid_argument(format!("`{name}` must be at least 1, found 0"))),
        None => Ok(()),
    }
}

/// What is projected to heads, and how it becomes one.
struct Heads<'a> {
    query: &'a Tensor,
    key: &'a Tensor,
    value: &'a Tensor,
    /// `[batch, queries.., keys..]`, perhaps with an axis of heads after the batch.
    mask: Option<Tensor>,
    /// The axes of query, key and value that attention goes over.
    axes: Vec<usize>,
    scale: f64,
    dropout: f64,
    seeds: &'a SeedGenerator,
}

impl Heads<'_> {
    /// The output, `[batch, queries.., heads, width]`, and the weights where they are there.
    fn attend(self, asked: Asked) -> Result<(Tensor, Option<Tensor>)> {
        let rank = self.query.rank().ok_or_else(|| Error::invalid_argument("the rank of a query must be known"))?;
        let places = 2 * self.axes.len();
        if self.mask.as_ref().and_then(Tensor::rank).is_some_and(|found| found < places) {
            let found = self.mask.as_ref().map(Tensor::shape);
            let message = format!("an attention mask must have at least {places} axes, found {found:?}");
            return Err(Error::invalid_argument(message));
        }
        let drops = scope::training() && self.dropout > 0.0;
        if rank != 4 || self.axes != [1] || asked.scores || drops {
            return self.by_scores(asked, rank);
        }
        let mask = self.mask.as_ref().map(|mask| with_heads(mask, 4, 2)).transpose()?;
        let (query, key, value) = (self.query, self.key, self.value);
        let y = query.dot_product_attention(key, value, None, mask.as_ref(), Some(self.scale), asked.causal)?;
        let (Some(mask), true) = (mask, self.dropout > 0.0) else { return Ok((y, None)) };
        // A layer that may drop out goes by masked softmaxes, to which a query that sees nothing has no weights at all.
        let causal = asked.causal.then(|| causal_mask(query, key)).transpose()?;
        let Some(seen) = both(Some(mask), causal)? else { return Ok((y, None)) };
        let sees_any = seen.any(-1)?.permute([0, 2, 1])?.expand_dims(-1)?;
        Ok((sees_any.select(&y, &y.zeros_like()?)?, None))
    }

    /// As [`attend`](Heads::attend), by way of the scores.
    fn by_scores(self, asked: Asked, rank: usize) -> Result<(Tensor, Option<Tensor>)> {
        let Heads { query, key, value, axes, .. } = &self;
        let mut mask = self.mask.clone();
        if asked.causal {
            if axes.len() != 1 {
                return Err(Error::invalid_argument("a causal mask is for attention over one axis"));
            }
            mask = both(mask, Some(causal_mask(query, key)?.expand_dims(0)?))?;
        }
        let [products, combination] = equations(rank, axes)?;
        let key = repeated(key, query)?;
        let value = repeated(value, query)?;
        let scores = Tensor::einsum(&products, &[&key, &query.mul(self.scale)?])?;
        let mask = match (mask, scores.rank()) {
            (Some(mask), Some(rank)) => Some(with_heads(&mask, rank, 2 * axes.len())?),
            (mask, _) => mask,
        };
        let weights = masked_softmax(&scores, mask.as_ref(), axes.len())?;
        let kept = dropped(&weights, self.dropout, self.seeds)?;
        Ok((Tensor::einsum(&combination, &[&kept, &value])?, Some(weights)))
    }
}

/// Keys or values with as many heads as a query, each as often as it has to be.
fn repeated(x: &Tensor, query: &Tensor) -> Result<Tensor> {
    let heads = |x: &Tensor| x.shape().dims().and_then(|dims| dims.iter().rev().nth(1).copied().flatten());
    match (heads(x), heads(query)) {
        (Some(own), Some(wanted)) if own < wanted && own > 0 => {
            let group = wanted / own;
            let which: Vec<i32> = (0..wanted).map(|head| (head / group) as i32).collect();
            x.gather(&Tensor::new([wanted], which)?, -2)
        }
        _ => Ok(x.clone()),
    }
}

/// How keys and queries of so many axes, over some of which attention goes, become scores, and how those and values become
/// the result.
fn equations(rank: usize, axes: &[usize]) -> Result<[String; 2]> {
    let letter = |at: usize| char::from(b'a' + at as u8);
    if rank + axes.len() > 26 {
        return Err(Error::invalid_argument(format!("attention over {rank} axes has too many of them")));
    }
    let query: Vec<char> = (0..rank).map(letter).collect();
    let mut next = rank;
    let key: Vec<char> = (0..rank)
        .map(|axis| match axes.contains(&axis) {
            true => {
                next += 1;
                letter(next - 1)
            }
            false => query[axis],
        })
        .collect();
    let batch = (0..rank - 1).filter(|axis| !axes.contains(axis)).map(|axis| query[axis]);
    let scores: String =
        batch.chain(axes.iter().map(|&axis| query[axis])).chain(axes.iter().map(|&axis| key[axis])).collect();
    let [query, key] = [query, key].map(String::from_iter);
    Ok([format!("{key},{query}->{scores}"), format!("{scores},{key}->{query}")])
}

/// Attention of several heads: query, key and value are projected to `num_heads` heads, each of which weighs values by the
/// softmax of its scores `query·key/√key_dim`; the results of all heads are projected back. Vaswani et al., "Attention is all
/// you need".
///
/// It is called with `(&query, &value)`, `(&query, &value, &key)` or [`AttentionInputs`], which may have a mask. A query does
/// not see a key where that mask is false, nor where the mask that one of the three tensors carries is, nor one that is
/// `sliding_window` places away or farther. The result has the query's mask.
///
/// A query that sees nothing weighs all values alike, and has no weights at all where `dropout` is set or the weights are asked
/// for, as in Keras.
///
/// [`causal`](MultiHeadAttention::causal) hides what comes after a query; [`with_scores`](MultiHeadAttention::with_scores) gives
/// the weights too, `[batch, heads, queries, keys]`. Scores are never there as a whole, unless they are asked for, dropped from,
/// or over more axes than one.
///
/// # Shapes
///
/// `[batch, queries.., n]`, `[batch, keys.., m]` and `[batch, keys.., l]` become `[batch, queries.., n]`, or with `output_shape`
/// `[batch, queries.., output_shape..]`.
///
/// # Variables
///
/// `query`, `key`, perhaps `gate`, `value` and `attention_output`, each with a `kernel` and, unless `use_bias` is false, a
/// `bias`: of `[n, num_heads, key_dim]` and `[num_heads, key_dim]`, `value_dim` for gate and value, and of
/// `[num_heads, value_dim, n]` and `[n]`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::MultiHeadAttention;
/// # fn main() -> modulor::Result<()> {
/// let (query, value) = (Tensor::ones([2, 5, 8], DType::F32)?, Tensor::ones([2, 7, 6], DType::F32)?);
/// let layer = MultiHeadAttention::new(4, 2);
/// assert_eq!(*layer.call((&query, &value))?.shape(), [2, 5, 8]);
/// let (_, scores) = layer.causal().with_scores().call((&query, &value))?;
/// assert_eq!(*scores.shape(), [2, 4, 5, 7]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct MultiHeadAttention {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    num_heads: usize,
    #[config]
    key_dim: usize,
    /// The width of a head's value; `key_dim` unless set.
    #[config(default, into, written = value_dim.or(Some(key_dim)))]
    value_dim: Option<usize>,
    /// In training, the part of the weights that is left out; none unless set.
    #[config(default)]
    dropout: f64,
    /// Whether projections have a bias; they have unless this says no.
    #[config(default = true)]
    use_bias: bool,
    /// Whether what comes of the heads is multiplied by the sigmoid of a projection of the query; not unless set.
    #[config(default)]
    use_gate: bool,
    /// The last dims of the result; that of the query unless set.
    #[config(default, into)]
    output_shape: Option<Vec<usize>>,
    /// The axes over which attention goes; all but the batch and the last unless set.
    #[config(default, into)]
    attention_axes: Option<Vec<i64>>,
    /// How near a key must be to be seen, less than so many places; any unless set.
    #[config(default, into)]
    sliding_window: Option<usize>,
    /// How kernels begin; [`GlorotUniform`] unless set.
    #[config(default = GlorotUniform::default().into(), into)]
    kernel_initializer: AnyInitializer,
    /// How biases begin; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    bias_initializer: AnyInitializer,
    /// What kernels cost; nothing unless set.
    #[config(default, into)]
    kernel_regularizer: OrNone<AnyRegularizer>,
    /// What biases cost; nothing unless set.
    #[config(default, into)]
    bias_regularizer: OrNone<AnyRegularizer>,
    /// What the results of projections cost; nothing unless set.
    #[config(default, into)]
    activity_regularizer: OrNone<AnyRegularizer>,
    /// Where kernels may be; anywhere unless set.
    #[config(default, into)]
    kernel_constraint: OrNone<AnyConstraint>,
    /// Where biases may be; anywhere unless set.
    #[config(default, into)]
    bias_constraint: OrNone<AnyConstraint>,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    #[module(default, alias = "query_dense")]
    query: Projection,
    #[module(default, alias = "key_dense")]
    key: Projection,
    #[module(default, alias = "gate_dense")]
    gate: Projection,
    #[module(default, alias = "value_dense")]
    value: Projection,
    #[module(default)]
    seed_generator: SeedGenerator,
    #[module(default, alias = "output_dense")]
    attention_output: Projection,
}

impl ManualBuild for MultiHeadAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        at_least_one(&[("num_heads", self.num_heads), ("key_dim", self.key_dim), ("value_dim", self.width())])?;
        let [query, value, key] = query_value_key(inputs)?;
        let (common, last) = (common!(self), |input: usize| inputs.dim(input, -1));
        let (own, heads, values) = (last(query)?, [self.num_heads, self.key_dim], [self.num_heads, self.width()]);
        self.query.build(("query", inputs), &common, Way::ToHeads, [&[own], &heads])?;
        self.key.build(("key", inputs), &common, Way::ToHeads, [&[last(key)?], &heads])?;
        if self.use_gate {
            self.gate.build(("gate", inputs), &common, Way::ToHeads, [&[own], &values])?;
        }
        self.value.build(("value", inputs), &common, Way::ToHeads, [&[last(value)?], &values])?;
        if self.dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
        let to = self.output_shape.clone().unwrap_or_else(|| vec![own]);
        self.attention_output.build(("attention_output", inputs), &common, Way::FromHeads, [&values, &to])
    }
}

impl MultiHeadAttention {
    fn width(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }

    /// The axes of a query of so many over which attention goes.
    fn axes(&self, rank: usize) -> Result<Vec<usize>> {
        let Some(axes) = &self.attention_axes else { return Ok((1..rank.saturating_sub(1)).collect()) };
        let axis = |&axis: &i64| {
            let from_start = if axis < 0 { axis + rank as i64 } else { axis };
            let place = usize::try_from(from_start).ok().filter(|&place| place + 1 < rank);
            place.ok_or_else(|| {
                Error::invalid_argument(format!(
                    "`attention_axes` has {axis}, which is none of the axes of {rank} before the last"
                ))
            })
        };
        axes.iter().map(axis).collect()
    }
}

impl Attends for MultiHeadAttention {
    type Inputs = AttentionInputs;

    fn attend(&self, x: &AttentionInputs, asked: Asked) -> Result<(Tensor, Option<Tensor>)> {
        check_rate(self.dropout)?;
        at_least_one(&[("sliding_window", self.sliding_window.unwrap_or(1))])?;
        let rank = x.query.rank().ok_or_else(|| Error::invalid_argument("the rank of a query must be known"))?;
        let axes = self.axes(rank)?;
        if rank < 3 || axes.is_empty() {
            let message =
                format!("attention goes over an axis between the first and the last, found {}", x.query.shape());
            return Err(Error::invalid_argument(message));
        }
        if axes.len() != 1 && self.sliding_window.is_some() {
            return Err(Error::invalid_argument("`sliding_window` is for attention over one axis"));
        }
        let (common, linear) = (common!(self), AnyActivation::default());
        let project = |projection: &Projection, x: &Tensor| projection.apply(x, &common, Way::ToHeads, &linear);
        let gate = self.use_gate.then(|| self.gate.apply(&x.query, &common, Way::ToHeads, &AnyActivation::Sigmoid));
        let gate = gate.transpose()?;
        let heads = Heads {
            query: &project(&self.query, &x.query)?,
            key: &project(&self.key, &x.key)?,
            value: &project(&self.value, &x.value)?,
            mask: combined_mask(x, self.sliding_window)?,
            axes,
            scale: 1.0 / (self.key_dim as f64).sqrt(),
            dropout: self.dropout,
            seeds: &self.seed_generator,
        };
        let (y, weights) = heads.attend(asked)?;
        let y = gate.map_or_else(|| Ok(y.clone()), |gate| y.mul(gate))?;
        Ok((self.attention_output.apply(&y, &common, Way::FromHeads, &linear)?, weights))
    }

    fn query(x: &AttentionInputs) -> Option<&Tensor> {
        Some(&x.query)
    }
}

attends! { MultiHeadAttention of AttentionInputs }

/// [`MultiHeadAttention`] in which as many heads of the query one after the other share a head of key and value, of which there
/// are `num_key_value_heads`: Ainslie et al., "GQA: training generalized multi-query transformer models from multi-head
/// checkpoints".
///
/// # Shapes
///
/// `[batch, queries, n]`, `[batch, keys, m]` and `[batch, keys, l]` become `[batch, queries, n]`.
///
/// # Variables
///
/// Those of [`MultiHeadAttention`], of `num_query_heads` heads for query, gate and output and `num_key_value_heads` for key and
/// value, all of width `head_dim`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::GroupQueryAttention;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::ones([2, 5, 8], DType::F32)?;
/// assert_eq!(*GroupQueryAttention::new(2, 4, 2).causal().call((&x, &x))?.shape(), [2, 5, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", name = "grouped_query_attention", build = manual)]
pub struct GroupQueryAttention {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    head_dim: usize,
    #[config]
    num_query_heads: usize,
    #[config]
    num_key_value_heads: usize,
    /// In training, the part of the weights that is left out; none unless set.
    #[config(default)]
    dropout: f64,
    /// Whether projections have a bias; they have unless this says no.
    #[config(default = true)]
    use_bias: bool,
    /// Whether what comes of the heads is multiplied by the sigmoid of a projection of the query; not unless set.
    #[config(default)]
    use_gate: bool,
    /// How near a key must be to be seen, less than so many places; any unless set.
    #[config(default, into)]
    sliding_window: Option<usize>,
    /// How kernels begin; [`GlorotUniform`] unless set.
    #[config(default = GlorotUniform::default().into(), into)]
    kernel_initializer: AnyInitializer,
    /// How biases begin; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    bias_initializer: AnyInitializer,
    /// What kernels cost; nothing unless set.
    #[config(default, into)]
    kernel_regularizer: OrNone<AnyRegularizer>,
    /// What biases cost; nothing unless set.
    #[config(default, into)]
    bias_regularizer: OrNone<AnyRegularizer>,
    /// What the results of projections cost; nothing unless set.
    #[config(default, into)]
    activity_regularizer: OrNone<AnyRegularizer>,
    /// Where kernels may be; anywhere unless set.
    #[config(default, into)]
    kernel_constraint: OrNone<AnyConstraint>,
    /// Where biases may be; anywhere unless set.
    #[config(default, into)]
    bias_constraint: OrNone<AnyConstraint>,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    #[module(default, alias = "query_dense")]
    query: Projection,
    #[module(default, alias = "key_dense")]
    key: Projection,
    #[module(default, alias = "gate_dense")]
    gate: Projection,
    #[module(default, alias = "value_dense")]
    value: Projection,
    #[module(default)]
    seed_generator: SeedGenerator,
    #[module(default, alias = "output_dense")]
    attention_output: Projection,
}

impl ManualBuild for GroupQueryAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let GroupQueryAttention { head_dim, num_query_heads, num_key_value_heads, .. } = *self;
        at_least_one(&[
            ("head_dim", head_dim),
            ("num_query_heads", num_query_heads),
            ("num_key_value_heads", num_key_value_heads),
        ])?;
        if !num_query_heads.is_multiple_of(num_key_value_heads) {
            return Err(Error::invalid_argument(format!(
                "`num_key_value_heads` must divide `num_query_heads`, found {num_key_value_heads} and {num_query_heads}"
            )));
        }
        let [query, value, key] = query_value_key(inputs)?;
        let (common, last) = (common!(self), |input: usize| inputs.dim(input, -1));
        let (own, heads, fewer) = (last(query)?, [num_query_heads, head_dim], [num_key_value_heads, head_dim]);
        self.query.build(("query", inputs), &common, Way::ToHeads, [&[own], &heads])?;
        self.key.build(("key", inputs), &common, Way::ToHeads, [&[last(key)?], &fewer])?;
        if self.use_gate {
            self.gate.build(("gate", inputs), &common, Way::ToHeads, [&[own], &heads])?;
        }
        self.value.build(("value", inputs), &common, Way::ToHeads, [&[last(value)?], &fewer])?;
        if self.dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
        self.attention_output.build(("attention_output", inputs), &common, Way::FromHeads, [&heads, &[own]])
    }
}

impl Attends for GroupQueryAttention {
    type Inputs = AttentionInputs;

    fn attend(&self, x: &AttentionInputs, asked: Asked) -> Result<(Tensor, Option<Tensor>)> {
        check_rate(self.dropout)?;
        at_least_one(&[("sliding_window", self.sliding_window.unwrap_or(1))])?;
        if let Some(other) = [&x.query, &x.value, &x.key].into_iter().find(|x| x.rank().is_some_and(|rank| rank != 3)) {
            let message = format!("query, value and key must have rank 3, found shape {}", other.shape());
            return Err(Error::invalid_argument(message));
        }
        let (common, linear) = (common!(self), AnyActivation::default());
        let project = |projection: &Projection, x: &Tensor| projection.apply(x, &common, Way::ToHeads, &linear);
        let gate = self.use_gate.then(|| self.gate.apply(&x.query, &common, Way::ToHeads, &AnyActivation::Sigmoid));
        let gate = gate.transpose()?;
        let heads = Heads {
            query: &project(&self.query, &x.query)?,
            key: &project(&self.key, &x.key)?,
            value: &project(&self.value, &x.value)?,
            mask: combined_mask(x, self.sliding_window)?,
            axes: vec![1],
            scale: 1.0 / (self.head_dim as f64).sqrt(),
            dropout: self.dropout,
            seeds: &self.seed_generator,
        };
        let (y, weights) = heads.attend(asked)?;
        let y = gate.map_or_else(|| Ok(y.clone()), |gate| y.mul(gate))?;
        let y = self.attention_output.apply(&y, &common, Way::FromHeads, &linear)?;
        // What the layer itself gives costs too, as in Keras, beside the projections.
        [Some(&y), weights.as_ref().filter(|_| asked.scores)]
            .into_iter()
            .flatten()
            .try_for_each(|result| charge(self.activity_regularizer.0.as_ref(), result))?;
        Ok((y, weights))
    }

    fn query(x: &AttentionInputs) -> Option<&Tensor> {
        Some(&x.query)
    }
}

attends! { GroupQueryAttention of AttentionInputs }
