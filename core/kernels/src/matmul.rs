//! The product of two matrices, or of many.
//!
//! Every element of the product is a sum of sums of sums, each in order from 0: over [`BLOCK`](tile::BLOCK) terms, over
//! the blocks of at most [`PANEL`] terms, over the panels of even chunks of at most [`CHUNK`] terms, and over the chunks. That is
//! a function of k alone: the bits do not depend on the other sizes, on how the factors lie in memory, or on the number of
//! threads. Products are added without being rounded first, but by portable code, which rounds both.

mod epilogue;
mod layout;
mod pack;
mod packed;
#[cfg(target_arch = "x86_64")]
mod tall;
mod tile;

use std::mem::size_of;
use std::ops::Range;
use std::slice::from_raw_parts_mut;

use bytemuck::Zeroable;

use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::parts::divide;
use crate::pool;
use crate::strided::Strided;
use epilogue::Block;
pub use epilogue::Epilogue;
pub(crate) use epilogue::Finish;
pub(crate) use layout::{Layout, Rows};
pub(crate) use pack::{Factor, InPlace, Lanes, Panels, pack_panels};
pub use packed::Packed;
pub(crate) use packed::packed;
use packed::panels;
use tile::{Family, MAX_ROWS, Next, POINTERS, Piece, Segments, Tail, Term, Tiles};
pub(crate) use tile::{SIDE, Turns};

/// The most places along k whose terms are packed at a time.
const PANEL: usize = 8 * tile::BLOCK;
/// The places along k that are added up before their sum joins the others, perhaps those of another thread.
const CHUNK: usize = 43 * tile::BLOCK;
/// The bytes of a row of the right factor that are packed at a time: a panel of them stays in the second cache.
const STRIP_BYTES: usize = 1536;
/// How many tiles' rows of the left factor are packed at a time, so that lines of what lies turned are read whole.
const GROUP: usize = 4;
/// How many places along k ahead a left factor is fetched that is read as it lies.
const AHEAD: usize = 32;
/// Terms of the right factor that stay in the first cache.
const FEW: usize = 8192;
/// The most segments of a panel of a left factor that is read in segments.
const SEGMENTS: usize = PANEL / LEAST + 2;
/// The least places along k of a segment.
pub(crate) const LEAST: usize = 8;
/// The most rows of a block that needs room beside the output.
const ROWS: usize = 160;
/// The most elements of a product that is split along k: each chunk is a product of its own, and they are added up.
const SPLIT: usize = 1 << 15;
/// Picoseconds that a sum of a chunk takes to join the others.
const ADDED: usize = 300;
/// The multiplications that are worth another thread.
const WORTH: usize = 1 << 16;
/// The multiplications of a part that is long: some 0.1 ms.
const LONG: usize = 1 << 22;

/// The places along k of each panel but the last: as even as whole blocks allow.
fn panel(depth: usize) -> usize {
    depth.div_ceil(depth.div_ceil(PANEL)).next_multiple_of(tile::BLOCK)
}

/// The places along k of each chunk but the last: as even as whole blocks allow, and a number of them that two threads share
/// evenly.
fn even_chunk(k: usize) -> usize {
    let chunks = match k.div_ceil(CHUNK) {
        0 | 1 => 1,
        many => many.next_multiple_of(2),
    };
    k.div_ceil(chunks).next_multiple_of(tile::BLOCK).max(tile::BLOCK)
}

/// The columns of a strip.
const fn strip<T>() -> usize {
    STRIP_BYTES / size_of::<T>()
}

fn is_split(m: usize, k: usize, n: usize) -> bool {
    k > CHUNK && m * n <= SPLIT
}

/// Whether the sums of a block are kept beside the output before they go there.
fn is_apart<T: Factor>(layout: impl Layout, accumulate: bool) -> bool {
    accumulate || T::terms(&[]).is_none() || layout.rows().is_none()
}

/// The terms that a block of so many rows and columns needs: for the panels of the right factor, those of the left, and
/// the two sums beside the output, the first of which only where they are kept `apart`.
fn room(rows: usize, k: usize, columns: usize, apart: bool) -> [usize; 4] {
    let panel = k.min(PANEL);
    // The last of the panels may be padded; no tile that asks for it is wider than 32.
    let right = panel * columns.next_multiple_of(32);
    let sums = rows.min(ROWS) * columns;
    [
        right,
        (panel * rows.min(GROUP * MAX_ROWS)).next_multiple_of(64),
        if apart { sums } else { 0 },
        if k > CHUNK { sums } else { 0 },
    ]
}

/// Writes so many lanes of a factor side by side, for each of the places along k that fill `to`.
pub(crate) fn side_by_side<T: Factor>(from: Lanes<T>, lanes: usize, to: &mut [T::Term]) {
    from.pack(lanes, lanes, to, T::Term::tiles(instruction_set()).turn);
}

