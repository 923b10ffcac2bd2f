//! Tensors whose rows are the elements.

use super::leaves::{Gather, names};
use super::node::{Items, Node, Setting};
use super::source::Counted;
use super::{Cardinality, Dataset};
use modulor::{Error, Result, Structure, Tensor};
use std::sync::Arc;

/// Rows of tensors in some order.
pub(super) struct Rows<T> {
    pub tensors: Arc<T>,
    /// Which row comes when.
    pub order: Arc<dyn Node<usize>>,
}

impl<T: Structure> Dataset<T> {
    /// The rows of tensors: an element is a place along their first axis, of all of them. TensorFlow's
    /// `from_tensor_slices`.
    ///
    /// Rows are views, and batches of rows that lie behind one another are too; batches of other rows are gathered by
    /// one copy. An error where the tensors differ in the number of rows, which names the first that does.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let rows = Dataset::from_tensor_slices((Tensor::from([[1, 2], [3, 4]]), Tensor::from([true, false])))?;
    /// let (x, y) = rows.iter_at(0, 1).next().unwrap()?;
    /// assert_eq!((x.to_vec::<i32>()?, y.item::<bool>()?), (vec![3, 4], false));
    /// let error = Dataset::from_tensor_slices((Tensor::from([1, 2]), Tensor::from([1]))).unwrap_err();
    /// assert_eq!(error.message(), "`1` has 1 rows, and `0` has 2: tensors with the same number of rows are needed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_tensor_slices(tensors: T) -> Result<Dataset<T>> {
        let tree = tensors.to_tree();
        let (names, leaves) = (names(&tree), tree.leaves());
        let mut known: Option<(usize, &str)> = None;
        for (leaf, name) in leaves.iter().zip(&names) {
            if leaf.is_symbolic() {
                let message = format!("`{name}` is a symbol, and a dataset is made of values");
                return Err(Error::invalid_argument(message));
            }
            let &[rows, ..] = leaf.dims()? else {
                return Err(Error::invalid_argument(format!("`{name}` is a scalar, and has no rows")));
            };
            match known {
                Some((expected, first)) if expected != rows => {
                    return Err(Error::invalid_argument(format!(
                        "`{name}` has {rows} rows, and `{first}` has {expected}: tensors with the same number of rows are \
                         needed"
                    )));
                }
                _ => known = Some((rows, name)),
            }
        }
        let Some((rows, _)) = known else {
            return Err(Error::invalid_argument("there is no tensor, and so there are no rows"));
        };
        let order = Arc::new(Counted::new(rows as u64, |row| row as usize));
        Ok(Dataset::of(Rows { tensors: Arc::new(tensors), order }))
    }
}

impl<T: Structure> Rows<T> {
    /// The rows at these places, side by side: a view where they lie behind one another, and else in these buffers.
    pub fn side_by_side(tensors: &T, places: &[usize], gather: &Gather, buffers: &mut Vec<Tensor>) -> Result<T> {
        let follows = places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        match places {
            [first, ..] if follows => tensors.replace(&mut |leaf| leaf.rows(*first..first + places.len())),
            _ => tensors.replace(&mut gather.rows(places, buffers)),
        }
    }
}

impl<T: Structure> Node<T> for Rows<T> {
    fn items(&self, epoch: u64, skip: u64) -> Items<T> {
        let tensors = self.tensors.clone();
        let rows = self.order.items(epoch, skip);
        Box::new(rows.map(move |row| {
            let row = row?;
            tensors.replace(&mut |leaf| leaf.slice(row))
        }))
    }

    fn cardinality(&self) -> Cardinality {
        self.order.cardinality()
    }

    fn set(&self, setting: Setting) -> Option<Arc<dyn Node<T>>> {
        let order = self.order.set(setting)?;
        Some(Arc::new(Rows { tensors: self.tensors.clone(), order }))
    }

    fn rows(&self) -> Option<Rows<T>> {
        Some(Rows { tensors: self.tensors.clone(), order: self.order.clone() })
    }
}
