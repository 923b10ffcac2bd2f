//! `show`: one tensor and its value.

use super::list::{Row, json};
use super::{Prefix, VALUE, one_line};
use crate::{Outcome, values::Values};
use clap::Args;
use modulor::{Error, Result, Shape, nearest};
use serde::Serialize;
use serde_json::Value;

/// Show one tensor: its dtype, its shape, and its value, a large one by its corners
#[derive(Args)]
#[command(after_long_help = "\
With --json, all elements are printed: complex ones as [re, im], what JSON has no number for as
\"NaN\", \"Infinity\" or \"-Infinity\", and strings that are not UTF-8 as {\"hex\": ..}.

Examples:
  modulor checkpoint show runs/ckpt-3 model/dense_1/w
  modulor checkpoint show runs/ckpt-3 save_counter/.ATTRIBUTES/VARIABLE_VALUE --json")]
pub struct Show {
    /// The checkpoint: what its files' names begin with, or its .index file
    prefix: Prefix,
    /// The name of the tensor as `list` prints it, or without /.ATTRIBUTES/VARIABLE_VALUE
    key: String,
    /// Print an object {name, dtype, shape, bytes, value}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    value: Value,
}

/// So many names are offered instead of one that is not there.
const OFFERED: usize = 3;

impl Show {
    pub fn run(self) -> Result<Outcome> {
        let bundle = self.prefix.open()?;
        let whole = format!("{}{VALUE}", self.key);
        let found = [&self.key, &whole].into_iter().find_map(|key| Some((key, bundle.entry(key)?)));
        let Some((key, entry)) = found else {
            let names = bundle.entries().map(|(name, _)| name.strip_suffix(VALUE).unwrap_or(name));
            let near = nearest::nearest_few(&self.key, names, OFFERED);
            let error = Error::not_found(format!("{}: has no tensor {:?}", self.prefix, self.key));
            return Err(match &near[..] {
                [] => error.note("there is none at all"),
                near => error.note(format!(
                    "the nearest are {}",
                    near.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
                )),
            });
        };
        if self.json {
            let value = Values::of(&bundle.read(key)?)?.json(&entry.shape);
            return Ok(Outcome::text(json(&Shown { row: Row::of(key, entry), value })?));
        }
        let value = match entry.dtype.dtype() {
            Some(_) => bundle.read(key)?.elements_text(),
            None => format!("(values of {} can be copied and compared, not shown)", entry.dtype),
        };
        let (name, shape) = (one_line(key), Shape::from(&entry.shape));
        Ok(Outcome::text(format!("{name}\n{} {shape}, {} bytes\n{value}", entry.dtype, entry.size())))
    }
}
