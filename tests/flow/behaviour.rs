//! What branches and loops do beside computing: variables, errors, budgets, what is computed again.

use super::near;
use modulor::graph::{gradient, trace};
use modulor::ops::recurrent::{Cell, Recurrence, Weights};
use modulor::{
    DType, ErrorKind, GradientTape, Loop, Result, Spec, Tensor, UnconnectedGradients, Variable, cond, flow, recompute,
    registry, scan, switch_case, value_and_grad, while_loop, with_iteration_budget,
};

fn scalar() -> Spec {
    Spec::new(DType::F64, [] as [usize; 0])
}

fn vector() -> Spec {
    Spec::new(DType::F64, [None])
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_vec::<f64>().unwrap()
}

fn of(x: f64) -> Tensor {
    Tensor::scalar(x)
}

/// `x·v`, so many times as `n` says.
fn repeated(x: &Tensor, n: &Tensor, v: &Variable) -> Result<Tensor> {
    let body = |(i, x): &(Tensor, Tensor)| Ok((i + 1.0, x * v));
    Ok(while_loop(|(i, _)| i.less(n), body, (Tensor::scalar(0), x.clone()))?.1)
}

#[test]
fn a_variable_that_a_loop_reads_has_its_gradient() {
    let v = Variable::new(of(3.0));
    let specs = [scalar(), Spec::new(DType::I32, [] as [usize; 0])];
    let body = |x: &[Tensor]| {
        let tape = GradientTape::new();
        tape.watch(&x[0]);
        let y = tape.record(|| repeated(&x[0], &x[1], &v))?;
        let dx = tape.gradients_with(&[(y.clone(), None)], [&x[0]], UnconnectedGradients::Zero)?.remove(0);
        let tape = GradientTape::new();
        let again = tape.record(|| repeated(&x[0], &x[1], &v))?;
        let dv = tape.gradients_with(&[(again, None)], [&v], UnconnectedGradients::Zero)?.remove(0);
        Ok([y].into_iter().chain(dx).chain(dv).collect())
    };
    let graph = trace(body, &specs).unwrap();
    for (n, expected) in [(0, [2.0, 1.0, 0.0]), (1, [6.0, 3.0, 2.0]), (4, [162.0, 81.0, 216.0])] {
        let found = graph.run(&[&of(2.0), &Tensor::scalar(n)]).unwrap();
        let found: Vec<f64> = found.iter().map(|x| x.item().unwrap()).collect();
        assert_eq!(found, expected, "{n} iterations");
    }
    v.assign(&of(1.0)).unwrap();
    assert_eq!(graph.run(&[&of(2.0), &Tensor::scalar(9)]).unwrap()[2].item::<f64>().unwrap(), 18.0);
}

#[test]
fn variables_are_written_in_order_by_what_runs_alone() {
    let v = Variable::new(of(1.0));
    let body = |x: &[Tensor]| {
        let seen = cond(
            &x[0].greater(0.0)?,
            || {
                v.assign_add(&x[0])?;
                v.read()
            },
            || Ok(of(-1.0)),
        )?;
        let last = while_loop(
            |i: &Tensor| i.less(3.0),
            |i| {
                v.assign(&v.read()?.mul(2.0)?)?;
                Ok(i + 1.0)
            },
            Tensor::scalar(0),
        )?;
        Ok(vec![seen, last, v.read()?])
    };
    let graph = trace(body, &[scalar()]).unwrap();
    assert_eq!(v.value().unwrap().item::<f64>().unwrap(), 1.0, "tracing writes nothing");
    assert!(graph.op_names().any(|name| name == "If") && graph.op_names().any(|name| name == "While"), "{graph}");
    let found = graph.run(&[&of(4.0)]).unwrap();
    assert_eq!((found[0].item::<f64>().unwrap(), found[2].item::<f64>().unwrap()), (5.0, 40.0));
    let found = graph.run(&[&of(-4.0)]).unwrap();
    assert_eq!((found[0].item::<f64>().unwrap(), found[2].item::<f64>().unwrap()), (-1.0, 320.0));
}

