//! The numbers tensors are made of, and what the kernels do with them.

use std::collections::TryReserveError;

use half::{bf16, f16};
use num_complex::Complex;

use crate::cast::Cast;
use crate::complex::{binary as of_complexes, unary as of_complex};
use crate::dispatch::by_instruction_set;
use crate::expression::{self, Elementwise, Expression, Output, Source, Step, alone};
use crate::float::{binary as of_floats, each, pair, test as test_float, unary as of_float, unpaired};
use crate::fold::{ordered, unordered};
use crate::instruction_set::instruction_set;
use crate::integer::{binary as of_integers, unary as of_integer};
use crate::matmul::{Epilogue, Finish, Packed};
use crate::narrow::{Half, binary as of_halves, compare as compare_halves, test as test_half, unary as of_half};
use crate::operation::{Binary, Compare, Fault, Fold, Test, Unary, Unsupported, Update};
use crate::rows::{self, NoSuchRow};
use crate::softmax::{
    cross_entropy, cross_entropy_rows, softmax, softmax_rows, sparse_cross_entropy, sparse_cross_entropy_rows,
};
use crate::strided::{Strided, tiles};
use crate::{fold, matmul, update};

/// A number with kernels: f32, f64, f16, bf16, the integers of 8 to 64 bits, and complex numbers of f32 and f64.
///
/// Inputs are views that already have the shape of the output (a stride of 0 broadcasts). Outputs are row-major slices
/// whose contents are overwritten. Nothing allocates, and the bits of a result do not depend on how a view lies in
/// memory. f16 and bf16 are computed in f32 and rounded once.
///
/// Every function panics when the lengths of its arguments do not fit each other, which is for the caller to see to.
pub trait Number: Cast {
    /// Writes `op` of every element of `x`.
    ///
    /// ```
    /// use modulor_kernels::{Number, Strided, Unary};
    ///
    /// let mut out = [0.0_f32; 3];
    /// let x = Strided::new(&[-1.0, 0.0, 2.0], &[3], &[1], 0).expect("in bounds");
    /// f32::unary(Unary::Relu, x, &mut out).expect("floats take it");
    /// assert_eq!(out, [0.0, 0.0, 2.0]);
    /// ```
    ///
    /// # Errors
    /// When the type does not take `op`.
    fn unary(op: Unary, x: Strided<Self>, out: &mut [Self]) -> Result<(), Unsupported>;

    /// Writes `op` of every pair of elements of `a` and `b`.
    ///
    /// # Errors
    /// When the type does not take `op`, an integer is divided by 0 or raised to a negative power.
    fn binary(op: Binary, a: Strided<Self>, b: Strided<Self>, out: &mut [Self]) -> Result<(), Fault>;

    /// Writes `op` of every element over it.
    ///
    /// # Errors
    /// When the type does not take `op`.
    fn unary_over(op: Unary, x: &mut [Self]) -> Result<(), Unsupported>;

    /// Writes `op` of every pair of elements over that of `x`, which is its first argument or, without `first`, the
    /// second.
    ///
    /// ```
    /// use modulor_kernels::{Binary, Number, Strided};
    ///
    /// let mut x = [1.0_f32, 2.0];
    /// let one = Strided::new(&[1.0], &[2], &[0], 0).expect("in bounds");
    /// f32::binary_over(Binary::Sub, &mut x, false, one).expect("floats take it");
    /// assert_eq!(x, [0.0, -1.0]);
    /// ```
    ///
    /// # Errors
    /// As of [`binary`](Self::binary); `x` is then partly overwritten.
    fn binary_over(op: Binary, x: &mut [Self], first: bool, other: Strided<Self>) -> Result<(), Fault>;

    /// Writes 1 where `op` holds of the elements of `a` and `b`, else 0.
    ///
    /// # Errors
    /// When the type has no order and `op` asks for one.
    fn compare(op: Compare, a: Strided<Self>, b: Strided<Self>, out: &mut [u8]) -> Result<(), Unsupported>;

    /// Writes 1 where `op` holds of the element of `x`, else 0.
    ///
    /// # Errors
    /// When the type is not a float.
    fn test(op: Test, x: Strided<Self>, out: &mut [u8]) -> Result<(), Unsupported>;

    /// Runs an expression: reads `values` and `masks` as it numbers them, all of one shape, and writes its `outputs`, which
    /// it gives in that order. An input [`Over`](Source::Over) an output is what stood in the output before.
    ///
    /// `scratch` has as many elements as [`Expression::scratch`] says and may hold anything.
    ///
    /// # Errors
    /// Of [`binary`](Self::binary), as of its steps one after the other; outputs are then partly written.
    fn evaluate(
        expression: &Expression<Self>,
        values: &[Source<Self>],
        masks: &[Source<u8>],
        outputs: &mut [Output<Self>],
        scratch: &mut [Self],
    ) -> Result<(), Fault>;

