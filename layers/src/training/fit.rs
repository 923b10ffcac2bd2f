use super::Batches;
use super::batches::{Batch, TensorBatches, guarded, must_end, split, weights_of_classes};
use super::interrupt::Interrupt;
use super::trainer::Trainer;
use crate::callback::{Callback, CallbackList, Context, History, NonFinite, Params};
use modulor::variable::root_seed;
use modulor::{Error, Feed, ModuleExt, Result, Structure, Tensor, Tree};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a model is trained on.
pub(super) enum Data<'f, In> {
    Tensors { x: In, y: Tree, weight: Tree },
    Batches(Box<dyn Batches<In> + 'f>),
}

/// How many samples a batch has, unless it is said.
pub(super) const BATCH_SIZE: usize = 32;

impl<'f, In: Structure> Data<'f, In> {
    /// As batches of this size, or of the usual one.
    pub fn batches(self, batch_size: Option<usize>, shuffle: bool) -> Result<Box<dyn Batches<In> + 'f>> {
        Ok(match (self, batch_size) {
            (Data::Tensors { x, y, weight }, size) => {
                Box::new(TensorBatches::new(x, y, weight, size.unwrap_or(BATCH_SIZE), shuffle)?)
            }
            (Data::Batches(batches), None) => batches,
            (Data::Batches(_), Some(_)) => {
                return Err(Error::invalid_argument("`batch_size` is for tensors: what was given are batches already"));
            }
        })
    }
}

/// A training that is about to begin: [`run`](Fit::run) does it. The defaults are those of Keras's `fit`.
///
/// A step that has been taken before asks for no memory. Its batch does, ten times at most where it has two tensors. So do
/// callbacks, and the bar whenever it is shown, which is twenty times a second at most.
#[must_use = "nothing is trained until `run`"]
pub struct Fit<'f, In: Structure, Out: Structure> {
    trainer: &'f mut Trainer<In, Out>,
    data: Data<'f, In>,
    batch_size: Option<usize>,
    epochs: usize,
    verbose: u8,
    callbacks: CallbackList<'f>,
    validation_split: Option<f64>,
    validation: Option<Data<'f, In>>,
    shuffle: bool,
    class_weight: Option<BTreeMap<i64, f64>>,
    sample_weight: Option<Tree>,
    initial_epoch: usize,
    steps_per_epoch: Option<usize>,
    validation_steps: Option<usize>,
    validation_batch_size: Option<usize>,
    validation_freq: ValidationFreq,
    seed: Option<u64>,
    interrupt: Interrupt,
}

/// After which epochs there is a validation.
enum ValidationFreq {
    Every(usize),
    After(Vec<usize>),
}

impl<'f, In: Structure, Out: Structure> Fit<'f, In, Out> {
    pub(super) fn new(trainer: &'f mut Trainer<In, Out>, data: Data<'f, In>) -> Self {
        Fit {
            trainer,
            data,
            batch_size: None,
            epochs: 1,
            verbose: 1,
            callbacks: CallbackList::new(),
            validation_split: None,
            validation: None,
            shuffle: true,
            class_weight: None,
            sample_weight: None,
            initial_epoch: 0,
            steps_per_epoch: None,
            validation_steps: None,
            validation_batch_size: None,
            validation_freq: ValidationFreq::Every(1),
            seed: None,
            interrupt: Interrupt::new(),
        }
    }

