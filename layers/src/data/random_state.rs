//! NumPy's `RandomState`, as far as it shuffles: so that a seed puts files in the order that Keras has them in.

/// How many words of state there are.
const WORDS: usize = 624;

/// The generator MT19937.
struct RandomState {
    words: [u32; WORDS],
    at: usize,
}

impl RandomState {
    fn new(seed: u32) -> RandomState {
        let mut words = [seed; WORDS];
        for i in 1..WORDS {
            let before = words[i - 1];
            words[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        RandomState { words, at: WORDS }
    }

    fn next(&mut self) -> u32 {
        if self.at == WORDS {
            for i in 0..WORDS {
                let mixed = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % WORDS] & 0x7fff_ffff);
                let odd = if mixed & 1 == 0 { 0 } else { 0x9908_b0df };
                self.words[i] = self.words[(i + 397) % WORDS] ^ (mixed >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut word = self.words[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = most.checked_ilog2().map_or(0, |bits| u32::MAX >> (31 - bits));
        loop {
            let number = self.next() & mask;
            if number <= most {
                return number;
            }
        }
    }
}

/// Elements in the order of `numpy.random.RandomState(seed).shuffle`; of more than 2³², the first so many.
pub(super) fn shuffle<T>(elements: &mut [T], seed: u32) {
    let mut state = RandomState::new(seed);
    for i in (1..elements.len().min(1 << 32)).rev() {
        elements.swap(i, state.up_to(i as u32) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x = list(range(12)); np.random.RandomState(seed).shuffle(x)`.
    #[test]
    fn the_order_is_numpys() {
        for (seed, expected) in [
            (0, [6, 11, 4, 10, 2, 8, 1, 7, 9, 3, 0, 5]),
            (1234, [7, 8, 11, 2, 9, 10, 1, 0, 4, 5, 6, 3]),
            (u32::MAX, [11, 8, 5, 9, 1, 10, 6, 0, 4, 7, 2, 3]),
        ] {
            let mut x: Vec<u32> = (0..12).collect();
            shuffle(&mut x, seed);
            assert_eq!(x, expected, "{seed}");
        }
        let mut long: Vec<u64> = (0..1000).collect();
        shuffle(&mut long, 7);
        assert_eq!(long.iter().zip(1..).map(|(x, i)| x * i).sum::<u64>(), 246_701_811);
    }
}
