//! `diff`: what is different in two checkpoints.

use super::{Prefix, one_line};
use crate::{Outcome, values::Values};
use clap::Args;
use modulor::Result;
use modulor::checkpoint::bundle::Bundle;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Compare two checkpoints, tensor by tensor
///
/// Prints what only one of them has, where dtype or shape differ, and of the others how many elements
/// have other bits, with the largest absolute difference (NaN where one of two elements is no number).
/// In how many files the tensors are, and in what order, does not matter.
///
/// The exit status is 0 when nothing differs and 1 when something does.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Errors end with exit status 1 as well, and say so on stderr.

Examples:
  modulor checkpoint diff runs/ckpt-3 runs/ckpt-4
  modulor checkpoint diff a/model b/model >/dev/null && echo the same"
)]
pub struct Diff {
    /// A checkpoint: what its files' names begin with, or its .index file
    a: Prefix,
    /// Another one
    b: Prefix,
}

impl Diff {
    pub fn run(self) -> Result<Outcome> {
        let (a, b) = (self.a.open()?, self.b.open()?);
        let keys: BTreeSet<&str> = a.keys().chain(b.keys()).collect();
        let mut text = String::new();
        for key in keys {
            let said = match (a.entry(key), b.entry(key)) {
                (Some(one), None) => Some(format!("{one} only in {}", self.a)),
                (None, Some(other)) => Some(format!("{other} only in {}", self.b)),
                (Some(one), Some(other)) if (one.dtype, &one.shape) != (other.dtype, &other.shape) => {
                    Some(format!("{one} in {}, {other} in {}", self.a, self.b))
                }
                _ => compare(key, &a, &b)?,
            };
            if let Some(said) = said {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{}: {said}", one_line(key));
            }
        }
        Ok(Outcome { is_negative: !text.is_empty(), text, ..Outcome::default() })
    }
}

/// What differs in two tensors of one dtype and shape.
fn compare(key: &str, a: &Bundle, b: &Bundle) -> Result<Option<String>> {
    let Some(entry) = a.entry(key) else { return Ok(None) };
    let (count, largest) = if entry.dtype.dtype().is_some() {
        Values::of(&a.read(key)?)?.difference(&Values::of(&b.read(key)?)?)
    } else {
        let (one, other) = (a.read_bytes(key)?, b.read_bytes(key)?);
        let size = entry.dtype.size().max(1);
        (one.chunks(size).zip(other.chunks(size)).filter(|(one, other)| one != other).count(), None)
    };
    if count == 0 {
        return Ok(None);
    }
    let largest = largest.map_or(String::new(), |largest| format!(", by at most {largest}"));
    Ok(Some(format!("{count} of {} elements differ{largest}", entry.elements())))
}
