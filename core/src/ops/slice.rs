//! Slices: the parts of a tensor that indices and ranges name, as views.

use super::array::{index_tensor, layout_of, shape_input};
use crate::dtype::by_width;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, int_values, ints,
    scope, with_rank,
};
use crate::shape::{MAX_RANK, write_row_major};
use crate::tensor::{Layout, Payload};
use crate::{Error, Result, Shape, Spec, Tensor};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::sync::Arc;

pub use Index::{Ellipsis, NewAxis};

/// One item between the brackets of a slice. Negative places count from the end of the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One place, which must exist; the axis goes.
    At(i64),
    /// Places from `start` to before `end`, `step` apart; an end that is open or beyond the axis means all there are.
    Range {
        /// The first place, or the first there is in the direction of the step.
        start: Option<i64>,
        /// The place before which to stop, or none.
        end: Option<i64>,
        /// How far from each place to the next; not 0.
        step: i64,
    },
    /// A new axis of one element.
    NewAxis,
    /// As many whole axes as the other items leave. Where no item is this, the axes left come last.
    Ellipsis,
}

/// What can stand as one item of a slice: an integer, a range of integers, [`step`], [`NewAxis`], [`Ellipsis`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an item of a slice",
    label = "an integer (i32, i64, usize), a range of them, `step(range, n)`, `NewAxis` or `Ellipsis` is needed here"
)]
pub trait ToIndex {
    /// This as an item.
    fn to_index(&self) -> Index;
}

impl ToIndex for Index {
    fn to_index(&self) -> Index {
        *self
    }
}

impl ToIndex for RangeFull {
    fn to_index(&self) -> Index {
        Index::Range { start: None, end: None, step: 1 }
    }
}

/// A range that includes its last place, as one that does not: after the last place of all there is no other.
fn after(last: i64) -> Option<i64> {
    last.checked_add(1).filter(|&end| end != 0)
}

macro_rules! integers {
    ($($t:ty)*) => { $(
        integers!(@ $t, i => Index::At(wide(*i)));
        integers!(@ Range<$t>, r => Index::Range { start: Some(wide(r.start)), end: Some(wide(r.end)), step: 1 });
        integers!(@ RangeFrom<$t>, r => Index::Range { start: Some(wide(r.start)), end: None, step: 1 });
        integers!(@ RangeTo<$t>, r => Index::Range { start: None, end: Some(wide(r.end)), step: 1 });
        integers!(@ RangeInclusive<$t>,
            r => Index::Range { start: Some(wide(*r.start())), end: after(wide(*r.end())), step: 1 });
        integers!(@ RangeToInclusive<$t>, r => Index::Range { start: None, end: after(wide(r.end)), step: 1 });
    )* };
    (@ $t:ty, $this:ident => $index:expr) => {
        impl ToIndex for $t {
            fn to_index(&self) -> Index {
                let $this = self;
                $index
            }
        }
    };
}

integers! { i32 i64 usize }

/// No axis is longer than an i64 counts, so what does not fit is beyond every end.
fn wide(place: impl TryInto<i64>) -> i64 {
    place.try_into().unwrap_or(i64::MAX)
}

/// Every `step`-th place of a range; a negative step walks backwards, from the range's start down to before its end.
///
/// ```
/// use modulor_core::{Tensor, step};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([0, 1, 2, 3, 4]);
/// assert_eq!(x.slice(step(.., 2))?.to_vec::<i32>()?, [0, 2, 4]);
/// assert_eq!(x.slice(step(3..0, -1))?.to_vec::<i32>()?, [3, 2, 1]);
/// # Ok(())
/// # }
/// ```
pub fn step(range: impl ToIndex, step: i64) -> Index {
    match range.to_index() {
        Index::Range { start, end, .. } => Index::Range { start, end, step },
        other => other,
    }
}

/// What can stand between the brackets of a slice: one item, a tuple of them, or an array or vector of items of a kind.
pub trait Indices {
    /// The items in order.
    fn indices(&self) -> Vec<Index>;
}

impl<I: ToIndex> Indices for I {
    fn indices(&self) -> Vec<Index> {
        vec![self.to_index()]
    }
}