    /// How often all data is seen; 1 unless set. The epochs end with this one: those before
    /// [`initial_epoch`](Fit::initial_epoch) count.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// How many samples a step takes; 32 unless set. The last batch of an epoch may have fewer.
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.batch_size = Some(samples);
        self
    }

    /// How much is told: 0 nothing, 1 a line that grows, unless set, 2 a line for each epoch. It goes to the standard output,
    /// or where a [`ProgbarLogger`](crate::callback::ProgbarLogger) that is among the callbacks writes.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// With a callback, after those that were given before; `&mut callback` leaves it to be looked at afterwards.
    pub fn callback(mut self, callback: impl Callback + 'f) -> Self {
        self.callbacks = self.callbacks.with(callback);
        self
    }

    /// Keeps this part of the samples, the last ones, for validation.
    pub fn validation_split(mut self, part: f64) -> Self {
        self.validation_split = Some(part);
        self
    }

    /// With tensors that the model is evaluated on after every epoch.
    pub fn validation_data<Y: Structure>(self, x: impl Feed<In>, y: &Y) -> Self {
        self.validate(Data::Tensors { x: x.feed(), y: y.to_tree(), weight: Tree::None })
    }

    /// As [`validation_data`](Fit::validation_data), with a weight for every sample.
    pub fn weighted_validation_data<Y: Structure>(self, x: impl Feed<In>, y: &Y, weight: &Tensor) -> Self {
        self.validate(Data::Tensors { x: x.feed(), y: y.to_tree(), weight: Tree::Leaf(weight.clone()) })
    }

    /// With batches that the model is evaluated on after every epoch.
    pub fn validation_batches(self, batches: impl Batches<In> + 'f) -> Self {
        self.validate(Data::Batches(Box::new(batches)))
    }

    fn validate(mut self, data: Data<'f, In>) -> Self {
        self.validation = Some(data);
        self
    }

    /// Whether tensors are shuffled before every epoch; they are unless set. Batches come in their own order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// From what the orders of shuffled epochs follow, each by its number; the root seed unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How much the samples of a class count; those of a class that is not named count as 1.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i64, f64)>) -> Self {
        self.class_weight = Some(weights.into_iter().collect());
        self
    }

    /// How much each sample counts: one tensor, or one for each output.
    pub fn sample_weight<W: Structure>(mut self, weight: &W) -> Self {
        self.sample_weight = Some(weight.to_tree());
        self
    }

    /// The epoch to begin with, from 0, as if those before it had been.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// How many batches an epoch has, where it does not have all: the next one goes on where it ended.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// How many batches a validation has; all unless set.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// How many samples a batch of validation has; as many as one of training unless set.
    pub fn validation_batch_size(mut self, samples: usize) -> Self {
        self.validation_batch_size = Some(samples);
        self
    }

    /// After every how many epochs there is a validation; every one unless set.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = ValidationFreq::Every(epochs);
        self
    }

    /// After which epochs, from 1, there is a validation.
    pub fn validation_epochs(mut self, epochs: impl Into<Vec<usize>>) -> Self {
        self.validation_freq = ValidationFreq::After(epochs.into());
        self
    }

    /// With a way to end it from elsewhere.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Trains.
    ///
    /// # Errors
    ///
    /// Settings that make no sense, shapes that do not fit, data that ends too early or fails, errors and panics of callbacks and
    /// of what gives the data, and an [`Interrupt`]. The model is as the last step left it, callbacks have heard of the end, and it
    /// may be trained again.
    ///
    /// # Panics
    ///
    /// Where the model does, or the loss, or a step of one's own; callbacks have heard of the end.
    pub fn run(self) -> Result<History> {
        self.check()?;
        let (running, batches) = self.prepare()?;
        running.run(&*batches)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("epochs", Some(self.epochs)),
            ("steps_per_epoch", self.steps_per_epoch),
            ("validation_steps", self.validation_steps),
            ("validation_batch_size", self.validation_batch_size),
            (
                "validation_freq",
                match &self.validation_freq {
                    ValidationFreq::Every(epochs) => Some(*epochs),
                    ValidationFreq::After(_) => None,
                },
            ),
        ])?;
        if let Some((class, weight)) = self.class_weight.iter().flatten().find(|(_, weight)| !weight.is_finite()) {
            return Err(Error::invalid_argument(format!("the weight of class {class} must be finite, found {weight}")));
        }
        if self.sample_weight.is_some() && self.class_weight.is_some() {
            return Err(Error::invalid_argument("`class_weight` and `sample_weight` cannot both be given"));
        }
        check_verbose(self.verbose)
    }

    /// Splits, weighs and makes batches.
    fn prepare(mut self) -> Result<(Running<'f, In, Out>, Box<dyn Batches<In> + 'f>)> {
        let batch_size = self.batch_size;
        if let (Some(weight), data) = (self.sample_weight.take(), &mut self.data) {
            match data {
                Data::Tensors { weight: place, .. } => *place = weight,
                Data::Batches(_) => {
                    return Err(Error::invalid_argument(
                        "`sample_weight` is for tensors: batches have their own weights",
                    ));
                }
            }
        }
        let mut validation = self.validation.take();
        if let (Some(part), None) = (self.validation_split, &validation) {
            let Data::Tensors { x, y, weight } = &self.data else {
                return Err(Error::invalid_argument("`validation_split` is for tensors"));
            };
            let ((x, y, weight), (val_x, val_y, val_weight)) = split(x, y, weight, part)?;
            self.data = Data::Tensors { x, y, weight };
            validation = Some(Data::Tensors { x: val_x, y: val_y, weight: val_weight });
        }
        if let (Some(class_weight), Data::Tensors { y, weight, .. }) = (&self.class_weight, &mut self.data) {
            *weight = weights_of_classes(y, class_weight)?;
        }
        let by_class = self.class_weight.take().filter(|_| matches!(self.data, Data::Batches(_)));
        let validation_size = match &validation {
            Some(Data::Tensors { .. }) => self.validation_batch_size.or(batch_size),
            _ => self.validation_batch_size,
        };
        let validation = validation.map(|data| data.batches(validation_size, false)).transpose()?;
        let batches = self.data.batches(batch_size, self.shuffle)?;
        must_end(&*batches, self.steps_per_epoch, "steps_per_epoch")?;
        if let Some(validation) = &validation {
            must_end(&**validation, self.validation_steps, "validation_steps")?;
        }
        let steps = self.steps_per_epoch.or(batches.cardinality());
        if steps == Some(0) {
            return Err(Error::invalid_argument("there are 0 batches to train on"));
        }
        let params = Params { epochs: self.epochs, steps, verbose: self.verbose };
        let running = Running {
            trainer: self.trainer,
            by_class,
            callbacks: self.callbacks,
            validation: validation.map(|batches| Validation {
                batches,
                steps: self.validation_steps,
                freq: self.validation_freq,
            }),
            initial_epoch: self.initial_epoch,
            steps_per_epoch: self.steps_per_epoch,
            params,
            seed: self.seed.unwrap_or_else(root_seed),
            interrupt: self.interrupt,
        };
        Ok((running, batches))
    }
}

