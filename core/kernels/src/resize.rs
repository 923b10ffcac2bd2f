//! Images of other sizes: every place a weighted sum of a few places of the image, and the way back.

use crate::parts::{Matrix, by_rows};

/// Which places of an image a place of a resized one is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest one.
    Nearest,
    /// The two around it along each axis, the nearer the more.
    Bilinear,
    /// The four around it along each axis, by a piecewise cubic function whose slope is continuous.
    Bicubic,
}

/// Where the places of a resized image lie in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grid {
    /// The corners at the top left are one place, as in old versions of TensorFlow.
    #[default]
    TopLeft,
    /// The centers of the places at all corners lie on each other: TensorFlow's `align_corners`.
    AlignCorners,
    /// The images cover each other, and a place is a square: TensorFlow's `half_pixel_centers`.
    HalfPixelCenters,
}

/// How images are resized, with the arithmetic of TensorFlow: places and weights are float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Which places count.
    pub interpolation: Interpolation,
    /// Where they are.
    pub grid: Grid,
}

/// The sizes of some images, and of what they are resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resized {
    /// How many images there are.
    pub batch: usize,
    /// Rows and columns of an image: at least one, where there are resized ones.
    pub from: [usize; 2],
    /// Rows and columns of a resized image.
    pub to: [usize; 2],
    /// The numbers at each place.
    pub channels: usize,
}

impl Resized {
    /// The numbers of all images.
    pub fn inputs(&self) -> usize {
        self.batch * self.from[0] * self.from[1] * self.channels
    }

    /// The numbers of all resized images.
    pub fn outputs(&self) -> usize {
        self.batch * self.to[0] * self.to[1] * self.channels
    }
}

/// A place of an image and its weight.
type Tap = (usize, f32);

impl Resize {
    /// The elements of scratch that the kernels want: the places and weights, along a row, of all its places.
    pub fn scratch(&self, sizes: &Resized) -> usize {
        sizes.to[1] * 4
    }

    /// The places along an axis that count for one.
    fn count(&self) -> usize {
        match self.interpolation {
            Interpolation::Nearest => 1,
            Interpolation::Bilinear => 2,
            Interpolation::Bicubic => 4,
        }
    }

    /// Where place `at` of `to` lies among `from`.
    fn position(&self, from: usize, to: usize, at: usize) -> f32 {
        let scale = match self.grid {
            Grid::AlignCorners if to > 1 => (from - 1) as f32 / (to - 1) as f32,
            _ => from as f32 / to as f32,
        };
        match (self.grid, self.interpolation) {
            (Grid::HalfPixelCenters, Interpolation::Nearest) => (at as f32 + 0.5) * scale,
            (Grid::HalfPixelCenters, _) => (at as f32 + 0.5) * scale - 0.5,
            _ => at as f32 * scale,
        }
    }

    /// The places among `from` that place `at` of `to` is made of, the last ones without weight where there are fewer.
    fn taps(&self, from: usize, to: usize, at: usize) -> [Tap; 4] {
        let position = self.position(from, to, at);
        let floor = position.floor();
        // Casts to integers saturate.
        let bound = |place: f32| (place as usize).min(from - 1);
        match self.interpolation {
            Interpolation::Nearest => {
                let place = if self.grid == Grid::AlignCorners { position.round() } else { floor };
                let place = bound(place);
                [(place, 1.0), (place, 0.0), (place, 0.0), (place, 0.0)]
            }
            Interpolation::Bilinear => {
                let (lower, upper, lerp) = (bound(floor), bound(position.ceil()), position - floor);
                [(lower, 1.0 - lerp), (upper, lerp), (upper, 0.0), (upper, 0.0)]
            }
            Interpolation::Bicubic => self.cubic(from, position, floor),
        }
    }

