//! Branches and loops within functions: their graphs are plans.

use crate::ops::allocations;
use modulor::graph::trace;
use modulor::prelude::*;
use modulor::{cond, recompute, scan, switch_case, while_loop, with_iteration_budget};

fn wave(dims: &[usize], seed: f64) -> Tensor {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i as f64 * 1.3 + seed).sin() as f32).collect::<Vec<_>>()).unwrap()
}

type Program = fn(&Tensor) -> Result<Tensor>;

/// A loop whose variables change places, with one that stays.
fn changing_places(x: &Tensor) -> Result<Tensor> {
    let body = |(i, a, b, c): &(Tensor, Tensor, Tensor, Tensor)| Ok((i + 1.0, b.clone(), a * 0.5 + b, c.clone()));
    let begun = (Tensor::scalar(0), x.clone(), x.tanh()?, x.exp()?);
    let (_, a, b, c) = while_loop(|(i, ..)| i.less(9.0), body, begun)?;
    Ok(a * b + c)
}

/// A product and a branch in a loop in a loop.
fn nested(x: &Tensor) -> Result<Tensor> {
    let outer = |(i, x): &(Tensor, Tensor)| {
        let inner = |(j, y): &(Tensor, Tensor)| Ok((j + 1.0, y.matmul(x)?.tanh()?));
        let (_, y) = while_loop(|(j, _)| j.less(i), inner, (Tensor::scalar(0), x.clone()))?;
        let y = cond(&y.sum(..)?.greater(0.0)?, || y.transpose(), || Ok(&y * 0.5 + x))?;
        Ok((i + 1.0, y))
    };
    Ok(while_loop(|(i, _)| i.less(4.0), outer, (Tensor::scalar(0), x.clone()))?.1)
}

fn chosen(x: &Tensor) -> Result<Tensor> {
    let index = (x.sum(..)? * 3.0).cast(DType::I32)?;
    let y = switch_case(&index, &[&|| x.square(), &|| x.reshape([-1])?.reverse([0])?.reshape([3, 3]), &|| Ok(-x)])?;
    recompute(|y: &Tensor| y.sin()?.add(x), &y)
}

/// No iteration at all.
fn none(x: &Tensor) -> Result<Tensor> {
    while_loop(|x: &Tensor| x.sum(..)?.greater(1e9), |x| Ok(x * 2.0), x.transpose()?)
}

/// Lists, which are made anew.
fn scanned(x: &Tensor) -> Result<Tensor> {
    let step = |c: &Tensor, x: &Tensor| {
        let c = (c * 0.9 + x).tanh()?;
        Ok((c.clone(), c))
    };
    Ok(scan(step, x.slice(0)?, x)?.1)
}

/// The way back through a loop.
fn slope(x: &Tensor) -> Result<Tensor> {
    let tape = GradientTape::new();
    tape.watch(x);
    let y = tape.record(|| {
        let body = |(i, y): &(Tensor, Tensor)| Ok((i + 1.0, y.matmul(x)?.tanh()?));
        while_loop(|(i, _)| i.less(5.0), body, (Tensor::scalar(0), x.clone()))?.1.sum(..)
    })?;
    tape.gradient(&y, x)
}

const PROGRAMS: &[(&str, Program, bool)] = &[
    ("changing places", changing_places, true),
    ("nested", nested, true),
    ("chosen", chosen, true),
    ("none", none, true),
    ("scanned", scanned, false),
    ("slope", slope, false),
];

#[test]
fn plans_of_bodies_have_the_bits_of_op_by_op_and_allocate_nothing() {
    for (name, program, is_plain) in PROGRAMS {
        let f = Function::new(program);
        for seed in 0..6 {
            let x = wave(&[3, 3], f64::from(seed));
            let graph = trace(|x| Ok(vec![program(&x[0])?]), &[x.spec().clone()]).unwrap();
            let expected = graph.run(&[&x]).unwrap()[0].to_bytes().unwrap();
            assert_eq!(f.call(&x).unwrap().to_bytes().unwrap(), expected, "{name} {seed}");
            let (y, count) = allocations(|| f.call(&x).unwrap());
            assert_eq!(y.to_bytes().unwrap(), expected, "{name} {seed} again");
            assert!(!is_plain || seed < 2 || count == 0, "{name}: {count} allocations");
        }
        // Other shapes are another plan.
        let x = wave(&[5, 5], 0.3);
        if let Ok(y) = f.call(&x) {
            assert_eq!((y.dims().unwrap(), f.traces().len()), (&[5, 5][..], 2), "{name}");
        }
    }
}

