//! Where variables may be: Keras's constraints, with its names, arguments, defaults and configurations.
//!
//! ```
//! use modulor::Tensor;
//! use modulor::variable::Constraint;
//! use modulor_layers::constraint::MaxNorm;
//! # fn main() -> modulor::Result<()> {
//! let w = MaxNorm { max_value: 1.0, ..Default::default() }.project(&Tensor::from([[3.0_f64], [4.0]]))?;
//! assert!((w.square()?.sum(..)?.item::<f64>()? - 1.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

use crate::OrNone;
use crate::family::{EPSILON, NoSettings, family, no_settings};
use modulor::variable::{Constraint, IntoConstraint};
use modulor::{Result, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One axis or several, as a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    /// One.
    One(i64),
    /// Several.
    Several(Vec<i64>),
}

impl Default for Axis {
    fn default() -> Self {
        Axis::One(0)
    }
}

impl From<i64> for Axis {
    fn from(axis: i64) -> Self {
        Axis::One(axis)
    }
}

impl<const N: usize> From<[i64; N]> for Axis {
    fn from(axes: [i64; N]) -> Self {
        Axis::Several(axes.to_vec())
    }
}

impl Axis {
    fn as_slice(&self) -> &[i64] {
        match self {
            Axis::One(axis) => std::slice::from_ref(axis),
            Axis::Several(axes) => axes,
        }
    }
}

/// `max(w, 0)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "NoSettings", from = "NoSettings")]
pub struct NonNeg;

no_settings!(NonNeg);

impl Constraint for NonNeg {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.maximum(0.0)
    }
}

/// `w`, shortened along the axes to at most a length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaxNorm {
    /// The greatest length; 2 unless set.
    pub max_value: f64,
    /// The axes of one vector; 0, the inputs of a dense kernel, unless set.
    pub axis: Axis,
}

impl Default for MaxNorm {
    fn default() -> Self {
        MaxNorm { max_value: 2.0, axis: Axis::default() }
    }
}

impl Constraint for MaxNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        let norm = norm(w, &self.axis)?;
        scaled(w, &clipped(&norm, 0.0, self.max_value)?, &norm)
    }
}

/// `w`, scaled along the axes so that its length lies between two, or on its way there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinMaxNorm {
    /// The least length; 0 unless set.
    pub min_value: f64,
    /// The greatest length; 1 unless set.
    pub max_value: f64,
    /// How much of the way each projection goes; 1, all of it, unless set.
    pub rate: f64,
    /// The axes of one vector; 0 unless set.
    pub axis: Axis,
}

impl Default for MinMaxNorm {
    fn default() -> Self {
        MinMaxNorm { min_value: 0.0, max_value: 1.0, rate: 1.0, axis: Axis::default() }
    }
}

impl Constraint for MinMaxNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        let norm = norm(w, &self.axis)?;
        let wanted = clipped(&norm, self.min_value, self.max_value)? * self.rate + &norm * (1.0 - self.rate);
        scaled(w, &wanted, &norm)
    }
}

/// `w`, scaled along the axes to length 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnitNorm {
    /// The axes of one vector; 0 unless set.
    pub axis: Axis,
}

impl Constraint for UnitNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.div(norm(w, &self.axis)? + EPSILON)
    }
}

fn norm(w: &Tensor, axis: &Axis) -> Result<Tensor> {
    w.square()?.sum_keepdims(axis.as_slice())?.sqrt()
}

fn clipped(norm: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    norm.minimum(high)?.maximum(low)
}

fn scaled(w: &Tensor, wanted: &Tensor, norm: &Tensor) -> Result<Tensor> {
    w.mul(wanted / (norm + EPSILON))
}

family! {
    /// Any of this module's constraints: the setting of a layer that lets its user choose.
    ///
    /// ```
    /// use modulor_layers::constraint::{AnyConstraint, NonNeg};
    /// # fn main() -> modulor::Result<()> {
    /// assert_eq!(AnyConstraint::named("non_neg")?, NonNeg.into());
    /// # Ok(())
    /// # }
    /// ```
    AnyConstraint: Constraint, "constraint" of "keras.constraints", listed in CONSTRAINTS;
    MaxNorm "max_norm";
    MinMaxNorm "min_max_norm";
    NonNeg "non_neg" "nonneg";
    UnitNorm "unit_norm";
}

impl Constraint for AnyConstraint {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        self.inner()?.project(w)
    }
}

impl IntoConstraint for OrNone<AnyConstraint> {
    fn into_constraint(self) -> Option<Arc<dyn Constraint>> {
        self.0.into_constraint()
    }
}

/// The constraint of a name, for core.
pub(crate) fn by_name(name: &str) -> Result<Arc<dyn Constraint>> {
    AnyConstraint::named(name).map(|any| Arc::new(any) as Arc<dyn Constraint>)
}
