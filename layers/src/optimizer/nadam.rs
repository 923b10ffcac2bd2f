use super::class::{as_cast, beta, finite, optimizer};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor, Variable};

optimizer! {
    /// [`Adam`](super::Adam) with Nesterov's momentum (Dozat 2016): with m and v as there, `μₜ = β₁ (1 − ½·0.96ᵗ)` in step
    /// t, and Π the product of all μ from the first, `w − η m̂ / (√(v / (1 − β₂ᵗ)) + ε)` with
    /// `m̂ = μₜ₊₁ m / (1 − Πₜ₊₁) + (1 − μₜ) g / (1 − Πₜ)`.
    ///
    /// # Variables
    ///
    /// As [`Adam`](super::Adam) has without `amsgrad`, and then `variable`, as Keras calls it: Π, of the dtype of the first
    /// variable.
    Nadam "nadam", learning_rate = 0.001, weight_decay = None, variable;
    /// β₁, from 0 to below 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
}

/// How fast μ comes near β₁.
const DECAY: f64 = 0.96;

impl Rule for Nadam {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum", "velocity"]]
    }

    fn shared(&self) -> Option<(&Variable, f64)> {
        Some((&self.variable, 1.0))
    }

    fn advance(&self, shared: &Tensor, step: &Step) -> Result<Tensor> {
        (shared * self.beta_1).mul(1.0 - step.power(DECAY, shared.dtype())? * 0.5)
    }

    fn check(&self) -> Result<()> {
        beta("beta_1", self.beta_1)?;
        beta("beta_2", self.beta_2)?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let dtype = value.dtype();
        let [beta_1, beta_2, decay] = [self.beta_1, self.beta_2, DECAY].map(as_cast);
        let decayed = step.power(decay, dtype)?;
        let share = (1.0 - &decayed * 0.5) * beta_1;
        let next_share = (1.0 - decayed * decay * 0.5) * beta_1;
        let product = step.shared(dtype)?;
        let next_product = &product * &next_share;

        let (momentum, velocity) = (slots.get("momentum")?, slots.get("velocity")?);
        let momentum = &momentum + (gradient - &momentum) * (1.0 - beta_1);
        let velocity = &velocity + (gradient.square()? - &velocity) * (1.0 - beta_2);
        slots.set("momentum", &momentum);
        slots.set("velocity", &velocity);
        let ahead = momentum.mul(next_share)? / (1.0 - next_product) + gradient * (1.0 - share) / (1.0 - product);
        let root = velocity.div(1.0 - step.power(beta_2, dtype)?)?.sqrt()?;
        value.sub(ahead.mul(step.learning_rate(dtype)?)?.div(root + self.epsilon)?)
    }
}
