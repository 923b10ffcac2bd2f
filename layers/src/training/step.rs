//! What a step of training, evaluation and prediction does.

use super::held::{Held, held_by};
use super::losses::CompiledLoss;
use super::metrics::{CompiledMetrics, Counted};
use super::outputs::{Output, by_names};
use crate::callback::{Direction, Logs};
use crate::metric::Mean;
use crate::optimizer::Optimizer;
use modulor::module::Track;
use modulor::{
    Call, DType, Error, GradientTape, Layer, Module, ModuleExt, Result, Structure, Tensor, Tree, Variable,
    collecting_losses, graph, scope,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is trained, and by what: what a step of training has at hand. A clone is another handle to the same.
pub struct Training<In: Structure = Tensor, Out: Structure = Tensor> {
    shared: Arc<Shared<In, Out>>,
    /// Whether what is not finite is an error.
    is_checked: bool,
}

struct Shared<In: Structure, Out: Structure> {
    model: Arc<dyn Layer<In, Out>>,
    optimizer: Arc<dyn Optimizer>,
    loss: CompiledLoss,
    metrics: CompiledMetrics,
    mean_loss: Mean,
    /// What the sums of the mean loss are to be, where steps have given their losses and nobody has looked since.
    pending: Mutex<Option<[f64; 2]>>,
    outputs: Mutex<Option<Arc<Vec<Output>>>>,
    /// Trainable variables that had no gradient when a step was traced.
    without_gradient: Mutex<BTreeSet<String>>,
}

impl<In: Structure, Out: Structure> Clone for Training<In, Out> {
    fn clone(&self) -> Self {
        Training { shared: self.shared.clone(), is_checked: self.is_checked }
    }
}

/// What a model gave for a batch.
pub struct Forward<Out> {
    /// What it predicts.
    pub y_pred: Out,
    /// The loss, with what layers added and with penalties: a scalar.
    pub loss: Tensor,
    /// The losses of the outputs, where there are several.
    each: Vec<(usize, Tensor)>,
}

impl<In: Structure, Out: Structure> Training<In, Out> {
    pub(super) fn new(
        model: Arc<dyn Layer<In, Out>>,
        optimizer: Arc<dyn Optimizer>,
        loss: CompiledLoss,
    ) -> Training<In, Out> {
        let shared = Shared {
            model,
            optimizer,
            loss,
            metrics: CompiledMetrics::default(),
            mean_loss: Mean::new().name("loss"),
            pending: Mutex::default(),
            outputs: Mutex::default(),
            without_gradient: Mutex::default(),
        };
        Training { shared: Arc::new(shared), is_checked: false }
    }

    pub(super) fn checked(&self, is_checked: bool) -> Training<In, Out> {
        Training { shared: self.shared.clone(), is_checked }
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Layer<In, Out>> {
        &self.shared.model
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.shared.optimizer
    }

    pub(super) fn optimizer_handle(&self) -> Arc<dyn Optimizer> {
        self.shared.optimizer.clone()
    }

    pub(super) fn loss(&self) -> &CompiledLoss {
        &self.shared.loss
    }

    pub(super) fn metrics(&self) -> &CompiledMetrics {
        &self.shared.metrics
    }

    /// Runs the model on a batch, in the training phase or out of it, and computes the loss.
    pub fn forward(&self, x: &In, y: &Tree, weight: &Tree, training: bool) -> Result<Forward<Out>> {
        let call = || scope::with_training(training, || self.shared.model.call(x));
        let (y_pred, added) = collecting_losses(call);
        let y_pred: Out = y_pred?;
        let (y, weight) = (self.in_order(y), self.in_order(weight));
        let (loss, each) = self.shared.loss.value(&y, &y_pred.to_tree().leaves(), &weight)?;
        let penalties = self.shared.model.regularization_losses()?;
        let mut sum = loss;
        for more in added.into_iter().chain(penalties) {
            let more = if more.rank() == Some(0) { more } else { more.sum(..)? };
            sum = Some(match sum {
                Some(sum) => sum.add(more.cast(sum.dtype())?)?,
                None => more,
            });
        }
        let loss = sum.ok_or_else(|| {
            Error::invalid_argument("there is no loss: `compile` was given none, and no layer adds one")
        })?;
        Ok(Forward { y_pred, loss, each })
    }

    /// A step of the optimizer on what `tape` recorded of a loss. Variables that it does not reach are told of, once.
    pub fn minimize(&self, tape: &GradientTape, loss: &Tensor) -> Result<()> {
        let variables = self.shared.model.trainable_variables();
        if variables.is_empty() {
            return Ok(());
        }
        let mut gradients = self.shared.optimizer.gradients(tape, loss, &variables)?;
        self.note_missing(&variables, &gradients);
        if self.is_checked {
            for (variable, gradient) in variables.iter().zip(&mut gradients) {
                if let Some(gradient) = gradient.as_mut() {
                    *gradient = gradient.check_numerics(&format!("the gradient of {}", label(variable)))?;
                }
            }
        }
        self.shared.optimizer.apply(&variables.into_iter().zip(gradients).collect::<Vec<_>>())
    }

    /// Counts a batch in the mean loss and in all metrics.
    pub fn count(&self, x: &In, y: &Tree, weight: &Tree, forward: &Forward<Out>) -> Result<()> {
        let samples = samples_of(x)?;
        self.shared.mean_loss.update_state(&forward.loss, Some(&samples))?;
        self.count_others(&samples, y, weight, forward)
    }

    /// Counts a batch in all but the mean loss.
    fn count_others(&self, samples: &Tensor, y: &Tree, weight: &Tree, forward: &Forward<Out>) -> Result<()> {
        self.shared.loss.count(&forward.each, samples)?;
        let (y, weight) = (self.in_order(y), self.in_order(weight));
        self.shared.metrics.update(&y, &forward.y_pred.to_tree().leaves(), &weight)
    }

    /// What is said by the names of the outputs, in their order.
    fn in_order(&self, tree: &Tree) -> Tree {
        let outputs = self.shared.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.as_ref().map_or_else(|| tree.clone(), |outputs| by_names(tree, outputs))
    }

    /// The metrics that layers hold.
    fn held(&self) -> Vec<Held> {
        held_by(self.shared.model.as_module())
    }

    /// What `fit` does with a batch unless it is told otherwise: forward, back, a step of the optimizer, and counting. Gives the
    /// loss.
    pub fn train_step(&self, x: &In, y: &Tree, weight: &Tree) -> Result<Tensor> {
        let forward = self.optimize(x, y, weight)?;
        self.count(x, y, weight, &forward)?;
        Ok(forward.loss)
    }

    /// As [`train_step`](Training::train_step), but for the mean loss, for which there are the loss and the number of samples:
    /// to be counted by [`count_loss`](Training::count_loss), which is no work for a graph.
    pub(super) fn train_step_apart(&self, x: &In, y: &Tree, weight: &Tree) -> Result<(Tensor, Tensor)> {
        let forward = self.optimize(x, y, weight)?;
        let samples = samples_of(x)?;
        self.count_others(&samples, y, weight, &forward)?;
        Ok((forward.loss, samples))
    }

    /// Forward, back, and a step of the optimizer.
    fn optimize(&self, x: &In, y: &Tree, weight: &Tree) -> Result<Forward<Out>> {
        let tape = GradientTape::new();
        let mut forward = tape.record(|| self.forward(x, y, weight, true))?;
        if self.is_checked {
            forward.loss = tape.record(|| forward.loss.check_numerics("the loss"))?;
        }
        self.minimize(&tape, &forward.loss)?;
        Ok(forward)
    }

    /// Counts the loss of so many samples, by the arithmetic of [`Mean::update_state`]; its variables have it when they are
    /// [settled](Training::settle).
    pub(super) fn count_loss(&self, loss: &Tensor, samples: &Tensor) -> Result<()> {
        let loss = match loss.dtype() {
            DType::F32 => f64::from(loss.item::<f32>()?),
            DType::F64 => loss.item()?,
            _ => loss.cast(DType::F64)?.item()?,
        };
        let samples: f64 = samples.item()?;
        let mut pending = self.pending();
        let [total, count] = match *pending {
            Some(sums) => sums,
            None => self.shared.mean_loss.sums()?,
        };
        *pending = Some([total + loss * samples, count + samples]);
        Ok(())
    }

    /// Gives the variables of the mean loss what steps have counted.
    pub(super) fn settle(&self) -> Result<()> {
        let mut pending = self.pending();
        if let Some(sums) = *pending {
            self.shared.mean_loss.set_sums(sums)?;
            *pending = None;
        }
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Option<[f64; 2]>> {
        self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `evaluate` does with a batch: forward, and counting. Gives the loss.
    pub fn test_step(&self, x: &In, y: &Tree, weight: &Tree) -> Result<Tensor> {
        let forward = self.forward(x, y, weight, false)?;
        self.count(x, y, weight, &forward)?;
        Ok(forward.loss)
    }

    /// What `predict` does with a batch.
    pub fn predict_step(&self, x: &In) -> Result<Out> {
        scope::with_training(false, || self.shared.model.call(x))
    }

    /// Remembers which variables are not trained by a loss, and tells of them once.
    fn note_missing(&self, variables: &[Variable], gradients: &[Option<Tensor>]) {
        let missing = variables.iter().zip(gradients).filter(|(_, gradient)| gradient.is_none());
        let missing: BTreeSet<String> = missing.map(|(variable, _)| label(variable)).collect();
        let mut known = self.shared.without_gradient.lock().unwrap_or_else(PoisonError::into_inner);
        if !missing.is_empty() && *known != missing {
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            eprintln!(
                "warning: the loss does not depend on {}, which will not be trained; freeze what is not meant to be",
                names.join(", ")
            );
        }
        *known = missing;
    }

    /// The trainable variables that the loss did not reach in the last step that was traced.
    pub(super) fn without_gradient(&self) -> Vec<String> {
        self.shared.without_gradient.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Gives the variables their shapes by batches like this one, without computing, and resolves what names stand for.
    pub(super) fn build(&self, x: &In, y: &Tree) -> Result<()> {
        let mut known = self.shared.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = match &*known {
            Some(outputs) => outputs.clone(),
            None => {
                let outputs = Arc::new(self.traced_outputs(x)?);
                *known = Some(outputs.clone());
                outputs
            }
        };
        drop(known);
        self.shared.mean_loss.prepare()?;
        if !matches!(y, Tree::None) {
            let y = by_names(y, &outputs);
            self.shared.loss.build(&y, &outputs)?;
            self.shared.metrics.build(&y, &outputs)?;
        }
        Ok(())
    }

    fn traced_outputs(&self, x: &In) -> Result<Vec<Output>> {
        let leaves = x.to_tree().leaves();
        let specs: Vec<_> = leaves.iter().map(|leaf| leaf.spec().clone()).collect();
        let mut outputs = Vec::new();
        let body = |symbols: &[Tensor]| {
            let mut symbols = symbols.iter();
            let x = x.replace(&mut |leaf| {
                let symbol = symbols.next().ok_or_else(|| Error::internal("there are as many symbols as inputs"))?;
                Ok(symbol.with_mask(leaf.mask().cloned()))
            })?;
            let y_pred: Out = scope::with_training(true, || self.shared.model.call(&x))?;
            outputs = Output::of_model(self.shared.model.as_module(), &y_pred.to_tree());
            Ok(Vec::new())
        };
        graph::trace(body, &specs)?;
        Ok(outputs)
    }

    /// The numbers of the moment.
    pub(super) fn logs(&self) -> Result<Logs> {
        self.settle()?;
        let mut logs = Logs::default();
        logs.set("loss", super::metrics::number(&self.shared.mean_loss.result()?)?);
        for (name, mean) in self.shared.loss.means() {
            logs.set(&name, super::metrics::number(&mean.result()?)?);
        }
        self.shared.metrics.logs(&mut logs)?;
        for held in self.held() {
            logs.set(held.name(), super::metrics::number(&held.result()?)?);
        }
        Ok(logs)
    }

    pub(super) fn reset_metrics(&self) -> Result<()> {
        *self.pending() = None;
        self.shared.mean_loss.reset_state()?;
        self.shared.loss.means().iter().try_for_each(|(_, mean)| mean.reset_state())?;
        self.held().iter().try_for_each(Held::reset_state)?;
        self.shared.metrics.all().iter().try_for_each(|Counted { metric, .. }| metric.reset_state())
    }

    /// All that counts, by name.
    pub(super) fn counters(&self) -> Vec<(String, Arc<dyn Module>)> {
        let mean_loss: Arc<dyn Module> = Arc::new(self.shared.mean_loss.share());
        let mut counters = vec![("mean_loss".to_owned(), mean_loss)];
        for (at, (_, mean)) in self.shared.loss.means().into_iter().enumerate() {
            counters.push((format!("mean_loss_{at}"), Arc::new(mean)));
        }
        for (at, Counted { metric, .. }) in self.shared.metrics.all().iter().enumerate() {
            counters.push((format!("metric_{at}"), metric.clone()));
        }
        for (at, held) in self.held().into_iter().enumerate() {
            counters.push((format!("held_{at}"), held.into_module()));
        }
        counters
    }

    /// Of which numbers more is better, and of which less.
    pub(super) fn directions(&self) -> Vec<(String, Direction)> {
        let means = self.shared.loss.means().into_iter().map(|(name, _)| (name, Direction::Down));
        let all = self.shared.metrics.all();
        let known = all.iter().filter_map(|Counted { name, metric, .. }| {
            Some((name.clone(), super::metrics::direction(metric.class_name())?))
        });
        means.chain(known).collect()
    }

    /// Every variable that a step may change.
    pub(super) fn variables(&self) -> Vec<Variable> {
        let mut variables: Vec<Variable> = Vec::new();
        let mut keep = |_: &str, variable: &Variable| {
            if variable.is_valued() && variables.iter().all(|other| other.id() != variable.id()) {
                variables.push(variable.clone());
            }
        };
        let mut all: Vec<Arc<dyn Module>> =
            vec![Arc::new(self.shared.model.clone()), self.shared.optimizer.clone() as Arc<dyn Module>];
        all.extend(self.counters().into_iter().map(|(_, module)| module));
        for module in all {
            modulor::module::walk(module.as_module()).each_variable(&mut keep);
        }
        variables
    }
}

/// How a variable is called in messages.
pub(super) fn label(variable: &Variable) -> String {
    variable.path().unwrap_or_else(|| variable.name())
}

/// How many samples a batch has: a float64 scalar.
fn samples_of<In: Structure>(x: &In) -> Result<Tensor> {
    let mut first = None;
    x.visit(&mut |part| {
        if let (modulor::structure::Part::Tensor(leaf), None) = (part, &first) {
            first = Some(leaf.clone());
        }
    });
    let first = first.ok_or_else(|| Error::invalid_argument("the model is given no tensor"))?;
    match first.shape().dims().as_deref() {
        Some([]) => Ok(Tensor::scalar(1.0)),
        Some([Some(samples), ..]) => Ok(Tensor::scalar(*samples as f64)),
        _ => first.shape_tensor()?.slice(0)?.cast(DType::F64),
    }
}
