//! Which axes a layer works along, and in how wide numbers.

use modulor::module::InputShapes;
use modulor::{DType, DTypePolicy, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};

/// One axis, or several; negative ones count from the end.
///
/// ```
/// use modulor_layers::library::LayerAxes;
/// assert_eq!(LayerAxes::from(-1), LayerAxes::One(-1));
/// assert_eq!(LayerAxes::from([1, 2]), LayerAxes::Several(vec![1, 2]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LayerAxes {
    /// One.
    One(i64),
    /// As many as are given.
    Several(Vec<i64>),
}

impl From<i64> for LayerAxes {
    fn from(axis: i64) -> Self {
        LayerAxes::One(axis)
    }
}

impl<const N: usize> From<[i64; N]> for LayerAxes {
    fn from(axes: [i64; N]) -> Self {
        LayerAxes::Several(axes.to_vec())
    }
}

impl From<Vec<i64>> for LayerAxes {
    fn from(axes: Vec<i64>) -> Self {
        LayerAxes::Several(axes)
    }
}

impl LayerAxes {
    /// The axes in the order of their numbers: that of the dims of a variable.
    pub(super) fn sorted(&self) -> Vec<i64> {
        match self {
            LayerAxes::One(axis) => vec![*axis],
            LayerAxes::Several(axes) => {
                let mut axes = axes.clone();
                axes.sort_unstable();
                axes
            }
        }
    }

    /// The dims of a variable along these axes of the input.
    pub(super) fn dims(&self, inputs: &InputShapes) -> Result<Vec<usize>> {
        self.sorted().into_iter().map(|axis| inputs.dim(0, axis as isize)).collect()
    }

    /// The axes counted from the front, in the order of their numbers; `None` where the rank is not known.
    pub(super) fn places(&self, x: &Tensor) -> Option<Vec<usize>> {
        let rank = x.rank()? as i64;
        let place = |axis: i64| usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
        self.sorted().into_iter().map(place).collect()
    }

    /// Whether these are the last axes, in order.
    pub(super) fn are_last(&self, x: &Tensor) -> bool {
        let sorted = self.sorted();
        let from_end = (-(sorted.len() as i64)..0).eq(sorted.iter().copied());
        let at_end = |rank: usize, places: &[usize]| (rank - places.len()..rank).eq(places.iter().copied());
        from_end
            || self.places(x).zip(x.rank()).is_some_and(|(places, rank)| places.len() <= rank && at_end(rank, &places))
    }
}

/// This in at least float32: numbers that are narrower overflow where squares are added.
pub(super) fn wide(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => Ok(x.clone()),
    }
}

/// A variable in the dtype of `x`, if there is one.
pub(super) fn beside(variable: &Variable, there: bool, x: &Tensor) -> Result<Option<Tensor>> {
    there.then(|| variable.read()?.cast(x.dtype())).transpose()
}

/// This, whatever it is, in the dtype that a layer computes in but at least float32, and the dtype of the result.
pub(super) fn floating(x: &Tensor, policy: &DTypePolicy) -> Result<(Tensor, DType)> {
    let dtype = Some(policy.compute_dtype()?).filter(|dtype| dtype.is_float()).unwrap_or(DType::F32);
    Ok((wide(&x.cast(dtype)?)?, dtype))
}
