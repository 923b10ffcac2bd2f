//! The compute kernels of Modulor: functions on slices and strides that know no tensor.
//!
//! A [`Number`] is a type with kernels; a [`Strided`] is how they see their inputs. Results are the same bits in every build,
//! on any number of threads, for a view and for its copy, on every machine with fused multiply-add; without it, products of
//! floats round once more (see [`InstructionSet`]).

mod attention;
mod by_rows;
mod cast;
mod complex;
mod convolution;
mod depthwise;
mod dispatch;
mod expression;
mod float;
mod fold;
mod instruction_set;
mod integer;
mod logic;
mod matmul;
mod narrow;
mod normalization;
mod number;
mod operation;
mod parts;
mod pool;
mod pooling;
pub mod qr;
pub mod random;
mod recurrence;
mod rows;
mod sliding;
mod softmax;
mod strided;
mod transcendental;
pub mod triangular;
mod update;
mod window;

pub use attention::{Attention, Scores};
pub use cast::cast;
pub use convolution::{Convolution, Filters};
pub use depthwise::Depthwise;
pub use expression::{Expression, InvalidExpression, Output, Register, Source, Step};
#[doc(hidden)]
pub use instruction_set::with_instruction_set;
pub use instruction_set::{InstructionSet, instruction_set};
pub use logic::{fold_logical, logical, not, select};
pub use matmul::{Epilogue, Packed};
pub use normalization::Normalization;
pub use number::{Float, Number};
pub use operation::{Binary, Compare, Fault, Fold, Logical, Test, Unary, Unsupported, Update};
#[doc(hidden)]
pub use pool::run as run_region;
pub use pool::{num_threads, set_num_threads};
pub use pooling::{MaxPooling, NotInWindow, Pooling};
pub use recurrence::{Cell, Gradients, Recurrence, Sequence, Sizes};
pub use rows::{NoSuchRow, gather_rows, scatter_rows};
pub use strided::{Strided, copy, place};
pub use window::{Axis, Format, Images, Padding, Window};
