//! Reading and writing variables through their handles.

use super::constant;
use super::gather::{GatherV2, check_indices, scattered};
use crate::op::{
    Accuracy, Attrs, Backward, Effect, Input, Op, OpDef, Values, allowed, apply, apply_one, arity, replace,
};
use crate::ops::math;
use crate::tensor::{Change, Resource};
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

/// What the resource behind an input holds, where the input has a value; `declared` where it has none.
fn held(input: &Input, declared: DType) -> Result<Spec> {
    allowed(input.spec.dtype, |d| d == DType::Resource, "a variable's handle")?;
    match input.value {
        Some(handle) => handle.as_resource()?.spec(),
        None => Ok(Spec::new(declared, crate::Shape::unknown())),
    }
}

/// The value of a variable. Its gradient arrives at the handle.
#[derive(Debug)]
struct ReadVariableOp {
    dtype: DType,
}

impl Op for ReadVariableOp {
    fn name(&self) -> &'static str {
        "ReadVariableOp"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("dtype", self.dtype)
    }
    fn effect(&self) -> Effect {
        Effect::Reads
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [handle] = arity(inputs)?;
        let spec = held(handle, self.dtype)?;
        if spec.dtype != self.dtype {
            let message = format!("the variable holds {}, and {} was asked for", spec.dtype, self.dtype);
            return Err(Error::invalid_argument(message));
        }
        Ok(vec![spec])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        // Another handle to the same elements, so that two reads are two tensors to a tape.
        let value = inputs[0].as_resource()?.read()?;
        Ok(vec![value.alias()?])
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        Some(values.value(inputs[0]).map(|value| vec![value]))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).clone())])
    }
}

/// The dims of a variable, which are mostly known.
#[derive(Debug)]
struct VariableShape {
    out_type: DType,
}

impl Op for VariableShape {
    fn name(&self) -> &'static str {
        "VariableShape"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("out_type", self.out_type)
    }
    fn effect(&self) -> Effect {
        Effect::Reads
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [handle] = arity(inputs)?;
        allowed(self.out_type, |d| matches!(d, DType::I32 | DType::I64), "dims of int32 or int64")?;
        let rank = match handle.value {
            Some(_) => held(handle, DType::Resource)?.shape.rank(),
            None => allowed(handle.spec.dtype, |d| d == DType::Resource, "a variable's handle").map(|_| None)?,
        };
        Ok(vec![Spec::new(self.out_type, [rank])])
    }
    fn known(&self, inputs: &[Input]) -> Option<Vec<Tensor>> {
        let spec = held(inputs.first()?, DType::Resource).ok()?;
        let dims = super::array::dims_tensor(spec.shape.known()?).ok()?;
        dims.cast(self.out_type).ok().map(|dims| vec![dims])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let value = inputs[0].as_resource()?.read()?;
        Ok(vec![value.shape_tensor()?.cast(self.out_type)?])
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        let dims = values.value(inputs[0]).and_then(|value| value.shape_tensor()?.cast(self.out_type));
        Some(dims.map(|dims| vec![dims]))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// What a variable has at some indices of the axis behind those that are gone through together. Its gradient arrives at the
/// handle.
#[derive(Debug)]
struct ResourceGather {
    dtype: DType,
    batch_dims: i64,
    /// Without effect, as in TensorFlow: indices are always compared with the dims.
    validate_indices: bool,
}

impl Op for ResourceGather {
    fn name(&self) -> &'static str {
        "ResourceGather"
    }
    fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().with("dtype", self.dtype).with("batch_dims", self.batch_dims);
        attrs.with("validate_indices", self.validate_indices)
    }
    fn effect(&self) -> Effect {
        Effect::Reads
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [handle, indices] = arity(inputs)?;
        let spec = held(handle, self.dtype)?;
        if spec.dtype != self.dtype {
            let message = format!("the variable holds {}, and {} was asked for", spec.dtype, self.dtype);
            return Err(Error::invalid_argument(message));
        }
        if self.batch_dims < 0 {
            let message = format!("batch_dims must not be negative, found {}", self.batch_dims);
            return Err(Error::invalid_argument(message));
        }
        let axis = Tensor::scalar(self.batch_dims);
        let (value, axis) = (Input { spec: &spec, value: None }, Input { spec: axis.spec(), value: Some(&axis) });
        check_indices(indices)?;
        GatherV2 { batch_dims: self.batch_dims }.infer(&[value, *indices, axis])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let value = inputs[0].as_resource()?.read()?;
        let gathered = value.gather_batched(inputs[1], self.batch_dims, self.batch_dims);
        // What is wrong is wrong with this call, and not with one that the caller does not know of.
        Ok(vec![gathered.map_err(|error| Error::new(error.kind(), error.message()).in_op(self.name()))?])
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        let gather = |value: Tensor| value.gather_batched(inputs[1], self.batch_dims, self.batch_dims);
        Some(values.value(inputs[0]).and_then(gather).map(|rows| vec![rows]))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (value, indices) = (read(b.input(0), self.dtype)?, b.input(1));
        if value.rank().is_none() || indices.rank().is_none() {
            return Err(Error::unimplemented("the gradient of gathering needs the ranks"));
        }
        let axis = self.batch_dims as usize;
        Ok(vec![Some(scattered(b.dy(0), &value, indices, axis, axis)?), None])
    }
}

