//! What a pipeline is made of.

use super::Cardinality;
use super::rows::Rows;
use modulor::{Error, Result};
use std::sync::Arc;

/// Elements as they come. After an error nobody asks for more.
pub(super) type Items<I> = Box<dyn Iterator<Item = Result<I>> + Send>;

/// A source, or something that is done to other nodes.
pub(super) trait Node<I>: Send + Sync {
    /// The elements of an epoch but the first `skip`: a function of the two numbers.
    fn items(&self, epoch: u64, skip: u64) -> Items<I>;

    /// How many there are in an epoch.
    fn cardinality(&self) -> Cardinality;

    /// This with a setting of its own changed, if it has that setting.
    fn set(&self, _: Setting) -> Option<Arc<dyn Node<I>>> {
        None
    }

    /// The tensors whose rows the elements are, and which come when, if that is what they are.
    fn rows(&self) -> Option<Rows<I>> {
        None
    }
}

/// What is said of a node after it was made.
#[derive(Clone)]
pub(super) enum Setting {
    /// Whether elements that do not fill a batch or a window are left out.
    DropRemainder,
    /// Whether a shuffle has another order in each epoch.
    Reshuffle(bool),
    /// How many threads compute a map.
    Threads(usize),
}

/// An error in place of elements.
pub(super) struct Failed(pub Error);

impl<I> Node<I> for Failed {
    fn items(&self, _: u64, _: u64) -> Items<I> {
        let mut error = Some(self.0.clone());
        Box::new(std::iter::from_fn(move || error.take().map(Err)))
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }
}

/// The items but the first `skip`, which are read when the first is asked for.
pub(super) fn after<I: 'static>(mut items: Items<I>, skip: u64) -> Items<I> {
    let mut left = skip;
    match skip {
        0 => items,
        _ => Box::new(std::iter::from_fn(move || {
            while left > 0 {
                left -= 1;
                match items.next()? {
                    Ok(_) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            items.next()
        })),
    }
}

/// A number that follows from two, and looks as if it did not.
pub(super) fn mixed(a: u64, b: u64) -> u64 {
    // The finalizer of SplitMix64, on a step of its sequence.
    let mut z = a.wrapping_add(b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
