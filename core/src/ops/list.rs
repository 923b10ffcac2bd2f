//! Lists of tensors, and optionals: what loops and branches put aside for their gradients, and what graphs of TensorFlow's
//! keep sequences in.
//!
//! A list is a value like any other: an op that changes one gives another list, in a time that grows as the logarithm of
//! the length. The gradient at a list is the list of the gradients at its elements; an element that is not set is zeros.

use super::array::{dims_tensor, index_tensor};
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, allowed, apply, apply_one, arity, int_values, one_int,
};
use crate::tensor::{List, Variant};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// The spec of a list or an optional.
pub(crate) fn variant() -> Spec {
    Spec::new(DType::Variant, Shape::scalar())
}

fn is_variant(input: &Input) -> Result<()> {
    allowed(input.spec.dtype, |d| d == DType::Variant, "a list or an optional").map(|_| ())
}

/// A shape that is given as int32 or int64: dims of which -1 is any, or -1 alone for a shape of any rank.
fn shape_in(value: &Tensor) -> Result<Shape> {
    let dims = int_values(value)?;
    match (value.rank(), &*dims) {
        (Some(0), [-1]) => Ok(Shape::unknown()),
        (Some(1), dims) if dims.iter().all(|&dim| dim >= -1) => {
            Ok(dims.iter().map(|&dim| usize::try_from(dim).ok()).collect())
        }
        _ => Err(Error::invalid_argument(format!(
            "the shape of an element is dims, each at least -1, or -1: found {dims:?}"
        ))),
    }
}

fn element_shape(input: &Input) -> Result<Shape> {
    allowed(input.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "a shape of int32 or int64")?;
    match (input.value, input.spec.shape.rank(), input.spec.shape.dim(0)) {
        (Some(value), ..) => shape_in(value),
        // A vector that is not known yet has as many dims as elements; a scalar is no shape.
        (None, Some(1), Some(rank)) if rank <= crate::MAX_RANK => Ok(std::iter::repeat_n(None, rank).collect()),
        _ => Ok(Shape::unknown()),
    }
}

/// A shape as an input of these ops; `like` is a tensor that has it, for the dims that are not known.
fn shape_input(shape: &Shape, like: Option<&Tensor>) -> Result<Tensor> {
    match (shape.known(), like, shape.dims()) {
        (Some(dims), ..) => dims_tensor(dims),
        (None, Some(like), _) => like.shape_tensor(),
        (None, None, Some(dims)) => {
            index_tensor(&dims.into_iter().map(|dim| dim.map_or(-1, |dim| dim as i64)).collect::<Vec<_>>())
        }
        (None, None, None) => Ok(Tensor::scalar(-1)),
    }
}

/// What an element is: it, or zeros where it is not set.
fn element(list: &List, found: Option<&Tensor>, asked: &Shape) -> Result<Tensor> {
    let compatible = |shape: &Shape| {
        shape.merge(asked).ok_or_else(|| {
            let message = format!("an element of shape {shape} was asked for as one of {asked}");
            Error::invalid_argument(message)
        })
    };
    if let Some(found) = found {
        compatible(found.shape())?;
        return Ok(found.clone());
    }
    let shape = compatible(&list.shape)?;
    let dims = shape.known().ok_or_else(|| {
        let message = format!("an element that is not set is zeros, and of its shape no more is known than {shape}");
        Error::invalid_argument(message)
    })?;
    Tensor::zeros(dims, list.dtype)
}

/// A list of this dtype behind a handle.
fn list_of(handle: &Tensor, dtype: DType) -> Result<&List> {
    let list = handle.as_list()?;
    match list.dtype == dtype {
        true => Ok(list),
        false => Err(Error::invalid_argument(format!("a list of {} was taken for one of {dtype}", list.dtype))),
    }
}

fn admit(list: &List, element: &Tensor) -> Result<()> {
    match element.dtype() == list.dtype && element.shape().is_compatible_with(&list.shape) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!(
            "the list is of {}, and the element is {}",
            Spec::new(list.dtype, &list.shape),
            element.spec()
        ))),
    }
}

