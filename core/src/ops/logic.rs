//! Comparison, the connectives of bools, and selection by them. Operands broadcast as NumPy's do.

use super::math::{broadcast_shape, repeated};
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scalar, Scratch, View, ViewMut, allowed, apply_one, arity,
    same_dtype, unsupported,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Result, Shape, Spec, Tensor};
use modulor_kernels::{Compare, Logical, Number, Strided, Test, select};
use std::sync::Arc;

/// One comparison of order a row.
macro_rules! compare {
    ($($(#[$doc:meta])* $op:ident $method:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(same_dtype(inputs)?, is_number, "numbers")?;
                    Ok(vec![Spec::new(DType::Bool, broadcast_shape(inputs)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    compare(Compare::$op, inputs, outputs)
                }
                fn scalar(&self) -> Option<Scalar> {
                    Some(Scalar::Compare(Compare::$op))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, the result is bool.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op, &[self, &other.operand(self.dtype())?])
                }
            }
        )*
        const COMPARE: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

/// One question of equality a row.
macro_rules! equality {
    ($($(#[$doc:meta])* $op:ident $method:ident;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                /// Whether shapes that do not broadcast are an error; else such inputs are simply not equal.
                incompatible_shape_error: bool,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("incompatible_shape_error", self.incompatible_shape_error)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(same_dtype(inputs)?, DType::has_elements, "numbers, bools and strings")?;
                    let known = inputs.iter().all(|input| input.spec.shape.is_known());
                    let shape = match broadcast_shape(inputs) {
                        Err(_) if !self.incompatible_shape_error => Shape::scalar(),
                        // Dims that are not known yet may turn out not to broadcast.
                        Ok(_) if !self.incompatible_shape_error && !known => Shape::unknown(),
                        shape => shape?,
                    };
                    Ok(vec![Spec::new(DType::Bool, shape)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    if inputs.iter().all(|input| fits(input, &outputs[0])) {
                        return compare(Compare::$op, inputs, outputs);
                    }
                    outputs[0].bytes().fill((Compare::$op == Compare::NotEqual).into());
                    Ok(())
                }
                fn scalar(&self) -> Option<Scalar> {
                    self.incompatible_shape_error.then_some(Scalar::Compare(Compare::$op))
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    let equal = Compare::$op == Compare::Equal;
                    match broadcast(inputs[0].shape(), inputs[1].shape()) {
                        Err(_) if !self.incompatible_shape_error => Ok(vec![Tensor::scalar(!equal)]),
                        shape => compare_strings(inputs, shape?.known().unwrap_or_default(), equal),
                    }
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, the result is bool.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op { incompatible_shape_error: true }, &[self, &other.operand(self.dtype())?])
                }
            }
        )*
        const EQUALITY: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| {
                Ok(Arc::new($op { incompatible_shape_error: attrs.bool("incompatible_shape_error", true)? }))
            },
            accuracy: Accuracy::Exact,
        }),*];
    };
}

fn is_number(dtype: DType) -> bool {
    dtype.is_float() || dtype.is_integer()
}

/// Whether an input can be repeated to the dims of the output.
fn fits(x: &View, out: &ViewMut) -> bool {
    let (x, out) = (x.dims(), out.dims());
    x.len() <= out.len() && x.iter().rev().zip(out.iter().rev()).all(|(&x, &out)| x == out || x == 1)
}

fn compare(kernel: Compare, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let dtype = inputs[0].dtype();
    let dims = outputs[0].dims();
    let out = outputs[0].elements()?;
    if dtype == DType::Bool {
        return repeated(inputs, dims, |a, b| u8::compare(kernel, a, b, out))?.map_err(|_| unsupported(dtype));
    }
    dispatch!(dtype, arithmetic T => {
        repeated(inputs, dims, |a, b| T::compare(kernel, a, b, out))?.map_err(|_| unsupported(dtype))
    }, else => Err(unsupported(dtype)))
}