/// The elements of scratch that [`multiply`] wants, perhaps adding to what stands in the output.
pub(crate) fn scratch<T: Factor>(m: usize, k: usize, n: usize, accumulate: bool) -> usize {
    let (m, n) = if n == 1 { (n, m) } else { (m, n) };
    products_scratch::<T>([m, k, n], Rows { first: 0, pitch: n }, accumulate)
}

/// The elements of scratch that [`products`] wants.
pub(crate) fn products_scratch<T: Factor>([m, k, n]: [usize; 3], layout: impl Layout, accumulate: bool) -> usize {
    if m == 0 || n == 0 || k == 0 {
        return 0;
    }
    let apart = is_apart::<T>(layout, accumulate);
    let own: usize = room(m.min(ROWS), k, n.min(strip::<T::Term>()), apart).iter().sum();
    let chunks = if is_split(m, k, n) { k.div_ceil(even_chunk(k)) * m * n } else { 0 };
    // Scratch need not be aligned for terms, nor begin where a cache line does.
    (own + chunks) * (size_of::<T::Term>() / size_of::<T>()) + 128 / size_of::<T>()
}

/// The room of a block, as [`room`] counts it.
struct Room<'a, T> {
    right: &'a mut [T],
    left: &'a mut [T],
    /// Sums that are yet to be narrowed.
    wide: &'a mut [T],
    /// The sum of a chunk that is yet to be added.
    chunk: &'a mut [T],
}

impl<'a, T> Room<'a, T> {
    fn of(terms: &'a mut [T], [right, left, wide, chunk]: [usize; 4]) -> Self {
        let (right, rest) = terms.split_at_mut(right);
        let (left, rest) = rest.split_at_mut(left);
        let (wide, rest) = rest.split_at_mut(wide);
        Self { right, left, wide, chunk: &mut rest[..chunk] }
    }
}

/// The terms in `bytes`, from the first cache line on.
fn aligned<T: Term>(bytes: &mut [u8]) -> &mut [T] {
    let start = bytes.as_ptr().align_offset(64).min(bytes.len());
    bytemuck::pod_align_to_mut::<u8, T>(&mut bytes[start..]).1
}

/// Tiles of one family side by side, of so many columns each: all of a tile's, where there are several.
struct Run<T: 'static> {
    first: usize,
    columns: usize,
    tiles: usize,
    family: &'static Family<T>,
}

/// The runs of tiles that make up a block's columns.
fn runs<T>(tiles: &'static Tiles<T>, rows: usize, columns: usize) -> impl Iterator<Item = Run<T>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = columns - first;
        let family = match left {
            0 => return None,
            _ if rows <= tiles.low.of.len() && left >= tiles.low.width => &tiles.low,
            _ if left > tiles.narrow.width => &tiles.wide,
            _ => &tiles.narrow,
        };
        let (columns, tiles) = if left < family.width { (left, 1) } else { (family.width, left / family.width) };
        first += columns * tiles;
        Some(Run { first: first - columns * tiles, columns, tiles, family })
    })
}

/// What is asked for of a left factor that is packed, during the tiles that follow `calls` others: of the `rows` to be packed
/// next a place of some row, and the step to where the next one is wanted.
fn ahead<T>(lies: Option<InPlace<T>>, rows: Range<usize>, calls: usize) -> Option<Next<T>> {
    let (lies, line) = (lies?, 64 / size_of::<T>());
    match lies {
        InPlace { first, lane, depth: 1 } if calls < rows.len() => {
            let first = first.wrapping_offset((rows.start + calls) as isize * lane);
            Some(Next { first, step: 1, tile: lane, tiles: rows.len() - calls })
        }
        InPlace { first, lane: 1, depth } if calls * line < rows.len() => {
            let first = first.wrapping_add(rows.start + calls * line);
            Some(Next { first, step: depth, tile: line as isize, tiles: (rows.len() - calls * line).div_ceil(line) })
        }
        _ => None,
    }
}

/// Where a block of sums goes: its rows are `pitch` apart.
#[derive(Clone, Copy)]
struct Target<T> {
    first: *mut T,
    pitch: usize,
}

