//! Many threads and one model: whole steps, one build, equal bits.

use modulor::prelude::*;
use modulor::{scope::Scopes, variable::commit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

#[derive(Module)]
struct Dense {
    #[config]
    units: usize,
    #[variable(shape = [input[-1], units], init = GlorotUniform::default())]
    kernel: Variable,
    #[variable(shape = [units], init = Zeros)]
    bias: Variable,
}

impl Layer for Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.kernel)? + &self.bias)
    }
}

#[derive(Module)]
struct Mlp {
    hidden: Dense,
    out: Dense,
}

impl Layer for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.out.call(&self.hidden.call(x)?.tanh()?)
    }
}

fn mlp() -> Mlp {
    Mlp { hidden: Dense::new(16), out: Dense::new(4) }
}

fn inputs() -> Tensor {
    let elements: Vec<f32> = (0..8 * 6).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::new([8, 6], elements).expect("8 x 6")
}

/// Every element of every variable becomes `n`.
fn all(model: &Mlp, n: f32) -> Vec<(Variable, Tensor)> {
    let filled = |v: &Variable| Tensor::fill(v.shape().expect("built"), &Tensor::scalar(n)).expect("a float");
    model.variables().into_iter().map(|v| (v.clone(), filled(&v))).collect()
}

#[test]
fn inference_beside_assignments_sees_each_of_them_whole() {
    const READERS: usize = 64;
    const ASSIGNMENTS: usize = 60;
    let model = mlp();
    let x = inputs();
    model.call(&x).expect("it builds");
    // What the model gives after each whole assignment.
    let results: Vec<Vec<f32>> = (0..ASSIGNMENTS)
        .map(|n| {
            commit(all(&model, n as f32 / 64.0)).expect("shapes fit");
            model.call(&x).and_then(|y| y.to_vec()).expect("it runs")
        })
        .collect();
    let (reading, torn) = (AtomicUsize::new(READERS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                for _ in 0..30 {
                    let y: Vec<f32> = model.call(&x).and_then(|y| y.to_vec()).expect("it runs");
                    torn.fetch_add(usize::from(!results.contains(&y)), Ordering::Relaxed);
                }
                reading.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for n in (0..ASSIGNMENTS).cycle() {
            if reading.load(Ordering::Relaxed) == 0 {
                break;
            }
            commit(all(&model, n as f32 / 64.0)).expect("shapes fit");
        }
    });
    assert_eq!(torn.load(Ordering::Relaxed), 0);
}

