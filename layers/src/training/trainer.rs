use super::batches::Batch;
use super::evaluate::{Evaluate, Predict};
use super::fit::{Data, Fit};
use super::losses::{CompiledLoss, Losses};
use super::metrics::Metrics;
use super::step::Training;
use super::{Batches, numerics};
use crate::callback::{Context, Logs};
use crate::optimizer::{self, LossScaleOptimizer, Optimizer};
use modulor::{Error, Feed, Function, Layer, Module, ModuleExt, Result, Structure, Tensor, Tree};
use std::sync::Arc;

/// An optimizer for [`compile`](Compile::compile): one, or Keras's name of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an optimizer",
    label = "not an optimizer",
    note = "give one, as `Adam::new()`, or its name, as `\"adam\"`"
)]
pub trait CompileOptimizer {
    /// The optimizer itself.
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>>;
}

impl<O: Optimizer> CompileOptimizer for O {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        Ok(Arc::new(self))
    }
}

impl CompileOptimizer for &str {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        optimizer::by_name(self).map(Arc::from)
    }
}

/// The way from a model to its training.
pub trait Compile: Module {
    /// What trains this model by an optimizer and a loss: Keras's `compile`.
    ///
    /// The model is borrowed, and the trainer keeps a handle to it: its variables are those of the model. An optimizer that is
    /// to be looked at later is given as another handle, by `share()`. A model whose variables are frozen or thawed may be
    /// trained on with the same trainer, which sees it when it is called next.
    ///
    /// In the policy `mixed_float16` the optimizer scales the loss, as with Keras's `auto_scale_loss`.
    ///
    /// # Errors
    ///
    /// For a name that no optimizer or loss has; it says which one is near. For settings of the optimizer that make no sense,
    /// and, unlike in Keras, for a learning rate of 0: later it may become that, as where a schedule begins or ends with it.
    fn compile<In: Structure, Out: Structure>(
        &self,
        optimizer: impl CompileOptimizer,
        loss: impl Into<Losses>,
    ) -> Result<Trainer<In, Out>>
    where
        Self: Layer<In, Out> + Sized,
    {
        let optimizer = optimizer.into_optimizer()?;
        let policy = self.dtype_policy().unwrap_or_else(modulor::dtype_policy);
        let optimizer = match policy.name() == "mixed_float16" && optimizer.class_name() != "LossScaleOptimizer" {
            true => Arc::new(LossScaleOptimizer::scaling(optimizer)),
            false => optimizer,
        };
        optimizer.prepare(&[])?;
        for rate in optimizer.learning_rates() {
            rate.check_first().map_err(|error| error.within(optimizer.parts().name))?;
        }
        Ok(Trainer::of(Training::new(self.share_arc(), optimizer, CompiledLoss::new(loss.into())?)))
    }
}

impl<M: Module + ?Sized> Compile for M {}

/// What has been compiled. Nothing but a [`Trainer`], which has `fit` by itself; the bound is there for its words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not compiled",
    label = "call `compile(optimizer, loss)` first",
    note = "`let mut trainer = model.compile(Adam::new(), \"mse\")?;` and then `trainer.fit(&x, &y).run()?`"
)]
pub trait Compiled {}

/// `fit`, `evaluate` and `predict` of a model that is not compiled: they do not compile either.
pub trait NotCompiled: Module {
    /// Not before `compile`.
    fn fit<X, Y>(&self, _x: X, _y: Y)
    where
        Self: Compiled,
    {
    }

    /// Not before `compile`.
    fn evaluate<X, Y>(&self, _x: X, _y: Y)
    where
        Self: Compiled,
    {
    }
}

impl<M: Module> NotCompiled for M {}

type TrainStep<In, Out> = dyn Fn(&Training<In, Out>, &In, &Tree, &Tree) -> Result<Tensor> + Send + Sync;

/// A model that is compiled: Keras's `Model`, as far as it trains.
#[must_use = "a trainer does nothing until it is told to `fit`"]
pub struct Trainer<In: Structure = Tensor, Out: Structure = Tensor> {
    pub(super) training: Training<In, Out>,
    /// A step of one's own.
    train_step: Option<Arc<TrainStep<In, Out>>>,
    pub(super) steps_per_execution: usize,
    run_eagerly: bool,
    pub(super) check_numerics: bool,
    functions: Option<Functions<In, Out>>,
    /// How many steps of training there have been.
    pub(super) steps: u64,
}

