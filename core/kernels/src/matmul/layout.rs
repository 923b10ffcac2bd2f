//! Where the elements of a product go.

use std::ops::Range;

/// The places of a product's elements in the output.
pub(crate) trait Layout: Copy + Sync {
    /// All the places, where rows lie at equal steps, with their columns side by side.
    fn rows(self) -> Option<Rows>;

    /// Calls `run` with the first place, the step and the count of places, for all those columns of a row in turn.
    fn runs(self, row: usize, columns: Range<usize>, run: impl FnMut(usize, usize, usize));
}

/// Rows from a place on, `pitch` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) first: usize,
    pub(crate) pitch: usize,
}

impl Layout for Rows {
    fn rows(self) -> Option<Rows> {
        Some(self)
    }

    fn runs(self, row: usize, columns: Range<usize>, mut run: impl FnMut(usize, usize, usize)) {
        run(self.first + row * self.pitch + columns.start, 1, columns.len());
    }
}
