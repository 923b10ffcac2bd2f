//! 5. Values in TensorFlow's own files.
//!
//! `cargo run --example 05_checkpoint`; with `-- --dir FOLDER` the files stay there, to be opened with TensorFlow.

use modulor::checkpoint::list_variables;
use modulor::prelude::*;
use std::path::PathBuf;

#[derive(Module)]
struct SimpleModule {
    #[variable(init = 5.0)]
    a_variable: Variable,
    #[variable(init = 5.0, trainable = false)]
    non_trainable_variable: Variable,
}

#[derive(Module)]
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

impl Layer for Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (x.matmul(&self.w)? + &self.b).relu()
    }
}

#[derive(Module)]
struct SequentialModule {
    dense_1: Dense,
    dense_2: Dense,
}

impl SequentialModule {
    fn sized() -> Self {
        SequentialModule { dense_1: Dense::new(3, 3), dense_2: Dense::new(3, 2) }
    }
}

impl Layer for SequentialModule {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

#[derive(Module)]
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
        (x.matmul(&self.w)? + &self.b).relu()
    }
}

#[derive(Module)]
struct MySequentialModule {
    dense_1: FlexibleDense,
    dense_2: FlexibleDense,
}

impl MySequentialModule {
    fn flexible() -> Self {
        MySequentialModule { dense_1: FlexibleDense::new(3), dense_2: FlexibleDense::new(2) }
    }
}

impl Layer for MySequentialModule {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--dir").skip(1);
    let temporary = tempfile::tempdir().expect("the system has room for temporary files");
    let folder = arguments.next().map_or(temporary.path().to_owned(), PathBuf::from);
    let x = Tensor::from([[2.0_f32, 2.0, 2.0]]);
    set_seed(2);

    // Write the values; restore them into another model of the same structure.
    let my_model = SequentialModule::sized();
    println!("model results: {}", my_model.call(&x)?);
    let path = folder.join("seed_sequential/ckpt/model");
    Checkpoint::default().with("model", &my_model).write(&path)?;
    println!("\nwhat is in the checkpoint:");
    for (name, variable) in list_variables(&path)? {
        println!("  {name} {:?}", variable.shape);
    }

    let new_model = SequentialModule::sized();
    Checkpoint::default().with("model", &new_model).read(&path)?.assert_consumed()?;
    println!("\nthe new model's results: {}", new_model.call(&x)?);
    assert_eq!(new_model.call(&x)?.to_vec::<f32>()?, my_model.call(&x)?.to_vec::<f32>()?);

    // A model need not be built: its values wait until it is.
    let path = folder.join("seed_flexible/ckpt/model");
    let built = MySequentialModule::flexible();
    let expected = built.call(&x)?.to_vec::<f32>()?;
    Checkpoint::default().with("model", &built).write(&path)?;
    let fresh = MySequentialModule::flexible();
    Checkpoint::default().with("model", &fresh).read(&path)?;
    assert!(fresh.variables().is_empty());
    assert_eq!(fresh.call(&x)?.to_vec::<f32>()?, expected);

    // What does not match is said before anything changes.
    let error = Checkpoint::default().with("modle", &fresh).read(&path).unwrap_err();
    println!("\nfailed: {error}");

    // An optimizer is a module too; what it remembers of a variable is a slot of that variable, as TensorFlow has it.
    let optimizer = SGD::new().momentum(0.9);
    let tape = GradientTape::new();
    let loss = tape.record(|| my_model.call(&x)?.square()?.mean(..))?;
    optimizer.minimize(&tape, &loss, &my_model.trainable_variables())?;
    let path = folder.join("training/ckpt/model");
    Checkpoint::default().with("net", &my_model).with("optimizer", &optimizer).write(&path)?;
    println!("\nkept of the optimizer:");
    for (name, _) in list_variables(&path)?.iter().filter(|(name, _)| name.contains("optimizer")) {
        println!("  {name}");
    }

    // A manager numbers the checkpoints of a training, keeps the newest, and begins where the last one ended.
    let simple = SimpleModule::new();
    Checkpoint::default().with("model", &simple).write(folder.join("seed_simple/ckpt/model"))?;
    let step = Variable::new(0_i64);
    let checkpoint = Checkpoint::default().with("net", &built).with("step", &step);
    let manager = CheckpointManager::new(checkpoint, folder.join("managed")).max_to_keep(2);
    for _ in 0..3 {
        step.assign_add(&Tensor::scalar(1_i64))?;
        manager.save()?;
    }
    println!(
        "\nkept: {}",
        manager.checkpoints()?.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    Ok(())
}
