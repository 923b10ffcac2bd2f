//! Spectrograms of waves.

use super::settings::defaults;
use super::{DataFormat, Padding};
use crate::OrNone;
use crate::initializer::{AnyInitializer, STFT, Scaling, Side, Window};
use modulor::ops::signal;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Sliding, Tensor, Variable};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// What an [`STFTSpectrogram`] gives of each frame and frequency, of which c is the complex amplitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpectrogramMode {
    /// log |c|, which is at least log 1e-7.
    #[default]
    Log,
    /// |c|, which is at least √1e-7.
    Magnitude,
    /// |c|², twice that but for the least and the greatest frequency.
    Psd,
    /// The real part.
    Real,
    /// The imaginary part.
    Imag,
    /// The angle.
    Angle,
    /// The real parts of all frequencies, then the imaginary ones.
    Stft,
}

/// The spectrogram of waves, by a convolution with weights that begin as those of a Fourier transform and may be trained.
///
/// # Shapes
///
/// `[batch, places, channels]` becomes `[batch, frames, channels·frequencies]`, or with `expand_dims`
/// `[batch, frames, frequencies, channels]`; `[batch, channels, places]`, with channels first, becomes
/// `[batch, channels·frequencies, frames]` or `[batch, channels, frames, frequencies]`. There are `fft_length/2 + 1` frequencies,
/// twice as many of [`SpectrogramMode::Stft`].
///
/// # Variables
///
/// `real_kernel` and `imag_kernel` of `[frame_length, 1, frequencies]`, those that the mode needs, as [`STFT`] has them.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::{STFTSpectrogram, SpectrogramMode};
/// # fn main() -> modulor::Result<()> {
/// let layer = STFTSpectrogram::new().mode(SpectrogramMode::Real).frame_length(4).window(None);
/// let y = layer.call(&Tensor::from([[[1.0_f32], [0.0], [-1.0], [0.0]]]))?;
/// let expected = Tensor::from([[[0.0_f32, 2.0, 0.0]]]);
/// assert!((y - expected).abs()?.max(..)?.item::<f32>()? < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct STFTSpectrogram {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// What it gives; logarithms unless set.
    #[config(default)]
    mode: SpectrogramMode,
    /// The places of a frame; 256 unless set.
    #[config(default = 256)]
    frame_length: usize,
    /// How far a frame begins behind the one before it, at most its length; half of it unless set.
    #[config(default, into)]
    frame_step: Option<usize>,
    /// The places of the Fourier transform, at least those of a frame; the least power of two that is enough unless set.
    #[config(default, into)]
    fft_length: Option<usize>,
    /// What each place of a frame is multiplied by, by name or as values; Hann's window unless set.
    #[config(default = OrNone(Some(Window::Named("hann".to_owned()))), into)]
    window: OrNone<Window>,
    /// Whether a window given by name is one period of a periodic function, not symmetric.
    #[config(default)]
    periodic: bool,
    /// What the window is divided by; [`Scaling::Density`] unless set.
    #[config(default = OrNone(Some(Scaling::Density)), into)]
    scaling: OrNone<Scaling>,
    /// What surrounds a wave; nothing unless set.
    #[config(default)]
    padding: Padding,
    /// Whether frequencies and channels have an axis each.
    #[config(default)]
    expand_dims: bool,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
    #[variable(
        shape = [frame_length, 1, frequencies(fft_length, frame_length)],
        init = wave(Side::Real, &window, &scaling, periodic),
        when = mode != SpectrogramMode::Imag
    )]
    real_kernel: Variable,
    #[variable(
        shape = [frame_length, 1, frequencies(fft_length, frame_length)],
        init = wave(Side::Imag, &window, &scaling, periodic),
        when = mode != SpectrogramMode::Real
    )]
    imag_kernel: Variable,
}

fn frequencies(fft_length: Option<usize>, frame_length: usize) -> usize {
    fft_length.unwrap_or(frame_length.next_power_of_two()) / 2 + 1
}

fn wave(side: Side, window: &OrNone<Window>, scaling: &OrNone<Scaling>, periodic: bool) -> AnyInitializer {
    STFT { side, window: window.0.clone(), scaling: scaling.0, periodic }.into()
}

/// The least amplitude and the least square of one.
const LEAST: f64 = crate::family::EPSILON;