/// What a step is given: input, targets and weights.
type Given<In> = (In, Tree, Tree);

/// The steps, as functions that are compiled; they are for these trainable variables.
struct Functions<In: Structure, Out: Structure> {
    trainable: Vec<u64>,
    /// Gives the loss, and the number of samples where the mean loss has not been counted.
    train: Function<Given<In>, (Tensor, Option<Tensor>), bool>,
    test: Function<Given<In>>,
    predict: Function<In, Out>,
}

impl<In: Structure, Out: Structure> Trainer<In, Out> {
    fn of(training: Training<In, Out>) -> Trainer<In, Out> {
        Trainer {
            training,
            train_step: None,
            steps_per_execution: 1,
            run_eagerly: false,
            check_numerics: false,
            functions: None,
            steps: 0,
        }
    }

    /// With metrics, which count without the weights of samples. An error for a name that no metric has.
    ///
    /// A [`Mean`](crate::metric::Mean) or [`Sum`](crate::metric::Sum) that is a field of a layer, which counts in it in `forward`,
    /// is told in the logs without being said here.
    pub fn metrics(self, metrics: impl Into<Metrics>) -> Result<Self> {
        self.training.metrics().set(Some(metrics.into()), None)?;
        Ok(self)
    }

    /// With metrics that count with the weights of samples and classes.
    pub fn weighted_metrics(self, metrics: impl Into<Metrics>) -> Result<Self> {
        self.training.metrics().set(None, Some(metrics.into()))?;
        Ok(self)
    }

    /// With a factor for each loss, in the order of the outputs.
    pub fn loss_weights(self, weights: impl Into<Vec<f64>>) -> Result<Self> {
        self.training.loss().set_weights(weights.into())?;
        Ok(self)
    }