    /// The four places around a position. With half pixel centers those beyond the image count nothing, and the others
    /// the more for it; else the outermost places count for them.
    fn cubic(&self, from: usize, position: f32, floor: f32) -> [Tap; 4] {
        let keys = self.grid == Grid::HalfPixelCenters;
        let a = if keys { -0.5 } else { -0.75 };
        // TensorFlow's weights are those of 1024 steps between two places.
        let step = ((position - floor) * 1024.0).round_ties_even();
        let near = |x: f64| (((a + 2.0) * x - (a + 3.0)) * x * x + 1.0) as f32;
        let far = |x: f64| {
            let x = x + 1.0;
            (((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a) as f32
        };
        let (before, after) = (f64::from(step) / 1024.0, f64::from(1024.0 - step) / 1024.0);
        let mut taps = [(0, 0.0); 4];
        for ((tap, weight), shift) in
            taps.iter_mut().zip([far(before), near(before), near(after), far(after)]).zip([-1.0, 0.0, 1.0, 2.0])
        {
            let place = floor + shift;
            let bound = (place as usize).min(from - 1);
            let inside = place >= 0.0 && place <= (from - 1) as f32;
            *tap = (bound, if keys && !inside { 0.0 } else { weight });
        }
        if keys {
            let sum: f32 = taps[0].1 + taps[1].1 + taps[2].1 + taps[3].1;
            if sum.abs() >= 1000.0 * f32::MIN_POSITIVE {
                taps.iter_mut().for_each(|tap| tap.1 *= 1.0 / sum);
            }
        }
        taps
    }

    /// Of the taps of all places of a row, as many as the interpolation has, the bytes in `room`.
    fn along_rows<'a>(&self, sizes: &Resized, room: &'a mut [[u32; 2]]) -> &'a [[u32; 2]] {
        let room = &mut room[..self.scratch(sizes)];
        for (at, four) in room.chunks_exact_mut(4).enumerate() {
            for (to, (place, weight)) in four.iter_mut().zip(self.taps(sizes.from[1], sizes.to[1], at)) {
                *to = [place as u32, weight.to_bits()];
            }
        }
        room
    }

    /// Writes the nearest places of images whose numbers have so many bytes, which may be of any type.
    ///
    /// # Panics
    /// When the lengths do not fit the sizes.
    pub fn nearest(&self, sizes: &Resized, bytes: usize, x: &[u8], out: &mut [u8]) {
        assert!(x.len() == sizes.inputs() * bytes && out.len() == sizes.outputs() * bytes, "images of these sizes");
        let [rows, columns] = sizes.from;
        let (place, to) = (sizes.channels * bytes, sizes.to);
        if out.is_empty() {
            return;
        }
        by_rows(sizes.batch * to[0], out.len(), Matrix::new(out, to[1] * place), |range, out| {
            for (row, out) in range.zip(out.chunks_exact_mut(to[1] * place)) {
                let (image, row) = (row / to[0], row % to[0]);
                let from = &x[(image * rows + self.taps(rows, to[0], row)[0].0) * columns * place..][..columns * place];
                for (column, out) in out.chunks_exact_mut(place).enumerate() {
                    out.copy_from_slice(&from[self.taps(columns, to[1], column)[0].0 * place..][..place]);
                }
            }
        });
    }

    /// Writes sums over places of images.
    ///
    /// # Panics
    /// When the lengths do not fit the sizes, or `room` has fewer elements than [`scratch`](Self::scratch) says.
    pub fn filter(&self, sizes: &Resized, x: &[f32], out: &mut [f32], room: &mut [[u32; 2]]) {
        assert!(x.len() == sizes.inputs() && out.len() == sizes.outputs(), "images of these sizes");
        if out.is_empty() {
            return;
        }
        let taps = self.along_rows(sizes, room);
        match self.interpolation {
            Interpolation::Nearest => self.filter_by::<1>(sizes, x, out, taps),
            Interpolation::Bilinear => self.filter_by::<2>(sizes, x, out, taps),
            Interpolation::Bicubic => self.filter_by::<4>(sizes, x, out, taps),
        }
    }

