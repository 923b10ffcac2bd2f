use modulor::{DType, Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Numbers that a layer is told: one, or a list, or a list of lists, as a config has them.
///
/// ```
/// use modulor_layers::library::Numbers;
/// assert_eq!(Numbers::from([1.0, 2.0]), Numbers::Several(vec![1.0.into(), 2.0.into()]));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Numbers {
    /// A number.
    One(f64),
    /// As many as are given, all of one shape.
    Several(Vec<Numbers>),
}

impl From<f64> for Numbers {
    fn from(number: f64) -> Self {
        Numbers::One(number)
    }
}

impl<T: Into<Numbers>, const N: usize> From<[T; N]> for Numbers {
    fn from(numbers: [T; N]) -> Self {
        Numbers::Several(numbers.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Numbers>> From<Vec<T>> for Numbers {
    fn from(numbers: Vec<T>) -> Self {
        Numbers::Several(numbers.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Numbers>, const N: usize> From<[T; N]> for crate::OrNone<Numbers> {
    fn from(numbers: [T; N]) -> Self {
        crate::OrNone(Some(numbers.into()))
    }
}

impl From<f64> for crate::OrNone<Numbers> {
    fn from(number: f64) -> Self {
        crate::OrNone(Some(number.into()))
    }
}

impl Numbers {
    /// The dims: none of one number.
    pub(super) fn dims(&self) -> Vec<usize> {
        match self {
            Numbers::One(_) => Vec::new(),
            Numbers::Several(parts) => {
                let inner = parts.first().map(Numbers::dims).unwrap_or_default();
                [parts.len()].into_iter().chain(inner).collect()
            }
        }
    }

    fn flat(&self) -> Vec<f64> {
        match self {
            Numbers::One(number) => vec![*number],
            Numbers::Several(parts) => parts.iter().flat_map(Numbers::flat).collect(),
        }
    }

    /// The numbers as a tensor; an error where lists differ in length.
    pub(super) fn tensor(&self, dtype: DType) -> Result<Tensor> {
        fn is_even(numbers: &Numbers) -> bool {
            let Numbers::Several(parts) = numbers else { return true };
            parts.iter().all(|part| is_even(part) && part.dims() == parts[0].dims())
        }
        match is_even(self) {
            true => Tensor::new(self.dims(), self.flat())?.cast(dtype),
            false => Err(Error::invalid_argument(format!("lists of numbers must have one length, found {self:?}"))),
        }
    }
}
