//! Random tensors from a stream that an op holds: TensorFlow's `RandomUniform` and its family, which graphs of its first
//! version say.
//!
//! The two seeds of an op are its stream; each call goes on where the one before it ended. So the op of a graph's node
//! draws anew with every run, and the first run of a seeded one gives TensorFlow's numbers, as does the second. New code
//! says which numbers it wants, with `Tensor::stateless_uniform` and its siblings.

use super::constant;
use super::random::{bounded, drawn_shape, fill_between};
use crate::op::{
    Accuracy, Attrs, Backward, Effect, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, unsupported,
};
use crate::{DType, Result, Spec, Tensor};
use half::{bf16, f16};
use modulor_kernels::random::{Philox, Real};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// The blocks of a stream that TensorFlow sets aside for an element, however many it takes.
const BLOCKS: u64 = 256;

/// What an op draws from.
#[derive(Debug)]
struct Stream {
    seeds: [i64; 2],
    next: Mutex<Philox>,
}

impl Stream {
    /// The stream of two seeds; of zeros, one that nobody can foretell.
    fn new(seeds: [i64; 2]) -> Stream {
        let [key, counter] = match seeds {
            [0, 0] => [0, 1].map(|word: u64| RandomState::new().hash_one(word)),
            _ => seeds.map(|seed| seed as u64),
        };
        Stream { seeds, next: Mutex::new(Philox::new(key, [0, counter])) }
    }

    fn of(attrs: &Attrs) -> Result<Stream> {
        Ok(Stream::new([attrs.int("seed", 0)?, attrs.int("seed2", 0)?]))
    }

    fn attrs(&self) -> Attrs {
        Attrs::new().with("seed", self.seeds[0]).with("seed2", self.seeds[1])
    }

    /// The place to draw so many elements from; the next draw begins behind them.
    fn take(&self, elements: usize) -> Philox {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let here = *next;
        *next = here.skip((elements as u64).wrapping_mul(BLOCKS));
        here
    }
}

/// One distribution of floats a row: documentation, its class, its TensorFlow name, method and kernel.
macro_rules! floats {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident = $fill:ident;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                dtype: DType,
                stream: Stream,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    self.stream.attrs().with("dtype", self.dtype)
                }
                fn effect(&self) -> Effect {
                    Effect::Random
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(self.dtype, DType::is_float, "a float dtype")?;
                    let [shape] = arity(inputs)?;
                    Ok(vec![Spec::new(self.dtype, drawn_shape(shape)?)])
                }
                fn run(&self, _: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let out = &mut outputs[0];
                    let stream = self.stream.take(out.len());
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
                /// `shape` is a vector of int32 or int64, the dtype a float's. Each call begins the stream of its seeds; a
                /// node of a graph goes on with it from run to run. Of the seeds 0 and 0 nobody knows what comes.
                pub fn $method(shape: &Tensor, seeds: [i64; 2], dtype: DType) -> Result<Tensor> {
                    apply_one($op { dtype, stream: Stream::new(seeds) }, &[shape])
                }
            }
        )*
        const FLOATS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { dtype: attrs.dtype("dtype", None)?, stream: Stream::of(attrs)? })),
            accuracy: Accuracy::$class,
        }),*];
    };
}

floats! {
    /// Uniform on [0, 1).
    Exact RandomUniform random_uniform = fill_uniform;
    /// Normal of mean 0 and standard deviation 1.
    Ulp4 RandomStandardNormal random_normal = fill_normal;
    /// Normal of mean 0 and standard deviation 1, drawn again where it lies two or more from 0.
    Ulp4 TruncatedNormal random_truncated_normal = fill_truncated_normal;
}

/// Uniform integers from a bound to below another.
#[derive(Debug)]
struct RandomUniformInt {
    stream: Stream,
}

