//! Attention and its gradient: against plain loops in float64, and the same bits by every way to compute them.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{Attention, InstructionSet, Scores, Strided, cast, set_num_threads, with_instruction_set};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// The score of a key that a query does not see.
const HIDDEN: f64 = -0.7 * 3.389_53e38;

/// Numbers of 8 bits from −1 to 1 without order, times `size`: every type can hold them.
fn values<T: Attention>(n: usize, seed: usize, size: f64) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    narrow(&(0..n).map(|i| (bits(i) as f64 - 127.5) / 128.0 * size).collect::<Vec<_>>())
}

fn narrow<T: Attention>(wide: &[f64]) -> Vec<T> {
    let mut own = vec![T::zeroed(); wide.len()];
    cast(Strided::new(wide, &[wide.len()], &[1], 0).expect("contiguous"), &mut own);
    own
}

fn wide<T: Attention>(own: &[T]) -> Vec<f64> {
    let mut wide = vec![0.0; own.len()];
    cast(Strided::new(own, &[own.len()], &[1], 0).expect("contiguous"), &mut wide);
    wide
}

/// Four axes as they lie in memory.
#[derive(Clone)]
struct Laid<T> {
    data: Vec<T>,
    shape: [usize; 4],
    strides: [isize; 4],
    offset: usize,
}

impl<T: Copy> Laid<T> {
    /// Of elements in row-major order, with the axes in this order from outside to inside and `gap` places for each.
    fn new(elements: &[T], shape: [usize; 4], order: [usize; 4], gap: usize, filler: T) -> Self {
        let (mut strides, mut len) = ([0; 4], 1);
        for &axis in order.iter().rev() {
            strides[axis] = (len * gap) as isize;
            len *= shape[axis];
        }
        let mut data = vec![filler; len * gap];
        for (i, &x) in elements.iter().enumerate() {
            let (mut rest, mut at) = (i, 0);
            for axis in (0..4).rev() {
                at += (rest % shape[axis]) as isize * strides[axis];
                rest /= shape[axis];
            }
            data[at as usize] = x;
        }
        Self { data, shape, strides, offset: 0 }
    }

    fn dense(elements: &[T], shape: [usize; 4]) -> Self {
        let [_, b, c, d] = shape.map(|dim| dim as isize);
        Self { data: elements.to_vec(), shape, strides: [b * c * d, c * d, d, 1], offset: 0 }
    }

    fn view(&self) -> Strided<'_, T> {
        Strided::new(&self.data, &self.shape, &self.strides, self.offset).expect("in bounds")
    }
}

/// What attention is asked for.
#[derive(Clone)]
struct Case<T> {
    q: Laid<T>,
    k: Laid<T>,
    v: Laid<T>,
    dy: Laid<T>,
    scale: f64,
    causal: bool,
    mask: Option<Laid<u8>>,
    bias: Option<Laid<T>>,
}

/// Output, scales and gradients.
struct Found<T> {
    out: Vec<T>,
    scales: Vec<f64>,
    gradients: [Vec<T>; 3],
}

impl<T: Attention> PartialEq for Found<T> {
    fn eq(&self, other: &Self) -> bool {
        let bits = |own: &[T]| bytemuck::cast_slice::<T, u8>(own).to_vec();
        let own = |found: &Self| (bits(&found.out), found.gradients.each_ref().map(|own| bits(own)));
        own(self) == own(other) && self.scales == other.scales
    }
}

impl<T: Attention> Case<T> {
    /// Batch, heads, key heads, queries, keys, depth, width.
    fn new([batch, heads, key_heads, queries, keys, depth, width]: [usize; 7]) -> Self {
        let laid = |seed, shape: [usize; 4]| Laid::dense(&values::<T>(shape.iter().product(), seed, 1.0), shape);
        Self {
            q: laid(1, [batch, heads, queries, depth]),
            k: laid(2, [batch, key_heads, keys, depth]),
            v: laid(3, [batch, key_heads, keys, width]),
            dy: laid(4, [batch, heads, queries, width]),
            scale: 0.75,
            causal: false,
            mask: None,
            bias: None,
        }
    }

    fn scores(&self) -> [usize; 4] {
        [self.q.shape[0], self.q.shape[1], self.q.shape[2], self.k.shape[2]]
    }

    fn masked(mut self, sees: impl Fn(usize, usize) -> bool) -> Self {
        let [_, _, queries, keys] = self.scores();
        let mask: Vec<u8> = (0..queries * keys).map(|i| sees(i / keys, i % keys).into()).collect();
        let strides = [0, 0, keys as isize, 1];
        self.mask = Some(Laid { data: mask, shape: self.scores(), strides, offset: 0 });
        self
    }

