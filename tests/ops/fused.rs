//! Every composite with a kernel against its body.

use super::allocation::bytes_asked;
use super::case::{reals, run, widened};
use super::report::difference;
use modulor::graph::trace;
use modulor::op::{Accuracy, Op};
use modulor::ops::fused::{FUSED, Fused, FusedDef};
use modulor::{DType, GradientTape, Result, Shape, Spec, Tensor, UnconnectedGradients, registry};
use std::collections::BTreeSet;
use std::sync::Arc;

type Form = Arc<dyn Fused>;

/// Calls `f` with every form of every composite and each of its samples.
fn each(f: impl Fn(&str, &FusedDef, &Form, &[Tensor]) -> Result<()>) {
    for def in FUSED {
        let samples = (def.samples)().unwrap();
        for (form, sample) in (def.forms)().iter().flat_map(|form| samples.iter().map(move |sample| (form, sample))) {
            let specs: Vec<&Spec> = sample.iter().map(Tensor::spec).collect();
            let about = format!("{form:?} of {specs:?}");
            f(&about, def, form, sample).unwrap_or_else(|error| panic!("{about}: {error:?}"));
        }
    }
}

fn kernel(form: &Form, inputs: &[Tensor]) -> Result<Tensor> {
    let op: Arc<dyn Op> = form.clone();
    run(&op, inputs).map(|mut outputs| outputs.swap_remove(0))
}

fn body(form: &Form, inputs: &[Tensor]) -> Result<Tensor> {
    form.body(&inputs.iter().collect::<Vec<_>>())
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, x| most.max(x.abs()))
}

/// Whether the numbers are as near as a class asks, of a dtype with these distances from 1 to the next number, and from 0.
#[track_caller]
fn near(about: &str, class: Accuracy, [eps, step]: [f64; 2], found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape(), "{about}");
    let (found, expected) = (reals(found), reals(expected));
    let most = largest(&expected);
    for (i, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        let allowed = match class {
            Accuracy::Exact => 0.0,
            Accuracy::Ulp4 => 4.0 * eps * expected.abs(),
            Accuracy::Special => 64.0 * eps * expected.abs(),
            Accuracy::Sum => 4.0 * eps * most,
        };
        assert!((found - expected).abs() <= allowed + step, "{about}: [{i}] {found:?} is not {expected:?}");
    }
}

#[test]
fn kernels_compute_what_bodies_say() {
    each(|about, def, form, sample| {
        near(about, def.accuracy, [f64::EPSILON, 0.0], &kernel(form, sample)?, &body(form, sample)?);
        let narrow = [
            (DType::F32, [f32::EPSILON.into(), 0.0]),
            (DType::F16, [half::f16::EPSILON.to_f64(), half::f16::MIN_POSITIVE_SUBNORMAL.to_f64()]),
            (DType::BF16, [half::bf16::EPSILON.to_f64(), 0.0]),
        ];
        for (dtype, eps) in narrow {
            let inputs = sample.iter().map(|input| input.cast(dtype)).collect::<Result<Vec<_>>>()?;
            let wide: Vec<Tensor> = inputs.iter().map(widened).collect();
            let found = kernel(form, &inputs)?;
            assert_eq!(found.dtype(), dtype);
            near(&format!("{about} as {dtype}"), def.accuracy, eps, &found, &body(form, &wide)?);
        }
        Ok(())
    });
}

/// Numbers without pattern, of the shape of a tensor.
fn direction(like: &Tensor, turn: f64) -> Result<Tensor> {
    let count = like.shape().elements().unwrap_or(0);
    Tensor::new(like.dims()?, (0..count).map(|i| (turn + i as f64 * 0.754).sin()).collect::<Vec<_>>())
}

type Way = fn(&Form, &[Tensor]) -> Result<Tensor>;

/// The gradients of `Σ output·direction`, and those of `Σ gradient·direction` for each of them.
fn gradients(way: Way, form: &Form, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let outer = GradientTape::persistent();
    inputs.iter().for_each(|input| outer.watch(input));
    let mut all = outer.record(|| {
        let inner = GradientTape::new();
        inputs.iter().for_each(|input| inner.watch(input));
        let output = inner.record(|| way(form, inputs))?;
        let weight = direction(&output, 0.3)?;
        inner.gradients_with(&[(output, Some(weight))], inputs, UnconnectedGradients::Zero)
    })?;
    for first in all.clone().into_iter().flatten() {
        let weight = direction(&first, 1.1)?;
        all.extend(outer.gradients_with(&[(first, Some(weight))], inputs, UnconnectedGradients::Zero)?);
    }
    Ok(all.into_iter().flatten().collect())
}

