//! Convolution of images with filters, depthwise convolution, and the gradients of both.

use super::sliding::{Slide, Sliding, shape_of, sizes, spatial, too_many};
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity, elements,
    ints, of_product, same_dtype, unsupported, with_rank,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Convolution, Depthwise, Filters, Number, Unary, Window};
use std::sync::Arc;

/// What is computed: the output of input and filter, or the gradient of one of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Output,
    Input,
    Filter,
}

/// A convolution, or one of its gradients; the three are each other's gradients.
///
/// `Output` takes input and filter, `Input` the input's dims, filter and output gradient, `Filter` input, the filter's dims
/// and output gradient.
#[derive(Clone, Debug)]
pub(crate) struct Convolve {
    wanted: Wanted,
    depthwise: bool,
    slide: Slide,
    /// What follows an output in the same pass, to the same bits: a bias for each filter, which is one more input, and a
    /// function of each element. Only graphs that are to be run have it.
    bias: bool,
    activation: Option<Unary>,
}

impl Convolve {
    fn new(wanted: Wanted, depthwise: bool, slide: Slide) -> Convolve {
        Convolve { wanted, depthwise, slide, bias: false, activation: None }
    }

    /// Whether a bias of the last axis may follow it, and a function of each element.
    pub(crate) fn takes_more(&self) -> bool {
        self.wanted == Wanted::Output && !self.depthwise && !self.slide.is_channels_first()
    }

    /// The same, and what follows.
    pub(crate) fn followed_by(&self, bias: bool, activation: Option<Unary>) -> Convolve {
        Convolve { bias, activation, ..self.clone() }
    }

    fn parse(attrs: &Attrs, wanted: Wanted, depthwise: bool, axes: usize) -> Result<Arc<dyn Op>> {
        let op = Convolve::new(wanted, depthwise, Slide::parse(attrs, axes)?);
        op.slide.without(op.name(), false, !op.is_explicit())?;
        Ok(Arc::new(op))
    }

    /// Along so many axes, as a user says it.
    fn along(wanted: Wanted, depthwise: bool, axes: usize, sliding: &Sliding) -> Result<Convolve> {
        let name = Convolve::named(wanted, depthwise, axes);
        let slide = sliding.slide(axes, &[1; 3][..axes]).map_err(|error| error.in_op(name))?;
        let op = Convolve::new(wanted, depthwise, slide);
        op.slide.without(name, false, !op.is_explicit()).map_err(|error| error.in_op(name))?;
        Ok(op)
    }