impl STFTSpectrogram {
    fn check(&self) -> Result<()> {
        let fault = |message: String| Err(Error::invalid_argument(message));
        if self.frame_length == 0 {
            return fault("`frame_length` must be at least 1, found 0".to_owned());
        }
        match (self.frame_step, self.fft_length) {
            (Some(step), _) if step == 0 || step > self.frame_length => {
                fault(format!("`frame_step` must be from 1 to the frame's {}, found {step}", self.frame_length))
            }
            (_, Some(length)) if length < self.frame_length => {
                fault(format!("`fft_length` must be at least the frame's {}, found {length}", self.frame_length))
            }
            _ => Ok(()),
        }
    }

    /// Of waves `[batch, channels, places]` a convolution with a kernel: `[batch, channels, frames, frequencies]`.
    fn frames(&self, x: &Tensor, kernel: &Variable) -> Result<Tensor> {
        let step = self.frame_step.unwrap_or(self.frame_length / 2).max(1);
        let sliding = match self.padding {
            Padding::Valid => Sliding::new().strides([step]),
            Padding::Same => Sliding::new().strides([step]).same(),
            Padding::Causal => return Err(Error::invalid_argument("`padding` must be valid or same, found causal")),
        };
        let (Some(channels), Some(places)) = (x.shape().dim(1), x.shape().dim(2)) else {
            let message = format!("the places and channels of the input must be known, found shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        };
        let y = x.reshape([-1, places as i64, 1])?.convolution(kernel, &sliding)?;
        let Some([frames, bins]) = y.shape().dim(1).zip(y.shape().dim(2)).map(|(frames, bins)| [frames, bins]) else {
            return Err(Error::internal("a convolution of known places has known windows"));
        };
        y.reshape([-1, channels as i64, frames as i64, bins as i64])
    }

    /// `[batch, channels, frames, frequencies]` as it is given.
    fn arranged(&self, y: &Tensor) -> Result<Tensor> {
        let joined = |y: Tensor, axis: usize| {
            let dims = y.dims_but_batch()?;
            let (first, second) = if axis == 1 { (dims[0] * dims[1], dims[2]) } else { (dims[0], dims[1] * dims[2]) };
            y.reshape([-1, first, second])
        };
        match (self.data_format, self.expand_dims) {
            (DataFormat::ChannelsLast, true) => y.permute([0, 2, 3, 1]),
            (DataFormat::ChannelsLast, false) => joined(y.permute([0, 2, 1, 3])?, 2),
            (DataFormat::ChannelsFirst, true) => Ok(y.clone()),
            (DataFormat::ChannelsFirst, false) => joined(y.permute([0, 1, 3, 2])?, 1),
        }
    }
}

/// The dims of what is not a batch, which are known.
trait DimsButBatch {
    fn dims_but_batch(&self) -> Result<[i64; 3]>;
}

impl DimsButBatch for Tensor {
    fn dims_but_batch(&self) -> Result<[i64; 3]> {
        match [1, 2, 3].map(|axis| self.shape().dim(axis)) {
            [Some(a), Some(b), Some(c)] => Ok([a, b, c].map(|dim| dim as i64)),
            _ => Err(Error::internal("frames, frequencies and channels are known")),
        }
    }
}

impl Layer for STFTSpectrogram {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.check()?;
        if x.rank() != Some(3) || !x.dtype().is_float() {
            let message = format!("waves are floats of 3 dims, of a batch, places and channels, found {}", x.spec());
            return Err(Error::invalid_argument(message));
        }
        let x = x.cast(self.dtype.compute_dtype()?)?;
        let waves = if self.data_format == DataFormat::ChannelsLast { x.permute([0, 2, 1])? } else { x };
        match self.mode {
            SpectrogramMode::Real => return self.arranged(&self.frames(&waves, &self.real_kernel)?),
            SpectrogramMode::Imag => return self.arranged(&self.frames(&waves, &self.imag_kernel)?),
            _ => {}
        }
        let (real, imag) = (self.frames(&waves, &self.real_kernel)?, self.frames(&waves, &self.imag_kernel)?);
        match self.mode {
            SpectrogramMode::Stft => return self.arranged(&Tensor::concat(&[real, imag], -1)?),
            SpectrogramMode::Angle => return self.arranged(&imag.atan2(&real)?),
            _ => {}
        }
        let power = real.square()?.add(imag.square()?)?;
        if self.mode == SpectrogramMode::Psd {
            let bins = frequencies(self.fft_length, self.frame_length) as i64;
            let inner = power.slice((.., .., .., 1..(bins - 1).max(1)))?;
            let ends = [1, (bins - 1).min(1)];
            return self.arranged(&power.add(inner.pad([[0, 0], [0, 0], [0, 0], ends])?)?);
        }
        let magnitude = self.arranged(&power.maximum(LEAST)?.sqrt()?)?;
        match self.mode {
            SpectrogramMode::Magnitude => Ok(magnitude),
            _ => magnitude.maximum(LEAST)?.log(),
        }
    }
}

/// The spectrogram of waves by bands of the mel scale, along which differences of pitch are about as large as they are heard:
/// as decibels, unless told otherwise.
///
/// Waves are `[batch, places]` or one of `[places]`, and become `[batch, bands, frames]` or `[bands, frames]`, computed in
/// float64. How many places there are must be known, and be more than half of `fft_length`: the wave is continued backwards so
/// far at either end.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::MelSpectrogram;
/// # fn main() -> modulor::Result<()> {
/// let layer = MelSpectrogram::new().fft_length(64).sequence_stride(16).num_mel_bins(4).sampling_rate(800);
/// let wave: Vec<f32> = (0..128).map(|i| (0.5 * i as f32).sin()).collect();
/// assert_eq!(*layer.call(&Tensor::from(wave))?.shape(), [4, 9]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct MelSpectrogram {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The places of the Fourier transform; 2048 unless set.
    #[config(default = 2048)]
    fft_length: usize,
    /// How far a frame begins behind the one before it; 512 unless set.
    #[config(default = 512)]
    sequence_stride: usize,
    /// The places of the window, at most those of the transform, in the middle of which it is; as many unless set.
    #[config(default, into, written = sequence_length.or(Some(fft_length)))]
    sequence_length: Option<usize>,
    /// What each place of a frame is multiplied by: hann or hamming, or values; Hann's window unless set.
    #[config(default = OrNone(Some(Window::Named("hann".to_owned()))), into)]
    window: OrNone<Window>,
    /// The places of a second; 16000 unless set.
    #[config(default = 16000)]
    sampling_rate: usize,
    /// How many bands there are; 128 unless set.
    #[config(default = 128)]
    num_mel_bins: usize,
    /// Where the first band begins, in hertz; at 20 unless set.
    #[config(default = 20.0)]
    min_freq: f64,
    /// Where the last band ends; at half of `sampling_rate` unless set.
    #[config(default, into, written = max_freq.or(Some((sampling_rate / 2) as f64)))]
    max_freq: Option<f64>,
    /// Whether it gives decibels; it does unless this says no.
    #[config(default = true)]
    power_to_db: bool,
    /// How many decibels below the greatest value the least is; 80 unless set.
    #[config(default = 80.0)]
    top_db: f64,
    /// What amplitudes are raised to; 2 unless set.
    #[config(default = 2.0)]
    mag_exp: f64,
    /// The least power that decibels are of; 1e-10 unless set.
    #[config(default = 1e-10)]
    min_power: f64,
    /// The power of 0 decibels; 1 unless set.
    #[config(default = 1.0)]
    ref_power: f64,
}

