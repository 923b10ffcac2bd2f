//! Places of images that move between space, batch and channels, and patches of images.

use super::array::index_tensor;
use super::composite::composite;
use super::each_index;
use super::sliding::Sliding;
use crate::dtype::by_width;
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity,
    at_least_rank, ints, with_rank,
};
use crate::shape::{MAX_RANK, count, write_row_major};
use crate::{Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Padding, Window};
use std::ops::Range;
use std::sync::Arc;

/// The numbers below `count` whose `number·step + offset` lies in `before..before + places`.
fn inside(count: usize, step: usize, offset: usize, before: usize, places: usize) -> Range<usize> {
    let start = before.saturating_sub(offset).div_ceil(step);
    let end = (before + places).saturating_sub(offset).div_ceil(step).min(count);
    start.min(end)..end
}

/// Blocks along the axes after the batch, and what is around the images: as far as both are known.
struct Blocks {
    axes: Option<usize>,
    sizes: Option<Vec<usize>>,
    sides: Option<Vec<[usize; 2]>>,
}

impl Blocks {
    fn of(x: &Shape, block: &Input, sides: &Input, what: &str) -> Result<Blocks> {
        let (sizes, numbers) = (ints(block, "block_shape")?, ints(sides, what)?);
        let block = with_rank(&block.spec.shape, 1, "block_shape")?;
        let pairs = with_rank(&sides.spec.shape, 2, what)?;
        if pairs.merge(&[block.dim(0), Some(2)].into()).is_none() {
            let message = format!("{what} are two numbers for each of the axes of block_shape, found {pairs}");
            return Err(Error::invalid_argument(message));
        }
        let axes = block.dim(0).or(pairs.dim(0));
        at_least_rank(x, axes.unwrap_or(0) + 1, "the input")?;
        let size = |n: i64| {
            let wrong = || Error::invalid_argument(format!("block_shape must be positive, found {n}"));
            usize::try_from(n).ok().filter(|&n| n > 0).ok_or_else(wrong)
        };
        let side = |&n: &i64| {
            usize::try_from(n).map_err(|_| Error::invalid_argument(format!("{what} cannot be negative, found {n}")))
        };
        let sizes = sizes.map(|sizes| sizes.into_iter().map(size).collect::<Result<Vec<_>>>()).transpose()?;
        let numbers = numbers.map(|all| all.iter().map(side).collect::<Result<Vec<_>>>()).transpose()?;
        Ok(Blocks { axes, sizes, sides: numbers.map(|all| all.as_chunks().0.to_vec()) })
    }

    /// The places of all blocks.
    fn product(&self) -> Result<Option<usize>> {
        self.sizes.as_ref().map(|sizes| count(sizes)).transpose()
    }

    /// The dims of the output: `batch` of that of the input and of the places of a block, `space` of an axis, its block
    /// and what is around it; the others stay.
    fn output(
        &self,
        x: &Shape,
        batch: impl Fn(usize, usize) -> Result<usize>,
        space: impl Fn(usize, usize, [usize; 2]) -> Result<usize>,
    ) -> Result<Shape> {
        let Some(mut dims) = x.dims() else { return Ok(Shape::unknown()) };
        let Some(axes) = self.axes else { return Ok(Shape::of_rank(dims.len())) };
        dims[0] = match (dims[0], self.product()?) {
            (Some(dim), Some(places)) => Some(batch(dim, places)?),
            _ => None,
        };
        for (i, dim) in dims[1..=axes].iter_mut().enumerate() {
            *dim = match (*dim, &self.sizes, &self.sides) {
                (Some(dim), Some(sizes), Some(sides)) => Some(space(dim, sizes[i], sides[i])?),
                _ => None,
            };
        }
        let shape: Shape = dims.into();
        shape.known().map(count).transpose()?;
        Ok(shape)
    }
}

fn too_large() -> Error {
    Error::invalid_argument("the dims are more than can be counted")
}

