use super::{Callback, Context};
use modulor::Result;

/// Sets the learning rate of every epoch by a function of the epoch, from 0, and of the rate before: Keras's
/// `LearningRateScheduler`.
///
/// The learning rate is put into the logs of every epoch. A training that is taken up within an epoch goes on with the rate
/// that it had.
///
/// ```
/// use modulor_layers::callback::LearningRateScheduler;
/// let halving = LearningRateScheduler::new(|epoch, rate| if epoch > 0 { rate / 2.0 } else { rate });
/// ```
pub struct LearningRateScheduler<F> {
    schedule: F,
    verbose: u8,
}

impl<F: FnMut(usize, f64) -> f64 + Send> LearningRateScheduler<F> {
    /// By this function.
    pub fn new(schedule: F) -> LearningRateScheduler<F> {
        LearningRateScheduler { schedule, verbose: 0 }
    }

    /// Whether it says what it does: 0 unless set, or 1.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }
}

impl<F: FnMut(usize, f64) -> f64 + Send> Callback for LearningRateScheduler<F> {
    fn name(&self) -> &str {
        "learning_rate_scheduler"
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let rate = (self.schedule)(epoch, context.learning_rate()?);
        context.set_learning_rate(rate)?;
        if self.verbose > 0 {
            println!("\nEpoch {}: LearningRateScheduler setting learning rate to {rate}.", epoch + 1);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, _: usize, context: &mut Context) -> Result<()> {
        let rate = context.learning_rate()?;
        context.logs()?.set("learning_rate", rate);
        Ok(())
    }
}

impl<F> std::fmt::Debug for LearningRateScheduler<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LearningRateScheduler")
    }
}
