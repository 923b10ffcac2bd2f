//! Gradients: what was computed is recorded, and walked backwards.

mod deferred;

use crate::op::{Backward, Call, Recorder, scope};
use crate::tensor::{ByNumber, Numbers};
use crate::{DType, Error, Result, Tensor};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records operations, and computes gradients through them: TensorFlow's `tf.GradientTape`.
///
/// What [`record`](Self::record) runs is recorded where it depends on a tensor that is [watched](Self::watch) or on a
/// trainable variable. Gradients are built out of public operations: computed inside another tape's `record`, they are
/// recorded in their turn, which gives gradients of higher order.
///
/// ```
/// use modulor_core::{GradientTape, Tensor};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::scalar(3.0_f32);
/// let tape = GradientTape::new();
/// tape.watch(&x);
/// let y = tape.record(|| &x * &x);
/// assert_eq!(tape.gradient(&y, &x)?.item::<f32>()?, 6.0);
/// # Ok(())
/// # }
/// ```
pub struct GradientTape {
    record: Arc<Record>,
    persistent: bool,
}

#[derive(Default)]
struct Record {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Arc<Call>>,
    /// Tensors and handles whose gradients may be asked for, and all that was computed from them.
    watched: Numbers,
    /// Results that depend on a watched tensor through an op or dtype that carries no gradient: id, op.
    cut: ByNumber<&'static str>,
    ignores_variables: bool,
    consumed: bool,
}

impl Record {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn depends(&self, tensor: &Tensor) -> bool {
        // A handle that is a symbol stands for no variable yet.
        let trainable = || tensor.as_resource().is_ok_and(|resource| resource.trainable());
        self.watched.contains(&tensor.id())
            || tensor.dtype() == DType::Resource && !self.ignores_variables && trainable()
    }
}

impl Recorder for Record {
    fn depends(&self, tensor: &Tensor) -> bool {
        self.state().depends(tensor)
    }
    fn record(&self, call: &Arc<Call>) -> Result<()> {
        let mut state = self.state();
        let mut depends = false;
        let mut cut = None;
        for input in &call.inputs {
            if state.depends(input) {
                state.watched.insert(input.id());
                depends = true;
            }
            cut = cut.or_else(|| state.cut.get(&input.id()).copied());
        }
        if depends {
            for output in &call.outputs {
                if output.dtype().is_differentiable() {
                    state.watched.insert(output.id());
                } else {
                    cut = Some(call.op.name());
                }
            }
            state.calls.push(call.clone());
        }
        if let Some(op) = cut {
            for output in call.outputs.iter().filter(|output| !state.watched.contains(&output.id())).collect::<Vec<_>>()
            {
                state.cut.insert(output.id(), op);
            }
        }
        Ok(())
    }
}

/// What to give where the target does not depend on a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnconnectedGradients {
    /// Nothing: `None`.
    #[default]
    None,
    /// Zeros of the source's shape.
    Zero,
}

/// What a gradient can be taken with respect to: a tensor that was watched, or a variable.
pub trait Source {
    /// The tensor that stands for it on a tape: itself, or the variable's handle.
    fn watched(&self) -> &Tensor;
    /// How errors call it.
    fn label(&self) -> String;
    /// Zeros of its dtype and shape.
    fn zeros(&self) -> Result<Tensor>;
}

impl Source for Tensor {
    fn watched(&self) -> &Tensor {
        self
    }
    fn label(&self) -> String {
        format!("tensor {}", self.spec())
    }
    fn zeros(&self) -> Result<Tensor> {
        self.zeros_like()
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn watched(&self) -> &Tensor {
        (**self).watched()
    }
    fn label(&self) -> String {
        (**self).label()
    }
    fn zeros(&self) -> Result<Tensor> {
        (**self).zeros()
    }
}

impl GradientTape {
    /// A tape that gives gradients once.
    pub fn new() -> GradientTape {
        GradientTape { record: Arc::default(), persistent: false }
    }

    /// A tape that may be asked for gradients any number of times; it holds what it recorded until it is dropped.
    pub fn persistent() -> GradientTape {
        GradientTape { persistent: true, ..GradientTape::new() }
    }