/// Copies places between images and their blocks in the batch: `to_batch`, or from there.
fn move_blocks(inputs: &[View], out: &mut ViewMut, to_batch: bool) -> Result<()> {
    let [x, block, sides] = inputs else { return Err(Error::internal("three inputs were inferred")) };
    let (rank, axes) = (x.dims().len(), block.dims()[0]);
    let mut room = [[0; MAX_RANK]; 2];
    let [own, row] = &mut room;
    write_row_major(out.dims(), &mut own[..rank]);
    row[..rank].copy_from_slice(x.strides());
    // Of the images, and of their blocks.
    let (wide, narrow) = if to_batch { (x.dims(), out.dims()) } else { (out.dims(), x.dims()) };
    let (wide_strides, narrow_strides) = if to_batch { (row, own) } else { (own, row) };
    let mut blocks = [0; MAX_RANK];
    for (axis, size) in blocks[..axes].iter_mut().enumerate() {
        *size = block.int(axis)? as usize;
    }
    let batch = if to_batch { wide[0] } else { out.dims()[0] };
    let mut dims = [0; MAX_RANK];
    dims[0] = batch;
    dims[axes + 1..rank].copy_from_slice(&wide[axes + 1..]);
    let mut steps = [0; MAX_RANK];
    steps[..rank].copy_from_slice(&wide_strides[..rank]);
    for axis in 0..axes {
        steps[axis + 1] *= blocks[axis] as isize;
    }
    if to_batch {
        out.bytes().fill(0);
    }
    let (wide, narrow) = (&copied(wide)[..rank], &copied(narrow)[..rank]);
    let mut number = 0;
    each_index(&blocks[..axes], &mut |offsets| {
        let mut at_narrow = number * batch as isize * narrow_strides[0];
        let mut at_wide = 0;
        number += 1;
        for (axis, &offset) in offsets.iter().enumerate() {
            let pair = axis as isize * sides.strides()[0];
            let before = sides.int_at(pair)? as usize;
            let range = inside(narrow[axis + 1], blocks[axis], offset, before, wide[axis + 1]);
            dims[axis + 1] = range.len();
            if range.is_empty() {
                return Ok(());
            }
            at_narrow += range.start as isize * narrow_strides[axis + 1];
            at_wide += (range.start * blocks[axis] + offset - before) as isize * wide_strides[axis + 1];
        }
        let dims = &dims[..rank];
        let (strides, shift, to, offset) = match to_batch {
            true => (&steps[..rank], at_wide, &narrow_strides[..rank], at_narrow),
            false => (&narrow_strides[..rank], at_narrow, &steps[..rank], at_wide),
        };
        if dims.contains(&0) {
            return Ok(());
        }
        by_width!(x.dtype(), T => {
            let from = x.shifted::<T>(shift, dims, strides)?;
            modulor_kernels::place(from, out.elements()?, to, offset.unsigned_abs())
        })
        .ok_or_else(|| Error::internal("a block reaches beyond its images"))
    })
}

/// Dims on the stack, so that what they were of may be written to.
fn copied(dims: &[usize]) -> [usize; MAX_RANK] {
    let mut copy = [0; MAX_RANK];
    copy[..dims.len()].copy_from_slice(dims);
    copy
}

/// Images with zeros around them, one for each place of a block.
#[derive(Debug, Default)]
struct SpaceToBatchND;

impl Op for SpaceToBatchND {
    fn name(&self) -> &'static str {
        "SpaceToBatchND"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, block, paddings] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let blocks = Blocks::of(&x.spec.shape, block, paddings, "paddings")?;
        let batch = |dim: usize, places| dim.checked_mul(places).ok_or_else(too_large);
        let space = |dim: usize, block, [before, after]: [usize; 2]| {
            let padded = dim.checked_add(before).and_then(|dim| dim.checked_add(after)).ok_or_else(too_large)?;
            if padded % block != 0 {
                let message =
                    format!("an axis of {padded} places, padding included, is no multiple of its block {block}");
                return Err(Error::invalid_argument(message));
            }
            Ok(padded / block)
        };
        Ok(vec![Spec::new(dtype, blocks.output(&x.spec.shape, batch, space)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        move_blocks(inputs, &mut outputs[0], true)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(BatchToSpaceND, &[b.dy(0), b.input(1), b.input(2)])?), None, None])
    }
}