/// An error for a count that is 0.
pub(super) fn check_counts(counts: &[(&str, Option<usize>)]) -> Result<()> {
    match counts.iter().find(|(_, count)| *count == Some(0)) {
        Some((name, _)) => Err(Error::invalid_argument(format!("`{name}` must be 1 or more, found 0"))),
        None => Ok(()),
    }
}

pub(super) fn check_verbose(verbose: u8) -> Result<()> {
    match verbose {
        0..=2 => Ok(()),
        _ => Err(Error::invalid_argument(format!("`verbose` must be 0, 1 or 2, found {verbose}"))),
    }
}

struct Validation<'f, In> {
    batches: Box<dyn Batches<In> + 'f>,
    steps: Option<usize>,
    freq: ValidationFreq,
}

impl<In> Validation<'_, In> {
    fn is_due(&self, epoch: usize) -> bool {
        match &self.freq {
            ValidationFreq::Every(epochs) => (epoch + 1).is_multiple_of(*epochs),
            ValidationFreq::After(epochs) => epochs.contains(&(epoch + 1)),
        }
    }
}

/// A training under way.
struct Running<'f, In: Structure, Out: Structure> {
    trainer: &'f mut Trainer<In, Out>,
    by_class: Option<BTreeMap<i64, f64>>,
    callbacks: CallbackList<'f>,
    validation: Option<Validation<'f, In>>,
    initial_epoch: usize,
    steps_per_epoch: Option<usize>,
    params: Params,
    seed: u64,
    interrupt: Interrupt,
}

