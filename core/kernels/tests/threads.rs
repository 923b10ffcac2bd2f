//! What is worth several threads: each result is the plain one, and the same bits by any number of threads and by every set
//! of instructions.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Binary, Compare, Fault, Float, Fold, InstructionSet, Logical, Matrix, Number, Strided, Test, Unary, Update, cast,
    copy, divide_slice, each_row_with, fold_logical, select, set_num_threads, with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

fn view<'a, T>(x: &'a [T], shape: &'a [usize], strides: &'a [isize]) -> Strided<'a, T> {
    Strided::new(x, shape, strides, 0).expect("in bounds")
}

/// Whole numbers from −8 to 8 without order, so that their sums are exact.
fn whole<T: Number>(n: usize) -> Vec<T> {
    let wide: Vec<i32> = (0..n as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as i32 % 17 - 8).collect();
    let mut own = vec![T::zeroed(); n];
    cast(view(&wide, &[n], &[1]), &mut own);
    own
}

/// Numbers without order whose sums are not exact.
fn broken<T: Number>(n: usize) -> Vec<T> {
    let bits = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64;
    let wide: Vec<f64> = (0..n as u64).map(|i| bits(i) / f64::from(1 << 24) - 0.375).collect();
    let mut own = vec![T::zeroed(); n];
    cast(view(&wide, &[n], &[1]), &mut own);
    own
}

/// The result of `kernel`, which must be one by all numbers of threads and all sets that are here.
#[track_caller]
fn same<R: PartialEq + Clone>(what: &str, portable: bool, kernel: impl Fn() -> R) -> R {
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut first: Option<R> = None;
    let sets = InstructionSet::ALL.into_iter().filter(|&set| set.is_here());
    for (at, set) in sets.filter(|&set| portable || set != InstructionSet::Portable).enumerate() {
        for threads in if at == 0 { &[1, 2, 3, 4, 8][..] } else { &[2] } {
            set_num_threads(*threads);
            let found = with_instruction_set(set, &kernel);
            assert!(*first.get_or_insert_with(|| found.clone()) == found, "{what}: {set:?}, {threads} threads");
        }
    }
    set_num_threads(0);
    first.expect("one set is here")
}

fn bytes<T: bytemuck::Pod>(x: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(x).to_vec()
}

/// Sums over every subset of axes, of few and many outputs and terms, beside plain loops.
fn check_folds<T: Number + PartialEq>() {
    let shapes: [&[usize]; 6] = [&[150_001], &[3, 40_003], &[40_003, 3], &[5, 1501, 19], &[1, 70_000, 1], &[300, 499]];
    for shape in shapes {
        let n: usize = shape.iter().product();
        let mut strides = vec![1; shape.len()];
        (1..shape.len()).rev().for_each(|axis| strides[axis - 1] = strides[axis] * shape[axis] as isize);
        let x = if T::test(Test::IsNan, view(&[], &[0], &[1]), &mut []).is_ok() { broken::<T>(n) } else { whole(n) };
        let mut exact = vec![0.0_f64; n];
        cast(view(&x, &[n], &[1]), &mut exact);
        for mask in 1..1_u32 << shape.len() {
            let reduced: Vec<bool> = (0..shape.len()).map(|axis| mask >> axis & 1 == 1).collect();
            let kept: Vec<usize> = (0..shape.len()).filter(|&axis| !reduced[axis]).collect();
            let outputs: usize = kept.iter().map(|&axis| shape[axis]).product();
            let (mut sums, mut scales) = (vec![0.0; outputs], vec![0.0; outputs]);
            let mut most = vec![f64::NEG_INFINITY; outputs];
            for (index, &x) in exact.iter().enumerate() {
                let at =
                    kept.iter().fold(0, |at, &axis| at * shape[axis] + index / strides[axis] as usize % shape[axis]);
                sums[at] += x;
                scales[at] += x.abs();
                most[at] = most[at].max(x);
            }
            for op in [Fold::Sum, Fold::Max] {
                let what = format!("{op:?} of {shape:?} over {reduced:?}");
                let found = same(&what, true, || {
                    let mut out = vec![x[0]; outputs];
                    T::fold(op, view(&x, shape, &strides), &reduced, &mut out).expect("all have an order");
                    bytes(&out)
                });
                let mut wide = vec![0.0; outputs];
                cast(view(bytemuck::cast_slice::<u8, T>(&found), &[outputs], &[1]), &mut wide);
                for at in 0..outputs {
                    let right = match op {
                        Fold::Max => wide[at] == most[at],
                        _ => (wide[at] - sums[at]).abs() <= 4.0 * f64::from(f32::EPSILON) * scales[at],
                    };
                    assert!(right, "{what}: {} at {at}", wide[at]);
                }
            }
        }
    }
}