/// One image for each place of a block put together again, without what is cropped.
#[derive(Debug, Default)]
struct BatchToSpaceND;

impl Op for BatchToSpaceND {
    fn name(&self) -> &'static str {
        "BatchToSpaceND"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, block, crops] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let blocks = Blocks::of(&x.spec.shape, block, crops, "crops")?;
        let batch = |dim: usize, places: usize| match dim % places {
            0 => Ok(dim / places),
            _ => Err(Error::invalid_argument(format!(
                "a batch of {dim} is no multiple of the {places} places of a block"
            ))),
        };
        let space = |dim: usize, block, [before, after]: [usize; 2]| {
            let whole = dim.checked_mul(block).ok_or_else(too_large)?;
            whole.checked_sub(before).and_then(|dim| dim.checked_sub(after)).ok_or_else(|| {
                Error::invalid_argument(format!(
                    "crops of {before} and {after} are more than the {whole} places there are"
                ))
            })
        };
        Ok(vec![Spec::new(dtype, blocks.output(&x.spec.shape, batch, space)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        move_blocks(inputs, &mut outputs[0], false)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(SpaceToBatchND, &[b.dy(0), b.input(1), b.input(2)])?), None, None])
    }
}

/// Square blocks of the places of images, and where the channels are.
#[derive(Clone, Copy, Debug)]
struct Depth {
    block: usize,
    channels_first: bool,
}

impl Depth {
    fn parse(attrs: &Attrs) -> Result<Depth> {
        let block = attrs.int("block_size", None)?;
        let block = usize::try_from(block).ok().filter(|&block| block > 1);
        let block = block.ok_or_else(|| Error::invalid_argument("block_size must be at least 2"))?;
        match &*attrs.string("data_format", "NHWC".to_owned())? {
            "NHWC" => Ok(Depth { block, channels_first: false }),
            "NCHW" => Ok(Depth { block, channels_first: true }),
            other => Err(Error::unimplemented(format!("data_format is NHWC or NCHW, found {other}"))),
        }
    }

    fn attrs(self) -> Attrs {
        let format = if self.channels_first { "NCHW" } else { "NHWC" };
        Attrs::new().with("block_size", self.block as i64).with("data_format", format)
    }

    /// The axes of rows, columns and channels.
    fn axes(self) -> [usize; 3] {
        if self.channels_first { [2, 3, 1] } else { [1, 2, 3] }
    }

    fn square(self) -> Result<usize> {
        self.block.checked_mul(self.block).ok_or_else(too_large)
    }

    /// The shape of images whose rows, columns and channels become these.
    fn output(
        self,
        x: &Shape,
        place: impl Fn(usize) -> Result<usize>,
        channels: impl Fn(usize) -> Result<usize>,
    ) -> Result<Shape> {
        let mut dims = with_rank(x, 4, "the input")?.dims().unwrap_or_default();
        let [rows, columns, depth] = self.axes();
        for axis in [rows, columns] {
            dims[axis] = dims[axis].map(&place).transpose()?;
        }
        dims[depth] = dims[depth].map(channels).transpose()?;
        let shape: Shape = dims.into();
        shape.known().map(count).transpose()?;
        Ok(shape)
    }