#[test]
fn a_variable_that_is_added_to_in_place_is_read_whole_and_what_is_held_stays() {
    const READERS: usize = 64;
    const WRITERS: usize = 2;
    let [rows, columns] = [32, 64];
    let variable = Variable::new(Tensor::zeros([rows, columns], DType::F32).expect("floats"));
    let one = Tensor::ones([rows, columns], DType::F32).expect("floats");
    let (reading, added) = (AtomicUsize::new(READERS), AtomicUsize::new(0));
    // One number, whole, in all elements.
    let number = |value: &Tensor| -> f32 {
        let elements: Vec<f32> = value.to_vec().expect("floats");
        assert!(elements.iter().all(|&x| x == elements[0]), "torn: {} and another", elements[0]);
        elements[0]
    };
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut last = 0.0;
                for _ in 0..40 {
                    let held = variable.value().expect("valued");
                    let now = number(&held);
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                    thread::yield_now();
                    assert_eq!(number(&held), now, "what is held does not move");
                }
                reading.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while reading.load(Ordering::Relaxed) > 0 {
                    variable.assign_add(&one).expect("it fits");
                    added.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(number(&variable.value().expect("valued")), added.load(Ordering::Relaxed) as f32);
    assert_eq!(variable.version(), added.load(Ordering::Relaxed) as u64);
}

#[test]
fn a_lazy_build_that_threads_race_for_happens_once() {
    let x = inputs();
    for round in 0..1000 {
        let model = mlp();
        let start = Barrier::new(8);
        let results: Vec<Vec<f32>> = thread::scope(|scope| {
            let race = || {
                start.wait();
                model.call(&x).and_then(|y| y.to_vec::<f32>()).expect("it builds")
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).collect()
        });
        assert!(results.iter().all(|y| *y == results[0]), "round {round}");
        assert_eq!(model.count_params(), 6 * 16 + 16 + 16 * 4 + 4);
        let serial: Vec<f32> = model.call(&x).and_then(|y| y.to_vec()).expect("built");
        assert_eq!(serial, results[0], "round {round}");
    }
}

/// The bits of all variables, as one number.
fn fingerprint(model: &Mlp) -> u64 {
    let bytes = model.weights().into_iter().flat_map(|v| v.value().and_then(|t| t.to_bytes()).expect("plain"));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A model whose variables start from the same seeds every time: its path is given, whatever was called before.
fn seeded() -> Mlp {
    let model = mlp();
    modulor::module::name::stamp(&model, "seeded");
    model
}

/// The fingerprint after some steps of gradient descent.
fn trained(steps: usize) -> u64 {
    let model = seeded();
    let x = inputs();
    let target = Tensor::new([8, 4], (0..32).map(|i| (i as f32 * 0.71).cos()).collect::<Vec<f32>>()).expect("8 x 4");
    model.call(&x).expect("it builds");
    for _ in 0..steps {
        let tape = GradientTape::new();
        let loss = tape.record(|| model.call(&x)?.squared_difference(&target)?.mean(..)).expect("it runs");
        let variables = model.trainable_variables();
        let gradients = tape.gradients(&loss, &variables).expect("it is differentiable");
        let stepped = variables.iter().zip(gradients).map(|(v, gradient)| {
            let gradient = gradient.expect("every variable counts");
            Ok((v.clone(), v.value()? - gradient * 0.1))
        });
        commit(stepped.collect::<Result<Vec<_>>>().expect("values")).expect("shapes fit");
    }
    fingerprint(&model)
}

/// What every machine and every build gives: the test runs in debug and in release.
const BEGINNING: u64 = 14_914_631_351_161_581_124;
/// Likewise, by fused multiply-add and by portable code.
const AFTER_20_STEPS: [u64; 2] = [7_562_404_697_447_422_909, 9_122_181_792_053_405_940];

/// Which of the two this machine gives, or is asked for.
fn tier() -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::env::var("MODULOR_INSTRUCTION_SET").as_deref() != Ok("portable")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
    {
        return 0;
    }
    1
}

#[test]
fn the_same_seed_gives_the_same_bits_in_every_build_and_on_every_thread() {
    let after = AFTER_20_STEPS[tier()];
    assert_eq!([trained(0), trained(20)], [BEGINNING, after]);
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| trained(20))).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), after);
    }
}

#[test]
fn a_panic_in_one_caller_leaves_the_others_working() {
    #[derive(Module)]
    struct Panics {
        dense: Dense,
    }
    impl Layer for Panics {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            let y = self.dense.call(x)?;
            assert!(x.dims()?[0] != 1, "on purpose");
            Ok(y)
        }
    }
    let model = Arc::new(Panics { dense: Dense::new(2) });
    let x = inputs();
    model.call(&x).expect("it builds");
    let one = Tensor::from([[0.0_f32; 6]]);
    let other = model.clone();
    assert!(thread::spawn(move || other.call(&one)).join().is_err());
    model.call(&x).expect("nothing is poisoned");
    commit(model.variables().into_iter().map(|v| (v.clone(), v.value().expect("valued"))))
        .expect("nothing is poisoned");
}

#[test]
fn scopes_go_to_another_thread_only_when_they_are_carried() {
    let w = Variable::new(3.0);
    let tape = GradientTape::persistent();
    let [left, carried] = tape.record(|| {
        let scopes = Scopes::current();
        let left = thread::scope(|scope| scope.spawn(|| w.read().and_then(|w| w.square())).join().expect("no panic"));
        let carried = thread::scope(|scope| {
            scope.spawn(|| scopes.enter(|| w.read().and_then(|w| w.square()))).join().expect("no panic")
        });
        [left.expect("it runs"), carried.expect("it runs")]
    });
    assert_eq!(tape.gradient(&carried, &w).expect("recorded").item::<f32>().expect("one"), 6.0);
    let error = tape.gradient(&left, &w).unwrap_err();
    assert!(error.message().contains("another thread"), "losing a tape is said, not silent: {error}");
}

/// Calls its layer on another thread, to which it carries the scopes.
#[derive(Module)]
struct Across {
    below: Dense,
}

impl Layer for Across {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let scopes = Scopes::current();
        thread::scope(|scope| scope.spawn(|| scopes.enter(|| self.below.call(x))).join().expect("no panic"))
    }
}

