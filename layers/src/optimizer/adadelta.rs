use super::class::{finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Steps that are to earlier steps as the gradient is to earlier gradients (Zeiler 2012): `v ← ρ v + (1 − ρ) g²`,
    /// `d = g √(s + ε) / √(v + ε)`, `s ← ρ s + (1 − ρ) d²`, then `w − η d`. With a learning rate of 1 as it was published.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_accumulated_grad` (v) and
    /// `<variable>_accumulated_delta_var` (s).
    Adadelta "adadelta", learning_rate = 0.001, weight_decay = None;
    /// ρ, between 0 and 1; 0.95 unless set.
    rho: f64 = 0.95;
    /// ε, which keeps the divisor from 0 and makes the first step more than 0; 1e-7 unless set.
    epsilon: f64 = 1e-7;
}

impl Rule for Adadelta {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["accumulated_grad", "accumulated_delta_var"]]
    }

    fn check(&self) -> Result<()> {
        within("rho", self.rho, |rho| (0.0..=1.0).contains(&rho), "between 0 and 1")?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let mean = |mean: &Tensor, x: &Tensor| (x.square()? * (1.0 - self.rho)).add(mean * self.rho);
        let root = |mean: &Tensor| (mean + self.epsilon).sqrt();
        let squares = mean(&slots.get("accumulated_grad")?, gradient)?;
        let steps = slots.get("accumulated_delta_var")?;
        let change = root(&steps)?.mul(gradient)?.div(root(&squares)?)?;
        slots.set("accumulated_grad", &squares);
        slots.set("accumulated_delta_var", &mean(&steps, &change)?);
        value.sub(change.mul(step.learning_rate(value.dtype())?)?)
    }
}
