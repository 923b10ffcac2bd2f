use super::class::{as_cast, beta, finite, optimizer, within};
use super::{Rule, SlotValues, Step};
use modulor::ops::optimizer::{Update, UpdateStep};
use modulor::{Error, Result, Tensor, Variable};

optimizer! {
    /// Steps whose directions all weigh the same (Jordan et al. 2024), for matrices, and [`AdamW`](super::AdamW) for all
    /// else: `m ← μ m + g`, then `w − η s O(g + μ m)`, or `O(m)` without `nesterov`, where `s = rms_rate·√n` with the longer
    /// dim n.
    ///
    /// O makes the singular values of a matrix near 1: it is divided by its norm, and becomes
    /// `a x + (b A + c A²) x` with `A = x xᵀ`, `ns_steps` times. Every matrix that is no embedding and is not excluded is
    /// updated like this.
    ///
    /// # Variables
    ///
    /// `iteration`, `learning_rate`; for every variable `<variable>_momentum`, and `<variable>_velocity` for those that
    /// Adam updates.
    Muon "muon", learning_rate = 0.001, weight_decay = Some(0.004);
    /// β₁ of Adam, from 0 to below 1; 0.9 unless set.
    adam_beta_1: f64 = 0.9;
    /// β₂ of Adam, from 0 to below 1; 0.999 unless set.
    adam_beta_2: f64 = 0.999;
    /// The weight decay of what Adam updates; 0.004 unless set.
    adam_weight_decay: Option<f64> = Some(0.004);
    /// ε of Adam; 1e-7 unless set.
    epsilon: f64 = 1e-7;
    /// Parts of paths: what has one of them in its path is updated by Adam. Taken as they stand, where Keras takes regular
    /// expressions.
    exclude_layers: Vec<String> = Vec::new();
    /// Whether what has `embedding` in its path is updated by Adam; it is unless this says no.
    exclude_embeddings: bool = true;
    /// a; 3.4445 unless set.
    muon_a: f64 = 3.4445;
    /// b; -4.775 unless set.
    muon_b: f64 = -4.775;
    /// c; 2.0315 unless set.
    muon_c: f64 = 2.0315;
    /// The learning rate of Adam by η; 1 unless set.
    adam_lr_ratio: f64 = 1.0;
    /// μ, between 0 and 1; 0.95 unless set.
    momentum: f64 = 0.95;
    /// How many times O's step is taken; 5 unless set.
    ns_steps: u32 = 5;
    /// Whether the step looks ahead along the momentum; it does unless this says no.
    nesterov: bool = true;
    /// How long a step is beside one of Adam, which makes it fit Adam's learning rates; 0.2 unless set, and `None` for an s
    /// of 1.
    rms_rate: Option<f64> = Some(0.2);
}

impl Muon {
    /// Whether Adam updates this variable.
    fn by_adam(&self, variable: &Variable) -> bool {
        let path = variable.path().unwrap_or_else(|| variable.name());
        variable.shape().is_none_or(|dims| dims.len() != 2)
            || self.exclude_embeddings && path.to_lowercase().contains("embedding")
            || self.exclude_layers.iter().any(|part| path.contains(part))
    }

    /// O of a matrix.
    fn orthogonal(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.div(x.norm(..)? + 1e-7)?;
        for _ in 0..self.ns_steps {
            let square = x.matmul_with(&x, false, true)?;
            let step = &square * self.muon_b + (&square * self.muon_c).matmul(&square)?;
            x = &x * self.muon_a + step.matmul(&x)?;
        }
        Ok(x)
    }
}

impl Rule for Muon {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        vec![&["momentum", "velocity"]]
    }

    fn keeps(&self, variable: &Variable, slot: &str) -> bool {
        slot != "velocity" || self.by_adam(variable)
    }

    fn decay(&self, variable: &Variable, usual: Option<f64>) -> Option<f64> {
        if self.by_adam(variable) { self.adam_weight_decay } else { usual }
    }

    fn check(&self) -> Result<()> {
        beta("adam_beta_1", self.adam_beta_1)?;
        beta("adam_beta_2", self.adam_beta_2)?;
        finite("adam_weight_decay", self.adam_weight_decay.unwrap_or_default())?;
        finite("epsilon", self.epsilon)?;
        finite("adam_lr_ratio", self.adam_lr_ratio)?;
        finite("rms_rate", self.rms_rate.unwrap_or_default())?;
        within("momentum", self.momentum, |momentum| (0.0..=1.0).contains(&momentum), "between 0 and 1")
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        let (rate, momentum) = (step.learning_rate(value.dtype())?, slots.get("momentum")?);
        if let Ok(velocity) = slots.get("velocity") {
            let (beta_1, beta_2, epsilon) = (self.adam_beta_1, self.adam_beta_2, self.epsilon);
            let update =
                Update::Adam { beta_1, beta_2, powers: [beta_1, beta_2].map(as_cast), epsilon, amsgrad: false };
            let adam = UpdateStep { update, weight_decay: None };
            let (rate, number) = (rate * self.adam_lr_ratio, step.number(value.dtype())?);
            let after = adam.call(value, gradient, &[&momentum, &velocity], &rate, &number)?;
            let [value, momentum, velocity] = &after[..] else {
                return Err(Error::internal("Adam gives a value and two slots"));
            };
            slots.set("momentum", momentum);
            slots.set("velocity", velocity);
            return Ok(value.clone());
        }
        let momentum = &momentum + (gradient + &momentum * (self.momentum - 1.0));
        slots.set("momentum", &momentum);
        let ahead = if self.nesterov { gradient + &momentum * self.momentum } else { momentum };
        let [rows, columns] = *value.dims()? else { return Err(Error::internal("Muon is for matrices")) };
        let direction = match rows > columns {
            true => self.orthogonal(&ahead.transpose()?)?.transpose()?,
            false => self.orthogonal(&ahead)?,
        };
        let scale = self.rms_rate.map_or(1.0, |rate| (rows.max(columns) as f64).sqrt() * rate);
        value.sub(direction.mul(rate)? * scale)
    }
}
