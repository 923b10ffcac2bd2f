//! Shapes and the moving of elements that views can express.

use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allocate, allowed, apply_one, arity,
    int_values, ints, on_strings, same_dtype, with_rank,
};
use crate::shape::{broadcast, count, normalize_axis};
use crate::tensor::Layout;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::Strided;
use std::sync::Arc;

/// A tensor of axes or dims as TensorFlow passes them: int32, or int64 where they do not fit, for the op to judge.
pub(crate) fn index_tensor(values: &[i64]) -> Result<Tensor> {
    let narrow: Result<Vec<i32>, _> = values.iter().map(|&value| i32::try_from(value)).collect();
    match narrow {
        Ok(narrow) => Tensor::new([narrow.len()], narrow),
        Err(_) => Tensor::new([values.len()], values),
    }
}

/// Dims as an input to an op, likewise.
pub(crate) fn dims_tensor(dims: &[usize]) -> Result<Tensor> {
    index_tensor(&dims.iter().map(|&d| d as i64).collect::<Vec<_>>())
}

/// Dims out of an input; an error for a negative one.
pub(crate) fn dims_from(values: &[i64]) -> Result<Vec<usize>> {
    let dims = values.iter().map(|&value| {
        usize::try_from(value).map_err(|_| Error::invalid_argument(format!("dims cannot be negative: {values:?}")))
    });
    let dims = dims.collect::<Result<Vec<_>>>()?;
    count(&dims)?;
    Ok(dims)
}

/// The shape that an input of dims says, as far as it is known.
pub(crate) fn shape_input(input: &Input, what: &str) -> Result<Shape> {
    if input.spec.shape.rank().is_some_and(|rank| rank > 1) {
        return Err(Error::invalid_argument(format!("{what} are a vector, found shape {}", input.spec.shape)));
    }
    match ints(input, what)? {
        Some(values) => Ok(dims_from(&values)?.into()),
        None => Ok(input.spec.shape.dim(0).map_or(Shape::unknown(), Shape::of_rank)),
    }
}

/// Copies the elements of a view, whatever they are, in row-major order.
pub(crate) fn copy_view(x: View, out: &mut ViewMut) -> Result<()> {
    by_width!(x.dtype(), T => modulor_kernels::copy(x.elements::<T>()?, out.elements()?));
    Ok(())
}

pub(crate) fn layout_of(tensor: &Tensor) -> Result<&Layout> {
    Ok(&tensor.evaluated()?.layout)
}

