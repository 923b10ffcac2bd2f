//! A graph run again and again, as long as another says so: `While`.

use super::body::{aligned, passing_on};
use super::joint::{Backwards, Derived, Joint, joint};
use super::{Body, Within, check_arguments, effect, fits, is_narrower, record, sources, written, zeros};
use crate::graph::{Graph, Running};
use crate::op::{Accuracy, Attr, Attrs, Backward, Effect, Func, Input, Op, OpDef, Values, dispatch, is_staged, scope};
use crate::ops::list;
use crate::{DType, Error, Result, Spec, Tensor};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Puts its inputs through the body for as long as the condition holds of them. The body gives as many tensors, and those
/// that it gives out as they came in stay what they are.
#[derive(Debug)]
pub(super) struct While {
    pub condition: Arc<Graph>,
    pub body: Arc<Graph>,
    effect: Effect,
    parallel_iterations: i64,
}

/// How many iterations TensorFlow may run at once; here they follow each other.
const PARALLEL: i64 = 10;

impl While {
    /// An error when the body does not give what it takes, or the condition no bool.
    fn new(condition: Arc<Graph>, body: Arc<Graph>, parallel_iterations: i64) -> Result<While> {
        let specs: Vec<Spec> = condition.outputs().cloned().collect();
        let is_truth = |spec: &Spec| spec.dtype == DType::Bool && matches!(spec.shape.rank(), None | Some(0));
        if specs.len() != 1 || !is_truth(&specs[0]) {
            return Err(Error::invalid_argument(format!("the condition of a loop gives one bool, found {specs:?}")));
        }
        let (taken, given) = (body.inputs().count(), body.outputs().count());
        if taken != given || condition.inputs().count() != taken {
            return Err(Error::invalid_argument(format!(
                "a loop has as many variables as its condition and its body take and its body gives: {}, {taken} and {given}",
                condition.inputs().count()
            )));
        }
        for (at, ((taken, given), asked)) in body.inputs().zip(body.outputs()).zip(condition.inputs()).enumerate() {
            if !fits(given, taken) || !fits(asked, taken) {
                let found = if fits(given, taken) { asked } else { given };
                return Err(changed(at, taken, found));
            }
        }
        let effect = effect([&*condition, &*body]);
        Ok(While { condition, body, effect, parallel_iterations })
    }

    /// Runs the loop on values, where a tape may listen.
    fn iterate(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (mut condition, mut body) = (Running::new(&self.condition), Running::new(&self.body));
        let mut state: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        let listened = scope::with(|scopes| !scopes.tapes.is_empty());
        loop {
            let given = state.clone();
            let going = match listened {
                true => scope::without_tapes(|| condition.run(given)),
                false => condition.run(given),
            }?;
            if !going.first().ok_or_else(|| Error::internal("a condition gives a bool"))?.item::<bool>()? {
                return Ok(state);
            }
            spend()?;
            state = body.run(state)?;
            let misfit =
                self.body.inputs().zip(&state).enumerate().find(|(_, (spec, value))| !fits(value.spec(), spec));
            if let Some((at, (spec, value))) = misfit {
                return Err(changed(at, spec, value.spec()));
            }
        }
    }

    /// Which inputs the body gives out as they came in.
    fn invariant(&self) -> Vec<bool> {
        let body = &self.body;
        let same = |(edge, &input): (&crate::graph::Edge, &usize)| edge.node == input;
        body.outputs.iter().zip(&body.inputs).map(same).collect()
    }

    /// Which inputs depend on those given, in any iteration, smoothly.
    fn depending(&self, mut depending: Vec<bool>) -> Vec<bool> {
        loop {
            let mut after = self.body.depending(&depending);
            after.iter_mut().zip(&depending).for_each(|(after, before)| *after |= before);
            if after == depending {
                return depending;
            }
            depending = after;
        }
    }