#[test]
fn a_result_that_is_held_is_not_written_over() {
    let f = Function::new(changing_places);
    let (x, z) = (wave(&[3, 3], 0.0), wave(&[3, 3], 1.0));
    let y = f.call(&x).unwrap();
    let before = y.to_bytes().unwrap();
    (0..4).for_each(|_| drop(f.call(&z).unwrap()));
    assert_eq!(y.to_bytes().unwrap(), before);
    let held: Vec<Tensor> = (0..5).map(|seed| f.call(wave(&[3, 3], f64::from(seed))).unwrap()).collect();
    assert_eq!(held[0].to_bytes().unwrap(), before);
}

#[test]
fn variables_are_written_in_the_order_of_iterations_or_not_at_all() {
    let v = Variable::new(1.0);
    let f = {
        let v = v.clone();
        Function::new(move |n: &Tensor| {
            let body = |(i, y): &(Tensor, Tensor)| {
                v.assign_add(&(v.read()? * i.cast(DType::F32)?))?;
                let y = cond(
                    &y.less(8.0)?,
                    || v.assign_sub(&Tensor::scalar(1.0_f32)).map(|()| y + 3.0),
                    || y.add(v.read()?),
                )?;
                Ok((i + 1.0, y))
            };
            let (i, y) = while_loop(|(i, _)| i.less(n), body, (Tensor::scalar(0), Tensor::scalar(0.5_f32)))?;
            // Nothing is divided by nothing.
            let whole = Tensor::scalar(12).floor_div(&(&i - 4.0))?;
            Ok((y + v.read()?, whole))
        })
    };
    let by_hand = |n: i32, mut v: f32| {
        let mut y = 0.5;
        for i in 0..n {
            v += v * i as f32;
            if y < 8.0 {
                v -= 1.0;
                y += 3.0;
            } else {
                y += v;
            }
        }
        (y + v, v)
    };
    for n in [3, 0, 6, 5] {
        v.assign(&Tensor::scalar(1.5_f32)).unwrap();
        let (y, _) = f.call(Tensor::scalar(n)).unwrap();
        let (expected, after) = by_hand(n, 1.5);
        assert_eq!((y.item::<f32>().unwrap(), v.value().unwrap().item::<f32>().unwrap()), (expected, after), "{n}");
    }
    v.assign(&Tensor::scalar(1.5_f32)).unwrap();
    f.call(Tensor::scalar(4)).unwrap_err();
    assert_eq!(v.value().unwrap().item::<f32>().unwrap(), 1.5, "a call that fails changes nothing");
}

#[test]
fn a_budget_holds_in_a_plan() {
    let f = Function::new(|x: &Tensor| while_loop(|x: &Tensor| x.greater(0.0), |x| Ok(x + 1.0), x.clone()));
    let x = Tensor::scalar(1.0_f32);
    for _ in 0..2 {
        let error = with_iteration_budget(100, || f.call(&x)).unwrap_err();
        assert!(error.message().ends_with("exceeded 100 iterations"), "{error}");
    }
    assert_eq!(f.call(Tensor::scalar(-1.0_f32)).unwrap().item::<f32>().unwrap(), -1.0);
}

#[test]
fn what_grows_is_run_op_by_op() {
    let f = Function::new(|x: &Tensor| {
        let body = |x: &Tensor| Tensor::concat(&[x.clone(), x.sum(..)?.reshape([1])?], 0);
        while_loop(|x: &Tensor| x.size_tensor()?.less(6.0), body, x.clone())
    });
    let y = f.call(Tensor::from([1.0_f32, 2.0])).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 6.0, 12.0, 24.0]);
}

#[test]
fn loops_of_many_threads_have_the_bits_of_one() {
    let f = Function::new(nested);
    let expected: Vec<Vec<u8>> =
        (0..4).map(|seed| f.call(wave(&[3, 3], f64::from(seed))).unwrap().to_bytes().unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (f, expected) = (f.clone(), &expected);
            scope.spawn(move || {
                for at in 0..20 {
                    let seed = (thread + at) % 4;
                    let y = f.call(wave(&[3, 3], seed as f64)).unwrap();
                    assert_eq!(y.to_bytes().unwrap(), expected[seed]);
                }
            });
        }
    });
}
