//! Expressions are their steps, one after the other over memory, bit for bit.

use std::sync::Mutex;

use half::{bf16, f16};
use modulor_kernels::{
    Binary, Compare, Expression, Fault, InstructionSet, InvalidExpression, Logical, Number, Output, Register, Source,
    Step, Strided, Test, Unary, cast, logical, not, select, set_num_threads, with_instruction_set,
};
use num_complex::Complex;

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

/// Numbers without order.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn numbers<T: Number>(&mut self, n: usize) -> Vec<T> {
        let wide: Vec<f64> = (0..n).map(|_| self.below(2001) as f64 / 125.0 - 8.0).collect();
        let mut own = vec![T::zeroed(); n];
        cast(dense(&wide, &[n]), &mut own);
        own
    }

    fn masks(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(2) as u8).collect()
    }
}

fn dense<'a, T>(x: &'a [T], shape: &'a [usize; 1]) -> Strided<'a, T> {
    Strided::new(x, shape, &[1], 0).expect("contiguous")
}

/// A register's elements.
#[derive(Clone)]
enum Held<T> {
    Values(Vec<T>),
    Mask(Vec<u8>),
}

impl<T: Number> Held<T> {
    fn values(&self) -> &[T] {
        match self {
            Held::Values(x) => x,
            Held::Mask(_) => panic!("a mask is no value"),
        }
    }

    fn mask(&self) -> &[u8] {
        match self {
            Held::Mask(x) => x,
            Held::Values(_) => panic!("a value is no mask"),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Held::Values(x) => bytemuck::cast_slice(x),
            Held::Mask(x) => x,
        }
    }
}

/// One step over memory.
fn eager<T: Number>(step: Step, held: &[Held<T>], n: usize) -> Result<Held<T>, Fault> {
    let shape = &[n];
    let value = |register: Register| dense(held[usize::from(register)].values(), shape);
    let truth = |register: Register| dense(held[usize::from(register)].mask(), shape);
    let (mut values, mut mask) = (vec![T::zeroed(); n], vec![7; n]);
    match step {
        Step::Unary(op, x) => T::unary(op, value(x), &mut values)?,
        Step::Binary(op, a, b) => T::binary(op, value(a), value(b), &mut values)?,
        Step::Compare(op, a, b) => T::compare(op, value(a), value(b), &mut mask)?,
        Step::Test(op, x) => T::test(op, value(x), &mut mask)?,
        Step::Logical(op, a, b) => logical(op, truth(a), truth(b), &mut mask),
        Step::Not(x) => not(truth(x), &mut mask),
        Step::Select(cond, a, b) => select(truth(cond), value(a), value(b), &mut values),
    }
    Ok(match step {
        Step::Unary(..) | Step::Binary(..) | Step::Select(..) => Held::Values(values),
        _ => Held::Mask(mask),
    })
}

/// The ops that a type takes, of some that differ in cost and in what they do.
fn ops<T: Number>() -> (Vec<Unary>, Vec<Binary>, Vec<Compare>, Vec<Test>) {
    let none = dense::<T>(&[], &[0]);
    let mut unary = vec![
        Unary::Neg,
        Unary::Abs,
        Unary::Square,
        Unary::Relu,
        Unary::Tanh,
        Unary::Exp,
        Unary::Sigmoid,
        Unary::Erf,
        Unary::Sin,
        Unary::Reciprocal,
        Unary::LeakyRelu(0.25),
        Unary::Sign,
        Unary::Rint,
    ];
    unary.retain(|&op| T::unary(op, none, &mut []).is_ok());
    let mut binary = vec![
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Maximum,
        Binary::SquaredDifference,
        Binary::DivNoNan,
        Binary::TanhGrad,
        Binary::Atan2,
        Binary::LeakyReluGrad(0.5),
        Binary::Minimum,
    ];
    binary.retain(|&op| T::binary(op, none, none, &mut []).is_ok());
    let mut compare = vec![Compare::Equal, Compare::NotEqual, Compare::Less, Compare::GreaterEqual];
    compare.retain(|&op| T::compare(op, none, none, &mut []).is_ok());
    let mut test = vec![Test::IsNan, Test::IsInf, Test::IsFinite];
    test.retain(|&op| T::test(op, none, &mut []).is_ok());
    (unary, binary, compare, test)
}

