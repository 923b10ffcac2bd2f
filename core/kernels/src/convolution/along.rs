//! The gradient of filters over few channels that come first. Positions lie along memory in both factors then, so that a sum is
//! one of lanes side by side; as a product of matrices, all of the larger factor would be turned.

use std::array::from_fn;
use std::ops::Range;

use bytemuck::cast_slice_mut;

use super::Filters;
use crate::dispatch::LANES;
use crate::expression::prefetch;
use crate::float::Real;
use crate::instruction_set::{InstructionSet, instruction_set};
use crate::narrow::Stored;
use crate::parts::{Matrix, divide_rows, share};
use crate::sliding::{BLOCK, load};
use crate::window::{Format, Window};

/// The most rows of patches, which are channels of taps: with more of them, turning the other factor is a small part of the work.
const ROWS: usize = 32;
/// The most filters that are computed over one copy of the patches.
const TOGETHER: usize = 32;
/// How many units there are to be for several threads, if there are images.
const UNITS: usize = 8;
/// The lanes that sums are kept in.
const SUMS: usize = 4;
/// Picoseconds of a multiplication.
const MULTIPLICATION: usize = 40;

/// The positions that are taken at a time: as much memory of each type.
const fn lanes<T>() -> usize {
    LANES * size_of::<f32>() / size_of::<T>()
}

/// How the work is cut, by sizes alone: a unit is the sums of some filters over a run of images.
#[derive(Clone, Copy)]
pub(super) struct Units {
    runs: usize,
    /// Of filters.
    blocks: usize,
    rows: usize,
}

impl Units {
    /// None where another way is faster.
    pub(super) fn new(of: &Filters) -> Option<Self> {
        let rows = of.window.taps() * of.images.channels;
        let is_here = of.images.format == Format::ChannelsFirst
            && of.groups == 1
            && (1..=ROWS).contains(&rows)
            && of.window.outputs() >= LANES
            && of.images.batch > 0
            && of.filters > 0;
        let blocks = of.filters.div_ceil(TOGETHER);
        is_here.then(|| Self { runs: UNITS.div_ceil(blocks).min(of.images.batch), blocks, rows })
    }

    fn count(&self) -> usize {
        self.runs * self.blocks
    }

    /// The numbers of f64 that are the sums of a unit.
    fn sums(&self) -> usize {
        self.rows * TOGETHER * SUMS
    }

    /// The numbers of f64 that a unit has room in: its sums, and patches of [`BLOCK`] times as many positions as are taken at a time.
    fn room<T>(&self) -> usize {
        self.sums() + self.rows * BLOCK * lanes::<T>() * size_of::<T>() / size_of::<f64>()
    }

    /// The numbers of f64 for all.
    pub(super) fn scratch<T>(&self) -> usize {
        self.count() * self.room::<T>()
    }

    /// The run of images and the filters that a unit is of.
    fn unit(&self, of: &Filters, unit: usize) -> (usize, Range<usize>) {
        let first = unit % self.blocks * TOGETHER;
        (unit / self.blocks, first..of.filters.min(first + TOGETHER))
    }

    /// Writes the gradient, given what [`sums_along`] is by the instruction set of this machine.
    pub(super) fn filters_gradient<T: Stored>(
        &self,
        of: &Filters,
        write_sums: impl Fn(Range<usize>, &mut [f64]) + Sync,
        gradient: &mut [T],
        scratch: &mut [f64],
    ) {
        let (width, count) = (self.room::<T>(), self.count());
        let scratch = &mut scratch[..count * width];
        let multiplications = of.images.batch.saturating_mul(of.window.outputs()).saturating_mul(of.weights());
        let cost = multiplications.saturating_mul(MULTIPLICATION) / count;
        divide_rows(count, cost, Matrix::new(scratch, width), write_sums);
        for (filter, row) in (0..of.filters).flat_map(|filter| (0..self.rows).map(move |row| (filter, row))) {
            let (block, own) = (filter / TOGETHER, filter % TOGETHER);
            let sum = (0..self.runs).fold(0.0, |sum, run| {
                let first = (run * self.blocks + block) * width + (own * self.rows + row) * SUMS;
                sum + scratch[first..][..SUMS].iter().sum::<f64>()
            });
            gradient[row * of.filters + filter] = T::narrow(<T::Wide as Real>::narrow(sum));
        }
    }
}

