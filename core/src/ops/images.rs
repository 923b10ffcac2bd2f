//! Keras's functions of images, `[batch, rows, columns, channels]`: blurred, moved, seen from another side; their edges, and how
//! alike they are.
//!
//! Images whose channels come first are permuted before and after. Those that TensorFlow has an op for are methods of tensors:
//! [`resize`](Tensor::resize), [`projective_transform`](Tensor::projective_transform), [`rgb_to_hsv`](Tensor::rgb_to_hsv),
//! [`image_patches`](Tensor::image_patches).

use super::composite::composite;
use super::sliding::Sliding;
use crate::op::{Operand, allowed};
use crate::{DType, Ellipsis, Error, FillMode, Interpolation, Result, Tensor};

/// The rows, columns and channels of images, which must be known.
fn sides(x: &Tensor) -> Result<[usize; 3]> {
    x.check()?;
    match x.shape().dims().as_deref() {
        Some(&[_, Some(rows), Some(columns), Some(channels)]) => Ok([rows, columns, channels]),
        _ => Err(Error::invalid_argument(format!(
            "images are [batch, rows, columns, channels], known but for the batch, found shape {}",
            x.shape()
        ))),
    }
}

/// The shades of grey of images in red, green and blue, along the last axis: 0.2989, 0.587 and 0.114 of each. Images of one channel
/// stay as they are. Keras's `ops.image.rgb_to_grayscale`.
///
/// ```
/// use modulor_core::{Tensor, ops::images};
/// # fn main() -> modulor_core::Result<()> {
/// assert_eq!(images::rgb_to_grayscale(&Tensor::from([[1.0_f64, 0.0, 10.0]]))?.to_vec::<f64>()?, [1.4389]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For a last axis of other than 1 or 3 places, or that is not known.
pub fn rgb_to_grayscale(x: &Tensor) -> Result<Tensor> {
    x.check()?;
    match x.shape().dims().and_then(|dims| dims.last().copied().flatten()) {
        Some(1) => Ok(x.clone()),
        Some(3) => composite("rgb_to_grayscale", || {
            let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
            let shares = Tensor::from([0.2989, 0.587, 0.114]).cast(dtype)?;
            x.cast(dtype)?.mul(shares)?.sum_keepdims(-1)?.cast(x.dtype())
        }),
        _ => {
            let message = format!("the last axis must be 1 or 3 channels, found shape {}", x.shape());
            Err(Error::invalid_argument(message))
        }
    }
}

/// How much images change down their rows and to the right, `[batch, rows, columns, channels, 2]`, by Sobel's weights; at the edges
/// they are continued backwards. TensorFlow's `tf.image.sobel_edges`, Keras's `ops.image.sobel_edges`.
///
/// ```
/// use modulor_core::{Tensor, ops::images};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[[[1.0_f32], [2.0], [3.0]], [[1.0], [2.0], [3.0]]]]);
/// let right = images::sobel_edges(&x)?.slice((modulor_core::Ellipsis, 1))?;
/// assert_eq!(right.to_vec::<f32>()?, [0.0, 8.0, 0.0, 0.0, 8.0, 0.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For images of other than four axes, or of fewer than two rows or columns.
pub fn sobel_edges(x: &Tensor) -> Result<Tensor> {
    composite("sobel_edges", || {
        let x = x.pad_reflect([[0, 0], [1, 1], [1, 1], [0, 0]])?;
        let change = |x: &Tensor, down: bool| match down {
            true => x.slice((.., 2..))?.sub(x.slice((.., ..-2))?),
            false => x.slice((.., .., 2..))?.sub(x.slice((.., .., ..-2))?),
        };
        let smooth = |x: &Tensor, down: bool| {
            let parts = match down {
                true => [x.slice((.., ..-2))?, x.slice((.., 1..))?.slice((.., ..-1))?, x.slice((.., 2..))?],
                false => {
                    [x.slice((.., .., ..-2))?, x.slice((.., .., 1..))?.slice((.., .., ..-1))?, x.slice((.., .., 2..))?]
                }
            };
            let [before, at, behind] = parts;
            before.add(at.mul(2.0)?)?.add(behind)
        };
        Tensor::stack(&[smooth(&change(&x, true)?, false)?, smooth(&change(&x, false)?, true)?], -1)
    })
}

