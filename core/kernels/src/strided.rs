//! Views over slices, and the one way every kernel reads them: runs of a constant step.

use bytemuck::Pod;

use crate::parts::divide_slice;

/// Elements a kernel takes at a time from a view that is not contiguous.
///
/// A multiple of every lane count, small enough that three buffers of the widest type stay in the first cache.
pub(crate) const TILE: usize = 512;

/// Picoseconds that a byte takes which is moved.
const MOVED: usize = 25;

/// A read-only view of a slice: the element at index (i₀, i₁, …) is `data[offset + Σ iₖ·strides[k]]`.
///
/// A stride of 0 broadcasts its axis, a negative one walks it backwards.
///
/// ```
/// use modulor_kernels::{Strided, copy};
///
/// let matrix = [1, 2, 3, 4, 5, 6]; // 2 × 3
/// let transposed = Strided::new(&matrix, &[3, 2], &[1, 3], 0).expect("in bounds");
/// let mut out = [0; 6];
/// copy(transposed, &mut out);
/// assert_eq!(out, [1, 4, 2, 5, 3, 6]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    data: &'a [T],
    shape: &'a [usize],
    strides: &'a [isize],
    offset: usize,
    len: usize,
}

impl<'a, T> Strided<'a, T> {
    /// A view of no elements.
    pub(crate) const NONE: Self = Self { data: &[], shape: &[0], strides: &[1], offset: 0, len: 0 };

    /// A view of `data`, or `None` when some index would leave it, when `shape` and `strides` differ in length, or when
    /// the number of elements overflows. A view without elements is always in bounds.
    pub fn new(data: &'a [T], shape: &'a [usize], strides: &'a [isize], offset: usize) -> Option<Self> {
        if shape.len() != strides.len() {
            return None;
        }
        if shape.contains(&0) {
            return Some(Self { data, shape, strides, offset, len: 0 });
        }
        let (mut len, mut lowest, mut highest) = (1_usize, offset as i128, offset as i128);
        for (&dim, &stride) in shape.iter().zip(strides) {
            len = len.checked_mul(dim)?;
            let reach = (dim as i128 - 1).checked_mul(stride as i128)?;
            let end = if reach < 0 { &mut lowest } else { &mut highest };
            *end = end.checked_add(reach)?;
        }
        let inside = lowest >= 0 && highest < data.len() as i128;
        inside.then_some(Self { data, shape, strides, offset, len })
    }

    /// The slice that is viewed.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// The size of each axis.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The step in the slice, in elements, along each axis.
    pub fn strides(&self) -> &'a [isize] {
        self.strides
    }

    /// The place in the slice of the element whose indices are all 0.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The number of elements: the product of the shape.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the elements lie one after the other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let axes = self.shape.iter().zip(self.strides).rev();
        self.len == 0
            || axes.filter(|&(&dim, _)| dim != 1).all(|(&dim, &stride)| {
                let follows = stride == expected;
                expected = expected.wrapping_mul(dim as isize);
                follows
            })
    }

    /// The elements as a slice, when they are contiguous in row-major order.
    pub fn as_slice(&self) -> Option<&'a [T]> {
        if self.len == 0 {
            return Some(&[]);
        }
        self.is_contiguous().then(|| &self.data[self.offset..self.offset + self.len])
    }
}

/// A place in a view: where its element lies, and how many elements from it on belong to the same run.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: isize,
    pub(crate) left: usize,
}

/// Some axes of a view in row-major order, the innermost ones merged into runs of one step wherever their strides allow.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a, T> {
    data: &'a [T],
    /// The axes outside a run.
    shape: &'a [usize],
    strides: &'a [isize],
    /// The axes k with `mask[k] == walked`; axes beyond the mask count as `false`.
    mask: &'a [bool],
    walked: bool,
    offset: isize,
    run: usize,
    step: isize,
}

impl<'a, T: Copy> Reader<'a, T> {
    /// All axes of a view.
    pub(crate) fn new(view: Strided<'a, T>) -> Self {
        Self::over(view, &[], false)
    }

    /// The axes k of a view with `mask[k] == walked`, the indices of the others being 0.
    pub(crate) fn over(view: Strided<'a, T>, mask: &'a [bool], walked: bool) -> Self {
        let (mut run, mut step, mut outer) = (1_usize, 0_isize, view.shape.len());
        while outer > 0 {
            let (dim, stride) = (view.shape[outer - 1], view.strides[outer - 1]);
            if dim != 1 && mask.get(outer - 1).copied().unwrap_or(false) == walked {
                if run == 1 {
                    step = stride;
                } else if stride != step.wrapping_mul(run as isize) {
                    break;
                }
                // A product of dimensions of a view overflows only beside a dimension of 0, where nothing is read.
                run = run.wrapping_mul(dim);
            }
            outer -= 1;
        }
        let offset = view.offset as isize;
        Self {
            data: view.data,
            shape: &view.shape[..outer],
            strides: &view.strides[..outer],
            mask,
            walked,
            offset,
            run,
            step,
        }
    }