fn place(index: &Tensor, list: &List) -> Result<usize> {
    let at = int_values(index)?[0];
    usize::try_from(at)
        .ok()
        .filter(|&at| at < list.len())
        .ok_or_else(|| Error::invalid_argument(format!("element {at} of a list of {}", list.len())))
}

fn made(list: List) -> Result<Vec<Tensor>> {
    Ok(vec![Tensor::variant(Variant::List(list))])
}

/// One op a row: its attributes beside `element_dtype`, and what it has of an op.
macro_rules! lists {
    ($($(#[$doc:meta])* $op:ident { $($field:ident $name:literal $get:ident $default:expr),* } { $($body:tt)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            struct $op {
                dtype: DType,
                $($field: lists!(@ $get),)*
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("element_dtype", self.dtype)$(.with($name, self.$field))*
                }
                $($body)*
            }
        )*
        const LISTS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op {
                dtype: attrs.dtype("element_dtype", None)?,
                $($field: attrs.$get($name, $default)?,)*
            })),
            accuracy: Accuracy::Exact,
        }),*];
    };
    (@ int) => { i64 };
    (@ bool) => { bool };
}

lists! {
    /// A list without elements.
    EmptyTensorList { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [shape, most] = arity(inputs)?;
            element_shape(shape)?;
            one_int(most, "the greatest length")?;
            Ok(vec![variant()])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let most = usize::try_from(int_values(inputs[1])?[0]).ok();
            made(List::unset(self.dtype, shape_in(inputs[0])?, 0).at_most(most))
        }
        fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
            Ok(vec![None, None])
        }
    }
    /// A list of so many elements, of which none is set.
    TensorListReserve { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [shape, count] = arity(inputs)?;
            element_shape(shape)?;
            match one_int(count, "the number of elements")? {
                Some(count) if count < 0 => {
                    Err(Error::invalid_argument(format!("the number of elements is not negative, found {count}")))
                }
                _ => Ok(vec![variant()]),
            }
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let count = usize::try_from(int_values(inputs[1])?[0]).unwrap_or(0);
            made(List::unset(self.dtype, shape_in(inputs[0])?, count))
        }
        fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
            Ok(vec![None, None])
        }
    }
    /// The list with one more element at its end.
    TensorListPushBack { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [list, element] = arity(inputs)?;
            is_variant(list)?;
            allowed(element.spec.dtype, |d| d == self.dtype, &format!("an element of {}", self.dtype))?;
            Ok(vec![variant()])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let list = list_of(inputs[0], self.dtype)?;
            admit(list, inputs[1])?;
            match list.most {
                Some(most) if list.len() >= most => {
                    Err(Error::invalid_argument(format!("the list has the {most} elements it may have")))
                }
                _ => made(list.pushed(Some(inputs[1].with_mask(None)))),
            }
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            let (list, element) = pop(b.dy(0), b.input(1).spec(), Some(b.input(1)))?;
            Ok(vec![Some(list), self.dtype.is_differentiable().then_some(element)])
        }
    }
    /// The list without its last element, and that.
    TensorListPopBack { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [list, shape] = arity(inputs)?;
            is_variant(list)?;
            Ok(vec![variant(), Spec::new(self.dtype, element_shape(shape)?)])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let list = list_of(inputs[0], self.dtype)?;
            let Some(last) = list.len().checked_sub(1) else {
                return Err(Error::invalid_argument("the list has no element to take"));
            };
            let element = element(list, list.get(last), &shape_in(inputs[1])?)?;
            Ok(vec![Tensor::variant(Variant::List(list.popped())), element])
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            Ok(vec![Some(push(b.dy(0), b.dy(1))?), None])
        }
    }
    /// The elements, side by side along a new first axis.
    TensorListStack { num_elements "num_elements" int -1 } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [list, shape] = arity(inputs)?;
            is_variant(list)?;
            allowed(self.dtype, DType::has_elements, "numbers, bools and strings")?;
            let count = usize::try_from(self.num_elements).ok();
            Ok(vec![Spec::new(self.dtype, element_shape(shape)?.dims().map_or(Shape::unknown(), |dims| {
                [count].into_iter().chain(dims).collect()
            }))])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let list = list_of(inputs[0], self.dtype)?;
            let asked = shape_in(inputs[1])?;
            if self.num_elements >= 0 && self.num_elements != list.len() as i64 {
                let message = format!("{} elements were asked for, and the list has {}", self.num_elements, list.len());
                return Err(Error::invalid_argument(message));
            }
            let found = list.elements()?;
            let some = found.iter().flatten().next().map(|some| some.shape().clone());
            let shape = asked.merge(&list.shape).and_then(|shape| some.map_or(Some(shape.clone()), |some| some.merge(&shape)));
            let shape = shape.ok_or_else(|| Error::invalid_argument(format!(
                "elements of {} were asked for as ones of {asked}", list.shape
            )))?;
            let dims = shape.known().ok_or_else(|| Error::invalid_argument(format!(
                "no more is known of the elements' shape than {shape}"
            )))?;
            if found.is_empty() {
                let dims: Vec<usize> = [0].into_iter().chain(dims.iter().copied()).collect();
                return Ok(vec![Tensor::zeros(dims, self.dtype)?]);
            }
            let elements = found.into_iter().map(|found| element(list, found, &shape)).collect::<Result<Vec<_>>>()?;
            Ok(vec![Tensor::stack(&elements, 0)?])
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            Ok(vec![Some(from_tensor(b.dy(0))?), None])
        }
    }
    /// The parts of a tensor along its first axis, as a list.
    TensorListFromTensor { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [tensor, shape] = arity(inputs)?;
            allowed(tensor.spec.dtype, |d| d == self.dtype && d.has_elements(), &format!("a tensor of {}", self.dtype))?;
            crate::op::at_least_rank(&tensor.spec.shape, 1, "a tensor that becomes a list")?;
            let shape = element_shape(shape)?;
            let own: Option<Shape> = tensor.spec.shape.dims().map(|dims| dims.into_iter().skip(1).collect());
            match own {
                Some(own) if !own.is_compatible_with(&shape) => {
                    Err(Error::invalid_argument(format!("elements of shape {own} are not of {shape}")))
                }
                _ => Ok(vec![variant()]),
            }
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let parts = inputs[0].unstack(0)?.into_iter().map(Some).collect();
            let own: Shape = inputs[0].dims()?[1..].into();
            let shape = own.merge(&shape_in(inputs[1])?).unwrap_or(own);
            made(List::of(self.dtype, shape, parts))
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            let x = b.input(0);
            let whole = match x.shape().dims() {
                Some(dims) => Spec::new(self.dtype, dims.into_iter().collect::<Shape>()),
                None => x.spec().clone(),
            };
            let dims: Option<Shape> = whole.shape.dims().map(|dims| dims.into_iter().skip(1).collect());
            let shape = match dims {
                Some(dims) if dims.is_known() => shape_input(&dims, None)?,
                _ => x.shape_tensor()?.slice(1..)?,
            };
            let num_elements = x.shape().dim(0).map_or(-1, |dim| dim as i64);
            Ok(vec![Some(apply_one(TensorListStack { dtype: self.dtype, num_elements }, &[b.dy(0), &shape])?), None])
        }
    }
    /// The element at a place.
    TensorListGetItem { } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [list, index, shape] = arity(inputs)?;
            is_variant(list)?;
            one_int(index, "the place")?;
            Ok(vec![Spec::new(self.dtype, element_shape(shape)?)])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let list = list_of(inputs[0], self.dtype)?;
            Ok(vec![element(list, list.get(place(inputs[1], list)?), &shape_in(inputs[2])?)?])
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            let length = apply_one(TensorListLength, &[b.input(0)])?;
            let zeros = TensorListReserve { dtype: self.dtype };
            let zeros = apply_one(zeros, &[b.input(2), &length])?;
            let set = TensorListSetItem { dtype: self.dtype, resize: false };
            Ok(vec![Some(apply_one(set, &[&zeros, b.input(1), b.dy(0)])?), None, None])
        }
    }
    /// The list with another element at a place.
    TensorListSetItem { resize "resize_if_index_out_of_bounds" bool false } {
        fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
            let [list, index, element] = arity(inputs)?;
            is_variant(list)?;
            one_int(index, "the place")?;
            allowed(element.spec.dtype, |d| d == self.dtype, &format!("an element of {}", self.dtype))?;
            Ok(vec![variant()])
        }
        fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let list = list_of(inputs[0], self.dtype)?;
            admit(list, inputs[2])?;
            let item = Some(inputs[2].with_mask(None));
            let at = int_values(inputs[1])?[0];
            // The next place is what a loop that fills a list asks for; far ones would be a list of nothing.
            match self.resize && at == list.len() as i64 {
                true => made(list.pushed(item)),
                false => made(list.with(place(inputs[1], list)?, item)),
            }
        }
        fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
            let item = b.input(2);
            let shape = shape_input(item.shape(), Some(item))?;
            let get = TensorListGetItem { dtype: self.dtype };
            let at_item = b.when(2, || apply_one(get, &[b.dy(0), b.input(1), &shape]))?;
            let at_list = b.when(0, || apply_one(self.clone(), &[b.dy(0), b.input(1), &item.zeros_like()?]))?;
            Ok(vec![at_list, None, at_item])
        }
    }
}