#[test]
fn errors_say_what_is_wrong() {
    let traced = |f: &dyn Fn(&Tensor) -> Result<Tensor>| {
        trace(|x| Ok(vec![f(&x[0])?]), &[vector()]).unwrap_err().message().to_owned()
    };
    let positive = |x: &Tensor| x.sum(..)?.greater(0.0);
    assert_eq!(
        traced(&|x| cond(&positive(x)?, || Ok(x.clone()), || x.cast(DType::I32))),
        "output 0 of `then_branch` is float64(None,), and that of `else_branch` is int32(None,): branches agree in dtypes \
         and ranks"
    );
    let ranks = traced(&|x| cond(&positive(x)?, || Ok(x.clone()), || x.sum(..)));
    assert!(ranks.contains("float64(None,), and that of `else_branch` is float64()"), "{ranks}");
    let lists = traced(&|x| {
        let both = || Ok(vec![x.clone(), x.clone()]);
        Ok(cond(&positive(x)?, both, || Ok(vec![x.clone()]))?.remove(0))
    });
    assert!(lists.starts_with("branches give structures of one kind"), "{lists}");
    assert_eq!(
        traced(&|x| cond(x, || Ok(x.clone()), || Ok(x.clone()))),
        "a predicate is one bool, found float64(None,)"
    );
    assert_eq!(
        traced(&|x| while_loop(|_: &Tensor| Ok(x.clone()), |x| Ok(x.clone()), x.clone())),
        "a predicate is one bool, found float64(None,)"
    );
    let pair = |x: &Tensor, f: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let body = |(a, b): &(Tensor, Tensor)| Ok((a.clone(), f(b)?));
        Ok(while_loop(|(a, _)| positive(a), body, (x.clone(), x.clone()))?.1)
    };
    assert_eq!(
        traced(&|x| pair(x, &|b| b.cast(DType::F32))),
        "loop variable 1 is float64(None,), and the body makes it float32(None,): a loop variable keeps its dtype and its rank"
    );
    let rank = traced(&|x| pair(x, &|b| b.expand_dims(0)));
    assert!(rank.starts_with("loop variable 1 is float64(None,), and the body makes it float64(1, None)"), "{rank}");
    let index = switch_case(&of(1.0), &[&|| Ok(of(1.0))]).unwrap_err();
    assert_eq!(index.message(), "the index of a branch is one int32 or int64, found float64()");
    let uneven = scan(
        |c: &Tensor, _: &Vec<Tensor>| Ok((c.clone(), c.clone())),
        of(0.0),
        &vec![Tensor::from([1.0]), Tensor::from([1.0, 2.0])],
    );
    assert_eq!(uneven.unwrap_err().message(), "a scan goes through tensors of one length, found 1 and 2");
}

#[test]
fn an_endless_loop_ends_with_its_budget() {
    let endless = |x: &Tensor| while_loop(|x: &Tensor| x.less(f64::INFINITY), |x| Ok(x + 1.0), x.clone());
    let graph = trace(|x| Ok(vec![endless(&x[0])?]), &[scalar()]).unwrap();
    for f in [&|| graph.run(&[&of(0.0)]).map(|_| ()), &|| endless(&of(0.0)).map(|_| ())] as [&dyn Fn() -> Result<()>; 2]
    {
        let error = with_iteration_budget(500, f).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::ResourceExhausted, "loop exceeded 500 iterations"));
    }
    // Loops within loops share it.
    let nested = |x: &Tensor| {
        while_loop(
            |x: &Tensor| x.less(30.0),
            |x| while_loop(|y: &Tensor| y.less(x + 20.0), |y| Ok(y + 1.0), x.clone())?.sub(19.0),
            x.clone(),
        )
    };
    assert!(with_iteration_budget(640, || nested(&of(0.0))).is_ok());
    assert!(with_iteration_budget(620, || nested(&of(0.0))).is_err());
    let once =
        with_iteration_budget(3, || Loop::new().maximum_iterations(3).run(|x| x.less(9.0), |x| Ok(x + 1.0), of(0.0)));
    assert_eq!(once.unwrap().item::<f64>().unwrap(), 3.0);
}

