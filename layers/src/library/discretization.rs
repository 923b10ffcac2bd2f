use super::hashed_crossing::named_dtype;
use super::hashing::check_dense;
use super::settings::{Settings, of_settings};
use super::{BinOutput, IntoBatch};
use modulor::module::Config;
use modulor::{DType, DTypePolicy, Error, Layer, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

/// What a config says.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    bin_boundaries: Option<Vec<f64>>,
    #[serde(default)]
    num_bins: Option<usize>,
    #[serde(default = "hundredth")]
    epsilon: f64,
    #[serde(default)]
    output_mode: BinOutput,
    #[serde(default)]
    sparse: bool,
}

fn hundredth() -> f64 {
    0.01
}

/// The settings, and the boundaries that were learnt, which all handles to a layer share.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
struct Boundaries {
    told: Written,
    learnt: Arc<RwLock<Option<Vec<f64>>>>,
}

impl From<Written> for Boundaries {
    fn from(mut told: Written) -> Self {
        // Boundaries beside a number of bins were learnt.
        let learnt = told.bin_boundaries.take_if(|_| told.num_bins.is_some());
        Boundaries { told, learnt: Arc::new(RwLock::new(learnt)) }
    }
}

impl From<Boundaries> for Written {
    fn from(settings: Boundaries) -> Self {
        Written { bin_boundaries: settings.boundaries(), ..settings.told }
    }
}

impl Settings for Boundaries {
    fn finish(&self, config: &mut Config) {
        named_dtype(config);
    }
}

impl Boundaries {
    fn boundaries(&self) -> Option<Vec<f64>> {
        let learnt = self.learnt.read().unwrap_or_else(PoisonError::into_inner).clone();
        learnt.or_else(|| self.told.bin_boundaries.clone())
    }

    fn check(&self) -> Result<()> {
        check_dense(self.told.sparse)?;
        match (&self.told.bin_boundaries, self.told.num_bins) {
            (None, None) => {
                Err(Error::invalid_argument("either `bin_boundaries` or `num_bins` must be told, found neither"))
            }
            (_, Some(0)) => Err(Error::invalid_argument("`num_bins` must be at least 1, found 0")),
            _ => Ok(()),
        }
    }
}

/// A sample of values, and for how many each stands.
type Summary = Vec<(f32, f32)>;

/// So many of the values, at equal distances of their ranks.
fn summary(mut values: Vec<f32>, epsilon: f64) -> Summary {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
    let step = (values.len() as f64 / (1.0 / epsilon)).max(1.0);
    let chosen = values.into_iter().skip((step - 1.0) as usize).step_by(step as usize);
    chosen.map(|value| (value, step as f32)).collect()
}

/// What piecewise straight lines through points have at `x`, of which the points' rise.
fn interpolated(x: f64, points: &[(f64, f64)]) -> f64 {
    let behind = points.partition_point(|point| point.0 <= x);
    match (behind.checked_sub(1).and_then(|at| points.get(at)), points.get(behind)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) if x0 < x => (y1 - y0) / (x1 - x0) * (x - x0) + y0,
        (Some(&(_, y)), _) | (None, Some(&(_, y))) => y,
        (None, None) => f64::NAN,
    }
}

/// A summary of about `1 / epsilon` values out of one of more.
fn compressed(summary: Summary, epsilon: f64) -> Summary {
    if (summary.len() as f64) * epsilon < 1.0 {
        return summary;
    }
    let mut sum = 0.0_f32;
    let sums: Vec<f32> = summary
        .iter()
        .map(|(_, weight)| {
            sum += weight;
            sum
        })
        .collect();
    let total = sum;
    let part = |at: usize| f64::from(sums[at] / total);
    let values: Vec<(f64, f64)> =
        summary.iter().enumerate().map(|(at, (value, _))| (part(at), (*value).into())).collect();
    let weights: Vec<(f64, f64)> = sums.iter().enumerate().map(|(at, &sum)| (part(at), sum.into())).collect();
    let count = (1.0 / epsilon).ceil() as usize;
    let mut before = 0.0;
    let one = |at: usize| {
        let place = epsilon + at as f64 * epsilon;
        let weight = interpolated(place, &weights);
        let own = weight - before;
        before = weight;
        (interpolated(place, &values) as f32, own as f32)
    };
    (0..count).map(one).collect()
}

/// Numbers by the bin that they lie in, between boundaries that are told, or learnt by
/// [`adapt`](Discretization::adapt) so that about as many numbers are in each.
///
/// A number on a boundary is in the bin above it, and NaN in the last. Bins are of int32, vectors of the dtype that the layer
/// computes in. Boundaries are in the config, also those that were learnt.
///
/// # Shapes
///
/// Numbers of bins have the shape of the input; vectors are as those of [`CategoryEncoding`](super::CategoryEncoding).
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Discretization;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[-1.5_f32, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]]);
/// let layer = Discretization::new().bin_boundaries([0.0, 1.0, 2.0]);
/// assert_eq!(layer.call(&x)?.to_vec::<i32>()?, [0, 2, 3, 1, 1, 3, 2, 1]);
/// let layer = Discretization::new().num_bins(4);
/// layer.adapt([&x])?;
/// assert_eq!(layer.call(&x)?.to_vec::<i32>()?, [0, 2, 3, 2, 1, 3, 3, 1]);
/// # Ok(())
/// # }
/// ```
pub struct Discretization {
    dtype: DTypePolicy,
    settings: Boundaries,
}