    fn filter_by<const TAPS: usize>(&self, sizes: &Resized, x: &[f32], out: &mut [f32], taps: &[[u32; 2]]) {
        let ([rows, columns], to, channels) = (sizes.from, sizes.to, sizes.channels);
        let width = columns * channels;
        by_rows(sizes.batch * to[0], out.len() * TAPS, Matrix::new(out, to[1] * channels), |range, out| {
            for (row, out) in range.zip(out.chunks_exact_mut(to[1] * channels)) {
                let (image, row) = (row / to[0], row % to[0]);
                let down = self.taps(rows, to[0], row);
                let lines: [&[f32]; TAPS] = std::array::from_fn(|i| &x[(image * rows + down[i].0) * width..][..width]);
                for (out, taps) in out.chunks_exact_mut(channels).zip(taps.chunks_exact(4)) {
                    for (channel, out) in out.iter_mut().enumerate() {
                        let mut sum = 0.0;
                        for &[place, weight] in &taps[..TAPS] {
                            let mut column = 0.0;
                            for (line, (_, weight)) in lines.iter().zip(&down) {
                                column += line[place as usize * channels + channel] * weight;
                            }
                            sum += column * f32::from_bits(weight);
                        }
                        *out = sum;
                    }
                }
            }
        });
    }
}

/// The ways back from resized images. Implemented for `f32` and `f64`, the numbers of the image.
pub trait Resampling: Sized {
    /// Writes, at every place of the images, the sum of what arrives at the places that are made of it, each times its
    /// weight: the gradient of [`Resize::filter`].
    ///
    /// # Panics
    /// When the lengths do not fit the sizes, or `room` has fewer elements than [`Resize::scratch`] says.
    fn filter_gradient(how: &Resize, sizes: &Resized, dy: &[f32], dx: &mut [Self], room: &mut [[u32; 2]]);

    /// Writes, at every place of the images, the sum of what arrives at the places that it is the nearest of.
    ///
    /// # Panics
    /// When the lengths do not fit the sizes, or `room` has fewer elements than [`Resize::scratch`] says.
    fn nearest_gradient(how: &Resize, sizes: &Resized, dy: &[Self], dx: &mut [Self], room: &mut [[u32; 2]]);
}

macro_rules! resampling {
    ($($t:ident)*) => {$(
        impl Resampling for $t {
            fn filter_gradient(how: &Resize, sizes: &Resized, dy: &[f32], dx: &mut [Self], room: &mut [[u32; 2]]) {
                // As TensorFlow multiplies.
                let product = |dy: f32, down: f32, across: f32| match how.interpolation {
                    Interpolation::Bicubic => $t::from(dy) * $t::from(down) * $t::from(across),
                    _ => $t::from(dy * down * across),
                };
                gradient(how, sizes, how.count(), dy, dx, room, product);
            }

            fn nearest_gradient(how: &Resize, sizes: &Resized, dy: &[Self], dx: &mut [Self], room: &mut [[u32; 2]]) {
                gradient(how, sizes, 1, dy, dx, room, |dy, _, _| dy);
            }
        }
    )*};
}
resampling! { f32 f64 }

/// Adds the products of what arrives at each place with its weights to the places it is made of, in the order of those it
/// arrives at.
fn gradient<D: Copy + Sync, T: Copy + Default + Send + std::ops::AddAssign>(
    how: &Resize,
    sizes: &Resized,
    count: usize,
    dy: &[D],
    dx: &mut [T],
    room: &mut [[u32; 2]],
    product: impl Fn(D, f32, f32) -> T + Sync,
) {
    assert!(dx.len() == sizes.inputs() && dy.len() == sizes.outputs(), "images of these sizes");
    dx.fill(T::default());
    if dy.is_empty() || dx.is_empty() {
        return;
    }
    let taps = how.along_rows(sizes, room);
    let ([rows, columns], to, channels) = (sizes.from, sizes.to, sizes.channels);
    let (image, resized) = (rows * columns * channels, to[0] * to[1] * channels);
    by_rows(sizes.batch, dy.len() * count, Matrix::new(dx, image), |range, dx| {
        for (dx, dy) in dx.chunks_exact_mut(image).zip(dy[range.start * resized..].chunks_exact(resized)) {
            for (row, dy) in dy.chunks_exact(to[1] * channels).enumerate() {
                let down = how.taps(rows, to[0], row);
                for (dy, taps) in dy.chunks_exact(channels).zip(taps.chunks_exact(4)) {
                    for &(line, by_row) in &down[..count] {
                        for &[place, weight] in &taps[..count] {
                            let at = (line * columns + place as usize) * channels;
                            for (dx, &dy) in dx[at..][..channels].iter_mut().zip(dy) {
                                *dx += product(dy, by_row, f32::from_bits(weight));
                            }
                        }
                    }
                }
            }
        }
    });
}
