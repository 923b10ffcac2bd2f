//! When a function is traced, what it captures, and what it refuses.

use modulor::prelude::*;
use modulor::scope;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec().unwrap()
}

#[test]
fn each_kind_of_arguments_is_traced_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let f = Function::new(move |x: &Tensor| {
        counted.fetch_add(1, Ordering::Relaxed);
        x.square()
    });
    for _ in 0..3 {
        assert_eq!(values(&f.call(Tensor::from([1.0_f32, 2.0])).unwrap()), [1.0, 4.0]);
        assert_eq!(values(&f.call(Tensor::from([3.0_f32])).unwrap()), [9.0]);
        assert_eq!(f.call(Tensor::from([3_i32])).unwrap().to_vec::<i32>().unwrap(), [9]);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    let reasons = [
        "it had not been traced",
        "argument 0 is float32(1,), and was float32(2,)",
        "argument 0 is int32(1,), and was float32(2,)",
    ];
    assert_eq!(f.traces(), reasons);
    assert_eq!(f.concretes()[1].graph().op_names().collect::<Vec<_>>(), ["Placeholder", "Square"]);
    assert_eq!(format!("{f:?}"), "Function { name: None, graphs: 3 }");
}

#[test]
fn structure_phase_and_policy_are_part_of_the_kind() {
    let f = Function::new(|(x, y): &(Tensor, Option<Tensor>)| match y {
        Some(y) => x.add(y),
        None if scope::training() => x.add(x),
        None => Ok(x.clone()),
    });
    let x = Tensor::from([1.0_f32]);
    assert_eq!(values(&f.call(&(x.clone(), None)).unwrap()), [1.0]);
    assert_eq!(values(&f.call(&(x.clone(), Some(x.clone()))).unwrap()), [2.0]);
    let trained = scope::with_training(true, || f.call(&(x.clone(), None))).unwrap();
    assert_eq!(values(&trained), [2.0]);
    assert_eq!(values(&f.call(&(x.clone(), None)).unwrap()), [1.0]);
    let reasons = [
        "it had not been traced",
        "the arguments are another structure",
        "it is called in the training phase, and was not in the training phase",
    ];
    assert_eq!(f.traces(), reasons);
    modulor::with_dtype_policy("mixed_bfloat16", || f.call(&(x.clone(), None))).unwrap();
    assert_eq!(f.traces()[3], "it is called under another dtype policy");
}

#[test]
fn structures_come_back_as_they_are() {
    type Parts = BTreeMap<String, Vec<Tensor>>;
    let f = Function::new(|x: &Parts| {
        let sums = x.iter().map(|(name, parts)| {
            let first = parts[0].clone();
            let sum = parts[1..].iter().try_fold(first, |sum, part| sum.add(part))?;
            Ok((format!("sum of {name}"), [sum, parts[0].clone()]))
        });
        Ok((sums.collect::<Result<BTreeMap<_, _>>>()?, None::<Tensor>))
    });
    let part = |x: f32| Tensor::from([x]);
    let x = Parts::from([("a".to_owned(), vec![part(1.0), part(2.0)]), ("b".to_owned(), vec![part(5.0)])]);
    for _ in 0..2 {
        let (sums, nothing) = f.call(&x).unwrap();
        assert!(nothing.is_none());
        assert_eq!(values(&sums["sum of a"][0]), [3.0]);
        assert_eq!(values(&sums["sum of a"][1]), [1.0]);
        assert_eq!(values(&sums["sum of b"][0]), [5.0]);
    }
    assert_eq!(f.traces().len(), 1);
    let other = Parts::from([("a".to_owned(), vec![part(1.0)]), ("b".to_owned(), vec![part(5.0), part(2.0)])]);
    assert_eq!(values(&f.call(&other).unwrap().0["sum of b"][0]), [7.0]);
    assert_eq!(f.traces().len(), 2, "as many tensors in other lists are another kind");
}

#[derive(Structure, Clone)]
struct Pair {
    second: Tensor,
    first: Option<Tensor>,
    rest: Row,
}

#[derive(Structure, Clone)]
struct Row(Tensor, [Tensor; 2]);

#[test]
fn derived_structures_are_arguments_and_results() {
    let number = |x: f32| Tensor::from([x]);
    let pair =
        Pair { second: number(2.0), first: Some(number(1.0)), rest: Row(number(3.0), [number(4.0), number(5.0)]) };
    let f = Function::new(|pair: &Pair| {
        let Row(a, [b, c]) = &pair.rest;
        Ok(Pair { second: pair.second.neg()?, first: None, rest: Row(a.add(b)?, [c.clone(), b.mul(c)?]) })
    });
    for at in 0..4 {
        let (result, asked) = crate::ops::allocations(|| f.call(&pair).unwrap());
        assert!(result.first.is_none());
        assert_eq!(values(&result.second), [-2.0]);
        assert_eq!((values(&result.rest.0), values(&result.rest.1[1])), (vec![7.0], vec![20.0]));
        drop(result);
        assert!(at < 2 || asked == 0, "{asked} allocations of call {at}");
    }
    assert_eq!(values(&pair.replace(&mut |x| x.mul(2.0)).unwrap().second), [4.0]);
}

