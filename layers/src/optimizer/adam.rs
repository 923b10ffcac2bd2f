use super::class::{as_cast, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Steps by the running mean of the gradients over the root of that of their squares (Kingma and Ba):
    /// `m ← m + (1 − β₁)(g − m)`, `v ← v + (1 − β₂)(g² − v)`, then `w − α m / (√v + ε)` with
    /// `α = η √(1 − β₂ᵗ) / (1 − β₁ᵗ)` in step t. With `amsgrad` the largest v so far stands in the place of v.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_momentum`, `<variable>_velocity` and, with `amsgrad`,
    /// `<variable>_velocity_hat`.
    Adam "adam", learning_rate = 0.001, weight_decay = None;
    /// β₁, from 0 to below 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the largest v so far divides.
    amsgrad: bool = false;
}

optimizer! {
    /// [`Adam`] with decoupled weight decay (Loshchilov and Hutter): before the update, `w ← w − λ η w`.
    ///
    /// # Variables
    ///
    /// As [`Adam`] has.
    AdamW "adam_w", learning_rate = 0.001, weight_decay = Some(0.004);
    /// β₁, from 0 to below 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the largest v so far divides.
    amsgrad: bool = false;
}

/// The settings of the formula that both have.
struct Formula {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
}

macro_rules! rules {
    ($($class:ident)*) => { $(
        impl $class {
            fn formula(&self) -> Formula {
                let $class { beta_1, beta_2, epsilon, amsgrad, .. } = *self;
                Formula { beta_1, beta_2, epsilon, amsgrad }
            }
        }

        impl Rule for $class {
            fn slots(&self) -> Vec<&'static [&'static str]> {
                self.formula().slots()
            }

            fn check(&self) -> Result<()> {
                self.formula().check()
            }

            fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
                self.formula().update(value, gradient, slots, step)
            }
        }
    )* };
}
rules! { Adam AdamW }

impl Rule for Formula {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        let both: &[_] = &["momentum", "velocity"];
        if self.amsgrad { vec![both, &["velocity_hat"]] } else { vec![both] }
    }

    fn check(&self) -> Result<()> {
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            within(name, beta, |beta| (0.0..1.0).contains(&beta), "from 0 to below 1")?;
        }
        within("epsilon", self.epsilon, |e| e >= 0.0 && e.is_finite(), "a finite number not below 0")
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let dtype = value.dtype();
        let power = |beta| Tensor::number(as_cast(beta), dtype)?.pow(step.number(dtype)?);
        let (momentum, velocity) = (slots.get("momentum")?, slots.get("velocity")?);

        let unbiased = (1.0 - power(self.beta_2)?).sqrt()?;
        let alpha = step.learning_rate(dtype)? * unbiased / (1.0 - power(self.beta_1)?);
        let momentum = &momentum + (gradient - &momentum) * (1.0 - self.beta_1);
        let mut velocity = &velocity + (gradient.square()? - &velocity) * (1.0 - self.beta_2);
        slots.set("momentum", &momentum);
        slots.set("velocity", &velocity);
        if self.amsgrad {
            velocity = slots.get("velocity_hat")?.maximum(&velocity)?;
            slots.set("velocity_hat", &velocity);
        }
        value.sub(momentum * alpha / (velocity.sqrt()? + self.epsilon))
    }
}
