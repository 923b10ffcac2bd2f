//! Tensors as text, the way TensorFlow prints them.

use super::storage::Storage;
use super::{Layout, Payload, Tensor, Text, Value, decimal};
use crate::DType;
use crate::dtype::dispatch;
use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::Complex;
use std::fmt;

/// A tensor of more elements than this is shown by its corners.
const MOST: usize = 1000;

/// How many of the first and of the last indices of an axis a corner has.
const EDGE: usize = 3;

/// Rows are broken at this many characters.
const WIDTH: usize = 75;

/// The spec alone: for the insides of other types.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload() {
            Payload::Failed(error) => write!(f, "<tensor of a failed operator: {error}>"),
            _ => write!(f, "<tensor {}>", self.spec()),
        }
    }
}

/// As TensorFlow prints it; a tensor of more than 1000 elements by its corners.
///
/// ```
/// use modulor_core::Tensor;
/// let x = Tensor::from([[1.0_f32, -2.5], [30.0, 0.0]]);
/// assert_eq!(x.to_string(), "tf.Tensor(\n[[ 1.  -2.5]\n [30.   0. ]], shape=(2, 2), dtype=float32)");
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, dtype) = (self.shape(), self.dtype());
        match self.payload() {
            Payload::Failed(_) => fmt::Debug::fmt(self, f),
            Payload::Symbol(symbol) => {
                write!(f, "Tensor(\"{}:{}\", shape={shape}, dtype={dtype})", symbol.node.op(), symbol.output)
            }
            Payload::Value(_) => {
                let text = self.elements_text();
                let line = if text.contains('\n') { "\n" } else { "" };
                write!(f, "tf.Tensor({line}{text}, shape={shape}, dtype={dtype})")
            }
        }
    }
}

impl Tensor {
    /// The elements alone, as TensorFlow prints them; nothing for a symbol.
    pub fn elements_text(&self) -> String {
        let Ok(Value { layout, storage }) = self.evaluated() else { return String::new() };
        if layout.is_empty() {
            return "[]".to_owned();
        }
        let corners = layout.len() > MOST;
        let mut offsets = Vec::new();
        shown(layout, corners, 0, layout.offset, &mut offsets);
        let words = match &**storage {
            Storage::Plain(plain) => words(self.dtype(), plain.bytes(), &offsets, layout.dims.is_empty()),
            Storage::Text(text) => offsets.iter().map(|&at| bytes_literal(&text[at])).collect(),
            Storage::Resource(_) | Storage::Variant(_) => vec!["<unprintable>".to_owned()],
        };
        brackets(&layout.dims, corners, &mut words.into_iter(), " ", WIDTH)
    }
}

/// The indices of an axis that are shown before a gap, if there is one, and after it.
fn halves(dim: usize, corners: bool) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    if corners && dim > 2 * EDGE { (0..EDGE, dim - EDGE..dim) } else { (0..0, 0..dim) }
}

/// The offsets of the elements that are shown, in row-major order.
fn shown(layout: &Layout, corners: bool, axis: usize, offset: usize, out: &mut Vec<usize>) {
    let Some(&dim) = layout.dims.get(axis) else { return out.push(offset) };
    let (first, last) = halves(dim, corners);
    for i in first.chain(last) {
        let offset = offset.wrapping_add_signed(i as isize * layout.strides[axis]);
        shown(layout, corners, axis + 1, offset, out);
    }
}

/// The text of each element.
fn words(dtype: DType, bytes: &[u8], offsets: &[usize], scalar: bool) -> Vec<String> {
    match dtype {
        DType::F32 => reals::<f32>(bytes, offsets, scalar),
        DType::F64 => reals::<f64>(bytes, offsets, scalar),
        DType::F16 => reals::<f16>(bytes, offsets, scalar),
        DType::BF16 => pick::<bf16>(bytes, offsets).map(decimal::general).collect(),
        DType::Complex64 => complexes::<f32>(bytes, offsets, scalar),
        DType::Complex128 => complexes::<f64>(bytes, offsets, scalar),
        DType::Bool => pick::<u8>(bytes, offsets)
            .map(|b| match (b != 0, scalar) {
                (false, _) => "False".to_owned(),
                (true, true) => "True".to_owned(),
                (true, false) => " True".to_owned(),
            })
            .collect(),
        _ => {
            let texts: Vec<String> = dispatch!(dtype, integer T => {
                pick::<T>(bytes, offsets).map(|x| x.to_string()).collect()
            }, else => Vec::new());
            let width = texts.iter().map(String::len).max().unwrap_or(0);
            texts.into_iter().map(|text| format!("{text:>width$}")).collect()
        }
    }
}

fn pick<T: Pod>(bytes: &[u8], offsets: &[usize]) -> impl Iterator<Item = T> {
    let all: &[T] = bytemuck::cast_slice(bytes);
    offsets.iter().map(|&at| all[at])
}

