//! Names of free-standing modules, and the paths that variables get from them.
//!
//! Names belong to places; a module that is called by itself is in no place, and takes the next of `dense`, `dense_1`,
//! .. as TensorFlow does. Those names, and with them the seeds of the initial values, depend on the order of first
//! calls; inside one model nothing does.

use super::{Module, Visitor, fold, walk};
use crate::{Variable, variable};
use std::sync::Mutex;

/// `base`, then `base_1`, `base_2`, ..: the name of a free-standing module. [`set_seed`](crate::set_seed) begins anew.
pub fn unique(base: &str) -> String {
    variable::numbered(base)
}

/// `base` for 0 and `base_<index>` for the rest: automatic names within one model.
pub fn numbered(base: &str, index: usize) -> String {
    match index {
        0 => base.to_owned(),
        index => format!("{base}_{index}"),
    }
}

/// Gives every variable below `module` its path, unless it has one and a value: of each `root` is the first part.
pub fn stamp(module: &(impl Module + ?Sized), root: &str) {
    for (path, variable) in fold::cells(&walk(module)) {
        variable.stamp(&format!("{root}/{path}"));
    }
}

/// Stamps a module that is called by itself, unless every variable has its path already.
pub(crate) fn stamp_free_standing(module: &dyn Module, base: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if is_stamped(module) {
        return;
    }
    // Threads that race to a first call agree on one name.
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !is_stamped(module) {
        stamp(module, &unique(base));
    }
}

fn is_stamped(module: &dyn Module) -> bool {
    struct Unstamped(bool);
    impl Visitor for Unstamped {
        fn variable(&mut self, _: &str, variable: &Variable) {
            self.0 |= variable.path().is_none();
        }

        fn module(&mut self, _: &str, module: &dyn Module) {
            if !self.0 {
                module.fields(self);
            }
        }
    }
    let mut unstamped = Unstamped(false);
    module.fields(&mut unstamped);
    !unstamped.0
}
