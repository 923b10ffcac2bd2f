//! Small calls of every kernel in buffers that end where the elements end, on two threads: what valgrind runs, which sees
//! whatever is read or written beside them. Without it a call that does not panic is all that is asked for.

use bytemuck::Zeroable;
use half::{bf16, f16};
use modulor_kernels::{
    Attention, Binary, Cell, Compare, Convolution, Depthwise, Epilogue, Expression, Filters, Float, Fold, Format,
    Gradients, Images, InstructionSet, Normalization, Number, Output, Padding, Pooling, Recurrence, Scores, Sequence,
    Source, Step, Strided, Test, Unary, Update, Window, cast, copy, gather_rows, place, set_num_threads,
    with_instruction_set,
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

/// What follows a product, and a factor that is packed once.
fn epilogues_of<T: Float>() {
    for [m, k, n] in [[1, 5, 10], [13, 33, 17], [49, 3, 33], [2, 2050, 3]] {
        let (a, b, add) = (values::<T>(m * k), values::<T>(k * n), values::<T>(m * n));
        let (left, right, shape) = ([m, k], [k, n], [m, n]);
        let (a_steps, b_steps, steps) = ([k as isize, 1], [n as isize, 1], [n as isize, 1]);
        let epilogue = Epilogue {
            bias: Some(&b[..n]),
            activation: Some(Unary::Tanh),
            add: Some(dense(&add, &shape, &steps)),
            accumulate: true,
        };
        let (mut out, mut scratch) = (add.clone(), vec![T::zeroed(); T::matmul_with_scratch(m, k, n)]);
        let (a, b) = (dense(&a, &left, &a_steps), dense(&b, &right, &b_steps));
        T::matmul_with(a, b, epilogue, &mut out, &mut scratch);
        T::matmul_packed(a, &T::packed(b).expect("there is room"), epilogue, &mut out, &mut scratch);
    }
}

fn expressions_of<T: Number>() {
    let steps = [Step::Binary(Binary::Mul, 0, 1), Step::Compare(Compare::Less, 2, 0), Step::Select(3, 2, 1)];
    let expression = Expression::<T>::new(2, 0, &steps, &[4, 3]).expect("it is well formed");
    for n in LENGTHS {
        let (x, one) = (values::<T>(n), values::<T>(1));
        let (shape, each, all) = ([n], [1], [0]);
        let (mut out, mut mask, mut scratch) = (x.clone(), vec![0; n], vec![T::zeroed(); expression.scratch()]);
        let sources =
            [Source::View(dense(&x, &shape, &each)), Source::View(Strided::new(&one, &shape, &all, 0).expect("one"))];
        let outputs = &mut [Output::Values(&mut out), Output::Mask(&mut mask)];
        T::evaluate(&expression, &sources, &[], outputs, &mut scratch).expect("it has these");
    }
}

/// Windows of two and of three axes, beyond all edges, and of one place.
fn windows() -> [Window; 4] {
    let new = |input: &[usize], size: &[usize], strides: &[usize], dilations: &[usize], padding| {
        Window::new(input, size, strides, dilations, padding).expect("it fits")
    };
    [
        new(&[5, 7], &[3, 2], &[2, 1], &[1, 2], Padding::Same),
        new(&[6, 5], &[3, 3], &[1, 1], &[1, 1], Padding::Explicit(&[[2, 0], [1, 3]])),
        new(&[4, 3, 5], &[2, 2, 2], &[1, 2, 3], &[1, 1, 1], Padding::Valid),
        new(&[9], &[1], &[1], &[1], Padding::Valid),
    ]
}

fn sliding_of<T: Pooling + Convolution + Depthwise>() {
    for window in windows() {
        for (format, channels) in [
            (Format::ChannelsLast, 2),
            (Format::ChannelsLast, 34),
            (Format::ChannelsFirst, 2),
            (Format::ChannelsFirst, 6),
        ] {
            let images = Images { format, batch: 2, channels };
            let inputs = images.elements(window.inputs()).expect("few");
            let outputs = images.elements(window.outputs()).expect("few");
            let (x, dy) = (values::<T>(inputs), values::<T>(outputs));
            let (mut y, mut dx, mut index) = (dy.clone(), x.clone(), vec![0; outputs]);
            let mut scratch = vec![0; T::max_pool_scratch(&window, images)];
            T::max_pool(&window, images, T::LEAST_FINITE, &x, &mut y);
            T::max_pool_argmax(&window, images, true, &x, &mut y, &mut index, &mut scratch);
            T::max_pool_gradient(&window, images, &x, &dy, &mut dx, &mut scratch);
            T::max_pool_gradient_at(&window, images, true, &index, &dy, &mut dx, &mut scratch).expect("its own");
            T::max_pool_gradient_near(&window, images, &x, [&y, &dy], &mut dx);
            let of = y.clone();
            T::max_pool_pick(&window, images, [&x, &x], &of, &mut y);
            T::average_pool(&window, images, &x, &mut y);
            let mut scratch = vec![T::zeroed(); T::average_pool_gradient_scratch(&window, images)];
            T::average_pool_gradient(&window, images, &dy, &mut dx, &mut scratch);

            for multiplier in [1, 3] {
                let filter = values::<T>(window.taps() * channels * multiplier);
                let (mut y, mut d) = (values::<T>(outputs * multiplier), filter.clone());
                T::depthwise(&window, images, multiplier, &x, &filter, &mut y);
                T::depthwise_input_gradient(&window, images, multiplier, &filter, &y, &mut dx);
                let mut scratch = vec![0.0; T::depthwise_filter_gradient_scratch(&window, images, multiplier)];
                T::depthwise_filter_gradient(&window, images, multiplier, &x, &y, &mut d, &mut scratch);
            }
            for (filters, groups) in [(5, 1), (4, 2)] {
                let of = Filters::new(images, window, filters, groups).expect("it fits");
                let (w, mut y) = (values::<T>(of.weights()), values::<T>(of.outputs()));
                let (mut dx, mut dw) = (x.clone(), w.clone());
                T::convolution(&of, &x, &w, &mut y, &mut vec![T::zeroed(); T::convolution_scratch(&of)]);
                T::input_gradient(&of, &y, &w, &mut dx, &mut vec![T::zeroed(); T::input_gradient_scratch(&of)]);
                T::filters_gradient(&of, &x, &y, &mut dw, &mut vec![T::zeroed(); T::filters_gradient_scratch(&of)]);
            }
        }
    }
}

fn normalizations_of<T: Normalization>() {
    for [m, n] in [[0, 3], [1, 1], [5, 15], [3, 17], [66, 33]] {
        let (x, weights, one) = (values::<T>(m * n), values::<T>(n), T::Statistic::zeroed());
        let (mut y, mut dgamma, mut dbeta) = (x.clone(), weights.clone(), weights.clone());
        let (mut mean, mut inverse) = (vec![one; m], vec![one; m]);
        let (gamma, beta) = (Some(&weights[..]), Some(&weights[..]));
        T::layer_normalization(&x, gamma, beta, n, 0.001, &mut y, &mut mean, &mut inverse);
        let mut scratch = vec![0.0; T::layer_normalization_scratch(m, n)];
        let (g, b) = (Some(&mut dgamma[..]), Some(&mut dbeta[..]));
        T::layer_normalization_gradient(&x, &x, &mean, &inverse, gamma, n, &mut y, g, b, &mut scratch);
        T::rms_normalization(&x, gamma, n, 0.001, &mut y, &mut inverse);
        T::rms_normalization_gradient(&x, &x, &inverse, gamma, n, &mut y, Some(&mut dgamma), &mut scratch);
        for sizes in [[m, n, 1], [1, n, m]] {
            let (mut mean, mut variance) = (vec![one; n], vec![one; n]);
            let mut scratch = vec![0.0; T::batch_normalization_scratch(sizes)];
            T::batch_normalization_training(
                &x,
                sizes,
                gamma,
                beta,
                0.001,
                &mut y,
                &mut mean,
                &mut variance,
                &mut scratch,
            );
            T::batch_normalization(&x, sizes, &mean, &variance, gamma, beta, 0.001, &mut y, &mut scratch);
            for training in [false, true] {
                let (g, b) = (Some(&mut dgamma[..]), Some(&mut dbeta[..]));
                T::batch_normalization_gradient(
                    training,
                    &x,
                    &x,
                    sizes,
                    &mean,
                    &variance,
                    gamma,
                    0.001,
                    &mut y,
                    g,
                    b,
                    &mut scratch,
                );
            }
        }
        let (shape, steps) = ([m, n], [n as isize, 1]);
        for reduced in [[true, false], [false, true], [true, true]] {
            let kept: usize = shape.iter().zip(reduced).filter(|(_, gone)| !gone).map(|(&dim, _)| dim).product();
            let (mut mean, mut variance) = (vec![T::zeroed(); kept], vec![T::zeroed(); kept]);
            let mut scratch = vec![0.0; T::moments_scratch(&shape, &reduced)];
            T::moments(dense(&x, &shape, &steps), &reduced, &mut mean, &mut variance, &mut scratch);
        }
    }
}

fn attention_of<T: Attention>()
where
    T::Wide: bytemuck::Pod,
{
    for [queries, keys, depth, width] in [[1, 1, 1, 1], [5, 7, 3, 4], [65, 33, 17, 16], [2, 0, 3, 3]] {
        let [q_shape, k_shape, v_shape] = [[2, 4, queries, depth], [2, 2, keys, depth], [2, 2, keys, width]];
        let steps = |[_, b, c, d]: [usize; 4]| [(b * c * d) as isize, (c * d) as isize, d as isize, 1];
        let (q_steps, k_steps, v_steps) = (steps(q_shape), steps(k_shape), steps(v_shape));
        let count = |shape: [usize; 4]| shape.iter().product::<usize>();
        let [q, k, v] = [q_shape, k_shape, v_shape].map(|shape| values::<T>(count(shape)));
        let out_shape = [2, 4, queries, width];
        let out_steps = [(queries * 4 * width) as isize, width as isize, (4 * width) as isize, 1];
        let (mut out, mut scales) = (vec![T::zeroed(); count(out_shape)], vec![T::Wide::zeroed(); 2 * 8 * queries]);
        let [q, k, v] = [(&q, &q_shape, &q_steps), (&k, &k_shape, &k_steps), (&v, &v_shape, &v_steps)]
            .map(|(x, shape, steps)| dense(x, shape, steps));
        for causal in [false, true] {
            let how = Scores { scale: 0.5, causal, mask: None, bias: None };
            let mut scratch = vec![T::zeroed(); T::attention_scratch(q_shape, v_shape)];
            T::attention(q, k, v, &how, &mut out, &mut scales, &mut scratch);
            let mut gradients = [q_shape, k_shape, v_shape].map(|shape| vec![T::zeroed(); count(shape)]);
            let mut scratch = vec![T::zeroed(); T::attention_gradient_scratch(q_shape, v_shape)];
            let y = dense(&out, &out_shape, &out_steps);
            let [dq, dk, dv] = &mut gradients;
            T::attention_gradient(y, q, k, v, &how, y, &scales, [dq, dk, dv], &mut scratch);
        }
    }
}

fn recurrences_of<T: Recurrence>() {
    for cell in [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }] {
        for [batch, time, features, units] in [[1, 1, 1, 1], [5, 3, 2, 7], [2, 5, 9, 17], [0, 2, 3, 4]] {
            let columns = cell.gates() * units;
            let (x, kernel) = (values::<T>(batch * time * features), values::<T>(features * columns));
            let (recurrent, bias) = (values::<T>(units * columns), values::<T>(cell.biases() * columns));
            let mask: Vec<u8> = (0..batch * time).map(|i| u8::from(i % 3 != 1)).collect();
            let (x_shape, k_shape, r_shape) = ([batch, time, features], [features, columns], [units, columns]);
            let (x_steps, steps) = ([(time * features) as isize, features as isize, 1], [columns as isize, 1]);
            let sequence = Sequence {
                cell,
                x: dense(&x, &x_shape, &x_steps),
                kernel: dense(&kernel, &k_shape, &steps),
                recurrent_kernel: dense(&recurrent, &r_shape, &steps),
                bias: Some(&bias),
                initial: [None; 2],
                mask: Some(&mask),
                zero_masked: false,
                backwards: true,
                all_outputs: true,
            };
            let sizes = sequence.sizes();
            let zero = T::Wide::zeroed();
            let (mut outputs, mut h) = (values::<T>(batch * time * units), values::<T>(batch * units));
            let mut c = values::<T>(if cell.states() == 2 { batch * units } else { 0 });
            let (mut saved, mut scratch) =
                (vec![zero; T::recur_saved(sizes)], vec![zero; T::recur_scratch(sizes, true)]);
            T::recur(&sequence, &mut outputs, [&mut h, &mut c], Some(&mut saved), &mut scratch);
            let [mut dx, mut dkernel, mut drecurrent, mut dbias] =
                [x.clone(), kernel.clone(), recurrent.clone(), bias.clone()];
            let gradients = Gradients {
                x: Some(&mut dx),
                kernel: Some(&mut dkernel),
                recurrent_kernel: Some(&mut drecurrent),
                bias: Some(&mut dbias),
                initial: [None, None],
            };
            let mut scratch = vec![zero; T::recur_gradient_scratch(sizes)];
            T::recur_gradient(&sequence, &saved, Some(&outputs), [Some(&h), None], gradients, &mut scratch);
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

#[test]
fn what_follows_products_stays_in_bounds() {
    by_all(|| {
        epilogues_of::<f32>();
        epilogues_of::<bf16>();
        expressions_of::<f32>();
        expressions_of::<f16>();
        expressions_of::<i32>();
    });
}

#[test]
fn windows_stay_in_bounds() {
    by_all(|| {
        sliding_of::<f32>();
        sliding_of::<f64>();
        sliding_of::<f16>();
    });
}

#[test]
fn normalizations_stay_in_bounds() {
    by_all(|| {
        normalizations_of::<f32>();
        normalizations_of::<f64>();
        normalizations_of::<f16>();
    });
}

#[test]
fn attention_stays_in_bounds() {
    by_all(|| {
        attention_of::<f32>();
        attention_of::<f64>();
        attention_of::<bf16>();
    });
}

#[test]
fn recurrences_stay_in_bounds() {
    by_all(|| {
        recurrences_of::<f32>();
        recurrences_of::<f64>();
        recurrences_of::<f16>();
    });
}
