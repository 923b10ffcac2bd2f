//! What a restore compares, what it says, and that a failed one changes nothing.

use modulor::checkpoint::{Checkpoint, bundle::BundleWriter, list_variables};
use modulor::keras::optimizer::{Adam, Optimizer};
use modulor::prelude::*;
use modulor::scope;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

#[derive(Module)]
struct Flexible {
    #[config]
    units: usize,
    #[variable(shape = [input[-1], units], init = "glorot_uniform")]
    kernel: Variable,
    #[variable(shape = [units], init = Zeros)]
    bias: Variable,
}

impl Layer for Flexible {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.kernel)? + &self.bias)
    }
}

#[derive(Module)]
struct Two {
    first: Flexible,
    second: Flexible,
}

impl Layer for Two {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.call(&self.first.call(x)?.relu()?)
    }
}

fn two(units: usize) -> Two {
    Two { first: Flexible::new(units), second: Flexible::new(2) }
}

fn ones(dims: &[usize]) -> Tensor {
    Tensor::ones(dims, DType::F32).expect("they are few")
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room");
    let prefix = folder.path().join("ckpt");
    (folder, prefix)
}

/// A model of 3 inputs that has been called, saved.
fn saved() -> Result<(TempDir, PathBuf, Two)> {
    let ((folder, prefix), model) = (place(), two(4));
    model.call(ones(&[1, 3]))?;
    Checkpoint::new(&model).write(&prefix)?;
    Ok((folder, prefix, model))
}

fn values(model: &Two) -> Result<Vec<Vec<f32>>> {
    model.variables().iter().map(|variable| variable.value()?.to_vec::<f32>()).collect()
}

#[test]
fn a_value_waits_for_a_variable_that_is_not_there_yet() -> Result<()> {
    let (_folder, prefix, model) = saved()?;
    let fresh = two(4);
    Checkpoint::new(&fresh).read(&prefix)?.assert_consumed()?;
    assert!(fresh.variables().is_empty());
    fresh.call(ones(&[1, 3]))?;
    assert_eq!(values(&fresh)?, values(&model)?);
    Ok(())
}

#[test]
fn what_waits_is_saved_again() -> Result<()> {
    let (_folder, prefix, model) = saved()?;
    let (fresh, (_other, copy)) = (two(4), place());
    Checkpoint::new(&fresh).read(&prefix)?.assert_consumed()?;
    Checkpoint::new(&fresh).write(&copy)?;
    let last = two(4);
    Checkpoint::new(&last).read(&copy)?.assert_consumed()?;
    last.call(ones(&[1, 3]))?;
    assert_eq!(values(&last)?, values(&model)?);
    Ok(())
}

#[test]
fn a_shape_that_shows_late_is_an_error_of_the_call_and_the_layer_stays_unbuilt() -> Result<()> {
    let (_folder, prefix, model) = saved()?;
    let fresh = two(4);
    Checkpoint::new(&fresh).read(&prefix)?.assert_consumed()?;
    let error = fresh.call(ones(&[1, 5])).unwrap_err();
    let said = "/first/kernel` was restored as (3, 4) from `first/kernel/.ATTRIBUTES/VARIABLE_VALUE`, and this input asks \
                for (5, 4)";
    assert!(error.to_string().starts_with("two/first: variable `two") && error.to_string().ends_with(said), "{error}");
    assert!(fresh.variables().is_empty(), "{:?}", fresh.variables());
    // The right input is as welcome as before.
    fresh.call(ones(&[1, 3]))?;
    assert_eq!(values(&fresh)?, values(&model)?);
    Ok(())
}

