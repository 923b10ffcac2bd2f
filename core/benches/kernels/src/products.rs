//! Products of matrices of float32 beside the libraries that a user would otherwise pick.
//!
//! Libraries take turns within a round; a sample is about 10 ms of calls, and counts where the system did not take the
//! processor away meanwhile, if there are such samples. Medians of GFLOP/s go to standard output as a table.

use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
use std::hint::black_box;
use std::time::{Duration, Instant};

use modulor_kernels::{Number, Strided, set_num_threads};

/// The name, how many products, m, k and n; whether the left and the right factor lie transposed.
type Shape = (&'static str, usize, [usize; 3], [bool; 2]);

const SHAPES: [Shape; 22] = [
    ("square 64", 1, [64, 64, 64], [false, false]),
    ("square 128", 1, [128, 128, 128], [false, false]),
    ("square 256", 1, [256, 256, 256], [false, false]),
    ("square 512", 1, [512, 512, 512], [false, false]),
    ("square 1024", 1, [1024, 1024, 1024], [false, false]),
    ("square 2048", 1, [2048, 2048, 2048], [false, false]),
    ("square 512, left turned", 1, [512, 512, 512], [true, false]),
    ("square 512, right turned", 1, [512, 512, 512], [false, true]),
    ("dense 128×784×512", 1, [128, 784, 512], [false, false]),
    ("dense 128×512×512", 1, [128, 512, 512], [false, false]),
    ("dense 128×512×10", 1, [128, 512, 10], [false, false]),
    ("dense 32×784×128", 1, [32, 784, 128], [false, false]),
    ("dense 32×128×10", 1, [32, 128, 10], [false, false]),
    ("weights' gradient 784×128×512", 1, [784, 128, 512], [true, false]),
    ("input's gradient 128×512×784", 1, [128, 512, 784], [false, true]),
    ("weights' gradient 512×128×10", 1, [512, 128, 10], [true, false]),
    ("input's gradient 128×10×512", 1, [128, 10, 512], [false, true]),
    ("one row 1×784×512", 1, [1, 784, 512], [false, false]),
    ("convolution 25088×288×64", 1, [25088, 288, 64], [false, false]),
    ("filters' gradient 288×25088×64", 1, [288, 25088, 64], [true, false]),
    ("64 of 128×64×128, right turned", 64, [128, 64, 128], [false, true]),
    ("64 of 128×128×64", 64, [128, 128, 64], [false, false]),
];

const LIBRARIES: [&str; 4] = ["modulor", "gemm", "faer", "matrixmultiply"];

struct Case {
    shape: Shape,
    a: Vec<f32>,
    b: Vec<f32>,
    out: Vec<f32>,
    scratch: Vec<f32>,
}

impl Case {
    fn new(shape: Shape) -> Self {
        let (_, count, [m, k, n], _) = shape;
        let values = |n: usize| (0..n).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
        let scratch = vec![0.0; f32::matmul_scratch(m, k, n)];
        Self { shape, a: values(count * m * k), b: values(count * k * n), out: vec![0.0; count * m * n], scratch }
    }

    /// The steps along rows and columns of each factor.
    fn strides(&self) -> [[isize; 2]; 2] {
        let (_, _, [m, k, n], [ta, tb]) = self.shape;
        let of = |rows: usize, columns: usize, t: bool| if t { [1, rows as isize] } else { [columns as isize, 1] };
        [of(m, k, ta), of(k, n, tb)]
    }

    fn run(&mut self, library: &str, threads: usize) {
        let (_, count, [m, k, n], _) = self.shape;
        let [a_steps, b_steps] = self.strides();
        if library == "modulor" {
            let (a_strides, b_strides) =
                ([(m * k) as isize, a_steps[0], a_steps[1]], [(k * n) as isize, b_steps[0], b_steps[1]]);
            return f32::matmul(
                Strided::new(&self.a, &[count, m, k], &a_strides, 0).expect("in bounds"),
                Strided::new(&self.b, &[count, k, n], &b_strides, 0).expect("in bounds"),
                &mut self.out,
                &mut self.scratch,
            );
        }
        for i in 0..count {
            let (a, b) = (&self.a[i * m * k..][..m * k], &self.b[i * k * n..][..k * n]);
            let out = &mut self.out[i * m * n..][..m * n];
            match library {
                "gemm" => {
                    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
                    // SAFETY: the slices hold matrices of these sizes and strides.
                    unsafe {
                        gemm::gemm(
                            m, n, k, out.as_mut_ptr(), 1, n as isize, false, a.as_ptr(), a_steps[1], a_steps[0],
                            b.as_ptr(), b_steps[1], b_steps[0], 0.0, 1.0, false, false, false, parallelism,
                        );
                    }
                }
                "faer" => {
                    let parallelism = if threads == 1 { faer::Par::Seq } else { faer::Par::rayon(threads) };
                    // SAFETY: as above.
                    let (a, b) = unsafe {
                        (
                            faer::MatRef::from_raw_parts(a.as_ptr(), m, k, a_steps[0], a_steps[1]),
                            faer::MatRef::from_raw_parts(b.as_ptr(), k, n, b_steps[0], b_steps[1]),
                        )
                    };
                    let out = faer::MatMut::from_row_major_slice_mut(out, m, n);
                    faer::linalg::matmul::matmul(out, faer::Accum::Replace, a, b, 1.0, parallelism);
                }
                // SAFETY: as above.
                _ => unsafe {
                    matrixmultiply::sgemm(
                        m, k, n, 1.0, a.as_ptr(), a_steps[0], a_steps[1], b.as_ptr(), b_steps[0], b_steps[1], 0.0,
                        out.as_mut_ptr(), n as isize, 1,
                    );
                },
            }
        }
    }

    /// GFLOP/s over about 10 ms, and whether nobody took the processor away.
    fn sample(&mut self, library: &str, threads: usize) -> (f64, bool) {
        let (_, count, [m, k, n], _) = self.shape;
        self.run(library, threads);
        let (before, start, mut calls) = (switches(), Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(10) || calls < 2 {
            self.run(library, threads);
            calls += 1;
        }
        black_box(&self.out);
        let flops = (2 * count * m * k * n * calls) as f64;
        (flops / start.elapsed().as_secs_f64() / 1e9, switches() == before)
    }
}

/// How often the system took the processor away from a thread of this process.
fn switches() -> i64 {
    // SAFETY: the call fills the structure it is given.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_nivcsw
    }
}

/// A loop of fused multiply-adds on registers, in GFLOP/s.
macro_rules! peak {
    ($name:ident, $features:literal, $set:path, $fma:path, $sums:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        fn $name() -> f64 {
            let (mut sums, x) = ([$set(1.0); $sums], black_box($set(0.999)));
            let (start, rounds) = (Instant::now(), 1_000_000);
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fma(*sum, x, x);
                }
            }
            black_box(sums);
            (rounds * $sums * $lanes * 2) as f64 / start.elapsed().as_secs_f64() / 1e9
        }
    };
}
peak!(peak_avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 24, 16);
peak!(peak_avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 12, 8);

