//! Several datasets as one.

use super::node::{Items, Node, after};
use super::{Cardinality, Dataset};
use modulor::{Error, Result, Structure};
use std::collections::VecDeque;
use std::sync::Arc;

impl<T: Send + 'static> Dataset<T> {
    /// The elements of two datasets in pairs, as many as the shorter has.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let pairs = Dataset::range(0..2).zip(&Dataset::range(5..9));
    /// let (a, b) = pairs.iter().last().unwrap()?;
    /// assert_eq!((a.item::<i64>()?, b.item::<i64>()?), (1, 6));
    /// # Ok(())
    /// # }
    /// ```
    pub fn zip<U: Send + 'static>(&self, other: &Dataset<U>) -> Dataset<(T, U)> {
        Dataset::of(Zip { left: self.node.clone(), right: other.node.clone() })
    }

    /// The elements of this and then those of `other`.
    pub fn concatenate(&self, other: &Dataset<T>) -> Dataset<T> {
        Dataset::of(Concatenate { first: self.node.clone(), second: other.node.clone() })
    }

    /// The elements of the datasets that `f` makes of each element, one dataset after the other.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let steps = Dataset::range(1..4).flat_map(|n| Ok(Dataset::range(0..n.item()?)));
    /// let steps = steps.iter().map(|n| n?.item::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(steps, [0, 0, 1, 0, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn flat_map<U: Send + 'static>(
        &self,
        f: impl Fn(T) -> Result<Dataset<U>> + Send + Sync + 'static,
    ) -> Dataset<U> {
        self.interleave(1, 1, f)
    }

    /// The elements of the datasets that `f` makes of each element, of `cycle_length` of them in turn, `block_length`
    /// elements at a time: of files of which each has elements of one kind, for instance.
    pub fn interleave<U: Send + 'static>(
        &self,
        cycle_length: usize,
        block_length: usize,
        f: impl Fn(T) -> Result<Dataset<U>> + Send + Sync + 'static,
    ) -> Dataset<U> {
        if cycle_length == 0 || block_length == 0 {
            let message = format!("`interleave` of {cycle_length} datasets, {block_length} elements at a time");
            return Dataset::failed(Error::invalid_argument(message));
        }
        let f: Open<T, U> = Arc::new(f);
        Dataset::of(Interleave { inner: self.node.clone(), cycle_length, block_length, f })
    }

    /// Datasets of `size` elements that follow each other, each of which begins `shift` elements after the one before
    /// and takes every `stride`-th; the last ones of what is left, which `drop_remainder` leaves out.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let windows = Dataset::range(0..5).window(3, 1, 1).drop_remainder().flat_map(|window| Ok(window.batch(3)));
    /// let windows = windows.iter().map(|window| window?.to_vec::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(windows, [[0, 1, 2], [1, 2, 3], [2, 3, 4]]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn window(&self, size: usize, shift: usize, stride: usize) -> Dataset<Dataset<T>>
    where
        T: Clone + Sync,
    {
        if size == 0 || shift == 0 || stride == 0 {
            let message = format!("a `window` of {size} elements, {stride} apart, moved on by {shift}");
            return Dataset::failed(Error::invalid_argument(message));
        }
        Dataset::of(Window { inner: self.node.clone(), size, shift, stride, drop_remainder: false })
    }
}

impl<T: Structure> Dataset<T> {
    /// The rows of each element: what `batch` put together.
    pub fn unbatch(&self) -> Dataset<T> {
        self.flat_map(Dataset::from_tensor_slices)
    }
}

struct Zip<T, U> {
    left: Arc<dyn Node<T>>,
    right: Arc<dyn Node<U>>,
}

impl<T: Send + 'static, U: Send + 'static> Node<(T, U)> for Zip<T, U> {
    fn items(&self, epoch: u64, skip: u64) -> Items<(T, U)> {
        let pairs = self.left.items(epoch, skip).zip(self.right.items(epoch, skip));
        Box::new(pairs.map(|(left, right)| Ok((left?, right?))))
    }

    fn cardinality(&self) -> Cardinality {
        match (self.left.cardinality(), self.right.cardinality()) {
            (Cardinality::Known(left), Cardinality::Known(right)) => Cardinality::Known(left.min(right)),
            (Cardinality::Known(0), _) | (_, Cardinality::Known(0)) => Cardinality::Known(0),
            (Cardinality::Infinite, other) | (other, Cardinality::Infinite) => other,
            _ => Cardinality::Unknown,
        }
    }
}

struct Concatenate<T> {
    first: Arc<dyn Node<T>>,
    second: Arc<dyn Node<T>>,
}

impl<T: Send + 'static> Node<T> for Concatenate<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let (second, first) = (self.second.clone(), &self.first);
        let of_both =
            |first: Items<T>| -> Items<T> { Box::new(first.chain(Begun::later(move || second.items(epoch, 0)))) };
        match first.cardinality() {
            Cardinality::Known(length) if skip >= length => self.second.items(epoch, skip - length),
            Cardinality::Known(_) => of_both(first.items(epoch, skip)),
            _ => after(of_both(first.items(epoch, 0)), skip),
        }
    }

    fn cardinality(&self) -> Cardinality {
        match (self.first.cardinality(), self.second.cardinality()) {
            (Cardinality::Known(first), Cardinality::Known(second)) => Cardinality::Known(first.saturating_add(second)),
            (Cardinality::Infinite, _) | (_, Cardinality::Infinite) => Cardinality::Infinite,
            _ => Cardinality::Unknown,
        }
    }
}

