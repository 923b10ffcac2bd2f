use super::monitor::Direction;
use super::saving::{Parts, Saving};
use super::{Logs, State};
use crate::optimizer::Optimizer;
use modulor::vfs::{Vfs, disk};
use modulor::{Module, Result, Variable};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the training was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// The number of epochs, of which the first ones may be left out.
    pub epochs: usize,
    /// The number of batches of an epoch; none where only the end of the data tells.
    pub steps: Option<usize>,
    /// How much is printed: 0 nothing, 1 a bar, 2 a line for each epoch.
    pub verbose: u8,
}

/// Computes the numbers of this moment.
pub(crate) type Measure = Box<dyn Fn() -> Result<Logs> + Send>;

/// Gives variables what has been counted beside them.
pub(crate) type Settle = Box<dyn Fn() -> Result<()> + Send>;

/// Where a training that is taken up again goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub epoch: usize,
    /// How many batches of this epoch are done.
    pub batch: usize,
}

/// What a callback is given: handles to all that is trained, and the numbers of the moment.
///
/// A loop of one's own makes one, and tells it the numbers by [`set_logs`](Context::set_logs).
///
/// ```
/// use modulor_layers::callback::{Callback, CallbackList, Context, EarlyStopping, Logs};
/// use modulor_layers::{library::Dense, optimizer::SGD};
/// # fn main() -> modulor::Result<()> {
/// let mut list = CallbackList::new().with(EarlyStopping::new().monitor("loss").patience(1));
/// let mut context = Context::new(&Dense::new(1), &SGD::new());
/// list.on_train_begin(&mut context)?;
/// let mut epochs = 0;
/// for (epoch, loss) in [1.0, 0.5, 0.5, 0.5, 0.5].into_iter().enumerate() {
///     list.on_epoch_begin(epoch, &mut context)?;
///     context.set_logs(Logs::from_iter([("loss", loss)]));
///     list.on_epoch_end(epoch, &mut context)?;
///     epochs += 1;
///     if context.is_stopping() {
///         break;
///     }
/// }
/// list.on_train_end(&mut context)?;
/// assert_eq!(epochs, 3);
/// # Ok(())
/// # }
/// ```
pub struct Context {
    model: Arc<dyn Module>,
    optimizer: Arc<dyn Optimizer>,
    params: Params,
    epoch: usize,
    /// How many batches of the epoch are done.
    batches: usize,
    /// Where a training would go on that is saved now.
    next: Resumed,
    logs: Option<Logs>,
    measure: Option<Measure>,
    directions: BTreeMap<String, Direction>,
    is_stopping: bool,
    is_failed: bool,
    is_interrupted: bool,
    /// What is saved of the training beside model and optimizer.
    pub(crate) further: Vec<(String, Arc<dyn Module>)>,
    /// Brings that up to this moment.
    pub(crate) settle: Option<Settle>,
    /// From what the orders of the epochs follow.
    pub(crate) seed: u64,
    pub(crate) resumed: Option<Resumed>,
    /// Where callbacks want the training saved, and where they want it taken up from.
    pub(super) saves: Vec<(Arc<dyn Vfs>, PathBuf)>,
    pub(super) restores: Vec<(Arc<dyn Vfs>, PathBuf)>,
}

impl Context {
    /// Of a model and the optimizer that trains it.
    pub fn new<M: Module, O: Optimizer>(model: &M, optimizer: &O) -> Context {
        Context::of(Arc::new(model.share()), Arc::new(optimizer.share()))
    }

    pub(crate) fn of(model: Arc<dyn Module>, optimizer: Arc<dyn Optimizer>) -> Context {
        Context {
            model,
            optimizer,
            params: Params { epochs: 1, ..Params::default() },
            epoch: 0,
            batches: 0,
            next: Resumed { epoch: 0, batch: 0 },
            logs: None,
            measure: None,
            directions: BTreeMap::new(),
            is_stopping: false,
            is_failed: false,
            is_interrupted: false,
            further: Vec::new(),
            settle: None,
            seed: 0,
            resumed: None,
            saves: Vec::new(),
            restores: Vec::new(),
        }
    }

    /// The model.
    pub fn model(&self) -> &dyn Module {
        self.model.as_module()
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.optimizer
    }

    /// The learning rate as it is now.
    pub fn learning_rate(&self) -> Result<f64> {
        self.optimizer.current_learning_rate()
    }

