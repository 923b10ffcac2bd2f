//! A graph on variables made one on values, of known shapes: what variables hold comes in, and what they become goes out.

use crate::graph::{Graph, trace_within};
use crate::op::{Node, Origin, Values};
use crate::tensor::ByNumber;
use crate::{Error, Result, Spec, Tensor, Variable};

/// A graph without state.
pub(crate) struct Lowered {
    /// Takes the inputs and then the values of the variables; gives the outputs and then what was written.
    pub graph: Graph,
    /// The variables that are read, in the order of their inputs.
    pub read: Vec<Variable>,
    /// The variables that are written, in the order of their outputs.
    pub written: Vec<Variable>,
    /// How many inputs there are beside the values of variables.
    pub inputs: usize,
    /// How many outputs there are beside what is written.
    pub outputs: usize,
}

/// What the variables hold at a place of the graph.
#[derive(Default)]
struct State {
    /// By the number of the variable.
    cells: ByNumber<Cell>,
    /// The numbers of those that were written, in the order of their first writes.
    written: Vec<u64>,
}

struct Cell {
    variable: Variable,
    /// The symbol of the value it begins with.
    begins: Option<Tensor>,
    now: Tensor,
    is_written: bool,
}

impl Values for State {
    fn value(&mut self, handle: &Tensor) -> Result<Tensor> {
        let variable = Variable::of_handle(handle)?;
        if let Some(cell) = self.cells.get(&variable.id()) {
            return Ok(cell.now.clone());
        }
        let spec = variable.value()?.spec().clone();
        let symbols = Node::new(Origin::Placeholder, Vec::new(), vec![spec]).outputs();
        let symbol = symbols.into_iter().next().ok_or_else(|| Error::internal("a placeholder has an output"))?;
        let cell = Cell { begins: Some(symbol.clone()), now: symbol.clone(), is_written: false, variable };
        self.cells.insert(cell.variable.id(), cell);
        Ok(symbol)
    }

    fn assign(&mut self, handle: &Tensor, value: Tensor) -> Result<()> {
        let variable = Variable::of_handle(handle)?;
        let id = variable.id();
        let new = || Cell { variable, begins: None, now: value.clone(), is_written: false };
        let cell = self.cells.entry(id).or_insert_with(new);
        cell.now = value.clone();
        if !std::mem::replace(&mut cell.is_written, true) {
            self.written.push(id);
        }
        Ok(())
    }
}

/// The graph for inputs of these specs, which are wholly known. Operations on constants are made here, once, and dims that
/// are known now are constants too; what no output and no effect needs is left out.
pub(crate) fn lower(graph: &Graph, specs: &[Spec]) -> Result<Lowered> {
    let mut state = State::default();
    let body = |symbols: &[Tensor]| {
        let mut outputs = graph.inlined(&symbols.iter().collect::<Vec<_>>(), &mut state)?;
        let finals = state.written.iter().map(|id| state.cells[id].now.clone());
        outputs.extend(finals);
        Ok(outputs)
    };
    let (mut lowered, captures) = trace_within(body, specs)?;
    let mut by_symbol: ByNumber<Variable> = ByNumber::default();
    for cell in state.cells.values() {
        if let Some(symbol) = &cell.begins {
            by_symbol.insert(symbol.id(), cell.variable.clone());
        }
    }
    let read = captures.iter().map(|symbol| {
        by_symbol.get(&symbol.id()).cloned().ok_or_else(|| {
            let message = format!("an output depends on a symbol {} of another trace", symbol.spec());
            Error::invalid_argument(message)
        })
    });
    let read = read.collect::<Result<Vec<_>>>()?;
    // In the order of their numbers, in which they are locked.
    let mut order: Vec<usize> = (0..read.len()).collect();
    order.sort_by_key(|&at| read[at].id());
    let nodes = lowered.inputs.split_off(specs.len());
    lowered.inputs.extend(order.iter().map(|&at| nodes[at]));
    Ok(Lowered {
        read: order.into_iter().map(|at| read[at].clone()).collect(),
        written: state.written.iter().map(|id| state.cells[id].variable.clone()).collect(),
        inputs: specs.len(),
        outputs: graph.outputs.len(),
        graph: lowered,
    })
}
