//! Conversions between all types of numbers.
//!
//! Floats to integers truncate towards 0 and saturate, NaN giving 0 (TensorFlow leaves both undefined); integers keep
//! their low bits; f16 and bf16 are reached by way of f32, as TensorFlow does, also from f64 and the integers; a complex
//! number gives its real part.

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::Complex;

use crate::dispatch::by_instruction_set;
use crate::narrow::Half;
use crate::number::Number;
use crate::strided::{Strided, tiles};

/// Writes the elements of `src`, converted, to `out` in row-major order.
///
/// A truth value is a u8 that is 0 or 1 and converts as such; [`Number::nonzero`] is the way back.
///
/// ```
/// use modulor_kernels::{Strided, cast};
///
/// let mut out = [0_u8; 3];
/// cast(Strided::new(&[2.9_f32, -1.0, 300.0], &[3], &[1], 0).expect("in bounds"), &mut out);
/// assert_eq!(out, [2, 0, 255]);
/// ```
///
/// # Panics
/// When `src` and `out` differ in length.
pub fn cast<A: Number, B: Number>(src: Strided<A>, out: &mut [B]) {
    A::cast_into(src, out);
}

/// One element, converted.
trait Convert<B> {
    fn convert(self) -> B;
}

macro_rules! primitive {
    ($($a:ident => [$($b:ident),*]),*) => {
        $($(primitive!($a => $b);)*
        impl Convert<f16> for $a {
            #[inline(always)]
            fn convert(self) -> f16 {
                Half::narrow(self as f32)
            }
        }
        impl Convert<bf16> for $a {
            #[inline(always)]
            fn convert(self) -> bf16 {
                Half::narrow(self as f32)
            }
        })*
    };
    ($a:ident => $b:ident) => {
        impl Convert<$b> for $a {
            #[inline(always)]
            fn convert(self) -> $b {
                self as $b
            }
        }
    };
}
macro_rules! primitives {
    ($($a:ident),*) => {
        primitive!($($a => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64]),*);
    };
}
primitives!(i8, i16, i32, i64, u8, u16, u32, u64);
primitive!(f32 => [f32, f64], f64 => [f32, f64]);

/// Floats to integers, by way of one that vectors are made of. `as` would do the same, element by element.
macro_rules! truncate {
    ($a:ident => $($b:ident by $way:ident),*) => {
        $(impl Convert<$b> for $a {
            #[inline(always)]
            fn convert(self) -> $b {
                const LEAST: $a = $b::MIN as $a;
                /// The first that is too great.
                const END: $a = ($b::MAX / 2 + 1) as $a * 2.0;
                let above = if self > LEAST { self } else { LEAST };
                let inside = if above < END { above } else { LEAST };
                // SAFETY: it is neither NaN nor out of range.
                #[allow(unsafe_code)]
                let truncated = unsafe { inside.to_int_unchecked::<$way>() } as $b;
                let bounded = if self >= END { $b::MAX } else { truncated };
                if self.is_nan() { 0 } else { bounded }
            }
        })*
    };
}
truncate!(f32 => i8 by i32, i16 by i32, i32 by i32, i64 by i64, u8 by i32, u16 by i32, u32 by u32, u64 by u64);
truncate!(f64 => i8 by i32, i16 by i32, i32 by i32, i64 by i64, u8 by i32, u16 by i32, u32 by u32, u64 by u64);

macro_rules! narrow {
    ($($a:ident),*) => {
        $(impl<B> Convert<B> for $a
        where
            f32: Convert<B>,
        {
            #[inline(always)]
            fn convert(self) -> B {
                self.widen().convert()
            }
        })*
    };
}
narrow!(f16, bf16);

/// The parts of a number as real numbers of its own precision.
trait Parts {
    type Real;
    fn parts(self) -> (Self::Real, Self::Real);
}

macro_rules! parts {
    ($($t:ident),*) => {
        $(impl Parts for $t {
            type Real = $t;
            #[inline(always)]
            fn parts(self) -> ($t, $t) {
                (self, $t::default())
            }
        })*
    };
}
parts!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, f16, bf16);

impl<R> Parts for Complex<R> {
    type Real = R;
    #[inline(always)]
    fn parts(self) -> (R, R) {
        (self.re, self.im)
    }
}