#[test]
fn what_is_known_of_a_variable_that_is_not_built_is_compared_at_once() -> Result<()> {
    let (_folder, prefix, _) = saved()?;
    let wider = two(5);
    let error = Checkpoint::new(&wider).read(&prefix).unwrap_err();
    let suffix = ".ATTRIBUTES/VARIABLE_VALUE";
    for said in [
        format!("`first/kernel`: expected float32(None, 5), found float32(3, 4) under `first/kernel/{suffix}`"),
        format!("`first/bias`: expected float32(5,), found float32(4,) under `first/bias/{suffix}`"),
    ] {
        assert!(error.to_string().contains(&said), "{error}");
    }
    // Nothing of it waits: the model begins as if nothing had been tried.
    wider.call(ones(&[1, 3]))?;
    assert_eq!(wider.second.bias.value()?.to_vec::<f32>()?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn a_layer_is_built_as_a_whole_or_not_at_all() -> Result<()> {
    #[derive(Module)]
    struct Late {
        #[variable(shape = [input[0]], init = Zeros)]
        bias: Variable,
        #[variable(shape = [input[-1]], init = Zeros)]
        scale: Variable,
    }
    impl Layer for Late {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            Ok(x * &self.scale)
        }
    }
    let ((_folder, prefix), model, fresh) = (place(), Late::new(), Late::new());
    model.call(ones(&[2, 3]))?;
    Checkpoint::new(&model).write(&prefix)?;
    Checkpoint::new(&fresh).read(&prefix)?.assert_consumed()?;
    let error = fresh.call(ones(&[2, 4])).unwrap_err();
    assert!(error.to_string().contains("/scale` was restored as (3,) from `scale/.ATTR"), "{error}");
    assert!(!fresh.bias.is_sized() && !fresh.scale.is_sized());
    fresh.call(ones(&[2, 3]))?;
    Ok(())
}

#[test]
fn a30_everything_that_does_not_match_is_in_one_error_and_nothing_changes() -> Result<()> {
    #[derive(Module)]
    struct Other {
        first: Flexible,
        secnod: Flexible,
        #[variable(init = 7_i64)]
        steps: Variable,
    }
    let (_folder, prefix, _) = saved()?;
    let other = Other::new(Flexible::new(5), Flexible::new(2));
    other.first.call(ones(&[1, 3]))?;
    other.secnod.call(ones(&[1, 4]))?;
    let before: Vec<Vec<u8>> = other.variables().iter().map(|v| v.value()?.to_bytes()).collect::<Result<_>>()?;
    let error = Checkpoint::new(&other).read(&prefix).unwrap_err();
    let suffix = ".ATTRIBUTES/VARIABLE_VALUE";
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        error.to_string(),
        format!(
            "{}: 7 things do not match, and nothing was restored\n    \
             `first/kernel`: expected float32(3, 5), found float32(3, 4) under `first/kernel/{suffix}`\n    \
             `first/bias`: expected float32(5,), found float32(4,) under `first/bias/{suffix}`\n    \
             `steps` int64() is not in it\n    \
             `secnod/kernel` float32(4, 2) is not in it; the nearest that is left there is `second/kernel`\n    \
             `secnod/bias` float32(2,) is not in it; the nearest that is left there is `second/bias`\n    \
             `second/kernel/{suffix}` in it is nothing here\n    \
             `second/bias/{suffix}` in it is nothing here",
            prefix.display()
        )
    );
    let after: Vec<Vec<u8>> = other.variables().iter().map(|v| v.value()?.to_bytes()).collect::<Result<_>>()?;
    assert_eq!(before, after);
    // Dtypes and shapes must be right even where names need not.
    assert!(Checkpoint::new(&other).expect_partial().read(&prefix).is_err());
    Ok(())
}

#[test]
fn a30_a_part_is_restored_where_that_is_expected() -> Result<()> {
    #[derive(Module)]
    struct Half {
        first: Flexible,
        third: Flexible,
    }
    let (_folder, prefix, model) = saved()?;
    let half = Half { first: Flexible::new(4), third: Flexible::new(2) };
    half.first.call(ones(&[1, 3]))?;
    half.third.call(ones(&[1, 4]))?;
    let checkpoint = Checkpoint::new(&half);
    let error = checkpoint.read(&prefix).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().ends_with("say `expect_partial()` before to restore what does match"), "{error}");
    let status = checkpoint.expect_partial().read(&prefix)?;
    assert_eq!(status.missing(), ["third/kernel", "third/bias"]);
    assert_eq!(status.unused(), ["kernel", "bias"].map(|n| format!("second/{n}/.ATTRIBUTES/VARIABLE_VALUE")));
    status.assert_nontrivial_match()?;
    let error = status.assert_existing_objects_matched().unwrap_err();
    assert!(error.to_string().ends_with("there is no value for `third/bias`"), "{error}");
    assert!(status.assert_consumed().is_err());
    assert_eq!(half.first.kernel.value()?.to_vec::<f32>()?, model.first.kernel.value()?.to_vec::<f32>()?);

    let nothing = Checkpoint::default().with("x", &Variable::new(1.0)).expect_partial().read(&prefix)?;
    let error = nothing.assert_nontrivial_match().unwrap_err();
    assert!(error.to_string().ends_with("nothing in it has a name that something here has"), "{error}");
    Ok(())
}

