use super::batches::{guarded, must_end};
use super::fit::Data;
use super::interrupt::Interrupt;
use super::trainer::Trainer;
use super::{Batches, fit};
use crate::callback::{Callback, CallbackList, Context, Logs, Params};
use modulor::{Error, Result, Structure, Tensor, Tree};

/// An evaluation that is about to begin: [`run`](Evaluate::run) does it.
#[must_use = "nothing is evaluated until `run`"]
pub struct Evaluate<'f, In: Structure, Out: Structure> {
    trainer: &'f mut Trainer<In, Out>,
    data: Data<'f, In>,
    settings: Settings<'f>,
}

/// A prediction that is about to begin: [`run`](Predict::run) does it.
#[must_use = "nothing is predicted until `run`"]
pub struct Predict<'f, In: Structure, Out: Structure> {
    trainer: &'f mut Trainer<In, Out>,
    data: Data<'f, In>,
    settings: Settings<'f>,
}

/// What can be said of both.
struct Settings<'f> {
    batch_size: Option<usize>,
    verbose: u8,
    steps: Option<usize>,
    callbacks: CallbackList<'f>,
    interrupt: Interrupt,
}

impl Settings<'_> {
    fn check<In>(&self, batches: &dyn Batches<In>) -> Result<()> {
        fit::check_counts(&[("steps", self.steps)])?;
        fit::check_verbose(self.verbose)?;
        must_end(batches, self.steps, "steps")
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        let (callbacks, interrupt) = (CallbackList::new(), Interrupt::new());
        Settings { batch_size: None, verbose: 1, steps: None, callbacks, interrupt }
    }
}

macro_rules! settings {
    ($class:ident) => {
        impl<'f, In: Structure, Out: Structure> $class<'f, In, Out> {
            pub(super) fn new(trainer: &'f mut Trainer<In, Out>, data: Data<'f, In>) -> Self {
                $class { trainer, data, settings: Settings::default() }
            }

            /// How many samples a batch has; 32 unless set.
            pub fn batch_size(mut self, samples: usize) -> Self {
                self.settings.batch_size = Some(samples);
                self
            }

            /// How much is told: 0 nothing, 1 a line that grows, unless set, 2 a line.
            pub fn verbose(mut self, verbose: u8) -> Self {
                self.settings.verbose = verbose;
                self
            }

            /// How many batches; all unless set.
            pub fn steps(mut self, steps: usize) -> Self {
                self.settings.steps = Some(steps);
                self
            }

            /// With a callback, after those that were given before.
            pub fn callback(mut self, callback: impl Callback + 'f) -> Self {
                self.settings.callbacks = self.settings.callbacks.with(callback);
                self
            }

            /// With a way to end it from elsewhere, at the edge of a batch.
            pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
                self.settings.interrupt = interrupt.clone();
                self
            }
        }
    };
}

settings! { Evaluate }
settings! { Predict }

impl<'f, In: Structure, Out: Structure> Evaluate<'f, In, Out> {
    /// How much each sample counts: one tensor, or one for each output.
    pub fn sample_weight<W: Structure>(mut self, weight: &W) -> Self {
        if let Data::Tensors { weight: place, .. } = &mut self.data {
            *place = weight.to_tree();
        }
        self
    }

    /// Evaluates: the loss, and the metrics by their names.
    pub fn run(self) -> Result<Logs> {
        let Evaluate { trainer, data, settings } = self;
        let batches = data.batches(settings.batch_size, false)?;
        settings.check(&*batches)?;
        let first = first(&*batches)?;
        trainer.ready(&first)?;
        let (mut callbacks, mut context) =
            begin(trainer, settings.callbacks, settings.verbose, settings.steps.or(batches.cardinality()));
        evaluate(trainer, &*batches, settings.steps, &mut callbacks, &mut context, Some(&settings.interrupt))
    }
}