#[test]
fn folds_of_f32() {
    check_folds::<f32>();
}

#[test]
fn folds_of_f64_and_i64() {
    check_folds::<f64>();
    check_folds::<i64>();
}

#[test]
fn a_nan_and_a_lie_are_found_in_any_segment() {
    let n = 200_000;
    for at in [0, 16_384, 131_071, n - 1] {
        let mut x = whole::<f32>(n);
        x[at] = f32::NAN;
        let found = same("NaN", true, || {
            let mut out = [0.0];
            f32::fold(Fold::Max, view(&x, &[n], &[1]), &[true], &mut out).expect("floats have an order");
            out[0].is_nan()
        });
        assert!(found);
        let mut truths = vec![1; n];
        truths[at] = 0;
        let found = same("all", true, || {
            let mut out = [9];
            fold_logical(Logical::And, view(&truths, &[n], &[1]), &[true], &mut out);
            out[0]
        });
        assert_eq!(found, 0);
    }
}

#[test]
fn extremes_and_running_totals() {
    for (shape, axis) in [([300, 223], 1), ([20, 3001], 0), ([3001, 20], 1), ([3, 20_001], 1)] {
        let [rows, columns] = shape;
        let x = whole::<f32>(rows * columns);
        let strides = [columns as isize, 1];
        let outputs = rows * columns / shape[axis];
        let found = same("the greatest", true, || {
            let mut out = vec![-1; outputs];
            f32::arg_extreme(true, view(&x, &shape, &strides), axis, &mut out).expect("floats have an order");
            out
        });
        let line = |i: usize| (0..shape[axis]).map(move |k| if axis == 0 { k * columns + i } else { i * columns + k });
        for (i, &found) in found.iter().enumerate() {
            let mut best = (0, f32::NEG_INFINITY);
            line(i).enumerate().for_each(|(k, at)| best = if x[at] > best.1 { (k, x[at]) } else { best });
            assert_eq!(found, best.0 as i64, "{shape:?} {axis}");
        }
        let found = same("running totals", true, || {
            let mut out = vec![9.0; x.len()];
            f32::cumulate(true, view(&x, &shape, &strides), axis, false, false, &mut out);
            out
        });
        for i in 0..outputs {
            let mut total = 0.0;
            for at in line(i) {
                total += x[at];
                assert_eq!(found[at], total, "{shape:?} {axis}");
            }
        }
    }
}

/// Elementwise kernels of all kinds, on views that are no slices, too.
fn check_elementwise<T: Number>() {
    let (rows, columns) = (401, 613);
    let n = rows * columns;
    let (shape, turned) = ([rows, columns], [1, rows as isize]);
    let x = broken::<T>(n);
    let dense = [columns as isize, 1];
    let mask: Vec<u8> = (0..n).map(|i| u8::from(i % 3 == 0)).collect();
    for strides in [dense, turned, [0, 1]] {
        let x = || view(&x, &shape, &strides);
        let flat = |index: usize| index / columns * strides[0] as usize + index % columns * strides[1] as usize;
        let copied = same("a copy", true, || {
            let mut out = vec![T::zeroed(); n];
            copy(x(), &mut out);
            bytes(&out)
        });
        let elements = bytemuck::cast_slice::<u8, T>(&copied);
        assert!(
            (0..n).step_by(97).all(|i| bytemuck::bytes_of(&elements[i]) == bytemuck::bytes_of(&x().data()[flat(i)]))
        );
        let sums = same("a sum", true, || {
            let mut out = vec![T::zeroed(); n];
            T::binary(Binary::Add, x(), x(), &mut out).expect("all have sums");
            bytes(&out)
        });
        let over = same("a sum over an argument", true, || {
            let mut out = elements.to_vec();
            T::binary_over(Binary::Add, &mut out, true, x()).expect("all have sums");
            bytes(&out)
        });
        assert!(sums == over);
        let wide = same("a conversion", true, || {
            let mut out = vec![0.0_f64; n];
            cast(x(), &mut out);
            bytes(&out)
        });
        let mut expected = vec![0.0_f64; n];
        cast(view(elements, &[n], &[1]), &mut expected);
        assert!(wide == bytes(&expected));
        let less = same("a comparison", true, || {
            let mut out = vec![9; n];
            T::compare(Compare::Less, x(), view(elements, &shape, &[0, 0]), &mut out).expect("all have an order");
            out
        });
        assert!((0..n).all(|i| less[i] == u8::from(expected[i] < expected[0])));
        let chosen = same("a choice", true, || {
            let mut out = vec![T::zeroed(); n];
            select(view(&mask, &shape, &dense), x(), view(elements, &shape, &[0, 0]), &mut out);
            bytes(&out)
        });
        let chosen = bytemuck::cast_slice::<u8, T>(&chosen);
        let from = |i: usize| if mask[i] == 1 { i } else { 0 };
        assert!((0..n).all(|i| bytemuck::bytes_of(&chosen[i]) == bytemuck::bytes_of(&elements[from(i)])));
    }
}

