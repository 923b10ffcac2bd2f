//! The ways back that look for the greatest of a window where it is known.

use crate::float::Real;
use crate::narrow::Stored;
use crate::sliding::{Block, Gather, Start, Term, Total, load, load_apart, store};

/// As near to the greatest as this is as great, in TensorFlow's gradient of volumes.
const NEAR: f64 = 1e-5;

/// The sum of what goes to a place from the windows of which it is nearly the greatest.
pub(super) struct Near<'a, T> {
    /// Of the places in the row.
    pub(super) x: &'a [T],
    pub(super) y: &'a [T],
    pub(super) dy: &'a [T],
    pub(super) dx: &'a mut [T],
}

impl<T: Stored> Gather for Near<'_, T> {
    const BACKWARD: bool = true;
    type State<const N: usize> = ([T::Wide; N], Total<T::Wide, N>);

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, start: Start) -> Self::State<N> {
        (load_apart::<T, N>(self.x, start.at, start.step).map(T::widen), Total::ZERO)
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, (x, total): &mut Self::State<N>, term: Term) {
        let y = load::<T, N, STEP>(self.y, term.at + term.lane);
        let dy = load::<T, N, STEP>(self.dy, term.at + term.lane);
        let near = T::Wide::narrow(NEAR);
        for (((sum, &x), y), dy) in total.block.iter_mut().zip(&*x).zip(&y).zip(&dy) {
            *sum = *sum + if Real::abs(x - y.widen()) < near { dy.widen() } else { T::Wide::ZERO };
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, (_, total): &mut Self::State<N>) {
        total.join();
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, (_, total): Self::State<N>, block: &Block) {
        total.put(self.dx, block);
    }
}

/// What lies where the first element of a window is that is the greatest.
pub(super) struct Pick<'a, T> {
    pub(super) x: &'a [T],
    pub(super) from: &'a [T],
    /// Of the windows in the row.
    pub(super) y: &'a [T],
    pub(super) out: &'a mut [T],
}

impl<T: Stored> Gather for Pick<'_, T> {
    const BACKWARD: bool = false;
    /// What is looked for, which becomes NaN where it is found, and what was found.
    type State<const N: usize> = ([T::Wide; N], [T::Wide; N]);

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, start: Start) -> Self::State<N> {
        (load_apart::<T, N>(self.y, start.at, start.step).map(T::widen), [T::Wide::ZERO; N])
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, (wanted, found): &mut Self::State<N>, term: Term) {
        let x = load::<T, N, STEP>(self.x, term.at + term.lane);
        let from = load::<T, N, STEP>(self.from, term.at + term.lane);
        let nothing = T::Wide::narrow(f64::NAN);
        for (((wanted, found), x), from) in wanted.iter_mut().zip(found).zip(&x).zip(&from) {
            let is_it = x.widen() == *wanted;
            *found = if is_it { from.widen() } else { *found };
            *wanted = if is_it { nothing } else { *wanted };
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, _: &mut Self::State<N>) {}

    #[inline(always)]
    fn put<const N: usize>(&mut self, (_, found): Self::State<N>, block: &Block) {
        store(found.map(T::narrow), self.out, block.at, block.step);
    }
}