/// Computes a block over at most [`CHUNK`] places along k, and says of some rows after the other, from the first and how
/// many, that they are `done`.
///
/// # Safety
/// `rows` × `columns` terms of the target may be written.
#[allow(unsafe_code)]
unsafe fn chunk<T: Term, A: Panels<Term = T>, B: Panels<Term = T>>(
    tiles: &'static Tiles<T>,
    (a, b): (A, B),
    [rows, depth, columns]: [usize; 3],
    target: Target<T>,
    room: &mut Room<T>,
    (tail, done): (Tail<T>, &dyn Fn(usize, usize)),
) {
    let tallest = tiles.wide.of.len();
    let panel = panel(depth);
    let segments = a.in_segments().filter(|_| tiles.are_vectors());
    let mut table = [std::ptr::null(); MAX_ROWS * SEGMENTS];
    for start in (0..depth).step_by(panel) {
        let now = panel.min(depth - start);
        let (a, b) = (a.from(0, start), b.from(0, start));
        // Packing costs about as much as reading some rows more; or what lies in the first cache, where tiles read panels no
        // faster than that.
        let few = |depth: isize| {
            let depth = depth.unsigned_abs();
            rows <= 3 * MAX_ROWS || tallest > POINTERS && (now * depth <= FEW || depth * size_of::<T>() <= 512)
        };
        let b_in_place = b.in_place().filter(|b| B::PACKED || b.lane == 1 && few(b.depth));
        let a_lies = a.in_place();
        let a_in_place = a_lies.filter(|a| {
            let apart = (a.lane.unsigned_abs() * size_of::<T>()) % 4096;
            let is_apart = (256..=3840).contains(&apart);
            // Rows that are whole pages apart share the lines of the first cache.
            let few = columns < 6 * tiles.wide.width && (apart > 0 || rows < 8 || columns < 2 * tiles.wide.width);
            few || rows < 4 || now <= 64 || a.depth == 1 && is_apart
        });
        let low = if B::PACKED { usize::MAX } else { rows };
        // Memory is read in its own order: some places of all lanes, or all places of a few lanes.
        let few = b.places().min(now);
        for place in (0..now).step_by(few) {
            let mut packed = 0;
            for Run { first, columns, tiles: run, family } in runs(tiles, low, columns) {
                if B::PACKED || b_in_place.is_some() && columns == family.width {
                    continue;
                }
                let width = family.width;
                for tile in 0..run {
                    let panel = &mut room.right[packed + place * width..][..few.min(now - place) * width];
                    b.from(first + tile * width, place).pack(columns, width, panel, tiles.turn);
                    packed += now * width;
                }
            }
        }
        let mut calls = 0;
        for row in (0..rows).step_by(tallest) {
            let (lanes, height) = (a.from(row, 0), tallest.min(rows - row));
            let group = row % (GROUP * tallest);
            let mut lies = Segments::NONE;
            if let Some([lane, place]) = segments {
                let [first, places] = lanes.point(height, now, &mut table);
                let ahead = if lane == 0 { AHEAD as isize * place } else { height as isize * lane };
                lies = Segments { rows: table.as_ptr(), first, places, ahead };
            } else if a_in_place.is_none() && group == 0 {
                let rows = (GROUP * tallest).min(rows - row);
                lanes.pack_tiles(rows, tallest, now, room.left, tiles.turn);
                calls = 0;
            }
            let soon = (row - group + GROUP * tallest).min(rows);
            let soon = soon..rows.min(soon + GROUP * tallest);
            let mut packed = 0;
            for Run { first, columns, tiles: run, family } in runs(tiles, low, columns) {
                let (a, a_row, a_step, of) = match a_in_place.and(lanes.in_place()) {
                    Some(a) => (a.first, a.lane, a.depth, family.of),
                    None if let Some([_, step]) = segments => (table[0], 0, step, family.in_segments),
                    None if a.packs_rows() => (room.left[group * now..].as_ptr(), now as isize, 1, family.of),
                    None => (room.left[group * now..].as_ptr(), 1, height as isize, family.packed),
                };
                // Rows without gaps are followed by those of the next tile, lanes side by side by the next places.
                let line = (64 / size_of::<T>()) as isize;
                let same = |first, step| Next { first, step, tile: 0, tiles: run };
                let next = match a_row {
                    _ if let Some([lane, place]) = segments => same(a, if lane == 0 { place } else { line }),
                    _ if a_in_place.is_none() => ahead(a_lies, soon.clone(), calls).unwrap_or(same(a, 0)),
                    1 => same(a.wrapping_offset(AHEAD as isize * a_step + height as isize - 1), a_step),
                    _ => same(a.wrapping_offset(height as isize * a_row), line),
                };
                calls += run;
                let (b, b_step, b_tile) = match b_in_place.and(b.from(first, 0).in_place()) {
                    Some(lies) if B::PACKED || columns == family.width => {
                        (lies.first, lies.depth, lies.lane * family.width as isize)
                    }
                    _ => {
                        let panel = now * family.width;
                        packed += panel * run;
                        (room.right[packed - panel * run..packed].as_ptr(), family.width as isize, panel as isize)
                    }
                };
                // SAFETY: the tile is of a set that this machine has. The factors are panels of the sizes it reads or
                // lie in views that were checked, `now` places from `start` on and lanes of the block; the piece lies
                // in the target, which may be written.
                unsafe {
                    let out = target.first.add(row * target.pitch + first);
                    let (out_row, add) = (target.pitch, start > 0);
                    of[height - 1](&Piece {
                        depth: now,
                        a,
                        a_row,
                        a_step,
                        next,
                        b,
                        b_step,
                        b_tile,
                        out,
                        out_row,
                        columns,
                        tiles: run,
                        add,
                        tail: if start + now == depth { tail.from(first) } else { Tail::NONE },
                        segments: lies,
                    });
                }
            }
            if start + now == depth && (group == (GROUP - 1) * tallest || row + height == rows) {
                done(row - group, group + height);
            }
        }
    }
}