    /// The condition and the body as closures over the variables that change, with the others at hand.
    fn parts<'a>(&'a self, inputs: &'a [&'a Tensor]) -> Parts<'a> {
        let invariant = self.invariant();
        let varying = (0..inputs.len()).filter(|&at| !invariant[at]).collect();
        Parts { of: self, inputs, varying }
    }

    /// As a node that puts aside what the gradient needs, of which tapes hear.
    fn recorded(&self, inputs: &[&Tensor], sources: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let parts = self.parts(inputs);
        let is_source = |input: &&Tensor| sources.iter().any(|source| source.id() == input.id());
        let depending = self.depending(inputs.iter().map(is_source).collect());
        let active: Vec<usize> = (0..parts.varying.len())
            .filter(|&at| depending[parts.varying[at]] && inputs[parts.varying[at]].dtype().is_differentiable())
            .collect();
        let outer: Vec<Tensor> = (0..inputs.len())
            .filter(|at| !parts.varying.contains(at) && is_source(&inputs[*at]))
            .map(|at| inputs[at].clone())
            .collect();
        let init: Vec<Tensor> = parts.varying.iter().map(|&at| inputs[at].clone()).collect();
        let specs: Vec<Spec> = parts.varying.iter().map(|&at| self.spec(at)).collect();
        let twice = scope::with(|scopes| scopes.tapes.len() > 1);
        let derived = Derived { specs: &specs, arguments: &active, outer: &outer, onto: true, outputs: &active, twice };
        let Joint { forward, saved, backward, twice } = joint(&|state| parts.next(state), &derived)?;

        // The count of iterations, the variables, and a list for each thing that is put aside.
        let count = init.len();
        let mut begun = vec![Tensor::scalar(0_i64)];
        begun.extend(init.iter().cloned());
        begun.extend(saved.iter().map(list::empty).collect::<Result<Vec<_>>>()?);
        let condition = |state: &[Tensor]| parts.holds(&state[1..=count]);
        let body = |state: &[Tensor]| {
            let mut next = vec![state[0].add(1.0)?];
            next.extend(forward.run(&state[1..=count].iter().collect::<Vec<_>>())?);
            let put = next.split_off(1 + count);
            for (list, element) in state[1 + count..].iter().zip(&put) {
                next.push(list::push(list, element)?);
            }
            Ok(next)
        };
        let all = scope::without_tapes(|| repeat(&condition, &body, &begun))?;
        let mut outputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        parts.varying.iter().zip(&all[1..]).for_each(|(&at, output)| outputs[at] = output.clone());

        let given: Vec<Tensor> = active.iter().map(|&at| init[at].clone()).chain(outer.iter().cloned()).collect();
        let back = Back { saved, backward, twice, active, outer, count };
        record(self.name(), given, all, move |b| back.gradients(b))?;
        Ok(outputs)
    }

    /// What is known of a variable in every iteration.
    fn spec(&self, at: usize) -> Spec {
        self.body.nodes[self.body.inputs[at]].specs[0].clone()
    }
}

/// The error of a variable that does not stay what it is.
fn changed(at: usize, expected: &Spec, found: &Spec) -> Error {
    Error::invalid_argument(format!(
        "loop variable {at} is {expected}, and the body makes it {found}: a loop variable keeps its dtype and its rank"
    ))
}

/// A loop over the variables that change.
struct Parts<'a> {
    of: &'a While,
    inputs: &'a [&'a Tensor],
    /// Which inputs these are.
    varying: Vec<usize>,
}

impl Parts<'_> {
    fn all<'b>(&'b self, state: &'b [Tensor]) -> Vec<&'b Tensor> {
        let mut all = self.inputs.to_vec();
        self.varying.iter().zip(state).for_each(|(&at, value)| all[at] = value);
        all
    }

    fn holds(&self, state: &[Tensor]) -> Result<Tensor> {
        let holds = self.of.condition.run(&self.all(state))?;
        holds.into_iter().next().ok_or_else(|| Error::internal("a condition gives a bool"))
    }

    fn next(&self, state: &[Tensor]) -> Result<Vec<Tensor>> {
        let next = self.of.body.run(&self.all(state))?;
        Ok(self.varying.iter().map(|&at| next[at].clone()).collect())
    }
}

/// The way back through a loop.
struct Back {
    saved: Vec<Spec>,
    backward: Backwards,
    twice: Option<Backwards>,
    /// Which of the variables have gradients.
    active: Vec<usize>,
    outer: Vec<Tensor>,
    /// How many variables there are.
    count: usize,
}