impl Op for RandomUniformInt {
    fn name(&self) -> &'static str {
        "RandomUniformInt"
    }
    fn attrs(&self) -> Attrs {
        self.stream.attrs()
    }
    fn effect(&self) -> Effect {
        Effect::Random
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, low, high] = arity(inputs)?;
        Ok(vec![Spec::new(bounded(low, high)?, drawn_shape(shape)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        fill_between(self.stream.take(out.len()), inputs[1], inputs[2], out)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

impl Tensor {
    /// Uniform integers from `low` to below `high`, scalars of one dtype, int32 or int64, which is the result's.
    ///
    /// TensorFlow's `RandomUniformInt`; `shape` and `seeds` as of [`random_uniform`](Tensor::random_uniform).
    pub fn random_uniform_int(shape: &Tensor, seeds: [i64; 2], low: &Tensor, high: &Tensor) -> Result<Tensor> {
        apply_one(RandomUniformInt { stream: Stream::new(seeds) }, &[shape, low, high])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[
    FLOATS,
    &[OpDef {
        name: "RandomUniformInt",
        parse: |attrs| Ok(Arc::new(RandomUniformInt { stream: Stream::of(attrs)? })),
        accuracy: Accuracy::Exact,
    }],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trace;

    fn three() -> Tensor {
        Tensor::from([3_i32])
    }

    /// `tf.raw_ops.RandomUniform` and its siblings called twice, TensorFlow 2.21 on a CPU.
    #[test]
    fn a_node_draws_on_with_every_run_as_tensorflow_does() -> Result<()> {
        let (low, high) = (Tensor::scalar(0_i64), Tensor::scalar(1000_i64));
        let draw = |_: &[Tensor]| {
            let uniform = Tensor::random_uniform(&three(), [42, 7], DType::F32)?;
            let normal = Tensor::random_truncated_normal(&three(), [42, 7], DType::F64)?;
            Ok(vec![uniform, normal, Tensor::random_uniform_int(&three(), [42, 7], &low, &high)?])
        };
        let graph = trace(draw, &[])?;
        let expected = [
            (
                [0.862_767_7, 0.656_762_6, 0.990_545_87],
                [-0.207_642_511_016_618_57, 0.403_547_186_043_480_67, -1.292_991_942_506_226_3],
                [524, 37, 0],
            ),
            (
                [0.346_475_72, 0.943_716_5, 0.260_733_5],
                [0.369_757_728_512_989_27, 0.617_513_493_631_632_8, -0.261_029_141_302_723_26],
                [585, 551, 704],
            ),
        ];
        for (uniform, normal, int) in expected {
            let found = graph.run(&[])?;
            assert_eq!(found[0].to_vec::<f32>()?, uniform);
            for (x, y) in found[1].to_vec::<f64>()?.into_iter().zip(normal) {
                assert!((x - y).abs() <= 4.0 * f64::EPSILON * f64::abs(y), "{x} is not {y}");
            }
            assert_eq!(found[2].to_vec::<i64>()?, int);
        }
        Ok(())
    }

    #[test]
    fn a_draw_is_neither_made_while_tracing_nor_shared_and_goes_where_nobody_uses_it() -> Result<()> {
        let draw = || Tensor::random_uniform(&three(), [0, 0], DType::F32);
        let (a, b) = (draw()?.to_vec::<f32>()?, draw()?.to_vec::<f32>()?);
        assert_ne!(a, b, "nobody can foretell it");
        let graph = trace(
            |_| {
                draw()?;
                Ok(vec![draw()?, draw()?])
            },
            &[],
        )?;
        assert_eq!(graph.op_names().filter(|&name| name == "RandomUniform").count(), 2, "{graph}");
        let runs = [graph.run(&[])?, graph.run(&[])?].concat();
        let mut all = runs.iter().map(Tensor::to_vec::<f32>).collect::<Result<Vec<_>>>()?;
        all.dedup();
        assert_eq!(all.len(), 4, "{all:?}");
        Ok(())
    }

    #[test]
    fn a_draw_of_an_unknown_shape_is_one_of_its_values_shape() -> Result<()> {
        let spec = Spec::new(DType::I64, [2]);
        let graph = trace(|x| Ok(vec![Tensor::random_normal(&x[0], [1, 2], DType::F32)?]), &[spec])?;
        assert_eq!(graph.run(&[&Tensor::from([2_i64, 3])])?[0].dims()?, [2, 3]);
        Ok(())
    }
}
