//! Strings taken apart and put together.

use super::character::is_space;
use super::{checked_splits, one_string, places, strings};
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, allowed, apply, apply_one, arity, int_values, ints, with_rank,
};
use crate::shape::normalize_axis;
use crate::tensor::Text;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// Strings of several tensors one behind the other.
#[derive(Debug)]
struct StringJoin {
    separator: String,
}

impl Op for StringJoin {
    fn name(&self) -> &'static str {
        "StringJoin"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("separator", self.separator.clone())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        if inputs.is_empty() {
            return Err(Error::invalid_argument("expected at least one input"));
        }
        let mut joint: Option<Shape> = Some(Shape::scalar());
        for input in inputs {
            strings(input.spec, "the inputs")?;
            let shape = &input.spec.shape;
            joint = match joint {
                _ if shape.rank().is_none() => None,
                Some(joint) if joint.rank() == Some(0) => Some(shape.clone()),
                Some(joint) if shape.rank() == Some(0) => Some(joint),
                Some(joint) => Some(joint.merge(shape).ok_or_else(|| {
                    let message = format!("the inputs must have one shape, or be scalars, found {joint} and {shape}");
                    Error::invalid_argument(message)
                })?),
                // What comes behind one of which nothing is known says no more than the next call.
                None => None,
            };
        }
        Ok(vec![Spec::new(DType::String, joint.unwrap_or_else(Shape::unknown))])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let texts = inputs.iter().map(|input| input.to_strings()).collect::<Result<Vec<_>>>()?;
        let of_most = inputs.iter().find(|input| input.rank() != Some(0)).unwrap_or(&inputs[0]);
        let dims = of_most.dims()?;
        if let Some(other) = inputs.iter().find(|input| input.rank() != Some(0) && input.shape() != of_most.shape()) {
            let (shape, other) = (of_most.shape(), other.shape());
            let message = format!("the inputs must have one shape, or be scalars, found {shape} and {other}");
            return Err(Error::invalid_argument(message));
        }
        let count = dims.iter().product();
        let row = |i: usize| {
            let parts = texts.iter().zip(inputs).map(|(texts, input)| match input.rank() {
                Some(0) => &texts[0],
                _ => &texts[i],
            });
            joined(parts, self.separator.as_bytes())
        };
        Ok(vec![Tensor::strings(dims, (0..count).map(row))?])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; b.inputs().len()])
    }
}

fn joined<'a>(parts: impl IntoIterator<Item = &'a Text>, separator: &[u8]) -> Vec<u8> {
    let mut own = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            own.extend_from_slice(separator);
        }
        own.extend_from_slice(part);
    }
    own
}

/// Strings one behind the other along axes.
#[derive(Debug)]
struct ReduceJoin {
    keep_dims: bool,
    separator: String,
}

/// The axes, from the first, each once.
fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes = Vec::new();
    for &axis in given {
        let own = normalize_axis(axis, rank).map_err(|error| Error::out_of_range(error.message()))?;
        if axes.contains(&own) {
            return Err(Error::invalid_argument(format!("axis {axis} is given twice")));
        }
        axes.push(own);
    }
    Ok(axes)
}

