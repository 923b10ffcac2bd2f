//! `+ − × ÷`, with assignment too, and unary minus on tensors and numbers. A failure stays in the result; see [`Tensor`].

use super::math;
use crate::op::given;
use crate::{Error, Result, Tensor};
use std::borrow::Cow;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};
use std::panic::Location;
use std::sync::LazyLock;

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

/// What stands in a variable while its tensor is given away.
static NOTHING: LazyLock<Tensor> = LazyLock::new(|| Tensor::scalar(false));

/// `x += y` is `x = x + y`, of which the old `x` ends with it: the variable becomes another tensor, in the same elements where
/// nobody else holds them.
macro_rules! assigning {
    ($($trait:ident $assign:ident $operator:ident $method:ident;)*) => { $(
        impl<O> $trait<O> for Tensor
        where
            Tensor: $operator<O, Output = Tensor>,
        {
            #[track_caller]
            fn $assign(&mut self, other: O) {
                let before = std::mem::replace(self, NOTHING.clone());
                *self = $operator::$method(before, other);
            }
        }
    )* };
}

assigning! {
    AddAssign add_assign Add add;
    SubAssign sub_assign Sub sub;
    MulAssign mul_assign Mul mul;
    DivAssign div_assign Div div;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_assigned_is_another_tensor_where_somebody_holds_the_old_one() {
        let mut x = Tensor::from([1.0_f32, 2.0]);
        let held = x.clone();
        x += &held;
        x *= 3.0;
        x -= Tensor::scalar(2.0_f32);
        x /= &crate::Variable::new(4.0);
        assert_eq!(x.to_vec::<f32>().unwrap(), [1.0, 2.5]);
        assert_eq!(held.to_vec::<f32>().unwrap(), [1.0, 2.0]);
        x += Tensor::from([1.0_f32, 2.0, 3.0]);
        let error = x.square().unwrap_err().to_string();
        assert!(error.contains("Incompatible shapes") && error.contains("operators.rs"), "{error}");
    }
}