/// Writes what the taps of a channel of an image meet at some positions, a row for each tap, of which each lies `step` after the
/// one before. What lies in the padding is left as it is.
#[inline(always)]
fn gather<T: Stored>(window: &Window, x: &[T], positions: &Range<usize>, rows: &mut [T], step: usize) {
    let [planes, lines, columns] = window.three();
    for tap in 0..window.taps() {
        let row = &mut rows[tap * step..];
        let (i, j, k) = (tap / columns.size / lines.size, tap / columns.size % lines.size, tap % columns.size);
        let (of_plane, of_line, of_column) = (planes.windows(i), lines.windows(j), columns.windows(k));
        for line in positions.start / columns.output..positions.end.div_ceil(columns.output) {
            let (plane, own, first) = (line / lines.output, line % lines.output, line * columns.output);
            let start = of_column.start.max(positions.start.saturating_sub(first));
            let end = of_column.end.min(positions.end - first);
            if start >= end || !of_plane.contains(&plane) || !of_line.contains(&own) {
                continue;
            }
            let place = planes.place(plane, i) * lines.input + lines.place(own, j);
            let from = &x[place * columns.input + columns.place(start, k)..];
            let to = &mut row[first + start - positions.start..][..end - start];
            if columns.stride > 1 {
                to.iter_mut().zip(from.iter().step_by(columns.stride)).for_each(|(to, x)| *to = *x);
            } else if let Some(last) = to.len().checked_sub(LANES) {
                // The last lanes again write some that the ones before wrote.
                for at in (0..last).step_by(LANES).chain([last]) {
                    to[at..at + LANES].copy_from_slice(&load::<T, LANES, 1>(from, at));
                }
            } else {
                to.iter_mut().zip(from).for_each(|(to, x)| *to = *x);
            }
        }
    }
}

/// Adds one product to each lane of each sum. By indices: with iterators the compiler does not see the vectors.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn step<T: Real, const F: usize, const R: usize, const N: usize, const FUSED: bool>(
    rows: [&[T; N]; R],
    dys: [&[T; N]; F],
    lanes: &mut [[[T; N]; R]; F],
) {
    for r in 0..R {
        for f in 0..F {
            for l in 0..N {
                let lane = &mut lanes[f][r][l];
                *lane = if FUSED { rows[r][l].mul_add(dys[f][l], *lane) } else { rows[r][l] * dys[f][l] + *lane };
            }
        }
    }
}

/// Adds the products of some rows of patches and of some filters' gradients to their sums, each lane's in one block of at most
/// [`BLOCK`]. The gradients' last lanes, where they are not whole, come filled up.
#[inline(always)]
fn add_products<T: Real + Into<f64>, const F: usize, const R: usize, const N: usize, const FUSED: bool>(
    rows: [&[[T; N]]; R],
    dys: [(&[[T; N]], &[T; N]); F],
    sums: [[&mut [f64; SUMS]; R]; F],
) {
    let (whole, count) = (dys[0].0.len(), rows[0].len());
    let mut lanes = [[[T::ZERO; N]; R]; F];
    let (some_rows, some_dys) = (rows.map(|row| &row[..whole]), dys.map(|(dy, _)| &dy[..whole]));
    for i in 0..whole {
        step::<T, F, R, N, FUSED>(some_rows.map(|row| &row[i]), some_dys.map(|dy| &dy[i]), &mut lanes);
    }
    if count > whole {
        step::<T, F, R, N, FUSED>(rows.map(|row| &row[whole]), dys.map(|(_, last)| last), &mut lanes);
    }
    for (sums, lanes) in sums.into_iter().zip(&lanes) {
        for (sum, lanes) in sums.into_iter().zip(lanes) {
            // One after the other they would be converted one by one.
            let mut own = *sum;
            for some in lanes.as_chunks::<SUMS>().0 {
                own = from_fn(|i| own[i] + some[i].into());
            }
            *sum = own;
        }
    }
}

