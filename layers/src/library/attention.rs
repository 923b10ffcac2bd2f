//! Attention of one head, without projections: by products, and by sums.

use super::SeedGenerator;
use super::attending::{Asked, Attends, attends, both, causal_mask, check_rate, dropped};
use crate::initializer::{AnyInitializer, GlorotUniform, Ones};
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{DType, DTypePolicy, Error, Module, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};

/// How a query and a key become a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreMode {
    /// Their product.
    #[default]
    Dot,
    /// The sum of `tanh(query + key)`, times a weight.
    Concat,
}

/// Σ w·value, where the weights w of a query are the softmax of its scores for all keys: Luong et al., "Effective approaches
/// to attention-based neural machine translation".
///
/// It is called with two or three tensors, query, value and key, which is the value unless it is given. The mask of the value
/// hides keys, and where that of the query is false the output is zeros. A query that sees no key weighs the hidden ones, by
/// scores that are 10⁹ less (65504 in float16), as in Keras.
///
/// [`causal`](Attention::causal) hides what comes after a query; [`with_scores`](Attention::with_scores) gives the weights too.
/// Scores that are products are never there as a whole, unless they are asked for or dropped from.
///
/// # Shapes
///
/// `[batch, queries, n]`, `[batch, keys, m]` and `[batch, keys, n]` become `[batch, queries, m]`.
///
/// # Variables
///
/// With `use_scale` `scale`, a scalar that multiplies products, or what tanh is taken of; with [`ScoreMode::Concat`]
/// `concat_score_weight`, a scalar.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Attention;
/// # fn main() -> modulor::Result<()> {
/// let (query, value) = (Tensor::from([[[0.0_f32]]]), Tensor::from([[[1.0_f32], [3.0]]]));
/// assert_eq!(Attention::new().call([&query, &value])?.to_vec::<f32>()?, [2.0]);
/// assert_eq!(Attention::new().causal().call([&query, &value])?.to_vec::<f32>()?, [1.0]);
/// let (_, scores) = Attention::new().with_scores().call([&query, &value])?;
/// assert_eq!(scores.to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct Attention {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Whether there is a scale; not unless set.
    #[config(default)]
    use_scale: bool,
    /// How scores are made; of products unless set.
    #[config(default)]
    score_mode: ScoreMode,
    /// In training, the part of the weights that is left out; none unless set.
    #[config(default)]
    dropout: f64,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    #[variable(shape = [], init = Ones, when = use_scale)]
    scale: Variable,
    #[variable(shape = [], init = Ones, when = score_mode == ScoreMode::Concat)]
    concat_score_weight: Variable,
    #[module(default)]
    seed_generator: SeedGenerator,
}

impl ManualBuild for Attention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
        if self.use_scale {
            inputs.size(&self.scale, "scale", &[])?;
        }
        match self.score_mode {
            ScoreMode::Dot => Ok(()),
            ScoreMode::Concat => inputs.size(&self.concat_score_weight, "concat_score_weight", &[]),
        }
    }
}

/// Query, value and key.
fn parts(x: &[Tensor]) -> Result<[&Tensor; 3]> {
    match x {
        [query, value] => Ok([query, value, value]),
        [query, value, key] => Ok([query, value, key]),
        _ => Err(Error::invalid_argument(format!(
            "the inputs must be a query, a value and perhaps a key, found {} tensors",
            x.len()
        ))),
    }
}

/// The sum of query and key along their last axis, `[batch, queries, keys, n]`.
fn pairs(query: &Tensor, key: &Tensor) -> Result<Tensor> {
    query.expand_dims(-2)?.add(key.expand_dims(-3)?)
}

/// What is taken from a score that is hidden.
fn distance(dtype: DType) -> f64 {
    if dtype == DType::F16 { 65504.0 } else { 1e9 }
}

/// Zeros where the mask of the query is false.
fn where_asked(y: Tensor, query: &Tensor) -> Result<Tensor> {
    let Some(mask) = query.mask() else { return Ok(y) };
    mask.cast(DType::Bool)?.expand_dims(-1)?.select(&y, &y.zeros_like()?)
}

/// The weights of scores, and what they make of values after dropout.
fn weighed(
    scores: &Tensor,
    [query, value, key]: [&Tensor; 3],
    causal: bool,
    dropout: f64,
    seeds: &SeedGenerator,
) -> Result<(Tensor, Tensor)> {
    let of_value = value.mask().map(|mask| mask.cast(DType::Bool)?.expand_dims(-2)).transpose()?;
    let seen = both(of_value, causal.then(|| causal_mask_of(query, key)).transpose()?)?;
    let weights = match seen {
        Some(seen) => seen.select(scores, &(scores - distance(scores.dtype())))?.softmax(-1)?,
        None => scores.softmax(-1)?,
    };
    let y = dropped(&weights, dropout, seeds)?.matmul(value)?;
    Ok((where_asked(y, query)?, weights))
}

