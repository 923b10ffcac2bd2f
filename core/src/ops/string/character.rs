//! Strings as characters: their case, their ends, their number, some of them.

use super::{each, shown, strings};
use crate::op::{Accuracy, Attrs, Backward, Input, Op, OpDef, allowed, apply_one, arity, int_values, same_dtype};
use crate::ops::math::broadcast_shape;
use crate::shape::broadcast;
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

/// What positions in a string count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CharUnit {
    /// Bytes.
    #[default]
    Byte,
    /// Characters of UTF-8.
    Utf8Char,
}

impl CharUnit {
    fn of(attrs: &Attrs) -> Result<CharUnit> {
        match &*attrs.string("unit", "BYTE".to_owned())? {
            "BYTE" => Ok(CharUnit::Byte),
            "UTF8_CHAR" => Ok(CharUnit::Utf8Char),
            other => Err(Error::invalid_argument(format!("`unit` is BYTE or UTF8_CHAR, found {other:?}"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            CharUnit::Byte => "BYTE",
            CharUnit::Utf8Char => "UTF8_CHAR",
        }
    }

    /// Where each unit begins, and where the last one ends.
    fn starts(self, text: &[u8]) -> Vec<usize> {
        let is_start = |at: &usize| self == CharUnit::Byte || text[*at] & 0xc0 != 0x80;
        (0..text.len()).filter(is_start).chain([text.len()]).collect()
    }

    fn count(self, text: &[u8]) -> usize {
        match self {
            CharUnit::Byte => text.len(),
            CharUnit::Utf8Char => text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count(),
        }
    }
}

/// Whether a byte is one of ASCII's white space, as C counts it.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Bytes without the white space at both ends.
pub(super) fn stripped(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| !is_space(byte)).map_or(start, |at| at + 1);
    &text[start..end]
}

/// Letters of another case.
macro_rules! cases {
    ($($(#[$doc:meta])* $op:ident $method:ident $ascii:ident $unicode:ident;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                encoding: String,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("encoding", self.encoding.clone())
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    Ok(vec![Spec::new(strings(x.spec, "the input")?, &x.spec.shape)])
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    each(inputs[0], |text| {
                        Ok(match self.encoding.is_empty() {
                            true => text.$ascii(),
                            false => String::from_utf8_lossy(text).$unicode().into_bytes(),
                        })
                    })
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                /// `encoding` is `"utf-8"`, or empty for letters of ASCII alone, which leaves all other bytes as they are.
                #[doc = concat!("TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, encoding: &str) -> Result<Tensor> {
                    let encoding = check_encoding(encoding).map_err(|error| error.in_op(stringify!($op)))?;
                    apply_one($op { encoding }, &[self])
                }
            }
        )*
        pub(super) const CASES: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| {
                Ok(Arc::new($op { encoding: check_encoding(&attrs.string("encoding", String::new())?)? }))
            },
            accuracy: Accuracy::Exact,
        }),*];
    };
}

fn check_encoding(encoding: &str) -> Result<String> {
    match encoding {
        "" | "utf-8" => Ok(encoding.to_owned()),
        other => Err(Error::invalid_argument(format!("`encoding` is empty or \"utf-8\", found {other:?}"))),
    }
}

cases! {
    /// Each string in small letters.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2], ["Hello", "ÄB"])?;
    /// assert_eq!(x.string_lower("utf-8")?.to_strings()?[1][..], *"äb".as_bytes());
    /// assert_eq!(x.string_lower("")?.to_strings()?[1][..], *"Äb".as_bytes());
    /// # Ok(())
    /// # }
    /// ```
    StringLower string_lower to_ascii_lowercase to_lowercase;
    /// Each string in capital letters.
    StringUpper string_upper to_ascii_uppercase to_uppercase;
}

/// Strings without the white space of ASCII at both ends.
#[derive(Debug, Default)]
struct StringStrip;