    /// The same axes, from another starting point in the slice.
    pub(crate) fn from(self, offset: isize) -> Self {
        Self { offset, ..self }
    }

    /// The step between the elements of a run.
    pub(crate) fn step(&self) -> isize {
        self.step
    }

    /// Whether all elements are the same one.
    pub(crate) fn is_constant(&self) -> bool {
        self.step == 0 && self.shape.is_empty()
    }

    /// Where element `index`, counted in row-major order, lies.
    pub(crate) fn locate(&self, index: usize) -> Place {
        let (mut rest, within) = if self.shape.is_empty() { (0, index) } else { (index / self.run, index % self.run) };
        let mut at = self.offset + within as isize * self.step;
        for axis in (0..self.shape.len()).rev() {
            let dim = self.shape[axis];
            if dim != 1 && self.mask.get(axis).copied().unwrap_or(false) == self.walked {
                at += (rest % dim) as isize * self.strides[axis];
                rest /= dim;
            }
        }
        Place { at, left: self.run - within }
    }

    /// Copies the elements from `start` on into `buffer`.
    #[inline(never)]
    pub(crate) fn gather(&self, mut start: usize, mut buffer: &mut [T]) {
        while !buffer.is_empty() {
            let Place { at, left } = self.locate(start);
            let (now, later) = buffer.split_at_mut(left.min(buffer.len()));
            read_run(self.data, at, self.step, now);
            start += now.len();
            buffer = later;
        }
    }

    /// The elements from `start` on, as many as `buffer` holds: the slice itself where they lie one after the other,
    /// else a copy in `buffer`.
    pub(crate) fn chunk<'b>(&self, start: usize, buffer: &'b mut [T]) -> &'b [T]
    where
        'a: 'b,
    {
        if self.step == 1 {
            let Place { at, left } = self.locate(start);
            if left >= buffer.len() {
                return &self.data[at as usize..][..buffer.len()];
            }
        }
        self.gather(start, buffer);
        buffer
    }
}

/// Fills `out` with `data[at]`, `data[at + step]`, ….
#[inline]
pub(crate) fn read_run<T: Copy>(data: &[T], at: isize, step: isize, out: &mut [T]) {
    match step {
        1 if out.len() >= 16 => out.copy_from_slice(&data[at as usize..][..out.len()]),
        0 => out.fill(data[at as usize]),
        _ => {
            let mut at = at;
            for slot in out {
                *slot = data[at as usize];
                at += step;
            }
        }
    }
}

/// Calls `kernel` on pieces of `x` and the pieces of `out` that belong to them, perhaps on several threads at a time.
///
/// # Panics
/// When `x` and `out` differ in length.
pub(crate) fn tiles<A: Pod + Sync, U: Send>(x: Strided<A>, out: &mut [U], kernel: impl Fn(&[A], &mut [U]) + Sync) {
    assert_eq!(x.len(), out.len(), "the output of a kernel has as many elements as its input");
    let (slice, reader) = (x.as_slice(), Reader::new(x));
    divide_slice(out, MOVED * size_of::<A>().max(size_of::<U>()), TILE, |start, out| match slice {
        Some(x) => kernel(&x[start..][..out.len()], out),
        None => {
            let mut buffer = [A::zeroed(); TILE];
            for (i, out) in out.chunks_mut(TILE).enumerate() {
                kernel(reader.chunk(start + i * TILE, &mut buffer[..out.len()]), out);
            }
        }
    });
}

/// Writes the elements of `src` to `dst` in row-major order.
///
/// # Panics
/// When they differ in length.
pub fn copy<T: Pod>(src: Strided<T>, dst: &mut [T]) {
    assert_eq!(src.len(), dst.len(), "a copy has as many elements as its source");
    match size_of::<T>() {
        1 => copy1(src.bytes(), bytemuck::cast_slice_mut(dst)),
        2 => copy2(src.bytes(), bytemuck::cast_slice_mut(dst)),
        4 => copy4(src.bytes(), bytemuck::cast_slice_mut(dst)),
        8 => copy8(src.bytes(), bytemuck::cast_slice_mut(dst)),
        16 => copy16(src.bytes(), bytemuck::cast_slice_mut(dst)),
        _ => Reader::new(src).gather(0, dst),
    }
}

impl<'a, T: Pod> Strided<'a, T> {
    /// The same view of elements taken as `N` bytes each, `N` being the size of `T`.
    pub(crate) fn bytes<const N: usize>(self) -> Strided<'a, [u8; N]>
    where
        [u8; N]: Pod,
    {
        let Self { data, shape, strides, offset, len } = self;
        Strided { data: bytemuck::cast_slice(data), shape, strides, offset, len }
    }
}

