//! `+ − × ÷` and unary minus on tensors and numbers. A failure stays in the result; see [`Tensor`].

use super::math;
use crate::op::given;
use crate::{Error, Result, Tensor};
use std::borrow::Cow;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::panic::Location;

/// The result, or a tensor that carries the error and where the operator stands in the caller's source.
#[track_caller]
pub(crate) fn or_failed(result: Result<Tensor>) -> Tensor {
    let here = Location::caller();
    result.unwrap_or_else(|error: Error| Tensor::failed(error.at(here)))
}

/// One operator between two types, by its op. What is given as it is, and not by reference, ends with it: the result may
/// take its place.
macro_rules! operator {
    ($($trait:ident $operator:ident $op:ident;)*) => { $(
        $crate::ops::operators::operator!(@ $trait $operator $op, Tensor, Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $op, Tensor, &Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $op, &Tensor, Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $op, &Tensor, &Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $op, Tensor, f64);
        $crate::ops::operators::operator!(@ $trait $operator $op, &Tensor, f64);
        $crate::ops::operators::operator!(@ $trait $operator $op, f64 by number, Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $op, f64 by number, &Tensor);
    )* };
    (@ $trait:ident $operator:ident $op:ident, f64 by $number:ident, $right:ty) => {
        impl $trait<$right> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: $right) -> Tensor {
                or_failed($number(self, &other).and_then(|left| math::of_both(math::$op, Cow::Owned(left), other)))
            }
        }
    };
    (@ $trait:ident $operator:ident $op:ident, Tensor, $right:ty) => {
        impl $trait<$right> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: $right) -> Tensor {
                or_failed($crate::ops::math::of_both($crate::ops::math::$op, Cow::Owned(self), other))
            }
        }
    };
    (@ $trait:ident $operator:ident $op:ident, &Tensor, $right:ty) => {
        impl $trait<$right> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: $right) -> Tensor {
                or_failed($crate::ops::math::of_both($crate::ops::math::$op, Cow::Borrowed(self), other))
            }
        }
    };
}
pub(crate) use operator;

/// A number in the dtype of what stands beside it.
fn number(value: f64, beside: &Tensor) -> Result<Tensor> {
    beside.check()?;
    Tensor::number(value, beside.dtype())
}

operator! {
    Add add AddV2;
    Sub sub Sub;
    Mul mul Mul;
    Div div RealDiv;
}

impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        or_failed(given(math::Neg, vec![Cow::Owned(self)]))
    }
}

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        or_failed(Tensor::neg(self))
    }
}
