//! LSTM and GRU: against plain loops of Keras's equations in float64, and the same bits by every way to compute them.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Cell, Gradients, InstructionSet, Number, Recurrence, Sequence, Sizes, Strided, cast, set_num_threads,
    with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const CELLS: [Cell; 3] = [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }];

/// Numbers from −`scale` to `scale` without order, that `T` has.
fn values<T: Number>(n: usize, seed: usize, scale: f64) -> Vec<T> {
    let bits = |i: usize| ((i + 977 * seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37;
    let wide: Vec<f64> = (0..n).map(|i| scale * (bits(i) as f64 / f64::from(1 << 26) - 1.0)).collect();
    converted(&wide)
}

fn converted<A: Number, B: Number>(from: &[A]) -> Vec<B> {
    let mut to = vec![B::zeroed(); from.len()];
    cast(Strided::new(from, &[from.len()], &[1], 0).expect("contiguous"), &mut to);
    to
}

/// Something that shows wherever it is read.
fn garbage<T: Number>(n: usize) -> Vec<T> {
    converted(&vec![f64::NAN; n])
}

/// What a sequence is asked for.
#[derive(Clone, Copy, Debug)]
struct Case {
    sizes: Sizes,
    bias: bool,
    initial: bool,
    mask: bool,
    zero_masked: bool,
    backwards: bool,
    all_outputs: bool,
    /// Rows one after the other, steps one after the other, or with gaps.
    layout: usize,
}

impl Case {
    /// One of 96 ways.
    fn new(cell: Cell, [batch, time, features, units]: [usize; 4], way: usize) -> Self {
        let has = |bit: usize| way >> bit & 1 == 1;
        Self {
            sizes: Sizes { cell, batch, time, features, units },
            bias: has(0),
            initial: has(1),
            mask: has(2),
            zero_masked: has(3),
            backwards: has(4),
            all_outputs: has(5),
            layout: way % 3,
        }
    }

    fn width(&self) -> usize {
        self.sizes.cell.gates() * self.sizes.units
    }

    fn outputs(&self) -> usize {
        self.sizes.batch * self.sizes.units * if self.all_outputs { self.sizes.time } else { 1 }
    }

    fn is_masked(&self, row: usize, at: usize) -> bool {
        // The first step of some rows, the last of others, some between, and one row as a whole.
        self.mask && ((7 * row + 5 * at + at * at).is_multiple_of(3) || row % 5 == 3 || at % 4 == 2)
    }
}

/// x, kernel, recurrent kernel, bias, h, c, in the order of the fields of [`Gradients`].
type Arguments<T> = [Vec<T>; 6];

fn arguments<T: Number>(case: &Case) -> Arguments<T> {
    let Sizes { cell, batch, time, features, units } = case.sizes;
    let (width, near) = (case.width(), |n: usize| 1.5 / (n as f64).sqrt());
    let state = if case.initial { batch * units } else { 0 };
    [
        values(batch * time * features, 1, 1.0),
        values(features * width, 2, near(features)),
        values(units * width, 3, near(units)),
        values(if case.bias { cell.biases() * width } else { 0 }, 4, 0.5),
        values(state, 5, 1.0),
        values(if cell == Cell::Lstm { state } else { 0 }, 6, 1.0),
    ]
}

/// Outputs, h and c.
type Results<T> = [Vec<T>; 3];

/// Keras's equations, one number after the other.
fn reference(case: &Case, [x, kernel, recurrent, bias, h, c]: &Arguments<f64>) -> Results<f64> {
    let Sizes { cell, batch, time, features, units } = case.sizes;
    let width = case.width();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let start = |state: &Vec<f64>| if state.is_empty() { vec![0.0; batch * units] } else { state.clone() };
    let (mut h, mut c) = (start(h), start(c));
    let mut outputs = vec![0.0; case.outputs()];
    let b = |which: usize, j: usize| bias.get(which * width + j).copied().unwrap_or(0.0);
    let times = |state: &[f64], j: usize| (0..units).map(|p| state[p] * recurrent[p * width + j]).sum::<f64>();
    for row in 0..batch {
        let (h, c) = (&mut h[row * units..][..units], &mut c[row * units..][..units]);
        let mut output = vec![0.0; units];
        for step in 0..time {
            let at = if case.backwards { time - 1 - step } else { step };
            if !case.is_masked(row, at) {
                let input = &x[(row * time + at) * features..][..features];
                let outer: Vec<f64> = (0..width)
                    .map(|j| b(0, j) + (0..features).map(|p| input[p] * kernel[p * width + j]).sum::<f64>())
                    .collect();
                let before = h.to_vec();
                let gate = |k: usize, u: usize| outer[k * units + u] + times(&before, k * units + u);
                match cell {
                    Cell::Lstm => {
                        for u in 0..units {
                            c[u] = sigmoid(gate(1, u)) * c[u] + sigmoid(gate(0, u)) * gate(2, u).tanh();
                            h[u] = sigmoid(gate(3, u)) * c[u].tanh();
                        }
                    }
                    Cell::Gru { reset_after } => {
                        let inner = |k: usize, u: usize| if reset_after { b(1, k * units + u) } else { 0.0 };
                        let z: Vec<f64> = (0..units).map(|u| sigmoid(gate(0, u) + inner(0, u))).collect();
                        let r: Vec<f64> = (0..units).map(|u| sigmoid(gate(1, u) + inner(1, u))).collect();
                        let reset: Vec<f64> = (0..units).map(|u| r[u] * before[u]).collect();
                        for u in 0..units {
                            let j = 2 * units + u;
                            let term = match reset_after {
                                true => r[u] * (times(&before, j) + inner(2, u)),
                                false => times(&reset, j),
                            };
                            h[u] = z[u] * before[u] + (1.0 - z[u]) * (outer[j] + term).tanh();
                        }
                    }
                }
                output.copy_from_slice(h);
            } else if case.zero_masked {
                output.fill(0.0);
            }
            if case.all_outputs {
                outputs[(row * time + step) * units..][..units].copy_from_slice(&output);
            } else {
                outputs[row * units..][..units].copy_from_slice(&output);
            }
        }
    }
    [outputs, h, if cell == Cell::Lstm { c } else { Vec::new() }]
}

/// Runs `then` with the sequence of a case.
fn with_sequence<T: Recurrence, O>(case: &Case, arguments: &Arguments<T>, then: impl FnOnce(&Sequence<T>) -> O) -> O {
    let Sizes { cell, batch, time, features, units } = case.sizes;
    let [x, kernel, recurrent, bias, h, c] = arguments;
    let width = case.width();
    let (strides, gap) = match case.layout {
        0 => ([time * features, features, 1], 1),
        1 => ([features, batch * features, 1], 1),
        _ => ([2 * time * features, 2 * features, 2], 2),
    };
    let mut laid = garbage::<T>(gap * x.len());
    for (i, &x) in x.iter().enumerate() {
        let (row, at, feature) = (i / (time * features), i / features % time, i % features);
        laid[row * strides[0] + at * strides[1] + feature * strides[2]] = x;
    }
    // The kernel lies turned where the layout is odd.
    let mut turned = vec![T::zeroed(); units * width];
    for (i, &w) in recurrent.iter().enumerate() {
        turned[i % width * units + i / width] = w;
    }
    let (recurrent, recurrent_strides) = match case.layout {
        1 => (&turned, [1, units as isize]),
        _ => (recurrent, [width as isize, 1]),
    };
    let mask: Vec<u8> = (0..batch * time).map(|i| (!case.is_masked(i / time, i % time)).into()).collect();
    let given = |slice: &'_ Vec<T>, is: bool| if is { Some(slice.clone()) } else { None };
    let (bias, h) = (given(bias, case.bias), given(h, case.initial));
    let c = given(c, case.initial && cell == Cell::Lstm);
    then(&Sequence {
        cell,
        x: Strided::new(&laid, &[batch, time, features], &strides.map(|step| step as isize), 0).expect("in bounds"),
        kernel: Strided::new(kernel, &[features, width], &[width as isize, 1], 0).expect("in bounds"),
        recurrent_kernel: Strided::new(recurrent, &[units, width], &recurrent_strides, 0).expect("in bounds"),
        bias: bias.as_deref(),
        initial: [h.as_deref(), c.as_deref()],
        mask: case.mask.then_some(&mask),
        zero_masked: case.zero_masked,
        backwards: case.backwards,
        all_outputs: case.all_outputs,
    })
}

/// What the kernel gives, and what it saves where it is to.
fn recur<T: Recurrence>(case: &Case, arguments: &Arguments<T>, saves: bool) -> (Results<T>, Vec<T::Wide>) {
    let state = case.sizes.batch * case.sizes.units;
    let mut outputs = garbage::<T>(case.outputs());
    let (mut h, mut c) = (garbage::<T>(state), garbage::<T>((case.sizes.cell.states() - 1) * state));
    let mut saved = garbage::<T::Wide>(if saves { T::recur_saved(case.sizes) } else { 0 });
    let mut scratch = garbage::<T::Wide>(T::recur_scratch(case.sizes, saves));
    with_sequence(case, arguments, |sequence| {
        assert_eq!(sequence.sizes(), case.sizes);
        T::recur(sequence, &mut outputs, [&mut h, &mut c], saves.then_some(&mut saved[..]), &mut scratch);
    });
    ([outputs, h, c], saved)
}

/// What is due to the results: to outputs, h and c, or to some of them.
fn dues<T: Number>(case: &Case, which: usize) -> Results<T> {
    let Sizes { cell, batch, units, .. } = case.sizes;
    let state = batch * units;
    let lens = [case.outputs(), state, if cell == Cell::Lstm { state } else { 0 }];
    std::array::from_fn(|i| if which == i { Vec::new() } else { values(lens[i], 7 + i, 1.0) })
}

fn gradients<T: Recurrence>(case: &Case, arguments: &Arguments<T>, dues: &Results<T>) -> Arguments<T> {
    let Sizes { cell, batch, time, features, units } = case.sizes;
    let (_, saved) = recur(case, arguments, true);
    let (width, state) = (case.width(), batch * units);
    let lens = [
        batch * time * features,
        features * width,
        units * width,
        cell.biases() * width,
        state,
        if cell == Cell::Lstm { state } else { 0 },
    ];
    let mut found = lens.map(garbage::<T>);
    let mut scratch = garbage::<T::Wide>(T::recur_gradient_scratch(case.sizes));
    let [x, kernel, recurrent, bias, h, c] = found.each_mut().map(|found| Some(&mut found[..]));
    let c = c.filter(|_| cell == Cell::Lstm);
    let own = Gradients { x, kernel, recurrent_kernel: recurrent, bias, initial: [h, c] };
    let given = |due: &'_ Vec<T>| (!due.is_empty()).then(|| due.clone());
    let due = dues.each_ref().map(given);
    with_sequence(case, arguments, |sequence| {
        let states = [due[1].as_deref(), due[2].as_deref()];
        T::recur_gradient(sequence, &saved, due[0].as_deref(), states, own, &mut scratch);
    });
    found
}

fn on_every_set(test: impl Fn()) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &test);
    }
}

