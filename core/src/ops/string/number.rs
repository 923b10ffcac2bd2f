//! Numbers as strings, and strings as numbers.

use super::character::stripped;
use super::{shown, strings};
use crate::dtype::dispatch;
use crate::op::{Accuracy, Attrs, Backward, Input, Op, OpDef, allowed, apply_one, arity, unsupported};
use crate::{DType, Error, Result, Spec, Tensor};
use num_complex::{Complex32, Complex64};
use std::fmt::Write;
use std::sync::Arc;

/// What C's `printf` writes of a number.
#[derive(Clone, Debug, Default)]
struct Form {
    precision: Option<usize>,
    scientific: bool,
    shortest: bool,
    width: usize,
    fill: Option<char>,
}

/// The most characters that a number is asked to have: they come from a file.
const MOST: i64 = 1 << 16;

impl Form {
    fn of(attrs: &Attrs) -> Result<Form> {
        let bounded = |name: &str| {
            let value = attrs.int(name, -1)?;
            match value > MOST {
                true => Err(Error::invalid_argument(format!("`{name}` is at most {MOST}, found {value}"))),
                false => Ok(usize::try_from(value).ok()),
            }
        };
        let fill = attrs.string("fill", String::new())?;
        let mut characters = fill.chars();
        let fill = match (characters.next(), characters.next()) {
            (None, _) => None,
            (Some(c @ (' ' | '+' | '-' | '0' | '#')), None) => Some(c),
            _ => return Err(Error::invalid_argument(format!("`fill` is one of ` +-0#`, or nothing, found {fill:?}"))),
        };
        let form = Form {
            precision: bounded("precision")?,
            scientific: attrs.bool("scientific", false)?,
            shortest: attrs.bool("shortest", false)?,
            width: bounded("width")?.unwrap_or(0),
            fill,
        };
        match form.scientific && form.shortest {
            true => Err(Error::invalid_argument("of `scientific` and `shortest` one alone can be chosen")),
            false => Ok(form),
        }
    }

    fn attrs(&self) -> Attrs {
        let width = match self.width {
            0 => -1,
            width => width as i64,
        };
        Attrs::new()
            .with("precision", self.precision.map_or(-1, |precision| precision as i64))
            .with("scientific", self.scientific)
            .with("shortest", self.shortest)
            .with("width", width)
            .with("fill", self.fill.map(String::from).unwrap_or_default())
    }

    /// A sign and digits, with what else the form asks for; `zeros` may be between the two.
    fn write(&self, out: &mut String, sign: &str, digits: &str, zeros: bool) {
        let sign = match self.fill {
            Some('+') if sign.is_empty() => "+",
            Some(' ') if sign.is_empty() => " ",
            _ => sign,
        };
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        let [before, between, behind] = match self.fill {
            Some('-') => [0, 0, missing],
            Some('0') if zeros => [0, missing, 0],
            _ => [missing, 0, 0],
        };
        out.extend(std::iter::repeat_n(' ', before));
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', between));
        out.push_str(digits);
        out.extend(std::iter::repeat_n(' ', behind));
    }

    fn float(&self, out: &mut String, x: f64) {
        let sign = if x.is_sign_negative() && !x.is_nan() { "-" } else { "" };
        let x = x.abs();
        if x.is_nan() || x.is_infinite() {
            return self.write(out, sign, if x.is_nan() { "nan" } else { "inf" }, false);
        }
        let precision = self.precision.unwrap_or(6);
        let digits = match (self.scientific, self.shortest) {
            (true, _) => scientific(x, precision),
            (_, true) => shortest(x, precision.max(1), self.fill == Some('#')),
            _ if precision == 0 && self.fill == Some('#') => format!("{x:.0}."),
            _ => format!("{x:.precision$}"),
        };
        self.write(out, sign, &digits, true);
    }