fn peak() -> f64 {
    // SAFETY: what this program measures has either.
    unsafe { if is_x86_feature_detected!("avx512f") { peak_avx512() } else { peak_avx2() } }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn best(samples: &[(f64, bool)]) -> f64 {
    let clean: Vec<f64> = samples.iter().filter(|sample| sample.1).map(|sample| sample.0).collect();
    median(if clean.is_empty() { samples.iter().map(|sample| sample.0).collect() } else { clean })
}

/// Measures with so many threads, in so many rounds.
pub fn measure(threads: usize, rounds: usize) {
    // SAFETY: no other thread has begun.
    unsafe {
        std::env::set_var("MATMUL_NUM_THREADS", threads.to_string());
        std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
    }
    set_num_threads(threads);
    let mut cases: Vec<Case> = SHAPES.into_iter().map(Case::new).collect();
    let libraries = &LIBRARIES;
    let mut samples = vec![vec![Vec::new(); libraries.len()]; cases.len()];
    let mut peaks = Vec::new();
    for _ in 0..rounds {
        peaks.push(peak());
        for (case, samples) in cases.iter_mut().zip(&mut samples) {
            for (library, samples) in libraries.iter().zip(samples) {
                samples.push(case.sample(library, threads));
            }
        }
    }
    let peak = median(peaks) * threads as f64;
    println!("{threads} threads, {rounds} rounds; the peak is {peak:.0} GFLOP/s, measured on one thread\n");
    println!("| | {} | of the best other | share of the peak |", libraries.join(" | "));
    println!("|---|{}---:|---:|", "---:|".repeat(libraries.len()));
    let (mut ratios, mut of_best) = (vec![0.0; libraries.len()], 0.0);
    for (case, samples) in cases.iter().zip(&samples) {
        let found: Vec<f64> = samples.iter().map(|samples| best(samples)).collect();
        let cells: Vec<String> = found.iter().map(|found| format!("{found:.1}")).collect();
        let ratio = found[0] / found[1..].iter().copied().fold(f64::NAN, f64::max);
        println!("| {} | {} | {ratio:.2} | {:.0} % |", case.shape.0, cells.join(" | "), 100.0 * found[0] / peak);
        of_best += ratio.ln() / SHAPES.len() as f64;
        for (ratio, &found_by) in ratios.iter_mut().zip(&found) {
            *ratio += (found[0] / found_by).ln() / SHAPES.len() as f64;
        }
    }
    for (library, ratio) in libraries.iter().zip(&ratios).skip(1) {
        println!("modulor / {library}, geometric mean: {:.2}", ratio.exp());
    }
    println!("modulor / the best other of each shape, geometric mean: {:.2}", of_best.exp());
}
