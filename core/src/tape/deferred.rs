//! Gradients that need more of the shapes than a trace knows.

use crate::op::{Backward, Call, Fused, Input, Op, apply, scope};
use crate::ops::reduce::unbroadcast;
use crate::{Error, Result, Spec, Tensor};
use std::sync::Arc;

/// The gradients of a call at those of its inputs that need one: a node that takes the inputs, the outputs and what arrives at
/// them, until as much is known of the inputs as [`Op::grad_waits`] asks for. In a file, and where a tape listens, it is what
/// the op makes of less, or its error.
#[derive(Clone, Debug)]
pub(super) struct DeferredGradient {
    of: Arc<dyn Op>,
    inputs: usize,
    needs: Vec<bool>,
    arrives: Vec<bool>,
}

/// The gradients at all inputs of a call, as [`Op::grad`] gives them, summed back to the inputs' shapes.
pub(super) fn gradients(b: &Backward) -> Result<Vec<Option<Tensor>>> {
    let Call { op, inputs, outputs } = b.call;
    if !op.grad_waits(inputs) {
        return now(b);
    }
    let smooth = |(input, needed): (&Tensor, &bool)| *needed && input.dtype().is_differentiable();
    let needs: Vec<bool> = inputs.iter().zip(b.needs).map(smooth).collect();
    let deferred = DeferredGradient { of: op.clone(), inputs: inputs.len(), needs, arrives: b.arrives.to_vec() };
    let given: Vec<&Tensor> = inputs.iter().chain(outputs).chain(b.dy).collect();
    let mut found = apply(deferred.clone(), &given)?.into_iter();
    Ok(deferred.needs.iter().map(|&needed| if needed { found.next() } else { None }).collect())
}

fn now(b: &Backward) -> Result<Vec<Option<Tensor>>> {
    let op = &b.call.op;
    let at_inputs = op.grad(b).map_err(|error| error.in_op(op.name()))?;
    if at_inputs.len() != b.inputs().len() {
        let (found, expected) = (at_inputs.len(), b.inputs().len());
        let message = format!("{found} gradients were given for {expected} inputs");
        return Err(Error::internal(message).in_op(op.name()));
    }
    let at_inputs = at_inputs.into_iter().zip(b.inputs()).zip(b.needs).map(|((gradient, input), needed)| {
        let Some(gradient) = gradient.filter(|_| *needed) else { return Ok(None) };
        gradient.check().map_err(|error| error.note(format!("in the gradient of {}", op.name())))?;
        if op.broadcasts() { unbroadcast(&gradient, input).map(Some) } else { Ok(Some(gradient)) }
    });
    at_inputs.collect()
}

impl DeferredGradient {
    /// The inputs of the call, its outputs and what arrives at them.
    fn parts<'a, T>(&self, given: &'a [T]) -> Result<[&'a [T]; 3]> {
        let outputs = self.arrives.len();
        if given.len() != self.inputs + 2 * outputs {
            return Err(Error::internal("a gradient takes inputs, outputs and what arrives at them"));
        }
        let (inputs, rest) = given.split_at(self.inputs);
        let (outputs, dy) = rest.split_at(outputs);
        Ok([inputs, outputs, dy])
    }
}

impl Op for DeferredGradient {
    fn name(&self) -> &'static str {
        "deferred_gradient"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [inputs, ..] = self.parts(inputs)?;
        let needed = inputs.iter().zip(&self.needs).filter(|(_, needed)| **needed);
        Ok(needed.map(|(input, _)| input.spec.clone()).collect())
    }
    fn unfolded(&self, inputs: &[&Tensor], listened: bool) -> Option<Result<Vec<Tensor>>> {
        let call: Vec<Tensor> = inputs.iter().take(self.inputs).map(|&input| input.clone()).collect();
        if !self.of.grad_waits(&call) {
            return Some(self.body(inputs));
        }
        listened.then(|| scope::within_composite(self.name(), || self.body(inputs)))
    }
    fn is_its_text(&self) -> bool {
        self.of.is_its_text()
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
}

impl Fused for DeferredGradient {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let parts = self.parts(inputs)?;
        let [inputs, outputs, dy] = parts.map(|part| part.iter().map(|&x| x.clone()).collect::<Vec<Tensor>>());
        let call = Call { op: self.of.clone(), inputs, outputs };
        let at_inputs = now(&Backward { call: &call, dy: &dy, arrives: &self.arrives, needs: &self.needs })?;
        let needed = at_inputs.into_iter().zip(&call.inputs).zip(&self.needs).filter(|(_, needed)| **needed);
        needed.map(|((gradient, input), _)| gradient.map_or_else(|| input.zeros_like(), Ok)).collect()
    }
    fn differentiates(&self) -> bool {
        false
    }
}
