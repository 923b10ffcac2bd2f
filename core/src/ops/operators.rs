//! `+ − × ÷` and unary minus on tensors and numbers. A failure stays in the result; see [`Tensor`].

use crate::{Error, Result, Tensor};
use std::borrow::Borrow;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::panic::Location;

/// The result, or a tensor that carries the error and where the operator stands in the caller's source.
#[track_caller]
pub(crate) fn or_failed(result: Result<Tensor>) -> Tensor {
    let here = Location::caller();
    result.unwrap_or_else(|error: Error| Tensor::failed(error.at(here)))
}

/// One operator between two types, by the method that names it.
macro_rules! operator {
    ($($trait:ident $operator:ident $method:ident;)*) => { $(
        $crate::ops::operators::operator!(@ $trait $operator $method, Tensor, Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $method, Tensor, &Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $method, &Tensor, Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $method, &Tensor, &Tensor);
        $crate::ops::operators::operator!(@ $trait $operator $method, Tensor, f64);
        $crate::ops::operators::operator!(@ $trait $operator $method, &Tensor, f64);

        impl $trait<Tensor> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: Tensor) -> Tensor {
                $trait::$operator(self, &other)
            }
        }
        impl $trait<&Tensor> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: &Tensor) -> Tensor {
                or_failed(other.check().and_then(|()| Tensor::$method(&Tensor::number(self, other.dtype())?, other)))
            }
        }
    )* };
    (@ $trait:ident $operator:ident $method:ident, $left:ty, $right:ty) => {
        impl $trait<$right> for $left {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: $right) -> Tensor {
                or_failed(Tensor::$method(self.borrow(), other))
            }
        }
    };
}
pub(crate) use operator;

operator! {
    Add add add;
    Sub sub sub;
    Mul mul mul;
    Div div div;
}

impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        or_failed(Tensor::neg(&self))
    }
}

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        or_failed(Tensor::neg(self))
    }
}
