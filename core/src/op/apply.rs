//! The one door: infer, then add a node, or run the kernel and tell the tapes.

use super::buffer::{Scratch, View, ViewMut, allocate};
use super::node::{Node, Origin};
use super::{Call, Effect, Input, Op, scope, timed};
use crate::shape::count;
use crate::tensor::{Payload, Text};
use crate::{DType, Error, Result, Spec, Tensor};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

/// Calls an op.
///
/// With a symbol among the inputs, or any effect while a graph is traced, the call becomes a node and the results are
/// its symbols. Otherwise the kernel runs, eagerly. Either way, tapes that listen hear of it.
pub fn apply(op: impl Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    dispatch(Arc::new(op), inputs)
}

/// Calls an op that has one output.
pub fn apply_one(op: impl Op, inputs: &[&Tensor]) -> Result<Tensor> {
    let mut outputs = apply(op, inputs)?;
    match (outputs.pop(), outputs.is_empty()) {
        (Some(output), true) => Ok(output),
        _ => Err(Error::internal("an op of one output gave another number of them")),
    }
}

/// Calls an op that is known only at run time: of a graph's node, or from the registry.
pub fn dispatch(op: Arc<dyn Op>, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    inputs.iter().try_for_each(|input| input.check()).map_err(|error| error.in_op(op.name()))?;
    let listened = scope::with(|scopes| !scopes.tapes.is_empty());
    if let Some(outputs) = op.unfolded(inputs, listened) {
        return outputs;
    }
    let (outputs, listened) = call(&op, inputs).map_err(|error| error.in_op(op.name()))?;
    if listened {
        record(op, inputs.iter().map(|&input| input.clone()).collect(), outputs.clone())?;
    }
    Ok(outputs)
}

/// Tells the tapes of a call.
pub(crate) fn record(op: Arc<dyn Op>, inputs: Vec<Tensor>, outputs: Vec<Tensor>) -> Result<()> {
    let call = Arc::new(Call { op, inputs, outputs });
    let tapes = scope::with(|scopes| scopes.tapes.clone());
    tapes.iter().try_for_each(|tape| tape.record(&call))
}

/// Whether a call of an op of this effect becomes a node.
pub(crate) fn is_staged(effect: Effect, inputs: &[&Tensor]) -> bool {
    inputs.iter().any(|input| input.is_symbolic()) || effect != Effect::Pure && scope::tracing()
}

/// As [`dispatch`]; an owned input ends with the call. Where nobody else holds one and the op may, the output is written
/// over its elements.
pub fn dispatch_given(op: Arc<dyn Op>, mut inputs: Vec<Cow<Tensor>>) -> Result<Vec<Tensor>> {
    // A tape keeps what was given.
    let listened = scope::with(|scopes| !scopes.tapes.is_empty());
    for &at in if listened { &[] } else { op.overwrites() } {
        if at >= inputs.len() || matches!(inputs[at], Cow::Borrowed(_)) {
            continue;
        }
        let mut target = inputs.remove(at).into_owned();
        let others: Vec<&Tensor> = inputs.iter().map(|input| &**input).collect();
        let path = || scope::with(|scopes| scopes.path.clone());
        if timed(&*op, path, || write_over(&*op, at, &mut target, &others)).map_err(|error| error.in_op(op.name()))? {
            return Ok(vec![target]);
        }
        inputs.insert(at, Cow::Owned(target));
    }
    dispatch(op, &inputs.iter().map(|input| &**input).collect::<Vec<_>>())
}

/// As [`apply_one`], of inputs as [`dispatch_given`] takes them.
pub(crate) fn given(op: impl Op, inputs: Vec<Cow<Tensor>>) -> Result<Tensor> {
    let outputs = dispatch_given(Arc::new(op), inputs)?;
    outputs.into_iter().next().ok_or_else(|| Error::internal("an op of one output gave none"))
}

/// Replaces `value` by the op's one output for it and `other`: in its own elements where nobody else holds them, else in
/// new ones. On values alone, and nobody hears of it.
pub(crate) fn replace(op: &dyn Op, value: &mut Tensor, other: &Tensor) -> Result<()> {
    if !write_over(op, 0, value, &[other])? {
        let inputs = [&*value, other];
        let specs = op.infer(&inputs.map(see))?;
        let made = run(op, &inputs, specs)?;
        *value = made.into_iter().next().ok_or_else(|| Error::internal("an op of one output gave none"))?;
    }
    Ok(())
}