/// How many elements a list has.
#[derive(Debug, Default)]
struct TensorListLength;

impl Op for TensorListLength {
    fn name(&self) -> &'static str {
        "TensorListLength"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [list] = arity(inputs)?;
        is_variant(list)?;
        Ok(vec![Spec::new(DType::I32, Shape::scalar())])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let length = i32::try_from(inputs[0].as_list()?.len());
        Ok(vec![Tensor::scalar(
            length.map_err(|_| Error::invalid_argument("the list is longer than an int32 can say"))?,
        )])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// What is known of the shape of a list's elements: dims of which -1 is any, or -1 alone.
#[derive(Debug)]
struct TensorListElementShape {
    shape_type: DType,
}

impl Op for TensorListElementShape {
    fn name(&self) -> &'static str {
        "TensorListElementShape"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("shape_type", self.shape_type)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [list] = arity(inputs)?;
        is_variant(list)?;
        allowed(self.shape_type, |d| matches!(d, DType::I32 | DType::I64), "a shape of int32 or int64")?;
        Ok(vec![Spec::new(self.shape_type, Shape::unknown())])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![shape_input(&inputs[0].as_list()?.shape, None)?.cast(self.shape_type)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// Some tensors, of any kinds, as one.
#[derive(Debug, Default)]
struct OptionalFromValue;

impl Op for OptionalFromValue {
    fn name(&self) -> &'static str {
        "OptionalFromValue"
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(vec![variant()])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let held = inputs.iter().map(|input| input.with_mask(None)).collect();
        Ok(vec![Tensor::variant(Variant::Optional(Some(held)))])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let specs = b.inputs().iter().map(|input| input.spec().clone()).collect();
        let gradients = get_value(b.dy(0), specs)?;
        let smooth = |gradient: Tensor| gradient.dtype().is_differentiable().then_some(gradient);
        Ok(gradients.into_iter().map(smooth).collect())
    }
}

/// Nothing, in the place of some tensors.
#[derive(Debug, Default)]
struct OptionalNone;

impl Op for OptionalNone {
    fn name(&self) -> &'static str {
        "OptionalNone"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        arity::<0>(inputs)?;
        Ok(vec![variant()])
    }
    fn make(&self, _: &[&Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::variant(Variant::Optional(None))])
    }
}