/// What the threads that compute a product share. Each writes its own block of it.
struct Shared<'a, T: Factor> {
    tiles: &'static Tiles<T::Term>,
    out: *mut T,
    out_len: usize,
    /// With a product that is split along k, the sums of each chunk.
    chunks: *mut T::Term,
    /// The room of the caller.
    own: *mut u8,
    own_len: usize,
    sizes: [usize; 3],
    finish: Option<&'a Finish<'a, T>>,
    /// Whether this is the transposed product.
    turned: bool,
}

// SAFETY: blocks and chunks do not overlap, and the room is used by the caller's thread alone.
#[allow(unsafe_code)]
unsafe impl<T: Factor> Sync for Shared<'_, T> {}

impl<T: Factor> Shared<'_, T> {
    /// Whether what stands in the output counts.
    fn accumulates(&self) -> bool {
        self.finish.is_some_and(|finish| finish.epilogue.accumulate)
    }

    /// Writes the sums of a row from `column` on to where they go.
    ///
    /// # Safety
    /// Nobody else reads or writes those elements.
    #[allow(unsafe_code)]
    unsafe fn write(&self, layout: impl Layout, row: usize, column: usize, mut sums: &[T::Term]) {
        layout.runs(row, column..column + sums.len(), |first, step, count| {
            let now;
            (now, sums) = sums.split_at(count);
            assert!(count == 0 || first + (count - 1) * step < self.out_len, "the product fits its place");
            if step == 1 {
                // SAFETY: the run lies in the output, and is this thread's.
                let run = unsafe { from_raw_parts_mut(self.out.add(first), count) };
                for (slot, &sum) in run.iter_mut().zip(now) {
                    *slot = T::narrow(sum);
                }
            } else {
                for (i, &sum) in now.iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { *self.out.add(first + i * step) = T::narrow(sum) };
                }
            }
        });
    }

    /// Where so many rows and columns of a product go that lies in rows, from a row and a column on.
    fn rows(&self, Rows { first, pitch }: Rows, [row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> Target<T> {
        let first = first + row * pitch + column;
        assert!(first + (rows - 1) * pitch + columns <= self.out_len, "the product fits its place");
        Target { first: self.out.wrapping_add(first), pitch }
    }

    /// Finishes so many rows and columns of the product `index`, whose sums `read` gives by row and first column.
    ///
    /// # Safety
    /// Nobody else reads or writes those elements.
    ///
    /// # Panics
    /// When the product does not lie in rows.
    #[allow(unsafe_code)]
    unsafe fn finish(
        &self,
        finish: &Finish<T>,
        layout: impl Layout,
        (index, at, sizes): (usize, [usize; 2], [usize; 2]),
        read: &dyn Fn(usize, usize, &mut [T]),
    ) {
        let rows = layout.rows().expect("what is finished lies in rows");
        let Target { first, pitch } = self.rows(rows, at, sizes);
        // SAFETY: the block lies in the output, and is this thread's.
        unsafe { finish.apply(Block { first, pitch, at, sizes }, finish.added(index), self.turned, read) };
    }

    /// Computes the block that begins at `row` and `column` of the product `index`, which goes where `layout` says.
    ///
    /// # Safety
    /// Nobody else reads or writes its elements.
    #[allow(unsafe_code)]
    unsafe fn block(
        &self,
        (a, b): (impl Panels<Term = T::Term>, impl Panels<Term = T::Term>),
        layout: impl Layout,
        index: usize,
        [row, column]: [usize; 2],
        [rows, columns]: [usize; 2],
        bytes: &mut [u8],
    ) {
        let [_, k, _] = self.sizes;
        let apart = is_apart::<T>(layout, self.accumulates());
        let mut room = Room::of(aligned(bytes), room(rows, k, columns, apart));
        let whole = match layout.rows().filter(|_| !apart) {
            Some(lies) => {
                // The elements are the terms.
                let Target { first, pitch } = self.rows(lies, [row, column], [rows, columns]);
                Target { first: first.cast::<T::Term>(), pitch }
            }
            None => Target { first: room.wide.as_mut_ptr(), pitch: columns },
        };
        let tail = self.finish.and_then(|finish| finish.tail(column, self.turned));
        let tail = tail.filter(|_| k <= CHUNK && self.tiles.are_vectors());
        let done = |start: usize, rows: usize| {
            let Some(finish) = self.finish.filter(|_| tail.is_none()) else { return };
            // SAFETY: the block of the output is this thread's, and so are its sums.
            with_instruction_set(finish.set, || unsafe {
                let part = (index, [row + start, column], [rows, columns]);
                self.finish(finish, layout, part, &|i, first, row| {
                    let sums = whole.first.add((start + i) * whole.pitch + first);
                    for (j, slot) in row.iter_mut().enumerate() {
                        *slot = T::narrow(*sums.add(j));
                    }
                });
            });
        };
        let (a, b) = (a.from(row, 0), b.from(column, 0));
        let each = even_chunk(k);
        for start in (0..k).step_by(each) {
            let sizes = [rows, each.min(k - start), columns];
            let factors = (a.from(0, start), b.from(0, start));
            let target = if start == 0 { whole } else { Target { first: room.chunk.as_mut_ptr(), pitch: columns } };
            // SAFETY: the block of the output is this thread's, and the room has been counted for the block.
            unsafe {
                let wait = |_: usize, _: usize| ();
                let follows = (tail.unwrap_or(Tail::NONE), if k > CHUNK { &wait as &dyn Fn(_, _) } else { &done });
                chunk(self.tiles, factors, sizes, target, &mut room, follows);
                if start > 0 {
                    for i in 0..rows {
                        let sums = from_raw_parts_mut(whole.first.add(i * whole.pitch), columns);
                        for (sum, &term) in sums.iter_mut().zip(&room.chunk[i * columns..]) {
                            *sum = sum.add(term);
                        }
                    }
                }
            }
        }
        if self.finish.is_some() {
            if k > CHUNK {
                done(0, rows);
            }
        } else if apart {
            for (i, wide) in room.wide.chunks_exact(columns).take(rows).enumerate() {
                // SAFETY: the block of the output is this thread's.
                unsafe { self.write(layout, row + i, column, wide) };
            }
        }
    }

    /// Computes a block over one chunk of a product that is split along k.
    ///
    /// # Safety
    /// As of [`block`](Self::block), with the sums of chunk `place` for the output.
    #[allow(unsafe_code)]
    unsafe fn block_of_chunk(
        &self,
        (a, b): (impl Panels<Term = T::Term>, impl Panels<Term = T::Term>),
        [row, column]: [usize; 2],
        [rows, columns]: [usize; 2],
        place: usize,
        bytes: &mut [u8],
    ) {
        let [m, k, n] = self.sizes;
        let mut room = Room::of(aligned(bytes), room(rows, k, columns, false));
        let each = even_chunk(k);
        let (start, factors) = (place * each, (a.from(row, place * each), b.from(column, place * each)));
        // SAFETY: the block of this chunk is this thread's.
        unsafe {
            let first = self.chunks.add(place * m * n + row * n + column);
            let sizes = [rows, each.min(k - start), columns];
            chunk(self.tiles, factors, sizes, Target { first, pitch: n }, &mut room, (Tail::NONE, &|_, _| ()));
        }
    }

    /// Adds the sums of all chunks up for some rows of the product `index`, and writes them where `layout` says.
    ///
    /// # Safety
    /// Nobody else reads or writes those rows, of the sums and of the output.
    #[allow(unsafe_code)]
    unsafe fn add_up(&self, layout: impl Layout, index: usize, rows: Range<usize>, chunks: usize) {
        let [m, _, n] = self.sizes;
        let (first, count) = (rows.start * n, rows.len() * n);
        // SAFETY: there are the sums of so many chunks, and the rows are the caller's.
        let sums = unsafe { from_raw_parts_mut(self.chunks.add(first), count) };
        for chunk in 1..chunks {
            // SAFETY: as above.
            let other = unsafe { from_raw_parts_mut(self.chunks.add(chunk * m * n + first), count) };
            for (sum, &term) in sums.iter_mut().zip(&*other) {
                *sum = sum.add(term);
            }
        }
        if let Some(finish) = self.finish {
            let read = |i: usize, first: usize, row: &mut [T]| {
                for (slot, &sum) in row.iter_mut().zip(&sums[i * n + first..]) {
                    *slot = T::narrow(sum);
                }
            };
            // SAFETY: the rows of the output are the caller's.
            return unsafe { self.finish(finish, layout, (index, [rows.start, 0], [rows.len(), n]), &read) };
        }
        for (row, sums) in rows.zip(sums.chunks_exact(n)) {
            // SAFETY: as above.
            unsafe { self.write(layout, row, 0, sums) };
        }
    }

    /// The room of the thread that runs a block, given the helper's.
    ///
    /// # Safety
    /// Nobody else on this thread has it.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    unsafe fn bytes<'a>(&'a self, lent: &'a mut [u8]) -> &'a mut [u8] {
        match lent {
            // SAFETY: with nothing lent this is the caller's thread, whose room it is.
            [] => unsafe { from_raw_parts_mut(self.own, self.own_len) },
            lent => lent,
        }
    }
}

