use super::class::{as_cast, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::ops::optimizer::Update;
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

    fn fused(&self) -> Option<Update> {
        Some(match self.momentum {
            0.0 => Update::Descent,
            momentum => Update::Momentum { momentum: as_cast(momentum), nesterov: self.nesterov },
        })
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        step.follow(self, None, value, gradient, slots)
    }
}
