//! What other threads do: the same elements, in the same order, and every end is clean.

use super::{check_positions, numbers, refused};
use modulor::data::Dataset;
use modulor::prelude::*;
use modulor::scope;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Squares, of which some take longer.
fn squares() -> Dataset<Tensor> {
    Dataset::range(0..40).map(|n| {
        if n.item::<i64>()? % 7 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        n.mul(&n)
    })
}

#[test]
fn elements_keep_their_order_on_any_number_of_threads() {
    let expected: Vec<i64> = (0..40).map(|n| n * n).collect();
    assert_eq!(numbers(&squares()), expected);
    for threads in [1, 2, 3, 8] {
        assert_eq!(numbers(&squares().threads(threads)), expected);
        assert_eq!(numbers(&squares().threads(threads).prefetch(2)), expected);
    }
    check_positions(&squares().take(6).map(Ok).threads(3).prefetch(1).batch(2), 3);
}

#[test]
fn what_is_drawn_by_an_element_follows_from_its_position() {
    let noisy = |threads| {
        Dataset::range(0..12)
            .map_seeded(3, |_, seed| Tensor::stateless_bits(&Tensor::from(vec![0_i64; 0]), &seed, DType::U64))
            .threads(threads)
    };
    check_positions(&noisy(1), 12);
    check_positions(&noisy(4), 12);
    let bits = |dataset: Dataset<Tensor>, epoch| super::bytes(&dataset, epoch, 0);
    assert_eq!(bits(noisy(1), 1), bits(noisy(4), 1));
    assert_ne!(bits(noisy(1), 0), bits(noisy(1), 1));
}

#[test]
fn an_error_comes_at_its_place_with_the_number_of_its_element() {
    let broken = Dataset::range(0..100).map(|n| match n.item::<i64>()? {
        17 => Err(Error::data_loss("a bad one")),
        _ => Ok(n),
    });
    let expected = (17, "a bad one\n    in `map`, of element 17".to_owned());
    assert_eq!(refused(&broken), expected);
    assert_eq!(refused(&broken.threads(4)), expected);
    assert_eq!(refused(&broken.threads(4).prefetch(3)), expected);
    assert_eq!(refused(&broken.skip(10).batch(5)), (1, expected.1.clone()));
    assert_eq!(refused(&broken.filter(|_| Ok(true))), expected);
    let filter = Dataset::range(0..3).filter(|_| Err(Error::data_loss("no")));
    assert_eq!(refused(&filter).1, "no\n    in `filter`, of element 0");
    let parts = Dataset::range(0..3).flat_map(|_| Err::<Dataset<Tensor>, _>(Error::data_loss("no")));
    assert_eq!(refused(&parts).1, "no\n    in `interleave`, of element 0");
}

#[test]
fn a_panic_of_a_thread_is_an_error_of_the_iteration() {
    let panics = Dataset::range(0..10).map(|n| {
        assert!(n.item::<i64>()? != 4, "four");
        Ok(n)
    });
    let message = "a thread that reads data panicked: four";
    assert_eq!(refused(&panics.prefetch(2)), (4, message.into()));
    let (given, error) = refused(&panics.threads(3));
    assert_eq!(given, 4);
    assert!(error.starts_with(message), "{error}");
}

#[test]
fn threads_read_no_further_ahead_than_they_should_and_end_with_the_iteration() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let counted = Dataset::from_generator(move |_| {
        let counter = counter.clone();
        (0_i64..).map(move |n| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(Tensor::scalar(n))
        })
    });
    let mut items = counted.prefetch(3).iter();
    for _ in 0..5 {
        items.next().unwrap().unwrap();
    }
    drop(items);
    let after = read.load(Ordering::SeqCst);
    assert!((5..=8).contains(&after), "{after} were read");
    assert_eq!(numbers(counted.map(Ok).threads(4).iter().take(5)), [0, 1, 2, 3, 4]);
    let ended = read.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(read.load(Ordering::SeqCst), ended, "nobody reads on");
    // One that nobody asked for an element ends as well.
    drop(counted.prefetch(2).iter());
}

#[test]
fn threads_are_in_the_scopes_of_who_began() {
    let phases = Dataset::range(0..3).map(|_| Ok(Tensor::scalar(i64::from(scope::training()))));
    for dataset in [phases.clone(), phases.threads(2), phases.prefetch(1)] {
        assert_eq!(scope::with_training(true, || numbers(&dataset)), [1, 1, 1]);
        assert_eq!(numbers(&dataset), [0, 0, 0]);
    }
}

#[test]
fn a_cache_reads_once() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let cached = Dataset::range(0..6)
        .shuffle(6, 1)
        .map(move |n| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(n)
        })
        .cache();
    assert_eq!(cached.iter().take(2).count(), 2, "what is not read to its end is not kept");
    let first = numbers(cached.iter_at(3, 0));
    assert_eq!(read.load(Ordering::SeqCst), 8);
    assert_eq!(numbers(cached.iter_at(0, 0)), first);
    check_positions(&cached, 6);
    check_positions(&cached.shuffle(6, 2), 6);
    assert_eq!(read.load(Ordering::SeqCst), 8);
    let fresh = Dataset::range(0..6).shuffle(6, 1).cache();
    assert_eq!(numbers(fresh.iter_at(0, 4)), first[4..]);
    assert_eq!(numbers(fresh.iter_at(2, 1)), first[1..]);
}

#[test]
fn filtered_and_joined_datasets_have_their_positions() {
    let odd = Dataset::range(0..9).filter(|n| Ok(n.item::<i64>()? % 2 == 1));
    assert_eq!(numbers(&odd), [1, 3, 5, 7]);
    check_positions(&odd, 4);
    check_positions(&odd.concatenate(&Dataset::range(0..2)), 6);
    check_positions(&Dataset::range(0..2).concatenate(&odd), 6);
    check_positions(&odd.zip(&Dataset::range(5..50)).map(|(a, b)| a.add(&b)), 4);
    let words = Dataset::from_tensor_slices(Tensor::strings([2], ["a", "b"]).unwrap()).unwrap();
    assert_eq!(
        words.unbatch().iter().next().unwrap().unwrap_err().message(),
        "`the tensor` is a scalar, and has no rows"
    );
    assert_eq!(words.batch(2).unbatch().iter().count(), 2);
}
