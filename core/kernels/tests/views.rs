//! A view and its contiguous copy give the same bits, whatever the kernel and however the view lies in memory.

use bytemuck::Pod;
use half::{bf16, f16};
use modulor_kernels::{
    Binary, Compare, Float, Fold, Logical, Number, Strided, Test, Unary, cast, copy, fold_logical, logical, not, select,
};
use num_complex::Complex;

/// Nothing, one element, and sizes around the lanes, the tiles and the columns of the kernels.
const SHAPES: &[&[usize]] = &[
    &[],
    &[0],
    &[1],
    &[15],
    &[16],
    &[17],
    &[511],
    &[513],
    &[0, 3],
    &[3, 0],
    &[3, 5],
    &[2, 129],
    &[128, 2],
    &[600, 3],
    &[7, 1, 16],
    &[1, 31, 1],
    &[2, 3, 5, 7],
];

/// Memory in which elements lie, and how.
struct Layout<T> {
    name: &'static str,
    data: Vec<T>,
    strides: Vec<isize>,
    offset: usize,
}

impl<T: Copy> Layout<T> {
    fn view<'a>(&'a self, shape: &'a [usize]) -> Strided<'a, T> {
        Strided::new(&self.data, shape, &self.strides, self.offset).expect(self.name)
    }
}

/// Lays `x` out with the axes in `order` from the outermost on, `gap` elements apart, the axes in `backwards` reversed.
fn lay_out<T: Pod>(
    name: &'static str,
    x: &[T],
    shape: &[usize],
    order: impl DoubleEndedIterator<Item = usize>,
    gap: usize,
    backwards: impl Fn(usize) -> bool,
) -> Layout<T> {
    let mut strides = vec![0; shape.len()];
    let (mut step, mut offset) = (gap, 3);
    for axis in order.rev() {
        strides[axis] = step as isize;
        if backwards(axis) {
            strides[axis] = -strides[axis];
            offset += step * shape[axis].saturating_sub(1);
        }
        step *= shape[axis].max(1);
    }
    let mut data = vec![T::zeroed(); offset + step + 3];
    for (index, &value) in x.iter().enumerate() {
        let (mut rest, mut at) = (index, offset as isize);
        for axis in (0..shape.len()).rev() {
            at += (rest % shape[axis]) as isize * strides[axis];
            rest /= shape[axis];
        }
        data[at as usize] = value;
    }
    Layout { name, data, strides, offset }
}

fn layouts<T: Pod>(x: &[T], shape: &[usize]) -> Vec<Layout<T>> {
    let rank = shape.len();
    vec![
        lay_out("inside a larger slice", x, shape, 0..rank, 1, |_| false),
        lay_out("transposed", x, shape, (0..rank).rev(), 1, |_| false),
        lay_out("every third", x, shape, 0..rank, 3, |_| false),
        lay_out("backwards", x, shape, 0..rank, 1, |_| true),
        lay_out("last axis backwards", x, shape, 0..rank, 1, |axis| axis + 1 == rank),
        lay_out("first axis backwards, transposed", x, shape, (0..rank).rev(), 2, |axis| axis == 0),
    ]
}

fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// Numbers of both signs without order, from −60 to 60; `seed` makes them different ones.
fn numbers<T: Number>(n: usize, seed: u32) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let values: Vec<f32> = (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 120.0 - 60.0
        })
        .collect();
    let mut out = vec![T::zeroed(); n];
    cast(Strided::new(&values, &[n], &[1], 0).expect("contiguous"), &mut out);
    out
}

/// Runs `kernel` on the contiguous numbers and on every layout of them, into outputs of `outputs` elements.
#[track_caller]
fn check<T: Number, U: Pod>(what: &str, shape: &[usize], outputs: usize, kernel: impl Fn(Strided<T>, &mut [U])) {
    let n = shape.iter().product();
    let x = numbers::<T>(n, 1);
    let strides = row_major(shape);
    let mut expected = vec![U::zeroed(); outputs];
    kernel(Strided::new(&x, shape, &strides, 0).expect("contiguous"), &mut expected);
    for layout in layouts(&x, shape) {
        let mut found = vec![U::zeroed(); outputs];
        bytemuck::cast_slice_mut::<U, u8>(&mut found).fill(0xa5);
        kernel(layout.view(shape), &mut found);
        let (expected, found): (&[u8], &[u8]) = (bytemuck::cast_slice(&expected), bytemuck::cast_slice(&found));
        assert!(expected == found, "{what} of {shape:?} {} in {}", std::any::type_name::<T>(), layout.name);
    }
}

