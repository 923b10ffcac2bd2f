//! Branches and loops over structures of tensors: plain Rust on values, nodes in a trace.
//!
//! On values, [`cond`] calls one of its closures and [`while_loop`] calls its own again and again, as `if` and `while` do, so
//! that a tape hears of what they do. While a graph is traced, or where a symbol decides, both become one op whose bodies are
//! graphs; what the closures use of the surroundings, tensors and variables, comes into these by itself, and gradients go
//! through them.

use crate::flow::{self, branch, repeat, spend};
use crate::op::scope::{self, Budget};
use crate::ops::list;
use crate::{DType, Error, Result, Shape, Spec, Structure, Tensor, Tree};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The tensors of a structure, and the structure without them.
fn taken_apart<S: Structure>(structure: &S) -> Result<(Vec<Tensor>, Tree)> {
    let tree = structure.to_tree();
    let leaves = tree.leaves();
    leaves.iter().try_for_each(Tensor::check)?;
    Ok((leaves, tree))
}

/// A structure like another of other tensors.
fn put_together<S: Structure>(tree: &Tree, leaves: impl IntoIterator<Item = Tensor>) -> Result<S> {
    S::from_tree(tree.with_leaves(leaves)?)
}

/// Refuses two results that are not of one structure.
fn alike(what: &str, expected: &Tree, found: &Tree) -> Result<()> {
    fn same(a: &Tree, b: &Tree) -> bool {
        match (a, b) {
            (Tree::Leaf(_), Tree::Leaf(_)) | (Tree::None, Tree::None) => true,
            (Tree::List(a), Tree::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Tree::Map(a), Tree::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((i, a), (j, b))| i == j && same(a, b))
            }
            _ => false,
        }
    }
    match same(expected, found) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("{what}: {expected:?} vs. {found:?}"))),
    }
}

/// The one bool of a predicate.
fn truth(predicate: &Tensor) -> Result<bool> {
    is_truth(predicate)?;
    predicate.item::<bool>()
}

fn is_truth(predicate: &Tensor) -> Result<()> {
    predicate.check()?;
    match predicate.dtype() == DType::Bool && matches!(predicate.rank(), None | Some(0)) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("a predicate is one bool, found {}", predicate.spec()))),
    }
}

/// What `then` gives where the predicate is true, else what `otherwise` gives. TensorFlow's `tf.cond`.
///
/// Of a symbol both are traced, and one of them runs; they must give structures of the same kind, dtypes and ranks. A dim in
/// which they differ is unknown. Of a value one is called, and nothing else happens. An error when the predicate is not one
/// bool.
///
/// ```
/// use modulor_core::{DType, Shape, Spec, Tensor, cond, graph::trace};
/// # fn main() -> modulor_core::Result<()> {
/// let absolute = |x: &Tensor| cond(&x.less(0.0)?, || x.neg(), || Ok(x.clone()));
/// let graph = trace(|x| Ok(vec![absolute(&x[0])?]), &[Spec::new(DType::F32, Shape::scalar())])?;
/// assert_eq!(graph.run(&[&Tensor::scalar(-2.0_f32)])?[0].item::<f32>()?, 2.0);
/// assert_eq!(absolute(&Tensor::scalar(-2.0_f32))?.item::<f32>()?, 2.0);
/// # Ok(())
/// # }
/// ```
pub fn cond<S: Structure>(
    predicate: &Tensor,
    then: impl FnOnce() -> Result<S>,
    otherwise: impl FnOnce() -> Result<S>,
) -> Result<S> {
    is_truth(predicate)?;
    if !predicate.is_symbolic() {
        return if truth(predicate)? { then() } else { otherwise() };
    }
    let mut given = None;
    let (mut then, mut otherwise) = (Some(then), Some(otherwise));
    // Each is called once; a cell lets both tell what structure they give.
    let first = std::cell::RefCell::new(&mut given);
    let mut then = || structured(then.take().map(|f| f()), &first);
    let mut otherwise = || structured(otherwise.take().map(|f| f()), &first);
    let leaves = branch(false, predicate, vec![&mut then, &mut otherwise])?;
    finished(given, leaves)
}

