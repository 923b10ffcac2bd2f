//! Gradients against TensorFlow's, against differences, and once more derived.

use super::case::{CASES, Case, caught, reals, run, widened};
use super::report::Report;
use modulor::graph::trace;
use modulor::op::{Effect, Op};
use modulor::{DType, Function, GradientTape, Result, Shape, Spec, Tensor, UnconnectedGradients};
use std::sync::Arc;

/// `Σ output·dy` and its gradient with respect to every input of a float dtype; `None` for the others.
fn gradients(op: &Arc<dyn Op>, inputs: &[Tensor], dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
    let tape = GradientTape::new();
    inputs.iter().filter(|input| input.dtype().is_float()).for_each(|input| tape.watch(input));
    let outputs = tape.record(|| run(op, inputs))?;
    let weighted: Vec<_> =
        outputs.into_iter().zip(dy).filter_map(|(output, dy)| Some((output, Some(dy.clone()?)))).collect();
    let gradients = tape.gradients_with(&weighted, inputs, UnconnectedGradients::None)?;
    let floats = inputs.iter().map(|input| input.dtype().is_float());
    Ok(gradients.into_iter().zip(floats).map(|(gradient, float)| gradient.filter(|_| float)).collect())
}

/// `Σ output·dy`, in float64.
fn value(op: &Arc<dyn Op>, inputs: &[Tensor], dy: &[Option<Tensor>]) -> Result<f64> {
    let outputs = run(op, inputs)?;
    let dot = |(output, dy): (&Tensor, &Option<Tensor>)| dy.as_ref().map_or(0.0, |dy| dotted(output, dy));
    Ok(outputs.iter().zip(dy).map(dot).sum())
}

fn dotted(a: &Tensor, b: &Tensor) -> f64 {
    reals(a).iter().zip(reals(b)).map(|(a, b)| a * b).sum()
}

/// Weights without pattern, between -1 and 1 and away from 0.
fn direction(like: &Tensor) -> Result<Tensor> {
    let count = like.shape().elements().unwrap_or(0);
    let weights: Vec<f64> = (0..count).map(|i| (1.0 + (i as f64 * 0.754).sin().abs()) * [0.5, -0.5][i % 2]).collect();
    Tensor::new(like.dims()?, weights)
}

fn largest(tensor: &Tensor) -> f64 {
    reals(tensor).iter().filter(|x| x.is_finite()).fold(0.0, |most, x| most.max(x.abs()))
}

/// The cases for which TensorFlow recorded gradients, their inputs and weights.
fn derived() -> impl Iterator<Item = (&'static Case, Vec<Tensor>)> {
    CASES.iter().filter(|case| !case.grads.is_empty()).map(|case| {
        let inputs = case.inputs.iter().map(widened);
        (case, inputs.collect())
    })
}

/// A gradient summed over the first axis, along which the input was repeated.
fn summed(gradient: &Tensor, like: &Tensor) -> Tensor {
    let gradient = gradient.sum_keepdims(0).expect("it has a first axis");
    assert_eq!(gradient.shape(), like.shape());
    gradient
}