/// One side of a product in parts, as even as whole units allow.
#[derive(Clone, Copy)]
struct Cut {
    whole: usize,
    unit: usize,
    parts: usize,
}

impl Cut {
    /// Parts of `most`, but for the last.
    fn new(whole: usize, most: usize) -> Self {
        Self { whole, unit: most, parts: whole.div_ceil(most) }
    }

    /// Parts of whole units, no longer than these.
    fn even(self, unit: usize) -> Self {
        let most = (self.unit / unit).max(1);
        Self { unit, parts: self.whole.div_ceil(unit).div_ceil(most), ..self }
    }

    /// As many parts as `wanted`, if there are not more, so far as each has at least so many rows or columns.
    fn finer(self, wanted: usize, least: usize) -> Self {
        let most = (self.whole / least).min(self.whole.div_ceil(self.unit));
        Self { parts: self.parts.max(wanted.min(most)), ..self }
    }

    /// Where a part begins.
    fn start(self, part: usize) -> usize {
        let units = self.whole.div_ceil(self.unit);
        let (each, more) = (units / self.parts, units % self.parts);
        self.whole.min((part * each + part.min(more)) * self.unit)
    }
}

/// The rows and columns of the blocks of a batch of products, each in so many chunks, so that threads find enough to do; whether others are to
/// help at all.
fn blocks<T: Term>(
    tiles: &Tiles<T>,
    [m, k, n]: [usize; 3],
    [batch, chunks]: [usize; 2],
    apart: bool,
) -> ([Cut; 2], bool) {
    let strip = strip::<T>();
    let has_room = !is_split(m, k, n) && (apart || k > CHUNK);
    let (tallest, unit) =
        (tiles.wide.of.len(), if m <= tiles.low.of.len() { tiles.low.width } else { tiles.wide.width });
    let (rows, columns) = (Cut::new(m, if has_room { ROWS } else { m }), Cut::new(n, strip));
    let work = m.saturating_mul(k).saturating_mul(n).saturating_mul(batch);
    if work < 2 * WORTH || pool::num_threads() == 1 {
        return ([rows, columns], false);
    }
    let (mut rows, mut columns) = (rows.even(1), columns.even(unit));
    // As many for one thread as for another, and some more where they are long, for a core that others keep busy.
    let (threads, have) = (pool::num_threads(), rows.parts * columns.parts * batch * chunks);
    let some = (work / LONG).min(4 * threads).next_multiple_of(threads).max(2 * threads);
    let wanted = (work / WORTH).min(have.next_multiple_of(threads).max(some)).div_ceil(batch * chunks);
    // Each part of the rows packs the columns anew, and the other way round: the longer side is cut first.
    let least_columns = if m < n { 4 * unit } else { strip / 2 };
    for (least_rows, least_columns) in
        [(usize::MAX, least_columns), (4 * tallest, usize::MAX), (usize::MAX, unit), (tallest.min(4), usize::MAX)]
    {
        columns = columns.finer(wanted.div_ceil(rows.parts), least_columns);
        rows = rows.finer(wanted.div_ceil(columns.parts), least_rows);
    }
    ([rows, columns], true)
}

