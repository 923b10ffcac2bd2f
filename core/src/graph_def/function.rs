//! The graph of an op as a function of a file's library.

use super::attrs;
use super::names::Names;
use super::write::Writer;
use crate::op::{Effect, Func};
use crate::{Result, Spec, Tensor};
use modulor_wire::graph::{ArgAttrs, ArgAttrsEntry, ArgDef, FunctionDef, ListValue, OpDef, TextEntry, Value};
use modulor_wire::message::encode;

impl Writer<'_> {
    /// Adds a graph to the library, under this name or one like it. `handles` are those of its inputs that are known handles.
    ///
    /// Its nodes wait for each other as those of a graph do; what is written last, the function gives as control outputs.
    pub(super) fn function(&mut self, wanted: &str, graph: &Func, handles: &[Option<Tensor>]) -> Result<String> {
        let graph = graph.graph()?;
        let graph = graph.expanded(handles)?;
        let name = self.file.names.unique(&wanted.replace('/', "_"));
        let arguments: Vec<String> = (0..graph.inputs.len()).map(|at| format!("arg{at}")).collect();
        let mut names = Names::default();
        arguments.iter().for_each(|argument| {
            names.take(argument);
        });
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut writer = Writer::new(&graph, names, true, &mut *self.file);
        let order = writer.all_nodes(&arguments, handles)?;
        let text = |key: String, value: String| TextEntry { key, value };
        let ret =
            graph.outputs.iter().enumerate().map(|(at, edge)| text(format!("result{at}"), writer.reference(edge)));
        let ret = ret.collect();
        let last: Vec<&String> = order.last_writes.iter().map(|&write| &writer.written[write]).collect();
        let argument = |name: String, spec: &Spec| ArgDef { name, r#type: spec.dtype.number(), ..Default::default() };
        let signature = OpDef {
            name: name.clone(),
            input_arg: arguments
                .iter()
                .zip(graph.inputs())
                .map(|(name, spec)| argument((*name).to_owned(), spec))
                .collect(),
            output_arg: graph.outputs().enumerate().map(|(at, spec)| argument(format!("result{at}"), spec)).collect(),
            is_stateful: graph.effects().any(|effect| effect != Effect::Pure),
            control_output: (0..last.len()).map(|at| format!("write{at}")).collect(),
            ..Default::default()
        };
        let control_ret =
            last.into_iter().enumerate().map(|(at, node)| text(format!("write{at}"), node.clone())).collect();
        let arg_attr = graph.inputs().enumerate().map(|(at, spec)| shape_entry(at, spec)).collect();
        let function = FunctionDef {
            signature: Some(Box::new(signature)),
            node_def: writer.nodes,
            ret,
            control_ret,
            arg_attr,
            ..Default::default()
        };
        self.file.functions.push(function);
        Ok(name)
    }
}

/// What is known of the shape of an argument.
fn shape_entry(at: usize, spec: &Spec) -> Vec<u8> {
    let shape = ListValue { shape: vec![attrs::to_shape(&spec.shape)], ..Default::default() };
    let attr = vec![attrs::entry("_output_shapes", Value::List(Box::new(shape)))];
    encode(&ArgAttrsEntry { key: u32::try_from(at).unwrap_or(u32::MAX), value: Some(ArgAttrs { attr }) })
}