/// A frequency in hertz on the mel scale, in Keras's float32.
fn mel(hertz: f32) -> f32 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

/// As many numbers as `count` from one to another.
fn steps(from: f32, to: f32, count: usize) -> impl Iterator<Item = f32> {
    let step = (to - from) / (count as f32 - 1.0);
    (0..count).map(move |at| if at + 1 == count { to } else { from + step * at as f32 })
}

impl MelSpectrogram {
    /// The window in the middle of the places of a transform.
    fn placed_window(&self) -> Result<Vec<f64>> {
        let length = self.sequence_length.unwrap_or(self.fft_length);
        let wrong = |message: String| Err(Error::invalid_argument(message));
        if length == 0 || length > self.fft_length || self.sequence_stride == 0 {
            let (fft, stride) = (self.fft_length, self.sequence_stride);
            return wrong(format!(
                "`sequence_length` must be from 1 to the `fft_length` {fft}, found {length}, and `sequence_stride` at least 1, found {stride}"
            ));
        }
        let window = match &self.window.0 {
            None => vec![1.0; length],
            // As in TensorFlow, a window of an odd length is a symmetric one.
            Some(Window::Named(name)) if ["hann", "hamming"].contains(&name.as_str()) => {
                signal::window(name, length, length.is_multiple_of(2))?
            }
            Some(Window::Named(name)) => return wrong(format!("`window` must be hann or hamming, found {name}")),
            Some(Window::Values(values)) if values.len() == length => values.clone(),
            Some(Window::Values(values)) => {
                return wrong(format!("`window` must have {length} values, found {}", values.len()));
            }
        };
        let before = (self.fft_length - length) / 2;
        let mut placed = vec![0.0; self.fft_length];
        placed[before..before + length].copy_from_slice(&window);
        Ok(placed)
    }