impl<I: ToIndex, const N: usize> Indices for [I; N] {
    fn indices(&self) -> Vec<Index> {
        self.iter().map(I::to_index).collect()
    }
}

impl<I: ToIndex> Indices for &[I] {
    fn indices(&self) -> Vec<Index> {
        self.iter().map(I::to_index).collect()
    }
}

impl<I: ToIndex> Indices for Vec<I> {
    fn indices(&self) -> Vec<Index> {
        self.iter().map(I::to_index).collect()
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => { $(
        impl<$($name: ToIndex),*> Indices for ($($name,)*) {
            fn indices(&self) -> Vec<Index> {
                #[allow(non_snake_case)]
                let ($($name,)*) = self;
                vec![$($name.to_index()),*]
            }
        }
    )* };
}

tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

/// TensorFlow's masks are int32, one bit for each entry.
const MAX_ENTRIES: usize = 32;

/// What the entries of a strided slice mean, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Masks {
    /// The begin is open.
    begin: i64,
    /// The end is open.
    end: i64,
    /// The entry stands for all axes the others leave.
    ellipsis: i64,
    /// The entry is a new axis.
    new_axis: i64,
    /// The entry is one place, whose axis goes.
    shrink: i64,
}

/// What becomes of an axis, in the order of the result.
enum Step {
    New,
    Whole { axis: usize },
    Entry { axis: usize, entry: usize },
}

/// Places of an axis.
struct Run {
    start: usize,
    step: isize,
    count: usize,
}

impl Masks {
    fn parse(attrs: &Attrs) -> Result<Masks> {
        Ok(Masks {
            begin: attrs.int("begin_mask", 0)?,
            end: attrs.int("end_mask", 0)?,
            ellipsis: attrs.int("ellipsis_mask", 0)?,
            new_axis: attrs.int("new_axis_mask", 0)?,
            shrink: attrs.int("shrink_axis_mask", 0)?,
        })
    }

    fn attrs(&self) -> Attrs {
        Attrs::new()
            .with("begin_mask", self.begin)
            .with("end_mask", self.end)
            .with("ellipsis_mask", self.ellipsis)
            .with("new_axis_mask", self.new_axis)
            .with("shrink_axis_mask", self.shrink)
    }

    /// Goes through the axes of a slice of `entries` entries in order. An ellipsis goes before a new axis, and that
    /// before a place, where an entry is marked as more than one.
    fn walk(&self, entries: usize, rank: usize, f: &mut dyn FnMut(Step) -> Result<()>) -> Result<()> {
        if entries >= MAX_ENTRIES {
            return Err(Error::invalid_argument(format!(
                "a slice has fewer than {MAX_ENTRIES} items, found {entries}"
            )));
        }
        let all = (1 << entries) - 1;
        let ellipsis = self.ellipsis & all;
        if ellipsis.count_ones() > 1 {
            return Err(Error::invalid_argument("a slice has at most one ellipsis"));
        }
        let new = self.new_axis & all & !ellipsis;
        let used = entries - (new | ellipsis).count_ones() as usize;
        let hidden = rank.checked_sub(used).ok_or_else(|| {
            Error::invalid_argument(format!("the slice has items for {used} axes, and the tensor has {rank}"))
        })?;
        let mut axis = 0;
        for entry in 0..=entries {
            let bit = 1 << entry;
            if ellipsis & bit != 0 || entry == entries && ellipsis == 0 {
                for _ in 0..hidden {
                    f(Step::Whole { axis })?;
                    axis += 1;
                }
            } else if new & bit != 0 {
                f(Step::New)?;
            } else if entry < entries {
                f(Step::Entry { axis, entry })?;
                axis += 1;
            }
        }
        Ok(())
    }

    fn shrinks(&self, entry: usize) -> bool {
        self.shrink & 1 << entry != 0
    }