fn check_elementwise<T: Number>(takes_order: bool) {
    for &shape in SHAPES {
        let n = shape.iter().product();
        check("copy", shape, n, |x: Strided<T>, out: &mut [T]| copy(x, out));
        check("cast", shape, n, |x: Strided<T>, out: &mut [f64]| cast(x, out));
        check("cast", shape, n, |x: Strided<T>, out: &mut [i16]| cast(x, out));
        check("nonzero", shape, n, |x: Strided<T>, out: &mut [u8]| T::nonzero(x, out));
        check("square", shape, n, |x: Strided<T>, out: &mut [T]| {
            T::unary(Unary::Square, x, out).expect("every number has a square");
        });
        let strides = row_major(shape);
        let other = numbers::<T>(n, 2);
        let b = || Strided::new(&other, shape, &strides, 0).expect("contiguous");
        check("less", shape, n, |x: Strided<T>, out: &mut [u8]| {
            let op = if takes_order { Compare::Less } else { Compare::Equal };
            T::compare(op, x, b(), out).expect("an order where it was said");
        });
        check("difference", shape, n, |x: Strided<T>, out: &mut [T]| {
            T::binary(Binary::Sub, x, b(), out).expect("every number has a difference");
        });
        check("swapped difference", shape, n, |x: Strided<T>, out: &mut [T]| {
            T::binary(Binary::Sub, b(), x, out).expect("every number has a difference");
        });
        for first in [true, false] {
            check("difference over an argument", shape, n, |x: Strided<T>, out: &mut [T]| {
                let mut elsewhere = vec![T::zeroed(); n];
                let (a, b) = if first { (b(), x) } else { (x, b()) };
                T::binary(Binary::Sub, a, b, &mut elsewhere).expect("every number has a difference");
                out.copy_from_slice(&other);
                T::binary_over(Binary::Sub, out, first, x).expect("every number has a difference");
                let [found, expected]: [&[u8]; 2] = [&*out, &elsewhere].map(bytemuck::cast_slice);
                assert!(found == expected, "over and elsewhere differ in {shape:?}");
            });
        }
        check("square over the argument", shape, n, |x: Strided<T>, out: &mut [T]| {
            let mut elsewhere = vec![T::zeroed(); n];
            T::unary(Unary::Square, x, &mut elsewhere).expect("every number has a square");
            copy(x, out);
            T::unary_over(Unary::Square, out).expect("every number has a square");
            let [found, expected]: [&[u8]; 2] = [&*out, &elsewhere].map(bytemuck::cast_slice);
            assert!(found == expected, "over and elsewhere differ in {shape:?}");
        });
        let cond: Vec<u8> = (0..n).map(|i| u8::from(i % 3 == 0)).collect();
        check("select", shape, n, |x: Strided<T>, out: &mut [T]| {
            select(Strided::new(&cond, shape, &strides, 0).expect("contiguous"), x, b(), out);
        });
    }
}

fn check_folds<T: Number>(takes_order: bool) {
    for &shape in SHAPES {
        for mask in 0..1_u32 << shape.len() {
            let reduced: Vec<bool> = (0..shape.len()).map(|axis| mask >> axis & 1 == 1).collect();
            let kept = shape.iter().zip(&reduced).filter(|&(_, &reduced)| !reduced);
            let outputs = kept.map(|(&dim, _)| dim).product();
            let ordered = [Fold::Sum, Fold::Mean, Fold::Prod, Fold::Max, Fold::Min];
            for &op in if takes_order { &ordered[..] } else { &ordered[..3] } {
                check(&format!("{op:?} over {reduced:?}"), shape, outputs, |x: Strided<T>, out: &mut [T]| {
                    T::fold(op, x, &reduced, out).expect("an order where it was said");
                });
            }
        }
        let n: usize = shape.iter().product();
        for axis in 0..shape.len() {
            if takes_order && shape[axis] > 0 {
                for max in [true, false] {
                    check("arg_extreme", shape, n / shape[axis], |x: Strided<T>, out: &mut [i64]| {
                        T::arg_extreme(max, x, axis, out).expect("an order where it was said");
                    });
                }
            }
            check("cumulate", shape, n, |x: Strided<T>, out: &mut [T]| {
                T::cumulate(axis % 2 == 0, x, axis, axis == 0, axis != 0, out);
            });
        }
    }
}

macro_rules! for_types {
    ($($name:ident: $t:ty, $ordered:literal;)*) => {
        $(#[test]
        fn $name() {
            check_elementwise::<$t>($ordered);
            check_folds::<$t>($ordered);
        })*
    };
}
for_types! {
    f32_views_are_their_copies: f32, true;
    f64_views_are_their_copies: f64, true;
    f16_views_are_their_copies: f16, true;
    bf16_views_are_their_copies: bf16, true;
    i8_views_are_their_copies: i8, true;
    i64_views_are_their_copies: i64, true;
    u16_views_are_their_copies: u16, true;
    complex64_views_are_their_copies: Complex<f32>, false;
    complex128_views_are_their_copies: Complex<f64>, false;
}

