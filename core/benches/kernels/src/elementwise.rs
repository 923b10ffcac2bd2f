//! The elementwise kernels beside short loops that give up accuracy and range for speed, and beside libm's functions, in
//! interleaved rounds.

mod loops;

use std::cell::RefCell;
use std::time::Instant;

use modulor_kernels::{
    Binary, Compare, Expression, Float, Fold, InstructionSet, Number, Output, Source, Step, Strided, Unary, cast,
    select, set_num_threads, with_instruction_set,
};

const ROUNDS: usize = 31;
const COLUMNS: usize = 1000;

type Run = Box<dyn Fn(&[f32], &mut [f32])>;

fn slice<T>(x: &[T], f: impl FnOnce(Strided<T>)) {
    f(Strided::new(x, &[x.len()], &[1], 0).expect("contiguous"));
}

fn unary(op: Unary) -> Run {
    Box::new(move |x, out| slice(x, |x| f32::unary(op, x, out).expect("floats take everything")))
}

fn binary(op: Binary) -> Run {
    Box::new(move |x, out| slice(x, |x| f32::binary(op, x, x, out).expect("floats take everything")))
}

fn each(f: fn(f32) -> f32) -> Run {
    Box::new(move |x, out| out.iter_mut().zip(x).for_each(|(out, &x)| *out = f(x)))
}

fn fold(op: Fold, last: bool) -> Run {
    Box::new(move |x, out| {
        let shape = [x.len() / COLUMNS, COLUMNS];
        let x = Strided::new(x, &shape, &[COLUMNS as isize, 1], 0).expect("contiguous");
        let outputs = if last { shape[0] } else { COLUMNS };
        f32::fold(op, x, &[!last, last], &mut out[..outputs]).expect("floats have it");
    })
}

fn compare(op: Compare) -> Run {
    let mask = RefCell::new(Vec::new());
    Box::new(move |x, _| {
        let mut mask = mask.borrow_mut();
        mask.resize(x.len(), 0);
        slice(x, |x| f32::compare(op, x, x, &mut mask).expect("floats have an order"));
    })
}

fn choice() -> Run {
    let mask: RefCell<Vec<u8>> = RefCell::new(Vec::new());
    Box::new(move |x, out| {
        let mut mask = mask.borrow_mut();
        (mask.len()..x.len()).for_each(|i| mask.push((i % 3 == 0).into()));
        slice(&mask[..x.len()], |mask| slice(x, |x| select(mask, x, x, out)));
    })
}

/// Elements of another type, made of small numbers, by a function of them.
fn of<T: Number>(f: fn(Strided<T>, &mut [T])) -> Run {
    let all: RefCell<[Vec<T>; 2]> = RefCell::default();
    Box::new(move |x, _| {
        let [own, out] = &mut *all.borrow_mut();
        if own.len() != x.len() {
            *own = vec![T::zeroed(); x.len()];
            *out = own.clone();
            slice(x, |x| cast(x, own));
        }
        slice(own, |own| f(own, out));
    })
}

fn converted<T: Number>() -> Run {
    let out: RefCell<Vec<T>> = RefCell::default();
    Box::new(move |x, _| {
        let mut out = out.borrow_mut();
        out.resize(x.len(), T::zeroed());
        slice(x, |x| cast(x, &mut out));
    })
}

