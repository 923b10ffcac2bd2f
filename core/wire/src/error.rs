//! The one error type: what was found and expected, and at which byte.

use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with some bytes: a message, and the offset where that was seen, if it has one.
///
/// It prints as `unknown block compression 7 at byte 120`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    offset: Option<usize>,
}

impl Error {
    /// An error of the bytes as a whole.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: None }
    }

    /// An error at byte `offset`.
    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: Some(offset) }
    }

    /// The same error, seen from where the bytes begin at `start`.
    pub(crate) fn within(self, start: usize) -> Self {
        Self { offset: self.offset.map(|offset| start.saturating_add(offset)), ..self }
    }

    /// What was found and expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the bytes that were given.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
