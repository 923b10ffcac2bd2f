//! 2. Modules of modules: one instance manages the whole.
//!
//! `cargo run --example 02_composition`

use modulor::prelude::*;

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

impl Dense {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        (x.matmul(&self.w)? + &self.b).relu()
    }
}

/// A field that is itself a module needs no word.
#[derive(Module)]
struct SequentialModule {
    dense_1: Dense,
    dense_2: Dense,
}

impl SequentialModule {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn main() -> Result<()> {
    let my_model = SequentialModule { dense_1: Dense::new(3, 3), dense_2: Dense::new(3, 2) };
    println!("model results: {}\n", my_model.call(&Tensor::from([[2.0_f32, 2.0, 2.0]]))?);

    println!("submodules:");
    for (path, class) in my_model.submodules() {
        println!("  {path}: {class}");
    }
    // What a module holds itself comes first, by name; then each submodule in turn, as in TensorFlow.
    println!("variables:");
    for (path, variable) in my_model.named_variables() {
        println!("  {path}: {variable}");
    }

    // Settings are part of the model too: they make the same model again.
    let config = serde_json::to_string_pretty(&my_model.config()?).expect("a config is JSON");
    println!("\nits configuration:\n{config}");
    Ok(())
}
