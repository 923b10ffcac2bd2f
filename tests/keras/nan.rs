//! Reductions that pass over NaN, and what is near, against Keras's and NumPy's.

use super::*;
use modulor::graph::trace;
use modulor::{Shape, Spec};

fn called(row: &Row, inputs: &[&Tensor]) -> Result<Tensor> {
    let arguments = row.get::<Map<String, Value>>("arguments");
    let number = |key: &str| arguments.get(key).and_then(Value::as_f64);
    let axes = || match arguments.get("axis") {
        None | Some(Value::Null) => (0..inputs[0].rank().expect("a known rank") as i64).collect::<Vec<_>>(),
        Some(Value::Array(axes)) => axes.iter().map(|axis| axis.as_i64().expect("an axis")).collect(),
        Some(axis) => vec![axis.as_i64().expect("an axis")],
    };
    let near = || {
        let equal_nan = arguments["equal_nan"].as_bool().expect("a bool");
        (number("rtol").expect("a number"), number("atol").expect("a number"), equal_nan)
    };
    match (&*row.get::<String>("function"), inputs) {
        ("nansum", [x]) => x.nan_sum(axes()),
        ("nanprod", [x]) => x.nan_prod(axes()),
        ("nanmax", [x]) => x.nan_max(axes()),
        ("nanmin", [x]) => x.nan_min(axes()),
        ("nanmean", [x]) => x.nan_mean(axes()),
        ("nanvar", [x]) => x.nan_variance(axes()),
        ("nanstd", [x]) => x.nan_std(axes()),
        ("nan_to_num", [x]) => x.nan_to_num(number("nan").unwrap_or(0.0), number("posinf"), number("neginf")),
        ("isclose", [a, b]) => {
            let (relative, absolute, equal_nan) = near();
            a.is_close(*b, relative, absolute, equal_nan)
        }
        ("allclose", [a, b]) => {
            let (relative, absolute, equal_nan) = near();
            a.all_close(*b, relative, absolute, equal_nan)
        }
        (other, _) => panic!("what is {other}?"),
    }
}

#[test]
fn nan_is_passed_over_as_keras_does() {
    let mut functions = BTreeSet::new();
    for row in rows("nan") {
        let (case, function) = (&row.case, row.get::<String>("function"));
        functions.insert(function.clone());
        let inputs: Vec<Tensor> = row.get::<Vec<Entry>>("inputs").iter().map(tensor).collect();
        let reference = row.tensor("reference").expect("it is there");
        let call = |inputs: &[Tensor]| called(row, &inputs.iter().collect::<Vec<_>>());
        let found = call(&inputs).unwrap_or_else(|e| panic!("{case}: {e}"));
        if reference.dtype() == DType::Bool {
            assert_eq!(found.to_vec::<bool>().expect("bools"), reference.to_vec::<bool>().expect("bools"), "{case}");
        } else {
            // The greatest float32 is not the greatest float64.
            let is_bounded = function != "nan_to_num" || row.get::<Map<String, Value>>("arguments").len() == 3;
            if is_bounded {
                assert_near(&found, &reference, 1e-5, case);
            }
            let wide: Vec<Tensor> = inputs.iter().map(|x| x.cast(DType::F64).expect("numbers")).collect();
            let tape = GradientTape::new();
            wide.iter().for_each(|x| tape.watch(x));
            let found = tape.record(|| call(&wide)).expect("as before");
            assert_near(&found, &reference, 1e-14, case);
            if let Some(expected) = row.tensor("grad") {
                let dy = row.tensor("dy");
                let sources = wide.iter().map(|x| x as &dyn modulor::tape::Source);
                let gradients = tape.gradients_with(&[(found, dy)], sources, UnconnectedGradients::Zero);
                let gradients = gradients.unwrap_or_else(|e| panic!("{case}: {e}"));
                let gradient = gradients[0].as_ref().expect("zeros at least");
                assert_near(gradient, &expected, 1e-13, &format!("gradient of {case}"));
            }
        }
        // The same bits where no dim is known.
        let eager = call(&inputs).expect("as before");
        let open = |x: &Tensor| Spec::new(x.dtype(), Shape::from(vec![None; x.rank().expect("a value")]));
        let specs: Vec<Spec> = inputs.iter().map(open).collect();
        let graph = trace(|x| Ok(vec![call(x)?]), &specs).unwrap_or_else(|e| panic!("{case}: {e}"));
        let traced = graph.run(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_near(&traced[0], &eager, 0.0, case);
    }
    assert_eq!(functions.len(), 10, "{functions:?}");
    let whole = Tensor::from([1, 2]);
    for error in [whole.nan_sum(0), whole.nan_variance(..), whole.nan_to_num(0.0, None, None), whole.nan_max(0)] {
        let error = error.expect_err("integers are never NaN").to_string();
        assert!(error.contains("takes floats, found int32"), "{error}");
    }
    assert!(Tensor::from([1.0_f32]).nan_mean(1).expect_err("there is one axis").to_string().contains("axis 1"));
}