    fn named(wanted: Wanted, depthwise: bool, axes: usize) -> &'static str {
        let names = match wanted {
            Wanted::Output => ["Conv2D", "Conv3D", "DepthwiseConv2dNative"],
            Wanted::Input => ["Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput"],
            Wanted::Filter => ["Conv2DBackpropFilter", "Conv3DBackpropFilterV2", "DepthwiseConv2dNativeBackpropFilter"],
        };
        names[if depthwise { 2 } else { axes - 2 }]
    }

    /// Whether the op has an attribute for explicit padding.
    fn is_explicit(&self) -> bool {
        self.slide.axes == 2
    }

    /// The same convolution, with another result.
    fn call(&self, wanted: Wanted, inputs: &[&Tensor]) -> Result<Tensor> {
        apply_one(Convolve { wanted, ..self.clone() }, inputs)
    }

    /// The shape of the output: the only place that says what fits.
    fn output(&self, x: &Shape, filter: &Shape) -> Result<Shape> {
        let axes = self.slide.axes;
        let [channels, depth, last] = [x.dim(self.slide.channels()), filter.dim(axes), filter.dim(axes + 1)];
        let wrong = |what: &str| Err(Error::invalid_argument(format!("{what}, found input {x} and filter {filter}")));
        let filters = if self.depthwise {
            if let (Some(channels), Some(depth)) = (channels, depth)
                && channels != depth
            {
                return wrong("a depthwise filter has one part for each channel");
            }
            match (channels.or(depth), last) {
                (Some(channels), Some(last)) => Some(channels.checked_mul(last).ok_or_else(too_many)?),
                _ => None,
            }
        } else {
            if let (Some(channels), Some(depth)) = (channels, depth) {
                if depth == 0 || channels == 0 || !channels.is_multiple_of(depth) {
                    return wrong("the filter's channels must divide the input's");
                }
                if last.is_some_and(|filters| !filters.is_multiple_of(channels / depth)) {
                    return wrong("the groups of channels must divide the number of filters");
                }
            }
            last
        };
        let shape = self.slide.outputs(x, |i| filter.dim(i), filters)?;
        if let (Some(x), Some(filter)) = (x.known(), filter.known()) {
            self.window(x, filter).ok_or_else(too_many)?;
            if !self.depthwise {
                self.filters(x, filter).ok_or_else(too_many)?;
            }
        }
        Ok(shape)
    }

    fn window(&self, x: &[usize], filter: &[usize]) -> Option<Window> {
        self.slide.window(x, &filter[..self.slide.axes])
    }

    fn filters(&self, x: &[usize], filter: &[usize]) -> Option<Filters> {
        let [.., depth, filters] = filter else { return None };
        let images = self.slide.images(x);
        Filters::new(images, self.window(x, filter)?, *filters, images.channels.checked_div(*depth)?)
    }

    /// The dims of input and filter.
    fn dims<'a>(&self, inputs: &[View<'a>], outputs: &[ViewMut<'a>]) -> [&'a [usize]; 2] {
        match self.wanted {
            Wanted::Output => [inputs[0].dims(), inputs[1].dims()],
            Wanted::Input => [outputs[0].dims(), inputs[1].dims()],
            Wanted::Filter => [inputs[0].dims(), outputs[0].dims()],
        }
    }

    /// The two inputs that are not dims.
    fn operands<'a, 'b>(&self, inputs: &'b [View<'a>]) -> [&'b View<'a>; 2] {
        match self.wanted {
            Wanted::Output => [&inputs[0], &inputs[1]],
            Wanted::Input => [&inputs[1], &inputs[2]],
            Wanted::Filter => [&inputs[0], &inputs[2]],
        }
    }

    /// The bytes that the kernel wants.
    fn kernel_scratch<T: Number + Convolution + Depthwise>(&self, [x, filter]: [&[usize]; 2]) -> Option<usize> {
        if self.depthwise {
            let multiplier = *filter.last()?;
            return match self.wanted {
                Wanted::Filter => {
                    let window = self.window(x, filter)?;
                    let numbers = T::depthwise_filter_gradient_scratch(&window, self.slide.images(x), multiplier);
                    Some(numbers * size_of::<f64>())
                }
                _ => Some(0),
            };
        }
        let of = self.filters(x, filter)?;
        let numbers = match self.wanted {
            Wanted::Output => T::convolution_scratch(&of),
            Wanted::Input => T::input_gradient_scratch(&of),
            Wanted::Filter => T::filters_gradient_scratch(&of),
        };
        Some(numbers * size_of::<T>())
    }

    fn compute<T: Number + Convolution + Depthwise>(
        &self,
        inputs: &[View],
        outputs: &mut [ViewMut],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let lost = || Error::internal("a convolution that was inferred does not fit");
        let [x, filter] = self.dims(inputs, outputs);
        let [a, b] = self.operands(inputs);
        let own = self.kernel_scratch::<T>([x, filter]).ok_or_else(lost)?;
        let bias = self.bias.then(|| &inputs[2]);
        let rooms = a.dense_room() + b.dense_room() + bias.map_or(0, View::dense_room);
        let room = scratch.take::<u128>(rooms + own.div_ceil(size_of::<u128>()))?;
        let (a, room) = a.dense::<T>(room)?;
        let (b, room) = b.dense::<T>(room)?;
        let (bias, room) = match bias.map(|bias| bias.dense::<T>(room)).transpose()? {
            Some((bias, room)) => (Some(bias), room),
            None => (None, room),
        };
        let out = outputs[0].elements::<T>()?;
        if self.depthwise {
            let window = self.window(x, filter).ok_or_else(lost)?;
            let (images, multiplier) = (self.slide.images(x), filter[filter.len() - 1]);
            match self.wanted {
                Wanted::Output => T::depthwise(&window, images, multiplier, a, b, out),
                Wanted::Input => T::depthwise_input_gradient(&window, images, multiplier, a, b, out),
                Wanted::Filter => {
                    let room: &mut [f64] = bytemuck::cast_slice_mut(room);
                    let room = &mut room[..own / size_of::<f64>()];
                    T::depthwise_filter_gradient(&window, images, multiplier, a, b, out, room);
                }
            }
            return Ok(());
        }
        let of = self.filters(x, filter).ok_or_else(lost)?;
        let room: &mut [T] = bytemuck::cast_slice_mut(room);
        let room = &mut room[..own / size_of::<T>()];
        match self.wanted {
            Wanted::Output => T::convolution_with(&of, a, b, (bias, self.activation), out, room),
            Wanted::Input => T::input_gradient(&of, b, a, out, room),
            Wanted::Filter => T::filters_gradient(&of, a, b, out, room),
        }
        Ok(())
    }
}

