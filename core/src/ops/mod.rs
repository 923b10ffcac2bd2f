//! The operations, by family: each file holds ops whole, their methods on [`Tensor`], and their rows.
//!
//! What TensorFlow has no op for is a composite, in [`composite`]: a named function over public tensor operations. Some
//! have a kernel of their own, in [`fused`].

use crate::op::{Backward, OpDef};
use crate::{Error, MAX_RANK, Result, Tensor};
use modulor_kernels::Strided;

mod along;
pub(crate) mod array;
pub(crate) mod attention;
pub(crate) mod bitcast;
pub(crate) mod bitwise;
pub(crate) mod check;
pub(crate) mod cholesky;
pub(crate) mod color;
pub(crate) mod complex;
pub mod composite;
pub(crate) mod concat;
pub(crate) mod convolution;
pub(crate) mod ctc;
pub(crate) mod cumulative;
pub(crate) mod decomposition;
pub(crate) mod diagonal;
pub(crate) mod distribution;
pub(crate) mod eigen;
pub(crate) mod einsum;
mod element;
pub(crate) mod fill;
pub(crate) mod fold;
pub(crate) mod fourier;
pub mod fused;
pub(crate) mod gather;
pub(crate) mod grid;
pub(crate) mod histogram;
pub(crate) mod image;
pub mod images;
pub(crate) mod inverse;
mod least_squares;
pub(crate) mod linalg;
pub(crate) mod list;
pub(crate) mod logic;
pub(crate) mod math;
mod nan;
pub(crate) mod nn;
pub(crate) mod normalization;
pub(crate) mod operators;
pub mod optimizer;
pub(crate) mod order;
pub(crate) mod pad;
pub(crate) mod pooling;
pub(crate) mod product;
pub(crate) mod projection;
pub(crate) mod random;
pub mod recurrent;
pub(crate) mod reduce;
pub mod running_sum;
pub(crate) mod sampling;
pub(crate) mod search;
pub(crate) mod segment;
pub(crate) mod shift;
pub mod signal;
pub(crate) mod slice;
pub(crate) mod sliding;
pub(crate) mod space;
pub(crate) mod special;
pub(crate) mod spectrum;
pub(crate) mod state;
pub(crate) mod stream;
pub mod string;
pub mod table;
pub(crate) mod triangle;
pub(crate) mod unique;

/// Every family's rows: what [`registry`](crate::registry) finds by name.
pub(crate) const FAMILIES: &[&[&[OpDef]]] = &[
    math::OPS,
    special::OPS,
    logic::OPS,
    bitwise::OPS,
    bitcast::OPS,
    nn::OPS,
    ctc::OPS,
    convolution::OPS,
    pooling::OPS,
    image::OPS,
    sampling::OPS,
    projection::OPS,
    color::OPS,
    array::OPS,
    check::OPS,
    concat::OPS,
    slice::OPS,
    shift::OPS,
    space::OPS,
    pad::OPS,
    fill::OPS,
    gather::OPS,
    segment::OPS,
    order::OPS,
    search::OPS,
    unique::OPS,
    histogram::OPS,
    reduce::OPS,
    einsum::OPS,
    cumulative::OPS,
    linalg::OPS,
    diagonal::OPS,
    decomposition::OPS,
    triangle::OPS,
    cholesky::OPS,
    inverse::OPS,
    spectrum::OPS,
    eigen::OPS,
    complex::OPS,
    fourier::OPS,
    random::OPS,
    distribution::OPS,
    stream::OPS,
    state::OPS,
    string::OPS,
    table::OPS,
    list::OPS,
];

/// No gradient of any input: none is a number that the outputs follow smoothly.
fn constant(b: &Backward) -> Result<Vec<Option<Tensor>>> {
    Ok(vec![None; b.inputs().len()])
}

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

/// Calls `f` with elements that lie in row-major order.
fn row_major<T, R>(elements: &[T], dims: &[usize], f: impl FnOnce(Strided<T>) -> Result<R>) -> Result<R> {
    let mut strides = [0; MAX_RANK];
    let strides = &mut strides[..dims.len()];
    let mut step = 1;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        *stride = step;
        step *= dim as isize;
    }
    f(Strided::new(elements, dims, strides, 0).ok_or_else(|| Error::internal("dims that do not count the elements"))?)
}
