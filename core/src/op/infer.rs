//! Words that many an `infer` needs. Each gives an error that says found and expected.

use super::Input;
use crate::{DType, Error, Result, Shape, Tensor};

/// The inputs, of which there must be exactly `N`.
pub(crate) fn arity<'i, 'a, const N: usize>(inputs: &'i [Input<'a>]) -> Result<&'i [Input<'a>; N]> {
    inputs
        .try_into()
        .map_err(|_| Error::invalid_argument(format!("expected {N} inputs, and {} were given", inputs.len())))
}

/// The one dtype of all inputs given.
pub(crate) fn same_dtype(inputs: &[Input]) -> Result<DType> {
    let [first, rest @ ..] = inputs else {
        return Err(Error::invalid_argument("expected at least one input"));
    };
    match rest.iter().find(|input| input.spec.dtype != first.spec.dtype) {
        None => Ok(first.spec.dtype),
        Some(other) => Err(Error::invalid_argument(format!(
            "inputs must be of one dtype, found {} and {}; use `cast`",
            first.spec.dtype, other.spec.dtype
        ))),
    }
}

/// `dtype`, if `test` holds of it; `what` completes "takes …".
pub(crate) fn allowed(dtype: DType, test: impl Fn(DType) -> bool, what: &str) -> Result<DType> {
    if test(dtype) { Ok(dtype) } else { Err(Error::invalid_argument(format!("takes {what}, found {dtype}"))) }
}

/// The error of a kernel that was run on a dtype which `infer` should have refused.
pub(crate) fn unsupported(dtype: DType) -> Error {
    Error::internal(format!("no kernel for {dtype}"))
}

/// `shape`, which must have this rank where it is known; `what` names it in the error.
pub(crate) fn with_rank(shape: &Shape, rank: usize, what: &str) -> Result<Shape> {
    match shape.rank() {
        Some(found) if found != rank => {
            Err(Error::invalid_argument(format!("{what} must have rank {rank}, found shape {shape} of rank {found}")))
        }
        Some(_) => Ok(shape.clone()),
        None => Ok(Shape::of_rank(rank)),
    }
}

/// Whether the rank of one of them is unknown.
pub(crate) fn rank_unknown(inputs: &[Tensor]) -> bool {
    inputs.iter().any(|input| input.rank().is_none())
}

/// Refuses a shape of known rank below `rank`.
pub(crate) fn at_least_rank(shape: &Shape, rank: usize, what: &str) -> Result<()> {
    match shape.rank() {
        Some(found) if found < rank => Err(Error::invalid_argument(format!(
            "{what} must have at least rank {rank}, found shape {shape} of rank {found}"
        ))),
        _ => Ok(()),
    }
}

/// The values of an input of int32 or int64, where it has one; `what` names it in the error.
pub(crate) fn ints(input: &Input, what: &str) -> Result<Option<Vec<i64>>> {
    allowed(input.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), &format!("{what} of int32 or int64"))?;
    input.value.map(int_values).transpose()
}

/// The values of a tensor of int16, int32 or int64.
pub(crate) fn int_values(tensor: &Tensor) -> Result<Vec<i64>> {
    match tensor.dtype() {
        DType::I16 => Ok(tensor.to_vec::<i16>()?.into_iter().map(i64::from).collect()),
        DType::I32 => Ok(tensor.to_vec::<i32>()?.into_iter().map(i64::from).collect()),
        _ => tensor.to_vec::<i64>(),
    }
}

/// The one value of an input of int32 or int64, where it has a value; `what` names it in the error.
pub(crate) fn one_int(input: &Input, what: &str) -> Result<Option<i64>> {
    match ints(input, what)?.as_deref() {
        None => Ok(None),
        Some([value]) => Ok(Some(*value)),
        Some(values) => Err(Error::invalid_argument(format!("{what} is one number, found {values:?}"))),
    }
}
