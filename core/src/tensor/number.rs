//! Maps by the numbers of tensors, variables and nodes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map by numbers that [`next_id`](super::next_id) gave out.
pub(crate) type ByNumber<V, K = u64> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// A set of such numbers.
pub(crate) type Numbers = HashSet<u64, BuildHasherDefault<Spread>>;

/// Spreads numbers that follow each other, of which nobody has the choice.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u64(&mut self, number: u64) {
        // An odd number near 2⁶⁴ over the golden ratio; what is high comes down to where tables look.
        let spread = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
