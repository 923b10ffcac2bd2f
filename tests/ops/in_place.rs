//! What nobody needs any more is written over, and nothing else ever is.

use super::allocation::bytes_asked;
use super::report::difference;
use modulor::graph::trace;
use modulor::keras::optimizer::{self, Adam, AdamW, Optimizer, RMSprop, SGD};
use modulor::ops::optimizer::{Update, UpdateStep};
use modulor::variable::{VariableUpdate, commit, commit_updates, snapshot, with_snapshot};
use modulor::{DType, GradientTape, Result, Spec, Tensor, Variable, module};

const ELEMENTS: usize = 1 << 16;
/// The bytes of a tensor of so many float32.
const BUFFER: usize = 4 * ELEMENTS;

fn large(step: f32) -> Tensor {
    let elements: Vec<f32> = (0..ELEMENTS).map(|i| (i as f32 * step).sin()).collect();
    Tensor::new([256, 256], elements).unwrap()
}

/// How many buffers of a large tensor `f` asks for.
fn buffers<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let (result, bytes) = bytes_asked(f);
    (result, bytes / BUFFER)
}

#[track_caller]
fn same(found: &[Tensor], expected: &[Tensor]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(difference(found, expected), None, "output {i}");
    }
}

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// Runs `f` as a graph on two large tensors, twice, and counts the buffers of the second run.
#[track_caller]
fn check(what: &str, f: Function, expected: usize) {
    let inputs = [large(0.37), large(0.11)];
    let before = inputs.each_ref().map(|input| input.to_bytes().unwrap());
    // Under a tape that listens nothing is written over.
    let eager = GradientTape::new().record(|| f(&inputs)).unwrap();
    let graph = trace(f, &inputs.each_ref().map(|input| input.spec().clone())).unwrap();
    let inputs = inputs.each_ref();
    same(&graph.run(&inputs).unwrap(), &eager);
    let (outputs, buffers) = buffers(|| graph.run(&inputs).unwrap());
    same(&outputs, &eager);
    assert_eq!(inputs.map(|input| input.to_bytes().unwrap()), before, "{what}: an input moved");
    assert_eq!(buffers, expected, "{what}: buffers");
}

#[test]
fn a_graph_writes_over_what_ends() {
    let constant = large(0.05);
    let variable = Variable::new(large(0.07));
    // The first result needs a buffer, which carries all that follow.
    check("a chain", &|x| Ok(vec![-((&x[0] * 2.0).relu()?.tanh()? + &x[1]).maximum(&x[1])?]), 1);
    check("the right operand", &|x| Ok(vec![(&x[0] - (&x[1] * 3.0))]), 1);
    check("both operands end", &|x| Ok(vec![(&x[0] * 2.0) + (&x[1] * 3.0)]), 2);
    check("one tensor twice", &|x| (&x[0] * 2.0).mul(&x[0] * 2.0).map(|y| vec![y]), 2);
    let twice = |x: &[Tensor]| {
        let y = &x[0] * 2.0;
        Ok(vec![&y * &y])
    };
    check("one tensor as both operands", &twice, 2);
    let output = |x: &[Tensor]| {
        let y = &x[0] * 2.0;
        Ok(vec![y.relu()?, y])
    };
    check("an operand that is an output", &output, 2);
    let later = |x: &[Tensor]| {
        let y = &x[0] * 2.0;
        let z = y.relu()?;
        Ok(vec![z + y])
    };
    check("an operand that is needed later", &later, 2);
    let view = |x: &[Tensor]| {
        let y = &x[0] * 2.0;
        let turned = y.transpose()?;
        Ok(vec![y.relu()?, turned])
    };
    check("elements that a view shares", &view, 2);
    check("a view alone, in another order", &|x| Ok(vec![(&x[0] * 2.0).transpose()?.relu()?]), 2);
    check("a view alone, in the same order", &|x| Ok(vec![(&x[0] * 2.0).reshape([-1])?.relu()?]), 1);
    check("a constant", &|_| Ok(vec![constant.relu()?, &constant + 1.0]), 0);
    check("a constant beside a symbol", &|x| Ok(vec![&constant + &x[0], constant.neg()?]), 1);
    check("a fed tensor", &|x| Ok(vec![x[0].relu()?]), 1);
    check("a fed tensor through a node", &|x| Ok(vec![x[0].identity()?.relu()?]), 1);
    check("a variable's value", &|_| Ok(vec![variable.read()?.neg()?]), 1);
    check("a smaller operand", &|x| Ok(vec![x[0].sum(0)? - (&x[1] * 2.0)]), 1);
    same(&[variable.value().unwrap()], &[large(0.07)]);
    same(&[constant], &[large(0.05)]);
}

