//! Checkpoints that TensorFlow wrote, restored into structs.

use super::Interop;
use modulor::checkpoint::Checkpoint;
use modulor::keras::optimizer::{Adam, SGD};
use modulor::module::{Track, Visitor};
use modulor::prelude::*;
use std::collections::BTreeMap;

/// Of whatever size the test says, and all zeros.
#[derive(Module)]
struct Dense {
    w: Variable,
    b: Variable,
}

impl Dense {
    fn zeros(inputs: usize, outputs: usize) -> Dense {
        Dense { w: zeros(&[inputs, outputs]), b: zeros(&[outputs]) }
    }
}

fn zeros(dims: &[usize]) -> Variable {
    Variable::new(Tensor::zeros(dims, DType::F32).expect("they are small"))
}

#[derive(Module)]
struct Sequential {
    dense_1: Dense,
    dense_2: Dense,
}

fn sequential() -> Sequential {
    Sequential { dense_1: Dense::zeros(3, 3), dense_2: Dense::zeros(3, 2) }
}

#[derive(Module)]
struct FlexibleDense {
    #[config]
    out_features: usize,
    #[variable(shape = [input[-1], out_features], init = Zeros)]
    w: Variable,
    #[variable(shape = [out_features], init = Zeros)]
    b: Variable,
}

impl Layer for FlexibleDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (x.matmul(&self.w)? + &self.b).relu()
    }
}

#[derive(Module)]
struct Flexible {
    dense_1: FlexibleDense,
    dense_2: FlexibleDense,
}

impl Layer for Flexible {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn check_sequential(fixture: &Interop, at: &str, [w1, b1, w2, b2]: [&Variable; 4]) {
    for (path, variable) in [("dense_1/w", w1), ("dense_1/b", b1), ("dense_2/w", w2), ("dense_2/b", b2)] {
        fixture.check(&format!("{at}{path}"), variable);
    }
}

impl Sequential {
    fn all(&self) -> [&Variable; 4] {
        [&self.dense_1.w, &self.dense_1.b, &self.dense_2.w, &self.dense_2.b]
    }
}

#[test]
fn the_simple_module() -> Result<()> {
    #[derive(Module)]
    struct SimpleModule {
        #[variable(init = 0.0)]
        a_variable: Variable,
        #[variable(init = 0.0, trainable = false)]
        non_trainable_variable: Variable,
    }
    let (fixture, model) = (Interop::open("seed_simple"), SimpleModule::new());
    Checkpoint::default().with("model", &model).read(&fixture.prefix)?.assert_consumed()?;
    assert_eq!((&model.a_variable * 5.0 + &model.non_trainable_variable).item::<f32>()?, 30.0);
    Ok(())
}

#[test]
fn the_sequential_module() -> Result<()> {
    let (fixture, model) = (Interop::open("seed_sequential"), sequential());
    Checkpoint::default().with("model", &model).read(&fixture.prefix)?.assert_consumed()?;
    check_sequential(&fixture, "model/", model.all());
    Ok(())
}

#[test]
fn a_model_whose_variables_come_with_the_first_call() -> Result<()> {
    let fixture = Interop::open("seed_flexible");
    let model = Flexible { dense_1: FlexibleDense::new(3), dense_2: FlexibleDense::new(2) };
    let status = Checkpoint::default().with("model", &model).read(&fixture.prefix)?;
    status.assert_consumed()?;
    assert_eq!(status.restored(), 4);
    assert!(model.variables().is_empty());
    model.call(Tensor::from([[2.0_f32, 2.0, 2.0]]))?;
    let Flexible { dense_1, dense_2 } = &model;
    check_sequential(&fixture, "model/", [&dense_1.w, &dense_1.b, &dense_2.w, &dense_2.b]);
    Ok(())
}

#[test]
fn a_module_that_is_the_root_itself() -> Result<()> {
    let (fixture, model) = (Interop::open("ckpt_root"), sequential());
    Checkpoint::new(&model).read(&fixture.prefix)?.assert_consumed()?;
    check_sequential(&fixture, "", model.all());
    Ok(())
}

#[test]
fn a_save_is_counted_on_from_what_tensorflow_counted() -> Result<()> {
    let fixture = Interop::open("ckpt_root");
    let (net, step) = (sequential(), Variable::new(0_i64));
    let checkpoint = Checkpoint::default().with("net", &net).with("step", &step);
    let managed = fixture.folder.join("managed/ckpt-3");
    checkpoint.restore(&managed)?.assert_consumed()?;
    assert_eq!(checkpoint.save_counter().value()?.item::<i64>()?, 3);
    let folder = tempfile::tempdir().expect("there is room");
    let saved = checkpoint.save(folder.path().join("ckpt"))?;
    assert!(saved.ends_with("ckpt-4"), "{}", saved.display());
    let state = std::fs::read_to_string(folder.path().join("checkpoint")).expect("a save says which is the latest");
    assert!(
        state.starts_with("model_checkpoint_path: \"ckpt-4\"\nall_model_checkpoint_paths: \"ckpt-4\"\n"),
        "{state}"
    );
    assert_eq!(modulor::checkpoint::latest_checkpoint(folder.path())?.as_ref(), Some(&saved));
    // `read` leaves the count alone.
    let other = Checkpoint::default().with("net", &net).with("step", &step);
    other.read(&saved)?.assert_consumed()?;
    assert_eq!(other.save_counter().value()?.item::<i64>()?, 0);
    other.restore(&saved)?.assert_consumed()?;
    assert_eq!(other.save_counter().value()?.item::<i64>()?, 4);
    Ok(())
}

/// What a Python dict holds that has values of several kinds.
enum Anything {
    Dense(Dense),
    Variable(Variable),
    Pair([Variable; 2]),
}

impl Track for Anything {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        match self {
            Anything::Dense(part) => part.track(name, visitor),
            Anything::Variable(part) => part.track(name, visitor),
            Anything::Pair(part) => part.track(name, visitor),
        }
    }

