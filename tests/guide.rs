//! TensorFlow's guide to modules, layers and models, block by block: what each block prints, asserted. Values that are
//! random there are checked by shape, and by what must hold whatever they are.

use modulor::autograph::traces_of;
use modulor::checkpoint::{latest_checkpoint, list_variables};
use modulor::keras::model::{Summarize, plot_model};
use modulor::prelude::*;
use modulor::{FromConfig, ModuleExt, add_loss, collecting_losses, scope};

#[derive(Module)]
#[module(package = "guide")]
struct SimpleModule {
    #[variable(init = 5.0)]
    a_variable: Variable,
    #[variable(init = 5.0, trainable = false)]
    non_trainable_variable: Variable,
}

impl SimpleModule {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Ok(&self.a_variable * x + &self.non_trainable_variable)
    }
}

/// A layer of the notes' first kind: both sizes are given.
#[derive(Module)]
#[module(package = "guide")]
struct Dense {
    #[config]
    in_features: usize,
    #[config]
    out_features: usize,
    #[variable(shape = [in_features, out_features], init = RandomNormal { stddev: 1.0, ..Default::default() })]
    w: Variable,
    #[variable(shape = [out_features], init = Zeros)]
    b: Variable,
}

impl Dense {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        (x.matmul(&self.w)? + &self.b).relu()
    }
}

#[derive(Module)]
#[module(package = "guide")]
struct SequentialModule {
    dense_1: Dense,
    dense_2: Dense,
}

impl SequentialModule {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn sequential_module() -> SequentialModule {
    SequentialModule { dense_1: Dense::new(3, 3), dense_2: Dense::new(3, 2) }
}

/// The kind that takes its input's size from its first input.
#[derive(Module)]
#[module(package = "guide")]
struct FlexibleDense {
    #[config]
    out_features: usize,
    #[variable(shape = [input[-1], out_features], init = RandomNormal { stddev: 1.0, ..Default::default() })]
    w: Variable,
    #[variable(shape = [out_features], init = Zeros)]
    b: Variable,
}

impl Layer for FlexibleDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.w)? + &self.b)
    }
}

#[derive(Module)]
#[module(package = "guide")]
struct MySequentialModel {
    dense_1: FlexibleDense,
    dense_2: FlexibleDense,
}

impl Layer for MySequentialModel {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn my_sequential_model() -> MySequentialModel {
    MySequentialModel { dense_1: FlexibleDense::new(3), dense_2: FlexibleDense::new(2) }
}

fn twos() -> Tensor {
    Tensor::from([[2.0_f32, 2.0, 2.0]])
}

fn shapes(variables: &[Variable]) -> Vec<Vec<usize>> {
    variables.iter().map(|v| v.shape().expect("built")).collect()
}

#[test]
fn block_1_a_simple_module_gives_30_for_5() -> Result<()> {
    let simple_module = SimpleModule::new();
    let y = simple_module.call(&Tensor::scalar(5.0_f32))?;
    assert_eq!(y.item::<f32>()?, 30.0);
    assert_eq!(y.to_string(), "tf.Tensor(30.0, shape=(), dtype=float32)");
    Ok(())
}

#[test]
fn block_2_trainable_variables_and_all_variables() {
    let simple_module = SimpleModule::new();
    let names = |variables: &[(String, Variable)]| variables.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(&simple_module.named_variables()), ["a_variable", "non_trainable_variable"]);
    let trainable = simple_module.trainable_variables();
    assert_eq!(trainable.len(), 1);
    assert_eq!(trainable[0].id(), simple_module.a_variable.id());
    assert_eq!(simple_module.variables().len(), 2);
    // "You can turn the trainability of variables on and off", for fine-tuning.
    simple_module.a_variable.set_trainable(false);
    assert!(simple_module.trainable_variables().is_empty());
}

#[test]
fn block_3_modules_compose() -> Result<()> {
    let my_model = sequential_module();
    let y = my_model.call(&twos())?;
    assert_eq!(y.dims()?, [1, 2]);
    assert!(y.to_vec::<f32>()?.iter().all(|&y| y >= 0.0), "the last thing done is relu");
    Ok(())
}

#[test]
fn block_4_submodules_are_found() {
    let found = sequential_module().submodules();
    assert_eq!(found, [("dense_1".into(), "Dense".into()), ("dense_2".into(), "Dense".into())]);
}

