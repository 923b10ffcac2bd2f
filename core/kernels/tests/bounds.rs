//! Small calls of every kernel in buffers that end where the elements end, on two threads: what valgrind runs, which sees
//! whatever is read or written beside them. Without it a call that does not panic is all that is asked for.

use half::{bf16, f16};
use modulor_kernels::{
    Binary, Compare, Float, Fold, InstructionSet, Number, Strided, Test, Unary, Update, cast, copy, gather_rows, place,
    set_num_threads, with_instruction_set,
};

/// Lengths around those of lanes, blocks and tiles.
const LENGTHS: [usize; 8] = [0, 1, 7, 16, 17, 33, 64, 131];

/// So many elements, none of them 0.
fn values<T: Number>(n: usize) -> Vec<T> {
    let wide: Vec<f64> = (0..n).map(|i| (i * 7919 % 1009) as f64 / 504.0 + 0.25).collect();
    let mut own = vec![T::zeroed(); n];
    cast(dense(&wide, &[n], &[1]), &mut own);
    own
}

fn dense<'a, T: bytemuck::Pod>(x: &'a [T], shape: &'a [usize], strides: &'a [isize]) -> Strided<'a, T> {
    Strided::new(x, shape, strides, 0).expect("in bounds")
}

/// Runs by every instruction set of this machine.
fn by_all(f: impl Fn()) {
    set_num_threads(2);
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &f);
    }
}

fn elementwise_of<T: Number>() {
    for n in LENGTHS {
        let (a, b) = (values::<T>(n), values::<T>(n));
        let (mut out, mut mask) = (a.clone(), vec![0; n]);
        let (shape, one, back) = ([n], [1], [-1]);
        let reversed = Strided::new(&b, &shape, &back, n.saturating_sub(1)).expect("in bounds");
        for op in [Unary::Neg, Unary::Square, Unary::Exp, Unary::Tanh, Unary::Sin, Unary::Erf, Unary::Gelu] {
            let _ = T::unary(op, dense(&a, &shape, &one), &mut out);
            let _ = T::unary_over(op, &mut out);
        }
        for op in [Binary::Add, Binary::Pow, Binary::FloorMod, Binary::GeluGrad] {
            let _ = T::binary(op, dense(&a, &shape, &one), reversed, &mut out);
            let _ = T::binary_over(op, &mut out, true, reversed);
        }
        let _ = T::compare(Compare::Less, dense(&a, &shape, &one), reversed, &mut mask);
        let _ = T::test(Test::IsNan, reversed, &mut mask);
        T::nonzero(reversed, &mut mask);
        copy(reversed, &mut out);
        place(reversed, &mut out, &one, 0).expect("in bounds");
        T::cumulate(true, reversed, 0, false, true, &mut out);
        let mut narrow = vec![bf16::ZERO; n];
        cast(reversed, &mut narrow);
    }
}

fn reductions_of<T: Number>() {
    for [m, n] in [[0, 3], [3, 0], [1, 1], [5, 17], [17, 5], [3, 131], [131, 3]] {
        let x = values::<T>(m * n);
        let (shape, rows, turned) = ([m, n], [n as isize, 1], [n, m]);
        let columns = [1, n as isize];
        for op in [Fold::Sum, Fold::Mean, Fold::Max, Fold::Prod] {
            let _ = T::fold(op, dense(&x, &shape, &rows), &[true, false], &mut vec![T::zeroed(); n]);
            let _ = T::fold(op, dense(&x, &shape, &rows), &[false, true], &mut vec![T::zeroed(); m]);
            let _ = T::fold(op, dense(&x, &turned, &columns), &[false, true], &mut vec![T::zeroed(); n]);
            let _ = T::fold(op, dense(&x, &turned, &columns), &[true, true], &mut [T::zeroed()]);
        }
        let _ = T::arg_extreme(true, dense(&x, &shape, &rows), 1, &mut vec![0; m]);
        let rows: Vec<i64> = (0..m as i64).map(|i| i * 7 % 3).collect();
        let (mut sums, mut ends, mut order) = (vec![T::zeroed(); 3 * n], vec![0; 3], vec![0; m]);
        T::sum_rows(&x, &rows, n, &mut sums, &mut ends, &mut order).expect("rows are there");
        let bytes: &[u8] = bytemuck::cast_slice(&sums);
        let width = n * size_of::<T>();
        gather_rows(bytes, 3, width, &rows, &mut vec![0; m * width]).expect("rows are there");
    }
}

fn products_of<T: Number>() {
    for [m, k, n] in
        [[1, 1, 1], [1, 40, 33], [13, 33, 1], [3, 0, 2], [12, 65, 32], [13, 31, 47], [30, 5, 70], [2, 2050, 3]]
    {
        let (a, b) = (values::<T>(m * k), values::<T>(k * n));
        let (left, right) = ([m, k], [k, n]);
        for turned in [[false, false], [true, false], [false, true], [true, true]] {
            let a_steps = if turned[0] { [1, m as isize] } else { [k as isize, 1] };
            let b_steps = if turned[1] { [1, k as isize] } else { [n as isize, 1] };
            let (mut out, mut scratch) = (vec![T::zeroed(); m * n], vec![T::zeroed(); T::matmul_scratch(m, k, n)]);
            T::matmul(dense(&a, &left, &a_steps), dense(&b, &right, &b_steps), &mut out, &mut scratch);
        }
    }
}

fn rows_of<T: Float>() {
    for [m, n] in [[0, 3], [1, 1], [3, 15], [2, 16], [5, 33], [2, 131]] {
        let (x, mut out) = (values::<T>(m * n), vec![T::zeroed(); m * n]);
        for log in [false, true] {
            T::softmax(&x, n, &mut out, log);
        }
        let mut losses = vec![T::zeroed(); m];
        T::cross_entropy(&x, &x, n, &mut losses, &mut out);
        T::sparse_cross_entropy(&x, &vec![0; m], n, &mut losses, &mut out).expect("a column");
        let (shape, steps) = ([m, n], [n as isize, 1]);
        let (x, mut slots) = (dense(&x, &shape, &steps), [out.clone(), out.clone()]);
        let rule = Update::Adam { beta_1: 0.9, beta_2: 0.99, powers: [0.9, 0.99], epsilon: 0.5, amsgrad: false };
        let [m_slot, v_slot] = &mut slots;
        let one = values::<T>(1)[0];
        T::update(rule, None, [one, one], &[Some(x), Some(x), Some(x)], x, &mut [&mut out, m_slot, v_slot]);
    }
}

#[test]
fn elementwise_kernels_stay_in_bounds() {
    by_all(|| {
        elementwise_of::<f32>();
        elementwise_of::<f64>();
        elementwise_of::<f16>();
        elementwise_of::<i8>();
        elementwise_of::<u64>();
    });
}

#[test]
fn reductions_stay_in_bounds() {
    by_all(|| {
        reductions_of::<f32>();
        reductions_of::<f64>();
        reductions_of::<bf16>();
        reductions_of::<i32>();
    });
}

#[test]
fn products_stay_in_bounds() {
    by_all(|| {
        products_of::<f32>();
        products_of::<f64>();
        products_of::<f16>();
        products_of::<i16>();
    });
}

#[test]
fn kernels_of_rows_stay_in_bounds() {
    by_all(|| {
        rows_of::<f32>();
        rows_of::<f64>();
        rows_of::<bf16>();
    });
}