/// What callbacks of an evaluation or a prediction are, and are given.
fn begin<'f, In: Structure, Out: Structure>(
    trainer: &Trainer<In, Out>,
    callbacks: CallbackList<'f>,
    verbose: u8,
    steps: Option<usize>,
) -> (CallbackList<'f>, Context) {
    let mut context = trainer.context();
    context.set_params(Params { epochs: 1, steps, verbose });
    (callbacks.with_progress(verbose), context)
}

/// The first batch, without which there is nothing to do.
fn first<In>(batches: &dyn Batches<In>) -> Result<super::Batch<In>> {
    let first = guarded(batches, 0, 0, 0)?.next();
    first.unwrap_or_else(|| Err(Error::invalid_argument("there are 0 batches")))
}

/// Counts a batch after the other; gives the numbers.
pub(super) fn evaluate<In: Structure, Out: Structure>(
    trainer: &mut Trainer<In, Out>,
    batches: &dyn Batches<In>,
    steps: Option<usize>,
    callbacks: &mut CallbackList,
    context: &mut Context,
    interrupt: Option<&Interrupt>,
) -> Result<Logs> {
    trainer.training.reset_metrics()?;
    callbacks.on_test_begin(context)?;
    let mut count = 0;
    for batch in guarded(batches, 0, 0, 0)?.take(steps.unwrap_or(usize::MAX)) {
        if interrupt.is_some_and(Interrupt::is_interrupted) {
            return Err(Error::cancelled(format!("interrupted after {count} batches of an evaluation")));
        }
        let note = |error: Error| error.note(format!("in batch {count} of an evaluation"));
        let batch = batch.map_err(note)?;
        callbacks.on_test_batch_begin(count, context)?;
        if count == 0 {
            trainer.ready(&batch)?;
        }
        trainer.test(batch).map_err(note)?;
        context.forget_logs();
        callbacks.on_test_batch_end(count, context)?;
        count += 1;
    }
    if count == 0 {
        return Err(Error::invalid_argument("there are 0 batches to evaluate on"));
    }
    let logs = trainer.training.logs()?;
    context.set_logs(logs.clone());
    callbacks.on_test_end(context)?;
    context.forget_logs();
    Ok(logs)
}

impl<'f, In: Structure, Out: Structure> Predict<'f, In, Out> {
    /// Predicts: what the model gives for each batch, one after the other along the first axis.
    pub fn run(self) -> Result<Out> {
        let Predict { trainer, data, settings } = self;
        let batches = data.batches(settings.batch_size, false)?;
        settings.check(&*batches)?;
        let first = first(&*batches)?;
        trainer.ready(&first)?;
        let (mut callbacks, mut context) =
            begin(trainer, settings.callbacks, settings.verbose, settings.steps.or(batches.cardinality()));
        context.set_logs(Logs::default());
        callbacks.on_predict_begin(&mut context)?;
        let (mut given, mut like): (Vec<Vec<Tensor>>, Option<Tree>) = Default::default();
        for (count, batch) in guarded(&*batches, 0, 0, 0)?.take(settings.steps.unwrap_or(usize::MAX)).enumerate() {
            if settings.interrupt.is_interrupted() {
                return Err(Error::cancelled(format!("interrupted after {count} batches of a prediction")));
            }
            let note = |error: Error| error.note(format!("in batch {count} of a prediction"));
            let batch = batch.map_err(note)?;
            callbacks.on_predict_batch_begin(count, &mut context)?;
            let tree = trainer.give(batch.x).map_err(note)?.to_tree();
            for (at, leaf) in tree.leaves().into_iter().enumerate() {
                if at == given.len() {
                    given.push(Vec::new());
                }
                given[at].push(leaf.with_mask(None));
            }
            like = Some(tree);
            callbacks.on_predict_batch_end(count, &mut context)?;
        }
        callbacks.on_predict_end(&mut context)?;
        let joined = given.iter().map(|parts| match &parts[..] {
            [one] => Ok(one.clone()),
            parts => Tensor::concat(parts, 0),
        });
        let like = like.ok_or_else(|| Error::invalid_argument("there are 0 batches to predict for"))?;
        Out::from_tree(like.with_leaves(joined.collect::<Result<Vec<_>>>()?)?)
    }
}
