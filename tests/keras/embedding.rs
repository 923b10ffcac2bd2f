use super::{Entry, assert_near, epsilon, rows, tensor, to_f64};
use modulor::keras::library::{Embedding, Identity};
use modulor::module::Track;
use modulor::{Call, DType, Module, ModuleExt, Tensor, Tree};
use std::collections::BTreeMap;

#[test]
fn a_table_begins_as_the_numbers_that_are_given() {
    let mut count = 0;
    for row in rows("given table") {
        let given = row.tensor("given").expect("numbers");
        let read = || Embedding::from_field(Some(&row.get("config"))).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let layer = read().with_weights(given);
        let y: Tensor = layer.call(row.tensor("x").expect("numbers")).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let recorded: Vec<super::layer::Named> = row.get("weights");
        let table = &layer.weights()[0].value().expect("drawn");
        let expected = tensor(&recorded[0].value);
        assert_eq!((table.dtype(), to_f64(table)), (expected.dtype(), to_f64(&expected)), "{}", row.case);
        let expected = tensor(&row.get::<Entry>("y"));
        assert_eq!(y.dtype(), expected.dtype(), "{}", row.case);
        assert_near(&y, &expected, epsilon(y.dtype()), &row.case);
        // A config does not hold them; a copy has them.
        assert_eq!(layer.config().expect("a config"), read().config().expect("a config"), "{}", row.case);
        let again: Tensor = layer.copy().expect("a copy").call(row.tensor("x").expect("numbers")).expect("it fits");
        assert_eq!(to_f64(&again), to_f64(&y), "{}", row.case);
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn numbers_of_another_shape_are_no_table() {
    for given in [Tensor::zeros([3, 2], DType::F32), Tensor::zeros([3], DType::F32), Tensor::zeros([], DType::F32)] {
        let given = given.expect("zeros");
        let layer = Embedding::new(2, 3).with_weights(given);
        let error = layer.call(Tensor::from([1])).expect_err("another shape").to_string();
        assert!(error.contains("the weights must have the shape of the table, [2, 3], found"), "{error}");
    }
    let broken = Tensor::from([1.0_f32, 2.0]) + Tensor::from([1.0_f32, 2.0, 3.0]);
    assert!(Embedding::new(2, 3).with_weights(broken).call(Tensor::from([1])).is_err());
}

#[test]
fn an_identity_hands_on_any_structure_with_its_masks() {
    let numbers = Tensor::from([[1.0_f32, 2.0]]);
    let masked = numbers.with_mask(Some(Tensor::from([[true, false]])));
    let other = Tensor::from([3.0_f64]);
    let layer = Identity::new();
    let (a, b): (Tensor, Tensor) = layer.over().call((&numbers, &masked)).expect("a pair");
    assert!(a.mask().is_none() && b.mask().is_some_and(|mask| to_f64(mask) == [1.0, 0.0]));
    let list: Vec<Tensor> = layer.over().call([&masked, &numbers]).expect("a list");
    assert!(list[0].mask().is_some() && list[1].mask().is_none());
    // Floats come in the dtype that the layer computes in, as Keras's do.
    let map = BTreeMap::from([("one".to_owned(), masked), ("other".to_owned(), other)]);
    let map = layer.over().call(&map).expect("a map");
    assert_eq!((map["one"].mask().is_some(), map["other"].dtype()), (true, DType::F32));
    let tree = Tree::List(vec![Tree::None, Tree::Leaf(numbers.clone())]);
    assert_eq!(layer.over().call(&tree).expect("a tree").leaves().len(), 1);
    let whole = layer.over::<Vec<Tensor>>();
    assert_eq!(whole.config().expect("a config"), layer.config().expect("a config"));
    assert_eq!(whole.class_name(), "Identity");
}