#[test]
fn a_long_loop_ends() {
    let count = |x: &Tensor| while_loop(|x: &Tensor| x.less(100_000.0), |x| Ok(x + 1.0), x.clone());
    let graph = trace(|x| Ok(vec![count(&x[0])?]), &[scalar()]).unwrap();
    assert_eq!(graph.run(&[&of(0.0)]).unwrap()[0].item::<f64>().unwrap(), 100_000.0);
}

#[test]
fn an_lstm_as_a_scan_is_the_recurrence() {
    let (batch, time, features, units) = (3, 5, 4, 2);
    let wave = |dims: &[usize], most: f64| {
        let count: usize = dims.iter().product();
        Tensor::new(dims, (0..count).map(|i| most * (i as f64 * 1.37 + most).sin()).collect::<Vec<_>>()).unwrap()
    };
    let (x, kernel) = (wave(&[batch, time, features], 1.0), wave(&[features, 4 * units], 0.7));
    let (recurrent, bias) = (wave(&[units, 4 * units], 0.9), wave(&[4 * units], 0.4));
    let zeros = Tensor::zeros([batch, units], DType::F64).unwrap();
    let by_scan = |x: &Tensor, kernel: &Tensor| {
        let step = |(h, c): &(Tensor, Tensor), x: &Tensor| {
            let z = x.matmul(kernel)? + h.matmul(&recurrent)? + &bias;
            let gates = z.split(4, 1)?;
            let c = gates[1].sigmoid()? * c + gates[0].sigmoid()? * gates[2].tanh()?;
            let h = gates[3].sigmoid()? * c.tanh()?;
            Ok(((h.clone(), c), h))
        };
        let ((_, c), outputs) = scan(step, (zeros.clone(), zeros.clone()), &x.permute([1, 0, 2])?)?;
        Ok::<_, modulor::Error>((outputs.permute([1, 0, 2])?, c))
    };
    let fused = |x: &Tensor, kernel: &Tensor| {
        let recurrence = Recurrence { cell: Cell::Lstm, zero_masked: false, backwards: false, all_outputs: true };
        let weights = Weights { kernel, recurrent_kernel: &recurrent, bias: Some(&bias) };
        let (outputs, states) = recurrence.call(x, weights, &[&zeros, &zeros], None)?;
        Ok::<_, modulor::Error>((outputs, states[1].clone()))
    };
    let all = |f: &dyn Fn(&Tensor, &Tensor) -> Result<(Tensor, Tensor)>, x: &Tensor, kernel: &Tensor| {
        let tape = GradientTape::new();
        [x, kernel].into_iter().for_each(|source| tape.watch(source));
        let (y, c) = tape.record(|| f(x, kernel))?;
        let z = tape.record(|| Ok::<_, modulor::Error>(y.square()?.sum(..)? + c.sum(..)?))?;
        let gradients = tape.gradients_with(&[(z, None)], [x, kernel], UnconnectedGradients::Zero)?;
        Ok::<_, modulor::Error>([y, c].into_iter().chain(gradients.into_iter().flatten()).collect::<Vec<_>>())
    };
    let expected = all(&fused, &x, &kernel).unwrap();
    let specs = [Spec::new(DType::F64, [None, None, Some(features)]), Spec::new(DType::F64, [features, 4 * units])];
    let eager = all(&by_scan, &x, &kernel).unwrap();
    let traced = trace(|a| all(&by_scan, &a[0], &a[1]), &specs);
    let known = trace(|a| all(&by_scan, &a[0], &a[1]), &[x.spec().clone(), kernel.spec().clone()]).unwrap();
    for found in [eager, known.run(&[&x, &kernel]).unwrap(), traced.unwrap().run(&[&x, &kernel]).unwrap()] {
        for (found, expected) in found.iter().zip(&expected) {
            assert!(near(found, expected, 1e-12), "{found} vs. {expected}");
        }
    }
}