/// The tensors that a branch gives, whose structure is that of the branches before it.
fn structured<S: Structure>(
    given: Option<Result<S>>,
    first: &std::cell::RefCell<&mut Option<Tree>>,
) -> Result<Vec<Tensor>> {
    let given = given.ok_or_else(|| Error::internal("a branch is traced once"))??;
    let (leaves, tree) = taken_apart(&given)?;
    let mut first = first.borrow_mut();
    match &**first {
        Some(first) => alike("branches give structures of one kind", first, &tree)?,
        None => **first = Some(tree),
    }
    Ok(leaves)
}

fn finished<S: Structure>(tree: Option<Tree>, leaves: Vec<Tensor>) -> Result<S> {
    put_together(&tree.ok_or_else(|| Error::internal("a branch was traced"))?, leaves)
}

/// What the branch of this number gives; for a number that none has, what the last one gives. TensorFlow's `tf.switch_case`.
///
/// The index is one int32 or int64. What holds for [`cond`] holds here too.
///
/// ```
/// use modulor_core::{Tensor, switch_case};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::scalar(3.0_f32);
/// let of = |i: i32| switch_case(&Tensor::scalar(i), &[&|| x.square(), &|| Ok(&x + 1.0)]);
/// assert_eq!((of(0)?.item::<f32>()?, of(1)?.item::<f32>()?, of(7)?.item::<f32>()?), (9.0, 4.0, 4.0));
/// # Ok(())
/// # }
/// ```
pub fn switch_case<S: Structure>(index: &Tensor, branches: &[&dyn Fn() -> Result<S>]) -> Result<S> {
    index.check()?;
    if !matches!(index.dtype(), DType::I32 | DType::I64) || !matches!(index.rank(), None | Some(0)) {
        return Err(Error::invalid_argument(format!(
            "the index of a branch is one int32 or int64, found {}",
            index.spec()
        )));
    }
    let Some((last, others)) = branches.split_last() else {
        return Err(Error::invalid_argument("there is at least one branch to choose"));
    };
    if !index.is_symbolic() {
        let at = index.cast(DType::I64)?.item::<i64>()?;
        return usize::try_from(at).ok().and_then(|at| others.get(at)).unwrap_or(last)();
    }
    // What an int32 cannot say is in no branch either.
    let most = branches.len() as f64;
    let index = match index.dtype() {
        DType::I32 => index.clone(),
        _ => index.maximum(-1.0)?.minimum(most)?.cast(DType::I32)?,
    };
    let mut given = None;
    let first = std::cell::RefCell::new(&mut given);
    let mut closures: Vec<_> = branches.iter().map(|f| || structured(Some(f()), &first)).collect();
    let closures: Vec<&mut dyn FnMut() -> Result<Vec<Tensor>>> =
        closures.iter_mut().map(|closure| closure as &mut dyn FnMut() -> Result<Vec<Tensor>>).collect();
    let leaves = branch(true, &index, closures)?;
    finished(given, leaves)
}

/// Goes on as long as the condition holds: each iteration makes the next state out of the last. TensorFlow's
/// `tf.while_loop`.
///
/// In a trace the closures are called to be traced, perhaps more than once. The state keeps its structure, dtypes and ranks;
/// a dim that an iteration changes is unknown in the loop. An error when the condition does not give one bool.
///
/// ```
/// use modulor_core::{Tensor, while_loop};
/// # fn main() -> modulor_core::Result<()> {
/// let (i, x) = (Tensor::scalar(0), Tensor::scalar(1.0_f32));
/// let (_, x) = while_loop(|(i, _)| i.less(10.0), |(i, x)| Ok((i + 1.0, x * 2.0)), (i, x))?;
/// assert_eq!(x.item::<f32>()?, 1024.0);
/// # Ok(())
/// # }
/// ```
pub fn while_loop<S: Structure>(
    condition: impl Fn(&S) -> Result<Tensor>,
    body: impl Fn(&S) -> Result<S>,
    init: S,
) -> Result<S> {
    Loop::new().run(condition, body, init)
}

/// A [`while_loop`] with more to say of it.
///
/// ```
/// use modulor_core::{Loop, Tensor};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Loop::new().maximum_iterations(3).run(|x| x.greater(0.0), |x| Ok(x + 1.0), Tensor::scalar(1.0_f32))?;
/// assert_eq!(x.item::<f32>()?, 4.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Loop {
    maximum_iterations: Option<u64>,
}

impl Loop {
    /// One that goes on as long as its condition holds.
    pub fn new() -> Loop {
        Loop::default()
    }