/// Compares with TensorFlow's gradients: each within `tolerance` of the largest element.
fn compare(case: &Case, found: Result<Vec<Option<Tensor>>>, tolerance: f64, what: &str, report: &mut Report) {
    let found = match found {
        Ok(found) => found,
        Err(error) => return report.add(case, what, format!("{error:?}"), "gradients"),
    };
    for (i, (found, expected)) in found.iter().zip(&case.grads).enumerate() {
        let what = format!("{what} of input {i}");
        match (found, expected) {
            (None, None) => {}
            // TensorFlow leaves out what is zero for some ops; zeros say the same.
            (Some(found), None) if reals(found).iter().all(|&x| x == 0.0) => {}
            (None, Some(expected)) if reals(expected).iter().all(|&x| x == 0.0) => {}
            (Some(found), None) => report.add(case, &what, format!("{:?}", reals(found)), "none"),
            (None, Some(expected)) => report.add(case, &what, "none", format!("{:?}", reals(expected))),
            (Some(found), Some(expected)) => {
                let shapes = [found, expected].map(|gradient| gradient.shape().to_string());
                let expected = &match found.shape() == expected.shape() {
                    true => expected.clone(),
                    false if report.said(case, &what, &shapes[0], &shapes[1]) => summed(expected, found),
                    false => {
                        report.add(case, &what, &shapes[0], &shapes[1]);
                        continue;
                    }
                };
                let scale = largest(expected);
                let (found, expected) = (reals(found), reals(expected));
                let right = |i: usize| {
                    found[i] == expected[i]
                        || (found[i] - expected[i]).abs() <= tolerance * scale
                        || found[i].is_nan() && expected[i].is_nan()
                };
                for i in (0..found.len()).filter(|&i| !right(i)) {
                    report.add_element(case, &what, i, [found[i], expected[i]], "");
                }
            }
        }
    }
}

#[test]
fn gradients_are_tensorflows() {
    let mut report = Report::new("gradients");
    for (case, inputs) in derived() {
        let found = caught(|| gradients(&case.widened()?, &inputs, &case.dy));
        compare(case, found, 1e-9, "float64 gradient", &mut report);
    }
    report.finish();
}

#[test]
fn gradients_in_float32_are_near_tensorflows_in_float64() {
    let narrow = |tensor: &Tensor| -> Result<Tensor> {
        Tensor::new(tensor.dims()?, reals(tensor).into_iter().map(|x| x as f32).collect::<Vec<_>>())
    };
    let mut report = Report::new("float32 gradients");
    for (case, _) in derived() {
        let floats = || case.inputs.iter().chain(&case.outputs).filter(|tensor| tensor.dtype().is_float());
        if floats().any(|tensor| tensor.dtype() != DType::F32) {
            continue;
        }
        let found = caught(|| {
            let dy = case.dy.iter().map(|dy| dy.as_ref().map(narrow).transpose()).collect::<Result<Vec<_>>>()?;
            gradients(&case.op()?, &case.inputs, &dy)
        });
        compare(case, found, 1e-5, "float32 gradient", &mut report);
    }
    report.finish();
}

/// How far to step for a difference. One of fourth order is off by about `step⁴` times the fifth derivative, and by
/// the rounding of the values over the step: 1e-16 / 4e-4.
const STEP: f64 = 4e-4;

/// What the names of cases say whose inputs lie where a function has no derivative, or where TensorFlow's gradient,
/// and ours, is that of another function: of cross entropy for labels that are probabilities, of symmetric matrices, of
/// draws whose probabilities stay.
const NOT_SMOOTH: &[&str] = &[
    "as probabilities stay",
    "at its kinks",
    "at the bounds",
    "base zero",
    "labels that do not sum to one",
    "symmetric",
    "ties",
    "zero denominators",
];

/// The cases to take differences of. Those of half precision are left out: they are computed in float64 here like the
/// others, and their few digits make ties likely.
fn smooth() -> impl Iterator<Item = (&'static Case, Vec<Tensor>)> {
    derived().filter(|(case, _)| {
        let kinks = NOT_SMOOTH.iter().any(|words| case.golden.case.contains(words));
        let half = case.inputs.iter().any(|input| matches!(input.dtype(), DType::F16 | DType::BF16));
        !kinks && !half
    })
}

/// Ops whose gradients are ops without a gradient, as TensorFlow's are.
const ONCE: &[&str] = &["CTCLoss", "StatelessRandomGammaV3"];

/// The inputs, with input `i` moved by so much along a direction.
fn moved(inputs: &[Tensor], i: usize, along: &Tensor, step: f64) -> Result<Vec<Tensor>> {
    let steps = reals(along).into_iter();
    let there: Vec<f64> = reals(&inputs[i]).into_iter().zip(steps).map(|(x, v)| x + step * v).collect();
    let mut inputs = inputs.to_vec();
    inputs[i] = Tensor::new(along.dims()?, there)?;
    Ok(inputs)
}

