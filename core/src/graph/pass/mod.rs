//! Passes: functions from graphs to graphs that compute the same.

mod epilogue;
mod fusion;
mod samples;
mod share;

use epilogue::append;
use fusion::fuse;
use samples::by_samples;
use share::share;

use super::{Edge, Graph};

/// A graph of known shapes on values, by all passes.
pub(crate) fn optimized(graph: Graph) -> Graph {
    by_samples(fuse(append(share(graph))))
}

/// Where each output of each node goes: node and input of those that take it, or none for an output of the graph.
struct Uses {
    first: Vec<usize>,
    all: Vec<Vec<Option<usize>>>,
}

impl Uses {
    fn of(graph: &Graph) -> Uses {
        let mut first = Vec::with_capacity(graph.nodes.len());
        let mut count = 0;
        for node in &graph.nodes {
            first.push(count);
            count += node.specs.len();
        }
        let mut uses = Uses { first, all: vec![Vec::new(); count] };
        for (at, node) in graph.nodes.iter().enumerate() {
            for edge in &node.inputs {
                let place = uses.place(edge);
                uses.all[place].push(Some(at));
            }
        }
        for edge in &graph.outputs {
            let place = uses.place(edge);
            uses.all[place].push(None);
        }
        uses
    }

    fn place(&self, edge: &Edge) -> usize {
        self.first[edge.node] + edge.output
    }

    /// The nodes that take an output, each as often as it does; none stands for an output of the graph.
    fn of_edge(&self, edge: &Edge) -> &[Option<usize>] {
        &self.all[self.place(edge)]
    }
}