/// The view that an input is read through: as it is, backwards, every third, one for all, turned.
#[derive(Clone, Copy)]
enum Way {
    Dense,
    Backwards,
    Apart,
    Constant,
    Turned,
}

/// What is stored for an input, its strides and offset, and its elements in row-major order.
type Stored<U> = (Vec<U>, [isize; 2], usize, Vec<U>);

fn store<U: bytemuck::Pod>(x: Vec<U>, [rows, columns]: [usize; 2], way: Way) -> Stored<U> {
    let (r, c, n) = (rows as isize, columns as isize, x.len());
    match way {
        Way::Dense => (x.clone(), [c, 1], 0, x),
        Way::Backwards => (x.iter().rev().copied().collect(), [-c, -1], n.saturating_sub(1), x),
        Way::Apart => (x.iter().flat_map(|&x| [x; 3]).collect(), [3 * c, 3], usize::from(n > 0), x),
        Way::Constant => {
            let one = x.first().copied().unwrap_or(U::zeroed());
            (vec![one], [0, 0], 0, vec![one; n])
        }
        Way::Turned => {
            let mut turned = x.clone();
            (0..n).for_each(|i| turned[i % columns * rows + i / columns] = x[i]);
            (turned, [1, r], 0, x)
        }
    }
}

/// Random expressions over all sizes, layouts and ways to overwrite an input.
fn check<T: Number>(seed: u64) {
    let (unary, binary, compare, test) = ops::<T>();
    let mut random = Random(seed);
    let ways = [Way::Dense, Way::Dense, Way::Backwards, Way::Apart, Way::Constant, Way::Turned];
    // Around lanes and tiles of all types, and nothing.
    for [rows, columns] in [[0, 3], [1, 1], [1, 17], [3, 5], [23, 89], [2, 1025], [1, 4097], [3, 2731], [5, 3300]] {
        let n = rows * columns;
        for _ in 0..4 {
            let (value_count, mask_count) = (1 + random.below(3), random.below(3));
            let mut values: Vec<Stored<T>> = (0..value_count)
                .map(|_| store(random.numbers(n), [rows, columns], ways[random.below(ways.len())]))
                .collect();
            let masks: Vec<Stored<u8>> = (0..mask_count)
                .map(|_| store(random.masks(n), [rows, columns], ways[random.below(ways.len())]))
                .collect();
            let mut kinds: Vec<bool> = (0..value_count + mask_count).map(|i| i >= value_count).collect();
            let mut steps = Vec::new();
            for _ in 0..1 + random.below(12) {
                let pick = |mask: bool, random: &mut Random| {
                    let of_kind: Vec<usize> = (0..kinds.len()).filter(|&i| kinds[i] == mask).collect();
                    (!of_kind.is_empty()).then(|| of_kind[random.below(of_kind.len())] as Register)
                };
                let (a, b) = (pick(false, &mut random).expect("a value"), pick(false, &mut random).expect("a value"));
                let (p, q) = (pick(true, &mut random), pick(true, &mut random));
                let op = if random.below(2) == 0 { Logical::And } else { Logical::Or };
                let step = match (random.below(8), p, q) {
                    (0, ..) if !test.is_empty() => Step::Test(test[random.below(test.len())], a),
                    (1, ..) => Step::Compare(compare[random.below(compare.len())], a, b),
                    (2, Some(p), Some(q)) => Step::Logical(op, p, q),
                    (3, Some(p), _) => Step::Not(p),
                    (4 | 5, Some(p), _) => Step::Select(p, a, b),
                    (6, ..) => Step::Unary(unary[random.below(unary.len())], a),
                    _ => Step::Binary(binary[random.below(binary.len())], a, b),
                };
                kinds.push(matches!(step, Step::Test(..) | Step::Compare(..) | Step::Logical(..) | Step::Not(_)));
                steps.push(step);
            }
            let first = value_count + mask_count;
            let mut outputs: Vec<Register> = vec![(kinds.len() - 1) as Register];
            for _ in 0..random.below(4) {
                let register = (first + random.below(steps.len())) as Register;
                if !outputs.contains(&register) {
                    outputs.push(register);
                }
            }
            // Perhaps an input lies in an output.
            let over = outputs.iter().position(|&output| !kinds[usize::from(output)]).filter(|_| random.below(2) == 0);
            if over.is_some() {
                values[0] = store(random.numbers(n), [rows, columns], Way::Dense);
            }
            let mut held: Vec<Held<T>> = values.iter().map(|x| Held::Values(x.3.clone())).collect();
            held.extend(masks.iter().map(|x| Held::Mask(x.3.clone())));
            for &step in &steps {
                held.push(eager(step, &held, n).expect("none of these faults"));
            }
            let expression = Expression::<T>::new(value_count, mask_count, &steps, &outputs).expect("it is one");
            let shape = [rows, columns];
            let mut sources: Vec<Source<T>> = values
                .iter()
                .map(|x| Source::View(Strided::new(&x.0, &shape, &x.1, x.2).expect("in bounds")))
                .collect();
            if let Some(output) = over {
                sources[0] = Source::Over(output);
            }
            let truths: Vec<Source<u8>> =
                masks.iter().map(|x| Source::View(Strided::new(&x.0, &shape, &x.1, x.2).expect("in bounds"))).collect();
            let garbage = random.numbers::<T>(1)[0];
            let mut found: Vec<Held<T>> = outputs
                .iter()
                .enumerate()
                .map(|(k, &output)| match kinds[usize::from(output)] {
                    true => Held::Mask(vec![9; n]),
                    false if over == Some(k) => Held::Values(values[0].3.clone()),
                    false => Held::Values(vec![garbage; n]),
                })
                .collect();
            let mut places: Vec<Output<T>> = found
                .iter_mut()
                .map(|held| match held {
                    Held::Values(x) => Output::Values(x),
                    Held::Mask(x) => Output::Mask(x),
                })
                .collect();
            let mut scratch = vec![garbage; expression.scratch()];
            T::evaluate(&expression, &sources, &truths, &mut places, &mut scratch).expect("none of these faults");
            for (&output, found) in outputs.iter().zip(&found) {
                let same = held[usize::from(output)].bytes() == found.bytes();
                assert!(same, "{steps:?} gives {outputs:?} of {rows}×{columns} {}", std::any::type_name::<T>());
            }
        }
    }
}

