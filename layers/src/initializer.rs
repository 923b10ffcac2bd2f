//! How variables begin: Keras's initializers, with its names, arguments, defaults and configurations.
//!
//! An initializer with a seed of its own draws what Keras draws with that seed, uniform numbers to the bit. Without
//! one, the values follow from the seed that the variable passes, which differs from variable to variable.
//!
//! ```
//! use modulor::DType;
//! use modulor::variable::Initializer;
//! use modulor_layers::initializer::GlorotUniform;
//! # fn main() -> modulor::Result<()> {
//! let kernel = GlorotUniform { seed: Some(42), ..Default::default() }.init(&[3, 4], DType::F32, 0)?;
//! assert_eq!(kernel.to_vec::<f32>()?[..2], [-0.40285552, -0.0029313564]);
//! # Ok(())
//! # }
//! ```

use crate::family::{NoSettings, family, no_settings};
use modulor::ops::signal;
use modulor::variable::Initializer;
use modulor::{DType, Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::sync::Arc;

/// All zeros (false), of any dtype.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "NoSettings", from = "NoSettings")]
pub struct Zeros;

impl Initializer for Zeros {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        Tensor::zeros(dims, dtype)
    }
}

/// All ones (true), of any dtype.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "NoSettings", from = "NoSettings")]
pub struct Ones;

impl Initializer for Ones {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        Constant { value: 1.0 }.init(dims, dtype, seed)
    }
}

no_settings!(Zeros Ones);

/// One number everywhere, cast to the variable's dtype.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// The number; 0 unless set.
    pub value: f64,
}

impl Initializer for Constant {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        Tensor::fill(dims, &Tensor::scalar(self.value).cast(dtype)?)
    }
}

/// A matrix of `gain` on the diagonal and 0 elsewhere; an error for shapes of another rank than 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The factor; 1 unless set. Keras's own configuration leaves it out, so it is written only where it is not 1.
    #[serde(skip_serializing_if = "is_one")]
    pub gain: f64,
}

fn is_one(gain: &f64) -> bool {
    *gain == 1.0
}

impl Default for Identity {
    fn default() -> Self {
        Identity { gain: 1.0 }
    }
}

impl Initializer for Identity {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        let &[rows, cols] = dims else {
            return Err(Error::invalid_argument(format!("an identity matrix has 2 dims, found shape {dims:?}")));
        };
        let row = range(rows)?.reshape([-1, 1])?;
        let ones = row.equal(&range(cols)?)?.cast(dtype)?;
        Ok(ones * self.gain)
    }
}

/// The vector 0, 1, …, `len` - 1 of float64.
fn range(len: usize) -> Result<Tensor> {
    Tensor::new([len], (0..len).map(|i| i as f64).collect::<Vec<_>>())
}

/// Normal of some mean and standard deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomNormal {
    /// The mean; 0 unless set.
    pub mean: f64,
    /// The standard deviation; 0.05 unless set.
    pub stddev: f64,
    /// A seed of its own.
    pub seed: Option<i64>,
}

impl Default for RandomNormal {
    fn default() -> Self {
        RandomNormal { mean: 0.0, stddev: 0.05, seed: None }
    }
}

impl Initializer for RandomNormal {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        let source = Source::new(self.seed, seed, dims, dtype)?;
        source.normal(self.mean, self.stddev)
    }
}

/// Normal of some mean and standard deviation, drawn again where it lies two standard deviations or more from the
/// mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TruncatedNormal {
    /// The mean; 0 unless set.
    pub mean: f64,
    /// The standard deviation before truncation; 0.05 unless set.
    pub stddev: f64,
    /// A seed of its own.
    pub seed: Option<i64>,
}

impl Default for TruncatedNormal {
    fn default() -> Self {
        TruncatedNormal { mean: 0.0, stddev: 0.05, seed: None }
    }
}

impl Initializer for TruncatedNormal {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        let source = Source::new(self.seed, seed, dims, dtype)?;
        source.truncated_normal(self.mean, self.stddev)
    }
}

