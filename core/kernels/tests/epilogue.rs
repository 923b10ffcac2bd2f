//! What follows a product in the same pass, to the bits of one kernel after the other.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Binary, Epilogue, Float, InstructionSet, Number, Strided, Unary, cast, set_num_threads, with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// Numbers from −1 to 1 without order.
fn values<T: Number>(n: usize, seed: usize) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37;
    let wide: Vec<f64> = (0..n).map(|i| (bits(i) as f64 - f64::from(1 << 26)) / f64::from(1 << 26)).collect();
    let mut own = vec![T::zeroed(); n];
    cast(Strided::new(&wide, &[n], &[1], 0).expect("contiguous"), &mut own);
    own
}

/// Which steps follow.
type Steps = (bool, Option<Unary>, bool, bool);

/// `count` products of matrices and what follows: in one pass, and one kernel after the other.
fn both<T: Float>([count, m, k, n]: [usize; 4], (bias, activation, add, accumulate): Steps) -> [Vec<T>; 2] {
    let (a, b) = (values::<T>(count * m * k, 1), values::<T>(count * k * n, 5));
    let (vector, before) = (values::<T>(n, 11), values::<T>(count * m * n, 13));
    // What is added lies turned, with a gap after each element.
    let other = values::<T>(2 * count * m * n + 1, 17);
    let [x, y, z] = [[count, m, k], [count, k, n], [count, m, n]];
    let steps = |[_, rows, columns]: [usize; 3]| [rows * columns, columns, 1].map(|step| step as isize);
    let (x_steps, y_steps, z_steps) = (steps(x), steps(y), [2 * m * n, 2, 2 * m].map(|step| step as isize));
    let left = Strided::new(&a, &x, &x_steps, 0).expect("in bounds");
    let right = Strided::new(&b, &y, &y_steps, 0).expect("in bounds");
    let other = Strided::new(&other, &z, &z_steps, 1).expect("in bounds");

    let garbage = values::<T>(1, 3)[0];
    let mut found = if accumulate { before.clone() } else { vec![garbage; count * m * n] };
    let epilogue = Epilogue { bias: bias.then_some(&vector[..]), activation, add: add.then_some(other), accumulate };
    T::matmul_with(left, right, epilogue, &mut found, &mut vec![garbage; T::matmul_with_scratch(m, k, n)]);

    let mut expected = vec![garbage; count * m * n];
    T::matmul(left, right, &mut expected, &mut vec![garbage; T::matmul_scratch(m, k, n)]);
    if bias {
        let vector = Strided::new(&vector, &z, &[0, 0, 1], 0).expect("in bounds");
        T::binary_over(Binary::Add, &mut expected, true, vector).expect("floats are added");
    }
    if let Some(op) = activation {
        T::unary_over(op, &mut expected).expect("floats take it");
    }
    if add {
        T::binary_over(Binary::Add, &mut expected, true, other).expect("floats are added");
    }
    if accumulate {
        let z_steps = steps(z);
        let before = Strided::new(&before, &z, &z_steps, 0).expect("in bounds");
        T::binary_over(Binary::Add, &mut expected, false, before).expect("floats are added");
    }
    [found, expected]
}

fn check<T: Float>(sizes: [usize; 4], steps: Steps) {
    let [found, expected] = both::<T>(sizes, steps);
    let same = bytemuck::cast_slice::<T, u8>(&found) == bytemuck::cast_slice::<T, u8>(&expected);
    assert!(same, "{sizes:?}, {steps:?}");
}

const ACTIVATIONS: [Unary; 10] = [
    Unary::Relu,
    Unary::Relu6,
    Unary::LeakyRelu(0.2),
    Unary::Sigmoid,
    Unary::Tanh,
    Unary::Gelu,
    Unary::GeluTanh,
    Unary::Elu,
    Unary::Selu,
    Unary::Softplus,
];

/// On both sides of every edge of tiles, strips, pieces of 512 and blocks; along k none, one and several chunks, split and not.
const SIZES: [[usize; 4]; 19] = [
    [1, 0, 3, 2],
    [1, 3, 0, 5],
    [2, 3, 0, 1],
    [1, 1, 1, 1],
    [3, 5, 7, 1],
    [1, 47, 19, 33],
    [1, 48, 19, 10],
    [1, 49, 33, 10],
    [1, 97, 5, 31],
    [2, 13, 9, 383],
    [1, 13, 9, 385],
    [1, 2, 40, 515],
    [1, 700, 20, 1],
    [2, 3, 2065, 7],
    [1, 1, 2100, 600],
    [1, 600, 2100, 1],
    [1, 163, 2065, 202],
    [4, 130, 70, 66],
    [1, 161, 3, 1025],
];