/// The step from one product of a batch to the next, for each of the leading axes.
fn place(shape: &[usize], strides: &[isize], mut index: usize) -> isize {
    let mut at = 0;
    for (&dim, &stride) in shape.iter().zip(strides).rev() {
        at += (index % dim) as isize * stride;
        index /= dim;
    }
    at
}

/// The products of `a`, .. × m × k, and `b`, .. × k × n, in row-major order, one for each index of the leading axes, which
/// are the same; the products are zeros where k is 0.
///
/// # Panics
/// When the sizes do not fit each other or the scratch is smaller than [`scratch`] says.
pub(crate) fn multiply<T: Factor>(
    a: Strided<T>,
    b: Strided<T>,
    finish: Option<&Finish<T>>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let (Some((batch, &[m, k])), Some((others, &[inner, n]))) =
        (a.shape().split_last_chunk::<2>(), b.shape().split_last_chunk::<2>())
    else {
        panic!("the factors of a product are matrices")
    };
    assert!(batch == others && k == inner, "the sizes of a product fit each other");
    let (outer, inner) = (a.strides().split_at(batch.len()), b.strides().split_at(batch.len()));
    let left = Lanes { data: a.data(), offset: a.offset() as isize, lane: outer.1[0], depth: outer.1[1] };
    let right = Lanes { data: b.data(), offset: b.offset() as isize, lane: inner.1[1], depth: inner.1[0] };
    // One column is one row of the product of the transposed, with the same sums.
    let turned = n == 1;
    let (m, n) = if turned { (1, m) } else { (m, n) };
    let count: usize = batch.iter().product();
    assert!(out.len() == count * m * n, "the sizes of a product fit each other");
    let parts = |index: usize| {
        let left = Lanes { offset: left.offset + place(batch, outer.0, index), ..left };
        let right = Lanes { offset: right.offset + place(batch, inner.0, index), ..right };
        let layout = Rows { first: index * m * n, pitch: n };
        if turned { (right, left, layout) } else { (left, right, layout) }
    };
    // SAFETY: the products lie one after the other.
    #[allow(unsafe_code)]
    unsafe {
        products([m, k, n], count, &parts, turned, finish, out, scratch);
    }
}

