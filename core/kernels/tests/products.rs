//! Products of matrices: against plain loops in float64, and the same bits by every way to compute them.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{InstructionSet, Number, Strided, cast, set_num_threads, with_instruction_set};
use num_complex::Complex;

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// Numbers of 26 bits from −1 to 1 without order: their products are exact in f64, and no sum of them is.
fn values<T: Number>(n: usize, seed: usize) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37;
    let wide: Vec<f64> = (0..n).map(|i| (bits(i) as f64 - f64::from(1 << 26)) / f64::from(1 << 26)).collect();
    let mut own = vec![T::zeroed(); n];
    cast(Strided::new(&wide, &[n], &[1], 0).expect("contiguous"), &mut own);
    own
}

fn wide<T: Number>(own: &[T]) -> Vec<f64> {
    let mut wide = vec![0.0; own.len()];
    cast(Strided::new(own, &[own.len()], &[1], 0).expect("contiguous"), &mut wide);
    wide
}

/// A way for a matrix to lie: what is stored, its strides and its offset.
type Laid<T> = (Vec<T>, [isize; 2], usize);

/// A row-major matrix as it is; turned; with gaps; backwards in both directions.
fn layouts<T: Number>(matrix: &[T], [rows, columns]: [usize; 2]) -> [Laid<T>; 4] {
    let mut turned = vec![T::zeroed(); rows * columns];
    let (mut gaps, mut backwards) = (vec![T::zeroed(); 3 * rows * columns + 1], matrix.to_vec());
    for (i, &x) in matrix.iter().enumerate() {
        turned[i % columns * rows + i / columns] = x;
        gaps[3 * i + 1] = x;
    }
    backwards.reverse();
    let (r, c) = (rows as isize, columns as isize);
    [
        (matrix.to_vec(), [c, 1], 0),
        (turned, [1, r], 0),
        (gaps, [3 * c, 3], 1),
        (backwards, [-c, -1], (rows * columns).saturating_sub(1)),
    ]
}

fn product<T: Number>((a, b): (&Laid<T>, &Laid<T>), [m, k, n]: [usize; 3]) -> Vec<T> {
    // Scratch and output may hold anything.
    let garbage = values::<T>(1, 3)[0];
    let mut out = vec![garbage; m * n];
    let mut scratch = vec![garbage; T::matmul_scratch(m, k, n)];
    let (a_shape, b_shape) = ([m, k], [k, n]);
    let left = Strided::new(&a.0, &a_shape, &a.1, a.2).expect("in bounds");
    let right = Strided::new(&b.0, &b_shape, &b.1, b.2).expect("in bounds");
    T::matmul(left, right, &mut out, &mut scratch);
    out
}

/// Compares products of all layouts with a plain loop.
fn check<T: Number>(eps: f64, sizes: &[[usize; 3]]) {
    for &[m, k, n] in sizes {
        let (a, b) = (values::<T>(m * k, 1), values::<T>(k * n, 5));
        let (wide_a, wide_b) = (wide(&a), wide(&b));
        // A sum is kept in two numbers, so that it is exact enough for f64.
        let (mut exact, mut rest, mut bound) = (vec![0.0; m * n], vec![0.0; m * n], vec![0.0; m * n]);
        for i in 0..m {
            for p in 0..k {
                for j in 0..n {
                    let term = wide_a[i * k + p] * wide_b[p * n + j];
                    let at = i * n + j;
                    let sum: f64 = exact[at] + term;
                    let own = sum - exact[at];
                    rest[at] += (exact[at] - (sum - own)) + (term - own);
                    exact[at] = sum;
                    bound[at] += 4.0 * eps * term.abs();
                }
            }
        }
        let (lefts, rights) = (layouts(&a, [m, k]), layouts(&b, [k, n]));
        let mut first: Option<Vec<T>> = None;
        for (x, left) in lefts.iter().enumerate() {
            for (y, right) in rights.iter().enumerate() {
                let found = product((left, right), [m, k, n]);
                for (i, found) in wide(&found).into_iter().enumerate() {
                    let (exact, bound) = (exact[i] + rest[i], bound[i]);
                    assert!((found - exact).abs() <= bound, "{m}×{k}×{n}, {x}{y}, {i}: {found}, not {exact} ± {bound}");
                }
                let first = first.get_or_insert_with(|| found.clone());
                let same = bytemuck::cast_slice::<T, u8>(first) == bytemuck::cast_slice::<T, u8>(&found);
                assert!(same, "{m}×{k}×{n}: layouts {x} and {y} give other bits");
            }
        }
    }
}

/// Sizes on both sides of every edge of tiles, strips and blocks.
fn edges() -> Vec<[usize; 3]> {
    let mut sizes = vec![[0, 3, 2], [2, 0, 3], [3, 2, 0], [1, 1, 1], [3, 3, 2], [40, 300, 10], [29, 97, 61]];
    for m in [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25, 37, 49] {
        sizes.push([m, 19, 33]);
        sizes.push([m, 5, 1]);
    }
    for n in [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 257, 515]
    {
        sizes.push([1, 7, n]);
        sizes.push([13, 9, n]);
    }
    for k in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 383, 384, 385, 415, 769, 2063, 2064, 2065, 4129] {
        sizes.push([1, k, 17]);
        sizes.push([14, k, 5]);
        sizes.push([5, k, 1]);
    }
    // Beyond what is split along k, and more rows than a block with room has.
    sizes.extend([[163, 2065, 202], [163, 40, 391]]);
    sizes
}

