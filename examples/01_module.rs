//! 1. A module: state and a function, nothing else.
//!
//! `cargo run --example 01_module`

use modulor::prelude::*;

#[derive(Module)]
struct SimpleModule {
    #[variable(init = 5.0)]
    train_me: Variable,
    #[variable(init = 5.0, trainable = false)]
    do_not_train_me: Variable,
}

impl SimpleModule {
    fn call(&self, x: f64) -> Tensor {
        x * &self.train_me + &self.do_not_train_me
    }
}

fn main() -> Result<()> {
    let simple_module = SimpleModule::new();
    println!("5 x 5 + 5 is {}\n", simple_module.call(5.0));

    // The fields are the declaration: which variables there are, and which of them are trained, follows from them.
    println!("all variables:");
    for (name, variable) in simple_module.named_variables() {
        println!("  {name}: {variable} = {}", variable.value()?);
    }
    println!("trainable variables:");
    for variable in simple_module.trainable_variables() {
        println!("  {variable}");
    }

    // A variable can be frozen, as for fine-tuning, and thawed again.
    simple_module.train_me.set_trainable(false);
    println!("\nfrozen, {} are trainable", simple_module.trainable_variables().len());

    simple_module.train_me.assign(&Tensor::scalar(2.0_f32))?;
    println!("with 2 in place of 5: {}", simple_module.call(5.0).item::<f32>()?);
    Ok(())
}
