//! Images scaled and moved along an axis: every place a sum of the places around where it lies, weighted by a kernel, and the
//! way back.

use crate::parts::{Matrix, by_rows};

/// What weights the places of an image by how far away they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingKernel {
    /// Lanczos's windowed sinc of radius 1.
    Lanczos1,
    /// Lanczos's windowed sinc of radius 3.
    Lanczos3,
    /// Lanczos's windowed sinc of radius 5.
    Lanczos5,
    /// A normal density of a standard deviation of ½, up to a distance of 1½.
    Gaussian,
    /// The same up to a distance of ½, and half of it there.
    Flat,
    /// The less, in a line, the farther, up to a distance of 1: bilinear interpolation.
    Triangle,
    /// Keys's piecewise cubic function, up to a distance of 2: bicubic interpolation.
    KeysCubic,
    /// Mitchell and Netravali's piecewise cubic function, up to a distance of 2.
    MitchellCubic,
}

impl SamplingKernel {
    /// The distance from which on places do not count.
    pub fn radius(self) -> f32 {
        match self {
            SamplingKernel::Lanczos3 => 3.0,
            SamplingKernel::Lanczos5 => 5.0,
            SamplingKernel::Gaussian => 1.5,
            SamplingKernel::KeysCubic | SamplingKernel::MitchellCubic => 2.0,
            SamplingKernel::Lanczos1 | SamplingKernel::Flat | SamplingKernel::Triangle => 1.0,
        }
    }

    /// The weight at a distance, in the steps of TensorFlow's float32.
    fn weight(self, distance: f32) -> f32 {
        let x = distance.abs();
        match self {
            SamplingKernel::Lanczos1 | SamplingKernel::Lanczos3 | SamplingKernel::Lanczos5 => lanczos(self.radius(), x),
            SamplingKernel::Gaussian if x >= self.radius() => 0.0,
            SamplingKernel::Gaussian => libm::exp(f64::from(-x * x) / 0.5) as f32,
            SamplingKernel::Flat if x == 0.5 => 0.5,
            SamplingKernel::Flat => f32::from(x < 0.5),
            SamplingKernel::Triangle => (1.0 - x).max(0.0),
            SamplingKernel::KeysCubic => match x {
                ..1.0 => (1.5 * x - 2.5) * x * x + 1.0,
                1.0..2.0 => ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0,
                _ => 0.0,
            },
            SamplingKernel::MitchellCubic => match x {
                ..1.0 => (7.0 / 6.0 * x - 2.0) * x * x + 8.0 / 9.0,
                1.0..2.0 => ((2.0 - 7.0 / 18.0 * x) * x - 10.0 / 3.0) * x + 16.0 / 9.0,
                _ => 0.0,
            },
        }
    }
}

/// sinc x · sinc x/radius
fn lanczos(radius: f32, x: f32) -> f32 {
    const PI: f32 = std::f32::consts::PI;
    if x > radius {
        return 0.0;
    }
    if x <= 1e-3 {
        return 1.0;
    }
    let sine = |x: f32| libm::sin(f64::from(x)) as f32;
    radius * sine(PI * x) * sine(PI * x / radius) / (PI * PI * x * x)
}

/// How images are scaled and moved along one axis: what is at x in the image is at `x · scale + translation` in the result.
///
/// A place of the result that lies outside of the image is 0. The weights of the others add up to 1, with those of places
/// beyond the image left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What weights the places.
    pub kernel: SamplingKernel,
    /// Whether the kernel is as much wider as the result is smaller.
    pub antialias: bool,
    /// How much longer the axis becomes: above 0.
    pub scale: f32,
    /// How far it is moved.
    pub translation: f32,
    /// The places of the image, at least one.
    pub from: usize,
    /// The places of the result.
    pub to: usize,
}

impl Sampling {
    /// How much wider than itself the kernel is.
    fn width(&self) -> f32 {
        if self.antialias { (1.0 / self.scale).max(1.0) } else { 1.0 }
    }

    /// The most places that a place is made of.
    fn span(&self) -> usize {
        // Casts to integers saturate.
        let reach = (self.kernel.radius() * self.width()).ceil() as usize;
        reach.saturating_mul(2).saturating_add(1).min(self.from)
    }

    /// The elements of scratch that the kernels want: for each place the first that it is made of, and the weights from there
    /// on.
    pub fn scratch(&self) -> usize {
        self.to * (self.span() + 1)
    }

