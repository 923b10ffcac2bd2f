//! Where elements live, and the one place that asks for memory.

use super::resource::Resource;
use crate::{Error, Result};
use bytemuck::Pod;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Memory of ours: 16-byte aligned, zeroed by the allocator, counted against the limit for as long as it lives.
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
    }
}

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Bounds the memory, in bytes, of all tensors that operations make; further ones fail with
/// [`ResourceExhausted`](crate::ErrorKind::ResourceExhausted). There is no bound to begin with but what the system gives.
pub fn set_memory_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
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

impl Plain {
    /// Zeroed memory for `len` bytes: fails, and never aborts, when there is none or the limit forbids it.
    pub fn zeroed(len: usize) -> Result<Plain> {
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
        match bytemuck::allocation::try_zeroed_vec::<u128>(words) {
            Ok(words) => Ok(Plain { owner: Box::new(Counted { words }), len }),
            Err(()) => {
                IN_USE.fetch_sub(bytes, Ordering::Relaxed);
                Err(refused("the system has no more".to_owned()))
            }
        }
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
    fn a_vector_keeps_its_allocation() {
        let values = vec![1.0_f32, 2.0];
        let address = values.as_ptr().cast::<u8>();
        let plain = Plain::from_vec(values);
        assert_eq!(plain.bytes().as_ptr(), address);
        assert_eq!(plain.bytes().len(), 8);
    }
}
