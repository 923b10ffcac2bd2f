//! A graph for arguments of one kind, and its plans.

use super::cost::Cost;
use super::is_watched;
use super::lower::lower;
use super::plan::{Packs, Plan};
use super::signature::{Signature, leaves, with_leaves};
use crate::graph::pass::optimized;
use crate::graph::{Graph, Kind, trace};
use crate::op::scope::{self, Losses};
use crate::tensor::next_id;
use crate::{Error, Result, Spec, Structure, Tensor, Variable};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The most plans that are kept of one graph: one for each choice of the dims that the graph leaves open.
const PLANS: usize = 16;

/// A function for arguments of one kind: TensorFlow's concrete function.
pub struct Concrete<Out: Structure = Tensor> {
    graph: Graph,
    /// The structure of the result, around nothing.
    output: Out,
    /// How many losses layers added: they come behind the result.
    losses: usize,
    plans: RwLock<Vec<Arc<ForShapes>>>,
    compiling: Mutex<()>,
    packs: Packs,
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
        let added: Losses = Arc::default();
        let run = |symbols: &[Tensor]| {
            let out = body(&with_leaves(x, &mut symbols.iter().cloned())?)?;
            let (mut tensors, _) = leaves(&out);
            output = Some(out);
            tensors.extend(std::mem::take(&mut *added.lock().unwrap_or_else(PoisonError::into_inner)));
            Ok(tensors.into_vec())
        };
        // A trace around this one, and tapes that listen there, hear of the operations when the graph is run for them.
        let graph = scope::changed(
            |scopes| {
                scopes.tapes.clear();
                scopes.snapshot = None;
                scopes.losses = Some(added.clone());
            },
            || trace(run, &signature.specs),
        )?;
        let output = output.ok_or_else(|| Error::internal("a trace ran its body"))?;
        let losses = graph.outputs().count() - leaves(&output).0.len();
        // The symbols would keep the trace alive.
        let nothing = Tensor::zeros([0], crate::DType::Bool)?;
        let hollow = |leaf: &Tensor| Ok(nothing.with_mask(leaf.mask().map(|_| nothing.clone())));
        let output = output.replace(&mut { hollow })?;
        if !is_first {
            refuse_new(&graph, begin)?;
        }
        Ok(Concrete {
            graph,
            output,
            losses,
            plans: RwLock::default(),
            compiling: Mutex::default(),
            packs: Packs::default(),
        })
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

    /// What a call with these tensors costs, as [`call`](Concrete::call) takes them; nothing is computed.
    pub fn cost(&self, inputs: &[Tensor]) -> Result<Cost> {
        Ok(self.plan(inputs)?.plan.cost())
    }

    pub(super) fn run(&self, inputs: &[Tensor]) -> Result<Out> {
        if is_watched(inputs) {
            let outputs = self.graph.run(&inputs.iter().collect::<Vec<_>>())?;
            return self.result(outputs);
        }
        loop {
            let plan = self.plan(inputs)?;
            match plan.plan.run(inputs)? {
                Some(outputs) => return self.result(outputs),
                None => self.forget(&plan)?,
            }
        }
    }

    /// The result out of the outputs of the graph; the losses go to who collects them.
    fn result(&self, outputs: impl IntoIterator<Item = Tensor>) -> Result<Out> {
        let mut outputs = outputs.into_iter();
        let result = with_leaves(&self.output, &mut outputs)?;
        if self.losses > 0 {
            scope::add_losses(outputs);
        }
        Ok(result)
    }

    pub(super) fn run_into(&self, inputs: &[Tensor], out: &mut Tensor) -> Result<()> {
        if self.losses > 0 {
            return only(self.run(inputs)?, out);
        }
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

    /// How often the plans hold each variable, by its number.
    pub(super) fn held(&self, counts: &mut HashMap<u64, usize>) {
        for plan in self.plans.read().unwrap_or_else(PoisonError::into_inner).iter() {
            plan.plan.handles().for_each(|variable| *counts.entry(variable.id()).or_default() += 1);
        }
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
        lowered.graph = optimized(lowered.graph);
        let plan = Plan::new(lowered, &self.packs)?;
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

/// Puts a result of one tensor where it is wanted.
pub(super) fn only<Out: Structure>(result: Out, out: &mut Tensor) -> Result<()> {
    match <[Tensor; 1]>::try_from(result.to_tree().leaves()) {
        Ok([output]) => *out = output,
        Err(outputs) => return Err(several(outputs.len())),
    }
    Ok(())
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
