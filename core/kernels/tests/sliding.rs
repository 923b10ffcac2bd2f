//! Pooling and depthwise convolution: against plain loops in float64, and the same bits by every way to compute them.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Depthwise, Format, Images, InstructionSet, MaxPooling, NotInWindow, Number, Padding, Pooling, Strided, Window,
    cast, set_num_threads, with_instruction_set,
};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const FORMATS: [Format; 2] = [Format::ChannelsLast, Format::ChannelsFirst];

/// Numbers from −1 to 1 without order, of `bits` bits.
fn values<T: Number>(n: usize, seed: usize, bits: u32) -> Vec<T> {
    let value = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (63 - bits);
    let half = f64::from(1_u32 << bits);
    own(&(0..n).map(|i| value(i) as f64 / half - 1.0).collect::<Vec<f64>>())
}

fn own<T: Number>(wide: &[f64]) -> Vec<T> {
    let mut own = vec![T::zeroed(); wide.len()];
    cast(Strided::new(wide, &[wide.len()], &[1], 0).expect("contiguous"), &mut own);
    own
}

fn wide<T: Number>(own: &[T]) -> Vec<f64> {
    let mut wide = vec![0.0; own.len()];
    cast(Strided::new(own, &[own.len()], &[1], 0).expect("contiguous"), &mut wide);
    wide
}

fn bytes<T: Number>(x: &[T]) -> &[u8] {
    bytemuck::cast_slice(x)
}

/// Something that no result is.
fn garbage<T: Number>(n: usize) -> Vec<T> {
    own(&vec![77.0; n])
}

/// Windows of all kinds: input, size, stride, dilation, padding on both sides or `Same`.
fn windows() -> Vec<Window> {
    let mut all = Vec::new();
    let mut push = |input: &[usize], size: &[usize], strides: &[usize], dilations: &[usize]| {
        let sides: Vec<[usize; 2]> = size.iter().map(|size| [size / 2, size + 1]).collect();
        for padding in [Padding::Valid, Padding::Same, Padding::Explicit(&sides)] {
            all.extend(Window::new(input, size, strides, dilations, padding));
        }
    };
    for width in [0, 1, 5, 17, 33, 70] {
        for (size, stride, dilation) in [
            (1, 1, 1),
            (2, 2, 1),
            (3, 1, 1),
            (3, 2, 1),
            (2, 3, 1),
            (5, 4, 1),
            (3, 1, 2),
            (2, 2, 3),
            (3, 4, 6),
            (2, 5, 1),
        ] {
            push(&[width], &[size], &[stride], &[dilation]);
        }
    }
    push(&[90], &[71], &[3], &[1]);
    push(&[5, 4], &[2, 2], &[2, 2], &[1, 1]);
    push(&[4, 7], &[2, 2], &[2, 2], &[1, 1]);
    push(&[6, 6], &[3, 2], &[3, 2], &[1, 1]);
    push(&[7, 19], &[3, 3], &[1, 1], &[1, 1]);
    push(&[6, 35], &[3, 2], &[2, 1], &[1, 2]);
    push(&[1, 3], &[4, 5], &[1, 2], &[1, 1]);
    push(&[3, 0], &[1, 2], &[1, 2], &[1, 1]);
    push(&[3, 4, 18], &[2, 2, 2], &[2, 1, 1], &[1, 1, 1]);
    push(&[4, 3, 5], &[3, 3, 3], &[1, 2, 2], &[2, 1, 1]);
    all
}

/// The taps of each window that are in the input, and the places they have.
fn terms(window: &Window) -> Vec<Vec<(usize, usize)>> {
    let mut terms = vec![vec![(0, 0)]];
    for axis in window.axes() {
        let mut next = Vec::new();
        for before in &terms {
            for output in 0..axis.output {
                let own = (0..axis.size).filter_map(|tap| {
                    let place = (output * axis.stride + tap * axis.dilation).checked_sub(axis.before)?;
                    (place < axis.input).then_some((place, tap))
                });
                let own: Vec<(usize, usize)> = own.collect();
                let all = before.iter().flat_map(|&(place, tap)| {
                    own.iter().map(move |&(p, t)| (place * axis.input + p, tap * axis.size + t))
                });
                next.push(all.collect());
            }
        }
        terms = next;
    }
    terms
}