/// Items that begin when the first is asked for.
struct Begun<T, F> {
    begin: Option<F>,
    items: Option<Items<T>>,
}

impl<T, F: FnOnce() -> Items<T>> Begun<T, F> {
    fn later(begin: F) -> Self {
        Begun { begin: Some(begin), items: None }
    }
}

impl<T, F: FnOnce() -> Items<T>> Iterator for Begun<T, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if let Some(begin) = self.begin.take() {
            self.items = Some(begin());
        }
        self.items.as_mut()?.next()
    }
}

type Open<T, U> = Arc<dyn Fn(T) -> Result<Dataset<U>> + Send + Sync>;

struct Interleave<T, U> {
    inner: Arc<dyn Node<T>>,
    cycle_length: usize,
    block_length: usize,
    f: Open<T, U>,
}

impl<T: Send + 'static, U: Send + 'static> Node<U> for Interleave<T, U> {
    fn items(&self, epoch: u64, skip: u64) -> Items<U> {
        let &Interleave { cycle_length, block_length, .. } = self;
        let (f, mut inner) = (self.f.clone(), Some(self.inner.items(epoch, 0).zip(0_u64..)));
        // Slots that were never used are not made: a cycle may be said to be longer than all there is.
        let mut open: Vec<Option<Items<U>>> = Vec::new();
        let (mut slot, mut given) = (0, 0);
        let interleaved = std::iter::from_fn(move || {
            loop {
                if slot == open.len() && slot < cycle_length && inner.is_some() {
                    open.push(None);
                }
                if slot >= open.len() {
                    if inner.is_none() && open.iter().all(Option::is_none) {
                        return None;
                    }
                    slot = 0;
                    continue;
                }
                if open[slot].is_none() {
                    match inner.as_mut().and_then(Iterator::next) {
                        Some((Ok(element), at)) => match f(element) {
                            Ok(dataset) => open[slot] = Some(dataset.node.items(epoch, 0)),
                            Err(error) => return Some(Err(error.note(format!("in `interleave`, of element {at}")))),
                        },
                        Some((Err(error), _)) => return Some(Err(error)),
                        None => inner = None,
                    }
                }
                match open[slot].as_mut().and_then(Iterator::next) {
                    None => {
                        open[slot] = None;
                        (slot, given) = (slot + 1, 0);
                    }
                    some => {
                        given += 1;
                        if given == block_length {
                            (slot, given) = (slot + 1, 0);
                        }
                        return some;
                    }
                }
            }
        });
        after(Box::new(interleaved), skip)
    }

    fn cardinality(&self) -> Cardinality {
        match self.inner.cardinality() {
            Cardinality::Known(0) => Cardinality::Known(0),
            _ => Cardinality::Unknown,
        }
    }
}

struct Window<T> {
    inner: Arc<dyn Node<T>>,
    size: usize,
    shift: usize,
    stride: usize,
    drop_remainder: bool,
}

impl<T> Window<T> {
    /// How far the last element of a window is from its first, and one.
    fn reach(&self) -> usize {
        (self.size - 1).saturating_mul(self.stride).saturating_add(1)
    }
}

impl<T: Clone + Send + Sync + 'static> Node<Dataset<T>> for Window<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<Dataset<T>> {
        let &Window { ref inner, shift, stride, drop_remainder, .. } = self;
        let mut items = Some(inner.items(epoch, skip.saturating_mul(shift as u64)));
        let (mut held, reach, mut first) = (VecDeque::new(), self.reach(), true);
        Box::new(std::iter::from_fn(move || {
            let mut ahead = if std::mem::replace(&mut first, false) { 0 } else { shift };
            // Of windows that leave elements out between them, those are read and let go.
            while ahead > 0 {
                ahead -= 1;
                if held.pop_front().is_some() {
                    continue;
                }
                match items.as_mut().and_then(Iterator::next) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Some(Err(error)),
                    None => return None,
                }
            }
            while let Some(more) = items.as_mut().filter(|_| held.len() < reach) {
                match more.next() {
                    Some(Ok(item)) => held.push_back(item),
                    Some(Err(error)) => return Some(Err(error)),
                    None => items = None,
                }
            }
            if held.is_empty() || drop_remainder && held.len() < reach {
                return None;
            }
            Some(Ok(held.iter().step_by(stride).cloned().collect()))
        }))
    }

    fn cardinality(&self) -> Cardinality {
        let (shift, reach) = (self.shift as u64, self.reach() as u64);
        self.inner.cardinality().map(|count| match self.drop_remainder {
            true => count.checked_sub(reach).map_or(0, |beyond| beyond / shift + 1),
            false => count.div_ceil(shift),
        })
    }

    fn set(&self, setting: super::node::Setting) -> Option<Arc<dyn Node<Dataset<T>>>> {
        let super::node::Setting::DropRemainder = setting else { return None };
        let &Window { ref inner, size, shift, stride, .. } = self;
        Some(Arc::new(Window { inner: inner.clone(), size, shift, stride, drop_remainder: true }))
    }
}