/// Writes the output over `target`, input `at`, if that is alone and the output is like it; whether it was.
fn write_over(op: &dyn Op, at: usize, target: &mut Tensor, others: &[&Tensor]) -> Result<bool> {
    let plain = |input: &&Tensor| input.dtype().size() > 0 && matches!(input.payload(), Payload::Value(_));
    if target.elements_mut().is_none() || !others.iter().all(plain) {
        return Ok(false);
    }
    let mut seen: Vec<Input> = others.iter().map(|&other| see(other)).collect();
    seen.insert(at, see(target));
    if *op.infer(&seen)? != [target.spec().clone()] {
        return Ok(false);
    }
    let views = others.iter().map(|other| View::of(other)).collect::<Result<Vec<_>>>()?;
    let dtype = target.dtype();
    let Some((dims, bytes)) = target.elements_mut() else { return Ok(false) };
    let mut scratch = SCRATCH.take();
    scratch.reserve(op.scratch_over())?;
    op.run_over(at, &views, &mut ViewMut::new(dtype, dims, bytes)?, &mut scratch)?;
    SCRATCH.set(scratch);
    Ok(true)
}

/// The outputs, and whether a tape listens.
fn call(op: &Arc<dyn Op>, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, bool)> {
    let (trace, listened) = scope::with(|scopes| (scopes.trace.clone(), !scopes.tapes.is_empty()));
    let effect = op.effect();
    let symbolic = is_staged(effect, inputs);
    let seen: Vec<Input> = inputs.iter().map(|&input| see(input)).collect();
    let specs = op.infer(&seen)?;
    // What a tensor can be is checked here once, for views as for buffers, and for symbols before they run.
    specs.iter().filter_map(|spec| spec.shape.known()).try_for_each(|dims| count(dims).map(|_| ()))?;
    if effect.is_ordered() && symbolic && trace.is_none() {
        let message = "a symbol outside of its trace: no graph is under way that would run this";
        return Err(Error::failed_precondition(message));
    }
    if !symbolic {
        let path = || scope::with(|scopes| scopes.path.clone());
        return Ok((timed(&**op, path, || run(&**op, inputs, specs))?, listened));
    }
    if let Some(known) = op.known(&seen) {
        return Ok((known, false));
    }
    let inputs = inputs.iter().map(|&input| input.with_mask(None)).collect();
    let node = Node::new(Origin::Op(op.clone()), inputs, specs);
    if let (Some(trace), true) = (trace, effect.is_ordered()) {
        trace.push(node.clone());
    }
    Ok((node.outputs(), listened))
}

pub(crate) fn see(tensor: &Tensor) -> Input<'_> {
    let value = matches!(tensor.payload(), Payload::Value(_)).then_some(tensor);
    Input { spec: tensor.spec(), value }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Runs the kernel of an op whose inputs all have values.
fn run(op: &dyn Op, inputs: &[&Tensor], specs: Vec<Spec>) -> Result<Vec<Tensor>> {
    if let [spec] = &*specs
        && let Some(layout) = op.view(inputs, spec)?
    {
        let storage = inputs[0].evaluated()?.storage.clone();
        return Ok(vec![Tensor::value(spec.dtype, layout, storage)]);
    }
    let plain = |dtype: DType| dtype.size() > 0;
    let buffered = !op.always_makes()
        && specs.iter().all(|spec| spec.shape.is_known() && plain(spec.dtype))
        && inputs.iter().all(|input| plain(input.dtype()));
    if !buffered {
        let made = op.make(inputs)?;
        return match made.iter().zip(&specs).all(|(made, spec)| is_of(made, spec)) && made.len() == specs.len() {
            true => Ok(made),
            false => Err(Error::internal(format!("inference said {specs:?}, and the kernel made {made:?}"))),
        };
    }
    let mut buffers = allocate(&specs)?;
    let views = inputs.iter().map(|input| View::of(input)).collect::<Result<Vec<_>>>()?;
    let mut outputs = specs
        .iter()
        .zip(&mut buffers)
        .map(|(spec, (dims, plain))| ViewMut::new(spec.dtype, dims, plain.bytes_mut()))
        .collect::<Result<Vec<_>>>()?;
    // Taken out while the kernel runs, which may be a user's and call an op in its turn.
    let mut scratch = SCRATCH.take();
    scratch.reserve(op.scratch(&views, &outputs))?;
    op.run(&views, &mut outputs, &mut scratch)?;
    SCRATCH.set(scratch);
    drop(outputs);
    Ok(specs.iter().zip(buffers).map(|(spec, (dims, plain))| Tensor::plain(spec.dtype, dims, plain)).collect())
}

