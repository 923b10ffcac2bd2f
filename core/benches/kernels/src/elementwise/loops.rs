//! Loops as short as they can be: no subnormal numbers, no infinities, errors of several ulp, sums in f32.

use modulor_kernels::InstructionSet;

pub type Loop = fn(InstructionSet, &[f32], &mut [f32]);

#[inline(always)]
fn exp1(x: f32) -> f32 {
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.7 { 88.7 } else { x };
    const MAGIC: f32 = 12_582_912.0 + 127.0;
    let t = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = t - MAGIC;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.398_2e-3;
    for c in [8.333_452e-3, 4.166_58e-2, 1.666_666_5e-1, 5e-1] {
        p = r.mul_add(p, c);
    }
    ((p * r).mul_add(r, r) + 1.0) * f32::from_bits(t.to_bits() << 23)
}

#[inline(always)]
fn tanh1(x: f32) -> f32 {
    let a = x.abs();
    let big = 1.0 - 2.0 / (exp1(2.0 * a) + 1.0);
    let z = x * x;
    let mut p = -5.704_988_7e-3;
    for c in [2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = z.mul_add(p, c);
    }
    if a < 0.625 { (p * z).mul_add(x, x) } else { big.copysign(x) }
}

/// x Φ(x), by Abramowitz and Stegun 7.1.26.
#[inline(always)]
fn gelu1(x: f32) -> f32 {
    let y = x * std::f32::consts::FRAC_1_SQRT_2;
    let a = y.abs();
    let t = 1.0 / a.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = t.mul_add(p, c);
    }
    let e = 1.0 - p * t * exp1(-a * a);
    0.5 * x * (1.0 + e.copysign(x))
}

#[inline(always)]
fn rows(x: &[f32], out: &mut [f32], exp: impl Fn(f32) -> f32 + Copy) {
    for (x, out) in x.chunks_exact(super::COLUMNS).zip(out.chunks_exact_mut(super::COLUMNS)) {
        let mut m = [f32::NEG_INFINITY; 32];
        let (chunks, rest) = x.as_chunks::<32>();
        for chunk in chunks {
            for i in 0..32 {
                m[i] = if chunk[i] > m[i] { chunk[i] } else { m[i] };
            }
        }
        let greatest = m.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        let mut sums = [0.0; 32];
        let (outs, out_rest) = out.as_chunks_mut::<32>();
        for (chunk, out) in chunks.iter().zip(outs) {
            for i in 0..32 {
                let e = exp(chunk[i] - greatest);
                out[i] = e;
                sums[i] += e;
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for (x, out) in rest.iter().zip(out_rest) {
            *out = exp(x - greatest);
            sum += *out;
        }
        let share = 1.0 / sum;
        out.iter_mut().for_each(|out| *out *= share);
    }
}

pub fn softmax_by(x: &[f32], out: &mut [f32], exp: impl Fn(f32) -> f32 + Copy) {
    rows(x, out, exp);
}

macro_rules! loops {
    ($($(#[$doc:meta])* $name:ident: |$x:ident, $out:ident| $body:expr;)*) => {
        $($(#[$doc])*
        pub fn $name(set: InstructionSet, $x: &[f32], $out: &mut [f32]) {
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
            fn avx512($x: &[f32], $out: &mut [f32]) {
                $body
            }
            #[target_feature(enable = "avx2,fma")]
            fn avx2($x: &[f32], $out: &mut [f32]) {
                $body
            }
            // SAFETY: the caller names a set that is here.
            match set {
                InstructionSet::Avx512 => unsafe { avx512($x, $out) },
                _ => unsafe { avx2($x, $out) },
            }
        })*
    };
}
loops! {
    /// Of two slices, so far as the compiler knows.
    add: |x, out| out.iter_mut().zip(x).zip(std::hint::black_box(x)).for_each(|((out, a), b)| *out = a + b);
    relu: |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| *out = if x > 0.0 { x } else { 0.0 });
    exp: |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| *out = exp1(x));
    tanh: |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| *out = tanh1(x));
    gelu: |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| *out = gelu1(x));
    softmax: |x, out| rows(x, out, |x| exp1(x));
    /// tanh(ax + b)·sigmoid(x) + x, where the numbers that are not x are 0.75 and 0.25.
    chain: |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| {
        *out = tanh1(x.mul_add(0.75, 0.25)) * (1.0 / (1.0 + exp1(-x))) + x;
    });
}