/// Writes the sums of some units; each has room for them and for its patches.
#[inline(always)]
pub(super) fn sums_along<T: Stored + Real + Into<f64>, const FUSED: bool>(
    of: &Filters,
    units: Units,
    some: Range<usize>,
    factors: (&[T], &[T]),
    room: &mut [f64],
) {
    if lanes::<T>() == LANES {
        sums_by::<T, LANES, FUSED>(of, units, some, factors, room);
    } else {
        sums_by::<T, { LANES / 2 }, FUSED>(of, units, some, factors, room);
    }
}

#[inline(always)]
fn sums_by<T: Stored + Real + Into<f64>, const N: usize, const FUSED: bool>(
    of: &Filters,
    units: Units,
    some: Range<usize>,
    (x, dy): (&[T], &[T]),
    room: &mut [f64],
) {
    let is_wide = instruction_set() == InstructionSet::Avx512;
    let (channels, inputs, outputs) = (of.images.channels, of.window.inputs(), of.window.outputs());
    for (unit, room) in some.zip(room.chunks_exact_mut(units.room::<T>())) {
        let (run, filters) = units.unit(of, unit);
        let (sums, patches) = room.split_at_mut(units.sums());
        let (sums, _) = sums.as_chunks_mut::<SUMS>();
        let patches = &mut cast_slice_mut::<f64, T>(patches)[..units.rows * BLOCK * N];
        sums.fill([0.0; SUMS]);
        let images = share(of.images.batch, run, units.runs);
        for (image, start) in images.flat_map(|image| (0..outputs).step_by(BLOCK * N).map(move |start| (image, start)))
        {
            let positions = start..outputs.min(start + BLOCK * N);
            // The padding, and what fills the last lanes.
            patches.fill(T::ZERO);
            for channel in 0..channels {
                let x = &x[(image * channels + channel) * inputs..][..inputs];
                gather(&of.window, x, &positions, &mut patches[channel * BLOCK * N..], channels * BLOCK * N);
            }
            let (patches, _) = patches.as_chunks::<N>();
            let chunks = positions.len().div_ceil(N);
            let of_filter =
                |filter: usize| &dy[(image * of.filters + filter) * outputs..][..outputs][positions.clone()];
            let passes = units.rows / 3 + units.rows % 3;
            let mut filter = filters.start;
            macro_rules! rows {
                ($f:literal, $r:literal, $row:expr, $dys:expr) => {{
                    let at = (filter - filters.start) * units.rows + $row;
                    let rows: [&[[T; N]]; $r] = from_fn(|i| &patches[($row + i) * BLOCK..][..chunks]);
                    let mut sums = sums[at..].chunks_mut(units.rows);
                    let sums: [[&mut [f64; SUMS]; $r]; $f] = from_fn(|_| {
                        let own: Option<&mut [[f64; SUMS]; $r]> = sums.next().and_then(|sums| sums.first_chunk_mut());
                        own.expect("there are sums for each row").each_mut()
                    });
                    add_products::<T, $f, $r, N, FUSED>(rows, $dys, sums);
                }};
            }
            macro_rules! filters {
                ($f:literal) => {
                    while filters.end - filter >= $f {
                        let dys: [&[T]; $f] = from_fn(|i| of_filter(filter + i));
                        let lasts: [[T; N]; $f] = dys.map(|dy| {
                            let (mut last, rest) = ([T::ZERO; N], dy.as_chunks::<N>().1);
                            last[..rest.len()].copy_from_slice(rest);
                            last
                        });
                        let dys: [(&[[T; N]], &[T; N]); $f] = from_fn(|i| (dys[i].as_chunks::<N>().0, &lasts[i]));
                        let (mut row, mut pass) = (0, 0);
                        while row < units.rows {
                            // Some of what the next filters have is asked for.
                            for next in (filter + $f..filters.end).take($f) {
                                let next = &of_filter(next)[share(positions.len(), pass, passes)];
                                prefetch(next);
                            }
                            if units.rows - row >= 3 {
                                rows!($f, 3, row, dys);
                                row += 3;
                            } else {
                                rows!($f, 1, row, dys);
                                row += 1;
                            }
                            pass += 1;
                        }
                        filter += $f;
                    }
                };
            }
            if is_wide {
                // As many sums as hide how long each takes, in half of its registers.
                filters!(4);
            }
            filters!(2);
            filters!(1);
        }
    }
}
