//! The gradient of a graph, as a graph.

use super::{Graph, trace};
use crate::{GradientTape, Result, Spec, Tensor, UnconnectedGradients};

/// The graph that computes the gradients of `graph`: it takes the inputs of `graph` and then, for each output that has
/// gradients, the gradient there, and gives for each input that has gradients its own; zeros where no output depends on it.
///
/// ```
/// use modulor_core::{DType, Shape, Spec, Tensor, graph::{gradient, trace}};
/// # fn main() -> modulor_core::Result<()> {
/// let square = trace(|x| Ok(vec![x[0].square()?]), &[Spec::new(DType::F32, Shape::scalar())])?;
/// let slope = gradient(&square)?;
/// let at_three = slope.run(&[&Tensor::scalar(3.0_f32), &Tensor::scalar(1.0_f32)])?;
/// assert_eq!(at_three[0].item::<f32>()?, 6.0);
/// # Ok(())
/// # }
/// ```
pub fn gradient(graph: &Graph) -> Result<Graph> {
    let smooth = |spec: &&Spec| spec.dtype.is_differentiable();
    let specs: Vec<Spec> = graph.inputs().chain(graph.outputs().filter(smooth)).cloned().collect();
    let body = |symbols: &[Tensor]| {
        let (inputs, weights) = symbols.split_at(graph.inputs().count());
        let sources: Vec<&Tensor> = inputs.iter().filter(|input| smooth(&input.spec())).collect();
        let tape = GradientTape::new().ignoring_variables();
        sources.iter().for_each(|source| tape.watch(source));
        let outputs = tape.record(|| graph.run(&inputs.iter().collect::<Vec<_>>()))?;
        let targets =
            outputs.into_iter().filter(|output| smooth(&output.spec())).zip(weights.iter().cloned().map(Some));
        let targets: Vec<_> = targets.collect();
        let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero)?;
        Ok(gradients.into_iter().flatten().collect())
    };
    trace(body, &specs)
}
