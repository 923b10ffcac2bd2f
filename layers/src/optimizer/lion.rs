use super::class::{as_cast, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Steps of one size, by signs alone (Chen et al. 2023): `w − η sign(β₁ m + (1 − β₁) g)`, then
    /// `m ← β₂ m + (1 − β₂) g`. The learning rate is some 3 to 10 times below Adam's.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_momentum`.
    Lion "lion", learning_rate = 0.001, weight_decay = None;
    /// β₁, above 0 and up to 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, between 0 and 1; 0.99 unless set.
    beta_2: f64 = 0.99;
}

impl Rule for Lion {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum"]]
    }

    fn check(&self) -> Result<()> {
        within("beta_1", self.beta_1, |beta| beta > 0.0 && beta <= 1.0, "above 0 and up to 1")?;
        within("beta_2", self.beta_2, |beta| (0.0..=1.0).contains(&beta), "between 0 and 1")
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let momentum = slots.get("momentum")?;
        let mixed = |beta: f64| &momentum * beta + gradient * (1.0 - beta);
        let sign = mixed(as_cast(self.beta_1)).sign()?;
        slots.set("momentum", &mixed(as_cast(self.beta_2)));
        value.sub(sign.mul(step.learning_rate(value.dtype())?)?)
    }
}
