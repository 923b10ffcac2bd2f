//! Configs: Keras's form, faults, versions, the registry.

use super::*;
use modulor::module::{Config, FromConfig, Track, object};
use serde_json::{Value, json};
use std::sync::Arc;

fn config(value: Value) -> Config {
    value.as_object().expect("an object is written in the test").clone()
}

#[derive(Module)]
#[module(package = "keras.layers")]
struct Affine {
    #[config]
    units: usize,
    #[config(default = true)]
    use_bias: bool,
    #[variable(shape = [input[-1], units], init = 0.0)]
    kernel: Variable,
    #[variable(shape = [units], init = 0.0, when = use_bias)]
    bias: Variable,
}

impl Layer for Affine {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.kernel)?;
        if self.use_bias { Ok(y + &self.bias) } else { Ok(y) }
    }
}

#[test]
fn a_keras_layer_has_the_keys_of_keras() {
    let policy = json!({
        "module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null
    });
    let expected = json!({
        "module": "keras.layers",
        "class_name": "Affine",
        "config": {"name": "affine", "trainable": true, "dtype": policy, "units": 3, "use_bias": true},
        "registered_name": null,
    });
    let dense = Affine::new(3);
    assert_eq!(object(&dense).unwrap(), expected);
    let again = Affine::from_field(Some(&expected)).unwrap();
    assert_eq!((again.units, again.use_bias), (3, true));
    let minimal = Affine::from_config(&config(json!({"units": 2, "dtype": "float32"}))).unwrap();
    assert!(minimal.use_bias);
    let error = Affine::from_config(&config(json!({"units": 2, "dtype": "float16"}))).err().unwrap().to_string();
    assert!(error.contains("this class has no dtype policy"), "{error}");
}

#[test]
fn a_variable_that_the_settings_exclude_is_not_there() {
    let dense = Affine::new(3).use_bias(false);
    dense.call(ones([1, 2])).unwrap();
    assert_eq!(paths(&dense), ["kernel"]);
}

#[test]
fn a_type_of_the_users_has_a_registered_name() {
    let object = object(&FlexibleDense::new(3)).unwrap();
    let expected = json!({
        "module": null,
        "class_name": "FlexibleDense",
        "config": {"out_features": 3},
        "registered_name": "module_tests>FlexibleDense",
    });
    assert_eq!(object, expected);
}

#[derive(Module)]
struct Net {
    #[config(default)]
    label: Option<String>,
    any: Box<dyn Layer>,
    list: Vec<Box<dyn Layer>>,
    maybe: Option<FlexibleDense>,
    two: (FlexibleDense, Relu),
    array: [Affine; 2],
    map: std::collections::BTreeMap<String, Affine>,
    #[variable(init = 1.0)]
    scale: Variable,
}

impl Layer for Net {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.any.call(x)
    }
}

fn net() -> Net {
    Net::new(
        Box::new(my_sequential_model()),
        vec![Box::new(Relu), Box::new(Affine::new(4))],
        None,
        (FlexibleDense::new(1), Relu),
        [Affine::new(1), Affine::new(2)],
        [("key".to_owned(), Affine::new(7))].into(),
    )
    .label(Some("net".to_owned()))
}

