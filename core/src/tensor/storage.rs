//! Where elements live, and the one place that asks for memory.

use super::resource::Resource;
use super::variant::Variant;
use crate::{Error, Result};
use bytemuck::Pod;
use bytemuck::allocation::try_zeroed_vec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One string element: any bytes.
pub type Text = Arc<[u8]>;

/// The elements of one or many tensors; immutable once it is shared.
pub(crate) enum Storage {
    /// Numbers and bools, in native byte order.
    Plain(Plain),
    /// Strings.
    Text(Vec<Text>),
    /// One handle to state.
    Resource(Arc<dyn Resource>),
    /// One list of tensors, or optional.
    Variant(Variant),
}

/// Numbers in an allocation of their own or in one that came from a caller's vector.
pub(crate) struct Plain {
    owner: Box<dyn Bytes>,
    /// Bytes that belong to elements; an allocation of ours is rounded up.
    len: usize,
}

/// An owner of plain bytes.
trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];
}

impl<T: Pod + Send + Sync> Bytes for Vec<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(self)
    }
}

/// Memory of ours: 16-byte aligned, counted against the limit for as long as it lives, and then kept for the next of its size.
struct Counted {
    words: Vec<u128>,
}

impl Bytes for Counted {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        IN_USE.fetch_sub(size_of_val(&*self.words), Ordering::Relaxed);
        Spare::keep(std::mem::take(&mut self.words));
    }
}

/// Allocations that tensors gave back, the oldest first. The pages of a large one that comes from the system must be found
/// and cleared one by one, which takes longer than most kernels need to fill it.
///
/// Together with what is in use they are never more than has been in use at once, nor more than the limit; alone they are
/// never more than [`set_spare_memory`] said.
struct Spare {
    kept: VecDeque<Vec<u128>>,
    bytes: usize,
    /// The most that was in use at once, so far as was seen here.
    peak: usize,
}

/// A smaller allocation comes from what the allocator keeps itself.
const LEAST_SPARE: usize = 64 << 10;
static MOST_SPARE: AtomicUsize = AtomicUsize::new(1 << 30);

static SPARE: Mutex<Spare> = Mutex::new(Spare { kept: VecDeque::new(), bytes: 0, peak: 0 });

impl Spare {
    fn lock() -> MutexGuard<'static, Spare> {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of exactly this size, with whatever was in it. What is in use counts it already.
    fn take(words: usize) -> Option<Vec<u128>> {
        if words * size_of::<u128>() < LEAST_SPARE {
            return None;
        }
        let mut spare = Spare::lock();
        // The one that was given back last is the likeliest to be in a cache.
        let found = spare.kept.iter().rposition(|kept| kept.len() == words).and_then(|at| spare.kept.remove(at));
        spare.bytes -= found.as_ref().map_or(0, |found| size_of_val(&**found));
        let dropped = spare.shrink();
        drop(spare);
        drop(dropped);
        found
    }

    fn keep(words: Vec<u128>) {
        if size_of_val(&*words) < LEAST_SPARE {
            return;
        }
        let mut spare = Spare::lock();
        spare.peak = spare.peak.max(IN_USE.load(Ordering::Relaxed) + size_of_val(&*words));
        spare.bytes += size_of_val(&*words);
        spare.kept.push_back(words);
        let dropped = spare.shrink();
        drop(spare);
        // Without the lock: to give memory back takes the system a while.
        drop(dropped);
    }

    /// Takes out the oldest ones that are too many.
    fn shrink(&mut self) -> Vec<Vec<u128>> {
        let in_use = IN_USE.load(Ordering::Relaxed);
        self.peak = self.peak.max(in_use);
        let most =
            self.peak.min(LIMIT.load(Ordering::Relaxed)).saturating_sub(in_use).min(MOST_SPARE.load(Ordering::Relaxed));
        let mut dropped = Vec::new();
        while self.bytes > most
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= size_of_val(&*oldest);
            dropped.push(oldest);
        }
        dropped
    }

    /// Gives all of them back to the system.
    fn clear() {
        let mut spare = Spare::lock();
        spare.bytes = 0;
        let kept = std::mem::take(&mut spare.kept);
        drop(spare);
        drop(kept);
    }
}

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Bounds the memory, in bytes, of all tensors that operations make; further ones fail with
/// [`ResourceExhausted`](crate::ErrorKind::ResourceExhausted). There is no bound to begin with but what the system gives.
pub fn set_memory_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Bounds the memory, in bytes, that is kept of tensors which are gone, for the next ones of their size; 1 GiB to begin with.
/// What is kept beyond that goes back to the system at once, with 0 all of it.
///
/// ```
/// modulor_core::tensor::set_spare_memory(256 << 20);
/// ```
pub fn set_spare_memory(bytes: usize) {
    MOST_SPARE.store(bytes, Ordering::Relaxed);
    let dropped = Spare::lock().shrink();
    drop(dropped);
}