#[test]
fn a_call_on_a_thread_that_carries_the_scopes_is_within_the_call_there() {
    let model = Across { below: Dense::new(2) };
    model.call(inputs()).expect("it builds");
    let line = line!() + 1;
    let error = model.call(Tensor::from([[1.0_f32]])).expect_err("built for 6");
    assert_eq!(error.path(), ["across", "below"], "the holder knows the name");
    let note = format!("an input of shape (1, 1) at {}:{line}:", file!());
    assert!(error.to_string().contains(&note), "the outermost call is the one in this file: {error}");
    let trace = |x: &[Tensor]| Ok(vec![model.call(&x[0])?]);
    let graph = modulor::graph::trace(trace, &[modulor::Spec::new(DType::F32, [8, 6])]).expect("it traces").to_string();
    assert!(graph.contains("across/below") && !graph.contains("dense"), "{graph}");
}

#[test]
fn handles_and_models_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Tensor>();
    check::<Variable>();
    check::<GradientTape>();
    check::<Mlp>();
    check::<Box<dyn Layer>>();
    check::<modulor::graph::Graph>();
    check::<Error>();
}

/// What makes several tensors of one, by the parts along its first axis.
type Ways<'a> = &'a [(&'a str, &'a dyn Fn(&Tensor) -> Result<Vec<Tensor>>)];

/// Each is what it makes of every part alone, and the same bits by any number of threads.
fn check_parts(x: &Tensor, ways: Ways) {
    let bits = |made: Result<Vec<Tensor>>, name: &str| -> Vec<Vec<u8>> {
        let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
        made.iter().map(|y| y.to_bytes().expect("plain")).collect()
    };
    let parts = x.dims().expect("known")[0] as i64;
    for (name, make) in ways {
        let mut alone: Vec<Vec<u8>> = Vec::new();
        for part in 0..parts {
            let made = bits(x.slice(part..part + 1).and_then(|x| make(&x)), name);
            alone.resize(made.len(), Vec::new());
            alone.iter_mut().zip(made).for_each(|(all, part)| all.extend(part));
        }
        for threads in [1, 2, 3, 4, 8] {
            modulor::set_num_threads(threads);
            let found = bits(make(x), name);
            modulor::set_num_threads(0);
            assert!(found == alone, "{name}: {threads} threads");
        }
    }
}

/// Numbers from `low` to below `low + 1`.
fn drawn<const N: usize>(dims: [i64; N], low: f64) -> Tensor {
    let numbers = Tensor::stateless_uniform(&Tensor::from(dims), &Tensor::from([7, 1]), DType::F64);
    numbers.and_then(|x| x.add(low)).expect("floats")
}

#[test]
fn special_functions_of_many_numbers_are_those_of_each() {
    check_parts(
        &drawn([3, 1511], 0.0),
        &[
            ("erfinv", &|x| Ok(vec![x.erfinv()?])),
            ("ndtri", &|x| Ok(vec![x.ndtri()?])),
            ("digamma", &|x| Ok(vec![x.digamma()?])),
            ("bessel_i0e", &|x| Ok(vec![x.bessel_i0e()?])),
            ("igamma", &|x| Ok(vec![(x + 0.5).igamma(x)?, x.igammac(0.75)?])),
            ("zeta", &|x| Ok(vec![(x + 1.5).zeta(x + 1.0)?])),
            ("polygamma", &|x| Ok(vec![x.ones_like()?.polygamma(x)?])),
            ("betainc", &|x| Ok(vec![(x + 0.5).betainc(x + 1.0, x)?])),
        ],
    );
}