/// Uniform between two numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomUniform {
    /// The lower bound, which may be drawn; -0.05 unless set.
    pub minval: f64,
    /// The upper bound, which is not drawn but by rounding; 0.05 unless set.
    pub maxval: f64,
    /// A seed of its own.
    pub seed: Option<i64>,
}

impl Default for RandomUniform {
    fn default() -> Self {
        RandomUniform { minval: -0.05, maxval: 0.05, seed: None }
    }
}

impl Initializer for RandomUniform {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        let source = Source::new(self.seed, seed, dims, dtype)?;
        source.uniform(self.minval, self.maxval)
    }
}

/// Random values of a spread that follows from the shape, so that a layer keeps the variance of what passes it.
///
/// With n the fan chosen by [`mode`](VarianceScaling::mode), the variance is scale/n. The fans of a shape `[.., in, out]`
/// are `in` and `out`, each times the product of the dims before; of a vector, both its length; of a scalar, 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VarianceScaling {
    /// The variance times n, above 0; 1 unless set.
    pub scale: f64,
    /// Which fan counts.
    pub mode: FanMode,
    /// What is drawn.
    pub distribution: Distribution,
    /// A seed of its own.
    pub seed: Option<i64>,
    /// The axes whose dims' product is the fan in, if those are not where they usually are; negative ones count from
    /// the end. Heeded when `output_axes` are given too.
    pub input_axes: Option<Vec<i64>>,
    /// The axes whose dims' product is the fan out; see `input_axes`.
    pub output_axes: Option<Vec<i64>>,
}

/// The number of units that [`VarianceScaling`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanMode {
    /// The inputs of one output unit.
    #[default]
    FanIn,
    /// The outputs of one input unit.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// What [`VarianceScaling`] draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Normal, truncated at two standard deviations; the variance asked for is the one after truncation.
    #[default]
    #[serde(alias = "normal")]
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform between minus and plus √(3·scale/n).
    Uniform,
}

impl Default for VarianceScaling {
    fn default() -> Self {
        VarianceScaling {
            scale: 1.0,
            mode: FanMode::default(),
            distribution: Distribution::default(),
            seed: None,
            input_axes: None,
            output_axes: None,
        }
    }
}

impl Initializer for VarianceScaling {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        /// The standard deviation of the standard normal distribution truncated at ±2.
        const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
        if self.scale.is_nan() || self.scale <= 0.0 {
            return Err(Error::invalid_argument(format!("`scale` must be above 0, found {}", self.scale)));
        }
        let (fan_in, fan_out) = fans(dims, self.input_axes.as_deref(), self.output_axes.as_deref())?;
        let units = match self.mode {
            FanMode::FanIn => fan_in,
            FanMode::FanOut => fan_out,
            FanMode::FanAvg => (fan_in + fan_out) / 2.0,
        };
        let variance = self.scale / units.max(1.0);
        let source = Source::new(self.seed, seed, dims, dtype)?;
        match self.distribution {
            Distribution::TruncatedNormal => source.truncated_normal(0.0, variance.sqrt() / TRUNCATED_STDDEV),
            Distribution::UntruncatedNormal => source.normal(0.0, variance.sqrt()),
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                source.uniform(-limit, limit)
            }
        }
    }
}

impl AnyInitializer {
    /// This with the axes that count as inputs and as outputs, where it goes by their number and has none of its own.
    pub(crate) fn along(mut self, inputs: Vec<i64>, outputs: Vec<i64>) -> AnyInitializer {
        macro_rules! along {
            ($($class:ident)*) => {
                match &mut self {
                    $(AnyInitializer::$class(own) if own.input_axes.is_none() || own.output_axes.is_none() => {
                        (own.input_axes, own.output_axes) = (Some(inputs), Some(outputs));
                    })*
                    _ => {}
                }
            };
        }
        along! { VarianceScaling GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform }
        self
    }
}

