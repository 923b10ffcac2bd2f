use super::*;
use modulor::keras::regularizer::{AnyRegularizer, L2, OrthogonalRegularizer};
use modulor::variable::Regularizer;

#[test]
fn penalties_and_their_gradients_are_kerass() {
    let mut count = 0;
    for row in rows("regularizer") {
        let regularizer: AnyRegularizer = row.get("config");
        let x = row.tensor("x").expect("an input");
        let value = regularizer.penalty(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let recorded = row.tensor("value").expect("a value");
        assert_near(&value, &row.tensor("reference").unwrap_or(recorded), 4e-7, &row.case);
        if let Some(gradient) = row.tensor("grad").filter(|gradient| gradient.dtype() == DType::F64) {
            let dy = Tensor::scalar(1.0_f64);
            assert_gradient(
                |x| regularizer.penalty(x),
                &x.cast(DType::F64).expect("floats"),
                &dy,
                &gradient,
                &row.case,
            );
        }
        count += 1;
    }
    assert!(count > 30);
}

#[test]
fn what_cannot_be_a_penalty_is_refused() {
    let w = Tensor::from([1.0_f32, 2.0]);
    for (regularizer, words) in [
        (AnyRegularizer::from(L2 { l2: -1.0 }), "`l2` must be a finite number not below 0, found -1"),
        (AnyRegularizer::from(L2 { l2: f64::NAN }), "found NaN"),
        (AnyRegularizer::from(OrthogonalRegularizer::default()), "takes a matrix"),
    ] {
        let error = regularizer.penalty(&w).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
