//! The operations, by family: each file holds ops whole, their methods on [`Tensor`](crate::Tensor), and their rows.
//!
//! What TensorFlow has no op for is a composite, in [`composite`]: a named function over public tensor operations.

use crate::{MAX_RANK, Result};

pub(crate) mod array;
pub(crate) mod concat;
pub(crate) mod decomposition;
pub(crate) mod fill;
pub(crate) mod gather;
pub(crate) mod linalg;
pub(crate) mod math;
pub(crate) mod operators;
pub(crate) mod order;
pub(crate) mod pad;
pub(crate) mod random;
pub(crate) mod reduce;
pub(crate) mod slice;
pub(crate) mod state;

/// Calls `f` with every index below `dims`, in row-major order.
fn each_index(dims: &[usize], f: &mut dyn FnMut(&[usize]) -> Result<()>) -> Result<()> {
    if dims.contains(&0) {
        return Ok(());
    }
    let mut index = [0; MAX_RANK];
    let index = &mut index[..dims.len()];
    loop {
        f(index)?;
        let Some(axis) = (0..dims.len()).rev().find(|&axis| index[axis] + 1 < dims[axis]) else { return Ok(()) };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}
