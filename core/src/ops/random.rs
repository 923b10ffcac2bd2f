//! Random tensors that follow from a seed alone: `tf.random.stateless_*`, by TensorFlow's Philox generator.
//!
//! A seed is two integers, and the same seed and shape always give the same elements; uniform numbers and integers are
//! TensorFlow's to the bit. `StatelessRandomGetKeyCounter` turns the seed into the key and counter of a stream, from
//! which each of the other ops fills a tensor of a given shape.

use super::constant;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity, unsupported,
    with_rank,
};
use crate::ops::array::shape_input;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use half::{bf16, f16};
use modulor_kernels::copy;
use modulor_kernels::random::{Int, Philox, Real};
use std::fmt;
use std::sync::Arc;

/// TensorFlow's number of the Philox generator.
const PHILOX: i32 = 1;
/// TensorFlow's number for whichever generator suits the device; on a CPU that is Philox.
const AUTO_SELECT: i32 = 3;

/// The key and counter of the stream that a seed stands for.
#[derive(Debug, Default)]
struct StatelessRandomGetKeyCounter;

impl Op for StatelessRandomGetKeyCounter {
    fn name(&self) -> &'static str {
        "StatelessRandomGetKeyCounter"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [seed] = arity(inputs)?;
        two_integers(seed)?;
        Ok(vec![Spec::new(DType::U64, [1]), Spec::new(DType::U64, [2])])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let stream = seeded(&inputs[0])?;
        outputs[0].elements()?.copy_from_slice(&[stream.key()]);
        outputs[1].elements()?.copy_from_slice(&stream.counter());
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// One distribution of floats a row: documentation, its class, its TensorFlow name, method and kernel.
macro_rules! floats {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident = $fill:ident;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                dtype: DType,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("dtype", self.dtype)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(self.dtype, DType::is_float, "a float dtype")?;
                    Ok(vec![Spec::new(self.dtype, drawn(arity(inputs)?)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let (stream, out) = (stream(inputs)?, &mut outputs[0]);
                    match self.dtype {
                        DType::F32 => f32::$fill(stream, 0, out.elements()?),
                        DType::F64 => f64::$fill(stream, 0, out.elements()?),
                        DType::F16 => f16::$fill(stream, 0, out.elements()?),
                        DType::BF16 => bf16::$fill(stream, 0, out.elements()?),
                        other => return Err(unsupported(other)),
                    }
                    Ok(())
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    constant(b)
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                #[doc = concat!("TensorFlow's `", stringify!($op), "`.")]
                /// `shape` and `seed` are vectors of int32 or int64, the seed of two elements; the dtype is a float's.
                pub fn $method(shape: &Tensor, seed: &Tensor, dtype: DType) -> Result<Tensor> {
                    let [key, counter, alg] = &key_counter_alg(seed)?;
                    apply_one($op { dtype }, &[shape, key, counter, alg])
                }
            }
        )*
        const FLOATS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { dtype: attrs.dtype("dtype", DType::F32)? })),
            accuracy: Accuracy::$class,
        }),*];
    };
}

floats! {
    /// Uniform on [0, 1).
    Exact StatelessRandomUniformV2 stateless_uniform = fill_uniform;
    /// Normal of mean 0 and standard deviation 1.
    Ulp4 StatelessRandomNormalV2 stateless_normal = fill_normal;
    /// Normal of mean 0 and standard deviation 1, drawn again where it lies two or more from 0.
    Ulp4 StatelessTruncatedNormalV2 stateless_truncated_normal = fill_truncated_normal;
}

/// Uniform integers below a bound.
#[derive(Debug, Default)]
struct StatelessRandomUniformIntV2;

