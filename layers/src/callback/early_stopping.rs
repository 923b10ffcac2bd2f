use super::context::weights;
use super::monitor::{Monitor, monitored, patient};
use super::{Callback, Context, State};
use modulor::variable::{commit, snapshot};
use modulor::{Result, Tensor};

/// Stops when a number has not become better for some epochs: Keras's `EarlyStopping`.
///
/// ```
/// use modulor_layers::callback::EarlyStopping;
/// let stopping = EarlyStopping::new().monitor("val_accuracy").patience(3).restore_best_weights(true);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    stopped_epoch: Option<usize>,
    best_epoch: usize,
    best_weights: Option<Vec<Tensor>>,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping {
            monitor: Monitor::new(0.0, 0),
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            stopped_epoch: None,
            best_epoch: 0,
            best_weights: None,
        }
    }
}

impl EarlyStopping {
    /// At the first epoch in which `val_loss` is not less.
    pub fn new() -> EarlyStopping {
        EarlyStopping::default()
    }

    monitored! { EarlyStopping }
    patient! { EarlyStopping, min_delta = "0", patience = "0" }

    /// What a number must be better than to begin the patience anew, beside the best one.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the model ends with the weights of the best epoch, also where training was not stopped; without, with those
    /// of the last.
    #[must_use]
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// The epoch from which on numbers are looked at; 0 unless set.
    #[must_use]
    pub fn start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }

    /// The best number so far.
    pub fn best(&self) -> Option<f64> {
        self.monitor.best
    }

    /// The epoch of the best number, from 0.
    pub fn best_epoch(&self) -> usize {
        self.best_epoch
    }

    /// The epoch after which it stopped the training, from 0, if it did.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    fn is_better(&self, value: f64, than: Option<f64>, context: &Context) -> Result<bool> {
        self.monitor.is_better("EarlyStopping", value, than, context)
    }

    fn keep_weights(&mut self, epoch: usize, context: &Context) -> Result<()> {
        self.best_epoch = epoch;
        if self.restore_best_weights {
            self.best_weights = Some(snapshot(&weights(context))?);
        }
        Ok(())
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        "early_stopping"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        self.monitor.check("EarlyStopping")?;
        (self.wait, self.stopped_epoch, self.best_epoch, self.best_weights) = (0, None, 0, None);
        self.monitor.best = None;
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let Some(current) = self.monitor.value(context, "early stopping looks at")? else { return Ok(()) };
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        // There are weights to go back to even where no number was ever better than another.
        if self.restore_best_weights && self.best_weights.is_none() {
            self.keep_weights(epoch, context)?;
        }
        self.wait += 1;
        if self.is_better(current, self.monitor.best, context)? {
            self.monitor.best = Some(current);
            self.keep_weights(epoch, context)?;
            if self.baseline.is_none() || self.is_better(current, self.baseline, context)? {
                self.wait = 0;
            }
            return Ok(());
        }
        if self.wait >= self.monitor.patience && epoch > 0 {
            self.stopped_epoch = Some(epoch);
            context.stop_training();
        }
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
        if let (Some(epoch), 1..) = (self.stopped_epoch, self.monitor.verbose) {
            println!("Epoch {}: early stopping", epoch + 1);
        }
        // After an error the model stays as the last step left it.
        if let (Some(best), false) = (&self.best_weights, context.is_failed()) {
            if self.monitor.verbose > 0 {
                println!("Restoring model weights from the end of the best epoch: {}.", self.best_epoch + 1);
            }
            commit(weights(context).into_iter().zip(best.iter().cloned()))?;
        }
        Ok(())
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        self.monitor.save(&mut state);
        state.set_count("wait", self.wait)?;
        state.set_count("best_epoch", self.best_epoch)?;
        self.stopped_epoch.map_or(Ok(()), |epoch| state.set_count("stopped_epoch", epoch))?;
        self.best_weights.iter().for_each(|best| state.set_list("weight", best));
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.monitor.restore(state)?;
        (self.wait, self.best_epoch) = (state.count("wait")?, state.count("best_epoch")?);
        self.stopped_epoch = state.get("stopped_epoch").map(|_| state.count("stopped_epoch")).transpose()?;
        self.best_weights = Some(state.list("weight")).filter(|best| !best.is_empty());
        Ok(())
    }
}
