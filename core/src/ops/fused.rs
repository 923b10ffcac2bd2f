//! Composites with a kernel of their own, most of them with a gradient of their own.
//!
//! One is computed by its kernel, in one pass, and is one call to a tape and one node of a graph; in a file it is its body, so
//! that none ever names what TensorFlow does not know. The tests hold both against each other for all that [`FUSED`] lists.

use super::attention::{attention_grads, attentions};
use super::math::{WriteOver, broadcast_shape, map, one_shape, zip};
use super::normalization;
use super::optimizer::{Update, UpdateStep};
use super::recurrent::{Cell, Recur, RecurGrad, Recurrence};
use super::running_sum;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, Scalar, Scratch, View, ViewMut, allowed, apply, arity, same_dtype,
};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_kernels::{Binary, Unary};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::sync::Arc;

pub use crate::op::Fused;

/// Calls a composite: its kernel, or in a trace a node that is it. Where a tape listens and it has no gradient, its body, marked
/// as by [`composite`](super::composite::composite).
pub fn fused_all(op: impl Fused, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    apply(op, inputs)
}

/// As [`fused_all`], of a composite with one output.
pub fn fused(op: impl Fused, inputs: &[&Tensor]) -> Result<Tensor> {
    let mut outputs = fused_all(op, inputs)?;
    match (outputs.pop(), outputs.is_empty()) {
        (Some(output), true) => Ok(output),
        _ => Err(Error::internal("a composite of one output gave another number of them")),
    }
}

/// A composite's row: how exact it is, and calls to compare kernel and body.
#[derive(Debug)]
pub struct FusedDef {
    /// Its name.
    pub name: &'static str,
    /// The class of its kernel.
    pub accuracy: Accuracy,
    /// Calls of all forms that it has: with inputs of float64 where the body is exact to much more than the class says.
    pub calls: fn() -> Result<Vec<FusedCall>>,
}

/// A form of a composite, and inputs.
pub type FusedCall = (Arc<dyn Fused>, Vec<Tensor>);