    /// With callbacks after every so many batches only, 1 unless set.
    pub fn steps_per_execution(self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::invalid_argument("`steps_per_execution` must be 1 or more, found 0"));
        }
        Ok(Trainer { steps_per_execution: steps, ..self })
    }

    /// Whether steps are run operation by operation, and not compiled: to look at what they do.
    pub fn run_eagerly(self, eagerly: bool) -> Self {
        Trainer { run_eagerly: eagerly, ..self }
    }

    /// Whether a loss or gradient that is NaN or infinite ends the training with an error: it names the step and the first
    /// operation that made it, and the model is as the step before left it.
    pub fn check_numerics(self, check: bool) -> Self {
        Trainer { check_numerics: check, ..self }
    }

    /// With another step, in the place of [`Training::train_step`]: it is given input, targets and weights, and gives the loss.
    ///
    /// ```
    /// use modulor::{GradientTape, Tensor};
    /// use modulor_layers::{library::Dense, optimizer::SGD, training::Compile};
    /// # fn main() -> modulor::Result<()> {
    /// let trainer = Dense::new(1).compile(SGD::new(), "mse")?;
    /// let mut trainer = trainer.train_step(|training, x: &Tensor, y, weight| {
    ///     let tape = GradientTape::new();
    ///     let forward = tape.record(|| training.forward(x, y, weight, true))?;
    ///     training.minimize(&tape, &forward.loss)?;
    ///     training.count(x, y, weight, &forward)?;
    ///     Ok(forward.loss)
    /// });
    /// let x = Tensor::from([[1.0_f32], [2.0]]);
    /// trainer.fit(&x, &x).epochs(2).verbose(0).run()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn train_step(
        self,
        step: impl Fn(&Training<In, Out>, &In, &Tree, &Tree) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Trainer { train_step: Some(Arc::new(step)), functions: None, ..self }
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Layer<In, Out>> {
        self.training.model()
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &dyn Optimizer {
        self.training.optimizer()
    }

    /// The trainable variables that the loss did not reach in the last step that was traced, by their paths: what is told as
    /// a warning, too.
    pub fn without_gradient(&self) -> Vec<String> {
        self.training.without_gradient()
    }

    /// Trains the model on tensors, whose first axis counts the samples: Keras's `fit`.
    ///
    /// What is given besides is said to the [`Fit`], whose [`run`](Fit::run) does it. `x` is a structure that the model takes,
    /// `y` one like what it gives.
    pub fn fit<'f, Y: Structure>(&'f mut self, x: impl Feed<In>, y: &Y) -> Fit<'f, In, Out> {
        Fit::new(self, Data::Tensors { x: x.feed(), y: y.to_tree(), weight: Tree::None })
    }

    /// Trains the model on batches, one after the other.
    pub fn fit_batches<'f>(&'f mut self, batches: impl Batches<In> + 'f) -> Fit<'f, In, Out> {
        Fit::new(self, Data::Batches(Box::new(batches)))
    }

    /// The loss and the metrics of the model on tensors: Keras's `evaluate`.
    pub fn evaluate<'f, Y: Structure>(&'f mut self, x: impl Feed<In>, y: &Y) -> Evaluate<'f, In, Out> {
        Evaluate::new(self, Data::Tensors { x: x.feed(), y: y.to_tree(), weight: Tree::None })
    }

    /// The loss and the metrics of the model on batches.
    pub fn evaluate_batches<'f>(&'f mut self, batches: impl Batches<In> + 'f) -> Evaluate<'f, In, Out> {
        Evaluate::new(self, Data::Batches(Box::new(batches)))
    }

    /// What the model gives for tensors, batch by batch: Keras's `predict`.
    pub fn predict<'f>(&'f mut self, x: impl Feed<In>) -> Predict<'f, In, Out> {
        Predict::new(self, Data::Tensors { x: x.feed(), y: Tree::None, weight: Tree::None })
    }

    /// What the model gives for batches.
    pub fn predict_batches<'f>(&'f mut self, batches: impl Batches<In> + 'f) -> Predict<'f, In, Out> {
        Predict::new(self, Data::Batches(Box::new(batches)))
    }

    /// One step of training on these samples, each of which may have a weight; gives the numbers since the metrics were reset.
    pub fn train_on_batch<Y: Structure>(
        &mut self,
        x: impl Feed<In>,
        y: &Y,
        sample_weight: Option<&Tensor>,
    ) -> Result<Logs> {
        self.on_batch(x.feed(), y, sample_weight, |trainer, batch| trainer.step(batch, trainer.check_numerics))
    }

    /// The loss and the metrics on these samples beside those since the metrics were reset.
    pub fn test_on_batch<Y: Structure>(
        &mut self,
        x: impl Feed<In>,
        y: &Y,
        sample_weight: Option<&Tensor>,
    ) -> Result<Logs> {
        self.on_batch(x.feed(), y, sample_weight, |trainer, batch| trainer.test(batch))
    }

    /// Does something with these samples; gives the numbers.
    fn on_batch<Y: Structure>(
        &mut self,
        x: In,
        y: &Y,
        sample_weight: Option<&Tensor>,
        run: impl FnOnce(&mut Self, Batch<In>) -> Result<()>,
    ) -> Result<Logs> {
        let weight = sample_weight.map_or(Tree::None, |weight| Tree::Leaf(weight.clone()));
        let y = y.to_tree();
        super::batches::samples(&x, &y, &weight)?;
        let batch = Batch { x, y, weight };
        self.ready(&batch)?;
        run(self, batch)?;
        self.training.logs()
    }

    /// What the model gives for these samples, as one batch.
    pub fn predict_on_batch(&mut self, x: impl Feed<In>) -> Result<Out> {
        let batch = Batch { x: x.feed(), y: Tree::None, weight: Tree::None };
        self.ready(&batch)?;
        self.give(batch.x)
    }

    /// Begins all metrics anew.
    pub fn reset_metrics(&mut self) -> Result<()> {
        self.training.reset_metrics()
    }

    /// What callbacks are given.
    pub(super) fn context(&self) -> Context {
        let mut context = Context::of(Arc::new(self.training.model().clone()), self.training.optimizer_handle());
        context.further = self.training.counters();
        let training = self.training.clone();
        context.settle = Some(Box::new(move || training.settle()));
        for (name, direction) in self.training.directions() {
            context.set_direction(&name, direction);
        }
        let training = self.training.clone();
        drop(context.set_measure(Some(Box::new(move || training.logs()))));
        context
    }

    /// Makes all ready for batches like this one.
    pub(super) fn ready(&mut self, like: &Batch<In>) -> Result<()> {
        self.training.build(&like.x, &like.y)?;
        self.follow()
    }

    /// Sees what has been frozen and thawed.
    pub(super) fn follow(&mut self) -> Result<()> {
        let variables = self.model().trainable_variables();
        let trainable: Vec<u64> = variables.iter().map(|variable| variable.id()).collect();
        if self.functions.as_ref().is_none_or(|functions| functions.trainable != trainable) {
            if !variables.is_empty() {
                self.optimizer().prepare(&variables)?;
            }
            let (training, step) = (self.training.clone(), self.train_step.clone());
            let train = Function::keyed(move |(x, y, weight): &Given<In>, is_checked: &bool| {
                let training = training.checked(*is_checked);
                Ok(match &step {
                    Some(step) => (step(&training, x, y, weight)?, None),
                    None => {
                        let (loss, samples) = training.train_step_apart(x, y, weight)?;
                        (loss, Some(samples))
                    }
                })
            });
            let training = self.training.clone();
            let test = Function::new(move |(x, y, weight): &Given<In>| training.test_step(x, y, weight));
            let training = self.training.clone();
            let predict = Function::new(move |x: &In| training.predict_step(x));
            let (train, test, predict) =
                (train.named("train_step"), test.named("test_step"), predict.named("predict_step"));
            self.functions = Some(Functions { trainable, train, test, predict });
        }
        Ok(())
    }

    /// Traces the step for batches like this one, so that all its variables are there.
    pub(super) fn trace(&mut self, like: &Batch<In>, is_checked: bool) -> Result<()> {
        if self.run_eagerly {
            return Ok(());
        }
        let given = (like.x.clone(), like.y.clone(), like.weight.clone());
        self.functions()?.train.concrete_keyed(&given, &is_checked).map(|_| ())
    }

    fn functions(&self) -> Result<&Functions<In, Out>> {
        self.functions.as_ref().ok_or_else(|| Error::internal("functions are made before a step"))
    }

    /// A step of training; one that is checked changes nothing where it fails.
    pub(super) fn step(&mut self, batch: Batch<In>, is_checked: bool) -> Result<()> {
        let given = (batch.x, batch.y, batch.weight);
        let by_hand = |training: &Training<In, Out>| match &self.train_step {
            Some(step) => step(training, &given.0, &given.1, &given.2),
            None => training.train_step(&given.0, &given.1, &given.2),
        };
        let outcome = match self.run_eagerly {
            false => self.functions()?.train.call_keyed(&given, &is_checked).and_then(|(loss, samples)| {
                samples.map_or(Ok(()), |samples| self.training.count_loss(&loss, &samples))
            }),
            true => {
                let step = || by_hand(&self.training.checked(is_checked)).map(|_| ());
                match is_checked {
                    true => numerics::or_as_before(&self.training.variables(), step),
                    false => step(),
                }
            }
        };
        match outcome {
            Ok(()) => {
                self.steps += 1;
                Ok(())
            }
            Err(error) if is_checked && error.op() == Some("CheckNumerics") => {
                let step = || by_hand(&self.training);
                let found = numerics::first_not_finite(&self.training.variables(), &step)?;
                let error = Error::out_of_range(format!("step {}: {}", self.steps + 1, error.message()));
                Err(match found {
                    Some(found) => error.note(found),
                    None => error,
                })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn test(&self, batch: Batch<In>) -> Result<()> {
        let given = (batch.x, batch.y, batch.weight);
        match self.run_eagerly {
            true => self.training.test_step(&given.0, &given.1, &given.2),
            false => self.functions()?.test.call(&given),
        }
        .map(|_| ())
    }

    pub(super) fn give(&self, x: In) -> Result<Out> {
        match self.run_eagerly {
            true => self.training.predict_step(&x),
            false => self.functions()?.predict.call(&x),
        }
    }
}

impl<In: Structure, Out: Structure> std::fmt::Debug for Trainer<In, Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("model", self.model()).field("steps", &self.steps).finish_non_exhaustive()
    }
}
