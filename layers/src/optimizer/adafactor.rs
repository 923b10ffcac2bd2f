use super::class::{as_cast, finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::{Result, Tensor};

optimizer! {
    /// Steps by the root of a running mean of squared gradients, which of matrices is kept as two vectors (Shazeer and Stern
    /// 2018), with lengths that follow those of the variable.
    ///
    /// In step t, with `β = 1 − tᵇ`, where b is `beta_2_decay`, and the mean `q ← β q + (1 − β) (g² + ε₁)`: a variable of
    /// two dims or more has the means of q along its last dim, r, and along the one before, c, in its place, and q is
    /// `r / mean(r) · c`. Then `u = g / √q` and `w − α u / max(1, rms(u) / d)`, with `α = max(ε₂, rms(w)) · min(η, 1 / √t)`
    /// and `clip_threshold` d.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_r`, `<variable>_c` and `<variable>_velocity`, the first
    /// two of `[]` where it has less than two dims. Their order is Keras's. Their names are not: Keras gives both the last
    /// part of the variable's own path (`adafactor/kernel`, for the kernels of all layers), by which nothing can be found
    /// again, and numbers the variables of optimizers in its files.
    Adafactor "adafactor", learning_rate = 0.001, weight_decay = None;
    /// b, 0 or below; -0.8 unless set.
    beta_2_decay: f64 = -0.8;
    /// ε₁, which keeps the divisor from 0; 1e-30 unless set.
    epsilon_1: f64 = 1e-30;
    /// ε₂, the least length that a step is measured by; 0.001 unless set.
    epsilon_2: f64 = 1e-3;
    /// d, above 0; 1 unless set.
    clip_threshold: f64 = 1.0;
    /// Whether a learning rate that is a number is at most `1 / √t`. Of no effect, as in Keras, since α has that at most in
    /// any case.
    relative_step: bool = true;
}

/// The root of the mean of the squares.
fn rms(x: &Tensor) -> Result<Tensor> {
    x.square()?.mean(..)?.sqrt()
}

impl Rule for Adafactor {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["r", "c", "velocity"]]
    }

    fn dims(&self, slot: &str, of: &[usize]) -> Vec<usize> {
        match (slot, of) {
            ("r" | "c", [] | [_]) => Vec::new(),
            ("r", [dims @ .., _]) => dims.to_vec(),
            ("c", [dims @ .., _, last]) => [dims, &[*last]].concat(),
            _ => of.to_vec(),
        }
    }

    fn check(&self) -> Result<()> {
        within("beta_2_decay", self.beta_2_decay, |x| x <= 0.0 && x.is_finite(), "a finite number not above 0")?;
        finite("epsilon_1", self.epsilon_1)?;
        finite("epsilon_2", self.epsilon_2)?;
        within("clip_threshold", self.clip_threshold, |x| x > 0.0 && x.is_finite(), "a finite number above 0")
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let number = step.number(value.dtype())?;
        let rate = step.learning_rate(value.dtype())?.minimum(1.0 / number.sqrt()?)?;
        let alpha = rms(value)?.maximum(as_cast(self.epsilon_2))? * rate;
        let beta = 1.0 - number.pow(self.beta_2_decay)?;
        let mixed = |before: Tensor, now: &Tensor| &beta * before + (1.0 - &beta) * now;
        let squares = gradient.square()? + self.epsilon_1;
        let mean = if value.rank().is_some_and(|rank| rank >= 2) {
            let r = mixed(slots.get("r")?, &squares.mean(-1)?);
            let c = mixed(slots.get("c")?, &squares.mean(-2)?);
            slots.set("r", &r);
            slots.set("c", &c);
            let part = r.div(r.mean(-1)?.expand_dims(-1)?)?;
            part.expand_dims(-1)?.mul(c.expand_dims(-2)?)?
        } else {
            mixed(slots.get("velocity")?, &squares)
        };
        slots.set("velocity", &mean);
        let direction = gradient.div(mean.sqrt()?)?;
        let length = (rms(&direction)? / self.clip_threshold).maximum(1.0)?;
        value.sub(alpha * direction.div(length)?)
    }
}