    /// Of each place of the result the first that it is made of, and the bits of the weights from there on.
    fn spans<'a>(&self, room: &'a mut [u32]) -> &'a [u32] {
        let room = &mut room[..self.scratch()];
        let (inverse, width) = (1.0 / self.scale, self.width());
        let (shift, narrower) = (-inverse * self.translation, 1.0 / width);
        for (at, span) in room.chunks_exact_mut(self.span() + 1).enumerate() {
            span.fill(0);
            let position = (at as f32 + 0.5) * inverse + shift;
            if !(0.0..=self.from as f32).contains(&position) {
                continue;
            }
            let (reach, last) = (self.kernel.radius() * width, self.from - 1);
            let first = ((position - reach - 0.5).ceil() as usize).min(last);
            let end = ((position + reach - 0.5).floor() as usize).min(last) + 1;
            let (start, weights) = span.split_at_mut(1);
            let count = end.saturating_sub(first).min(weights.len());
            let mut sum = 0.0;
            for (place, weight) in weights[..count].iter_mut().enumerate() {
                let distance = (first + place) as f32 + 0.5 - position;
                let own = self.kernel.weight(distance * narrower);
                sum += own;
                *weight = own.to_bits();
            }
            start[0] = first as u32;
            let scaled = sum.abs() >= 1000.0 * f32::MIN_POSITIVE;
            for weight in &mut weights[..count] {
                *weight = if scaled { (f32::from_bits(*weight) * (1.0 / sum)).to_bits() } else { 0 };
            }
        }
        room
    }

    /// Writes sums over places of `x`, each of `inner` numbers that lie together.
    ///
    /// # Panics
    /// When the lengths do not fit, or `room` has fewer elements than [`scratch`](Self::scratch) says.
    pub fn gather(&self, x: &[f32], out: &mut [f32], inner: usize, room: &mut [u32]) {
        let Some(rows) = self.fits(x.len(), out.len(), inner) else { return };
        let (spans, work) = (self.spans(room), out.len() * self.span());
        by_rows(rows * self.to, work, Matrix::new(out, inner), |range, out| {
            for (row, out) in range.zip(out.chunks_exact_mut(inner)) {
                let (image, at) = (row / self.to, row % self.to);
                out.fill(0.0);
                for (place, weight) in self.of(spans, at) {
                    let line = &x[(image * self.from + place) * inner..][..inner];
                    out.iter_mut().zip(line).for_each(|(out, x)| *out += weight * x);
                }
            }
        });
    }

    /// The gradient of [`gather`](Self::gather): adds what arrives at each place, times its weights, to the places that it is
    /// made of, in the order of those that it arrives at.
    ///
    /// # Panics
    /// When the lengths do not fit, or `room` has fewer elements than [`scratch`](Self::scratch) says.
    pub fn scatter(&self, dy: &[f32], dx: &mut [f32], inner: usize, room: &mut [u32]) {
        let Some(rows) = self.fits(dx.len(), dy.len(), inner) else { return };
        let (spans, work) = (self.spans(room), dy.len() * self.span());
        let (image, result) = (self.from * inner, self.to * inner);
        by_rows(rows, work, Matrix::new(dx, image), |range, dx| {
            for (row, dx) in range.zip(dx.chunks_exact_mut(image)) {
                dx.fill(0.0);
                for (at, dy) in dy[row * result..][..result].chunks_exact(inner).enumerate() {
                    for (place, weight) in self.of(spans, at).filter(|&(_, weight)| weight != 0.0) {
                        let dx = &mut dx[place * inner..][..inner];
                        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += weight * dy);
                    }
                }
            }
        });
    }

    /// The places that place `at` is made of, with their weights.
    fn of<'a>(&self, spans: &'a [u32], at: usize) -> impl Iterator<Item = (usize, f32)> + use<'a> {
        let span = self.span();
        let own = &spans[at * (span + 1)..][..span + 1];
        let first = own[0] as usize;
        (first..self.from).zip(own[1..].iter().map(|&weight| f32::from_bits(weight)))
    }

    /// How many images there are, if there are any.
    fn fits(&self, x: usize, y: usize, inner: usize) -> Option<usize> {
        let rows = x.checked_div(self.from * inner).unwrap_or(0);
        assert!(x == rows * self.from * inner && y == rows * self.to * inner, "as many places of images as of results");
        (rows > 0 && self.to > 0).then_some(rows)
    }
}
