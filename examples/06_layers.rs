//! 6. Layers of the library, one after the other and in a struct.
//!
//! `cargo run --example 06_layers`

use modulor::{keras::model::Summarize, prelude::*};

/// A layer of layers: what it does is plain Rust.
#[derive(Module)]
struct Residual {
    up: Dense,
    down: Dense,
    drop: Dropout,
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.down.call(&self.up.call(x)?)?;
        self.drop.call(&y)?.add(x)
    }
}

fn main() -> Result<()> {
    // Told what it is fed, a model is built as layers are added.
    let model = Sequential::new()
        .input([4])
        .add(Dense::new(8).activation("relu"))
        .add(Residual { up: Dense::new(16).activation("gelu"), down: Dense::new(8), drop: Dropout::new(0.1) })
        .add(Dense::new(3).activation("softmax").named("head"));
    println!("{}", model.summary().expand_nested(true));

    let x = Tensor::from([[0.1_f32, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]);
    println!("{}", model.call(&x)?);

    // Layers are found by name, and frozen.
    println!("{:?}", model.get_layer("head")?);
    model.freeze_at("residual")?;
    println!("trained: {} of {} variables", model.trainable_variables().len(), model.variables().len());
    Ok(())
}
