//! Keras's functions of signals: Fourier transforms of numbers whose real and imaginary parts are two tensors, of signals piece
//! by piece, and what those are made of.

use super::composite::composite;
use super::fourier::LONGEST;
use crate::{DType, Ellipsis, Error, Result, Tensor};
use std::f64::consts::PI;

/// Complex numbers of real and imaginary parts, which are alike.
fn joined((re, im): (&Tensor, &Tensor)) -> Result<Tensor> {
    re.check()?;
    im.check()?;
    if re.dtype() != im.dtype() || re.shape().merge(im.shape()).is_none() {
        let message = format!("real and imaginary parts must be alike, found {} and {}", re.spec(), im.spec());
        return Err(Error::invalid_argument(message));
    }
    Tensor::complex(re, im)
}

fn apart(x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((x.real()?, x.imag()?))
}

/// How many places the last axis has, which must be known.
fn places(x: &Tensor, what: &str) -> Result<usize> {
    x.check()?;
    let last = x.shape().dims().and_then(|dims| dims.last().copied().flatten());
    last.ok_or_else(|| {
        Error::invalid_argument(format!("the last axis of {what} must be there and known, found shape {}", x.shape()))
    })
}

fn at_least_one(what: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::invalid_argument(format!("`{what}` must be at least 1, found 0"))),
        _ => Ok(()),
    }
}

/// The discrete Fourier transform along the last axis of numbers of real and imaginary parts, float32 or float64 of one shape:
/// its real and its imaginary parts. Keras's `ops.fft`; [`Tensor::fft`] is that of complex numbers.
///
/// ```
/// use modulor_core::{Tensor, ops::signal};
/// # fn main() -> modulor_core::Result<()> {
/// let x = (&Tensor::from([1.0_f64, 2.0, 3.0, 4.0]), &Tensor::from([0.0_f64; 4]));
/// let (re, im) = signal::fft(x)?;
/// assert!(re.all_close(Tensor::from([10.0, -2.0, -2.0, -2.0]), 0.0, 1e-12, false)?.item::<bool>()?);
/// assert!(im.all_close(Tensor::from([0.0, 2.0, 0.0, -2.0]), 0.0, 1e-12, false)?.item::<bool>()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For parts that are not alike or of other dtypes, and without an axis.
pub fn fft(x: (&Tensor, &Tensor)) -> Result<(Tensor, Tensor)> {
    composite("fft", || apart(&joined(x)?.fft(1)?))
}

/// [`fft`] along the last two axes. Keras's `ops.fft2`.
pub fn fft2(x: (&Tensor, &Tensor)) -> Result<(Tensor, Tensor)> {
    composite("fft2", || apart(&joined(x)?.fft(2)?))
}

/// What [`fft2`] makes this of. Keras's `ops.ifft2`.
pub fn ifft2(x: (&Tensor, &Tensor)) -> Result<(Tensor, Tensor)> {
    composite("ifft2", || apart(&joined(x)?.ifft(2)?))
}

/// The first `n/2 + 1` frequencies of n real numbers along the last axis, as real and imaginary parts; the numbers are cut, or
/// filled up with zeros, to `fft_length` if that is said. Keras's `ops.rfft`.
///
/// ```
/// use modulor_core::{Tensor, ops::signal};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([1.0_f32, 2.0, 3.0, 4.0, 5.0]);
/// let (re, im) = signal::rfft(&x, None)?;
/// assert_eq!(re.dims()?, [3]);
/// assert!(signal::irfft((&re, &im), 5)?.sub(&x)?.abs()?.max(..)?.item::<f32>()? < 1e-5);
/// # Ok(())
/// # }
/// ```
pub fn rfft(x: &Tensor, fft_length: impl Into<Option<usize>>) -> Result<(Tensor, Tensor)> {
    let length = fft_length.into().map_or_else(|| places(x, "what is transformed"), Ok)?;
    composite("rfft", || apart(&x.rfft(&[length])?))
}

