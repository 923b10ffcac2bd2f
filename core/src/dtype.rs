//! Element types: TensorFlow's names, Rust's values.

use crate::{Error, Result};
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};
use std::fmt;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $size:literal $number:literal;)*) => {
        /// The type of a tensor's elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every dtype, in order of declaration.
            pub const ALL: &[DType] = &[$(DType::$variant,)*];

            /// TensorFlow's name of it, as in `tf.float32.name`.
            pub const fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// Bytes of one element; 0 for strings, resources and variants, which are not stored as plain bytes.
            pub const fn size(self) -> usize {
                match self { $(DType::$variant => $size,)* }
            }

            /// Its number in TensorFlow's files, of the enum `DataType`.
            pub const fn number(self) -> i32 {
                match self { $(DType::$variant => $number,)* }
            }
        }
    };
}

dtypes! {
    /// IEEE 754 single precision, `float32`.
    F32 "float32" 4 1;
    /// IEEE 754 double precision, `float64`.
    F64 "float64" 8 2;
    /// IEEE 754 half precision, `float16` (TensorFlow's `half`).
    F16 "float16" 2 19;
    /// The upper half of a `float32`, `bfloat16`.
    BF16 "bfloat16" 2 14;
    /// `int8`
    I8 "int8" 1 6;
    /// `int16`
    I16 "int16" 2 5;
    /// `int32`
    I32 "int32" 4 3;
    /// `int64`
    I64 "int64" 8 9;
    /// `uint8`
    U8 "uint8" 1 4;
    /// `uint16`
    U16 "uint16" 2 17;
    /// `uint32`
    U32 "uint32" 4 22;
    /// `uint64`
    U64 "uint64" 8 23;
    /// `bool`, stored as one byte of 0 or 1.
    Bool "bool" 1 10;
    /// A pair of `float32`, `complex64`.
    Complex64 "complex64" 8 8;
    /// A pair of `float64`, `complex128`.
    Complex128 "complex128" 16 18;
    /// Byte strings, `string`: any bytes, UTF-8 or not.
    String "string" 0 7;
    /// A handle to state, as the variable ops take it; never arithmetic.
    Resource "resource" 0 20;
    /// A list of tensors, or some that may be there or not, as the ops of lists and optionals make them: `variant`.
    Variant "variant" 0 21;
}

impl DType {
    /// The dtype that TensorFlow calls `name`, or an error that lists them.
    pub fn from_name(name: &str) -> Result<DType> {
        DType::ALL.iter().copied().find(|d| d.name() == name).ok_or_else(|| {
            let known: Vec<_> = DType::ALL.iter().map(|d| d.name()).collect();
            Error::invalid_argument(format!("unknown dtype `{name}`; the dtypes are {}", known.join(", ")))
        })
    }

    /// The dtype with this [number](DType::number), if there is one.
    pub fn from_number(number: i32) -> Option<DType> {
        DType::ALL.iter().copied().find(|d| d.number() == number)
    }

    /// `float16`, `bfloat16`, `float32` or `float64`.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
    }

    /// Any signed or unsigned integer; not `bool`.
    pub const fn is_integer(self) -> bool {
        matches!(
            self,
            DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::U8 | DType::U16 | DType::U32 | DType::U64
        )
    }

    /// `complex64` or `complex128`.
    pub const fn is_complex(self) -> bool {
        matches!(self, DType::Complex64 | DType::Complex128)
    }

    /// Whether gradients flow through values of this type: numbers with a fraction, and lists, which may be of such.
    pub const fn is_differentiable(self) -> bool {
        self.is_float() || self.is_complex() || matches!(self, DType::Variant)
    }

    /// Whether a tensor of this type has elements, numbers, bools or strings: not handles, nor lists.
    pub const fn has_elements(self) -> bool {
        !matches!(self, DType::Resource | DType::Variant)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that is the element of a tensor of one dtype.
pub trait Element: Clone + Send + Sync + 'static {
    /// The dtype.
    const DTYPE: DType;
    /// How one element lies in memory: itself, or `u8` for `bool`.
    type Stored: bytemuck::Pod + Send + Sync;
    /// The stored form of a vector, the same allocation.
    fn store(values: Vec<Self>) -> Vec<Self::Stored>;
    /// The value of one stored element.
    fn load(stored: Self::Stored) -> Self;
}