    /// The places of an axis of `dim` that an entry names.
    fn run(&self, entry: usize, axis: usize, dim: usize, [begin, end, step]: [i64; 3]) -> Result<Run> {
        self.check_step(entry, step)?;
        let length = dim as i64;
        let from_end = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
        if self.shrinks(entry) {
            return match usize::try_from(from_end(begin)) {
                Ok(start) if start < dim => Ok(Run { start, step: 1, count: 1 }),
                _ => Err(Error::invalid_argument(format!(
                    "slice index {begin} of dimension {axis} out of bounds: it has {dim} elements"
                ))),
            };
        }
        // Walking backwards, the end beyond all places is -1.
        let (first, last) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let (open_begin, open_end) = if step > 0 { (first, last) } else { (last, first) };
        let place = |mask: i64, open: i64, given: i64| match mask & 1 << entry {
            0 => from_end(given).clamp(first, last),
            _ => open,
        };
        let (begin, end) = (place(self.begin, open_begin, begin), place(self.end, open_end, end));
        let span = if step > 0 { end - begin } else { begin - end };
        let count = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        // A step beyond the axis leaves one place, from which no step is taken.
        Ok(Run { start: begin.max(0) as usize, step: isize::try_from(step).unwrap_or(0), count })
    }

    fn check_step(&self, entry: usize, step: i64) -> Result<()> {
        if step == 0 {
            return Err(Error::invalid_argument(format!("strides[{entry}] must be non-zero")));
        }
        if self.shrinks(entry) && step < 0 {
            let message = format!("item {entry} is one place, which takes a stride of 1 only, found {step}");
            return Err(Error::invalid_argument(message));
        }
        Ok(())
    }

    /// The shape of a slice, from what is known of begin, end and strides.
    fn shape(&self, x: &Shape, spec: &[Input]) -> Result<Shape> {
        let mut length = Shape::of_rank(1);
        let mut values = [None, None, None];
        for ((input, value), what) in spec.iter().zip(&mut values).zip(["begin", "end", "strides"]) {
            *value = ints(input, what)?;
            length = length.merge(&with_rank(&input.spec.shape, 1, what)?).ok_or_else(|| {
                let shapes: Vec<_> = spec.iter().map(|input| input.spec.shape.to_string()).collect();
                Error::invalid_argument(format!("begin, end and strides have one length, found {}", shapes.join(", ")))
            })?;
        }
        let (Some(dims), Some(entries)) = (x.dims(), length.dim(0)) else { return Ok(Shape::unknown()) };
        let mut shape = Vec::new();
        self.walk(entries, dims.len(), &mut |step| {
            match step {
                Step::New => shape.push(Some(1)),
                Step::Whole { axis } => shape.push(dims[axis]),
                Step::Entry { axis, entry } => {
                    let [begin, end, step] = values.each_ref().map(|v| v.as_ref().map(|v| v[entry]));
                    step.map(|step| self.check_step(entry, step)).transpose()?;
                    let open = |mask: i64, value: Option<i64>| value.or((mask & 1 << entry != 0).then_some(0));
                    let run = match (dims[axis], open(self.begin, begin), open(self.end, end), step) {
                        (Some(dim), Some(begin), Some(end), Some(step)) => {
                            Some(self.run(entry, axis, dim, [begin, end, step])?)
                        }
                        _ => None,
                    };
                    if !self.shrinks(entry) {
                        shape.push(run.map(|run| run.count));
                    }
                }
            }
            Ok(())
        })?;
        Ok(shape.into())
    }
}

/// The part of a tensor that a strided slice names.
#[derive(Debug, Default)]
struct StridedSlice {
    masks: Masks,
}

