//! Variables whose initializer runs on this thread: reading or writing one out of it would never end.

use crate::{Error, Result};
use std::cell::RefCell;

thread_local! {
    static BUSY: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Marks a variable as busy until it is dropped.
pub(super) struct Busy;

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.with_borrow_mut(|busy| busy.pop());
    }
}

/// Marks the variable of this number; an error that says what was tried when it is marked already.
pub(super) fn enter(id: u64, tried: &str, name: impl Fn() -> String) -> Result<Busy> {
    check(id, tried, name)?;
    BUSY.with_borrow_mut(|busy| busy.push(id));
    Ok(Busy)
}

/// An error when the variable of this number is marked.
pub(super) fn check(id: u64, tried: &str, name: impl Fn() -> String) -> Result<()> {
    if !BUSY.with_borrow(|busy| busy.contains(&id)) {
        return Ok(());
    }
    let message = format!("variable `{}` is {tried} by its own initializer", name());
    Err(Error::failed_precondition(message))
}