    /// The Fourier transform of windows as a kernel: `[fft_length, 1, 2·frequencies]`, the real parts first.
    fn kernel(&self) -> Result<Tensor> {
        let (window, length) = (self.placed_window()?, self.fft_length);
        let bins = length / 2 + 1;
        let angle = |at: usize| 2.0 * PI * at as f64 / length as f64;
        let waves: Vec<[f64; 2]> = (0..length).map(|at| [angle(at).cos(), -angle(at).sin()]).collect();
        let mut kernel = vec![0.0; length * 2 * bins];
        for ((at, row), weight) in kernel.chunks_exact_mut(2 * bins).enumerate().zip(window) {
            let (real, imag) = row.split_at_mut(bins);
            for (bin, (real, imag)) in real.iter_mut().zip(imag).enumerate() {
                let [cos, sin] = waves[at * bin % length];
                (*real, *imag) = (weight * cos, weight * sin);
            }
        }
        Tensor::new([length, 1, 2 * bins], kernel)
    }

    /// How much of each frequency is in each band: `[frequencies, bands]`, triangles on the mel scale. The least is in none.
    fn bands(&self) -> Result<Tensor> {
        let (bins, bands) = (self.fft_length / 2 + 1, self.num_mel_bins);
        let highest = self.max_freq.unwrap_or((self.sampling_rate / 2) as f64);
        let edges: Vec<f32> = steps(mel(self.min_freq as f32), mel(highest as f32), bands + 2).collect();
        let mut weights = vec![0.0; bins * bands];
        for (at, hertz) in steps(0.0, self.sampling_rate as f32 / 2.0, bins).enumerate().skip(1) {
            let place = mel(hertz);
            for (weight, edges) in weights[at * bands..][..bands].iter_mut().zip(edges.windows(3)) {
                let (rising, falling) =
                    ((place - edges[0]) / (edges[1] - edges[0]), (edges[2] - place) / (edges[2] - edges[1]));
                *weight = f64::from(rising.min(falling).max(0.0));
            }
        }
        Tensor::new([bins, bands], weights)
    }
}

impl Layer for MelSpectrogram {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, half) = (x.cast(DType::F64)?, (self.fft_length / 2) as i64);
        let wide = match x.rank() {
            Some(1) => wide.expand_dims(0)?,
            Some(2) => wide,
            _ => {
                let message = format!("waves are `[batch, places]` or `[places]`, found shape {}", x.shape());
                return Err(Error::invalid_argument(message));
            }
        };
        if wide.shape().dim(1).is_none() {
            let axis = x.rank().unwrap_or(1) - 1;
            let message = format!("how many places there are must be known: axis {axis} of the input is unknown");
            return Err(Error::invalid_argument(message));
        }
        let (kernel, bins) = (self.kernel()?, half + 1);
        let wide = wide.pad_reflect([[0, 0], [half, half]])?.expand_dims(-1)?;
        let both = wide.convolution(&kernel, &Sliding::new().strides([self.sequence_stride]))?;
        let (real, imag) = (both.slice((.., .., ..bins))?, both.slice((.., .., bins..))?);
        let amplitude = real.square()?.add(imag.square()?)?.sqrt()?;
        let mut y = amplitude.pow(self.mag_exp)?.matmul(self.bands()?)?;
        if self.power_to_db {
            let decibels = |x: Tensor| x.maximum(self.min_power)?.log()?.mul(10.0 / std::f64::consts::LN_10);
            let reference = decibels(Tensor::scalar(self.ref_power.abs()))?;
            y = decibels(y)?.sub(reference)?;
            y = y.maximum(y.max(..)?.sub(self.top_db)?)?;
        }
        let y = y.swap_axes(-1, -2)?.cast(self.dtype.compute_dtype()?)?;
        if x.rank() == Some(1) { y.squeeze([0]) } else { Ok(y) }
    }
}

defaults! { MelSpectrogram STFTSpectrogram }