/// As [`multiply`], by a factor that has been packed.
pub(crate) fn multiply_packed<T: Factor>(
    a: Strided<T>,
    b: &Packed<T>,
    finish: Option<&Finish<T>>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let (&[m, k], &[lane, depth], [inner, n]) = (a.shape(), a.strides(), b.sizes()) else {
        panic!("the factors of a product are matrices")
    };
    assert!(k == inner && out.len() == m * n, "the sizes of a product fit each other");
    let left = Lanes { data: a.data(), offset: a.offset() as isize, lane, depth };
    let right = panels(b);
    let parts = |_| (left, right, Rows { first: 0, pitch: n });
    // SAFETY: there is one product.
    #[allow(unsafe_code)]
    unsafe {
        products([m, k, n], 1, &parts, false, finish, out, scratch);
    }
}

/// As many products of m × k and k × n matrices as `count` says, each of the factors that `parts` gives for its index and
/// to the places of its layout; of zeros where k is 0. They are those of the transposed where what is to `finish` them
/// sees them `turned`. `scratch` may hold anything.
///
/// # Panics
/// When the places are not of `out`, what finishes them has other sizes or they do not lie in rows, or the scratch is
/// smaller than [`products_scratch`] says.
///
/// # Safety
/// No two elements of the products have the same place, and factors that are read in place have all their lanes there.
#[allow(unsafe_code)]
pub(crate) unsafe fn products<T: Factor, A: Panels<Term = T::Term>, B: Panels<Term = T::Term>, L: Layout>(
    [m, k, n]: [usize; 3],
    count: usize,
    parts: &(impl Fn(usize) -> (A, B, L) + Sync),
    turned: bool,
    finish: Option<&Finish<T>>,
    out: &mut [T],
    scratch: &mut [T],
) {
    if m == 0 || n == 0 || count == 0 {
        return;
    }
    if let Some(Finish { epilogue, .. }) = finish {
        let sizes = if turned { [n, m] } else { [m, n] };
        assert!(epilogue.bias.is_none_or(|bias| bias.len() == sizes[1]), "a bias has an element for each column");
        let fits = |add: Strided<T>| add.len() == count * m * n && add.shape().ends_with(&sizes);
        assert!(epilogue.add.is_none_or(fits), "what is added has the shape of the product");
    }
    let accumulate = finish.is_some_and(|finish| finish.epilogue.accumulate);
    let apart = is_apart::<T>(parts(0).2, accumulate);
    let tiles = T::Term::tiles(instruction_set());
    let own = bytemuck::cast_slice_mut::<T, u8>(scratch);
    let split = is_split(m, k, n);
    let chunks = if split { k.div_ceil(even_chunk(k)) } else { 1 };
    let (sums, own) = if split {
        let terms = aligned::<T::Term>(own);
        let (sums, own) = terms.split_at_mut(chunks * m * n);
        (sums, bytemuck::cast_slice_mut(own))
    } else {
        (&mut [][..], own)
    };
    let shared = Shared {
        tiles,
        out: out.as_mut_ptr(),
        out_len: out.len(),
        chunks: sums.as_mut_ptr(),
        own: own.as_mut_ptr(),
        own_len: own.len(),
        sizes: [m, k, n],
        finish,
        turned,
    };
    if k == 0 {
        let zeros = [T::Term::zeroed(); 64];
        for index in 0..count {
            let layout = parts(index).2;
            if let Some(finish) = finish {
                // SAFETY: nobody else is here.
                unsafe {
                    let zeros = |_: usize, _: usize, row: &mut [T]| row.fill(T::zeroed());
                    shared.finish(finish, layout, (index, [0, 0], [m, n]), &zeros);
                }
                continue;
            }
            for row in 0..m {
                for column in (0..n).step_by(zeros.len()) {
                    // SAFETY: nobody else is here.
                    unsafe { shared.write(layout, row, column, &zeros[..zeros.len().min(n - column)]) };
                }
            }
        }
        return;
    }
    let batch = if split { 1 } else { count };
    let ([rows, columns], helped) = blocks(tiles, [m, k, n], [batch, chunks], apart);
    let (down, across) = (rows.parts, columns.parts);
    let block = |index: usize| {
        let (i, j) = (index / across % down, index % across);
        let first = [rows.start(i), columns.start(j)];
        (index / (down * across), first, [rows.start(i + 1) - first[0], columns.start(j + 1) - first[1]])
    };
    let run = |blocks: usize, body: &(dyn Fn(usize, &mut [u8]) + Sync)| match helped {
        true => pool::run(blocks, body),
        false => (0..blocks).for_each(|block| body(block, &mut [])),
    };
    if !split {
        return run(count * down * across, &|index, lent| {
            let (index, first, sizes) = block(index);
            let (a, b, layout) = parts(index);
            // SAFETY: blocks do not overlap, and each is run once.
            unsafe {
                shared.block((a, b), layout, index, first, sizes, shared.bytes(lent));
            }
        });
    }
    for index in 0..count {
        let (a, b, layout) = parts(index);
        run(chunks * down * across, &|index, lent| {
            let (chunk, first, sizes) = block(index);
            // SAFETY: blocks of chunks do not overlap, and each is run once.
            unsafe {
                shared.block_of_chunk((a, b), first, sizes, chunk, shared.bytes(lent));
            }
        });
        divide(m, chunks * n * ADDED, 1, &|rows, _| {
            // SAFETY: the blocks are done, and these rows are nobody else's.
            unsafe { shared.add_up(layout, index, rows, chunks) };
        });
    }
}