/// Numbers without pattern.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Outputs of a function that is drawn: of `values`, and of what is made of them. Everything stays alive until its end.
fn drawn(seed: u64, values: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut draws = Draws(seed);
    let mut values = values.to_vec();
    for _ in 0..24 {
        let [a, b] = [(); 2].map(|()| &values[draws.below(values.len())]);
        let made = match draws.below(12) {
            0 => a.add(b)?,
            1 => a.sub(b)?,
            2 => a.mul(b)?,
            3 => a.maximum(b)?,
            4 => a.neg()?,
            5 => a.tanh()?,
            6 => a.leaky_relu(0.25)?,
            7 => a.transpose()?,
            8 => a.slice((modulor::step(.., -1), ..))?,
            9 => a.sum_keepdims(0)?.broadcast_to([4, 4])?,
            10 => a.split(2, 0)?.swap_remove(draws.below(2)).reshape([2, 4])?.tile([2, 1])?,
            _ => a.add(a)?,
        };
        values.push(made);
    }
    Ok((0..3).map(|_| values[draws.below(values.len())].clone()).collect())
}

#[test]
fn drawn_graphs_give_what_keeping_everything_gives() {
    let square = |step: f32| Tensor::new([4, 4], (0..16).map(|i| (i as f32 * step).cos()).collect::<Vec<_>>()).unwrap();
    let (inputs, constant, variable) = ([square(0.3), square(0.7)], square(1.1), Variable::new(square(1.9)));
    for seed in 0..400 {
        let f = |x: &[Tensor]| drawn(seed, &[x[0].clone(), x[1].clone(), constant.clone(), variable.read()?]);
        let eager = f(&inputs).unwrap();
        let graph = trace(f, &inputs.each_ref().map(|input| input.spec().clone())).unwrap();
        for _ in 0..2 {
            same(&graph.run(&inputs.each_ref()).unwrap(), &eager);
        }
    }
    same(&[variable.value().unwrap(), constant], &[square(1.9), square(1.1)]);
    same(&inputs, &[square(0.3), square(0.7)]);
}

#[test]
fn operators_write_over_what_they_are_given() {
    let (x, y) = (large(0.37), large(0.11));
    let (found, asked) = buffers(|| 1.0 - (-(&x * 2.0) / 3.0 + &y));
    let twice = &x * 2.0;
    let minus = -&twice;
    let third = &minus / 3.0;
    let sum = &third + &y;
    same(&[found], &[1.0 - &sum]);
    assert_eq!(asked, 1);
    let (found, asked) = buffers(|| x.mul(y.sigmoid().unwrap()).unwrap());
    let sigmoid = y.sigmoid().unwrap();
    same(&[found], &[x.mul(&sigmoid).unwrap()]);
    assert_eq!(asked, 1);
    let held = x.clone();
    same(&[x + 1.0], &[&held + 1.0]);
    same(&[held], &[large(0.37)]);
}

#[test]
fn a_tape_keeps_what_it_heard_of() {
    let x = large(0.37);
    let tape = GradientTape::new();
    tape.watch(&x);
    let y = tape.record(|| ((&x * 2.0).square().unwrap() * &x).sum(..)).unwrap();
    let slope = tape.gradient(&y, &x).unwrap();
    let expected: Vec<f32> = x.to_vec::<f32>().unwrap().iter().map(|x| 12.0 * x * x).collect();
    let near = |(a, b): (f32, &f32)| (a - b).abs() <= 4.0 * f32::EPSILON * b.abs();
    assert!(slope.to_vec::<f32>().unwrap().into_iter().zip(&expected).all(near));
}