    /// Copies with rows and columns of blocks, and the places of blocks, as axes of their own.
    fn shuffle(self, x: &View, out: &mut ViewMut, to_depth: bool) -> Result<()> {
        let [rows, columns, depth] = self.axes();
        let (block, steps, blocks) = (self.block, x.strides(), self.block as isize);
        let [batch, row, column, channel] = [0, rows, columns, depth].map(|axis| (x.dims()[axis], steps[axis]));
        let (parts, place, channels) = if to_depth {
            let of = |(dim, step): (usize, isize)| [(dim / block, step * blocks), (block, step)];
            ([of(row)[0], of(column)[0]], [of(row)[1], of(column)[1]], channel)
        } else {
            let all = channel.0 / (block * block);
            let step = channel.1 * all as isize;
            ([row, column], [(block, step * blocks), (block, step)], (all, channel.1))
        };
        let order = match (to_depth, self.channels_first) {
            (true, false) => [batch, parts[0], parts[1], place[0], place[1], channels],
            (true, true) => [batch, place[0], place[1], channels, parts[0], parts[1]],
            (false, false) => [batch, parts[0], place[0], parts[1], place[1], channels],
            (false, true) => [batch, channels, parts[0], place[0], parts[1], place[1]],
        };
        let (dims, strides) = (order.map(|(dim, _)| dim), order.map(|(_, stride)| stride));
        by_width!(x.dtype(), T => modulor_kernels::copy(x.restrided::<T>(&dims, &strides)?, out.elements()?));
        Ok(())
    }
}

/// The places of square blocks as channels.
#[derive(Debug)]
struct SpaceToDepth(Depth);

impl Op for SpaceToDepth {
    fn name(&self) -> &'static str {
        "SpaceToDepth"
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let (block, square) = (self.0.block, self.0.square()?);
        let place = |dim: usize| match dim % block {
            0 => Ok(dim / block),
            _ => Err(Error::invalid_argument(format!("an axis of {dim} places is no multiple of block_size {block}"))),
        };
        let channels = |dim: usize| dim.checked_mul(square).ok_or_else(too_large);
        Ok(vec![Spec::new(dtype, self.0.output(&x.spec.shape, place, channels)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        self.0.shuffle(&inputs[0], &mut outputs[0], true)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(DepthToSpace(self.0), &[b.dy(0)])?)])
    }
}

/// Channels as the places of square blocks.
#[derive(Debug)]
struct DepthToSpace(Depth);

impl Op for DepthToSpace {
    fn name(&self) -> &'static str {
        "DepthToSpace"
    }
    fn attrs(&self) -> Attrs {
        self.0.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let (block, square) = (self.0.block, self.0.square()?);
        let place = |dim: usize| dim.checked_mul(block).ok_or_else(too_large);
        let channels = |dim: usize| match dim % square {
            0 => Ok(dim / square),
            _ => Err(Error::invalid_argument(format!("{dim} channels are no multiple of a block's {square} places"))),
        };
        Ok(vec![Spec::new(dtype, self.0.output(&x.spec.shape, place, channels)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        self.0.shuffle(&inputs[0], &mut outputs[0], false)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(SpaceToDepth(self.0), &[b.dy(0)])?)])
    }
}

/// What windows hold, as channels.
#[derive(Clone, Debug)]
struct ExtractImagePatches {
    /// Along rows and columns.
    size: [usize; 2],
    strides: [usize; 2],
    rates: [usize; 2],
    same: bool,
}

impl ExtractImagePatches {
    fn parse(attrs: &Attrs) -> Result<Arc<dyn Op>> {
        let pair = |name: &str| match *attrs.ints(name)? {
            [1, rows, columns, 1] if rows > 0 && columns > 0 => Ok([rows as usize, columns as usize]),
            ref other => {
                let message = format!("{name} are [1, rows, columns, 1], both at least 1, found {other:?}");
                Err(Error::invalid_argument(message))
            }
        };
        let same = match &*attrs.string("padding", None)? {
            "SAME" => true,
            "VALID" => false,
            other => return Err(Error::invalid_argument(format!("padding is SAME or VALID, found {other}"))),
        };
        let (size, strides, rates) = (pair("ksizes")?, pair("strides")?, pair("rates")?);
        Ok(Arc::new(ExtractImagePatches { size, strides, rates, same }))
    }