#[test]
fn gradients_of_kernels_are_those_of_bodies_and_theirs_too() {
    each(|about, _, form, sample| {
        let (found, expected) = (gradients(kernel, form, sample)?, gradients(body, form, sample)?);
        assert_eq!(found.len(), sample.len() * (1 + sample.len()), "{about}");
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // In the gradient of a body terms may cancel that a written one has not got.
            near(&format!("{about}: gradient {i}"), Accuracy::Sum, [256.0 * f64::EPSILON, 0.0], found, expected);
        }
        Ok(())
    });
}

#[test]
fn a_graph_holds_the_body_and_infers_what_the_kernel_does() {
    let names: BTreeSet<&str> = registry::ops().map(|def| def.name).collect();
    each(|about, def, form, sample| {
        assert!(!names.contains(def.name), "{about}");
        assert_eq!(form.name(), def.name, "{about}");
        let unknown: Vec<Spec> = sample.iter().map(|input| Spec::new(input.dtype(), Shape::unknown())).collect();
        let known: Vec<Spec> = sample.iter().map(|input| input.spec().clone()).collect();
        let eager = body(form, sample)?;
        for specs in [known, unknown] {
            let graph = trace(|x| Ok(vec![body(form, x)?]), &specs)?;
            let inputs: Vec<_> = specs.iter().map(|spec| modulor::op::Input { spec, value: None }).collect();
            assert_eq!(form.infer(&inputs)?, graph.outputs().cloned().collect::<Vec<_>>(), "{about}");
            let traced = graph.run(&sample.iter().collect::<Vec<_>>())?;
            assert_eq!(difference(&traced[0], &eager), None, "{about}");
        }
        Ok(())
    });
}

#[test]
fn what_is_called_on_symbols_is_marked_with_its_number() {
    let names: BTreeSet<&str> = registry::ops().map(|def| def.name).collect();
    let two = |x: &[Tensor]| {
        let y = modulor::op::scope::within("layer", || x[0].gelu(true))?;
        Ok(vec![x[0].gelu(true)?, x[0].gelu(false)?, y, x[0].sigmoid_cross_entropy_with_logits(0.5)?])
    };
    let spec = Spec::new(DType::F32, [3]);
    let graph = trace(two, std::slice::from_ref(&spec)).unwrap();
    let constant = |name: &str| ["Placeholder", "Const"].contains(&name);
    assert!(graph.op_names().all(|name| names.contains(name) || constant(name)), "{graph}");
    let text = graph.to_string();
    let marks: BTreeSet<&str> = text.lines().filter_map(|line| line.split_once("  # ")).map(|(_, mark)| mark).collect();
    let expected = ["gelu:0", "gelu:1", "layer/gelu:0", "sigmoid_cross_entropy_with_logits:0"];
    assert_eq!(marks, BTreeSet::from(expected));
    assert_eq!(trace(two, &[spec]).unwrap().to_string(), text, "another trace counts anew");
}

#[test]
fn every_composite_with_a_kernel_is_listed_and_refuses_other_dtypes() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/core/src/ops/fused.rs")).unwrap();
    assert_eq!(source.matches("\nimpl Fused for ").count(), FUSED.len());
    each(|about, _, form, sample| {
        let wrong = sample.iter().map(|input| input.cast(DType::I32)).collect::<Result<Vec<_>>>()?;
        let error = kernel(form, &wrong).unwrap_err();
        assert_eq!(error.op(), Some(form.name()), "{about}");
        assert_eq!(error.message(), "takes floats, found int32", "{about}");
        Ok(())
    });
}

#[test]
fn a_kernel_needs_one_buffer_where_its_body_needs_several() {
    let x = Tensor::new([256, 256], (0..1 << 16).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>()).unwrap();
    let buffers = |f: &dyn Fn() -> Result<Tensor>| bytes_asked(|| f().unwrap()).1 >> 18;
    let forms: Vec<Form> = FUSED.iter().flat_map(|def| (def.forms)()).collect();
    for form in &forms {
        let inputs = vec![x.clone(); if form.name() == "gelu" { 1 } else { 2 }];
        assert_eq!(buffers(&|| kernel(form, &inputs)), 1, "{form:?}");
        assert!(buffers(&|| body(form, &inputs)) > 1, "{form:?}");
    }
}