/// Ops whose output is their input: one a row, with what becomes of the gradient.
macro_rules! identities {
    ($($(#[$doc:meta])* $op:ident $method:ident, |$dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            pub(crate) struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    Ok(vec![x.spec.clone()])
                }
                fn view(&self, inputs: &[&Tensor], _: &Spec) -> Result<Option<Layout>> {
                    layout_of(inputs[0]).cloned().map(Some)
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let $dy = b.dy(0);
                    let _ = $dy;
                    Ok(vec![$grad])
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
        const IDENTITIES: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

identities! {
    /// The same elements as another tensor, which a tape tells from this one.
    Identity identity, |dy| Some(dy.clone());
    /// The same elements, through which no gradient flows.
    StopGradient stop_gradient, |dy| None;
}

/// The gradient a user wrote.
pub(crate) type CustomGradient = Arc<dyn Fn(&Backward) -> Result<Vec<Option<Tensor>>> + Send + Sync>;

/// Several tensors as they are; TensorFlow hangs the gradients that users define on it.
#[derive(Default)]
pub(crate) struct IdentityN {
    gradient: Option<CustomGradient>,
}

impl IdentityN {
    pub fn with_gradient(gradient: CustomGradient) -> IdentityN {
        IdentityN { gradient: Some(gradient) }
    }
}

impl std::fmt::Debug for IdentityN {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.gradient.is_some() { "IdentityN { gradient: custom }" } else { "IdentityN" })
    }
}

impl Op for IdentityN {
    fn name(&self) -> &'static str {
        "IdentityN"
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        Ok(inputs.iter().map(|input| input.spec.clone()).collect())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        inputs.iter().zip(outputs).try_for_each(|(x, out)| copy_view(*x, out))
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        inputs.iter().map(|input| input.alias()).collect()
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        match &self.gradient {
            Some(gradient) => gradient(b),
            None => Ok(b.dys().iter().cloned().map(Some).collect()),
        }
    }
}

/// Ops that fill the shape of their input: one a row.
macro_rules! fills_like {
    ($($(#[$doc:meta])* $op:ident $method:ident $value:literal;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    let text = |d: DType| d == DType::String && $value == 0;
                    let list = |d: DType| d == DType::Variant && $value == 0;
                    allowed(x.spec.dtype, |d| d.size() > 0 || text(d) || list(d), "numbers and bools")?;
                    Ok(vec![x.spec.clone()])
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    let x = inputs[0];
                    Ok(vec![match x.dtype() {
                        DType::Variant => super::list::zeros_like(x)?,
                        dtype => Tensor::zeros(x.dims()?, dtype)?,
                    }])
                }
                fn run(&self, _: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    fill_number(&mut outputs[0], $value)
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
        const FILLS: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

fills_like! {
    /// Zeros (empty strings) of this dtype and shape.
    ZerosLike zeros_like 0;
    /// Ones of this dtype and shape.
    OnesLike ones_like 1;
}

/// Fills a buffer of any plain dtype with 0 or 1.
fn fill_number(out: &mut ViewMut, value: u8) -> Result<()> {
    let dtype = out.dtype();
    if value == 0 || dtype == DType::Bool {
        out.bytes().fill(value);
        return Ok(());
    }
    dispatch!(dtype, arithmetic T => {
        let (value, strides) = ([value], [0; crate::MAX_RANK]);
        let one = Strided::new(&value, out.dims(), &strides[..out.dims().len()], 0)
            .ok_or_else(|| Error::internal("strides of 0 stay at the first element"))?;
        modulor_kernels::cast::<u8, T>(one, out.elements()?);
        Ok(())
    }, else => Err(crate::op::unsupported(dtype)))
}

/// The same elements under other dims.
#[derive(Debug, Default)]
struct Reshape;

/// The dims that a reshape of `x` to `wanted` gives; -1 stands for whatever is left.
fn reshaped(x: &Shape, wanted: &[i64]) -> Result<Shape> {
    let refused = |why: &str| Error::invalid_argument(format!("cannot reshape {x} to {wanted:?}: {why}"));
    let free = wanted.iter().filter(|&&d| d == -1).count();
    if free > 1 {
        return Err(refused("only one dim can be -1"));
    }
    if wanted.iter().any(|&d| d < -1) {
        return Err(refused("a dim is at least 0, or -1"));
    }
    let fixed: Vec<usize> = wanted.iter().filter(|&&d| d >= 0).map(|&d| d as usize).collect();
    let product = count(&fixed)?;
    let Some(elements) = x.elements() else {
        let dims = wanted.iter().map(|&d| usize::try_from(d).ok());
        return Ok(dims.collect());
    };
    // Beside a dim of 0, what is left is what the other dims leave.
    let beside_zero = |dims: &[usize]| count(&dims.iter().copied().filter(|&d| d != 0).collect::<Vec<_>>());
    let (all, given) = match (product, elements, x.known()) {
        (0, 0, Some(dims)) if free == 1 => (beside_zero(dims)?, beside_zero(&fixed)?),
        _ => (elements, product),
    };
    let left = (given > 0 && all % given == 0).then(|| all / given);
    let fits = if free == 1 { left.is_some() } else { product == elements };
    if !fits {
        return Err(refused(&format!("the number of elements is {elements}")));
    }
    Ok(wanted.iter().map(|&d| usize::try_from(d).ok().or(left)).collect())
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, dims] = arity(inputs)?;
        with_rank(&dims.spec.shape, 1, "dims")?;
        let shape = match ints(dims, "dims")? {
            Some(wanted) => reshaped(&x.spec.shape, &wanted)?,
            None => dims.spec.shape.dim(0).map_or(Shape::unknown(), Shape::of_rank),
        };
        Ok(vec![Spec::new(x.spec.dtype, shape)])
    }
    fn view(&self, inputs: &[&Tensor], output: &Spec) -> Result<Option<Layout>> {
        let dims = output.shape.known().unwrap_or_default();
        Ok(layout_of(inputs[0])?.reshaped(dims))
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        copy_view(inputs[0], &mut outputs[0])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        // Strings whose strides do not allow a view.
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).reshape_as(b.input(0))?), None])
    }
}