    /// Writes 1 where the element of `x` is not 0, else 0; of a complex number the real part counts, as in TensorFlow.
    fn nonzero(x: Strided<Self>, out: &mut [u8]);

    /// Reduces the axes k of `x` with `reduced[k]`; `out` has the shape of the others.
    ///
    /// A sum or mean of n floats errs by at most 4·eps·Σ|terms|.
    ///
    /// # Errors
    /// When the type does not take `op`.
    fn fold(op: Fold, x: Strided<Self>, reduced: &[bool], out: &mut [Self]) -> Result<(), Unsupported>;

    /// Writes, for each index of the other axes, the index along `axis` of the greatest (`max`) or least element: the
    /// first of equals, NaN counting as neither; 0 where the axis is empty.
    ///
    /// # Errors
    /// When the type has no order.
    fn arg_extreme(max: bool, x: Strided<Self>, axis: usize, out: &mut [i64]) -> Result<(), Unsupported>;

    /// Running totals (`sum`) or products along `axis`: with the element itself or, `exclusive`, without it; from the end
    /// in `reverse`.
    fn cumulate(sum: bool, x: Strided<Self>, axis: usize, exclusive: bool, reverse: bool, out: &mut [Self]);

    /// Writes, as row `r` of `out`, the sum of the rows `i` of `x` with `rows[i] == r`, zeros where there is none. Rows
    /// have `width` elements; negative indices are left out. A sum of n floats errs by at most 4·eps·Σ|terms|.
    ///
    /// `ends` has as many places as `out` has rows and `order` at least as many as `x`; they may hold anything.
    ///
    /// # Errors
    /// When an index is not a row of `out`.
    fn sum_rows(
        x: &[Self],
        rows: &[i64],
        width: usize,
        out: &mut [Self],
        ends: &mut [usize],
        order: &mut [usize],
    ) -> Result<(), NoSuchRow>;

    /// The elements of scratch that [`matmul`](Self::matmul) of an m × k and a k × n matrix wants.
    fn matmul_scratch(m: usize, k: usize, n: usize) -> usize;

    /// Writes the product of `a`, m × k, and `b`, k × n, for each index of leading axes if there are any: they are the same
    /// in both. Zeros where k is 0. `scratch` may hold anything, and is for one product; threads that help have their own.
    ///
    /// A product of floats errs by at most 4·eps·Σ|terms| where its terms do not conspire: each element is a sum in an
    /// order that is a function of k alone, so neither other sizes, nor layouts, nor the number of threads change a bit.
    /// f32 and f64 are added by fused multiply-add where the machine has it, and by two roundings in portable code.
    fn matmul(a: Strided<Self>, b: Strided<Self>, out: &mut [Self], scratch: &mut [Self]);
}

/// The numbers that are trained: f32, f64, f16 and bf16. Matrices are row-major, with `n` columns.
pub trait Float: Number {
    /// Writes eˣ over the sum of its row or, with `log`, the logarithm of that.
    fn softmax(x: &[Self], n: usize, out: &mut [Self], log: bool);

    /// Writes, for each row of `logits`, −Σ labels · log softmax(logits), and its gradient softmax(logits) − labels.
    fn cross_entropy(logits: &[Self], labels: &[Self], n: usize, loss: &mut [Self], gradient: &mut [Self]);

    /// As [`cross_entropy`](Self::cross_entropy) of labels that are 1 in one column and 0 in the others.
    ///
    /// # Errors
    /// When a label is not a column.
    fn sparse_cross_entropy(
        logits: &[Self],
        labels: &[i64],
        n: usize,
        loss: &mut [Self],
        gradient: &mut [Self],
    ) -> Result<(), Fault>;

    /// Writes value and slots after a step of an optimizer, from what they were `before`, or from what stands in their own
    /// place: first the value, then the slots in the order of the [`Update`]. Steps count from 1.
    ///
    /// ```
    /// use modulor_kernels::{Float, Strided, Update};
    ///
    /// let [w, m, g] = [[3.0_f32], [1.0], [2.0]];
    /// let [w, m, g] = [&w, &m, &g].map(|x| Strided::new(x, &[1], &[1], 0).expect("in bounds"));
    /// let (mut value, mut slot) = ([0.0], [0.0]);
    /// let update = Update::Momentum { momentum: 0.5, nesterov: false };
    /// f32::update(update, None, [0.125, 1.0], &[Some(w), Some(m)], g, &mut [&mut value, &mut slot]);
    /// assert_eq!((value, slot), ([3.25], [0.25]));
    /// ```
    fn update(
        update: Update,
        decay: Option<f64>,
        rate_and_step: [Self; 2],
        before: &[Option<Strided<Self>>],
        gradient: Strided<Self>,
        after: &mut [&mut [Self]],
    );

