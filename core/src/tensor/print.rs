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
