//! Convolutions and their gradients: against plain loops in float64, and the same bits by every way to compute them.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Binary, Convolution, Filters, Format, Images, InstructionSet, Number, Padding, Strided, Unary, Window, cast,
    set_num_threads, with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const FORMATS: [Format; 2] = [Format::ChannelsLast, Format::ChannelsFirst];

/// Numbers of 26 bits from −1 to 1 without order: their products are exact in f64, and no sum of them is.
fn values<T: Number>(n: usize, seed: usize) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37;
    let wide: Vec<f64> = (0..n).map(|i| (bits(i) as f64 - f64::from(1 << 26)) / f64::from(1 << 26)).collect();
    let mut own = vec![T::zeroed(); n];
    cast(Strided::new(&wide, &[n], &[1], 0).expect("contiguous"), &mut own);
    own
}

fn wide<T: Number>(own: &[T]) -> Vec<f64> {
    let mut wide = vec![0.0; own.len()];
    cast(Strided::new(own, &[own.len()], &[1], 0).expect("contiguous"), &mut wide);
    wide
}

/// A convolution that is tried in both formats.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    input: &'a [usize],
    size: &'a [usize],
    strides: &'a [usize],
    dilations: &'a [usize],
    padding: Padding<'a>,
    batch: usize,
    channels: usize,
    filters: usize,
    groups: usize,
}

/// One axis, 3 taps, stride 1, valid.
const LINE: Case = Case {
    input: &[29],
    size: &[3],
    strides: &[1],
    dilations: &[1],
    padding: Padding::Valid,
    batch: 2,
    channels: 3,
    filters: 5,
    groups: 1,
};

/// Two axes, 3 × 3 taps, stride 1, valid.
const PLANE: Case = Case { input: &[9, 14], size: &[3, 3], strides: &[1, 1], dilations: &[1, 1], ..LINE };