    /// A bias that differs from head to head and from key to key.
    fn biased(mut self, size: f64) -> Self {
        let [_, heads, _, keys] = self.scores();
        let data = values(heads * keys, 5, size);
        self.bias = Some(Laid { data, shape: self.scores(), strides: [0, keys as isize, 0, 1], offset: 0 });
        self
    }

    fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    fn find(&self) -> Found<T>
    where
        T::Wide: Copy + Into<f64> + From<f32>,
    {
        // What is written to and scratch may hold anything.
        let garbage = values::<T>(1, 7, 100.0)[0];
        let how = Scores {
            scale: self.scale,
            causal: self.causal,
            mask: self.mask.as_ref().map(Laid::view),
            bias: self.bias.as_ref().map(Laid::view),
        };
        let (q, k, v) = (self.q.view(), self.k.view(), self.v.view());
        let rows = self.q.shape[..3].iter().product::<usize>();
        let mut out = vec![garbage; self.dy.view().len()];
        let mut scales = vec![T::Wide::from(f32::NAN); 2 * rows];
        let mut scratch = vec![garbage; T::attention_scratch(self.q.shape, self.v.shape)];
        T::attention(q, k, v, &how, &mut out, &mut scales, &mut scratch);
        let mut gradients = [&q, &k, &v].map(|x| vec![garbage; x.len()]);
        let mut scratch = vec![garbage; T::attention_gradient_scratch(self.q.shape, self.v.shape)];
        let [_, heads, queries, width] = self.dy.shape.map(|dim| dim as isize);
        let strides = [queries * heads * width, width, heads * width, 1];
        let own = Strided::new(&out, &self.dy.shape, &strides, 0).expect("in bounds");
        let [dq, dk, dv] = &mut gradients;
        T::attention_gradient(self.dy.view(), q, k, v, &how, own, &scales, [dq, dk, dv], &mut scratch);
        Found { out, scales: scales.into_iter().map(Into::into).collect(), gradients }
    }