/// The real numbers that [`rfft`] makes this of: as many as `fft_length` says, or twice as many as there are frequencies but for
/// the first and the last one. Keras's `ops.irfft`.
pub fn irfft(x: (&Tensor, &Tensor), fft_length: impl Into<Option<usize>>) -> Result<Tensor> {
    let twice = || Ok(places(x.0, "frequencies")?.saturating_sub(1).saturating_mul(2));
    let length = fft_length.into().map_or_else(twice, Ok)?;
    composite("irfft", || joined(x)?.irfft(&[length]))
}

/// Pieces of `sequence_length` places of the last axis, each of which begins `sequence_stride` behind the one before it: along two
/// axes, of pieces and of their places. What is behind the last whole piece is left out. Keras's `ops.extract_sequences`.
///
/// ```
/// use modulor_core::{Tensor, ops::signal};
/// # fn main() -> modulor_core::Result<()> {
/// let y = signal::extract_sequences(&Tensor::from([1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]), 3, 2)?;
/// assert_eq!((y.dims()?, y.to_vec::<f32>()?), (&[2, 3][..], vec![1.0, 2.0, 3.0, 3.0, 4.0, 5.0]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For a length or stride of 0 or a length of more than memory has, and where the last axis is not known.
pub fn extract_sequences(x: &Tensor, sequence_length: usize, sequence_stride: usize) -> Result<Tensor> {
    at_least_one("sequence_length", sequence_length)?;
    at_least_one("sequence_stride", sequence_stride)?;
    let found = places(x, "a signal")?;
    let count = found.checked_sub(sequence_length).map_or(0, |rest| 1 + rest / sequence_stride);
    // Where there are no two pieces, it does not matter how far apart they are.
    let stride = sequence_stride.min(found.max(1)) as i64;
    let within = Tensor::range(0, i64::try_from(sequence_length).unwrap_or(i64::MAX), 1)?;
    let places = Tensor::range(0, count as i64, 1)?.mul(Tensor::scalar(stride))?.expand_dims(1)?.add(within)?;
    composite("extract_sequences", || x.gather(&places, -1))
}

/// The ratio of the greatest value that signals may have to their difference, in decibels: `10·log₁₀(max²/mean (x1 − x2)²)`. A
/// scalar; infinite of signals that do not differ. Keras's `ops.psnr`.
///
/// ```
/// use modulor_core::{Tensor, ops::signal};
/// # fn main() -> modulor_core::Result<()> {
/// let (a, b) = (Tensor::from([0.5_f64, 0.25]), Tensor::from([0.4_f64, 0.35]));
/// assert!((signal::psnr(&a, &b, 1.0)?.item::<f64>()? - 20.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For signals of different shapes or dtypes, or that are not floats.
pub fn psnr(x1: &Tensor, x2: &Tensor, max_val: f64) -> Result<Tensor> {
    x1.check()?;
    x2.check()?;
    if x1.dtype() != x2.dtype() || !x1.dtype().is_float() || x1.shape().merge(x2.shape()).is_none() {
        let message = format!("signals are floats of one dtype and shape, found {} and {}", x1.spec(), x2.spec());
        return Err(Error::invalid_argument(message));
    }
    composite("psnr", || {
        let error = x1.sub(x2)?.square()?.mean(..)?;
        error.log()?.mul(-10.0 / 10.0_f64.ln())?.add(20.0 * max_val.log10())
    })
}

/// The names of the windows that [`window`] knows, SciPy's.
pub const WINDOWS: &[&str] =
    &["bartlett", "blackman", "blackmanharris", "boxcar", "cosine", "flattop", "hamming", "hann", "nuttall"];

