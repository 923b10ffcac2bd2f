use super::class::{finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::ops::optimizer::Update;
use modulor::{Result, Tensor};

optimizer! {
    /// Divides gradients by the root of the running mean of their squares: `v ← ρ v + (1 − ρ) g²`, then
    /// `w − η g / √(v + ε)`. If `centered`, the square of the gradients' own running mean is taken from v; with momentum,
    /// `b ← μ b + η g / √(v + ε)` and `w − b`.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_velocity`, with momentum `<variable>_momentum`, if
    /// centered `<variable>_average_gradient`.
    RMSprop "rm_sprop", learning_rate = 0.001, weight_decay = None;
    /// ρ, between 0 and 1; 0.9 unless set.
    rho: f64 = 0.9;
    /// μ, 0 or more; none of it unless set.
    momentum: f64 = 0.0;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the variance of the gradients divides, and not the mean of their squares.
    centered: bool = false;
}

impl Rule for RMSprop {
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

    fn check(&self) -> Result<()> {
        within("rho", self.rho, |rho| (0.0..=1.0).contains(&rho), "between 0 and 1")?;
        finite("momentum", self.momentum)?;
        finite("epsilon", self.epsilon)
    }

    fn fused(&self) -> Option<Update> {
        let RMSprop { rho, momentum, epsilon, centered, .. } = *self;
        Some(Update::RmsProp { rho, momentum, epsilon, centered })
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        step.follow(self, None, value, gradient, slots)
    }
}