    /// Compares with plain loops: an element errs by at most `places`·eps times what it is made of, and by half a place.
    fn check(&self, eps: f64, own_eps: f64, name: &str) -> Found<T>
    where
        T::Wide: Copy + Into<f64> + From<f32>,
    {
        let found = self.find();
        let ([batch, heads, queries, keys], key_heads) = (self.scores(), self.k.shape[1]);
        let (depth, width, group) = (self.q.shape[3], self.v.shape[3], heads / key_heads);
        let read = |x: &Laid<T>| {
            let mut dense = vec![T::zeroed(); x.view().len()];
            modulor_kernels::copy(x.view(), &mut dense);
            wide(&dense)
        };
        let (q, k, v, dy, out) = (read(&self.q), read(&self.k), read(&self.v), read(&self.dy), wide(&found.out));
        let bias = self.bias.as_ref().map(&read);
        let mask = self.mask.as_ref().map(|mask| {
            let mut dense = vec![0; mask.view().len()];
            modulor_kernels::copy(mask.view(), &mut dense);
            dense
        });
        let near = |found: f64, exact: f64, bound: f64, what: &str, at: usize| {
            if exact.is_nan() {
                return assert!(found.is_nan(), "{name}, {what} {at}: {found}, not NaN");
            }
            let bound = bound + own_eps * exact.abs() + 1e-30;
            assert!((found - exact).abs() <= bound, "{name}, {what} {at}: {found}, not {exact} ± {bound}");
        };
        let (mut dq, mut dk, mut dv) = (vec![[0.0; 2]; q.len()], vec![[0.0; 2]; k.len()], vec![[0.0; 2]; v.len()]);
        for row in 0..batch * heads * queries {
            let (at, head, query) = (row / queries / heads, row / queries % heads, row % queries);
            let key_row = |key: usize| (at * key_heads + head / group) * keys + key;
            // Scores, and how much they are made of.
            let (mut scores, mut most) = (vec![0.0; keys], 0.0_f64);
            let mut hidden = vec![false; keys];
            for key in 0..keys {
                let terms = (0..depth).map(|i| q[row * depth + i] * k[key_row(key) * depth + i] * self.scale);
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                let bias = bias.as_ref().map_or(0.0, |bias| bias[row * keys + key]);
                hidden[key] =
                    self.causal && key > query || mask.as_ref().is_some_and(|mask| mask[row * keys + key] == 0);
                scores[key] = if hidden[key] { HIDDEN } else { sum + bias };
                if !hidden[key] && bias.is_finite() {
                    most = most.max(size + bias.abs());
                }
            }
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let weights: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            let places = (16.0 + 2.0 * most) * eps;
            if keys > 0 && !greatest.is_infinite() {
                let [found, sums] = [found.scales[2 * row], found.scales[2 * row + 1]];
                near(found, greatest, places * greatest.abs() / 16.0 + places, "greatest score", row);
                near(sums, sum, places * sum, "sum", row);
            }
            let mut slopes = vec![0.0; keys];
            let mut sizes = vec![0.0; keys];
            let mut dot = [0.0; 2];
            for i in 0..width {
                let (mut y, mut size) = (0.0, 0.0);
                for key in 0..keys {
                    let v = v[key_row(key) * width + i];
                    y += weights[key] * v;
                    size += weights[key] * v.abs();
                    slopes[key] += dy[row * width + i] * v;
                    sizes[key] += (dy[row * width + i] * v).abs();
                }
                near(out[((at * queries + query) * heads + head) * width + i], y, places * size, "output", row);
                dot[0] += dy[row * width + i] * y;
                dot[1] += dy[row * width + i].abs() * size;
            }
            for key in 0..keys {
                let slope = if hidden[key] { 0.0 } else { weights[key] * (slopes[key] - dot[0]) };
                let size = weights[key] * (sizes[key] + dot[1]) * if hidden[key] { 0.0 } else { 1.0 };
                // The output was rounded to its own places.
                let size = size * (places + own_eps);
                for i in 0..depth {
                    let (q_at, k_at) = (row * depth + i, key_row(key) * depth + i);
                    dq[q_at][0] += slope * k[k_at] * self.scale;
                    dq[q_at][1] += size * (k[k_at] * self.scale).abs();
                    dk[k_at][0] += slope * q[q_at] * self.scale;
                    dk[k_at][1] += size * (q[q_at] * self.scale).abs();
                }
                for i in 0..width {
                    let v_at = key_row(key) * width + i;
                    dv[v_at][0] += weights[key] * dy[row * width + i];
                    dv[v_at][1] += weights[key] * dy[row * width + i].abs() * places;
                }
            }
        }
        let gradients =
            [(dq, heads, queries, depth, "dq"), (dk, key_heads, keys, depth, "dk"), (dv, key_heads, keys, width, "dv")];
        for (found, (expected, heads, rows, width, what)) in found.gradients.iter().zip(gradients) {
            let found = wide(found);
            for (i, [exact, bound]) in expected.into_iter().enumerate() {
                let (row, column) = (i / width, i % width);
                let (at, head, row) = (row / rows / heads, row / rows % heads, row % rows);
                near(found[((at * rows + row) * heads + head) * width + column], exact, bound, what, i);
            }
        }
        found
    }
}

fn on_every_set(test: impl Fn()) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &test);
    }
}

/// Sizes on both sides of every edge of lanes and blocks.
const EDGES: [[usize; 7]; 20] = [
    [0, 2, 1, 3, 3, 2, 2],
    [1, 1, 1, 0, 3, 2, 2],
    [1, 1, 1, 3, 0, 2, 2],
    [1, 2, 2, 3, 3, 0, 2],
    [1, 2, 2, 3, 3, 2, 0],
    [1, 1, 1, 1, 1, 1, 1],
    [2, 3, 1, 5, 7, 3, 4],
    [1, 4, 2, 15, 16, 8, 5],
    [1, 1, 1, 16, 15, 17, 33],
    [1, 1, 1, 17, 17, 5, 3],
    [1, 2, 1, 63, 64, 4, 2],
    [1, 1, 1, 64, 65, 4, 8],
    [1, 2, 1, 65, 63, 2, 3],
    [1, 1, 1, 130, 129, 3, 2],
    [1, 1, 1, 2, 255, 2, 2],
    [2, 1, 1, 3, 257, 2, 1],
    [1, 1, 1, 1, 1024, 2, 1],
    [1, 1, 1, 2, 1025, 1, 2],
    [1, 1, 1, 70, 1543, 2, 2],
    [1, 1, 1, 300, 301, 1, 1],
];

