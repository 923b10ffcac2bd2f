//! Parts of a graph that need nothing of each other.

use crate::ops::allocations;
use modulor::keras::library::{Bidirectional, Dense, LSTM};
use modulor::prelude::*;

fn wave(dims: &[usize]) -> Tensor {
    Tensor::new(dims, (0..dims.iter().product()).map(|at: usize| (at as f32 * 0.37).sin()).collect::<Vec<_>>()).unwrap()
}

fn names(profile: &modulor::op::Profile) -> Vec<&str> {
    profile.events().iter().map(|event| &*event.name).collect()
}

#[test]
fn directions_of_one_sample_have_the_bits_of_one_after_the_other() {
    let layer = Bidirectional::new(LSTM::new(16)).unwrap();
    let x = wave(&[1, 60, 24]);
    let eager = layer.call(&x).unwrap();
    let f = Function::new(move |x: &Tensor| layer.call(x)?.mul(2.0));
    for at in 0..5 {
        let (y, count) = allocations(|| f.call(&x).unwrap());
        assert_eq!(y.to_bytes().unwrap(), eager.mul(2.0).unwrap().to_bytes().unwrap());
        assert!(at < 2 || count == 0, "{count} allocations");
    }
    let (_, profile) = modulor::op::profiled(|| f.call(&x));
    assert_eq!(names(&profile).iter().filter(|&&name| name == "recurrence").count(), 2, "{profile}");
    assert_eq!(f.cost(&x).unwrap().ops().find(|op| op.name == "recurrence").map(|op| op.calls), Some(2));
}

#[test]
fn parts_in_a_row_of_joins_read_what_joins_gave() {
    let towers: Vec<Vec<Dense>> =
        (0..4).map(|_| (0..4).map(|_| Dense::new(128).activation("relu")).collect()).collect();
    let run = move |x: &Tensor| {
        let tower = |at: usize, x: &Tensor| towers[at].iter().try_fold(x.clone(), |x, layer| layer.call(&x));
        let first = tower(0, x)?.mul(tower(1, x)?)?;
        // A part's end is turned, and what several read is in none.
        let turned = tower(2, &first)?.transpose()?;
        let both = tower(3, &first)?.matmul(&turned)?;
        Ok((both.sum([0])?, first, turned.slice(..1)?))
    };
    let x = wave(&[5, 128]);
    let (a, b, c) = run(&x).unwrap();
    let f = Function::new(run);
    for _ in 0..4 {
        let found = f.call(&x).unwrap();
        for (found, expected) in [(&found.0, &a), (&found.1, &b), (&found.2, &c)] {
            assert_eq!(found.to_bytes().unwrap(), expected.to_bytes().unwrap());
        }
    }
    // Of a part that fails the call does, and says where.
    let broken = Function::new(|(x, at): &(Tensor, Tensor)| {
        let powers = |y: &Tensor| (0..600).try_fold(y.clone(), |y, _| y.sin()?.mul(y));
        let (left, right) = (powers(x)?, powers(&x.neg()?)?);
        left.gather(at, 0)?.add(right.gather(at, 0)?)
    });
    let x = wave(&[700]);
    broken.call(&(x.clone(), Tensor::scalar(3_i32))).unwrap();
    assert_eq!(broken.call(&(x, Tensor::scalar(700_i32))).unwrap_err().op(), Some("GatherV2"));
}
