//! Elements of several shapes side by side.

use super::batch::{batches, next_of};
use super::leaves::{columns, differ, names, rebuilt, stack};
use super::node::{Items, Node, Setting};
use super::{Cardinality, Dataset};
use modulor::{DType, Error, Result, Shape, Structure, Tensor};
use std::sync::Arc;

/// What elements of several shapes are filled up to in a [`padded_batch`](Dataset::padded_batch), and with what: for each
/// tensor of an element, in order.
#[derive(Clone, Debug, Default)]
pub struct Padding {
    shapes: Option<Vec<Shape>>,
    values: Option<Vec<Tensor>>,
}

impl Padding {
    /// To the longest of the batch, with zeros, false or empty strings.
    pub fn new() -> Padding {
        Padding::default()
    }

    /// To these dims; to the longest of the batch where one is `None`.
    #[must_use]
    pub fn shapes<S: Into<Shape>>(self, shapes: impl IntoIterator<Item = S>) -> Padding {
        Padding { shapes: Some(shapes.into_iter().map(Into::into).collect()), ..self }
    }

    /// With these scalars, of the dtypes of the tensors.
    #[must_use]
    pub fn values(self, values: impl IntoIterator<Item = Tensor>) -> Padding {
        Padding { values: Some(values.into_iter().collect()), ..self }
    }
}

struct Padded<T> {
    inner: Arc<dyn Node<T>>,
    size: u64,
    padding: Padding,
    drop_remainder: bool,
}

impl<T: Structure> Dataset<T> {
    /// `size` elements side by side along a new first axis, each filled up at its ends.
    ///
    /// An error where one is larger than it may be, or has another rank.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::data::{Dataset, Padding};
    /// # fn main() -> modulor::Result<()> {
    /// let words: Dataset<Tensor> = [Tensor::from([1, 2, 3]), Tensor::from([4])].into_iter().collect();
    /// let batch = words.padded_batch(2, Padding::new()).iter().next().unwrap()?;
    /// assert_eq!(batch.to_vec::<i32>()?, [1, 2, 3, 4, 0, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn padded_batch(&self, size: usize, padding: Padding) -> Dataset<T> {
        if size == 0 {
            return Dataset::failed(Error::invalid_argument("`padded_batch` of 0 elements"));
        }
        Dataset::of(Padded { inner: self.node.clone(), size: size as u64, padding, drop_remainder: false })
    }
}

impl<T: Structure> Node<T> for Padded<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let &Padded { ref inner, size, drop_remainder, .. } = self;
        let (padding, mut items) = (self.padding.clone(), inner.items(epoch, skip.saturating_mul(size)));
        Box::new(std::iter::from_fn(move || {
            let elements = next_of(&mut items, size, drop_remainder)?;
            Some(elements.and_then(|elements| padded(&elements, &padding)))
        }))
    }

    fn cardinality(&self) -> Cardinality {
        batches(self.inner.cardinality(), self.size, self.drop_remainder)
    }

    fn set(&self, setting: Setting) -> Option<Arc<dyn Node<T>>> {
        let Setting::DropRemainder = setting else { return None };
        let &Padded { ref inner, size, ref padding, .. } = self;
        Some(Arc::new(Padded { inner: inner.clone(), size, padding: padding.clone(), drop_remainder: true }))
    }
}

/// Elements, at least one, side by side and filled up.
fn padded<T: Structure>(elements: &[T], padding: &Padding) -> Result<T> {
    let columns = columns(elements)?;
    let count = |what: &str, given: Option<usize>| match given {
        Some(given) if given != columns.len() => {
            let message = format!("{given} padding {what} were given, and an element has {} tensors", columns.len());
            Err(Error::invalid_argument(message))
        }
        _ => Ok(()),
    };
    count("shapes", padding.shapes.as_ref().map(Vec::len))?;
    count("values", padding.values.as_ref().map(Vec::len))?;
    let mut leaves = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let mut dims = column[0].dims()?.to_vec();
        for (at, leaf) in column.iter().enumerate() {
            if leaf.dims()?.len() != dims.len() {
                return Err(differ(&elements[0], place, at, column[0].shape(), leaf.shape()));
            }
            dims.iter_mut().zip(leaf.dims()?).for_each(|(most, &dim)| *most = (*most).max(dim));
        }
        if let Some(shape) = padding.shapes.as_ref().map(|shapes| &shapes[place]) {
            let name = || names(&elements[0].to_tree()).swap_remove(place);
            let wanted = shape.dims().filter(|wanted| wanted.len() == dims.len());
            let Some(wanted) = wanted else {
                let message = format!("`{}` has {} dims, and cannot be padded to {shape}", name(), dims.len());
                return Err(Error::invalid_argument(message));
            };
            for (most, wanted) in dims.iter_mut().zip(wanted) {
                match wanted {
                    Some(wanted) if wanted < *most => {
                        let message = format!("`{}` has a dim of {most}, and cannot be padded to {shape}", name());
                        return Err(Error::invalid_argument(message));
                    }
                    wanted => *most = wanted.unwrap_or(*most),
                }
            }
        }
        let value = padding.values.as_ref().map(|values| &values[place]);
        let value = match value {
            Some(value) if value.dtype() != column[0].dtype() || value.rank() != Some(0) => {
                let (found, needed) = (value.spec(), column[0].dtype());
                let message = format!("a padding value of {found}, where a scalar of {needed} is needed");
                return Err(Error::invalid_argument(message));
            }
            Some(value) => value.clone(),
            None => Tensor::zeros([], column[0].dtype())?,
        };
        let filled = column.iter().map(|leaf| fill(leaf, &dims, &value)).collect::<Result<Vec<_>>>()?;
        leaves.push(stack(&filled)?);
    }
    rebuilt(&elements[0], leaves)
}

/// A tensor filled up to these dims, which are at least its own.
fn fill(tensor: &Tensor, dims: &[usize], value: &Tensor) -> Result<Tensor> {
    let own = tensor.dims()?;
    if own == dims {
        return Ok(tensor.clone());
    }
    if tensor.dtype() != DType::String {
        let missing = own.iter().zip(dims).map(|(&own, &dim)| [0, (dim - own) as i64]);
        return tensor.pad_with(missing.collect::<Vec<_>>(), value);
    }
    let (elements, value) = (tensor.to_strings()?, value.to_strings()?.swap_remove(0));
    let mut filled = vec![value; dims.iter().product()];
    for (at, element) in elements.into_iter().enumerate() {
        let (mut rest, mut place, mut stride) = (at, 0, 1);
        for (&own, &dim) in own.iter().zip(dims).rev() {
            place += rest % own * stride;
            (rest, stride) = (rest / own, stride * dim);
        }
        filled[place] = element;
    }
    Tensor::strings(dims, filled)
}