    /// A tape that leaves variables alone unless they are watched.
    #[must_use]
    pub fn ignoring_variables(self) -> GradientTape {
        self.record.state().ignores_variables = true;
        self
    }

    /// Records what depends on this tensor or variable from now on.
    pub fn watch(&self, source: impl Source) {
        self.record.state().watched.insert(source.watched().id());
    }

    /// Runs `f` with this tape listening, on this thread.
    pub fn record<R>(&self, f: impl FnOnce() -> R) -> R {
        let record = self.record.clone();
        scope::changed(|scopes| scopes.tapes.push(record), f)
    }

    /// The gradient of the sum of `target`'s elements with respect to one source.
    ///
    /// An error that says why where the target does not depend on it.
    pub fn gradient(&self, target: &Tensor, source: impl Source) -> Result<Tensor> {
        let mut gradients = self.gradients(target, [&source])?;
        let missing = || Error::failed_precondition(self.why_no_gradient(target, &source));
        gradients.pop().flatten().ok_or_else(missing)
    }

    /// The gradients with respect to several sources; `None` where the target does not depend on one.
    pub fn gradients<S: Source>(
        &self,
        target: &Tensor,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Vec<Option<Tensor>>> {
        self.gradients_with(&[(target.clone(), None)], sources, UnconnectedGradients::None)
    }

    /// The gradients of several targets together, each weighted elementwise by the tensor beside it (ones if `None`).
    pub fn gradients_with<S: Source>(
        &self,
        targets: &[(Tensor, Option<Tensor>)],
        sources: impl IntoIterator<Item = S>,
        unconnected: UnconnectedGradients,
    ) -> Result<Vec<Option<Tensor>>> {
        let calls = self.calls()?;
        let sources: Vec<S> = sources.into_iter().collect();
        let wanted: Numbers = sources.iter().map(|source| source.watched().id()).collect();
        let mut gradients = backward(&calls, targets, ByNumber::default(), &wanted)?;
        // One source may be asked for twice.
        sources
            .iter()
            .map(|source| match (gradients.get(&source.watched().id()), unconnected) {
                (Some(gradient), _) => Ok(Some(gradient.clone())),
                (None, UnconnectedGradients::None) => Ok(None),
                (None, UnconnectedGradients::Zero) => source.zeros().map(Some),
            })
            .collect::<Result<_>>()
            .inspect(|_| gradients.clear())
    }

    /// The gradients with respect to tensors or handles, each added to what there is `already`; those that there are none of
    /// are what there was.
    pub(crate) fn gradients_onto(
        &self,
        targets: &[(Tensor, Option<Tensor>)],
        sources: &[Tensor],
        already: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let wanted: Numbers = sources.iter().map(Tensor::id).collect();
        let begun = sources.iter().zip(already).filter_map(|(source, already)| Some((source.id(), already.clone()?)));
        let gradients = backward(&self.calls()?, targets, begun.collect(), &wanted)?;
        Ok(sources.iter().map(|source| gradients.get(&source.id()).cloned()).collect())
    }

    /// The Jacobian: of `[target dims.., source dims..]`, every element of the target derived by every one of the source.
    ///
    /// The tape must be persistent.
    pub fn jacobian(&self, target: &Tensor, source: impl Source) -> Result<Tensor> {
        if !self.persistent {
            return Err(Error::failed_precondition("a Jacobian needs `GradientTape::persistent()`"));
        }
        let rows = target.dims()?.iter().product::<usize>();
        let flat = [rows as i64];
        let dims: Vec<i64> = target.dims()?.iter().map(|&d| d as i64).collect();
        let zeros = source.zeros()?;
        let mut out = Vec::with_capacity(rows);
        for row in 0..rows {
            // A row of the identity picks one element of the target.
            let mut unit = vec![0.0; rows];
            unit[row] = 1.0;
            let unit = Tensor::new(flat.map(|n| n as usize), unit)?.cast(target.dtype())?.reshape(&dims)?;
            let gradient = self
                .gradients_with(&[(target.clone(), Some(unit))], [&source], UnconnectedGradients::Zero)?
                .pop()
                .flatten();
            out.push(gradient.unwrap_or_else(|| zeros.clone()));
        }
        let mut shape = dims;
        shape.extend(zeros.dims()?.iter().map(|&d| d as i64));
        if out.is_empty() {
            return Tensor::zeros(shape.iter().map(|&d| d as usize).collect::<Vec<_>>(), zeros.dtype());
        }
        Tensor::stack(&out, 0)?.reshape(&shape)
    }

    fn calls(&self) -> Result<Vec<Arc<Call>>> {
        let mut state = self.record.state();
        if state.consumed {
            return Err(Error::failed_precondition(
                "this tape has given its gradients; for more, make it with `GradientTape::persistent()`",
            ));
        }
        if self.persistent {
            return Ok(state.calls.clone());
        }
        state.consumed = true;
        Ok(std::mem::take(&mut state.calls))
    }

    /// Why there may be no gradient of the target with respect to a source, in a sentence that names both.
    pub fn why_no_gradient(&self, target: &Tensor, source: &impl Source) -> String {
        let state = self.record.state();
        let label = source.label();
        let head = format!("no gradient of the target {} with respect to {label}: ", target.spec());
        let id = source.watched().id();
        head + &if !state.watched.contains(&id) {
            "it was neither watched nor read (if it is a variable, trainable) while the tape recorded".to_owned()
        } else if let Some(op) = state.cut.get(&target.id()) {
            format!("the way there goes through {op}, which carries no gradient")
        } else if !state.watched.contains(&target.id()) {
            "the target was not computed while the tape recorded, or from nothing that is watched, or on another thread \
             without `Scopes::current().enter(..)`"
                .to_owned()
        } else {
            "the target does not depend on it".to_owned()
        }
    }
}

impl Default for GradientTape {
    fn default() -> Self {
        GradientTape::new()
    }
}

impl fmt::Debug for GradientTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.record.state().calls.len();
        f.debug_struct("GradientTape").field("persistent", &self.persistent).field("calls", &calls).finish()
    }
}

