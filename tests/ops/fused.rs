//! Every composite with a kernel against its body.

use super::allocation::bytes_asked;
use super::case::{reals, run, widened};
use super::report::difference;
use modulor::graph::trace;
use modulor::op::{Accuracy, Op};
use modulor::ops::fused::{FUSED, Fused, FusedDef};
use modulor::ops::optimizer::{Update, UpdateStep};
use modulor::ops::recurrent::{Cell, Recurrence, Weights};
use modulor::ops::running_sum::running_sums;
use modulor::{DType, Function, GradientTape, Result, Shape, Spec, Tensor, UnconnectedGradients, registry};
use std::collections::BTreeSet;
use std::sync::Arc;

type Form = Arc<dyn Fused>;

/// Calls `f` with every form of every composite and each of its samples.
fn each(mut f: impl FnMut(&str, &FusedDef, &Form, &[Tensor]) -> Result<()>) {
    for def in FUSED {
        for (form, sample) in &(def.calls)().unwrap() {
            let specs: Vec<&Spec> = sample.iter().map(Tensor::spec).collect();
            let about = format!("{form:?} of {specs:?}");
            f(&about, def, form, sample).unwrap_or_else(|error| panic!("{about}: {error:?}"));
        }
    }
}

/// Whether its body needs all dims but the batch: the steps of a sequence.
fn steps(form: &Form) -> bool {
    form.name().starts_with("recurrence")
}

/// The floats in a dtype; masks stay what they are.
fn narrowed(inputs: &[Tensor], dtype: DType) -> Result<Vec<Tensor>> {
    let float = |input: &Tensor| if input.dtype().is_float() { input.cast(dtype) } else { Ok(input.clone()) };
    inputs.iter().map(float).collect()
}

/// The batch of sequences, a dim that nothing else of theirs has.
const BATCH: usize = 5;

fn kernel(form: &Form, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let op: Arc<dyn Op> = form.clone();
    run(&op, inputs)
}