#[test]
fn random_expressions_are_their_steps() {
    check::<f32>(1);
    check::<f64>(2);
    check::<f16>(3);
    check::<bf16>(4);
    check::<i8>(5);
    check::<i16>(6);
    check::<i32>(7);
    check::<i64>(8);
    check::<u8>(9);
    check::<u16>(10);
    check::<u32>(11);
    check::<u64>(12);
    check::<Complex<f32>>(13);
    check::<Complex<f64>>(14);
}

/// Work that several threads do: the same bits by all numbers of threads and by the sets that fuse.
#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let _alone = THREADS.lock().expect("no test panicked");
    fn all<T: Number>() {
        // tanh(x·a + b) where x < b, else the step before.
        let steps = [
            Step::Binary(Binary::Mul, 0, 1),
            Step::Binary(Binary::Add, 3, 2),
            Step::Unary(Unary::Tanh, 4),
            Step::Compare(Compare::Less, 0, 2),
            Step::Select(6, 5, 4),
        ];
        let expression = Expression::<T>::new(3, 0, &steps, &[7, 6]).expect("it is one");
        let shape = [307, 1009];
        let n = 307 * 1009;
        let mut random = Random(5);
        let (x, a, b) = (random.numbers::<T>(n), random.numbers::<T>(307), random.numbers::<T>(1));
        let views = [(&x, [1, 307]), (&a, [1, 0]), (&b, [0, 0])];
        let sources = views
            .each_ref()
            .map(|(data, strides)| Source::View(Strided::new(data, &shape, strides, 0).expect("in bounds")));
        let mut scratch = vec![b[0]; expression.scratch()];
        let mut first: Option<(Vec<u8>, Vec<u8>)> = None;
        for set in [InstructionSet::Avx512, InstructionSet::Avx2].into_iter().filter(|set| set.is_here()) {
            for threads in [1, 2, 3, 4, 8] {
                set_num_threads(threads);
                let (mut values, mut mask) = (x.clone(), vec![9; n]);
                let outputs = &mut [Output::Values(&mut values), Output::Mask(&mut mask)];
                with_instruction_set(set, || T::evaluate(&expression, &sources, &[], outputs, &mut scratch))
                    .expect("floats have it");
                let found = (bytemuck::cast_slice(&values).to_vec(), mask);
                assert!(*first.get_or_insert_with(|| found.clone()) == found, "{set:?}, {threads} threads");
            }
        }
        set_num_threads(0);
    }
    all::<f32>();
    all::<f64>();
    all::<f16>();
}