fn check_all<T: Attention>(eps: f64, own_eps: f64, edges: &[[usize; 7]])
where
    T::Wide: Copy + Into<f64> + From<f32>,
{
    for &sizes in edges {
        let name = |how: &str| format!("{sizes:?}, {how}");
        let sees = |query: usize, key: usize| (query * 7 + key * 3) % 5 < 3;
        let plain = Case::<T>::new(sizes);
        plain.check(eps, own_eps, &name("plain"));
        plain.clone().causal().check(eps, own_eps, &name("causal"));
        plain.clone().biased(1.0).check(eps, own_eps, &name("biased"));
        plain.clone().masked(sees).check(eps, own_eps, &name("masked"));
        let all = plain.causal().masked(sees).biased(1.0);
        all.check(eps, own_eps, &name("causal, masked and biased"));
    }
}

#[test]
fn attention_is_that_of_plain_loops() {
    on_every_set(|| check_all::<f32>(f32::EPSILON.into(), 0.0, &EDGES));
    on_every_set(|| check_all::<f64>(f64::EPSILON, 0.0, &EDGES));
    on_every_set(|| check_all::<f16>(f32::EPSILON.into(), f16::EPSILON.into(), &EDGES[..15]));
    on_every_set(|| check_all::<bf16>(f32::EPSILON.into(), bf16::EPSILON.into(), &EDGES));
}

#[test]
fn what_is_deep_goes_by_smaller_blocks() {
    for sizes in [
        [1, 1, 1, 70, 40, 512, 512],
        [1, 2, 1, 5, 300, 600, 3],
        [1, 1, 1, 3, 20, 2, 30_000],
        [1, 1, 1, 2, 3, 200_000, 1],
    ] {
        let mut case = Case::<f32>::new(sizes);
        case.scale = 1.0 / 64.0;
        case.check(f32::EPSILON.into(), 0.0, &format!("{sizes:?}"));
        let mut case = Case::<bf16>::new(sizes);
        case.scale = 1.0 / 64.0;
        case.causal().check(f32::EPSILON.into(), bf16::EPSILON.into(), &format!("{sizes:?}"));
    }
}

#[test]
fn a_view_and_its_copy_have_the_same_bits() {
    fn check<T: Attention>()
    where
        T::Wide: Copy + Into<f64> + From<f32>,
    {
        let dense = Case::<T>::new([2, 4, 2, 67, 70, 9, 12]).masked(|query, key| (query + key) % 3 > 0).biased(1.0);
        let expected = dense.find();
        let laid = |x: &Laid<T>, order, gap| Laid::new(&x.data, x.shape, order, gap, T::zeroed());
        for (order, gap) in [([0, 2, 1, 3], 1), ([3, 2, 1, 0], 1), ([1, 0, 3, 2], 3)] {
            let mut case = dense.clone();
            (case.q, case.k) = (laid(&dense.q, order, gap), laid(&dense.k, order, gap));
            (case.v, case.dy) = (laid(&dense.v, order, gap), laid(&dense.dy, order, gap));
            let (mask, bias) = (case.mask.take().expect("masked"), case.bias.take().expect("biased"));
            let (mut masks, mut biases) = (vec![0; mask.view().len()], vec![T::zeroed(); bias.view().len()]);
            modulor_kernels::copy(mask.view(), &mut masks);
            modulor_kernels::copy(bias.view(), &mut biases);
            case.mask = Some(Laid::new(&masks, mask.shape, order, gap, 0));
            case.bias = Some(Laid::new(&biases, bias.shape, order, gap, T::zeroed()));
            assert!(case.find() == expected, "{order:?}, {gap}");
        }
    }
    check::<f32>();
    check::<f64>();
    check::<f16>();
}