/// Whether an optional holds tensors.
#[derive(Debug, Default)]
struct OptionalHasValue;

impl Op for OptionalHasValue {
    fn name(&self) -> &'static str {
        "OptionalHasValue"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [optional] = arity(inputs)?;
        is_variant(optional)?;
        Ok(vec![Spec::new(DType::Bool, Shape::scalar())])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::scalar(matches!(inputs[0].as_variant()?, Variant::Optional(Some(_))))])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// The tensors that an optional holds.
#[derive(Debug)]
struct OptionalGetValue {
    specs: Vec<Spec>,
}

impl Op for OptionalGetValue {
    fn name(&self) -> &'static str {
        "OptionalGetValue"
    }
    fn attrs(&self) -> Attrs {
        let types = self.specs.iter().map(|spec| Attr::Type(spec.dtype)).collect();
        let shapes = self.specs.iter().map(|spec| Attr::Shape(spec.shape.clone())).collect();
        Attrs::new().with("output_types", Attr::List(types)).with("output_shapes", Attr::List(shapes))
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [optional] = arity(inputs)?;
        is_variant(optional)?;
        Ok(self.specs.clone())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let Variant::Optional(held) = inputs[0].as_variant()? else {
            return Err(Error::invalid_argument("expected an optional, found a list of tensors"));
        };
        let held = held.as_ref().ok_or_else(|| Error::invalid_argument("the optional holds nothing"))?;
        let fits =
            |(held, spec): (&Tensor, &Spec)| held.dtype() == spec.dtype && held.shape().is_compatible_with(&spec.shape);
        if held.len() != self.specs.len() || !held.iter().zip(&self.specs).all(fits) {
            let found: Vec<&Spec> = held.iter().map(Tensor::spec).collect();
            return Err(Error::invalid_argument(format!("the optional holds {found:?}, not {:?}", self.specs)));
        }
        Ok(held.clone())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(from_value(&b.dys().iter().collect::<Vec<_>>())?)])
    }
}

