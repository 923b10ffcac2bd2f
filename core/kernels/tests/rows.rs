//! Kernels that are divided by rows: the same bits and the same errors on any number of threads.

use std::sync::{Mutex, PoisonError};

use half::bf16;
use modulor_kernels::{
    Fault, Float, InstructionSet, NoSuchRow, Number, Strided, cast, gather_rows, set_num_threads, with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// Calls `f` with each set on 1 and more threads; what it gives is the same on all of them.
fn same_on_any_threads(f: impl Fn() -> Vec<u8>) {
    let _threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        let mut alone: Option<Vec<u8>> = None;
        for threads in [1, 2, 3, 4, 8] {
            set_num_threads(threads);
            let found = with_instruction_set(set, &f);
            assert!(*alone.get_or_insert_with(|| found.clone()) == found, "{set:?}, {threads} threads");
        }
    }
    set_num_threads(0);
}

/// Numbers from −4 to 4 without order.
fn values<T: Float>(n: usize, seed: usize) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let wide: Vec<f64> = (0..n).map(|i| bits(i) as f64 / f64::from(1 << 21) - 4.0).collect();
    let mut own = vec![T::zeroed(); n];
    cast(Strided::new(&wide, &[n], &[1], 0).expect("contiguous"), &mut own);
    own
}

fn losses<T: Float + PartialEq>(rows: usize, n: usize) -> Vec<u8> {
    let (x, labels) = (values::<T>(rows * n, 1), values::<T>(rows * n, 9));
    let columns: Vec<i64> = (0..rows).map(|row| (row * 7 % n) as i64).collect();
    let (mut out, mut loss) = (values::<T>(rows * n, 3), values::<T>(rows, 3));
    let mut bits = Vec::new();
    for log in [false, true] {
        T::softmax(&x, n, &mut out, log);
        bits.extend_from_slice(bytemuck::cast_slice(&out));
    }
    T::cross_entropy(&x, &labels, n, &mut loss, &mut out);
    bits.extend_from_slice(bytemuck::cast_slice(&out));
    bits.extend_from_slice(bytemuck::cast_slice(&loss));
    T::sparse_cross_entropy(&x, &columns, n, &mut loss, &mut out).expect("the labels are columns");
    bits.extend_from_slice(bytemuck::cast_slice(&out));
    bits.extend_from_slice(bytemuck::cast_slice(&loss));
    // Every row is as if it were alone.
    for row in [0, 1, rows / 2, rows - 1] {
        let (mut own, mut own_loss) = (vec![T::zeroed(); n], [T::zeroed()]);
        let x = &x[row * n..][..n];
        T::sparse_cross_entropy(x, &columns[row..=row], n, &mut own_loss, &mut own).expect("the label is a column");
        assert!(own[..] == out[row * n..][..n] && own_loss[..] == loss[row..=row]);
    }
    bits
}

#[test]
fn losses_have_the_same_bits_on_any_number_of_threads() {
    same_on_any_threads(|| losses::<f32>(3001, 31));
    same_on_any_threads(|| losses::<f64>(500, 170));
    same_on_any_threads(|| losses::<bf16>(7, 9000));
}

#[test]
fn the_first_bad_label_is_the_error() {
    let (rows, n) = (4000, 20);
    let x = values::<f32>(rows * n, 1);
    let mut labels = vec![3; rows];
    (labels[3900], labels[1234], labels[2345]) = (-1, n as i64, i64::MIN);
    same_on_any_threads(|| {
        let (mut loss, mut gradient) = (vec![7.0; rows], vec![7.0; rows * n]);
        let found = f32::sparse_cross_entropy(&x, &labels, n, &mut loss, &mut gradient);
        assert_eq!(found, Err(Fault::LabelOutOfRange { element: 1234 }));
        assert!(loss.iter().chain(&gradient).all(|&x| x == 7.0), "nothing is written");
        Vec::new()
    });
}

#[test]
fn rows_are_gathered_and_summed_in_the_same_order() {
    let (count, picked) = (700, 5000);
    let rows: Vec<i64> = (0..picked).map(|i| (i * i * 31 % count) as i64).collect();
    for width in [1, 37, 64] {
        let x = values::<f32>(count * width, 1);
        let terms = values::<f32>(picked * width, 5);
        let mut left_out = rows.clone();
        left_out[17] = -1;
        same_on_any_threads(|| {
            let mut out = vec![7.0_f32; picked * width];
            gather_rows(bytemuck::cast_slice(&x), count, 4 * width, &rows, bytemuck::cast_slice_mut(&mut out))
                .expect("they are rows");
            for (&row, out) in rows.iter().zip(out.chunks_exact(width)) {
                assert!(out == &x[row as usize * width..][..width]);
            }
            let mut sums = vec![7.0_f32; count * width];
            let (mut ends, mut order) = (vec![7; count], vec![7; picked]);
            f32::sum_rows(&terms, &left_out, width, &mut sums, &mut ends, &mut order).expect("they are rows");
            let mut expected = vec![0.0_f64; count * width];
            for (i, &row) in left_out.iter().enumerate().filter(|(_, row)| **row >= 0) {
                for column in 0..width {
                    expected[row as usize * width + column] += f64::from(terms[i * width + column]);
                }
            }
            assert!(sums.iter().zip(&expected).all(|(&found, &expected)| found == expected as f32));
            bytemuck::cast_slice(&sums).to_vec()
        });
    }
}

#[test]
fn the_first_bad_row_is_the_error() {
    let (count, width, picked) = (10, 100, 4000);
    let x: Vec<u8> = (0..count * width).map(|i| i as u8).collect();
    let mut rows = vec![4; picked];
    (rows[3999], rows[1500], rows[2500]) = (10, -1, i64::MAX);
    same_on_any_threads(|| {
        let mut out = vec![0; picked * width];
        let found = gather_rows(&x, count, width, &rows, &mut out);
        assert_eq!(found, Err(NoSuchRow { at: 1500 }));
        assert!(out[..1500 * width].chunks_exact(width).all(|row| row == &x[4 * width..][..width]));
        out[..1500 * width].to_vec()
    });
}