#[test]
fn a_variable_is_added_to_in_place_unless_somebody_holds_its_value() {
    let variable = Variable::new(large(0.37));
    let one = Tensor::ones([256, 256], DType::F32).unwrap();
    let add = || buffers(|| variable.assign_add(&one).unwrap()).1;
    assert_eq!(add(), 1, "the declaration holds the initial value");
    assert_eq!([add(), add()], [0, 0]);
    assert_eq!(buffers(|| variable.assign_sub(&one).unwrap()).1, 0);
    assert_eq!(variable.version(), 4);

    let ways: [fn(&Variable) -> Tensor; 4] = [
        |v| v.value().unwrap(),
        |v| v.read().unwrap(),
        |v| snapshot(std::slice::from_ref(v)).unwrap().remove(0),
        |v| v.value().unwrap().transpose().unwrap(),
    ];
    for hold in ways {
        let held = hold(&variable);
        let before = held.to_bytes().unwrap();
        assert_eq!([add(), add()], [1, 0]);
        assert_eq!(held.to_bytes().unwrap(), before, "what is held does not move");
    }
    let assigned = large(0.11);
    variable.assign(&assigned).unwrap();
    assert_eq!([add(), add()], [1, 0]);
    same(&[assigned], &[large(0.11)]);
    let own = variable.value().unwrap();
    variable.assign_add(&own).unwrap();
    same(&[variable.value().unwrap()], &[&own + &own]);
}

#[test]
fn a_refused_addition_leaves_the_value() {
    let variable = Variable::new(large(0.37));
    variable.assign_add(&Tensor::zeros([256, 256], DType::F32).unwrap()).unwrap();
    for wrong in [Tensor::zeros([256], DType::F32), Tensor::zeros([256, 256], DType::F64)] {
        let error = variable.assign_add(&wrong.unwrap()).unwrap_err();
        assert_eq!(error.op(), Some("AssignAddVariableOp"));
    }
    same(&[variable.value().unwrap()], &[large(0.37)]);
}

/// The bytes that one update asks for when it is repeated, of variables with so many elements.
fn steady(elements: usize, update: impl Fn(&[Variable])) -> usize {
    let variables = [0.0, 1.0].map(|_| Variable::new(Tensor::zeros([elements], DType::F32).unwrap()));
    (0..3).for_each(|_| update(&variables));
    bytes_asked(|| update(&variables)).1
}

#[test]
fn updates_and_commits_ask_for_no_memory_that_grows_with_the_variables() {
    let fills = |n: usize| Tensor::zeros([n], DType::F32).unwrap();
    let updates: [(&str, &dyn Fn(usize) -> usize); 3] = [
        ("assign_add", &|n| {
            let one = fills(n);
            steady(n, |all| all.iter().for_each(|v| v.assign_add(&one).unwrap()))
        }),
        ("a graph that adds", &|n| {
            let one = fills(n);
            let variable = Variable::new(fills(n));
            let add = |x: &[Tensor]| variable.assign_sub(&x[0]).map(|()| vec![]);
            let graph = trace(add, &[one.spec().clone()]).unwrap();
            (0..3).for_each(|_| drop(graph.run(&[&one]).unwrap()));
            bytes_asked(|| graph.run(&[&one]).unwrap()).1
        }),
        ("commit", &|n| {
            let values = [fills(n), fills(n)];
            steady(n, |all| commit(all.iter().cloned().zip(values.iter().cloned())).unwrap())
        }),
    ];
    for (what, bytes) in updates {
        assert_eq!(bytes(16), bytes(1 << 16), "{what}");
    }
}

