//! The innermost part of a matrix product: a few rows times a few columns, kept in registers.

use bytemuck::{Pod, Zeroable};
use num_complex::Complex;

use crate::complex;

/// Terms that are added up before their sum joins the others: bounds the error, and keeps panels in the first cache.
pub(crate) const BLOCK: usize = 128;
/// The largest tile of any instruction set.
pub(crate) const MAX_ROWS: usize = 12;
pub(crate) const MAX_COLUMNS: usize = 32;

/// A number that products are summed in.
pub(crate) trait Term: Pod {
    /// The tiles for an instruction set.
    fn tiles(set: Instructions) -> &'static Tiles<Self>;
}

/// Fills `out`, rows × columns, with a product: `a` holds as many terms as rows for each place along k, `b` as many as
/// columns, `pitch` terms from one place to the next.
///
/// # Safety
/// The machine must have the instruction set the tile was written for.
pub(crate) type Tile<T> = unsafe fn(a: &[T], b: &[T], pitch: usize, out: &mut [T]);

/// Tiles of some heights and widths. All of them sum in the same order.
pub(crate) struct Tiles<T> {
    /// The heights, greatest first, down to 1.
    pub(crate) heights: [usize; 3],
    /// The widths, greatest first.
    pub(crate) widths: [usize; 2],
    pub(crate) of: [[Tile<T>; 2]; 3],
}

/// The instruction sets that have their own tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    /// The best of this machine.
    pub(crate) fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// A tile written out for vectors of one type; `$set`, `$add` and `$mul` are their instructions.