/// A list without elements, of which each will be as the spec says.
pub(crate) fn empty(spec: &Spec) -> Result<Tensor> {
    let shape = shape_input(&spec.shape, None)?;
    apply_one(EmptyTensorList { dtype: spec.dtype }, &[&shape, &Tensor::scalar(-1)])
}

/// The list with one more element at its end.
pub(crate) fn push(list: &Tensor, element: &Tensor) -> Result<Tensor> {
    apply_one(TensorListPushBack { dtype: element.dtype() }, &[list, element])
}

/// The list without its last element, and that, which is as the spec says, or in its shape like `like`.
pub(crate) fn pop(list: &Tensor, spec: &Spec, like: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    let shape = shape_input(&spec.shape, like)?;
    let popped = apply(TensorListPopBack { dtype: spec.dtype }, &[list, &shape])?;
    let [list, element] = popped.try_into().map_err(|_| Error::internal("a list and an element were inferred"))?;
    Ok((list, element))
}

/// The elements, each as the spec says, along a new first axis.
pub(crate) fn stack(list: &Tensor, spec: &Spec, count: Option<usize>) -> Result<Tensor> {
    let num_elements = count.map_or(-1, |count| count as i64);
    apply_one(TensorListStack { dtype: spec.dtype, num_elements }, &[list, &shape_input(&spec.shape, None)?])
}

/// The parts along the first axis.
pub(crate) fn from_tensor(tensor: &Tensor) -> Result<Tensor> {
    let shape = tensor.shape().dims().map_or(Shape::unknown(), |dims| dims.into_iter().skip(1).collect());
    let shape = shape_input(&shape, None)?;
    apply_one(TensorListFromTensor { dtype: tensor.dtype() }, &[tensor, &shape])
}

/// Tensors as one.
pub(crate) fn from_value(tensors: &[&Tensor]) -> Result<Tensor> {
    apply_one(OptionalFromValue, tensors)
}

/// The tensors again, which are as the specs say.
pub(crate) fn get_value(optional: &Tensor, specs: Vec<Spec>) -> Result<Vec<Tensor>> {
    apply(OptionalGetValue { specs }, &[optional])
}