/// The walk backwards: for every call, from the last, the gradients at its outputs become gradients at its inputs.
fn backward(
    calls: &[Arc<Call>],
    targets: &[(Tensor, Option<Tensor>)],
    mut gradients: ByNumber<Tensor>,
    wanted: &Numbers,
) -> Result<ByNumber<Tensor>> {
    let useful = leading_to(calls, wanted);
    for (target, weight) in targets {
        target.check()?;
        if !target.dtype().is_differentiable() {
            return Err(Error::invalid_argument(format!("a tensor of {} has no gradient", target.dtype())));
        }
        let seed = match weight {
            Some(weight) if !weight.shape().is_compatible_with(target.shape()) || weight.dtype() != target.dtype() => {
                return Err(Error::invalid_argument(format!(
                    "the weight of a target must be like it: {} vs. {}",
                    weight.spec(),
                    target.spec()
                )));
            }
            Some(weight) => weight.clone(),
            None => target.ones_like()?,
        };
        accumulate(&mut gradients, target.id(), seed)?;
    }
    for call in calls.iter().rev() {
        let needs: Vec<bool> = call.inputs.iter().map(|input| useful.contains(&input.id())).collect();
        let arrives: Vec<bool> = call.outputs.iter().map(|output| gradients.contains_key(&output.id())).collect();
        if !arrives.contains(&true) || !needs.contains(&true) {
            continue;
        }
        let dy = call.outputs.iter().map(|output| match gradients.get(&output.id()) {
            Some(gradient) => Ok(gradient.clone()),
            None if output.dtype() == DType::Variant => output.zeros_like(),
            None if output.dtype().size() > 0 => nothing(output),
            None => Ok(output.clone()),
        });
        let dy = dy.collect::<Result<Vec<_>>>()?;
        let back = Backward { call, dy: &dy, arrives: &arrives, needs: &needs };
        for (input, gradient) in call.inputs.iter().zip(deferred::gradients(&back)?) {
            if let Some(gradient) = gradient {
                accumulate(&mut gradients, input.id(), gradient)?;
            }
        }
        for output in call.outputs.iter().filter(|output| !wanted.contains(&output.id())) {
            gradients.remove(&output.id());
        }
    }
    gradients.retain(|id, _| wanted.contains(id));
    Ok(gradients)
}

