//! The one error type: a kind out of TensorFlow's codes, a message, and where it happened.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// What went wrong, in the vocabulary of `tf.errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument can never be right: a wrong shape, dtype, axis or name.
    InvalidArgument,
    /// Something named does not exist: a class, a key, a file.
    NotFound,
    /// Something that must be new exists already.
    AlreadyExists,
    /// The call came at the wrong time: an unbuilt variable, a consumed tape.
    FailedPrecondition,
    /// An index or a count lies outside what there is.
    OutOfRange,
    /// The operation exists and this case of it does not.
    Unimplemented,
    /// Memory, or a limit that was set, is used up.
    ResourceExhausted,
    /// Stored bytes are not what was written.
    DataLoss,
    /// Somebody asked for the end of it.
    Cancelled,
    /// A promise of this library was broken; please report it.
    Internal,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: [kind](Error::kind), message, the path of the module it came through, the op that refused.
///
/// It prints as `my_model/dense_2: In[0] mismatch In[1] shape: 4 vs. 3: [1,4] [3,3] [Op:MatMul]`, with one more
/// indented line for each note.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    op: Option<String>,
    /// Outermost first.
    path: Vec<String>,
    notes: Vec<String>,
    /// Where the failing operator stands in the caller's source.
    location: Option<&'static Location<'static>>,
    /// Where the error was last seen, for the frame above to read.
    origin: Option<Arc<dyn Any + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {
        impl Error { $(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )* }
    };
}

constructors! {
    /// An error of kind [`ErrorKind::InvalidArgument`].
    invalid_argument InvalidArgument;
    /// An error of kind [`ErrorKind::NotFound`].
    not_found NotFound;
    /// An error of kind [`ErrorKind::AlreadyExists`].
    already_exists AlreadyExists;
    /// An error of kind [`ErrorKind::FailedPrecondition`].
    failed_precondition FailedPrecondition;
    /// An error of kind [`ErrorKind::OutOfRange`].
    out_of_range OutOfRange;
    /// An error of kind [`ErrorKind::Unimplemented`].
    unimplemented Unimplemented;
    /// An error of kind [`ErrorKind::ResourceExhausted`].
    resource_exhausted ResourceExhausted;
    /// An error of kind [`ErrorKind::DataLoss`].
    data_loss DataLoss;
    /// An error of kind [`ErrorKind::Cancelled`].
    cancelled Cancelled;
    /// An error of kind [`ErrorKind::Internal`].
    internal Internal;
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            op: None,
            path: Vec::new(),
            notes: Vec::new(),
            origin: None,
            location: None,
        }))
    }

    /// The code to match on; messages are for people and may change.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without path, op and notes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The TensorFlow name of the op that refused, if one did.
    pub fn op(&self) -> Option<&str> {
        self.0.op.as_deref()
    }

    /// The module path the error came through, outermost part first.
    pub fn path(&self) -> &[String] {
        &self.0.path
    }

    /// Puts `name` in front of the path: the frame that calls knows what it called.
    #[must_use]
    pub fn within(mut self, name: impl Into<String>) -> Self {
        self.0.path.insert(0, name.into());
        self
    }

    /// Names the op, unless an inner one has been named already.
    #[must_use]
    pub fn in_op(mut self, name: &str) -> Self {
        self.0.op.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Says where the failing operator stands, unless an earlier one has.
    pub(crate) fn at(mut self, location: &'static Location<'static>) -> Self {
        self.0.location.get_or_insert(location);
        self
    }

    /// Leaves word for the frame that called, which [`take_origin`](Error::take_origin) reads.
    #[must_use]
    pub(crate) fn with_origin(mut self, origin: impl Any + Send + Sync) -> Self {
        self.0.origin = Some(Arc::new(origin));
        self
    }

    /// What the frame below left; afterwards it is gone.
    pub(crate) fn take_origin<T: Any + Send + Sync>(&mut self) -> Option<Arc<T>> {
        self.0.origin.take()?.downcast().ok()
    }

    /// Adds a line below the message.
    #[must_use]
    pub fn note(mut self, line: impl Into<String>) -> Self {
        self.0.notes.push(line.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, op, path, notes, location, .. } = &*self.0;
        if !path.is_empty() {
            write!(f, "{}: ", path.join("/"))?;
        }
        f.write_str(message)?;
        if let Some(op) = op {
            write!(f, " [Op:{op}]")?;
        }
        if let Some(location) = location {
            write!(f, " (operator at {location})")?;
        }
        for note in notes {
            write!(f, "\n    {note}")?;
        }
        Ok(())
    }
}

/// As [`Display`](fmt::Display) with the kind in front, so that `unwrap` and `main` print something readable.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_path_message_op_and_notes() {
        let error =
            Error::invalid_argument("no").in_op("MatMul").in_op("Outer").within("b").within("a").note("built there");
        assert_eq!(error.to_string(), "a/b: no [Op:MatMul]\n    built there");
        assert_eq!(format!("{error:?}"), "InvalidArgument: a/b: no [Op:MatMul]\n    built there");
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }
}
