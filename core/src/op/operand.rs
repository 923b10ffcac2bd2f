//! What may stand beside a tensor: another tensor, or a number.

use crate::dtype::dispatch;
use crate::{DType, Error, Result, Tensor};

/// The other side of a binary operation: a tensor, a variable, or an `f64`, which takes the dtype of this side.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor",
    label = "a tensor, a variable or an f64 is needed here",
    note = "write `&tensor`, `&variable` or a number such as `2.0`; a value of another type becomes a tensor by `Tensor::from`"
)]
pub trait Operand {
    /// This as a tensor beside one of dtype `beside`.
    fn operand(&self, beside: DType) -> Result<Tensor>;

    /// As [`operand`](Operand::operand), where this ends: a result may take the place of a tensor that nobody else holds.
    fn into_operand(self, beside: DType) -> Result<Tensor>
    where
        Self: Sized,
    {
        self.operand(beside)
    }
}

impl Operand for Tensor {
    fn operand(&self, _: DType) -> Result<Tensor> {
        Ok(self.clone())
    }
    fn into_operand(self, _: DType) -> Result<Tensor> {
        Ok(self)
    }
}

impl Operand for f64 {
    fn operand(&self, beside: DType) -> Result<Tensor> {
        Tensor::number(*self, beside)
    }
}

impl<O: Operand + ?Sized> Operand for &O {
    fn operand(&self, beside: DType) -> Result<Tensor> {
        (**self).operand(beside)
    }
}

impl Tensor {
    /// A scalar of any arithmetic dtype. An error for an integer dtype that cannot hold the number as it is.
    pub fn number(value: f64, dtype: DType) -> Result<Tensor> {
        use num_complex::{Complex32, Complex64};
        let inexact = || Error::invalid_argument(format!("{value} is not a value of {dtype}; cast one side"));
        match dtype {
            DType::F32 => Ok(Tensor::scalar(value as f32)),
            DType::F64 => Ok(Tensor::scalar(value)),
            DType::F16 => Ok(Tensor::scalar(half::f16::from_f64(value))),
            DType::BF16 => Ok(Tensor::scalar(half::bf16::from_f64(value))),
            DType::Complex64 => Ok(Tensor::scalar(Complex32::new(value as f32, 0.0))),
            DType::Complex128 => Ok(Tensor::scalar(Complex64::new(value, 0.0))),
            _ => dispatch!(dtype, integer T => {
                let whole = value as T;
                // Beyond the largest value the conversion stops at it, and its float64 may be the number again.
                if whole as f64 == value && whole as i128 == value as i128 { Ok(Tensor::scalar(whole)) } else { Err(inexact()) }
            }, else => Err(inexact())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_integer_it_says_or_an_error() {
        let two_to = |n| 2_f64.powi(n);
        assert!(Tensor::number(two_to(63), DType::I64).is_err());
        assert!(Tensor::number(two_to(64), DType::U64).is_err());
        assert!(Tensor::number(f64::NAN, DType::I8).is_err());
        assert!(Tensor::number(0.5, DType::I32).is_err());
        assert_eq!(Tensor::number(two_to(63), DType::U64).unwrap().item::<u64>().unwrap(), 1 << 63);
        assert_eq!(Tensor::number(-two_to(63), DType::I64).unwrap().item::<i64>().unwrap(), i64::MIN);
    }
}
