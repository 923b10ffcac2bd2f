//! 3. Sizes that are taken from the first input.
//!
//! `cargo run --example 03_deferred_build`

use modulor::prelude::*;

#[derive(Module)]
struct FlexibleDense {
    #[config]
    out_features: usize,
    // `input[-1]` is the last axis of the first input; nobody has to say it beforehand.
    #[variable(shape = [input[-1], out_features], init = RandomNormal { stddev: 1.0, ..Default::default() })]
    w: Variable,
    #[variable(shape = [out_features], init = Zeros)]
    b: Variable,
}

/// A layer implements `forward`; its users `call` it, and the first call builds it.
impl Layer for FlexibleDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.w)? + &self.b)
    }
}

#[derive(Module)]
struct MySequentialModel {
    dense_1: FlexibleDense,
    dense_2: FlexibleDense,
}

impl Layer for MySequentialModel {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

fn main() -> Result<()> {
    let model = MySequentialModel { dense_1: FlexibleDense::new(3), dense_2: FlexibleDense::new(2) };
    println!("variables before the first call: {:?}", model.variables());

    let results = model.call(Tensor::from([[2.0_f32, 2.0, 2.0], [3.0, 3.0, 3.0]]))?;
    println!("model results: {results}");
    println!("variables after it:");
    for variable in model.variables() {
        println!("  {variable}");
    }

    // It is built once. A later input must fit, or the error says which layer cannot take it, and why.
    let error = model.call(Tensor::from([[2.0_f32, 2.0, 2.0, 2.0]])).unwrap_err();
    println!("\nfailed: {error}");
    Ok(())
}
