use super::class::{as_cast, finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Follows the regularized leader (McMahan et al. 2013), for models of many sparse features: with p the
    /// `learning_rate_power`, `n' = n + g²`, `z ← z + g + 2 s w − w (n'⁻ᵖ − n⁻ᵖ) / η`, then
    /// `w = (clip(z, −l₁, l₁) − z) / (n'⁻ᵖ / η + 2 l₂ + β / η)`, which is 0 where z is small. The learning rate must not
    /// be 0.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_accumulator` (n) and `<variable>_linear` (z).
    Ftrl "ftrl", learning_rate = 0.001, weight_decay = None;
    /// p, 0 or less, by which the sum of squares slows the steps down; -0.5 unless set.
    learning_rate_power: f64 = -0.5;
    /// What n begins with, 0 or more; 0.1 unless set.
    initial_accumulator_value: f64 = 0.1;
    /// l₁, 0 or more: how large z must be for w to be other than 0; 0 unless set.
    l1_regularization_strength: f64 = 0.0;
    /// l₂, 0 or more: how much w is drawn to 0; 0 unless set.
    l2_regularization_strength: f64 = 0.0;
    /// s, 0 or more: the part of w that counts as gradient; 0 unless set.
    l2_shrinkage_regularization_strength: f64 = 0.0;
    /// β, 0 or more; 0 unless set.
    beta: f64 = 0.0;
}

impl Rule for Ftrl {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["accumulator", "linear"]]
    }

    fn initial(&self, slot: &str) -> f64 {
        if slot == "accumulator" { as_cast(self.initial_accumulator_value) } else { 0.0 }
    }

    fn check(&self) -> Result<()> {
        let power = self.learning_rate_power;
        within("learning_rate_power", power, |p| p <= 0.0 && p.is_finite(), "a finite number not above 0")?;
        finite("initial_accumulator_value", self.initial_accumulator_value)?;
        finite("l1_regularization_strength", self.l1_regularization_strength)?;
        finite("l2_regularization_strength", self.l2_regularization_strength)?;
        finite("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength)?;
        finite("beta", self.beta)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let (rate, limit) = (step.learning_rate(value.dtype())?, self.l1_regularization_strength);
        let before = slots.get("accumulator")?;
        let sum = before.add(gradient.square()?)?;
        let slowness = |sum: &Tensor| sum.pow(-self.learning_rate_power);
        let (slow, slow_before) = (slowness(&sum)?, slowness(&before)?);
        let shrinking = gradient + value * (2.0 * self.l2_shrinkage_regularization_strength);
        let linear = slots.get("linear")? + (shrinking - (&slow - slow_before) / &rate * value);
        slots.set("accumulator", &sum);
        slots.set("linear", &linear);
        let strength = (self.beta / (&rate * 2.0) + self.l2_regularization_strength) * 2.0;
        linear.clip_by_value(-limit, limit)?.sub(linear)?.div(slow / rate + strength)
    }
}