    /// The elements of scratch that [`matmul_with`](Self::matmul_with) of an m × k and a k × n matrix wants.
    fn matmul_with_scratch(m: usize, k: usize, n: usize) -> usize;

    /// As [`matmul`](Number::matmul), and what follows in the same pass: the bits are those of one kernel after the other.
    ///
    /// ```
    /// use modulor_kernels::{Epilogue, Float, Strided, Unary};
    ///
    /// let a = Strided::new(&[1.0_f32, 2.0], &[1, 2], &[2, 1], 0).expect("in bounds");
    /// let b = Strided::new(&[3.0_f32, 4.0, -5.0, 6.0], &[2, 2], &[2, 1], 0).expect("in bounds");
    /// let mut scratch = vec![0.0; f32::matmul_with_scratch(1, 2, 2)];
    /// let mut out = [0.0; 2];
    /// let epilogue = Epilogue { bias: Some(&[0.5, 0.5]), activation: Some(Unary::Relu), ..Epilogue::default() };
    /// f32::matmul_with(a, b, epilogue, &mut out, &mut scratch);
    /// assert_eq!(out, [0.0, 16.5]);
    /// ```
    ///
    /// # Panics
    /// As every kernel, when a length does not fit.
    fn matmul_with(
        a: Strided<Self>,
        b: Strided<Self>,
        epilogue: Epilogue<Self>,
        out: &mut [Self],
        scratch: &mut [Self],
    );

    /// Packs `b`, k × n, the right factor of many products.
    ///
    /// # Errors
    /// When there is no memory for it, which is about that of `b`, or twice that of f16 and bf16.
    fn packed(b: Strided<Self>) -> Result<Packed<Self>, TryReserveError>;

    /// As [`matmul_with`](Self::matmul_with) of `a`, m × k, and a factor that was packed, with the same scratch and to the
    /// same bits.
    ///
    /// ```
    /// use modulor_kernels::{Epilogue, Float, Strided};
    ///
    /// let b = Strided::new(&[3.0_f32, 4.0, -5.0, 6.0], &[2, 2], &[2, 1], 0).expect("in bounds");
    /// let b = f32::packed(b)?;
    /// let a = Strided::new(&[1.0_f32, 2.0], &[1, 2], &[2, 1], 0).expect("in bounds");
    /// let mut out = [0.0; 2];
    /// let mut scratch = vec![0.0; f32::matmul_with_scratch(1, 2, 2)];
    /// f32::matmul_packed(a, &b, Epilogue::default(), &mut out, &mut scratch);
    /// assert_eq!(out, [-7.0, 16.0]);
    /// # Ok::<(), std::collections::TryReserveError>(())
    /// ```
    fn matmul_packed(
        a: Strided<Self>,
        b: &Packed<Self>,
        epilogue: Epilogue<Self>,
        out: &mut [Self],
        scratch: &mut [Self],
    );
}

#[inline(always)]
fn holds<T: Copy>(a: &[T], b: &[T], out: &mut [u8], relation: impl Fn(T, T) -> bool) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = relation(a, b).into();
    }
}

#[inline(always)]
fn compare_ordered<T: Copy + PartialOrd, const FUSED: bool>(
    op: Compare,
    a: &[T],
    b: &[T],
    out: &mut [u8],
) -> Result<(), Unsupported> {
    match op {
        Compare::Equal => holds(a, b, out, |a, b| a == b),
        Compare::NotEqual => holds(a, b, out, |a, b| a != b),
        Compare::Less => holds(a, b, out, |a, b| a < b),
        Compare::LessEqual => holds(a, b, out, |a, b| a <= b),
        Compare::Greater => holds(a, b, out, |a, b| a > b),
        Compare::GreaterEqual => holds(a, b, out, |a, b| a >= b),
    }
    Ok(())
}

#[inline(always)]
fn compare_unordered<T: Copy + PartialEq, const FUSED: bool>(
    op: Compare,
    a: &[T],
    b: &[T],
    out: &mut [u8],
) -> Result<(), Unsupported> {
    match op {
        Compare::Equal => holds(a, b, out, |a, b| a == b),
        Compare::NotEqual => holds(a, b, out, |a, b| a != b),
        _ => return Err(Unsupported),
    }
    Ok(())
}