impl Case<'_> {
    fn window(&self) -> Option<Window> {
        Window::new(self.input, self.size, self.strides, self.dilations, self.padding)
    }

    fn of(&self, format: Format) -> Filters {
        let images = Images { format, batch: self.batch, channels: self.channels };
        Filters::new(images, self.window().expect("it fits"), self.filters, self.groups).expect("it fits")
    }

    /// Calls `visit` with the places in input, filters and output of every product that is added up.
    fn visit(&self, format: Format, mut visit: impl FnMut(usize, usize, usize)) {
        let window = self.window().expect("it fits");
        let axes = window.axes();
        let (channels, filters) = (self.channels / self.groups, self.filters / self.groups);
        let place = |image, channel, place, places, all| match format {
            Format::ChannelsLast => (image * places + place) * all + channel,
            Format::ChannelsFirst => (image * all + channel) * places + place,
        };
        let outputs = if self.batch * self.filters == 0 { 0 } else { window.outputs() };
        for output in 0..outputs {
            for tap in 0..window.taps() {
                let (mut rest, mut taps, mut read, mut pitch) = (output, tap, Some(0), 1);
                for axis in axes.iter().rev() {
                    let at = rest % axis.output * axis.stride + taps % axis.size * axis.dilation;
                    let at = at.checked_sub(axis.before).filter(|&at| at < axis.input);
                    read = read.and_then(|read| Some(read + at? * pitch));
                    (rest, taps, pitch) = (rest / axis.output, taps / axis.size, pitch * axis.input);
                }
                let Some(read) = read else { continue };
                for image in 0..self.batch {
                    for filter in 0..self.filters {
                        for channel in 0..channels {
                            let own = filter / filters * channels + channel;
                            visit(
                                place(image, own, read, window.inputs(), self.channels),
                                (tap * channels + channel) * self.filters + filter,
                                place(image, filter, output, window.outputs(), self.filters),
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The output, the gradient of the input and that of the filters.
fn compute<T: Convolution>(of: &Filters, [x, w, dy]: [&[T]; 3]) -> [Vec<T>; 3] {
    // Scratch and output may hold anything.
    let garbage = |n: usize| vec![values::<T>(1, 3)[0]; n];
    let [mut y, mut dx, mut dw] = [garbage(dy.len()), garbage(x.len()), garbage(w.len())];
    T::convolution(of, x, w, &mut y, &mut garbage(T::convolution_scratch(of)));
    T::input_gradient(of, dy, w, &mut dx, &mut garbage(T::input_gradient_scratch(of)));
    T::filters_gradient(of, x, dy, &mut dw, &mut garbage(T::filters_gradient_scratch(of)));
    [y, dx, dw]
}

fn operands<T: Number>(of: &Filters) -> [Vec<T>; 3] {
    [values(of.inputs(), 1), values(of.weights(), 5), values(of.outputs(), 9)]
}

/// A sum in two numbers, so that it is exact enough for f64, and that of the absolute values.
#[derive(Clone, Copy, Default)]
struct Exact {
    sum: f64,
    rest: f64,
    magnitude: f64,
}

impl Exact {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        let own = sum - self.sum;
        self.rest += (self.sum - (sum - own)) + (term - own);
        self.sum = sum;
        self.magnitude += term.abs();
    }
}

/// Compares with a plain loop, on all those sets.
fn check<T: Convolution>(eps: f64, sets: &[InstructionSet], case: Case) {
    for format in FORMATS {
        let of = case.of(format);
        let [x, w, dy] = operands::<T>(&of);
        let (wide_x, wide_w, wide_dy) = (wide(&x), wide(&w), wide(&dy));
        let mut exact = [&dy, &x, &w].map(|like| vec![Exact::default(); like.len()]);
        case.visit(format, |i, j, k| {
            exact[0][k].add(wide_x[i] * wide_w[j]);
            exact[1][i].add(wide_dy[k] * wide_w[j]);
            exact[2][j].add(wide_x[i] * wide_dy[k]);
        });
        for &set in sets {
            let found = with_instruction_set(set, || compute(&of, [&x, &w, &dy]));
            for ((found, exact), what) in found.iter().zip(&exact).zip(["output", "input", "filters"]) {
                for (i, (found, exact)) in wide(found).into_iter().zip(exact).enumerate() {
                    let error = (found - exact.sum - exact.rest).abs();
                    let bound = 4.0 * eps * exact.magnitude;
                    assert!(error <= bound, "{case:?}, {format:?}, {set:?}, {what} {i}: {found}, not {}", exact.sum);
                }
            }
        }
    }
}

fn here() -> Vec<InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_here()).collect()
}

/// Channels, filters and groups.
const CHANNELS: [[usize; 3]; 8] =
    [[1, 5, 1], [3, 4, 1], [4, 6, 2], [5, 5, 5], [9, 17, 1], [8, 3, 1], [24, 4, 2], [3, 6, 3]];

#[test]
fn convolutions_are_those_of_a_plain_loop() {
    let sets = here();
    let mut next = 0;
    let inputs: [&[usize]; 3] = [&[29], &[6, 13], &[3, 4, 9]];
    let sizes: [&[usize]; 3] = [&[3], &[3, 2], &[2, 3, 3]];
    let sides: [&[[usize; 2]]; 3] = [&[[2, 0]], &[[0, 1], [3, 4]], &[[1, 1], [0, 2], [1, 0]]];
    for ((input, size), sides) in inputs.into_iter().zip(sizes).zip(sides) {
        for strides in [[1, 1, 1], [1, 1, 2], [2, 1, 3], [3, 2, 1], [2, 3, 2]] {
            for dilations in [[1, 1, 1], [2, 1, 2], [1, 2, 2]] {
                for padding in [Padding::Valid, Padding::Same, Padding::Explicit(sides)] {
                    let n = input.len();
                    let [channels, filters, groups] = CHANNELS[next % CHANNELS.len()];
                    next += 1;
                    let (strides, dilations) = (&strides[3 - n..], &dilations[3 - n..]);
                    let case = Case { input, size, strides, dilations, padding, batch: 2, channels, filters, groups };
                    if case.window().is_some() {
                        check::<f32>(f32::EPSILON.into(), &sets, case);
                    }
                }
            }
        }
    }
}

/// Beyond the edges of squares, tiles, strips, blocks, panels and chunks, and rows shorter than a square.
fn edges() -> Vec<Case<'static>> {
    let mut cases = vec![];
    for width in [1, 2, 5, 7, 8, 9, 12, 16, 31, 33] {
        let input: &[usize] = Box::leak(Box::new([3, width]));
        for channels in [1, 7, 8, 19] {
            cases.push(Case { input, padding: Padding::Same, channels, filters: 2, ..PLANE });
        }
    }
    for filters in [15, 16, 33, 65] {
        cases.push(Case { filters, channels: 16, ..LINE });
    }
    cases.extend([
        // One tap, with and without padding.
        Case { size: &[1, 1], channels: 20, filters: 9, ..PLANE },
        Case { size: &[1, 1], channels: 20, filters: 8, groups: 4, ..PLANE },
        Case { size: &[1, 1], strides: &[2, 2], channels: 10, ..PLANE },
        Case { size: &[1, 1], padding: Padding::Explicit(&[[1, 0], [0, 2]]), ..PLANE },
        // Few features and one result, in rows longer than a panel and shorter.
        Case { input: &[9, 60], channels: 1, filters: 1, padding: Padding::Same, ..PLANE },
        Case { input: &[11, 37], channels: 3, filters: 13, padding: Padding::Same, ..PLANE },
        Case { input: &[30, 3], channels: 2, filters: 40, padding: Padding::Explicit(&[[2, 0], [1, 1]]), ..PLANE },
        // Few channels that come first: filters by twos and one, rows of taps by threes and one, more than a unit has, groups, and
        // lanes that positions do not fill.
        Case { input: &[19, 23], size: &[2, 2], channels: 1, filters: 37, padding: Padding::Same, batch: 11, ..PLANE },
        Case { input: &[30, 30], size: &[3, 3], channels: 6, filters: 10, groups: 2, batch: 3, ..PLANE },
        Case { input: &[17, 40], strides: &[1, 2], channels: 2, filters: 3, dilations: &[2, 1], ..PLANE },
        // Every other position.
        Case { input: &[5, 70], channels: 9, filters: 13, strides: &[2, 2], padding: Padding::Same, ..PLANE },
        // Filters that are rearranged some at a time.
        Case { channels: 18, filters: 35, ..PLANE },
        // Long sums.
        Case { input: &[11], channels: 1100, filters: 3, batch: 1, ..LINE },
        Case { input: &[2100], size: &[2], batch: 1, ..LINE },
        Case { input: &[400], size: &[2], batch: 1, channels: 2, filters: 1, ..LINE },
        Case { input: &[9], size: &[5], strides: &[7], padding: Padding::Explicit(&[[6, 20]]), ..LINE },
    ]);
    cases
}

#[test]
fn every_float_keeps_its_class() {
    let sets = here();
    for case in edges() {
        check::<f32>(f32::EPSILON.into(), &sets, case);
    }
    for case in edges().into_iter().step_by(3) {
        check::<f64>(f64::EPSILON, &sets, case);
        check::<f16>(f16::EPSILON.into(), &sets[..1], case);
        check::<bf16>(bf16::EPSILON.into(), &sets[..1], case);
    }
    for case in [Case { strides: &[2, 3], ..PLANE }, Case { padding: Padding::Same, channels: 12, ..PLANE }] {
        check::<f64>(f64::EPSILON, &sets, case);
        check::<f16>(f16::EPSILON.into(), &sets, case);
        check::<bf16>(bf16::EPSILON.into(), &sets, case);
    }
}

#[test]
fn nothing_is_computed_of_nothing() {
    let none = [
        Case { batch: 0, ..PLANE },
        Case { channels: 0, ..PLANE },
        Case { filters: 0, ..PLANE },
        Case { channels: 0, filters: 0, ..PLANE },
        Case { input: &[0, 5], padding: Padding::Same, ..PLANE },
        // Windows that are wider than the input: there are none.
        Case { input: &[2, 9], ..PLANE },
        Case { input: &[2, 2], ..PLANE },
        // Nothing but padding.
        Case { input: &[0, 1], padding: Padding::Explicit(&[[3, 3], [2, 2]]), ..PLANE },
        Case { input: &[2], size: &[1], strides: &[9], padding: Padding::Explicit(&[[4, 30]]), ..LINE },
        // Numbers that can hardly be added.
        Case { input: &[3], strides: &[1 << 60], padding: Padding::Explicit(&[[1 << 61, 1 << 61]]), ..LINE },
        Case { input: &[3], dilations: &[1 << 60], padding: Padding::Explicit(&[[1 << 60, 1 << 60]]), ..LINE },
        Case {
            input: &[3],
            dilations: &[1 << 60],
            strides: &[1 << 59],
            padding: Padding::Explicit(&[[1 << 60, 1 << 60]]),
            ..LINE
        },
        Case { input: &[1 << 40], channels: 1 << 20, filters: 1 << 20, groups: 1 << 20, batch: 0, ..LINE },
    ];
    for case in none {
        check::<f32>(f32::EPSILON.into(), &here(), case);
        check::<bf16>(bf16::EPSILON.into(), &here(), case);
    }
    let images = Images { format: Format::ChannelsLast, batch: 1, channels: 4 };
    let window = LINE.window().expect("it fits");
    assert!(Filters::new(images, window, 4, 0).is_none());
    assert!(Filters::new(images, window, 4, 3).is_none());
    assert!(Filters::new(images, window, 3, 2).is_none());
    assert!(Filters::new(images, window, usize::MAX, 1).is_none());
}

#[test]
fn threads_and_fused_sets_do_not_change_a_bit() {
    let _alone = THREADS.lock();
    // Large enough for several threads.
    let cases = [
        Case { input: &[24, 21], channels: 20, filters: 33, padding: Padding::Same, ..PLANE },
        Case { input: &[24, 21], channels: 20, filters: 40, strides: &[2, 3], padding: Padding::Same, ..PLANE },
        Case { input: &[40, 40], channels: 1, filters: 16, batch: 3, ..PLANE },
        Case { input: &[24, 24], size: &[1, 1], channels: 64, filters: 64, ..PLANE },
        Case { input: &[24, 24], channels: 32, filters: 32, groups: 4, ..PLANE },
        Case { input: &[90], size: &[9], channels: 260, filters: 70, batch: 1, ..LINE },
    ];
    fn bits<T: Convolution>(cases: &[Case]) -> Vec<Vec<u8>> {
        let compute = |case: &Case, format| {
            let of = case.of(format);
            let [x, w, dy] = operands::<T>(&of);
            compute(&of, [&x, &w, &dy]).map(|found| bytemuck::cast_slice(&found).to_vec())
        };
        cases.iter().flat_map(|case| FORMATS.map(|format| compute(case, format))).flatten().collect()
    }
    fn check<T: Convolution>(cases: &[Case]) {
        // Of the sets that fuse, and of portable code.
        let mut expected: [Option<Vec<Vec<u8>>>; 2] = [None, None];
        for threads in [1, 2, 3, 4, 8, 0] {
            set_num_threads(threads);
            for set in here() {
                let found = with_instruction_set(set, || bits::<T>(cases));
                let expected =
                    expected[usize::from(set == InstructionSet::Portable)].get_or_insert_with(|| found.clone());
                assert!(*expected == found, "{threads} threads, {set:?}");
            }
        }
    }
    check::<f32>(&cases);
    check::<f64>(&cases[..3]);
    check::<bf16>(&cases[..3]);
}

#[test]
fn an_image_has_the_same_bits_alone_and_among_others() {
    for format in FORMATS {
        for case in [Case { channels: 16, filters: 20, ..PLANE }, Case { channels: 5, strides: &[2, 1], ..PLANE }] {
            let (many, one) = (Case { batch: 5, ..case }.of(format), Case { batch: 1, ..case }.of(format));
            let [x, w, dy] = operands::<f32>(&many);
            let whole = compute(&many, [&x, &w, &dy]);
            for image in [0, 4] {
                let alone =
                    [&x[image * one.inputs()..][..one.inputs()], &w, &dy[image * one.outputs()..][..one.outputs()]];
                let [y, dx, _] = compute(&one, alone);
                assert_eq!(y, whole[0][image * one.outputs()..][..one.outputs()]);
                assert_eq!(dx, whole[1][image * one.inputs()..][..one.inputs()]);
            }
        }
    }
}

#[test]
fn output_and_filters_gradient_are_products_of_patches_to_the_bit() {
    fn check<T: Convolution + PartialEq + std::fmt::Debug>(case: Case, set: InstructionSet) {
        let of = case.of(Format::ChannelsLast);
        let [x, w, dy] = operands::<T>(&of);
        let window = case.window().expect("it fits");
        let sizes = [case.batch * window.outputs(), window.taps() * case.channels, case.filters];
        let mut patches = vec![T::zeroed(); sizes[0] * sizes[1]];
        case.visit(Format::ChannelsLast, |input, filter, output| {
            patches[output / case.filters * sizes[1] + filter / case.filters] = x[input];
        });
        let product = |a: (&[T], [isize; 2]), b: &[T], [m, k, n]: [usize; 3]| {
            let (mut out, mut scratch) = (vec![T::zeroed(); m * n], vec![T::zeroed(); T::matmul_scratch(m, k, n)]);
            let (left, right, row) = ([m, k], [k, n], [n as isize, 1]);
            let a = Strided::new(a.0, &left, &a.1, 0).expect("in bounds");
            T::matmul(a, Strided::new(b, &right, &row, 0).expect("in bounds"), &mut out, &mut scratch);
            out
        };
        let [m, k, n] = sizes;
        let y = product((&patches, [k as isize, 1]), &w, [m, k, n]);
        let dw = product((&patches, [1, k as isize]), &dy, [k, m, n]);
        let [found, _, found_dw] = with_instruction_set(set, || compute(&of, [&x, &w, &dy]));
        assert_eq!(found, y, "{case:?} {set:?}");
        assert_eq!(found_dw, dw, "{case:?} {set:?}");
    }
    // Channels of a tap that are read where they lie or not, blocks of sums that end within them, and padding.
    for channels in [5, 8, 13, 16, 32, 47, 48, 100] {
        let plane = Case { channels, filters: 35, ..PLANE };
        let cases = [
            plane,
            Case { padding: Padding::Same, ..plane },
            Case { strides: &[2, 2], filters: 1, ..plane },
            Case { dilations: &[2, 1], padding: Padding::Explicit(&[[3, 0], [0, 0]]), ..plane },
            Case { input: &[5, 40], size: &[2, 5], filters: 64, ..plane },
            Case { input: &[40], size: &[4], strides: &[3], dilations: &[2], ..plane },
        ];
        for case in cases {
            for set in here().into_iter().filter(|set| *set != InstructionSet::Portable) {
                check::<f32>(case, set);
                check::<f64>(case, set);
            }
        }
    }
    check::<bf16>(Case { channels: 32, filters: 35, ..PLANE }, here()[0]);
}

#[test]
fn what_follows_in_the_same_pass_gives_the_bits_of_one_kernel_after_the_other() {
    fn check<T: Convolution + PartialEq + std::fmt::Debug>(case: Case) {
        for (format, set) in FORMATS.into_iter().flat_map(|format| here().into_iter().map(move |set| (format, set))) {
            let of = case.of(format);
            let ([x, w, _], bias) = (operands::<T>(&of), values::<T>(case.filters, 21));
            let garbage = |n: usize| vec![values::<T>(1, 3)[0]; n];
            let positions = case.window().expect("it fits").outputs();
            let (shape, strides) = match format {
                Format::ChannelsLast => ([case.batch, positions, case.filters], [0, 0, 1]),
                Format::ChannelsFirst => ([case.batch, case.filters, positions], [0, 1, 0]),
            };
            for follows in
                [(true, None), (false, Some(Unary::Relu)), (true, Some(Unary::Relu)), (true, Some(Unary::Tanh))]
            {
                let (own, activation) = (follows.0.then_some(&bias[..]), follows.1);
                let [found, expected] = with_instruction_set(set, || {
                    let [mut found, mut expected] = [garbage(of.outputs()), garbage(of.outputs())];
                    let mut scratch = garbage(T::convolution_scratch(&of));
                    T::convolution_with(&of, &x, &w, (own, activation), &mut found, &mut scratch);
                    T::convolution(&of, &x, &w, &mut expected, &mut scratch);
                    if let Some(bias) = own {
                        let bias = Strided::new(bias, &shape, &strides, 0).expect("in bounds");
                        T::binary_over(Binary::Add, &mut expected, true, bias).expect("floats are added");
                    }
                    if let Some(op) = activation {
                        T::unary_over(op, &mut expected).expect("floats take it");
                    }
                    [found, expected]
                });
                assert_eq!(found, expected, "{case:?} {format:?} {set:?} {follows:?}");
            }
        }
    }
    let plane = Case { channels: 24, filters: 35, padding: Padding::Same, ..PLANE };
    let long = Case { input: &[300], channels: 700, filters: 6, batch: 1, ..LINE };
    for case in
        [plane, Case { groups: 2, filters: 6, ..plane }, Case { filters: 1, ..plane }, Case { channels: 3, ..plane }]
    {
        check::<f32>(case);
        check::<bf16>(case);
    }
    check::<f64>(plane);
    check::<f32>(long);
}