impl Op for StridedSlice {
    fn name(&self) -> &'static str {
        "StridedSlice"
    }
    fn attrs(&self) -> Attrs {
        self.masks.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, spec @ ..]: &[Input; 4] = arity(inputs)?;
        Ok(vec![Spec::new(x.spec.dtype, self.masks.shape(&x.spec.shape, spec)?)])
    }
    fn view(&self, inputs: &[&Tensor], _: &Spec) -> Result<Option<Layout>> {
        let x = layout_of(inputs[0])?;
        let (begin, end, steps) = (int_values(inputs[1])?, int_values(inputs[2])?, int_values(inputs[3])?);
        let mut view = Layout { dims: Vec::new(), strides: Vec::new(), offset: x.offset };
        self.masks.walk(begin.len(), x.dims.len(), &mut |step| {
            let (axis, run, kept) = match step {
                Step::New => {
                    view.dims.push(1);
                    view.strides.push(0);
                    return Ok(());
                }
                Step::Whole { axis } => (axis, Run { start: 0, step: 1, count: x.dims[axis] }, true),
                Step::Entry { axis, entry } => {
                    let spec = [begin[entry], end[entry], steps[entry]];
                    (axis, self.masks.run(entry, axis, x.dims[axis], spec)?, !self.masks.shrinks(entry))
                }
            };
            if run.count > 0 {
                view.offset = view.offset.wrapping_add_signed(run.start as isize * x.strides[axis]);
            }
            if kept {
                view.dims.push(run.count);
                view.strides.push(if run.count > 1 { run.step * x.strides[axis] } else { 0 });
            }
            Ok(())
        })?;
        Ok(Some(view))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let [x, begin, end, steps] = b.inputs() else { return Err(Error::internal("four inputs were inferred")) };
        let shape = x.shape_tensor()?.cast(begin.dtype())?;
        let dx = apply_one(StridedSliceGrad { masks: self.masks }, &[&shape, begin, end, steps, b.dy(0)])?;
        Ok(vec![Some(dx), None, None, None])
    }
}

/// Zeros, with a tensor in the place that a strided slice names: the gradient of [`StridedSlice`].
#[derive(Debug, Default)]
struct StridedSliceGrad {
    masks: Masks,
}

impl Op for StridedSliceGrad {
    fn name(&self) -> &'static str {
        "StridedSliceGrad"
    }
    fn attrs(&self) -> Attrs {
        self.masks.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, spec @ .., dy]: &[Input; 5] = arity(inputs)?;
        allowed(dy.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let shape = shape_input(shape, "a shape")?;
        let slice = self.masks.shape(&shape, spec)?;
        if !slice.is_compatible_with(&dy.spec.shape) {
            let message = format!("a slice of shape {slice} cannot be {}", dy.spec.shape);
            return Err(Error::invalid_argument(message));
        }
        Ok(vec![Spec::new(dy.spec.dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [_, begin, end, steps, dy] = inputs else { return Err(Error::internal("five inputs were inferred")) };
        let out = &mut outputs[0];
        out.bytes().fill(0);
        let (dims, mut whole, mut strides) = (out.dims(), [0; MAX_RANK], [0; MAX_RANK]);
        write_row_major(dims, &mut whole[..dims.len()]);
        let (mut offset, mut to) = (0, 0);
        self.masks.walk(begin.len(), dims.len(), &mut |step| {
            let (axis, run, kept) = match step {
                Step::New => {
                    to += 1;
                    return Ok(());
                }
                Step::Whole { axis } => (axis, Run { start: 0, step: 1, count: dims[axis] }, true),
                Step::Entry { axis, entry } => {
                    let spec = [begin.int(entry)?, end.int(entry)?, steps.int(entry)?];
                    (axis, self.masks.run(entry, axis, dims[axis], spec)?, !self.masks.shrinks(entry))
                }
            };
            if run.count > 0 {
                offset += run.start * whole[axis].unsigned_abs();
            }
            if kept {
                strides[to] = if run.count > 1 { run.step * whole[axis] } else { 0 };
                to += 1;
            }
            Ok(())
        })?;
        by_width!(dy.dtype(), T => {
            modulor_kernels::place(dy.elements::<T>()?, out.elements()?, &strides[..to], offset)
                .ok_or_else(|| Error::internal("a slice reaches beyond its tensor"))
        })
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let [_, begin, end, steps, _] = b.inputs() else { return Err(Error::internal("five inputs were inferred")) };
        let slice = apply_one(StridedSlice { masks: self.masks }, &[b.dy(0), begin, end, steps])?;
        Ok(vec![None, None, None, None, Some(slice)])
    }
}

/// A block: from a place on, so many elements of each axis.
#[derive(Debug, Default)]
struct Slice;

impl Op for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, begin, size] = arity(inputs)?;
        let (begins, sizes) = (ints(begin, "begin")?, ints(size, "size")?);
        let mut rank = x.spec.shape.rank();
        for input in [begin, size] {
            let length = with_rank(&input.spec.shape, 1, "begin and size")?.dim(0);
            if let (Some(length), Some(rank)) = (length, rank)
                && length != rank
            {
                return Err(Error::invalid_argument(format!(
                    "begin and size take a number for each of the {rank} axes, found {length}"
                )));
            }
            rank = rank.or(length);
        }
        let Some(rank) = rank else { return Ok(vec![Spec::new(x.spec.dtype, Shape::unknown())]) };
        let dims = (0..rank).map(|axis| {
            let (begin, size) = (begins.as_ref().map(|b| b[axis]), sizes.as_ref().map(|s| s[axis]));
            block_length(axis, x.spec.shape.dim(axis), begin, size)
        });
        Ok(vec![Spec::new(x.spec.dtype, dims.collect::<Result<Vec<_>>>()?)])
    }
    fn view(&self, inputs: &[&Tensor], output: &Spec) -> Result<Option<Layout>> {
        let x = layout_of(inputs[0])?;
        let dims = output.shape.known().unwrap_or_default();
        let begin = int_values(inputs[1])?;
        let mut offset = x.offset;
        for ((&stride, &begin), &count) in x.strides.iter().zip(&begin).zip(dims) {
            offset = if count > 0 { offset.wrapping_add_signed(begin as isize * stride) } else { offset };
        }
        Ok(Some(Layout { dims: dims.to_vec(), strides: x.strides.clone(), offset }))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, begin) = (b.input(0), b.input(1));
        let whole = x.shape_tensor()?.cast(begin.dtype())?;
        let part = b.output(0).shape_tensor()?.cast(begin.dtype())?;
        let paddings = Tensor::stack(&[begin.clone(), whole.sub(begin)?.sub(&part)?], 1)?;
        Ok(vec![Some(super::pad::pad(b.dy(0), &paddings)?), None, None])
    }
}