/// The slope of `f` along a direction of input `i`.
fn slope(inputs: &[Tensor], i: usize, along: &Tensor, f: impl Fn(&[Tensor]) -> Result<f64>) -> Result<f64> {
    let at = |steps: f64| f(&moved(inputs, i, along, steps * STEP)?);
    Ok((8.0 * (at(1.0)? - at(-1.0)?) - (at(2.0)? - at(-2.0)?)) / (12.0 * STEP))
}

#[test]
fn gradients_are_the_slopes_of_differences() {
    let mut report = Report::new("slopes");
    for (case, inputs) in smooth() {
        let found = caught(|| {
            let op = case.widened()?;
            let gradients = gradients(&op, &inputs, &case.dy)?;
            for (i, gradient) in gradients.iter().enumerate() {
                let Some(gradient) = gradient else { continue };
                let along = direction(&inputs[i])?;
                let expected = slope(&inputs, i, &along, |inputs| value(&op, inputs, &case.dy))?;
                let found = dotted(gradient, &along);
                let scale: f64 = reals(gradient).iter().zip(reals(&along)).map(|(a, b)| (a * b).abs()).sum();
                if (found - expected).abs() > 1e-6 * scale.max(1.0) {
                    report.add_element(case, &format!("slope along input {i}"), 0, [found, expected], "");
                }
            }
            Ok(())
        });
        if let Err(error) = found {
            report.add(case, "slope", format!("{error:?}"), "a gradient");
        }
    }
    report.finish();
}

/// The gradient of `Σ gradient·along` with respect to every input, from a tape within a tape.
fn second(op: &Arc<dyn Op>, inputs: &[Tensor], case: &Case, i: usize, along: &Tensor) -> Result<Vec<Option<Tensor>>> {
    let outer = GradientTape::new();
    inputs.iter().filter(|input| input.dtype().is_float()).for_each(|input| outer.watch(input));
    let first = outer.record(|| gradients(op, inputs, &case.dy))?;
    let Some(first) = first.into_iter().nth(i).flatten() else { return Ok(vec![None; inputs.len()]) };
    outer.gradients_with(&[(first, Some(along.clone()))], inputs, UnconnectedGradients::None)
}