/// As [`causal_mask`], of tensors whose places are along their second axis from the end.
fn causal_mask_of(query: &Tensor, key: &Tensor) -> Result<Tensor> {
    let row = |x: &Tensor| -> Result<Tensor> {
        let mut x = x.clone();
        while x.rank().is_some_and(|rank| rank > 3) {
            x = x.slice(0)?;
        }
        Ok(x)
    };
    causal_mask(&row(query)?, &row(key)?)
}

impl Attention {
    /// Whether scores need not be there: they are products of one head, nobody asks for them, and none are left out.
    fn fuses(&self, query: &Tensor, asked: Asked) -> bool {
        let drops = scope::training() && self.dropout > 0.0;
        self.score_mode == ScoreMode::Dot && !asked.scores && !drops && query.rank() == Some(3)
    }

    /// The output, where [`fuses`](Attention::fuses) holds.
    fn fused(&self, [query, value, key]: [&Tensor; 3], causal: bool) -> Result<Tensor> {
        let scaled = if self.use_scale { query.mul(&self.scale)? } else { query.clone() };
        let hidden = |seen: &Tensor| seen.logical_not()?.cast(query.dtype())?.mul(-distance(query.dtype()));
        let mut bias = None;
        if let Some(mask) = value.mask() {
            // A key that is hidden twice is hidden no more than once.
            let mut seen = mask.cast(DType::Bool)?.expand_dims(1)?;
            if causal {
                seen = seen.logical_and(&causal_mask(query, key)?)?;
            }
            bias = Some(hidden(&seen)?.expand_dims(1)?);
        }
        let is_causal = causal && bias.is_none();
        let [query_heads, key_heads, value_heads] = [&scaled, key, value].map(|x| x.expand_dims(2));
        let y = query_heads?.dot_product_attention(
            &key_heads?,
            &value_heads?,
            bias.as_ref(),
            None,
            Some(1.0),
            is_causal,
        )?;
        where_asked(y.squeeze([2])?, query)
    }
}

impl Attends for Attention {
    type Inputs = Vec<Tensor>;

    fn attend(&self, x: &Vec<Tensor>, asked: Asked) -> Result<(Tensor, Option<Tensor>)> {
        check_rate(self.dropout)?;
        let [query, value, key] = parts(x)?;
        if self.fuses(query, asked) {
            return Ok((self.fused([query, value, key], asked.causal)?, None));
        }
        let scores = match self.score_mode {
            ScoreMode::Dot => {
                let products = query.matmul_with(key, false, true)?;
                if self.use_scale { products.mul(&self.scale)? } else { products }
            }
            ScoreMode::Concat => {
                let mut sums = pairs(query, key)?;
                if self.use_scale {
                    sums = sums.mul(&self.scale)?;
                }
                sums.tanh()?.sum(-1)?.mul(&self.concat_score_weight)?
            }
        };
        let (y, weights) = weighed(&scores, [query, value, key], asked.causal, self.dropout, &self.seed_generator)?;
        Ok((y, Some(weights)))
    }

    fn query(x: &Vec<Tensor>) -> Option<&Tensor> {
        x.first()
    }
}

attends! { Attention of Vec<Tensor> }

/// As [`Attention`], with the sum of `scale·tanh(query + key)` as a score: Bahdanau et al., "Neural machine translation by
/// jointly learning to align and translate".
///
/// # Shapes
///
/// `[batch, queries, n]`, `[batch, keys, m]` and `[batch, keys, n]` become `[batch, queries, m]`.
///
/// # Variables
///
/// `scale` of `[n]`, unless `use_scale` is false.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::AdditiveAttention;
/// # fn main() -> modulor::Result<()> {
/// let (query, value) = (Tensor::from([[[0.0_f32]]]), Tensor::from([[[1.0_f32], [1.0]]]));
/// assert_eq!(AdditiveAttention::new().call([&query, &value])?.to_vec::<f32>()?, [1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct AdditiveAttention {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Whether there is a scale; there is unless this says no.
    #[config(default = true)]
    use_scale: bool,
    /// In training, the part of the weights that is left out; none unless set.
    #[config(default)]
    dropout: f64,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    #[variable(init = AnyInitializer::from(GlorotUniform::default()), when = use_scale)]
    scale: Variable,
    #[module(default)]
    seed_generator: SeedGenerator,
}

impl ManualBuild for AdditiveAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
        match self.use_scale {
            true => inputs.size(&self.scale, "scale", &[inputs.dim(0, -1)?]),
            false => Ok(()),
        }
    }
}

impl Attends for AdditiveAttention {
    type Inputs = Vec<Tensor>;

    fn attend(&self, x: &Vec<Tensor>, asked: Asked) -> Result<(Tensor, Option<Tensor>)> {
        check_rate(self.dropout)?;
        let [query, value, key] = parts(x)?;
        let mut terms = pairs(query, key)?.tanh()?;
        if self.use_scale {
            terms = terms.mul(&self.scale)?;
        }
        let scores = terms.sum(-1)?;
        let (y, weights) = weighed(&scores, [query, value, key], asked.causal, self.dropout, &self.seed_generator)?;
        Ok((y, Some(weights)))
    }

    fn query(x: &Vec<Tensor>) -> Option<&Tensor> {
        x.first()
    }
}

attends! { AdditiveAttention of Vec<Tensor> }