/// [`Tensor::block`] by a begin and a size that are tensors.
pub(crate) fn block(x: &Tensor, begin: &Tensor, size: &Tensor) -> Result<Tensor> {
    apply_one(Slice, &[x, begin, size])
}

/// The length of a block along one axis, as far as it follows from what is known.
fn block_length(axis: usize, dim: Option<usize>, begin: Option<i64>, size: Option<i64>) -> Result<Option<usize>> {
    let refused = |what: &str, range: String, found: i64| {
        Err(Error::invalid_argument(format!("Expected {what}[{axis}] in {range}, but got {found}")))
    };
    match (begin, size) {
        (_, Some(size)) if size < -1 => return refused("size", "[-1, ..]".to_owned(), size),
        (Some(begin), _) if begin < 0 => return refused("begin", "[0, ..]".to_owned(), begin),
        _ => {}
    }
    let left = match (dim, begin) {
        (Some(dim), Some(begin)) if begin > dim as i64 => return refused("begin", format!("[0, {dim}]"), begin),
        (Some(dim), Some(begin)) => Some(dim as i64 - begin),
        _ => None,
    };
    match (size, left) {
        (Some(-1), left) => Ok(left.map(|left| left as usize)),
        (Some(size), Some(left)) if size > left => refused("size", format!("[0, {left}]"), size),
        (size, _) => Ok(size.map(|size| size as usize)),
    }
}

/// Some axes backwards.
#[derive(Debug, Default)]
struct ReverseV2;

impl Op for ReverseV2 {
    fn name(&self) -> &'static str {
        "ReverseV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, axes] = arity(inputs)?;
        if let (Some(axes), Some(rank)) = (ints(axes, "axes")?, x.spec.shape.rank()) {
            super::reduce::mask(&axes, rank)?;
        }
        Ok(vec![x.spec.clone()])
    }
    fn view(&self, inputs: &[&Tensor], _: &Spec) -> Result<Option<Layout>> {
        let mut layout = layout_of(inputs[0])?.clone();
        let mask = super::reduce::mask(&int_values(inputs[1])?, layout.dims.len())?;
        for axis in (0..mask.len()).filter(|&axis| mask[axis]) {
            let dim = layout.dims[axis];
            layout = layout.stepped(axis, dim.saturating_sub(1), -1, dim);
        }
        Ok(Some(layout))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(ReverseV2, &[b.dy(0), b.input(1)])?), None])
    }
}

