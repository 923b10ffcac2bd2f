//! The weights that every step is multiplied by, laid out once for all steps.

use std::mem::size_of;

use super::cells::Steps;
use super::{Sizes, view};
use crate::matmul::{multiply_alone, room_alone};
use crate::strided::{Strided, copy};

/// The columns of a strip: as many as the widest tile of a product has in f32, so that it reads the strip as it lies.
const STRIP: usize = 32;
/// The rows of a batch, and the steps, from which on it is worth while to lay out the weights.
const FEW_ROWS: usize = 3;
const FEW_STEPS: usize = 4;

/// A right factor, as it lies or in strips one after the other, each as wide as [`STRIP`] but the last.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, R> {
    data: &'a [R],
    /// Of what lies as it is.
    place: Option<(usize, [isize; 2])>,
    sizes: [usize; 2],
}

impl<'a, R: Steps> Weights<'a, R> {
    /// The columns from `first` on, or the rows where it is `turned`, `k` × `n`, of a matrix, with `k·n` elements of room.
    pub(super) fn new(
        matrix: Strided<'a, R>,
        turned: bool,
        first: usize,
        [k, n]: [usize; 2],
        sizes: Sizes,
        room: &'a mut [R],
    ) -> Self {
        let &[down, across] = matrix.strides() else { panic!("weights are a matrix") };
        let offset = (matrix.offset() as isize + first as isize * across) as usize;
        let strides = if turned { [across, down] } else { [down, across] };
        if sizes.batch < FEW_ROWS || sizes.time < FEW_STEPS {
            return Self { data: matrix.data(), place: Some((offset, strides)), sizes: [k, n] };
        }
        for column in (0..n).step_by(STRIP) {
            let columns = STRIP.min(n - column);
            let at = (offset as isize + column as isize * strides[1]) as usize;
            let strip = &mut room[column * k..][..columns * k];
            copy(view(matrix.data(), &[k, columns], &strides, at), strip);
        }
        Self { data: room, place: None, sizes: [k, n] }
    }

    /// Writes the product of some rows and the weights; the rows are `a_pitch` apart, those of the product `pitch`.
    pub(super) fn multiply(&self, a: &[R], [rows, a_pitch]: [usize; 2], out: &mut [R], pitch: usize, room: &mut [u8]) {
        let [k, n] = self.sizes;
        let (a_shape, a_strides) = ([rows, k], [a_pitch as isize, 1]);
        let a = view(a, &a_shape, &a_strides, 0);
        if let Some((offset, strides)) = self.place {
            return multiply_alone(a, view(self.data, &[k, n], &strides, offset), out, pitch, room);
        }
        for column in (0..n).step_by(STRIP) {
            let columns = STRIP.min(n - column);
            let strip = &self.data[column * k..][..columns * k];
            let (shape, strides) = ([k, columns], [columns as isize, 1]);
            multiply_alone(a, view(strip, &shape, &strides, 0), &mut out[column..], pitch, room);
        }
    }
}

/// The elements of a room in which any of the products of a step can be computed by one thread.
pub(super) fn room<R: Steps>(sizes: Sizes) -> usize {
    let (units, width) = (sizes.units, sizes.width());
    let bytes = [[units, width], [width, units]].map(|[k, n]| room_alone::<R>(sizes.batch, k, n));
    bytes[0].max(bytes[1]).div_ceil(size_of::<R>())
}
