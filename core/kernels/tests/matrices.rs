//! Decompositions of large matrices, beside plain loops, and to the same bits by any number of threads.

use std::sync::Mutex;

use modulor_kernels::cholesky::{cholesky, cholesky_work};
use modulor_kernels::lu::{lu, lu_work};
use modulor_kernels::triangular::{solve, solve_work};
use modulor_kernels::{InstructionSet, set_num_threads, with_instruction_set};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// None, one, primes, and what is around a block of 64 rows and several of them.
const SIZES: [usize; 13] = [0, 1, 2, 17, 63, 64, 65, 101, 127, 128, 129, 211, 261];

/// Numbers from −½ to ½ without order: even multiples of one number would make rows that hang on each other.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mixed = |i: u64| {
        let bits = (i + seed * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 40
    };
    (0..count as u64).map(|i| mixed(i) as f64 / f64::from(1 << 24) - 0.5).collect()
}

/// A product of matrices of so many rows, the first transposed or not.
fn product(a: &[f64], b: &[f64], rows: usize, turned: bool) -> Vec<f64> {
    let columns = b.len().checked_div(rows).unwrap_or(0);
    let mut out = vec![0.0; b.len()];
    for i in 0..rows {
        for k in 0..rows {
            let factor = if turned { a[k * rows + i] } else { a[i * rows + k] };
            for j in 0..columns {
                out[i * columns + j] += factor * b[k * columns + j];
            }
        }
    }
    out
}

fn turned(a: &[f64], rows: usize) -> Vec<f64> {
    (0..a.len()).map(|at| a[at % rows * rows + at / rows]).collect()
}

#[track_caller]
fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!((x - y).abs() <= tolerance, "{what}: {x} is not {y} at {at}");
    }
}