/// The gradient of an output that nothing depends on: where the dims are known one zero, seen as all of them, which takes no
/// memory.
fn nothing(output: &Tensor) -> Result<Tensor> {
    match output.shape().known() {
        Some(dims) => Tensor::zeros([], output.dtype())?.broadcast_to(dims),
        None => output.zeros_like(),
    }
}

/// The tensors through which a gradient may pass to one that is wanted.
fn leading_to(calls: &[Arc<Call>], wanted: &Numbers) -> Numbers {
    let mut useful = wanted.clone();
    for call in calls {
        let smooth = |t: &Tensor| t.dtype().is_differentiable();
        if call.inputs.iter().any(|input| useful.contains(&input.id())) {
            useful.extend(call.outputs.iter().filter(|output| smooth(output)).map(Tensor::id));
        }
    }
    useful
}

fn accumulate(gradients: &mut ByNumber<Tensor>, id: u64, gradient: Tensor) -> Result<()> {
    let sum = match gradients.remove(&id) {
        Some(already) if already.dtype() == DType::Variant => Tensor::add_n(&[already, gradient])?,
        Some(already) => already.add(&gradient)?,
        None => gradient,
    };
    gradients.insert(id, sum);
    Ok(())
}

/// The value of `f` and its gradients with respect to what it is given.
///
/// ```
/// use modulor_core::{Tensor, value_and_grad};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([1.0_f32, 2.0]);
/// let (y, dx) = value_and_grad(|x| x[0].square()?.sum(..), &[x])?;
/// assert_eq!(y.item::<f32>()?, 5.0);
/// assert_eq!(dx[0].to_vec::<f32>()?, [2.0, 4.0]);
/// # Ok(())
/// # }
/// ```
pub fn value_and_grad(f: impl FnOnce(&[Tensor]) -> Result<Tensor>, at: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
    let tape = GradientTape::new();
    at.iter().for_each(|x| tape.watch(x));
    let y = tape.record(|| f(at))?;
    let gradients = tape.gradients_with(&[(y.clone(), None)], at, UnconnectedGradients::Zero)?;
    Ok((y, gradients.into_iter().flatten().collect()))
}