/// Zeros in the place of all that a list or an optional holds.
pub(super) fn zeros_like(value: &Tensor) -> Result<Tensor> {
    fn zeros(tensor: &Tensor) -> Result<Tensor> {
        match tensor.dtype() {
            DType::Variant => zeros_like(tensor),
            DType::Resource => Ok(tensor.clone()),
            dtype => Tensor::zeros(tensor.dims()?, dtype),
        }
    }
    Ok(Tensor::variant(match value.as_variant()? {
        Variant::Optional(held) => {
            let held = held.as_ref().map(|held| held.iter().map(zeros).collect::<Result<_>>());
            Variant::Optional(held.transpose()?)
        }
        // What is not set is zeros, where the shape says how many.
        Variant::List(list) if list.shape.is_known() && list.dtype.has_elements() => {
            Variant::List(List::unset(list.dtype, list.shape.clone(), list.len()).at_most(list.most))
        }
        Variant::List(list) => Variant::List(list.map(&mut |element| element.map(zeros).transpose())?),
    }))
}

/// The sums of what two lists or optionals hold, of those that have one; of others, what the first holds.
pub(super) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        match a.dtype() {
            DType::Variant => add(a, b),
            dtype if dtype.is_differentiable() => a.add(b),
            _ => Ok(a.clone()),
        }
    }
    let unlike = |a: usize, b: usize| Error::invalid_argument(format!("lists of {a} and of {b} elements have no sum"));
    Ok(Tensor::variant(match (a.as_variant()?, b.as_variant()?) {
        (Variant::List(a), Variant::List(b)) if a.len() != b.len() || a.dtype != b.dtype => {
            return Err(unlike(a.len(), b.len()));
        }
        (Variant::List(a), Variant::List(b)) => {
            let others = b.elements()?;
            let mut others = others.into_iter();
            Variant::List(a.map(&mut |element| match (element, others.next().flatten()) {
                (Some(a), Some(b)) => sum(a, b).map(Some),
                (a, b) => Ok(a.or(b).cloned()),
            })?)
        }
        (Variant::Optional(Some(a)), Variant::Optional(Some(b))) if a.len() == b.len() => {
            Variant::Optional(Some(a.iter().zip(b).map(|(a, b)| sum(a, b)).collect::<Result<_>>()?))
        }
        (Variant::Optional(None), Variant::Optional(None)) => Variant::Optional(None),
        _ => return Err(Error::invalid_argument("a list and an optional, or optionals of other tensors, have no sum")),
    }))
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    LISTS,
    &[
        OpDef::plain::<TensorListLength>("TensorListLength", Accuracy::Exact),
        OpDef {
            name: "TensorListElementShape",
            parse: |attrs| Ok(Arc::new(TensorListElementShape { shape_type: attrs.dtype("shape_type", None)? })),
            accuracy: Accuracy::Exact,
        },
        OpDef::plain::<OptionalFromValue>("OptionalFromValue", Accuracy::Exact),
        OpDef::plain::<OptionalNone>("OptionalNone", Accuracy::Exact),
        OpDef::plain::<OptionalHasValue>("OptionalHasValue", Accuracy::Exact),
        OpDef {
            name: "OptionalGetValue",
            parse: |attrs| {
                let wrong =
                    || Error::invalid_argument("attributes `output_types` and `output_shapes` are lists of one length");
                let (Some(Attr::List(types)), Some(Attr::List(shapes))) =
                    (attrs.get("output_types"), attrs.get("output_shapes"))
                else {
                    return Err(wrong());
                };
                let spec = |(dtype, shape): (&Attr, &Attr)| match (dtype, shape) {
                    (Attr::Type(dtype), Attr::Shape(shape)) => Ok(Spec::new(*dtype, shape)),
                    _ => Err(wrong()),
                };
                if types.len() != shapes.len() {
                    return Err(wrong());
                }
                Ok(Arc::new(OptionalGetValue { specs: types.iter().zip(shapes).map(spec).collect::<Result<_>>()? }))
            },
            accuracy: Accuracy::Exact,
        },
    ],
];
