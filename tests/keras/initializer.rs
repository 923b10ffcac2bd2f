use super::*;
use modulor::keras::initializer::{AnyInitializer, Identity};
use modulor::variable::Initializer;

/// How far a class may be from Keras's value, in units of the last place of it; `None` for one that solves a system.
fn units(class: &str, config: &Value) -> Option<f64> {
    let uniform = config["distribution"] == "uniform";
    match class {
        "Zeros" | "Ones" | "Constant" | "Identity" => Some(0.0),
        "RandomUniform" | "GlorotUniform" | "HeUniform" | "LecunUniform" => Some(1.0),
        "VarianceScaling" if uniform => Some(1.0),
        "Orthogonal" => None,
        // Keras computes angles in float32.
        "STFT" => None,
        _ => Some(4.0),
    }
}

/// The distance from a number to the next one away from 0, at the precision of a dtype.
fn last_place(x: f64, dtype: DType) -> f64 {
    let smallest = if dtype == DType::F16 { -14.0 } else { -126.0 };
    epsilon(dtype) * x.abs().log2().floor().max(smallest).exp2()
}

#[test]
fn seeds_give_kerass_values() {
    let mut classes = std::collections::BTreeMap::new();
    for row in rows("initializer") {
        let (class, config) = (row.class(), row.get::<Value>("config")["config"].clone());
        let initializer: AnyInitializer = match row.get::<Option<f64>>("gain") {
            // Keras leaves the gain out of the configuration.
            Some(gain) if class == "Identity" => Identity { gain }.into(),
            _ => row.get("config"),
        };
        let expected = row.tensor("value").expect("a value");
        let dtype = expected.dtype();
        let dims: Vec<usize> = row.get("shape");
        let found = initializer.init(&dims, dtype, 0).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_eq!(found.spec(), expected.spec(), "{}", row.case);
        for (x, y) in to_f64(&found).into_iter().zip(to_f64(&expected)) {
            let tolerance = match units(&class, &config) {
                Some(0.0) => 0.0,
                Some(units) => units * last_place(y, dtype),
                None => 1e-5,
            };
            assert!((x - y).abs() <= tolerance, "{}: {x} is not {y}", row.case);
        }
        *classes.entry(class).or_insert(0) += 1;
    }
    assert!(classes.len() >= 15 && classes.values().sum::<usize>() > 200, "{classes:?}");
}