impl Tensor {
    /// The part that indices and ranges name, one item for each axis: an integer takes one place and drops the axis, a
    /// range keeps it; negative places count from the end; `..` is a whole axis, [`Ellipsis`] as many as are left,
    /// [`NewAxis`] puts in an axis of one element, [`step`] skips or walks backwards.
    ///
    /// Clippy takes a range of two literals such as `1..-1` for an empty one (`reversed_empty_ranges`); allow it where you
    /// write one.
    ///
    /// A view: no element is copied. Ranges may reach beyond the end, or be empty; an integer must be there.
    /// TensorFlow's `StridedSlice`, Python's `x[0, :, -3:-1, ..., None]`.
    ///
    /// ```
    /// use modulor_core::{Ellipsis, NewAxis, Tensor, step};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice((1, -1))?.item::<i32>()?, 6);
    /// assert_eq!(x.slice((.., 1..))?.to_vec::<i32>()?, [2, 3, 5, 6]);
    /// assert_eq!(x.slice((Ellipsis, step(.., -1), NewAxis))?.to_vec::<i32>()?, [3, 2, 1, 6, 5, 4]);
    /// let error = x.slice((0, 3)).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "slice index 3 of dimension 1 out of bounds: it has 3 elements [Op:StridedSlice]"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn slice(&self, indices: impl Indices) -> Result<Tensor> {
        self.check()?;
        let indices = indices.indices();
        if indices.len() >= MAX_ENTRIES {
            let message = format!("a slice has fewer than {MAX_ENTRIES} items, found {}", indices.len());
            return Err(Error::invalid_argument(message).in_op("StridedSlice"));
        }
        let (mut masks, mut spec) = (Masks::default(), [const { Vec::new() }; 3]);
        for (i, index) in indices.into_iter().enumerate() {
            let bit = 1 << i;
            let (begin, end, step) = match index {
                Index::At(place) => {
                    masks.shrink |= bit;
                    (place, place.saturating_add(1), 1)
                }
                Index::Range { start, end, step } => {
                    masks.begin |= if start.is_none() { bit } else { 0 };
                    masks.end |= if end.is_none() { bit } else { 0 };
                    (start.unwrap_or(0), end.unwrap_or(0), step)
                }
                Index::NewAxis => {
                    masks.new_axis |= bit;
                    (0, 1, 1)
                }
                Index::Ellipsis => {
                    masks.ellipsis |= bit;
                    (0, 0, 1)
                }
            };
            spec.iter_mut().zip([begin, end, step]).for_each(|(values, value)| values.push(value));
        }
        let narrow = spec.iter().flatten().all(|&value| i32::try_from(value).is_ok());
        let tensor = |values: Vec<i64>| if narrow { index_tensor(&values) } else { Ok(Tensor::from(values)) };
        let [begin, end, steps] = spec.map(tensor);
        apply_one(StridedSlice { masks }, &[self, &begin?, &end?, &steps?])
    }

    /// Rows: the places `rows` of the first axis, all of which must be there; what [`slice`](Self::slice) gives for the range.
    ///
    /// A view. Of a value that no tape listens to it is no operation, so that to take one costs next to nothing.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    /// assert_eq!(x.rows(1..3)?.to_vec::<i32>()?, [3, 4, 5, 6]);
    /// assert_eq!(x.rows(2..4).unwrap_err().message(), "rows 2 to 4 of a tensor of shape (3, 2), which has 3");
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(&self, rows: Range<usize>) -> Result<Tensor> {
        self.check()?;
        let shape = self.shape();
        if let Some(found) = shape.dim(0)
            && (rows.start > rows.end || rows.end > found)
        {
            let Range { start, end } = rows;
            let message = format!("rows {start} to {end} of a tensor of shape {shape}, which has {found}");
            return Err(Error::out_of_range(message));
        }
        match self.payload() {
            Payload::Value(value) if !value.layout.dims.is_empty() && scope::with(|scopes| scopes.tapes.is_empty()) => {
                let layout = value.layout.stepped(0, rows.start, 1, rows.len());
                Ok(Tensor::value(self.dtype(), layout, value.storage.clone()))
            }
            _ => self.slice(rows),
        }
    }

    /// A block: from `begin` on, `size` elements of each axis, -1 for all that are left. TensorFlow's `Slice`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.block([0, 1], [-1, 2])?.to_vec::<i32>()?, [2, 3, 5, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn block(&self, begin: impl AsRef<[i64]>, size: impl AsRef<[i64]>) -> Result<Tensor> {
        apply_one(Slice, &[self, &index_tensor(begin.as_ref())?, &index_tensor(size.as_ref())?])
    }

    /// These axes backwards; a view. TensorFlow's `ReverseV2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).reverse([0])?.to_vec::<i32>()?, [3, 4, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reverse(&self, axes: impl AsRef<[i64]>) -> Result<Tensor> {
        apply_one(ReverseV2, &[self, &index_tensor(axes.as_ref())?])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "StridedSlice",
        parse: |attrs| Ok(Arc::new(StridedSlice { masks: Masks::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StridedSliceGrad",
        parse: |attrs| Ok(Arc::new(StridedSliceGrad { masks: Masks::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<Slice>("Slice", Accuracy::Exact),
    OpDef::plain::<ReverseV2>("ReverseV2", Accuracy::Exact),
]];

#[cfg(test)]
#[allow(clippy::reversed_empty_ranges)] // `1..-1` is what this file gives a meaning to.
mod tests {
    use super::*;
    use crate::{DType, graph::trace};

    /// What Python's slice of `0..length` gives.
    fn walked(length: i64, start: Option<i64>, end: Option<i64>, step: i64) -> Vec<i32> {
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let place = |given: i64| (if given < 0 { given.saturating_add(length) } else { given }).clamp(low, high);
        let from = start.map_or(if step > 0 { low } else { high }, place);
        let to = end.map_or(if step > 0 { high } else { low }, place);
        let mut places = Vec::new();
        let mut at = from;
        while if step > 0 { at < to } else { at > to } {
            places.push(at as i32);
            at = at.saturating_add(step);
        }
        places
    }

    #[test]
    fn ranges_are_pythons() {
        for length in [0, 1, 5] {
            let x = Tensor::range(0, length as i32, 1).unwrap();
            let ends: Vec<Option<i64>> =
                (-7..=7).chain([i64::MIN, i64::MIN + 1, i64::MAX]).map(Some).chain([None]).collect();
            for (&start, &end) in ends.iter().flat_map(|start| ends.iter().map(move |end| (start, end))) {
                for step in [1, 2, 3, 9, i64::MAX, -1, -2, -3, -9, i64::MIN] {
                    let slice = x.slice(Index::Range { start, end, step }).unwrap();
                    let found = slice.to_vec::<i32>().unwrap();
                    assert_eq!(found, walked(length, start, end, step), "{length} {start:?}..{end:?} by {step}");
                }
            }
        }
    }

    #[test]
    fn rows_are_the_slice_of_their_range() {
        let x = Tensor::new([4, 3], (0..12).collect::<Vec<i32>>()).unwrap();
        let views = [x.clone(), x.transpose().unwrap(), x.reverse([0]).unwrap(), x.slice((.., 1)).unwrap()];
        for x in views {
            let count = x.dims().unwrap()[0];
            for (start, end) in (0..=count).flat_map(|start| (start..=count).map(move |end| (start, end))) {
                let (rows, slice) = (x.rows(start..end).unwrap(), x.slice(start..end).unwrap());
                assert_eq!(layout_of(&rows).unwrap(), layout_of(&slice).unwrap());
                assert_eq!(rows.to_vec::<i32>().unwrap(), slice.to_vec::<i32>().unwrap());
            }
        }
        assert_eq!(Tensor::scalar(1).rows(0..0).unwrap_err().kind(), crate::ErrorKind::InvalidArgument);
        let beyond = [2..5, 5..6, Range { start: 2, end: 1 }];
        beyond.into_iter().for_each(|rows| assert_eq!(x.rows(rows).unwrap_err().kind(), crate::ErrorKind::OutOfRange));
    }

    #[test]
    fn rows_of_what_a_tape_watches_carry_a_gradient() {
        let (x, tape) = (Tensor::from([1.0_f32, 2.0, 3.0]), crate::GradientTape::new());
        tape.watch(&x);
        let y = tape.record(|| x.rows(1..3)).unwrap();
        assert_eq!(tape.gradient(&y, &x).unwrap().to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn every_kind_of_range_is_an_item() {
        let x = Tensor::range(0, 5, 1).unwrap();
        let check = |slice: Result<Tensor>, expected: &[i32]| {
            assert_eq!(slice.unwrap().to_vec::<i32>().unwrap(), expected);
        };
        check(x.slice(..), &[0, 1, 2, 3, 4]);
        check(x.slice(3..), &[3, 4]);
        check(x.slice(..-3), &[0, 1]);
        check(x.slice(1..=2), &[1, 2]);
        check(x.slice(-2..=-1), &[3, 4]);
        check(x.slice(..=-2), &[0, 1, 2, 3]);
        check(x.slice(2_usize..usize::MAX), &[2, 3, 4]);
        check(x.slice(..=usize::MAX), &[0, 1, 2, 3, 4]);
        check(x.slice(4_i64..2), &[]);
        check(x.slice([1]), &[1]);
        check(x.slice(()), &[0, 1, 2, 3, 4]);
        check(x.slice(vec![Index::NewAxis, Index::At(1)]), &[1]);
        assert_eq!(*x.slice(-1).unwrap().shape(), [0; 0]);
    }

    #[test]
    fn items_of_every_kind_stand_side_by_side() {
        let x = Tensor::range(0, 120, 1).unwrap().reshape([2, 3, 4, 5]).unwrap();
        let y = x.slice((0, .., -3..-1, Ellipsis, NewAxis)).unwrap();
        assert_eq!(*y.shape(), [3, 2, 5, 1]);
        assert_eq!(y.slice((2, 1, 4, 0)).unwrap().item::<i32>().unwrap(), 2 * 20 + 2 * 5 + 4);
        let y = x.slice((Ellipsis, step(.., -2), 1)).unwrap();
        assert_eq!(*y.shape(), [2, 3, 2]);
        assert_eq!(y.slice((1, 0, 0)).unwrap().item::<i32>().unwrap(), 60 + 3 * 5 + 1);
    }

    #[test]
    fn what_cannot_be_sliced_says_why() {
        let x = Tensor::zeros([2, 3], DType::F32).unwrap();
        let check = |slice: Result<Tensor>, expected: &str| {
            assert_eq!(slice.unwrap_err().to_string(), format!("{expected} [Op:StridedSlice]"));
        };
        check(x.slice((.., -4)), "slice index -4 of dimension 1 out of bounds: it has 3 elements");
        check(
            x.slice(usize::MAX),
            &format!("slice index {} of dimension 0 out of bounds: it has 2 elements", i64::MAX),
        );
        check(x.slice((0, 0, 0)), "the slice has items for 3 axes, and the tensor has 2");
        check(x.slice(step(.., 0)), "strides[0] must be non-zero");
        check(x.slice((Ellipsis, Ellipsis)), "a slice has at most one ellipsis");
        check(x.slice(vec![NewAxis; 40]), "a slice has fewer than 32 items, found 40");
    }

    #[test]
    fn a_slice_of_a_symbol_knows_what_does_not_depend_on_unknown_dims() {
        let spec = Spec::new(DType::F32, [None, Some(4)]);
        let graph = trace(
            |x| Ok(vec![x[0].slice((.., 1..-1))?, x[0].slice((1.., 0))?, x[0].slice((0, NewAxis, step(.., -3)))?]),
            std::slice::from_ref(&spec),
        )
        .unwrap();
        let shapes: Vec<String> = graph.outputs().map(|spec| spec.shape.to_string()).collect();
        assert_eq!(shapes, ["(None, 2)", "(None,)", "(1, 2)"]);
        let x = Tensor::from([[1.0_f32, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]);
        let out = graph.run(&[&x]).unwrap();
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [2.0, 3.0, 6.0, 7.0]);
        assert_eq!(out[1].to_vec::<f32>().unwrap(), [5.0]);
        assert_eq!(out[2].to_vec::<f32>().unwrap(), [4.0, 1.0]);
        let error = trace(|x| Ok(vec![x[0].slice((0, 4))?]), &[spec]).unwrap_err();
        assert!(error.message().contains("slice index 4 of dimension 1"), "{error}");
    }
}
