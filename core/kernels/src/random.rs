//! TensorFlow's stateless random numbers: Philox 4×32-10 and the distributions drawn from it.
//!
//! Philox (Salmon, Moraes, Dror, Shaw: *Parallel random numbers: as easy as 1, 2, 3*, SC 2011) turns a key and a
//! 128-bit block number into 128 random bits, with no state from one block to the next. A tensor of random numbers is
//! therefore a function of position alone: element `i` of a fill depends on the stream and on `i`, never on how the
//! fill was split. Every fill here takes the position of its first element, so that
//!
//! ```
//! # use modulor_kernels::random::{Philox, Real};
//! let stream = Philox::from_seed([42, 0]);
//! let mut whole = [0f32; 7];
//! f32::fill_uniform(stream, 0, &mut whole);
//! let (mut head, mut tail) = ([0f32; 3], [0f32; 4]);
//! f32::fill_uniform(stream, 0, &mut head);
//! f32::fill_uniform(stream, 3, &mut tail);
//! assert_eq!((&whole[..3], &whole[3..]), (&head[..], &tail[..]));
//! ```
//!
//! Uniform numbers and integers equal TensorFlow's CPU kernels bit for bit. The normal distributions follow the same
//! steps with this crate's logarithm, sine and cosine in place of the C library's, so that every platform gives the
//! same bits; against TensorFlow on Linux they differ by at most a few units in the last place.

use half::{bf16, f16};
use std::f64::consts::TAU;

/// One stream of random blocks: a key and the number of its first block.
///
/// The pair is what TensorFlow's `Stateless…V2` ops take as `key` and `counter` (with `alg = 1`, Philox).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Philox {
    key: u64,
    counter: u128,
}

impl Philox {
    /// The stream of `key` that starts at block `counter`, given as its low and its high 64 bits.
    pub const fn new(key: u64, counter: [u64; 2]) -> Self {
        Philox { key, counter: counter[0] as u128 | (counter[1] as u128) << 64 }
    }

    /// The stream that `tf.random.stateless_*` draws from for `seed`; an `int32` seed is widened with its sign.
    ///
    /// The seed names a block of a stream with a fixed key; the 128 bits found there are the new key and the high
    /// half of the new counter. So nearby seeds give unrelated streams, each 2⁶⁴ blocks long.
    pub fn from_seed(seed: [i64; 2]) -> Self {
        /// An arbitrary constant of TensorFlow's.
        const SCRAMBLE: u64 = 0x0246_1E29_3EC8_F720;
        let mix = Philox::new(SCRAMBLE, seed.map(|s| s as u64)).block(0);
        Philox::new(join(mix[0], mix[1]), [0, join(mix[2], mix[3])])
    }

    /// `StatelessRandomGetKeyCounter`'s first output.
    pub const fn key(self) -> u64 {
        self.key
    }

    /// `StatelessRandomGetKeyCounter`'s second output: the low and the high 64 bits of the block number.
    pub const fn counter(self) -> [u64; 2] {
        [self.counter as u64, (self.counter >> 64) as u64]
    }

    /// The same stream from `blocks` blocks further on.
    #[must_use]
    pub const fn skip(self, blocks: u64) -> Self {
        Philox { counter: self.counter.wrapping_add(blocks as u128), ..self }
    }

    /// The 128 bits at `index` blocks from the start, as four words.
    #[inline]
    pub const fn block(self, index: u64) -> [u32; 4] {
        // The paper's constants: the fractional parts of the golden ratio and of √3, and two multipliers found by
        // search for the fastest diffusion.
        const STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
        const MULTIPLIER: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
        let at = self.counter.wrapping_add(index as u128);
        let mut c = [at as u32, (at >> 32) as u32, (at >> 64) as u32, (at >> 96) as u32];
        let mut k = [self.key as u32, (self.key >> 32) as u32];
        let mut round = 0;
        while round < 10 {
            let (a, b) = (MULTIPLIER[0] * c[0] as u64, MULTIPLIER[1] * c[2] as u64);
            c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
            k = [k[0].wrapping_add(STEP[0]), k[1].wrapping_add(STEP[1])];
            round += 1;
        }
        c
    }
}

