//! How far an augmentation may go.

use modulor::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far an augmentation may go: one number, for both directions, or the least and the most.
///
/// ```
/// use modulor_layers::library::Factor;
/// assert_eq!(Factor::from(0.25), Factor::One(0.25));
/// assert_eq!(Factor::from([-0.5, 0.0]), Factor::Between(-0.5, 0.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// As far in one direction as in the other.
    One(f64),
    /// From the one to the other, in whichever order.
    Between(f64, f64),
}

impl From<f64> for Factor {
    fn from(factor: f64) -> Self {
        Factor::One(factor)
    }
}

impl From<[f64; 2]> for Factor {
    fn from([a, b]: [f64; 2]) -> Self {
        Factor::Between(a, b)
    }
}

impl From<f64> for crate::OrNone<Factor> {
    fn from(factor: f64) -> Self {
        crate::OrNone(Some(factor.into()))
    }
}

impl From<[f64; 2]> for crate::OrNone<Factor> {
    fn from(factor: [f64; 2]) -> Self {
        crate::OrNone(Some(factor.into()))
    }
}

impl Factor {
    /// The least and the most, each of which `allows` must hold of; `bounds` says what it holds of.
    pub(super) fn range(self, name: &str, bounds: &str, allows: impl Fn(f64) -> bool) -> Result<[f64; 2]> {
        let (ends, range) = match self {
            Factor::One(factor) => ([factor; 2], [-factor.abs(), factor.abs()]),
            Factor::Between(a, b) => ([a, b], [a.min(b), a.max(b)]),
        };
        match ends.iter().all(|&end| allows(end)) {
            true => Ok(range),
            false => Err(Error::invalid_argument(format!("`{name}` must be {bounds}, found {self:?}"))),
        }
    }
}

/// A [`Factor`] between two bounds, which is written as the least and the most. Of one number, the least is what is as far in
/// the other direction, or the lower bound.
///
/// ```
/// use modulor_layers::library::FactorWithin;
/// let json = |factor: FactorWithin<0, 1>| serde_json::to_string(&factor).unwrap();
/// assert_eq!(json(0.25.into()), "[0.0,0.25]");
/// assert_eq!(json([0.5, 0.25].into()), "[0.25,0.5]");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactorWithin<const LEAST: i8, const MOST: i8>(pub Factor);

impl<F: Into<Factor>, const LEAST: i8, const MOST: i8> From<F> for FactorWithin<LEAST, MOST> {
    fn from(factor: F) -> Self {
        FactorWithin(factor.into())
    }
}

impl<const LEAST: i8, const MOST: i8> FactorWithin<LEAST, MOST> {
    fn ends(self) -> [f64; 2] {
        match self.0 {
            Factor::One(factor) => [(-factor.abs()).max(LEAST.into()), factor.abs()],
            Factor::Between(a, b) => [a.min(b), a.max(b)],
        }
    }

    /// The least and the most. As Keras, refuses one number that is not within the bounds, and of two what lies beyond them.
    pub(super) fn range(self, name: &str) -> Result<[f64; 2]> {
        let (least, most) = (f64::from(LEAST), f64::from(MOST));
        let fits = match self.0 {
            Factor::One(factor) => (least..=most).contains(&factor),
            Factor::Between(..) => self.ends()[0] <= most && self.ends()[1] >= least,
        };
        match fits {
            true => Ok(self.ends()),
            false => {
                let message = format!("`{name}` must be from {LEAST} to {MOST}, found {:?}", self.0);
                Err(Error::invalid_argument(message))
            }
        }
    }
}

impl<const LEAST: i8, const MOST: i8> Serialize for FactorWithin<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.ends().serialize(serializer)
    }
}

impl<'de, const LEAST: i8, const MOST: i8> Deserialize<'de> for FactorWithin<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Factor::deserialize(deserializer).map(FactorWithin)
    }
}
