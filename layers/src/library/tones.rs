//! Tones of images spread over the range of values.

use super::DataFormat;
use super::augmentation::{changed, given};
use super::random_color::{BYTES, from_to, sorted};
use super::settings::defaults;
use crate::resize::rows_and_columns;
use modulor::{DType, DTypePolicy, Ellipsis, Error, Layer, Module, Result, Tensor};

/// Stretches the values of each channel of each image over the range of values, whether in training or not. A channel of one
/// value stays as it is.
///
/// Images are `[batch, rows, columns, channels]`, or one without the batch; integers become floats.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::AutoContrast;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[[2.0_f32, 7.0], [4.0, 7.0], [3.0, 7.0]]]);
/// let y = AutoContrast::new().value_range([0.0, 10.0]).call(&x)?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 7.0, 10.0, 7.0, 5.0, 7.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct AutoContrast {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The least and the greatest value; 0 and 255 unless set.
    #[config(default = [0.0, 255.0])]
    value_range: [f64; 2],
    /// Where the channels are; last unless set. Keras, told that they are first, takes rows for columns and channels for rows.
    #[config(default)]
    data_format: DataFormat,
}

impl Layer for AutoContrast {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        changed(x, &self.dtype, self.data_format, |x| {
            let range = sorted(self.value_range);
            let bytes = from_to(x, range, BYTES)?;
            let low = bytes.min_keepdims(1)?.min_keepdims(2)?;
            let high = bytes.max_keepdims(1)?.max_keepdims(2)?;
            let scale = 255.0 / (high - &low);
            let y = (bytes * &scale - low * &scale).clip_by_value(0.0, 255.0)?;
            let y = from_to(&y, BYTES, range)?;
            // Of one value, which is divided by zero.
            y.is_nan()?.select(x, &y)
        })
    }
}

/// In training, changes the values of each channel so that all are about as many, by the histogram of the whole batch.
///
/// Images are `[batch, rows, columns, channels]`, or one without the batch; integers become floats. How many channels there are
/// must be known.
///
/// ```
/// use modulor::{Call, Tensor, scope};
/// use modulor_layers::library::Equalization;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[[10.0_f32], [11.0], [200.0]]]);
/// let y = scope::with_training(true, || Equalization::new().call(&x))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 128.0, 255.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Equalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The least and the greatest value; 0 and 255 unless set.
    #[config(default = [0.0, 255.0])]
    value_range: [f64; 2],
    /// How many values are told apart; 256 unless set.
    #[config(default = 256)]
    bins: usize,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
}

impl Equalization {
    /// What becomes of the values of one channel, as bytes.
    fn equalized(&self, channel: &Tensor) -> Result<Tensor> {
        let last = self.bins as f64 - 1.0;
        let bins = (channel.cast(DType::F32)? * last / 255.0).cast(DType::I32)?.clip_by_value(0.0, last)?;
        let counts = bins.reshape([-1])?.bincount(self.bins, None)?;
        let sums = counts.cumsum(0)?;
        let all = sums.slice(-1)?;
        let first = sums.equal(0.0)?.select(&all.broadcast_like(&sums)?, &sums)?.min(..)?;
        let others = (&all - &first).maximum(1.0)?.cast(DType::F64)?;
        // To the nearest byte, of float64.
        let table = ((sums - first) * 255.0).cast(DType::F64)?.div(others)?.round()?.clip_by_value(0.0, 255.0)?;
        let places = (channel / 255.0 * last).clip_by_value(0.0, last)?.cast(DType::I32)?;
        let several = counts.count_nonzero(..)?.greater(1.0)?;
        several.select(&table.gather(&places, 0)?.cast(channel.dtype())?, channel)
    }
}

impl Layer for Equalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.bins == 0 {
            return Err(Error::invalid_argument("`bins` must be at least 1, found 0"));
        }
        if !modulor::op::scope::training() {
            return given(x, &self.dtype);
        }
        changed(x, &self.dtype, self.data_format, |x| {
            let (bytes, range) = (from_to(x, sorted(self.value_range), BYTES)?, sorted(self.value_range));
            let Some(channels) = x.shape().dim(3) else {
                return Err(Error::invalid_argument(format!("the channels must be known, found shape {}", x.shape())));
            };
            let channel = |i: usize| self.equalized(&bytes.slice((Ellipsis, i as i64))?);
            from_to(&Tensor::stack(&(0..channels).map(channel).collect::<Result<Vec<_>>>()?, -1)?, BYTES, range)
        })
    }
}

/// Spreads the values of each part of an image as those around it ask for, whether in training or not: contrast limited adaptive
/// histogram equalization.
///
/// An image is cut into tiles. Of each the histogram of its values, of which none counts more than `clip_limit` times the mean,
/// says what becomes of a value in the middle of the tile; elsewhere it is between what the four tiles around say.
///
/// Images are `[batch, rows, columns, channels]`, or one without the batch, of rows, columns and channels that are known;
/// integers stay integers.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::ContrastLimitedAdaptiveHistogramEqualization;
/// # fn main() -> modulor::Result<()> {
/// let layer = ContrastLimitedAdaptiveHistogramEqualization::new().tile_grid_size([1, 1]).clip_limit(0.0);
/// let y = layer.call(&Tensor::from([[[10.0_f32], [11.0], [200.0]]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [85.0, 170.0, 255.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct ContrastLimitedAdaptiveHistogramEqualization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The least and the greatest value; 0 and 255 unless set.
    #[config(default = [0.0, 255.0])]
    value_range: [f64; 2],
    /// How many times the mean a value counts at most; 4 unless set, and any number of times for 0 and below.
    #[config(default = 4.0)]
    clip_limit: f64,
    /// How many tiles there are, below each other and beside each other; 8 and 8 unless set.
    #[config(default = [8, 8])]
    tile_grid_size: [usize; 2],
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
}