/// Bytes of all living tensors that operations made.
pub fn memory_in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// An empty vector with room for so many elements: a view may have more of them than there is memory for.
pub(crate) fn room<T>(elements: usize) -> Result<Vec<T>> {
    let refused = |why: &str| Error::resource_exhausted(format!("no memory for a copy of {elements} elements: {why}"));
    let bytes = elements.saturating_mul(size_of::<T>());
    if bytes > LIMIT.load(Ordering::Relaxed) {
        return Err(refused("it is more than the limit"));
    }
    let mut vector = Vec::new();
    vector.try_reserve_exact(elements).map_err(|_| refused("the system has no more"))?;
    Ok(vector)
}

/// Memory for so many bytes, counted as in use, and whether it is zeroed, as new memory is.
fn counted(len: usize) -> Result<(Vec<u128>, bool)> {
    let words = len.div_ceil(size_of::<u128>());
    let bytes = words.saturating_mul(size_of::<u128>());
    let refused = |why: String| Error::resource_exhausted(format!("no memory for a tensor of {len} bytes: {why}"));
    let limit = LIMIT.load(Ordering::Relaxed);
    let grown = IN_USE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(bytes).filter(|&total| total <= limit)
    });
    if let Err(used) = grown {
        return Err(refused(format!("{used} bytes are in use and the limit is {limit}")));
    }
    if let Some(words) = Spare::take(words) {
        return Ok((words, false));
    }
    let fresh = try_zeroed_vec(words).or_else(|()| {
        Spare::clear();
        try_zeroed_vec(words)
    });
    fresh.map(|words| (words, true)).map_err(|()| {
        IN_USE.fetch_sub(bytes, Ordering::Relaxed);
        refused("the system has no more".to_owned())
    })
}

impl Plain {
    /// Zeroed memory for `len` bytes: fails, and never aborts, when there is none or the limit forbids it.
    pub fn zeroed(len: usize) -> Result<Plain> {
        let (mut words, is_fresh) = counted(len)?;
        if !is_fresh {
            words.fill(0);
        }
        Ok(Plain { owner: Box::new(Counted { words }), len })
    }

    /// Memory for `len` bytes with anything in it, to be filled; fails as [`zeroed`](Plain::zeroed) does.
    pub fn unfilled(len: usize) -> Result<Plain> {
        Ok(Plain { owner: Box::new(Counted { words: counted(len)?.0 }), len })
    }

    /// The vector's own allocation, taken over.
    pub fn from_vec<T: Pod + Send + Sync>(values: Vec<T>) -> Plain {
        Plain { len: size_of_val(&*values), owner: Box::new(values) }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.owner.bytes()[..self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.owner.bytes_mut()[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let error = Plain::zeroed(usize::MAX / 2).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    }

    #[test]
    fn memory_given_back_is_used_again_and_zeroed_where_zeros_are_asked_for() {
        // A size that no other test has.
        let len = LEAST_SPARE + 16 * 4321;
        let mut first = Plain::unfilled(len).unwrap();
        first.bytes_mut().fill(7);
        let address = first.bytes().as_ptr();
        drop(first);
        let second = Plain::zeroed(len).unwrap();
        assert_eq!(second.bytes().as_ptr(), address);
        assert!(second.bytes().iter().all(|&byte| byte == 0));
        let third = Plain::unfilled(len).unwrap();
        assert_ne!(third.bytes().as_ptr(), address);
        drop((second, third));
        Spare::clear();
        assert!(Spare::lock().kept.iter().all(|kept| size_of_val(&**kept) != len));
    }

    #[test]
    fn a_vector_keeps_its_allocation() {
        let values = vec![1.0_f32, 2.0];
        let address = values.as_ptr().cast::<u8>();
        let plain = Plain::from_vec(values);
        assert_eq!(plain.bytes().as_ptr(), address);
        assert_eq!(plain.bytes().len(), 8);
    }
}