#[test]
fn whole_trees_come_back_from_their_configs() {
    let config = net().config().unwrap();
    let again = Net::from_config(&config).unwrap();
    assert_eq!(again.config().unwrap(), config);
    assert_eq!(again.call(ones([1, 3])).unwrap().dims().unwrap(), [1, 2]);
    assert_eq!(again.map["key"].units, 7);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

#[test]
fn all_faults_of_a_config_are_reported_together() {
    let mut bad = net().config().unwrap();
    bad.insert("labell".to_owned(), json!("x"));
    bad.insert("label".to_owned(), json!(3));
    bad["two"][0]["config"]["untis"] = json!(1);
    bad["array"] = json!([]);
    bad.remove("any");
    let error = Net::from_config(&bad).err().unwrap().to_string();
    let expected = [
        "config of `Net`: unknown key `labell`; did you mean `label`?",
        "label: invalid type: integer `3`, expected a string",
        "any: the key is missing: a layer is needed",
        "two/0: config of `FlexibleDense`: unknown key `untis`; there are `out_features`",
        "array: expected a list of 2, found one of 0",
    ];
    assert_eq!(error, expected.join("; "));
}

#[test]
fn what_is_no_serialized_module_of_the_class_is_refused() {
    let error = |value: Value| FlexibleDense::from_field(Some(&value)).err().unwrap().to_string();
    assert!(error(json!(3)).starts_with("expected a serialized `FlexibleDense`"));
    let other = object(&Relu).unwrap();
    assert_eq!(error(other), "expected a `FlexibleDense`, found a `Relu`");
    let missing = FlexibleDense::from_field(None).err().unwrap().to_string();
    assert_eq!(missing, "the key is missing: a `FlexibleDense` is needed");
}

#[derive(Module)]
#[module(version = 3, migrate = migrate)]
struct Versioned {
    #[config]
    units: usize,
}

fn migrate(mut config: Config, from: u32) -> Result<Config> {
    if from == 1 {
        let size = config.remove("size").ok_or_else(|| Error::invalid_argument("version 1 has `size`"))?;
        config.insert("units".to_owned(), size);
    }
    Ok(config)
}

#[test]
fn older_configs_are_migrated_and_newer_ones_refused() {
    let written = Versioned::new(3).config().unwrap();
    assert_eq!(Value::Object(written), json!({"schema_version": 3, "units": 3}));
    assert_eq!(Versioned::from_config(&config(json!({"size": 4}))).unwrap().units, 4);
    assert_eq!(Versioned::from_config(&config(json!({"schema_version": 2, "units": 5}))).unwrap().units, 5);
    let error = Versioned::from_config(&config(json!({"schema_version": 4, "units": 5}))).err().unwrap().to_string();
    assert_eq!(error, "config of `Versioned`: it has `schema_version` 4, and this program knows those up to 3");
}

#[test]
fn frozen_flags_survive() {
    let model = my_sequential_model();
    model.dense_1.freeze();
    model.dense_2.w.set_trainable(false);
    let written = model.config().unwrap();
    assert_eq!(written["dense_1"]["config"]["trainable"], json!(false));
    assert_eq!(written["dense_2"]["config"]["trainable"], json!({"w": false}));
    assert!(!written.contains_key("trainable"));
    let again = MySequentialModel::from_config(&written).unwrap();
    again.call(ones([1, 3])).unwrap();
    let trainable: Vec<_> =
        again.named_variables().into_iter().filter(|(_, v)| v.trainable()).map(|(p, _)| p).collect();
    assert_eq!(trainable, ["dense_2/b"]);
    let mut bad = written;
    bad["dense_2"]["config"]["trainable"] = json!({"v": false});
    let error = MySequentialModel::from_config(&bad).err().unwrap().to_string();
    assert!(error.contains("`trainable` names no variable by `v`"), "{error}");
}

#[test]
fn a_shared_module_is_marked_and_stays_one() {
    let dense = Affine::new(2);
    let net = Net { array: [dense.share(), dense], ..net() };
    let config = net.config().unwrap();
    assert_eq!(config["array"][0]["shared_object_id"], config["array"][1]["shared_object_id"]);
    assert!(config["map"]["key"].get("shared_object_id").is_none());
    let again = Net::from_config(&config).unwrap();
    assert_eq!(again.array[0].kernel.id(), again.array[1].kernel.id());
}

#[test]
fn one_variable_in_two_modules_is_an_error_and_not_two_variables() {
    let (first, second) = (FlexibleDense::new(2), FlexibleDense::new(2));
    let tied = FlexibleDense { b: first.b.clone(), ..second };
    let error = MySequentialModel { dense_1: first, dense_2: tied }.config().unwrap_err().to_string();
    assert!(error.starts_with("one variable is at `dense_1/b` and at `dense_2/b`"), "{error}");
}

#[test]
fn an_unknown_class_is_an_error_that_says_what_there_is_and_how_to_register() {
    let layer = |name: &str| {
        let (_, class) = name.split_once('>').unwrap();
        let value = json!({"module": null, "class_name": class, "config": {}, "registered_name": name});
        Box::<dyn Layer>::from_field(Some(&value)).err().unwrap().to_string()
    };
    let error = layer("module_tests>FlexibelDense");
    assert!(error.contains(
        "no class is registered as `module_tests>FlexibelDense`; did you mean `module_tests>FlexibleDense`?"
    ));
    assert!(layer("module_tests>Residual<Relu>").contains("modulor::register!(Residual<Relu>);"));
    assert_eq!(layer("modulor>Config1"), layer("modulor>Config1"));
    let module =
        json!({"module": null, "class_name": "Versioned", "config": {}, "registered_name": "modulor>Versioned"});
    let error = Box::<dyn Layer>::from_field(Some(&module)).err().unwrap().to_string();
    assert_eq!(error, "`Versioned` is a module and not a layer");
    let add = json!({"module": null, "class_name": "Relu", "config": {}, "registered_name": "module_tests>Relu"});
    let error = Box::<dyn Layer<(Tensor, Tensor)>>::from_field(Some(&add)).err().unwrap().to_string();
    assert!(error.starts_with("`Relu` is not a layer from `("), "{error}");
}

mod twins {
    use super::*;
    pub mod a {
        use super::*;
        #[derive(Module)]
        pub struct Twin;
        impl Layer for Twin {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                Ok(x.clone())
            }
        }
    }
    pub mod b {
        use super::*;
        #[derive(Module)]
        pub struct Twin;
    }
}

