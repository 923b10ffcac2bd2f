//! What a call of a compiled graph costs: operations, bytes and memory.

use std::collections::BTreeMap;
use std::fmt;

/// What one call of a [`Function`](super::Function) costs, by what the plan says: XLA's cost analysis.
///
/// Operations are those of arithmetic: a multiplication and an addition are two, a function of an element (`exp`) is one. Bytes
/// are what ops take and give, each operand once; a view moves nothing. The body of a loop counts once, since how often it
/// runs is not known, and of branches the one of the most operations.
///
/// It prints as a table, the op of the most operations first:
///
/// ```
/// use modulor_core::{Function, Tensor, Variable};
/// # fn main() -> modulor_core::Result<()> {
/// let w = Variable::new(Tensor::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]));
/// let f = Function::new(move |x: &Tensor| x.matmul(&w)?.softmax(-1)?.sum(..));
/// let cost = f.cost(&Tensor::from([[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]))?;
/// // 4 rows, 3 columns, 2 terms of a product and a sum each.
/// assert_eq!(cost.ops().find(|op| op.name == "MatMul").map(|op| op.flops), Some(4 * 3 * 2 * 2));
/// assert_eq!((cost.variables, cost.results), (24, 4));
/// assert!(cost.to_string().starts_with("op       calls  operations"), "{cost}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    ops: BTreeMap<String, OpCost>,
    /// Bytes of the buffers that results on the way lie in, one after the other: the most that there are at once, and what is
    /// lost where they do not follow each other well.
    pub buffers: u64,
    /// Bytes of the buffers of what is given back and assigned.
    pub results: u64,
    /// Bytes of the constants.
    pub constants: u64,
    /// Bytes of the variables that are read.
    pub variables: u64,
}

/// What all calls of one op cost together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpCost {
    /// TensorFlow's name, or what a pass of several is called.
    pub name: String,
    /// How many there are.
    pub calls: u64,
    /// Multiplications, additions and functions of elements.
    pub flops: u64,
    /// Bytes that they take.
    pub read: u64,
    /// Bytes that they give.
    pub written: u64,
}

impl Cost {
    /// All operations.
    pub fn flops(&self) -> u64 {
        self.ops.values().map(|op| op.flops).sum()
    }

    /// All bytes that ops take.
    pub fn read(&self) -> u64 {
        self.ops.values().map(|op| op.read).sum()
    }

    /// All bytes that ops give.
    pub fn written(&self) -> u64 {
        self.ops.values().map(|op| op.written).sum()
    }

    /// By op, that of the most operations first.
    pub fn ops(&self) -> impl Iterator<Item = &OpCost> {
        let mut ops: Vec<&OpCost> = self.ops.values().collect();
        ops.sort_by_key(|op| std::cmp::Reverse(op.flops));
        ops.into_iter()
    }

    /// One more call.
    pub(super) fn add(&mut self, name: &str, flops: u64, read: u64, written: u64) {
        self.join(&OpCost { name: name.to_owned(), calls: 1, flops, read, written });
    }

    fn join(&mut self, other: &OpCost) {
        let op = self.ops.entry(other.name.clone()).or_default();
        op.name.clone_from(&other.name);
        op.calls += other.calls;
        op.flops += other.flops;
        op.read += other.read;
        op.written += other.written;
    }

    /// With what a graph in it costs.
    pub(super) fn include(&mut self, other: &Cost) {
        other.ops.values().for_each(|op| self.join(op));
        self.buffers += other.buffers + other.results;
        self.constants += other.constants;
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.ops.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(7);
        writeln!(f, "{:width$}  calls  operations  bytes read  bytes written", "op")?;
        let row = |name: &str, calls: u64, flops: u64, read: u64, written: u64| {
            format!("{name:width$}  {calls:5}  {flops:10}  {read:10}  {written:13}")
        };
        for op in self.ops() {
            writeln!(f, "{}", row(&op.name, op.calls, op.flops, op.read, op.written))?;
        }
        let calls = self.ops.values().map(|op| op.calls).sum();
        writeln!(f, "{}", row("all", calls, self.flops(), self.read(), self.written()))?;
        let Cost { buffers, results, constants, variables, .. } = self;
        write!(
            f,
            "bytes: {buffers} of buffers, {results} of results, {constants} of constants, {variables} of variables"
        )
    }
}
