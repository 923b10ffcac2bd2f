use super::class::optimizer;
use super::{Optimizer, State, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// RMSprop: gradients over the root of the mean of their squares, as Hinton proposed in his lectures.
    ///
    /// `v ← ρ·v + (1 − ρ)·g²` and `w ← w − α·g/√(v + ε)`. If `centered`, the square of `ḡ ← ρ·ḡ + (1 − ρ)·g` is taken from
    /// v; with momentum, `p ← μ·p + α·g/√(v + ε)` and `w ← w − p`.
    ///
    /// # Variables
    ///
    /// For each variable `velocity`: v; with momentum `momentum`: p; if centered `average_gradient`: ḡ.
    RMSprop "rm_sprop", learning_rate = 0.001, weight_decay = None;
    /// ρ, 0.9 unless set.
    rho: f64 = 0.9;
    /// μ, 0 unless set.
    momentum: f64 = 0.0;
    /// ε, 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the variance of the gradients stands in the place of the mean of their squares.
    centered: bool = false;
}

impl Optimizer for RMSprop {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn slots(&self) -> Vec<&'static [&'static str]> {
        let mut slots: Vec<&'static [&'static str]> = vec![&["velocity"]];
        if self.momentum > 0.0 {
            slots.push(&["momentum"]);
        }
        if self.centered {
            slots.push(&["average_gradient"]);
        }
        slots
    }

    fn step(&self, at: &Step, value: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let mean = |of: &Tensor, new: &Tensor| of * self.rho + new * (1.0 - self.rho);
        let v = mean(&slots[0], &gradient.square()?);
        let mut kept = vec![v.clone()];
        let average = self.centered.then(|| mean(&slots[slots.len() - 1], gradient));
        let variance = match &average {
            Some(average) => v - average.square()?,
            None => v,
        };
        let mut by = &at.learning_rate * gradient / (variance + self.epsilon).sqrt()?;
        if self.momentum > 0.0 {
            by = &slots[1] * self.momentum + by;
            kept.push(by.clone());
        }
        kept.extend(average);
        Ok((value.sub(by)?, kept))
    }
}
