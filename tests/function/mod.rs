//! Functions: traced once for each kind of arguments, compiled, and equal to the operations called one by one.

mod attribute;
mod beside;
mod control;
mod cost;
mod many;
mod scale;
mod steps;
mod tracing;
mod weights;