/// On both sides of the edges of lanes, strips and groups, and where there is little or nothing.
const SIZES: [[usize; 4]; 12] = [
    [0, 3, 2, 3],
    [3, 0, 2, 3],
    [2, 3, 0, 5],
    [3, 2, 2, 0],
    [1, 1, 1, 1],
    [1, 7, 3, 8],
    [2, 5, 4, 15],
    [3, 4, 3, 16],
    [5, 4, 2, 17],
    [7, 6, 5, 33],
    [4, 5, 3, 100],
    [53, 4, 3, 7],
];

/// Calls `test` with every cell, size and way, of which only each `every`th.
fn for_cases(every: usize, test: impl Fn(&Case)) {
    let mut count = 0;
    for cell in CELLS {
        for sizes in SIZES {
            for way in 0..64 {
                count += 1;
                if count % every == 0 {
                    test(&Case::new(cell, sizes, way));
                }
            }
        }
    }
}

/// Fails where something is further from what it should be than `bound` of that.
fn near(what: &str, case: &Case, found: &[f64], expected: &[f64], bound: impl Fn(f64) -> f64) {
    assert_eq!(found.len(), expected.len(), "{what} of {case:?}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= bound(expected), "{what} {i} of {case:?}: {found}, not {expected}, off by {error:e}");
    }
}