#[test]
fn threads_and_fused_sets_do_not_change_a_bit() {
    let _alone = THREADS.lock();
    fn check<T: Attention>()
    where
        T::Wide: Copy + Into<f64> + From<f32>,
    {
        let cases = [
            Case::<T>::new([2, 4, 2, 130, 140, 16, 24]).causal(),
            Case::<T>::new([1, 3, 3, 70, 300, 32, 8]).masked(|query, key| (query + key) % 3 > 0),
            Case::<T>::new([1, 2, 1, 65, 1100, 8, 8]).biased(2.0),
        ];
        // Of the sets that fuse, and of portable code.
        let mut expected: [Option<Vec<Found<T>>>; 2] = [None, None];
        for threads in [1, 2, 3, 4, 8, 0] {
            set_num_threads(threads);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
                let found = with_instruction_set(set, || cases.iter().map(Case::find).collect::<Vec<_>>());
                match &mut expected[usize::from(set == InstructionSet::Portable)] {
                    Some(expected) => assert!(*expected == found, "{threads} threads, {set:?}"),
                    first => *first = Some(found),
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
    check::<bf16>();
}

#[test]
fn a_query_that_sees_no_key_weighs_all_alike() {
    // Queries 0 and 66 see nothing; the order hides most keys from the first, among them whole blocks.
    for sizes in [[1, 2, 1, 70, 80, 3, 4], [1, 1, 1, 70, 1100, 2, 3], [1, 1, 1, 2, 2, 1, 1]] {
        let last = sizes[3].min(67) - 1;
        for causal in [false, true] {
            let mut case = Case::<f32>::new(sizes).masked(|query, key| query > 0 && query != last && key % 2 == 0);
            case.causal = causal;
            let found = case.check(f32::EPSILON.into(), 0.0, &format!("{sizes:?}, causal {causal}"));
            let heads = sizes[1];
            assert_eq!(found.scales[1] as usize, sizes[4], "all keys count");
            let zeros = |row: usize| found.gradients[0][row * heads * sizes[5]..][..sizes[5]].iter().all(|&x| x == 0.0);
            assert!(zeros(0) && zeros(last), "hidden scores have no gradient");
            let case = Case::<f64>::new(sizes).masked(|_, _| false).causal();
            case.check(f64::EPSILON, 0.0, &format!("{sizes:?}, all hidden"));
        }
    }
}

#[test]
fn hidden_keys_weigh_nothing_whatever_they_hold() {
    let seen = Case::<f32>::new([1, 1, 1, 40, 30, 4, 5]).masked(|_, key| key != 7 && key < 20);
    let expected = seen.find();
    let mut other = seen.clone();
    for key in [7, 20, 25, 29] {
        other.k.data[key * 4..][..4].fill(1e15);
        other.v.data[key * 5..][..5].fill(-1e30);
    }
    let found = other.find();
    assert!(found.out == expected.out && found.scales == expected.scales);
    assert!(found.gradients[0] == expected.gradients[0]);
    for key in [7, 20, 25, 29] {
        assert!(
            found.gradients[1][key * 4..][..4].iter().chain(&found.gradients[2][key * 5..][..5]).all(|&x| x == 0.0)
        );
    }
}

#[test]
fn large_scores_and_infinite_biases_are_those_of_plain_loops() {
    for sizes in [[1, 2, 2, 9, 33, 4, 3], [1, 1, 1, 3, 1100, 2, 2]] {
        let mut large = Case::<f32>::new(sizes);
        large.scale = 1e4;
        large.check(f32::EPSILON.into(), 0.0, "large scores");
        large.scale = -3e3;
        large.biased(1e4).causal().check(f32::EPSILON.into(), 0.0, "large biases");
        let mut infinite = Case::<f64>::new(sizes).biased(1.0);
        let bias = infinite.bias.as_mut().expect("biased");
        for (i, bias) in bias.data.iter_mut().enumerate() {
            // Whole blocks of keys, but not all keys.
            if i % sizes[4] < 600.min(sizes[4] - 5) && i % 7 > 0 || i % 5 == 0 {
                *bias = f64::NEG_INFINITY;
            }
        }
        infinite.check(f64::EPSILON, 0.0, "infinite biases");
        infinite.causal().check(f64::EPSILON, 0.0, "infinite biases and order");
    }
    let mut none = Case::<f32>::new([1, 1, 1, 2, 3, 1, 1]).biased(1.0);
    none.bias.as_mut().expect("biased").data.fill(f32::NEG_INFINITY);
    assert!(none.find().out.iter().all(|y| y.is_nan()), "the softmax of minus infinities is not a number");
    let mut one = Case::<f32>::new([1, 1, 1, 5, 1, 3, 4]);
    one.scale = 1e4;
    let found = one.find();
    assert!(found.out.chunks(4).all(|y| y == one.v.data), "the only key has the weight 1");
}

#[test]
fn nothing_is_attended_to_where_there_is_no_key() {
    let found = Case::<bf16>::new([1, 2, 1, 3, 0, 2, 2]).causal().find();
    assert!(found.out.iter().chain(&found.gradients[0]).all(|&x| x == bf16::ZERO));
    assert!(found.gradients[1].is_empty() && found.gradients[2].is_empty());
    let found = Case::<f64>::new([1, 2, 1, 0, 3, 2, 2]).find();
    assert!(found.out.is_empty() && found.gradients[1].iter().chain(&found.gradients[2]).all(|&x| x == 0.0));
}