    fn share(&self) -> Self {
        match self {
            Anything::Dense(part) => Anything::Dense(part.share()),
            Anything::Variable(part) => Anything::Variable(part.share()),
            Anything::Pair(part) => Anything::Pair(part.share()),
        }
    }

    fn field_config(&self) -> Result<Option<serde_json::Value>> {
        Ok(None)
    }

    fn from_field(_: Option<&serde_json::Value>) -> Result<Self> {
        Err(Error::unimplemented("it has no config"))
    }
}

type Nested = (Vec<Variable>, BTreeMap<String, (Variable, BTreeMap<String, Variable>)>);

#[derive(Module)]
struct Containers {
    layers: Vec<Dense>,
    by_name: BTreeMap<String, Anything>,
    tup: (Variable, Option<Variable>, Vec<Variable>),
    shared: Variable,
    _private: Variable,
    nested: Nested,
}

fn containers() -> Containers {
    let scalar = || zeros(&[]);
    let layers = vec![Dense::zeros(2, 3), Dense::zeros(3, 2)];
    let shared = layers[0].b.clone();
    let by_name = BTreeMap::from([
        ("enc/0".to_owned(), Anything::Dense(Dense::zeros(2, 2))),
        ("d.ot".to_owned(), Anything::Variable(scalar())),
        ("pair".to_owned(), Anything::Pair([scalar(), scalar()])),
    ]);
    let nested =
        (vec![scalar()], BTreeMap::from([("k".to_owned(), (scalar(), BTreeMap::from([("z".to_owned(), scalar())])))]));
    Containers { layers, by_name, tup: (scalar(), None, vec![scalar()]), shared, _private: scalar(), nested }
}

#[test]
fn lists_dicts_tuples_and_what_is_shared() -> Result<()> {
    let (fixture, model) = (Interop::open("ckpt_containers"), containers());
    let checkpoint = Checkpoint::default().with("model", &model);
    checkpoint.read(&fixture.prefix)?.assert_consumed()?;
    let found = modulor::module::walk(&model);
    let mut seen = 0;
    found.each_variable(&mut |path, variable| {
        // The shared one has the shorter of its two keys.
        let path = if path == "layers/0/b" { "shared" } else { path };
        fixture.check(&format!("model/{path}"), variable);
        seen += 1;
    });
    assert_eq!(seen, 16);

    // Ours of the same objects has the same keys, by the same edges.
    let graph = checkpoint.snapshot()?;
    let mut keys: Vec<&str> = graph.values().iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    assert_eq!(keys, fixture.keys());
    Ok(())
}

