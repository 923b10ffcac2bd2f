//! Where the results of a product lie in images.

use std::ops::Range;

use crate::matmul::{Layout, Rows};
use crate::window::{Format, Images};

/// Images by the steps between their elements.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    images: Images,
    pub(super) places: [usize; 3],
    /// From one place to the next along each axis.
    pub(super) pitches: [usize; 3],
    /// From one image to the next.
    pub(super) image: usize,
    /// From one channel to the next.
    pub(super) channel: usize,
}

impl Grid {
    pub(super) fn new(images: Images, places: [usize; 3]) -> Self {
        let all: usize = places.iter().product();
        // One channel lies the same both ways, and a product with one row is faster than one with one column.
        let format = if images.channels == 1 { Format::ChannelsFirst } else { images.format };
        let images = Images { format, ..images };
        let (channel, place) = images.steps(all);
        // Where there are no images, steps may be more than a number holds.
        let pitches = [places[1] * places[2], places[2], 1].map(|places| place.wrapping_mul(places));
        Self { images, places, pitches, image: images.channels.wrapping_mul(all), channel }
    }
}

/// Positions of an image that are enough for a product of their own: the last of its tiles does not weigh.
const ENOUGH: usize = 512;

/// Some places of images, positions in row-major order, and channels: those of a product, whose rows are the positions of
/// all images where the channels are last, or whose columns are the positions of one or, where those are few, of all.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    grid: Grid,
    first: usize,
    /// The positions along each axis, and the steps between them in memory.
    counts: [usize; 3],
    steps: [usize; 3],
    /// Whether they are all places.
    is_whole: bool,
    /// The images of a product.
    together: usize,
}

impl Spread {
    /// All places.
    pub(super) fn whole(grid: Grid) -> Self {
        Self::new(grid, 0, grid.places, grid.pitches)
    }

    /// So many places along each axis, `strides` apart.
    pub(super) fn some(grid: Grid, firsts: [usize; 3], strides: [usize; 3], counts: [usize; 3]) -> Self {
        let first = firsts.iter().zip(grid.pitches).map(|(first, pitch)| first * pitch).sum();
        // A stride may be more than memory has; then there is one place.
        let steps = std::array::from_fn(|i| strides[i].wrapping_mul(grid.pitches[i]));
        Self::new(grid, first, counts, steps)
    }

    fn new(grid: Grid, first: usize, counts: [usize; 3], steps: [usize; 3]) -> Self {
        let images = &grid.images;
        let positions = counts.iter().fold(1_usize, |all, count| all.saturating_mul(*count));
        let is_enough = images.format == Format::ChannelsFirst && positions >= ENOUGH;
        let together = if is_enough { images.batch.min(1) } else { images.batch };
        Self { grid, first, counts, steps, is_whole: counts == grid.places, together }
    }

    /// How many images are in one product.
    pub(super) fn together(&self) -> usize {
        self.together
    }

    /// Whether rows are positions.
    pub(super) fn is_last(&self) -> bool {
        self.grid.images.format == Format::ChannelsLast
    }

    /// From an image and a channel on.
    pub(super) fn part(self, image: usize, channel: usize) -> Self {
        Self { first: self.first + image * self.grid.image + channel * self.grid.channel, ..self }
    }
}

impl Layout for Spread {
    fn rows(self) -> Option<Rows> {
        let pitch = match self.grid.images.format {
            Format::ChannelsLast => self.grid.images.channels,
            Format::ChannelsFirst => self.grid.channel,
        };
        let is_in_rows = self.is_whole && (self.is_last() || self.together == 1);
        is_in_rows.then_some(Rows { first: self.first, pitch })
    }

    fn runs(self, row: usize, columns: Range<usize>, mut run: impl FnMut(usize, usize, usize)) {
        let [_, b, c] = self.counts;
        let place = |row: usize| (row / b * self.steps[0], row % b * self.steps[1]);
        match self.grid.images.format {
            Format::ChannelsLast => {
                let positions: usize = self.counts.iter().product();
                let (image, position) = (row / positions, row % positions);
                let (x, y) = place(position / c);
                let at = self.first + image * self.grid.image + x + y + position % c * self.steps[2];
                run(at + columns.start, 1, columns.len());
            }
            Format::ChannelsFirst => {
                let positions: usize = self.counts.iter().product();
                let mut column = columns.start;
                while column < columns.end {
                    let (image, position) = (column / positions, column % positions);
                    // The rows of a whole image are one.
                    let row_of = if self.is_whole { positions } else { c };
                    let (x, y) = if self.is_whole { (0, 0) } else { place(position / c) };
                    let count = (row_of - position % row_of).min(columns.end - column);
                    let first = self.first + image * self.grid.image + row * self.grid.channel;
                    run(first + x + y + position % row_of * self.steps[2], self.steps[2], count);
                    column += count;
                }
            }
        }
    }
}