#[test]
fn a29_cycles_are_legal_and_what_is_reached_twice_is_restored_once() -> Result<()> {
    #[derive(Module)]
    struct Tied {
        one: Arc<Flexible>,
        other: Arc<Flexible>,
    }
    let shared = Arc::new(Flexible::new(2));
    let (tied, (_folder, prefix)) = (Tied { one: shared.clone(), other: shared.clone() }, place());
    shared.call(ones(&[1, 3]))?;
    Checkpoint::new(&tied).write(&prefix)?;
    assert_eq!(list_variables(&prefix)?.len(), 1 + 2);
    // Not tied here: each gets the value.
    let untied = Tied { one: Arc::new(Flexible::new(2)), other: Arc::new(Flexible::new(2)) };
    Checkpoint::new(&untied).read(&prefix)?.assert_consumed()?;
    for layer in [&untied.one, &untied.other] {
        layer.call(ones(&[1, 3]))?;
        assert_eq!(layer.kernel.value()?.to_vec::<f32>()?, shared.kernel.value()?.to_vec::<f32>()?);
    }
    // Two there, and one here: which of them it should be, nobody can say.
    let (_other, prefix) = place();
    Checkpoint::new(&untied).write(&prefix)?;
    let error = Checkpoint::new(&tied).read(&prefix).unwrap_err();
    assert!(
        error.to_string().contains("`one` is one object here, and the checkpoint has two for it: `one` and `other`"),
        "{error}"
    );
    Ok(())
}

#[test]
fn older_names_are_found() -> Result<()> {
    #[derive(Module)]
    struct Renamed {
        first: Flexible,
        #[module(alias = "second")]
        answer: Flexible,
    }
    let (_folder, prefix, model) = saved()?;
    let renamed = Renamed { first: Flexible::new(4), answer: Flexible::new(2) };
    Checkpoint::new(&renamed).read(&prefix)?.assert_consumed()?;
    renamed.answer.call(ones(&[1, 4]))?;
    assert_eq!(renamed.answer.kernel.value()?.to_vec::<f32>()?, model.second.kernel.value()?.to_vec::<f32>()?);
    Ok(())
}

#[test]
fn what_is_not_persistent_is_not_saved() -> Result<()> {
    #[derive(Module)]
    struct Caching {
        #[variable(init = 1.0)]
        kept: Variable,
        #[variable(init = 2.0, persistent = false)]
        cache: Variable,
    }
    let ((_folder, prefix), model) = (place(), Caching::new());
    Checkpoint::new(&model).write(&prefix)?;
    assert_eq!(list_variables(&prefix)?.len(), 2);
    let other = Caching::new();
    other.cache.assign(&Tensor::scalar(5.0_f32))?;
    Checkpoint::new(&other).read(&prefix)?.assert_consumed()?;
    assert_eq!(other.cache.value()?.item::<f32>()?, 5.0);
    Ok(())
}

#[test]
fn two_things_of_one_name_are_not_saved() {
    let (_folder, prefix) = place();
    let list = vec![Variable::new(1.0)];
    #[derive(Module)]
    struct Root {
        list: Vec<Variable>,
    }
    let checkpoint = Checkpoint::new(&Root { list }).with("list", &Variable::new(2.0));
    let error = checkpoint.write(&prefix).unwrap_err();
    assert_eq!(error.to_string(), "two things would be stored as `list`; rename one of the fields");
    let mut map = std::collections::BTreeMap::new();
    map.insert(".ATTRIBUTES".to_owned(), Variable::new(1.0));
    let error = Checkpoint::default().with("m", &map).write(&prefix).unwrap_err();
    assert!(error.to_string().contains("TensorFlow cannot restore what is called `.ATTRIBUTES`"), "{error}");
}

#[test]
fn a_graph_that_names_a_key_which_is_not_there() -> Result<()> {
    let ((_folder, prefix), model) = (place(), Flexible::new(2));
    model.call(ones(&[1, 3]))?;
    let snapshot = Checkpoint::new(&model).snapshot()?;
    let mut writer = BundleWriter::new(&prefix);
    let (key, value) = &snapshot.values()[0];
    writer.add(key, value)?;
    writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", &Tensor::strings([], [snapshot.graph().encode()])?)?;
    writer.commit()?;
    let error = Checkpoint::new(&model).read(&prefix).unwrap_err();
    let said = "`bias`: the graph has it under `bias/.ATTRIBUTES/VARIABLE_VALUE`, which is not there";
    assert!(error.to_string().contains(said), "{error}");
    Ok(())
}

/// A model with dropout, its optimizer and a count: what training is.
#[derive(Module)]
struct Training {
    model: Sequential,
    optimizer: Adam,
    #[variable(init = 0_i64, trainable = false, weight = false)]
    step: Variable,
}

impl Training {
    /// Whose first values follow from `name`.
    fn begin(name: &str) -> Training {
        let layers = Sequential::new().add(Dense::new(8).activation("relu")).add(Dropout::new(0.5)).add(Dense::new(1));
        let training = Training::new(layers, Adam::new().amsgrad(true).use_ema(true));
        modulor::module::name::stamp(&training.model, name);
        training
    }