/// Whether a tensor is what inference said, as far as it said it.
fn is_of(tensor: &Tensor, spec: &Spec) -> bool {
    tensor.dtype() == spec.dtype && tensor.shape().is_compatible_with(&spec.shape)
}

/// Runs a kernel that moves elements on strings, by moving numbers in their place: 0 for the empty string, which
/// zeros stand for, and one for each string of the inputs.
pub(crate) fn on_strings(op: &dyn Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    if let Some(handle) = inputs.iter().find(|input| !input.dtype().has_elements()) {
        return Err(Error::unimplemented(format!("elements of {} do not move", handle.dtype())));
    }
    let mut texts = vec![Text::from([])];
    let number = |&input: &&Tensor| {
        if input.dtype() != DType::String {
            return Ok(input.clone());
        }
        let first = texts.len() as i64;
        texts.extend(input.to_strings()?);
        Tensor::new(input.dims()?, (first..texts.len() as i64).collect::<Vec<_>>())
    };
    let numbers = inputs.iter().map(number).collect::<Result<Vec<_>>>()?;
    let numbers: Vec<&Tensor> = numbers.iter().collect();
    let specs = op.infer(&numbers.iter().map(|&input| see(input)).collect::<Vec<_>>())?;
    let named =
        |moved: Tensor| Tensor::strings(moved.dims()?, moved.to_vec::<i64>()?.into_iter().map(|i| &texts[i as usize]));
    run(op, &numbers, specs)?.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;
    use crate::{ErrorKind, Variable, graph::trace, tape::Source};

    /// An op somebody else wrote: its kernel calls another, and its `make` keeps no promise.
    #[derive(Debug)]
    struct Foreign;

    impl Op for Foreign {
        fn name(&self) -> &'static str {
            "Foreign"
        }
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            Ok(vec![inputs[0].spec.clone()])
        }
        fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
            let x = Tensor::new(inputs[0].dims(), inputs[0].elements::<f32>()?.as_slice().unwrap_or_default())?;
            let y = x.square()?.to_vec::<f32>()?;
            outputs[0].elements::<f32>()?.copy_from_slice(&y);
            Ok(())
        }
        fn make(&self, _: &[&Tensor]) -> Result<Vec<Tensor>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_kernel_may_call_an_op_and_must_make_what_was_inferred() {
        let y = apply_one(Foreign, &[&Tensor::from([2.0_f32, 3.0])]).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [4.0, 9.0]);
        let error = apply(Foreign, &[&Tensor::strings([1], ["a"]).unwrap()]).unwrap_err();
        assert!(error.message().contains("the kernel made []"), "{error}");
    }

    #[test]
    fn a_write_of_a_symbol_needs_its_trace() {
        let v = Variable::new(1.0);
        let mut leaked = None;
        let keep = |x: &[Tensor]| {
            leaked = Some(x[0].clone());
            Ok(vec![])
        };
        trace(keep, &[Spec::new(DType::F32, [] as [usize; 0])]).unwrap();
        assert_eq!(v.assign(&leaked.unwrap()).unwrap_err().kind(), ErrorKind::FailedPrecondition);
    }

    #[test]
    fn handles_are_not_moved_like_elements() {
        let v = Variable::new(1.0);
        let handle = v.watched().clone();
        let stacked = Tensor::stack(&[handle.clone(), handle], 0);
        assert!(stacked.unwrap_err().message().contains("resource"));
    }
}