/// What is measured: a name, the short loop, libm's, and ours.
fn cases() -> Vec<(&'static str, Option<loops::Loop>, Option<Run>, Run)> {
    vec![
        ("add", Some(loops::add), None, binary(Binary::Add)),
        ("mul", None, None, binary(Binary::Mul)),
        ("relu", Some(loops::relu), None, unary(Unary::Relu)),
        ("exp", Some(loops::exp), Some(each(libm::expf)), unary(Unary::Exp)),
        ("tanh", Some(loops::tanh), Some(each(libm::tanhf)), unary(Unary::Tanh)),
        ("gelu", Some(loops::gelu), None, unary(Unary::Gelu)),
        ("erf (beside gelu)", Some(loops::gelu), Some(each(libm::erff)), unary(Unary::Erf)),
        (
            "sigmoid",
            None,
            Some(each(|x| {
                let e = libm::expf(-x.abs());
                (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
            })),
            unary(Unary::Sigmoid),
        ),
        ("log", None, Some(each(libm::logf)), unary(Unary::Log)),
        ("log1p", None, Some(each(libm::log1pf)), unary(Unary::Log1p)),
        ("expm1", None, Some(each(libm::expm1f)), unary(Unary::Expm1)),
        ("softplus", None, Some(each(|x| x.max(0.0) + libm::log1pf(libm::expf(-x.abs())))), unary(Unary::Softplus)),
        ("sin", None, Some(each(libm::sinf)), unary(Unary::Sin)),
        ("cos", None, Some(each(libm::cosf)), unary(Unary::Cos)),
        ("tan", None, Some(each(libm::tanf)), unary(Unary::Tan)),
        ("sinh", None, Some(each(libm::sinhf)), unary(Unary::Sinh)),
        ("cosh", None, Some(each(libm::coshf)), unary(Unary::Cosh)),
        ("asin", None, Some(each(libm::asinf)), unary(Unary::Asin)),
        ("acos", None, Some(each(libm::acosf)), unary(Unary::Acos)),
        ("atan", None, Some(each(libm::atanf)), unary(Unary::Atan)),
        ("asinh", None, Some(each(libm::asinhf)), unary(Unary::Asinh)),
        ("acosh", None, Some(each(libm::acoshf)), unary(Unary::Acosh)),
        ("atanh", None, Some(each(libm::atanhf)), unary(Unary::Atanh)),
        ("erfc", None, Some(each(libm::erfcf)), unary(Unary::Erfc)),
        ("pow", None, Some(each(|x| libm::powf(x, x))), binary(Binary::Pow)),
        ("atan2", None, Some(each(|x| libm::atan2f(x, x))), binary(Binary::Atan2)),
        ("rsqrt", None, Some(each(|x| 1.0 / x.sqrt())), unary(Unary::Rsqrt)),
        (
            "softmax",
            Some(loops::softmax),
            Some(Box::new(|x, out| loops::softmax_by(x, out, libm::expf))),
            Box::new(|x, out| f32::softmax(x, COLUMNS, out, false)),
        ),
        ("log_softmax", None, None, Box::new(|x, out| f32::softmax(x, COLUMNS, out, true))),
        ("softmax of 10", None, None, Box::new(|x, out| f32::softmax(x, 10, out, false))),
        ("sum of rows", None, None, fold(Fold::Sum, true)),
        ("sum of columns", None, None, fold(Fold::Sum, false)),
        ("max of rows", None, None, fold(Fold::Max, true)),
        ("max of columns", None, None, fold(Fold::Max, false)),
        ("less", None, None, compare(Compare::Less)),
        ("select", None, None, choice()),
        ("f32 to f16", None, None, converted::<half::f16>()),
        ("f32 to bf16", None, None, converted::<half::bf16>()),
        ("f32 to i32", None, None, converted::<i32>()),
        ("f32 to i64", None, None, converted::<i64>()),
        ("f32 to u8", None, None, converted::<u8>()),
        ("add of i32", None, None, of::<i32>(|x, out| i32::binary(Binary::Add, x, x, out).expect("they add"))),
        ("max of i64", None, None, of::<i64>(|x, out| i64::binary(Binary::Maximum, x, x, out).expect("an order"))),
        ("abs of i8", None, None, of::<i8>(|x, out| i8::unary(Unary::Abs, x, out).expect("they have it"))),
        (
            "add of f16",
            None,
            None,
            of::<half::f16>(|x, out| half::f16::binary(Binary::Add, x, x, out).expect("they add")),
        ),
        (
            "tanh of bf16",
            None,
            None,
            of::<half::bf16>(|x, out| half::bf16::unary(Unary::Tanh, x, out).expect("a float")),
        ),
        ("sin of f64", None, None, of::<f64>(|x, out| f64::unary(Unary::Sin, x, out).expect("a float"))),
        ("cos of f64", None, None, of::<f64>(|x, out| f64::unary(Unary::Cos, x, out).expect("a float"))),
        ("erf of f64", None, None, of::<f64>(|x, out| f64::unary(Unary::Erf, x, out).expect("a float"))),
        ("erfc of f64", None, None, of::<f64>(|x, out| f64::unary(Unary::Erfc, x, out).expect("a float"))),
        ("pow of f64", None, None, of::<f64>(|x, out| f64::binary(Binary::Pow, x, x, out).expect("a float"))),
    ]
}

/// The time of one call, in nanoseconds: the least over rounds of all candidates one after the other.
fn fastest(candidates: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let calls: Vec<usize> = candidates
        .iter_mut()
        .map(|f| {
            f();
            let start = Instant::now();
            f();
            (400_000 / (start.elapsed().as_nanos() as usize).max(1)).clamp(1, 4000)
        })
        .collect();
    let mut times = vec![f64::INFINITY; candidates.len()];
    for _ in 0..ROUNDS {
        for ((f, &calls), time) in candidates.iter_mut().zip(&calls).zip(&mut times) {
            let start = Instant::now();
            (0..calls).for_each(|_| f());
            *time = time.min(start.elapsed().as_nanos() as f64 / calls as f64);
        }
    }
    times
}

/// tanh(x·a + b)·sigmoid(x) + x over `n` elements: as one expression, by step after step over memory, and as a
/// short loop of one thread.
fn chain(n: usize) {
    let x: Vec<f32> = (0..n).map(|i| ((i * 7919) % 10007) as f32 / 1000.0 - 5.0).collect();
    let steps = [
        Step::Binary(Binary::Mul, 0, 1),
        Step::Binary(Binary::Add, 3, 2),
        Step::Unary(Unary::Tanh, 4),
        Step::Unary(Unary::Sigmoid, 0),
        Step::Binary(Binary::Mul, 5, 6),
        Step::Binary(Binary::Add, 7, 0),
    ];
    let expression = Expression::<f32>::new(3, 0, &steps, &[8]).expect("three inputs and an output");
    let shape = [n];
    let [x, a, b] = [(&x[..], &[1]), (&[0.75], &[0]), (&[0.25], &[0])]
        .map(|(data, strides)| Strided::new(data, &shape, strides, 0).expect("in bounds"));
    let mut scratch = vec![0.0; expression.scratch()];
    let (mut fused, mut short, mut y, mut s) = (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for threads in [1, 2] {
        set_num_threads(threads);
        let times = fastest(&mut [
            &mut || {
                let (sources, out) = ([x, a, b].map(Source::View), &mut [Output::Values(&mut fused)]);
                f32::evaluate(&expression, &sources, &[], out, &mut scratch).expect("floats take everything");
            },
            &mut || {
                let all = "floats take everything";
                f32::binary(Binary::Mul, x, a, &mut y).expect(all);
                f32::binary_over(Binary::Add, &mut y, true, b).expect(all);
                f32::unary_over(Unary::Tanh, &mut y).expect(all);
                f32::unary(Unary::Sigmoid, x, &mut s).expect(all);
                slice(&s, |s| f32::binary_over(Binary::Mul, &mut y, true, s).expect(all));
                f32::binary_over(Binary::Add, &mut y, true, x).expect(all);
            },
            &mut || loops::chain(InstructionSet::ALL[0], x.data(), &mut short),
        ]);
        let rate = |time: f64| 2.0 * size_of::<f32>() as f64 * n as f64 / time;
        let [one, steps, short] = [times[0], times[1], times[2]].map(rate);
        println!(
            "{n:>7} tanh(ax + b) sigmoid(x) + x, {threads} threads: {one:.2} GB/s of x and the result ({:.2} of the short loop's \
             {short:.2} by one thread); step after step {steps:.2}",
            one / short
        );
    }
    assert!(fused == y, "one bit differs");
    set_num_threads(1);
}

/// Measures the functions whose names have `part` in them.
pub fn measure(part: &str) {
    set_num_threads(1);
    let sets: Vec<InstructionSet> = InstructionSet::ALL.into_iter().filter(|set| set.is_here()).collect();
    if "chain".contains(part) && InstructionSet::ALL[0].is_here() {
        chain(100_000);
        chain(4 << 20);
    }
    println!(
        "ns per element; {sets:?}, the short loop by the best two, libm's, and the ratios of the first to the last two"
    );
    for n in [10_000, 100_000] {
        let x: Vec<f32> = (0..n).map(|i| ((i * 7919) % 10007) as f32 / 1000.0 - 5.0).collect();
        for (name, short, libm, ours) in cases() {
            if !name.contains(part) {
                continue;
            }
            // All write the same place: how far apart input and output lie in a page costs or saves some percent.
            let out = RefCell::new(vec![0.0; n]);
            let mut runs: Vec<Box<dyn FnMut()>> = Vec::new();
            for &set in &sets {
                let (x, out, ours) = (&x, &out, &ours);
                runs.push(Box::new(move || with_instruction_set(set, || ours(x, &mut out.borrow_mut()))));
            }
            if let Some(short) = short {
                for &set in &sets[..sets.len().min(2)] {
                    let (x, out) = (&x, &out);
                    runs.push(Box::new(move || short(set, x, &mut out.borrow_mut())));
                }
            }
            if let Some(libm) = &libm {
                let (x, out) = (&x, &out);
                runs.push(Box::new(move || libm(x, &mut out.borrow_mut())));
            }
            let mut runs: Vec<&mut dyn FnMut()> = runs.iter_mut().map(|run| &mut **run as &mut dyn FnMut()).collect();
            let times: Vec<f64> = fastest(&mut runs).into_iter().map(|time| time / n as f64).collect();
            print!("{n:>7} {name:<18}");
            times.iter().take(sets.len()).for_each(|time| print!(" {time:7.3}"));
            let rest = &times[sets.len()..];
            let short_count = rest.len() - usize::from(libm.is_some());
            (0..2).for_each(|i| match rest[..short_count].get(i) {
                Some(time) => print!(" {time:7.3} ({:.2})", time / times[i]),
                None => print!("       -       "),
            });
            match &libm {
                Some(_) => println!(" {:7.3} ({:.1})", times[times.len() - 1], times[times.len() - 1] / times[0]),
                None => println!("       -"),
            }
        }
    }
}