/// The element of a channel of an image at a place, of so many channels and places.
fn element(format: Format, [image, channel, place]: [usize; 3], [channels, places]: [usize; 2]) -> usize {
    match format {
        Format::ChannelsLast => (image * places + place) * channels + channel,
        Format::ChannelsFirst => (image * channels + channel) * places + place,
    }
}

/// A sum and the magnitudes of its terms.
#[derive(Clone, Copy, Default)]
struct Exact {
    sum: f64,
    rest: f64,
    size: f64,
}

impl Exact {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        let part = sum - self.sum;
        self.rest += (self.sum - (sum - part)) + (term - part);
        *self = Self { sum, rest: self.rest, size: self.size + term.abs() };
    }
}

/// Within 4·eps·Σ|terms| of each sum, which is to be multiplied by a factor.
fn check<T: Number>(eps: f64, found: &[T], exact: &[Exact], what: impl std::fmt::Debug) {
    assert_eq!(found.len(), exact.len());
    for (i, (found, exact)) in wide(found).into_iter().zip(exact).enumerate() {
        // The least f16 are further apart than eps.
        let bound = 4.0 * eps * exact.size + if eps == f64::from(f16::EPSILON) { 2_f64.powi(-25) } else { 0.0 };
        let sum = exact.sum + exact.rest;
        assert!((found - sum).abs() <= bound, "{what:?}, element {i}: {found}, not {sum} ± {bound}");
    }
}

fn on_every_set(test: impl Fn()) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &test);
    }
}

/// What all pools give of one input.
struct Pooled<T> {
    max: Vec<T>,
    argmax: Vec<i64>,
    gradient: Vec<T>,
    near: Vec<T>,
    picked: Vec<T>,
    average: Vec<T>,
    average_gradient: Vec<T>,
}

impl<T: Pooling> Pooled<T> {
    fn new(window: &Window, images: Images, x: &[T], dy: &[T]) -> Self {
        let (inputs, outputs) = (x.len(), dy.len());
        let mut all = Self {
            max: garbage(outputs),
            argmax: vec![77; outputs],
            gradient: garbage(inputs),
            near: garbage(inputs),
            picked: garbage(outputs),
            average: garbage(outputs),
            average_gradient: garbage(inputs),
        };
        let mut taps = vec![1; T::max_pool_scratch(window, images)];
        let mut scratch = garbage(T::average_pool_gradient_scratch(window, images));
        let mut other = garbage(outputs);
        T::max_pool(window, images, T::LEAST, x, &mut all.max);
        T::max_pool_argmax(window, images, false, x, &mut other, &mut all.argmax, &mut taps);
        assert_eq!(bytes(&all.max), bytes(&other));
        T::max_pool_gradient(window, images, x, dy, &mut all.gradient, &mut taps);
        T::max_pool_gradient_near(window, images, x, [&all.max, dy], &mut all.near);
        T::max_pool_pick(window, images, [x, &values::<T>(inputs, 9, 6)], &all.max, &mut all.picked);
        T::average_pool(window, images, x, &mut all.average);
        T::average_pool_gradient(window, images, dy, &mut all.average_gradient, &mut scratch);
        for batch_index in [false, true] {
            let mut argmax = vec![77; outputs];
            let (mut again, mut taps) = (garbage(inputs), vec![2; taps.len()]);
            T::max_pool_argmax(window, images, batch_index, x, &mut other, &mut argmax, &mut taps);
            let done = T::max_pool_gradient_at(window, images, batch_index, &argmax, dy, &mut again, &mut taps);
            assert_eq!(done, Ok(()));
            assert_eq!(bytes(&again), bytes(&all.gradient));
            let in_image = if batch_index { inputs / images.batch } else { 0 };
            let shifted = |(i, &index): (usize, &i64)| {
                if index < 0 { -1 } else { index + (i / (outputs / images.batch) * in_image) as i64 }
            };
            assert_eq!(argmax, all.argmax.iter().enumerate().map(shifted).collect::<Vec<i64>>());
        }
        all
    }