/// All composites with a kernel.
pub const FUSED: &[FusedDef] = &[
    FusedDef {
        name: "gelu",
        accuracy: Accuracy::Special,
        calls: || {
            let forms = [Gelu { approximate: false }, Gelu { approximate: true }];
            Ok(each(forms, &[vec![between(-5.5, 9.0, 59)?], vec![between(-1.0, 1.0, 8)?.reshape([2, 1, 4])?]]))
        },
    },
    FusedDef {
        name: "gelu_grad",
        accuracy: Accuracy::Sum,
        calls: || {
            let forms = [GeluGrad { approximate: false }, GeluGrad { approximate: true }];
            Ok(each(forms, &[vec![between(-2.0, 3.0, 59)?, between(-5.5, 9.0, 59)?]]))
        },
    },
    FusedDef {
        name: "recurrence",
        accuracy: Accuracy::Sum,
        calls: || {
            let call = |(form, inputs): (Recur, Vec<Tensor>)| (Arc::new(form) as Arc<dyn Fused>, inputs);
            Ok(recurrences()?.into_iter().map(call).collect())
        },
    },
    FusedDef {
        name: "recurrence_grad",
        accuracy: Accuracy::Sum,
        calls: || {
            let with_due = |(of, mut inputs): (Recur, Vec<Tensor>)| {
                for output in
                    of.infer(&inputs.iter().map(|x| Input { spec: x.spec(), value: None }).collect::<Vec<_>>())?
                {
                    inputs.push(wave(output.shape.known().unwrap_or_default(), 0.5)?);
                }
                let of = |sequence| Arc::new(RecurGrad { of, sequence }) as Arc<dyn Fused>;
                Ok([(of(true), inputs.clone()), (of(false), inputs)])
            };
            let calls = recurrences()?.into_iter().map(with_due).collect::<Result<Vec<_>>>()?;
            Ok(calls.into_iter().flatten().collect())
        },
    },
    FusedDef {
        name: "sigmoid_cross_entropy_with_logits",
        accuracy: Accuracy::Sum,
        calls: || {
            let logits = between(-30.0, 40.0, 24)?;
            let square = logits.reshape([4, 6])?;
            let samples = [
                vec![logits.clone(), between(0.0, 1.0, 24)?],
                vec![square.clone(), between(0.25, 1.0, 6)?],
                vec![between(-2.0, 2.0, 6)?, square.sigmoid()?],
                vec![square, Tensor::scalar(0.75)],
                vec![Tensor::from([0.0, -0.0, 800.0, -800.0]), Tensor::from([0.5, 1.0, 0.0, 1.0])],
            ];
            Ok(each([SigmoidCrossEntropy], &samples))
        },
    },
    FusedDef { name: "batch_norm", accuracy: Accuracy::Sum, calls: normalization::batch_norms },
    FusedDef { name: "batch_norm_grad", accuracy: Accuracy::Sum, calls: normalization::batch_norm_grads },
    FusedDef { name: "batch_norm_training", accuracy: Accuracy::Sum, calls: normalization::batch_norm_trainings },
    FusedDef { name: "dot_product_attention", accuracy: Accuracy::Sum, calls: attentions },
    FusedDef { name: "dot_product_attention_grad", accuracy: Accuracy::Sum, calls: attention_grads },
    FusedDef { name: "layer_norm", accuracy: Accuracy::Sum, calls: normalization::layer_norms },
    FusedDef { name: "layer_norm_grad", accuracy: Accuracy::Sum, calls: normalization::layer_norm_grads },
    FusedDef { name: "moments", accuracy: Accuracy::Sum, calls: normalization::moments },
    FusedDef { name: "rms_norm", accuracy: Accuracy::Sum, calls: normalization::rms_norms },
    FusedDef { name: "rms_norm_grad", accuracy: Accuracy::Sum, calls: normalization::rms_norm_grads },
    FusedDef { name: "running_sum", accuracy: Accuracy::Sum, calls: running_sum::running_sum_calls },
    FusedDef { name: "update_step", accuracy: Accuracy::Sum, calls: update_steps },
];

/// Every form with every sample.
fn each<F: Fused + Copy, const N: usize>(forms: [F; N], samples: &[Vec<Tensor>]) -> Vec<FusedCall> {
    let with_samples = |form| samples.iter().map(move |sample| (Arc::new(form) as Arc<dyn Fused>, sample.clone()));
    forms.into_iter().flat_map(with_samples).collect()
}

fn update_steps() -> Result<Vec<FusedCall>> {
    let adam = |amsgrad| {
        let [beta_1, beta_2] = [0.75, 0.9375];
        Update::Adam { beta_1, beta_2, powers: [beta_1, beta_2], epsilon: 0.0078125, amsgrad }
    };
    let rms_prop = |momentum, centered| Update::RmsProp { rho: 0.75, momentum, epsilon: 0.0078125, centered };
    let updates = [
        (0, Update::Descent),
        (1, Update::Momentum { momentum: 0.75, nesterov: false }),
        (1, Update::Momentum { momentum: 0.75, nesterov: true }),
        (2, adam(false)),
        (3, adam(true)),
        (1, rms_prop(0.0, false)),
        (2, rms_prop(0.75, false)),
        (2, rms_prop(0.0, true)),
        (3, rms_prop(0.75, true)),
    ];
    let mut calls = Vec::new();
    for (slots, update) in updates {
        // The last slot may be the mean of what the first is the mean square of.
        let slots =
            [between(2.0, 0.5, 37)?, between(0.125, 0.5, 37)?, between(0.5, -0.25, 37)?].into_iter().take(slots);
        let inputs = [between(-2.0, 1.5, 37)?, between(1.0, -1.0, 37)?, Tensor::scalar(0.125), Tensor::scalar(2.0)];
        let inputs: Vec<Tensor> = inputs.into_iter().chain(slots).collect();
        let turned =
            |x: &Tensor| if x.rank() == Some(0) { Ok(x.clone()) } else { x.slice(..36)?.reshape([4, 9])?.transpose() };
        calls.extend(each([UpdateStep { update, weight_decay: None }], std::slice::from_ref(&inputs)));
        calls.extend(each(
            [UpdateStep { update, weight_decay: Some(0.25) }],
            &[inputs.iter().map(turned).collect::<Result<_>>()?],
        ));
    }
    Ok(calls)
}