impl Op for Convolve {
    fn name(&self) -> &'static str {
        Convolve::named(self.wanted, self.depthwise, self.slide.axes)
    }
    fn attrs(&self) -> Attrs {
        self.slide.attrs(true, self.is_explicit())
    }
    fn samples(&self) -> &'static [usize] {
        match self.wanted {
            Wanted::Output => &[0],
            Wanted::Input => &[2],
            Wanted::Filter => &[],
        }
    }
    fn describe(&self) -> String {
        let bias = if self.bias { ", BiasAdd" } else { "" };
        let activation = self.activation.map_or_else(String::new, |function| format!(", {function:?}"));
        format!("{}{bias}{activation}", self.name())
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        // Each element of the output, or its gradient, meets a filter once, and of that what leads to one channel.
        let (filter, output) = match self.wanted {
            Wanted::Output => (inputs.get(1), outputs.first()),
            Wanted::Input => (inputs.get(1), inputs.get(2)),
            Wanted::Filter => (outputs.first(), inputs.get(2)),
        };
        let (Some(filter), Some(output)) = (filter, output) else { return 0 };
        let dims = filter.shape.known().unwrap_or_default();
        let all = if self.depthwise { dims.len().saturating_sub(2) } else { dims.len().saturating_sub(1) };
        let others = u64::from(self.bias) + u64::from(self.activation.is_some());
        of_product(output, Some(dims[..all].iter().product())) + others * elements(output)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let rank = self.slide.rank();
        let shape = |input: &Input, what: &str| with_rank(&input.spec.shape, rank, what);
        if self.wanted == Wanted::Output {
            let [x, filter] = arity(&inputs[..inputs.len() - usize::from(self.bias)])?;
            let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
            let (x, filter) = (shape(x, "the input")?, shape(filter, "the filter")?);
            return Ok(vec![Spec::new(dtype, self.output(&x, &filter)?)]);
        }
        let [first, second, dy] = arity(inputs)?;
        let (dims, other) = if self.wanted == Wanted::Input { (first, second) } else { (second, first) };
        let dtype = allowed(same_dtype(&[*other, *dy])?, DType::is_float, "floats")?;
        let values = ints(dims, "dims")?;
        with_rank(&dims.spec.shape, 1, "dims")?;
        let dy = shape(dy, "the output gradient")?;
        let (x, filter) = match self.wanted {
            Wanted::Input => (shape_of(values, rank, "the input's")?, shape(other, "the filter")?),
            _ => (shape(other, "the input")?, shape_of(values, rank, "the filter's")?),
        };
        let expected = self.output(&x, &filter)?;
        if expected.merge(&dy).is_none() {
            return Err(Error::invalid_argument(format!(
                "input {x} and filter {filter} have an output gradient of {expected}, found {dy}"
            )));
        }
        Ok(vec![Spec::new(dtype, if self.wanted == Wanted::Input { x } else { filter })])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let [a, b] = self.operands(inputs);
        let dims = self.dims(inputs, outputs);
        let own = dispatch!(a.dtype(), float T => self.kernel_scratch::<T>(dims), else => None).unwrap_or(0);
        let bias = if self.bias { inputs[2].dense_room() } else { 0 };
        (a.dense_room() + b.dense_room() + bias) * size_of::<u128>() + own
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let dtype = outputs[0].dtype();
        dispatch!(dtype, float T => self.compute::<T>(inputs, outputs, scratch), else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let g = b.dy(0);
        if self.wanted == Wanted::Output {
            let (x, filter) = (b.input(0), b.input(1));
            let dx = b.when(0, || self.call(Wanted::Input, &[&sizes(x)?, filter, g]))?;
            let dfilter = b.when(1, || self.call(Wanted::Filter, &[x, &sizes(filter)?, g]))?;
            return Ok(vec![dx, dfilter]);
        }
        let dy = b.input(2);
        if self.wanted == Wanted::Input {
            let filter = b.input(1);
            let dfilter = b.when(1, || self.call(Wanted::Filter, &[g, &sizes(filter)?, dy]))?;
            return Ok(vec![None, dfilter, b.when(2, || self.call(Wanted::Output, &[g, filter]))?]);
        }
        let x = b.input(0);
        let dx = b.when(0, || self.call(Wanted::Input, &[&sizes(x)?, g, dy]))?;
        Ok(vec![dx, None, b.when(2, || self.call(Wanted::Output, &[x, g]))?])
    }
}