/// A number that is made of the parts of another.
trait Assemble<R> {
    fn assemble(re: R, im: R) -> Self;
}

macro_rules! assemble {
    ($($t:ident),*) => {
        $(impl<R: Convert<$t>> Assemble<R> for $t {
            #[inline(always)]
            fn assemble(re: R, _: R) -> Self {
                re.convert()
            }
        })*
    };
}
assemble!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, f16, bf16);

impl<R: Convert<S>, S> Assemble<R> for Complex<S> {
    #[inline(always)]
    fn assemble(re: R, im: R) -> Self {
        Complex::new(re.convert(), im.convert())
    }
}

#[inline(always)]
fn convert_by<A: Parts + Copy, B: Assemble<A::Real>, const FUSED: bool>(src: &[A], out: &mut [B]) {
    for (slot, &x) in out.iter_mut().zip(src) {
        let (re, im) = x.parts();
        *slot = B::assemble(re, im);
    }
}

/// Every conversion as a function of two concrete types, so that all of them are compiled in this package.
macro_rules! casts {
    ($($from:ident: $a:ty),*) => {
        /// A number that every other number converts to. Only the types of this package have it.
        pub trait Cast: Pod {
            /// Converts to any other.
            #[doc(hidden)]
            fn cast_into<B: Cast>(src: Strided<Self>, out: &mut [B]);
            $(#[doc(hidden)]
            fn $from(src: Strided<$a>, out: &mut [Self]);)*
        }
        $(impl Cast for $a {
            fn cast_into<B: Cast>(src: Strided<Self>, out: &mut [B]) {
                B::$from(src, out);
            }
            casts!(into $a);
        })*
    };
    (into $b:ty) => {
        casts!(methods $b: from_i8: i8, from_i16: i16, from_i32: i32, from_i64: i64, from_u8: u8, from_u16: u16,
            from_u32: u32, from_u64: u64, from_f16: f16, from_bf16: bf16, from_f32: f32, from_f64: f64,
            from_c64: Complex<f32>, from_c128: Complex<f64>);
    };
    (methods $b:ty: $($from:ident: $a:ty),*) => {
        $(fn $from(src: Strided<$a>, out: &mut [Self]) {
            by_instruction_set!(fn convert(src: &[$a], out: &mut [$b]) = convert_by::<$a, $b>);
            tiles(src, out, convert);
        })*
    };
}
casts!(from_i8: i8, from_i16: i16, from_i32: i32, from_i64: i64, from_u8: u8, from_u16: u16, from_u32: u32,
    from_u64: u64, from_f16: f16, from_bf16: bf16, from_f32: f32, from_f64: f64, from_c64: Complex<f32>,
    from_c128: Complex<f64>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction_set::{InstructionSet, with_instruction_set};

    macro_rules! check {
        ($x:expr => $($b:ident),*) => {
            $(for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
                let (x, mut found) = ($x, vec![7; $x.len()]);
                let (shape, strides) = ([x.len()], [1]);
                let view = Strided::new(x, &shape, &strides, 0).expect("contiguous");
                with_instruction_set(set, || cast::<_, $b>(view, &mut found));
                for (&x, &found) in x.iter().zip(&found) {
                    assert_eq!(found, x as $b, "{x:e} as {} by {set:?}", stringify!($b));
                }
            })*
        };
    }

    #[test]
    fn floats_become_the_integers_that_as_makes_of_them() {
        let powers = (-4..68).map(|e| 2_f64.powi(e));
        let near = |x: f64| [x, x.next_up(), x.next_down(), x - 0.5, x + 0.5, x - 1.0, x * 1.5];
        let both = powers.flat_map(near).flat_map(|x| [x, -x]);
        let special = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324];
        let wide: Vec<f64> = both.chain(special).collect();
        let narrow: Vec<f32> =
            wide.iter().flat_map(|&x| [x as f32, (x as f32).next_up(), (x as f32).next_down()]).collect();
        check!(&wide => i8, i16, i32, i64, u8, u16, u32, u64);
        check!(&narrow => i8, i16, i32, i64, u8, u16, u32, u64);
    }
}
