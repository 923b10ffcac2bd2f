use super::class::{as_cast, beta, finite, optimizer};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// [`Adam`](super::Adam) with the largest gradient in the place of the mean square (Kingma and Ba):
    /// `m ← m + (1 − β₁)(g − m)`, `u ← max(β₂ u, |g|)`, then `w − η m / ((1 − β₁ᵗ)(u + ε))` in step t.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_momentum` and `<variable>_norm`.
    Adamax "adamax", learning_rate = 0.001, weight_decay = None;
    /// β₁, from 0 to below 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
}

impl Rule for Adamax {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum", "norm"]]
    }

    fn check(&self) -> Result<()> {
        beta("beta_1", self.beta_1)?;
        beta("beta_2", self.beta_2)?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let momentum = slots.get("momentum")?;
        let momentum = &momentum + (gradient - &momentum) * (1.0 - self.beta_1);
        let norm = (slots.get("norm")? * self.beta_2).maximum(gradient.abs()?)?;
        slots.set("momentum", &momentum);
        slots.set("norm", &norm);
        let left = 1.0 - step.power(as_cast(self.beta_1), value.dtype())?;
        value.sub(momentum.mul(step.learning_rate(value.dtype())?)?.div(left.mul(norm + self.epsilon)?)?)
    }
}
