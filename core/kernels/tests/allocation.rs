//! No kernel allocates.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use half::bf16;
use modulor_kernels::{
    Binary, Compare, Float, Fold, Logical, Normalization, Number, Strided, Test, Unary, cast, copy, fold_logical,
    logical, not, select,
};
use num_complex::Complex;

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Every kernel on a 30 × 40 view, contiguous and transposed.
fn run_all<T: Number>(ordered: bool) {
    let (x, mut out) = (vec![T::zeroed(); 1200], vec![T::zeroed(); 1200]);
    let (mut bytes, mut indices, mut wide) = (vec![0; 1200], vec![0; 1200], vec![0.0_f64; 1200]);
    let mut product = vec![T::zeroed(); 900];
    let mut scratch = vec![T::zeroed(); T::matmul_scratch(30, 40, 30)];
    let before = ALLOCATIONS.get();
    for strides in [[40, 1], [1, 30]] {
        let view = Strided::new(&x, &[30, 40], &strides, 0).expect("in bounds");
        let turned = [strides[1], strides[0]];
        let other = Strided::new(&x, &[40, 30], &turned, 0).expect("in bounds");
        copy(view, &mut out);
        cast(view, &mut wide);
        T::nonzero(view, &mut bytes);
        T::unary(Unary::Square, view, &mut out).expect("every number has a square");
        T::binary(Binary::Add, view, view, &mut out).expect("every number has a sum");
        T::unary_over(Unary::Square, &mut out).expect("every number has a square");
        T::binary_over(Binary::Add, &mut out, true, view).expect("every number has a sum");
        T::compare(Compare::Equal, view, view, &mut bytes).expect("every number has equals");
        select(Strided::new(&[1], &[30, 40], &[0, 0], 0).expect("in bounds"), view, view, &mut out);
        for (reduced, outputs) in [([true, false], 40), ([false, true], 30), ([true, true], 1)] {
            T::fold(Fold::Sum, view, &reduced, &mut out[..outputs]).expect("every number has a sum");
        }
        for (axis, outputs) in [(0, 40), (1, 30)] {
            let found = T::arg_extreme(true, view, axis, &mut indices[..outputs]);
            assert_eq!(found.is_ok(), ordered);
            T::cumulate(true, view, axis, false, true, &mut out);
        }
        T::matmul(view, other, &mut product, &mut scratch);
    }
    assert_eq!(ALLOCATIONS.get(), before, "{}", std::any::type_name::<T>());
}

#[test]
fn kernels_do_not_allocate() {
    run_all::<f32>(true);
    run_all::<f64>(true);
    run_all::<bf16>(true);
    run_all::<i32>(true);
    run_all::<Complex<f32>>(false);

    let (x, mut out, mut loss) = (vec![1.0_f32; 60], vec![0.0_f32; 60], vec![0.0_f32; 6]);
    let (flags, mut bytes) = (vec![1_u8; 60], vec![0_u8; 60]);
    let (mut inverse, mut scratch) = (vec![0.0_f32; 6], vec![0.0; 1000]);
    let (mut gamma, mut beta) = (vec![0.0_f32; 10], vec![0.0_f32; 10]);
    let before = ALLOCATIONS.get();
    let view = Strided::new(&x, &[60], &[1], 0).expect("contiguous");
    let truths = Strided::new(&flags, &[60], &[-1], 59).expect("in bounds");
    f32::test(Test::IsNan, view, &mut bytes).expect("floats can be tested");
    f32::softmax(&x, 10, &mut out, false);
    f32::cross_entropy(&x, &x, 10, &mut loss, &mut out);
    f32::moments(view, &[true], &mut loss[..1], &mut out[..1], &mut scratch);
    f32::layer_normalization(&x, Some(&x[..10]), None, 10, 0.1, &mut out, &mut loss, &mut inverse);
    let sums = (Some(&mut gamma[..]), Some(&mut beta[..]));
    f32::layer_normalization_gradient(&x, &x, &loss, &inverse, None, 10, &mut out, sums.0, sums.1, &mut scratch);
    f32::batch_normalization_training(&x, [10, 6, 1], None, None, 0.1, &mut out, &mut loss, &mut inverse, &mut scratch);
    f32::batch_normalization_gradient(
        true,
        &x,
        &x,
        [10, 6, 1],
        &loss,
        &inverse,
        None,
        0.1,
        &mut out,
        None,
        None,
        &mut scratch,
    );
    f32::sparse_cross_entropy(&x, &[0; 6], 10, &mut loss, &mut out).expect("labels in range");
    logical(Logical::And, truths, truths, &mut bytes);
    not(truths, &mut bytes);
    fold_logical(Logical::Or, truths, &[true], &mut bytes[..1]);
    assert_eq!(ALLOCATIONS.get(), before);
    drop(std::hint::black_box(vec![0_u8; 1]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");
}
