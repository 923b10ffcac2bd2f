//! Saving: the values of one moment, and writing them.

use super::bundle::{BundleWriter, OBJECT_GRAPH_KEY};
use super::object_graph::ObjectGraph;
use super::places::Places;
use crate::variable::{self, Variable};
use crate::vfs::Vfs;
use crate::{Error, Result, Tensor};
use std::path::Path;
use std::sync::Arc;

/// The values of all variables of a checkpoint at one moment, and the graph of the objects they are in.
///
/// It holds references: no byte is copied, and training may go on while it is written.
#[derive(Clone)]
pub struct Snapshot {
    graph: ObjectGraph,
    values: Vec<(String, Tensor)>,
}

impl Snapshot {
    /// The values as they are now; `counted` is a variable with the value that it is to have in the file.
    pub(super) fn of(places: &Places, has_root: bool, counted: Option<(&Variable, Tensor)>) -> Result<Snapshot> {
        let (graph, variables) = places.graph()?;
        let graph = if has_root { graph.with_root_edge() } else { graph };
        // What was restored and waits for a shape is as good as a value.
        let waiting: Vec<Option<Tensor>> = variables.iter().map(|(_, variable)| variable.queued()).collect();
        let there = variables.iter().zip(&waiting).filter(|(_, waiting)| waiting.is_none());
        let there: Vec<Variable> = there.map(|((_, variable), _)| variable.clone()).collect();
        let mut there = variable::snapshot(&there)?.into_iter();
        let mut values = Vec::with_capacity(variables.len());
        for ((key, variable), waiting) in variables.into_iter().zip(waiting) {
            let value = match &counted {
                Some((counter, value)) if counter.id() == variable.id() => there.next().map(|_| value.clone()),
                _ => waiting.or_else(|| there.next()),
            };
            values.push((key, value.ok_or_else(|| Error::internal("a variable has no value"))?));
        }
        Ok(Snapshot { graph, values })
    }

    /// The graph of the objects.
    pub fn graph(&self) -> &ObjectGraph {
        &self.graph
    }

    /// The values by their keys, in the order in which they are written.
    pub fn values(&self) -> &[(String, Tensor)] {
        &self.values
    }

    /// Writes all of it as the checkpoint at `prefix`, in place of one that is there: durably, and all or nothing.
    pub(super) fn write(&self, vfs: &Arc<dyn Vfs>, prefix: &Path, max_shard_bytes: Option<u64>) -> Result<()> {
        let mut writer = BundleWriter::new_on(vfs, prefix);
        if let Some(bytes) = max_shard_bytes {
            writer = writer.max_shard_bytes(bytes);
        }
        for (key, value) in &self.values {
            writer.add(key, value)?;
        }
        writer.add(OBJECT_GRAPH_KEY, &Tensor::strings([], [self.graph.encode()])?)?;
        writer.commit()
    }

    /// An error that names the first value which is not finite, if there is one.
    pub(super) fn check_finite(&self) -> Result<()> {
        let floats = self.values.iter().filter(|(_, value)| value.dtype().is_float());
        for (key, value) in floats {
            // What is not finite times 0 is NaN, which is unlike itself.
            let nothing = value.mul(0.0)?;
            if !nothing.equal(&nothing)?.all(..)?.item::<bool>()? {
                let message = format!("`{key}` is not finite, and `save_guard` is set; nothing was saved");
                return Err(Error::failed_precondition(message));
            }
        }
        Ok(())
    }

    /// The part of it that rank `rank` of `ranks` writes: values go to whichever rank has the fewest bytes so far, the graph
    /// to rank 0.
    pub(super) fn part(&self, rank: usize, ranks: usize) -> Vec<(&str, &Tensor)> {
        let mut loads = vec![0_u64; ranks];
        let mut own = Vec::new();
        for (key, value) in &self.values {
            let bytes = value.shape().known().map_or(0, |dims| dims.iter().product::<usize>() * value.dtype().size());
            let least = (0..ranks).min_by_key(|&rank| loads[rank]).unwrap_or_default();
            loads[least] = loads[least].saturating_add(bytes as u64);
            if least == rank {
                own.push((&**key, value));
            }
        }
        own
    }
}