#[test]
fn elements() {
    check_elementwise::<f32>();
    check_elementwise::<i64>();
}

#[test]
fn functions_of_halves_are_one_by_the_sets_that_fuse() {
    let x = broken::<f16>(100_001);
    same("tanh", false, || {
        let mut out = vec![f16::ZERO; x.len()];
        f16::unary(Unary::Tanh, view(&x, &[x.len()], &[1]), &mut out).expect("floats have it");
        bytes(&out)
    });
}

#[test]
fn the_first_of_several_faults_is_told() {
    let n = 150_003;
    let (a, mut b) = (vec![5; n], vec![1; n]);
    for at in [n - 1, 70_001, 23_457] {
        b[at] = 0;
        let fault = same("a quotient", true, || {
            i32::binary(Binary::FloorDiv, view(&a, &[n], &[1]), view(&b, &[n], &[1]), &mut vec![0; n])
        });
        assert_eq!(fault, Err(Fault::ZeroDivisor { element: at }));
    }
}

#[test]
fn steps_of_optimizers() {
    fn check<T: Float>(rule: Update) {
        let n = 50_021;
        let (w, g) = (broken::<T>(n), broken::<T>(n));
        let slots = vec![w[0]; n];
        let [rate, step] = [w[1], T::zeroed()];
        let whole = same(&format!("{rule:?}"), true, || {
            let (mut value, mut m, mut v) = (w.clone(), slots.clone(), vec![w[2]; n]);
            let shape = [n];
            let before = [None, Some(view(&slots, &shape, &[1])), Some(view(&slots, &shape, &[0]))];
            let after = &mut [&mut value[..], &mut m, &mut v];
            let count = if matches!(rule, Update::Adam { .. }) { 3 } else { 2 };
            let rates = [rate, step];
            T::update(rule, Some(0.25), rates, &before[..count], view(&g, &[n], &[1]), &mut after[..count]);
            bytes(&[value, m, v].concat())
        });
        // An element alone.
        let whole = bytemuck::cast_slice::<u8, T>(&whole);
        for at in (0..n).step_by(997) {
            let (mut value, mut m, mut v) = ([w[at]], [slots[at]], [slots[0]]);
            let after = &mut [&mut value[..], &mut m, &mut v];
            let count = if matches!(rule, Update::Adam { .. }) { 3 } else { 2 };
            let before = [None; 3];
            T::update(
                rule,
                Some(0.25),
                [rate, step],
                &before[..count],
                view(&g[at..], &[1], &[1]),
                &mut after[..count],
            );
            assert!(bytes(&value) == bytes(&whole[at..at + 1]) && bytes(&m) == bytes(&whole[n + at..n + at + 1]));
        }
    }
    check::<f32>(Update::Adam { beta_1: 0.9, beta_2: 0.999, powers: [0.9, 0.999], epsilon: 1e-7, amsgrad: false });
    check::<bf16>(Update::Momentum { momentum: 0.875, nesterov: true });
    check::<f64>(Update::RmsProp { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false });
}

#[test]
fn rows_are_each_taken_once_with_work_of_their_own() {
    for count in [0, 1, 7, 1000] {
        for (rooms, each) in [(0, 0), (1, 5), (3, 5), (8, 2)] {
            let found = same(&format!("{count} rows, {rooms} times {each}"), true, || {
                let (mut a, mut b) = (vec![0; count * 3], vec![0_u8; count]);
                let outputs = (Matrix::new(&mut a, 3), Matrix::new(&mut b, 1));
                let work = &mut vec![0; rooms * each][..];
                each_row_with(count, 1_000_000, outputs, (work, each), |row, (a, b), lent| {
                    assert_eq!(lent.len(), each);
                    lent.fill(row);
                    a.iter_mut().for_each(|a| *a += row + 1);
                    b[0] += 1;
                    assert!(lent.iter().all(|&lent| lent == row), "somebody else has it");
                });
                (a, b)
            });
            assert!(found.1.iter().all(|&b| b == 1) && found.0.iter().enumerate().all(|(at, &a)| a == at / 3 + 1));
        }
    }
    let mut none = [0.0_f32; 0];
    divide_slice(&mut none, 1_000_000, 1, |_, part| assert!(part.is_empty()));
}
