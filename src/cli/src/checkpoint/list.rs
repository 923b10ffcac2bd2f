//! `list`: a line for each tensor.

use super::{Prefix, one_line};
use crate::Outcome;
use clap::Args;
use modulor::checkpoint::bundle::EntryInfo;
use modulor::{Error, Result, Shape};
use serde::Serialize;
use std::fmt::Write;

/// List the tensors in a checkpoint: name, dtype, shape and size in bytes
///
/// They are in the order of their names, as `tf.train.list_variables` gives them.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  modulor checkpoint list runs/ckpt-3
  modulor checkpoint list runs/ckpt-3.index --json | jq -r '.[].name'"
)]
pub struct List {
    /// The checkpoint: what its files' names begin with, or its .index file
    prefix: Prefix,
    /// Print an array of objects {name, dtype, shape, bytes}
    #[arg(long)]
    json: bool,
}

/// What is said of a tensor.
#[derive(Serialize)]
pub struct Row<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [usize],
    bytes: u64,
}

impl<'a> Row<'a> {
    pub fn of(name: &'a str, entry: &'a EntryInfo) -> Row<'a> {
        Row { name, dtype: entry.dtype.name(), shape: &entry.shape, bytes: entry.size() }
    }
}

impl List {
    pub fn run(self) -> Result<Outcome> {
        let bundle = self.prefix.open()?;
        let rows: Vec<Row> = bundle.entries().map(|(name, entry)| Row::of(name, entry)).collect();
        Ok(Outcome::text(if self.json { json(&rows)? } else { table(&rows) }))
    }
}

/// The rows under a head, in columns.
fn table(rows: &[Row]) -> String {
    let head = ["name", "dtype", "shape", "bytes"].map(str::to_owned);
    let cells = |row: &Row| {
        [one_line(row.name), row.dtype.to_owned(), Shape::from(row.shape).to_string(), row.bytes.to_string()]
    };
    let lines: Vec<[String; 4]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let (a, b, c, d) = (width(0), width(1), width(2), width(3));
    let mut text = String::new();
    for [name, dtype, shape, bytes] in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:a$}  {dtype:b$}  {shape:c$}  {bytes:>d$}");
    }
    text
}

/// Any of our own values as JSON.
pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("cannot be said in JSON: {error}")))
}
