use super::class::{as_cast, beta, finite, optimizer};
use super::{Rule, SlotValues, Step};
use modulor::ops::optimizer::Update;
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

macro_rules! rules {
    ($($class:ident)*) => { $(
        impl Rule for $class {
            fn slots(&self) -> Vec<&'static [&'static str]> {
                let both: &[_] = &["momentum", "velocity"];
                if self.amsgrad { vec![both, &["velocity_hat"]] } else { vec![both] }
            }

            fn check(&self) -> Result<()> {
                beta("beta_1", self.beta_1)?;
                beta("beta_2", self.beta_2)?;
                finite("epsilon", self.epsilon)
            }

            fn fused(&self) -> Option<Update> {
                let $class { beta_1, beta_2, epsilon, amsgrad, .. } = *self;
                Some(Update::Adam { beta_1, beta_2, powers: [beta_1, beta_2].map(as_cast), epsilon, amsgrad })
            }

            fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
                step.follow(self, None, value, gradient, slots)
            }
        }
    )* };
}
rules! { Adam AdamW }
