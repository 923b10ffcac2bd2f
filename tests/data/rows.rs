//! Rows of tensors, and batches.

use super::{all, check_positions, refused};
use modulor::data::Dataset;
use modulor::prelude::*;
use std::collections::BTreeMap;

#[test]
fn rows_of_a_structure_stay_together() {
    #[derive(Structure, Clone)]
    struct Sample {
        image: Tensor,
        label: Option<Tensor>,
    }
    let samples = Sample {
        image: Tensor::new([6, 2], (0..12).map(|n| n as f32).collect::<Vec<_>>()).unwrap(),
        label: Some(Tensor::strings([6], ["a", "b", "c", "d", "e", "f"]).unwrap()),
    };
    let batches = Dataset::from_tensor_slices(samples).unwrap().shuffle(6, 1).batch(4);
    let mut labels = Vec::new();
    for batch in &batches {
        let Sample { image, label } = batch.unwrap();
        let images = image.to_vec::<f32>().unwrap();
        for (image, label) in images.chunks(2).zip(label.unwrap().to_strings().unwrap()) {
            let row = f32::from(label[0] - b'a');
            assert_eq!(image, [2.0 * row, 2.0 * row + 1.0]);
            labels.push(label[0]);
        }
    }
    labels.sort_unstable();
    assert_eq!(labels, *b"abcdef");
}

#[test]
fn batches_of_rows_are_those_of_elements() {
    let tensors = [
        Tensor::new([7, 3], (0..21).collect::<Vec<i32>>()).unwrap(),
        Tensor::from([true, false, true, true, false, false, true]),
        Tensor::new([7, 0], Vec::<f64>::new()).unwrap(),
        Tensor::from([0_i64, 1, 2, 3, 4, 5, 6]).slice(modulor::step(.., -1)).unwrap(),
    ];
    for tensor in tensors {
        let rows = Dataset::from_tensor_slices(tensor.clone()).unwrap();
        let elements: Dataset<Tensor> = rows.iter().map(|row| row.unwrap()).collect();
        for size in [1, 2, 3, 7, 8, usize::MAX] {
            for pipeline in [
                |rows: &Dataset<Tensor>| rows.clone(),
                |rows: &Dataset<Tensor>| rows.shuffle(4, 2),
                |rows: &Dataset<Tensor>| rows.shard(2, 1),
                |rows: &Dataset<Tensor>| rows.repeat(2),
            ] {
                let (of_rows, of_elements) = (pipeline(&rows).batch(size), pipeline(&elements).batch(size));
                let bytes = |batches: &Dataset<Tensor>| {
                    let batches = batches.iter().map(|batch| batch.unwrap());
                    batches.map(|b| (b.dims().unwrap().to_vec(), b.to_bytes().unwrap())).collect::<Vec<_>>()
                };
                assert_eq!(bytes(&of_rows), bytes(&of_elements));
                assert_eq!(of_rows.cardinality(), of_elements.cardinality());
            }
        }
    }
}

#[test]
fn strings_are_rows_too() {
    let texts = Tensor::strings([3, 2], ["a", "b", "c", "d", "e", "f"]).unwrap();
    let rows = Dataset::from_tensor_slices(texts).unwrap();
    let strings = |dataset: &Dataset<Tensor>| -> Vec<String> {
        let texts = dataset.iter().flat_map(|batch| batch.unwrap().to_strings().unwrap());
        texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    };
    assert_eq!(strings(&rows.batch(2)), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(strings(&rows.shard(2, 0).batch(2)), ["a", "b", "e", "f"]);
    let elements: Dataset<Tensor> = rows.iter().map(|row| row.unwrap()).collect();
    assert_eq!(strings(&elements.batch(2)), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(elements.batch(2).iter().next().unwrap().unwrap().dims().unwrap(), [2, 2]);
}

#[test]
fn batches_that_follow_each_other_are_views() {
    let tensor = Tensor::zeros([1000, 1000], DType::F32).unwrap();
    let before = modulor::tensor::memory_in_use();
    let batches: Vec<_> = Dataset::from_tensor_slices(tensor).unwrap().batch(500).iter().collect();
    assert_eq!(batches.len(), 2);
    assert!(modulor::tensor::memory_in_use() < before + 1_000_000, "no batch is a copy of 2 MB");
}

#[test]
fn batches_of_batches_have_their_positions() {
    let rows = Dataset::from_tensor_slices(Tensor::from((0..12).collect::<Vec<i32>>())).unwrap();
    check_positions(&rows.batch(4).batch(2), 2);
    check_positions(&rows.batch(5).drop_remainder().batch(2).drop_remainder(), 1);
    assert_eq!(all::<i32>(&rows.batch(2).batch(3))[0], [0, 1, 2, 3, 4, 5]);
}

#[test]
fn tensors_that_do_not_belong_together_are_named() {
    let message = |error: Error| error.to_string();
    let map = BTreeMap::from([("x".to_owned(), Tensor::from([1, 2])), ("y".to_owned(), Tensor::from([1]))]);
    assert_eq!(
        Dataset::from_tensor_slices(map).map_err(message).unwrap_err(),
        "`y` has 1 rows, and `x` has 2: tensors with the same number of rows are needed"
    );
    let scalar = (Tensor::from([1, 2]), vec![Tensor::scalar(1)]);
    assert_eq!(Dataset::from_tensor_slices(scalar).map_err(message).unwrap_err(), "`1/0` is a scalar, and has no rows");
    assert_eq!(
        Dataset::from_tensor_slices(Vec::<Tensor>::new()).map_err(message).unwrap_err(),
        "there is no tensor, and so there are no rows"
    );
    let wrong = Tensor::from([1.0_f32, 2.0]) + Tensor::from([1.0_f32, 2.0, 3.0]);
    assert!(Dataset::from_tensor_slices(wrong).is_err());
}

#[test]
fn elements_that_do_not_fit_a_batch_are_named() {
    let shapes: Dataset<_> = [Tensor::from([1, 2]), Tensor::from([3, 4]), Tensor::from([5])].into_iter().collect();
    let message = "`the tensor` of element 0 of a batch is (2,), and of element 2 (1,)\n    \
                   `padded_batch` takes elements of several shapes";
    assert_eq!(refused(&shapes.batch(3)), (0, message.into()));
    let dtypes: Dataset<_> =
        [(Tensor::from([1]), Tensor::from([1])), (Tensor::from([1]), Tensor::from([1.0_f32]))].into_iter().collect();
    let message = "`1` of element 0 of a batch is int32, and of element 1 float32";
    assert_eq!(refused(&dtypes.batch(2)), (0, message.into()));
    let counts: Dataset<_> = [vec![Tensor::from([1])], vec![]].into_iter().collect();
    assert_eq!(refused(&counts.batch(2)).1, "element 1 of a batch has 0 tensors, and the one before has 1");
}
