//! One of several graphs, chosen by a value: `If` and `Case`.

use super::body::aligned_all;
use super::joint::{Derived, Joint, joint};
use super::{Body, Within, check_arguments, effect, is_narrower, record, sources, with_outputs, written};
use crate::dtype::dispatch as by_dtype;
use crate::graph::{Graph, Running};
use crate::op::{Accuracy, Attr, Attrs, Backward, Effect, Func, Input, Op, OpDef, Values, allowed, dispatch, scope};
use crate::ops::list;
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

/// Runs one of several graphs that take the same inputs, behind the value that chooses.
#[derive(Debug)]
pub(super) struct Branch {
    /// Whether the choice is a number and not a truth: the first branch is that of 0, or of true.
    by_number: bool,
    pub branches: Vec<Arc<Graph>>,
    effect: Effect,
    /// What is true of the outputs of all branches.
    outputs: Vec<Spec>,
}

/// The attributes of the two branches of an `If`.
const NAMES: [&str; 2] = ["then_branch", "else_branch"];

impl Branch {
    /// An error when the branches do not agree in the number, dtypes and ranks of their outputs.
    fn new(by_number: bool, branches: Vec<Arc<Graph>>) -> Result<Branch> {
        let name = |at: usize| if by_number { format!("branch {at}") } else { format!("`{}`", NAMES[at]) };
        let Some((first, others)) = branches.split_first() else {
            return Err(Error::invalid_argument("there is at least one branch"));
        };
        let mut outputs: Vec<Spec> = first.outputs().cloned().collect();
        for (at, other) in others.iter().enumerate() {
            let found = other.outputs().count();
            if found != outputs.len() {
                let (first, other) = (name(0), name(at + 1));
                let message = format!("{first} gives {} tensors, and {other} gives {found}", outputs.len());
                return Err(Error::invalid_argument(message));
            }
            for (i, (output, spec)) in outputs.iter_mut().zip(other.outputs()).enumerate() {
                let common = output.shape.common(&spec.shape).filter(|_| output.dtype == spec.dtype);
                output.shape = common.ok_or_else(|| {
                    let (first, other) = (name(0), name(at + 1));
                    Error::invalid_argument(format!(
                        "output {i} of {first} is {output}, and that of {other} is {spec}: branches agree in dtypes and ranks"
                    ))
                })?;
            }
        }
        let effect = effect(branches.iter().map(|branch| &**branch));
        Ok(Branch { by_number, branches, effect, outputs })
    }

    /// From bodies, with what they capture.
    fn of(by_number: bool, bodies: Vec<Body>) -> Result<(Branch, Vec<Tensor>)> {
        let (branches, captures) = aligned_all(bodies, 0);
        Ok((Branch::new(by_number, branches)?, captures))
    }

    /// Which branch a value chooses: of numbers outside the last one, of `If` as TensorFlow takes anything for a truth.
    pub fn chosen(&self, choice: &Tensor) -> Result<usize> {
        let last = self.branches.len() - 1;
        if self.by_number {
            return Ok(usize::try_from(choice.item::<i32>()?).map_or(last, |at| at.min(last)));
        }
        let is_true = match (choice.rank(), choice.dtype()) {
            (Some(0), DType::Bool) => choice.item::<bool>()?,
            (Some(0), DType::String) => choice.to_strings()?.iter().any(|text| !text.is_empty()),
            (Some(0), dtype) => by_dtype!(dtype, number T => choice.item::<T>()? != T::default(),
                else => return Err(Error::invalid_argument(format!("{dtype} is neither true nor false")))),
            _ => choice.shape().elements() != Some(0),
        };
        Ok(usize::from(!is_true))
    }

    fn call(self, choice: &Tensor, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        dispatch(Arc::new(self), &[choice].into_iter().chain(inputs).collect::<Vec<_>>())
    }