#[inline(always)]
fn untestable<T, const FUSED: bool>(_: Test, _: &[T], _: &mut [u8]) -> Result<(), Unsupported> {
    Err(Unsupported)
}

/// The kernels of some types, from functions on slices of what they are made of. Everything is concrete, so it is compiled in this package.
macro_rules! numbers {
    ($($t:ty as $of:ty),*: $unary:ident, $binary:ident, $pair:ident, $compare:ident, $test:ident, |$x:ident| $nonzero:expr, $fold:ident, $arg:expr) => {
        $(impl Elementwise for $t {
            by_instruction_set!(fn unary(op: Unary, x: &[$t], out: &mut [$t]) -> Result<(), Unsupported>
                = $unary::<$of>);
            by_instruction_set!(fn binary(op: Binary, a: &[$t], b: &[$t], out: &mut [$t]) -> Result<(), Fault>
                = $binary::<$of>);
            by_instruction_set!(fn pair(ops: [Binary; 2], leads: bool, x: [&[$t]; 3], out: &mut [$t]) -> Result<(), Unsupported>
                = $pair::<$t>);
            by_instruction_set!(fn compare(op: Compare, a: &[$t], b: &[$t], out: &mut [u8]) -> Result<(), Unsupported>
                = $compare::<$t>);
            by_instruction_set!(fn test(op: Test, x: &[$t], out: &mut [u8]) -> Result<(), Unsupported>
                = $test::<$t>);
        }

        impl Number for $t {
            fn unary(op: Unary, x: Strided<Self>, out: &mut [Self]) -> Result<(), Unsupported> {
                alone(Step::Unary(op, 0), &[Source::View(x)], &[], Output::Values(out)).map_err(|_| Unsupported)
            }

            fn binary(op: Binary, a: Strided<Self>, b: Strided<Self>, out: &mut [Self]) -> Result<(), Fault> {
                alone(Step::Binary(op, 0, 1), &[a, b].map(Source::View), &[], Output::Values(out))
            }

            fn unary_over(op: Unary, x: &mut [Self]) -> Result<(), Unsupported> {
                alone(Step::Unary(op, 0), &[Source::Over(0)], &[], Output::Values(x)).map_err(|_| Unsupported)
            }

            fn binary_over(op: Binary, x: &mut [Self], first: bool, other: Strided<Self>) -> Result<(), Fault> {
                let step = if first { Step::Binary(op, 0, 1) } else { Step::Binary(op, 1, 0) };
                alone(step, &[Source::Over(0), Source::View(other)], &[], Output::Values(x))
            }

            fn compare(op: Compare, a: Strided<Self>, b: Strided<Self>, out: &mut [u8]) -> Result<(), Unsupported> {
                alone(Step::Compare(op, 0, 1), &[a, b].map(Source::View), &[], Output::Mask(out)).map_err(|_| Unsupported)
            }

            fn test(op: Test, x: Strided<Self>, out: &mut [u8]) -> Result<(), Unsupported> {
                alone(Step::Test(op, 0), &[Source::View(x)], &[], Output::Mask(out)).map_err(|_| Unsupported)
            }

            fn evaluate(
                expression: &Expression<Self>,
                values: &[Source<Self>],
                masks: &[Source<u8>],
                outputs: &mut [Output<Self>],
                scratch: &mut [Self],
            ) -> Result<(), Fault> {
                expression::evaluate(expression, values, masks, outputs, scratch)
            }

            fn nonzero(x: Strided<Self>, out: &mut [u8]) {
                #[inline(always)]
                fn each_by<const FUSED: bool>(x: &[$t], out: &mut [u8]) {
                    each!(x => out, |$x| ($nonzero).into());
                }
                by_instruction_set!(fn each(x: &[$t], out: &mut [u8]) = each_by::<>);
                tiles(x, out, each);
            }

            fn fold(op: Fold, x: Strided<Self>, reduced: &[bool], out: &mut [Self]) -> Result<(), Unsupported> {
                $fold(op, x, reduced, out)
            }

            fn arg_extreme(max: bool, x: Strided<Self>, axis: usize, out: &mut [i64]) -> Result<(), Unsupported> {
                $arg(max, x, axis, out)
            }

            fn cumulate(sum: bool, x: Strided<Self>, axis: usize, exclusive: bool, reverse: bool, out: &mut [Self]) {
                if sum {
                    fold::cumulate::<Self, fold::Sum>(x, axis, exclusive, reverse, out);
                } else {
                    fold::cumulate::<Self, fold::Product>(x, axis, exclusive, reverse, out);
                }
            }

            fn sum_rows(
                x: &[Self],
                rows: &[i64],
                width: usize,
                out: &mut [Self],
                ends: &mut [usize],
                order: &mut [usize],
            ) -> Result<(), NoSuchRow> {
                rows::sum::<Self, fold::Sum>(x, rows, width, out, ends, order)
            }

            fn matmul_scratch(m: usize, k: usize, n: usize) -> usize {
                matmul::scratch::<Self>(m, k, n, false)
            }

            fn matmul(a: Strided<Self>, b: Strided<Self>, out: &mut [Self], scratch: &mut [Self]) {
                matmul::multiply(a, b, None, out, scratch);
            }
        })*
    };
}
numbers!(f32 as f32, f64 as f64:
    of_float, of_floats, pair, compare_ordered, test_float, |x| x != 0.0, ordered, fold::arg_extreme);
