use super::class::{as_cast, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Gradient descent, `w − η g`, with momentum if set: `m ← μ m − η g`, then `w + m`, or by Nesterov
    /// `w + μ m − η g`.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`, and with momentum `<variable>_momentum` for every variable.
    SGD "sgd", learning_rate = 0.01, weight_decay = None;
    /// μ, between 0 and 1; none of it unless set.
    momentum: f64 = 0.0;
    /// Whether the step looks ahead along the momentum.
    nesterov: bool = false;
}

impl Rule for SGD {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        if self.momentum == 0.0 { vec![] } else { vec![&["momentum"]] }
    }

    fn check(&self) -> Result<()> {
        within("momentum", self.momentum, |momentum| (0.0..=1.0).contains(&momentum), "between 0 and 1")
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let change = gradient.mul(step.learning_rate(value.dtype())?)?;
        if self.momentum == 0.0 {
            return value.sub(change);
        }
        let part = as_cast(self.momentum);
        let momentum = slots.get("momentum")? * part - &change;
        slots.set("momentum", &momentum);
        if self.nesterov { value.add(momentum * part - change) } else { value.add(momentum) }
    }
}
