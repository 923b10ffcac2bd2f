//! Elements side by side.

use super::leaves::{Gather, columns, differ, rebuilt, stack};
use super::node::{Items, Node, Setting};
use super::rows::Rows;
use super::{Cardinality, Dataset};
use modulor::{Error, Result, Structure};
use std::sync::Arc;

/// So many elements at a time.
struct Batch<T> {
    inner: Arc<dyn Node<T>>,
    size: u64,
    drop_remainder: bool,
    gather: Gather,
}

impl<T: Structure> Dataset<T> {
    /// `size` elements side by side along a new first axis, the last batch with those that are left.
    ///
    /// Elements that are not of one shape are an error, which names the tensor and the element.
    pub fn batch(&self, size: usize) -> Dataset<T> {
        if size == 0 {
            return Dataset::failed(Error::invalid_argument("`batch` of 0 elements"));
        }
        Dataset::of(Batch { inner: self.node.clone(), size: size as u64, drop_remainder: false, gather: Gather::new() })
    }
}

/// How many batches so many elements make.
pub(super) fn batches(elements: Cardinality, size: u64, drop_remainder: bool) -> Cardinality {
    elements.map(|count| if drop_remainder { count / size } else { count.div_ceil(size) })
}

/// The next elements, at most `size`, or `None` where they do not fill a batch and should or there are none.
pub(super) fn next_of<I>(items: &mut Items<I>, size: u64, drop_remainder: bool) -> Option<Result<Vec<I>>> {
    let mut found = Vec::with_capacity(size.min(1024) as usize);
    while (found.len() as u64) < size {
        match items.next() {
            Some(Ok(item)) => found.push(item),
            Some(Err(error)) => return Some(Err(error)),
            None => break,
        }
    }
    let whole = found.len() as u64 == size;
    (whole || !drop_remainder && !found.is_empty()).then_some(Ok(found))
}

impl<T: Structure> Node<T> for Batch<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let &Batch { ref inner, size, drop_remainder, ref gather } = self;
        let skip = skip.saturating_mul(size);
        if let Some(Rows { tensors, order }) = inner.rows() {
            let (mut order, gather) = (order.items(epoch, skip), gather.clone());
            // Full batches and the last one each have their buffers.
            let (mut full, mut rest) = (Vec::new(), Vec::new());
            return Box::new(std::iter::from_fn(move || {
                let places = next_of(&mut order, size, drop_remainder)?;
                Some(places.and_then(|places| {
                    let buffers = if places.len() as u64 == size { &mut full } else { &mut rest };
                    Rows::side_by_side(&*tensors, &places, &gather, buffers)
                }))
            }));
        }
        let mut items = inner.items(epoch, skip);
        Box::new(std::iter::from_fn(move || {
            let elements = next_of(&mut items, size, drop_remainder)?;
            Some(elements.and_then(|elements| stacked(&elements)))
        }))
    }

    fn cardinality(&self) -> Cardinality {
        batches(self.inner.cardinality(), self.size, self.drop_remainder)
    }

    fn set(&self, setting: Setting) -> Option<Arc<dyn Node<T>>> {
        let Setting::DropRemainder = setting else { return None };
        let &Batch { ref inner, size, ref gather, .. } = self;
        Some(Arc::new(Batch { inner: inner.clone(), size, drop_remainder: true, gather: gather.clone() }))
    }
}

/// Elements of one shape, at least one, side by side.
fn stacked<T: Structure>(elements: &[T]) -> Result<T> {
    let mut leaves = Vec::new();
    for (place, column) in columns(elements)?.iter().enumerate() {
        let first = column[0].shape();
        if let Some(at) = column.iter().position(|leaf| leaf.shape() != first) {
            let error = differ(&elements[0], place, at, first, column[at].shape());
            return Err(error.note("`padded_batch` takes elements of several shapes"));
        }
        leaves.push(stack(column)?);
    }
    rebuilt(&elements[0], leaves)
}