/// The axes in another order.
#[derive(Debug, Default)]
struct Transpose;

/// A permutation as axes, every one of them once.
fn permutation(perm: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut seen = vec![false; rank];
    let axes = perm.iter().map(|&axis| normalize_axis(axis, rank)).collect::<Result<Vec<_>>>()?;
    let fresh = axes.iter().all(|&axis| !std::mem::replace(&mut seen[axis], true));
    if !fresh || axes.len() != rank {
        return Err(Error::invalid_argument(format!(
            "{perm:?} is not a permutation of the {rank} axes: each must stand in it once"
        )));
    }
    Ok(axes)
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, perm] = arity(inputs)?;
        let shape = match (ints(perm, "a permutation")?, x.spec.shape.dims()) {
            (Some(perm), Some(dims)) => permutation(&perm, dims.len())?.into_iter().map(|axis| dims[axis]).collect(),
            (Some(perm), None) => Shape::of_rank(perm.len()),
            (None, dims) => dims.map_or(Shape::unknown(), |dims| Shape::of_rank(dims.len())),
        };
        Ok(vec![Spec::new(x.spec.dtype, shape)])
    }
    fn view(&self, inputs: &[&Tensor], _: &Spec) -> Result<Option<Layout>> {
        let layout = layout_of(inputs[0])?;
        Ok(Some(layout.permuted(&permutation(&int_values(inputs[1])?, layout.dims.len())?)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if b.input(1).is_symbolic() {
            return Err(Error::unimplemented("the gradient of a transposition needs the permutation's value"));
        }
        let perm = int_values(b.input(1))?;
        let mut inverse = vec![0; perm.len()];
        for (to, from) in permutation(&perm, perm.len())?.into_iter().enumerate() {
            inverse[from] = to as i64;
        }
        Ok(vec![Some(b.dy(0).permute(&inverse)?), None])
    }
}

/// The same elements, repeated along new axes and axes of one element.
#[derive(Debug, Default)]
pub(super) struct BroadcastTo;

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "BroadcastTo"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, dims] = arity(inputs)?;
        let to = shape_input(dims, "dims")?;
        if let (Some(_), Some(_)) = (x.spec.shape.rank(), to.rank()) {
            let both = broadcast(&x.spec.shape, &to)?;
            if both.rank() != to.rank() || !both.is_compatible_with(&to) {
                let message = format!("a tensor of shape {} cannot be broadcast to {to}", x.spec.shape);
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(vec![Spec::new(x.spec.dtype, to)])
    }
    fn view(&self, inputs: &[&Tensor], output: &Spec) -> Result<Option<Layout>> {
        Ok(Some(layout_of(inputs[0])?.broadcast(output.shape.known().unwrap_or_default())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(super::reduce::unbroadcast(b.dy(0), b.input(0))?), None])
    }
}

/// A dim of 1 more.
#[derive(Debug, Default)]
struct ExpandDims;

