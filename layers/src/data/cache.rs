//! Elements that are kept.

use super::node::{Items, Node};
use super::{Cardinality, Dataset};
use std::sync::{Arc, Mutex, PoisonError};

struct Cache<T> {
    inner: Arc<dyn Node<T>>,
    /// All elements, once somebody has read to the end.
    kept: Arc<Mutex<Option<Arc<Vec<T>>>>>,
}

impl<T: Clone + Send + Sync + 'static> Dataset<T> {
    /// Keeps the elements of the first epoch in memory, once they have been read to the end, and gives them in every
    /// epoch: what stands before is read once, and is neither shuffled nor drawn anew.
    pub fn cache(&self) -> Dataset<T> {
        Dataset::of(Cache { inner: self.node.clone(), kept: Arc::default() })
    }
}

impl<T: Clone + Send + Sync + 'static> Node<T> for Cache<T> {
    fn items(&self, _: u64, skip: u64) -> Items<T> {
        let kept = self.kept.clone();
        let whole = |kept: &Mutex<Option<Arc<Vec<T>>>>| kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut at = usize::try_from(skip).unwrap_or(usize::MAX);
        if let Some(elements) = whole(&kept) {
            return Box::new(std::iter::from_fn(move || {
                let element = elements.get(at)?.clone();
                at += 1;
                Some(Ok(element))
            }));
        }
        let (mut items, mut read) = (self.inner.items(0, 0), Vec::new());
        Box::new(std::iter::from_fn(move || {
            loop {
                match items.next() {
                    Some(Ok(element)) => {
                        read.push(element.clone());
                        if read.len() > at {
                            return Some(Ok(element));
                        }
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => {
                        let elements = Arc::new(std::mem::take(&mut read));
                        kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(elements);
                        at = usize::MAX;
                        return None;
                    }
                }
            }
        }))
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }
}