    /// Ends, without an error, after so many iterations.
    #[must_use]
    pub fn maximum_iterations(mut self, iterations: u64) -> Loop {
        self.maximum_iterations = Some(iterations);
        self
    }

    /// The state after the last iteration: see [`while_loop`].
    pub fn run<S: Structure>(
        self,
        condition: impl Fn(&S) -> Result<Tensor>,
        body: impl Fn(&S) -> Result<S>,
        init: S,
    ) -> Result<S> {
        let (leaves, tree) = taken_apart(&init)?;
        if scope::tracing() || leaves.iter().any(Tensor::is_symbolic) {
            return self.staged(&condition, &body, leaves, &tree);
        }
        let mut state = init;
        for done in 0_u64.. {
            let ended = self.maximum_iterations.is_some_and(|most| done >= most);
            if ended || !truth(&condition(&state)?)? {
                break;
            }
            spend()?;
            state = body(&state)?;
            let (_, found) = taken_apart(&state)?;
            alike("the body of a loop gives what it takes", &tree, &found)?;
        }
        Ok(state)
    }

    fn staged<S: Structure>(
        &self,
        condition: &dyn Fn(&S) -> Result<Tensor>,
        body: &dyn Fn(&S) -> Result<S>,
        mut leaves: Vec<Tensor>,
        tree: &Tree,
    ) -> Result<S> {
        let state = |leaves: &[Tensor]| put_together::<S>(tree, leaves.iter().cloned());
        let holds = |leaves: &[Tensor]| {
            let holds = condition(&state(leaves)?)?;
            is_truth(&holds)?;
            Ok(holds)
        };
        let next = |leaves: &[Tensor]| {
            let (leaves, found) = taken_apart(&body(&state(leaves)?)?)?;
            alike("the body of a loop gives what it takes", tree, &found)?;
            Ok(leaves)
        };
        let Some(most) = self.maximum_iterations else {
            return put_together(tree, repeat(&holds, &next, &leaves)?);
        };
        // The count is one more variable.
        let most = Tensor::scalar(i64::try_from(most).unwrap_or(i64::MAX));
        leaves.push(Tensor::scalar(0_i64));
        let counted_holds = |leaves: &[Tensor]| match leaves {
            [state @ .., count] => count.less(&most)?.logical_and(&holds(state)?),
            [] => Err(Error::internal("the count is a variable")),
        };
        let counted_next = |leaves: &[Tensor]| match leaves {
            [state @ .., count] => {
                let mut leaves = next(state)?;
                leaves.push(count.add(1.0)?);
                Ok(leaves)
            }
            [] => Err(Error::internal("the count is a variable")),
        };
        let mut leaves = repeat(&counted_holds, &counted_next, &leaves)?;
        leaves.pop();
        put_together(tree, leaves)
    }
}

