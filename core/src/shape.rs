//! Shapes: dims that are known, unknown, or not even counted.

use crate::{Error, Result};
use smallvec::SmallVec;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Marks a dim that is not known; no tensor can have so many elements.
const UNKNOWN: usize = usize::MAX;

/// TensorFlow's bound on the number of dims.
pub const MAX_RANK: usize = 254;

/// The shape of a tensor: of a value every dim is known, of a symbol some may not be.
///
/// ```
/// use modulor_core::Shape;
/// assert_eq!(Shape::from([2, 3]).to_string(), "(2, 3)");
/// assert_eq!(Shape::from([None, Some(3)]).to_string(), "(None, 3)");
/// assert_eq!(Shape::unknown().rank(), None);
/// ```
#[derive(Clone, Eq)]
pub struct Shape(Option<Dims>);

/// Those of most tensors lie in the shape itself.
type Dims = SmallVec<[usize; 4]>;

impl PartialEq for Shape {
    fn eq(&self, other: &Shape) -> bool {
        match (&self.0, &other.0) {
            (Some(dims), Some(others)) => same(dims, others),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Whether these are equal, one by one: a comparison of memory takes long where there are none, as it looks at an address where
/// nothing is.
#[inline]
pub(crate) fn same<T: PartialEq>(dims: &[T], others: &[T]) -> bool {
    dims.len() == others.len() && dims.iter().zip(others).all(|(dim, other)| dim == other)
}

impl Shape {
    /// A shape of which not even the rank is known.
    pub const fn unknown() -> Shape {
        Shape(None)
    }

    /// The shape of a scalar.
    pub fn scalar() -> Shape {
        Shape(Some(Dims::new()))
    }

    /// A shape of known rank whose dims are all unknown.
    pub fn of_rank(rank: usize) -> Shape {
        Shape(Some(Dims::from_elem(UNKNOWN, rank)))
    }

    /// The number of dims, where known.
    pub fn rank(&self) -> Option<usize> {
        self.0.as_ref().map(Dims::len)
    }

    /// The dims, where the rank is known; `None` for an unknown dim.
    pub fn dims(&self) -> Option<Vec<Option<usize>>> {
        self.0.as_ref().map(|dims| dims.iter().map(|&d| known(d)).collect())
    }

    /// Dim `axis`, where the rank is known and holds it, and the dim is known.
    pub fn dim(&self, axis: usize) -> Option<usize> {
        known(*self.0.as_ref()?.get(axis)?)
    }

    /// All dims, where all are known.
    pub fn known(&self) -> Option<&[usize]> {
        self.0.as_deref().filter(|dims| !dims.contains(&UNKNOWN))
    }

    /// Whether every dim is known.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// The number of elements, where every dim is known and the product fits.
    pub fn elements(&self) -> Option<usize> {
        count(self.known()?).ok()
    }

    /// Whether a value of shape `other` could be meant: ranks agree and known dims are equal.
    pub fn is_compatible_with(&self, other: &Shape) -> bool {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return true };
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || a == UNKNOWN || b == UNKNOWN)
    }

    /// What both shapes say together, or `None` where they contradict each other.
    pub fn merge(&self, other: &Shape) -> Option<Shape> {
        let (Some(a), Some(b)) = (&self.0, &other.0) else {
            return Some(if self.0.is_some() { self.clone() } else { other.clone() });
        };
        if a.len() != b.len() {
            return None;
        }
        let dims = a.iter().zip(b).map(|(&a, &b)| match (a, b) {
            (UNKNOWN, d) | (d, UNKNOWN) => Some(d),
            (a, b) => (a == b).then_some(a),
        });
        Some(Shape(Some(dims.collect::<Option<_>>()?)))
    }
}

impl Shape {
    /// What is true of both shapes, or `None` where they are of different ranks.
    pub(crate) fn common(&self, other: &Shape) -> Option<Shape> {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return Some(Shape::unknown()) };
        let same = |(&a, &b): (&usize, &usize)| if a == b { a } else { UNKNOWN };
        (a.len() == b.len()).then(|| Shape(Some(a.iter().zip(b).map(same).collect())))
    }
}

fn known(dim: usize) -> Option<usize> {
    (dim != UNKNOWN).then_some(dim)
}

/// The number of elements of known dims; an error when rank or product is beyond what a tensor can have.
pub(crate) fn count(dims: &[usize]) -> Result<usize> {
    if dims.len() > MAX_RANK {
        let message = format!("a tensor has at most {MAX_RANK} dims, and {} were given", dims.len());
        return Err(Error::invalid_argument(message));
    }
    // A zero anywhere makes the tensor empty, however large the other dims are; like TensorFlow, these must fit too.
    let product = dims.iter().filter(|&&d| d != 0).try_fold(1_i64, |n, &d| n.checked_mul(i64::try_from(d).ok()?));
    match product {
        Some(_) if dims.contains(&0) => Ok(0),
        Some(n) if usize::try_from(n).is_ok() => Ok(n as usize),
        _ => Err(Error::invalid_argument(format!("shape {dims:?} has more elements than can be counted"))),
    }
}

/// The strides, in elements, of a row-major tensor.
pub(crate) fn row_major(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; dims.len()];
    write_row_major(dims, &mut strides);
    strides
}

