use super::class::optimizer;
use super::{Optimizer, State, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Gradient descent, with or without momentum.
    ///
    /// `w ← w − α·g`; with momentum `v ← μ·v − α·g` and `w ← w + v`, or by Nesterov's rule `w ← w + μ·v − α·g`.
    ///
    /// # Variables
    ///
    /// With momentum, `momentum` for each variable: v.
    SGD "sgd", learning_rate = 0.01, weight_decay = None;
    /// μ, 0 unless set.
    momentum: f64 = 0.0;
    /// Whether Nesterov's rule holds.
    nesterov: bool = false;
}

impl Optimizer for SGD {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn slots(&self) -> Vec<&'static [&'static str]> {
        if self.momentum == 0.0 { Vec::new() } else { vec![&["momentum"]] }
    }

    fn step(&self, at: &Step, value: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let down = gradient * &at.learning_rate;
        let [v] = slots else { return Ok((value.sub(down)?, Vec::new())) };
        let v = v * self.momentum - &down;
        let by = if self.nesterov { &v * self.momentum - down } else { v.clone() };
        Ok((value.add(by)?, vec![v]))
    }
}