#[test]
fn block_5_variables_come_sorted_within_each_module() {
    let my_model = sequential_module();
    let names: Vec<String> = my_model.named_variables().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dense_1/b", "dense_1/w", "dense_2/b", "dense_2/w"]);
    assert_eq!(shapes(&my_model.variables()), [vec![3], vec![3, 3], vec![2], vec![3, 2]]);
}

#[test]
fn blocks_6_and_7_sizes_are_taken_from_the_first_input() -> Result<()> {
    let my_model = my_sequential_model();
    assert!(!my_model.dense_1.w.is_sized());
    let y = my_model.call(twos())?;
    assert_eq!(y.dims()?, [1, 2]);
    assert_eq!(my_model.dense_1.w.shape(), Some(vec![3, 3]));
    assert_eq!(my_model.dense_2.w.shape(), Some(vec![3, 2]));
    assert_eq!(my_model.call(twos())?.to_vec::<f32>()?, y.to_vec::<f32>()?, "built once");
    Ok(())
}

#[test]
fn block_8_a_layer_is_called() -> Result<()> {
    #[derive(Module)]
    struct MyDense {
        #[config]
        in_features: usize,
        #[config]
        out_features: usize,
        #[variable(shape = [in_features, out_features], init = RandomNormal { stddev: 1.0, ..Default::default() })]
        w: Variable,
        #[variable(shape = [out_features], init = Zeros)]
        b: Variable,
    }
    impl Layer for MyDense {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            (x.matmul(&self.w)? + &self.b).relu()
        }
    }
    let simple_layer = MyDense::new(3, 3).named("simple");
    assert_eq!(simple_layer.call(twos())?.dims()?, [1, 3]);
    Ok(())
}

#[test]
fn blocks_9_and_10_before_the_first_call_there_are_no_variables() {
    let flexible_dense = FlexibleDense::new(3);
    assert!(flexible_dense.weights().iter().all(|v| !v.is_sized()));
    assert!(flexible_dense.variables().is_empty());
}

#[test]
fn block_11_calling_builds() -> Result<()> {
    let flexible_dense = FlexibleDense::new(3);
    let y = flexible_dense.call(Tensor::from([[2.0_f32, 2.0, 2.0], [3.0, 3.0, 3.0]]))?;
    assert_eq!(y.dims()?, [2, 3]);
    // The notes' second row is half as much again as the first: the bias is zero.
    let y = y.to_vec::<f32>()?;
    for i in 0..3 {
        assert!((y[3 + i] - 1.5 * y[i]).abs() <= 1e-5 * y[i].abs());
    }
    Ok(())
}

#[test]
fn block_12_the_variables_of_a_built_layer() -> Result<()> {
    let flexible_dense = FlexibleDense::new(3);
    flexible_dense.call(twos())?;
    assert_eq!(flexible_dense.variables().len(), 2);
    // Keras lists in the order of creation.
    assert_eq!(shapes(&flexible_dense.weights()), [vec![3, 3], vec![3]]);
    let path = flexible_dense.w.path().expect("a value has a path");
    assert!(path.starts_with("flexible_dense") && path.ends_with("/w"), "{path}");
    Ok(())
}

#[test]
fn block_13_a_later_shape_that_does_not_fit_is_an_error() -> Result<()> {
    let flexible_dense = FlexibleDense::new(3);
    flexible_dense.call(twos())?;
    let error = flexible_dense.call(Tensor::from([[2.0_f32, 2.0, 2.0, 2.0]])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.message(), "In[0] mismatch In[1] shape: 4 vs. 3: [1,4] [3,3]");
    assert_eq!(error.op(), Some("MatMul"));
    assert_eq!(error.path(), ["flexible_dense"]);
    let text = error.to_string();
    assert!(text.contains("[3, 3]") && text.contains("guide.rs"), "it says what was built, and where: {text}");
    Ok(())
}

