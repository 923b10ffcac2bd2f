//! `copy`: the same checkpoint in other files.

use super::Prefix;
use crate::Outcome;
use clap::{Args, value_parser};
use modulor::Result;
use modulor::checkpoint::bundle::{BundleWriter, EntryInfo};

/// Write the same checkpoint again, bit for bit, in as many data files as wanted
///
/// All of it is read and its checksums compared. Tensors keep their order; those that were saved in
/// slices become whole, which TensorFlow restores alike. A checkpoint that is at OUT is replaced when
/// the new one is durable; its data files are then one more or fewer than it had.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  modulor checkpoint copy runs/ckpt-3 release/model
  modulor checkpoint copy sharded/model whole/model --shards 1"
)]
pub struct Copy {
    /// The checkpoint: what its files' names begin with, or its .index file
    r#in: Prefix,
    /// What the names of the new files are to begin with
    out: Prefix,
    /// The number of data files
    #[arg(long, default_value = "1", value_parser = value_parser!(u32).range(1..=99_999))]
    shards: u32,
}

impl Copy {
    pub fn run(self) -> Result<Outcome> {
        let bundle = self.r#in.open()?;
        let mut entries: Vec<(&str, &EntryInfo)> = bundle.entries().collect();
        // A tensor without bytes stands where the next one begins.
        entries.sort_by_key(|(_, entry)| {
            let first = entry.slices.iter().map(|slice| &slice.extent).chain([&entry.extent]).next();
            first.map(|extent| (extent.shard, extent.offset, extent.size > 0))
        });
        let mut writer = BundleWriter::new(&self.out.0).shards(self.shards as usize);
        for (key, entry) in entries {
            match entry.dtype.dtype() {
                Some(_) if !entry.slices.is_empty() => writer.add(key, &bundle.read(key)?)?,
                _ => writer.add_copy(key, &bundle, key)?,
            }
        }
        writer.commit()?;
        Ok(Outcome::default())
    }
}