/// Every cell, each with and without what it can do without.
pub(super) fn recurrences() -> Result<Vec<(Recur, Vec<Tensor>)>> {
    let (batch, features, units) = (5, 2, 3);
    let mut calls = Vec::new();
    for cell in [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }] {
        let width = cell.gates() * units;
        for way in 0..8 {
            let [backwards, mask, all_outputs] = [1, 2, 4].map(|bit| way & bit != 0);
            let (zero_masked, bias, time) = (way == 6 || way == 3, way != 5, 1 + (way + 2) % 4);
            let of =
                Recur { settings: Recurrence { cell, zero_masked, backwards, all_outputs }, bias, mask, saves: false };
            let mut inputs =
                vec![wave(&[batch, time, features], 1.0)?, wave(&[features, width], 0.7)?, wave(&[units, width], 0.9)?];
            for state in 0..cell.states() {
                inputs.push(wave(&[batch, units], 0.5 + 0.1 * state as f64)?);
            }
            if bias {
                inputs.push(if cell.biases() == 1 { wave(&[width], 0.4)? } else { wave(&[2, width], 0.4)? });
            }
            if mask {
                // The first row is masked in all steps, the others in some.
                let kept = (0..batch * time).map(|i| f64::from(u8::from(i >= time && i % 3 != 1)));
                inputs.push(Tensor::new([batch, time], kept.collect::<Vec<_>>())?);
            }
            calls.push((of, inputs));
        }
    }
    Ok(calls)
}

/// Numbers up to `most` without pattern.
fn wave(dims: &[usize], most: f64) -> Result<Tensor> {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| most * (i as f64 * 1.37 + most).sin()).collect::<Vec<_>>())
}

/// So many numbers from one to another, at equal distances.
pub(super) fn between(low: f64, high: f64, count: usize) -> Result<Tensor> {
    let step = (high - low) / (count as f64 - 1.0);
    Tensor::new([count], (0..count).map(|i| low + step * i as f64).collect::<Vec<_>>())
}

/// The floats that all of these take.
fn float(inputs: &[Input]) -> Result<DType> {
    allowed(same_dtype(inputs)?, DType::is_float, "floats")
}

/// Runs an elementwise kernel, elsewhere or over an input.
macro_rules! elementwise {
    ($run:ident, $scalar:ident, $kernel:expr, $over:expr) => {
        fn scalar(&self) -> Option<Scalar> {
            Some(Scalar::$scalar($kernel(self)))
        }
        fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
            $run($kernel(self), inputs, outputs)
        }
        fn overwrites(&self) -> &'static [usize] {
            &$over
        }
        fn run_over(&self, over: usize, others: &[View], output: &mut ViewMut, _: &mut Scratch) -> Result<()> {
            $kernel(self).write_over(over, others, output)
        }
    };
}

/// `1/√(2π)`
const NORMAL_SCALE: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0;
/// `2√(2/π)`
const NEARLY_LOGIT: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715;

/// `x·Φ(x)`, or nearly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gelu {
    pub(crate) approximate: bool,
}

impl Op for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("approximate", self.approximate)
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Ok(vec![Spec::new(float(inputs)?, &x.spec.shape)])
    }
    elementwise! { map, Unary, |gelu: &Gelu| if gelu.approximate { Unary::GeluTanh } else { Unary::Gelu }, [0] }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let Gelu { approximate } = *self;
        Ok(vec![Some(fused(GeluGrad { approximate }, &[b.dy(0), b.input(0)])?)])
    }
}

impl Fused for Gelu {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![inputs[0].mul(below(inputs[0], self.approximate)?)?])
    }
}

