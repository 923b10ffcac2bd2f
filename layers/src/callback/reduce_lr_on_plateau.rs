use super::monitor::{Monitor, monitored, patient};
use super::{Callback, Context, State, refused};
use modulor::Result;

/// Makes the learning rate smaller when a number has not become better for some epochs: Keras's `ReduceLROnPlateau`.
///
/// The learning rate is put into the logs of every epoch.
///
/// ```
/// use modulor_layers::callback::ReduceLROnPlateau;
/// let plateau = ReduceLROnPlateau::new().factor(0.5).patience(3).min_lr(1e-5);
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    monitor: Monitor,
    factor: f64,
    cooldown: usize,
    min_lr: f64,
    cooldown_counter: usize,
    wait: usize,
}

impl Default for ReduceLROnPlateau {
    fn default() -> Self {
        ReduceLROnPlateau {
            monitor: Monitor::new(1e-4, 10),
            factor: 0.1,
            cooldown: 0,
            min_lr: 0.0,
            cooldown_counter: 0,
            wait: 0,
        }
    }
}

impl ReduceLROnPlateau {
    /// By a factor of 0.1 after 10 epochs in which `val_loss` did not become less.
    pub fn new() -> ReduceLROnPlateau {
        ReduceLROnPlateau::default()
    }

    monitored! { ReduceLROnPlateau }
    patient! { ReduceLROnPlateau, min_delta = "1e-4", patience = "10" }

    /// What the learning rate is multiplied by, above 0 and below 1; 0.1 unless set.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// How many epochs after a reduction are not looked at; 0 unless set.
    #[must_use]
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The smallest learning rate; 0 unless set.
    #[must_use]
    pub fn min_lr(mut self, rate: f64) -> Self {
        self.min_lr = rate;
        self
    }

    fn reduce(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let rate = context.learning_rate()?;
        if rate <= f64::from(self.min_lr as f32) {
            return Ok(());
        }
        let reduced = (rate * self.factor).max(self.min_lr);
        context.set_learning_rate(reduced)?;
        if self.monitor.verbose > 0 {
            println!("\nEpoch {}: ReduceLROnPlateau reducing learning rate to {reduced}.", epoch + 1);
        }
        (self.cooldown_counter, self.wait) = (self.cooldown, 0);
        Ok(())
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &str {
        "reduce_lr_on_plateau"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        self.monitor.check("ReduceLROnPlateau")?;
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(refused("ReduceLROnPlateau", "factor", "above 0 and below 1", self.factor));
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return Err(refused("ReduceLROnPlateau", "min_lr", "a finite number not below 0", self.min_lr));
        }
        (self.cooldown_counter, self.wait, self.monitor.best) = (0, 0, None);
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let rate = context.learning_rate()?;
        context.logs()?.set("learning_rate", rate);
        let Some(current) = self.monitor.value(context, "the learning rate is reduced by")? else { return Ok(()) };
        if self.cooldown_counter > 0 {
            (self.cooldown_counter, self.wait) = (self.cooldown_counter - 1, 0);
        }
        if self.monitor.is_better("ReduceLROnPlateau", current, self.monitor.best, context)? {
            (self.monitor.best, self.wait) = (Some(current), 0);
        } else if self.cooldown_counter == 0 {
            self.wait += 1;
            if self.wait >= self.monitor.patience {
                self.reduce(epoch, context)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        self.monitor.save(&mut state);
        state.set_count("wait", self.wait)?;
        state.set_count("cooldown_counter", self.cooldown_counter)?;
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.monitor.restore(state)?;
        (self.wait, self.cooldown_counter) = (state.count("wait")?, state.count("cooldown_counter")?);
        Ok(())
    }
}
