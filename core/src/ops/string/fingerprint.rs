//! Hashes of bytes that never change: FarmHash's fingerprint of 64 bits, SipHash-2-4 under a key.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// The 8 bytes from a place on, little endian.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut own = [0; 8];
    own.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(own)
}

/// The 4 bytes from a place on, little endian.
fn half_word(bytes: &[u8], at: usize) -> u64 {
    let mut own = [0; 4];
    own.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(own).into()
}

fn shift_mix(x: u64) -> u64 {
    x ^ (x >> 47)
}

/// Two words as one.
fn of_two(u: u64, v: u64, factor: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(factor));
    shift_mix((v ^ a).wrapping_mul(factor)).wrapping_mul(factor)
}

fn of_at_most_16(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    let factor = K2.wrapping_add(count as u64 * 2);
    match count {
        8.. => {
            let a = word(bytes, 0).wrapping_add(K2);
            let b = word(bytes, count - 8);
            let c = b.rotate_right(37).wrapping_mul(factor).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(factor);
            of_two(c, d, factor)
        }
        4.. => {
            let first = (count as u64).wrapping_add(half_word(bytes, 0) << 3);
            of_two(first, half_word(bytes, count - 4), factor)
        }
        1.. => {
            let [a, b, c] = [bytes[0], bytes[count >> 1], bytes[count - 1]].map(u64::from);
            let (y, z) = (a.wrapping_add(b << 8), (count as u64).wrapping_add(c << 2));
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
        }
        0 => K2,
    }
}

fn of_at_most_32(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    let factor = K2.wrapping_add(count as u64 * 2);
    let a = word(bytes, 0).wrapping_mul(K1);
    let b = word(bytes, 8);
    let c = word(bytes, count - 8).wrapping_mul(factor);
    let d = word(bytes, count - 16).wrapping_mul(K2);
    let u = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let v = a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c);
    of_two(u, v, factor)
}

fn of_at_most_64(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    let factor = K2.wrapping_add(count as u64 * 2);
    let a = word(bytes, 0).wrapping_mul(K2);
    let b = word(bytes, 8);
    let c = word(bytes, count - 8).wrapping_mul(factor);
    let d = word(bytes, count - 16).wrapping_mul(K2);
    let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let z = of_two(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), factor);
    let e = word(bytes, 16).wrapping_mul(factor);
    let f = word(bytes, 24);
    let g = y.wrapping_add(word(bytes, count - 32)).wrapping_mul(factor);
    let h = z.wrapping_add(word(bytes, count - 24)).wrapping_mul(factor);
    let u = e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h);
    let v = e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g);
    of_two(u, v, factor)
}

/// 32 bytes from a place on, mixed with two seeds into two words.
fn weak(bytes: &[u8], at: usize, a: u64, b: u64) -> [u64; 2] {
    let [w, x, y, z] = [0, 8, 16, 24].map(|offset| word(bytes, at + offset));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let sum = a.wrapping_add(x).wrapping_add(y);
    [sum.wrapping_add(z), b.wrapping_add(sum.rotate_right(44)).wrapping_add(a)]
}

/// What is carried from one block of 64 bytes to the next.
struct Blocks {
    x: u64,
    y: u64,
    z: u64,
    v: [u64; 2],
    w: [u64; 2],
}

impl Blocks {
    /// Takes in the block at a place; `times` is by how much some words count more in the last one.
    fn take(&mut self, bytes: &[u8], at: usize, factor: u64, times: u64) {
        let [v, w] = [self.v, self.w];
        let sum = self.x.wrapping_add(self.y).wrapping_add(v[0]).wrapping_add(word(bytes, at + 8));
        let mut x = sum.rotate_right(37).wrapping_mul(factor);
        let sum = self.y.wrapping_add(v[1]).wrapping_add(word(bytes, at + 48));
        let mut y = sum.rotate_right(42).wrapping_mul(factor);
        x ^= w[1].wrapping_mul(times);
        y = y.wrapping_add(v[0].wrapping_mul(times)).wrapping_add(word(bytes, at + 40));
        let z = self.z.wrapping_add(w[0]).rotate_right(33).wrapping_mul(factor);
        self.v = weak(bytes, at, v[1].wrapping_mul(factor), x.wrapping_add(w[0]));
        self.w = weak(bytes, at + 32, z.wrapping_add(w[1]), y.wrapping_add(word(bytes, at + 16)));
        (self.x, self.y, self.z) = (z, y, x);
    }
}

/// FarmHash's `Fingerprint64`.
pub(super) fn fingerprint64(bytes: &[u8]) -> u64 {
    const SEED: u64 = 81;
    match bytes.len() {
        0..=16 => return of_at_most_16(bytes),
        17..=32 => return of_at_most_32(bytes),
        33..=64 => return of_at_most_64(bytes),
        _ => {}
    }
    let y = SEED.wrapping_mul(K1).wrapping_add(113);
    let z = shift_mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let x = SEED.wrapping_mul(K2).wrapping_add(word(bytes, 0));
    let mut blocks = Blocks { x, y, z, v: [0; 2], w: [0; 2] };
    // The last 1 to 64 bytes are in a block of their own, which may share bytes with the one before.
    let rest = (bytes.len() - 1) % 64;
    for at in (0..bytes.len() - rest - 1).step_by(64) {
        blocks.take(bytes, at, K1, 1);
    }
    let factor = K1.wrapping_add((blocks.z & 0xff) << 1);
    blocks.w[0] = blocks.w[0].wrapping_add(rest as u64);
    blocks.v[0] = blocks.v[0].wrapping_add(blocks.w[0]);
    blocks.w[0] = blocks.w[0].wrapping_add(blocks.v[0]);
    blocks.take(bytes, bytes.len() - 64, factor, 9);
    let Blocks { x, y, z, v, w } = blocks;
    let u = of_two(v[0], w[0], factor).wrapping_add(shift_mix(y).wrapping_mul(K0)).wrapping_add(z);
    of_two(u, of_two(v[1], w[1], factor).wrapping_add(x), factor)
}

/// SipHash-2-4 of 64 bits under a key of two words.
pub(super) fn siphash(bytes: &[u8], [k0, k1]: [u64; 2]) -> u64 {
    fn round(v: &mut [u64; 4]) {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    }
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |word: u64| {
        v[3] ^= word;
        (0..2).for_each(|_| round(&mut v));
        v[0] ^= word;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|&word| take(u64::from_le_bytes(word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    take(u64::from_le_bytes(last));
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v.into_iter().fold(0, |hash, word| hash ^ word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_gives_the_numbers_of_its_paper() {
        let key = [0, 8].map(|from: u64| u64::from_le_bytes(std::array::from_fn(|i| (from + i as u64) as u8)));
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(&bytes, key), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(&[], key), 0x726f_db47_dd0e_0e31);
    }
}