    /// A whole number, of which the sign is written where it can have one.
    fn integer(&self, out: &mut String, x: i128, signed: bool) {
        let digits = x.unsigned_abs().to_string();
        match signed {
            true => self.write(out, if x < 0 { "-" } else { "" }, &digits, true),
            false => {
                let fill = self.fill.filter(|fill| !matches!(fill, '+' | ' '));
                Form { fill, ..self.clone() }.write(out, "", &digits, true);
            }
        }
    }
}

/// As `%e`: at least two digits of the exponent, with its sign.
fn scientific(x: f64, precision: usize) -> String {
    let mut text = format!("{x:.precision$e}");
    let at = text.find('e').unwrap_or(text.len());
    let exponent: i32 = text[at..].trim_start_matches('e').parse().unwrap_or(0);
    text.truncate(at);
    let _ = write!(text, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    text
}

/// As `%g`: the shorter of both, without zeros at the end of the fraction unless they are `kept`.
fn shortest(x: f64, precision: usize, kept: bool) -> String {
    let long = scientific(x, precision - 1);
    let at = long.find('e').unwrap_or(long.len());
    let exponent: i32 = long[at + 1..].parse().unwrap_or(0);
    let trimmed = |digits: &str| match digits.contains('.') && !kept {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match exponent < -4 || exponent >= precision as i32 {
        true => format!("{}{}", trimmed(&long[..at]), &long[at..]),
        false => trimmed(&format!("{x:.*}", (precision as i32 - 1 - exponent).max(0) as usize)),
    }
}

/// Each element as a string.
#[derive(Debug)]
struct AsString {
    form: Form,
}

impl AsString {
    /// Whether the form can be that of a dtype.
    fn check(&self, dtype: DType) -> Result<()> {
        if dtype.is_float() || dtype.is_complex() || dtype == DType::String {
            return Ok(());
        }
        let Form { precision, scientific, shortest, .. } = self.form;
        match precision.is_some() || scientific || shortest {
            true => Err(Error::invalid_argument(format!(
                "`precision`, `scientific` and `shortest` are for numbers with a fraction, not for {dtype}"
            ))),
            false => Ok(()),
        }
    }
}

impl Op for AsString {
    fn name(&self) -> &'static str {
        "AsString"
    }
    fn attrs(&self) -> Attrs {
        self.form.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        self.check(allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?)?;
        Ok(vec![Spec::new(DType::String, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (x, form) = (inputs[0], &self.form);
        let with = |write: &dyn Fn(&mut String)| {
            let mut own = String::new();
            write(&mut own);
            own.into_bytes()
        };
        let complex = |c: Complex64| {
            with(&|out| {
                out.push('(');
                form.float(out, c.re);
                out.push(',');
                form.float(out, c.im);
                out.push(')');
            })
        };
        let texts: Vec<Vec<u8>> = match x.dtype() {
            DType::String => {
                let padded = |text: &[u8]| {
                    let missing = vec![b' '; form.width.saturating_sub(text.len())];
                    match form.fill {
                        Some('-') => [text, &missing].concat(),
                        _ => [&missing, text].concat(),
                    }
                };
                x.to_strings()?.iter().map(|text| padded(text)).collect()
            }
            DType::Bool => x.to_vec::<bool>()?.into_iter().map(|x| x.to_string().into_bytes()).collect(),
            DType::Complex64 => {
                let wide = |c: Complex32| Complex64::new(c.re.into(), c.im.into());
                x.to_vec::<Complex32>()?.into_iter().map(wide).map(complex).collect()
            }
            DType::Complex128 => x.to_vec::<Complex64>()?.into_iter().map(complex).collect(),
            dtype if dtype.is_float() => {
                let wide = x.cast(DType::F64)?.to_vec::<f64>()?;
                wide.into_iter().map(|x| with(&|out| form.float(out, x))).collect()
            }
            dtype => dispatch!(dtype, integer T => {
                let signed = T::MIN != 0;
                let of = |x: T| with(&|out| form.integer(out, i128::from(x), signed));
                x.to_vec::<T>()?.into_iter().map(of).collect()
            }, else => return Err(unsupported(dtype))),
        };
        Ok(vec![Tensor::strings(x.dims()?, texts)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// The number that each string is.
#[derive(Debug)]
struct StringToNumber {
    out_type: DType,
}

/// A float as C's `strtod` reads it, if that is the whole text; white space may be around it.
fn float<F: std::str::FromStr>(text: &str, of_hex: impl Fn(f64) -> F) -> Option<F> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    match digits {
        Some(digits) => hexadecimal(digits).map(|x| of_hex(if text.starts_with('-') { -x } else { x })),
        None => text.parse().ok(),
    }
}

/// Hexadecimal digits, perhaps with a fraction and a binary exponent. More than 13 digits of the number are cut.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let places = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some(libm::scalbn(value, exponent.saturating_sub(places)))
}

impl StringToNumber {
    fn of(attrs: &Attrs) -> Result<StringToNumber> {
        let numbers = |d| matches!(d, DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 | DType::U64);
        let out_type = attrs.dtype("out_type", DType::F32)?;
        let out_type = allowed(out_type, numbers, "an out_type of float32, float64, int32, int64, uint32 or uint64")?;
        Ok(StringToNumber { out_type })
    }

    fn read<T: crate::Element>(&self, x: &Tensor, one: impl Fn(&str) -> Option<T>) -> Result<Vec<Tensor>> {
        let number = |text: &[u8]| {
            let own = std::str::from_utf8(stripped(text)).ok().and_then(&one);
            own.ok_or_else(|| Error::invalid_argument(format!("{} is no number of {}", shown(text), self.out_type)))
        };
        let numbers = x.to_strings()?.iter().map(|text| number(text)).collect::<Result<Vec<T>>>()?;
        Ok(vec![Tensor::new(x.dims()?, numbers)?])
    }
}

impl Op for StringToNumber {
    fn name(&self) -> &'static str {
        "StringToNumber"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("out_type", self.out_type)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        strings(x.spec, "the input")?;
        Ok(vec![Spec::new(self.out_type, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let x = inputs[0];
        match self.out_type {
            DType::F32 => self.read(x, |text| float(text, |x| x as f32)),
            DType::F64 => self.read(x, |text| float(text, |x| x)),
            DType::I32 => self.read(x, |text| text.parse::<i32>().ok()),
            DType::I64 => self.read(x, |text| text.parse::<i64>().ok()),
            DType::U32 => self.read(x, |text| text.parse::<u32>().ok()),
            _ => self.read(x, |text| text.parse::<u64>().ok()),
        }
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

impl Tensor {
    /// Each element as a string: integers by their digits, floats with six digits behind the point, bools as `true` and
    /// `false`. TensorFlow's `AsString`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([-3]).as_string()?.to_strings()?[0][..], *b"-3");
    /// assert_eq!(Tensor::from([0.5_f32]).as_string()?.to_strings()?[0][..], *b"0.500000");
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_string(&self) -> Result<Tensor> {
        apply_one(AsString { form: Form::default() }, &[self])
    }

    /// The number that each string is, of float32, float64, int32, int64, uint32 or uint64; there may be white space around
    /// it. TensorFlow's `StringToNumber`.
    ///
    /// An error where a string is no number, or an integer that the dtype does not have.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2], ["1.5", " -2e3 "])?;
    /// assert_eq!(x.string_to_number(DType::F32)?.to_vec::<f32>()?, [1.5, -2000.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn string_to_number(&self, dtype: DType) -> Result<Tensor> {
        let op = StringToNumber::of(&Attrs::new().with("out_type", dtype));
        apply_one(op.map_err(|error| error.in_op("StringToNumber"))?, &[self])
    }
}

pub(super) const OPS: &[OpDef] = &[
    OpDef {
        name: "AsString",
        parse: |attrs| Ok(Arc::new(AsString { form: Form::of(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StringToNumber",
        parse: |attrs| Ok(Arc::new(StringToNumber::of(attrs)?)),
        accuracy: Accuracy::Exact,
    },
];
