//! `while` and `for`, of tensors and of plain values.

use super::{both, float};
use modulor::autograph::traces_of;
use modulor::prelude::*;
use modulor::value_and_grad;

#[function]
fn collatz(n: &Tensor) -> Result<Tensor> {
    let mut n = n.clone();
    let mut steps = Tensor::scalar(0.0_f32);
    while n.not_equal(1.0)? {
        n = if n.floor_mod(2.0)?.equal(0.0)? { n.div(2.0)? } else { n * 3.0 + 1.0 };
        steps += 1.0;
    }
    Ok(steps)
}

#[test]
fn a_while_runs_in_the_graph() {
    for (n, steps) in [(1.0, 0.0), (6.0, 8.0), (27.0, 111.0)] {
        assert_eq!(both(|| collatz(&float(n))), [steps]);
    }
    assert_eq!(traces_of(collatz).len(), 1);
}

#[function]
fn power(x: &Tensor, n: &Tensor) -> Result<Tensor> {
    let mut y = Tensor::scalar(1.0_f32);
    let mut i = Tensor::scalar(0_i32);
    while i.less(n)? {
        y *= x;
        i += 1.0;
    }
    Ok(y)
}

#[test]
fn gradients_go_through_a_while() {
    let n = Tensor::scalar(4_i32);
    assert_eq!(both(|| power(&float(3.0), &n)), [81.0]);
    let (_, dx) = value_and_grad(|x| power(&x[0], &n), &[float(3.0)]).unwrap();
    assert_eq!(dx[0].item::<f32>().unwrap(), 108.0);
}

#[function]
fn horner(x: &Tensor, coefficients: &Tensor) -> Result<Tensor> {
    let mut y = x.mul(0.0)?;
    for c in coefficients {
        y = y * x + c;
    }
    Ok(y)
}

#[test]
fn a_for_goes_through_rows() {
    let coefficients = Tensor::from([2.0_f32, 0.0, 5.0]);
    assert_eq!(both(|| horner(&float(3.0), &coefficients)), [23.0]);
    let (_, dx) = value_and_grad(|x| horner(&x[0], &x[1]), &[float(3.0), coefficients]).unwrap();
    assert_eq!(dx[0].item::<f32>().unwrap(), 12.0);
    assert_eq!(dx[1].to_vec::<f32>().unwrap(), [9.0, 3.0, 1.0]);
    assert_eq!(traces_of(horner).len(), 1);
}

/// `break` and `continue` under tensors and plain values, in nested loops.
#[function]
fn left_early(rows: &Tensor, limit: f64, plain: bool) -> Result<Tensor> {
    let mut sum = Tensor::scalar(0.0_f32);
    for row in rows {
        let mut inner = Tensor::scalar(0.0_f32);
        if row.sum(..)?.equal(0.0)? {
            continue;
        }
        for x in row.clone() {
            if plain {
                inner += 10.0;
            }
            if x.less(0.0)? {
                inner -= 1.0;
                break;
            } else if x.equal(1.0)? {
                continue;
            }
            inner += x;
        }
        sum += inner;
        if sum.greater(limit)? {
            break;
        }
        sum += 0.5;
    }
    Ok(sum)
}

#[test]
fn loops_are_left_early() {
    let rows =
        Tensor::from([[1.0_f32, 2.0, 3.0], [0.0, 0.0, 0.0], [4.0, -1.0, 9.0], [50.0, 1.0, 1.0], [7.0, 7.0, 7.0]]);
    assert_eq!(both(|| left_early(&rows, 1000.0, false)), [5.5 + 3.5 + 50.5 + 21.5]);
    assert_eq!(both(|| left_early(&rows, 8.0, false)), [8.5]);
    assert_eq!(both(|| left_early(&rows, 30.0, true)), [35.0]);
    assert_eq!(traces_of(left_early).len(), 3);
}

#[function]
fn sought(x: &Tensor, most: &Tensor) -> Result<(Tensor, Tensor)> {
    let (mut i, mut found) = (Tensor::scalar(0_i32), Tensor::scalar(-1.0_f32));
    while i.less(most)? {
        i += 1.0;
        let at = x.gather(&(&i - 1.0), 0)?;
        if at.less(0.0)? {
            continue;
        }
        if at.greater(5.0)? {
            found = at;
            break;
        }
    }
    Ok((i, found))
}

#[test]
fn a_while_is_left_early() {
    let x = Tensor::from([1.0_f32, -9.0, 6.0, 7.0]);
    let of = |most: i32| {
        let f = || sought(&x, &Tensor::scalar(most));
        let items = |(i, found): (Tensor, Tensor)| (i.item::<i32>().unwrap(), found.item::<f32>().unwrap());
        let (eager, traced) = (modulor::function::with_eager_functions(true, f), f());
        assert_eq!(items(eager.unwrap()), items(traced.clone().unwrap()));
        items(traced.unwrap())
    };
    assert_eq!(of(4), (3, 6.0));
    assert_eq!(of(2), (2, -1.0));
}

#[function]
fn unrolled(x: &Tensor, n: usize) -> Result<Tensor> {
    let mut y = x.clone();
    let mut parts = Vec::new();
    for i in 0..n {
        if i == 3 {
            break;
        }
        y = y.mul(x)?;
        parts.push(y.clone());
    }
    let mut at = 0;
    while at < parts.len() {
        y += &parts[at];
        at += 1;
    }
    for part in parts {
        y += part;
    }
    Ok(y)
}

#[test]
fn plain_loops_are_unrolled() {
    assert_eq!(both(|| unrolled(&float(2.0), 1)), [12.0]);
    assert_eq!(both(|| unrolled(&float(2.0), 9)), [16.0 + 2.0 * 28.0]);
    assert_eq!(traces_of(unrolled), ["it had not been traced", "the key is n = 9, and was n = 1"]);
}

#[function]
fn counted(x: &Tensor) -> Result<Tensor> {
    let mut n = 0;
    let mut x = x.clone();
    while x.greater(0.0)? {
        x -= 1.0;
        n += 1;
    }
    Ok(x * f64::from(n))
}

#[function]
fn returned(rows: &Tensor) -> Result<Tensor> {
    for row in rows {
        if row.less(0.0)? {
            return Ok(row);
        }
    }
    Ok(Tensor::scalar(0.0_f32))
}

#[test]
fn what_a_loop_of_tensors_cannot_do_is_an_error_that_says_so() {
    let found = counted(&float(2.5)).unwrap_err().to_string();
    assert!(found.contains("a `while` that a tensor decides"), "{found}");
    assert!(found.contains("changes `n`, a `i32`"), "{found}");
    let found = returned(&Tensor::from([1.0_f32])).unwrap_err().to_string();
    assert!(found.contains("is left by a `return`"), "{found}");
}

#[function]
fn endless(x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    while x.greater(0.0)? {
        x += 1.0;
    }
    Ok(x)
}

#[test]
fn an_endless_loop_is_stopped_by_a_budget() {
    for _ in 0..2 {
        let error = modulor::with_iteration_budget(100, || endless(&float(1.0))).unwrap_err();
        assert!(error.message().ends_with("exceeded 100 iterations"), "{error}");
        assert_eq!(both(|| endless(&float(-1.0))), [-1.0]);
    }
}
