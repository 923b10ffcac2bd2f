//! `graph`: the objects whose values these are.

use super::Prefix;
use crate::Outcome;
use clap::Args;
use modulor::{Error, Result};

/// Print the tree of objects that a checkpoint was saved from
///
/// Variables stand with the names of their values. An object with several names is printed once;
/// its other names point there.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  modulor checkpoint graph runs/ckpt-3"
)]
pub struct Graph {
    /// The checkpoint: what its files' names begin with, or its .index file
    prefix: Prefix,
}

impl Graph {
    pub fn run(self) -> Result<Outcome> {
        match self.prefix.open()?.object_graph()? {
            Some(graph) => Ok(Outcome::text(graph.to_string())),
            None => Err(Error::not_found(format!("{}: has no object graph", self.prefix))
                .note("its values have names only, as `modulor checkpoint list` prints them")),
        }
    }
}