fn reals<R: decimal::Real + Pod>(bytes: &[u8], offsets: &[usize], scalar: bool) -> Vec<String> {
    let values: Vec<R> = pick(bytes, offsets).collect();
    if scalar { values.into_iter().map(decimal::scalar).collect() } else { decimal::aligned(&values) }
}

fn complexes<R: decimal::Real + Pod>(bytes: &[u8], offsets: &[usize], scalar: bool) -> Vec<String>
where
    Complex<R>: Pod,
{
    let (re, im): (Vec<R>, Vec<R>) = pick::<Complex<R>>(bytes, offsets).map(|z| (z.re, z.im)).unzip();
    if scalar {
        return re.into_iter().zip(im).map(|(re, im)| decimal::complex_scalar(re, im)).collect();
    }
    decimal::complex_aligned(&re, &im)
}

/// A string as Python writes bytes: `b'tab\t\xff'`.
fn bytes_literal(text: &Text) -> String {
    let quote = if text.contains(&b'\'') && !text.contains(&b'"') { '"' } else { '\'' };
    let mut out = format!("b{quote}");
    for &byte in text.iter() {
        match char::from(byte) {
            '\t' => out += "\\t",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\\' => out += "\\\\",
            c if c == quote => out.extend(['\\', c]),
            c @ ' '..='~' => out.push(c),
            _ => out += &format!("\\x{byte:02x}"),
        }
    }
    out.push(quote);
    out
}

/// The words in brackets, axis by axis. Lines after the first begin with `indent`, and rows have `width` characters
/// with their closing brackets.
fn brackets(
    dims: &[usize],
    corners: bool,
    words: &mut impl Iterator<Item = String>,
    indent: &str,
    width: usize,
) -> String {
    let Some((&dim, below)) = dims.split_first() else { return words.next().unwrap_or_default() };
    let (first, last) = halves(dim, corners);
    let gap = (!first.is_empty()).then(|| "...".to_owned());
    if below.is_empty() {
        let mut row: Vec<String> = words.by_ref().take(first.len()).collect();
        row.extend(gap);
        row.extend(words.take(last.len()));
        return format!("[{}]", broken(&row, indent, width.saturating_sub(1)));
    }
    let (deeper, narrower) = (format!("{indent} "), width.saturating_sub(1));
    let mut parts: Vec<String> = first.map(|_| brackets(below, corners, words, &deeper, narrower)).collect();
    parts.extend(gap);
    parts.extend(last.map(|_| brackets(below, corners, words, &deeper, narrower)));
    // As many line breaks as brackets closed: matrices in a tensor of rank 3 stand apart by an empty line.
    format!("[{}]", parts.join(&format!("{}{indent}", "\n".repeat(below.len()))))
}

/// The words of a row, in lines that begin with `indent`, which the first has already, and end before `width`.
fn broken(row: &[String], indent: &str, width: usize) -> String {
    let mut lines = Vec::new();
    let mut line = indent.to_owned();
    for word in row {
        if line.len() > indent.len() && line.len() + word.len() > width {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        }
        line += word;
        line.push(' ');
    }
    lines.push(line);
    // Padding of a word at the end of a row stays; that before a break, and the separator, go.
    let last = lines.len() - 1;
    let ended =
        lines.iter().enumerate().map(|(i, line)| if i == last { &line[..line.len() - 1] } else { line.trim_end() });
    ended.collect::<Vec<_>>().join("\n")[indent.len()..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_and_symbols_print() {
        let x = Tensor::from([[1_i32, -20], [3, 4]]);
        let Value { layout, storage } = x.evaluated().unwrap();
        let turned = Tensor::value(DType::I32, layout.permuted(&[1, 0]), storage.clone());
        assert_eq!(turned.to_string(), "tf.Tensor(\n[[  1   3]\n [-20   4]], shape=(2, 2), dtype=int32)");
        let graph = crate::graph::trace(
            |x| {
                assert_eq!(x[0].tanh()?.to_string(), "Tensor(\"Tanh:0\", shape=(None, 2), dtype=float32)");
                Ok(vec![x[0].clone()])
            },
            &[crate::Spec::new(DType::F32, [None, Some(2)])],
        );
        assert!(graph.is_ok());
    }

    #[test]
    fn any_rank_prints() {
        let dims = vec![1; crate::MAX_RANK];
        let text = Tensor::zeros(dims, DType::F32).unwrap().to_string();
        assert!(text.contains("[0.]"), "{text}");
    }

    #[test]
    fn a_million_elements_are_shown_by_their_corners() {
        let text = Tensor::zeros([1000, 1000], DType::U8).unwrap().to_string();
        assert_eq!(text.matches('0').count(), 36 + 6, "{text}");
    }
}