    /// The windows along rows (0) or columns (1) of so many places.
    fn along(&self, axis: usize, places: usize) -> Result<Window> {
        let padding = if self.same { Padding::Same } else { Padding::Valid };
        let (size, stride, rate) = (self.size[axis], self.strides[axis], self.rates[axis]);
        Window::new(&[places], &[size], &[stride], &[rate], padding).ok_or_else(|| {
            Error::invalid_argument(format!("no window of {size} places, {rate} apart, fits on an axis of {places}"))
        })
    }
}

impl Op for ExtractImagePatches {
    fn name(&self) -> &'static str {
        "ExtractImagePatches"
    }
    fn attrs(&self) -> Attrs {
        let list = |[rows, columns]: [usize; 2]| Attr::from(&[1, rows as i64, columns as i64, 1][..]);
        Attrs::new()
            .with("ksizes", list(self.size))
            .with("strides", list(self.strides))
            .with("rates", list(self.rates))
            .with("padding", if self.same { "SAME" } else { "VALID" })
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let mut dims = with_rank(&x.spec.shape, 4, "the images")?.dims().unwrap_or_default();
        for axis in [0, 1] {
            let windows = |places| Ok::<_, Error>(self.along(axis, places)?.outputs());
            dims[axis + 1] = dims[axis + 1].map(windows).transpose()?;
        }
        let taps = self.size[0].checked_mul(self.size[1]).ok_or_else(too_large)?;
        dims[3] = dims[3].map(|dim| dim.checked_mul(taps).ok_or_else(too_large)).transpose()?;
        let shape: Shape = dims.into();
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        out.bytes().fill(0);
        let (channels, steps) = (x.dims()[3], x.strides());
        let mut strides = [0; 4];
        write_row_major(out.dims(), &mut strides);
        let windows = [self.along(0, x.dims()[1])?, self.along(1, x.dims()[2])?];
        each_index(&self.size, &mut |taps| {
            let mut dims = [x.dims()[0], 0, 0, channels];
            let mut own = [steps[0], 0, 0, steps[3]];
            let mut shift = 0;
            let mut offset = (taps[0] * self.size[1] + taps[1]) * channels;
            for (i, window) in windows.iter().enumerate() {
                let axis = window.axes()[0];
                let tap = taps[i] * self.rates[i];
                let range = inside(axis.output, self.strides[i], tap, axis.before, axis.input);
                dims[i + 1] = range.len();
                own[i + 1] = steps[i + 1] * self.strides[i] as isize;
                if !range.is_empty() {
                    shift += (range.start * self.strides[i] + tap - axis.before) as isize * steps[i + 1];
                    offset += range.start * strides[i + 1].unsigned_abs();
                }
            }
            if dims.contains(&0) {
                return Ok(());
            }
            by_width!(x.dtype(), T => {
                let from = x.shifted::<T>(shift, &dims, &own)?;
                modulor_kernels::place(from, out.elements()?, &strides, offset)
            })
            .ok_or_else(|| Error::internal("a patch reaches beyond its images"))
        })
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        (1..4).any(|axis| inputs[0].shape().dim(axis).is_none())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, dy) = (b.input(0), b.dy(0));
        let dim = |axis| x.shape().dim(axis);
        let (Some(rows), Some(columns), Some(channels)) = (dim(1), dim(2), dim(3)) else {
            let message = format!("no gradient of patches of images of shape {}", x.shape());
            return Err(Error::unimplemented(message));
        };
        if channels == 0 {
            return Ok(vec![Some(x.zeros_like()?)]);
        }
        // Patches are what a convolution by the unit matrix gives.
        let [height, width] = self.size;
        let all = height * width * channels;
        let unit = index_tensor(&(0..all as i64).collect::<Vec<_>>())?.one_hot(all, dy.dtype())?;
        let filter = unit.reshape([height, width, channels, all].map(|dim| dim as i64))?;
        let sliding = Sliding::new().strides(self.strides).dilations(self.rates);
        let sliding = if self.same { sliding.same() } else { sliding };
        Ok(vec![Some(dy.convolution_transposed(filter, [rows, columns], &sliding)?)])
    }
}