impl<'f, In: Structure, Out: Structure> Running<'f, In, Out> {
    fn run(mut self, batches: &dyn Batches<In>) -> Result<History> {
        let mut history = History::default();
        let (mut passes, first) = Passes::begin(batches, self.seed, self.initial_epoch)?;
        let first = self.weighed(first)?;
        let on_failure = self.callbacks.non_finite();
        let is_checked = self.trainer.check_numerics || on_failure.is_some();
        self.trainer.ready(&first)?;
        self.trainer.trace(&first, is_checked)?;
        drop(first);

        let mut context = self.trainer.context();
        context.set_params(self.params);
        context.seed = self.seed;
        let callbacks = std::mem::take(&mut self.callbacks).with(&mut history);
        let mut callbacks = callbacks.with_progress(self.params.verbose);
        let on_failure = if self.trainer.check_numerics { Some(NonFinite::Fail) } else { on_failure };
        let trained =
            catch_unwind(AssertUnwindSafe(|| self.train(&mut passes, &mut callbacks, &mut context, on_failure)));
        if !matches!(trained, Ok(Ok(()))) {
            context.set_failed();
        }
        let settled = self.trainer.training.settle();
        let ended = callbacks.end(&mut context);
        drop(callbacks);
        let trained = trained.unwrap_or_else(|panic| resume_unwind(panic));
        trained.and(settled).and(ended).map(|()| history)
    }

    fn train(
        &mut self,
        passes: &mut Passes<In>,
        callbacks: &mut CallbackList,
        context: &mut Context,
        on_failure: Option<NonFinite>,
    ) -> Result<()> {
        callbacks.on_train_begin(context)?;
        self.notice(context);
        self.go_on(context)?;
        let (begin, mut done) =
            context.resumed.take().map_or((self.initial_epoch, 0), |resumed| (resumed.epoch, resumed.batch));
        for epoch in begin..self.params.epochs {
            if context.is_stopping() {
                break;
            }
            let stopped = self.epoch((epoch, std::mem::take(&mut done)), passes, callbacks, context, on_failure)?;
            let mut logs = self.trainer.training.logs()?;
            if let Some(message) = stopped {
                eprintln!("{message}");
                return Ok(());
            }
            if let Some(validation) = self.validation.as_ref().filter(|validation| validation.is_due(epoch)) {
                let found = super::evaluate::evaluate(
                    self.trainer,
                    &*validation.batches,
                    validation.steps,
                    callbacks,
                    context,
                    None,
                )?;
                found.iter().for_each(|(name, value)| logs.set(&format!("val_{name}"), value));
            }
            context.at_end(epoch, logs);
            self.notice(context);
            callbacks.on_epoch_end(epoch, context)?;
            self.go_on(context)?;
        }
        let variables = self.trainer.model().trainable_variables();
        self.trainer.optimizer().finalize(&variables)
    }

    /// The steps of an epoch, but for those that are done; what is to be told where a callback wants the training to stop over
    /// what is not finite.
    fn epoch(
        &mut self,
        (epoch, done): (usize, usize),
        passes: &mut Passes<In>,
        callbacks: &mut CallbackList,
        context: &mut Context,
        on_failure: Option<NonFinite>,
    ) -> Result<Option<String>> {
        context.at(epoch, done);
        if done == 0 {
            self.trainer.training.reset_metrics()?;
            callbacks.on_epoch_begin(epoch, context)?;
            // A callback may have frozen or thawed something.
            self.trainer.follow()?;
        }
        let mut stream = passes.of_epoch(context.seed, (epoch, done), self.steps_per_epoch)?;
        let mut step = done;
        let per_execution = self.trainer.steps_per_execution;
        loop {
            let begin = step;
            let limit = self.steps_per_epoch.unwrap_or(usize::MAX);
            while step < limit.min(begin.saturating_add(per_execution)) {
                let Some(batch) = stream.next() else { break };
                let batch = batch
                    .and_then(|batch| weighed(batch, self.by_class.as_ref()))
                    .map_err(|error| at(error, epoch, step))?;
                if step == begin {
                    callbacks.on_train_batch_begin(begin, context)?;
                }
                match self.trainer.step(batch, on_failure.is_some()) {
                    Err(error)
                        if error.kind() == modulor::ErrorKind::OutOfRange && on_failure == Some(NonFinite::Stop) =>
                    {
                        context.stop_training();
                        return Ok(Some(format!("batch {step} of epoch {}: {error}; training ends here", epoch + 1)));
                    }
                    outcome => outcome.map_err(|error| at(error, epoch, step))?,
                }
                step += 1;
            }
            if step == begin {
                break;
            }
            context.at(epoch, step);
            self.notice(context);
            callbacks.on_train_batch_end(step - 1, context)?;
            self.go_on(context)?;
            if context.is_stopping() {
                break;
            }
        }
        let expected = self.steps_per_epoch.filter(|expected| step < *expected && !context.is_stopping());
        if let (Some(expected), None) = (expected, passes.batches.cardinality()) {
            return Err(Error::out_of_range(format!(
                "epoch {} has {expected} steps, and the data ended after {step}",
                epoch + 1
            )));
        }
        if step == 0 {
            return Err(Error::invalid_argument(format!("epoch {} has 0 batches", epoch + 1)));
        }
        Ok(None)
    }

