//! Ops on strings, by what they look at: characters, patterns, parts, numbers, hashes.

mod character;
mod fingerprint;
mod hash;
mod number;
mod part;
mod pattern;
mod ragged;
mod unicode;

pub use character::CharUnit;

use crate::op::OpDef;
use crate::{DType, Error, Result, Spec, Tensor};

/// The ops of this folder.
pub(crate) const OPS: &[&[OpDef]] = &[
    character::CASES,
    character::OTHERS,
    pattern::OPS,
    part::OPS,
    ragged::OPS,
    unicode::OPS,
    number::OPS,
    hash::BUCKETS,
    hash::OTHERS,
];

/// What `f` makes of each string, as a tensor of the same shape.
fn each<S: AsRef<[u8]>>(x: &Tensor, mut f: impl FnMut(&[u8]) -> Result<S>) -> Result<Vec<Tensor>> {
    let texts = x.to_strings()?;
    let made = texts.iter().map(|text| f(text)).collect::<Result<Vec<_>>>()?;
    Ok(vec![Tensor::strings(x.dims()?, made)?])
}

/// The dtype of what must be strings; `what` names it in the error.
fn strings(spec: &Spec, what: &str) -> Result<DType> {
    match spec.dtype {
        DType::String => Ok(DType::String),
        other => Err(Error::invalid_argument(format!("{what} must be strings, found {other}"))),
    }
}

/// The one string of a scalar.
fn one_string(x: &Tensor) -> Result<Vec<u8>> {
    match &*x.to_strings()? {
        [text] => Ok(text.to_vec()),
        texts => Err(Error::invalid_argument(format!("expected one string, found {}", texts.len()))),
    }
}

/// Bytes as an error shows them.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 64;
    let (text, rest) = text.split_at(text.len().min(MOST));
    format!("{:?}{}", String::from_utf8_lossy(text), if rest.is_empty() { "" } else { ".." })
}

/// Where each string of a vector begins and ends in parts that follow each other: an error where the places do not begin
/// at 0, fall, or do not end at `total`.
fn checked_splits(splits: &[i64], total: usize) -> Result<Vec<usize>> {
    let wrong = |why: String| Err(Error::invalid_argument(why));
    let (Some(&first), Some(&last)) = (splits.first(), splits.last()) else {
        return match total {
            0 => Ok(Vec::new()),
            _ => wrong(format!("without splits there must be no values, found {total}")),
        };
    };
    if first != 0 {
        return wrong(format!("the first split must be 0, found {first}"));
    }
    if let Some(pair) = splits.windows(2).find(|pair| pair[0] > pair[1]) {
        return wrong(format!("splits must not fall, found {} before {}", pair[0], pair[1]));
    }
    if usize::try_from(last).ok() != Some(total) {
        return wrong(format!("the last split must be the number of values, {total}, found {last}"));
    }
    Ok(splits.iter().map(|&split| split as usize).collect())
}

/// Places as a vector of int32 or int64.
fn places(values: &[usize], dtype: DType) -> Result<Tensor> {
    Tensor::new([values.len()], values.iter().map(|&at| at as i64).collect::<Vec<_>>())?.cast(dtype)
}
