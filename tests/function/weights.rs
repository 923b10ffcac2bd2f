//! Weights that plans keep as products read them: results follow every write.

use crate::ops::allocations;
use modulor::prelude::*;

fn wave(dims: [usize; 2], by: f32) -> Tensor {
    Tensor::new(dims, (0..dims[0] * dims[1]).map(|i| (i as f32 * by).sin()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn results_follow_every_write_of_a_weight() -> Result<()> {
    let (v, w) = (Variable::new(wave([32, 40], 0.3)), Variable::new(wave([30, 40], 0.4)));
    let constant = wave([30, 130], 0.1);
    let body = {
        let (v, w) = (v.clone(), w.clone());
        move |x: &Tensor| {
            let hidden = x.matmul(&v)?.add(Tensor::from([0.5_f32; 40]))?.relu()?;
            hidden.matmul_with(&w.read()?, false, true)?.tanh()?.matmul(&constant)?.relu()
        }
    };
    let function = Function::new(body.clone());
    // Another function changes them where they lie.
    let train = {
        let (v, w) = (v.clone(), w.clone());
        let (body, optimizer) = (body.clone(), Adam::new());
        Function::new(move |x: &Tensor| {
            let tape = GradientTape::new();
            let loss = tape.record(|| body(x)?.square()?.mean(..))?;
            optimizer.minimize(&tape, &loss, &[v.clone(), w.clone()])?;
            Ok(loss)
        })
    };
    let inputs = [wave([1, 32], 0.7), wave([64, 32], 0.9)];
    let check = |calls: usize| -> Result<()> {
        for x in &inputs {
            let eager = body(x)?;
            for _ in 0..calls {
                assert_eq!(function.call(x)?.to_bytes()?, eager.to_bytes()?);
            }
        }
        Ok(())
    };
    for _ in 0..3 {
        check(3)?;
        train.call(&inputs[1])?;
        check(1)?;
        v.assign_add(&v.value()?.mul(0.1)?)?;
        check(2)?;
        w.assign(&w.value()?.neg()?)?;
    }
    check(3)?;
    assert_eq!(allocations(|| drop(function.call(&inputs[1]))).1, 0);
    Ok(())
}

#[test]
fn many_threads_multiply_by_one_weight_while_it_changes() -> Result<()> {
    let values = [wave([64, 64], 0.3), wave([64, 64], 0.8)];
    let weight = Variable::new(values[0].clone());
    let body = |x: &Tensor, weight: &Tensor| x.matmul(weight)?.relu();
    let function = {
        let weight = weight.clone();
        Function::new(move |x: &Tensor| body(x, &weight.read()?))
    };
    let x = wave([50, 64], 0.2);
    let expected = values.each_ref().map(|value| body(&x, value).unwrap().to_bytes().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let found = function.call(&x).unwrap().to_bytes().unwrap();
                    assert!(expected.contains(&found));
                }
            });
        }
        (0..30).for_each(|at| weight.assign(&values[at % 2]).unwrap());
    });
    weight.assign(&values[1])?;
    (0..3).for_each(|_| assert_eq!(function.call(&x).unwrap().to_bytes().unwrap(), expected[1]));
    Ok(())
}
