//! Tensors as text, the way TensorFlow prints them.

use super::{Payload, Tensor};
use std::fmt;

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload() {
            Payload::Failed(error) => write!(f, "<tensor of a failed operator: {error}>"),
            _ => write!(f, "<tensor {}>", self.spec()),
        }
    }
}

impl Tensor {
    /// The elements alone, as TensorFlow prints them; the op's name for a symbol.
    pub(crate) fn elements_text(&self) -> String {
        String::new()
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
