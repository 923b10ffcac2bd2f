//! Convolutions of float32 and their gradients beside our own products of matrices of the same sizes.
//!
//! Everything takes turns within a round of short samples, and the fastest counts. GFLOP/s go to standard output, with the
//! share of what the product reaches.

use std::hint::black_box;
use std::time::Instant;

use modulor_kernels::{Convolution, Filters, Format, Images, Number, Padding, Strided, Window, set_num_threads};

/// The name, the batch, height and width, channels, filters, taps along both axes, strides, and the padding.
type Shape = (&'static str, usize, usize, [usize; 2], usize, usize, Padding<'static>);

const SHAPES: [Shape; 6] = [
    ("28×28×1, 3×3×32", 64, 28, [1, 32], 3, 1, Padding::Valid),
    ("26×26×32, 3×3×64", 64, 26, [32, 64], 3, 1, Padding::Valid),
    ("56×56×64, 3×3×64", 8, 56, [64, 64], 3, 1, Padding::Same),
    ("56×56×64, 1×1×256", 8, 56, [64, 256], 1, 1, Padding::Same),
    ("28×28×128, 3×3×128 by 2", 8, 28, [128, 128], 3, 2, Padding::Same),
    ("7×7×512, 3×3×512", 8, 7, [512, 512], 3, 1, Padding::Same),
];

/// What is computed, from which two operands.
const KINDS: [&str; 3] = ["forward", "input's gradient", "filters' gradient"];

struct Case {
    of: Filters,
    /// Input, filters and output, and scratch.
    tensors: [Vec<f32>; 3],
    scratch: Vec<f32>,
    /// m, k and n of the product of the same size.
    sizes: [usize; 3],
    product: [Vec<f32>; 4],
    kind: usize,
}

fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect()
}

impl Case {
    fn new(shape: Shape, format: Format, kind: usize) -> Self {
        let (_, batch, side, [channels, filters], taps, stride, padding) = shape;
        let window = Window::new(&[side; 2], &[taps; 2], &[stride; 2], &[1; 2], padding).expect("it fits");
        let of = Filters::new(Images { format, batch, channels }, window, filters, 1).expect("it fits");
        let scratch = match kind {
            0 => f32::convolution_scratch(&of),
            1 => f32::input_gradient_scratch(&of),
            _ => f32::filters_gradient_scratch(&of),
        };
        let (positions, taps) = (batch * window.outputs(), window.taps());
        let sizes = match kind {
            0 => [positions, taps * channels, filters],
            1 => [positions, taps * filters, channels],
            _ => [taps * channels, positions, filters],
        };
        let [m, k, n] = sizes;
        Self {
            of,
            tensors: [values(of.inputs()), values(of.weights()), values(of.outputs())],
            scratch: vec![0.0; scratch],
            sizes,
            product: [values(m * k), values(k * n), values(m * n), vec![0.0; f32::matmul_scratch(m, k, n)]],
            kind,
        }
    }

    fn run(&mut self, as_product: bool) {
        let [m, k, n] = self.sizes;
        let [x, w, y] = &mut self.tensors;
        match self.kind {
            kind if as_product => {
                let [a, b, out, scratch] = &mut self.product;
                let strides = if kind == 2 { [1, m as isize] } else { [k as isize, 1] };
                let a_shape = [m, k];
                let a = Strided::new(a, &a_shape, &strides, 0).expect("in bounds");
                let (b_shape, b_strides) = ([k, n], [n as isize, 1]);
                f32::matmul(a, Strided::new(b, &b_shape, &b_strides, 0).expect("in bounds"), out, scratch);
            }
            0 => f32::convolution(&self.of, x, w, y, &mut self.scratch),
            1 => f32::input_gradient(&self.of, y, w, x, &mut self.scratch),
            _ => f32::filters_gradient(&self.of, x, y, w, &mut self.scratch),
        }
        black_box(&self.tensors);
    }

    /// GFLOP/s of a call.
    fn sample(&mut self, as_product: bool) -> f64 {
        let [m, k, n] = self.sizes;
        let start = Instant::now();
        self.run(as_product);
        (2 * m * k * n) as f64 / start.elapsed().as_secs_f64() / 1e9
    }
}

/// Measures with so many threads, in so many rounds, the shapes whose names have `only` in them.
pub fn measure(threads: usize, rounds: usize, only: &str) {
    set_num_threads(threads);
    println!("{threads} threads, the fastest of {rounds} rounds, GFLOP/s\n");
    println!("| | | format | convolution | product | share |\n|---|---|---|---:|---:|---:|");
    for shape in SHAPES.into_iter().filter(|shape| shape.0.contains(only)) {
        for format in [Format::ChannelsLast, Format::ChannelsFirst] {
            for (kind, what) in KINDS.into_iter().enumerate() {
                let mut case = Case::new(shape, format, kind);
                let mut best = [0.0_f64; 2];
                for round in 0..2 * rounds {
                    let which = round % 2;
                    // The first calls find nothing in the caches.
                    case.run(which == 1);
                    best[which] = best[which].max(case.sample(which == 1));
                }
                let share = 100.0 * best[0] / best[1];
                println!("| {} | {what} | {format:?} | {:.1} | {:.1} | {share:.0} % |", shape.0, best[0], best[1]);
            }
        }
    }
}