    fn bytes(&self) -> Vec<u8> {
        let parts = [&self.max, &self.gradient, &self.near, &self.picked, &self.average, &self.average_gradient];
        [bytes(&self.argmax)].into_iter().chain(parts.map(|part| bytes(part))).flatten().copied().collect()
    }
}

/// Compares all pools with plain loops.
fn check_pools<T: Pooling>(eps: f64, windows: &[Window]) {
    let batch = 2;
    for window in windows {
        let (terms, places, outputs) = (terms(window), window.inputs(), window.outputs());
        for channels in [1, 3, 33] {
            for format in FORMATS {
                let images = Images { format, batch, channels };
                // Few different numbers, so that many are equal.
                let mut x = wide(&values::<T>(batch * channels * places, 1, 3));
                for (i, x) in x.iter_mut().enumerate() {
                    *x = if i % 11 == 5 { f64::NEG_INFINITY } else { *x };
                }
                let dy = values::<T>(batch * channels * outputs, 5, 6);
                let from = wide(&values::<T>(x.len(), 9, 6));
                let (mut max, mut argmax, mut picked) = (vec![0.0; dy.len()], vec![0; dy.len()], vec![0.0; dy.len()]);
                let (mut gradient, mut average) = (vec![Exact::default(); x.len()], vec![Exact::default(); dy.len()]);
                let (mut near, mut average_gradient) = (gradient.clone(), gradient.clone());
                let finite: Vec<f64> = x.iter().map(|&x| if x.is_finite() { x } else { 0.25 }).collect();
                for (image, channel) in (0..batch).flat_map(|i| (0..channels).map(move |c| (i, c))) {
                    for (output, terms) in terms.iter().enumerate() {
                        let at = element(format, [image, channel, output], [channels, outputs]);
                        let of = |place: usize| element(format, [image, channel, place], [channels, places]);
                        let dy = wide(&dy[at..=at])[0];
                        let mut best = None;
                        for &(place, _) in terms {
                            if best.is_none_or(|best| x[of(place)] > x[of(best)]) {
                                best = Some(place);
                            }
                            average[at].add(finite[of(place)] / terms.len() as f64);
                            average_gradient[of(place)].add(dy / terms.len() as f64);
                        }
                        if let Some(best) = best {
                            max[at] = x[of(best)];
                            argmax[at] = (of(best) - image * channels * places) as i64;
                            picked[at] = from[of(best)];
                            gradient[of(best)].add(dy);
                            for place in terms.iter().map(|&(place, _)| of(place)).filter(|&at| x[at].is_finite()) {
                                near[place].add(if x[place] == x[of(best)] { dy } else { 0.0 });
                            }
                        } else {
                            (max[at], argmax[at]) = (f64::NEG_INFINITY, -1);
                        }
                    }
                }
                let found = Pooled::new(window, images, &own::<T>(&x), &dy);
                let what = (window, images);
                assert_eq!(wide(&found.max), max, "{what:?}");
                assert_eq!(found.argmax, argmax, "{what:?}");
                assert_eq!(wide(&found.picked), picked, "{what:?}");
                check(eps, &found.gradient, &gradient, what);
                check(eps, &found.near, &near, what);
                check(eps, &found.average_gradient, &average_gradient, what);
                let mut found = garbage::<T>(dy.len());
                T::average_pool(window, images, &own::<T>(&finite), &mut found);
                check(eps, &found, &average, what);
            }
        }
    }
}

#[test]
fn pools_are_those_of_plain_loops() {
    let all = windows();
    let few: Vec<Window> = all.iter().step_by(11).copied().collect();
    on_every_set(|| check_pools::<f32>(f32::EPSILON.into(), &all));
    on_every_set(|| check_pools::<f64>(f64::EPSILON, &few));
    on_every_set(|| check_pools::<f16>(f16::EPSILON.into(), &few));
    on_every_set(|| check_pools::<bf16>(bf16::EPSILON.into(), &few));
}

