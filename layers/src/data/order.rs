//! Elements in another order, fewer, or several times.

use super::node::{Items, Node, Setting, after, mixed};
use super::rows::Rows;
use super::{Cardinality, Dataset};
use modulor::{Error, Structure};
use std::sync::Arc;

/// Something that is done to elements without a look at them: to rows of tensors it is done to their numbers.
trait Reorder {
    fn over<I: Send + Sync + 'static>(self, inner: Arc<dyn Node<I>>) -> Arc<dyn Node<I>>;
}

impl<T: Structure> Dataset<T> {
    fn reordered(&self, how: impl Reorder) -> Dataset<T> {
        match self.node.rows() {
            Some(Rows { tensors, order }) => Dataset::of(Rows { tensors, order: how.over(order) }),
            None => Dataset { node: how.over(self.node.clone()) },
        }
    }

    /// The elements in an order that follows from `seed` and the number of the epoch.
    ///
    /// Each is drawn from the next `buffer_size` that have not been given yet. A buffer of all there are, of
    /// `usize::MAX` for instance, shuffles wholly. Of rows of tensors, numbers alone wait in the buffer.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let shuffled = Dataset::range(0..100).shuffle(usize::MAX, 1);
    /// let order = |epoch| shuffled.iter_at(epoch, 0).map(|n| n?.item::<i64>()).collect::<modulor::Result<Vec<_>>>();
    /// assert_ne!(order(0)?, order(1)?);
    /// assert_eq!(order(1)?, order(1)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shuffle(&self, buffer_size: usize, seed: u64) -> Dataset<T> {
        if buffer_size == 0 {
            return Dataset::failed(Error::invalid_argument("`shuffle` with a buffer of 0 elements"));
        }
        self.reordered(Shuffle { inner: (), buffer_size, seed, reshuffle: true })
    }

    /// Whether each epoch is shuffled anew, which it is unless this says that it is not: said right after `shuffle`.
    pub fn reshuffle_each_iteration(&self, reshuffle: bool) -> Dataset<T> {
        self.set(Setting::Reshuffle(reshuffle), "reshuffle_each_iteration", "`shuffle`")
    }

    /// The first `count` elements.
    pub fn take(&self, count: u64) -> Dataset<T> {
        self.reordered(Take { inner: (), count })
    }

    /// All elements but the first `count`.
    pub fn skip(&self, count: u64) -> Dataset<T> {
        self.reordered(Skip { inner: (), count })
    }

    /// All elements `count` times, or, of `None`, without end. Each time is an epoch of its own to what stands before.
    ///
    /// ```
    /// use modulor_layers::data::{Cardinality, Dataset};
    /// # fn main() -> modulor::Result<()> {
    /// let numbers = Dataset::range(0..2);
    /// assert_eq!(numbers.repeat(None).cardinality(), Cardinality::Infinite);
    /// let three = numbers.repeat(3).iter().map(|n| n?.item::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(three, [0, 1, 0, 1, 0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeat(&self, count: impl Into<Option<u64>>) -> Dataset<T> {
        self.reordered(Repeat { inner: (), count: count.into() })
    }

    /// Every `count`-th element from `index` on: the part of one of `count` workers.
    pub fn shard(&self, count: u64, index: u64) -> Dataset<T> {
        if index >= count {
            let message = format!("there is no shard {index} of {count}: they are numbered from 0");
            return Dataset::failed(Error::invalid_argument(message));
        }
        self.reordered(Shard { inner: (), count, index })
    }
}

/// Each node with `()` in place of what it reorders is the wish for it.
macro_rules! reorders {
    ($($node:ident { $($field:ident),* })*) => { $(
        impl Reorder for $node<()> {
            fn over<I: Send + Sync + 'static>(self, inner: Arc<dyn Node<I>>) -> Arc<dyn Node<I>> {
                let $node { inner: (), $($field),* } = self;
                Arc::new($node { inner, $($field),* })
            }
        }
    )* };
}

reorders! {
    Shuffle { buffer_size, seed, reshuffle }
    Take { count }
    Skip { count }
    Repeat { count }
    Shard { count, index }
}

struct Shuffle<N> {
    inner: N,
    buffer_size: usize,
    seed: u64,
    reshuffle: bool,
}