/// The fan in and the fan out of a shape.
fn fans(dims: &[usize], input_axes: Option<&[i64]>, output_axes: Option<&[i64]>) -> Result<(f64, f64)> {
    let product = |dims: &[usize]| dims.iter().map(|&dim| dim as f64).product::<f64>();
    if let (Some(input_axes), Some(output_axes)) = (input_axes, output_axes) {
        let along = |axes: &[i64]| {
            let dims = axes.iter().map(|&axis| {
                let from_start = if axis < 0 { axis.checked_add(dims.len() as i64) } else { Some(axis) };
                let dim = from_start.and_then(|axis| dims.get(usize::try_from(axis).ok()?));
                dim.copied().ok_or_else(|| Error::invalid_argument(format!("no axis {axis} in shape {dims:?}")))
            });
            dims.collect::<Result<Vec<_>>>().map(|dims| product(&dims))
        };
        return Ok((along(input_axes)?, along(output_axes)?));
    }
    Ok(match dims {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [receptive @ .., inputs, outputs] => {
            let receptive = product(receptive);
            (*inputs as f64 * receptive, *outputs as f64 * receptive)
        }
    })
}

/// One named case of [`VarianceScaling`] a row: documentation, name, scale, mode, distribution.
macro_rules! scalings {
    ($($(#[$doc:meta])* $class:ident = $scale:literal $mode:ident $distribution:ident;)*) => { $(
        $(#[$doc])*
        ///
        /// The fans are those of [`VarianceScaling`].
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $class {
            /// A seed of its own.
            pub seed: Option<i64>,
            /// As [`VarianceScaling::input_axes`].
            pub input_axes: Option<Vec<i64>>,
            /// As [`VarianceScaling::output_axes`].
            pub output_axes: Option<Vec<i64>>,
        }

        impl Initializer for $class {
            fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
                VarianceScaling {
                    scale: $scale,
                    mode: FanMode::$mode,
                    distribution: Distribution::$distribution,
                    seed: self.seed,
                    input_axes: self.input_axes.clone(),
                    output_axes: self.output_axes.clone(),
                }
                .init(dims, dtype, seed)
            }
        }
    )* };
}

scalings! {
    /// Truncated normal of variance 2/(fan in + fan out): Glorot and Bengio, "Understanding the difficulty of training
    /// deep feedforward neural networks".
    GlorotNormal = 1.0 FanAvg TruncatedNormal;
    /// Uniform within ±√(6/(fan in + fan out)): Glorot and Bengio, "Understanding the difficulty of training deep
    /// feedforward neural networks".
    GlorotUniform = 1.0 FanAvg Uniform;
    /// Truncated normal of variance 2/fan in: He et al., "Delving deep into rectifiers".
    HeNormal = 2.0 FanIn TruncatedNormal;
    /// Uniform within ±√(6/fan in): He et al., "Delving deep into rectifiers".
    HeUniform = 2.0 FanIn Uniform;
    /// Truncated normal of variance 1/fan in: Klambauer et al., "Self-normalizing neural networks".
    LecunNormal = 1.0 FanIn TruncatedNormal;
    /// Uniform within ±√(3/fan in): Klambauer et al., "Self-normalizing neural networks".
    LecunUniform = 1.0 FanIn Uniform;
}

/// A random orthogonal matrix: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear
/// neural networks".
///
/// The columns are orthonormal, or the rows where they are fewer. A shape of more dims is a matrix of all but the last
/// by the last; one of fewer is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orthogonal {
    /// The factor; 1 unless set.
    pub gain: f64,
    /// A seed of its own.
    pub seed: Option<i64>,
}

impl Default for Orthogonal {
    fn default() -> Self {
        Orthogonal { gain: 1.0, seed: None }
    }
}

impl Initializer for Orthogonal {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        let [leading @ .., cols] = dims else { return Err(rank_below_two(dims)) };
        if leading.is_empty() {
            return Err(rank_below_two(dims));
        }
        let rows: usize = leading.iter().product();
        let tall = [rows.max(*cols), rows.min(*cols)];
        let (q, r) = Source::new(self.seed, seed, &tall, dtype)?.normal(0.0, 1.0)?.qr(false)?;
        // The factors are unique, and Q uniform over the orthogonal matrices, once R's diagonal is positive.
        let columns = range(tall[1])?;
        let diagonal = columns.reshape([-1, 1])?.equal(&columns)?.cast(dtype)?;
        let q = q * (r * diagonal).sum(0)?.sign()?;
        let matrix = if rows < *cols { q.transpose()? } else { q };
        let shape: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        Ok(matrix.reshape(shape)? * self.gain)
    }
}