#[test]
fn a_mask_goes_in_and_comes_out_with_its_tensor() {
    let f = Function::new(|x: &Tensor| match x.mask() {
        Some(mask) => Ok(x.mul(mask.cast(x.dtype())?)?.with_mask(Some(mask.logical_not()?))),
        None => Ok(x.clone()),
    });
    let x = Tensor::from([1.0_f32, 2.0]);
    assert!(f.call(&x).unwrap().mask().is_none());
    for _ in 0..2 {
        let y = f.call(x.with_mask(Some(Tensor::from([true, false])))).unwrap();
        assert_eq!(values(&y), [1.0, 0.0]);
        assert_eq!(y.mask().unwrap().to_vec::<bool>().unwrap(), [false, true]);
    }
}

#[test]
fn views_of_any_strides_may_be_given_and_given_back() {
    let f = Function::new(|x: &Tensor| Ok((x.transpose()?, x.clone(), x.slice(1)?, x.add(1.0)?.transpose()?)));
    let x = Tensor::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let views = [
        x.clone(),
        x.reverse([0, 1]).unwrap(),
        Tensor::from([[1.0_f32, 4.0], [2.0, 5.0], [3.0, 6.0]]).transpose().unwrap(),
    ];
    for x in views.iter().chain(&views) {
        let (turned, same, row, sum) = f.call(x).unwrap();
        assert_eq!(values(&turned), values(&x.transpose().unwrap()));
        assert_eq!(values(&same), values(x));
        assert_eq!(values(&row), values(&x.slice(1).unwrap()));
        assert_eq!(values(&sum), values(&x.add(1.0).unwrap().transpose().unwrap()));
    }
}

#[test]
fn results_that_are_held_are_not_written_over() {
    let f = Function::new(|x: &Tensor| Ok((x.mul(2.0)?, x.mul(3.0)?)));
    let kept: Vec<_> = (0..5).map(|i| f.call(Tensor::from([i as f32])).unwrap()).collect();
    for (i, (two, three)) in kept.iter().enumerate() {
        assert_eq!((values(two)[0], values(three)[0]), (2.0 * i as f32, 3.0 * i as f32));
    }
    let mut out = Tensor::zeros([1], DType::F32).unwrap();
    let double = Function::new(|x: &Tensor| x.mul(2.0));
    let held = out.clone();
    for i in 0..4 {
        double.call_into(Tensor::from([i as f32]), &(), &mut out).unwrap();
        assert_eq!(values(&out), [2.0 * i as f32]);
        assert_eq!(values(&held), [0.0]);
    }
    let error = f.call_into(Tensor::from([1.0_f32]), &(), &mut out).unwrap_err();
    assert_eq!(error.message(), "`call_into` is for a function of one result, and this has 2");
    assert_eq!(values(&out), [6.0]);
}

#[test]
fn writes_of_variables_keep_their_order_and_take_effect_together() {
    let (v, w) = (Variable::new(1.0), Variable::new(10.0));
    let f = {
        let (v, w) = (v.clone(), w.clone());
        Function::new(move |x: &Tensor| {
            let before = v.read()?;
            v.assign_add(x)?;
            w.assign(&(v.read()? * 2.0))?;
            v.assign_sub(&Tensor::scalar(0.5_f32))?;
            Ok((before, w.read()?))
        })
    };
    let mut expected = (1.0_f32, 10.0_f32);
    for _ in 0..4 {
        let (before, after) = f.call(Tensor::scalar(2.0_f32)).unwrap();
        assert_eq!(before.item::<f32>().unwrap(), expected.0);
        expected = (expected.0 + 1.5, (expected.0 + 2.0) * 2.0);
        assert_eq!(after.item::<f32>().unwrap(), expected.1);
        assert_eq!(v.value().unwrap().item::<f32>().unwrap(), expected.0);
        assert_eq!(w.value().unwrap().item::<f32>().unwrap(), expected.1);
    }
    assert_eq!(v.version(), 4, "one write a call");
    let fails = {
        let v = v.clone();
        Function::new(move |x: &Tensor| {
            v.assign_add(&Tensor::scalar(1.0_f32))?;
            Tensor::from([1.0_f32, 2.0]).gather(x, 0)
        })
    };
    let before = v.value().unwrap().item::<f32>().unwrap();
    assert!(fails.call(Tensor::scalar(1_i32)).is_ok());
    assert_eq!(fails.call(Tensor::scalar(7_i32)).unwrap_err().op(), Some("GatherV2"));
    assert_eq!(v.value().unwrap().item::<f32>().unwrap(), before + 1.0, "a call that fails writes nothing");
}

