//! `convert`: a checkpoint as a safetensors file, and the other way.

use super::{Prefix, VALUE};
use crate::Outcome;
use clap::Args;
use modulor::checkpoint::ObjectGraph;
use modulor::checkpoint::bundle::{BundleWriter, OBJECT_GRAPH_KEY};
use modulor::checkpoint::safetensors::{self, SafeTensors};
use modulor::{Error, Result, Tensor};

/// Make a safetensors file of a checkpoint, or a checkpoint of a safetensors file
///
/// Whichever of IN and OUT ends with .safetensors is that file; the other one is a checkpoint.
///
/// A safetensors file has names and values alone: names are the paths of the variables, the object
/// graph is left out, and tensors of strings, complex128 and float8 are errors. A checkpoint that is
/// made of one gets the object graph that the paths spell, by which `tf.train.Checkpoint` restores.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  modulor checkpoint convert runs/ckpt-3 model.safetensors
  modulor checkpoint convert model.safetensors restored/model"
)]
pub struct Convert {
    /// What there is: a checkpoint, or a file whose name ends with .safetensors
    r#in: Prefix,
    /// What is to be made: the other of the two
    out: Prefix,
}

impl Convert {
    pub fn run(self) -> Result<Outcome> {
        let is_safetensors = |path: &Prefix| path.0.extension().is_some_and(|extension| extension == "safetensors");
        match (is_safetensors(&self.r#in), is_safetensors(&self.out)) {
            (false, true) => to_safetensors(&self.r#in, &self.out)?,
            (true, false) => to_checkpoint(&self.r#in, &self.out)?,
            (both, _) => {
                let which = if both { "both of" } else { "neither of" };
                let (from, to) = (&self.r#in, &self.out);
                return Err(Error::invalid_argument(format!("{which} {from} and {to} end with .safetensors"))
                    .note("`modulor checkpoint copy` makes a checkpoint of a checkpoint"));
            }
        }
        Ok(Outcome::default())
    }
}

fn to_safetensors(from: &Prefix, to: &Prefix) -> Result<()> {
    let bundle = from.open()?;
    let keys: Vec<&str> = bundle.keys().filter(|key| *key != OBJECT_GRAPH_KEY).collect();
    let values = bundle.read_many(&keys)?;
    safetensors::write(&to.0, keys.iter().map(|key| key.strip_suffix(VALUE).unwrap_or(key)).zip(&values))
}

fn to_checkpoint(from: &Prefix, to: &Prefix) -> Result<()> {
    let file = SafeTensors::open(&from.0)?;
    let (graph, keys) = ObjectGraph::of_paths(file.names())?;
    let mut writer = BundleWriter::new(&to.0);
    for (name, key) in file.names().zip(&keys) {
        writer.add(key, &file.read(name)?)?;
    }
    writer.add(OBJECT_GRAPH_KEY, &Tensor::strings([], [graph.encode()])?)?;
    writer.commit()
}
