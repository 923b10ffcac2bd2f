use super::{assert_near, epsilon, rows};
use modulor::keras::loss::{AnyLoss, Loss, MeanSquaredError};
use modulor::{DType, Tensor};
use serde_json::Value;

#[test]
fn losses_are_computed_in_the_dtypes_that_kerass_are() {
    let mut count = 0;
    for row in rows("loss in a dtype") {
        let mut config: Value = row.get("config");
        let plain: AnyLoss = serde_json::from_value(config.clone()).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_eq!(plain.dtype(), None, "{}: a config does not say", row.case);
        config["config"]["dtype"] = row.get("dtype");
        let loss: AnyLoss = serde_json::from_value(config.clone()).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let tensor = |key| row.tensor(key).expect("it is recorded");
        let y = loss.value(&tensor("y_true"), &tensor("y_pred"), row.tensor("weight").as_ref());
        let (y, expected) = (y.unwrap_or_else(|e| panic!("{}: {e}", row.case)), tensor("y"));
        assert_eq!(y.dtype(), expected.dtype(), "{}", row.case);
        assert_near(&y, &expected, 8.0 * epsilon(y.dtype()), &row.case);
        let written = serde_json::to_value(&loss).expect("a config");
        assert!(written["config"].get("dtype").is_none(), "{written}");
        count += 1;
    }
    assert_eq!(count, 150);
}

#[test]
fn a_dtype_of_no_floats_is_refused_and_a_mask_goes_along() {
    let (y_true, y_pred) = (Tensor::from([1.0_f32, 2.0]), Tensor::from([2.0_f32, 4.0]));
    let loss = |dtype| MeanSquaredError { dtype: Some(dtype), ..Default::default() };
    let error = loss(DType::I32).value(&y_true, &y_pred, None).expect_err("integers").to_string();
    assert!(error.contains("`dtype` must be one of floats, found int32"), "{error}");
    let masked = y_pred.expand_dims(1).expect("a vector").with_mask(Some(Tensor::from([true, false])));
    let y = loss(DType::F64).value(&y_true.expand_dims(1).expect("a vector"), &masked, None).expect("numbers");
    assert_eq!((y.dtype(), y.item::<f64>().expect("a number")), (DType::F64, 1.0));
    let unknown = serde_json::json!({"class_name": "Huber", "config": {"dtype": "floot32"}});
    assert!(serde_json::from_value::<AnyLoss>(unknown).is_err());
}