    /// As a node that puts aside what the gradient needs, of which tapes hear.
    fn recorded(&self, choice: &Tensor, inputs: &[&Tensor], sources: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let smooth = |at: &usize| self.outputs[*at].dtype.is_differentiable();
        let outputs: Vec<usize> = (0..self.outputs.len()).filter(smooth).collect();
        let twice = scope::with(|scopes| scopes.tapes.len() > 1);
        let derived = Derived { specs: &[], arguments: &[], outer: &sources, onto: false, outputs: &outputs, twice };
        let joints = self.branches.iter().map(|branch| joint(&|_| branch.run(inputs), &derived));
        let joints: Vec<Joint> = joints.collect::<Result<_>>()?;
        let count = self.outputs.len();
        let forward = |joint: &Joint| {
            let body = |_: &[Tensor]| {
                let mut outputs = joint.forward.run(&[])?;
                let saved = outputs.split_off(count);
                outputs.push(list::from_value(&saved.iter().collect::<Vec<_>>())?);
                Ok(outputs)
            };
            Body::trace(body, &[])
        };
        let forward = joints.iter().map(forward).collect::<Result<_>>()?;
        let (op, captures) = Branch::of(self.by_number, forward)?;
        let name = op.name();
        let all = scope::without_tapes(|| op.call(choice, &captures))?;
        let (by_number, choice, given) = (self.by_number, choice.clone(), sources.clone());
        let gradient = move |b: &Backward| {
            let again = b.arrives(count);
            let ways = || joints.iter().map(|joint| if again { joint.twice.as_ref() } else { Some(&joint.backward) });
            let ways: Vec<_> = ways()
                .collect::<Option<_>>()
                .ok_or_else(|| Error::unimplemented("a gradient of a gradient is taken while two tapes record"))?;
            let connected: Vec<usize> =
                (0..given.len()).filter(|&at| b.needs(at) && ways.iter().any(|way| way.connected[at])).collect();
            let dys: Vec<Tensor> = outputs.iter().map(|&at| b.dy(at).clone()).collect();
            let back = |(joint, way): (&Joint, &&super::joint::Backwards)| {
                let body = |_: &[Tensor]| {
                    let saved = list::get_value(b.output(count), joint.saved.clone())?;
                    let mut arguments = dys.clone();
                    if again {
                        let at_saved = list::get_value(b.dy(count), joint.saved.clone())?;
                        arguments.extend(at_saved.into_iter().filter(|dy| dy.dtype().is_differentiable()));
                    }
                    let gradients = way.run(&arguments, &saved)?;
                    Ok(connected.iter().map(|&at| gradients[at].clone()).collect())
                };
                Body::trace(body, &[])
            };
            let backward = joints.iter().zip(&ways).map(back).collect::<Result<_>>()?;
            let (op, captures) = Branch::of(by_number, backward)?;
            let mut gradients = vec![None; given.len()];
            for (at, gradient) in connected.into_iter().zip(op.call(&choice, &captures)?) {
                gradients[at] = Some(gradient);
            }
            Ok(gradients)
        };
        record(name, sources, all.clone(), gradient)?;
        Ok(all[..count].to_vec())
    }
}