/// Weights that fall with the distance as a normal distribution does, and sum to 1.
pub fn gaussian_weights(distances: &Tensor, sigma: impl Operand) -> Result<Tensor> {
    let sigma = sigma.operand(distances.dtype())?;
    composite("gaussian_weights", || {
        let weights = distances.div(sigma)?.square()?.mul(-0.5)?.exp()?;
        weights.div(weights.sum(..)?)
    })
}

/// The distances of so many places from the one in their middle.
fn distances(places: usize, dtype: DType) -> Result<Tensor> {
    let places = i64::try_from(places).unwrap_or(i64::MAX);
    Tensor::range(0, places, 1)?.cast(dtype)?.sub((places - 1) as f64 / 2.0)
}

/// Sums of the values around each, with the products of these weights; what lies beyond the edges is 0. As in Keras's blurs, the
/// products are laid out with the second ones as rows, and read with as many rows as there are of the first. Channels must be known.
pub fn blurred(x: &Tensor, first: &Tensor, second: &Tensor) -> Result<Tensor> {
    composite("blurred", || x.depthwise_convolution(&filter(x, first, second)?, &Sliding::new().strides([1, 1]).same()))
}

/// The same filter for each channel.
fn filter(x: &Tensor, first: &Tensor, second: &Tensor) -> Result<Tensor> {
    let channels = x.shape().dims().and_then(|dims| dims.last().copied().flatten()).ok_or_else(|| {
        Error::invalid_argument(format!("the channels of images must be known, found shape {}", x.shape()))
    })?;
    let size = Tensor::stack(&[first.length(0)?, second.length(0)?], 0)?.cast(DType::I64)?;
    let products = second.expand_dims(1)?.mul(first)?;
    let products = products.reshape_by(&Tensor::concat(&[size, Tensor::from([1_i64, 1])], 0)?)?;
    Tensor::concat(&vec![products; channels], 2)
}

/// Images, each place of which is a mean of those around it with the weights of a normal distribution: of so many rows and columns,
/// and as wide along either. Keras's `ops.image.gaussian_blur`, the rows of whose weights are its columns where they are not
/// equally many.
///
/// ```
/// use modulor_core::{Tensor, ops::images};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[[[0.0_f64], [0.0], [1.0], [0.0], [0.0]]]]);
/// let y = images::gaussian_blur(&x, [1, 3], [1.0, 1.0])?.to_vec::<f64>()?;
/// assert!((y[1] - 0.274_068_619_061_2).abs() < 1e-12 && (y[2] - 0.451_862_761_877_6).abs() < 1e-12 && y[0] == 0.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For images whose channels are not known, or that are no floats.
pub fn gaussian_blur(x: &Tensor, size: [usize; 2], sigma: [f64; 2]) -> Result<Tensor> {
    x.check()?;
    let dtype = allowed(x.dtype(), |dtype| dtype.is_float(), "floats")?;
    if size.contains(&0) {
        return Err(Error::invalid_argument(format!("places around one are at least one, found {size:?}")));
    }
    composite("gaussian_blur", || {
        let [first, second] = [0, 1].map(|axis| gaussian_weights(&distances(size[axis], dtype)?, sigma[axis]));
        blurred(x, &first?, &second?)
    })
}

/// How places between those of an image are made, and what lies beyond its edges.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    interpolation: Interpolation,
    fill_mode: FillMode,
    fill_value: f64,
}

impl Sampling {
    /// What lies at these places along each axis of the rows of `x`, of so many sides, from the row `first` on.
    fn at(&self, x: &Tensor, first: Option<&Tensor>, places: &[Tensor], sides: &[usize]) -> Result<Tensor> {
        // The corners around each place: a row, its weight, and whether it is within.
        let mut corners: Vec<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> = vec![(first.cloned(), None, None)];
        let mut step: f64 = sides.iter().map(|&side| side as f64).product();
        for (places, &side) in places.iter().zip(sides) {
            step /= side.max(1) as f64;
            let mut next = Vec::new();
            for (row, weight, within) in &corners {
                for (place, part) in self.neighbours(places)? {
                    let (place, is_within) = self.within(&place, side)?;
                    let own = place.mul(step)?;
                    let row = row.as_ref().map_or(Ok(own.clone()), |row| row.add(&own))?;
                    let weight = weight.as_ref().map_or(Ok(part.clone()), |weight| weight.mul(&part))?;
                    let within = match (within, is_within) {
                        (Some(all), Some(own)) => Some(all.logical_and(&own)?),
                        (all, own) => own.or_else(|| all.clone()),
                    };
                    next.push((Some(row), Some(weight), within));
                }
            }
            corners = next;
        }
        let mut sum: Option<Tensor> = None;
        for (row, weight, within) in corners {
            let (Some(row), Some(weight)) = (row, weight) else {
                return Err(Error::invalid_argument("there is at least one axis to have places along"));
            };
            let mut value = x.gather(&row, 0)?;
            if let Some(within) = within {
                value = within.expand_dims(-1)?.select(&value, &self.fill_value.operand(x.dtype())?)?;
            }
            let part = weight.expand_dims(-1)?.mul(value)?;
            sum = Some(sum.map_or(Ok(part.clone()), |sum| sum.add(&part))?);
        }
        sum.ok_or_else(|| Error::internal("a place has a neighbour"))
    }