macro_rules! elements {
    ($($t:ty => $d:ident),* $(,)?) => { $(
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            type Stored = $t;
            fn store(values: Vec<Self>) -> Vec<Self> { values }
            fn load(stored: Self) -> Self { stored }
        }
    )* };
}

elements! {
    f32 => F32, f64 => F64, f16 => F16, bf16 => BF16,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    Complex32 => Complex64, Complex64 => Complex128,
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    type Stored = u8;
    fn store(values: Vec<bool>) -> Vec<u8> {
        bytemuck::cast_vec(values)
    }
    fn load(stored: u8) -> bool {
        stored != 0
    }
}

/// Runs one body with a type alias for the element type of a dtype: `dispatch!(dtype, float T => body, else => other)`.
///
/// The families are `float` (f32 f64 f16 bf16), `integer` (i8 to u64), `number` (both), `complex`, `arithmetic`
/// (numbers and complex).
macro_rules! dispatch {
    ($d:expr, float $t:ident => $body:expr, else => $other:expr) => {
        $crate::dtype::dispatch!(@ $d, $t, $body, $other, F32 f32, F64 f64, F16 half::f16, BF16 half::bf16)
    };
    ($d:expr, integer $t:ident => $body:expr, else => $other:expr) => {
        $crate::dtype::dispatch!(@ $d, $t, $body, $other,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    ($d:expr, number $t:ident => $body:expr, else => $other:expr) => {
        $crate::dtype::dispatch!(@ $d, $t, $body, $other, F32 f32, F64 f64, F16 half::f16, BF16 half::bf16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    ($d:expr, complex $t:ident => $body:expr, else => $other:expr) => {
        $crate::dtype::dispatch!(@ $d, $t, $body, $other,
            Complex64 num_complex::Complex32, Complex128 num_complex::Complex64)
    };
    ($d:expr, arithmetic $t:ident => $body:expr, else => $other:expr) => {
        $crate::dtype::dispatch!(@ $d, $t, $body, $other, F32 f32, F64 f64, F16 half::f16, BF16 half::bf16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            Complex64 num_complex::Complex32, Complex128 num_complex::Complex64)
    };
    (@ $d:expr, $t:ident, $body:expr, $other:expr, $($v:ident $ty:ty),*) => {
        match $d {
            $($crate::DType::$v => { #[allow(dead_code)] type $t = $ty; $body })*
            _ => $other,
        }
    };
}
pub(crate) use dispatch;

/// Runs one body with a type alias for what is as wide as the elements of a dtype: moving elements is the same for all
/// dtypes of one width. `by_width!(dtype, T => body)`; the dtype must be plain.
///
/// The wide ones are pairs, since the complex numbers of a caller's vector are aligned like their parts.
macro_rules! by_width {
    ($d:expr, $t:ident => $body:expr) => {
        match $d.size() {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            8 => {
                type $t = [u32; 2];
                $body
            }
            _ => {
                type $t = [u64; 2];
                $body
            }
        }
    };
}
pub(crate) use by_width;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_an_element_is_as_wide_and_no_more_aligned() {
        fn check<T: Element>() {
            by_width!(T::DTYPE, W => {
                assert_eq!(size_of::<W>(), size_of::<T::Stored>(), "{}", T::DTYPE);
                assert!(align_of::<W>() <= align_of::<T::Stored>(), "{}", T::DTYPE);
            });
        }
        check::<bool>();
        for dtype in DType::ALL {
            dispatch!(*dtype, arithmetic T => check::<T>(), else => ());
        }
    }
}
