//! 4. Gradients: what is recorded on a tape can be walked backwards.
//!
//! `cargo run --example 04_gradients`

use modulor::{GradientTape, hessian, prelude::*};

/// A line, to be fitted.
#[derive(Module)]
struct Line {
    #[variable(init = 0.0)]
    slope: Variable,
    #[variable(init = 0.0)]
    intercept: Variable,
}

impl Layer for Line {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x * &self.slope + &self.intercept)
    }
}

fn main() -> Result<()> {
    // d(x²)/dx at 3
    let x = Tensor::scalar(3.0_f32);
    let tape = GradientTape::new();
    tape.watch(&x);
    let y = tape.record(|| x.square())?;
    println!("the slope of x² at 3 is {}", tape.gradient(&y, &x)?.item::<f32>()?);

    // Gradients are operations like any other: a tape around a tape gives the second order.
    let bowl = |x: &Tensor| (x * x * x).sum(..);
    println!("the Hessian of Σx³ at (1, 2) is {}", hessian(bowl, &Tensor::from([1.0_f32, 2.0]))?);

    // Gradient descent by hand: y = 3x + 2, found from points on it.
    let x = Tensor::from([-1.0_f32, 0.0, 1.0, 2.0]);
    let truth = &x * 3.0 + 2.0;
    let line = Line::new();
    for step in 0..=60 {
        let tape = GradientTape::new();
        let loss = tape.record(|| line.call(&x)?.squared_difference(&truth)?.mean(..))?;
        if step % 20 == 0 {
            let value = |v: &Variable| v.value()?.item::<f32>();
            let (slope, intercept) = (value(&line.slope)?, value(&line.intercept)?);
            println!("step {step:2}: loss {:.5}, y = {slope:.3} x + {intercept:.3}", loss.item::<f32>()?);
        }
        let variables = line.trainable_variables();
        for (variable, gradient) in variables.iter().zip(tape.gradients(&loss, &variables)?) {
            if let Some(gradient) = gradient {
                variable.assign_sub(&(gradient * 0.1))?;
            }
        }
    }

    // What has no gradient says why.
    let tape = GradientTape::new();
    let y = tape.record(|| Ok::<_, Error>(line.slope.read()?.cast(DType::I32)?.cast(DType::F32)? * 2.0))?;
    println!("\n{}", tape.gradient(&y, &line.slope).unwrap_err());
    Ok(())
}
