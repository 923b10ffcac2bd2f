//! Images `[batch, rows, columns, channels]` of other sizes, and windows of them.

use modulor::{Error, Index, Interpolation as Resize, Result, SamplingKernel, Tensor};
use serde::{Deserialize, Serialize};

/// How what lies between the places of an image is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// As at the nearest place.
    #[default]
    Nearest,
    /// Along lines between places.
    Bilinear,
    /// By cubic polynomials through four places along each axis.
    Bicubic,
    /// By Lanczos's kernel over three places on each side.
    Lanczos3,
    /// By Lanczos's kernel over five places on each side.
    Lanczos5,
}

impl Interpolation {
    /// Images of another size, in float32 but by the nearest places.
    pub(crate) fn resized(self, x: &Tensor, size: [usize; 2], antialias: bool) -> Result<Tensor> {
        match self {
            Interpolation::Nearest => x.resize(size, Resize::Nearest),
            Interpolation::Bilinear if antialias => x.resize_by(size, SamplingKernel::Triangle, true),
            Interpolation::Bilinear => x.resize(size, Resize::Bilinear),
            Interpolation::Bicubic if antialias => x.resize_by(size, SamplingKernel::KeysCubic, true),
            Interpolation::Bicubic => x.resize(size, Resize::Bicubic),
            Interpolation::Lanczos3 => x.resize_by(size, SamplingKernel::Lanczos3, antialias),
            Interpolation::Lanczos5 => x.resize_by(size, SamplingKernel::Lanczos5, antialias),
        }
    }
}

/// The places along an axis that belong to `other` along the other one, by the ratio of a size, as Keras counts them.
fn by_ratio(other: usize, this: usize, that: usize) -> usize {
    (other.saturating_mul(this) as f32 / that as f32) as usize
}

/// The largest window in the middle of images whose rows and columns have the ratio of a size.
pub(crate) fn window_of_ratio(x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let all = rows_and_columns(x)?;
    window_at(x, middle_of_ratio(all, [height, width]), window_in(all, [height, width]))
}

/// The rows and columns of the largest window in so many that has the ratio of a size, each at least 1.
fn window_in([rows, columns]: [usize; 2], [height, width]: [usize; 2]) -> [usize; 2] {
    [by_ratio(columns, height, width).min(rows).max(1), by_ratio(rows, width, height).min(columns).max(1)]
}

/// Where that window begins when it is in the middle.
pub(crate) fn middle_of_ratio(all: [usize; 2], size: [usize; 2]) -> [usize; 2] {
    let window = window_in(all, size);
    [0, 1].map(|axis| all[axis].saturating_sub(window[axis]) / 2)
}

/// So many rows and columns from a place on, or as many as there are.
pub(crate) fn window_at(x: &Tensor, first: [usize; 2], size: [usize; 2]) -> Result<Tensor> {
    let end = |i: usize| first[i].saturating_add(size[i]) as i64;
    let range = |i: usize| Index::Range { start: Some(first[i] as i64), end: Some(end(i)), step: 1 };
    let whole = Index::Range { start: None, end: None, step: 1 };
    x.slice([whole, range(0), range(1), whole])
}

/// Images with as much of a number on both sides as makes their rows and columns have the ratio of a size.
pub(crate) fn padded_to_ratio(x: &Tensor, [height, width]: [usize; 2], fill: f64) -> Result<Tensor> {
    let [rows, columns] = rows_and_columns(x)?;
    let top = (by_ratio(columns, height, width).max(rows) - rows) / 2;
    let left = (by_ratio(rows, width, height).max(columns) - columns) / 2;
    x.pad_with([[0, 0], [top as i64; 2], [left as i64; 2], [0, 0]], fill)
}

/// The rows and columns of images whose channels are last, which must be known.
pub(crate) fn rows_and_columns(x: &Tensor) -> Result<[usize; 2]> {
    match [1, 2].map(|axis| x.shape().dim(axis)) {
        [Some(rows), Some(columns)] => Ok([rows, columns]),
        _ => {
            let message = format!("the rows and columns of the input must be known, found shape {}", x.shape());
            Err(Error::invalid_argument(message))
        }
    }
}
