//! Toy scopes.
#![allow(missing_docs)]
use std::cell::RefCell;
thread_local!(static PATH: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
pub fn within<R>(name: &str, body: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave { fn drop(&mut self) { PATH.with_borrow_mut(|p| { p.pop(); }) } }
    PATH.with_borrow_mut(|p| p.push(name.to_owned()));
    let _leave = Leave;
    body()
}
pub fn path() -> String { PATH.with_borrow(|p| p.join("/")) }
