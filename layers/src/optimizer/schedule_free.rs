use super::class::{as_cast, beta, finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// [`AdamW`](super::AdamW) that needs no schedule (Defazio et al. 2024): it moves z, averages what z was, x, and puts the
    /// variable between them.
    ///
    /// In step t, `v ← v + (1 − β₂)(g² − v)`, `z ← z − η g / (√(v / (1 − β₂ᵗ)) + ε)`, `x ← (1 − 1/t) x + z / t`, then
    /// `w = (1 − β₁) z + β₁ x`. z begins as w does, and x is not kept: it follows from z and w. For the first `warmup_steps`
    /// steps, η is `t / warmup_steps` of what it will be.
    ///
    /// Keras 3.15 computes the same, but for TensorFlow's variables, of which it takes the new z where it means the old one.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_momentum`, which is z, and `<variable>_velocity`.
    ScheduleFreeAdamW "schedule_free_adam_w", learning_rate = 0.0025, weight_decay = None;
    /// β₁, above 0 and up to 1; 0.9 unless set.
    beta_1: f64 = 0.9;
    /// β₂, from 0 to below 1; 0.999 unless set.
    beta_2: f64 = 0.999;
    /// ε, which keeps the divisor from 0; 1e-8 unless set.
    epsilon: f64 = 1e-8;
    /// For how many steps the learning rate rises; 0 unless set.
    warmup_steps: u32 = 0;
}

impl Rule for ScheduleFreeAdamW {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum", "velocity"]]
    }

    fn begins_as_variable(&self, slot: &str) -> bool {
        slot == "momentum"
    }

    fn check(&self) -> Result<()> {
        within("beta_1", self.beta_1, |beta| beta > 0.0 && beta <= 1.0, "above 0 and up to 1")?;
        beta("beta_2", self.beta_2)?;
        finite("epsilon", self.epsilon)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let [beta_1, beta_2, epsilon] = [self.beta_1, self.beta_2, self.epsilon].map(as_cast);
        let (number, mut rate) = (step.number(value.dtype())?, step.learning_rate(value.dtype())?);
        if self.warmup_steps > 0 {
            rate *= (&number / f64::from(self.warmup_steps)).minimum(1.0)?;
        }
        let (before, velocity) = (slots.get("momentum")?, slots.get("velocity")?);
        let velocity = &velocity + (gradient.square()? - &velocity) * (1.0 - beta_2);
        let root = velocity.div(1.0 - step.power(beta_2, value.dtype())?)?.sqrt()?;
        let after = &before - rate * gradient / (root + epsilon);
        slots.set("momentum", &after);
        slots.set("velocity", &velocity);
        let (share, average) = (1.0 / number, (value - &before * (1.0 - beta_1)) / beta_1);
        let average = (1.0 - &share) * average + share * &after;
        (&after * (1.0 - beta_1)).add(average * beta_1)
    }
}