fn check_results<T: Recurrence>(every: usize, eps: f64, own_eps: f64) {
    for_cases(every, |case| {
        let arguments = arguments::<T>(case);
        let expected = reference(case, &arguments.each_ref().map(|x| converted(x)));
        let (found, _) = recur(case, &arguments, false);
        let (saving, _) = recur(case, &arguments, true);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = ["output", "h", "c"][i];
            near(what, case, &converted(found), expected, |x| 24.0 * eps * x.abs().max(1.0) + own_eps * x.abs());
            assert!(bytemuck::cast_slice::<T, u8>(found) == bytemuck::cast_slice(&saving[i]), "{case:?} saves");
        }
    });
}

#[test]
fn results_are_those_of_a_plain_loop() {
    on_every_set(|| check_results::<f64>(13, f64::EPSILON, 0.0));
    on_every_set(|| check_results::<f32>(5, f32::EPSILON.into(), 0.0));
    check_results::<f16>(13, f32::EPSILON.into(), f64::from(f16::EPSILON) / 2.0);
    check_results::<bf16>(13, f32::EPSILON.into(), f64::from(bf16::EPSILON) / 2.0);
}

#[test]
fn gradients_are_slopes_of_the_plain_loop() {
    const STEP: f64 = 1e-5;
    for_cases(23, |case| {
        let mut arguments = arguments::<f64>(case);
        let dues = dues::<f64>(case, case.sizes.units % 4);
        let found = gradients(case, &arguments, &dues);
        let loss = |arguments: &Arguments<f64>| {
            let results = reference(case, arguments);
            let terms =
                results.iter().zip(&dues).map(|(result, due)| result.iter().zip(due).map(|(a, b)| a * b).sum::<f64>());
            terms.sum::<f64>()
        };
        for which in 0..6 {
            // Where there is no bias or state its gradient is there all the same: as of zeros.
            if arguments[which].is_empty() {
                arguments[which] = vec![0.0; found[which].len()];
            }
            assert!(found[which].iter().all(|x| x.is_finite()), "{which} of {case:?}");
            for i in (0..arguments[which].len()).step_by(1 + arguments[which].len() / 3) {
                let x = arguments[which][i];
                let mut at = |x: f64| {
                    arguments[which][i] = x;
                    loss(&arguments)
                };
                let slope = (at(x + STEP) - at(x - STEP)) / (2.0 * STEP);
                at(x);
                let (found, bound) = (found[which][i], 1e-8 * slope.abs().max(1.0));
                assert!((found - slope).abs() <= bound, "{which}, {i} of {case:?}: {found}, not {slope}");
            }
        }
    });
}

