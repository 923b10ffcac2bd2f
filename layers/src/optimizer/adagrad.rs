use super::class::{as_cast, finite, optimizer};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Divides gradients by the root of the sum of all their squares so far (Duchi et al. 2011): `n ← n + g²`, then
    /// `w − η g / √(n + ε)`.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_accumulator`.
    Adagrad "adagrad", learning_rate = 0.001, weight_decay = None;
    /// What n begins with, 0 or more; 0.1 unless set.
    initial_accumulator_value: f64 = 0.1;
    /// ε, which keeps the divisor from 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
}

impl Rule for Adagrad {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["accumulator"]]
    }

    fn initial(&self, _: &str) -> f64 {
        as_cast(self.initial_accumulator_value)
    }

    fn check(&self) -> Result<()> {
        finite("initial_accumulator_value", self.initial_accumulator_value)?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let sum = slots.get("accumulator")?.add(gradient.square()?)?;
        slots.set("accumulator", &sum);
        value.sub(gradient.mul(step.learning_rate(value.dtype())?)?.div((sum + self.epsilon).sqrt()?)?)
    }
}
