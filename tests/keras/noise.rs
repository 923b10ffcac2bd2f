use super::layer::{Named, layer_in};
use super::*;
use modulor::keras::library::{AlphaDropout, GaussianDropout, GaussianNoise, SpatialDropout2D};
use modulor::{Call, Layer, ModuleExt, scope};

#[test]
fn noise_is_what_keras_adds() {
    let mut count = 0;
    for row in rows("noise").chain(rows("dropout")) {
        let x = row.tensor("x").expect("an input");
        // A normal number may be off by some units of its last place.
        let tolerance = 16.0 * epsilon(x.dtype());
        if let Some(expected) = row.tensor("grad") {
            let layer = layer_in(row, x.dtype());
            let tape = GradientTape::new();
            tape.watch(&x);
            let y = tape.record(|| scope::with_training(true, || layer.call(&x)));
            let y = y.unwrap_or_else(|e| panic!("{}: {e}", row.case));
            let gradient = tape.gradient(&y, &x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
            assert_near(&gradient, &expected, tolerance, &format!("gradient of {}", row.case));
        }
        if row.kind == "dropout" {
            continue;
        }
        let layer = layer_in(row, x.dtype());
        for expected in row.get::<Vec<Entry>>("outputs") {
            let y = scope::with_training(true, || layer.call(&x)).unwrap_or_else(|e| panic!("{}: {e}", row.case));
            assert_near(&y, &tensor(&expected), tolerance, &row.case);
        }
        let state: Vec<Named> = row.get("state");
        assert_eq!(layer.variables().len(), state.len(), "{}", row.case);
        for (variable, recorded) in layer.variables().iter().zip(&state) {
            assert_eq!(to_f64(&variable.value().expect("drawn")), to_f64(&tensor(&recorded.value)), "{}", row.case);
        }
        count += 1;
    }
    assert!(count > 70, "{count}");
}

#[test]
fn what_a_layer_of_noise_cannot_do_it_says() {
    let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    let rows: [(Box<dyn Layer>, &str); 7] = [
        (Box::new(GaussianNoise::new(1.5)), "`stddev` must be from 0 to 1, found 1.5"),
        (Box::new(GaussianNoise::new(f64::NAN)), "`stddev` must be from 0 to 1, found NaN"),
        (Box::new(GaussianDropout::new(-0.5)), "`rate` must be from 0 to 1, found -0.5"),
        (Box::new(GaussianDropout::new(1.0)), "`rate` must be below 1 in training, found 1"),
        (Box::new(AlphaDropout::new(1.0)), "`rate` must be below 1 in training, found 1"),
        (Box::new(AlphaDropout::new(0.5).noise_shape(vec![None])), "`noise_shape` [None] is for another rank"),
        (Box::new(SpatialDropout2D::new(0.5)), "must have 4 dims, of a batch, 2 spatial axes and channels"),
    ];
    for (layer, words) in rows {
        let error = scope::with_training(true, || layer.call(&x)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