#[test]
fn tests_and_logic_of_views_are_those_of_their_copies() {
    for &shape in SHAPES {
        let n = shape.iter().product();
        check("is_finite", shape, n, |x: Strided<f32>, out: &mut [u8]| {
            f32::test(Test::IsFinite, x, out).expect("floats can be tested");
        });
        let bits: Vec<u8> = (0..n).map(|i| u8::from(i % 5 < 2)).collect();
        let (mut expected, mut found) = (vec![9; n], vec![9; n]);
        let strides = row_major(shape);
        let whole = Strided::new(&bits, shape, &strides, 0).expect("contiguous");
        for layout in layouts(&bits, shape) {
            let x = layout.view(shape);
            not(x, &mut found);
            not(whole, &mut expected);
            assert_eq!(found, expected);
            for op in [Logical::And, Logical::Or] {
                logical(op, x, whole, &mut found);
                assert_eq!(found, bits);
                let (mut one, mut other) = ([9], [9]);
                fold_logical(op, x, &vec![true; shape.len()], &mut one);
                fold_logical(op, whole, &vec![true; shape.len()], &mut other);
                assert_eq!(one, other);
            }
        }
    }
}

#[test]
fn a_broadcast_operand_is_its_copy() {
    for (shape, strides) in [
        (vec![300, 7], vec![0, 1]),
        (vec![300, 7], vec![1, 0]),
        (vec![300, 7], vec![0, 0]),
        (vec![5, 6, 7], vec![7, 0, 1]),
        (vec![5, 6, 7], vec![0, 1, 0]),
        (vec![2, 600], vec![1, 0]),
    ] {
        let n = shape.iter().product();
        let (x, small) = (numbers::<f32>(n, 1), numbers::<f32>(300, 2));
        let b = Strided::new(&small, &shape, &strides, 0).expect("in bounds");
        let mut spread = vec![0.0; n];
        copy(b, &mut spread);
        let contiguous = row_major(&shape);
        let whole = |data| Strided::new(data, &shape, &contiguous, 0).expect("contiguous");
        let (mut found, mut expected) = (vec![0.0; n], vec![1.0; n]);
        f32::binary(Binary::Div, whole(&x), b, &mut found).expect("floats divide");
        f32::binary(Binary::Div, whole(&x), whole(&spread), &mut expected).expect("floats divide");
        assert_eq!(found, expected);
        for (i, (&x, &found)) in x.iter().zip(&found).enumerate() {
            assert_eq!(found, x / spread[i]);
        }
        for reduced in [[true, false, false], [false, true, true], [true, true, true]] {
            let reduced = &reduced[..shape.len()];
            let kept = shape.iter().zip(reduced).filter(|&(_, &reduced)| !reduced);
            let outputs = kept.map(|(&dim, _)| dim).product();
            let (mut found, mut expected) = (vec![0.0; outputs], vec![1.0; outputs]);
            f32::fold(Fold::Sum, b, reduced, &mut found).expect("floats have sums");
            f32::fold(Fold::Sum, whole(&spread), reduced, &mut expected).expect("floats have sums");
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn the_place_of_a_fault_is_counted_from_the_first_element() {
    let a = vec![1; 2000];
    let mut b = vec![1; 4000];
    b[2 * 1234] = 0;
    let view = Strided::new(&b, &[2000], &[2], 0).expect("in bounds");
    let over = i32::binary_over(Binary::FloorDiv, &mut vec![1; 2000], true, view);
    assert_eq!(over, Err(modulor_kernels::Fault::ZeroDivisor { element: 1234 }));
    let fault = i32::binary(
        Binary::FloorDiv,
        Strided::new(&a, &[2000], &[1], 0).expect("contiguous"),
        view,
        &mut vec![0; 2000],
    );
    assert_eq!(fault, Err(modulor_kernels::Fault::ZeroDivisor { element: 1234 }));
}

#[test]
fn a_view_that_leaves_its_slice_is_none() {
    let data = [0_u8; 10];
    let new = |shape: &[usize], strides: &[isize], offset| Strided::new(&data, shape, strides, offset).is_some();
    assert!(new(&[10], &[1], 0) && !new(&[11], &[1], 0) && !new(&[10], &[1], 1));
    assert!(new(&[10], &[-1], 9) && !new(&[10], &[-1], 8));
    assert!(new(&[2, 5], &[5, 1], 0) && !new(&[2, 5], &[6, 1], 0));
    assert!(new(&[usize::MAX], &[0], 9) && !new(&[1], &[0], 10));
    assert!(!new(&[usize::MAX, 2], &[0, 0], 0), "the number of elements overflows");
    assert!(!new(&[usize::MAX, usize::MAX], &[isize::MIN, isize::MIN], 0));
    assert!(!new(&[usize::MAX, 2], &[isize::MAX, isize::MAX], usize::MAX));
    assert!(new(&[0, usize::MAX, usize::MAX], &[1, 1, 1], 99), "nothing is in bounds everywhere");
    assert!(!new(&[2], &[1, 1], 0), "a stride for each axis");
    assert!(new(&[], &[], 9) && !new(&[], &[], 10));
}

#[test]
fn softmax_takes_rows_one_by_one() {
    let x = numbers::<f32>(7 * 13, 3);
    let (mut together, mut alone) = (vec![0.0; 7 * 13], vec![0.0; 13]);
    for log in [false, true] {
        f32::softmax(&x, 13, &mut together, log);
        for (x, row) in x.chunks(13).zip(together.chunks(13)) {
            f32::softmax(x, 13, &mut alone, log);
            assert_eq!(alone, row);
        }
    }
}
