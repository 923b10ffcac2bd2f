//! Numbers laid out by a rule: matrices of ones, powers, coordinates, and distances that grow.

use super::composite::composite;
use crate::op::allowed;
use crate::{DType, Error, Result, Tensor};

/// The first axis of coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indexing {
    /// Those of the second vector, as rows of a picture come before its columns: Keras's and NumPy's default.
    #[default]
    Xy,
    /// Those of the first vector.
    Ij,
}

/// How far right of the main diagonal each place of a matrix is.
fn offsets(rows: usize, columns: usize) -> Result<Tensor> {
    let [rows, columns] = [rows, columns].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    Tensor::range(0, columns, 1)?.sub(Tensor::range(0, rows, 1)?.expand_dims(1)?)
}

impl Tensor {
    /// Ones on the `k`-th diagonal over the main one of a matrix, zeros elsewhere; a negative `k` counts below it. Keras's
    /// `ops.eye`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::eye(2, 3, 1, DType::I32)?.to_vec::<i32>()?, [0, 1, 0, 0, 0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn eye(rows: usize, columns: usize, k: i64, dtype: DType) -> Result<Tensor> {
        composite("eye", || offsets(rows, columns)?.equal(Tensor::scalar(k))?.cast(dtype))
    }

    /// Ones on and below the `k`-th diagonal over the main one of a matrix, zeros above. Keras's `ops.tri`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::tri(2, 3, 0, DType::I32)?.to_vec::<i32>()?, [1, 0, 0, 1, 1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tri(rows: usize, columns: usize, k: i64, dtype: DType) -> Result<Tensor> {
        composite("tri", || offsets(rows, columns)?.less_equal(Tensor::scalar(k))?.cast(dtype))
    }

    /// `columns` powers of each number, from the highest to the 0th, or from there if `increasing`: along a new last axis. Keras's
    /// `ops.vander`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([2, 3]);
    /// assert_eq!(x.vander(3, false)?.to_vec::<i32>()?, [4, 2, 1, 9, 3, 1]);
    /// assert_eq!(x.vander(3, true)?.to_vec::<i32>()?, [1, 2, 4, 1, 3, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn vander(&self, columns: usize, increasing: bool) -> Result<Tensor> {
        self.check()?;
        let columns = i32::try_from(columns).unwrap_or(i32::MAX);
        composite("vander", || {
            let powers = match increasing {
                true => Tensor::range(0, columns, 1)?,
                false => Tensor::range(columns - 1, -1, -1)?,
            };
            self.expand_dims(-1)?.pow(powers.cast(self.dtype())?)
        })
    }

    /// The coordinates of a grid: for each vector a tensor of as many axes as there are vectors, which varies along that vector's
    /// own. The first two axes change places with [`Indexing::Xy`]. Keras's `ops.meshgrid`.
    ///
    /// ```
    /// use modulor_core::{Indexing, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let (x, y) = (Tensor::from([1, 2, 3]), Tensor::from([4, 5]));
    /// let grid = Tensor::mesh_grid(&[&x, &y], Indexing::Xy)?;
    /// assert_eq!(grid[0].to_vec::<i32>()?, [1, 2, 3, 1, 2, 3]);
    /// assert_eq!(grid[1].to_vec::<i32>()?, [4, 4, 4, 5, 5, 5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn mesh_grid(vectors: &[&Tensor], indexing: Indexing) -> Result<Vec<Tensor>> {
        composite("mesh_grid", || {
            let along = |(i, x): (usize, &&Tensor)| {
                let axis = match (indexing, i) {
                    (Indexing::Xy, 0 | 1) if vectors.len() > 1 => 1 - i,
                    _ => i,
                };
                let mut dims = vec![1; vectors.len()];
                dims[axis] = -1;
                x.reshape(dims)
            };
            let vectors = vectors.iter().enumerate().map(along).collect::<Result<Vec<_>>>()?;
            let all = vectors.iter().try_fold(None, |all: Option<Tensor>, x| {
                let zeros = Tensor::scalar(0_u8).broadcast_like(x)?;
                all.map_or(Ok(zeros.clone()), |all| all.add(&zeros)).map(Some)
            })?;
            let Some(all) = all else { return Ok(Vec::new()) };
            vectors.iter().map(|x| x.broadcast_like(&all)).collect()
        })
    }

    /// `num` floats from `baseˢᵗᵃʳᵗ` to `baseˢᵗᵒᵖ`, each as many times the one before it. Keras's `ops.logspace`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::log_space(0.0, 3.0, 4, 10.0, DType::F32)?.to_vec::<f32>()?, [1.0, 10.0, 100.0, 1000.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_space(start: f64, stop: f64, num: usize, base: f64, dtype: DType) -> Result<Tensor> {
        growing(num, dtype, |part| base.powf(start + (stop - start) * part))
    }

    /// `num` floats from `start` to `stop`, which are the first and the last, each as many times the one before it. Keras's
    /// `ops.geomspace`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::geom_space(-1.0, -8.0, 4, DType::F32)?.to_vec::<f32>()?, [-1.0, -2.0, -4.0, -8.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For ends that have not the same sign, or are 0.
    pub fn geom_space(start: f64, stop: f64, num: usize, dtype: DType) -> Result<Tensor> {
        if start * stop <= 0.0 {
            let message = format!("the ends must have the same sign and not be 0, found {start} and {stop}");
            return Err(Error::invalid_argument(message));
        }
        growing(num, dtype, |part| match part {
            0.0 => start,
            1.0 => stop,
            _ => start * (stop / start).powf(part),
        })
    }
}

/// As many floats as `num` says, each by how much of the way it has behind it.
fn growing(num: usize, dtype: DType, at: impl Fn(f64) -> f64) -> Result<Tensor> {
    allowed(dtype, |dtype| dtype.is_float(), "a dtype of floats")?;
    let last = num.saturating_sub(1).max(1) as f64;
    Tensor::zeros([num], DType::F64)?;
    Tensor::new([num], (0..num).map(|i| at(i as f64 / last)).collect::<Vec<f64>>())?.cast(dtype)
}
