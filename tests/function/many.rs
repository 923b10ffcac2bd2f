//! Many calls at once, and many nodes.

use crate::ops::{allocations, bytes_asked};
use modulor::graph::trace;
use modulor::keras::library::{Conv2D, MaxPooling2D, Padding};
use modulor::prelude::*;
use std::sync::Arc;

#[test]
fn calls_from_many_threads_have_the_bits_of_one() {
    let w = Variable::new(Tensor::new([16, 16], (0..256).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>()).unwrap());
    let f = {
        let w = w.clone();
        Function::new(move |x: &Tensor| x.matmul(&w)?.tanh()?.matmul(&w)?.sum(-1))
    };
    let input =
        |seed: usize| Tensor::new([8, 16], (0..128).map(|i| ((i * seed) as f32).cos()).collect::<Vec<_>>()).unwrap();
    let expected: Vec<Vec<u8>> = (0..6).map(|seed| f.call(input(seed)).unwrap().to_bytes().unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (f, expected) = (f.clone(), &expected);
            scope.spawn(move || {
                for at in 0..50 {
                    let seed = (thread + at) % 6;
                    assert_eq!(f.call(input(seed)).unwrap().to_bytes().unwrap(), expected[seed]);
                }
            });
        }
    });
    assert_eq!(f.traces().len(), 1);
}

#[test]
fn steps_of_many_threads_are_each_whole() {
    let (v, w) = (Variable::new(0_i64), Variable::new(0_i64));
    let f = {
        let (v, w) = (v.clone(), w.clone());
        Function::new(move |x: &Tensor| {
            let next = v.read()?.add(x)?;
            v.assign(&next)?;
            w.assign(&next.mul(2.0)?)?;
            Ok(next)
        })
    };
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..200).for_each(|_| drop(f.call(Tensor::scalar(1_i64)).unwrap())));
        }
        let (both, ended) = ([v.clone(), w.clone()], done.clone());
        let reader = scope.spawn(move || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let seen = modulor::variable::snapshot(&both).unwrap();
                assert_eq!(2 * seen[0].item::<i64>().unwrap(), seen[1].item::<i64>().unwrap());
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(30));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert!(v.value().unwrap().item::<i64>().unwrap() >= 200);
}

#[test]
fn a_profile_names_what_was_run() {
    let w = Variable::new(Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]));
    let f = Function::new(move |x: &Tensor| x.matmul(&w)?.add(Tensor::from([1.0_f32, 2.0]))?.relu()?.sum(-1));
    let x = Tensor::from([[1.0_f32, 1.0]]);
    f.call(&x).unwrap();
    let (y, profile) = modulor::op::profiled(|| f.call(&x));
    assert_eq!(y.unwrap().to_vec::<f32>().unwrap(), [13.0]);
    let names: Vec<&str> = profile.events().iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["MatMul, BiasAdd, Relu", "Sum"]);
    let trace: serde_json::Value = serde_json::from_str(&profile.chrome_trace()).unwrap();
    let event = &trace["traceEvents"][1];
    assert_eq!((&event["name"], &event["ph"], &event["args"]["path"]), (&"Sum".into(), &"X".into(), &"".into()));
    assert!(event["ts"].as_f64() >= trace["traceEvents"][0]["dur"].as_f64() && event["dur"].as_f64() >= Some(0.0));
    let table = profile.to_string();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = table.lines().map(columns).collect();
    assert_eq!(lines[0], ["op", "calls", "µs", "%"], "{table}");
    let of = |name: &str| lines.iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("{name} in {table}"));
    assert_eq!((&*of("Sum")[1], &*of("all")[1], &*of("all")[3]), ("1", "2", "100.0"), "{table}");
    let rows = profile.rows();
    assert!(rows[0].time >= rows[1].time && rows[0].time + rows[1].time <= profile.time());
    let (_, eager) = modulor::op::profiled(|| x.relu().unwrap().sum(-1));
    assert_eq!(eager.events().iter().map(|event| &*event.name).collect::<Vec<_>>(), ["Relu", "Sum"]);
}

#[test]
fn the_passes_leave_what_is_needed() {
    // Two equal chains are one, and one pass; a value that is given back, too, is no part of it.
    let f = Function::new(|x: &Tensor| {
        let chain = |x: &Tensor| x.mul(2.0)?.add(1.0)?.tanh();
        let once = chain(x)?;
        Ok((once.add(&chain(x)?)?, x.greater(0.0)?.select(x, &x.exp()?)?))
    });
    let x = Tensor::from([-1.0_f32, 0.5, 2.0]);
    f.call(&x).unwrap();
    let (result, profile) = modulor::op::profiled(|| f.call(&x));
    let (sum, chosen) = result.unwrap();
    let names: Vec<&str> = profile.events().iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["elementwise(Mul, AddV2, Tanh, AddV2)", "elementwise(Greater, Exp, SelectV2)"]);
    let chain = x.mul(2.0).unwrap().add(1.0).unwrap().tanh().unwrap();
    assert_eq!(sum.to_bytes().unwrap(), chain.add(&chain).unwrap().to_bytes().unwrap());
    let expected = x.greater(0.0).unwrap().select(&x, &x.exp().unwrap()).unwrap();
    assert_eq!(chosen.to_bytes().unwrap(), expected.to_bytes().unwrap());
    let graph = trace(|x| Ok(vec![x[0].gelu(true)?]), &[Spec::new(DType::F32, [3])]).unwrap();
    assert_eq!(graph.op_names().collect::<Vec<_>>(), ["Placeholder", "gelu"]);
}