#[test]
fn integers_have_a_greatest_too() {
    fn check<T: MaxPooling + Ord>(least: T, x: Vec<T>) {
        let window = Window::new(&[5, 3], &[2, 2], &[2, 1], &[1, 1], Padding::Explicit(&[[0, 0], [3, 0]])).unwrap();
        let terms = terms(&window);
        for (format, channels) in [(Format::ChannelsLast, 17), (Format::ChannelsFirst, 3)] {
            let images = Images { format, batch: 1, channels };
            let x = &x[..15 * channels];
            let mut out = vec![T::zeroed(); window.outputs() * channels];
            T::max_pool(&window, images, T::LEAST, x, &mut out);
            for (output, channel) in (0..window.outputs()).flat_map(|o| (0..channels).map(move |c| (o, c))) {
                let of = |&(place, _): &(usize, usize)| x[element(format, [0, channel, place], [channels, 15])];
                let best = terms[output].iter().map(of).max().unwrap_or(least);
                assert!(out[element(format, [0, channel, output], [channels, window.outputs()])] == best);
            }
        }
    }
    let bits = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 3;
    macro_rules! check {
        ($($t:ident),*) => {
            $(check::<$t>($t::MIN, (0..255).map(|i| bits(i) as $t).collect());)*
        };
    }
    check!(i8, i16, i32, i64, u8, u16, u32, u64);
}

/// What each gives of a row of windows of two places: the greatest, those by argmax, these, and the gradient.
fn of_two_places<const N: usize, const M: usize>(
    x: [f32; N],
    least: f32,
    format: Format,
    channels: usize,
) -> [[f32; M]; 2] {
    let images = Images { format, batch: 1, channels };
    let window = Window::new(&[1, N], &[1, 2], &[1, N / M], &[1, 1], Padding::Valid).expect("it fits");
    let at = |place: usize, places: usize| element(format, [0, channels - 1, place], [channels, places]);
    let mut all = vec![7.0; N * channels];
    (0..N).for_each(|place| all[at(place, N)] = x[place]);
    let (mut max, mut out, mut argmax) = (vec![0.0; M * channels], vec![0.0; M * channels], vec![0; M * channels]);
    let mut scratch = vec![0; M * channels];
    f32::max_pool(&window, images, least, &all, &mut max);
    f32::max_pool_argmax(&window, images, false, &all, &mut out, &mut argmax, &mut scratch);
    let (dy, mut dx, mut again) = (vec![1.0; M * channels], vec![0.0; N * channels], vec![0.0; N * channels]);
    f32::max_pool_gradient(&window, images, &all, &dy, &mut dx, &mut scratch);
    f32::max_pool_gradient_at(&window, images, false, &argmax, &dy, &mut again, &mut scratch)
        .expect("they are its own");
    assert_eq!(dx, again);
    for (out, &argmax) in out.iter().zip(&argmax) {
        assert_eq!(out.to_bits(), all[argmax as usize].to_bits());
    }
    [max, out].map(|all| std::array::from_fn(|output| all[at(output, M)]))
}

#[test]
fn nan_is_no_greatest_and_with_an_index_stays_where_it_is_first() {
    let (nan, least) = (f32::NAN, f32::MIN);
    let x = [nan, 1.0, 1.0, nan, nan, -0.0, f32::NEG_INFINITY, nan];
    on_every_set(|| {
        for (format, channels) in [(Format::ChannelsLast, 1), (Format::ChannelsLast, 33), (Format::ChannelsFirst, 2)] {
            let [max, first] = of_two_places::<8, 4>(x, least, format, channels);
            assert_eq!(max, [1.0, 1.0, -0.0, least], "{format:?}");
            assert_eq!(first.map(f32::to_bits), [nan, 1.0, nan, f32::NEG_INFINITY].map(f32::to_bits), "{format:?}");
        }
    });
}