/// The values of a window of one of [`WINDOWS`]: symmetric or, if `periodic`, one period of a function that goes on, which is a
/// symmetric window that is longer by one and loses its last value.
///
/// ```
/// use modulor_core::ops::signal;
/// # fn main() -> modulor_core::Result<()> {
/// let near = |found: Vec<f64>, values: [f64; 4]| found.iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-15);
/// assert!(near(signal::window("hann", 4, false)?, [0.0, 0.75, 0.75, 0.0]));
/// assert!(near(signal::window("hann", 4, true)?, [0.0, 0.5, 1.0, 0.5]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For another name.
pub fn window(name: &str, length: usize, periodic: bool) -> Result<Vec<f64>> {
    if length > LONGEST {
        return Err(Error::invalid_argument(format!("a window has at most {LONGEST} places, found {length}")));
    }
    if length <= 1 && WINDOWS.contains(&name) {
        return Ok(vec![1.0; length]);
    }
    let last = if periodic { length } else { length.saturating_sub(1) } as f64;
    let all = |value: &dyn Fn(f64) -> f64| (0..length).map(|i| value(i as f64)).collect::<Vec<f64>>();
    let cosines = |terms: &[f64]| {
        all(&|i| {
            let angle = 2.0 * PI * i / last - PI;
            terms.iter().zip(0..).map(|(a, k)| a * (f64::from(k) * angle).cos()).sum()
        })
    };
    Ok(match name {
        "bartlett" => all(&|i| 1.0 - (2.0 * i / last - 1.0).abs()),
        "blackman" => cosines(&[0.42, 0.5, 0.08]),
        "blackmanharris" => cosines(&[0.358_75, 0.488_29, 0.141_28, 0.011_68]),
        "boxcar" => vec![1.0; length],
        "cosine" => all(&|i| (PI * (i + 0.5) / (last + 1.0)).sin()),
        "flattop" => cosines(&[0.215_578_95, 0.416_631_58, 0.277_263_158, 0.083_578_947, 0.006_947_368]),
        "hamming" => cosines(&[0.54, 0.46]),
        "hann" => cosines(&[0.5, 0.5]),
        "nuttall" => cosines(&[0.363_581_9, 0.489_177_5, 0.136_599_5, 0.010_641_1]),
        other => {
            let known = WINDOWS.join(", ");
            return Err(Error::invalid_argument(format!("unknown window `{other}`; the windows are {known}")));
        }
    })
}

/// Kaiser's window, symmetric: `I₀(β·√(1 − (2i/(length − 1) − 1)²)) / I₀(β)`, float64. Keras's `ops.kaiser`.
///
/// ```
/// use modulor_core::ops::signal;
/// # fn main() -> modulor_core::Result<()> {
/// let y = signal::kaiser(3, 4.0)?.to_vec::<f64>()?;
/// assert!((y[0] - 0.088_480_526_076).abs() < 1e-12 && y[1] == 1.0 && y[0] == y[2]);
/// # Ok(())
/// # }
/// ```
pub fn kaiser(length: usize, beta: f64) -> Result<Tensor> {
    if length > LONGEST {
        return Err(Error::invalid_argument(format!("a window has at most {LONGEST} places, found {length}")));
    }
    let last = length.saturating_sub(1).max(1) as f64;
    let part = |i: usize| if length == 1 { 0.0 } else { 2.0 * i as f64 / last - 1.0 };
    let inner = |i: usize| beta * (1.0 - part(i) * part(i)).max(0.0).sqrt();
    let inner = Tensor::new([length], (0..length).map(inner).collect::<Vec<f64>>())?;
    // I₀(x) = e^|x|·I₀e(x), so that nothing overflows.
    let scale = inner.abs()?.sub(beta.abs())?.exp()?;
    inner.bessel_i0e()?.div(Tensor::scalar(beta).bessel_i0e()?)?.mul(scale)
}

/// What each place of a piece of a signal is multiplied by.
#[derive(Clone, Debug, Default)]
pub enum Window {
    /// Hann's: `½ − ½ cos`.
    #[default]
    Hann,
    /// Hamming's: `0.54 − 0.46 cos`.
    Hamming,
    /// Nothing.
    None,
    /// As many values as a piece has places.
    Values(Tensor),
}

