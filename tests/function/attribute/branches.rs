//! `if`, of tensors and of plain values.

use super::{both, float, value, values};
use modulor::autograph::traces_of;
use modulor::prelude::*;
use modulor::value_and_grad;

#[function]
fn absolute(x: &Tensor) -> Result<Tensor> {
    if x.less(0.0)? { x.neg() } else { Ok(x.clone()) }
}

#[test]
fn the_last_if_gives_the_result() {
    assert_eq!(both(|| absolute(&float(-3.0))), [3.0]);
    assert_eq!(both(|| absolute(&float(2.0))), [2.0]);
    assert_eq!(traces_of(absolute), ["it had not been traced"]);
    for (x, slope) in [(-3.0, -1.0), (2.0, 1.0)] {
        let (_, dx) = value_and_grad(|x| absolute(&x[0]), &[float(x)]).unwrap();
        assert_eq!(dx[0].item::<f32>().unwrap(), slope);
    }
}

/// Variables that are changed in both branches, in one, in none; that are made in the branches; and local ones.
#[function]
fn changes(x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let mut a = x.clone();
    let mut b = x.square()?;
    let c;
    let kept = x + 1.0;
    if x.greater(1.0)? {
        let a_third = &a / 3.0;
        a = a_third * 6.0;
        b += &kept;
        c = kept;
    } else {
        a -= 1.0;
        let b = float(100.0);
        c = b;
    }
    Ok((a, b, c))
}

#[test]
fn variables_that_branches_change_are_carried() {
    let of = |x: f32| {
        let (a, b, c) = changes(&float(x)).unwrap();
        let eager = modulor::function::with_eager_functions(true, || changes(&float(x))).unwrap();
        let item = |t: &Tensor| t.item::<f32>().unwrap();
        assert_eq!([item(&a), item(&b), item(&c)], [item(&eager.0), item(&eager.1), item(&eager.2)]);
        (item(&a), item(&b), item(&c))
    };
    assert_eq!(of(3.0), (6.0, 13.0, 4.0));
    assert_eq!(of(0.5), (-0.5, 0.25, 100.0));
}

#[function]
fn nested(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let sign = if x.less(0.0)? {
        -1.0 * &Tensor::scalar(1.0_f32)
    } else if x.equal(0.0)? {
        float(0.0)
    } else {
        let mut s = float(1.0);
        if y.greater(x)? {
            s *= 2.0;
            if y.greater(10.0)? {
                s += y;
            }
        }
        s
    };
    sign.mul(x)
}

#[test]
fn branches_nest() {
    for (x, y, expected) in [(-2.0, 0.0, 2.0), (0.0, 0.0, 0.0), (3.0, 1.0, 3.0), (3.0, 5.0, 6.0), (3.0, 20.0, 66.0)] {
        assert_eq!(both(|| nested(&float(x), &float(y))), [expected]);
    }
    assert_eq!(traces_of(nested).len(), 1);
    let (_, dx) = value_and_grad(|x| nested(&x[0], &float(20.0)), &[float(3.0)]).unwrap();
    assert_eq!(dx[0].item::<f32>().unwrap(), 22.0);
}

#[function]
fn guarded(x: &Tensor) -> Result<Tensor> {
    if x.less(0.0)? {
        return Ok(float(0.0));
    }
    let mut y = x.sqrt()?;
    if y.greater(10.0)? {
        y += 1.0;
        if y.greater(20.0)? {
            return y.neg();
        }
    } else if y.less(1.0)? {
        return Ok(y * 5.0);
    }
    y.add(1000.0)
}

#[test]
fn a_return_leaves_a_function_from_a_branch() {
    for (x, expected) in [(-4.0, 0.0), (0.25, 2.5), (4.0, 1002.0), (144.0, 1013.0), (900.0, -31.0)] {
        assert_eq!(both(|| guarded(&float(x))), [expected]);
    }
    assert_eq!(traces_of(guarded).len(), 1);
}