/// As [`row_major`], without allocating.
pub(crate) fn write_row_major(dims: &[usize], strides: &mut [isize]) {
    let mut step = 1_usize;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        *stride = step as isize;
        step = step.saturating_mul(dim.max(1));
    }
}

/// An axis as users give it, counted from the end when negative, as an index below `rank`.
pub(crate) fn normalize_axis(axis: i64, rank: usize) -> Result<usize> {
    let signed = rank as i64;
    if axis < -signed || axis >= signed {
        return Err(Error::invalid_argument(format!(
            "axis {axis} is out of range: a tensor of rank {rank} has axes [{}, {signed})",
            -signed
        )));
    }
    Ok(if axis < 0 { (axis + signed) as usize } else { axis as usize })
}

/// The shape two operands broadcast to: NumPy's rule, unknown dims staying unknown unless the other side settles them.
pub(crate) fn broadcast(a: &Shape, b: &Shape) -> Result<Shape> {
    let (Some(x), Some(y)) = (&a.0, &b.0) else { return Ok(Shape::unknown()) };
    let rank = x.len().max(y.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let dims = (0..rank).map(|i| match (at(x, i), at(y, i)) {
        (1, d) | (d, 1) => Ok(d),
        // One side is unknown: if it is not 1 it must equal the other, and either way the other is the result.
        (UNKNOWN, d) | (d, UNKNOWN) => Ok(d),
        (c, d) if c == d => Ok(c),
        _ => Err(Error::invalid_argument(format!("Incompatible shapes: {} vs. {}", Brackets(a), Brackets(b)))),
    });
    Ok(Shape(Some(dims.collect::<Result<_>>()?)))
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape(Some(Dims::from_slice(&dims)))
    }
}

impl<const N: usize> From<[Option<usize>; N]> for Shape {
    fn from(dims: [Option<usize>; N]) -> Shape {
        dims.into_iter().collect()
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Shape {
        Shape(Some(Dims::from_slice(&dims)))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(Some(Dims::from_slice(dims)))
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Shape {
        Shape(Some(Dims::from_slice(dims)))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

impl From<Vec<Option<usize>>> for Shape {
    fn from(dims: Vec<Option<usize>>) -> Shape {
        dims.into_iter().collect()
    }
}

impl FromIterator<Option<usize>> for Shape {
    fn from_iter<I: IntoIterator<Item = Option<usize>>>(dims: I) -> Shape {
        Shape(Some(dims.into_iter().map(|d| d.unwrap_or(UNKNOWN)).collect()))
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, dims: &[usize; N]) -> bool {
        self.0.as_deref() == Some(&dims[..])
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, dims: &[usize]) -> bool {
        self.0.as_deref() == Some(dims)
    }
}

impl<const N: usize> PartialEq<[Option<usize>; N]> for Shape {
    fn eq(&self, dims: &[Option<usize>; N]) -> bool {
        self.dims().as_deref() == Some(&dims[..])
    }
}

/// As TensorFlow prints it: `(2, 3)`, `(None, 3)`, `(3,)`, `()`, `<unknown>`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = &self.0 else { return f.write_str("<unknown>") };
        f.write_str("(")?;
        for (i, &dim) in dims.iter().enumerate() {
            let separator = if i > 0 { ", " } else { "" };
            match known(dim) {
                Some(dim) => write!(f, "{separator}{dim}")?,
                None => write!(f, "{separator}None")?,
            }
        }
        f.write_str(if dims.len() == 1 { ",)" } else { ")" })
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A shape as TensorFlow's kernels print it: `[1,4]`, `[?,3]`.
pub(crate) struct Brackets<'a>(pub &'a Shape);

impl fmt::Display for Brackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = &self.0.0 else { return f.write_str("<unknown>") };
        f.write_str("[")?;
        for (i, &dim) in dims.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            match known(dim) {
                Some(dim) => write!(f, "{separator}{dim}")?,
                None => write!(f, "{separator}?")?,
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy_and_keeps_what_is_unknown() {
        let check = |a: Shape, b: Shape, expected: &str| assert_eq!(broadcast(&a, &b).unwrap().to_string(), expected);
        check([3, 1].into(), [1, 4].into(), "(3, 4)");
        check([2, 3].into(), [3].into(), "(2, 3)");
        check([0].into(), [1].into(), "(0,)");
        check([None, Some(3)].into(), [3].into(), "(None, 3)");
        check([None].into(), [5].into(), "(5,)");
        check(Shape::unknown(), [5].into(), "<unknown>");
        let error = broadcast(&[2, 3].into(), &[4].into()).unwrap_err();
        assert_eq!(error.message(), "Incompatible shapes: [2,3] vs. [4]");
    }

    #[test]
    fn counting_refuses_what_no_tensor_can_have() {
        assert_eq!(count(&[2, 0, usize::MAX / 4]).unwrap(), 0);
        assert!(count(&[1 << 40, 1 << 40]).is_err());
        assert!(count(&[1; 255]).is_err());
        assert_eq!(count(&[1; 254]).unwrap(), 1);
    }

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!(normalize_axis(-1, 3).unwrap(), 2);
        assert!(normalize_axis(3, 3).is_err());
        assert!(normalize_axis(0, 0).is_err());
    }
}