    /// The places around some between places, int64, and how much each counts.
    fn neighbours(&self, places: &Tensor) -> Result<Vec<(Tensor, Tensor)>> {
        match self.interpolation {
            Interpolation::Nearest => Ok(vec![(places.round()?.cast(DType::I64)?, places.ones_like()?)]),
            Interpolation::Bilinear => {
                let before = places.floor()?;
                let part = places.sub(&before)?;
                let before = before.cast(DType::I64)?;
                Ok(vec![(before.clone(), 1.0 - &part), (before.add(1.0)?, part)])
            }
            Interpolation::Bicubic => {
                Err(Error::invalid_argument("places are made as at the nearest or bilinearly, found Bicubic"))
            }
        }
    }

    /// The place whose value stands at a place, and, where that is so only within the image, whether it is within.
    fn within(&self, place: &Tensor, count: usize) -> Result<(Tensor, Option<Tensor>)> {
        let (last, count) = (count as f64 - 1.0, count as f64);
        let nearest = |place: &Tensor| place.maximum(0.0)?.minimum(last);
        Ok(match self.fill_mode {
            FillMode::Constant => {
                let is_within = place.greater_equal(0.0)?.logical_and(&place.less_equal(last)?)?;
                (nearest(place)?, Some(is_within))
            }
            FillMode::Nearest => (nearest(place)?, None),
            FillMode::Wrap => (place.floor_mod(count)?, None),
            FillMode::Reflect => {
                let turned = place.abs()?.floor_mod(2.0 * count)?;
                (turned.less(count)?.select(&turned, &((2.0 * count - 1.0) - &turned))?, None)
            }
        })
    }
}

/// What a tensor of known sizes has at places between its own: `coordinates` has one entry along its first axis for each axis of `x`,
/// floats; the result has its other axes. Beyond the edges, [`FillMode::Reflect`] leaves the edge out before the first place and has
/// it behind the last one. Keras's `ops.image.map_coordinates`, with `order` 0 or 1.
///
/// ```
/// use modulor_core::{FillMode, Interpolation, Tensor, ops::images};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let at = Tensor::from([[0.5_f32, 1.0], [0.5, 5.0]]);
/// let y = images::map_coordinates(&x, &at, Interpolation::Bilinear, FillMode::Constant, -1.0)?;
/// assert_eq!(y.to_vec::<f32>()?, [2.5, -1.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For coordinates that are no floats or not one for each axis, sizes that are not known or 0, and for
/// [`Interpolation::Bicubic`].
pub fn map_coordinates(
    x: &Tensor,
    coordinates: &Tensor,
    interpolation: Interpolation,
    fill_mode: FillMode,
    fill_value: f64,
) -> Result<Tensor> {
    x.check()?;
    coordinates.check()?;
    let of = allowed(coordinates.dtype(), |dtype| dtype.is_float(), "coordinates that are floats")?;
    let sides =
        x.shape().known().filter(|sides| !sides.contains(&0)).map(<[usize]>::to_vec).ok_or_else(|| {
            Error::invalid_argument(format!("sizes must be known, and not 0, found shape {}", x.shape()))
        })?;
    if sides.is_empty() || coordinates.shape().dim(0) != Some(sides.len()) {
        let message = format!(
            "the first axis of coordinates has one for each of the {} axes, found shape {}",
            sides.len(),
            coordinates.shape()
        );
        return Err(Error::invalid_argument(message));
    }
    composite("map_coordinates", || {
        let sampling = Sampling { interpolation, fill_mode, fill_value };
        let found = sampling.at(&x.cast(of)?.reshape([-1, 1])?, None, &coordinates.unstack(0)?, &sides)?;
        let found = found.squeeze([-1])?;
        if x.dtype().is_float() { found.cast(x.dtype()) } else { found.round()?.cast(x.dtype()) }
    })
}

