use super::*;
use modulor::keras::loss::{AnyLoss, LOSSES, Loss, MeanSquaredError, SparseCategoricalCrossentropy};
use std::collections::HashSet;

#[test]
fn losses_and_their_gradients_are_kerass() {
    let mut met = HashSet::new();
    for row in rows("loss").filter(|row| LOSSES.contains(&row.class().as_str())) {
        let loss: AnyLoss = row.get("config");
        let target = row.tensor("y_true").expect("targets");
        let guess = row.tensor("y_pred").expect("predictions").with_mask(row.tensor("mask"));
        let weight = row.tensor("sample_weight");
        let value = loss.value(&target, &guess, weight.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_near(&value, &row.tensor("value").expect("a value"), 2e-6, &row.case);
        let wide = guess.cast(DType::F64).expect("floats").with_mask(row.tensor("mask"));
        let (dy, gradient) = (row.tensor("dy").expect("a weight"), row.tensor("grad").expect("a gradient"));
        assert_gradient(|guess| loss.value(&target, guess, weight.as_ref()), &wide, &dy, &gradient, &row.case);
        met.insert(row.class());
    }
    assert_eq!(met.len(), LOSSES.len(), "a row for every loss");
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let scores = Tensor::from([[0.1_f32, 0.2, 0.7], [0.3, 0.3, 0.4]]);
    let sparse = SparseCategoricalCrossentropy::default();
    let ignoring = SparseCategoricalCrossentropy { ignore_class: Some(-1), ..Default::default() };
    let mean = MeanSquaredError::default();
    let rows: [(&dyn Loss, Tensor, Option<Tensor>, &str); 6] = [
        (&sparse, Tensor::from([0, 3]), None, "label 3 of row 1"),
        (&ignoring, Tensor::from([-1, -2]), None, "label -2 of row 1"),
        (&sparse, Tensor::from([0, 1, 2]), None, "class ids of shape (3,) and predictions of shape (2, 3)"),
        (&mean, Tensor::from([0.0_f32, 1.0, 2.0]), None, "targets of shape (3,) and predictions of shape (2, 3)"),
        (&mean, Tensor::from([[0.0_f32], [1.0]]), None, "targets of shape (2, 1)"),
        (&mean, scores.clone(), Some(Tensor::from([1.0_f32, 1.0, 1.0])), "sample weights of shape (3,)"),
    ];
    for (loss, target, weight, words) in rows {
        let error = loss.value(&target, &scores, weight.as_ref()).expect_err(words).to_string();
        assert!(error.starts_with(loss.name()) && error.contains(words), "{error}");
    }
}