/// The seed of the value at `path` under `root_seed`: the same in every release and on every platform.
///
/// FNV-1a (64 bits) of the root seed's eight bytes, lowest first, and then of the path's UTF-8 bytes; its result goes
/// through the finalizer of SplitMix64, because FNV's high bits know little of the last bytes.
///
/// ```
/// # use modulor_kernels::random::seed_of;
/// assert_ne!(seed_of(42, "encoder/dense/kernel"), seed_of(42, "decoder/dense/kernel"));
/// assert_ne!(seed_of(42, "encoder/dense/kernel"), seed_of(43, "encoder/dense/kernel"));
/// ```
pub fn seed_of(root_seed: u64, path: &str) -> u64 {
    let bytes = root_seed.to_le_bytes().into_iter().chain(path.bytes());
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let z = hash.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A float type that TensorFlow's stateless distributions are defined for: `f32`, `f64`, `f16`, `bf16`.
pub trait Real: steps::Real {
    /// Uniform on [0, 1): element `first + i` of TensorFlow's `StatelessRandomUniformV2` goes to `out[i]`.
    ///
    /// The values are the multiples of 2⁻²³ (`f32`), 2⁻⁵² (`f64`), 2⁻¹⁰ (`f16`) and 2⁻⁷ (`bf16`).
    fn fill_uniform(stream: Philox, first: u64, out: &mut [Self]);

    /// Standard normal: element `first + i` of TensorFlow's `StatelessRandomNormalV2` goes to `out[i]`.
    ///
    /// Box and Muller's method: uniform u, v give √(-2 ln u)·sin 2πv and √(-2 ln u)·cos 2πv, in this order.
    fn fill_normal(stream: Philox, first: u64, out: &mut [Self]);

    /// Standard normal, drawn again where it lies two or more from zero: element `first + i` of TensorFlow's
    /// `StatelessTruncatedNormalV2` goes to `out[i]`.
    fn fill_truncated_normal(stream: Philox, first: u64, out: &mut [Self]);
}

/// An integer type that TensorFlow's stateless distributions are defined for: `i32`, `i64`, `u32`, `u64`.
pub trait Int: steps::Int {
    /// Uniform on the integers from `low` to below `high`: element `first + i` of TensorFlow's
    /// `StatelessRandomUniformIntV2` goes to `out[i]`.
    ///
    /// Random bits modulo `high - low`, so not quite even unless the difference is a power of two. Bounds are a matter
    /// for the caller: they are read round the circle of the type, and equal ones mean all of it.
    fn fill_between(stream: Philox, first: u64, low: Self, high: Self, out: &mut [Self]);

    /// Uniform on all values of the type: element `first + i` of TensorFlow's `StatelessRandomUniformFullIntV2` goes to
    /// `out[i]`.
    fn fill_bits(stream: Philox, first: u64, out: &mut [Self]);
}

// Written out for each type, so that the loops are compiled with this package and its optimization.
macro_rules! fills {
    ($($real:ident)*; $($int:ident)*) => {
        $(impl Real for $real {
            fn fill_uniform(stream: Philox, first: u64, out: &mut [$real]) {
                fill_groups(first, out, |g| <$real as steps::Real>::uniform(stream.block(g)));
            }
            fn fill_normal(stream: Philox, first: u64, out: &mut [$real]) {
                fill_groups(first, out, |g| <$real as steps::Real>::normal(stream.block(g)));
            }
            fn fill_truncated_normal(stream: Philox, first: u64, out: &mut [$real]) {
                fill_groups(first, out, |g| truncated_group::<$real>(stream, g));
            }
        })*
        $(impl Int for $int {
            fn fill_between(stream: Philox, first: u64, low: $int, high: $int, out: &mut [$int]) {
                fill_groups(first, out, |g| <$int as steps::Int>::between(stream.block(g), low, high));
            }
            fn fill_bits(stream: Philox, first: u64, out: &mut [$int]) {
                fill_groups(first, out, |g| <$int as steps::Int>::bits(stream.block(g)));
            }
        })*
    };
}
fills!(f32 f64 f16 bf16; i32 i64 u32 u64);

mod steps {
    /// What a distribution makes of one block.
    pub trait Real: Copy {
        type Group: Group<Self>;
        fn uniform(block: [u32; 4]) -> Self::Group;
        fn normal(block: [u32; 4]) -> Self::Group;
        /// Gives `keep` the block's normal values that lie less than two from zero.
        fn truncated(block: [u32; 4], keep: impl FnMut(Self));
    }

    /// What a distribution makes of one block.
    pub trait Int: Copy {
        type Group: Group<Self>;
        fn bits(block: [u32; 4]) -> Self::Group;
        fn between(block: [u32; 4], low: Self, high: Self) -> Self::Group;
    }

    /// The array of values that one block turns into: four of 32 bits or less, two of 64.
    pub trait Group<T>: AsRef<[T]> + AsMut<[T]> + Default {}
    impl<T, A: AsRef<[T]> + AsMut<[T]> + Default> Group<T> for A {}
}

/// Group `index` of the truncated normal distribution.
///
/// A group has as many blocks to itself as give each of its elements 256 words, so it never depends on how often
/// another had to draw again.
fn truncated_group<T: steps::Real>(stream: Philox, index: u64) -> T::Group {
    let mut group = T::Group::default();
    let blocks = group.as_ref().len() as u64 * 256 / 4;
    let start = stream.skip(index.wrapping_mul(blocks));
    let mut slots = group.as_mut().iter_mut();
    let mut slot = slots.next();
    let mut block = 0;
    while slot.is_some() {
        T::truncated(start.block(block), |x| {
            if let Some(place) = slot.take() {
                *place = x;
                slot = slots.next();
            }
        });
        block += 1;
    }
    group
}

/// Writes the elements from `first` on of the sequence `group(0), group(1), …`.
#[inline]
fn fill_groups<T: Copy, G: steps::Group<T>>(first: u64, out: &mut [T], group: impl Fn(u64) -> G) {
    let len = G::default().as_ref().len();
    let mut index = first / len as u64;
    let skipped = (first % len as u64) as usize;
    let mut rest = out;
    if skipped > 0 {
        let head;
        (head, rest) = rest.split_at_mut(rest.len().min(len - skipped));
        head.copy_from_slice(&group(index).as_ref()[skipped..][..head.len()]);
        index += 1;
    }
    for chunk in rest.chunks_mut(len) {
        chunk.copy_from_slice(&group(index).as_ref()[..chunk.len()]);
        index += 1;
    }
}

/// A 64-bit word, its low half first.
const fn join(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// A multiple of 2⁻²³ on [0, 1): the word's low bits are the mantissa of a number on [1, 2).
fn unit_f32(word: u32) -> f32 {
    f32::from_bits(0x3F80_0000 | word & 0x007F_FFFF) - 1.0
}

/// A multiple of 2⁻⁵² on [0, 1): the mantissa is the low 20 bits of `high` above all of `low`.
pub(crate) fn unit_f64(high: u32, low: u32) -> f64 {
    f64::from_bits(0x3FF0_0000_0000_0000 | join(low, high & 0x000F_FFFF)) - 1.0
}

/// The smallest number whose logarithm Box and Muller's method takes.
const EPSILON: f64 = 1e-7;

/// Two normal values from two words. Every step is rounded to `f32`, as in TensorFlow; the functions themselves are
/// evaluated in `f64`, which makes them correctly rounded but for one argument in some millions.
fn box_muller_f32(u: u32, v: u32) -> [f32; 2] {
    let u = unit_f32(u).max(EPSILON as f32);
    let angle = (TAU * f64::from(unit_f32(v))) as f32;
    let radius = (-2.0 * libm::log(u.into()) as f32).sqrt();
    let (sin, cos) = libm::sincos(angle.into());
    [sin as f32 * radius, cos as f32 * radius]
}

/// Two normal values from a block.
pub(crate) fn box_muller_f64(block: [u32; 4]) -> [f64; 2] {
    let u = unit_f64(block[0], block[1]).max(EPSILON);
    let angle = TAU * unit_f64(block[2], block[3]);
    let radius = (-2.0 * libm::log(u)).sqrt();
    let (sin, cos) = libm::sincos(angle);
    [sin * radius, cos * radius]
}

/// A block's four normal values in `f32`.
fn normal_f32([a, b, c, d]: [u32; 4]) -> [f32; 4] {
    let ([e, f], [g, h]) = (box_muller_f32(a, b), box_muller_f32(c, d));
    [e, f, g, h]
}

/// The distance from zero at which a truncated normal value is drawn again: two standard deviations.
const TRUNCATION: f64 = 2.0;

impl steps::Real for f32 {
    type Group = [f32; 4];
    fn uniform(block: [u32; 4]) -> [f32; 4] {
        block.map(unit_f32)
    }
    fn normal(block: [u32; 4]) -> [f32; 4] {
        normal_f32(block)
    }
    fn truncated(block: [u32; 4], keep: impl FnMut(f32)) {
        normal_f32(block).into_iter().filter(|x| x.abs() < TRUNCATION as f32).for_each(keep);
    }
}

impl steps::Real for f64 {
    type Group = [f64; 2];
    fn uniform([a, b, c, d]: [u32; 4]) -> [f64; 2] {
        [unit_f64(a, b), unit_f64(c, d)]
    }
    fn normal(block: [u32; 4]) -> [f64; 2] {
        box_muller_f64(block)
    }
    fn truncated(block: [u32; 4], keep: impl FnMut(f64)) {
        box_muller_f64(block).into_iter().filter(|x| x.abs() < TRUNCATION).for_each(keep);
    }
}

/// The half-width types take their mantissas from the low bits of a word each, and their normals from `f32`'s,
/// rounded; the truncation is decided before the rounding, so 2 itself can come out.
macro_rules! half_width {
    ($t:ident, $one:literal, $mantissa:literal) => {
        impl steps::Real for $t {
            type Group = [$t; 4];
            fn uniform(block: [u32; 4]) -> [$t; 4] {
                block.map(|word| $t::from_bits($one | word as u16 & $mantissa) - $t::ONE)
            }
            fn normal(block: [u32; 4]) -> [$t; 4] {
                normal_f32(block).map($t::from_f32)
            }
            fn truncated(block: [u32; 4], mut keep: impl FnMut($t)) {
                <f32 as steps::Real>::truncated(block, |x| keep($t::from_f32(x)));
            }
        }
    };
}
half_width!(f16, 0x3C00, 0x03FF);
half_width!(bf16, 0x3F80, 0x007F);

macro_rules! int {
    ($t:ident, $unsigned:ident, $n:literal, $words:expr) => {
        impl steps::Int for $t {
            type Group = [$t; $n];
            fn bits(block: [u32; 4]) -> [$t; $n] {
                let words: fn([u32; 4]) -> [$unsigned; $n] = $words;
                words(block).map(|bits| bits as $t)
            }
            fn between(block: [u32; 4], low: $t, high: $t) -> [$t; $n] {
                let range = high.wrapping_sub(low) as $unsigned;
                <$t as steps::Int>::bits(block).map(|bits| {
                    let bits = bits as $unsigned;
                    low.wrapping_add(bits.checked_rem(range).unwrap_or(bits) as $t)
                })
            }
        }
    };
}
int!(i32, u32, 4, |block| block);
int!(u32, u32, 4, |block| block);
int!(i64, u64, 2, |[a, b, c, d]| [join(a, b), join(c, d)]);
int!(u64, u64, 2, |[a, b, c, d]| [join(a, b), join(c, d)]);

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream of all golden values below, which TensorFlow 2.21 gave on a CPU with two threads:
    /// `r = tf.raw_ops.StatelessRandomGetKeyCounter(seed=[42, 7])`, then
    /// `tf.raw_ops.Stateless…V2(shape=[1000003], key=r.key, counter=r.counter, alg=1, ..)`.
    fn stream() -> Philox {
        Philox::from_seed([42, 7])
    }

    const LARGE: usize = 1_000_003;

    /// `sum(bits[i] * (2 * i + 1)) mod 2**64`: sees every element's bits and place.
    fn checksum<T: Copy>(values: &[T], bits: impl Fn(T) -> u64) -> u64 {
        let weighted = values.iter().zip(0u64..).map(|(&x, i)| bits(x).wrapping_mul(2 * i + 1));
        weighted.fold(0, u64::wrapping_add)
    }

    fn filled<T: Default + Clone>(len: usize, fill: impl Fn(&mut [T])) -> Vec<T> {
        let mut out = vec![T::default(); len];
        fill(&mut out);
        out
    }

    #[test]
    fn philox_gives_the_known_answers_of_its_authors() {
        let rows = [
            (0, [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            (u64::MAX, [u64::MAX; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                0x299f31d0_a4093822,
                [0x85a308d3_243f6a88, 0x03707344_13198a2e],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (key, counter, block) in rows {
            assert_eq!(Philox::new(key, counter).block(0), block);
        }
    }

    #[test]
    fn seeds_become_tensorflows_keys_and_counters() {
        let rows = [
            ([0, 0], 0xdf7a3ef6dd5b9083, 0xff2f51a833da8054),
            ([42, 0], 0x53939b0589e74cef, 0xb2ca7bfa8e9181c6),
            ([-1, 5], 0xce61931c039442c8, 0xb48f290fd65507ac),
            ([1099511627779, -7], 0x7ea3cbbde38b2be6, 0x62cc81c7cb32b9c0),
        ];
        for (seed, key, high) in rows {
            let stream = Philox::from_seed(seed);
            assert_eq!((stream.key(), stream.counter()), (key, [0, high]), "seed {seed:?}");
        }
    }

    #[test]
    fn seeds_of_paths_never_change() {
        let rows = [
            (0, "", 0x5ba314b8cfda3b6b),
            (42, "dense/kernel", 0xaf9fbf60ab705251),
            (42, "dense/bias", 0x932d258217e1a310),
            (u64::MAX, "größe", 0xffe900a03cf863c4),
        ];
        for (root, path, seed) in rows {
            assert_eq!(seed_of(root, path), seed, "{root} {path:?}");
        }
    }

    #[test]
    fn skipping_carries_into_the_high_half_and_wraps_round() {
        let stream = Philox::new(3, [u64::MAX - 1, u64::MAX]);
        assert_eq!(stream.skip(2).counter(), [0, 0]);
        assert_eq!(stream.block(5), stream.skip(5).block(0));
        assert_eq!(Philox::new(3, [u64::MAX, 6]).skip(1).counter(), [0, 7]);
    }

    #[test]
    fn uniform_numbers_equal_tensorflows() {
        let f32s = filled(LARGE, |out| f32::fill_uniform(stream(), 0, out));
        assert_eq!(checksum(&f32s, |x| x.to_bits().into()), 0x11ece8ec7d2aeebc);
        let f64s = filled(LARGE, |out| f64::fill_uniform(stream(), 0, out));
        assert_eq!(checksum(&f64s, f64::to_bits), 0x838147c3150fd1c4);
        let f16s = filled(LARGE, |out| f16::fill_uniform(stream(), 0, out));
        assert_eq!(checksum(&f16s, |x| x.to_bits().into()), 0x311668421d8838);
        let bf16s = filled(LARGE, |out| bf16::fill_uniform(stream(), 0, out));
        assert_eq!(checksum(&bf16s, |x| x.to_bits().into()), 0x38a3551ba871c8);
    }

    #[test]
    fn integers_equal_tensorflows() {
        let bits = |x: i32| u64::from(x as u32);
        let i32s = filled(LARGE, |out| i32::fill_bits(stream(), 0, out));
        assert_eq!(checksum(&i32s, bits), 0x738d25e0a765c33c);
        let u64s = filled(LARGE, |out| u64::fill_bits(stream(), 0, out));
        assert_eq!(checksum(&u64s, |x| x), 0xf2baed4bbb9d5f88);
        for (low, high, narrow, wide) in [
            (-5, 1000, 0x24ac1ec623cbc826, 0x1c453a9c11d8c),
            (3, 4, 0x2ba7f01d89b, 0x2ba7f01d89b),
            (i32::MIN, i32::MAX, 0x4963b30b2765c33c, 0xbf94101231520be),
        ] {
            let i32s = filled(LARGE, |out| i32::fill_between(stream(), 0, low, high, out));
            assert_eq!(checksum(&i32s, bits), narrow, "i32 in [{low}, {high})");
            let (low, high) = (i64::from(low), i64::from(high));
            let i64s = filled(LARGE, |out| i64::fill_between(stream(), 0, low, high, out));
            assert_eq!(checksum(&i64s, |x| x as u64), wide, "i64 in [{low}, {high})");
        }
    }

    #[test]
    fn bounds_are_read_round_the_circle() {
        let all = filled(9, |out| u32::fill_between(stream(), 0, 5, 5, out));
        assert_eq!(
            all,
            filled(9, |out| u32::fill_bits(stream(), 0, out)).iter().map(|x| x.wrapping_add(5)).collect::<Vec<_>>()
        );
        let over = filled(99, |out| i32::fill_between(stream(), 0, i32::MAX, i32::MIN, out));
        assert_eq!(over, [i32::MAX; 99]);
    }

    #[test]
    fn normals_are_tensorflows_to_four_units_in_the_last_place() {
        fn check_f32(fill: fn(Philox, u64, &mut [f32]), head: [u32; 8], tail: [u32; 3]) {
            let ours = [filled(8, |out| fill(stream(), 0, out)), filled(3, |out| fill(stream(), 1_000_000, out))];
            for (x, y) in ours.concat().into_iter().zip(head.into_iter().chain(tail)) {
                assert!(x.to_bits().abs_diff(y) <= 4, "{x} is not {}", f32::from_bits(y));
            }
        }
        fn check_f64(fill: fn(Philox, u64, &mut [f64]), head: [u64; 8], tail: [u64; 3]) {
            let ours = [filled(8, |out| fill(stream(), 0, out)), filled(3, |out| fill(stream(), 1_000_000, out))];
            for (x, y) in ours.concat().into_iter().zip(head.into_iter().chain(tail)) {
                assert!(x.to_bits().abs_diff(y) <= 4, "{x} is not {}", f64::from_bits(y));
            }
        }
        check_f32(
            f32::fill_normal,
            [0xbeda96a1, 0x3f64c26c, 0xbf11f66d, 0xbe4a466e, 0x3d047323, 0xbf014132, 0x3efb00a8, 0xbf959cc4],
            [0xbecad694, 0x3f4f9792, 0x3ee6ac73],
        );
        check_f32(
            f32::fill_truncated_normal,
            [0xbeda96a1, 0x3f64c26c, 0xbf11f66d, 0xbe4a466e, 0xbf55d40a, 0xbf4d0e0c, 0xbe528d69, 0x3f200079],
            [0x3dd6d1cb, 0x3edcc105, 0xbfed981e],
        );
        check_f64(
            f64::fill_normal,
            [
                0xbfd9b9a770e86cdc,
                0xbfccf155412ed23f,
                0xbff449a71667adf8,
                0xc001ae1f0f428c9e,
                0x3fe175a58bd82d2b,
                0xbff93bc369dec38e,
                0xbfd05baef9ca7b0b,
                0x3fd4b8cecc725121,
            ],
            [0xbfe7ddf6117e647c, 0xbfcac89e5aa3f263, 0xc001d88cc7296242],
        );
        check_f64(
            f64::fill_truncated_normal,
            [
                0xbfd9b9a770e86cdc,
                0xbfccf155412ed23f,
                0xbfebcb5d8aa47069,
                0xbfb4d2d5ba3feca3,
                0x3fe85a29b5df6b3b,
                0x3fe7b7b448dc5f30,
                0x3fda54ef3de7b30a,
                0xbfe3ce19d5482788,
            ],
            [0x3ff289a2893ba811, 0x3ff3238bbb0de0d1, 0xbff4d5e1edfdb3db],
        );
    }

    #[test]
    fn half_width_normals_are_f32s_rounded() {
        let golden = [0xb6d5, 0x3b26, 0xb890, 0xb252, 0xbaaf, 0xba68, 0xb294, 0x3900].map(f16::from_bits);
        assert_eq!(filled(8, |out| f16::fill_truncated_normal(stream(), 0, out)), golden);
        let golden = [0xbedb, 0x3f65, 0xbf12, 0xbe4a, 0x3d04, 0xbf01, 0x3efb, 0xbf96].map(bf16::from_bits);
        assert_eq!(filled(8, |out| bf16::fill_normal(stream(), 0, out)), golden);
    }

    /// Not TensorFlow's bits but ours: they may not change between platforms or releases.
    #[test]
    fn normals_have_the_same_bits_everywhere() {
        let f32s = filled(10_007, |out| f32::fill_normal(stream(), 0, out));
        assert_eq!(checksum(&f32s, |x| x.to_bits().into()), 0x2f9fe1e512b4f8a);
        let f64s = filled(10_007, |out| f64::fill_truncated_normal(stream(), 0, out));
        assert_eq!(checksum(&f64s, f64::to_bits), 0xc7d540b7435eba8f);
    }

    #[test]
    fn a_fill_may_start_and_stop_anywhere() {
        fn check<T: Copy + Default + PartialEq + std::fmt::Debug>(fill: impl Fn(u64, &mut [T])) {
            let whole = filled(23, |out| fill(0, out));
            for first in 0..=23 {
                for last in first..=23 {
                    assert_eq!(filled(last - first, |out| fill(first as u64, out)), whole[first..last]);
                }
            }
        }
        check(|first, out| f32::fill_uniform(stream(), first, out));
        check(|first, out| f64::fill_uniform(stream(), first, out));
        check(|first, out| f16::fill_normal(stream(), first, out));
        check(|first, out| f32::fill_truncated_normal(stream(), first, out));
        check(|first, out| f64::fill_truncated_normal(stream(), first, out));
        check::<i64>(|first, out| i64::fill_between(stream(), first, -3, 1 << 40, out));
        check(|first, out| u32::fill_bits(stream(), first, out));
    }

    #[test]
    fn truncated_normals_stay_inside_two() {
        let x = filled(LARGE, |out| f32::fill_truncated_normal(stream(), 0, out));
        assert!(x.iter().all(|x| x.abs() < 2.0));
        let variance = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / LARGE as f64;
        // 1 - 4 φ(2) / (2 Φ(2) - 1)
        assert!((variance - 0.773_741).abs() < 0.003, "{variance}");
    }
}