    fn run(&self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            let number = self.step.value()?.item::<i64>()?;
            let x = Tensor::stateless_normal(&Tensor::from([4, 3]), &Tensor::from([number, 1]), DType::F32)?;
            let tape = GradientTape::new();
            let loss = tape.record(|| {
                scope::with_training(true, || Call::call::<Tensor, Tensor>(&self.model, &x))?.square()?.mean(..)
            })?;
            self.optimizer.minimize(&tape, &loss, &self.model.trainable_variables())?;
            self.step.assign_add(&Tensor::scalar(1_i64))?;
        }
        Ok(())
    }

    fn bits(&self) -> Result<Vec<Vec<u8>>> {
        self.variables().iter().map(|variable| variable.value()?.to_bytes()).collect()
    }
}

#[test]
fn training_continued_equals_training_not_interrupted() -> Result<()> {
    let (_folder, prefix) = place();
    let whole = Training::begin("whole");
    let mut paths = Vec::new();
    let checkpoint = Checkpoint::new(&whole);
    for _ in 0..4 {
        paths.push(checkpoint.save(&prefix)?);
        whole.run(3)?;
    }
    for (done, path) in paths.iter().enumerate() {
        // A new process would have this: nothing built, other first values, no optimizer state.
        let resumed = Training::begin("resumed");
        let status = Checkpoint::new(&resumed).restore(path)?;
        if done == 0 {
            // Nothing was built when this was saved, so that the start is another one.
            assert_eq!(status.restored(), 4);
            continue;
        }
        resumed.run(12 - 3 * done)?;
        status.assert_consumed()?;
        assert_eq!(resumed.bits()?, whole.bits()?, "from {}", path.display());
    }
    Ok(())
}

#[test]
fn slots_wait_for_the_first_step_and_must_fit_it() -> Result<()> {
    let ((_folder, prefix), whole) = (place(), Training::begin("whole"));
    whole.run(1)?;
    Checkpoint::new(&whole).write(&prefix)?;
    let resumed = Training::begin("resumed");
    let status = Checkpoint::new(&resumed).read(&prefix)?;
    let error = status.assert_consumed().unwrap_err();
    let key = "model/dense/kernel/.OPTIMIZER_SLOT/optimizer/momentum/.ATTRIBUTES/VARIABLE_VALUE";
    assert!(error.to_string().contains(&format!("nothing uses `{key}`")), "{error}");
    resumed.run(1)?;
    status.assert_consumed()?;

    let (_other, prefix) = place();
    let mut writer = BundleWriter::new(&prefix);
    let snapshot = Checkpoint::new(&whole).snapshot()?;
    let narrow = ones(&[1]);
    for (name, value) in snapshot.values() {
        writer.add(name, if name == key { &narrow } else { value })?;
    }
    writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", &Tensor::strings([], [snapshot.graph().encode()])?)?;
    writer.commit()?;
    let error = Checkpoint::new(&Training::begin("narrow")).read(&prefix).unwrap_err();
    let said = format!("`{key}` is float32(1,), and what it belongs to float32(3, 8)");
    assert!(error.to_string().contains(&said), "{error}");
    Ok(())
}

#[test]
fn parts_that_ranks_wrote_become_one() -> Result<()> {
    let ((_folder, prefix), model) = (place(), two(4));
    model.call(ones(&[1, 3]))?;
    let checkpoint = Checkpoint::new(&model);
    for rank in 0..3 {
        checkpoint.write_part(&prefix, rank, 3)?;
    }
    let error = checkpoint.write_part(&prefix, 3, 3).unwrap_err();
    assert!(error.message().starts_with("rank 3 of 3 does not exist"), "{error}");
    checkpoint.merge(&prefix, 3)?;
    let fresh = two(4);
    Checkpoint::new(&fresh).read(&prefix)?.assert_consumed()?;
    fresh.call(ones(&[1, 3]))?;
    assert_eq!(values(&fresh)?, values(&model)?);
    let files = std::fs::read_dir(prefix.parent().expect("it has one")).expect("it is there").count();
    assert_eq!(files, 1 + 3, "the parts are gone");
    Ok(())
}

#[test]
fn saving_twice_gives_the_same_files() -> Result<()> {
    let (_folder, prefix, model) = saved()?;
    let (_other, again) = place();
    Checkpoint::new(&model).write(&again)?;
    for suffix in [".index", ".data-00000-of-00001"] {
        let read = |prefix: &PathBuf| std::fs::read(format!("{}{suffix}", prefix.display())).expect("it is there");
        assert_eq!(read(&prefix), read(&again));
    }
    Ok(())
}