macro_rules! vector_tile {
    ($name:ident: $t:ty, $vector:ty, $lanes:literal, $feature:literal, $set:path, $add:path, $mul:path) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $feature)]
        fn $name<const ROWS: usize, const VECTORS: usize>(a: &[$t], b: &[$t], pitch: usize, out: &mut [$t]) {
            let mut total = [[<$vector>::zeroed(); VECTORS]; ROWS];
            for (block, a) in a.chunks(BLOCK * ROWS).enumerate() {
                let mut sum = [[<$vector>::zeroed(); VECTORS]; ROWS];
                let mut start = block * BLOCK * pitch;
                for a in a.chunks_exact(ROWS) {
                    let b = &b[start..][..VECTORS * $lanes];
                    start += pitch;
                    let mut columns = [<$vector>::zeroed(); VECTORS];
                    for (column, b) in columns.iter_mut().zip(b.chunks_exact($lanes)) {
                        let lanes: [$t; $lanes] = b.try_into().expect("cut to this length");
                        *column = bytemuck::cast(lanes);
                    }
                    for (sums, &a) in sum.iter_mut().zip(a) {
                        let a = $set(a);
                        for (sum, &b) in sums.iter_mut().zip(&columns) {
                            *sum = $add(*sum, $mul(a, b));
                        }
                    }
                }
                for (totals, sums) in total.iter_mut().zip(sum) {
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total = $add(*total, sum);
                    }
                }
            }
            for (out, vector) in out.chunks_exact_mut($lanes).zip(total.as_flattened()) {
                out.copy_from_slice(&bytemuck::cast::<$vector, [$t; $lanes]>(*vector));
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

vector_tile!(f32_avx512: f32, __m512, 16, "avx512f", _mm512_set1_ps, _mm512_add_ps, _mm512_mul_ps);
vector_tile!(f32_avx2: f32, __m256, 8, "avx2", _mm256_set1_ps, _mm256_add_ps, _mm256_mul_ps);
vector_tile!(f32_sse2: f32, __m128, 4, "sse2", _mm_set1_ps, _mm_add_ps, _mm_mul_ps);
vector_tile!(f64_avx512: f64, __m512d, 8, "avx512f", _mm512_set1_pd, _mm512_add_pd, _mm512_mul_pd);
vector_tile!(f64_avx2: f64, __m256d, 4, "avx2", _mm256_set1_pd, _mm256_add_pd, _mm256_mul_pd);
vector_tile!(f64_sse2: f64, __m128d, 2, "sse2", _mm_set1_pd, _mm_add_pd, _mm_mul_pd);

/// A tile for everything else; what `$add` and `$mul` become is up to the compiler.
macro_rules! scalar_tile {
    ($name:ident: $t:ty, $add:expr, $mul:expr) => {
        fn $name<const ROWS: usize, const COLUMNS: usize>(a: &[$t], b: &[$t], pitch: usize, out: &mut [$t]) {
            let (add, mul): (fn($t, $t) -> $t, fn($t, $t) -> $t) = ($add, $mul);
            let mut total = [[<$t>::zeroed(); COLUMNS]; ROWS];
            for (block, a) in a.chunks(BLOCK * ROWS).enumerate() {
                let mut sum = [[<$t>::zeroed(); COLUMNS]; ROWS];
                let mut start = block * BLOCK * pitch;
                for a in a.chunks_exact(ROWS) {
                    let b = &b[start..][..COLUMNS];
                    start += pitch;
                    for (sums, &a) in sum.iter_mut().zip(a) {
                        for (sum, &b) in sums.iter_mut().zip(b) {
                            *sum = add(*sum, mul(a, b));
                        }
                    }
                }
                for (total, &sum) in total.as_flattened_mut().iter_mut().zip(sum.as_flattened()) {
                    *total = add(*total, sum);
                }
            }
            out.copy_from_slice(total.as_flattened());
        }
    };
}
#[cfg(not(target_arch = "x86_64"))]
scalar_tile!(f32_portable: f32, |a, b| a + b, |a, b| a * b);
#[cfg(not(target_arch = "x86_64"))]
scalar_tile!(f64_portable: f64, |a, b| a + b, |a, b| a * b);

macro_rules! tiles {
    ($tile:ident, $lanes:literal: $r0:literal $r1:literal $r2:literal by $w0:literal $w1:literal) => {
        &Tiles {
            heights: [$r0, $r1, $r2],
            widths: [$w0 * $lanes, $w1 * $lanes],
            of: [
                [$tile::<$r0, $w0>, $tile::<$r0, $w1>],
                [$tile::<$r1, $w0>, $tile::<$r1, $w1>],
                [$tile::<$r2, $w0>, $tile::<$r2, $w1>],
            ],
        }
    };
}

macro_rules! vector_terms {
    ($($t:ty: $avx512:ident $lanes512:literal, $avx2:ident $lanes2:literal, $sse2:ident $lanes:literal, $portable:ident;)*) => {
        $(impl Term for $t {
            fn tiles(set: Instructions) -> &'static Tiles<Self> {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    Instructions::Avx512 => tiles!($avx512, $lanes512: 12 4 1 by 2 1),
                    #[cfg(target_arch = "x86_64")]
                    Instructions::Avx2 => tiles!($avx2, $lanes2: 6 3 1 by 2 1),
                    #[cfg(target_arch = "x86_64")]
                    Instructions::Portable => tiles!($sse2, $lanes: 4 2 1 by 2 1),
                    #[cfg(not(target_arch = "x86_64"))]
                    Instructions::Portable => tiles!($portable, 1: 4 2 1 by 8 4),
                }
            }
        })*
    };
}
vector_terms! {
    f32: f32_avx512 16, f32_avx2 8, f32_sse2 4, f32_portable;
    f64: f64_avx512 8, f64_avx2 4, f64_sse2 2, f64_portable;
}

macro_rules! scalar_terms {
    ($($name:ident: $t:ty, $add:expr, $mul:expr;)*) => {
        $(scalar_tile!($name: $t, $add, $mul);
        impl Term for $t {
            fn tiles(_: Instructions) -> &'static Tiles<Self> {
                tiles!($name, 1: 4 2 1 by 8 4)
            }
        })*
    };
}
scalar_terms! {
    i8_portable: i8, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i16_portable: i16, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i32_portable: i32, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i64_portable: i64, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u8_portable: u8, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u16_portable: u16, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u32_portable: u32, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u64_portable: u64, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    complex64_portable: Complex<f32>, complex::add, complex::mul;
    complex128_portable: Complex<f64>, complex::add, complex::mul;
}
