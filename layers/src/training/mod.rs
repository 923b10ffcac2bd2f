//! Training: Keras's `compile`, `fit`, `evaluate` and `predict`, for every [`Layer`](modulor::Layer).
//!
//! [`compile`](Compile::compile) puts a model together with an optimizer and a loss, and gives a [`Trainer`], which trains:
//! a compiled function for the step, callbacks beside it, and a [`History`](crate::callback::History) as its result.
//!
//! ```
//! use modulor::{Tensor, set_seed};
//! use modulor_layers::library::{Dense, Sequential};
//! use modulor_layers::optimizer::SGD;
//! use modulor_layers::training::Compile;
//! # fn main() -> modulor::Result<()> {
//! set_seed(1);
//! let x = Tensor::from([[0.0_f32], [1.0], [2.0], [3.0]]);
//! let y = Tensor::from([[1.0_f32], [3.0], [5.0], [7.0]]);
//!
//! let model = Sequential::new().add(Dense::new(1));
//! let mut trainer = model.compile(SGD::new().learning_rate(0.1), "mse")?.metrics(["mae"])?;
//! let history = trainer.fit(&x, &y).epochs(200).verbose(0).run()?;
//!
//! assert_eq!(history["loss"].len(), 200);
//! assert!(trainer.evaluate(&x, &y).verbose(0).run()?["mae"] < 0.05);
//! let seven = trainer.predict(&Tensor::from([[3.0_f32]])).verbose(0).run()?.item::<f32>()?;
//! assert!((seven - 7.0).abs() < 0.1);
//! # Ok(())
//! # }
//! ```

mod batches;
mod evaluate;
mod fit;
mod held;
mod interrupt;
mod losses;
mod metrics;
mod numerics;
mod outputs;
mod step;
mod trainer;

pub use batches::{Batch, Batches};
pub use evaluate::{Evaluate, Predict};
pub use fit::Fit;
pub use interrupt::Interrupt;
pub use losses::{LossOf, Losses};
pub use metrics::{MetricOf, Metrics};
pub use step::{Forward, Training};
pub use trainer::{Compile, CompileOptimizer, Compiled, NotCompiled, Trainer};
