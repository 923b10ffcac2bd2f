use super::{Callback, NonFinite};

/// Stops when a loss is NaN or infinite: Keras's `TerminateOnNaN`.
///
/// The step that would have it is not taken: the model keeps what the step before left (Keras's goes on to NaN). What is said
/// names the step, and the first operation that made what is not finite.
///
/// ```
/// use modulor_layers::callback::TerminateOnNaN;
/// let guard = TerminateOnNaN::new().raise_error(true);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNaN {
    raise_error: bool,
}

impl TerminateOnNaN {
    /// Which stops with a line that says why.
    pub fn new() -> TerminateOnNaN {
        TerminateOnNaN::default()
    }

    /// Whether `fit` ends with an error.
    #[must_use]
    pub fn raise_error(self, raise_error: bool) -> Self {
        TerminateOnNaN { raise_error }
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &str {
        "terminate_on_nan"
    }

    fn non_finite(&self) -> Option<NonFinite> {
        Some(if self.raise_error { NonFinite::Fail } else { NonFinite::Stop })
    }
}