/// Numbers, and pairs of them, as the two inputs that say blocks and what is around them.
fn blocks_and_sides(block: &[i64], sides: &[[i64; 2]]) -> Result<[Tensor; 2]> {
    Ok([index_tensor(block)?, index_tensor(sides.as_flattened())?.reshape([sides.len() as i64, 2])?])
}

impl Tensor {
    /// Images with zeros around them, as one smaller image for each place of a block: that of place `p` has the elements
    /// that lie `p` after the beginnings of the blocks. A convolution of these, each by itself, is one with dilation.
    ///
    /// TensorFlow's `SpaceToBatchND`. `[batch, spatial.., rest..]` becomes `[places of a block · batch, blocks.., rest..]`;
    /// `block` is a number for each spatial axis, and `paddings` the zeros before and after it, which together with the
    /// axis must be a multiple of the block.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3]]);
    /// let y = x.space_to_batch([2], [[0, 1]])?;
    /// assert_eq!((y.dims()?, y.to_vec::<i32>()?), (&[2, 2][..], vec![1, 3, 2, 0]));
    /// assert_eq!(y.batch_to_space([2], [[0, 1]])?.to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn space_to_batch(&self, block: impl AsRef<[i64]>, paddings: impl AsRef<[[i64; 2]]>) -> Result<Tensor> {
        let [block, paddings] = blocks_and_sides(block.as_ref(), paddings.as_ref())?;
        apply_one(SpaceToBatchND, &[self, &block, &paddings])
    }

    /// The images of which [`space_to_batch`](Tensor::space_to_batch) made these, without so many places before and after
    /// each spatial axis.
    ///
    /// TensorFlow's `BatchToSpaceND`. The batch must be a multiple of the places of a block.
    pub fn batch_to_space(&self, block: impl AsRef<[i64]>, crops: impl AsRef<[[i64; 2]]>) -> Result<Tensor> {
        let [block, crops] = blocks_and_sides(block.as_ref(), crops.as_ref())?;
        apply_one(BatchToSpaceND, &[self, &block, &crops])
    }

    /// The places of blocks of `block` rows and columns as channels, row by row: `[batch, rows, columns, channels]` becomes
    /// `[batch, rows / block, columns / block, block² · channels]`.
    ///
    /// TensorFlow's `SpaceToDepth` with the data format `NHWC` or, `channels_first`, `NCHW`. The block is 2 at least.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3, 4], [5, 6, 7, 8]]).reshape([1, 2, 4, 1])?;
    /// let y = x.space_to_depth(2, false)?;
    /// assert_eq!((y.dims()?, y.to_vec::<i32>()?), (&[1, 1, 2, 4][..], vec![1, 2, 5, 6, 3, 4, 7, 8]));
    /// assert_eq!(y.depth_to_space(2, false)?.to_vec::<i32>()?, x.to_vec::<i32>()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn space_to_depth(&self, block: usize, channels_first: bool) -> Result<Tensor> {
        let op = SpaceToDepth(Depth { block, channels_first });
        self.check()?;
        if block < 2 {
            return Err(Error::invalid_argument(format!("a block has 2 rows at least, found {block}")).in_op(op.name()));
        }
        apply_one(op, &[self])
    }

    /// Channels as the places of blocks of `block` rows and columns: what undoes
    /// [`space_to_depth`](Tensor::space_to_depth). TensorFlow's `DepthToSpace`.
    pub fn depth_to_space(&self, block: usize, channels_first: bool) -> Result<Tensor> {
        let op = DepthToSpace(Depth { block, channels_first });
        self.check()?;
        if block < 2 {
            return Err(Error::invalid_argument(format!("a block has 2 rows at least, found {block}")).in_op(op.name()));
        }
        apply_one(op, &[self])
    }

    /// What the windows of `size` rows and columns hold, as channels: `[batch, rows, columns, channels]` becomes
    /// `[batch, windows down, windows across, size[0] · size[1] · channels]`, zeros where a window is beyond the image.
    ///
    /// TensorFlow's `ExtractImagePatches`: the windows lie `strides` apart and their places `rates`; `same` pads so that
    /// there are ⌈places / stride⌉ of them along an axis. The gradient needs rows, columns and channels to be known.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3]]).reshape([1, 1, 3, 1])?;
    /// let y = x.image_patches([1, 2], [1, 1], [1, 1], false)?;
    /// assert_eq!((y.dims()?, y.to_vec::<i32>()?), (&[1, 1, 2, 2][..], vec![1, 2, 2, 3]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn image_patches(
        &self,
        size: [usize; 2],
        strides: [usize; 2],
        rates: [usize; 2],
        same: bool,
    ) -> Result<Tensor> {
        self.check()?;
        let op = ExtractImagePatches { size, strides, rates, same };
        if [size, strides, rates].as_flattened().contains(&0) {
            let message = format!("windows have sizes, strides and rates of at least 1, found {op:?}");
            return Err(Error::invalid_argument(message).in_op(op.name()));
        }
        apply_one(op, &[self])
    }
}

