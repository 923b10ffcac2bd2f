//! What follows a product while its elements are in the cache.

use std::mem::swap;
use std::slice::from_raw_parts_mut;

use bytemuck::Pod;

use super::pack::Factor;
use super::place;
use super::tile::Tail;
use crate::instruction_set::InstructionSet;
use crate::operation::Unary;
use crate::strided::{Strided, TILE};

/// What is done to a product of matrices, block by block: `activation(a·b + bias) + add`, which is written or, with
/// `accumulate`, added to what stands in the output.
///
/// Each step rounds to the type, so the bits are those of one kernel after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a, T> {
    /// One element for each column.
    pub bias: Option<&'a [T]>,
    /// A function of each element.
    pub activation: Option<Unary>,
    /// A matrix, or as many as there are products, with the shape of the output.
    pub add: Option<Strided<'a, T>>,
    /// Whether the output holds what the result is added to.
    pub accumulate: bool,
}

/// An [`Epilogue`] and the kernels of its type.
pub(crate) struct Finish<'a, T> {
    pub(crate) epilogue: Epilogue<'a, T>,
    /// That of the caller, for the threads that help.
    pub(crate) set: InstructionSet,
    pub(crate) unary: fn(Unary, &[T], &mut [T]),
    pub(crate) sum: fn(&[T], &[T], &mut [T]),
}

/// Elements of the output: so many rows, `pitch` apart.
pub(crate) struct Block<T> {
    pub(crate) first: *mut T,
    pub(crate) pitch: usize,
    /// The row and the column where it begins.
    pub(crate) at: [usize; 2],
    pub(crate) sizes: [usize; 2],
}

impl<T: Factor> Finish<'_, T> {
    /// What follows from a column of the product on, if tiles can do all of it.
    pub(super) fn tail(&self, column: usize, turned: bool) -> Option<Tail<T::Term>> {
        let Epilogue { bias, activation, add: None, accumulate: false } = self.epilogue else { return None };
        let bias = match bias {
            Some(_) if turned => return None,
            Some(bias) => T::terms(&bias[column..])?.as_ptr(),
            None => T::terms(&[]).map(|_| std::ptr::null())?,
        };
        match activation {
            None => Some(Tail { bias, relu: false }),
            Some(Unary::Relu) => Some(Tail { bias, relu: true }),
            Some(_) => None,
        }
    }
}

/// The elements of a small block.
const FEW: usize = 64;

impl<T: Pod> Finish<'_, T> {
    /// Where what is added to the product `index` begins.
    pub(crate) fn added(&self, index: usize) -> isize {
        let Some(add) = self.epilogue.add else { return 0 };
        let batch = add.shape().len() - 2;
        add.offset() as isize + place(&add.shape()[..batch], &add.strides()[..batch], index)
    }

    /// Writes a block of the product that begins at `place` of `add`; `read` gives its elements by row and first column.
    /// A `turned` block is one of the transposed product.
    ///
    /// # Safety
    /// The block may be read and written.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn apply(
        &self,
        block: Block<T>,
        place: isize,
        turned: bool,
        read: &dyn Fn(usize, usize, &mut [T]),
    ) {
        // To clear what a whole tile needs takes longer than a small product.
        // SAFETY: the caller keeps the contract.
        unsafe {
            match block.sizes[0].saturating_mul(block.sizes[1]) {
                0..=FEW => self.apply_in::<FEW>(block, place, turned, read),
                _ => self.apply_in::<TILE>(block, place, turned, read),
            }
        }
    }

    /// As [`apply`](Self::apply), `N` elements at a time.
    ///
    /// # Safety
    /// The block may be read and written.
    #[allow(unsafe_code)]
    unsafe fn apply_in<const N: usize>(
        &self,
        block: Block<T>,
        place: isize,
        turned: bool,
        read: &dyn Fn(usize, usize, &mut [T]),
    ) {
        let ([row, column], [rows, columns]) = (block.at, block.sizes);
        let [mut x, mut y, mut bias, mut other] = [[T::zeroed(); N]; 4];
        let few = if columns == block.pitch { (N / columns).max(1) } else { 1 };
        for first in (0..columns).step_by(N) {
            let used = N.min(columns - first);
            if let Some(own) = self.epilogue.bias {
                for bias in bias.chunks_exact_mut(used).take(few) {
                    match turned {
                        true => bias.fill(own[row]),
                        false => bias.copy_from_slice(&own[column + first..][..used]),
                    }
                }
            }
            for start in (0..rows).step_by(few) {
                let now = few.min(rows - start);
                let n = now * used;
                for (i, x) in x[..n].chunks_exact_mut(used).enumerate() {
                    read(start + i, first, x);
                }
                let (mut x, mut y) = (&mut x[..n], &mut y[..n]);
                if self.epilogue.bias.is_some() {
                    (self.sum)(x, &bias[..n], y);
                    swap(&mut x, &mut y);
                }
                if let Some(op) = self.epilogue.activation {
                    (self.unary)(op, x, y);
                    swap(&mut x, &mut y);
                }
                if let Some(add) = self.epilogue.add {
                    let steps = add
                        .strides()
                        .last_chunk::<2>()
                        .map_or([0, 0], |&[down, across]| if turned { [across, down] } else { [down, across] });
                    for (i, other) in other[..n].chunks_exact_mut(used).enumerate() {
                        let at = place + (row + start + i) as isize * steps[0] + (column + first) as isize * steps[1];
                        match steps[1] {
                            1 => other.copy_from_slice(&add.data()[at as usize..][..used]),
                            step => {
                                for (j, other) in other.iter_mut().enumerate() {
                                    *other = add.data()[(at + j as isize * step) as usize];
                                }
                            }
                        }
                    }
                    (self.sum)(x, &other[..n], y);
                    swap(&mut x, &mut y);
                }
                // SAFETY: several rows at a time are all of whole rows; the block may be read and written.
                let out = unsafe { from_raw_parts_mut(block.first.add(start * block.pitch + first), n) };
                if self.epilogue.accumulate {
                    (self.sum)(out, x, y);
                    swap(&mut x, &mut y);
                }
                out.copy_from_slice(x);
            }
        }
    }
}