impl Op for ExpandDims {
    fn name(&self) -> &'static str {
        "ExpandDims"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, axis] = arity(inputs)?;
        let shape = match (ints(axis, "an axis")?, x.spec.shape.dims()) {
            (Some(axis), Some(mut dims)) => {
                let [axis] = *axis else {
                    return Err(Error::invalid_argument(format!("takes one axis, found {axis:?}")));
                };
                dims.insert(normalize_axis(axis, dims.len() + 1)?, Some(1));
                dims.into()
            }
            (None, Some(dims)) => Shape::of_rank(dims.len() + 1),
            (_, None) => Shape::unknown(),
        };
        Ok(vec![Spec::new(x.spec.dtype, shape)])
    }
    fn view(&self, inputs: &[&Tensor], output: &Spec) -> Result<Option<Layout>> {
        Ok(layout_of(inputs[0])?.reshaped(output.shape.known().unwrap_or_default()))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).reshape_as(b.input(0))?), None])
    }
}

/// Without dims of 1.
#[derive(Debug, Default)]
struct Squeeze {
    axes: Vec<i64>,
}

impl Op for Squeeze {
    fn name(&self) -> &'static str {
        "Squeeze"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("squeeze_dims", &*self.axes)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let Some(dims) = x.spec.shape.dims() else { return Ok(vec![Spec::new(x.spec.dtype, Shape::unknown())]) };
        let mut gone = vec![false; dims.len()];
        for &axis in &self.axes {
            let axis = normalize_axis(axis, dims.len())?;
            if dims[axis].is_some_and(|dim| dim != 1) {
                let message = format!("cannot squeeze axis {axis} of shape {}: only a dim of 1 can go", x.spec.shape);
                return Err(Error::invalid_argument(message));
            }
            gone[axis] = true;
        }
        let all = self.axes.is_empty();
        if all && dims.contains(&None) {
            return Ok(vec![Spec::new(x.spec.dtype, Shape::unknown())]);
        }
        let stays = |&(axis, dim): &(usize, Option<usize>)| if all { dim != Some(1) } else { !gone[axis] };
        let shape: Shape = dims.into_iter().enumerate().filter(stays).map(|(_, dim)| dim).collect();
        Ok(vec![Spec::new(x.spec.dtype, shape)])
    }
    fn view(&self, inputs: &[&Tensor], output: &Spec) -> Result<Option<Layout>> {
        Ok(layout_of(inputs[0])?.reshaped(output.shape.known().unwrap_or_default()))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).reshape_as(b.input(0))?)])
    }
}