impl Op for ReduceJoin {
    fn name(&self) -> &'static str {
        "ReduceJoin"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("keep_dims", self.keep_dims).with("separator", self.separator.clone())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, reduced] = arity(inputs)?;
        strings(x.spec, "the input")?;
        allowed(reduced.spec.dtype, |d| d == DType::I32, "axes of int32")?;
        let shape = match (x.spec.shape.dims(), ints(reduced, "the axes")?) {
            (Some(dims), Some(given)) => {
                let axes = axes(&given, dims.len())?;
                let kept = dims.into_iter().enumerate().filter_map(|(axis, dim)| match axes.contains(&axis) {
                    false => Some(dim),
                    true => self.keep_dims.then_some(Some(1)),
                });
                Shape::from(kept.collect::<Vec<_>>())
            }
            (Some(dims), None) if self.keep_dims => Shape::of_rank(dims.len()),
            _ => Shape::unknown(),
        };
        Ok(vec![Spec::new(DType::String, shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let x = inputs[0];
        let dims = x.dims()?;
        let axes = axes(&int_values(inputs[1])?, dims.len())?;
        let kept: Vec<usize> = (0..dims.len()).filter(|axis| !axes.contains(axis)).collect();
        let size = |axes: &[usize]| axes.iter().map(|&axis| dims[axis]).product::<usize>();
        let (rows, columns) = (size(&kept), size(&axes));
        // The axis that is given first is gone through first.
        let order: Vec<i64> = kept.iter().chain(axes.iter().rev()).map(|&axis| axis as i64).collect();
        let texts = x.permute(order)?.to_strings()?;
        let row = |row: usize| joined(&texts[row * columns..][..columns], self.separator.as_bytes());
        let out: Vec<usize> = match self.keep_dims {
            true => (0..dims.len()).map(|axis| if axes.contains(&axis) { 1 } else { dims[axis] }).collect(),
            false => kept.iter().map(|&axis| dims[axis]).collect(),
        };
        Ok(vec![Tensor::strings(out, (0..rows).map(row))?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

/// Parts of strings, as the elements of a sparse matrix.
#[derive(Debug)]
struct StringSplitV2 {
    maxsplit: i64,
}

impl StringSplitV2 {
    /// The parts of a text: between separators, or where there is none, of what white space separates.
    fn parts<'a>(&self, text: &'a [u8], sep: &[u8]) -> Vec<&'a [u8]> {
        let most = match self.maxsplit {
            0 => return vec![text],
            1.. => self.maxsplit as usize,
            _ => usize::MAX,
        };
        let (mut parts, mut rest) = (Vec::new(), text);
        if sep.is_empty() {
            let leading = |text: &[u8]| text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
            rest = &rest[leading(rest)..];
            while !rest.is_empty() {
                let end = rest.iter().position(|&byte| is_space(byte)).unwrap_or(rest.len());
                parts.push(&rest[..end]);
                rest = &rest[end..];
                rest = &rest[leading(rest)..];
                if parts.len() == most {
                    parts.push(rest);
                    break;
                }
            }
            return parts;
        }
        while let Some(at) = rest.windows(sep.len()).position(|window| window == sep).filter(|_| parts.len() < most) {
            parts.push(&rest[..at]);
            rest = &rest[at + sep.len()..];
        }
        parts.push(rest);
        parts
    }
}

impl Op for StringSplitV2 {
    fn name(&self) -> &'static str {
        "StringSplitV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("maxsplit", self.maxsplit)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, sep] = arity(inputs)?;
        strings(x.spec, "the input")?;
        strings(sep.spec, "the separator")?;
        with_rank(&x.spec.shape, 1, "the input")?;
        with_rank(&sep.spec.shape, 0, "the separator")?;
        Ok(vec![
            Spec::new(DType::I64, [None, Some(2)]),
            Spec::new(DType::String, [None]),
            Spec::new(DType::I64, [Some(2)]),
        ])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (texts, sep) = (inputs[0].to_strings()?, one_string(inputs[1])?);
        let (mut indices, mut parts, mut most) = (Vec::new(), Vec::new(), 0);
        for (row, text) in texts.iter().enumerate() {
            let own = self.parts(text, &sep);
            most = most.max(own.len());
            indices.extend((0..own.len()).flat_map(|column| [row as i64, column as i64]));
            parts.extend(own);
        }
        Ok(vec![
            Tensor::new([parts.len(), 2], indices)?,
            Tensor::strings([parts.len()], parts)?,
            Tensor::from([texts.len() as i64, most as i64]),
        ])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

/// The most strings that are joined of one row: a width comes from a file.
const MOST: usize = 1 << 28;

/// Neighbours in rows of strings, joined.
#[derive(Debug)]
struct StringNGrams {
    separator: String,
    ngram_widths: Vec<i64>,
    left_pad: String,
    right_pad: String,
    pad_width: i64,
    preserve_short_sequences: bool,
}

impl StringNGrams {
    fn of(attrs: &Attrs) -> Result<StringNGrams> {
        let ngram_widths = attrs.ints("ngram_widths")?;
        if let Some(width) = ngram_widths.iter().find(|&&width| width < 1) {
            return Err(Error::invalid_argument(format!("`ngram_widths` must be at least 1, found {width}")));
        }
        Ok(StringNGrams {
            separator: attrs.string("separator", None)?,
            ngram_widths,
            left_pad: attrs.string("left_pad", None)?,
            right_pad: attrs.string("right_pad", None)?,
            pad_width: attrs.int("pad_width", None)?,
            preserve_short_sequences: attrs.bool("preserve_short_sequences", None)?,
        })
    }

    /// How many strings are put at each end for neighbours of so many.
    fn pads(&self, width: usize) -> usize {
        match usize::try_from(self.pad_width) {
            Ok(pads) => pads.min(width - 1),
            Err(_) => width - 1,
        }
    }

    /// Neighbours from a place on of a row with so many more strings at each end.
    fn ngram(&self, row: &[Text], pads: usize, start: usize, width: usize) -> Vec<u8> {
        let mut own = Vec::new();
        for at in start..start + width {
            if at > start {
                own.extend_from_slice(self.separator.as_bytes());
            }
            own.extend_from_slice(match at.checked_sub(pads) {
                None => self.left_pad.as_bytes(),
                Some(at) => row.get(at).map_or(self.right_pad.as_bytes(), |text| text),
            });
        }
        own
    }
}

impl Op for StringNGrams {
    fn name(&self) -> &'static str {
        "StringNGrams"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new()
            .with("separator", self.separator.clone())
            .with("ngram_widths", Attr::from(&self.ngram_widths[..]))
            .with("left_pad", self.left_pad.clone())
            .with("right_pad", self.right_pad.clone())
            .with("pad_width", self.pad_width)
            .with("preserve_short_sequences", self.preserve_short_sequences)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [data, splits] = arity(inputs)?;
        strings(data.spec, "the data")?;
        with_rank(&data.spec.shape, 1, "the data")?;
        let dtype = allowed(splits.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "splits of int32 or int64")?;
        let splits = with_rank(&splits.spec.shape, 1, "the splits")?;
        Ok(vec![Spec::new(DType::String, [None]), Spec::new(dtype, splits)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let texts = inputs[0].to_strings()?;
        let splits = checked_splits(&int_values(inputs[1])?, texts.len())?;
        let (mut ngrams, mut ends) = (Vec::new(), Vec::with_capacity(splits.len()));
        ends.extend(splits.first());
        for pair in splits.windows(2) {
            let row = &texts[pair[0]..pair[1]];
            let before = ngrams.len();
            for &width in &self.ngram_widths {
                let Ok(width) = usize::try_from(width) else { continue };
                let pads = self.pads(width);
                let total = row.len().saturating_add(pads.saturating_mul(2));
                let count = total.saturating_add(1).saturating_sub(width);
                if count.saturating_mul(width) > MOST {
                    let message = format!("{count} times {width} strings are more than can be joined, which is {MOST}");
                    return Err(Error::resource_exhausted(message));
                }
                ngrams.extend((0..count).map(|start| self.ngram(row, pads, start, width)));
            }
            if self.preserve_short_sequences && !row.is_empty() && ngrams.len() == before {
                let pads = usize::try_from(self.pad_width).map_err(|_| {
                    let found = self.pad_width;
                    Error::invalid_argument(format!("without widths `pad_width` must not be negative, found {found}"))
                })?;
                let pads = pads.min(MOST);
                ngrams.push(self.ngram(row, pads, 0, row.len() + 2 * pads));
            }
            ends.push(ngrams.len());
        }
        Ok(vec![Tensor::strings([ngrams.len()], ngrams)?, places(&ends, inputs[1].dtype())?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

impl Tensor {
    /// The strings of several tensors one behind the other, with a separator between them; the tensors have one shape, or
    /// are scalars. TensorFlow's `StringJoin`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (x, y) = (Tensor::strings([2], ["a", "b"])?, Tensor::strings([], ["c"])?);
    /// let z = Tensor::string_join(&[&x, &y], "-")?;
    /// assert_eq!(z.to_strings()?, Tensor::strings([2], ["a-c", "b-c"])?.to_strings()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_join(inputs: &[&Tensor], separator: &str) -> Result<Tensor> {
        apply_one(StringJoin { separator: separator.to_owned() }, inputs)
    }

    /// The strings along some axes one behind the other, with a separator between them: along the first
    /// of the axes, then along the next.
    /// TensorFlow's `ReduceJoin`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2, 2], ["a", "b", "c", "d"])?;
    /// assert_eq!(x.reduce_join([1], " ")?.to_strings()?[0][..], *b"a b");
    /// assert_eq!(x.reduce_join([0, 1], "")?.to_strings()?[0][..], *b"acbd");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reduce_join(&self, axes: impl AsRef<[i64]>, separator: &str) -> Result<Tensor> {
        let axes: Vec<i32> = axes.as_ref().iter().map(|&axis| axis.clamp(-999, 999) as i32).collect();
        let op = ReduceJoin { keep_dims: false, separator: separator.to_owned() };
        apply_one(op, &[self, &Tensor::new([axes.len()], axes)?])
    }

    /// The parts of a vector of strings between separators, or, where `sep` is empty, of what white space of ASCII
    /// separates: all parts in a row, and where those of each string begin and end among them (int64, one more than there
    /// are strings). `tf.strings.split`, by TensorFlow's `StringSplitV2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (parts, splits) = Tensor::strings([3], ["a  b", "", " c"])?.string_split("")?;
    /// assert_eq!(parts.to_strings()?, Tensor::strings([3], ["a", "b", "c"])?.to_strings()?);
    /// assert_eq!(splits.to_vec::<i64>()?, [0, 2, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_split(&self, sep: &str) -> Result<(Tensor, Tensor)> {
        let made = apply(StringSplitV2 { maxsplit: -1 }, &[self, &Tensor::strings([], [sep])?])?;
        let [indices, parts, shape] =
            <[Tensor; 3]>::try_from(made).map_err(|_| Error::internal("three outputs were inferred"))?;
        let rows = indices.gather(&Tensor::scalar(0), 1)?;
        let one = Tensor::scalar(1_i64);
        let each =
            crate::ops::fill::range(&Tensor::scalar(0_i64), &shape.gather(&Tensor::scalar(0), 0)?.add(&one)?, &one)?;
        Ok((parts, rows.search_sorted(each, false)?.cast(DType::I64)?))
    }

    /// Neighbours in rows of strings, joined by a separator: for each row all of the first width, then of the next, and
    /// where those of each row begin and end. The rows are parts of this vector, which begin and end at `splits`, as
    /// [`string_split`](Tensor::string_split) gives them. `tf.strings.ngrams` without padding, TensorFlow's `StringNGrams`.
    ///
    /// An error where a width is below 1.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let words = Tensor::strings([4], ["a", "b", "c", "d"])?;
    /// let (ngrams, splits) = words.string_ngrams(&Tensor::from([0_i64, 3, 4]), [2], " ")?;
    /// assert_eq!(ngrams.to_strings()?, Tensor::strings([2], ["a b", "b c"])?.to_strings()?);
    /// assert_eq!(splits.to_vec::<i64>()?, [0, 2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_ngrams(
        &self,
        splits: &Tensor,
        widths: impl AsRef<[i64]>,
        separator: &str,
    ) -> Result<(Tensor, Tensor)> {
        let attrs = Attrs::new().with("separator", separator).with("ngram_widths", Attr::from(widths.as_ref()));
        let attrs = attrs.with("left_pad", "").with("right_pad", "").with("pad_width", 0);
        let op = StringNGrams::of(&attrs.with("preserve_short_sequences", false));
        let made = apply(op.map_err(|error| error.in_op("StringNGrams"))?, &[self, splits])?;
        match <[Tensor; 2]>::try_from(made) {
            Ok([ngrams, splits]) => Ok((ngrams, splits)),
            Err(_) => Err(Error::internal("two outputs were inferred")),
        }
    }
}

pub(super) const OPS: &[OpDef] = &[
    OpDef {
        name: "StringJoin",
        parse: |attrs| Ok(Arc::new(StringJoin { separator: attrs.string("separator", String::new())? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "ReduceJoin",
        parse: |attrs| {
            Ok(Arc::new(ReduceJoin {
                keep_dims: attrs.bool("keep_dims", false)?,
                separator: attrs.string("separator", String::new())?,
            }))
        },
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StringSplitV2",
        parse: |attrs| Ok(Arc::new(StringSplitV2 { maxsplit: attrs.int("maxsplit", -1)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef { name: "StringNGrams", parse: |attrs| Ok(Arc::new(StringNGrams::of(attrs)?)), accuracy: Accuracy::Exact },
];