#[test]
fn matrices_of_a_batch_are_those_of_each() {
    let right = |x: &Tensor| x.slice((modulor::Ellipsis, ..3)).and_then(|right| right.cos());
    for [count, rows] in [[9, 24], [40, 3], [3, 64], [2, 97], [3, 1]] {
        let x = drawn([count, rows, rows], -0.5);
        let symmetric = |x: &Tensor| x.matmul_with(x, false, true)?.add(x.ones_like()?.band_part(0, 0)?);
        let few = |x: &Tensor| x.slice((modulor::Ellipsis, ..(rows + 1) / 2));
        check_parts(
            &x,
            &[
                ("cholesky", &|x| Ok(vec![symmetric(x)?.cholesky()?])),
                ("inverse", &|x| Ok(vec![x.inverse()?])),
                ("solve", &|x| Ok(vec![x.solve(&right(x)?, false)?, x.solve(&right(x)?, true)?])),
                ("determinants", &|x| Ok(vec![x.determinant()?, x.log_determinant()?.0, x.log_determinant()?.1])),
                ("lu", &|x| x.lu(DType::I32).map(|(lu, rows)| vec![lu, rows])),
                ("triangles", &|x| Ok(vec![symmetric(x)?.triangular_solve(&right(x)?, true, false)?])),
                ("qr", &|x| few(x)?.qr(true).map(|(q, r)| vec![q, r])),
            ],
        );
        // Rotations of large matrices take long.
        if rows <= 24 {
            check_parts(
                &x,
                &[
                    ("svd", &|x| few(x)?.svd(true).map(|(s, u, v)| vec![s, u, v])),
                    ("eigh", &|x| symmetric(x)?.eigh().map(|(values, vectors)| vec![values, vectors])),
                ],
            );
        }
    }
}

#[test]
fn losses_of_many_sequences_are_those_of_each() {
    let lengths = |x: &Tensor, length: i32| Tensor::fill([x.dims()?[0]], &Tensor::scalar(length));
    let loss = |x: &Tensor| {
        let labels = (x.slice((.., ..6, 0))? * 6.0).floor()?.add(1.0)?.cast(DType::I32)?;
        x.ctc_loss(&labels, &lengths(x, 6)?, &lengths(x, 29)?, 0)
    };
    let gradient = |x: &Tensor| {
        let tape = GradientTape::new();
        tape.watch(x);
        let loss = tape.record(|| loss(x))?;
        tape.gradient(&loss, x)
    };
    check_parts(
        &drawn([12, 30, 8], 0.0),
        &[("loss", &|x| Ok(vec![loss(x)?])), ("gradient", &|x| Ok(vec![gradient(x)?]))],
    );
}

#[test]
fn extremes_of_wide_segments_are_those_of_each_column() {
    let ids: Vec<i32> = (0..700).map(|row| row * 37 % 50 - 1).collect();
    let sorted: Vec<i32> = (0..700).map(|row| row / 30).collect();
    let (ids, sorted) = (Tensor::from(ids), Tensor::from(sorted));
    let columns =
        |f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor| Ok(vec![f(&x.permute([1, 0])?)?.permute([1, 0])?]);
    check_parts(
        &drawn([67, 700], 0.5),
        &[
            ("segment_max", &|x| columns(&|x| x.segment_max(&ids, 50), x)),
            ("segment_min", &|x| columns(&|x| x.segment_min(&ids, 50), x)),
            ("segment_prod", &|x| columns(&|x| x.segment_prod(&ids, 53), x)),
            ("segment_sum", &|x| columns(&|x| x.segment_sum(&ids, 50), x)),
            ("sorted_segment_max", &|x| columns(&|x| x.sorted_segment_max(&sorted), x)),
            ("sorted_segment_prod", &|x| columns(&|x| x.sorted_segment_prod(&sorted), x)),
            ("scatter_max", &|x| columns(&|x| x.scatter_max(&sorted.expand_dims(-1)?, &x.mul(2.0)?), x)),
        ],
    );
}

#[test]
fn transforms_of_many_rows_are_those_of_each() {
    let joined = |x: &Tensor| Tensor::complex(x, &x.cos()?);
    let apart = |y: Tensor| Ok(vec![y.real()?, y.imag()?]);
    for dims in [[40, 4, 96], [9, 31, 67], [3, 128, 50], [70, 1, 1025], [2, 300, 3]] {
        let drawn = drawn(dims, -0.5);
        for x in [&drawn, &drawn.cast(DType::F32).expect("floats")] {
            let last = dims[2] as usize;
            check_parts(
                x,
                &[
                    ("fft", &|x| apart(joined(x)?.fft(1)?)),
                    ("fft of two axes", &|x| apart(joined(x)?.fft(2)?)),
                    ("ifft of two axes", &|x| apart(joined(x)?.ifft(2)?)),
                    ("rfft", &|x| apart(x.rfft(&[last])?)),
                    ("rfft of two axes", &|x| apart(x.rfft(&[dims[1] as usize, last])?)),
                    ("irfft of two axes", &|x| Ok(vec![joined(x)?.irfft(&[dims[1] as usize, 2 * last - 1])?])),
                ],
            );
        }
    }
}