#[test]
fn a_step_of_an_optimizer_changes_values_and_slots_in_place_unless_somebody_holds_them() {
    let optimizers: [(&dyn Optimizer, usize); 6] = [
        (&SGD::new(), 0),
        (&SGD::new().momentum(0.5).nesterov(true), 1),
        (&Adam::new().amsgrad(true), 3),
        (&AdamW::new(), 2),
        (&RMSprop::new().momentum(0.5).centered(true), 3),
        (&RMSprop::new().weight_decay(0.5), 1),
    ];
    for (optimizer, slots) in optimizers {
        let (variable, twin) = (Variable::new(large(0.37)), Variable::new(large(0.37)));
        let gradient = large(0.11).transpose().unwrap();
        let other = optimizer::from_object(&module::object(optimizer.as_module()).unwrap()).unwrap();
        let step = || buffers(|| optimizer.apply(&[(variable.clone(), Some(gradient.clone()))]).unwrap()).1;
        // The declaration holds the initial value, and the initial zeros of a slot are one zero.
        assert_eq!(step(), 1 + slots, "{}", optimizer.class_name());
        assert_eq!([step(), step()], [0, 0], "{}", optimizer.class_name());
        let held = variable.value().unwrap();
        let before = held.to_bytes().unwrap();
        assert_eq!([step(), step()], [1, 0], "{}", optimizer.class_name());
        assert_eq!(held.to_bytes().unwrap(), before, "what is held does not move");
        assert_eq!(variable.version(), 5);
        // In a graph it is the formula, to the same bits.
        let traced = |x: &[Tensor]| other.apply(&[(twin.clone(), Some(x[0].clone()))]).map(|()| vec![]);
        let graph = trace(traced, std::slice::from_ref(gradient.spec())).unwrap();
        (0..5).for_each(|_| drop(graph.run(&[&gradient]).unwrap()));
        same(&[variable.value().unwrap()], &[twin.value().unwrap()]);
    }
}

#[test]
fn updates_are_made_all_or_none() {
    let [a, b, slot] = [("a", 0.1), ("b", 0.2), ("slot", 0.3)].map(|(name, turn)| {
        let variable = Variable::new(large(turn));
        variable.stamp(&format!("net/{name}"));
        variable
    });
    let step = UpdateStep { update: Update::Descent, weight_decay: None };
    let update = |variable: &Variable, slots: &[&Variable], gradient: Tensor| VariableUpdate {
        step,
        variable: variable.clone(),
        slots: slots.iter().map(|&slot| slot.clone()).collect(),
        gradient,
        learning_rate: Tensor::scalar(0.5_f32),
        number: Tensor::scalar(1.0_f32),
    };
    let counted = (Variable::new(0_i64), Tensor::scalar(1_i64));
    let refused = |second: VariableUpdate, words: &str| {
        let updates = [update(&a, &[], large(0.7)), second];
        let error = commit_updates(std::slice::from_ref(&counted), &updates).unwrap_err().to_string();
        assert!(error.contains(words), "`{error}` does not say `{words}`");
        same(&[a.value().unwrap(), b.value().unwrap()], &[large(0.1), large(0.2)]);
        assert_eq!(counted.0.value().unwrap().item::<i64>().unwrap(), 0);
    };
    refused(update(&b, &[], Tensor::from([1.0_f32])), "net/b: inputs must have one shape, found (256, 256) and (1,)");
    refused(update(&b, &[&slot], large(0.7)), "expected 4 inputs, and 5 were given");
    refused(update(&a, &[], large(0.7)), "variable `a` is given twice");
    commit_updates(std::slice::from_ref(&counted), &[update(&a, &[], large(0.7)), update(&b, &[], large(0.7))])
        .unwrap();
    let after = |turn: f32| large(turn) - large(0.7) * 0.5;
    same(&[a.value().unwrap(), b.value().unwrap()], &[after(0.1), after(0.2)]);
    assert_eq!(counted.0.value().unwrap().item::<i64>().unwrap(), 1);
    let seen = with_snapshot(std::slice::from_ref(&slot), || {
        commit_updates(&[], &[update(&slot, &[], large(0.7))]).and_then(|()| slot.read())
    });
    same(&[seen.unwrap().unwrap(), slot.value().unwrap()], &[after(0.3), after(0.3)]);
}

#[test]
fn symbols_are_never_written_over() {
    let spec = Spec::new(DType::F32, [2]);
    let graph = trace(|x| Ok(vec![(&x[0] * 2.0) + 1.0]), std::slice::from_ref(&spec)).unwrap();
    let outer = trace(|x| graph.run(&[&x[0]]), &[spec]).unwrap();
    let found = outer.run(&[&Tensor::from([1.0_f32, 2.0])]).unwrap();
    assert_eq!(found[0].to_vec::<f32>().unwrap(), [3.0, 5.0]);
}