/// The Hessian of a scalar function: `[dims.., dims..]` of the second derivatives at `x`.
pub fn hessian(f: impl FnOnce(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let outer = GradientTape::persistent();
    outer.watch(x);
    let gradient = outer.record(|| {
        let inner = GradientTape::new();
        inner.watch(x);
        let y = inner.record(|| f(x))?;
        inner.gradients_with(&[(y, None)], [x], UnconnectedGradients::Zero)
    })?;
    match gradient.into_iter().next().flatten() {
        Some(gradient) => outer.jacobian(&gradient, x),
        None => Err(Error::internal("zeros were asked for where nothing is connected")),
    }
}

/// The value of `f` at `x` and its derivative in the direction of `tangent`: a Jacobian times a vector.
///
/// By two passes backwards: the gradient is linear in what it is weighted with, and its own gradient in that weight is
/// the derivative forwards.
pub fn jvp(f: impl FnOnce(&Tensor) -> Result<Tensor>, x: &Tensor, tangent: &Tensor) -> Result<(Tensor, Tensor)> {
    tangent.check()?;
    if tangent.spec() != x.spec() {
        let message = format!("a tangent is like the point it starts from: {} at {}", tangent.spec(), x.spec());
        return Err(Error::invalid_argument(message));
    }
    let outer = GradientTape::new();
    let inner = GradientTape::new();
    inner.watch(x);
    let (y, weight, gradient) = outer.record(|| {
        let y = inner.record(|| f(x))?;
        let weight = y.ones_like()?;
        outer.watch(&weight);
        let gradient =
            inner.gradients_with(&[(y.clone(), Some(weight.clone()))], [x], UnconnectedGradients::Zero)?.pop();
        Ok((y, weight, gradient.flatten()))
    })?;
    let gradient = gradient.ok_or_else(|| Error::internal("zeros were asked for where nothing is connected"))?;
    let targets = [(gradient, Some(tangent.clone()))];
    let derivative = outer.gradients_with(&targets, [&weight], UnconnectedGradients::Zero)?.pop().flatten();
    Ok((y, derivative.ok_or_else(|| Error::internal("zeros were asked for where nothing is connected"))?))
}

/// `f` of the inputs, with `grad` in place of the gradient that follows from its operations: TensorFlow's
/// `tf.custom_gradient`. `grad` is given the inputs, the outputs and the gradients at the outputs, and returns one
/// gradient per input.
///
/// Gradients with respect to variables that `f` reads do not flow; pass their values as inputs.
pub fn custom_gradient<F, G>(f: F, grad: G, inputs: &[Tensor]) -> Result<Vec<Tensor>>
where
    F: FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    G: Fn(&[Tensor], &[Tensor], &[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
{
    let outputs = scope::without_tapes(|| f(inputs))?;
    let given = outputs.len();
    let all: Vec<&Tensor> = outputs.iter().chain(inputs).collect();
    let op = crate::ops::array::IdentityN::with_gradient(Arc::new(move |b: &Backward| {
        let (outputs, inputs) = b.inputs().split_at(given);
        let gradients = grad(inputs, outputs, &b.dys()[..given])?;
        if gradients.len() != inputs.len() {
            return Err(Error::invalid_argument(format!(
                "a custom gradient gives one gradient per input: {} for {}",
                gradients.len(),
                inputs.len()
            )));
        }
        Ok(std::iter::repeat_n(None, given).chain(gradients.into_iter().map(Some)).collect())
    }));
    let mut all = crate::op::apply(op, &all)?;
    all.truncate(given);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Input, Op, Scratch, View, ViewMut, apply_one};
    use crate::{ErrorKind, Spec, Variable, graph::trace};

    #[test]
    fn variables_are_watched_when_they_are_read() {
        let (w, b) = (Variable::new(3.0), Variable::new(1.0));
        b.set_trainable(false);
        let x = Tensor::from([1.0_f32, 2.0]);
        let tape = GradientTape::new();
        let y = tape.record(|| &x * &w * &w + &b);
        let gradients = tape.gradients(&y, [&w, &b]).unwrap();
        assert_eq!(gradients[0].as_ref().unwrap().item::<f32>().unwrap(), 18.0);
        assert!(gradients[1].is_none());
        let again = tape.gradients(&y, [&w]).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::FailedPrecondition);
    }

    #[test]
    fn a_tape_that_ignores_variables_hears_of_those_it_watches() {
        let (v, w) = (Variable::new(2.0), Variable::new(3.0));
        let tape = GradientTape::new().ignoring_variables();
        tape.watch(&w);
        let y = tape.record(|| &v * &w);
        let gradients = tape.gradients(&y, [&v, &w]).unwrap();
        assert!(gradients[0].is_none());
        assert_eq!(gradients[1].as_ref().unwrap().item::<f32>().unwrap(), 2.0);
    }

    #[test]
    fn one_tape_hears_two_threads_that_write_what_they_read() {
        let v = Variable::new(1.0);
        let tape = GradientTape::new();
        tape.record(|| {
            let scopes = crate::op::Scopes::current();
            let work = || {
                for _ in 0..50 {
                    v.assign_add(&v.read().unwrap()).unwrap();
                    v.assign(&Tensor::scalar(1.0_f32)).unwrap();
                }
            };
            std::thread::scope(|s| (0..2).for_each(|_| drop(s.spawn(|| scopes.clone().enter(work)))));
        });
        assert_eq!(v.version(), 200);
    }

    #[test]
    fn a_missing_gradient_says_why() {
        let x = Tensor::scalar(2.0_f32);
        let tape = GradientTape::persistent();
        let y = tape.record(|| x.square()).unwrap();
        let why = |y: &Tensor| tape.gradient(y, &x).unwrap_err().to_string();
        assert!(why(&y).contains("neither watched"), "{}", why(&y));
        tape.watch(&x);
        let cut = tape.record(|| x.cast(DType::I32)?.cast(DType::F32)).unwrap();
        assert!(why(&cut).contains("goes through Cast"), "{}", why(&cut));
        let other = Tensor::scalar(1.0_f32);
        assert!(why(&other).contains("not computed while the tape recorded"), "{}", why(&other));
    }

    #[test]
    fn tapes_nest_to_higher_orders() {
        let x = Tensor::scalar(2.0_f64);
        let second = hessian(|x| Ok(x * x * x), &x).unwrap();
        assert_eq!(second.item::<f64>().unwrap(), 12.0);
        let v = Tensor::from([1.0_f64, 2.0]);
        let cubes = |v: &Tensor| (v * v * v).sum(..);
        assert_eq!(hessian(cubes, &v).unwrap().to_vec::<f64>().unwrap(), [6.0, 0.0, 0.0, 12.0]);
        let tangent = Tensor::from([1.0_f64, -1.0]);
        let (y, dy) = jvp(|v| v.square(), &v, &tangent).unwrap();
        assert_eq!(y.to_vec::<f64>().unwrap(), [1.0, 4.0]);
        assert_eq!(dy.to_vec::<f64>().unwrap(), [2.0, -4.0]);
        let error = jvp(|v| v.square(), &v, &Tensor::from([1.0_f64])).unwrap_err();
        assert_eq!(error.message(), "a tangent is like the point it starts from: float64(1,) at float64(2,)");
    }

    #[test]
    fn a_custom_gradient_takes_the_place_of_the_computed_one() {
        let x = Tensor::from([1.0_f32, -2.0]);
        let tape = GradientTape::new();
        tape.watch(&x);
        let y = tape
            .record(|| {
                custom_gradient(
                    |x| Ok(vec![x[0].square()?]),
                    |_, _, dy| Ok(vec![&dy[0] * 10.0]),
                    std::slice::from_ref(&x),
                )
            })
            .unwrap();
        assert_eq!(y[0].to_vec::<f32>().unwrap(), [1.0, 4.0]);
        assert_eq!(tape.gradient(&y[0], &x).unwrap().to_vec::<f32>().unwrap(), [10.0, 10.0]);
    }

    #[test]
    fn a_jacobian_without_rows_has_the_dtype_of_the_source() {
        let x = Tensor::from([1.0_f32, 2.0]);
        let tape = GradientTape::persistent();
        tape.watch(&x);
        for rows in [1, 0] {
            let y = tape.record(|| x.cast(DType::F64)?.slice(0..rows)).unwrap();
            let jacobian = tape.jacobian(&y, &x).unwrap();
            assert_eq!(*jacobian.spec(), Spec::new(DType::F32, [rows as usize, 2]));
        }
    }

    #[test]
    fn a_tape_hears_of_a_handle_that_is_fed() {
        let spec = Spec::new(DType::Resource, [] as [usize; 0]);
        let same = |x: &[Tensor]| Ok(vec![GradientTape::new().record(|| x[0].identity())?]);
        assert!(trace(same, &[spec]).is_ok());
    }

    #[test]
    fn an_op_gives_one_gradient_per_input() {
        #[derive(Debug)]
        struct Short;
        impl Op for Short {
            fn name(&self) -> &'static str {
                "Short"
            }
            fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                Ok(vec![inputs[0].spec.clone()])
            }
            fn run(&self, _: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                outputs[0].bytes().fill(0);
                Ok(())
            }
            fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                Ok(Vec::new())
            }
        }
        let x = Tensor::scalar(1.0_f32);
        let tape = GradientTape::new();
        tape.watch(&x);
        let y = tape.record(|| apply_one(Short, &[&x])).unwrap();
        let error = tape.gradients(&y, [&x]).unwrap_err();
        assert_eq!(error.to_string(), "0 gradients were given for 1 inputs [Op:Short]");
    }

    #[test]
    fn gradients_of_traced_operations_are_nodes() {
        let w = Variable::new(Tensor::from([[1.0_f32], [2.0]]));
        let spec = Spec::new(DType::F32, [None, Some(2)]);
        let graph = trace(
            |x| {
                let tape = GradientTape::new();
                let y = tape.record(|| x[0].matmul(&w)?.square()?.sum(..))?;
                Ok(vec![tape.gradient(&y, &w)?])
            },
            &[spec],
        )
        .unwrap();
        let x = Tensor::from([[1.0_f32, 1.0], [0.0, 1.0]]);
        let traced = graph.run(&[&x]).unwrap()[0].to_vec::<f32>().unwrap();
        assert_eq!(traced, [6.0, 10.0]);
    }
}