#[test]
fn what_treats_each_sample_by_itself_runs_on_some_at_a_time() {
    // 4 MB lie between the ops; the last samples are fewer than the others.
    let count = 53;
    let x = Tensor::new([count, 20, 20, 3], (0..count * 1200).map(|i| (i as f32 * 1.37).sin()).collect::<Vec<_>>())
        .unwrap();
    let first = Conv2D::new(48, 3).activation("relu").padding(Padding::Same);
    let (second, pool) = (Conv2D::new(24, 3).strides(2), MaxPooling2D::new());
    let run = move |x: &Tensor| pool.call(&second.call(&first.call(x)?)?);
    let eager = run(&x).unwrap();
    let function = modulor::Function::new(run);
    // Channels that lie apart, too.
    let turned = Tensor::from(x.permute([3, 0, 1, 2]).unwrap().to_vec::<f32>().unwrap())
        .reshape([3, 53, 20, 20])
        .unwrap()
        .permute([1, 2, 3, 0])
        .unwrap();
    for x in [&x, &turned, &x] {
        assert_eq!(function.call(x).unwrap().to_vec::<f32>().unwrap(), eager.to_vec::<f32>().unwrap());
    }
    let (_, profile) = modulor::op::profiled(|| function.call(&x));
    assert!(profile.to_string().contains("Conv2D, BiasAdd, Relu → Conv2D, BiasAdd → MaxPool"), "{profile}");
    assert_eq!(allocations(|| drop(function.call(&x).unwrap())).1, 0);
}

#[test]
fn what_treats_each_sample_by_itself_does_so_on_the_way_back() {
    let count = 64;
    let x = Tensor::new([count, 20, 20, 3], (0..count * 1200).map(|i| (i as f32 * 1.37).sin()).collect::<Vec<_>>());
    let (x, filters) = (x.unwrap(), Arc::new(Conv2D::new(48, 3).activation("relu").padding(Padding::Same)));
    let _: Tensor = filters.call(&x).unwrap();
    let gradient = move |x: &Tensor| {
        let tape = GradientTape::new();
        let y = tape.record(|| MaxPooling2D::new().call(&filters.call(x)?)?.square()?.sum(..))?;
        tape.gradient(&y, &filters.variables()[0])
    };
    let eager = gradient(&x).unwrap();
    let function = modulor::Function::new(gradient);
    for _ in 0..2 {
        assert_eq!(function.call(&x).unwrap().to_vec::<f32>().unwrap(), eager.to_vec::<f32>().unwrap());
    }
    let (_, profile) = modulor::op::profiled(|| function.call(&x));
    assert!(profile.to_string().contains("MaxPoolGrad → ReluGrad"), "{profile}");
}

#[test]
fn steps_of_many_inputs_and_outputs_allocate_nothing() {
    let x = Tensor::new([3, 40], (0..120).map(|i| (i as f32).sin()).collect::<Vec<_>>()).unwrap();
    let body = |x: &Tensor| {
        let mut parts = x.split(40, 1)?;
        let sum = Tensor::add_n(&parts)?;
        parts.reverse();
        Tensor::concat(&parts, 1)?.add(sum)?.mul(Tensor::stack(&parts, 1)?.sum(-1)?)
    };
    let function = Function::new(body);
    let eager = body(&x).unwrap();
    for _ in 0..2 {
        assert_eq!(function.call(&x).unwrap().to_bytes().unwrap(), eager.to_bytes().unwrap());
    }
    let (_, profile) = modulor::op::profiled(|| function.call(&x));
    assert!(profile.to_string().contains("Split"), "{profile}");
    assert_eq!(allocations(|| drop(function.call(&x).unwrap())).1, 0);
}

#[test]
fn plans_of_one_thread_have_their_buffers_in_common() {
    let w = Variable::new(Tensor::ones([256, 1024], DType::F32).unwrap());
    // The gradient of the weights is as large whatever the batch, a megabyte; what lies between the products is not.
    let f = Function::new(move |x: &Tensor| {
        let tape = GradientTape::new();
        let loss = tape.record(|| x.matmul(&w)?.tanh()?.square()?.sum(..))?;
        tape.gradient(&loss, &w)?.sum(..)
    });
    let batch = |rows: usize| Tensor::ones([rows, 256], DType::F32).unwrap();
    let (large, small) = (batch(300), batch(200));
    let (first, asked) = bytes_asked(|| f.call(&large).unwrap());
    assert!(asked > 2 << 20, "{asked} bytes");
    let (result, asked) = bytes_asked(|| f.call(&small).unwrap());
    assert!(asked < 1 << 20, "{asked} bytes");
    // What one takes from the other comes back; the second time each packs the weights.
    for round in 0..3 {
        let (again, asked) = bytes_asked(|| [f.call(&large).unwrap(), f.call(&small).unwrap()]);
        assert!(round == 0 || asked < 64 << 10, "{asked} bytes");
        for (again, result) in again.iter().zip([&first, &result]) {
            assert_eq!(again.to_bytes().unwrap(), result.to_bytes().unwrap());
        }
    }
    // Another thread takes nothing from this one.
    f.call(&large).unwrap();
    let other = Function::new(|x: &Tensor| x.matmul(&x.transpose()?)?.tanh()?.sum(..));
    std::thread::scope(|scope| {
        scope.spawn(|| other.call(batch(500)).unwrap());
    });
    assert_eq!(allocations(|| drop(f.call(&large).unwrap())).1, 0);
}