/// What is too long for any cache, for which the tiles are others: it is what its pieces are by themselves.
#[test]
fn a_long_expression_is_that_of_its_pieces() {
    const PIECE: usize = 100_003;
    let _alone = THREADS.lock().expect("no test panicked");
    // y ← tanh(x·a + y)·y, and where that is above x.
    let steps = [
        Step::Binary(Binary::Mul, 0, 1),
        Step::Binary(Binary::Add, 3, 2),
        Step::Unary(Unary::Tanh, 4),
        Step::Binary(Binary::Mul, 5, 2),
        Step::Compare(Compare::Greater, 6, 0),
    ];
    let expression = Expression::<f32>::new(3, 0, &steps, &[6, 7]).expect("it is one");
    let n = 21 * PIECE + 5;
    let mut random = Random(6);
    let (x, a, y) = (random.numbers::<f32>(n), random.numbers::<f32>(1), random.numbers::<f32>(n));
    let mut scratch = vec![0.0; expression.scratch()];
    let mut evaluate = |x: &[f32], y: &mut [f32], mask: &mut [u8]| {
        let shape = [x.len()];
        let a = Source::View(Strided::new(&a, &shape, &[0], 0).expect("in bounds"));
        let sources = [Source::View(dense(x, &shape)), a, Source::Over(0)];
        f32::evaluate(&expression, &sources, &[], &mut [Output::Values(y), Output::Mask(mask)], &mut scratch)
            .expect("floats have it");
    };
    let (mut expected, mut expected_mask) = (y.clone(), vec![9; n]);
    for ((x, y), mask) in x.chunks(PIECE).zip(expected.chunks_mut(PIECE)).zip(expected_mask.chunks_mut(PIECE)) {
        evaluate(x, y, mask);
    }
    for threads in [1, 2, 3] {
        set_num_threads(threads);
        let (mut found, mut mask) = (y.clone(), vec![9; n]);
        evaluate(&x, &mut found, &mut mask);
        assert!(bytemuck::cast_slice::<_, u32>(&found) == bytemuck::cast_slice::<_, u32>(&expected));
        assert!(mask == expected_mask);
    }
    set_num_threads(0);
}

/// Two sums or products in one pass, in every order, beside a step that reads what they read.
#[test]
fn sums_and_products_in_one_pass_are_those_one_after_the_other() {
    fn all<T: Number>() {
        let ops = [Binary::Add, Binary::Sub, Binary::Mul];
        let mut random = Random(11);
        for n in [1, 15, 16, 17, 63, 65, 1023, 1025, 4099] {
            let inputs: Vec<Held<T>> = (0..3).map(|_| Held::Values(random.numbers(n))).collect();
            let shape = [n];
            let sources: Vec<Source<T>> = inputs.iter().map(|x| Source::View(dense(x.values(), &shape))).collect();
            for (first, second) in ops.iter().flat_map(|&first| ops.map(|second| (first, second))) {
                for leads in [true, false] {
                    let (a, b) = if leads { (4, 2) } else { (2, 4) };
                    let steps = [
                        Step::Binary(Binary::Add, 0, 1),
                        Step::Binary(first, 3, 1),
                        Step::Binary(second, a, b),
                        Step::Binary(Binary::Maximum, 5, 0),
                    ];
                    let mut held = inputs.clone();
                    for &step in &steps {
                        held.push(eager(step, &held, n).expect("none of these faults"));
                    }
                    let expression = Expression::<T>::new(3, 0, &steps, &[6]).expect("it is one");
                    let (mut out, mut scratch) = (random.numbers::<T>(n), random.numbers(expression.scratch()));
                    T::evaluate(&expression, &sources, &[], &mut [Output::Values(&mut out)], &mut scratch)
                        .expect("none of these faults");
                    assert!(held[6].bytes() == bytemuck::cast_slice::<T, u8>(&out), "{steps:?} of {n}");
                }
            }
        }
    }
    all::<f32>();
    all::<f64>();
    all::<bf16>();
    all::<i32>();
}