impl Back {
    /// A loop that goes as often as the one forward went, and takes from the lists what that put there.
    fn gradients(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let lists = 1 + self.count..1 + self.count + self.saved.len();
        let again = lists.clone().any(|at| b.arrives(at));
        let way = match again {
            true => self
                .twice
                .as_ref()
                .ok_or_else(|| Error::unimplemented("a gradient of a gradient is taken while two tapes record"))?,
            false => &self.backward,
        };
        let at_saved: Vec<usize> =
            (0..self.saved.len()).filter(|&at| again && self.saved[at].dtype.is_differentiable()).collect();
        let mut begun = vec![b.output(0).clone()];
        begun.extend(self.active.iter().map(|&at| b.dy(1 + at).clone()));
        begun.extend(self.outer.iter().map(zeros).collect::<Result<Vec<_>>>()?);
        let gradients = begun.len();
        begun.extend(lists.clone().map(|at| b.output(at).clone()));
        begun.extend(at_saved.iter().map(|&at| b.dy(lists.start + at).clone()));
        let condition = |state: &[Tensor]| state[0].greater(0.0);
        let body = |state: &[Tensor]| {
            let (mut left, mut popped) = (Vec::new(), Vec::new());
            let specs = self.saved.iter().chain(at_saved.iter().map(|&at| &self.saved[at]));
            for ((list, spec), at) in state[gradients..].iter().zip(specs).zip(0..) {
                // A gradient is like what it is one of, which was taken out before it.
                let like = at_saved.get(at - self.saved.len().min(at)).filter(|_| at >= self.saved.len());
                let like = like.map(|&of| &popped[of]);
                let (list, element) = list::pop(list, spec, like)?;
                left.push(list);
                popped.push(element);
            }
            let (onto_active, onto_outer) = state[1..gradients].split_at(self.active.len());
            let mut arguments = onto_active.to_vec();
            arguments.extend(popped.drain(self.saved.len()..));
            arguments.extend(onto_outer.iter().cloned());
            let mut next = vec![state[0].sub(1.0)?];
            next.extend(way.run(&arguments, &popped)?);
            next.extend(left);
            Ok(next)
        };
        let all = repeat(&condition, &body, &begun)?;
        let mut gradients: Vec<Option<Tensor>> = all.into_iter().skip(1).take(gradients - 1).map(Some).collect();
        // What no iteration adds to has no gradient, unless what it begins with arrived.
        for (gradient, connected) in gradients.iter_mut().zip(&way.connected).skip(self.active.len()) {
            if !connected {
                *gradient = None;
            }
        }
        Ok(gradients)
    }
}

impl Op for While {
    fn name(&self) -> &'static str {
        if self.effect.is_ordered() { "While" } else { "StatelessWhile" }
    }
    fn attrs(&self) -> Attrs {
        let shapes = self.body.inputs().map(|spec| Attr::Shape(spec.shape.clone())).collect();
        Attrs::new()
            .with("cond", Func::new(self.condition.clone()))
            .with("body", Func::new(self.body.clone()))
            .with("output_shapes", Attr::List(shapes))
            .with("parallel_iterations", self.parallel_iterations)
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        check_arguments("body", &self.body, inputs)?;
        let spec = |(at, (is_invariant, input)): (usize, (bool, &Input))| match is_invariant {
            true => input.spec.clone(),
            false => self.spec(at),
        };
        Ok(self.invariant().into_iter().zip(inputs).enumerate().map(spec).collect())
    }
    fn always_makes(&self) -> bool {
        true
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.iterate(inputs)
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        if !inputs.iter().any(|input| input.dtype() == DType::Resource) {
            return None;
        }
        let on_values = || {
            // The variables that the body writes are variables of the loop.
            let written = written(&[&self.condition, &self.body], inputs);
            let parts = self.parts(inputs);
            let count = parts.varying.len();
            let mut init: Vec<Tensor> = parts.varying.iter().map(|&at| inputs[at].clone()).collect();
            for handle in &written {
                init.push(values.value(handle)?);
            }
            let values = RefCell::new(values);
            let inlined = |graph: &Graph, state: &[Tensor]| {
                let mut values = values.borrow_mut();
                let mut within = Within::new(&mut **values);
                within.now.extend(written.iter().map(Tensor::id).zip(state[count..].iter().cloned()));
                let outputs = graph.inlined(&parts.all(&state[..count]), &mut within)?;
                let after = written.iter().map(|handle| within.value(handle)).collect::<Result<Vec<_>>>()?;
                Ok::<_, Error>((outputs, after))
            };
            let condition = |state: &[Tensor]| {
                let (holds, after) = inlined(&self.condition, state)?;
                if after.iter().zip(&state[count..]).any(|(after, before)| after.id() != before.id()) {
                    return Err(Error::unimplemented("the condition of a loop writes a variable"));
                }
                holds.into_iter().next().ok_or_else(|| Error::internal("a condition gives a bool"))
            };
            let body = |state: &[Tensor]| {
                let (next, after) = inlined(&self.body, state)?;
                Ok(parts.varying.iter().map(|&at| next[at].clone()).chain(after).collect())
            };
            let mut results = repeat(&condition, &body, &init)?;
            let after = results.split_off(count);
            let values = values.into_inner();
            written.iter().zip(after).try_for_each(|(handle, value)| values.assign(handle, value))?;
            let mut outputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
            parts.varying.iter().zip(results).for_each(|(&at, result)| outputs[at] = result);
            Ok(outputs)
        };
        Some(on_values())
    }
    fn unfolded(&self, inputs: &[&Tensor], listened: bool) -> Option<Result<Vec<Tensor>>> {
        if !is_staged(self.effect, inputs) {
            let seen: Vec<Input> = inputs.iter().map(|&input| crate::op::see(input)).collect();
            return Some(
                self.infer(&seen).and_then(|_| self.iterate(inputs)).map_err(|error| error.in_op(self.name())),
            );
        }
        if listened {
            let sources = sources(inputs);
            if !sources.is_empty() {
                return Some(self.recorded(inputs, sources));
            }
        }
        if !is_narrower(&self.body, inputs) {
            return None;
        }
        let narrowed = || {
            let parts = self.parts(inputs);
            let init: Vec<Tensor> = parts.varying.iter().map(|&at| inputs[at].clone()).collect();
            let (op, state) = traced(&|state| parts.holds(state), &|state| parts.next(state), &init)?;
            // Where nothing more is known of what changes, the loop stays as it is.
            let is_same = |(at, &of): (usize, &usize)| op.spec(at).shape == self.spec(of).shape;
            let invariants = self.invariant();
            let fixed = (0..inputs.len()).any(|at| {
                let merged = self.spec(at).shape.merge(inputs[at].shape());
                invariants[at] && merged.is_some_and(|merged| merged != self.spec(at).shape)
            });
            if !fixed && parts.varying.iter().enumerate().all(is_same) {
                return Ok(None);
            }
            let results = call(op, &state)?;
            let mut outputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
            parts.varying.iter().zip(results).for_each(|(&at, result)| outputs[at] = result);
            Ok(Some(outputs))
        };
        narrowed().transpose()
    }
}

