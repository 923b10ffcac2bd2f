use super::class::{as_cast, beta, finite, optimizer};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// [`Adam`](super::Adam) for large batches (You et al. 2019): with m and v as there and
    /// `u = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`, the step is `w − η u ‖w‖ / ‖u‖`, norms of the whole variable; where one
    /// of them is 0, `w − η u`.
    ///
    /// # Variables
    ///
    /// As [`Adam`](super::Adam) has without `amsgrad`.
    Lamb "lamb", learning_rate = 0.001, weight_decay = None;
    /// β₁, from 0 to below 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
}

impl Rule for Lamb {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum", "velocity"]]
    }

    fn check(&self) -> Result<()> {
        beta("beta_1", self.beta_1)?;
        beta("beta_2", self.beta_2)?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let left = |beta: f64| step.power(as_cast(beta), value.dtype()).map(|power| 1.0 - power);
        let (momentum, velocity) = (slots.get("momentum")?, slots.get("velocity")?);
        let momentum = &momentum + (gradient - &momentum) * (1.0 - self.beta_1);
        let velocity = &velocity + (gradient.square()? - &velocity) * (1.0 - self.beta_2);
        slots.set("momentum", &momentum);
        slots.set("velocity", &velocity);
        let root = velocity.div(left(self.beta_2)?)?.sqrt()?;
        let update = momentum.div(left(self.beta_1)?)?.div(root + self.epsilon)?;
        let [long, change] = [value, &update].map(|x| x.square()?.sum(..)?.sqrt());
        let (long, change) = (long?, change?);
        let both = long.greater(0.0)?.logical_and(&change.greater(0.0)?)?;
        let ratio = both.select(&long.div(&change)?, &long.ones_like()?)?;
        value.sub(ratio.mul(step.learning_rate(value.dtype())?)?.mul(update)?)
    }
}
