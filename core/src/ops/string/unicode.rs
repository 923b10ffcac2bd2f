//! Strings as the code points of their characters, and back.

use super::{checked_splits, places, strings};
use crate::op::{Accuracy, Attrs, Backward, Input, Op, OpDef, allowed, apply, apply_one, arity, int_values, with_rank};
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

/// What becomes of what is no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    Strict,
    Replace,
    Ignore,
}

impl Errors {
    fn name(self) -> &'static str {
        match self {
            Errors::Strict => "strict",
            Errors::Replace => "replace",
            Errors::Ignore => "ignore",
        }
    }
}

/// What both ops are told.
#[derive(Clone, Debug)]
struct Policy {
    errors: Errors,
    replacement: i64,
    splits: DType,
}

impl Policy {
    fn of(attrs: &Attrs) -> Result<Policy> {
        let errors = match &*attrs.string("errors", "replace".to_owned())? {
            "strict" => Errors::Strict,
            "replace" => Errors::Replace,
            "ignore" => Errors::Ignore,
            other => {
                let message = format!("`errors` is strict, replace or ignore, found {other:?}");
                return Err(Error::invalid_argument(message));
            }
        };
        let replacement = attrs.int("replacement_char", 0xfffd)?;
        if u32::try_from(replacement).ok().and_then(char::from_u32).is_none() {
            let message = format!("`replacement_char` must be a character of Unicode, found {replacement}");
            return Err(Error::invalid_argument(message));
        }
        let splits = attrs.dtype("Tsplits", DType::I64)?;
        let splits = allowed(splits, |d| matches!(d, DType::I32 | DType::I64), "splits of int32 or int64")?;
        Ok(Policy { errors, replacement, splits })
    }

    fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().with("errors", self.errors.name());
        attrs.with("replacement_char", self.replacement).with("Tsplits", self.splits)
    }
}

/// The one encoding that is read, by any of its names.
fn check_encoding(encoding: String) -> Result<String> {
    match encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8") {
        true => Ok(encoding),
        false => Err(Error::invalid_argument(format!("the encoding is UTF-8, found {encoding:?}"))),
    }
}

/// How characters are written.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Utf8,
    Utf16,
    Utf32,
}

impl Encoding {
    /// Those of more than a byte have the higher bytes first.
    const ALL: [(&str, Encoding); 3] =
        [("UTF-8", Encoding::Utf8), ("UTF-16-BE", Encoding::Utf16), ("UTF-32-BE", Encoding::Utf32)];

    fn of(name: &str) -> Result<Encoding> {
        let known = Encoding::ALL.iter().find(|(known, _)| *known == name).map(|(_, encoding)| *encoding);
        known.ok_or_else(|| {
            let message = format!("the output's encoding is UTF-8, UTF-16-BE or UTF-32-BE, found {name:?}");
            Error::invalid_argument(message)
        })
    }

    fn name(self) -> &'static str {
        Encoding::ALL[self as usize].0
    }

    fn write(self, c: char, text: &mut Vec<u8>) {
        match self {
            Encoding::Utf8 => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Encoding::Utf16 => text.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes())),
            Encoding::Utf32 => text.extend(u32::from(c).to_be_bytes()),
        }
    }
}

/// The code points of strings.
#[derive(Debug)]
struct UnicodeDecode {
    input_encoding: String,
    policy: Policy,
    replace_control_characters: bool,
}

impl UnicodeDecode {
    fn decode(&self, text: &[u8], points: &mut Vec<i32>) -> Result<()> {
        let is_control = |c: char| self.replace_control_characters && c <= '\u{1f}';
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                match self.policy.errors {
                    Errors::Ignore if is_control(c) => {}
                    _ if is_control(c) => points.push(self.policy.replacement as i32),
                    _ => points.push(c as i32),
                }
            }
            match self.policy.errors {
                _ if chunk.invalid().is_empty() => {}
                Errors::Strict => {
                    let found = super::shown(text);
                    return Err(Error::invalid_argument(format!("a string is not UTF-8: {found}")));
                }
                Errors::Replace => points.push(self.policy.replacement as i32),
                Errors::Ignore => {}
            }
        }
        Ok(())
    }
}