/// The images with two or three spatial axes, the filter for them, and where an axis of one place was put, if it was.
fn at_least_two(x: &Tensor, filter: &Tensor, sliding: &Sliding) -> Result<(Tensor, Tensor, Sliding, Option<i64>)> {
    if spatial(x.rank().or(filter.rank()), "images")? > 1 {
        return Ok((x.clone(), filter.clone(), sliding.clone(), None));
    }
    let at = if sliding.is_channels_first() { 2 } else { 1 };
    Ok((x.expand_dims(at)?, filter.expand_dims(0)?, sliding.with_axis(), Some(at)))
}

/// Without the axis that was put in.
fn squeezed(y: Tensor, at: Option<i64>) -> Result<Tensor> {
    match at {
        Some(at) => y.squeeze([at]),
        None => Ok(y),
    }
}

impl Tensor {
    /// The convolution of these images with filters, along one to three axes: for each window `o` and filter `f`
    ///
    /// ```text
    /// y[b, o, f] = Σ_t Σ_c x[b, o·stride + t·dilation − before, c] · filter[t, c, f]
    /// ```
    ///
    /// with zeros around the image. `[batch, places.., channels]` becomes `[batch, windows.., filters]`, with channels
    /// first where [`Sliding::channels_first`] says so. The filter is `[taps.., channels / groups, filters]`: channels and
    /// filters are divided into as many groups as follow from that, and a filter reads the channels of its group.
    ///
    /// TensorFlow's `Conv2D` of one or two axes, `Conv3D` of three, which takes no explicit padding. An error where the
    /// shapes do not fit, or no window does.
    ///
    /// ```
    /// use modulor_core::{Sliding, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[[1.0_f32], [2.0], [4.0], [7.0]]]);
    /// let difference = Tensor::from([[[-1.0_f32]], [[1.0]]]);
    /// assert_eq!(x.convolution(&difference, &Sliding::new())?.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// assert_eq!(x.convolution(&difference, &Sliding::new().same())?.to_vec::<f32>()?, [1.0, 2.0, 3.0, -7.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn convolution(&self, filter: impl Operand, sliding: &Sliding) -> Result<Tensor> {
        self.check()?;
        let (x, filter, sliding, at) = at_least_two(self, &filter.operand(self.dtype())?, sliding)?;
        let axes = spatial(x.rank().or(filter.rank()), "images")?;
        let op = Convolve::along(Wanted::Output, false, axes, &sliding)?;
        squeezed(apply_one(op, &[&x, &filter])?, at)
    }

    /// The gradient of a [`convolution`](Tensor::convolution) at its input, as a function of its own: these are images of
    /// windows, and each gives its filters' taps, times its elements, to the places that the window reads.
    ///
    /// `[batch, windows.., filters]` becomes `[batch, places.., channels]`, for a filter of `[taps.., channels, filters]`.
    /// `places` says how many places there are along each spatial axis, since convolutions of several sizes have as many
    /// windows. TensorFlow's `Conv2DBackpropInput` of one or two axes, `Conv3DBackpropInputV2` of three.
    ///
    /// ```
    /// use modulor_core::{Sliding, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let windows = Tensor::from([[[1.0_f32], [10.0]]]);
    /// let filter = Tensor::from([[[1.0_f32]], [[2.0]], [[3.0]]]);
    /// let y = windows.convolution_transposed(&filter, [5], &Sliding::new().strides([2]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 13.0, 20.0, 30.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn convolution_transposed(
        &self,
        filter: impl Operand,
        places: impl AsRef<[usize]>,
        sliding: &Sliding,
    ) -> Result<Tensor> {
        self.check()?;
        let mut places = places.as_ref().to_vec();
        let (windows, filter, sliding, at) = at_least_two(self, &filter.operand(self.dtype())?, sliding)?;
        if at.is_some() {
            places.insert(0, 1);
        }
        let axes = spatial(windows.rank().or(filter.rank()), "images")?;
        let op = Convolve::along(Wanted::Input, false, axes, &sliding)?;
        let prepared = || {
            let channels = with_rank(filter.shape(), axes + 2, "the filter")?.dim(axes);
            let channels = channels.ok_or_else(|| Error::unimplemented("the filter's channels must be known"))?;
            if places.len() != axes {
                let message = format!("places are one number for each of {axes} spatial axes, found {places:?}");
                return Err(Error::invalid_argument(message));
            }
            let mut dims = vec![-1; axes + 2];
            dims[op.slide.channels()] = channels as i64;
            for (i, &places) in places.iter().enumerate() {
                dims[op.slide.axis(i)] = places as i64;
            }
            if let Some(batch) = windows.shape().dim(0) {
                dims[0] = batch as i64;
            }
            Ok(dims)
        };
        let dims: Vec<i64> = prepared().map_err(|error| error.in_op(op.name()))?;
        let narrow = |dims: &[i64]| Tensor::new([dims.len()], dims.to_vec())?.cast(DType::I32);
        let y = if dims[0] < 0 {
            let batch = windows.shape_tensor()?.cast(DType::I32)?.block([0], [1])?;
            let all = Tensor::concat(&[batch, narrow(&dims[1..])?], 0)?;
            // The dims that are known, once more: those of a computed tensor are not.
            apply_one(op, &[&all, &filter, &windows])?.reshape(dims)?
        } else {
            apply_one(op, &[&narrow(&dims)?, &filter, &windows])?
        };
        squeezed(y, at)
    }

    /// The convolution of each channel with filters of its own, along one or two axes:
    ///
    /// ```text
    /// y[b, o, c·multiplier + m] = Σ_t x[b, o·stride + t·dilation − before, c] · filter[t, c, m]
    /// ```
    ///
    /// `[batch, places.., channels]` becomes `[batch, windows.., channels · multiplier]`, for a filter of
    /// `[taps.., channels, multiplier]`. TensorFlow's `DepthwiseConv2dNative`, with dilations, which it does by rearranging
    /// images into batches.
    ///
    /// ```
    /// use modulor_core::{Sliding, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[[1.0_f32, 10.0], [2.0, 20.0]]]);
    /// let filter = Tensor::from([[[1.0_f32], [1.0]], [[-1.0], [2.0]]]);
    /// assert_eq!(x.depthwise_convolution(&filter, &Sliding::new())?.to_vec::<f32>()?, [-1.0, 50.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn depthwise_convolution(&self, filter: impl Operand, sliding: &Sliding) -> Result<Tensor> {
        self.check()?;
        let (x, filter, sliding, at) = at_least_two(self, &filter.operand(self.dtype())?, sliding)?;
        let axes = spatial(x.rank().or(filter.rank()), "images")?;
        if axes > 2 {
            return Err(Error::unimplemented("depthwise convolution is along one or two axes, not three"));
        }
        squeezed(apply_one(Convolve::along(Wanted::Output, true, axes, &sliding)?, &[&x, &filter])?, at)
    }
}