#[test]
fn a_variable_of_a_later_trace_is_refused() {
    let f = Function::new(|x: &Tensor| x.mul(&Variable::new(2.0).read()?));
    assert!(f.call(Tensor::from([1.0_f32])).is_ok());
    let error = f.call(Tensor::from([1.0_f32, 2.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.message().contains("was made while the function was traced once more"), "{error}");
}

#[test]
fn a_tape_hears_what_a_function_does() {
    let w = Variable::new(3.0);
    let f = {
        let w = w.clone();
        Function::new(move |x: &Tensor| x.square()?.mul(&w))
    };
    let x = Tensor::scalar(2.0_f32);
    f.call(&x).unwrap();
    let tape = GradientTape::persistent();
    tape.watch(&x);
    let y = tape.record(|| f.call(&x)).unwrap();
    assert_eq!(tape.gradient(&y, &x).unwrap().item::<f32>().unwrap(), 12.0);
    assert_eq!(tape.gradient(&y, &w).unwrap().item::<f32>().unwrap(), 4.0);
}

#[test]
fn functions_call_functions_and_themselves() {
    let square = Function::new(|x: &Tensor| x.square());
    let f = {
        let square = square.clone();
        Function::new(move |x: &Tensor| square.call(x)?.add(&square.call(&x.add(1.0)?)?))
    };
    assert_eq!(values(&f.call(Tensor::from([2.0_f32])).unwrap()), [13.0]);
    let me: Arc<std::sync::OnceLock<Function<Tensor, Tensor, u32>>> = Arc::default();
    let down = {
        let me = me.clone();
        Function::keyed(move |x: &Tensor, n: &u32| match n {
            0 => Ok(x.clone()),
            9 => me.get().unwrap().call_keyed(x, n),
            n => me.get().unwrap().call_keyed(x.add(1.0)?, &(n - 1)),
        })
    };
    me.set(down.clone()).unwrap();
    assert_eq!(values(&down.call_keyed(Tensor::from([0.5_f32]), &3).unwrap()), [3.5]);
    let error = down.call_keyed(Tensor::from([0.5_f32]), &9).unwrap_err();
    assert!(error.message().contains("calls itself without end"), "{error}");
}

#[test]
fn errors_name_the_op_and_the_place() {
    let f = Function::new(|x: &Tensor| x.item::<f32>().map(Tensor::scalar)).named("peek");
    let error = f.call(Tensor::scalar(1.0_f32)).unwrap_err();
    assert!(error.to_string().starts_with("peek: a symbol has no value to look at"), "{error}");
    let double = Function::new(|x: &Tensor| x.mul(2.0));
    let one = Tensor::placeholder(Spec::new(DType::F32, [None, Some(2)]));
    let double = double.taking(&one).named("double");
    let error = double.call(Tensor::from([1_i32])).unwrap_err();
    assert_eq!(error.message(), "the function `double` takes float32(None, 2), and int32(1,) was given");
    let concrete = double.concrete(&one).unwrap();
    let error = concrete.call(&[]).unwrap_err();
    assert_eq!(error.message(), "the graph takes 1 inputs, and 0 were given");
    let error = concrete.call(&[Tensor::from([1.0_f32])]).unwrap_err();
    assert_eq!(error.message(), "input 0 of the graph is float32(None, 2), and float32(1,) was given");
}

#[test]
fn what_follows_from_values_is_computed_too() {
    let f = Function::new(|x: &Tensor| {
        let positive = x.greater(0.0)?.nonzero()?;
        let rows = x.gather_nd(&positive)?;
        Ok((rows.mul(2.0)?, rows.sum(..)?, x.add(1.0)?))
    });
    for x in
        [Tensor::from([1.0_f32, -1.0, 2.0]), Tensor::from([-1.0_f32, -1.0, -2.0]), Tensor::from([1.0_f32, 1.0, 2.0])]
    {
        let kept: Vec<f32> = values(&x).into_iter().filter(|x| *x > 0.0).collect();
        let (rows, sum, next) = f.call(&x).unwrap();
        assert_eq!(values(&rows), kept.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
        assert_eq!(sum.item::<f32>().unwrap(), kept.iter().sum::<f32>());
        assert_eq!(values(&next), values(&x.add(1.0).unwrap()));
    }
    assert_eq!(f.traces().len(), 1);
}