/// Counts one more iteration of a loop against the budget, if there is one.
pub(crate) fn spend() -> Result<()> {
    scope::with(|scopes| match &scopes.budget {
        None => Ok(()),
        Some(budget) => {
            let spent = budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            spent.map(|_| ()).map_err(|_| {
                let name = scopes.path.as_deref().map(|path| format!(" `{path}`")).unwrap_or_default();
                Error::resource_exhausted(format!("loop{name} exceeded {} iterations", budget.limit))
            })
        }
    })
}

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>;
type Condition<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The op of a loop that begins with these variables, and all its inputs: the variables and what the closures capture.
///
/// A dim that the body changes is unknown in the loop.
fn traced(condition: Condition, body: Function, init: &[Tensor]) -> Result<(While, Vec<Tensor>)> {
    let mut specs: Vec<Spec> = init.iter().map(|value| value.spec().clone()).collect();
    let body = loop {
        let traced = Body::trace(body, &specs)?;
        let given: Vec<&Spec> = traced.graph.outputs().collect();
        if given.len() != specs.len() {
            let message = format!("the body of a loop of {} variables gives {}", specs.len(), given.len());
            return Err(Error::invalid_argument(message));
        }
        let mut common = specs.clone();
        for (at, (common, given)) in common.iter_mut().zip(given).enumerate() {
            let shape = common.shape.common(&given.shape).filter(|_| common.dtype == given.dtype);
            common.shape = shape.ok_or_else(|| changed(at, common, given))?;
        }
        if common == specs {
            break traced;
        }
        specs = common;
    };
    let condition = Body::trace(|state| Ok(vec![condition(state)?]), &specs)?;
    let ([condition, body], captures) = aligned([condition, body], init.len());
    let mut body = Arc::unwrap_or_clone(body);
    passing_on(&mut body, init.len());
    let inputs = init.iter().cloned().chain(captures).collect();
    Ok((While::new(condition, Arc::new(body), PARALLEL)?, inputs))
}

fn call(op: While, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    dispatch(Arc::new(op), &inputs.iter().collect::<Vec<_>>())
}

/// Traces a loop and runs it, or makes it a node.
pub(crate) fn repeat(condition: Condition, body: Function, init: &[Tensor]) -> Result<Vec<Tensor>> {
    let (op, inputs) = traced(condition, body, init)?;
    let mut outputs = call(op, &inputs)?;
    outputs.truncate(init.len());
    Ok(outputs)
}

fn parse(attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let [condition, body] = ["cond", "body"].map(|name| attrs.func(name, None).and_then(|function| function.graph()));
    Ok(Arc::new(While::new(condition?, body?, attrs.int("parallel_iterations", PARALLEL)?)?))
}

/// The ops of this file.
pub(super) const OPS: &[OpDef] = &[
    OpDef { name: "While", parse, accuracy: Accuracy::Exact },
    OpDef { name: "StatelessWhile", parse, accuracy: Accuracy::Exact },
];
