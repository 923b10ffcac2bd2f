//! Mutated files behind which no checksum stands: an error or a tensor, and never a panic.
//!
//! `MODULOR_FUZZ=100` makes a hundred times as many mutations as a plain test run.

use super::broken::{Parts, contents, sample, sliced};
use super::fault_vfs::{FaultVfs, Random};
use modulor::checkpoint::bundle::Bundle;

/// Reads everything that can be read, and says whether the index was accepted.
fn read(vfs: &FaultVfs) -> bool {
    let Ok(bundle) = Bundle::open_unverified(&vfs.shared(), "/m") else { return false };
    for (key, entry) in bundle.entries() {
        if let Ok(tensor) = bundle.read(key) {
            assert_eq!(tensor.dims().expect("it has a value"), entry.shape);
            contents(&tensor).expect("it can be looked at");
        }
    }
    drop(bundle.object_graph_bytes());
    drop(bundle.verify());
    true
}

/// Changes some bytes: another value, a bit, a byte more or less, a piece twice.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] = random.next() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.insert(at, [0, 1, 0x7F, 0x80, 0xFF][random.below(5)]),
            4 => bytes.truncate(at),
            _ => {
                let piece = bytes[at..].iter().copied().take(1 + random.below(9)).collect::<Vec<_>>();
                bytes.splice(at..at, piece);
            }
        }
    }
}

#[test]
fn mutated_bundles_are_refused_or_read_and_never_a_panic() {
    let times: u64 = std::env::var("MODULOR_FUZZ").map_or(1, |n| n.parse().expect("MODULOR_FUZZ is a number"));
    let (mut accepted, mut refused) = (0_u64, 0_u64);
    for seed in 0..10_000 * times {
        let mut random = Random(seed);
        let mut parts = if random.below(2) == 0 { sample() } else { sliced() };
        match random.below(5) {
            // The values of the table, in a table that is right.
            0 | 1 => {
                let at = random.below(parts.entries.len());
                mutate(&mut parts.entries[at].1, &mut random);
            }
            2 => {
                let at = random.below(parts.entries.len());
                mutate(&mut parts.entries[at].0, &mut random);
            }
            3 => mutate(parts.header.as_mut().expect("the sample has one"), &mut random),
            _ => mutate(&mut parts.shards[0], &mut random),
        }
        let vfs = Parts::files(&parts);
        // The bytes of the table.
        if random.below(3) == 0 {
            let mut index = parts.index();
            mutate(&mut index, &mut random);
            vfs.put("/m.index", &index);
        }
        *if read(&vfs) { &mut accepted } else { &mut refused } += 1;
    }
    assert!(accepted > 100 * times && refused > 100 * times, "{accepted} accepted, {refused} refused: both are tried");
}
