//! Passes: functions from graphs to graphs that compute the same.

mod beside;
mod epilogue;
mod fusion;
mod samples;
mod share;
mod simplify;

pub(crate) use beside::Beside;
use beside::beside;
use epilogue::append;
use fusion::fuse;
use samples::by_samples;
use share::share;
use simplify::simplify;

use super::{Edge, Graph};

/// A graph of known shapes on values, by all passes.
pub(crate) fn optimized(graph: Graph) -> Graph {
    beside(by_samples(fuse(append(share(simplify(graph))))))
}

/// Where each output of each node goes: the nodes that take it, each as often as it does; none stands for an output of the graph.
struct Uses {
    /// Where the outputs of each node begin among those of all.
    first: Vec<usize>,
    /// Where the uses of each output end; they begin where those of the one before end.
    ends: Vec<usize>,
    all: Vec<Option<usize>>,
}

impl Uses {
    fn of(graph: &Graph) -> Uses {
        let mut first = Vec::with_capacity(graph.nodes.len());
        let mut count = 0;
        for node in &graph.nodes {
            first.push(count);
            count += node.specs.len();
        }
        let place = |edge: &Edge| first[edge.node] + edge.output;
        let takes =
            graph.nodes.iter().enumerate().flat_map(|(at, node)| node.inputs.iter().map(move |e| (e, Some(at))));
        let gives = graph.outputs.iter().map(|edge| (edge, None));
        let edges = || takes.clone().chain(gives.clone());
        let mut ends = vec![0; count];
        edges().for_each(|(edge, _)| ends[place(edge)] += 1);
        // From how many there are to where they begin, which becomes where they end.
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut all = vec![None; begin];
        for (edge, user) in edges() {
            let next = &mut ends[place(edge)];
            all[*next] = user;
            *next += 1;
        }
        Uses { first, ends, all }
    }

    fn of_edge(&self, edge: &Edge) -> &[Option<usize>] {
        let place = self.first[edge.node] + edge.output;
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.all[begin..self.ends[place]]
    }
}