/// Changes what a resource holds to the result of an op on it and `other`.
fn change(resource: &Arc<dyn Resource>, op: &dyn Op, other: &Tensor) -> Result<()> {
    resource.update(Change::new(&mut |value| replace(op, value, other)))
}

/// One way to write a row.
macro_rules! writes {
    ($($(#[$doc:meta])* $op:ident $function:ident = |$resource:ident, $new:ident| $write:expr,
        |$held:ident| $after:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn effect(&self) -> Effect {
                    Effect::Writes
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [handle, value] = arity(inputs)?;
                    let held = held(handle, value.spec.dtype)?;
                    let fits = held.dtype == value.spec.dtype && held.shape.is_compatible_with(&value.spec.shape);
                    if !fits {
                        let name = handle.value.map(|handle| handle.as_resource().map(|resource| resource.name()));
                        let name = name.transpose()?.unwrap_or_default();
                        return Err(Error::invalid_argument(format!(
                            "variable `{name}` holds {held}, and the value is {}", value.spec
                        )));
                    }
                    Ok(Vec::new())
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    let $new = inputs[1];
                    let $resource = inputs[0].as_resource()?;
                    $write?;
                    Ok(Vec::new())
                }
                fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
                    let $new = inputs[1];
                    let after = values.value(inputs[0]).and_then(|$held| $after);
                    Some(after.and_then(|after| values.assign(inputs[0], after)).map(|()| Vec::new()))
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    constant(b)
                }
            }

            $(#[$doc])*
            pub(crate) fn $function(handle: &Tensor, value: &Tensor) -> Result<()> {
                apply($op, &[handle, value]).map(|_| ())
            }
        )*
        const WRITES: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

writes! {
    /// Replaces the value.
    AssignVariableOp assign = |resource, new| resource.write(new.clone()), |_held| Ok(new.clone());
    /// Adds to the value.
    AssignAddVariableOp assign_add = |resource, new| change(resource, &math::AddV2, new), |held| held.add(new);
    /// Subtracts from the value.
    AssignSubVariableOp assign_sub = |resource, new| change(resource, &math::Sub, new), |held| held.sub(new);
}

/// Reads through a handle.
pub(crate) fn read(handle: &Tensor, dtype: DType) -> Result<Tensor> {
    apply_one(ReadVariableOp { dtype }, &[handle])
}

const READS: &[OpDef] = &[
    OpDef {
        name: "ReadVariableOp",
        parse: |attrs| Ok(Arc::new(ReadVariableOp { dtype: attrs.dtype("dtype", None)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "VariableShape",
        parse: |attrs| Ok(Arc::new(VariableShape { out_type: attrs.dtype("out_type", Some(DType::I32))? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "ResourceGather",
        parse: |attrs| {
            Ok(Arc::new(ResourceGather {
                dtype: attrs.dtype("dtype", None)?,
                batch_dims: attrs.int("batch_dims", Some(0))?,
                validate_indices: attrs.bool("validate_indices", Some(true))?,
            }))
        },
        accuracy: Accuracy::Exact,
    },
];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[READS, WRITES];
