//! Where initial values get their randomness: from the root seed and the variable's path, never from an order.

use modulor_kernels::random::seed_of;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

struct Names {
    seed: u64,
    /// How many free-standing roots of each name there have been.
    counts: HashMap<String, u64>,
}

static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(|| Mutex::new(Names { seed: 0, counts: HashMap::new() }));

fn names() -> MutexGuard<'static, Names> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the root seed, and starts the numbers of free-standing names (`dense`, `dense_1`) anew: what runs after two
/// equal calls gives equal values.
pub fn set_seed(seed: u64) {
    *names() = Names { seed, counts: HashMap::new() };
}

/// The root seed; 0 unless it was set.
pub fn root_seed() -> u64 {
    names().seed
}

/// The next name of a free-standing root: `dense`, then `dense_1`, by a counter per name.
pub(crate) fn numbered(name: &str) -> String {
    let mut names = names();
    let count = names.counts.entry(name.to_owned()).or_default();
    let number = *count;
    *count += 1;
    if number == 0 { name.to_owned() } else { format!("{name}_{number}") }
}

/// The seed of the variable at a path.
pub(crate) fn of_path(path: &str) -> u64 {
    seed_of(root_seed(), path)
}