fn rank_below_two(dims: &[usize]) -> Error {
    Error::invalid_argument(format!("an orthogonal matrix has at least 2 dims, found shape {dims:?}"))
}

/// The kernel of a convolution that computes one side of the short-time Fourier transform: shape
/// `[frame length, 1, bins]`, whose element at time t and bin k is w(t)·cos(-2πtk/n) or w(t)·sin(-2πtk/n), with
/// n = 2·(bins - 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct STFT {
    /// The real (cosine) side or the imaginary (sine) one.
    pub side: Side,
    /// The window w; `None` for none.
    pub window: Option<Window>,
    /// What the window is divided by; `None` for nothing.
    pub scaling: Option<Scaling>,
    /// Whether a window given by name is one period of a periodic function, not symmetric.
    pub periodic: bool,
}

/// The side of a Fourier transform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Cosines.
    #[default]
    Real,
    /// Sines.
    Imag,
}

/// The norm that an [`STFT`] window is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// The square root of the sum of squares.
    #[default]
    Density,
    /// The sum of magnitudes.
    Spectrum,
}

/// The window of an [`STFT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Window {
    /// One of [`Window::NAMES`], as in `scipy.signal.windows`.
    Named(String),
    /// Its values, as many as the frame is long.
    Values(Vec<f64>),
}

impl Default for STFT {
    fn default() -> Self {
        let window = Some(Window::Named("hann".to_owned()));
        STFT { side: Side::Real, window, scaling: Some(Scaling::Density), periodic: false }
    }
}

impl Window {
    /// The names that are known.
    pub const NAMES: &[&str] = signal::WINDOWS;

    fn values(&self, len: usize, periodic: bool) -> Result<Vec<f64>> {
        match self {
            Window::Values(values) if values.len() == len => Ok(values.clone()),
            Window::Values(values) => {
                let found = values.len();
                Err(Error::invalid_argument(format!("a window of {len} values is needed, found {found}")))
            }
            Window::Named(name) => signal::window(name, len, periodic),
        }
    }
}

impl Initializer for STFT {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        let &[frame, 1, bins] = dims else {
            let message = format!("a kernel of shape [frame length, 1, bins] is needed, found {dims:?}");
            return Err(Error::invalid_argument(message));
        };
        let mut window = match &self.window {
            Some(window) => window.values(frame, self.periodic)?,
            None => vec![1.0; frame],
        };
        if self.window.is_some() {
            let norm = match self.scaling {
                Some(Scaling::Density) => window.iter().map(|w| w * w).sum::<f64>().sqrt(),
                Some(Scaling::Spectrum) => window.iter().map(|w| w.abs()).sum(),
                None => 1.0,
            };
            window.iter_mut().for_each(|w| *w /= norm);
        }
        let time = range(frame)?.reshape([-1, 1, 1])?;
        let angle = time * -2.0 * (range(bins)? / (2.0 * (bins as f64 - 1.0))) * PI;
        let wave = match self.side {
            Side::Real => angle.cos()?,
            Side::Imag => angle.sin()?,
        };
        (wave * Tensor::new([frame, 1, 1], window)?).cast(dtype)
    }
}

/// Where an initializer's numbers come from, and what they shall become.
struct Source {
    seed: Tensor,
    shape: Tensor,
    dtype: DType,
}

impl Source {
    /// A source under the initializer's own seed, or else under the variable's.
    ///
    /// Keras keeps 31 bits of a seed of its own: the remainder by the largest int32 less one, never negative. A
    /// variable's seed keeps all 64.
    fn new(own: Option<i64>, given: u64, dims: &[usize], dtype: DType) -> Result<Source> {
        const MODULUS: i64 = i32::MAX as i64 - 1;
        let seed = own.map_or(given as i64, |seed| seed.rem_euclid(MODULUS));
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        Ok(Source { seed: Tensor::new([2], [seed, 0])?, shape: Tensor::new([dims.len()], dims)?, dtype })
    }

