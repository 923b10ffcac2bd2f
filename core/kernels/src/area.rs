//! Images of other sizes, each place the mean of what it covers.

use crate::parts::{Matrix, by_rows};

/// How the places of one axis of the results cover those of the images: place `i` from `i · scale` to `(i + 1) · scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The places of the images, at least one.
    pub from: usize,
    /// The places of the results.
    pub to: usize,
    /// Whether the first and last places of both lie on each other, so that the last cover more than there is: the last place
    /// of the images stands for what is beyond.
    pub align_corners: bool,
}

impl Area {
    fn scale(&self) -> f32 {
        match self.align_corners && self.to > 1 {
            true => (self.from - 1) as f32 / (self.to - 1) as f32,
            false => self.from as f32 / self.to as f32,
        }
    }

    /// The places that a place covers, with how much of each.
    fn of(&self, at: usize) -> impl Iterator<Item = (usize, f32)> + Clone + use<> {
        let (scale, last) = (self.scale(), self.from - 1);
        let (begin, end) = (at as f32 * scale, (at + 1) as f32 * scale);
        (begin.floor() as usize..end.ceil() as usize).map(move |place| {
            let (first, behind) = (place as f32, (place + 1) as f32);
            let part = match (first < begin, behind > end) {
                (true, true) => scale,
                (true, false) => behind - begin,
                (false, true) => end - first,
                (false, false) => 1.0,
            };
            (place.min(last), part)
        })
    }
}

/// Writes the mean of what each place of the results covers, row by row of it: `x` is `[batch, rows, columns, channels]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn area_means(x: &[f32], out: &mut [f32], [rows, columns]: [Area; 2], channels: usize) {
    let image = rows.from * columns.from * channels;
    let batch = x.len().checked_div(image).unwrap_or(0);
    let line = columns.to * channels;
    assert!(x.len() == batch * image && out.len() == batch * rows.to * line, "as many images as results");
    if out.is_empty() {
        return;
    }
    let share = 1.0 / (rows.scale() * columns.scale());
    let covered = (rows.scale().ceil() as usize + 1).saturating_mul(columns.scale().ceil() as usize + 1);
    by_rows(batch * rows.to, out.len().saturating_mul(covered), Matrix::new(out, line), |range, out| {
        for (row, out) in range.zip(out.chunks_exact_mut(line)) {
            let x = &x[row / rows.to * image..][..image];
            for (at, out) in out.chunks_exact_mut(channels).enumerate() {
                out.fill(0.0);
                for (down, height) in rows.of(row % rows.to) {
                    for (across, width) in columns.of(at) {
                        let place = &x[(down * columns.from + across) * channels..][..channels];
                        out.iter_mut().zip(place).for_each(|(out, x)| *out += x * (height * width * share));
                    }
                }
                // Of no place, where images of one place have their corners aligned with results of more.
                if share.is_infinite() {
                    out.fill(f32::NAN);
                }
            }
        }
    });
}
