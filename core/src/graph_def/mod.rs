//! Graphs in TensorFlow's files: a graph as a GraphDef, and a GraphDef as a graph.
//!
//! What is written names TensorFlow's ops alone, with all their attributes, so that TensorFlow runs it; what is read may be any
//! part of a graph that TensorFlow traced, made of ops that are here. A file is a stranger's: it is checked against what
//! TensorFlow's registry says of each op, and an error names the node.

mod attrs;
mod bodies;
mod constant;
mod defs;
mod expand;
mod function;
mod names;
mod plan;
mod read;
mod write;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod tests;

use crate::graph::Graph;
use crate::op::scope;
use crate::{Error, Result, Spec, Variable, registry};
use modulor_wire::graph::GraphDef;
use modulor_wire::message::decode;
use std::collections::HashMap;

/// The version of the ops' meaning: that of TensorFlow 2.21.
const PRODUCER: i32 = 2474;

/// What the node is called that waits for all writes.
const EFFECTS: &str = "effects";

/// Ops that hold a graph together; the registry has none of them.
const STRUCTURE: &[&str] = &[
    "Case",
    "Const",
    "If",
    "NoOp",
    "PartitionedCall",
    "Placeholder",
    "PlaceholderWithDefault",
    "StatefulPartitionedCall",
    "StatelessCase",
    "StatelessIf",
    "StatelessWhile",
    "VarHandleOp",
    "While",
];

impl Graph {
    /// The graph as the bytes of a `GraphDef`, which `tf.compat.v1.import_graph_def` takes.
    ///
    /// The inputs are placeholders of these names, and the outputs come from nodes of these names, in order. Other nodes are
    /// called by their path and op, variables by their names; composites (`gelu`) are the ops of their bodies, and the graphs of
    /// branches and loops are functions of its library. What reads and
    /// writes variables keeps its order; an output waits for all that is written, and a node called `effects` does nothing
    /// else.
    ///
    /// An error when there are not as many names as inputs and outputs, when two are equal or one is not a name that
    /// TensorFlow takes, when a node is of an op that TensorFlow does not have, and for more than 2 GiB.
    ///
    /// ```
    /// use modulor_core::{DType, Spec, Tensor, graph::{Graph, trace}};
    /// # fn main() -> modulor_core::Result<()> {
    /// let graph = trace(|x| Ok(vec![x[0].gelu(false)?]), &[Spec::new(DType::F32, [None, Some(3)])])?;
    /// let bytes = graph.to_graph_def(&["x"], &["y"])?;
    /// let again = Graph::from_graph_def(&bytes, &["x"], &["y"], |_, _| None)?;
    /// assert!(again.op_names().any(|op| op == "Erfc"));
    /// let x = Tensor::from([[-1.0_f32, 0.0, 1.0]]);
    /// assert_eq!(again.run(&[&x])?[0].to_vec::<f32>()?.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_graph_def(&self, inputs: &[&str], outputs: &[&str]) -> Result<Vec<u8>> {
        self.written(inputs, outputs)
    }

    /// The part of a `GraphDef` that computes `outputs` from `inputs`: `x:0` or `x` for the first output of a node, `y:1` for
    /// the second; `^train` among the outputs is a node that has to run and gives nothing. Inputs are placeholders.
    ///
    /// Variables are the caller's: `variables` is given the name that handles share, and dtype and shape as they are declared,
    /// once for each. Calls of functions become what the functions say; what is known while reading is computed.
    ///
    /// An error, which names the node, the op, what was found and what was expected, when the bytes are no GraphDef or one
    /// for other readers; when a name is missing or there twice; when nodes wait for each other, or functions call each other
    /// in a circle; when ops are not here (all of them are named), or their attributes, inputs, dtypes and shapes do not fit;
    /// when a variable is missing or another one; and when the file asks for much more memory than it has bytes. Branches and
    /// loops are those of `tf.function`: those of TensorFlow 1 (`Switch`, `Enter`) are refused.
    ///
    /// ```
    /// use modulor_core::{DType, Spec, Tensor, Variable, graph::{Graph, trace}};
    /// # fn main() -> modulor_core::Result<()> {
    /// let w = Variable::new(2.0);
    /// w.stamp("w");
    /// let graph = trace(|x| Ok(vec![&x[0] * w.read()?]), &[Spec::new(DType::F32, [2])])?;
    /// let bytes = graph.to_graph_def(&["x"], &["y"])?;
    ///
    /// let other = Variable::new(3.0);
    /// let again = Graph::from_graph_def(&bytes, &["x"], &["y"], |name, _| (name == "w").then(|| other.clone()))?;
    /// assert_eq!(again.run(&[&Tensor::from([1.0_f32, 2.0])])?[0].to_vec::<f32>()?, [3.0, 6.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_graph_def(
        bytes: &[u8],
        inputs: &[&str],
        outputs: &[&str],
        mut variables: impl FnMut(&str, &Spec) -> Option<Variable>,
    ) -> Result<Graph> {
        let file: GraphDef = decode(bytes).map_err(|error| Error::data_loss(error.to_string()))?;
        if let Some(versions) = &file.versions
            && (versions.min_consumer > PRODUCER || versions.bad_consumers.contains(&PRODUCER))
        {
            let message =
                format!("the graph is for readers of version {} on, and this is {PRODUCER}", versions.min_consumer);
            return Err(Error::unimplemented(message));
        }
        let mut functions = HashMap::new();
        for function in file.library.iter().flat_map(|library| &library.function) {
            let name = function.signature.as_ref().map_or("", |signature| &signature.name);
            if functions.insert(name, function).is_some() {
                return Err(Error::invalid_argument(format!("two functions are called `{}`", plan::shown(name))));
            }
        }
        let library = plan::Library { ops: registry::ops().map(|def| (def.name, def)).collect(), functions };
        scope::outside(|| read::Reader::new(&file, library, &mut variables).read(&file, inputs, outputs))
    }
}