/// Ops that tell a shape: one a row, with the spec of what they tell and how it follows from dims.
macro_rules! tells {
    ($($(#[$doc:meta])* $name:literal $op:ident $method:ident, |$x:ident| $shape:expr, |$dims:ident| $value:expr;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                out_type: DType,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    $name
                }
                fn attrs(&self) -> Attrs {
                    if $name == "Rank" { Attrs::new() } else { Attrs::new().with("out_type", self.out_type) }
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    allowed(self.out_type, |d| matches!(d, DType::I32 | DType::I64), "an out_type of int32 or int64")?;
                    let $x = &x.spec.shape;
                    let _ = $x;
                    Ok(vec![Spec::new(self.out_type, $shape)])
                }
                fn known(&self, inputs: &[Input]) -> Option<Vec<Tensor>> {
                    let $dims = inputs[0].spec.shape.known()?;
                    let spec = self.infer(inputs).ok()?.pop()?;
                    whole_numbers($value, &spec).ok()
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    let ($dims, $x) = (inputs[0].dims()?, inputs[0].shape());
                    let _ = $x;
                    whole_numbers($value, &Spec::new(self.out_type, $shape))
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let $dims = inputs[0].dims();
                    write_ints($value, &mut outputs[0])
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", $name, "`.")]
                pub fn $method(&self) -> Result<Tensor> {
                    apply_one($op { out_type: DType::I32 }, &[self])
                }
            }
        )*
        const TELLS: &[OpDef] = &[$(OpDef {
            name: $name,
            parse: |attrs| {
                // TensorFlow's Rank has no such attribute: it is int32.
                let out_type = if $name == "Rank" { DType::I32 } else { attrs.dtype("out_type", DType::I32)? };
                Ok(Arc::new($op { out_type }))
            },
            accuracy: Accuracy::Exact,
        }),*];
    };
}

/// Fills an int32 or int64 buffer.
fn write_ints(values: impl IntoIterator<Item = usize>, out: &mut ViewMut) -> Result<()> {
    match out.dtype() {
        DType::I32 => {
            for (place, value) in out.elements::<i32>()?.iter_mut().zip(values) {
                *place = i32::try_from(value)
                    .map_err(|_| Error::invalid_argument(format!("{value} does not fit in an int32; ask for int64")))?;
            }
        }
        _ => out.elements::<i64>()?.iter_mut().zip(values).for_each(|(place, value)| *place = value as i64),
    }
    Ok(())
}

/// The same as a tensor.
fn whole_numbers(values: impl IntoIterator<Item = usize>, spec: &Spec) -> Result<Vec<Tensor>> {
    let [(dims, mut plain)] = <[_; 1]>::try_from(allocate(std::slice::from_ref(spec))?)
        .map_err(|_| Error::internal("one spec gives one buffer"))?;
    write_ints(values, &mut ViewMut::new(spec.dtype, &dims, plain.bytes_mut())?)?;
    Ok(vec![Tensor::plain(spec.dtype, dims, plain)])
}

tells! {
    /// The dims, as an int32 tensor of rank 1: also of a symbol, whose dims are known only when the graph runs.
    "Shape" ShapeOf shape_tensor, |x| Shape::from([x.rank()]), |dims| dims.iter().copied();
    /// The number of elements, as an int32 scalar.
    "Size" SizeOf size_tensor, |x| Shape::scalar(), |dims| [dims.iter().product::<usize>()];
    /// The number of dims, as an int32 scalar.
    "Rank" RankOf rank_tensor, |x| Shape::scalar(), |dims| [dims.len()];
}

/// The number of elements, as an int64 scalar.
pub(super) fn element_count(x: &Tensor) -> Result<Tensor> {
    apply_one(SizeOf { out_type: DType::I64 }, &[x])
}

/// The dims of several tensors, each as a vector.
#[derive(Debug)]
struct ShapeN {
    out_type: DType,
}

impl Op for ShapeN {
    fn name(&self) -> &'static str {
        "ShapeN"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("out_type", self.out_type)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        same_dtype(inputs)?;
        let one = ShapeOf { out_type: self.out_type };
        let specs = inputs.iter().map(|input| one.infer(std::slice::from_ref(input)));
        Ok(specs.collect::<Result<Vec<_>>>()?.concat())
    }
    fn known(&self, inputs: &[Input]) -> Option<Vec<Tensor>> {
        let one = ShapeOf { out_type: self.out_type };
        let known = inputs.iter().map(|input| one.known(std::slice::from_ref(input)));
        Some(known.collect::<Option<Vec<_>>>()?.concat())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let one = ShapeOf { out_type: self.out_type };
        let made = inputs.iter().map(|input| one.make(&[input]));
        Ok(made.collect::<Result<Vec<_>>>()?.concat())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        inputs.iter().zip(outputs).try_for_each(|(x, out)| write_ints(x.dims().iter().copied(), out))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; b.inputs().len()])
    }
}

impl Tensor {
    /// The same elements under other dims; one of them may be -1 for whatever is left. TensorFlow's `Reshape`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(*x.reshape([-1, 2])?.shape(), [3, 2]);
    /// let error = x.reshape([4, 4]).unwrap_err();
    /// assert_eq!(error.to_string(), "cannot reshape (2, 3) to [4, 4]: the number of elements is 6 [Op:Reshape]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reshape(&self, dims: impl AsRef<[i64]>) -> Result<Tensor> {
        self.check()?;
        apply_one(Reshape, &[self, &index_tensor(dims.as_ref())?])
    }

    /// The same elements under known dims.
    pub(crate) fn reshape_to(&self, dims: &[usize]) -> Result<Tensor> {
        apply_one(Reshape, &[self, &dims_tensor(dims)?])
    }

    /// The same elements under the dims of another tensor, known or not.
    pub fn reshape_as(&self, other: &Tensor) -> Result<Tensor> {
        self.check()?;
        match other.shape().known() {
            Some(dims) if *self.shape() == *dims => Ok(self.clone()),
            Some(dims) => self.reshape_to(dims),
            None => apply_one(Reshape, &[self, &other.shape_tensor()?]),
        }
    }

    /// The same elements under dims that are a tensor, int32 or int64 of `[rank]`, one of which may be -1: in a graph,
    /// dims that follow from others.
    pub fn reshape_by(&self, dims: &Tensor) -> Result<Tensor> {
        self.check()?;
        apply_one(Reshape, &[self, dims])
    }

    /// The dim of an axis as a scalar: of a symbol perhaps one that is known only when the graph runs.
    pub(crate) fn length(&self, axis: usize) -> Result<Tensor> {
        match self.shape().dim(axis) {
            Some(dim) => index_tensor(&[dim as i64])?.reshape([]),
            None => self.shape_tensor()?.slice(axis),
        }
    }

    /// The axes in reverse order: the transpose of a matrix. TensorFlow's `Transpose`.
    pub fn transpose(&self) -> Result<Tensor> {
        self.check()?;
        let rank = self.rank().ok_or_else(|| {
            Error::failed_precondition("transposing a tensor needs its rank, which is unknown").in_op("Transpose")
        })?;
        self.permute((0..rank as i64).rev().collect::<Vec<_>>())
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]` of this. TensorFlow's `Transpose`.
    pub fn permute(&self, perm: impl AsRef<[i64]>) -> Result<Tensor> {
        self.check()?;
        apply_one(Transpose, &[self, &index_tensor(perm.as_ref())?])
    }

    /// Repeated along new axes in front and along axes of one element. TensorFlow's `BroadcastTo`.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.check()?;
        let shape = shape.into();
        let Some(dims) = shape.known() else {
            let message = format!("broadcasting needs dims that are known, found {shape}");
            return Err(Error::invalid_argument(message).in_op("BroadcastTo"));
        };
        apply_one(BroadcastTo, &[self, &dims_tensor(dims)?])
    }

    /// Repeated to the shape of another tensor, known or not.
    pub fn broadcast_like(&self, other: &Tensor) -> Result<Tensor> {
        self.check()?;
        match other.shape().known() {
            Some(dims) if *self.shape() == *dims => Ok(self.clone()),
            Some(dims) => apply_one(BroadcastTo, &[self, &dims_tensor(dims)?]),
            None => apply_one(BroadcastTo, &[self, &other.shape_tensor()?]),
        }
    }

    /// A dim of 1 more, in front of `axis`; -1 puts it last. TensorFlow's `ExpandDims`.
    pub fn expand_dims(&self, axis: i64) -> Result<Tensor> {
        self.check()?;
        apply_one(ExpandDims, &[self, &index_tensor(&[axis])?.reshape_to(&[])?])
    }

    /// Without the dims of 1 at these axes, or without any when none are given. TensorFlow's `Squeeze`.
    pub fn squeeze(&self, axes: impl AsRef<[i64]>) -> Result<Tensor> {
        self.check()?;
        apply_one(Squeeze { axes: axes.as_ref().to_vec() }, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    IDENTITIES,
    FILLS,
    TELLS,
    &[
        OpDef::plain::<IdentityN>("IdentityN", Accuracy::Exact),
        OpDef::plain::<Reshape>("Reshape", Accuracy::Exact),
        OpDef::plain::<Transpose>("Transpose", Accuracy::Exact),
        OpDef::plain::<BroadcastTo>("BroadcastTo", Accuracy::Exact),
        OpDef::plain::<ExpandDims>("ExpandDims", Accuracy::Exact),
        OpDef {
            name: "ShapeN",
            parse: |attrs| Ok(Arc::new(ShapeN { out_type: attrs.dtype("out_type", DType::I32)? })),
            accuracy: Accuracy::Exact,
        },
        OpDef {
            name: "Squeeze",
            parse: |attrs| Ok(Arc::new(Squeeze { axes: attrs.ints("squeeze_dims")? })),
            accuracy: Accuracy::Exact,
        },
    ],
];
