//! What is called within a layer of one's own.

use super::functional::Functional;
use super::graph::Place;
use super::input::symbol;
use crate::library::{InputLayer, Sequential};
use modulor::layer::functional::{Made, Recording};
use modulor::{Call, Error, Feed, Layer, Module, Result, Spec, Structure, Tensor, Tree};
use std::any::Any;

/// A symbol that stands for any tensor of this dtype and, as far as it is known, shape.
fn stand_in(spec: &Spec) -> Tensor {
    let dims = spec.shape.dims().unwrap_or_default();
    symbol(InputLayer::new(dims).dtype(spec.dtype.name().to_owned()), spec.dtype, None)
}

/// The calls within the call of a layer that gave this symbol, as a model from what that was given to what it gave.
///
/// Fails where the calls are not to be seen: code that looks at the values of tensors, and variables of its own without values.
pub(super) fn calls_within(output: &Tensor) -> Result<Functional> {
    let nothing = || Error::internal("a symbol that is looked into comes out of a layer");
    let recording = Recording::of(output).ok_or_else(nothing)?.0;
    let Made::Call(call) = recording.made() else { return Err(nothing()) };
    let mut inputs = Vec::new();
    let given = recording.inputs().iter().map(|input| match input.is_functional() {
        true => {
            inputs.push(stand_in(input.spec()));
            inputs[inputs.len() - 1].clone()
        }
        false => input.clone(),
    });
    let given: Vec<Tensor> = given.collect();
    let outputs = call.inline(&mut given.into_iter())?;
    let list = |tensors: Vec<Tensor>| Tree::List(tensors.into_iter().map(Tree::Leaf).collect());
    Functional::new(list(inputs), list(outputs))
}

/// As [`calls_within`], of the last call of a place, if it is a layer whose calls are not its own affair.
pub(super) fn within_place(place: &Place, call: usize) -> Option<Functional> {
    let is_looked_into = place.module().is_some_and(is_own);
    let results = place.outputs().get(call).filter(|_| is_looked_into)?;
    calls_within(results.leaves().first()?).ok()
}

/// As [`calls_within`], of a layer that is given such a tensor.
pub(super) fn within_layer(layer: &dyn Layer, takes: &Spec) -> Option<Functional> {
    let y = Some(layer).filter(|layer| is_own(layer.as_module()))?.call(stand_in(takes)).ok()?;
    calls_within(&y).ok()
}

/// The calls within a layer that is called on `x`: symbols of models, or tensors that they would be like; none where they are to
/// be seen without.
pub(super) fn within<In: Structure, Out: Structure>(
    layer: &(impl Layer<In, Out> + ?Sized),
    x: impl Feed<In>,
) -> Result<Option<Functional>> {
    let x =
        x.feed().replace(&mut |leaf| Ok(if leaf.is_functional() { leaf.clone() } else { stand_in(leaf.spec()) }))?;
    let y: Out = layer.call(&x)?;
    if !is_own(layer.as_module()) {
        return Ok(None);
    }
    let leaves = y.to_tree().leaves();
    calls_within(leaves.first().ok_or_else(|| Error::invalid_argument("the layer gives no tensor"))?).map(Some)
}

/// Whether a module is neither a model nor of the library, so that what it holds is the program's.
pub(super) fn is_own(module: &dyn Module) -> bool {
    let any = module.as_module() as &dyn Any;
    !any.is::<Functional>() && !any.is::<Sequential>() && module.package() != "keras.layers"
}