/// Fourier transforms of a signal piece by piece: how long the pieces are, and how they lie.
///
/// ```
/// use modulor_core::{Tensor, ops::signal::Stft};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::new([40], (0..40).map(|i| (i as f64 * 0.3).sin()).collect::<Vec<_>>())?;
/// let stft = Stft::new(8, 2, 8);
/// let (re, im) = stft.of(&x)?;
/// assert_eq!(re.dims()?, [21, 5]);
/// // At either end some of the pieces that would overlap there are missing.
/// let within = |x: &Tensor| x.slice(2..38);
/// let back = within(&stft.back((&re, &im), 40)?)?;
/// assert!(back.all_close(within(&x)?, 0.0, 1e-12, false)?.item::<bool>()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stft {
    length: usize,
    stride: usize,
    fft_length: usize,
    window: Window,
    center: bool,
}

impl Stft {
    /// Of pieces of `sequence_length` places, each of which begins `sequence_stride` behind the one before it, with zeros on either
    /// side up to `fft_length`, which is not less; with Hann's window, and pieces around their places.
    pub fn new(sequence_length: usize, sequence_stride: usize, fft_length: usize) -> Stft {
        Stft { length: sequence_length, stride: sequence_stride, fft_length, window: Window::Hann, center: true }
    }

    /// What each place of a piece is multiplied by.
    pub fn window(mut self, window: Window) -> Stft {
        self.window = window;
        self
    }

    /// Whether the first piece is around the first place, the signal being continued backwards at either end by half of
    /// `fft_length`; else it begins there.
    pub fn center(mut self, center: bool) -> Stft {
        self.center = center;
        self
    }

    fn check(&self) -> Result<()> {
        at_least_one("sequence_length", self.length)?;
        at_least_one("sequence_stride", self.stride)?;
        let (found, length) = (self.fft_length, self.length);
        if found < length {
            let message = format!("`fft_length` must be at least the {length} places of a piece, found {found}");
            return Err(Error::invalid_argument(message));
        }
        for (what, found) in [("fft_length", found), ("sequence_stride", self.stride)] {
            if found > LONGEST {
                return Err(Error::invalid_argument(format!("`{what}` is at most {LONGEST}, found {found}")));
            }
        }
        Ok(())
    }

    /// The window with zeros on either side, if there is one.
    fn filled(&self, dtype: DType) -> Result<Option<Tensor>> {
        // As in TensorFlow, a window of an odd length is a symmetric one.
        let named = |name: &str| {
            Tensor::new([self.length], window(name, self.length, self.length.is_multiple_of(2))?)?.cast(dtype)
        };
        let window = match &self.window {
            Window::Hann => named("hann")?,
            Window::Hamming => named("hamming")?,
            Window::None => return Ok(None),
            Window::Values(values) => {
                if *values.shape() != [self.length][..] {
                    let (length, found) = (self.length, values.shape());
                    return Err(Error::invalid_argument(format!("a window is of shape ({length},), found {found}")));
                }
                values.cast(dtype)?
            }
        };
        let (left, more) = ((self.fft_length - self.length) / 2, self.fft_length - self.length);
        Ok(Some(window.pad([[left as i64, (more - left) as i64]])?))
    }

    /// The real and the imaginary parts of the frequencies of each piece of the last axis: two axes, of pieces and of
    /// `fft_length/2 + 1` frequencies. Keras's `ops.stft`.
    ///
    /// # Errors
    /// For numbers other than float32 and float64, where the last axis is not known or too short to be continued, and for pieces
    /// that are longer than `fft_length`.
    pub fn of(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check()?;
        places(x, "a signal")?;
        composite("stft", || {
            let half = (self.fft_length / 2) as i64;
            let mut ends = vec![[0, 0]; x.rank().unwrap_or(1)];
            ends.last_mut().into_iter().for_each(|ends| *ends = [half, half]);
            let x = if self.center { &x.pad_reflect(ends)? } else { x };
            let pieces = extract_sequences(x, self.fft_length, self.stride)?;
            let pieces = match self.filled(x.dtype())? {
                Some(window) => pieces.mul(window)?,
                None => pieces,
            };
            apart(&pieces.rfft(&[self.fft_length])?)
        })
    }