impl Op for StringStrip {
    fn name(&self) -> &'static str {
        "StringStrip"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Ok(vec![Spec::new(strings(x.spec, "the input")?, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        each(inputs[0], |text| Ok(stripped(text).to_vec()))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// How long strings are.
#[derive(Debug)]
struct StringLength {
    unit: CharUnit,
}

impl Op for StringLength {
    fn name(&self) -> &'static str {
        "StringLength"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("unit", self.unit.name())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        strings(x.spec, "the input")?;
        Ok(vec![Spec::new(DType::I32, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let lengths = inputs[0].to_strings()?.iter().map(|text| self.unit.count(text) as i32).collect::<Vec<_>>();
        Ok(vec![Tensor::new(inputs[0].dims()?, lengths)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// Some units of each string.
#[derive(Debug)]
struct Substr {
    unit: CharUnit,
}

impl Op for Substr {
    fn name(&self) -> &'static str {
        "Substr"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("unit", self.unit.name())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, pos, len] = arity(inputs)?;
        strings(x.spec, "the input")?;
        let index = same_dtype(&[*pos, *len])?;
        allowed(index, |d| matches!(d, DType::I32 | DType::I64), "positions and lengths of int32 or int64")?;
        if !pos.spec.shape.is_compatible_with(&len.spec.shape) {
            let (pos, len) = (&pos.spec.shape, &len.spec.shape);
            return Err(Error::invalid_argument(format!("pos and len must have one shape, found {pos} and {len}")));
        }
        Ok(vec![Spec::new(DType::String, broadcast_shape(&[*x, *pos])?)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let shape = broadcast(inputs[0].shape(), inputs[1].shape())?;
        let dims = shape.known().unwrap_or_default();
        let texts = inputs[0].broadcast_to(dims)?.to_strings()?;
        let [pos, len] = [inputs[1], inputs[2]].map(|index| int_values(&index.broadcast_to(dims)?));
        let (pos, len) = (pos?, len?);
        let mut parts = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let starts = self.unit.starts(text);
            let count = starts.len() - 1;
            let begin = if pos[at] < 0 { pos[at] + count as i64 } else { pos[at] };
            let Some(begin) = usize::try_from(begin).ok().filter(|&begin| begin <= count) else {
                let message = format!("pos {} out of range for string {} at index {at}", pos[at], shown(text));
                return Err(Error::invalid_argument(message));
            };
            let end = match usize::try_from(len[at]) {
                Ok(len) => begin.saturating_add(len).min(count),
                Err(_) => self.past_negative(begin, count),
            };
            parts.push(&text[starts[begin]..starts[end]]);
        }
        Ok(vec![Tensor::strings(dims, parts)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

impl Substr {
    /// Where a part of negative length ends: in TensorFlow, with the string, as if there were bytes without end.
    fn past_negative(&self, begin: usize, count: usize) -> usize {
        match self.unit {
            CharUnit::Byte => count,
            CharUnit::Utf8Char => begin,
        }
    }
}

impl Tensor {
    /// Each string without the white space of ASCII at both ends. TensorFlow's `StringStrip`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::strings([1], [" a b\n"])?.string_strip()?.to_strings()?[0][..], *b"a b");
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_strip(&self) -> Result<Tensor> {
        apply_one(StringStrip, &[self])
    }

    /// How many units each string has (int32). TensorFlow's `StringLength`.
    ///
    /// ```
    /// use modulor_core::{CharUnit, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2], ["", "né"])?;
    /// assert_eq!(x.string_length(CharUnit::Byte)?.to_vec::<i32>()?, [0, 3]);
    /// assert_eq!(x.string_length(CharUnit::Utf8Char)?.to_vec::<i32>()?, [0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_length(&self, unit: CharUnit) -> Result<Tensor> {
        apply_one(StringLength { unit }, &[self])
    }

    /// Of each string `len` units from `pos` on, or as many as there are; a negative `pos` counts from the end. Both are
    /// int32 or int64 of one shape, and broadcast with the strings. TensorFlow's `Substr`.
    ///
    /// An error where `pos` is outside of a string.
    ///
    /// ```
    /// use modulor_core::{CharUnit, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2], ["Hello", "World"])?;
    /// let y = x.substr(&Tensor::scalar(-4), &Tensor::scalar(2), CharUnit::Byte)?;
    /// assert_eq!(y.to_strings()?, Tensor::strings([2], ["el", "or"])?.to_strings()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn substr(&self, pos: &Tensor, len: &Tensor, unit: CharUnit) -> Result<Tensor> {
        apply_one(Substr { unit }, &[self, pos, len])
    }
}

pub(super) const OTHERS: &[OpDef] = &[
    OpDef::plain::<StringStrip>("StringStrip", Accuracy::Exact),
    OpDef {
        name: "StringLength",
        parse: |attrs| Ok(Arc::new(StringLength { unit: CharUnit::of(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "Substr",
        parse: |attrs| Ok(Arc::new(Substr { unit: CharUnit::of(attrs)? })),
        accuracy: Accuracy::Exact,
    },
];