fn check_gradients<T: Recurrence>(every: usize, eps: f64, own_eps: f64) {
    for_cases(every, |case| {
        let (arguments, dues) = (arguments::<T>(case), dues::<T>(case, case.sizes.units % 4));
        let (exact, exact_dues) = (arguments.each_ref().map(|x| converted(x)), dues.each_ref().map(|x| converted(x)));
        let expected = gradients::<f64>(case, &exact, &exact_dues);
        for (i, (found, expected)) in gradients(case, &arguments, &dues).iter().zip(&expected).enumerate() {
            let most = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
            near(&format!("gradient {i}"), case, &converted(found), expected, |x| {
                24.0 * eps * most + own_eps * x.abs()
            });
        }
    });
}

#[test]
fn gradients_are_those_of_float64() {
    on_every_set(|| check_gradients::<f32>(11, f32::EPSILON.into(), 0.0));
    on_every_set(|| check_gradients::<f64>(29, f64::EPSILON, 0.0));
    check_gradients::<f16>(29, f32::EPSILON.into(), f64::from(f16::EPSILON) / 2.0);
    check_gradients::<bf16>(29, f32::EPSILON.into(), f64::from(bf16::EPSILON) / 2.0);
}

/// The bytes of everything a case gives.
fn bits<T: Recurrence>(case: &Case) -> Vec<Vec<u8>> {
    let arguments = arguments::<T>(case);
    let (results, saved) = recur(case, &arguments, !case.mask);
    let gradients = gradients(case, &arguments, &dues(case, 3));
    let own = results.iter().chain(&gradients).map(|x| bytemuck::cast_slice::<T, u8>(x).to_vec());
    own.chain([bytemuck::cast_slice::<T::Wide, u8>(&saved).to_vec()]).collect()
}

#[test]
fn threads_fused_sets_and_layouts_do_not_change_a_bit() {
    let _alone = THREADS.lock();
    fn check<T: Recurrence>(way: usize) {
        for cell in CELLS {
            let case = Case::new(cell, [41, 12, 20, 37], way);
            // Of the sets that fuse, and of portable code.
            let mut expected: [Option<Vec<Vec<u8>>>; 2] = [None, None];
            for threads in [1, 2, 3, 4, 8] {
                set_num_threads(threads);
                for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
                    let layout = threads % 3;
                    let found = with_instruction_set(set, || bits::<T>(&Case { layout, ..case }));
                    let expected =
                        expected[usize::from(set == InstructionSet::Portable)].get_or_insert_with(|| found.clone());
                    assert!(*expected == found, "{threads} threads, {set:?}, {case:?}");
                }
            }
            set_num_threads(0);
        }
    }
    check::<f32>(0b100011);
    check::<f32>(0b110111);
    check::<bf16>(0b100011);
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    for cell in CELLS {
        let case = Case::new(cell, [50, 6, 9, 40], 0b100011);
        let arguments = arguments::<f32>(&case);
        let ([outputs, ..], _) = recur(&case, &arguments, false);
        for row in [0, 17, 49] {
            let alone = Case { sizes: Sizes { batch: 1, ..case.sizes }, ..case };
            let mut own = arguments.clone();
            for (which, len) in [(0, 6 * 9), (4, 40), (5, if cell == Cell::Lstm { 40 } else { 0 })] {
                own[which] = arguments[which][row * len..][..len].to_vec();
            }
            let ([found, ..], _) = recur(&alone, &own, false);
            assert_eq!(found, outputs[row * 6 * 40..][..6 * 40], "row {row}, {cell:?}");
        }
    }
}