/// How a window of volumes lies along one axis of so many places: zeros before and behind it, and the places of each window.
fn windows(places: usize, [size, stride, rate]: [usize; 3], same: bool) -> Result<([i64; 2], Tensor)> {
    let reach = rate.saturating_mul(size - 1).saturating_add(1);
    let count = match same {
        true => places.div_ceil(stride),
        false => places.checked_sub(reach).map_or(0, |rest| rest / stride + 1),
    };
    // Where there is one, it does not matter how far away the next would be.
    let stride = stride.min(places.max(1)) as f64;
    let end = (count.saturating_sub(1) as f64) * stride + reach as f64;
    let more = if same { (end - places as f64).max(0.0) as i64 } else { 0 };
    let numbers = |count: usize| Tensor::range(0, i64::try_from(count).unwrap_or(i64::MAX), 1);
    let at = numbers(count)?.mul(stride)?.expand_dims(1)?.add(numbers(size)?.mul(rate.min(end as usize) as f64)?)?;
    Ok(([more / 2, more - more / 2], at))
}

impl Tensor {
    /// Windows of volumes, `[batch, depth, rows, columns, channels]`, of which only the batch may be unknown, as
    /// [`image_patches`](Tensor::image_patches) are of images: the places of a window, and the channels of each, lie along the last
    /// axis. Keras's `ops.image.extract_patches_3d`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::zeros([1, 4, 6, 5, 2], DType::F32)?;
    /// assert_eq!(x.volume_patches([2, 3, 1], [2, 3, 1], [1; 3], false)?.dims()?, [1, 2, 2, 5, 12]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn volume_patches(
        &self,
        size: [usize; 3],
        strides: [usize; 3],
        rates: [usize; 3],
        same: bool,
    ) -> Result<Tensor> {
        self.check()?;
        if [size, strides, rates].as_flattened().contains(&0) {
            let found = format!("found {size:?}, {strides:?} and {rates:?}");
            let message = format!("windows have sizes, strides and rates of at least 1, {found}");
            return Err(Error::invalid_argument(message));
        }
        let dims = self.shape().dims().unwrap_or_default();
        let [_, Some(depth), Some(rows), Some(columns), Some(channels)] = dims[..] else {
            let message = "volumes are [batch, depth, rows, columns, channels], known but for the batch, found shape";
            return Err(Error::invalid_argument(format!("{message} {}", self.shape())));
        };
        composite("volume_patches", || {
            let along = |axis: usize, places: usize| windows(places, [size[axis], strides[axis], rates[axis]], same);
            let [of_depth, of_rows, of_columns] = [along(0, depth)?, along(1, rows)?, along(2, columns)?];
            let x = self.pad([[0, 0], of_depth.0, of_rows.0, of_columns.0, [0, 0]])?;
            // From the last axis on, so that the numbers of those before it stay.
            let x = x.gather(&of_columns.1, 3)?.gather(&of_rows.1, 2)?.gather(&of_depth.1, 1)?;
            let x = x.permute([0, 1, 3, 5, 2, 4, 6, 7])?;
            let counts = [&of_depth.1, &of_rows.1, &of_columns.1].map(|at| Ok::<_, Error>(at.dims()?[0] as i64));
            let [depth, rows, columns] = counts;
            let each = count(&[size[0], size[1], size[2], channels])? as i64;
            x.reshape([-1, depth?, rows?, columns?, each])
        })
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<SpaceToBatchND>("SpaceToBatchND", Accuracy::Exact),
    OpDef::plain::<BatchToSpaceND>("BatchToSpaceND", Accuracy::Exact),
    OpDef {
        name: "SpaceToDepth",
        parse: |attrs| Ok(Arc::new(SpaceToDepth(Depth::parse(attrs)?))),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "DepthToSpace",
        parse: |attrs| Ok(Arc::new(DepthToSpace(Depth::parse(attrs)?))),
        accuracy: Accuracy::Exact,
    },
    OpDef { name: "ExtractImagePatches", parse: ExtractImagePatches::parse, accuracy: Accuracy::Exact },
]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, graph::trace, value_and_grad};

    #[test]
    fn channels_that_come_first_are_moved_like_those_that_come_last() -> Result<()> {
        let x = Tensor::new([2, 4, 6, 5], (0..240).collect::<Vec<i32>>())?;
        let first = x.permute([0, 3, 1, 2])?;
        let depth = x.space_to_depth(2, false)?;
        let of_first = first.space_to_depth(2, true)?;
        assert_eq!(of_first.dims()?, [2, 20, 2, 3]);
        assert_eq!(of_first.permute([0, 2, 3, 1])?.to_vec::<i32>()?, depth.to_vec::<i32>()?);
        assert_eq!(of_first.depth_to_space(2, true)?.to_vec::<i32>()?, first.to_vec::<i32>()?);
        Ok(())
    }

    #[test]
    fn the_gradient_of_channels_that_come_first_goes_back() -> Result<()> {
        let x = Tensor::new([1, 1, 2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])?;
        let weights = Tensor::from([5.0_f32, 6.0, 7.0, 8.0]).reshape([1, 4, 1, 1])?;
        let (_, dx) = value_and_grad(|x| (x[0].space_to_depth(2, true)? * &weights).sum(..), &[x])?;
        assert_eq!(dx[0].to_vec::<f32>()?, [5.0, 6.0, 7.0, 8.0]);
        Ok(())
    }

    #[test]
    fn what_is_known_of_symbols_is_kept() -> Result<()> {
        let spec = Spec::new(DType::F32, [None, Some(5), Some(4), Some(3)]);
        let graph = trace(|x| Ok(vec![x[0].space_to_batch([2, 2], [[0, 1], [0, 0]])?]), &[spec])?;
        let found: Vec<Spec> = graph.outputs().cloned().collect();
        assert_eq!(found, [Spec::new(DType::F32, [None, Some(3), Some(2), Some(3)])]);
        Ok(())
    }

    #[test]
    fn a_block_of_one_place_is_refused() -> Result<()> {
        let x = Tensor::zeros([1, 2, 2, 4], DType::F32)?;
        assert_eq!(x.space_to_depth(1, false).expect_err("refused").op(), Some("SpaceToDepth"));
        assert_eq!(x.depth_to_space(0, true).expect_err("refused").op(), Some("DepthToSpace"));
        let error = x.image_patches([0, 1], [1, 1], [1, 1], true).expect_err("refused");
        assert_eq!(error.op(), Some("ExtractImagePatches"));
        Ok(())
    }
}
