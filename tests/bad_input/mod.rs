//! What a caller can get wrong is an error that says so, and never a panic.

mod any_op;
mod calls;
