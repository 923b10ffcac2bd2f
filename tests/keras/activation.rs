use super::*;
use modulor::keras::activation::{self, ACTIVATIONS, AnyActivation};
use std::collections::HashSet;

/// The activation of a name with the arguments that a row gives; with none, by the setting.
fn apply(name: &str, args: &Map<String, Value>, x: &Tensor) -> Result<Tensor> {
    let number = |key: &str, default: f64| args.get(key).map_or(default, |value| value.as_f64().expect("a number"));
    let axis = args.get("axis").and_then(Value::as_i64).unwrap_or(-1);
    match name {
        "threshold" => activation::threshold(x, number("threshold", 0.0), number("default_value", 0.0)),
        _ if args.is_empty() => AnyActivation::from(name).apply(x),
        "celu" => activation::celu(x, number("alpha", 1.0)),
        "elu" => activation::elu(x, number("alpha", 1.0)),
        "gelu" => x.gelu(args["approximate"] == true),
        "hard_shrink" => activation::hard_shrink(x, number("threshold", 0.5)),
        "glu" => activation::glu(x, axis),
        "leaky_relu" => x.leaky_relu(number("negative_slope", 0.2) as f32),
        "log_softmax" => x.log_softmax(axis),
        "relu" => {
            let max_value = args.get("max_value").and_then(Value::as_f64);
            activation::relu(x, number("negative_slope", 0.0), max_value, number("threshold", 0.0))
        }
        "soft_shrink" => activation::soft_shrink(x, number("threshold", 0.5)),
        "softmax" => x.softmax(axis),
        "sparsemax" => activation::sparsemax(x, axis),
        "squareplus" => activation::squareplus(x, number("b", 4.0)),
        _ => panic!("{name} takes no {args:?}"),
    }
}

#[test]
fn activations_and_their_gradients_are_kerass() {
    let mut met = HashSet::new();
    // Keras's sparsemax is not the projection that it says it is.
    for row in rows("activation").filter(|row| row.get::<String>("name") != "sparsemax") {
        let (name, args): (String, _) = (row.get("name"), row.get("args"));
        let x = row.tensor("x").expect("an input");
        let y = apply(&name, &args, &x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let reference = row.tensor("reference").expect("a reference");
        assert_eq!(y.dtype(), x.dtype(), "{}", row.case);
        assert_near(&y, &reference, 8.0 * epsilon(x.dtype()), &row.case);
        if let (Some(dy), Some(gradient)) = (row.tensor("dy"), row.tensor("grad")) {
            let x = x.cast(DType::F64).expect("floats");
            assert_gradient(|x| apply(&name, &args, x), &x, &dy, &gradient, &row.case);
        }
        met.insert(AnyActivation::from(name.as_str()).name().to_owned());
    }
    let missing: Vec<_> = ACTIVATIONS.iter().filter(|name| !met.contains(**name)).collect();
    assert_eq!(missing, [&"sparsemax"], "a row for every activation");
}

/// `y` is the point of the simplex nearest to `x` if it is on it, and `x − y` is the same wherever `y` is above 0, and
/// nowhere more.
#[test]
fn sparsemax_is_the_nearest_distribution() {
    for row in rows("activation").filter(|row| row.get::<String>("name") == "sparsemax") {
        let axis = row.get::<Map<String, Value>>("args").get("axis").and_then(Value::as_i64).unwrap_or(-1);
        let x = row.tensor("x").and_then(|x| x.cast(DType::F64).ok()).expect("floats");
        let check = || {
            let y = activation::sparsemax(&x, axis)?;
            assert!(to_f64(&y).iter().all(|&y| y >= 0.0), "{}", row.case);
            let sums = y.sum(axis)?;
            assert_near(&sums, &sums.ones_like()?, 1e-12, &row.case);
            let above = (&x - &y).max_keepdims(axis)?;
            assert_near(&y.mul(&above)?, &y.mul(&x - &y)?, 1e-12, &row.case);
            Ok::<_, modulor::Error>(())
        };
        check().unwrap_or_else(|e| panic!("{}: {e}", row.case));
    }
}

#[test]
fn an_activation_is_written_as_its_name_and_read_from_what_keras_writes() {
    for name in ACTIVATIONS {
        let activation = AnyActivation::from(*name);
        let written = serde_json::to_value(&activation).expect("a name");
        assert_eq!(written, *name);
        assert_eq!(serde_json::from_value::<AnyActivation>(written).expect("readable"), activation);
    }
    let function = serde_json::json!({"module": "builtins", "class_name": "function", "config": "swish"});
    assert_eq!(serde_json::from_value::<AnyActivation>(function).expect("readable"), AnyActivation::Silu);
    assert_eq!(serde_json::from_value::<AnyActivation>(Value::Null).expect("readable"), AnyActivation::Linear);
    let unknown = serde_json::from_value::<AnyActivation>("rellu".into()).expect_err("no such name");
    assert!(unknown.to_string().contains("unknown activation `rellu`"), "{unknown}");
}
