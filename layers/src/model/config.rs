//! Configs of models made of symbols: Keras's form, written and read.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