    /// Changes the learning rate, from the next step on; an error for what is not a finite number of 0 or more, and where it
    /// follows a schedule.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.optimizer.set_learning_rate(rate)
    }

    /// How the training was called.
    pub fn params(&self) -> Params {
        self.params
    }

    /// Says how the training was called.
    pub fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    /// The epoch under way, from 0.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// How many batches of the epoch are done.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The numbers of this moment: of a batch those of its epoch so far.
    pub fn logs(&mut self) -> Result<&mut Logs> {
        let logs = match (self.logs.take(), &self.measure) {
            (Some(logs), _) => logs,
            (None, Some(measure)) => measure()?,
            (None, None) => Logs::default(),
        };
        Ok(self.logs.insert(logs))
    }

    /// Says what the numbers of this moment are.
    pub fn set_logs(&mut self, logs: Logs) {
        self.logs = Some(logs);
    }

    /// Ends the training after this batch and its callbacks.
    pub fn stop_training(&mut self) {
        self.is_stopping = true;
    }

    /// Whether a callback has asked for the end.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// Whether the training ended by an error.
    pub fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// Says that the training ended by an error.
    pub fn set_failed(&mut self) {
        self.is_failed = true;
    }

    /// Whether somebody has asked from outside for the training to end after the hooks of this moment.
    pub fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Says that somebody has asked for the end.
    pub fn set_interrupted(&mut self) {
        self.is_interrupted = true;
    }

    /// Says of which numbers the greatest is the best, and of which the least.
    pub fn set_direction(&mut self, name: &str, direction: Direction) {
        self.directions.insert(name.to_owned(), direction);
    }

    /// Whether the greatest of these numbers is the best or the least, where that is known; those of validation are like the
    /// others.
    pub fn direction(&self, name: &str) -> Option<Direction> {
        let name = name.strip_prefix("val_").unwrap_or(name);
        match name {
            "loss" => Some(Direction::Down),
            _ => self.directions.get(name).copied(),
        }
    }

    /// Saves the training, with the states of all callbacks, when the hooks of this moment are through: what
    /// [`restore_training`](Context::restore_training) takes it up from.
    pub fn save_training(&mut self, prefix: impl Into<PathBuf>) {
        self.save_training_on(disk(), prefix);
    }

    /// As [`save_training`](Context::save_training), on a file system.
    pub fn save_training_on(&mut self, vfs: Arc<dyn Vfs>, prefix: impl Into<PathBuf>) {
        self.saves.push((vfs, prefix.into()));
    }

    /// Takes up a training that was saved at `prefix`, when the hooks of this moment are through; to be called in
    /// `on_train_begin`.
    pub fn restore_training(&mut self, prefix: impl Into<PathBuf>) {
        self.restore_training_on(disk(), prefix);
    }

    /// As [`restore_training`](Context::restore_training), on a file system.
    pub fn restore_training_on(&mut self, vfs: Arc<dyn Vfs>, prefix: impl Into<PathBuf>) {
        self.restores.push((vfs, prefix.into()));
    }

    /// The numbers are to be computed anew.
    pub(crate) fn forget_logs(&mut self) {
        self.logs = None;
    }

    /// A moment of the training without numbers yet.
    pub(crate) fn at(&mut self, epoch: usize, batches: usize) {
        (self.epoch, self.batches, self.logs) = (epoch, batches, None);
        self.next = Resumed { epoch, batch: batches };
    }

    /// The end of an epoch, with its numbers.
    pub(crate) fn at_end(&mut self, epoch: usize, logs: Logs) {
        (self.epoch, self.logs) = (epoch, Some(logs));
        self.next = Resumed { epoch: epoch + 1, batch: 0 };
    }

    pub(crate) fn set_measure(&mut self, measure: Option<Measure>) -> Option<Measure> {
        self.logs = None;
        std::mem::replace(&mut self.measure, measure)
    }

    fn saving(&self) -> Saving<'_> {
        Saving {
            model: &self.model,
            optimizer: &self.optimizer,
            further: &self.further,
            next: self.next,
            seed: self.seed,
            is_stopping: self.is_stopping,
        }
    }

    /// The model, with or without the optimizer, as the objects of a checkpoint.
    pub(super) fn parts(&self, is_model_alone: bool) -> Parts {
        if is_model_alone {
            return Parts { root: Some(self.model.clone()), ..Parts::default() };
        }
        let modules = vec![
            ("model".to_owned(), self.model.clone()),
            ("optimizer".to_owned(), self.optimizer.clone() as Arc<dyn Module>),
        ];
        Parts { modules, ..Parts::default() }
    }

    /// Saves the training with these states of callbacks.
    pub(super) fn save(&self, vfs: &Arc<dyn Vfs>, prefix: &Path, states: &[(String, State)]) -> Result<()> {
        self.settle.as_ref().map_or(Ok(()), |settle| settle())?;
        self.saving().save(vfs, prefix, states)
    }

    /// Takes the training up; gives the states of these callbacks.
    pub(super) fn restore(&mut self, vfs: &Arc<dyn Vfs>, prefix: &Path, callbacks: &[String]) -> Result<Vec<State>> {
        self.settle.as_ref().map_or(Ok(()), |settle| settle())?;
        let restored = self.saving().restore(vfs, prefix, callbacks)?;
        (self.seed, self.resumed) = (restored.seed, Some(restored.next));
        self.is_stopping = restored.is_stopping;
        Ok(restored.states)
    }
}

/// The values of the weights of a model, in Keras's order.
pub(super) fn weights(context: &Context) -> Vec<Variable> {
    use modulor::ModuleExt;
    context.model().weights()
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Context { params, epoch, batches, logs, .. } = self;
        let mut short = f.debug_struct("Context");
        short.field("params", params).field("epoch", epoch).field("batches", batches).field("logs", logs);
        short.finish_non_exhaustive()
    }
}