/// One op a row: its name, what it computes, whether each channel has filters of its own, how many axes.
macro_rules! rows {
    ($($name:literal $wanted:ident $depthwise:literal $axes:literal;)*) => {
        &[$(OpDef {
            name: $name,
            parse: |attrs| Convolve::parse(attrs, Wanted::$wanted, $depthwise, $axes),
            accuracy: Accuracy::Sum,
        }),*]
    };
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[rows! {
    "Conv2D" Output false 2;
    "Conv2DBackpropInput" Input false 2;
    "Conv2DBackpropFilter" Filter false 2;
    "Conv3D" Output false 3;
    "Conv3DBackpropInputV2" Input false 3;
    "Conv3DBackpropFilterV2" Filter false 3;
    "DepthwiseConv2dNative" Output true 2;
    "DepthwiseConv2dNativeBackpropInput" Input true 2;
    "DepthwiseConv2dNativeBackpropFilter" Filter true 2;
}];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GradientTape, UnconnectedGradients};

    /// Numbers without pattern, exact in float32.
    fn numbers(dims: &[usize], seed: usize) -> Tensor {
        let count = dims.iter().product::<usize>();
        let values: Vec<f64> = (0..count).map(|i| ((i * 37 + seed * 11) % 29) as f64 / 8.0 - 1.75).collect();
        Tensor::new(dims, values).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f64> {
        x.to_vec().unwrap()
    }

    /// The gradients of `Σ y·dy` at both.
    fn gradients(x: &Tensor, filter: &Tensor, f: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>) -> [Tensor; 3] {
        let tape = GradientTape::new();
        [x, filter].into_iter().for_each(|t| tape.watch(t));
        let y = tape.record(|| f(x, filter)).unwrap();
        let dy = numbers(y.dims().unwrap(), 5);
        let found = tape.gradients_with(&[(y.clone(), Some(dy))], [x, filter], UnconnectedGradients::None).unwrap();
        let [dx, dfilter] = <[_; 2]>::try_from(found).unwrap().map(Option::unwrap);
        [y, dx, dfilter]
    }

    fn near(a: &Tensor, b: &Tensor) {
        assert_eq!(a.shape(), b.shape());
        assert!(values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() < 1e-12 * b.abs().max(100.0)));
    }

    type Kind = fn(&Tensor, &Tensor, &Sliding) -> Result<Tensor>;

    #[test]
    fn images_with_channels_first_are_those_with_channels_last_moved() {
        let kinds: [(Kind, [usize; 2]); 3] = [
            (|x, filter, sliding| x.convolution(filter, sliding), [4, 6]),
            (|x, filter, sliding| x.convolution(filter, sliding), [2, 6]),
            (|x, filter, sliding| x.depthwise_convolution(filter, sliding), [4, 2]),
        ];
        for ((kind, depths), axes) in kinds.into_iter().flat_map(|kind| [1, 2, 3].map(|axes| (kind, axes))) {
            let last: Vec<i64> = [0].into_iter().chain(2..axes + 2).chain([1]).collect();
            let first: Vec<i64> = [0, axes + 1].into_iter().chain(1..=axes).collect();
            let places = &[5, 4, 3][..axes as usize];
            let x = numbers(&[&[2, 4], places].concat(), 1);
            let filter = numbers(&[&[2, 3, 2][..axes as usize], &depths].concat(), 2);
            for sliding in [Sliding::new(), Sliding::new().same().strides(vec![2; axes as usize])] {
                let by_last = |x: &Tensor, filter: &Tensor| kind(&x.permute(&last)?, filter, &sliding)?.permute(&first);
                if by_last(&x, &filter).is_err() {
                    assert!(axes == 3 && depths == [4, 2], "depthwise is along two axes at most");
                    continue;
                }
                let expected = gradients(&x, &filter, by_last);
                let found = gradients(&x, &filter, |x, f| kind(x, f, &sliding.clone().channels_first()));
                found.iter().zip(&expected).for_each(|(a, b)| near(a, b));
            }
        }
    }

    #[test]
    fn a_dilated_filter_is_one_with_zeros_between_its_taps() {
        let kinds: [(Kind, [usize; 2]); 2] = [
            (|x, filter, sliding| x.convolution(filter, sliding), [3, 2]),
            (|x, filter, sliding| x.depthwise_convolution(filter, sliding), [3, 2]),
        ];
        let x = numbers(&[2, 8, 3], 1);
        for (kind, [depth, last]) in kinds {
            let filter = numbers(&[3, depth, last], 2);
            for sliding in [Sliding::new(), Sliding::new().same(), Sliding::new().padding([[1, 3]]).strides([2])] {
                let between = |filter: &Tensor| {
                    let gap = Tensor::zeros([1, depth, last], DType::F64)?;
                    let taps = filter.split(3, 0)?;
                    Tensor::concat(&[taps[0].clone(), gap.clone(), taps[1].clone(), gap, taps[2].clone()], 0)
                };
                let expected = gradients(&x, &filter, |x, filter| kind(x, &between(filter)?, &sliding));
                let found = gradients(&x, &filter, |x, f| kind(x, f, &sliding.clone().dilations([2])));
                found.iter().zip(&expected).for_each(|(a, b)| near(a, b));
            }
        }
    }

    #[test]
    fn a_transposed_convolution_is_the_gradient_at_the_input() {
        for sliding in
            [Sliding::new().strides([2, 1]), Sliding::new().same().strides([2, 3]), Sliding::new().dilations([2, 2])]
        {
            let (x, filter) = (numbers(&[2, 6, 5, 3], 1), numbers(&[2, 3, 3, 4], 2));
            let [y, dx, _] = gradients(&x, &filter, |x, filter| x.convolution(filter, &sliding));
            let dy = numbers(y.dims().unwrap(), 5);
            near(&dy.convolution_transposed(&filter, [6, 5], &sliding).unwrap(), &dx);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (x, filter) = (numbers(&[1, 4, 4, 3], 1), numbers(&[2, 2, 3, 4], 2));
        for (found, words) in [
            (x.convolution(numbers(&[2, 2, 2, 4], 1), &Sliding::new()), "divide the input's, found input (1, 4, 4, 3)"),
            (x.convolution(numbers(&[2, 2, 1, 4], 1), &Sliding::new()), "must divide the number of filters"),
            (x.convolution(&filter, &Sliding::new().strides([1])), "for each of 2 spatial axes, found [1] [Op:"),
            (x.convolution(&filter, &Sliding::new().strides([1, 0])), "at least 1, found [1, 0]"),
            (x.convolution(&filter, &Sliding::new().padding([[1, 1]])), "two numbers for each of 2 spatial axes"),
            (x.convolution(&filter, &Sliding::new().dilations([5, 5])), "fits on axis 1 of 4 places"),
            (x.convolution(numbers(&[2, 3, 4], 1), &Sliding::new()), "the filter must have rank 4"),
            (numbers(&[4], 1).convolution(&filter, &Sliding::new()), "rank 3 to 5, found rank 1"),
            (x.depthwise_convolution(numbers(&[2, 2, 2, 1], 1), &Sliding::new()), "one part for each channel"),
            (x.convolution_transposed(&filter, [9], &Sliding::new()), "places are one number for each of 2"),
            (x.convolution_transposed(&filter, [9, 9], &Sliding::new()), "have an output gradient of (1, 8, 8, 4)"),
        ] {
            let error = found.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