/// Images of floats, each place of which shows what is so far `down` and to the `right`, numbers of `[batch, rows, columns]`.
///
/// # Errors
/// As for [`map_coordinates`].
pub fn displaced(
    x: &Tensor,
    [down, right]: [&Tensor; 2],
    interpolation: Interpolation,
    fill_mode: FillMode,
    fill_value: f64,
) -> Result<Tensor> {
    let [rows, columns, channels] = sides(x)?;
    composite("displaced", || {
        let place = |moved: &Tensor, count: usize, dims: [i64; 3]| {
            Tensor::range(0, count as i64, 1)?.cast(x.dtype())?.reshape(dims)?.add(moved)
        };
        let places = [place(down, rows, [1, -1, 1])?, place(right, columns, [1, 1, -1])?];
        let images = down.slice((.., 0, 0))?.ones_like()?.cast(DType::I64)?.cumsum(0)?.sub(1.0)?.reshape([-1, 1, 1])?;
        let first = images.mul(rows as f64 * columns as f64)?;
        let sampling = Sampling { interpolation, fill_mode, fill_value };
        sampling.at(&x.reshape([-1, channels as i64])?, Some(&first), &places, &[rows, columns])
    })
}

/// Images distorted as if they were drawn on rubber: each place shows what is `alpha` times a normal number of deviation `sigma` away,
/// blurred by a normal distribution as wide as that. What is drawn follows from `seed`, two int32 or int64; as in Keras, places move
/// as far down as to the right. Keras's `ops.image.elastic_transform`.
///
/// # Errors
/// As for [`map_coordinates`].
pub fn elastic_transform(
    x: &Tensor,
    alpha: f64,
    sigma: f64,
    interpolation: Interpolation,
    fill_mode: FillMode,
    fill_value: f64,
    seed: &Tensor,
) -> Result<Tensor> {
    let [rows, columns, _] = sides(x)?;
    composite("elastic_transform", || {
        let batch = x.shape_tensor()?.slice(..1)?.cast(DType::I64)?;
        let shape = Tensor::concat(&[batch, Tensor::from([rows as i64, columns as i64])], 0)?;
        let drawn = Tensor::stateless_normal(&shape, seed, x.dtype())?.mul(sigma)?.expand_dims(-1)?;
        let size = (sigma as usize).saturating_mul(6) | 1;
        let moved = gaussian_blur(&drawn, [size; 2], [sigma; 2])?.squeeze([-1])?.mul(alpha)?;
        displaced(x, [&moved, &moved], interpolation, fill_mode, fill_value)
    })
}

/// The maps, of eight numbers each, that bring each four points of `from`, `[batch, 4, 2]`, to those of `to`, one set for all or one for
/// each: of the places of a result to those of an image, as [`projective_transform`](Tensor::projective_transform) takes them.
pub fn maps_between(from: &Tensor, to: &Tensor) -> Result<Tensor> {
    composite("maps_between", || {
        let place = |points: &Tensor, at: i64| points.slice((Ellipsis, at..at + 1));
        let (x, y) = (place(from, 0)?, place(from, 1)?);
        let (ones, zeros) = (x.ones_like()?, x.zeros_like()?);
        let equation = |parts: [&Tensor; 6], at: i64| {
            let target = place(to, at)?;
            let products = [x.mul(&target)?.mul(-1.0)?, y.mul(&target)?.mul(-1.0)?];
            Tensor::concat(&parts.into_iter().chain(&products).cloned().collect::<Vec<_>>(), -1)
        };
        let of_x = equation([&x, &y, &ones, &zeros, &zeros, &zeros], 0)?;
        let of_y = equation([&zeros, &zeros, &zeros, &x, &y, &ones], 1)?;
        let equations = Tensor::stack(&[of_x, of_y], 2)?.reshape([-1, 8, 8])?;
        let targets = from.zeros_like()?.add(to)?.reshape([-1, 8, 1])?;
        equations.solve(&targets, false)?.reshape([-1, 8])
    })
}