#[test]
fn block_14_a_model_of_layers_has_their_variables_and_submodules() -> Result<()> {
    let my_sequential_model = my_sequential_model();
    assert_eq!(my_sequential_model.call(twos())?.dims()?, [1, 2]);
    assert_eq!(my_sequential_model.variables().len(), 4);
    assert_eq!(my_sequential_model.count_params(), 20);
    let classes: Vec<String> = my_sequential_model.submodules().into_iter().map(|(_, class)| class).collect();
    assert_eq!(classes, ["FlexibleDense", "FlexibleDense"]);
    let error = my_sequential_model.call(Tensor::from([[2.0_f32; 4]])).unwrap_err();
    assert!(error.to_string().starts_with("my_sequential_model/dense_1: In[0] mismatch In[1] shape: 4 vs. 3"));
    Ok(())
}

/// "Optional losses, metrics, the built-in `training` argument, `get_config` and `from_config`": the layers' extras.
#[derive(Module)]
struct Penalised {
    inner: FlexibleDense,
    #[config]
    rate: f64,
}

impl Layer for Penalised {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.inner.call(x)?;
        add_loss(y.square()?.mean(..)? * self.rate);
        if scope::training() { Ok(y * 2.0) } else { Ok(y) }
    }
}

#[test]
fn extras_losses_are_collected_and_the_training_phase_passes_down() -> Result<()> {
    let layer = Penalised::new(FlexibleDense::new(2), 0.5);
    let (y, losses) = collecting_losses(|| layer.call(twos()));
    let y = y?;
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].item::<f32>()?, (y.square()?.mean(..)? * 0.5).item::<f32>()?);
    let trained = scope::with_training(true, || layer.call(twos()))?;
    assert_eq!(trained.to_vec::<f32>()?, (y * 2.0).to_vec::<f32>()?);
    Ok(())
}

#[test]
fn extras_a_config_makes_the_same_model_again() -> Result<()> {
    let layer = Penalised::new(FlexibleDense::new(2), 0.5);
    let y = layer.call(twos())?;
    let again = Penalised::from_config(&layer.config()?)?;
    assert_eq!(again.config()?, layer.config()?);
    assert_eq!(again.call(twos())?.dims()?, [1, 2]);
    let copy = layer.copy()?;
    assert_eq!(copy.call(twos())?.to_vec::<f32>()?, y.to_vec::<f32>()?);
    Ok(())
}

/// "Raw modules nested in Keras layers are not collected": here they are; there is one object model.
#[test]
fn plain_modules_inside_layers_are_collected() -> Result<()> {
    #[derive(Module)]
    struct Mixed {
        plain: SimpleModule,
    }
    impl Layer for Mixed {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.plain.call(x)
        }
    }
    let mixed = Mixed { plain: SimpleModule::new() };
    assert_eq!(mixed.call(Tensor::scalar(5.0_f32))?.item::<f32>()?, 30.0);
    assert_eq!(mixed.variables().len(), 2);
    Ok(())
}

#[test]
fn s6_a_checkpoint_holds_the_weights_of_a_module_and_of_all_below_it() -> Result<()> {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("my_checkpoint");
    let my_model = sequential_module();
    let result = my_model.call(&twos())?;
    Checkpoint::default().with("model", &my_model).write(&path)?;

    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .expect("it is there")
        .map(|file| file.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, ["my_checkpoint.data-00000-of-00001", "my_checkpoint.index"]);

    let variables = list_variables(&path)?;
    let listed: Vec<(&str, &[usize])> = variables.iter().map(|(name, v)| (&**name, &v.shape[..])).collect();
    assert_eq!(
        listed,
        [
            ("_CHECKPOINTABLE_OBJECT_GRAPH", &[][..]),
            ("model/dense_1/b/.ATTRIBUTES/VARIABLE_VALUE", &[3]),
            ("model/dense_1/w/.ATTRIBUTES/VARIABLE_VALUE", &[3, 3]),
            ("model/dense_2/b/.ATTRIBUTES/VARIABLE_VALUE", &[2]),
            ("model/dense_2/w/.ATTRIBUTES/VARIABLE_VALUE", &[3, 2]),
        ]
    );

    let new_model = sequential_module();
    Checkpoint::default().with("model", &new_model).restore(&path)?;
    assert_eq!(new_model.call(&twos())?.to_vec::<f32>()?, result.to_vec::<f32>()?);
    Ok(())
}