#[inline(always)]
fn gather_all<T: Pod + Send + Sync>(src: Strided<T>, dst: &mut [T]) {
    let (slice, reader) = (src.as_slice(), Reader::new(src));
    divide_slice(dst, MOVED * size_of::<T>(), TILE, |start, dst| match slice {
        Some(src) => dst.copy_from_slice(&src[start..][..dst.len()]),
        None => reader.gather(start, dst),
    });
}

/// Writes the elements of `src`, in row-major order, to the places in `dst` that a view of `src`'s shape with these
/// strides and offset would read; the rest of `dst` stays. `None`, and nothing is written, when a place is not in `dst`.
///
/// ```
/// use modulor_kernels::{Strided, place};
///
/// let row = Strided::new(&[1, 2, 3], &[3], &[1], 0).expect("in bounds");
/// let mut column = [0; 6]; // 3 × 2
/// place(row, &mut column, &[2], 1).expect("in bounds");
/// assert_eq!(column, [0, 1, 0, 2, 0, 3]);
/// ```
pub fn place<T: Pod>(src: Strided<T>, dst: &mut [T], strides: &[isize], offset: usize) -> Option<()> {
    match size_of::<T>() {
        1 => place1(src.bytes(), bytemuck::cast_slice_mut(dst), strides, offset),
        2 => place2(src.bytes(), bytemuck::cast_slice_mut(dst), strides, offset),
        4 => place4(src.bytes(), bytemuck::cast_slice_mut(dst), strides, offset),
        8 => place8(src.bytes(), bytemuck::cast_slice_mut(dst), strides, offset),
        16 => place16(src.bytes(), bytemuck::cast_slice_mut(dst), strides, offset),
        _ => place_all(src, dst, strides, offset),
    }
}

#[inline(always)]
fn place_all<T: Pod>(src: Strided<T>, dst: &mut [T], strides: &[isize], offset: usize) -> Option<()> {
    Strided::new(&*dst, src.shape, strides, offset)?;
    let to = Reader::<T>::new(Strided { data: &[], shape: src.shape, strides, offset, len: src.len });
    let from = Reader::new(src);
    let mut buffer = [T::zeroed(); TILE];
    let mut start = 0;
    while start < src.len {
        let Place { mut at, left } = to.locate(start);
        if to.step == 1 || left == 1 {
            from.gather(start, &mut dst[at as usize..][..left]);
            start += left;
            continue;
        }
        let count = left.min(TILE);
        for &element in from.chunk(start, &mut buffer[..count]) {
            dst[at as usize] = element;
            at += to.step;
        }
        start += count;
    }
    Some(())
}

/// One function per width, compiled in this package: callers compiled without optimisation copy at full speed.
macro_rules! copies {
    ($($name:ident: $bytes:literal),*) => {
        $(fn $name(src: Strided<[u8; $bytes]>, dst: &mut [[u8; $bytes]]) {
            gather_all(src, dst);
        })*
    };
}
copies!(copy1: 1, copy2: 2, copy4: 4, copy8: 8, copy16: 16);

/// As [`copies!`].
macro_rules! places {
    ($($name:ident: $bytes:literal),*) => {
        $(fn $name(src: Strided<[u8; $bytes]>, dst: &mut [[u8; $bytes]], strides: &[isize], offset: usize) -> Option<()> {
            place_all(src, dst, strides, offset)
        })*
    };
}
places!(place1: 1, place2: 2, place4: 4, place8: 8, place16: 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_placed_is_read_back_by_the_same_strides() {
        let source: Vec<u32> = (1..=24).collect();
        let sources = [([12, 4, 1], 0), ([-12, 4, 1], 12), ([1, 2, -6], 23 - 5)];
        // Dense, reversed, permuted, with gaps.
        let places = [([12, 4, 1], 0), ([-12, -4, -1], 23), ([1, 2, 6], 0), ([100, 20, 3], 7), ([100, 20, 1], 0)];
        for (strides, offset) in sources {
            let Some(src) = Strided::new(&source, &[2, 3, 4], &strides, offset) else { continue };
            let mut expected = [0; 24];
            copy(src, &mut expected);
            for (strides, offset) in places {
                let mut dst = vec![0_u32; 200];
                place(src, &mut dst, &strides, offset).unwrap();
                let mut back = [0; 24];
                copy(Strided::new(&dst, &[2, 3, 4], &strides, offset).unwrap(), &mut back);
                assert_eq!(back, expected, "{strides:?}");
                assert_eq!(dst.iter().filter(|&&e| e != 0).count(), 24);
            }
        }
        let one = Strided::new(&source, &[2], &[1], 0).unwrap();
        assert!(place(one, &mut [0; 2], &[2], 0).is_none());
        assert!(place(one, &mut [0; 2], &[-1], 0).is_none());
    }
}
