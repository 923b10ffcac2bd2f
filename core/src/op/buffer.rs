//! What a kernel sees: strided views to read, dense buffers to fill, and memory to scribble on.

use crate::dtype::dispatch;
use crate::tensor::{Layout, Plain, Storage, Tensor, bytes_of};
use crate::{DType, Error, Result};
use bytemuck::Pod;
use modulor_kernels::Strided;

/// An input of a kernel: plain elements under some strides.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    dtype: DType,
    dims: &'a [usize],
    strides: &'a [isize],
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// A view of a tensor's elements; an error for symbols, strings and resources.
    pub fn of(tensor: &'a Tensor) -> Result<View<'a>> {
        let value = tensor.evaluated()?;
        let Storage::Plain(plain) = &*value.storage else {
            return Err(Error::unimplemented(format!("tensors of {} are not plain bytes", tensor.dtype())));
        };
        let layout = &value.layout;
        Ok(View {
            dtype: tensor.dtype(),
            dims: &layout.dims,
            strides: &layout.strides,
            offset: layout.offset,
            bytes: plain.bytes(),
        })
    }

    /// A layout over bytes, moved by so many elements.
    pub(crate) fn within(dtype: DType, layout: &'a Layout, shift: usize, bytes: &'a [u8]) -> View<'a> {
        View { dtype, dims: &layout.dims, strides: &layout.strides, offset: layout.offset + shift, bytes }
    }

    /// Some places along the first axis, from one on; `dims` are those of these, and the view is theirs.
    pub(crate) fn samples<'b>(&self, first: usize, dims: &'b [usize]) -> View<'b>
    where
        'a: 'b,
    {
        let shift = first as isize * self.strides.first().copied().unwrap_or(0);
        View { dims, offset: self.offset.wrapping_add_signed(shift), ..*self }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dims.
    pub fn dims(&self) -> &'a [usize] {
        self.dims
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// The elements; `T` must be how elements of this dtype are stored.
    pub fn elements<T: Pod>(&self) -> Result<Strided<'a, T>> {
        self.restrided(self.dims, self.strides)
    }

    /// The elements under other dims and strides from the same start.
    pub fn restrided<'b, T: Pod>(&self, dims: &'b [usize], strides: &'b [isize]) -> Result<Strided<'b, T>>
    where
        'a: 'b,
    {
        self.shifted(0, dims, strides)
    }

    /// The elements under other dims and strides from a start so many elements further on in the storage.
    pub fn shifted<'b, T: Pod>(&self, shift: isize, dims: &'b [usize], strides: &'b [isize]) -> Result<Strided<'b, T>>
    where
        'a: 'b,
    {
        let data: &[T] = bytemuck::try_cast_slice(self.bytes)
            .map_err(|error| Error::internal(format!("a {} view was read as another type: {error}", self.dtype)))?;
        Strided::new(data, dims, strides, self.offset.wrapping_add_signed(shift))
            .ok_or_else(|| Error::internal(format!("a view of dims {dims:?} reaches beyond its storage")))
    }

    /// The real parts of complex numbers, or the imaginary ones; the strides are those of the numbers, twice.
    pub fn parts<'b, T: Pod>(&self, imag: bool, strides: &'b [isize]) -> Result<Strided<'b, T>>
    where
        'a: 'b,
    {
        self.shifted(self.offset as isize + isize::from(imag), self.dims, strides)
    }

    /// Element `i` of int32 or int64 axes, dims or the like: of a vector, or a scalar's one element.
    pub fn int(&self, i: usize) -> Result<i64> {
        self.int_at(i as isize * self.strides.first().copied().unwrap_or(0))
    }

    /// The int32 or int64 so many elements further on in the storage than the first.
    pub fn int_at(&self, shift: isize) -> Result<i64> {
        match self.dtype {
            DType::I32 => self.shifted::<i32>(shift, &[], &[])?.as_slice().map(|one| i64::from(one[0])),
            _ => self.shifted::<i64>(shift, &[], &[])?.as_slice().map(|one| one[0]),
        }
        .ok_or_else(|| Error::internal("a scalar lies in one place"))
    }

    /// How much of [`dense`](View::dense)'s room these elements need.
    pub fn dense_room(&self) -> usize {
        match self.is_contiguous() {
            true => 0,
            false => (self.len() * self.dtype.size()).div_ceil(size_of::<u128>()),
        }
    }

    /// The elements in row-major order, where they are if they lie so, else copied into `room`; and the room left.
    pub fn dense<'r, T: Pod>(&self, room: &'r mut [u128]) -> Result<(&'r [T], &'r mut [u128])>
    where
        'a: 'r,
    {
        let elements = self.elements::<T>()?;
        if let Some(dense) = elements.as_slice() {
            return Ok((dense, room));
        }
        let (own, rest) = split(room, self.dense_room())?;
        let own = &mut bytemuck::cast_slice_mut(own)[..self.len()];
        modulor_kernels::copy(elements, own);
        Ok((own, rest))
    }

    /// How much of [`ints`](View::ints)' room these elements need.
    pub fn ints_room(&self) -> usize {
        self.len().div_ceil(size_of::<u128>() / size_of::<i64>())
    }

    /// Integers of any type, as int64 in row-major order, copied into `room`; and the room left.
    pub fn ints<'r>(&self, room: &'r mut [u128]) -> Result<(&'r mut [i64], &'r mut [u128])> {
        let (own, rest) = split(room, self.ints_room())?;
        let own = &mut bytemuck::cast_slice_mut(own)[..self.len()];
        dispatch!(self.dtype, integer T => modulor_kernels::cast::<T, i64>(self.elements()?, own),
            else => return Err(Error::internal(format!("a view of {} was read as integers", self.dtype))));
        Ok((own, rest))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let mut axes = self.dims.iter().zip(self.strides).rev();
        self.is_empty()
            || axes.all(|(&dim, &stride)| {
                let follows = dim == 1 || stride == expected;
                expected *= dim as isize;
                follows
            })
    }

    /// The strides, in elements.
    pub fn strides(&self) -> &'a [isize] {
        self.strides
    }

    /// The strides that repeat this view to `dims`, written into `strides`, which has as many places as `dims`.
    pub fn broadcast_strides(&self, dims: &[usize], strides: &mut [isize]) {
        let missing = dims.len() - self.dims.len();
        for (axis, stride) in strides.iter_mut().enumerate() {
            *stride = match axis.checked_sub(missing) {
                Some(old) if self.dims[old] == dims[axis] => self.strides[old],
                _ => 0,
            };
        }
    }
}