impl Op for StatelessRandomUniformIntV2 {
    fn name(&self) -> &'static str {
        "StatelessRandomUniformIntV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, key, counter, alg, low, high] = arity(inputs)?;
        let dtype = bounded(low, high)?;
        Ok(vec![Spec::new(dtype, drawn(&[*shape, *key, *counter, *alg])?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        fill_between(stream(inputs)?, inputs[4], inputs[5], &mut outputs[0])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// Uniform integers over all of their dtype.
#[derive(Debug)]
struct StatelessRandomUniformFullIntV2 {
    dtype: DType,
}

impl Op for StatelessRandomUniformFullIntV2 {
    fn name(&self) -> &'static str {
        "StatelessRandomUniformFullIntV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("dtype", self.dtype)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let wide = |d| matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64);
        allowed(self.dtype, wide, "a dtype of int32, int64, uint32 or uint64")?;
        Ok(vec![Spec::new(self.dtype, drawn(arity(inputs)?)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (stream, out) = (stream(inputs)?, &mut outputs[0]);
        match self.dtype {
            DType::I32 => i32::fill_bits(stream, 0, out.elements()?),
            DType::I64 => i64::fill_bits(stream, 0, out.elements()?),
            DType::U32 => u32::fill_bits(stream, 0, out.elements()?),
            DType::U64 => u64::fill_bits(stream, 0, out.elements()?),
            other => return Err(unsupported(other)),
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

impl Tensor {
    /// Uniform integers from `low` to below `high`, scalars of one dtype, int32 or int64, which is the result's.
    ///
    /// TensorFlow's `StatelessRandomUniformIntV2`: not quite even unless the difference of the bounds is a power of
    /// two. `shape` and `seed` are vectors of int32 or int64, the seed of two elements.
    pub fn stateless_uniform_int(shape: &Tensor, seed: &Tensor, low: &Tensor, high: &Tensor) -> Result<Tensor> {
        let [key, counter, alg] = &key_counter_alg(seed)?;
        apply_one(StatelessRandomUniformIntV2, &[shape, key, counter, alg, low, high])
    }

    /// Uniform integers over all of int32, int64, uint32 or uint64.
    ///
    /// TensorFlow's `StatelessRandomUniformFullIntV2`. `shape` and `seed` are vectors of int32 or int64, the seed of
    /// two elements.
    pub fn stateless_bits(shape: &Tensor, seed: &Tensor, dtype: DType) -> Result<Tensor> {
        let [key, counter, alg] = &key_counter_alg(seed)?;
        apply_one(StatelessRandomUniformFullIntV2 { dtype }, &[shape, key, counter, alg])
    }
}

/// Refuses a seed that is not two integers.
pub(super) fn two_integers(seed: &Input) -> Result<()> {
    allowed(seed.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "a seed of int32 or int64")?;
    vector(seed, seed.spec.dtype, "the seed", 2, 2)
}

/// The stream that a seed stands for.
pub(super) fn seeded(seed: &View) -> Result<Philox> {
    Ok(Philox::from_seed([seed.int(0)?, seed.int(1)?]))
}

/// The three inputs of every draw that follow from a seed.
pub(super) fn key_counter_alg(seed: &Tensor) -> Result<[Tensor; 3]> {
    let stream = apply(StatelessRandomGetKeyCounter, &[seed])?;
    let [key, counter] = stream.try_into().map_err(|_| Error::internal("a stream is a key and a counter"))?;
    Ok([key, counter, Tensor::scalar(PHILOX)])
}

/// The shape of a draw, as far as its input tells.
pub(super) fn drawn_shape(shape: &Input) -> Result<Shape> {
    with_rank(&shape.spec.shape, 1, "the shape to draw")?;
    shape_input(shape, "a shape")
}

/// The shape of a draw, as far as its inputs `shape, key, counter, alg` tell.
pub(super) fn drawn([shape, key, counter, alg]: &[Input; 4]) -> Result<Shape> {
    vector(key, DType::U64, "the key", 1, 1)?;
    vector(counter, DType::U64, "the counter", 2, usize::MAX)?;
    allowed(alg.spec.dtype, |d| d == DType::I32, "an algorithm of int32")?;
    with_rank(&alg.spec.shape, 0, "the algorithm")?;
    if let Some(alg) = alg.value {
        known_algorithm(View::of(alg)?)?;
    }
    drawn_shape(shape)
}

/// Refuses what is not a vector of a dtype with at least and at most so many elements.
fn vector(input: &Input, dtype: DType, what: &str, least: usize, most: usize) -> Result<()> {
    allowed(input.spec.dtype, |d| d == dtype, &format!("{what} of {dtype}"))?;
    match with_rank(&input.spec.shape, 1, what)?.dim(0) {
        Some(found) if found < least || most < found => {
            let bound = if least == most { "" } else { "at least " };
            Err(Error::invalid_argument(format!("{what} must have {bound}length {least}, found {found}")))
        }
        _ => Ok(()),
    }
}

fn known_algorithm(alg: View) -> Result<()> {
    match scalar(alg)? {
        PHILOX | AUTO_SELECT => Ok(()),
        other => Err(Error::invalid_argument(format!(
            "unsupported random algorithm {other}; {PHILOX} is Philox, {AUTO_SELECT} selects it"
        ))),
    }
}

/// The stream that a draw's inputs `shape, key, counter, alg` name.
pub(super) fn stream(inputs: &[View]) -> Result<Philox> {
    known_algorithm(inputs[3])?;
    let (mut counter, view) = ([0; 2], inputs[2]);
    // A counter may be longer, for generators with larger ones; Philox reads two words.
    copy(view.restrided(&[2], view.strides())?, &mut counter);
    Ok(Philox::new(scalar(inputs[1])?, counter))
}

/// The dtype of two bounds, which are scalars of it and in their order.
pub(super) fn bounded(low: &Input, high: &Input) -> Result<DType> {
    for bound in [low, high] {
        allowed(bound.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "bounds of int32 or int64")?;
        with_rank(&bound.spec.shape, 0, "a bound")?;
    }
    let dtype = low.spec.dtype;
    if dtype != high.spec.dtype {
        let message = format!("bounds must be of one dtype, found {dtype} and {}", high.spec.dtype);
        return Err(Error::invalid_argument(message));
    }
    if let (Some(low), Some(high)) = (low.value, high.value) {
        let (low, high) = (View::of(low)?, View::of(high)?);
        match dtype {
            DType::I32 => drop(bounds::<i32>(low, high)?),
            _ => drop(bounds::<i64>(low, high)?),
        }
    }
    Ok(dtype)
}

/// Uniform integers between two bounds, from the beginning of a stream.
pub(super) fn fill_between(stream: Philox, low: View, high: View, out: &mut ViewMut) -> Result<()> {
    match out.dtype() {
        DType::I32 => {
            let [low, high] = bounds(low, high)?;
            i32::fill_between(stream, 0, low, high, out.elements()?);
        }
        DType::I64 => {
            let [low, high] = bounds(low, high)?;
            i64::fill_between(stream, 0, low, high, out.elements()?);
        }
        other => return Err(unsupported(other)),
    }
    Ok(())
}

/// The lower and the upper bound, in their order.
fn bounds<T: Pod + PartialOrd + fmt::Display>(low: View, high: View) -> Result<[T; 2]> {
    let (low, high): (T, T) = (scalar(low)?, scalar(high)?);
    if low < high {
        return Ok([low, high]);
    }
    Err(Error::invalid_argument(format!("need minval < maxval, got {low} >= {high}")))
}

/// The one element of a view.
fn scalar<T: Pod>(view: View) -> Result<T> {
    let mut element = [T::zeroed()];
    copy(view.elements()?, &mut element);
    Ok(element[0])
}

const INTEGERS: &[OpDef] = &[
    OpDef::plain::<StatelessRandomGetKeyCounter>("StatelessRandomGetKeyCounter", Accuracy::Exact),
    OpDef::plain::<StatelessRandomUniformIntV2>("StatelessRandomUniformIntV2", Accuracy::Exact),
    OpDef {
        name: "StatelessRandomUniformFullIntV2",
        parse: |attrs| Ok(Arc::new(StatelessRandomUniformFullIntV2 { dtype: attrs.dtype("dtype", DType::U64)? })),
        accuracy: Accuracy::Exact,
    },
];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[FLOATS, INTEGERS];

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i64]) -> Tensor {
        Tensor::new([values.len()], values).expect("a vector of all its elements")
    }

    /// `tf.random.stateless_uniform([3], [42, 0])` and its siblings, TensorFlow 2.21 on a CPU.
    #[test]
    fn draws_are_tensorflows() -> Result<()> {
        let (shape, seed) = (ints(&[3]), ints(&[42, 0]));
        let uniform = Tensor::stateless_uniform(&shape, &seed, DType::F32)?;
        assert_eq!(uniform.to_vec::<f32>()?, [0.282_433_15, 0.498_416_9, 0.715_458_5]);
        let normal = Tensor::stateless_normal(&shape, &seed, DType::F32)?;
        for (x, y) in normal.to_vec::<f32>()?.into_iter().zip([0.015_817_076, -1.590_086_9, 0.103_594_46]) {
            assert!((x - y).abs() <= 4.0 * f32::EPSILON * y.abs(), "{x} is not {y}");
        }
        let (low, high) = (Tensor::scalar(-10i32), Tensor::scalar(10i32));
        let ints32 = Tensor::stateless_uniform_int(&shape, &seed, &low, &high)?;
        assert_eq!(ints32.to_vec::<i32>()?, [-9, 2, -1]);
        let bits = Tensor::stateless_bits(&shape, &seed, DType::U64)?;
        assert_eq!(bits.to_vec::<u64>()?, [4377441801857148613, 11385827715117192229, 9318003814114660225]);
        Ok(())
    }

    /// `d = keras.layers.Dropout(0.4, seed=7)`, then `d(x, training=True)` with `x = np.ones((2, 5))`, three times:
    /// the seed is `[7, number of the call]`, and what is drawn below the rate is dropped.
    #[test]
    fn kerass_dropout_masks_follow_from_the_seed_and_a_count() -> Result<()> {
        let kept = [[1, 1, 0, 1, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 0, 0, 1], [0, 0, 1, 0, 1, 0, 1, 1, 1, 1]];
        for (call, kept) in (0..).zip(kept) {
            let drawn = Tensor::stateless_uniform(&ints(&[2, 5]), &ints(&[7, call]), DType::F32)?;
            assert_eq!(drawn.greater_equal(0.4)?.cast(DType::I32)?.to_vec::<i32>()?, kept, "call {call}");
        }
        Ok(())
    }

    #[test]
    fn gradients_end_at_random_numbers() -> Result<()> {
        let noise = |w: &[Tensor]| {
            let (low, high) = (Tensor::scalar(0i32), w[0].cast(DType::I32)?);
            let x = Tensor::stateless_uniform_int(&ints(&[3]), &ints(&[42, 0]), &low, &high)?;
            (x.cast(DType::F32)? * &w[0]).sum(..)
        };
        let (y, dw) = crate::value_and_grad(noise, &[Tensor::scalar(100.0f32)])?;
        assert_eq!(y.item::<f32>()?, 100.0 * dw[0].item::<f32>()?);
        Ok(())
    }

    #[test]
    fn a_seed_of_int32_is_the_seed_of_int64() -> Result<()> {
        let shape = Tensor::new([2], [2i32, 5])?;
        let narrow = Tensor::stateless_bits(&shape, &Tensor::new([2], [-3i32, 7])?, DType::I32)?;
        let wide = Tensor::stateless_bits(&shape, &ints(&[-3, 7]), DType::I32)?;
        assert_eq!(narrow.dims()?, [2, 5]);
        assert_eq!(narrow.to_vec::<i32>()?, wide.to_vec::<i32>()?);
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_in_words() {
        let (shape, seed) = (ints(&[3]), ints(&[42, 0]));
        let uniform = |shape: &Tensor, seed: &Tensor, dtype| Tensor::stateless_uniform(shape, seed, dtype);
        let between = |low: Tensor, high: Tensor| Tensor::stateless_uniform_int(&shape, &seed, &low, &high);
        let rows = [
            (uniform(&shape, &ints(&[1, 2, 3]), DType::F32), "the seed must have length 2, found 3"),
            (uniform(&shape, &Tensor::scalar(1i64), DType::F32), "the seed must have rank 1"),
            (uniform(&shape, &Tensor::scalar(1.0f32), DType::F32), "takes a seed of int32 or int64, found float32"),
            (uniform(&ints(&[3, -1]), &seed, DType::F32), "dims cannot be negative: [3, -1]"),
            (uniform(&Tensor::scalar(3i64), &seed, DType::F32), "the shape to draw must have rank 1"),
            (uniform(&shape, &seed, DType::I32), "takes a float dtype, found int32"),
            (Tensor::stateless_bits(&shape, &seed, DType::U8), "found uint8"),
            (between(Tensor::scalar(3i32), Tensor::scalar(3i32)), "need minval < maxval, got 3 >= 3"),
            (between(Tensor::scalar(3i32), Tensor::scalar(4i64)), "bounds must be of one dtype"),
            (between(ints(&[3]), ints(&[4])), "a bound must have rank 0"),
        ];
        for (result, words) in rows {
            let error = result.expect_err(words).to_string();
            assert!(error.contains(words), "`{error}` does not say `{words}`");
        }
    }

    #[test]
    fn an_empty_tensor_can_be_drawn() -> Result<()> {
        let empty = Tensor::stateless_normal(&ints(&[0, 4]), &ints(&[1, 1]), DType::F16)?;
        assert_eq!(empty.dims()?, [0, 4]);
        Ok(())
    }
}