    /// Lets callbacks know where somebody has asked for the end.
    fn notice(&self, context: &mut Context) {
        if self.interrupt.is_interrupted() {
            context.set_interrupted();
        }
    }

    /// An error where callbacks know that somebody has asked for the end.
    fn go_on(&self, context: &Context) -> Result<()> {
        match context.is_interrupted() {
            true => Err(Error::cancelled(format!("interrupted after step {}", self.trainer.steps))),
            false => Ok(()),
        }
    }

    fn weighed(&self, batch: Batch<In>) -> Result<Batch<In>> {
        weighed(batch, self.by_class.as_ref())
    }
}

/// A batch with the weights of its classes.
fn weighed<In>(batch: Batch<In>, by_class: Option<&BTreeMap<i64, f64>>) -> Result<Batch<In>> {
    let Some(by_class) = by_class else { return Ok(batch) };
    if !matches!(batch.weight, Tree::None) {
        return Err(Error::invalid_argument("`class_weight` is for batches without weights of their own"));
    }
    let weight = weights_of_classes(&batch.y, by_class)?;
    Ok(Batch { weight, ..batch })
}

/// Says where in the training something failed.
fn at(error: Error, epoch: usize, batch: usize) -> Error {
    error.note(format!("in batch {batch} of epoch {}", epoch + 1))
}

/// Passes over the data.
struct Passes<'b, In> {
    batches: &'b dyn Batches<In>,
    /// One that was begun to see what its batches are like, from its first batch on, with its seed and its number.
    begun: Option<(u64, usize, Pass<'b, In>)>,
}

type Pass<'b, In> = Box<dyn Iterator<Item = Result<Batch<In>>> + 'b>;

impl<'b, In: Structure> Passes<'b, In> {
    /// Begins with a pass, of which it gives the first batch.
    fn begin(batches: &'b dyn Batches<In>, seed: u64, epoch: usize) -> Result<(Self, Batch<In>)> {
        let mut rest = guarded(batches, seed, epoch, 0)?;
        let first = rest.next().ok_or_else(|| Error::invalid_argument("there are 0 batches to train on"))?;
        let first = first.map_err(|error| at(error, epoch, 0))?;
        let pass = Box::new(std::iter::once(Ok(first.clone())).chain(rest));
        Ok((Passes { batches, begun: Some((seed, epoch, pass)) }, first))
    }

    /// The batches of an epoch but for those that are done. Epochs of so many steps follow each other through the data; where it
    /// ends, the epoch ends too, and the next begins with the first batch: as in Keras.
    fn of_epoch(
        &mut self,
        seed: u64,
        (epoch, done): (usize, usize),
        steps_per_epoch: Option<usize>,
    ) -> Result<Pass<'b, In>> {
        let (pass, skip) = match (steps_per_epoch, self.batches.cardinality()) {
            (None, _) => (epoch, done),
            (Some(steps), Some(count)) => {
                let epochs = count.div_ceil(steps).max(1);
                (epoch / epochs, epoch % epochs * steps + done)
            }
            (Some(steps), None) => (0, epoch.saturating_mul(steps).saturating_add(done)),
        };
        match self.begun.take() {
            Some((begun_seed, begun, batches)) if (begun_seed, begun, 0) == (seed, pass, skip) => Ok(batches),
            _ => Ok(Box::new(guarded(self.batches, seed, pass, skip)?)),
        }
    }
}
