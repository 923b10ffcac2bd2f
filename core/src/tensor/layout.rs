//! How a value lies in its storage.

use crate::shape::{row_major, same};

/// The dims and strides of a view, in elements; the element at index `i` is at `offset + Σ iₖ·strides[k]`.
///
/// Invariant: every index within the dims lands inside the storage it was made for.
#[derive(Clone, Debug, Eq)]
pub struct Layout {
    pub(crate) dims: Vec<usize>,
    pub(crate) strides: Vec<isize>,
    pub(crate) offset: usize,
}

impl PartialEq for Layout {
    fn eq(&self, other: &Layout) -> bool {
        same(&self.dims, &other.dims) && same(&self.strides, &other.strides) && self.offset == other.offset
    }
}

impl Layout {
    /// Row-major elements from the start of the storage.
    pub(crate) fn contiguous(dims: Vec<usize>) -> Layout {
        let strides = row_major(&dims);
        Layout { dims, strides, offset: 0 }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Whether the elements lie one after the other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut step = 1;
        self.dims.iter().zip(&self.strides).rev().all(|(&dim, &stride)| {
            let fits = dim == 1 || stride == step;
            step *= dim as isize;
            fits
        })
    }

    /// The same elements under other dims, where these strides can say so; dims must count the same elements.
    pub(crate) fn reshaped(&self, dims: &[usize]) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { offset: self.offset, ..Layout::contiguous(dims.to_vec()) });
        }
        // Axes of one element have no say; the rest must come as groups of old axes that lie densely, each cut anew.
        let old: Vec<_> =
            self.dims.iter().copied().zip(self.strides.iter().copied()).filter(|&(d, _)| d != 1).collect();
        let mut strides = vec![0; dims.len()];
        let (mut next, mut from) = (0, 0);
        while from < old.len() {
            let (mut have, mut to) = (old[from].0, from + 1);
            let start = next;
            let mut want = 1;
            while want != have {
                if want < have {
                    want *= *dims.get(next)?;
                    next += 1;
                } else {
                    let (dim, stride) = *old.get(to)?;
                    if old[to - 1].1 != stride * dim as isize {
                        return None;
                    }
                    have *= dim;
                    to += 1;
                }
            }
            let mut stride = old[to - 1].1;
            for axis in (start..next).rev() {
                strides[axis] = stride;
                stride *= dims[axis] as isize;
            }
            from = to;
        }
        Some(Layout { dims: dims.to_vec(), strides, offset: self.offset })
    }

    /// The axes in another order.
    pub(crate) fn permuted(&self, order: &[usize]) -> Layout {
        Layout {
            dims: order.iter().map(|&axis| self.dims[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            offset: self.offset,
        }
    }

    /// Repeated along leading axes and axes of one element, by strides of 0; `dims` must be what this broadcasts to.
    pub(crate) fn broadcast(&self, dims: &[usize]) -> Layout {
        let missing = dims.len() - self.dims.len();
        let strides = (0..dims.len()).map(|axis| match axis.checked_sub(missing) {
            Some(old) if self.dims[old] == dims[axis] => self.strides[old],
            _ => 0,
        });
        Layout { strides: strides.collect(), dims: dims.to_vec(), offset: self.offset }
    }

    /// `count` elements of `axis` from `start` on, `step` apart; all of them must exist.
    pub(crate) fn stepped(&self, axis: usize, start: usize, step: isize, count: usize) -> Layout {
        let mut layout = self.clone();
        if count > 0 {
            layout.offset = layout.offset.wrapping_add_signed(start as isize * self.strides[axis]);
        }
        layout.dims[axis] = count;
        layout.strides[axis] = if count > 1 { self.strides[axis] * step } else { 0 };
        layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reshape_is_a_view_where_strides_can_say_it() {
        let matrix = Layout::contiguous(vec![4, 6]);
        assert_eq!(matrix.reshaped(&[2, 2, 6]).unwrap().strides, [12, 6, 1]);
        let columns = matrix.stepped(1, 0, 2, 3);
        assert_eq!(columns.reshaped(&[2, 2, 3, 1]).unwrap().strides, [12, 6, 2, 0]);
        assert_eq!(columns.reshaped(&[12]).unwrap().strides, [2]);
        assert!(matrix.stepped(1, 0, 1, 4).reshaped(&[16]).is_none());
        assert!(matrix.permuted(&[1, 0]).reshaped(&[24]).is_none());
        assert_eq!(matrix.permuted(&[1, 0]).reshaped(&[3, 2, 4]).unwrap().strides, [2, 1, 6]);
    }

    #[test]
    fn broadcasting_gives_strides_of_zero() {
        let row = Layout::contiguous(vec![1, 3]);
        assert_eq!(row.broadcast(&[2, 4, 3]).strides, [0, 0, 1]);
        assert!(!row.broadcast(&[2, 3]).is_contiguous());
        assert!(row.is_contiguous());
    }
}
