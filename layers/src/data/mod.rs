//! Pipelines of data: `tf.data`.
//!
//! A [`Dataset`] describes a source and what is done to it, and reads nothing until it is iterated. What an iteration
//! gives follows from the description and two numbers, its epoch and how many elements are left out in front, so that
//! training that was stopped goes on with the very element that came next.
//!
//! ```
//! use modulor::Tensor;
//! use modulor_layers::data::Dataset;
//! # fn main() -> modulor::Result<()> {
//! let (x, y) = (Tensor::from([[1.0_f32], [2.0], [3.0]]), Tensor::from([0, 1, 0]));
//! let batches = Dataset::from_tensor_slices((x, y))?.shuffle(3, 7).batch(2);
//! let mut seen = Vec::new();
//! for batch in &batches {
//!     let (x, y) = batch?;
//!     assert_eq!(x.dims()?[0], y.dims()?[0]);
//!     seen.extend(x.to_vec::<f32>()?);
//! }
//! seen.sort_by(f32::total_cmp);
//! assert_eq!(seen, [1.0, 2.0, 3.0]);
//! # Ok(())
//! # }
//! ```

mod batch;
mod cache;
mod combine;
mod csv;
mod file;
mod file_cache;
mod idx;
mod image_file;
mod images;
mod leaves;
mod map;
mod node;
mod npy;
mod order;
mod padded;
mod parallel;
mod random_state;
mod rows;
mod sequences;
mod source;
mod text;
mod tf_record;

pub use csv::Csv;
pub use file::Compression;
pub use idx::read_idx;
pub use image_file::{ColorMode, read_image};
pub use images::{ImageFolder, LabelMode, Subset};
pub(crate) use leaves::Gather;
pub use npy::{read_npy, read_npz};
pub use padded::Padding;
pub(crate) use parallel::caught;
pub use sequences::{End, PadSequences, Timeseries};
pub use text::TextFolder;
pub use tf_record::ExampleParser;

use modulor::{Error, Result};
use node::{Failed, Items, Node, Setting};
use std::fmt;
use std::sync::Arc;

/// A description of elements that come one after the other: a source, and what is done to what it gives.
///
/// A clone is another handle to the same description. An element is a [`Structure`](modulor::Structure): a tensor, or
/// tuples, maps and derived structs of tensors. Methods that change a dataset give another one; an argument that can
/// never be right makes one whose iteration is that error.
///
/// ```
/// use modulor_layers::data::Dataset;
/// # fn main() -> modulor::Result<()> {
/// let numbers = Dataset::range(0..10).batch(4);
/// let batches = numbers.iter().map(|batch| batch?.to_vec::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
/// assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
/// assert_eq!(numbers.batch(0).iter().next().unwrap().unwrap_err().message(), "`batch` of 0 elements");
/// # Ok(())
/// # }
/// ```
pub struct Dataset<T> {
    node: Arc<dyn Node<T>>,
}

impl<T> Clone for Dataset<T> {
    fn clone(&self) -> Self {
        Dataset { node: self.node.clone() }
    }
}

impl<T> fmt::Debug for Dataset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("cardinality", &self.node.cardinality()).finish()
    }
}

/// How many elements a dataset has, as far as can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// So many.
    Known(u64),
    /// Nobody knows before the end.
    Unknown,
    /// There is no end.
    Infinite,
}

impl Cardinality {
    /// The number, if there is one and it is known.
    pub fn known(self) -> Option<u64> {
        match self {
            Cardinality::Known(count) => Some(count),
            Cardinality::Unknown | Cardinality::Infinite => None,
        }
    }

    /// What becomes of a known number.
    fn map(self, f: impl FnOnce(u64) -> u64) -> Cardinality {
        match self {
            Cardinality::Known(count) => Cardinality::Known(f(count)),
            other => other,
        }
    }
}

impl<T: 'static> Dataset<T> {
    fn of(node: impl Node<T> + 'static) -> Dataset<T> {
        Dataset { node: Arc::new(node) }
    }

    /// One whose iteration is an error.
    fn failed(error: Error) -> Dataset<T> {
        Dataset::of(Failed(error))
    }

    /// The elements of the first epoch.
    pub fn iter(&self) -> Iter<T> {
        self.iter_at(0, 0)
    }

    /// The elements of an epoch but the first `skip`.
    ///
    /// Both numbers may be written down and taken up again: the elements and their order follow from them and from the
    /// seeds. What is left out is not read where it can be counted: of rows of tensors, through batches and shuffles, and
    /// through `map`.
    pub fn iter_at(&self, epoch: u64, skip: u64) -> Iter<T> {
        Iter { items: Some(self.node.items(epoch, skip)) }
    }

    /// How many elements an epoch has.
    pub fn cardinality(&self) -> Cardinality {
        self.node.cardinality()
    }

    /// Leaves out what does not fill the last batch, or the last windows: said right after `batch`, `padded_batch` or
    /// `window`.
    ///
    /// ```
    /// use modulor_layers::data::{Cardinality, Dataset};
    /// let batches = Dataset::range(0..10).batch(4).drop_remainder();
    /// assert_eq!(batches.cardinality(), Cardinality::Known(2));
    /// ```
    pub fn drop_remainder(&self) -> Dataset<T> {
        self.set(Setting::DropRemainder, "drop_remainder", "`batch`, `padded_batch` or `window`")
    }

    /// Changes what the last method made.
    fn set(&self, setting: Setting, name: &str, of: &str) -> Dataset<T> {
        match self.node.set(setting) {
            Some(node) => Dataset { node },
            None => Dataset::failed(Error::invalid_argument(format!("`{name}` follows {of} at once"))),
        }
    }
}

impl<T: 'static> IntoIterator for &Dataset<T> {
    type Item = Result<T>;
    type IntoIter = Iter<T>;

    fn into_iter(self) -> Iter<T> {
        self.iter()
    }
}

/// The elements of an epoch of a [`Dataset`]; the first error is the last item.
pub struct Iter<T> {
    items: Option<Items<T>>,
}

impl<T> Iterator for Iter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let next = self.items.as_mut()?.next();
        if !matches!(next, Some(Ok(_))) {
            self.items = None;
        }
        next
    }
}

impl<T> std::iter::FusedIterator for Iter<T> {}

impl<T> fmt::Debug for Iter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("is_over", &self.items.is_none()).finish()
    }
}
