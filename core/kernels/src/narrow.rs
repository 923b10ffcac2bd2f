//! Elementwise functions of f16 and bf16, on slices: computed in f32 and rounded once.

use half::slice::HalfFloatSliceExt;

use crate::float;
use crate::operation::{Binary, Fault, Test, Unary, Unsupported};
use crate::strided::TILE;

pub(crate) fn unary<H>(op: Unary, x: &[H], out: &mut [H]) -> Result<(), Unsupported>
where
    [H]: HalfFloatSliceExt,
{
    let (mut wide, mut result) = ([0.0; TILE], [0.0; TILE]);
    for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
        let (wide, result) = (&mut wide[..x.len()], &mut result[..x.len()]);
        x.convert_to_f32_slice(wide);
        float::unary(op, wide, result)?;
        out.convert_from_f32_slice(result);
    }
    Ok(())
}

pub(crate) fn binary<H>(op: Binary, a: &[H], b: &[H], out: &mut [H]) -> Result<(), Fault>
where
    [H]: HalfFloatSliceExt,
{
    let (mut wide_a, mut wide_b, mut result) = ([0.0; TILE], [0.0; TILE], [0.0; TILE]);
    for ((a, b), out) in a.chunks(TILE).zip(b.chunks(TILE)).zip(out.chunks_mut(TILE)) {
        let n = out.len();
        a.convert_to_f32_slice(&mut wide_a[..n]);
        b.convert_to_f32_slice(&mut wide_b[..n]);
        float::binary(op, &wide_a[..n], &wide_b[..n], &mut result[..n])?;
        out.convert_from_f32_slice(&result[..n]);
    }
    Ok(())
}

pub(crate) fn test<H>(op: Test, x: &[H], out: &mut [u8]) -> Result<(), Unsupported>
where
    [H]: HalfFloatSliceExt,
{
    let mut wide = [0.0; TILE];
    for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
        let wide = &mut wide[..x.len()];
        x.convert_to_f32_slice(wide);
        float::test(op, wide, out)?;
    }
    Ok(())
}