impl Op for Branch {
    fn name(&self) -> &'static str {
        match (self.by_number, self.effect.is_ordered()) {
            (false, false) => "StatelessIf",
            (false, true) => "If",
            (true, false) => "StatelessCase",
            (true, true) => "Case",
        }
    }
    fn attrs(&self) -> Attrs {
        let functions = self.branches.iter().map(|branch| Attr::Func(Func::new(branch.clone())));
        let attrs = match self.by_number {
            true => Attrs::new().with("branches", Attr::List(functions.collect())),
            false => NAMES.iter().zip(functions).fold(Attrs::new(), |attrs, (name, branch)| attrs.with(name, branch)),
        };
        with_outputs(attrs, &self.outputs)
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let Some((choice, inputs)) = inputs.split_first() else {
            return Err(Error::invalid_argument("the first input is what chooses, and none was given"));
        };
        if self.by_number {
            allowed(choice.spec.dtype, |d| d == DType::I32, "an int32 that chooses")?;
            crate::op::with_rank(&choice.spec.shape, 0, "what chooses")?;
        } else {
            allowed(choice.spec.dtype, DType::has_elements, "a bool, a number or a string that chooses")?;
        }
        for (at, branch) in self.branches.iter().enumerate() {
            let name = if self.by_number { format!("branch {at}") } else { NAMES[at].to_owned() };
            check_arguments(&name, branch, inputs)?;
        }
        Ok(self.outputs.clone())
    }
    fn always_makes(&self) -> bool {
        true
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.branches[self.chosen(inputs[0])?].run(&inputs[1..])
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        let (&choice, inputs) = inputs.split_first()?;
        if !inputs.iter().any(|input| input.dtype() == DType::Resource) {
            return None;
        }
        let mut on_values = || {
            if !choice.is_symbolic() {
                return self.branches[self.chosen(choice)?].inlined(inputs, values);
            }
            // What a branch leaves of the variables that any of them writes is one more output.
            let graphs: Vec<&Graph> = self.branches.iter().map(|branch| &**branch).collect();
            let written = written(&graphs, inputs);
            let mut bodies = Vec::new();
            for branch in &self.branches {
                let body = |_: &[Tensor]| {
                    let mut within = Within::new(values);
                    let mut outputs = branch.inlined(inputs, &mut within)?;
                    for handle in &written {
                        outputs.push(within.value(handle)?);
                    }
                    Ok(outputs)
                };
                bodies.push(Body::trace(body, &[])?);
            }
            let (op, captures) = Branch::of(self.by_number, bodies)?;
            let mut outputs = op.call(choice, &captures)?;
            let after = outputs.split_off(self.outputs.len());
            written.iter().zip(after).try_for_each(|(handle, value)| values.assign(handle, value))?;
            Ok(outputs)
        };
        Some(on_values())
    }
    fn unfolded(&self, inputs: &[&Tensor], listened: bool) -> Option<Result<Vec<Tensor>>> {
        let (&choice, inputs) = inputs.split_first()?;
        if !choice.is_symbolic() {
            let ran = || {
                let seen: Vec<Input> = [choice].into_iter().chain(inputs.iter().copied()).map(crate::op::see).collect();
                self.infer(&seen)?;
                let branch = &self.branches[self.chosen(choice)?];
                Running::new(branch).run(inputs.iter().map(|&input| input.clone()).collect())
            };
            return Some(ran().map_err(|error| error.in_op(self.name())));
        }
        if listened {
            let sources = sources(inputs);
            if !sources.is_empty() {
                return Some(self.recorded(choice, inputs, sources));
            }
        }
        if !self.branches.iter().any(|branch| is_narrower(branch, inputs)) {
            return None;
        }
        let narrowed = || {
            let bodies = self.branches.iter().map(|branch| Body::trace(|_| branch.run(inputs), &[]));
            let (op, captures) = Branch::of(self.by_number, bodies.collect::<Result<_>>()?)?;
            op.call(choice, &captures)
        };
        Some(narrowed())
    }
}

/// Traces the branches and calls one of them: by a bool if there are two and not `by_number`, else by an int32.
pub(crate) fn branch(
    by_number: bool,
    choice: &Tensor,
    branches: Vec<&mut dyn FnMut() -> Result<Vec<Tensor>>>,
) -> Result<Vec<Tensor>> {
    let bodies = branches.into_iter().map(|f| Body::trace(|_| f(), &[]));
    let (op, captures) = Branch::of(by_number, bodies.collect::<Result<_>>()?)?;
    op.call(choice, &captures)
}

/// Reads a branch back.
fn parse(by_number: bool, attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let branches = match by_number {
        false => NAMES.iter().map(|name| attrs.func(name, None)?.graph()).collect::<Result<Vec<_>>>()?,
        true => match attrs.get("branches") {
            Some(Attr::List(items)) => items
                .iter()
                .map(|item| match item {
                    Attr::Func(function) => function.graph(),
                    other => {
                        Err(Error::invalid_argument(format!("attribute `branches` takes functions, found {other:?}")))
                    }
                })
                .collect::<Result<_>>()?,
            other => {
                return Err(Error::invalid_argument(format!("attribute `branches` takes functions, found {other:?}")));
            }
        },
    };
    Ok(Arc::new(Branch::new(by_number, branches)?))
}

/// The ops of this file.
pub(super) const OPS: &[OpDef] = &[
    OpDef { name: "If", parse: |attrs| parse(false, attrs), accuracy: Accuracy::Exact },
    OpDef { name: "StatelessIf", parse: |attrs| parse(false, attrs), accuracy: Accuracy::Exact },
    OpDef { name: "Case", parse: |attrs| parse(true, attrs), accuracy: Accuracy::Exact },
    OpDef { name: "StatelessCase", parse: |attrs| parse(true, attrs), accuracy: Accuracy::Exact },
];