/// The bytes of room that [`multiply_alone`] wants.
pub(crate) fn room_alone<T: Factor>(m: usize, k: usize, n: usize) -> usize {
    let apart = T::terms(&[]).is_none();
    let terms: usize = room(m.min(ROWS), k, n.min(strip::<T::Term>()), apart).iter().sum();
    terms * size_of::<T::Term>() + 64
}

/// The product of `a`, m × k, and `b`, k × n, on this thread alone, to the bits of [`multiply`]: row i goes to
/// `out[i·pitch..][..n]`. `room` may hold anything.
///
/// # Panics
/// When the sizes do not fit each other or the room is smaller than [`room_alone`] says.
pub(crate) fn multiply_alone<T: Factor>(a: Strided<T>, b: Strided<T>, out: &mut [T], pitch: usize, room: &mut [u8]) {
    let (&[m, k], &[inner, n]) = (a.shape(), b.shape()) else { panic!("the factors of a product are matrices") };
    assert!(k == inner && n <= pitch, "the sizes of a product fit each other");
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * pitch + n <= out.len(), "the product fits its place");
    assert!(room.len() >= room_alone::<T>(m, k, n), "a product has the room it asks for");
    if k == 0 {
        return out.chunks_mut(pitch).take(m).for_each(|row| row[..n].fill(T::zeroed()));
    }
    let left = Lanes { data: a.data(), offset: a.offset() as isize, lane: a.strides()[0], depth: a.strides()[1] };
    let right = Lanes { data: b.data(), offset: b.offset() as isize, lane: b.strides()[1], depth: b.strides()[0] };
    let shared = Shared {
        tiles: T::Term::tiles(instruction_set()),
        out: out.as_mut_ptr(),
        out_len: out.len(),
        chunks: std::ptr::null_mut(),
        own: std::ptr::null_mut(),
        own_len: 0,
        sizes: [m, k, n],
        finish: None,
        turned: false,
    };
    let layout = Rows { first: 0, pitch };
    let (tall, wide) = (if T::terms(&[]).is_none() || k > CHUNK { m.min(ROWS) } else { m }, n.min(strip::<T::Term>()));
    for row in (0..m).step_by(tall) {
        for column in (0..n).step_by(wide) {
            // SAFETY: the block lies in the output, which is borrowed here alone.
            #[allow(unsafe_code)]
            unsafe {
                let sizes = [tall.min(m - row), wide.min(n - column)];
                shared.block((left, right), layout, 0, [row, column], sizes, room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;
    use num_complex::Complex;

    #[test]
    fn helpers_have_room_for_every_block() {
        fn need<T: Factor>() -> usize {
            let room: usize = room(usize::MAX, usize::MAX, strip::<T::Term>(), true).iter().sum();
            room * size_of::<T::Term>() + 64
        }
        let needs =
            [need::<f32>(), need::<f64>(), need::<f16>(), need::<i8>(), need::<Complex<f32>>(), need::<Complex<f64>>()];
        assert!(needs.iter().all(|&need| need <= pool::ROOM), "{needs:?}");
    }

    #[test]
    fn a_product_alone_has_the_same_bits_and_leaves_what_is_beside_it() {
        for [m, k, n] in [[0, 3, 4], [3, 0, 4], [1, 5, 1], [13, 70, 33], [161, 2100, 9], [3, 40, 400]] {
            let values = |count: usize| (0..count).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect::<Vec<_>>();
            let (a, b) = (values(m * k), values(k * n));
            let (a_shape, b_shape, a_strides, b_strides) = ([m, k], [k, n], [1, m as isize], [n as isize, 1]);
            let a = Strided::new(&a, &a_shape, &a_strides, 0).unwrap();
            let b = Strided::new(&b, &b_shape, &b_strides, 0).unwrap();
            let mut expected = vec![0.5; m * n];
            multiply(a, b, None, &mut expected, &mut vec![0.5; scratch::<f32>(m, k, n, false)]);
            let mut out = vec![9.0; m * (n + 3)];
            multiply_alone(a, b, &mut out, n + 3, &mut vec![7; room_alone::<f32>(m, k, n)]);
            for (i, row) in out.chunks(n + 3).enumerate() {
                assert_eq!(row[..n], expected[i * n..][..n], "row {i} of {m} × {k} × {n}");
                assert_eq!(row[n..], [9.0; 3]);
            }
        }
    }
}