fn body(form: &Form, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
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

/// As [`near`], of all outputs.
#[track_caller]
fn all_near(about: &str, class: Accuracy, eps: [f64; 2], found: &[Tensor], expected: &[Tensor]) {
    assert_eq!(found.len(), expected.len(), "{about}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        near(&format!("{about}: output {i}"), class, eps, found, expected);
    }
}

#[test]
fn kernels_compute_what_bodies_say() {
    each(|about, def, form, sample| {
        // Both are computed in float64 here, and each is off by as much.
        all_near(about, def.accuracy, [2.0 * f64::EPSILON, 0.0], &kernel(form, sample)?, &body(form, sample)?);
        let narrow = [
            (DType::F32, [f32::EPSILON.into(), 0.0]),
            (DType::F16, [half::f16::EPSILON.to_f64(), half::f16::MIN_POSITIVE_SUBNORMAL.to_f64()]),
            (DType::BF16, [half::bf16::EPSILON.to_f64(), 0.0]),
        ];
        // The activations of a step are off by up to 4 ulp each, and what later steps make of them is, too.
        let grows = if steps(form) { 2.0 } else { 1.0 };
        for (dtype, [eps, step]) in narrow {
            let eps = [grows * eps, step];
            let inputs = narrowed(sample, dtype)?;
            let wide: Vec<Tensor> = inputs.iter().map(widened).collect();
            let found = kernel(form, &inputs)?;
            // Statistics are kept in float32 where elements are narrower.
            assert!(found.iter().all(|output| [dtype, DType::F32].contains(&output.dtype())), "{about}");
            assert_eq!(found[0].dtype(), dtype, "{about}");
            all_near(&format!("{about} as {dtype}"), def.accuracy, eps, &found, &body(form, &wide)?);
        }
        Ok(())
    });
}

/// Numbers without pattern, of the shape of a tensor.
fn direction(like: &Tensor, turn: f64) -> Result<Tensor> {
    let count = like.shape().elements().unwrap_or(0);
    Tensor::new(like.dims()?, (0..count).map(|i| (turn + i as f64 * 0.754).sin()).collect::<Vec<_>>())
}

type Way = fn(&Form, &[Tensor]) -> Result<Vec<Tensor>>;

/// The gradients of `Σ output·direction`, of the one output, and those of `Σ gradient·direction` for each of them.
fn gradients(way: Way, form: &Form, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let outer = GradientTape::persistent();
    let sources: Vec<&Tensor> = inputs.iter().filter(|input| input.dtype().is_float()).collect();
    sources.iter().for_each(|input| outer.watch(*input));
    let mut all = outer.record(|| {
        let inner = GradientTape::new();
        sources.iter().for_each(|input| inner.watch(*input));
        let output = inner.record(|| way(form, inputs))?.swap_remove(0);
        let weight = direction(&output, 0.3)?;
        inner.gradients_with(&[(output, Some(weight))], sources.clone(), UnconnectedGradients::Zero)
    })?;
    for first in all.clone().into_iter().flatten() {
        let weight = direction(&first, 1.1)?;
        all.extend(outer.gradients_with(&[(first, Some(weight))], sources.clone(), UnconnectedGradients::Zero)?);
    }
    Ok(all.into_iter().flatten().collect())
}

#[test]
fn gradients_of_kernels_are_those_of_bodies_and_theirs_too() {
    each(|about, _, form, sample| {
        if !form.differentiates() {
            return Ok(());
        }
        let (found, expected) = (gradients(kernel, form, sample)?, gradients(body, form, sample)?);
        let sources = sample.iter().filter(|input| input.dtype().is_float()).count();
        assert_eq!(found.len(), sources * (1 + sources), "{about}");
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
        // The body of a recurrence goes step by step, so that it needs their number; the batch may be any. What attention
        // makes has four axes, whatever is known of the inputs.
        let (steps, attention) = (steps(form), form.name().starts_with("dot_product_attention"));
        let open = |input: &Tensor| {
            let dims = input.dims().unwrap().iter().map(|&dim| (steps && dim != BATCH).then_some(dim));
            if steps || attention { dims.collect() } else { Shape::unknown() }
        };
        let unknown: Vec<Spec> = sample.iter().map(|input| Spec::new(input.dtype(), open(input))).collect();
        let known: Vec<Spec> = sample.iter().map(|input| input.spec().clone()).collect();
        let eager = body(form, sample)?;
        for specs in [known, unknown] {
            let graph = trace(|x| body(form, x), &specs)?;
            let inputs: Vec<_> = specs.iter().map(|spec| modulor::op::Input { spec, value: None }).collect();
            assert_eq!(form.infer(&inputs)?, graph.outputs().cloned().collect::<Vec<_>>(), "{about}");
            let traced = graph.run(&sample.iter().collect::<Vec<_>>())?;
            assert_eq!(traced.len(), eager.len(), "{about}");
            for (traced, eager) in traced.iter().zip(&eager) {
                assert_eq!(difference(traced, eager), None, "{about}");
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_called_on_symbols_is_a_node_or_a_body_that_is_marked_with_its_number() {
    let two = |x: &[Tensor]| {
        let y = modulor::op::scope::within("layer", || x[0].gelu(true))?;
        Ok(vec![x[0].gelu(true)?, x[0].gelu(false)?, y, x[0].sigmoid_cross_entropy_with_logits(0.5)?])
    };
    let listened = |x: &[Tensor]| GradientTape::new().record(|| two(x));
    for known in [Some(3), None] {
        let spec = [Spec::new(DType::F32, [known])];
        for graph in [trace(two, &spec).unwrap(), trace(listened, &spec).unwrap()] {
            let names = graph.op_names().filter(|&name| name != "Placeholder" && name != "Const");
            assert_eq!(names.collect::<Vec<_>>(), ["gelu", "gelu", "gelu", "sigmoid_cross_entropy_with_logits"]);
            assert!(graph.to_string().contains("# layer\n"), "{graph}");
        }
    }
    // The gradient of one has none of its own, so that it is its body where a tape listens to it.
    let names: BTreeSet<&str> = registry::ops().map(|def| def.name).collect();
    let twice = |x: &[Tensor]| {
        let slope = |x: &Tensor| {
            let tape = GradientTape::new();
            tape.watch(x);
            let y = tape.record(|| x.rms_norm(-1, None, 0.5))?;
            tape.gradient(&y, x)
        };
        let tape = GradientTape::new();
        tape.record(|| Ok(vec![slope(&x[0])?, modulor::op::scope::within("layer", || slope(&x[0]))?]))
    };
    let graph = trace(twice, &[Spec::new(DType::F32, [None])]).unwrap();
    let known = |name: &str| ["Placeholder", "Const", "rms_norm"].contains(&name);
    assert!(graph.op_names().all(|name| names.contains(name) || known(name)), "{graph}");
    let text = graph.to_string();
    let marks: BTreeSet<&str> = text.lines().filter_map(|line| line.split_once("  # ")).map(|(_, mark)| mark).collect();
    assert_eq!(marks, BTreeSet::from(["rms_norm_grad:0", "layer", "layer/rms_norm_grad:0"]));
    let again = trace(twice, &[Spec::new(DType::F32, [None])]).unwrap();
    assert_eq!(again.to_string(), text, "another trace counts anew");
}

#[test]
fn every_composite_with_a_kernel_is_listed_and_refuses_other_dtypes() {
    let source = |file: &str| std::fs::read_to_string(format!("{}/core/src/ops/{file}.rs", env!("CARGO_MANIFEST_DIR")));
    let files = [
        "attention",
        "fused",
        "optimizer",
        "normalization/batch",
        "normalization/moments",
        "normalization/rows",
        "recurrent",
        "running_sum",
    ];
    let text = files.map(|file| source(file).unwrap()).concat();
    // An update step has a second form, of variables.
    assert_eq!(text.matches("\nimpl Fused for ").count(), FUSED.len() + 1);
    each(|about, _, form, sample| {
        let wrong = sample.iter().map(|input| input.cast(DType::I32)).collect::<Result<Vec<_>>>()?;
        let error = kernel(form, &wrong).unwrap_err();
        assert_eq!(error.op(), Some(form.name()), "{about}");
        assert_eq!(error.message(), "takes floats, found int32", "{about}");
        Ok(())
    });
}

#[test]
fn a_kernel_needs_one_buffer_for_an_output() {
    each(|about, _, form, sample| {
        // Of these not all dims can be larger by the same.
        if steps(form) || form.name().starts_with("dot_product_attention") {
            return Ok(());
        }
        let most = sample.iter().filter_map(|input| input.shape().elements()).max().unwrap_or(1);
        let long = |input: &Tensor| input.dims().unwrap_or_default().iter().filter(|dim| **dim > 1).count();
        let axes = sample.iter().map(long).max().unwrap_or(1);
        let times = (65536.0 / most as f64).powf(1.0 / axes as f64).ceil() as usize;
        let enlarged = |input: &Tensor| {
            let dims: Vec<usize> = input.dims()?.iter().map(|&dim| if dim == 1 { 1 } else { dim * times }).collect();
            let count = dims.iter().product();
            Tensor::new(dims, (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>())
        };
        let like = |input: &Tensor| if input.rank() == Some(0) { input.cast(DType::F32) } else { enlarged(input) };
        let inputs = sample.iter().map(like).collect::<Result<Vec<_>>>()?;
        let outputs = kernel(form, &inputs)?.iter().map(|output| 4 * output.shape().elements().unwrap_or(0)).sum();
        let asked = |f: &dyn Fn() -> Result<Vec<Tensor>>| bytes_asked(|| f().unwrap()).1;
        let by_kernel = asked(&|| kernel(form, &inputs));
        assert!((outputs..outputs + (1 << 16)).contains(&by_kernel), "{about}: {by_kernel} bytes for {outputs}");
        assert!(asked(&|| body(form, &inputs)) >= outputs, "{about}");
        Ok(())
    });
}

#[test]
fn an_update_is_its_body_to_the_bit_and_to_a_tape() -> Result<()> {
    each(|about, def, form, sample| {
        for dtype in [DType::F32, DType::F64].into_iter().filter(|_| def.name == "update_step") {
            let inputs = sample.iter().map(|input| input.cast(dtype)).collect::<Result<Vec<_>>>()?;
            for (found, expected) in kernel(form, &inputs)?.iter().zip(body(form, &inputs)?) {
                assert_eq!(difference(found, &expected), None, "{about} as {dtype}");
            }
        }
        Ok(())
    });
    let update = Update::Momentum { momentum: 0.5, nesterov: true };
    let inputs = [Tensor::from([3.0, 4.0]), Tensor::from([2.0, 1.0]), Tensor::from([1.0, 0.0])];
    let tape = GradientTape::new();
    inputs.iter().for_each(|input| tape.watch(input));
    let step = UpdateStep { update, weight_decay: Some(0.5) };
    let [w, g, m] = &inputs;
    let after = || step.call(w, g, &[m], &Tensor::scalar(0.125), &Tensor::scalar(1.0));
    let sum = tape.record(|| after()?[0].sum(..))?;
    let gradients = tape.gradients(&sum, &inputs)?;
    let slopes: Vec<Vec<f64>> = gradients.iter().flatten().map(reals).collect();
    assert_eq!(slopes, [[1.0 - 0.0625; 2], [-0.125 * 1.5; 2], [0.25; 2]].map(Vec::from));
    Ok(())
}

#[test]
fn a_running_sum_is_its_body_to_the_bit_for_all_dtypes() -> Result<()> {
    let exact: Vec<f64> =
        (0..130).map(|i| f64::from(i) * 0.37 - 20.0).chain([f64::NAN, f64::INFINITY, -0.0, 1e300]).collect();
    let more: Vec<f64> = (0..134).map(|i| f64::from(i) * -0.11 + 3.0).collect();
    let saved = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::I64, DType::U8];
    for (wide, narrow) in
        [DType::F64, DType::F32, DType::F16].into_iter().flat_map(|wide| saved.map(|narrow| (wide, narrow)))
    {
        for count in [0, 1, 63, 64, 65, 134] {
            let [exact, more] =
                [&exact, &more].map(|values| Tensor::new([count], values[134 - count..].to_vec())?.cast(wide));
            let (exact, more) = (exact?, more?);
            // Every third saved one was set by somebody.
            let moved = Tensor::new([count], (0..count).map(|i| f64::from(u8::from(i % 3 == 0))).collect::<Vec<_>>())?;
            let saved = exact.cast(DType::F64)?.add(moved)?.cast(narrow)?;
            let turned = |x: &Tensor| x.reverse([0])?.reshape([count as i64, 1])?.broadcast_to([count, 2])?.transpose();
            for [saved, exact, more] in
                [[saved.clone(), exact.clone(), more.clone()], [turned(&saved)?, turned(&exact)?, turned(&more)?]]
            {
                let next = running_sums(&[[&saved, &exact]], std::slice::from_ref(&more))?.remove(0);
                let base = exact.cast(narrow)?.equal(&saved)?.select(&exact, &saved.cast(wide)?)?;
                let expected = base.add(&more)?;
                let about = format!("{narrow} and {wide}, {count}");
                assert_eq!(difference(&next[1], &expected), None, "{about}");
                assert_eq!(difference(&next[0], &expected.cast(narrow)?), None, "{about}");
            }
        }
    }
    let (two, one) = (Tensor::from([1.0, 2.0]), Tensor::scalar(1.0));
    let error = running_sums(&[[&two, &two]], std::slice::from_ref(&one)).unwrap_err();
    assert_eq!(error.message(), "inputs must have one shape, found (2,) and ()");
    let error = running_sums(&[[&two, &two]], &[]).unwrap_err();
    assert_eq!(error.message(), "0 numbers cannot be added to 1 sums");
    let error = running_sums(&[[&one.cast(DType::Bool)?, &one]], std::slice::from_ref(&one)).unwrap_err();
    assert_eq!(error.message(), "takes numbers, found bool");
    Ok(())
}

#[test]
fn an_update_refuses_what_does_not_fit() {
    let step = UpdateStep { update: Update::Momentum { momentum: 0.5, nesterov: false }, weight_decay: None };
    let (two, three, one) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.0, 3.0]), Tensor::scalar(1.0));
    let refused = |gradient: &Tensor, slots: &[&Tensor], rate: &Tensor, words: &str| {
        let error = step.call(&two, gradient, slots, rate, &one).unwrap_err();
        assert_eq!((error.op(), error.message()), (Some("update_step"), words));
    };
    refused(&two, &[], &one, "expected 5 inputs, and 4 were given");
    refused(&three, &[&two], &one, "inputs must have one shape, found (2,) and (3,)");
    refused(&two, &[&one], &one, "inputs must have one shape, found (2,) and ()");
    refused(&two, &[&two], &two, "the learning rate must have rank 0, found shape (2,) of rank 1");
}

#[test]
fn a_recurrence_refuses_what_does_not_fit() {
    let recurrence = |cell| Recurrence { cell, zero_masked: false, backwards: false, all_outputs: true };
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32).unwrap();
    let (x, kernel, recurrent, state) = (zeros(&[2, 3, 4]), zeros(&[4, 20]), zeros(&[5, 20]), zeros(&[2, 5]));
    let call = |x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, states: &[&Tensor], mask: Option<&Tensor>| {
        let weights = Weights { kernel, recurrent_kernel: &recurrent, bias };
        recurrence(Cell::Lstm).call(x, weights, states, mask)
    };
    assert!(call(&x, &kernel, Some(&zeros(&[20])), &[&state, &state], Some(&zeros(&[2, 3]))).is_ok());
    let rows = [
        (call(&x, &kernel, None, &[&state], None), "expected 5 inputs, and 4 were given"),
        (
            call(&x.slice(0).unwrap(), &kernel, None, &[&state; 2], None),
            "the inputs must have rank 3, found shape (3, 4)",
        ),
        (call(&x, &zeros(&[3, 20]), None, &[&state; 2], None), "the inputs disagree on features: 4 and 3"),
        (call(&x, &zeros(&[4, 16]), None, &[&state; 2], None), "the inputs disagree on gates and units: 20 and 16"),
        (
            call(&x, &kernel, Some(&zeros(&[2, 20])), &[&state; 2], None),
            "the bias must have shape (20,), found (2, 20)",
        ),
        (call(&x, &kernel, None, &[&state, &zeros(&[1, 5])], None), "the inputs disagree on batch: 2 and 1"),
        (call(&x, &kernel, None, &[&state; 2], Some(&zeros(&[2, 4]))), "the inputs disagree on time: 3 and 4"),
        (call(&zeros(&[2, 0, 4]), &kernel, None, &[&state; 2], None), "a sequence has at least one step"),
    ];
    for (result, words) in rows {
        let error = result.unwrap_err();
        assert_eq!(error.op(), Some("recurrence"));
        assert!(error.message().starts_with(words), "{error}");
    }
    let open = Spec::new(DType::F32, [Some(2), None, Some(4)]);
    let output = |x: &[Tensor]| Ok(vec![call(&x[0], &kernel, None, &[&state; 2], None)?.0]);
    for listened in [false, true] {
        let traced = |x: &[Tensor]| if listened { GradientTape::new().record(|| output(x)) } else { output(x) };
        let graph = trace(traced, std::slice::from_ref(&open)).unwrap();
        assert_eq!(graph.outputs().next().unwrap().to_string(), "float32(2, None, 5)");
        let unwritten = graph.to_graph_def(&["x"], &["y"]).unwrap_err();
        assert!(unwritten.message().contains("the number of steps must be known"), "{unwritten}");
    }
}

/// The first output, and its gradients by one tape, weighted.
fn with_gradients(way: Way, form: &Form, inputs: &[Tensor], weight: &Tensor) -> Result<Vec<Tensor>> {
    let tape = GradientTape::new();
    let sources: Vec<&Tensor> = inputs.iter().filter(|input| input.dtype().is_float()).collect();
    sources.iter().for_each(|input| tape.watch(*input));
    let output = tape.record(|| way(form, inputs))?.swap_remove(0);
    let targets = [(output.clone(), Some(weight.clone()))];
    let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero)?;
    Ok([output].into_iter().chain(gradients.into_iter().flatten()).collect())
}

#[test]
fn functions_compute_what_eager_calls_do_to_the_bit_whatever_of_the_dims_is_known() {
    each(|about, _, form, sample| {
        let inputs = narrowed(sample, DType::F32)?;
        let eager = kernel(form, &inputs)?;
        let weight = direction(&eager[0], 0.3)?.cast(eager[0].dtype())?;
        let derived = with_gradients(kernel, form, &inputs, &weight)?;
        let all: Vec<Tensor> = inputs.iter().chain([&weight]).cloned().collect();
        let open = |x: &Tensor| x.dims().unwrap_or_default().iter().map(|_| None).collect();
        let ways: [(&str, &dyn Fn(&Tensor) -> Shape); 3] =
            [("all dims", &|x| x.shape().clone()), ("the rank", &open), ("nothing", &|_| Shape::unknown())];
        for (known, shape) in ways {
            let specs: Vec<Spec> = all.iter().map(|x| Spec::new(x.dtype(), shape(x))).collect();
            for (with, expected) in [(false, &eager), (true, &derived)] {
                let about = format!("{about} where {known} is known, with gradients: {with}");
                // Where a tape listens these are their bodies, which may need a rank.
                if with && known == "nothing" && !form.differentiates() {
                    continue;
                }
                let call = |symbols: &[Tensor]| match symbols.split_last() {
                    Some((weight, inputs)) if with => with_gradients(kernel, form, inputs, weight),
                    Some((_, inputs)) => kernel(form, inputs),
                    None => Ok(Vec::new()),
                };
                let graph = trace(call, &specs);
                // What a gradient's own gradient follows from goes step by step.
                if with && form.name() == "recurrence_grad" && known != "all dims" {
                    let error = graph.map(|_| ()).unwrap_err();
                    assert!(error.message().contains("the number of steps must be known"), "{about}: {error}");
                    continue;
                }
                let graph = graph.map_err(|error| error.note(about.clone()))?;
                let by_node = graph.run(&all.iter().collect::<Vec<_>>()).map_err(|error| error.note(about.clone()))?;
                let function = Function::new(move |x: &Vec<Tensor>| graph.run(&x.iter().collect::<Vec<_>>()));
                let taken: Vec<Tensor> = specs.iter().cloned().map(Tensor::placeholder).collect();
                let by_function = function.taking(&taken).call(&all).map_err(|error| error.note(about.clone()))?;
                for found in [by_node, by_function] {
                    assert_eq!(found.len(), expected.len(), "{about}");
                    for (found, expected) in found.iter().zip(expected) {
                        assert_eq!(difference(found, expected), None, "{about}");
                    }
                }
            }
        }
        Ok(())
    });
}
