use super::config::same;
use super::layer::{Named, below, config, essential, give, layer};
use super::{Row, assert_near, epsilon, rows, tensor, to_f64};
use modulor::keras::library::{Conv1D, Conv2D, Conv3D, Dense, EinsumDense, Embedding, ReversibleEmbedding};
use modulor::module::{Track, object};
use modulor::{Call, DType, Layer, Module, ModuleExt, Result, Tensor};
use serde_json::Value;

#[test]
fn adapted_layers_compute_in_the_dtypes_that_kerass_do() {
    let mut count = 0;
    for row in rows("lora in dtypes") {
        let (layer, x) = (layer(row), row.tensor("x").expect("an input"));
        layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        for (weight, recorded) in give(layer.as_module(), row).iter().zip(row.get::<Vec<Named>>("weights")) {
            assert_eq!(weight.dtype(), tensor(&recorded.value).dtype(), "{}", row.case);
        }
        let (y, expected) = (layer.call(&x).expect("it is built"), row.tensor("y").expect("an output"));
        assert_eq!(y.dtype(), expected.dtype(), "{}", row.case);
        assert_near(&y, &expected, 8.0 * epsilon(y.dtype()).max(epsilon(DType::F32)), &row.case);
        count += 1;
    }
    assert_eq!(count, 20);
}

/// Adapts a layer that is built, and says what it is then.
fn adapted<L: Layer>(row: &Row, enable: impl Fn(&mut L, usize, Option<f64>) -> Result<()>) -> L {
    let mut layer = L::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    let x = row.tensor("x").expect("an input");
    let before: Tensor = layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    let kept: Vec<_> = layer.weights().iter().map(|weight| weight.value().expect("drawn")).collect();
    enable(&mut layer, 2, row.get("alpha")).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    let after: Tensor = layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    assert_eq!(to_f64(&after), to_f64(&before), "{}: it begins where it was", row.case);
    let still =
        layer.weights().into_iter().zip(&kept).all(|(now, kept)| to_f64(&now.value().expect("drawn")) == to_f64(kept));
    assert!(still, "{}", row.case);
    layer
}

#[test]
fn a_layer_that_is_built_is_adapted_as_kerass_are() {
    let mut count = 0;
    for row in rows("lora later on") {
        let layer: Box<dyn Layer> = match row.class().as_str() {
            "Dense" => Box::new(adapted::<Dense>(row, Dense::enable_lora)),
            "EinsumDense" => Box::new(adapted::<EinsumDense>(row, EinsumDense::enable_lora)),
            "Embedding" => Box::new(adapted::<Embedding>(row, Embedding::enable_lora)),
            "ReversibleEmbedding" => Box::new(adapted::<ReversibleEmbedding>(row, ReversibleEmbedding::enable_lora)),
            "Conv1D" => Box::new(adapted::<Conv1D>(row, Conv1D::enable_lora)),
            "Conv2D" => Box::new(adapted::<Conv2D>(row, Conv2D::enable_lora)),
            "Conv3D" => Box::new(adapted::<Conv3D>(row, Conv3D::enable_lora)),
            other => panic!("no `enable_lora` of {other}"),
        };
        let weights = give(layer.as_module(), row);
        let trained = weights.iter().filter(|weight| weight.trainable()).filter_map(|weight| weight.path());
        let trained: Vec<String> = trained.filter_map(|path| below(&path).map(str::to_owned)).collect();
        let expected: Vec<String> = row.get("trainable");
        assert_eq!(trained, expected.iter().filter_map(|path| below(path)).collect::<Vec<_>>(), "{}", row.case);
        let x = row.tensor("x").expect("an input");
        let y = layer.call(&x).expect("it is built");
        assert_near(&y, &row.tensor("y").expect("an output"), 4e-6, &row.case);
        let (mut found, mut expected) =
            (object(layer.as_module()).expect("a config"), row.get::<Value>("config_after"));
        essential(&mut found);
        essential(&mut expected);
        expected["config"]["name"] = layer.default_name().into();
        assert!(same(&found, &expected), "{}: {found}\nis not\n{expected}", row.case);
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn what_is_adapted_leads_back() {
    for row in rows("lora reversed") {
        let layer = ReversibleEmbedding::from_field(Some(&config(row))).expect("a config");
        let _: Tensor = layer.call(Tensor::from([[1, 2]])).expect("it fits");
        give(&layer, row);
        let y = layer.reversed().call(row.tensor("x").expect("an input")).expect("it is built");
        assert_near(&y, &row.tensor("y").expect("an output"), 4e-6, &row.case);
    }
    assert_eq!(rows("lora reversed").count(), 2);
}

#[test]
fn what_cannot_be_adapted_says_so() {
    let x = Tensor::from([[1.0_f32, 2.0]]);
    let refused = |layer: Dense, words: &str| {
        let error = layer.call(&x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(Dense::new(2).lora_rank(0), "`lora_rank` must be at least 1, found 0");
    refused(
        Dense::new(2).lora_rank(1).kernel_constraint("non_neg"),
        "`lora_rank` does not go with `kernel_constraint`",
    );
    let mut layer = Dense::new(2).kernel_constraint("non_neg");
    let error = layer.enable_lora(1, None).expect_err("a constraint").to_string();
    assert!(error.contains("does not go with `kernel_constraint`"), "{error}");
    let mut layer = Dense::new(2);
    assert!(layer.enable_lora(0, None).is_err());
    layer.enable_lora(3, None).expect("it is not adapted");
    let error = layer.enable_lora(3, None).expect_err("it is").to_string();
    assert!(error.contains("`lora_rank` is set already, and is 3"), "{error}");
    let config = |layer: &Dense| layer.config().expect("a config");
    assert_eq!((&config(&layer)["lora_rank"], &config(&layer)["lora_alpha"]), (&3.into(), &3.into()));
    assert!(config(&Dense::new(2)).get("lora_rank").is_none() && config(&Dense::new(2)).get("lora_alpha").is_none());
}

#[test]
fn factors_begin_as_they_are_told() {
    let mut layer = Dense::new(2).lora_initializers("ones", "random_normal").kernel_initializer("zeros");
    layer.enable_lora(1, None).expect("it is not adapted");
    layer.call(Tensor::from([[1.0_f32, 2.0]])).expect("it fits");
    let value = |name: &str| {
        let named = layer.named_variables();
        let (_, variable) = named.iter().find(|(own, _)| own == name).expect("a factor");
        to_f64(&variable.value().expect("drawn"))
    };
    assert_eq!(value("lora_kernel_a"), [1.0, 1.0]);
    assert!(value("lora_kernel_b").iter().all(|&x| x != 0.0 && x.abs() < 1.0));
    assert!(layer.config().expect("a config").keys().all(|key| !key.contains("initializers")));
}