#[test]
fn two_classes_under_one_name_are_an_error_that_names_both() {
    let _ = twins::b::Twin;
    let object = object(&twins::a::Twin).unwrap();
    let error = Box::<dyn Layer>::from_field(Some(&object)).err().unwrap().to_string();
    assert!(error.contains("twins::a::Twin") && error.contains("twins::b::Twin"), "{error}");
}

#[derive(Module)]
struct Residual<L> {
    inner: L,
    #[config]
    scale: f64,
}

impl<L: Layer> Layer for Residual<L> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.inner.call(x)? * self.scale + x)
    }
}

modulor::register!(Residual<FlexibleDense>);

#[test]
fn a_generic_type_is_registered_for_the_types_wanted() {
    let residual: Arc<dyn Layer> = Arc::new(Residual::new(FlexibleDense::new(3), 0.5));
    let object = residual.field_config().unwrap().unwrap();
    assert_eq!(object["registered_name"], "modulor>Residual<FlexibleDense>");
    assert_eq!(object["class_name"], "Residual<FlexibleDense>");
    let again = Arc::<dyn Layer>::from_field(Some(&object)).unwrap();
    assert_eq!(again.call(ones([1, 3])).unwrap().dims().unwrap(), [1, 3]);
    let typed = Residual::<FlexibleDense>::from_field(Some(&object)).unwrap();
    assert_eq!(typed.scale, 0.5);
}

mod celsius {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Clone)]
    pub struct Celsius(pub f64);

    pub fn serialize<S: Serializer>(value: &Celsius, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}C", value.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Celsius, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_suffix('C').and_then(|number| number.parse().ok());
        number.map(Celsius).ok_or_else(|| serde::de::Error::custom("expected degrees, as in \"20C\""))
    }
}

#[derive(Module)]
struct Oven {
    #[config(with = celsius)]
    heat: celsius::Celsius,
}

#[test]
fn a_foreign_setting_is_written_and_read_by_a_module_of_functions() {
    let written = Oven::new(celsius::Celsius(200.0)).config().unwrap();
    assert_eq!(Value::Object(written.clone()), json!({"heat": "200C"}));
    assert_eq!(Oven::from_config(&written).unwrap().heat.0, 200.0);
    let error = Oven::from_config(&config(json!({"heat": "20F"}))).err().unwrap().to_string();
    assert_eq!(error, "config of `Oven`: heat: expected degrees, as in \"20C\"");
}

#[test]
fn a_type_without_config_says_so() {
    #[derive(Module)]
    #[module(no_config)]
    struct Bare {
        #[skip(default = std::time::Instant::now())]
        _since: std::time::Instant,
        #[variable(init = 1.0)]
        v: Variable,
    }
    let error = Bare::new().config().unwrap_err().to_string();
    assert_eq!(error, "`Bare` has no config: it is derived with `#[module(no_config)]`");
    assert_eq!(Bare::new().v.id().min(1), 1);
}
