//! Branches and loops that a tensor may decide.

use super::carried::{Carries, Carry, Probe};
use crate::op::scope;
use crate::{DType, Error, Result, Structure, Tensor, cond, scan, while_loop};
use std::marker::PhantomData;

/// Where in the source something stands, for messages.
pub struct Place {
    /// What it is: `if`, `while`, `for`.
    pub what: &'static str,
    /// The file.
    pub file: &'static str,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Place {
    /// The error of something that is not done where a tensor decides.
    pub(super) fn refuse(&self, fact: String, help: &str) -> Error {
        let Place { what, file, line, column } = self;
        let what = match *what {
            "if" => "an `if` that a tensor decides",
            "while" => "a `while` that a tensor decides",
            _ => "a `for` over a tensor",
        };
        Error::invalid_argument(format!("{what}, at {file}:{line}:{column}, {fact}")).note(help)
    }
}

/// The error of leaving a branch or a loop from within.
pub fn crossing(place: &Place, word: &str) -> Error {
    let help = match word {
        "return" => "give the value back after it",
        _ => "leave a `while` or a `for` that a tensor decides, too, or say when to end in the condition of the loop",
    };
    place.refuse(format!("is left by a `{word}` of what is around it"), help)
}

/// What may stand behind `if` and `while`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition",
    label = "neither a `bool` nor a `Tensor`",
    note = "a condition is a `bool` or a `Tensor` of one bool; after a call that can fail write `?`"
)]
pub trait Condition {
    /// Whether it is a tensor.
    const IS_TENSOR: bool;

    /// What it says.
    fn decide(self) -> Result<Decision>;
}

/// What a condition says.
pub enum Decision {
    /// What it is.
    Known(bool),
    /// A symbol.
    Symbol(Tensor),
}

impl Condition for bool {
    const IS_TENSOR: bool = false;

    fn decide(self) -> Result<Decision> {
        Ok(Decision::Known(self))
    }
}

impl Condition for &bool {
    const IS_TENSOR: bool = false;

    fn decide(self) -> Result<Decision> {
        Ok(Decision::Known(*self))
    }
}

impl Condition for Tensor {
    const IS_TENSOR: bool = true;

    fn decide(self) -> Result<Decision> {
        self.check()?;
        if self.dtype() != DType::Bool || !matches!(self.rank(), None | Some(0)) {
            return Err(Error::invalid_argument(format!("a condition is one bool, found {}", self.spec()))
                .note("of several, say whether `any` or `all` of them"));
        }
        match self.is_symbolic() {
            true => Ok(Decision::Symbol(self)),
            false => self.item::<bool>().map(Decision::Known),
        }
    }
}

impl Condition for &Tensor {
    const IS_TENSOR: bool = true;

    fn decide(self) -> Result<Decision> {
        self.clone().decide()
    }
}

/// What a condition says.
pub fn decide(condition: impl Condition) -> Result<Decision> {
    condition.decide()
}

/// What a condition says that is no symbol.
pub fn truth(condition: impl Condition) -> Result<bool> {
    match condition.decide()? {
        Decision::Known(truth) => Ok(truth),
        Decision::Symbol(_) => Err(Error::invalid_argument("a symbol decides, and no graph is traced")),
    }
}

/// The bool of a flag that says whether a loop is left.
pub fn flag(value: bool) -> Tensor {
    Tensor::scalar(value)
}

/// Whether a flag is not set.
pub fn neither(flag: &Tensor) -> Result<Decision> {
    match flag.is_symbolic() {
        true => flag.logical_not()?.decide(),
        false => Ok(Decision::Known(!flag.item::<bool>()?)),
    }
}

/// A condition that does not hold any more once a flag is set, and is not asked then.
pub fn unless<C: Condition>(flag: &Tensor, condition: impl FnOnce() -> Result<C>) -> Result<Tensor> {
    chosen(neither(flag)?, || tensor(condition()?), || Ok(Tensor::scalar(false)))
}

/// A condition as a tensor.
fn tensor(condition: impl Condition) -> Result<Tensor> {
    Ok(match condition.decide()? {
        Decision::Known(truth) => Tensor::scalar(truth),
        Decision::Symbol(symbol) => symbol,
    })
}

/// What one of two gives, of which the other changes nothing.
pub fn chosen<S: Structure>(
    decision: Decision,
    then: impl FnOnce() -> Result<S>,
    otherwise: impl FnOnce() -> Result<S>,
) -> Result<S> {
    match decision {
        Decision::Known(true) => then(),
        Decision::Known(false) => otherwise(),
        Decision::Symbol(symbol) => cond(&symbol, then, otherwise),
    }
}

/// What one of two gives, and what it makes of the values that either may change.
pub fn branches<'b, V: Carry, K: Carries<'b>>(
    place: &Place,
    decision: Decision,
    kinds: (V, K),
    names: &[&str],
    before: K::Before,
    then: impl FnOnce() -> Result<(V::Value, K::Values)>,
    otherwise: impl FnOnce() -> Result<(V::Value, K::Values)>,
) -> Result<(V::Value, K::Values)> {
    let symbol = match decision {
        Decision::Known(true) => return then(),
        Decision::Known(false) => return otherwise(),
        Decision::Symbol(symbol) => symbol,
    };
    let (value, values) = &kinds;
    let apart =
        |(now, changed)| Ok((value.end(place, "a value", None, now)?, values.end(place, names, before, changed)?));
    let (now, changed) = cond(&symbol, || apart(then()?), || apart(otherwise()?))?;
    Ok((value.value(now, None)?, values.values(changed, before)?))
}