#[test]
fn what_is_nearly_the_greatest_has_its_gradient_and_the_first_equal_is_picked() {
    let images = Images { format: Format::ChannelsLast, batch: 1, channels: 1 };
    let window = Window::new(&[8], &[4], &[4], &[1], Padding::Valid).expect("it fits");
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let x = [nan, 1.0 - 5e-6, 1.0, 1.0, infinity, 1.0, nan, infinity];
    let mut dx = [7.0; 8];
    f32::max_pool_gradient_near(&window, images, &x, [&[1.0, infinity], &[2.0, 3.0]], &mut dx);
    assert_eq!(dx, [0.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    let mut picked = [7.0; 2];
    let from = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    for (y, expected) in [([1.0, infinity], [3.0, 5.0]), ([nan, nan], [0.0, 0.0])] {
        f32::max_pool_pick(&window, images, [&x, &from], &y, &mut picked);
        assert_eq!(picked, expected);
    }
}

#[test]
fn an_index_belongs_to_its_window() {
    let images = Images { format: Format::ChannelsLast, batch: 2, channels: 2 };
    let window = Window::new(&[3], &[2], &[1], &[1], Padding::Valid).expect("it fits");
    let dy = [1.0_f32; 8];
    let at = |batch_index: bool, argmax: [i64; 8]| {
        let mut dx = [7.0; 12];
        let done = f32::max_pool_gradient_at(&window, images, batch_index, &argmax, &dy, &mut dx, &mut [0; 8]);
        (done, dx)
    };
    let sums = [1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 1.0];
    assert_eq!(at(false, [0, 3, 2, 3, 2, 3, 2, 5]), (Ok(()), sums));
    assert_eq!(at(true, [0, 3, 2, 3, 8, 9, 8, 11]), (Ok(()), sums));
    for wrong in [0, 1, 3, 5, 6, -2, i64::MIN, i64::MAX] {
        let refused = (Err(NotInWindow { at: 2 }), [7.0; 12]);
        assert_eq!(at(false, [0, 3, wrong, 3, 2, 3, 2, 5]), refused, "{wrong}");
    }
    assert_eq!(at(true, [0, 3, 2, 3, 2, 3, 2, 5]).0, Err(NotInWindow { at: 4 }));
}

/// What depthwise convolution and its gradients give.
fn convolved<T: Depthwise>(
    window: &Window,
    images: Images,
    multiplier: usize,
    [x, filter, dy]: [&[T]; 3],
) -> [Vec<T>; 3] {
    let [mut out, mut dx, mut df] = [dy.len(), x.len(), filter.len()].map(garbage::<T>);
    let mut scratch = vec![f64::NAN; T::depthwise_filter_gradient_scratch(window, images, multiplier)];
    T::depthwise(window, images, multiplier, x, filter, &mut out);
    T::depthwise_input_gradient(window, images, multiplier, filter, dy, &mut dx);
    T::depthwise_filter_gradient(window, images, multiplier, x, dy, &mut df, &mut scratch);
    [out, dx, df]
}

/// Compares depthwise convolutions with plain loops.
fn check_depthwise<T: Depthwise>(eps: f64, windows: &[Window]) {
    let batch = 2;
    for window in windows {
        let (terms, places, outputs) = (terms(window), window.inputs(), window.outputs());
        for (channels, multiplier) in [(1, 1), (3, 1), (1, 3), (17, 2), (85, 1)] {
            let both = channels * multiplier;
            let sizes = [batch * channels * places, window.taps() * both, batch * both * outputs];
            let factors: [Vec<T>; 3] = [values(sizes[0], 1, 23), values(sizes[1], 5, 23), values(sizes[2], 9, 23)];
            let [x, filter, dy] = factors.each_ref().map(|factor| wide(factor));
            for format in FORMATS {
                let images = Images { format, batch, channels };
                let [mut out, mut dx, mut df] = [sizes[2], sizes[0], sizes[1]].map(|n| vec![Exact::default(); n]);
                for (image, channel) in (0..batch).flat_map(|i| (0..both).map(move |c| (i, c))) {
                    for (output, terms) in terms.iter().enumerate() {
                        let to = element(format, [image, channel, output], [both, outputs]);
                        for &(place, tap) in terms {
                            let from = element(format, [image, channel / multiplier, place], [channels, places]);
                            let by = tap * both + channel;
                            out[to].add(x[from] * filter[by]);
                            dx[from].add(dy[to] * filter[by]);
                            df[by].add(x[from] * dy[to]);
                        }
                    }
                }
                let found = convolved(window, images, multiplier, factors.each_ref().map(|factor| &factor[..]));
                for (which, (found, exact)) in found.iter().zip([out, dx, df]).enumerate() {
                    check(eps, found, &exact, (window, images, multiplier, which));
                }
            }
        }
    }
}

#[test]
fn depthwise_convolutions_are_those_of_plain_loops() {
    let all = windows();
    let few: Vec<Window> = all.iter().step_by(11).copied().collect();
    on_every_set(|| check_depthwise::<f32>(f32::EPSILON.into(), &all));
    on_every_set(|| check_depthwise::<f64>(f64::EPSILON, &few));
    on_every_set(|| check_depthwise::<f16>(f16::EPSILON.into(), &few));
    on_every_set(|| check_depthwise::<bf16>(bf16::EPSILON.into(), &few));
}

#[test]
fn bits_depend_on_neither_threads_nor_instruction_set() {
    fn all<T: Pooling + Depthwise>(window: &Window, images: Images) -> Vec<u8> {
        let places = images.batch * images.channels;
        let [x, dy] = [places * window.inputs(), places * window.outputs()].map(|n| values::<T>(n, 1, 23));
        let filter = values::<T>(window.taps() * images.channels, 5, 23);
        let mut all = Pooled::new(window, images, &x, &dy).bytes();
        all.extend(convolved(window, images, 1, [&x, &filter, &dy]).iter().flat_map(|part| bytes(part)));
        all
    }
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let window = Window::new(&[31, 37], &[3, 2], &[1, 2], &[1, 1], Padding::Same).expect("it fits");
    for (format, channels) in FORMATS.into_iter().zip([75, 60]) {
        let images = Images { format, batch: 3, channels };
        let mut first: Option<[Vec<u8>; 2]> = None;
        for threads in [1, 2, 3, 4, 8] {
            set_num_threads(threads);
            for set in [InstructionSet::Avx512, InstructionSet::Avx2].into_iter().filter(|set| set.is_here()) {
                let found = with_instruction_set(set, || [all::<f32>(&window, images), all::<bf16>(&window, images)]);
                let first = first.get_or_insert_with(|| found.clone());
                assert!(*first == found, "{format:?}: {threads} threads with {set:?} give other bits");
            }
        }
    }
    set_num_threads(0);
}

#[test]
fn no_elements_are_no_trouble() {
    let window = Window::new(&[4, 4], &[2, 2], &[1, 1], &[1, 1], Padding::Same).expect("it fits");
    for format in FORMATS {
        for (batch, channels) in [(0, 5), (5, 0), (usize::MAX, 0), (0, usize::MAX / 64)] {
            let images = Images { format, batch, channels };
            f32::max_pool(&window, images, f32::LEAST, &[], &mut []);
            f32::average_pool_gradient(&window, images, &[], &mut [], &mut []);
            f32::max_pool_gradient(&window, images, &[], &[], &mut [], &mut []);
            let mut filter = vec![7.0_f32; if channels > 5 { 0 } else { 4 * channels }];
            if channels <= 5 {
                let mut scratch = vec![0.0; f32::depthwise_filter_gradient_scratch(&window, images, 1)];
                f32::depthwise_filter_gradient(&window, images, 1, &[], &[], &mut filter, &mut scratch);
                assert!(filter.iter().all(|&x| x == 0.0), "a sum of nothing is 0");
            }
        }
    }
}