/// All of it is plain Rust, decided while it is traced.
#[function]
fn plain(x: &Tensor, deep: bool, name: &str, rates: &[f64], flag: Option<bool>) -> Result<Tensor> {
    let mut seen = Vec::new();
    let mut y = x.clone();
    for (at, rate) in rates.iter().enumerate() {
        if at == 3 {
            break;
        }
        if *rate == 0.0 {
            continue;
        }
        y *= *rate;
        seen.push(at);
    }
    let is_long = |name: &str| name.len() > 3;
    let unsure = is_long(name);
    if unsure {
        seen.push(100);
        y += 1.0;
    } else {
        drop(y);
        y = float(-1.0);
    }
    if let Some(true) = flag {
        return y.neg();
    }
    let y = if deep { y * 2.0 } else { y };
    match seen[..] {
        [] => Ok(y),
        [first, ..] => y.add(first as f64),
    }
}

#[test]
fn plain_conditions_are_plain_rust() {
    let x = float(1.0);
    assert_eq!(both(|| plain(&x, false, "ab", &[2.0], None)), [-1.0]);
    assert_eq!(both(|| plain(&x, true, "abcd", &[0.0, 3.0, 2.0, 7.0], None)), [15.0]);
    assert_eq!(both(|| plain(&x, true, "abcd", &[0.0, 3.0, 2.0, 7.0], Some(true))), [-7.0]);
    assert_eq!(traces_of(plain).len(), 3);
}

#[function]
fn counted(x: &Tensor) -> Result<Tensor> {
    let mut count = 0;
    if x.less(0.0)? {
        count += 1;
    }
    Ok(x * f64::from(count))
}

#[function]
fn chosen_plain(x: &Tensor) -> Result<Tensor> {
    let factor = if x.less(0.0)? { 1.0 } else { 2.0 };
    Ok(x * factor)
}

#[function]
fn listed(x: &Tensor) -> Result<Vec<Tensor>> {
    let mut all = vec![x.clone()];
    if x.less(0.0)? {
        all.push(x.neg()?);
    }
    Ok(all)
}

#[function]
fn left(x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    loop {
        x -= 1.0;
        if x.less(0.0)? {
            break;
        }
    }
    Ok(x)
}

#[test]
fn what_a_tensor_cannot_decide_is_an_error_that_says_so() {
    let x = float(1.0);
    let message = |error: Error| error.to_string();
    let found = message(counted(&x).unwrap_err());
    assert!(found.contains("changes `count`, a `i32`, which is not made of tensors"), "{found}");
    assert!(found.contains("branches.rs:"), "{found}");
    let found = message(chosen_plain(&x).unwrap_err());
    assert!(found.contains("gives a value, a `f64`, which is not made of tensors"), "{found}");
    let found = message(listed(&x).unwrap_err());
    assert!(found.contains("branches give structures of one kind"), "{found}");
    let found = message(left(&x).unwrap_err());
    assert!(found.contains("is left by a `break` of what is around it"), "{found}");
    let eager = || (value(counted(&float(-2.0))), value(chosen_plain(&x)), listed(&x).unwrap().len(), value(left(&x)));
    assert_eq!(modulor::function::with_eager_functions(true, eager), (-2.0, 2.0, 1, -1.0));
}

#[function]
fn shapes(x: &Tensor) -> Result<Tensor> {
    let rows = if x.sum(..)?.greater(0.0)? { x.clone() } else { x.slice(..1)? };
    rows.mul(2.0)
}

#[test]
fn branches_may_differ_in_dims() {
    assert_eq!(values(shapes(&Tensor::from([1.0_f32, 2.0]))), [2.0, 4.0]);
    assert_eq!(values(shapes(&Tensor::from([-1.0_f32, -2.0]))), [-2.0]);
    assert_eq!(traces_of(shapes).len(), 1);
}