#[test]
fn s7_a_checkpoint_may_be_in_shards() -> Result<()> {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("my_checkpoint");
    let my_model = sequential_module();
    let result = my_model.call(&twos())?;
    // Every tensor is larger than 4 bytes, and has a shard for itself: four variables and the graph.
    Checkpoint::default().with("model", &my_model).max_shard_bytes(4).write(&path)?;
    for shard in 0..5 {
        let file = format!("my_checkpoint.data-{shard:05}-of-00005");
        assert!(folder.path().join(&file).exists(), "{file}");
    }
    let new_model = sequential_module();
    Checkpoint::default().with("model", &new_model).restore(&path)?;
    assert_eq!(new_model.call(&twos())?.to_vec::<f32>()?, result.to_vec::<f32>()?);
    Ok(())
}

#[test]
fn s8_a_manager_keeps_the_newest_checkpoints_and_begins_where_the_last_ended() -> Result<()> {
    let folder = tempfile::tempdir().expect("there is room");
    let step = Variable::new(0_i64);
    let manager = CheckpointManager::new(Checkpoint::default().with("step", &step), folder.path()).max_to_keep(2);
    assert!(manager.restore_or_initialize()?.path.is_none());
    for _ in 0..3 {
        step.assign_add(&Tensor::scalar(1_i64))?;
        manager.save()?;
    }
    let names: Vec<_> = manager.checkpoints()?.iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect();
    assert_eq!(names, [Some("ckpt-2".into()), Some("ckpt-3".into())]);

    let step = Variable::new(0_i64);
    let manager = CheckpointManager::new(Checkpoint::default().with("step", &step), folder.path()).max_to_keep(2);
    assert_eq!(manager.restore_or_initialize()?.path, latest_checkpoint(folder.path())?);
    assert_eq!(step.value()?.item::<i64>()?, 3);
    manager.save()?;
    assert!(latest_checkpoint(folder.path())?.is_some_and(|path| path.ends_with("ckpt-4")));
    Ok(())
}

#[test]
fn s9_a_function_has_a_graph_for_each_kind_of_argument() -> Result<()> {
    let my_model = std::sync::Arc::new(sequential_module());
    let called = my_model.clone();
    let function = Function::new(move |x: &Tensor| SequentialModule::call(&called, x));
    let three = Tensor::from([[[2.0_f32; 3]; 2]]);
    for _ in 0..2 {
        let y = function.call(twos())?;
        assert_eq!(*y.shape(), [1, 2]);
        assert_eq!(y.to_vec::<f32>()?, SequentialModule::call(&my_model, &twos())?.to_vec::<f32>()?);
        let z = function.call(&three)?;
        assert_eq!(*z.shape(), [1, 2, 2]);
        assert_eq!(z.to_vec::<f32>()?, [y.to_vec::<f32>()?, y.to_vec()?].concat());
    }
    assert_eq!(function.traces(), ["it had not been traced", "argument 0 is float32(1, 2, 3), and was float32(1, 3)"]);
    Ok(())
}

/// The same by the attribute.
#[function]
fn run(model: &SequentialModule, x: &Tensor) -> Result<Tensor> {
    model.call(x)
}

#[test]
fn s9_the_attribute_makes_a_graph_for_each_kind_of_argument() -> Result<()> {
    let my_model = sequential_module();
    let three = Tensor::from([[[2.0_f32; 3]; 2]]);
    for _ in 0..2 {
        for x in [&twos(), &three] {
            let y = run(&my_model, x)?;
            assert_eq!(y.shape(), my_model.call(x)?.shape());
            assert_eq!(y.to_bytes()?, my_model.call(x)?.to_bytes()?);
        }
    }
    let reasons = ["it had not been traced", "argument 0 is float32(1, 2, 3), and was float32(1, 3)"];
    assert_eq!(traces_of(run), reasons);
    Ok(())
}

#[test]
fn s14_a_config_clones_a_whole_model_with_layers_of_the_users() -> Result<()> {
    let inputs = Input::new([3]);
    let shared = FlexibleDense::new(3);
    let x = Penalised::new(FlexibleDense::new(3), 0.5).call(&shared.call(&shared.call(&inputs)?)?)?;
    let model = Model::new(&inputs, &x)?;
    let y = model.call(twos())?;
    let again = Model::<Tensor>::from_config(&model.config()?)?;
    assert_eq!(again.config()?, model.config()?);
    assert_eq!(again.variables().len(), 4, "the shared layer is one layer");
    let copy = model.copy()?;
    assert_eq!(copy.call(twos())?.to_vec::<f32>()?, y.to_vec::<f32>()?);
    let (_, losses) = collecting_losses(|| copy.call(twos()));
    assert_eq!(losses.len(), 1);
    Ok(())
}