/// Takes a state through a sequence: `f` is given the state and one element of `xs`, and gives the next state and an element
/// of what comes out. Elements lie along the first axis of each tensor, going in and coming out.
///
/// In a trace it is a loop, of as many iterations as the sequence turns out to have; a gradient goes back through them. An
/// error when the tensors of `xs` are not of one length.
///
/// ```
/// use modulor_core::{Tensor, scan};
/// # fn main() -> modulor_core::Result<()> {
/// let xs = Tensor::from([1.0_f32, 2.0, 3.0]);
/// let add = |sum: &Tensor, x: &Tensor| { let sum = sum + x; Ok((sum.clone(), sum)) };
/// let (last, sums) = scan(add, Tensor::scalar(0.0_f32), &xs)?;
/// assert_eq!((last.item::<f32>()?, sums.to_vec::<f32>()?), (6.0, vec![1.0, 3.0, 6.0]));
/// # Ok(())
/// # }
/// ```
pub fn scan<C: Structure, X: Structure, Y: Structure>(
    f: impl Fn(&C, &X) -> Result<(C, Y)>,
    init: C,
    xs: &X,
) -> Result<(C, Y)> {
    let (given, xs_tree) = taken_apart(xs)?;
    let (carry, carry_tree) = taken_apart(&init)?;
    let length = length(&given)?;
    if scope::tracing() || given.iter().chain(&carry).any(Tensor::is_symbolic) {
        return staged_scan(&f, &carry, &carry_tree, &given, &xs_tree, length);
    }
    let mut carry = init;
    let mut ys: Vec<Vec<Tensor>> = Vec::new();
    let mut ys_tree = None;
    for step in 0..length.unwrap_or(0) {
        spend()?;
        let x = given.iter().map(|x| x.slice(step as i64)).collect::<Result<Vec<_>>>()?;
        let (next, y) = f(&carry, &put_together(&xs_tree, x)?)?;
        alike("the state of a scan keeps its structure", &carry_tree, &next.to_tree())?;
        let (leaves, tree) = taken_apart(&y)?;
        match &ys_tree {
            Some(first) => alike("a scan gives elements of one structure", first, &tree)?,
            None => {
                ys = vec![Vec::new(); leaves.len()];
                ys_tree = Some(tree);
            }
        }
        ys.iter_mut().zip(leaves).for_each(|(ys, y)| ys.push(y));
        carry = next;
    }
    let Some(tree) = ys_tree else {
        // Without an element, what one would be is told by a trace.
        let (specs, tree) = element_specs(&f, &carry_tree, &carry.to_tree().leaves(), &xs_tree, &given)?;
        let none = specs
            .iter()
            .map(|spec| Tensor::zeros(with_length(Some(0), &spec.shape).known().unwrap_or(&[0]), spec.dtype));
        return Ok((carry, put_together(&tree, none.collect::<Result<Vec<_>>>()?)?));
    };
    let ys = ys.iter().map(|ys| Tensor::stack(ys, 0)).collect::<Result<Vec<_>>>()?;
    Ok((carry, put_together(&tree, ys)?))
}

/// The one length of the first axis of all of these, where it is known.
fn length(xs: &[Tensor]) -> Result<Option<usize>> {
    let mut length = None;
    for x in xs {
        if x.rank() == Some(0) {
            return Err(Error::invalid_argument(format!("a scan goes along a first axis, and {} has none", x.spec())));
        }
        match (length, x.shape().dim(0)) {
            (Some(length), Some(other)) if length != other => {
                let message = format!("a scan goes through tensors of one length, found {length} and {other}");
                return Err(Error::invalid_argument(message));
            }
            (None, found) => length = found,
            _ => {}
        }
    }
    match xs.is_empty() {
        true => Err(Error::invalid_argument("a scan goes through at least one tensor")),
        false => Ok(length),
    }
}

fn with_length(length: Option<usize>, shape: &Shape) -> Shape {
    shape.dims().map_or(Shape::unknown(), |dims| [length].into_iter().chain(dims).collect())
}

/// What is known of one element.
fn element(x: &Tensor) -> Spec {
    let shape = x.shape().dims().map_or(Shape::unknown(), |dims| dims.into_iter().skip(1).collect());
    Spec::new(x.dtype(), shape)
}

/// What `f` gives for an element, and its structure.
fn element_specs<C: Structure, X: Structure, Y: Structure>(
    f: &dyn Fn(&C, &X) -> Result<(C, Y)>,
    carry_tree: &Tree,
    carry: &[Tensor],
    xs_tree: &Tree,
    xs: &[Tensor],
) -> Result<(Vec<Spec>, Tree)> {
    let mut given = None;
    let specs: Vec<Spec> = carry.iter().map(|c| c.spec().clone()).chain(xs.iter().map(element)).collect();
    let body = |symbols: &[Tensor]| {
        let (carry, x) = symbols.split_at(carry.len());
        let carry = put_together(carry_tree, carry.iter().cloned())?;
        let (_, y) = f(&carry, &put_together(xs_tree, x.iter().cloned())?)?;
        let (leaves, tree) = taken_apart(&y)?;
        given = Some((leaves.iter().map(|leaf| leaf.spec().clone()).collect(), tree));
        Ok(leaves)
    };
    flow::Body::trace(body, &specs)?;
    given.ok_or_else(|| Error::internal("an element was traced"))
}

