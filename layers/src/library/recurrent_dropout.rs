//! Dropout within recurrent cells.

use super::SeedGenerator;
use modulor::op::scope;
use modulor::{Result, Tensor};

/// What the inputs and h are multiplied by in all steps of a sequence: a tensor each, one for each gate, or none.
#[derive(Clone, Default)]
pub(super) struct Masks {
    pub(super) x: Vec<Tensor>,
    pub(super) h: Vec<Tensor>,
}

impl Masks {
    /// Draws masks of so many gates; in training alone, and of the rates between 0 and 1.
    ///
    /// As Keras does, each gate has its own where h has any, and there is one for all gates otherwise.
    pub(super) fn draw(rates: [f64; 2], gates: usize, seeds: &SeedGenerator, of: [&Tensor; 2]) -> Result<Masks> {
        let count = if rates[1] == 0.0 { 1 } else { gates };
        Masks::draw_each(rates, count, seeds, of)
    }

    /// Draws so many masks for the inputs and for h, as [`draw`](Masks::draw) does.
    pub(super) fn draw_each(
        [dropout, recurrent_dropout]: [f64; 2],
        count: usize,
        seeds: &SeedGenerator,
        [x, h]: [&Tensor; 2],
    ) -> Result<Masks> {
        let draw = |rate: f64, like: &Tensor| match scope::training() && rate > 0.0 && rate < 1.0 {
            true => (0..count).map(|_| like.ones_like()?.dropout(rate, &seeds.next_seed()?, None)).collect(),
            false => Ok(Vec::new()),
        };
        Ok(Masks { x: draw(dropout, x)?, h: draw(recurrent_dropout, h)? })
    }
}

/// `x` under one of the masks of all gates.
pub(super) fn masked(x: &Tensor, masks: &[Tensor], gate: usize) -> Result<Tensor> {
    masks.get(gate).or(masks.first()).map_or_else(|| Ok(x.clone()), |mask| x.mul(mask))
}

/// The product of `x` under the masks and a kernel, whose columns are those of so many gates.
pub(super) fn product(x: &Tensor, masks: &[Tensor], kernel: &Tensor, gates: usize) -> Result<Tensor> {
    if masks.len() < 2 {
        return masked(x, masks, 0)?.matmul(kernel);
    }
    let kernels = kernel.split(gates, 1)?;
    let products = kernels.iter().enumerate().map(|(gate, kernel)| masked(x, masks, gate)?.matmul(kernel));
    Tensor::concat(&products.collect::<Result<Vec<_>>>()?, 1)
}