#[test]
fn every_dtype_that_tensors_have() -> Result<()> {
    let fixture = Interop::open("ckpt_dtypes");
    let mut model = BTreeMap::new();
    for (name, entry) in modulor::checkpoint::list_variables(&fixture.prefix)? {
        let Some(dtype) = entry.dtype.dtype() else { continue };
        if let Some(field) =
            name.strip_prefix("model/").and_then(|name| name.strip_suffix("/.ATTRIBUTES/VARIABLE_VALUE"))
        {
            let value = match dtype {
                DType::String => Tensor::strings(&entry.shape[..], vec![""; entry.shape.iter().product()])?,
                _ => Tensor::zeros(&entry.shape[..], dtype)?,
            };
            model.insert(field.to_owned(), Variable::new(value));
        }
    }
    assert_eq!(model.len(), 49);
    let checkpoint = Checkpoint::default().with("model", &model);
    let error = checkpoint.read(&fixture.prefix).unwrap_err();
    assert!(
        error.to_string().contains("`model/float8_e5m2_vec/.ATTRIBUTES/VARIABLE_VALUE` in it is nothing here"),
        "{error}"
    );
    let status = checkpoint.expect_partial().read(&fixture.prefix)?;
    assert_eq!((status.restored(), status.unused().len()), (49, 6));
    for (name, variable) in &model {
        fixture.check(&format!("model/{name}"), variable);
    }
    let missing = BTreeMap::from([("float8_e5m2_vec".to_owned(), zeros(&[4]))]);
    let error = Checkpoint::default().with("model", &missing).expect_partial().read(&fixture.prefix).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`model/float8_e5m2_vec`: expected float32(4,), found float8_e5m2(4,) under `model/"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_list_of_1200() -> Result<()> {
    let fixture = Interop::open("ckpt_many");
    let v: Vec<Variable> = (0..1200).map(|_| zeros(&[])).collect();
    Checkpoint::default().with("v", &v).read(&fixture.prefix)?.assert_consumed()?;
    for index in [0, 1, 2, 10, 100, 999, 1000, 1199] {
        fixture.check(&format!("v/{index}"), &v[index]);
    }
    Ok(())
}

#[test]
fn shards_and_slices() -> Result<()> {
    #[derive(Module)]
    struct Merged {
        dense_1: Dense,
        dense_2: Dense,
        extra: Variable,
    }
    let fixture = Interop::open("ckpt_sharded");
    let Sequential { dense_1, dense_2 } = sequential();
    let model = Merged { dense_1, dense_2, extra: zeros(&[40, 10]) };
    Checkpoint::default().with("model", &model).read(&fixture.prefix)?.assert_consumed()?;
    check_sequential(&fixture, "model/", [&model.dense_1.w, &model.dense_1.b, &model.dense_2.w, &model.dense_2.b]);
    fixture.check("model/extra", &model.extra);

    let fixture = Interop::open("ckpt_sharded_tf");
    let [a, b, c] = [zeros(&[50, 10]), zeros(&[30]), Variable::new(0_i64)];
    let model = BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b), ("c".to_owned(), c)]);
    Checkpoint::default().with("model", &model).read(&fixture.prefix)?.assert_consumed()?;
    for (name, variable) in &model {
        fixture.check(&format!("model/{name}"), variable);
    }
    Ok(())
}

#[test]
fn slots_of_the_optimizers_of_tensorflow_1() -> Result<()> {
    let fixture = Interop::open("ckpt_slots");
    let (model, v) = (sequential(), zeros(&[2]));
    let (adam, mom) = (Adam::new(), SGD::new().momentum(0.5));
    let checkpoint = Checkpoint::default()
        .with("model", &model)
        .with("adam", &adam)
        .with("mom", &mom)
        .with("v", &v)
        .expect_partial();
    let status = checkpoint.read(&fixture.prefix)?;
    // The powers of its betas are none of Adam's variables here.
    let powers = ["beta1_power", "beta2_power"].map(|name| format!("adam/{name}/.ATTRIBUTES/VARIABLE_VALUE"));
    assert_eq!(status.unused()[..2], powers);
    assert_eq!(status.missing(), ["adam/iteration", "adam/learning_rate", "mom/iteration", "mom/learning_rate"]);
    assert_eq!(status.restored(), 5 + 8 + 1);
    let mut slots = Vec::new();
    modulor::module::walk(&adam).each_variable(&mut |name, slot| slots.push((name.to_owned(), slot.clone())));
    let slot = |name: &str| {
        let found = slots.iter().find(|(there, _)| there == name);
        &found.unwrap_or_else(|| panic!("{name} is not among {slots:?}")).1
    };
    assert_eq!(slots.len(), 2 + 8, "{slots:?}");
    let kept = "model/dense_2/b/.OPTIMIZER_SLOT/adam/";
    let bias = [("momentum", "m"), ("velocity", "v")].map(|(kind, older)| (kind, format!("{kept}{older}")));
    let of_bias = |kind: &str| {
        let shown = modulor::module::walk(&adam);
        let (name, _) =
            shown.slots.iter().find(|(_, of)| of.owner == model.dense_2.b.id() && of.kind == kind).cloned().unwrap();
        slot(&name).clone()
    };
    for (kind, key) in bias {
        fixture.check(&key, &of_bias(kind));
    }

    // The next step goes on from them: 0.5 · 3.4 − 0.01 · 1.
    modulor::keras::optimizer::Optimizer::apply(&mom, &[(v.clone(), Some(Tensor::from([1.0_f32, 1.0])))])?;
    let before = [0.46_f32, 0.92];
    let expected = [before[0] + 0.5 * 3.4 - 0.01, before[1] + 0.5 * 6.8 - 0.01];
    let found = v.value()?.to_vec::<f32>()?;
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
    Ok(())
}

#[test]
fn a_file_without_a_graph_is_matched_by_names() -> Result<()> {
    #[derive(Module)]
    struct Saved {
        g: Variable,
        part: Variable,
        scope: BTreeMap<String, Variable>,
    }
    let fixture = Interop::open("ckpt_v1_saver");
    let scope = BTreeMap::from([("w".to_owned(), zeros(&[3, 2]))]);
    let model = Saved { g: Variable::new(0_i64), part: zeros(&[6, 4]), scope };
    Checkpoint::new(&model).restore(&fixture.prefix)?.assert_consumed()?;
    for (key, variable) in [("g", &model.g), ("part", &model.part), ("scope/w", &model.scope["w"])] {
        fixture.check_key(key, variable);
    }
    Ok(())
}