/// The values that are told apart.
const LEVELS: usize = 256;

/// The tiles along an axis.
#[derive(Clone, Copy)]
struct Tiles {
    count: usize,
    size: usize,
}

impl Tiles {
    fn of(places: usize, count: usize) -> Tiles {
        Tiles { count, size: places.div_ceil(count) }
    }

    fn places(self) -> usize {
        self.count * self.size
    }

    /// For each place the two tiles around, among those with one more at either end, and how far it is to the second.
    fn around(self) -> [Vec<f32>; 3] {
        let position = |at: usize| (at as f32 - self.size as f32 / 2.0) / self.size as f32 + 1.0;
        let all: Vec<f32> = (0..self.places()).map(position).collect();
        let tile = |by: f32| move |x: &f32| (x.floor() + by).clamp(0.0, self.count as f32 + 1.0);
        [
            all.iter().map(tile(0.0)).collect(),
            all.iter().map(tile(1.0)).collect(),
            all.iter().map(|x| x - x.floor()).collect(),
        ]
    }
}

impl ContrastLimitedAdaptiveHistogramEqualization {
    /// What each value becomes in the middle of each tile: `[batch, rows and columns of tiles, channels, values]`.
    fn tables(&self, bytes: &Tensor, [down, across]: [Tiles; 2], channels: i64) -> Result<Tensor> {
        let tile = down.size * across.size;
        let [rows, height, columns, width] = [down.count, down.size, across.count, across.size].map(|n| n as i64);
        let tiled = bytes.reshape([-1, rows, height, columns, width, channels])?.permute([0, 1, 3, 5, 2, 4])?;
        let values = tiled.reshape([-1, rows, columns, channels, tile as i64])?.cast(DType::I32)?;
        let mut counts = values.clip_by_value(0.0, 255.0)?.one_hot(LEVELS, DType::F32)?.sum(-2)?;
        if self.clip_limit > 0.0 {
            let limit = self.clip_limit * tile as f64 / LEVELS as f64;
            let kept = counts.clip_by_value(0.0, limit)?;
            counts = (counts - &kept).sum_keepdims(-1)?.div(LEVELS as f64)?.add(kept)?;
        }
        let sums = counts.cumsum(-1)?;
        let least = sums.min_keepdims(-1)?;
        let others = tile as f64 - &least;
        let others = others.equal(0.0)?.select(&others.ones_like()?, &others)?;
        ((sums - least) * 255.0).div(others)?.clip_by_value(0.0, 255.0)
    }

    fn spread(&self, x: &Tensor) -> Result<Tensor> {
        let [rows, columns] = rows_and_columns(x)?;
        let Some(channels) = x.shape().dim(3) else {
            return Err(Error::invalid_argument(format!("the channels must be known, found shape {}", x.shape())));
        };
        let tiles = [Tiles::of(rows, self.tile_grid_size[0]), Tiles::of(columns, self.tile_grid_size[1])];
        let beyond = [tiles[0].places() - rows, tiles[1].places() - columns].map(|places| [0, places as i64]);
        let bytes = from_to(&x.cast(DType::F32)?, self.value_range, BYTES)?;
        let bytes = bytes.pad_symmetric([[0, 0], beyond[0], beyond[1], [0, 0]])?;
        // Tiles at the edge go on beyond it.
        let tables = self.tables(&bytes, tiles, channels as i64)?;
        let tables = tables.pad_symmetric([[0, 0], [1, 1], [1, 1], [0, 0], [0, 0]])?;
        let per_column = channels * LEVELS;
        let per_row = (tiles[1].count + 2) * per_column;
        let table = tables.reshape([-1, ((tiles[0].count + 2) * per_row) as i64])?;
        let at_channel = (0..channels).map(|channel| (channel * LEVELS) as i32).collect::<Vec<_>>();
        let first = bytes.clip_by_value(0.0, 255.0)?.cast(DType::I32)?.add(Tensor::from(at_channel))?;
        let ([above, below, down], [left, right, across]) = (tiles[0].around(), tiles[1].around());
        let along = |numbers: &[f32], step: usize, dims: [usize; 3]| {
            Tensor::new(dims, numbers.iter().map(|&number| number as i32 * step as i32).collect::<Vec<_>>())
        };
        let value = |row: &[f32], column: &[f32]| {
            let row = along(row, per_row, [row.len(), 1, 1])?;
            let column = along(column, per_column, [1, column.len(), 1])?;
            table.gather_batched(&first.add(row)?.add(column)?, 1, 1)
        };
        let (down, across) = (Tensor::new([down.len(), 1, 1], down)?, Tensor::new([1, across.len(), 1], across)?);
        let between = |row: &[f32]| (value(row, &left)? * (1.0 - &across)).add(value(row, &right)? * &across);
        let y = (between(&above)? * (1.0 - &down)).add(between(&below)? * &down)?;
        from_to(&y.slice((.., ..rows, ..columns))?, BYTES, self.value_range)?.cast(x.dtype())
    }
}

impl Layer for ContrastLimitedAdaptiveHistogramEqualization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        super::window::at_least_one(&[("tile_grid_size", &self.tile_grid_size)])?;
        let y = changed(x, &self.dtype, self.data_format, |x| self.spread(x))?;
        if x.dtype().is_integer() { y.cast(x.dtype()) } else { Ok(y) }
    }
}

defaults! { AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization }
