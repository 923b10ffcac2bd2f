//! What must hold of values, or nothing is computed with them.

use super::array::copy_view;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, unsupported,
};
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

/// Its input, of which every element is finite.
#[derive(Debug)]
struct CheckNumerics {
    message: String,
}

impl Op for CheckNumerics {
    fn name(&self) -> &'static str {
        "CheckNumerics"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("message", self.message.clone())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        allowed(x.spec.dtype, DType::is_float, "floats")?;
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        copy_view(inputs[0], out)?;
        let (mut nan, mut infinite) = (0_usize, 0_usize);
        dispatch!(out.dtype(), float T => {
            let mut block = [0.0_f64; 64];
            for elements in out.elements::<T>()?.chunks(block.len()) {
                let block = &mut block[..elements.len()];
                narrow(elements, block)?;
                nan += block.iter().filter(|x| x.is_nan()).count();
                infinite += block.iter().filter(|x| x.is_infinite()).count();
            }
        }, else => return Err(unsupported(out.dtype())));
        let found = match (nan, infinite) {
            (0, 0) => return Ok(()),
            (_, 0) => format!("{nan} NaN"),
            (0, _) => format!("{infinite} infinite"),
            _ => format!("{nan} NaN and {infinite} infinite"),
        };
        Err(Error::invalid_argument(format!("{} has {found} values", self.message)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).check_numerics(&self.message)?)])
    }
}

impl Tensor {
    /// The same elements, or an error of `message` where one is NaN or infinite. Its gradient is checked likewise.
    ///
    /// TensorFlow's `CheckNumerics`, for floats.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, 0.0]);
    /// assert_eq!(x.check_numerics("x")?.to_vec::<f32>()?, [1.0, 0.0]);
    /// let error = x.log()?.check_numerics("its logarithm").unwrap_err();
    /// assert_eq!(error.to_string(), "its logarithm has 1 infinite values [Op:CheckNumerics]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_numerics(&self, message: &str) -> Result<Tensor> {
        apply_one(CheckNumerics { message: message.to_owned() }, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "CheckNumerics",
    parse: |attrs| Ok(Arc::new(CheckNumerics { message: attrs.string("message", None)? })),
    accuracy: Accuracy::Exact,
}]];