impl Discretization {
    /// Of boundaries that are told, or of a number of bins, whose boundaries are learnt.
    pub fn new() -> Discretization {
        let told = Written {
            bin_boundaries: None,
            num_bins: None,
            epsilon: hundredth(),
            output_mode: BinOutput::Int,
            sparse: false,
        };
        Discretization { dtype: DTypePolicy::default(), settings: told.into() }
    }

    fn with(self, change: impl FnOnce(&mut Written)) -> Discretization {
        let mut told = self.settings.told;
        change(&mut told);
        Discretization { dtype: self.dtype, settings: Boundaries { told, learnt: Arc::default() } }
    }

    /// The boundaries, which do not fall.
    #[must_use]
    pub fn bin_boundaries(self, bin_boundaries: impl Into<Vec<f64>>) -> Discretization {
        let bin_boundaries = Some(bin_boundaries.into());
        self.with(|told| told.bin_boundaries = bin_boundaries)
    }

    /// How many bins there are, whose boundaries are learnt.
    #[must_use]
    pub fn num_bins(self, num_bins: usize) -> Discretization {
        self.with(|told| told.num_bins = Some(num_bins))
    }

    /// How far off the part of the numbers in a bin may be; 0.01 unless set. Less takes more memory and time to learn.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Discretization {
        self.with(|told| told.epsilon = epsilon)
    }

    /// What a bin becomes; its number unless set.
    #[must_use]
    pub fn output_mode(self, output_mode: BinOutput) -> Discretization {
        self.with(|told| told.output_mode = output_mode)
    }

    /// Learns the boundaries of some batches, instead of what was learnt before, of a summary of their numbers as Keras makes
    /// it.
    ///
    /// An error where boundaries are told, where `epsilon` is not between 0 and 1, and where there is no number.
    pub fn adapt<B: IntoBatch>(&self, batches: impl IntoIterator<Item = B>) -> Result<()> {
        self.settings.check()?;
        let Written { bin_boundaries, num_bins, epsilon, .. } = &self.settings.told;
        let (Some(bins), None) = (*num_bins, bin_boundaries) else {
            return Err(Error::failed_precondition("the boundaries are told by `bin_boundaries`, and not learnt"));
        };
        if !(*epsilon > 0.0 && *epsilon < 1.0) {
            return Err(Error::invalid_argument(format!("`epsilon` must be between 0 and 1, found {epsilon}")));
        }
        let mut all = Summary::new();
        for batch in batches {
            let mut joint = summary(batch.into_batch()?.cast(DType::F32)?.to_vec()?, *epsilon);
            joint.extend(all);
            joint.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
            all = compressed(joint, *epsilon);
        }
        if all.is_empty() {
            return Err(Error::invalid_argument("there must be at least one number to learn from"));
        }
        let mut chosen = compressed(all, 1.0 / bins as f64);
        chosen.pop();
        let boundaries = chosen.into_iter().map(|(value, _)| value.into()).collect();
        *self.settings.learnt.write().unwrap_or_else(PoisonError::into_inner) = Some(boundaries);
        Ok(())
    }

    /// The boundaries, if they are told or learnt.
    pub fn boundaries(&self) -> Option<Vec<f64>> {
        self.settings.boundaries()
    }
}

impl Layer for Discretization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.settings.check()?;
        let Some(boundaries) = self.settings.boundaries() else {
            let message = "there are no boundaries yet: give some with `bin_boundaries`, or learn them with `adapt`";
            return Err(Error::failed_precondition(message));
        };
        let x = match x.dtype() {
            DType::F32 | DType::F64 | DType::I32 | DType::I64 => x.clone(),
            DType::String => {
                return Err(Error::invalid_argument("numbers are put into bins, found string"));
            }
            _ => x.cast(DType::F32)?,
        };
        let bins = x.bucketize(boundaries.iter().map(|&boundary| boundary as f32).collect::<Vec<_>>())?;
        let mode = self.settings.told.output_mode;
        let dtype = if mode == BinOutput::Int { DType::I32 } else { self.dtype.compute_dtype()? };
        mode.of(&bins, boundaries.len() + 1, dtype)
    }
}

impl Default for Discretization {
    fn default() -> Self {
        Discretization::new()
    }
}

of_settings!(Discretization "discretization" ["bin_boundaries" "num_bins" "epsilon" "output_mode" "sparse"]);
