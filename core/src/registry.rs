//! What can be found by name: ops here, classes of modules in [`class`].

pub mod class;

use crate::flow;
use crate::op::{Attrs, Op, OpDef};
use crate::ops::{
    array, bitwise, check, cholesky, color, concat, convolution, ctc, cumulative, decomposition, diagonal,
    distribution, einsum, fill, gather, histogram, image, inverse, linalg, list, logic, math, nn, order, pad, pooling,
    projection, random, reduce, sampling, search, segment, shift, slice, space, special, spectrum, state, stream,
    string, table, triangle, unique,
};
use crate::{Error, Result};
use std::sync::Arc;

/// Every family's rows. A family is added here once; an op, in its family's file.
const FAMILIES: &[&[&[OpDef]]] = &[
    math::OPS,
    special::OPS,
    logic::OPS,
    bitwise::OPS,
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
    random::OPS,
    distribution::OPS,
    stream::OPS,
    state::OPS,
    string::OPS,
    table::OPS,
    list::OPS,
    flow::OPS,
];

/// All ops.
pub fn ops() -> impl Iterator<Item = &'static OpDef> {
    FAMILIES.iter().flat_map(|family| family.iter()).flat_map(|rows| rows.iter())
}

/// The op of this TensorFlow name with these attributes, as a graph's node says them.
pub fn op(name: &str, attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let def = ops().find(|def| def.name == name).ok_or_else(|| Error::unimplemented(format!("no op `{name}`")))?;
    (def.parse)(attrs).map_err(|error| error.in_op(def.name))
}
