use super::class::optimizer;
use super::{Optimizer, State, Step, beside};
use modulor::{Result, Tensor};

optimizer! {
    /// Adam: Kingma and Ba, "Adam: a method for stochastic optimization".
    ///
    /// `m ← m + (g − m)·(1 − β₁)`, `v ← v + (g² − v)·(1 − β₂)`, `w ← w − α·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)`; with
    /// `amsgrad` the greatest v so far is in the place of v.
    ///
    /// # Variables
    ///
    /// For each variable `momentum` and `velocity`: m and v; with `amsgrad` also `velocity_hat`.
    Adam "adam", learning_rate = 0.001, weight_decay = None;
    /// β₁, 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the greatest v so far counts: Reddi et al., "On the convergence of Adam and beyond".
    amsgrad: bool = false;
}

optimizer! {
    /// [`Adam`] with weight decay, 0.004 unless set: Loshchilov and Hutter, "Decoupled weight decay regularization".
    ///
    /// # Variables
    ///
    /// As [`Adam`].
    AdamW "adam_w", learning_rate = 0.001, weight_decay = Some(0.004);
    /// β₁, 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Whether the greatest v so far counts.
    amsgrad: bool = false;
}

/// The formulas of both.
macro_rules! adam {
    ($($class:ident)*) => { $(
        impl Optimizer for $class {
            fn state(&self) -> &State {
                &self.state
            }

            fn state_mut(&mut self) -> &mut State {
                &mut self.state
            }

            fn slots(&self) -> Vec<&'static [&'static str]> {
                let both: &[_] = &["momentum", "velocity"];
                if self.amsgrad { vec![both, &["velocity_hat"]] } else { vec![both] }
            }

            fn step(
                &self,
                at: &Step,
                value: &Tensor,
                gradient: &Tensor,
                slots: &[Tensor],
            ) -> Result<(Tensor, Vec<Tensor>)> {
                let power = |beta: f64| beside(beta, value.dtype())?.pow(&at.number);
                let rate = &at.learning_rate * (1.0 - power(self.beta_2)?).sqrt()? / (1.0 - power(self.beta_1)?);
                let m = &slots[0] + (gradient - &slots[0]) * (1.0 - self.beta_1);
                let v = &slots[1] + (gradient.square()? - &slots[1]) * (1.0 - self.beta_2);
                let (scale, kept) = match slots.get(2) {
                    Some(greatest) => {
                        let greatest = greatest.maximum(&v)?;
                        (greatest.clone(), vec![m.clone(), v, greatest])
                    }
                    None => (v.clone(), vec![m.clone(), v]),
                };
                Ok((value.sub(m * rate / (scale.sqrt()? + self.epsilon))?, kept))
            }
        }
    )* };
}

adam!(Adam AdamW);
