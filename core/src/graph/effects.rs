//! In which order nodes have to run that read or write state.

use super::{Edge, Graph, Kind};
use crate::DType;
use crate::op::Effect;
use std::collections::BTreeMap;

/// What must run before what, beside what feeds what.
pub(crate) struct Order {
    /// For each node, the ones before it.
    pub before: Vec<Vec<usize>>,
    /// The writes that none follows.
    pub last_writes: Vec<usize>,
}

/// What happened to a resource, or to anything at all.
#[derive(Clone, Default)]
struct Past {
    write: Option<usize>,
    reads: Vec<usize>,
}

impl Past {
    fn nodes(&self) -> impl Iterator<Item = usize> {
        self.reads.iter().copied().chain(self.write)
    }
}

impl Graph {
    /// A read waits for the last write of its resource; a write for that, and for the reads since. What has an effect and
    /// takes no resource waits for everything, and everything for it.
    pub(crate) fn order(&self) -> Order {
        let mut before = vec![Vec::new(); self.nodes.len()];
        let mut pasts: BTreeMap<(usize, usize), Past> = BTreeMap::new();
        // The last write of anything.
        let mut all = None;
        for (at, node) in self.nodes.iter().enumerate() {
            let Kind::Op(op) = &node.kind else { continue };
            let effect = op.effect();
            if !effect.is_ordered() {
                continue;
            }
            let is_handle = |edge: &&Edge| self.nodes[edge.node].specs[edge.output].dtype == DType::Resource;
            let handles: Vec<(usize, usize)> =
                node.inputs.iter().filter(is_handle).map(|edge| (edge.node, edge.output)).collect();
            if handles.is_empty() {
                before[at] = pasts.values().flat_map(Past::nodes).chain(all).collect();
                pasts.clear();
                all = Some(at);
            }
            for handle in handles {
                let past = pasts.entry(handle).or_insert_with(|| Past { write: all, reads: Vec::new() });
                if effect == Effect::Writes {
                    before[at].extend(past.nodes());
                    *past = Past { write: Some(at), reads: Vec::new() };
                } else {
                    before[at].extend(past.write);
                    past.reads.push(at);
                }
            }
            before[at].sort_unstable();
            before[at].dedup();
            // What feeds it runs before it anyway; it cannot wait for itself.
            before[at].retain(|&other| other != at && node.inputs.iter().all(|edge| edge.node != other));
        }
        let mut last_writes: Vec<usize> = pasts.values().filter_map(|past| past.write).chain(all).collect();
        last_writes.sort_unstable();
        last_writes.dedup();
        let is_write = |&at: &usize| matches!(&self.nodes[at].kind, Kind::Op(op) if op.effect() == Effect::Writes);
        last_writes.retain(is_write);
        Order { before, last_writes }
    }
}

#[cfg(test)]
mod tests {
    use crate::{DType, Spec, Variable, graph::trace};

    #[test]
    fn reads_and_writes_of_one_variable_wait_for_each_other() {
        let (v, w) = (Variable::new(1.0), Variable::new(2.0));
        let graph = trace(
            |x| {
                let a = v.read()?;
                w.assign(&x[0])?;
                v.assign_add(&a)?;
                v.assign_add(&x[0])?;
                Ok(vec![v.read()?])
            },
            &[Spec::new(DType::F32, [] as [usize; 0])],
        )
        .unwrap();
        let names: Vec<&str> = graph.op_names().collect();
        let at = |op: &str| (0..names.len()).filter(|&at| names[at] == op).collect::<Vec<_>>();
        let (reads, adds, assign) = (at("ReadVariableOp"), at("AssignAddVariableOp"), at("AssignVariableOp")[0]);
        let order = graph.order();
        assert!(order.before[reads[0]].is_empty() && order.before[assign].is_empty());
        assert!(order.before[adds[0]].is_empty(), "what it adds is what was read");
        assert_eq!(order.before[adds[1]], [adds[0]]);
        assert_eq!(order.before[reads[1]], [adds[1]]);
        assert_eq!(order.last_writes, [assign, adds[1]]);
    }
}
