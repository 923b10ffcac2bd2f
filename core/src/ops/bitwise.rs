//! Integers as rows of bits. Operands broadcast as NumPy's do.

use super::math::{broadcast_shape, repeated};
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity, same_dtype,
    unsupported,
};
use crate::{DType, Result, Spec, Tensor};
use modulor_kernels::{Strided, copy};

/// A function of two integers of one type.
#[derive(Clone, Copy)]
enum Bits {
    And,
    Or,
    Xor,
    Left,
    Right,
}

/// An integer as bits.
trait Row: bytemuck::Pod {
    fn of_two(self, other: Self, bits: Bits) -> Self;
    fn inverted(self) -> Self;
    fn count(self) -> u8;
}

macro_rules! rows {
    ($($t:ty)*) => { $(
        impl Row for $t {
            #[inline]
            fn of_two(self, other: $t, bits: Bits) -> $t {
                // A shift by less than no place is one by none, one by more than there are places by all but one.
                let places = other.clamp(0, <$t>::BITS as $t - 1) as u32;
                match bits {
                    Bits::And => self & other,
                    Bits::Or => self | other,
                    Bits::Xor => self ^ other,
                    Bits::Left => self << places,
                    Bits::Right => self >> places,
                }
            }
            #[inline]
            fn inverted(self) -> $t {
                !self
            }
            #[inline]
            fn count(self) -> u8 {
                self.count_ones() as u8
            }
        }
    )* };
}
rows!(i8 i16 i32 i64 u8 u16 u32 u64);

/// Writes a function of each pair, of which the first is in `scratch` beforehand.
fn write<T: Row>(bits: Bits, a: Strided<T>, b: Strided<T>, out: &mut [T], scratch: &mut [T]) {
    copy(a, scratch);
    copy(b, out);
    macro_rules! each {
        ($($way:ident)*) => {
            match bits {
                $(Bits::$way => out.iter_mut().zip(&*scratch).for_each(|(b, a)| *b = a.of_two(*b, Bits::$way)),)*
            }
        };
    }
    each!(And Or Xor Left Right);
}

/// One function of two integers a row.
macro_rules! of_two {
    ($($(#[$doc:meta])* $op:ident $method:ident $bits:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    arity::<2>(inputs)?;
                    let dtype = allowed(same_dtype(inputs)?, DType::is_integer, "integers")?;
                    Ok(vec![Spec::new(dtype, broadcast_shape(inputs)?)])
                }
                fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
                    outputs[0].len() * outputs[0].dtype().size()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let out = &mut outputs[0];
                    let (dims, dtype) = (out.dims(), out.dtype());
                    dispatch!(dtype, integer T => {
                        let out = out.elements::<T>()?;
                        let room = scratch.take::<T>(out.len())?;
                        repeated(inputs, dims, |a, b| write::<T>(Bits::$bits, a, b, out, room))
                    }, else => Err(unsupported(dtype)))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, dtypes must be equal.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op, &[self, &other.operand(self.dtype())?])
                }
            }
        )*
        const OF_TWO: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

of_two! {
    /// The bits that are set in both integers.
    BitwiseAnd bitwise_and And;
    /// The bits that are set in either integer.
    BitwiseOr bitwise_or Or;
    /// The bits that are set in one of both integers alone.
    BitwiseXor bitwise_xor Xor;
    /// The bits moved up by as many places as the other integer says, at least none and at most all but one.
    LeftShift left_shift Left;
    /// The bits moved down by as many places as the other integer says, at least none and at most all but one; the sign
    /// stays.
    RightShift right_shift Right;
}

/// One function of an integer a row, of this dtype or the input's.
macro_rules! of_one {
    ($($(#[$doc:meta])* $op:ident $method:ident $dtype:expr, |$x:ident, $out:ident: $t:ident| $run:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    let dtype = allowed(x.spec.dtype, DType::is_integer, "integers")?;
                    let result: Option<DType> = $dtype;
                    Ok(vec![Spec::new(result.unwrap_or(dtype), &x.spec.shape)])
                }
                fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                    inputs[0].dense_room() * size_of::<u128>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let x = &inputs[0];
                    let (dtype, room) = (x.dtype(), scratch.take(x.dense_room())?);
                    dispatch!(dtype, integer $t => {
                        let ($x, $out) = (x.dense::<$t>(room)?.0, &mut outputs[0]);
                        $run;
                        Ok(())
                    }, else => Err(unsupported(dtype)))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self) -> Result<Tensor> {
                    apply_one($op, &[self])
                }
            }
        )*
        const OF_ONE: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

of_one! {
    /// The integers with every bit the other way.
    Invert invert None, |x, out: T| out.elements::<T>()?.iter_mut().zip(x).for_each(|(y, x)| *y = x.inverted());
    /// How many bits are set, as uint8.
    PopulationCount population_count Some(DType::U8),
        |x, out: T| out.elements::<u8>()?.iter_mut().zip(x).for_each(|(y, x)| *y = x.count());
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[OF_TWO, OF_ONE];