#[test]
fn second_gradients_are_the_slopes_of_first_ones() {
    let mut report = Report::new("second gradients");
    for (case, inputs) in smooth().filter(|(case, _)| !ONCE.contains(&case.def.name)) {
        let found = caught(|| {
            let op = case.widened()?;
            for i in (0..inputs.len()).filter(|&i| case.grads[i].is_some()) {
                let along = direction(&inputs[i])?;
                let seconds = second(&op, &inputs, case, i, &along)?;
                for j in (0..inputs.len()).filter(|&j| inputs[j].dtype().is_float()) {
                    let towards = direction(&inputs[j])?;
                    let expected = slope(&inputs, j, &towards, |inputs| {
                        let first = gradients(&op, inputs, &case.dy)?;
                        Ok(first[i].as_ref().map_or(0.0, |first| dotted(first, &along)))
                    })?;
                    let second = seconds[j].as_ref();
                    let found = second.map_or(0.0, |second| dotted(second, &towards));
                    let scale: f64 = second.map_or(0.0, |second| {
                        reals(second).iter().zip(reals(&towards)).map(|(a, b)| (a * b).abs()).sum()
                    });
                    if (found - expected).abs() > 1e-6 * scale.max(1.0) {
                        let what = format!("slope of gradient {i} along input {j}");
                        report.add_element(case, &what, 0, [found, expected], "");
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = found {
            report.add(case, "second gradient", format!("{error:?}"), "a gradient");
        }
    }
    report.finish();
}

/// The gradients that there are.
fn connected(op: &Arc<dyn Op>, inputs: &[Tensor], dy: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
    Ok(gradients(op, inputs, dy)?.into_iter().flatten().collect())
}

/// The gradients of a case by functions, with what they were traced for: of a tape in one, for dims that are known, for a
/// first dim, dims or a rank that is not, and of a tape around one.
fn compiled(case: &Case, dys: &[Option<Tensor>]) -> Result<Vec<(&'static str, Result<Vec<Tensor>>)>> {
    // Weights are fed like inputs, so that no gradient is a constant; axes and places are what they are.
    let fed: Vec<usize> = (0..case.inputs.len()).filter(|&i| case.inputs[i].dtype().is_float()).collect();
    let all: Vec<Tensor> = fed.iter().map(|&i| &case.inputs[i]).chain(dys.iter().flatten()).cloned().collect();
    let op = case.op()?;
    let with = |symbols: &[Tensor]| {
        let mut inputs = case.inputs.clone();
        fed.iter().zip(symbols).for_each(|(&i, symbol)| inputs[i] = symbol.clone());
        let mut rest = symbols[fed.len()..].iter().cloned();
        let dys: Vec<Option<Tensor>> = dys.iter().map(|dy| dy.as_ref().and_then(|_| rest.next())).collect();
        (inputs, dys)
    };
    let open = |tensor: &Tensor, unknown: usize| {
        let mut dims = tensor.shape().dims().unwrap_or_default();
        dims.iter_mut().take(unknown).for_each(|dim| *dim = None);
        Shape::from(dims)
    };
    let ways: [(&str, &dyn Fn(&Tensor) -> Shape); 4] = [
        ("within, dims known", &|x| x.shape().clone()),
        ("within, dim 0 unknown", &|x| open(x, 1)),
        ("within, no dim known", &|x| open(x, usize::MAX)),
        ("within, no rank known", &|_| Shape::unknown()),
    ];
    let mut found = Vec::new();
    for (what, shape) in ways {
        let specs: Vec<Spec> = all.iter().map(|x| Spec::new(x.dtype(), shape(x))).collect();
        let graph = trace(
            |symbols| {
                let (inputs, dys) = with(symbols);
                connected(&op, &inputs, &dys)
            },
            &specs,
        );
        let function =
            graph.map(|graph| Function::new(move |x: &Vec<Tensor>| graph.run(&x.iter().collect::<Vec<_>>())));
        found.push((what, function.and_then(|function| function.call(&all))));
    }
    let (inputs, around) = (case.inputs.clone(), Function::new(move |inputs: &Vec<Tensor>| run(&op, inputs)));
    let tape = GradientTape::new();
    fed.iter().for_each(|&i| tape.watch(&inputs[i]));
    let outputs = tape.record(|| around.call(&inputs))?;
    let targets: Vec<_> = outputs.into_iter().zip(dys).filter_map(|(y, dy)| Some((y, Some(dy.clone()?)))).collect();
    let sources: Vec<&Tensor> = fed.iter().map(|&i| &inputs[i]).collect();
    let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::None)?;
    found.push(("around", Ok(gradients.into_iter().flatten().collect())));
    Ok(found)
}

#[test]
fn gradients_through_functions_have_the_bits_of_eager_ones() {
    fn check(case: &Case, report: &mut Report) -> Result<()> {
        let op = case.op()?;
        // One that draws goes on with its stream.
        if op.effect() != Effect::Pure {
            return Ok(());
        }
        let outputs = case.run()?;
        let dys = outputs.iter().zip(&case.dy).map(|(y, dy)| dy.as_ref().map(|dy| dy.cast(y.dtype())).transpose());
        let dys = dys.collect::<Result<Vec<_>>>()?;
        let eager = connected(&op, &case.inputs, &dys)?;
        for (what, found) in compiled(case, &dys)? {
            report.same(case, what, &found, &eager);
        }
        Ok(())
    }
    let mut report = Report::new("compiled gradients");
    for case in CASES.iter().filter(|case| !case.grads.is_empty()) {
        if let Err(error) = caught(|| check(case, &mut report)) {
            report.add(case, "compiled", format!("{error:?}"), "gradients");
        }
    }
    report.finish();
}
