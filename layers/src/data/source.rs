//! Elements that are counted, listed or made.

use super::node::{Failed, Items, Node, after};
use super::{Cardinality, Dataset};
use modulor::{Error, Result, Tensor};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many elements, each a function of its place.
pub(super) struct Counted<I> {
    count: u64,
    make: Arc<dyn Fn(u64) -> I + Send + Sync>,
}

impl<I> Counted<I> {
    pub fn new(count: u64, make: impl Fn(u64) -> I + Send + Sync + 'static) -> Self {
        Counted { count, make: Arc::new(make) }
    }
}

impl<I: 'static> Node<I> for Counted<I> {
    fn items(&self, _: u64, skip: u64) -> Items<I> {
        let make = self.make.clone();
        Box::new((skip.min(self.count)..self.count).map(move |at| Ok(make(at))))
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Known(self.count)
    }
}

impl Dataset<Tensor> {
    /// The integers of a range, int64 scalars.
    pub fn range(range: Range<i64>) -> Dataset<Tensor> {
        let count = if range.is_empty() { 0 } else { range.end.abs_diff(range.start) };
        Dataset::of(Counted::new(count, move |at| Tensor::scalar(range.start.wrapping_add_unsigned(at))))
    }
}

impl<T: Clone + Send + Sync + 'static> FromIterator<T> for Dataset<T> {
    /// The elements that an iterator gives, all of which are kept.
    fn from_iter<E: IntoIterator<Item = T>>(elements: E) -> Self {
        let elements: Vec<T> = elements.into_iter().collect();
        Dataset::of(Counted::new(elements.len() as u64, move |at| elements[at as usize].clone()))
    }
}

impl<T: 'static> Dataset<T> {
    /// The elements that a function gives, which is called with the number of an epoch whenever one begins.
    ///
    /// An error that it gives ends the epoch, with the number of the element.
    ///
    /// ```
    /// use modulor::{Error, Tensor};
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let countdown = Dataset::from_generator(|_| (0..3).rev().map(|n| Ok(Tensor::scalar(n))));
    /// let numbers = countdown.iter().map(|n| n?.item::<i32>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(numbers, [2, 1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_generator<G, E>(generator: G) -> Dataset<T>
    where
        G: Fn(u64) -> E + Send + Sync + 'static,
        E: IntoIterator<Item = Result<T>>,
        E::IntoIter: Send + 'static,
    {
        Dataset::of(Generated(move |epoch| {
            let elements = generator(epoch).into_iter().zip(0_u64..).map(|(element, at)| {
                element.map_err(|error| error.note(format!("from the generator, in the place of element {at}")))
            });
            Box::new(elements) as Items<T>
        }))
    }
}

/// The elements of files, one file after the other; each is opened when its turn comes.
pub(super) fn of_files<T: Send + 'static, P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    open: impl Fn(&Path) -> Items<T> + Send + Sync + 'static,
) -> Dataset<T> {
    let paths: Arc<[PathBuf]> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
    let open = Arc::new(open);
    Dataset::of(Generated(move |_| {
        let (paths, open) = (paths.clone(), open.clone());
        Box::new((0..paths.len()).flat_map(move |at| open(&paths[at]))) as Items<T>
    }))
}

/// An error in place of elements.
pub(super) fn only<T: Send + 'static>(error: Error) -> Items<T> {
    Failed(error).items(0, 0)
}

/// Elements that a function gives for each epoch.
struct Generated<G>(G);

impl<I: 'static, G: Fn(u64) -> Items<I> + Send + Sync> Node<I> for Generated<G> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        after(self.0(epoch), skip)
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }
}
