//! The core of Modulor, which is TensorFlow's core in Rust: tensors, operations, gradients, graphs, variables, modules and
//! the layer as a trait. The library of layers is `modulor-layers`; programs depend on the facade, `modulor`.
//!
//! Start with [`Tensor`], [`GradientTape`] and [`Module`]; [`op`] is where an operation is defined.

extern crate self as modulor;

pub mod autograph;
pub mod checkpoint;
pub mod control;
mod dtype;
pub mod error;
pub mod flow;
pub mod function;
pub mod graph;
mod graph_def;
pub mod layer;
pub mod module;
pub mod nearest;
pub mod op;
pub mod ops;
pub mod registry;
mod shape;
pub mod structure;
pub mod tape;
pub mod tensor;
pub mod variable;
pub mod vfs;

#[doc(hidden)]
pub mod __private;

pub use control::{Loop, cond, recompute, scan, switch_case, while_loop, with_iteration_budget};
pub use dtype::{DType, Element};
pub use error::{Error, ErrorKind, Result};
pub use function::{Cost, Function};
pub use layer::{Call, Layer, NameLayer, add_loss, collecting_losses};
pub use module::{FromConfig, Module, ModuleExt};
pub use modulor_kernels::{FillMode, Grid, Interpolation, SamplingKernel, num_threads, set_num_threads};
pub use op::{DTypePolicy, Operand, dtype_policy, scope, set_dtype_policy, with_dtype_policy};
pub use ops::fold::Windows;
pub use ops::grid::Indexing;
pub use ops::product::Correlation;
pub use ops::slice::{Ellipsis, Index, Indices, NewAxis, ToIndex, step};
pub use ops::sliding::Sliding;
pub use ops::spectrum::NormOrder;
pub use ops::string::CharUnit;
pub use ops::table::HashTable;
pub use shape::{MAX_RANK, Shape};
pub use structure::{Feed, Refs, Structure, Tree};
pub use tape::{GradientTape, UnconnectedGradients, custom_gradient, hessian, jvp, value_and_grad};
pub use tensor::{Spec, Tensor};
pub use variable::{Variable, set_seed};

pub use modulor_derive::{Module, Structure, function};