/// The first `words` of room, and the rest.
fn split(room: &mut [u128], words: usize) -> Result<(&mut [u128], &mut [u128])> {
    let have = room.len();
    room.split_at_mut_checked(words)
        .ok_or_else(|| Error::internal(format!("{words} words of scratch were asked for, {have} are left")))
}

/// An output of a kernel: dense, in row-major order, holding garbage until it is filled.
#[derive(Debug)]
pub struct ViewMut<'a> {
    dtype: DType,
    dims: &'a [usize],
    bytes: &'a mut [u8],
}

impl<'a> ViewMut<'a> {
    /// A buffer for elements of these dims; an error when it is not of their size.
    pub fn new(dtype: DType, dims: &'a [usize], bytes: &'a mut [u8]) -> Result<ViewMut<'a>> {
        let wanted = bytes_of(dtype, crate::shape::count(dims)?)?;
        if bytes.len() != wanted {
            return Err(Error::internal(format!("a buffer of {} bytes where {wanted} are needed", bytes.len())));
        }
        Ok(ViewMut { dtype, dims, bytes })
    }

    /// As [`new`](ViewMut::new), of a buffer that was made for elements of these dims.
    pub(crate) fn within(dtype: DType, dims: &'a [usize], bytes: &'a mut [u8]) -> ViewMut<'a> {
        debug_assert_eq!(bytes.len(), dims.iter().product::<usize>() * dtype.size());
        ViewMut { dtype, dims, bytes }
    }

    /// One without elements, for those who ask of dims alone.
    pub(crate) fn hollow(dtype: DType, dims: &'a [usize]) -> ViewMut<'a> {
        ViewMut { dtype, dims, bytes: &mut [] }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dims.
    pub fn dims(&self) -> &'a [usize] {
        self.dims
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// The elements; `T` must be how elements of this dtype are stored.
    pub fn elements<T: Pod>(&mut self) -> Result<&mut [T]> {
        let dtype = self.dtype;
        bytemuck::try_cast_slice_mut(self.bytes)
            .map_err(|error| Error::internal(format!("a {dtype} buffer was written as another type: {error}")))
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.bytes
    }
}

/// Memory that a kernel may use while it runs, provided beforehand and reused.
#[derive(Debug, Default)]
pub struct Scratch {
    words: Vec<u128>,
    /// For an op of other ops, which take of `words` meanwhile.
    aside: Vec<u128>,
    /// For ops that run side by side.
    others: Vec<Scratch>,
}

impl Scratch {
    /// None yet.
    pub const fn new() -> Scratch {
        Scratch { words: Vec::new(), aside: Vec::new(), others: Vec::new() }
    }

    /// Makes room for so many bytes; this may allocate.
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        grow(&mut self.words, bytes.div_ceil(size_of::<u128>()))
    }

    /// The bytes there is room for.
    pub(crate) fn len(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// So many others, each with room for so many bytes and as many words aside; this may allocate, unless there have been as
    /// many.
    pub(crate) fn others(&mut self, count: usize, bytes: usize, aside: usize) -> Result<&mut [Scratch]> {
        if self.others.len() < count {
            self.others.resize_with(count, Scratch::new);
        }
        for other in &mut self.others[..count] {
            other.reserve(bytes)?;
            grow(&mut other.aside, aside)?;
        }
        Ok(&mut self.others[..count])
    }

    /// What is aside, which may be used while ops take of the rest, until it is [put back](Self::put_aside).
    pub(crate) fn take_aside(&mut self) -> Vec<u128> {
        std::mem::take(&mut self.aside)
    }

    /// Puts it back.
    pub(crate) fn put_aside(&mut self, aside: Vec<u128>) {
        self.aside = aside;
    }

    /// `len` elements of garbage; an error when less was reserved.
    pub fn take<T: Pod>(&mut self, len: usize) -> Result<&mut [T]> {
        let all: &mut [T] = bytemuck::try_cast_slice_mut(&mut self.words)
            .map_err(|error| Error::internal(format!("scratch cannot hold this type: {error}")))?;
        let have = all.len();
        all.get_mut(..len)
            .ok_or_else(|| Error::internal(format!("{len} elements of scratch were asked for, {have} reserved")))
    }
}

fn grow(words: &mut Vec<u128>, wanted: usize) -> Result<()> {
    if wanted > words.len() {
        words.try_reserve_exact(wanted - words.len()).map_err(|_| {
            Error::resource_exhausted(format!("no memory for {} bytes of scratch", wanted * size_of::<u128>()))
        })?;
        words.resize(wanted, 0);
    }
    Ok(())
}

/// Fresh buffers for outputs of these specs, all of whose dims are known.
pub(crate) fn allocate(specs: &[crate::Spec]) -> Result<Vec<(Vec<usize>, Plain)>> {
    specs
        .iter()
        .map(|spec| {
            let dims = spec
                .shape
                .known()
                .ok_or_else(|| Error::internal(format!("inference left the shape {} open", spec.shape)))?;
            let bytes = bytes_of(spec.dtype, crate::shape::count(dims)?)?;
            Ok((dims.to_vec(), Plain::unfilled(bytes)?))
        })
        .collect()
}