/// What is the same by 1, 2, 3, 4 and 8 threads, and by the sets that fuse.
#[track_caller]
fn same<R: PartialEq>(what: &str, kernel: impl Fn() -> R) -> R {
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut first = None;
    let sets = InstructionSet::ALL.into_iter().filter(|&set| set.is_here() && set != InstructionSet::Portable);
    for (at, set) in sets.enumerate() {
        for threads in if at == 0 { &[1, 2, 3, 4, 8][..] } else { &[2] } {
            set_num_threads(*threads);
            let found = with_instruction_set(set, &kernel);
            assert!(*first.get_or_insert_with(&kernel) == found, "{what}: {set:?}, {threads} threads");
        }
    }
    set_num_threads(0);
    first.unwrap_or_else(kernel)
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_triangle_times_its_transpose_is_the_matrix() {
    for rows in SIZES {
        let factor = numbers(rows * rows, 1);
        let mut matrix = product(&factor, &turned(&factor, rows.max(1)), rows, false);
        matrix.iter_mut().step_by(rows + 1).for_each(|x| *x += 1.0);
        // What is above the diagonal does not count.
        let mut lower = matrix.clone();
        (0..rows).for_each(|i| lower[i * rows + i + 1..(i + 1) * rows].fill(f64::NAN));
        let found = same(&format!("{rows} rows"), || {
            let mut a = lower.clone();
            assert!(cholesky(rows, &mut a, &mut vec![f64::NAN; cholesky_work(rows)]));
            bits(&a)
        });
        let l: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
        assert!(
            (0..rows).all(|i| l[i * rows + i] > 0.0 && l[i * rows + i + 1..(i + 1) * rows].iter().all(|&x| x == 0.0))
        );
        let back = product(&l, &turned(&l, rows.max(1)), rows, false);
        assert_near(&format!("{rows} rows"), &back, &matrix, 1e-13 * (rows + 1) as f64);
    }
}

#[test]
fn a_large_matrix_that_is_not_positive_definite_has_no_triangle() {
    let rows = 150;
    let mut work = vec![0.0; cholesky_work(rows)];
    for at in [0, 63, 64, 149] {
        let mut a = vec![0.0; rows * rows];
        a.iter_mut().step_by(rows + 1).for_each(|x| *x = 1.0);
        a[at * (rows + 1)] = -1.0;
        assert!(!cholesky(rows, &mut a, &mut work), "{at}");
    }
}

#[test]
fn solutions_solve_the_equations_with_a_triangle() {
    for rows in SIZES {
        for columns in [0, 1, 3, 70] {
            let mut a = numbers(rows * rows, 2);
            a.iter_mut().for_each(|x| *x /= rows as f64);
            a.iter_mut().step_by(rows + 1).for_each(|x| *x += 1.0);
            let b = numbers(rows * columns, 3);
            for (lower, adjoint) in [(true, false), (true, true), (false, false), (false, true)] {
                let what = format!("{rows} rows, {columns} columns, lower {lower}, adjoint {adjoint}");
                let found = same(&what, || {
                    let mut x = b.clone();
                    solve(&a, &mut x, columns, lower, adjoint, &mut vec![f64::NAN; solve_work(rows, columns)]);
                    bits(&x)
                });
                let x: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
                let counts = |at: usize| if lower { at % rows <= at / rows } else { at % rows >= at / rows };
                let triangle: Vec<f64> = (0..a.len()).map(|at| if counts(at) { a[at] } else { 0.0 }).collect();
                assert_near(&what, &product(&triangle, &x, rows, adjoint), &b, 1e-13);
            }
        }
    }
}

#[test]
fn factors_with_their_pivots_are_the_matrix_and_solve_equations() {
    for rows in SIZES {
        let a = numbers(rows * rows, 4);
        let (factors, pivots, odd) = same(&format!("{rows} rows"), || {
            let (mut factors, mut pivots) = (a.clone(), vec![usize::MAX; rows]);
            let odd = lu(&mut factors, &mut pivots, &mut vec![f64::NAN; lu_work(rows)]);
            (bits(&factors), pivots, odd)
        });
        let factors: Vec<f64> = factors.into_iter().map(f64::from_bits).collect();
        let (mut lower, mut upper, mut expected) = (factors.clone(), factors.clone(), a.clone());
        for i in 0..rows {
            lower[i * rows + i] = 1.0;
            lower[i * rows + i + 1..(i + 1) * rows].fill(0.0);
            upper[i * rows..i * rows + i].fill(0.0);
            assert!(lower[i * rows..][..i].iter().all(|x| x.abs() <= 1.0), "no row is larger than the pivot's");
            assert!((i..rows).contains(&pivots[i]));
            (0..rows).for_each(|j| expected.swap(i * rows + j, pivots[i] * rows + j));
        }
        assert_eq!(odd, pivots.iter().enumerate().filter(|&(i, &pivot)| i != pivot).count() % 2 == 1);
        assert_near(&format!("{rows} rows"), &product(&lower, &upper, rows, false), &expected, 1e-11);

        for (columns, adjoint) in [(1, false), (70, false), (1, true), (70, true)] {
            let b = numbers(rows * columns, 5);
            let what = format!("{rows} rows, {columns} columns, adjoint {adjoint}");
            let found = same(&what, || {
                let mut x = b.clone();
                let mut work = vec![f64::NAN; solve_work(rows, columns)];
                modulor_kernels::lu::solve(&factors, &pivots, &mut x, columns, adjoint, &mut work);
                bits(&x)
            });
            let x: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
            assert_near(&what, &product(&a, &x, rows, adjoint), &b, 1e-8);
        }
    }
}

#[test]
fn a_large_matrix_whose_column_is_zeros_has_a_zero_on_its_diagonal() {
    let rows = 130;
    for column in [0, 64, 129] {
        let mut a = numbers(rows * rows, 6);
        a.iter_mut().skip(column).step_by(rows).for_each(|x| *x = 0.0);
        lu(&mut a, &mut vec![0; rows], &mut vec![0.0; lu_work(rows)]);
        assert_eq!(a[column * (rows + 1)], 0.0);
    }
}