#[test]
fn a_fault_is_that_of_the_steps_one_after_the_other() {
    let _alone = THREADS.lock().expect("no test panicked");
    let steps =
        [Step::Binary(Binary::Add, 0, 0), Step::Binary(Binary::FloorDiv, 3, 1), Step::Binary(Binary::Pow, 3, 2)];
    let expression = Expression::<i32>::new(3, 0, &steps, &[4, 5]).expect("it is one");
    let n = 700_000;
    let (x, mut by, mut exponent) = (vec![3; n], vec![1; n], vec![2; n]);
    exponent[7] = -1;
    let mut scratch = vec![0; expression.scratch()];
    let shape = [n];
    let mut run = |by: &[i32], exponent: &[i32], threads| {
        set_num_threads(threads);
        let (mut quotients, mut powers) = (vec![0; n], vec![0; n]);
        let outputs = &mut [Output::Values(&mut quotients), Output::Values(&mut powers)];
        let sources = [&x, by, exponent].map(|x| Source::View(dense(x, &shape)));
        let done = i32::evaluate(&expression, &sources, &[], outputs, &mut scratch);
        let (a, b) = (dense(&x, &shape), dense(by, &shape));
        let alone = i32::binary(Binary::FloorDiv, a, b, &mut quotients);
        set_num_threads(0);
        (done, alone)
    };
    for threads in [1, 2, 5] {
        by.fill(1);
        let negative = Err(Fault::NegativeExponent { element: 7 });
        assert_eq!(run(&by, &exponent, threads), (negative, Ok(())));
        by[650_001] = 0;
        by[650_002] = 0;
        let zero = Err(Fault::ZeroDivisor { element: 650_001 });
        assert_eq!(run(&by, &exponent, threads), (zero, zero));
    }
}

#[test]
fn what_is_no_expression_says_why() {
    fn refused<T: Number>(values: usize, masks: usize, steps: &[Step], outputs: &[Register]) -> String {
        let error: Option<InvalidExpression> = Expression::<T>::new(values, masks, steps, outputs).err();
        error.expect("it is none").to_string()
    }
    let add = |a, b| Step::Binary(Binary::Add, a, b);
    assert_eq!(
        refused::<f32>(1, 0, &[add(0, 2), add(0, 0)], &[1]),
        "step 0 reads register 2, which no input and no earlier step defines"
    );
    assert_eq!(
        refused::<f32>(1, 0, &[add(0, 1)], &[1]),
        "step 0 reads register 1, which no input and no earlier step defines"
    );
    assert_eq!(refused::<f32>(1, 1, &[add(0, 1)], &[2]), "step 0 takes register 1 for a value, and it is a mask");
    assert_eq!(refused::<f32>(1, 1, &[Step::Not(0)], &[2]), "step 0 takes register 0 for a mask, and it is a value");
    assert_eq!(
        refused::<i32>(1, 0, &[add(0, 0), Step::Unary(Unary::Sin, 1)], &[2]),
        "step 1, Unary(Sin, 1), does not exist for i32"
    );
    assert!(refused::<Complex<f32>>(1, 0, &[Step::Compare(Compare::Less, 0, 0)], &[1]).contains("does not exist"));
    let twice = "register 1 is an output, and no step's or another output's as well";
    assert_eq!(refused::<f32>(1, 0, &[add(0, 0)], &[1, 1]), twice);
    assert_eq!(refused::<f32>(2, 0, &[add(0, 0)], &[1]), twice);
    assert!(refused::<f32>(1, 0, &[add(0, 0)], &[2]).contains("register 2 is an output"));
    assert_eq!(refused::<f32>(1, 0, &[add(0, 0); 65], &[1]), "an expression has at most 64 steps");
    assert_eq!(refused::<f32>(17, 0, &[], &[]), "an expression has at most 16 inputs of values");
    // Sums that all wait to be added up; the last result wants a place, too.
    let sums = |count: u8| -> Vec<Step> {
        let waiting = (0..count).map(|_| add(0, 0));
        waiting.chain((1..count).map(|i| add(if i == 1 { 1 } else { count + i - 1 }, i + 1))).collect()
    };
    let what = "an expression has at most 16 values or masks that wait for a later step";
    assert_eq!(refused::<f32>(1, 0, &sums(17), &[33]), what);
    let expression = Expression::<f32>::new(1, 0, &sums(15), &[29]).expect("15 sums may wait");
    let (mut y, mut scratch) = ([0.0; 3], vec![9.0; expression.scratch()]);
    let x = Source::View(dense(&[1.0, 2.0, 3.0], &[3]));
    f32::evaluate(&expression, &[x], &[], &mut [Output::Values(&mut y)], &mut scratch).expect("floats add");
    assert_eq!(y, [30.0, 60.0, 90.0]);
}
