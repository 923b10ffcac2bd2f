//! A graph for arguments of one kind, and its plans.

use super::is_watched;
use super::lower::lower;
use super::plan::Plan;
use super::signature::{Signature, leaves, with_leaves};
use crate::graph::pass::{append, by_samples, fuse, share};
use crate::graph::{Graph, Kind, trace};
use crate::tensor::next_id;
use crate::{Error, Result, Spec, Structure, Tensor, Variable};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The most plans that are kept of one graph: one for each choice of the dims that the graph leaves open.
const PLANS: usize = 16;

/// A function for arguments of one kind: TensorFlow's concrete function.
pub struct Concrete<Out: Structure = Tensor> {
    graph: Graph,
    /// The structure of the result, around nothing.
    output: Out,
    plans: RwLock<Vec<Arc<ForShapes>>>,
    compiling: Mutex<()>,
}

/// A plan, and the specs of the inputs that it is for.
struct ForShapes {
    specs: Vec<Spec>,
    plan: Plan,
}

impl<Out: Structure> Concrete<Out> {
    /// Traces `body` on arguments like `x`.
    pub(super) fn trace<In: Structure>(
        x: &In,
        signature: &Signature,
        is_first: bool,
        body: impl FnOnce(&In) -> Result<Out>,
    ) -> Result<Concrete<Out>> {
        let begin = next_id();
        let mut output = None;
        let run = |symbols: &[Tensor]| {
            let out = body(&with_leaves(x, &mut symbols.iter().cloned())?)?;
            let (tensors, _) = leaves(&out);
            output = Some(out);
            Ok(tensors.into_vec())
        };
        // A trace around this one, and tapes that listen there, hear of the operations when the graph is run for them.
        let graph = crate::op::scope::changed(
            |scopes| {
                scopes.tapes.clear();
                scopes.snapshot = None;
            },
            || trace(run, &signature.specs),
        )?;
        let output = output.ok_or_else(|| Error::internal("a trace ran its body"))?;
        // The symbols would keep the trace alive.
        let nothing = Tensor::zeros([0], crate::DType::Bool)?;
        let hollow = |leaf: &Tensor| Ok(nothing.with_mask(leaf.mask().map(|_| nothing.clone())));
        let output = output.replace(&mut { hollow })?;
        if !is_first {
            refuse_new(&graph, begin)?;
        }
        Ok(Concrete { graph, output, plans: RwLock::default(), compiling: Mutex::default() })
    }

    /// What was traced.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The result for the tensors of the arguments, in the order of [`Tree::leaves`](crate::Tree::leaves), each mask behind its
    /// tensor.
    ///
    /// # Errors
    ///
    /// When their number, or a dtype or shape, is not what was traced; those of the operations.
    pub fn call(&self, inputs: &[Tensor]) -> Result<Out> {
        inputs.iter().try_for_each(Tensor::check)?;
        let inputs: super::signature::Leaves = inputs.iter().map(|input| input.with_mask(None)).collect();
        let specs: Vec<&Spec> = self.graph.inputs().collect();
        if inputs.len() != specs.len() {
            let message = format!("the graph takes {} inputs, and {} were given", specs.len(), inputs.len());
            return Err(Error::invalid_argument(message));
        }
        for (i, (spec, input)) in specs.iter().zip(&inputs).enumerate() {
            if input.dtype() != spec.dtype || !input.shape().is_compatible_with(&spec.shape) {
                let message = format!("input {i} of the graph is {spec}, and {} was given", input.spec());
                return Err(Error::invalid_argument(message));
            }
        }
        self.run(&inputs)
    }

    pub(super) fn run(&self, inputs: &[Tensor]) -> Result<Out> {
        if is_watched(inputs) {
            let outputs = self.graph.run(&inputs.iter().collect::<Vec<_>>())?;
            return with_leaves(&self.output, &mut outputs.into_iter());
        }
        loop {
            let plan = self.plan(inputs)?;
            match plan.plan.run(inputs)? {
                Some(outputs) => return with_leaves(&self.output, &mut outputs.into_iter()),
                None => self.forget(&plan)?,
            }
        }
    }

    pub(super) fn run_into(&self, inputs: &[Tensor], out: &mut Tensor) -> Result<()> {
        if !is_watched(inputs) {
            loop {
                let plan = self.plan(inputs)?;
                match plan.plan.run_into(inputs, out)? {
                    true => return Ok(()),
                    false => self.forget(&plan)?,
                }
            }
        }
        let outputs = self.graph.run(&inputs.iter().collect::<Vec<_>>())?;
        match <[Tensor; 1]>::try_from(outputs) {
            Ok([output]) => *out = output,
            Err(outputs) => return Err(several(outputs.len())),
        }
        Ok(())
    }

    /// The plan for inputs of these dims.
    fn plan(&self, inputs: &[Tensor]) -> Result<Arc<ForShapes>> {
        let find = || {
            let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
            let is_for = |plan: &&Arc<ForShapes>| plan.specs.iter().zip(inputs).all(|(spec, x)| spec == x.spec());
            plans.iter().find(is_for).cloned()
        };
        if let Some(plan) = find() {
            return Ok(plan);
        }
        let _compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = find() {
            return Ok(plan);
        }
        let specs: Vec<Spec> = inputs.iter().map(|input| input.spec().clone()).collect();
        let mut lowered = lower(&self.graph, &specs)?;
        lowered.graph = by_samples(fuse(append(share(lowered.graph))));
        let plan = Plan::new(lowered)?;
        let plan = Arc::new(ForShapes { specs, plan });
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() == PLANS {
            plans.remove(0);
        }
        plans.push(plan.clone());
        Ok(plan)
    }

    /// Drops a plan for what variables held once, and draws the values of those that have none.
    fn forget(&self, plan: &Arc<ForShapes>) -> Result<()> {
        plan.plan.variables().iter().try_for_each(|variable| variable.value().map(|_| ()))?;
        if !plan.plan.is_for_present_values()? {
            self.plans.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, plan));
        }
        Ok(())
    }
}

/// The error of writing several results into one tensor.
pub(super) fn several(count: usize) -> Error {
    Error::invalid_argument(format!("`call_into` is for a function of one result, and this has {count}"))
}

/// Refuses variables that came into being in a trace that is not the first one: another graph would have others.
fn refuse_new(graph: &Graph, begin: u64) -> Result<()> {
    for node in &graph.nodes {
        let Kind::Captured(value) = &node.kind else { continue };
        let Ok(resource) = value.as_resource() else { continue };
        if Variable::of_handle(value).is_ok_and(|variable| variable.id() > begin) {
            return Err(Error::failed_precondition(format!(
                "variable `{}` was made while the function was traced once more: each graph would have one of its own",
                resource.name()
            ))
            .note("make variables outside of a function, or once, in its first call"));
        }
    }
    Ok(())
}

impl<Out: Structure> fmt::Debug for Concrete<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concrete").field("graph", &self.graph).finish()
    }
}
