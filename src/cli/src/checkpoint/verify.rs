//! `verify`: whether every byte is the one that was written.

use super::Prefix;
use crate::Outcome;
use clap::Args;
use modulor::Result;

/// Read every tensor of a checkpoint and compare its checksum
///
/// The index is checked whole, too, and the object graph must be one. Each fault names the tensor,
/// the data file and the offset in it; the exit status is then 1.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  modulor checkpoint verify runs/ckpt-3 && echo whole"
)]
pub struct Verify {
    /// The checkpoint: what its files' names begin with, or its .index file
    prefix: Prefix,
}

impl Verify {
    pub fn run(self) -> Result<Outcome> {
        let bundle = self.prefix.open()?;
        let report = bundle.verify();
        let mut errors = report.faults;
        if errors.is_empty() {
            errors.extend(bundle.object_graph().err());
        }
        let shards = bundle.shards().len();
        let counts =
            format!("{}, {} bytes in {}", count(report.entries, "tensor"), report.bytes, count(shards, "data file"));
        let text = match errors.len() {
            0 => format!("OK: {counts}"),
            faults => format!("DAMAGED: {} in {counts}", count(faults, "fault")),
        };
        Ok(Outcome { text, errors, is_negative: false })
    }
}

/// `1 tensor`, `2 tensors`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