/// Φ(x), or nearly: exact where it is small.
fn below(x: &Tensor, approximate: bool) -> Result<Tensor> {
    match approximate {
        true => nearly_logit(x)?.sigmoid(),
        false => Ok((x * -FRAC_1_SQRT_2).erfc()? * 0.5),
    }
}

/// What has a sigmoid near Φ(x).
fn nearly_logit(x: &Tensor) -> Result<Tensor> {
    (x * NEARLY_LOGIT).mul(x.square()? * CUBIC + 1.0)
}

/// The slope of [`Gelu`] at `x` times `dy`.
#[derive(Clone, Copy, Debug)]
struct GeluGrad {
    approximate: bool,
}

impl Op for GeluGrad {
    fn name(&self) -> &'static str {
        "gelu_grad"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        arity::<2>(inputs)?;
        Ok(vec![Spec::new(float(inputs)?, one_shape(inputs)?)])
    }
    elementwise! {
        zip, Binary, |grad: &GeluGrad| if grad.approximate { Binary::GeluTanhGrad } else { Binary::GeluGrad }, [0, 1]
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (dy, x, g) = (b.input(0), b.input(1), b.dy(0));
        let at_dy = b.when(0, || fused(GeluGrad { approximate: self.approximate }, &[g, x]))?;
        let at_x = b.when(1, || {
            let curve = match self.approximate {
                true => {
                    let logit = nearly_logit(x)?;
                    let (sigmoid, slope) = (logit.sigmoid()?, logit_slope(x)?);
                    let bend = &sigmoid * (-logit).sigmoid()?;
                    let inner = (1.0 - sigmoid * 2.0) * slope.square()? + x * (6.0 * NEARLY_LOGIT * CUBIC);
                    bend * (slope * 2.0 + x * inner)
                }
                false => density(x)? * (2.0 - x.square()?),
            };
            (g * dy).mul(curve)
        })?;
        Ok(vec![at_dy, at_x])
    }
}

impl Fused for GeluGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (dy, x) = (inputs[0], inputs[1]);
        let slope = match self.approximate {
            true => {
                let logit = nearly_logit(x)?;
                logit.sigmoid()? * (-&logit).sigmoid()? * logit_slope(x)?
            }
            false => density(x)?,
        };
        Ok(vec![dy.mul(below(x, self.approximate)? + x * slope)?])
    }
}

/// The density of the normal distribution.
fn density(x: &Tensor) -> Result<Tensor> {
    Ok((x.square()? * -0.5).exp()? * NORMAL_SCALE)
}

/// The slope of [`nearly_logit`].
fn logit_slope(x: &Tensor) -> Result<Tensor> {
    Ok((x.square()? * (3.0 * CUBIC) + 1.0) * NEARLY_LOGIT)
}

/// `max(x, 0) − x·z + ln(1 + e^−|x|)`, of logits x and labels z.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SigmoidCrossEntropy;

impl Op for SigmoidCrossEntropy {
    fn name(&self) -> &'static str {
        "sigmoid_cross_entropy_with_logits"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::new(float(inputs)?, broadcast_shape(inputs)?)])
    }
    elementwise! { zip, Binary, |_: &SigmoidCrossEntropy| Binary::SigmoidCrossEntropy, [0, 1] }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, z, dy) = (b.input(0), b.input(1), b.dy(0));
        Ok(vec![b.when(0, || dy.mul(x.sigmoid()? - z))?, b.when(1, || dy.mul(-x))?])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

impl Fused for SigmoidCrossEntropy {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (x, z) = (inputs[0], inputs[1]);
        // By selection and not by `abs` and `relu`, whose derivatives in 0 would not add up to σ(0) − label.
        let positive = x.greater_equal(0.0)?;
        let above = positive.select(x, &x.zeros_like()?)?;
        let below = positive.select(&-x, x)?;
        Ok(vec![(above - x * z).add(below.exp()?.log1p()?)?])
    }
}