/// Images as if seen from another side: what is at the four points `start` comes to those of `end`, each a column and a row, `[batch, 4,
/// 2]` or `[4, 2]` for all. What lies beyond the edges is `fill_value`. Keras's `ops.image.perspective_transform`.
///
/// ```
/// use modulor_core::{Interpolation, Tensor, ops::images};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[[[1.0_f32], [2.0]], [[3.0], [4.0]]]]);
/// let start = Tensor::from([[0.0_f32, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
/// let turned = Tensor::from([[1.0_f32, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
/// let y = images::perspective_transform(&x, &start, &turned, Interpolation::Nearest, 0.0)?;
/// assert_eq!(y.to_vec::<f32>()?, [2.0, 1.0, 4.0, 3.0]);
/// # Ok(())
/// # }
/// ```
pub fn perspective_transform(
    x: &Tensor,
    start: &Tensor,
    end: &Tensor,
    interpolation: Interpolation,
    fill_value: f64,
) -> Result<Tensor> {
    composite("perspective_transform", || {
        let all = |points: &Tensor| {
            let points = points.cast(DType::F32)?;
            if points.rank() == Some(2) { points.expand_dims(0) } else { Ok(points) }
        };
        let maps = maps_between(&all(end)?, &all(start)?)?;
        x.projective_transform_in_place(&maps, interpolation, FillMode::Constant, fill_value)
    })
}

/// How alike two images are to the eye, from −1 to 1 of equal ones: in light, contrast and structure, over windows with the weights of a
/// normal distribution. Wang et al. 2004; Keras's `ops.image.ssim`.
///
/// ```
/// use modulor_core::{DType, Tensor, ops::images::Ssim};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::new([1, 12, 12, 1], (0..144).map(|i| (i as f32).sin().abs()).collect::<Vec<_>>())?;
/// let ssim = Ssim::new(1.0);
/// assert!((ssim.of(&x, &x)?.item::<f32>()? - 1.0).abs() < 1e-6);
/// assert!(ssim.of(&x, &x.zeros_like()?)?.item::<f32>()? < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ssim {
    max_val: f64,
    filter_size: usize,
    filter_sigma: f64,
    k1: f64,
    k2: f64,
}

impl Ssim {
    /// Of images whose values may be up to this much apart; windows are 11 by 11 places, the weights of deviation 1.5.
    pub fn new(max_val: f64) -> Ssim {
        Ssim { max_val, filter_size: 11, filter_sigma: 1.5, k1: 0.01, k2: 0.03 }
    }

    /// How many rows and columns a window has.
    pub fn filter_size(mut self, filter_size: usize) -> Ssim {
        self.filter_size = filter_size;
        self
    }

    /// The deviation of the weights.
    pub fn filter_sigma(mut self, filter_sigma: f64) -> Ssim {
        self.filter_sigma = filter_sigma;
        self
    }

    /// What keeps the quotient of means and that of variances from becoming large where both are small; 0.01 and 0.03 unless set.
    pub fn constants(mut self, k1: f64, k2: f64) -> Ssim {
        (self.k1, self.k2) = (k1, k2);
        self
    }

    /// How alike each image is to the other, `[batch]`, the mean over windows and channels.
    ///
    /// # Errors
    /// For images that are no floats, whose sizes are not known, or that are smaller than a window.
    pub fn of(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let [rows, columns, _] = sides(a)?;
        let dtype = allowed(a.dtype(), |dtype| dtype.is_float(), "floats")?;
        let size = self.filter_size;
        if size == 0 || size > rows.min(columns) {
            let message = format!("windows are of at least one place and within images, found {size} in {}", a.shape());
            return Err(Error::invalid_argument(message));
        }
        composite("ssim", || {
            let weights = gaussian_weights(&distances(size, dtype)?, self.filter_sigma)?;
            let filter = filter(a, &weights, &weights)?;
            let mean = |x: &Tensor| x.depthwise_convolution(&filter, &Sliding::new().strides([1, 1]));
            let (of_a, of_b) = (mean(a)?, mean(b)?);
            let (square_a, square_b, product) = (of_a.square()?, of_b.square()?, of_a.mul(&of_b)?);
            let within = |x: &Tensor, of: &Tensor| mean(x)?.sub(of);
            let (vary_a, vary_b) = (within(&a.square()?, &square_a)?, within(&b.square()?, &square_b)?);
            let together = within(&a.mul(b)?, &product)?;
            let [c1, c2] = [self.k1, self.k2].map(|k| (k * self.max_val) * (k * self.max_val));
            let alike = product.mul(2.0)?.add(c1)?.mul(together.mul(2.0)?.add(c2)?)?;
            let all = square_a.add(square_b)?.add(c1)?.mul(vary_a.add(vary_b)?.add(c2)?)?;
            alike.div(all)?.mean([1, 2, 3])
        })
    }
}