#[test]
fn s18_the_functional_api_makes_the_same_model() -> Result<()> {
    let inputs = Input::new([3]);
    let x = FlexibleDense::new(3).call(&inputs)?;
    let x = FlexibleDense::new(2).call(&x)?;
    let my_functional_model = Model::new(&inputs, &x)?;
    assert_eq!(inputs.shape().to_string(), "(None, 3)");
    assert_eq!(my_functional_model.call(twos())?.dims()?, [1, 2]);
    assert_eq!(shapes(&my_functional_model.weights()), [vec![3, 3], vec![3], vec![3, 2], vec![2]]);

    // Several inputs, a shared layer, operators, an inner tensor as the output of another model.
    let (a, b) = (Input::new([3]), Input::new([3]));
    let (p, q) = (my_functional_model.call(&a)?, my_functional_model.call(&b)?);
    let both = Model::new((&a, &b), &(&p * 2.0 + &q))?;
    assert_eq!(both.weights().len(), 4);
    let expected = my_functional_model.call(twos())? * 3.0;
    let found = both.call((&twos(), &twos()))?;
    assert_eq!(found.to_vec::<f32>()?, expected.to_vec::<f32>()?);
    let hidden = Model::new(&inputs, &my_functional_model.get_layer("flexible_dense")?.output()?)?;
    assert_eq!(hidden.call(twos())?.dims()?, [1, 3]);
    Ok(())
}

#[test]
fn s19_a_summary_has_the_shapes_and_the_numbers_of_parameters() -> Result<()> {
    let inputs = Input::new([3]);
    let x = FlexibleDense::new(3).call(&inputs)?;
    let model = Model::new(&inputs, &FlexibleDense::new(2).call(&x)?)?;
    let summary = model.summary();
    let rows: Vec<(&str, &str, String, usize)> = summary
        .rows()
        .iter()
        .map(|row| (row.name.as_str(), row.class_name.as_str(), row.output_shapes[0].to_string(), row.params))
        .collect();
    assert_eq!(
        rows,
        [
            ("input_layer", "InputLayer", "(None, 3)".to_owned(), 0),
            ("flexible_dense", "FlexibleDense", "(None, 3)".to_owned(), 12),
            ("flexible_dense_1", "FlexibleDense", "(None, 2)".to_owned(), 8),
        ]
    );
    let table = summary.line_length(76).to_string();
    for line in [
        "Layer (type)",
        "Output Shape",
        "Param #",
        " Total params: 20 ",
        " Trainable params: 20 ",
        " Non-trainable params: 0 ",
    ] {
        assert!(table.contains(line), "{line}: {table}");
    }
    let picture = plot_model(&model)?.to_svg();
    assert!(picture.starts_with("<svg") && picture.contains("flexible_dense_1"));
    Ok(())
}

#[test]
fn s16_a_model_trains_and_evaluates_with_no_step_code() -> Result<()> {
    let x = Tensor::from([[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0_f32], [1.0], [1.0], [2.0]]);
    // A model of the notes' kind, of modules of one's own.
    let model = my_sequential_model();
    modulor::module::name::stamp(&model, "s16");
    let mut trainer = model.compile(Adam::new().learning_rate(0.05), "mse")?.metrics(["mae"])?;
    let before = trainer.evaluate(&x, &twice(&y)?).verbose(0).run()?;
    let history = trainer.fit(&x, &twice(&y)?).epochs(60).batch_size(2).verbose(0).run()?;
    assert_eq!(history.epochs.len(), 60);
    let after = trainer.evaluate(&x, &twice(&y)?).verbose(0).run()?;
    assert!(after["loss"] < before["loss"], "{before} and then {after}");
    // The model is the one that was trained.
    let predicted = trainer.predict(&x).verbose(0).run()?;
    let called: Tensor = model.call(&x)?;
    assert_eq!(predicted.to_vec::<f32>()?, called.to_vec::<f32>()?);
    Ok(())
}

/// Two equal columns, for a model of two outputs in a row.
fn twice(y: &Tensor) -> Result<Tensor> {
    Tensor::concat(&[y.clone(), y.clone()], -1)
}
