use super::{Callback, Context, State};
use modulor::variable::{commit, snapshot};
use modulor::{Error, ModuleExt, Result, Tensor, Variable};

/// Evaluates and predicts with the moving averages of the weights, which an optimizer with `use_ema` keeps: Keras's
/// `SwapEMAWeights`.
///
/// For an evaluation the averages and the weights change places, and back after it. With `swap_on_epoch` they stay so from
/// the end of an epoch to the beginning of the next, so that what is saved there are the averages.
#[derive(Clone, Debug, Default)]
pub struct SwapEMAWeights {
    swap_on_epoch: bool,
    are_swapped: bool,
}

impl SwapEMAWeights {
    /// For evaluations.
    pub fn new() -> SwapEMAWeights {
        SwapEMAWeights::default()
    }

    /// Whether they stay swapped between two epochs.
    #[must_use]
    pub fn swap_on_epoch(mut self, swap: bool) -> Self {
        self.swap_on_epoch = swap;
        self
    }

    fn pairs(context: &Context) -> Result<Vec<(Variable, Variable)>> {
        let variables = context.model().trainable_variables();
        let pairs = context.optimizer().averages(&variables)?;
        pairs.ok_or_else(|| Error::failed_precondition("the optimizer keeps no averages: it must have `use_ema`"))
    }

    /// Has the averages in the place of the weights, or not any more.
    fn swap(&mut self, swapped: bool, context: &Context) -> Result<()> {
        if self.are_swapped == swapped {
            return Ok(());
        }
        let (left, right): (Vec<Variable>, Vec<Variable>) = Self::pairs(context)?.into_iter().unzip();
        let all: Vec<Variable> = left.iter().chain(&right).cloned().collect();
        let mut values = snapshot(&all)?;
        values.rotate_left(left.len());
        commit(all.into_iter().zip(values))?;
        self.are_swapped = swapped;
        Ok(())
    }
}

impl Callback for SwapEMAWeights {
    fn name(&self) -> &str {
        "swap_ema_weights"
    }

    fn on_train_begin(&mut self, context: &mut Context) -> Result<()> {
        self.are_swapped = false;
        Self::pairs(context).map(|_| ())
    }

    fn on_epoch_begin(&mut self, _: usize, context: &mut Context) -> Result<()> {
        self.swap(false, context)
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        if !self.swap_on_epoch {
            return Ok(());
        }
        self.swap(true, context)?;
        if epoch + 1 == context.params().epochs {
            // The end of training puts the averages in the place of the weights once more.
            let (weights, averages): (Vec<Variable>, Vec<Variable>) = Self::pairs(context)?.into_iter().unzip();
            commit(averages.into_iter().zip(snapshot(&weights)?))?;
        }
        Ok(())
    }

    fn on_test_begin(&mut self, context: &mut Context) -> Result<()> {
        self.swap(true, context)
    }

    fn on_test_end(&mut self, context: &mut Context) -> Result<()> {
        self.swap(false, context)
    }

    fn on_predict_begin(&mut self, context: &mut Context) -> Result<()> {
        self.swap(true, context)
    }

    fn on_predict_end(&mut self, context: &mut Context) -> Result<()> {
        self.swap(false, context)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        state.set("are_swapped", &Tensor::scalar(self.are_swapped));
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.are_swapped = state.get("are_swapped").map(Tensor::item::<bool>).transpose()?.unwrap_or(false);
        Ok(())
    }
}