impl<I: Send + Sync + 'static> Node<I> for Shuffle<Arc<dyn Node<I>>> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        let key = mixed(self.seed, if self.reshuffle { epoch } else { 0 });
        let (mut items, mut waiting, mut drawn) = (Some(self.inner.items(epoch, 0)), Vec::new(), 0);
        let buffer_size = self.buffer_size;
        let shuffled = std::iter::from_fn(move || {
            while let Some(more) = items.as_mut().filter(|_| waiting.len() < buffer_size) {
                match more.next() {
                    Some(Ok(item)) => waiting.push(item),
                    Some(Err(error)) => return Some(Err(error)),
                    None => items = None,
                }
            }
            if waiting.is_empty() {
                return None;
            }
            // The upper half of a product spreads 64 bits evenly enough over so few places.
            let place = (u128::from(mixed(key, drawn)) * waiting.len() as u128) >> 64;
            drawn += 1;
            Some(Ok(waiting.swap_remove(place as usize)))
        });
        after(Box::new(shuffled), skip)
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }

    fn set(&self, setting: Setting) -> Option<Arc<dyn Node<I>>> {
        let Setting::Reshuffle(reshuffle) = setting else { return None };
        let &Shuffle { ref inner, buffer_size, seed, .. } = self;
        Some(Arc::new(Shuffle { inner: inner.clone(), buffer_size, seed, reshuffle }))
    }
}

struct Take<N> {
    inner: N,
    count: u64,
}

impl<I: Send + Sync + 'static> Node<I> for Take<Arc<dyn Node<I>>> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        let mut left = self.count.saturating_sub(skip);
        // What is not taken is not even begun.
        let mut items = (left > 0).then(|| self.inner.items(epoch, skip));
        Box::new(std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            items.as_mut()?.next()
        }))
    }

    fn cardinality(&self) -> Cardinality {
        match self.inner.cardinality() {
            Cardinality::Known(count) => Cardinality::Known(count.min(self.count)),
            Cardinality::Infinite => Cardinality::Known(self.count),
            Cardinality::Unknown if self.count == 0 => Cardinality::Known(0),
            Cardinality::Unknown => Cardinality::Unknown,
        }
    }
}

struct Skip<N> {
    inner: N,
    count: u64,
}

impl<I: Send + Sync + 'static> Node<I> for Skip<Arc<dyn Node<I>>> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        self.inner.items(epoch, skip.saturating_add(self.count))
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality().map(|count| count.saturating_sub(self.count))
    }
}

struct Repeat<N> {
    inner: N,
    count: Option<u64>,
}

impl<I: Send + Sync + 'static> Node<I> for Repeat<Arc<dyn Node<I>>> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        let (inner, count) = (self.inner.clone(), self.count);
        // Epochs without end cannot be told apart by counting on: they are given 2³² repetitions each.
        let first = epoch.wrapping_mul(count.unwrap_or(1 << 32));
        let (mut time, own_skip, read_skip) = match inner.cardinality() {
            Cardinality::Known(length @ 1..) => (skip / length, skip % length, 0),
            _ => (0, 0, skip),
        };
        let mut items: Option<Items<I>> = None;
        let mut own_skip = Some(own_skip);
        let mut gave = true;
        let repeated = std::iter::from_fn(move || {
            loop {
                if items.is_none() {
                    // Nothing, repeated, is nothing.
                    if count.is_some_and(|count| time >= count) || !gave {
                        return None;
                    }
                    let skip = own_skip.take();
                    gave = skip.is_some_and(|skip| skip > 0);
                    items = Some(inner.items(first.wrapping_add(time), skip.unwrap_or(0)));
                    time += 1;
                }
                match items.as_mut()?.next() {
                    None => items = None,
                    some => {
                        gave = true;
                        return some;
                    }
                }
            }
        });
        after(Box::new(repeated), read_skip)
    }

    fn cardinality(&self) -> Cardinality {
        match (self.inner.cardinality(), self.count) {
            (Cardinality::Known(0), _) | (_, Some(0)) => Cardinality::Known(0),
            (_, None) | (Cardinality::Infinite, _) => Cardinality::Infinite,
            (inner, Some(count)) => inner.map(|length| length.saturating_mul(count)),
        }
    }
}

struct Shard<N> {
    inner: N,
    count: u64,
    index: u64,
}

impl<I: Send + Sync + 'static> Node<I> for Shard<Arc<dyn Node<I>>> {
    fn items(&self, epoch: u64, skip: u64) -> Items<I> {
        let &Shard { ref inner, count, index } = self;
        let mut items = inner.items(epoch, skip.saturating_mul(count).saturating_add(index));
        let mut ahead = 0;
        Box::new(std::iter::from_fn(move || {
            for _ in 0..std::mem::replace(&mut ahead, count - 1) {
                match items.next()? {
                    Ok(_) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            items.next()
        }))
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality().map(|length| length.saturating_sub(self.index).div_ceil(self.count))
    }
}
