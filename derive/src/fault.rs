//! Mistakes, collected so that all of one type are reported together.

use proc_macro2::{Span, TokenStream};
use std::fmt::Display;
use syn::Error;

/// The mistakes found so far.
#[derive(Default)]
pub struct Faults(Vec<Error>);

impl Faults {
    /// Adds a mistake: one sentence of fact and one of remedy.
    pub fn push(&mut self, span: Span, message: impl Display) {
        self.0.push(Error::new(span, message));
    }

    /// Adds a mistake that covers all tokens of something.
    pub fn push_at(&mut self, tokens: impl quote::ToTokens, message: impl Display) {
        self.0.push(Error::new_spanned(tokens, message));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many mistakes there are so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One `compile_error!` for each, in the order of the source.
    pub fn into_compile_errors(self) -> TokenStream {
        let mut faults: Vec<Error> = self.0.into_iter().flatten().collect();
        faults.sort_by_key(|fault| position(fault.span()));
        faults.iter().map(Error::to_compile_error).collect()
    }
}

/// Line and column; outside of a compiler, as in this crate's own tests, there are none.
fn position(span: Span) -> (usize, usize) {
    if !proc_macro::is_available() {
        return (0, 0);
    }
    let span = span.unwrap();
    (span.line(), span.column())
}