    /// The signal whose pieces have these frequencies, `length` places of it if that is said: pieces that overlap are added up, and
    /// divided by what their windows add up to. Keras's `ops.istft`.
    ///
    /// # Errors
    /// As for [`of`](Stft::of); where it is not known how many pieces there are.
    pub fn back(&self, x: (&Tensor, &Tensor), length: impl Into<Option<usize>>) -> Result<Tensor> {
        self.check()?;
        let length = length.into();
        let unknown = || {
            let shape = x.0.shape();
            Error::invalid_argument(format!("pieces and frequencies are two axes that are known, found shape {shape}"))
        };
        let rank = x.0.rank().filter(|&rank| rank > 1).ok_or_else(unknown)?;
        let count = x.0.shape().dim(rank - 2).ok_or_else(unknown)?;
        composite("istft", || {
            let pieces = joined(x)?.irfft(&[self.fft_length])?;
            let pieces = match self.filled(pieces.dtype())? {
                Some(window) => pieces.mul(self.inverse(&window)?)?,
                None => pieces,
            };
            let whole = self.overlapped(&pieces, count)?;
            let all = places(&whole, "a signal")?;
            let half = self.fft_length / 2;
            let start = if self.center { half } else { 0 };
            let end = match length {
                Some(length) => start.saturating_add(length),
                None if self.center && half > 0 => all.saturating_sub(half),
                None => all,
            };
            let end = end.min(all);
            whole.slice((Ellipsis, start.min(end)..end))
        })
    }

    /// What a piece is multiplied by on the way back: the window over the sum of the squares of all that meet there, and 0 where
    /// that is 0.
    fn inverse(&self, window: &Tensor) -> Result<Tensor> {
        let overlaps = self.fft_length.div_ceil(self.stride);
        let all = overlaps * self.stride;
        let squares = window.square()?.pad([[0, (all - self.fft_length) as i64]])?;
        let squares = squares.reshape([overlaps as i64, self.stride as i64])?.sum_keepdims(0)?;
        let squares = squares.tile([overlaps as i64, 1])?.reshape([all as i64])?.slice(0..self.fft_length)?;
        window.div_no_nan(squares)
    }

    /// `[…, count, fft_length]` added up at the places where pieces lie: `[…, places]`.
    fn overlapped(&self, pieces: &Tensor, count: usize) -> Result<Tensor> {
        let (overlaps, stride) = (self.fft_length.div_ceil(self.stride), self.stride);
        let wide = overlaps * stride;
        let rank = pieces.rank().unwrap_or(2);
        let mut ends = vec![[0, 0]; rank];
        ends[rank - 1] = [0, (wide - self.fft_length) as i64];
        let pieces = pieces.pad(&ends)?;
        // None of these is longer than what was padded, whose elements can be counted.
        let mut dims: Vec<i64> = vec![-1, (count * stride) as i64];
        let mut whole = None::<Tensor>;
        for part in 0..overlaps {
            let own = pieces.slice((Ellipsis, part * stride..(part + 1) * stride))?.reshape(&dims)?;
            let own = own.pad([[0, 0], [(part * stride) as i64, ((overlaps - 1 - part) * stride) as i64]])?;
            whole = Some(match whole {
                Some(whole) => whole.add(own)?,
                None => own,
            });
        }
        let whole = whole.ok_or_else(|| Error::internal("a piece has places"))?;
        let all = if count == 0 { 0 } else { (count - 1) * stride + self.fft_length };
        let whole = whole.slice((.., 0..all))?;
        let open =
            || Error::invalid_argument(format!("one dim at most may be unknown, found shape {}", pieces.shape()));
        let batch = pieces.shape().dims().unwrap_or_default();
        dims = batch[..rank - 2].iter().map(|dim| dim.map_or(-1, |dim| dim as i64)).collect();
        if dims.iter().filter(|&&dim| dim == -1).count() > 1 {
            return Err(open());
        }
        dims.push(all as i64);
        whole.reshape(&dims)
    }
}