#[test]
fn bits_are_those_of_one_kernel_after_the_other() {
    let _alone = THREADS.lock();
    let all = [
        (true, None, false, false),
        (false, Some(Unary::Relu), false, false),
        (false, None, true, false),
        (false, None, false, true),
        (true, Some(Unary::Tanh), true, true),
        (false, None, false, false),
    ];
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, || {
            for sizes in SIZES {
                let all = if sizes[3] == 202 { &all[4..5] } else { &all };
                for steps in all {
                    check::<f32>(sizes, *steps);
                }
                if sizes.iter().product::<usize>() < 1 << 21 {
                    check::<f64>(sizes, all[4]);
                    check::<f16>(sizes, all[3]);
                    check::<f16>(sizes, all[4]);
                    check::<bf16>(sizes, all[4]);
                }
            }
        });
    }
    for activation in ACTIVATIONS {
        let steps = (true, Some(activation), true, false);
        for sizes in [[1, 29, 16, 270], [3, 9, 40, 10]] {
            check::<f32>(sizes, steps);
            check::<f64>(sizes, steps);
            check::<f16>(sizes, steps);
            check::<bf16>(sizes, steps);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let _alone = THREADS.lock();
    for threads in [1, 2, 3, 4, 8, 0] {
        set_num_threads(threads);
        for sizes in [[1, 130, 100, 530], [1, 600, 100, 10], [1, 20, 4100, 30], [1, 515, 784, 1], [1, 250, 2100, 140]] {
            for accumulate in [false, true] {
                check::<f32>(sizes, (true, Some(Unary::Gelu), true, accumulate));
                check::<bf16>(sizes, (true, Some(Unary::Relu), true, accumulate));
            }
        }
    }
}

#[test]
#[should_panic(expected = "a bias has an element for each column")]
fn a_bias_has_an_element_for_each_column() {
    let matrix = Strided::new(&[1.0_f32; 4], &[2, 2], &[2, 1], 0).expect("in bounds");
    let epilogue = Epilogue { bias: Some(&[1.0][..]), ..Epilogue::default() };
    f32::matmul_with(matrix, matrix, epilogue, &mut [0.0; 4], &mut vec![0.0; f32::matmul_with_scratch(2, 2, 2)]);
}

#[test]
#[should_panic(expected = "what is added has the shape of the product")]
fn what_is_added_has_the_shape_of_the_product() {
    let matrix = Strided::new(&[1.0_f32; 4], &[2, 2], &[2, 1], 0).expect("in bounds");
    let vector = Strided::new(&[1.0_f32; 4], &[4], &[1], 0).expect("in bounds");
    let epilogue = Epilogue { add: Some(vector), ..Epilogue::default() };
    f32::matmul_with(matrix, matrix, epilogue, &mut [0.0; 4], &mut vec![0.0; f32::matmul_with_scratch(2, 2, 2)]);
}

#[test]
fn a_packed_factor_gives_the_same_bits() {
    fn check<T: Float>([m, k, n]: [usize; 3], turned: bool, accumulate: bool) {
        let (a, b, vector) = (values::<T>(m * k, 1), values::<T>(k * n, 5), values::<T>(n, 11));
        let (a_shape, b_shape, a_strides) = ([m, k], [k, n], [k as isize, 1]);
        let b_strides = if turned { [1, k as isize] } else { [n as isize, 1] };
        let left = Strided::new(&a, &a_shape, &a_strides, 0).expect("in bounds");
        let right = Strided::new(&b, &b_shape, &b_strides, 0).expect("in bounds");
        let garbage = values::<T>(1, 3)[0];
        let epilogue = Epilogue { bias: Some(&vector[..]), activation: Some(Unary::Tanh), add: None, accumulate };
        let [mut expected, mut found] = [values::<T>(m * n, 13), values::<T>(m * n, 13)];
        let mut scratch = vec![garbage; T::matmul_with_scratch(m, k, n)];
        T::matmul_with(left, right, epilogue, &mut expected, &mut scratch);
        scratch.fill(garbage);
        let packed = T::packed(right).expect("there is memory");
        assert_eq!(packed.sizes(), [k, n]);
        T::matmul_packed(left, &packed, epilogue, &mut found, &mut scratch);
        let same = bytemuck::cast_slice::<T, u8>(&found) == bytemuck::cast_slice::<T, u8>(&expected);
        assert!(same, "{m}×{k}×{n}, {turned}, {accumulate}");
    }
    let _alone = THREADS.lock();
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, || {
            for sizes in [
                [0, 3, 4],
                [3, 0, 4],
                [4, 3, 0],
                [5, 7, 1],
                [1, 33, 129],
                [2, 40, 47],
                [3, 385, 48],
                [49, 70, 49],
                [1, 2100, 600],
                [40, 5, 385],
            ] {
                for turned in [false, true] {
                    check::<f32>(sizes, turned, turned);
                    check::<f64>(sizes, turned, !turned);
                    check::<f16>(sizes, turned, false);
                    check::<bf16>(sizes, turned, true);
                }
            }
        });
    }
    for threads in [1, 2, 3, 4, 8, 0] {
        set_num_threads(threads);
        for sizes in [[130, 100, 530], [20, 4100, 30], [1, 784, 515], [515, 784, 1], [250, 2100, 140]] {
            check::<f32>(sizes, false, true);
        }
    }
}
