//! 9. Functions: code that is traced once for each kind of arguments, and runs as a graph from then on.
//!
//! `cargo run --example 09_function`

use modulor::{autograph::traces_of, function::with_eager_functions, prelude::*};

/// Gives x to the power of n. A plain `n` is unrolled: each has a graph of its own.
#[function]
fn power(x: &Tensor, n: usize) -> Result<Tensor> {
    let mut y = x.clone();
    for _ in 1..n {
        y = y.mul(x)?;
    }
    Ok(y)
}

/// Counts the steps of Collatz's sequence. A tensor decides when it ends, so the loop is in the graph.
#[function]
fn collatz(n: &Tensor) -> Result<Tensor> {
    let (mut n, mut steps) = (n.clone(), Tensor::scalar(0));
    while n.not_equal(1.0)? {
        n = if n.floor_mod(2.0)?.equal(0.0)? { n.floor_div(2.0)? } else { n * 3.0 + 1.0 };
        steps += 1.0;
    }
    Ok(steps)
}

#[derive(Module)]
struct Line {
    #[variable(init = 0.0)]
    slope: Variable,
    #[variable(init = 0.0)]
    intercept: Variable,
}

impl Line {
    /// One step of gradient descent, all of it one graph: it writes the variables when it ends.
    #[function]
    fn step(&self, x: &Tensor, y: &Tensor, rate: f64) -> Result<Tensor> {
        let tape = GradientTape::new();
        let loss = tape.record(|| (x * &self.slope + &self.intercept).squared_difference(y)?.mean(..))?;
        let variables = self.trainable_variables();
        for (variable, gradient) in variables.iter().zip(tape.gradients(&loss, &variables)?) {
            if let Some(gradient) = gradient {
                variable.assign_sub(&(gradient * rate))?;
            }
        }
        Ok(loss)
    }
}

fn main() -> Result<()> {
    let x = Tensor::from([1.0_f32, 2.0, 3.0]);
    println!("x\u{b3} is {}", power(&x, 3)?);
    power(&x, 3)?;
    power(&x, 2)?;
    power(&Tensor::scalar(2.0_f32), 2)?;
    for (graph, reason) in traces_of(power).iter().enumerate() {
        println!("graph {graph} of `power` was traced because {reason}");
    }

    for n in [6, 27, 97] {
        println!("from {n} it takes {} steps", collatz(&Tensor::scalar(n))?.item::<i32>()?);
    }
    println!("`collatz` has {} graph", traces_of(collatz).len());

    let (x, line) = (Tensor::from([-1.0_f32, 0.0, 1.0, 2.0]), Line::new());
    let y = &x * 3.0 + 2.0;
    for _ in 0..60 {
        line.step(&x, &y, 0.1)?;
    }
    println!("y = {:.3} x + {:.3}", line.slope.read()?.item::<f32>()?, line.intercept.read()?.item::<f32>()?);

    // Without graphs, for looking inside: the same numbers.
    let loss = with_eager_functions(true, || line.step(&x, &y, 0.1))?;
    println!("the loss is {:.6}", loss.item::<f32>()?);
    Ok(())
}