#[test]
fn a_scan_of_nothing_gives_nothing_of_the_right_kind() {
    let step = |c: &Tensor, x: &Tensor| Ok((c + x.sum(..)?, (x * 2.0, c.cast(DType::I32)?)));
    let none = Tensor::zeros([0, 3], DType::F64).unwrap();
    let check = |(last, ys): (Tensor, (Tensor, Tensor))| {
        assert_eq!(last.item::<f64>().unwrap(), 7.0);
        assert_eq!((ys.0.spec(), ys.1.spec()), (&Spec::new(DType::F64, [0, 3]), &Spec::new(DType::I32, [0])));
    };
    check(scan(step, of(7.0), &none).unwrap());
    let body = |x: &[Tensor]| {
        let (last, ys) = scan(step, of(7.0), &x[0])?;
        Ok(vec![last, ys.0, ys.1])
    };
    let graph = trace(body, &[Spec::new(DType::F64, [None, Some(3)])]).unwrap();
    let found = graph.run(&[&none]).unwrap();
    check((found[0].clone(), (found[1].clone(), found[2].clone())));
    let two = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let found = graph.run(&[&two]).unwrap();
    assert_eq!(found[0].item::<f64>().unwrap(), 28.0);
    assert_eq!(
        (numbers(&found[1]), found[2].to_vec::<i32>().unwrap()),
        (vec![2.0, 4.0, 6.0, 8.0, 10.0, 12.0], vec![7, 13])
    );
}

#[test]
fn what_is_recomputed_has_the_same_gradient_and_keeps_nothing() {
    let v = Variable::new(of(0.5));
    let f = |x: &Tensor| x.mul(&v)?.sin()?.exp()?.tanh()?.mul(x);
    let slopes = |x: &Tensor, f: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let tape = GradientTape::new();
        tape.watch(x);
        let y = tape.record(|| f(x))?;
        let dx = tape.gradients_with(&[(y.clone(), None)], [x.clone()], UnconnectedGradients::Zero)?;
        Ok::<_, modulor::Error>([y].into_iter().chain(dx.into_iter().flatten()).collect::<Vec<_>>())
    };
    let with_v = |f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor| {
        let tape = GradientTape::new();
        let y = tape.record(|| f(x))?;
        tape.gradient(&y, &v)
    };
    let again = |x: &Tensor| recompute(f, x);
    let x = Tensor::from([1.0, -2.0, 0.25]);
    let expected = slopes(&x, &f).unwrap();
    let graph = trace(|x| Ok([slopes(&x[0], &again)?, vec![with_v(&again, &x[0])?]].concat()), &[vector()]).unwrap();
    let names: Vec<&str> = graph.op_names().collect();
    assert_eq!(names.iter().filter(|name| name.ends_with("PartitionedCall")).count(), 4, "{graph}");
    assert!(!names.iter().any(|name| ["Sin", "Exp", "Tanh"].contains(name)), "{graph}");
    let traced = graph.run(&[&x]).unwrap();
    let eager = slopes(&x, &again).unwrap();
    for found in [&traced, &eager] {
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(numbers(found), numbers(expected));
        }
    }
    let expected = with_v(&f, &x).unwrap();
    assert!(near(&traced[2], &expected, 1e-15) && near(&with_v(&again, &x).unwrap(), &expected, 1e-15));
    // And once more, as any other function.
    let second = |f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor| {
        let outer = GradientTape::new();
        outer.watch(x);
        let dx = outer.record(|| slopes(x, f))?.remove(1);
        outer.gradient(&dx, x)
    };
    let expected = second(&f, &x).unwrap();
    let graph = trace(|x| Ok(vec![second(&again, &x[0])?]), &[vector()]).unwrap();
    assert!(near(&second(&again, &x).unwrap(), &expected, 1e-14));
    assert!(near(&graph.run(&[&x]).unwrap()[0], &expected, 1e-14));
}

