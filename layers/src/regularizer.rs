//! What variables cost: Keras's regularizers, with its names, arguments, defaults and configurations.
//!
//! ```
//! use modulor::Tensor;
//! use modulor::variable::Regularizer;
//! use modulor_layers::regularizer::L2;
//! # fn main() -> modulor::Result<()> {
//! let penalty = L2 { l2: 0.5 }.penalty(&Tensor::from([1.0_f32, -2.0]))?;
//! assert_eq!(penalty.item::<f32>()?, 2.5);
//! # Ok(())
//! # }
//! ```

use crate::OrNone;
use crate::family::{EPSILON, as_float32, family, not_negative};
use modulor::variable::{IntoRegularizer, Regularizer};
use modulor::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `l1 · Σ|w|`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1 {
    /// The factor; 0.01 unless set.
    #[serde(serialize_with = "as_float32")]
    pub l1: f64,
}

impl Default for L1 {
    fn default() -> Self {
        L1 { l1: 0.01 }
    }
}

impl Regularizer for L1 {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        w.abs()?.sum(..).map(|sum| sum * self.l1).and_then(checked("l1", self.l1))
    }
}

/// `l2 · Σw²`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L2 {
    /// The factor; 0.01 unless set.
    pub l2: f64,
}

impl Default for L2 {
    fn default() -> Self {
        L2 { l2: 0.01 }
    }
}

impl Regularizer for L2 {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        w.square()?.sum(..).map(|sum| sum * self.l2).and_then(checked("l2", self.l2))
    }
}

/// `l1 · Σ|w| + l2 · Σw²`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1L2 {
    /// The factor of the magnitudes; 0 unless set.
    pub l1: f64,
    /// The factor of the squares; 0 unless set.
    pub l2: f64,
}

impl Regularizer for L1L2 {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        Ok(L1 { l1: self.l1 }.penalty(w)? + L2 { l2: self.l2 }.penalty(w)?)
    }
}

/// The mean magnitude of the cosines between the rows (or columns) of a matrix, times a factor: it pulls them towards
/// right angles. An error for another rank than 2, and for a matrix of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrthogonalRegularizer {
    /// The factor; 0.01 unless set.
    #[serde(serialize_with = "as_float32")]
    pub factor: f64,
    /// What shall be orthogonal.
    pub mode: OrthogonalMode,
}

/// What an [`OrthogonalRegularizer`] looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrthogonalMode {
    /// The rows.
    #[default]
    Rows,
    /// The columns.
    Columns,
}

impl Default for OrthogonalRegularizer {
    fn default() -> Self {
        OrthogonalRegularizer { factor: 0.01, mode: OrthogonalMode::Rows }
    }
}

impl Regularizer for OrthogonalRegularizer {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        let &[rows, columns] = w.dims()? else {
            return Err(Error::invalid_argument(format!(
                "OrthogonalRegularizer takes a matrix, found a tensor of shape {}",
                w.shape()
            )));
        };
        let (size, along) = match self.mode {
            OrthogonalMode::Rows => (rows, 1),
            OrthogonalMode::Columns => (columns, 0),
        };
        if size < 2 {
            return Err(Error::invalid_argument(format!(
                "there is no angle among {size} vectors; at least 2 are needed"
            )));
        }
        // A vector shorter than Keras's ε stays short.
        let units = w * w.square()?.sum_keepdims(along)?.maximum(EPSILON * EPSILON)?.rsqrt()?;
        let cosines = match self.mode {
            OrthogonalMode::Rows => units.matmul_with(&units, false, true)?,
            OrthogonalMode::Columns => units.matmul_with(&units, true, false)?,
        };
        let index = Tensor::new([size], (0..size as i64).collect::<Vec<_>>())?;
        let others = index.reshape([-1, 1])?.not_equal(&index)?.cast(w.dtype())?;
        let pairs = size as f64 * (size as f64 - 1.0) / 2.0;
        let sum = (cosines * others).abs()?.sum(..)?;
        checked("factor", self.factor)(sum * (self.factor * 0.5) / pairs)
    }
}

/// Lets a penalty pass if its factor is one that Keras takes.
fn checked(name: &'static str, factor: f64) -> impl FnOnce(Tensor) -> Result<Tensor> {
    move |penalty| {
        not_negative(name, factor)?;
        penalty.check()?;
        Ok(penalty)
    }
}

family! {
    /// Any of this module's regularizers: the setting of a layer that lets its user choose.
    ///
    /// ```
    /// use modulor_layers::regularizer::{AnyRegularizer, L2};
    /// # fn main() -> modulor::Result<()> {
    /// assert_eq!(AnyRegularizer::named("l2")?, L2::default().into());
    /// # Ok(())
    /// # }
    /// ```
    AnyRegularizer: Regularizer, "regularizer" of "keras.regularizers", listed in REGULARIZERS;
    L1 "l1";
    L2 "l2";
    L1L2 "l1_l2";
    OrthogonalRegularizer "orthogonal_regularizer";
}

impl Regularizer for AnyRegularizer {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        self.inner()?.penalty(w)
    }
}

impl IntoRegularizer for OrNone<AnyRegularizer> {
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> {
        self.0.into_regularizer()
    }
}

/// The regularizer of a name, for core.
pub(crate) fn by_name(name: &str) -> Result<Arc<dyn Regularizer>> {
    AnyRegularizer::named(name).map(|any| Arc::new(any) as Arc<dyn Regularizer>)
}
