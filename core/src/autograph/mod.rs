//! What `#[function]` makes of a function: TensorFlow's autograph.
//!
//! ```standalone_crate
//! # extern crate modulor_core as modulor;
//! use modulor::{Result, Tensor, autograph::traces_of, function};
//!
//! /// Newton's root, and how many steps it took.
//! #[function]
//! fn root(x: &Tensor, precise: bool) -> Result<(Tensor, Tensor)> {
//!     let tolerance = if precise { 1e-5 } else { 1e-1 };
//!     let (mut y, mut steps) = (x.clone(), Tensor::scalar(0));
//!     while (&y * &y - x).abs()?.greater(tolerance)? {
//!         y = (&y + x / &y) / 2.0;
//!         steps += 1.0;
//!     }
//!     Ok((y, steps))
//! }
//!
//! # fn main() -> Result<()> {
//! let (y, steps) = root(&Tensor::scalar(4.0_f32), true)?;
//! assert_eq!((y.item::<f32>()?, steps.item::<i32>()?), (2.0, 4));
//! let (_, steps) = root(&Tensor::scalar(100.0_f32), true)?;
//! assert_eq!(steps.item::<i32>()?, 7);
//! assert_eq!(traces_of(root), ["it had not been traced"]);
//! root(&Tensor::scalar(4.0_f32), false)?;
//! assert_eq!(traces_of(root)[1], "the key is precise = false, and was precise = true");
//! # Ok(())
//! # }
//! ```
//!
//! `traces` keeps the graphs of a function, one [`Function`](crate::Function) for the modules that it is called with;
//! `argument` tells what of the arguments a graph takes and what it is traced for; `carried` says which values may go through
//! a branch or a loop that a tensor decides; `staged` has these branches and loops.

mod argument;
mod carried;
mod staged;
mod traces;

pub use traces::traces_of;

/// What the code names that the attribute writes. No part of the public interface.
#[doc(hidden)]
pub mod expansion {
    pub use super::argument::{
        AnyArgument, Argument, EqArgument, FloatArgument, Given, KeyParts, ModuleArgument, Named, SliceArgument,
        StructureArgument,
    };
    pub use super::carried::{
        AnyPart, Copied, DupAny, DupClone, FailingPart, PlainPart, Probe, StructurePart, ask, both, parts,
    };
    pub use super::staged::{
        AnyLoop, Decision, Each, Loops, OwnedRows, Place, RowsLoop, branches, chosen, crossing, decide, flag, neither,
        repeated, repeats, rows, truth, unless,
    };
    pub use super::traces::{Traces, call};
    pub use crate::Result;
    pub use std::{
        option::Option::{self, None, Some},
        result::Result::{Err, Ok},
    };
}