fn compare_strings(inputs: &[&Tensor], dims: &[usize], equal: bool) -> Result<Vec<Tensor>> {
    let (a, b) = (repeated_value(inputs[0], dims)?.to_strings()?, repeated_value(inputs[1], dims)?.to_strings()?);
    let same: Vec<bool> = a.iter().zip(&b).map(|(a, b)| (a == b) == equal).collect();
    Ok(vec![Tensor::new(dims, same)?])
}

/// A tensor repeated to `dims`; no tape hears of it.
fn repeated_value(tensor: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let value = tensor.evaluated()?;
    Ok(Tensor::value(tensor.dtype(), value.layout.broadcast(dims), value.storage.clone()))
}

equality! {
    /// Where `a = b`.
    Equal equal;
    /// Where `a ≠ b`.
    NotEqual not_equal;
}

compare! {
    /// Where `a < b`.
    Less less;
    /// Where `a ≤ b`.
    LessEqual less_equal;
    /// Where `a > b`.
    Greater greater;
    /// Where `a ≥ b`.
    GreaterEqual greater_equal;
}

/// One question about floats a row.
macro_rules! question {
    ($($(#[$doc:meta])* $op:ident $method:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    allowed(x.spec.dtype, DType::is_float, "floats")?;
                    Ok(vec![Spec::new(DType::Bool, &x.spec.shape)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let x = inputs[0];
                    dispatch!(x.dtype(), float T => {
                        T::test(Test::$op, x.elements()?, outputs[0].elements()?).map_err(|_| unsupported(x.dtype()))
                    }, else => Err(unsupported(x.dtype())))
                }
                fn scalar(&self) -> Option<Scalar> {
                    Some(Scalar::Test(Test::$op))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self) -> Result<Tensor> {
                    apply_one($op, &[self])
                }
            }
        )*
        const QUESTIONS: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

question! {
    /// Where `x` is not a number.
    IsNan is_nan;
    /// Where `x` is +∞ or −∞.
    IsInf is_inf;
    /// Where `x` is neither infinite nor NaN.
    IsFinite is_finite;
}

/// One connective of bools a row.
macro_rules! logical {
    ($($(#[$doc:meta])* $op:ident $method:ident $kernel:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(same_dtype(inputs)?, |d| d == DType::Bool, "bools")?;
                    Ok(vec![Spec::new(DType::Bool, broadcast_shape(inputs)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let dims = outputs[0].dims();
                    let out = outputs[0].elements()?;
                    repeated(inputs, dims, |a, b| modulor_kernels::logical(Logical::$kernel, a, b, out))
                }
                fn scalar(&self) -> Option<Scalar> {
                    Some(Scalar::Logical(Logical::$kernel))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast.")]
                pub fn $method(&self, other: &Tensor) -> Result<Tensor> {
                    apply_one($op, &[self, other])
                }
            }
        )*
        const LOGICAL: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

logical! {
    /// Where both are true.
    LogicalAnd logical_and And;
    /// Where either is true.
    LogicalOr logical_or Or;
}

/// Where `x` is false.
#[derive(Debug, Default)]
struct LogicalNot;

impl Op for LogicalNot {
    fn name(&self) -> &'static str {
        "LogicalNot"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d == DType::Bool, "bools")?;
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        modulor_kernels::not(inputs[0].elements()?, outputs[0].elements()?);
        Ok(())
    }
    fn scalar(&self) -> Option<Scalar> {
        Some(Scalar::Not)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

impl Tensor {
    /// Where `x` is false. TensorFlow's `LogicalNot`.
    pub fn logical_not(&self) -> Result<Tensor> {
        apply_one(LogicalNot, &[self])
    }
}

/// The first where a condition holds, else the second; all three broadcast.
#[derive(Debug, Default)]
struct SelectV2;

fn pick<T: bytemuck::Pod>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut ViewMut) -> Result<()> {
    select(cond, a, b, out.elements()?);
    Ok(())
}

impl Op for SelectV2 {
    fn name(&self) -> &'static str {
        "SelectV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [cond, a, b] = arity(inputs)?;
        allowed(cond.spec.dtype, |d| d == DType::Bool, "a condition of bools")?;
        let dtype = allowed(same_dtype(&inputs[1..])?, DType::has_elements, "numbers, bools and strings")?;
        let shape = broadcast(&cond.spec.shape, &broadcast(&a.spec.shape, &b.spec.shape)?)?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        let dims = out.dims();
        let mut strides = [0; MAX_RANK];
        let strides = &mut strides[..dims.len()];
        inputs[0].broadcast_strides(dims, strides);
        let cond = inputs[0].restrided(dims, strides)?;
        // Moving elements is the same for all types of one width.
        match out.dtype().size() {
            1 => repeated(&inputs[1..], dims, |a, b| pick::<u8>(cond, a, b, out))?,
            2 => repeated(&inputs[1..], dims, |a, b| pick::<u16>(cond, a, b, out))?,
            4 => repeated(&inputs[1..], dims, |a, b| pick::<u32>(cond, a, b, out))?,
            8 => repeated(&inputs[1..], dims, |a, b| pick::<u64>(cond, a, b, out))?,
            _ => repeated(&inputs[1..], dims, |a, b| pick::<u128>(cond, a, b, out))?,
        }
    }
    fn scalar(&self) -> Option<Scalar> {
        Some(Scalar::Select)
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let shape = broadcast(inputs[0].shape(), &broadcast(inputs[1].shape(), inputs[2].shape())?)?;
        let dims = shape.known().unwrap_or_default();
        let cond = repeated_value(inputs[0], dims)?.to_vec::<bool>()?;
        let (a, b) = (repeated_value(inputs[1], dims)?.to_strings()?, repeated_value(inputs[2], dims)?.to_strings()?);
        let chosen = cond.into_iter().zip(a.into_iter().zip(b)).map(|(cond, (a, b))| if cond { a } else { b });
        Ok(vec![Tensor::strings(dims, chosen)?])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (cond, dy) = (b.input(0), b.dy(0));
        let zeros = dy.zeros_like()?;
        Ok(vec![None, b.when(1, || cond.select(dy, &zeros))?, b.when(2, || cond.select(&zeros, dy))?])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

impl Tensor {
    /// `a` where this is true, `b` elsewhere; all three broadcast. TensorFlow's `SelectV2`, `tf.where` of three.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([-1.0_f32, 2.0]);
    /// let y = x.greater(0.0)?.select(&x, &x.zeros_like()?)?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn select(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        apply_one(SelectV2, &[self, a, b])
    }
}

const OTHERS: &[OpDef] =
    &[OpDef::plain::<LogicalNot>("LogicalNot", Accuracy::Exact), OpDef::plain::<SelectV2>("SelectV2", Accuracy::Exact)];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[EQUALITY, COMPARE, QUESTIONS, LOGICAL, OTHERS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn shapes_that_do_not_fit_may_just_be_unequal() {
        let lenient = registry::op("Equal", &Attrs::new().with("incompatible_shape_error", false)).unwrap();
        let (two, three) = (Tensor::from([1, 2]), Tensor::from([1, 2, 3]));
        let equal = crate::op::dispatch(lenient, &[&two, &three]).unwrap().remove(0);
        assert!(!equal.item::<bool>().unwrap());
        assert!(two.equal(&three).is_err());
    }

    #[test]
    fn strings_are_selected_and_compared() {
        let words = Tensor::strings([2, 1], ["a", "b"]).unwrap();
        let other = Tensor::strings([2], ["b", "c"]).unwrap();
        let same = words.equal(&other).unwrap();
        assert_eq!(same.to_vec::<bool>().unwrap(), [false, false, true, false]);
        let chosen = same.select(&Tensor::strings([], ["="]).unwrap(), &words).unwrap().to_strings().unwrap();
        let chosen: Vec<&[u8]> = chosen.iter().map(AsRef::as_ref).collect();
        assert_eq!(chosen, [b"a", b"a", b"=", b"b"]);
    }
}