fn staged_scan<C: Structure, X: Structure, Y: Structure>(
    f: &dyn Fn(&C, &X) -> Result<(C, Y)>,
    carry: &[Tensor],
    carry_tree: &Tree,
    xs: &[Tensor],
    xs_tree: &Tree,
    length: Option<usize>,
) -> Result<(C, Y)> {
    let (specs, ys_tree) = element_specs(f, carry_tree, carry, xs_tree, xs)?;
    // The elements wait in lists, the first one last, from which each iteration takes one: so does a gradient put one back.
    let mut begun = vec![match length {
        Some(length) => Tensor::scalar(length as i64),
        None => xs[0].shape_tensor()?.slice(0)?.cast(DType::I64)?,
    }];
    begun.extend(carry.iter().cloned());
    for x in xs {
        begun.push(list::from_tensor(&x.reverse([0])?)?);
    }
    begun.extend(specs.iter().map(list::empty).collect::<Result<Vec<_>>>()?);
    let (first_x, first_y) = (1 + carry.len(), 1 + carry.len() + xs.len());
    let condition = |state: &[Tensor]| state[0].greater(0.0);
    let body = |state: &[Tensor]| {
        let mut next = vec![state[0].sub(1.0)?];
        let popped = state[first_x..first_y].iter().zip(xs).map(|(list, x)| list::pop(list, &element(x), None));
        let (lists, x): (Vec<_>, Vec<_>) = popped.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let carry = put_together(carry_tree, state[1..first_x].iter().cloned())?;
        let (carry, y) = f(&carry, &put_together(xs_tree, x)?)?;
        let (carry, found) = taken_apart(&carry)?;
        alike("the state of a scan keeps its structure", carry_tree, &found)?;
        let (y, found) = taken_apart(&y)?;
        alike("a scan gives elements of one structure", &ys_tree, &found)?;
        next.extend(carry);
        next.extend(lists);
        let pushed = state[first_y..].iter().zip(&y).map(|(list, y)| list::push(list, y));
        next.extend(pushed.collect::<Result<Vec<_>>>()?);
        Ok(next)
    };
    let mut all = repeat(&condition, &body, &begun)?;
    let lists = all.split_off(first_y);
    let ys = lists.iter().zip(&specs).map(|(ys, spec)| list::stack(ys, spec, length)).collect::<Result<Vec<_>>>()?;
    let carry = put_together(carry_tree, all[1..first_x].iter().cloned())?;
    Ok((carry, put_together(&ys_tree, ys)?))
}

/// Calls `f`, of which nothing is kept for the gradient but what went in: that computes it again. TensorFlow's
/// `tf.recompute_grad`, JAX's `checkpoint`.
///
/// It takes the time of `f` once more and the memory of one call of it at a time. `f` is traced. What it draws from a stream
/// and what it reads of a variable that it writes is kept, so that both times are the same; it writes once. An error when a
/// variable that it writes is to have a gradient through it.
///
/// ```
/// use modulor_core::{Tensor, recompute, value_and_grad};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([1.0_f32, 2.0]);
/// let (_, dx) = value_and_grad(|x| recompute(|x: &Tensor| x.exp()?.square(), &x[0])?.sum(..), &[x.clone()])?;
/// assert_eq!(dx[0].to_vec::<f32>()?, (x.exp()?.square()? * 2.0).to_vec::<f32>()?);
/// # Ok(())
/// # }
/// ```
pub fn recompute<I: Structure, O: Structure>(f: impl FnOnce(&I) -> Result<O>, x: &I) -> Result<O> {
    let (leaves, tree) = taken_apart(x)?;
    let mut given = None;
    let body = |symbols: &[Tensor]| {
        let (leaves, tree) = taken_apart(&f(&put_together(&tree, symbols.iter().cloned())?)?)?;
        given = Some(tree);
        Ok(leaves)
    };
    let leaves = flow::recompute(body, &leaves)?;
    finished(given, leaves)
}

/// Runs `f`, in which the bodies of loops run so many times, all together; an error of the kind `ResourceExhausted` then ends
/// whatever goes on.
///
/// ```
/// use modulor_core::{Tensor, while_loop, with_iteration_budget};
/// let endless = || while_loop(|x| x.greater(0.0), |x| Ok(x.clone()), Tensor::scalar(1.0_f32));
/// let error = with_iteration_budget(1000, endless).unwrap_err();
/// assert_eq!(error.message(), "loop exceeded 1000 iterations");
/// ```
pub fn with_iteration_budget<R>(iterations: u64, f: impl FnOnce() -> R) -> R {
    let budget = Arc::new(Budget { limit: iterations, left: AtomicU64::new(iterations) });
    scope::changed(|scopes| scopes.budget = Some(budget), f)
}
