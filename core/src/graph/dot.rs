//! A graph as a drawing's source.

use super::{Edge, Graph, Kind};
use std::fmt::Write;

impl Graph {
    /// The graph in DOT, which Graphviz draws: a box for each node with its path, op, dtypes and shapes, an arrow for each
    /// input, a dashed one for what only has to run before.
    ///
    /// ```
    /// use modulor_core::{DType, Spec, graph::trace};
    /// # fn main() -> modulor_core::Result<()> {
    /// let graph = trace(|x| Ok(vec![x[0].relu()?]), &[Spec::new(DType::F32, [None, Some(3)])])?;
    /// assert_eq!(
    ///     graph.to_dot(),
    ///     "digraph {\n  node [shape=box];\n  \
    ///        n0 [label=\"Placeholder\\nfloat32(None, 3)\", style=rounded];\n  \
    ///        n1 [label=\"Relu\\nfloat32(None, 3)\"];\n  \
    ///        n0 -> n1;\n  \
    ///        output0 [label=\"output 0\", style=rounded];\n  \
    ///        n1 -> output0;\n}\n"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph {\n  node [shape=box];\n");
        let order = self.order();
        // Writing to a string cannot fail.
        for (at, node) in self.nodes.iter().enumerate() {
            let mut lines: Vec<String> = node.path.iter().map(|path| path.to_string()).collect();
            lines.push(match &node.kind {
                Kind::Captured(value) if value.as_resource().is_ok() => {
                    format!("{} {}", node.kind.name(), value.as_resource().map(|held| held.name()).unwrap_or_default())
                }
                Kind::Op(op) => format!("{}{:?}", node.kind.name(), op.attrs()),
                Kind::Placeholder | Kind::Captured(_) => node.kind.name().to_owned(),
            });
            lines.extend(node.specs.iter().map(|spec| spec.to_string()));
            let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
            let style = if matches!(node.kind, Kind::Op(_)) { "" } else { ", style=rounded" };
            let _ = writeln!(out, "  n{at} [label=\"{}\"{style}];", label.join("\\n"));
            for edge in &node.inputs {
                self.arrow(&mut out, edge, &format!("n{at}"));
            }
            for before in &order.before[at] {
                let _ = writeln!(out, "  n{before} -> n{at} [style=dashed];");
            }
        }
        for (i, edge) in self.outputs.iter().enumerate() {
            let _ = writeln!(out, "  output{i} [label=\"output {i}\", style=rounded];");
            self.arrow(&mut out, edge, &format!("output{i}"));
        }
        out.push_str("}\n");
        out
    }

    /// From an output to what takes it; its number is said where there are several.
    fn arrow(&self, out: &mut String, from: &Edge, to: &str) {
        let _ = match self.nodes[from.node].specs.len() {
            1 => writeln!(out, "  n{} -> {to};", from.node),
            _ => writeln!(out, "  n{} -> {to} [taillabel=\"{}\"];", from.node, from.output),
        };
    }
}

/// What a quoted text of DOT says as these characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::{DType, Spec, Variable, graph::trace, op::scope};

    #[test]
    fn names_attributes_outputs_and_effects_are_drawn() {
        let v = Variable::new(1.0);
        v.stamp("a\"b");
        let graph = trace(
            |x| {
                v.assign(&x[0].sum(..)?)?;
                let parts = scope::within("net/cut", || x[0].split(2, 0))?;
                Ok(vec![&parts[1] * v.read()?])
            },
            &[Spec::new(DType::F32, [4])],
        )
        .unwrap();
        let dot = graph.to_dot();
        for wanted in [
            "VarHandleOp a\\\"b",
            "[style=dashed]",
            "label=\"net/cut\\nSplit{num_split=2}\\nfloat32(2,)\\nfloat32(2,)\"",
            "[taillabel=\"1\"]",
            "label=\"Sum{keep_dims=false}\\nfloat32()\"",
        ] {
            assert!(dot.contains(wanted), "{wanted} in {dot}");
        }
    }
}
