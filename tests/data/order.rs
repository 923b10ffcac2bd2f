//! Which elements come when.

use super::{check_positions, numbers, refused};
use modulor::data::{Cardinality, Dataset};
use modulor::prelude::*;

/// Numbers that can be counted, as rows and as elements, and numbers that cannot.
fn sources(count: i64) -> [Dataset<Tensor>; 3] {
    let rows = Dataset::from_tensor_slices(Tensor::from((0..count).collect::<Vec<_>>())).unwrap();
    let generated = Dataset::from_generator(move |_| (0..count).map(|n| Ok(Tensor::scalar(n))));
    [rows, Dataset::range(0..count), generated]
}

#[test]
fn any_position_is_two_numbers() {
    for source in sources(10) {
        check_positions(&source, 10);
        check_positions(&source.take(4), 4);
        check_positions(&source.take(40), 10);
        check_positions(&source.skip(3), 7);
        check_positions(&source.skip(30), 0);
        check_positions(&source.repeat(3), 30);
        check_positions(&source.repeat(0), 0);
        check_positions(&source.repeat(None).take(25), 25);
        check_positions(&source.shard(3, 0), 4);
        check_positions(&source.shard(3, 1), 3);
        check_positions(&source.shard(20, 11), 0);
        for buffer in [1, 2, 7, 10, usize::MAX] {
            check_positions(&source.shuffle(buffer, 3), 10);
            check_positions(&source.shuffle(buffer, 3).batch(4), 3);
            check_positions(&source.shuffle(buffer, 3).repeat(2).batch(3).drop_remainder(), 6);
            check_positions(&source.shuffle(buffer, 3).take(5).shuffle(2, 1).skip(1), 4);
        }
    }
}

#[test]
fn sources_of_one_content_give_one_order() {
    let [rows, range, generated] = sources(50);
    let order = |source: &Dataset<Tensor>| numbers(&source.shuffle(8, 5).skip(2).repeat(2).shuffle(30, 6).shard(2, 1));
    assert_eq!(order(&rows), order(&range));
    assert_eq!(order(&rows), order(&generated));
}

#[test]
fn a_shuffle_gives_each_element_once_and_anew_in_each_epoch() {
    for source in sources(100) {
        let shuffled = source.shuffle(usize::MAX, 9);
        let epochs = [0, 1, 2].map(|epoch| numbers(shuffled.iter_at(epoch, 0)));
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_ne!(epochs[1], epochs[2]);
        assert_ne!(numbers(&source.shuffle(usize::MAX, 10)), epochs[0], "another seed is another order");
        let fixed = shuffled.reshuffle_each_iteration(false);
        assert_eq!(numbers(fixed.iter_at(0, 0)), numbers(fixed.iter_at(1, 0)));
        // A repetition is an epoch to the shuffle before it.
        let twice = numbers(&shuffled.repeat(2));
        assert_eq!(twice, [&*epochs[0], &*epochs[1]].concat());
    }
}

#[test]
fn a_small_buffer_moves_elements_only_so_far_ahead() {
    for source in sources(200) {
        for (place, number) in numbers(&source.shuffle(10, 4)).into_iter().enumerate() {
            assert!(number < place as i64 + 10, "{number} came at {place}");
        }
        assert_eq!(numbers(&source.shuffle(1, 4)), (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn a_shuffle_is_even() {
    // How often each of 5 elements comes at each place in 2,000 epochs: 400 times, give or take 5 deviations of 18.
    let shuffled = Dataset::range(0..5).shuffle(5, 1);
    let mut counts = [[0; 5]; 5];
    for epoch in 0..2_000 {
        for (place, number) in numbers(shuffled.iter_at(epoch, 0)).into_iter().enumerate() {
            counts[place][number as usize] += 1;
        }
    }
    assert!(counts.iter().flatten().all(|count| (310..490).contains(count)), "{counts:?}");
}

#[test]
fn cardinalities_are_told_as_far_as_they_are_known() {
    let [rows, _, generated] = sources(10);
    assert_eq!(generated.cardinality(), Cardinality::Unknown);
    assert_eq!(generated.take(0).cardinality(), Cardinality::Known(0));
    assert_eq!(generated.repeat(None).cardinality(), Cardinality::Infinite);
    assert_eq!(rows.repeat(None).cardinality(), Cardinality::Infinite);
    assert_eq!(rows.repeat(None).take(7).cardinality(), Cardinality::Known(7));
    assert_eq!(rows.repeat(None).skip(7).cardinality(), Cardinality::Infinite);
    assert_eq!(rows.take(0).repeat(None).cardinality(), Cardinality::Known(0));
    assert_eq!(rows.repeat(u64::MAX).cardinality(), Cardinality::Known(u64::MAX));
    assert_eq!(rows.batch(3).cardinality(), Cardinality::Known(4));
}

#[test]
fn nothing_repeated_without_end_ends() {
    for source in sources(0) {
        assert_eq!(numbers(&source.repeat(None)), [0; 0]);
    }
}

#[test]
fn what_can_never_be_right_is_the_first_item() {
    let source = Dataset::range(0..3);
    assert_eq!(refused(&source.batch(0)), (0, "`batch` of 0 elements".into()));
    assert_eq!(refused(&source.shuffle(0, 1)), (0, "`shuffle` with a buffer of 0 elements".into()));
    assert_eq!(refused(&source.shard(2, 2)), (0, "there is no shard 2 of 2: they are numbered from 0".into()));
    let message = "`drop_remainder` follows `batch`, `padded_batch` or `window` at once";
    assert_eq!(refused(&source.drop_remainder()), (0, message.into()));
    assert_eq!(refused(&source.batch(2).take(1).drop_remainder()), (0, message.into()));
    let message = "`reshuffle_each_iteration` follows `shuffle` at once";
    assert_eq!(refused(&source.batch(2).reshuffle_each_iteration(true)), (0, message.into()));
}

#[test]
fn an_error_ends_what_stands_behind_it() {
    let broken = Dataset::from_generator(|_| {
        (0..6_i64).map(|n| if n == 4 { Err(Error::data_loss("line 4")) } else { Ok(Tensor::scalar(n)) })
    });
    let cause = "line 4\n    from the generator, in the place of element 4";
    assert_eq!(refused(&broken), (4, cause.into()));
    assert_eq!(refused(&broken.batch(3)), (1, cause.into()));
    assert_eq!(refused(&broken.skip(5)), (0, cause.into()));
    assert_eq!(refused(&broken.repeat(2)), (4, cause.into()));
    assert_eq!(refused(&broken.shard(3, 0)), (2, cause.into()));
    assert_eq!(refused(&broken.shuffle(3, 0)).1, cause);
    assert_eq!(numbers(&broken.take(4)), [0, 1, 2, 3]);
}
