//! Windows of images whose channels come first, as columns, and images summed up of such.

use super::composite::composite;
use crate::shape::count;
use crate::{Error, Result, Tensor};

/// Windows of images whose channels come before their rows: how large they are, and how they lie. PyTorch's `Unfold` and `Fold`,
/// Keras's `ops.unfold` and `ops.fold`.
///
/// ```
/// use modulor_core::{Tensor, Windows};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[[[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]]]);
/// let windows = Windows::new([2, 2]);
/// let columns = windows.unfold(&x)?;
/// assert_eq!((columns.dims()?, columns.to_vec::<f32>()?), (&[1, 4, 2][..], vec![1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]));
/// // What lies in two windows is counted twice.
/// assert_eq!(windows.fold(&columns, [2, 3])?.to_vec::<f32>()?, [1.0, 4.0, 3.0, 4.0, 10.0, 6.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Windows {
    size: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    stride: [usize; 2],
}

/// The numbers from 0 on.
fn numbers(count: usize) -> Result<Tensor> {
    Tensor::range(0, i64::try_from(count).unwrap_or(i64::MAX), 1)
}

impl Windows {
    /// Of so many rows and columns, each beginning one place behind the one before it, within the image.
    pub fn new(size: [usize; 2]) -> Windows {
        Windows { size, dilation: [1; 2], padding: [0; 2], stride: [1; 2] }
    }

    /// How far apart the places of a window are; 1 unless set.
    pub fn dilation(mut self, dilation: [usize; 2]) -> Windows {
        self.dilation = dilation;
        self
    }

    /// How many zeros there are before and behind the rows and the columns of an image; none unless set.
    pub fn padding(mut self, padding: [usize; 2]) -> Windows {
        self.padding = padding;
        self
    }

    /// How far behind a window the next one begins; 1 unless set.
    pub fn stride(mut self, stride: [usize; 2]) -> Windows {
        self.stride = stride;
        self
    }

    /// The rows and columns of an image with its zeros, and how many windows there are along either.
    fn lie(&self, sides: [usize; 2]) -> Result<[[usize; 2]; 2]> {
        if [self.size, self.dilation, self.stride].as_flattened().contains(&0) {
            let message = format!("windows have a size, a dilation and a stride of at least 1, found {self:?}");
            return Err(Error::invalid_argument(message));
        }
        let mut lie = [[0; 2]; 2];
        for axis in 0..2 {
            let places = self.padding[axis].saturating_mul(2).saturating_add(sides[axis]);
            let reach = self.dilation[axis].saturating_mul(self.size[axis] - 1).saturating_add(1);
            let windows = places.checked_sub(reach).map(|rest| rest / self.stride[axis] + 1).ok_or_else(|| {
                let message = format!("a window reaches over {reach} of {places} places along axis {axis} of images");
                Error::invalid_argument(message)
            })?;
            (lie[0][axis], lie[1][axis]) = (places, windows);
        }
        Ok(lie)
    }

    /// For each place of each window of each channel, where it is in an image with its zeros.
    fn places(&self, channels: usize, places: [usize; 2], counts: [usize; 2]) -> Result<Tensor> {
        let [rows, columns] = places;
        let along = |axis: usize, factor: usize| {
            // Where there is one, it does not matter how far away the next would be.
            let from = |count: usize, step: usize| numbers(count)?.mul((step.min(places[axis]) * factor) as f64);
            from(self.size[axis], self.dilation[axis])?.expand_dims(1)?.add(from(counts[axis], self.stride[axis])?)
        };
        let [down, right] = [along(0, columns)?, along(1, 1)?];
        let (down, right) = (
            down.reshape([self.size[0] as i64, 1, counts[0] as i64, 1])?,
            right.reshape([1, self.size[1] as i64, 1, counts[1] as i64])?,
        );
        let image = (rows * columns) as i64;
        let first = numbers(channels)?.mul(image as f64)?.reshape([-1, 1, 1, 1, 1])?;
        down.add(right)?.add(first)?.reshape([-1])
    }

    /// The windows of images, `[batch, channels, rows, columns]`, of which only the batch may be unknown: `[batch, channels · rows ·
    /// columns of a window, windows]`.
    ///
    /// # Errors
    /// For images of other axes or unknown sizes, and for windows that reach beyond them or are empty.
    pub fn unfold(&self, x: &Tensor) -> Result<Tensor> {
        x.check()?;
        let dims = x.shape().dims().unwrap_or_default();
        let [_, Some(channels), Some(rows), Some(columns)] = dims[..] else {
            let message =
                format!("images are [batch, channels, rows, columns], known but for the batch, found {}", x.shape());
            return Err(Error::invalid_argument(message));
        };
        let [places, counts] = self.lie([rows, columns])?;
        count(&[channels, places[0], places[1]])?;
        count(&[channels, self.size[0], self.size[1], counts[0], counts[1]])?;
        composite("unfold", || {
            let [down, right] = self.padding.map(|padding| padding as i64);
            let x = x.pad([[0, 0], [0, 0], [down, down], [right, right]])?;
            let flat = x.reshape([-1, (channels * places[0] * places[1]) as i64])?;
            let windows = flat.gather(&self.places(channels, places, counts)?, 1)?;
            windows.reshape([-1, (channels * self.size[0] * self.size[1]) as i64, (counts[0] * counts[1]) as i64])
        })
    }

    /// The images of so many rows and columns in which each place is the sum of what windows, as [`unfold`](Windows::unfold) gives
    /// them, have there: `[batch, channels, rows, columns]`.
    ///
    /// # Errors
    /// For columns of other axes or unknown sizes, or of as many as such windows would not be.
    pub fn fold(&self, columns: &Tensor, sides: [usize; 2]) -> Result<Tensor> {
        columns.check()?;
        let [places, counts] = self.lie(sides)?;
        count(&[self.size[0], self.size[1], counts[0], counts[1]])?;
        let (size, windows) = (self.size[0] * self.size[1], counts[0] * counts[1]);
        let dims = columns.shape().dims().unwrap_or_default();
        let channels = match dims[..] {
            [_, Some(depth), Some(found)] if depth % size == 0 && found == windows => depth / size,
            _ => {
                let found = columns.shape();
                let message = format!("columns are [batch, channels · {size}, {windows}], found shape {found}");
                return Err(Error::invalid_argument(message));
            }
        };
        count(&[channels, places[0], places[1]])?;
        composite("fold", || {
            let flat = columns.reshape([-1, (channels * size * windows) as i64])?.transpose()?;
            let image = places[0] * places[1];
            let sums = flat.segment_sum(&self.places(channels, places, counts)?, channels * image)?.transpose()?;
            let whole = sums.reshape([-1, channels as i64, places[0] as i64, places[1] as i64])?;
            let within = |axis: usize| self.padding[axis]..self.padding[axis] + sides[axis];
            whole.slice((.., .., within(0), within(1)))
        })
    }
}