fn on_every_set(test: impl Fn()) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &test);
    }
}

#[test]
fn products_are_those_of_a_plain_loop() {
    let edges = edges();
    on_every_set(|| check::<f32>(f32::EPSILON.into(), &edges));
    on_every_set(|| check::<f64>(f64::EPSILON, &edges));
    let few = [[13, 127, 31], [3, 2065, 33], [1, 40, 10], [29, 16, 270], [241, 3, 5], [17, 513, 1]];
    on_every_set(|| check::<f16>(f16::EPSILON.into(), &few));
    on_every_set(|| check::<bf16>(bf16::EPSILON.into(), &few));
    check::<Complex<f32>>(f32::EPSILON.into(), &few);
}

#[test]
fn integers_wrap() {
    let (a, b) = ((vec![i8::MAX; 3], [3, 1], 0), (vec![2_i8; 3], [1, 1], 0));
    assert_eq!(product((&a, &b), [1, 3, 1]), [-6]);
    let (a, b) = ((vec![u64::MAX; 2], [2, 1], 0), (vec![3_u64; 2], [1, 1], 0));
    assert_eq!(product((&a, &b), [1, 2, 1]), [-6_i64 as u64]);
}

#[test]
fn sums_of_one_sign_keep_their_class() {
    on_every_set(|| {
        for [m, k, n] in [[40, 32, 40], [40, 100, 40], [40, 256, 40], [40, 784, 40], [9, 5000, 30]] {
            let positive = |n, seed| values::<f32>(n, seed).iter().map(|x| x.abs()).collect::<Vec<_>>();
            let (a, b) = (positive(m * k, 1), positive(k * n, 5));
            let found = product((&(a.clone(), [k as isize, 1], 0), &(b.clone(), [n as isize, 1], 0)), [m, k, n]);
            for (i, &found) in found.iter().enumerate() {
                let terms = (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[p * n + i % n]));
                let exact: f64 = terms.sum();
                let error = (f64::from(found) - exact).abs() / exact / f64::from(f32::EPSILON);
                assert!(error <= 4.0, "{m}×{k}×{n}, {i}: {error} eps");
            }
        }
    });
}

/// Large enough for several threads, each in another way: columns, rows, both, along k, one row, one column.
const SHARED: [[usize; 3]; 7] =
    [[64, 64, 64], [130, 300, 530], [600, 100, 10], [20, 9000, 30], [1, 784, 515], [515, 784, 1], [250, 2100, 140]];

fn all_bits<T: Number>() -> Vec<Vec<u8>> {
    SHARED
        .iter()
        .map(|&[m, k, n]| {
            let (a, b) = (values::<T>(m * k, 1), values::<T>(k * n, 5));
            let (a, b) = ((a, [k as isize, 1], 0), (b, [n as isize, 1], 0));
            bytemuck::cast_slice(&product((&a, &b), [m, k, n])).to_vec()
        })
        .collect()
}

#[test]
fn threads_and_fused_sets_do_not_change_a_bit() {
    let _alone = THREADS.lock();
    fn check<T: Number>() {
        // Of the sets that fuse, and of portable code.
        let mut expected: [Option<Vec<Vec<u8>>>; 2] = [None, None];
        for threads in [1, 2, 3, 4, 8, 0] {
            set_num_threads(threads);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
                let found = with_instruction_set(set, all_bits::<T>);
                let expected =
                    expected[usize::from(set == InstructionSet::Portable)].get_or_insert_with(|| found.clone());
                assert!(*expected == found, "{threads} threads, {set:?}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
    check::<bf16>();
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    let [m, k, n] = [37, 2500, 70];
    let (a, b) = (values::<f32>(m * k, 1), (values::<f32>(k * n, 5), [n as isize, 1], 0));
    let whole = product((&(a.clone(), [k as isize, 1], 0), &b), [m, k, n]);
    for row in [0, 17, 36] {
        let alone = product((&(a.clone(), [k as isize, 1], row * k), &b), [1, k, n]);
        assert_eq!(alone, whole[row * n..][..n]);
    }
}

#[test]
fn a_batch_is_its_products_one_after_the_other() {
    for [m, k, n] in [[7, 5, 9], [40, 70, 33], [9, 2100, 3], [4, 6, 1]] {
        let (a, b) = (values::<f64>(6 * m * k, 1), values::<f64>(2 * k * n, 5));
        // Two times three products; the right factors repeat along the second axis.
        let (a_shape, b_shape) = ([2, 3, m, k], [2, 3, k, n]);
        let a_strides = [3 * m * k, m * k, k, 1].map(|step| step as isize);
        let b_strides = [k * n, 0, n, 1].map(|step| step as isize);
        let mut out = vec![0.0; 6 * m * n];
        let mut scratch = vec![0.0; f64::matmul_scratch(m, k, n)];
        f64::matmul(
            Strided::new(&a, &a_shape, &a_strides, 0).expect("in bounds"),
            Strided::new(&b, &b_shape, &b_strides, 0).expect("in bounds"),
            &mut out,
            &mut scratch,
        );
        for (i, found) in out.chunks(m * n).enumerate() {
            let left = (a[i * m * k..][..m * k].to_vec(), [k as isize, 1], 0);
            let right = (b[i / 3 * k * n..][..k * n].to_vec(), [n as isize, 1], 0);
            assert_eq!(found, product((&left, &right), [m, k, n]), "{m}×{k}×{n}, product {i}");
        }
    }
}
