//! The bytes of TensorFlow's files: codecs from bytes to plain structs and back, with no tensor in sight.
//!
//! | module | what it reads and writes |
//! |---|---|
//! | [`crc`] | CRC-32C and its masked form, which every checksum here has |
//! | [`table`] | a sorted table of keys and values, which a checkpoint's `.index` is |
//! | [`message`] | the protocol buffers that are the table's values, and the object graph |
//! | [`graph`] | those of a graph: nodes, attributes, functions |
//! | [`tensor`] | that of a tensor in a graph |
//! | [`example`] | that of a sample of a data set |
//! | [`strings`] | the elements of a string tensor in a data file |
//! | [`mod@slice`] | the key of a slice of a tensor that was saved in parts |
//! | [`record`] | TFRecord framing, in which data sets and event files come |
//! | [`state`] | the `checkpoint` file that names the latest checkpoint of a folder |
//!
//! The bytes that are written are TensorFlow's own. The bytes that are read are a stranger's: a reader checks all that
//! can be checked, compares each number with the bytes that are there before it allocates for it, and answers with an
//! [`Error`] that says where, what was found and what was expected. Nothing here opens a file or knows its name: that
//! is added by the caller.

#![forbid(unsafe_code)]
// What is parsed here was written by others, so that what cannot panic must be visible in the code.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod crc;
mod cursor;
mod error;
pub mod example;
pub mod graph;
pub mod message;
pub mod record;
pub mod slice;
pub mod state;
pub mod strings;
pub mod table;
pub mod tensor;

pub use error::{Error, Result};