numbers!(f16 as f16, bf16 as bf16:
    of_half, of_halves, unpaired, compare_halves, test_half, |x| Half::widen(x) != 0.0, ordered, fold::arg_extreme);
numbers!(i8 as i8, i16 as i16, i32 as i32, i64 as i64, u8 as u8, u16 as u16, u32 as u32, u64 as u64:
    of_integer, of_integers, unpaired, compare_ordered, untestable, |x| x != 0, ordered, fold::arg_extreme);
numbers!(Complex<f32> as f32, Complex<f64> as f64:
    of_complex, of_complexes, unpaired, compare_unordered, untestable, |x| x.re != 0.0, unordered, |_, _, _, _| Err(Unsupported));

/// What follows a product, if anything does, with the functions on slices of a type.
macro_rules! finish {
    ($t:ty, $epilogue:expr) => {
        Finish {
            epilogue: $epilogue,
            set: instruction_set(),
            unary: |op, x, out| <$t as Elementwise>::unary(op, x, out).expect("floats take every function"),
            sum: |a, b, out| <$t as Elementwise>::binary(Binary::Add, a, b, out).expect("floats are added"),
        }
    };
}
pub(crate) use finish;

macro_rules! floats {
    ($($t:ty),*) => {
        $(impl Float for $t {
            fn softmax(x: &[Self], n: usize, out: &mut [Self], log: bool) {
                by_instruction_set!(fn rows(x: &[$t], n: usize, out: &mut [$t], log: bool) = softmax_rows::<$t>);
                softmax(x, n, out, log, rows);
            }

            fn cross_entropy(logits: &[Self], labels: &[Self], n: usize, loss: &mut [Self], gradient: &mut [Self]) {
                by_instruction_set!(fn rows(
                    logits: &[$t], labels: &[$t], n: usize, loss: &mut [$t], gradient: &mut [$t]
                ) = cross_entropy_rows::<$t>);
                cross_entropy(logits, labels, n, loss, gradient, rows);
            }

            fn sparse_cross_entropy(
                logits: &[Self],
                labels: &[i64],
                n: usize,
                loss: &mut [Self],
                gradient: &mut [Self],
            ) -> Result<(), Fault> {
                by_instruction_set!(fn rows(
                    logits: &[$t], labels: &[i64], n: usize, loss: &mut [$t], gradient: &mut [$t]
                ) = sparse_cross_entropy_rows::<$t>);
                sparse_cross_entropy(logits, labels, n, loss, gradient, rows)
            }

            fn update(
                rule: Update,
                decay: Option<f64>,
                rate_and_step: [Self; 2],
                before: &[Option<Strided<Self>>],
                gradient: Strided<Self>,
                after: &mut [&mut [Self]],
            ) {
                update::update(rule, decay, rate_and_step, before, gradient, after);
            }

            fn matmul_with_scratch(m: usize, k: usize, n: usize) -> usize {
                matmul::scratch::<Self>(m, k, n, true)
            }

            fn matmul_with(
                a: Strided<Self>,
                b: Strided<Self>,
                epilogue: Epilogue<Self>,
                out: &mut [Self],
                scratch: &mut [Self],
            ) {
                matmul::multiply(a, b, Some(&finish!($t, epilogue)), out, scratch);
            }

            fn packed(b: Strided<Self>) -> Result<Packed<Self>, TryReserveError> {
                matmul::packed(b)
            }

            fn matmul_packed(
                a: Strided<Self>,
                b: &Packed<Self>,
                epilogue: Epilogue<Self>,
                out: &mut [Self],
                scratch: &mut [Self],
            ) {
                matmul::multiply_packed(a, b, Some(&finish!($t, epilogue)), out, scratch);
            }
        })*
    };
}
floats!(f32, f64, f16, bf16);
