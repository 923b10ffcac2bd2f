//! The elements of a tensor, in as few kinds as JSON and a comparison need.

use modulor::{DType, Result, Tensor};
use num_complex::{Complex32, Complex64};
use serde_json::{Value, json};

/// All elements in row-major order.
pub enum Values {
    Reals(Vec<f64>),
    Integers(Vec<i128>),
    Complexes(Vec<Complex64>),
    Bools(Vec<bool>),
    Strings(Vec<std::sync::Arc<[u8]>>),
}

impl Values {
    /// The elements; every dtype that a file can hold fits one of the kinds exactly.
    pub fn of(tensor: &Tensor) -> Result<Values> {
        Ok(match tensor.dtype() {
            DType::String => Values::Strings(tensor.to_strings()?),
            DType::Bool => Values::Bools(tensor.to_vec()?),
            DType::Complex128 => Values::Complexes(tensor.to_vec()?),
            DType::Complex64 => {
                let widened = |z: Complex32| Complex64::new(z.re.into(), z.im.into());
                Values::Complexes(tensor.to_vec()?.into_iter().map(widened).collect())
            }
            DType::U64 => Values::Integers(tensor.to_vec::<u64>()?.into_iter().map(i128::from).collect()),
            dtype if dtype.is_integer() => {
                Values::Integers(tensor.cast(DType::I64)?.to_vec::<i64>()?.into_iter().map(i128::from).collect())
            }
            _ => Values::Reals(tensor.cast(DType::F64)?.to_vec()?),
        })
    }

    /// How many elements have other bits, and the largest absolute difference, if these have one.
    pub fn difference(&self, other: &Values) -> (usize, Option<String>) {
        match (self, other) {
            (Values::Reals(a), Values::Reals(b)) => {
                reals(a.iter().zip(b).map(|(a, b)| (a.to_bits() == b.to_bits(), (a - b).abs())))
            }
            (Values::Complexes(a), Values::Complexes(b)) => {
                let bits = |z: &Complex64| (z.re.to_bits(), z.im.to_bits());
                reals(a.iter().zip(b).map(|(a, b)| (bits(a) == bits(b), (a - b).norm())))
            }
            (Values::Integers(a), Values::Integers(b)) => {
                let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs()).filter(|&difference| difference > 0);
                let (count, largest) = differences.fold((0, 0), |(count, most), next| (count + 1, next.max(most)));
                (count, Some(largest.to_string()))
            }
            (Values::Bools(a), Values::Bools(b)) => (a.iter().zip(b).filter(|(a, b)| a != b).count(), None),
            (Values::Strings(a), Values::Strings(b)) => (a.iter().zip(b).filter(|(a, b)| a != b).count(), None),
            _ => (0, None),
        }
    }

    /// The elements as JSON arrays, nested as the dims are; if there are none, one empty array, since a file can have an
    /// empty tensor of any number of rows.
    pub fn json(self, dims: &[usize]) -> Value {
        let mut flat: Box<dyn Iterator<Item = Value>> = match self {
            Values::Reals(all) => Box::new(all.into_iter().map(real)),
            Values::Integers(all) => Box::new(all.into_iter().map(|n| {
                // Either is wide enough for one half of them.
                i64::try_from(n).map_or_else(|_| u64::try_from(n).map_or(Value::Null, Value::from), Value::from)
            })),
            Values::Complexes(all) => Box::new(all.into_iter().map(|z| json!([real(z.re), real(z.im)]))),
            Values::Bools(all) => Box::new(all.into_iter().map(Value::from)),
            Values::Strings(all) => Box::new(all.into_iter().map(|text| match std::str::from_utf8(&text) {
                Ok(text) => Value::from(text),
                Err(_) => json!({ "hex": text.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
            })),
        };
        if dims.contains(&0) { json!([]) } else { nested(dims, &mut flat) }
    }
}

/// Counts those that are not the same, and takes the largest of their differences; one that is no number is the largest.
fn reals(pairs: impl Iterator<Item = (bool, f64)>) -> (usize, Option<String>) {
    let different = pairs.filter(|(same, _)| !same).map(|(_, difference)| difference);
    let larger = |most: f64, next: f64| if next > most || next.is_nan() { next } else { most };
    let (count, largest) = different.fold((0, 0.0), |(count, most), next| (count + 1, larger(most, next)));
    (count, Some(format!("{largest:?}")))
}

/// A number, or the word for what JSON has no number for.
fn real(x: f64) -> Value {
    match x {
        x if x.is_nan() => Value::from("NaN"),
        f64::INFINITY => Value::from("Infinity"),
        f64::NEG_INFINITY => Value::from("-Infinity"),
        x => Value::from(x),
    }
}

fn nested(dims: &[usize], flat: &mut dyn Iterator<Item = Value>) -> Value {
    match dims.split_first() {
        Some((&dim, below)) => (0..dim).map(|_| nested(below, flat)).collect(),
        None => flat.next().unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(a: impl Into<Tensor>, b: impl Into<Tensor>) -> (usize, Option<String>) {
        Values::of(&a.into()).unwrap().difference(&Values::of(&b.into()).unwrap())
    }

    #[test]
    fn a_difference_is_one_of_bits_and_its_size_is_exact() {
        let said = |largest: &str| Some(largest.to_owned());
        assert_eq!(difference([1.0_f32, 2.0, 3.0], [1.0_f32, 2.5, 2.0]), (2, said("1.0")));
        assert_eq!(difference([0.0, 1.0], [-0.0, 1.0]), (1, said("0.0")));
        assert_eq!(difference([f64::NAN, 1.0, 2.0], [0.0, 9.0, 2.0]), (2, said("NaN")));
        assert_eq!(difference([f64::NAN, 1.0], [f64::NAN, 1.0]), (0, said("0.0")));
        assert_eq!(difference([u64::MAX], [0_u64]), (1, said("18446744073709551615")));
        assert_eq!(difference([i64::MIN], [i64::MAX]), (1, said("18446744073709551615")));
        assert_eq!(difference([true, false], [false, false]), (1, None));
        assert_eq!(difference([Complex64::new(0.0, 0.0)], [Complex64::new(3.0, -4.0)]), (1, said("5.0")));
    }

    #[test]
    fn every_element_has_a_json() {
        let json = |tensor: Tensor| Values::of(&tensor).unwrap().json(tensor.dims().unwrap()).to_string();
        assert_eq!(json([[1.5_f32, -0.0], [f32::NAN, f32::INFINITY]].into()), r#"[[1.5,-0.0],["NaN","Infinity"]]"#);
        assert_eq!(json([u64::MAX, 1].into()), "[18446744073709551615,1]");
        assert_eq!(json([i64::MIN].into()), "[-9223372036854775808]");
        assert_eq!(json([Complex32::new(1.0, -2.0)].into()), "[[1.0,-2.0]]");
        assert_eq!(json(true.into()), "true");
        assert_eq!(json(Tensor::strings([2], [&b"a"[..], b"\xff\x00"]).unwrap()), r#"["a",{"hex":"ff00"}]"#);
        assert_eq!(json(Tensor::zeros([2, 0], DType::F32).unwrap()), "[]");
    }
}