/// Whether a condition is a tensor that is asked within a graph.
pub fn repeats<C: Condition>(_: &impl FnOnce() -> Result<C>) -> bool {
    C::IS_TENSOR && scope::tracing()
}

/// A loop in a graph, and what it makes of the values that it changes.
pub fn repeated<'b, K: Carries<'b>, C: Condition>(
    place: &Place,
    kinds: K,
    names: &[&str],
    before: K::Before,
    condition: impl Fn(K::Values) -> Result<C>,
    body: impl Fn(K::Values) -> Result<K::Values>,
) -> Result<K::Values> {
    let begin = kinds.begin(place, names, before)?;
    let values = |state: &K::State| kinds.values(state.clone(), before);
    let next = |state: &K::State| kinds.end(place, names, before, body(values(state)?)?);
    let end = while_loop(|state| tensor(condition(values(state)?)?), next, begin)?;
    kinds.values(end, before)
}

/// A loop over the rows of a tensor in a graph, and what it makes of the values that it changes.
pub fn rows<'b, K: Carries<'b>>(
    place: &Place,
    of: &Tensor,
    kinds: K,
    names: &[&str],
    before: K::Before,
    body: impl Fn(K::Values, Tensor) -> Result<K::Values>,
) -> Result<K::Values> {
    let begin = kinds.begin(place, names, before)?;
    let next = |state: &K::State, row: &Tensor| {
        let now = body(kinds.values(state.clone(), before)?, row.clone())?;
        Ok((kinds.end(place, names, before, now)?, ()))
    };
    let (end, ()) = scan(next, begin, of)?;
    kinds.values(end, before)
}

/// What a `for` goes through.
pub enum Each<I> {
    /// Items, one after the other.
    Items(I),
    /// The rows of a tensor, in a graph.
    Rows(Tensor),
}

/// How a `for` goes through a value.
pub trait Loops<T> {
    /// The iterator, where it is no graph.
    type Iter: Iterator;

    /// What it goes through.
    fn begin(&self, of: T) -> Result<Each<Self::Iter>>;
    /// The item that a row is.
    fn item(&self, row: Tensor) -> Result<<Self::Iter as Iterator>::Item>;
}

/// The rows of a tensor.
pub struct Rows<T>(PhantomData<fn() -> T>);

/// The items of an iterator.
pub struct Items<T>(PhantomData<fn() -> T>);

/// Tensors, first.
pub trait OwnedRows<T> {
    /// How a `for` goes through it.
    fn modulor_loop(&self) -> Rows<T>;
}

impl OwnedRows<Tensor> for &Probe<Tensor> {
    fn modulor_loop(&self) -> Rows<Tensor> {
        Rows(PhantomData)
    }
}

/// References to tensors.
pub trait RowsLoop<'a> {
    /// How a `for` goes through it.
    fn modulor_loop(&self) -> Rows<&'a Tensor>;
}

impl<'a> RowsLoop<'a> for &Probe<&'a Tensor> {
    fn modulor_loop(&self) -> Rows<&'a Tensor> {
        Rows(PhantomData)
    }
}

/// What is left over.
pub trait AnyLoop<T> {
    /// How a `for` goes through it.
    fn modulor_loop(&self) -> Items<T>;
}

impl<T> AnyLoop<T> for Probe<T> {
    fn modulor_loop(&self) -> Items<T> {
        Items(PhantomData)
    }
}

fn begun(of: &Tensor) -> Result<Each<std::vec::IntoIter<Tensor>>> {
    of.check()?;
    match of.is_symbolic() || scope::tracing() {
        true => Ok(Each::Rows(of.clone())),
        false => Ok(Each::Items(of.unstack(0)?.into_iter())),
    }
}

impl Loops<Tensor> for Rows<Tensor> {
    type Iter = std::vec::IntoIter<Tensor>;

    fn begin(&self, of: Tensor) -> Result<Each<Self::Iter>> {
        begun(&of)
    }

    fn item(&self, row: Tensor) -> Result<Tensor> {
        Ok(row)
    }
}

impl<'a> Loops<&'a Tensor> for Rows<&'a Tensor> {
    type Iter = std::vec::IntoIter<Tensor>;

    fn begin(&self, of: &'a Tensor) -> Result<Each<Self::Iter>> {
        begun(of)
    }

    fn item(&self, row: Tensor) -> Result<Tensor> {
        Ok(row)
    }
}

impl<T: IntoIterator> Loops<T> for Items<T> {
    type Iter = T::IntoIter;

    fn begin(&self, of: T) -> Result<Each<T::IntoIter>> {
        Ok(Each::Items(of.into_iter()))
    }

    fn item(&self, _: Tensor) -> Result<T::Item> {
        Err(Error::internal("an iterator has no rows"))
    }
}
