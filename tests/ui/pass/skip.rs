//! `#[skip]`: neither visited nor saved, made anew by `Default`.

use modulor::prelude::*;
use std::sync::{Arc, Mutex};

#[derive(Module)]
struct A {
    #[skip]
    cache: Arc<Mutex<Vec<u8>>>,
    #[config]
    units: usize,
}

#[test]
fn a_skipped_field_is_not_asked_for_and_not_written() {
    let a = A::new(3);
    assert!(a.cache.lock().expect("not poisoned").is_empty());
    assert!(!a.config().expect("plain data").contains_key("cache"));
    assert_eq!(a.units, 3);
}