impl Op for UnicodeDecode {
    fn name(&self) -> &'static str {
        "UnicodeDecode"
    }
    fn attrs(&self) -> Attrs {
        let attrs = self.policy.attrs().with("input_encoding", self.input_encoding.clone());
        attrs.with("replace_control_characters", self.replace_control_characters)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        strings(x.spec, "the input")?;
        let splits = x.spec.shape.elements().and_then(|count| count.checked_add(1));
        Ok(vec![Spec::new(self.policy.splits, [splits]), Spec::new(DType::I32, [None])])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (mut points, mut splits) = (Vec::new(), vec![0]);
        for text in inputs[0].to_strings()? {
            self.decode(&text, &mut points)?;
            splits.push(points.len());
        }
        Ok(vec![places(&splits, self.policy.splits)?, Tensor::new([points.len()], points)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// Code points as strings.
#[derive(Debug)]
struct UnicodeEncode {
    output_encoding: Encoding,
    policy: Policy,
}

impl Op for UnicodeEncode {
    fn name(&self) -> &'static str {
        "UnicodeEncode"
    }
    fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().with("errors", self.policy.errors.name());
        attrs.with("replacement_char", self.policy.replacement).with("output_encoding", self.output_encoding.name())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [points, splits] = arity(inputs)?;
        allowed(points.spec.dtype, |d| d == DType::I32, "code points of int32")?;
        allowed(splits.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "splits of int32 or int64")?;
        with_rank(&points.spec.shape, 1, "the code points")?;
        let splits = with_rank(&splits.spec.shape, 1, "the splits")?;
        Ok(vec![Spec::new(DType::String, [splits.dim(0).map(|count| count.saturating_sub(1))])])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let points = inputs[0].to_vec::<i32>()?;
        if inputs[1].shape().elements() == Some(0) {
            return Err(Error::invalid_argument("there must be a split at least, found none"));
        }
        let splits = checked_splits(&int_values(inputs[1])?, points.len())?;
        let replacement = u32::try_from(self.policy.replacement).ok().and_then(char::from_u32);
        let mut texts = Vec::with_capacity(splits.len().saturating_sub(1));
        for pair in splits.windows(2) {
            let mut text = Vec::new();
            let mut push = |c: char| self.output_encoding.write(c, &mut text);
            for &point in &points[pair[0]..pair[1]] {
                match (u32::try_from(point).ok().and_then(char::from_u32), self.policy.errors) {
                    (Some(c), _) => push(c),
                    (None, Errors::Strict) => {
                        return Err(Error::invalid_argument(format!("{point} is no character of Unicode")));
                    }
                    (None, Errors::Replace) => replacement.into_iter().for_each(&mut push),
                    (None, Errors::Ignore) => {}
                }
            }
            texts.push(text);
        }
        Ok(vec![Tensor::strings([texts.len()], texts)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

impl Tensor {
    /// The code points of all characters of these strings of UTF-8, in row-major order (int32), and where those of each
    /// string begin and end among them: int64, one more than there are strings. What is not UTF-8 is U+FFFD. TensorFlow's
    /// `UnicodeDecode`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (points, splits) = Tensor::strings([2], ["aé", "b"])?.unicode_decode()?;
    /// assert_eq!(points.to_vec::<i32>()?, [97, 233, 98]);
    /// assert_eq!(splits.to_vec::<i64>()?, [0, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unicode_decode(&self) -> Result<(Tensor, Tensor)> {
        let (input_encoding, policy) = ("UTF-8".to_owned(), Policy::of(&Attrs::new())?);
        let op = UnicodeDecode { input_encoding, policy, replace_control_characters: false };
        match <[Tensor; 2]>::try_from(apply(op, &[self])?) {
            Ok([splits, points]) => Ok((points, splits)),
            Err(_) => Err(Error::internal("two outputs were inferred")),
        }
    }

    /// Strings of UTF-8 of these code points, int32, which begin and end at `splits`: what
    /// [`unicode_decode`](Tensor::unicode_decode) takes apart. What is no character is U+FFFD. TensorFlow's
    /// `UnicodeEncode`.
    pub fn unicode_encode(&self, splits: &Tensor) -> Result<Tensor> {
        let (output_encoding, policy) = (Encoding::Utf8, Policy::of(&Attrs::new())?);
        apply_one(UnicodeEncode { output_encoding, policy }, &[self, splits])
    }

    /// The characters of these strings of UTF-8, each a string, in row-major order, and where those of each string begin
    /// and end among them (int64): `tf.strings.unicode_split`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (characters, splits) = Tensor::strings([2], ["aé", "b"])?.unicode_split()?;
    /// assert_eq!(characters.to_strings()?, Tensor::strings([3], ["a", "é", "b"])?.to_strings()?);
    /// assert_eq!(splits.to_vec::<i64>()?, [0, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unicode_split(&self) -> Result<(Tensor, Tensor)> {
        let (points, splits) = self.unicode_decode()?;
        let (count, one) = (points.length(0)?, Tensor::scalar(1_i32));
        let each = crate::ops::fill::range(&Tensor::scalar(0_i32), &count.add(&one)?, &one)?;
        Ok((points.unicode_encode(&each)?, splits))
    }
}

pub(super) const OPS: &[OpDef] = &[
    OpDef {
        name: "UnicodeDecode",
        parse: |attrs| {
            Ok(Arc::new(UnicodeDecode {
                input_encoding: check_encoding(attrs.string("input_encoding", None)?)?,
                policy: Policy::of(attrs)?,
                replace_control_characters: attrs.bool("replace_control_characters", false)?,
            }))
        },
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "UnicodeEncode",
        parse: |attrs| {
            Ok(Arc::new(UnicodeEncode {
                output_encoding: Encoding::of(&attrs.string("output_encoding", None)?)?,
                policy: Policy::of(attrs)?,
            }))
        },
        accuracy: Accuracy::Exact,
    },
];