    fn uniform(&self, low: f64, high: f64) -> Result<Tensor> {
        let unit = Tensor::stateless_uniform(&self.shape, &self.seed, self.dtype)?;
        // Keras casts the bounds, which makes float32 of them on the way to any dtype.
        let bound = |x: f64| Tensor::number(f64::from(x as f32), self.dtype);
        let (low, high) = (bound(low)?, bound(high)?);
        Ok(unit * (high - &low) + low)
    }

    fn normal(&self, mean: f64, stddev: f64) -> Result<Tensor> {
        Ok(Tensor::stateless_normal(&self.shape, &self.seed, self.dtype)? * stddev + mean)
    }

    fn truncated_normal(&self, mean: f64, stddev: f64) -> Result<Tensor> {
        Ok(Tensor::stateless_truncated_normal(&self.shape, &self.seed, self.dtype)? * stddev + mean)
    }
}

family! {
    /// Any of this module's initializers: the setting of a layer that lets its user choose.
    ///
    /// ```
    /// use modulor_layers::initializer::{AnyInitializer, HeNormal};
    /// # fn main() -> modulor::Result<()> {
    /// assert_eq!(AnyInitializer::named("he_normal")?, HeNormal::default().into());
    /// # Ok(())
    /// # }
    /// ```
    AnyInitializer: Initializer, "initializer" of "keras.initializers", listed in INITIALIZERS;
    Constant "constant";
    GlorotNormal "glorot_normal";
    GlorotUniform "glorot_uniform";
    HeNormal "he_normal";
    HeUniform "he_uniform";
    Identity "identity" "IdentityInitializer";
    LecunNormal "lecun_normal";
    LecunUniform "lecun_uniform";
    Ones "ones" "one";
    Orthogonal "orthogonal" "OrthogonalInitializer";
    RandomNormal "random_normal" "normal";
    RandomUniform "random_uniform" "uniform";
    STFT "stft" "STFTInitializer";
    TruncatedNormal "truncated_normal";
    VarianceScaling "variance_scaling";
    Zeros "zeros" "zero";
}

impl Initializer for AnyInitializer {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        self.inner()?.init(dims, dtype, seed)
    }
}