#[test]
fn what_is_recomputed_writes_once_and_draws_once() {
    let counter = Variable::new(of(1.0));
    counter.set_trainable(false);
    let f = |x: &Tensor| {
        let n = counter.read()?;
        counter.assign_add(&of(1.0))?;
        x.mul(n)?.square()
    };
    let both = |x: &Tensor| value_and_grad(|x| recompute(f, &x[0])?.sum(..), std::slice::from_ref(x));
    let (y, dx) = both(&Tensor::from([3.0])).unwrap();
    assert_eq!((y.item::<f64>().unwrap(), numbers(&dx[0])), (9.0, vec![6.0]));
    let graph = trace(|x| Ok(both(&x[0])?.1), &[vector()]).unwrap();
    assert_eq!(numbers(&graph.run(&[&Tensor::from([3.0])]).unwrap()[0]), [24.0]);
    assert_eq!(counter.value().unwrap().item::<f64>().unwrap(), 3.0);
    counter.set_trainable(true);
    let error = both(&Tensor::from([3.0])).unwrap_err();
    assert!(error.message().contains("is written in what is to be computed again"), "{error}");
}

#[test]
fn a_graph_with_branches_and_loops_has_a_gradient_that_is_a_graph() {
    let f = |x: &Tensor| {
        let y = while_loop(|y: &Tensor| y.sum(..)?.less(50.0), |y| y.mul(x), x.clone())?;
        cond(&x.sum(..)?.less(5.0)?, || y.square(), || Ok(y.clone()))
    };
    let graph = trace(|x| Ok(vec![f(&x[0])?]), &[vector()]).unwrap();
    let slope = gradient(&graph).unwrap();
    for x in [Tensor::from([2.0, 1.0]), Tensor::from([3.0, 4.0]), Tensor::from([30.0, 40.0])] {
        let ones = Tensor::from([1.0, 1.0]);
        let (_, expected) = value_and_grad(|x| f(&x[0])?.sum(..), std::slice::from_ref(&x)).unwrap();
        assert!(near(&slope.run(&[&x, &ones]).unwrap()[0], &expected[0], 1e-14));
    }
}

#[test]
fn an_op_is_read_back_from_its_attributes() {
    let body = |x: &[Tensor]| {
        let y = while_loop(|y: &Tensor| y.sum(..)?.less(50.0), |y| y.mul(&x[0]), x[0].clone())?;
        let z = cond(&y.sum(..)?.less(60.0)?, || y.square(), || Ok(y.clone()))?;
        let index = z.max(..)?.cast(DType::I64)?;
        Ok(vec![switch_case(&index, &[&|| z.square(), &|| recompute(|z: &Tensor| z.neg(), &z)])?])
    };
    let graph = trace(body, &[vector()]).unwrap();
    let text = graph.to_string();
    for words in [
        "StatelessWhile{body=function, cond=function",
        "then_branch:",
        "branches:",
        "PartitionedCall{",
        "_noinline=true",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    // The bodies of one op, all the way down.
    let mut names = Vec::new();
    fn collect(graph: &modulor::graph::Graph, names: &mut Vec<String>) {
        for op in graph.ops() {
            names.extend(flow::bodies(op).iter().map(|(name, _)| name.clone()));
            if !flow::bodies(op).is_empty() {
                let again = registry::op(op.name(), &op.attrs()).unwrap();
                assert_eq!((again.name(), again.attrs()), (op.name(), op.attrs()));
            }
            flow::bodies(op).iter().for_each(|(_, body)| collect(body, names));
        }
    }
    collect(&graph, &mut names);
    names.sort();
    assert_eq!(names, ["body", "branches", "branches", "cond", "else_branch", "f", "then_branch"]);
}

#[test]
fn loops_are_made_again_for_what_is_known_of_their_inputs() {
    let f = |x: &Tensor| while_loop(|y: &Tensor| y.sum(..)?.less(50.0), |y| y.mul(x), x.clone());
    let graph = trace(|x| Ok(vec![f(&x[0])?]), &[Spec::new(DType::F64, [None])]).unwrap();
    let special = trace(|x| graph.run(&[&x[0]]), &[Spec::new(DType::F64, [2])]).unwrap();
    assert_eq!(special.outputs().next().unwrap(), &Spec::new(DType::F64, [2]), "{special}");
    let x = Tensor::from([2.0, 3.0]);
    assert_eq!(numbers(&special.run(&[&x]).unwrap()[0]), numbers(&f(&x).unwrap()));
}
