//! Images under projective maps: every place the place of an image that a map takes it to, or what lies between four of them.

use half::{bf16, f16};

use crate::narrow::Half;
use crate::parts::{Matrix, by_rows};
use crate::resize::Resized;

/// What lies beyond the edges of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FillMode {
    /// A number: `k k k | a b c d | k k k`.
    #[default]
    Constant,
    /// The image backwards: `c b a | a b c d | d c b`.
    Reflect,
    /// The image again: `b c d | a b c d | a b c`.
    Wrap,
    /// The place at the edge: `a a a | a b c d | d d d`.
    Nearest,
}

impl FillMode {
    /// Where a position along an axis with so many places counts as, in the steps of TensorFlow's float32.
    fn within(self, position: f32, len: usize) -> f32 {
        let (last, single) = (len as f32 - 1.0, len <= 1);
        let clamped = |position: f32| if position < 0.0 { 0.0 } else { position }.min(last);
        // Casts to integers saturate.
        let times = |turns: f32, len: usize| (turns as i64).saturating_mul(len as i64) as f32;
        match self {
            FillMode::Constant => position,
            FillMode::Nearest if position.is_nan() => position,
            FillMode::Nearest => clamped(position),
            FillMode::Reflect | FillMode::Wrap if position >= 0.0 && position <= last => position,
            FillMode::Reflect | FillMode::Wrap if position.is_nan() => position,
            FillMode::Reflect | FillMode::Wrap if single => clamped(0.0),
            FillMode::Reflect => {
                let there_and_back = 2 * len;
                let turns = position.abs() / there_and_back as f32;
                clamped(if position < 0.0 {
                    let at = times(turns, there_and_back) + position;
                    if at < -(len as f32) { at + there_and_back as f32 } else { -at - 1.0 }
                } else {
                    let at = position - times(turns, there_and_back);
                    if at >= len as f32 { there_and_back as f32 - at - 1.0 } else { at }
                })
            }
            FillMode::Wrap => {
                let turns = position.abs() / last;
                let back = position < 0.0;
                clamped(if back { position + times(turns.trunc() + 1.0, len) } else { position - times(turns, len) })
            }
        }
    }
}

/// How images are mapped, with the arithmetic of TensorFlow: positions are float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Whether a place is made of the four around where it lies, the nearer the more; else the nearest one is taken.
    pub bilinear: bool,
    /// What lies beyond the edges.
    pub fill_mode: FillMode,
}

/// The numbers of images that are mapped: the floats, `u8`, `i32` and `i64`.
pub trait Projected: Sized {
    /// Writes images under maps of eight numbers each, `a0..a2 b0..b2 c0 c1`, one for each image or one for all: place (x, y)
    /// of the result is ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k) of the image, of k = c0·x + c1·y + 1.
    ///
    /// What is between places is computed in float32. `fill` lies beyond the edges with [`FillMode::Constant`], and where k is 0.
    ///
    /// # Panics
    /// When the lengths do not fit the sizes.
    fn project(how: Projection, sizes: &Resized, x: &[Self], maps: &[f32], fill: Self, out: &mut [Self]);
}

macro_rules! projected {
    ($($t:ident $widen:expr, $narrow:expr;)*) => { $(
        impl Projected for $t {
            fn project(how: Projection, sizes: &Resized, x: &[Self], maps: &[f32], fill: Self, out: &mut [Self]) {
                project(how, sizes, x, maps, fill, out, $widen, $narrow);
            }
        }
    )* };
}
projected! {
    f32 |x| x, |x| x;
    f64 |x| x as f32, f64::from;
    f16 Half::widen, Half::narrow;
    bf16 Half::widen, Half::narrow;
    u8 f32::from, |x| x as u8;
    i32 |x| x as f32, |x| x as i32;
    i64 |x| x as f32, |x| x as i64;
}

#[expect(clippy::too_many_arguments, reason = "those of the trait's method, and two conversions")]
fn project<T: Copy + Send + Sync>(
    how: Projection,
    sizes: &Resized,
    x: &[T],
    maps: &[f32],
    fill: T,
    out: &mut [T],
    widen: impl Fn(T) -> f32 + Sync,
    narrow: impl Fn(f32) -> T + Sync,
) {
    let ([rows, columns], to, channels) = (sizes.from, sizes.to, sizes.channels);
    assert!(x.len() == sizes.inputs() && out.len() == sizes.outputs(), "images of these sizes");
    assert!(maps.len() == 8 || maps.len() == 8 * sizes.batch, "a map of eight numbers for each image, or for all");
    if out.is_empty() {
        return;
    }
    let reads = if how.bilinear { 8 } else { 2 };
    by_rows(sizes.batch * to[0], out.len().saturating_mul(reads), Matrix::new(out, to[1] * channels), |range, out| {
        for (row, out) in range.zip(out.chunks_exact_mut(to[1] * channels)) {
            let (image, row) = (row / to[0], row % to[0]);
            let map = &maps[if maps.len() == 8 { 0 } else { 8 * image }..][..8];
            let x = &x[image * rows * columns * channels..][..rows * columns * channels];
            // The numbers at a place, if it is in the image.
            let at = |y: f32, column: f32| -> Option<&[T]> {
                let [row, column] = [(y, rows), (column, columns)]
                    .map(|(place, len)| (place >= 0.0 && (place as usize) < len).then_some(place as usize));
                Some(&x[(row? * columns + column?) * channels..][..channels])
            };
            for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                let (across, down) = (column as f32, row as f32);
                let scale = map[6] * across + map[7] * down + 1.0;
                if scale == 0.0 {
                    out.fill(fill);
                    continue;
                }
                let across_at = (map[0] * across + map[1] * down + map[2]) / scale;
                let down_at = (map[3] * across + map[4] * down + map[5]) / scale;
                let (across, down) = (how.fill_mode.within(across_at, columns), how.fill_mode.within(down_at, rows));
                if !how.bilinear {
                    match at(down.round(), across.round()) {
                        Some(place) => out.copy_from_slice(place),
                        None => out.fill(fill),
                    }
                    continue;
                }
                let (left, top) = (across.floor(), down.floor());
                let (right, bottom) = (left + 1.0, top + 1.0);
                let corners = [at(top, left), at(top, right), at(bottom, left), at(bottom, right)];
                for (channel, out) in out.iter_mut().enumerate() {
                    let corner = |i: usize| widen(corners[i].map_or(fill, |place| place[channel]));
                    let above = (right - across) * corner(0) + (across - left) * corner(1);
                    let below = (right - across) * corner(2) + (across - left) * corner(3);
                    *out = narrow((bottom - down) * above + (down - top) * below);
                }
            }
        }
    });
}