/// The initializer of a name, for core.
pub(crate) fn by_name(name: &str) -> Result<Arc<dyn Initializer>> {
    AnyInitializer::named(name).map(|any| Arc::new(any) as Arc<dyn Initializer>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The first values, as float64, and the sum of all, as float64, of what `initializer` draws with any other seed.
    fn drawn(initializer: impl Into<AnyInitializer>, dims: &[usize], dtype: DType) -> Result<Vec<f64>> {
        let value = initializer.into().init(dims, dtype, 7)?;
        assert_eq!((value.dims()?, value.dtype()), (dims, dtype));
        value.cast(DType::F64)?.to_vec()
    }

    fn assert_near(found: &[f64], golden: &[f64], tolerance: f64) {
        for (x, y) in found.iter().zip(golden) {
            assert!((x - y).abs() <= tolerance, "{found:?} does not begin as {golden:?}");
        }
        assert!(found.len() >= golden.len());
    }

    /// `keras.initializers.<class>(.., seed=42)(shape)` of Keras 3.15.1 on TensorFlow 2.21, the first values.
    #[test]
    fn values_are_kerass() -> Result<()> {
        let seed = Some(42);
        let matrix: [(AnyInitializer, [f64; 4]); 11] = [
            (
                RandomNormal { seed, ..Default::default() }.into(),
                [0.00079085381, -0.0795043483, 0.00517972326, 0.0405872986],
            ),
            (RandomNormal { mean: 1.0, stddev: 2.0, seed }.into(), [1.03163409, -2.18017387, 1.20718896, 2.62349176]),
            (
                RandomUniform { seed, ..Default::default() }.into(),
                [-0.0217566844, -0.000158309937, 0.0215458535, -0.0479797982],
            ),
            (
                TruncatedNormal { seed, ..Default::default() }.into(),
                [0.00079085381, -0.0795043483, 0.00517972326, 0.0405872986],
            ),
            (
                GlorotUniform { seed, ..Default::default() }.into(),
                [-0.402855515, -0.00293135643, 0.39895165, -0.888413191],
            ),
            (
                GlorotNormal { seed, ..Default::default() }.into(),
                [0.00961156934, -0.96624881, 0.0629512891, 0.493274003],
            ),
            (HeNormal { seed, ..Default::default() }.into(), [0.0146819148, -1.47596943, 0.0961596817, 0.753488481]),
            (HeUniform { seed, ..Default::default() }.into(), [-0.615371943, -0.00447773933, 0.609408736, -1.35707355]),
            (LecunNormal { seed, ..Default::default() }.into(), [0.0103816809, -1.04366803, 0.0679951608, 0.5327968]),
            (
                LecunUniform { seed, ..Default::default() }.into(),
                [-0.435133696, -0.00316619873, 0.430917025, -0.959595919],
            ),
            (Orthogonal { seed, ..Default::default() }.into(), [0.0072439909, 0.371763557, 0.304156452, 0.877056718]),
        ];
        for (initializer, golden) in matrix {
            let tolerance = if initializer.class_name() == "Orthogonal" { 1e-5 } else { 2e-7 };
            assert_near(&drawn(initializer, &[3, 4], DType::F32)?, &golden, tolerance);
        }
        let kernel = VarianceScaling {
            scale: 2.0,
            mode: FanMode::FanOut,
            distribution: Distribution::UntruncatedNormal,
            seed,
            ..Default::default()
        };
        let golden = [0.00372812059, -0.374787092, 0.0244174488, 0.191330358];
        assert_near(&drawn(kernel, &[3, 3, 2, 4], DType::F32)?, &golden, 1e-7);
        let by_axes = VarianceScaling {
            scale: 2.0,
            mode: FanMode::FanAvg,
            distribution: Distribution::Uniform,
            seed,
            input_axes: Some(vec![0, -2]),
            output_axes: Some(vec![3]),
        };
        let golden = [-0.47666508, -0.00346839428, 0.472046018, -1.05118465];
        assert_near(&drawn(by_axes, &[3, 3, 2, 4], DType::F32)?, &golden, 1e-7);
        Ok(())
    }

    #[test]
    fn any_integer_is_a_seed() -> Result<()> {
        for (seed, golden) in
            [(-3, [-0.304179192, 0.436499357, 0.764020324]), ((1 << 33) + 5, [0.807512045, 0.253606439, -0.708695948])]
        {
            let glorot = GlorotUniform { seed: Some(seed), ..Default::default() };
            assert_near(&drawn(glorot, &[3, 4], DType::F32)?, &golden, 1e-8);
        }
        Ok(())
    }

    #[test]
    fn every_float_dtype_draws_kerass_values() -> Result<()> {
        let glorot = GlorotUniform { seed: Some(42), ..Default::default() };
        for (dtype, golden, tolerance) in [
            (DType::F64, [-0.445383459, 0.414153938, 0.238464625, -0.851778685], 1e-9),
            (DType::F16, [0.356445312, -0.868164062, -0.858886719, -0.00927734375], 1e-9),
            (DType::BF16, [0.07421875, -0.462890625, -0.390625, 0.85546875], 0.0),
        ] {
            assert_near(&drawn(glorot.clone(), &[3, 4], dtype)?, &golden, tolerance);
        }
        let orthogonal = Orthogonal { seed: Some(42), ..Default::default() };
        let golden = [-0.648081247, 0.373217459, -0.241024122, 0.618552179, -0.723437642, -0.202093824];
        assert_near(&drawn(orthogonal.clone(), &[3, 4], DType::F64)?, &golden, 1e-9);
        let golden = [0.0068359375, 0.371337891, 0.303955078, 0.876464844];
        assert_near(&drawn(orthogonal, &[3, 4], DType::F16)?, &golden, 2e-3);
        Ok(())
    }

    #[test]
    fn vectors_and_scalars_have_fans_too() -> Result<()> {
        let glorot = GlorotUniform { seed: Some(42), ..Default::default() };
        assert_near(&drawn(glorot.clone(), &[5], DType::F32)?, &[-0.33705312, -0.00245255232], 1e-7);
        assert_near(&drawn(glorot, &[], DType::F32)?, &[-0.753673673], 1e-7);
        Ok(())
    }

    #[test]
    fn orthogonal_takes_every_shape_of_two_dims_or_more() -> Result<()> {
        let tall = Orthogonal { gain: 2.0, seed: Some(42) };
        let golden = [0.0144879818, -1.3778491, 1.37483692, 0.743527114, -1.33064842, -1.13027334];
        assert_near(&drawn(tall, &[4, 3], DType::F32)?, &golden, 1e-5);
        let kernel = Orthogonal { seed: Some(42), ..Default::default() };
        let golden = [0.0072439909, -0.688924551, 0.687418461, 0.371763557, -0.665324211, -0.565136671];
        assert_near(&drawn(kernel.clone(), &[2, 2, 3], DType::F32)?, &golden, 1e-5);
        assert!(drawn(kernel.clone(), &[0, 3], DType::F32)?.is_empty());
        assert!(kernel.init(&[3], DType::F32, 0).is_err());
        Ok(())
    }

    #[test]
    fn constants_are_constant() -> Result<()> {
        assert_eq!(drawn(Zeros, &[2], DType::F16)?, [0.0; 2]);
        assert_eq!(drawn(Ones, &[2], DType::I32)?, [1.0; 2]);
        assert_eq!(drawn(Ones, &[2], DType::Bool)?, [1.0; 2]);
        assert_eq!(drawn(Constant { value: 2.5 }, &[2], DType::F32)?, [2.5; 2]);
        assert_eq!(drawn(Constant { value: 2.5 }, &[2], DType::I32)?, [2.0; 2]);
        assert_eq!(drawn(Identity { gain: 2.0 }, &[2, 3], DType::F32)?, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        assert!(Identity::default().init(&[2], DType::F32, 0).is_err());
        Ok(())
    }

    /// The sums of `keras.initializers.STFT(..)((8, 1, 5))` and the fifth element after the first row.
    #[test]
    fn fourier_kernels_are_kerass() -> Result<()> {
        let named = |name: &str| Some(Window::Named(name.to_owned()));
        let rows = [
            (STFT::default(), 0.11619357, 1.08012332),
            (STFT { side: Side::Imag, ..Default::default() }, 0.0, -0.367241479),
            (
                STFT { window: named("hamming"), scaling: Some(Scaling::Spectrum), ..Default::default() },
                0.0655944794,
                0.582901534,
            ),
            (STFT { window: None, ..Default::default() }, 1.0, 8.0),
            (STFT { scaling: None, periodic: true, ..Default::default() }, 0.146446615, 2.0),
        ];
        for (stft, sixth, sum) in rows {
            let kernel = drawn(stft.clone(), &[8, 1, 5], DType::F32)?;
            assert_near(&[kernel[5], kernel.iter().sum()], &[sixth, sum], 2e-6);
        }
        for name in Window::NAMES {
            let stft = STFT { window: named(name), ..Default::default() };
            assert!(drawn(stft, &[1, 1, 3], DType::F32)?.iter().all(|x| x.is_finite()), "{name}");
        }
        assert!(STFT { window: named("square"), ..Default::default() }.init(&[8, 1, 5], DType::F32, 0).is_err());
        assert!(STFT::default().init(&[8, 2, 5], DType::F32, 0).is_err());
        Ok(())
    }

    #[test]
    fn without_a_seed_of_its_own_values_follow_the_variables() -> Result<()> {
        let draw = |seed| GlorotUniform::default().init(&[3, 4], DType::F32, seed)?.to_vec::<f32>();
        assert_eq!(draw(1)?, draw(1)?);
        assert_ne!(draw(1)?, draw(2)?);
        assert_ne!(draw(1)?, draw(1 + (i32::MAX as u64 - 1))?);
        Ok(())
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let axes = |input: Vec<i64>| GlorotUniform { input_axes: Some(input), output_axes: Some(vec![0]), seed: None };
        let rows: [(AnyInitializer, DType, &str); 4] = [
            (
                VarianceScaling { scale: 0.0, ..Default::default() }.into(),
                DType::F32,
                "`scale` must be above 0, found 0",
            ),
            (VarianceScaling { scale: f64::NAN, ..Default::default() }.into(), DType::F32, "found NaN"),
            (axes(vec![2]).into(), DType::F32, "no axis 2 in shape [3, 4]"),
            (axes(vec![i64::MIN]).into(), DType::F32, "no axis -9223372036854775808"),
        ];
        for (initializer, dtype, words) in rows {
            let error = initializer.init(&[3, 4], dtype, 0).expect_err(words).to_string();
            assert!(error.contains(words), "`{error}` does not say `{words}`");
        }
        assert!(RandomNormal::default().init(&[3], DType::I32, 0).is_err());
    }

    /// `keras.saving.serialize_keras_object(keras.initializers.<class>())`.
    #[test]
    fn configurations_are_kerass() {
        let none = Value::Null;
        let rows = [
            ("Constant", json!({"value": 0.0})),
            ("GlorotNormal", json!({"seed": none, "input_axes": none, "output_axes": none})),
            ("Identity", json!({})),
            ("Ones", json!({})),
            ("Orthogonal", json!({"seed": none, "gain": 1.0})),
            ("RandomNormal", json!({"seed": none, "mean": 0.0, "stddev": 0.05})),
            ("RandomUniform", json!({"seed": none, "minval": -0.05, "maxval": 0.05})),
            ("STFT", json!({"side": "real", "window": "hann", "periodic": false, "scaling": "density"})),
            (
                "VarianceScaling",
                json!({
                    "seed": none, "scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal",
                    "input_axes": none, "output_axes": none,
                }),
            ),
        ];
        for (class, config) in rows {
            let initializer = AnyInitializer::named(class).expect("a class of the list");
            let object = json!({
                "module": "keras.initializers", "class_name": class, "config": config, "registered_name": none,
            });
            assert_eq!(serde_json::to_value(&initializer).expect("plain data"), object);
        }
    }

    #[test]
    fn configurations_make_the_round_trip() {
        for class in INITIALIZERS {
            let initializer = AnyInitializer::named(class).expect("a class of the list");
            let text = serde_json::to_string(&initializer).expect("plain data");
            assert_eq!(serde_json::from_str::<AnyInitializer>(&text).expect(&text), initializer);
        }
        let given = [
            (json!("he_normal"), HeNormal::default().into()),
            (json!({"class_name": "Zeros"}), AnyInitializer::from(Zeros)),
            (
                json!({"class_name": "VarianceScaling", "config": {"scale": 2, "distribution": "normal", "seed": 3}}),
                VarianceScaling { scale: 2.0, seed: Some(3), ..Default::default() }.into(),
            ),
            (
                json!({"class_name": "STFT", "config": {"window": [1.0, 0.5], "scaling": null}}),
                STFT { window: Some(Window::Values(vec![1.0, 0.5])), scaling: None, ..Default::default() }.into(),
            ),
        ];
        for (json, initializer) in given {
            assert_eq!(serde_json::from_value::<AnyInitializer>(json).expect("readable"), initializer);
        }
    }

    #[test]
    fn configurations_that_say_something_else_are_refused_in_words() {
        for (json, words) in [
            (json!("glorot"), "unknown initializer `glorot`; there are `constant`"),
            (json!({"class_name": "Zeros", "config": {"seed": 1}}), "unknown field `seed`, there are no fields"),
            (json!({"class_name": "Constant", "config": {"valu": 1}}), "unknown field `valu`, expected `value`"),
            (json!({"class_name": "RandomNormal", "config": {"mean": "x"}}), "RandomNormal: invalid type"),
            (json!({"module": "mine", "class_name": "Zeros", "config": {}}), "unknown initializer `mine.Zeros`"),
            (json!(3), "did not match"),
        ] {
            let error = serde_json::from_value::<AnyInitializer>(json).expect_err(words).to_string();
            assert!(error.contains(words), "`{error}` does not say `{words}`");
        }
    }
}
