//! A function of each element.

use super::node::{Items, Node, Setting};
use super::parallel::in_order;
use super::{Cardinality, Dataset};
use modulor::{Error, Result, Tensor};
use std::sync::Arc;

/// Where an element stands: the number of its epoch, and its own.
#[derive(Clone, Copy)]
struct Place {
    epoch: u64,
    at: u64,
}

type Function<T, U> = Arc<dyn Fn(T, Place) -> Result<U> + Send + Sync>;

struct Map<T, U> {
    inner: Arc<dyn Node<T>>,
    f: Function<T, U>,
    threads: usize,
}

impl<T: Send + 'static> Dataset<T> {
    /// What `f` makes of each element, in order; its first error ends the iteration, with the number of the element.
    ///
    /// `f` is a function of its argument: what draws or counts in it does not follow from the position, as
    /// [`map_seeded`](Dataset::map_seeded) does.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let squares = Dataset::range(0..4).map(|n| n.mul(&n)).threads(2);
    /// let squares = squares.iter().map(|n| n?.item::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<U: Send + 'static>(&self, f: impl Fn(T) -> Result<U> + Send + Sync + 'static) -> Dataset<U> {
        self.mapped(move |element, _| f(element))
    }

    /// As [`map`](Dataset::map), with a seed for each element, int64 of `[2]`, which follows from `seed`, the epoch and the
    /// element's number: for what is random in a way that can be taken up again.
    ///
    /// ```
    /// use modulor::{DType, Tensor};
    /// use modulor_layers::data::Dataset;
    /// let noisy = Dataset::range(0..4).map_seeded(1, |n, seed| {
    ///     let noise = Tensor::stateless_uniform(&Tensor::from(vec![0_i32; 0]), &seed, DType::F32)?;
    ///     n.cast(DType::F32)?.add(noise)
    /// });
    /// let last = |skip| noisy.iter_at(2, skip).last().unwrap().unwrap().item::<f32>().unwrap();
    /// assert_eq!(last(0), last(3));
    /// ```
    pub fn map_seeded<U: Send + 'static>(
        &self,
        seed: u64,
        f: impl Fn(T, Tensor) -> Result<U> + Send + Sync + 'static,
    ) -> Dataset<U> {
        self.mapped(move |element, Place { epoch, at }| {
            f(element, Tensor::from([super::node::mixed(seed, epoch) as i64, at as i64]))
        })
    }

    fn mapped<U: Send + 'static>(&self, f: impl Fn(T, Place) -> Result<U> + Send + Sync + 'static) -> Dataset<U> {
        Dataset::of(Map { inner: self.node.clone(), f: Arc::new(f), threads: 1 })
    }

    /// Each element behind its number, an int64 scalar.
    pub fn enumerate(&self) -> Dataset<(Tensor, T)> {
        self.mapped(|element, Place { at, .. }| Ok((Tensor::scalar(at as i64), element)))
    }

    /// How many threads compute a `map`: said right after it. The elements and their order stay; the function is run in
    /// the scopes of the thread that begins the iteration, without its tapes.
    ///
    /// With one, which is so unless set, the thread that iterates computes.
    pub fn threads(&self, threads: usize) -> Dataset<T> {
        if threads == 0 {
            return Dataset::failed(Error::invalid_argument("`map` on 0 threads"));
        }
        self.set(Setting::Threads(threads), "threads", "`map`")
    }

    /// The elements of which `keep` is true.
    pub fn filter(&self, keep: impl Fn(&T) -> Result<bool> + Send + Sync + 'static) -> Dataset<T> {
        Dataset::of(Filter { inner: self.node.clone(), keep: Arc::new(keep) })
    }

    /// Has a thread of its own read up to `elements` ahead.
    ///
    /// It begins with the iteration, in the scopes of the thread that begins it, without tapes, and ends with it. If it
    /// panics, that is an error of the iteration.
    pub fn prefetch(&self, elements: usize) -> Dataset<T> {
        Dataset::of(Prefetch { inner: self.node.clone(), elements })
    }
}

impl<T: Send + 'static, U: Send + 'static> Node<U> for Map<T, U> {
    fn items(&self, epoch: u64, skip: u64) -> Items<U> {
        let (f, items) = (self.f.clone(), self.inner.items(epoch, skip));
        let place = move |count: u64| Place { epoch, at: skip.wrapping_add(count) };
        let f = move |element, count| {
            let place = place(count);
            f(element, place).map_err(|error| error.note(format!("in `map`, of element {}", place.at)))
        };
        match self.threads {
            1 => Box::new(items.zip(0..).map(move |(element, count)| f(element?, count))),
            threads => Box::new(in_order(items, f, threads, 2 * threads as u64)),
        }
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }

    fn set(&self, setting: Setting) -> Option<Arc<dyn Node<U>>> {
        let Setting::Threads(threads) = setting else { return None };
        Some(Arc::new(Map { inner: self.inner.clone(), f: self.f.clone(), threads }))
    }
}

struct Filter<T> {
    inner: Arc<dyn Node<T>>,
    keep: Arc<dyn Fn(&T) -> Result<bool> + Send + Sync>,
}

impl<T: Send + 'static> Node<T> for Filter<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let keep = self.keep.clone();
        let kept = self.inner.items(epoch, 0).zip(0_u64..).filter_map(move |(element, at)| {
            let kept = element.and_then(|element| {
                let kept = keep(&element).map_err(|error| error.note(format!("in `filter`, of element {at}")))?;
                Ok(kept.then_some(element))
            });
            kept.transpose()
        });
        super::node::after(Box::new(kept), skip)
    }

    fn cardinality(&self) -> Cardinality {
        match self.inner.cardinality() {
            Cardinality::Known(0) => Cardinality::Known(0),
            _ => Cardinality::Unknown,
        }
    }
}

struct Prefetch<T> {
    inner: Arc<dyn Node<T>>,
    elements: usize,
}

impl<T: Send + 'static> Node<T> for Prefetch<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let items = self.inner.items(epoch, skip);
        match self.elements {
            0 => items,
            ahead => Box::new(in_order(items, |element, _| Ok(element), 1, ahead as u64)),
        }
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }
}
