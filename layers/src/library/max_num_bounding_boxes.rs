use super::DataFormat;
use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor};

/// Makes the boxes of each image so many, by [`limit`](Self::limit): the first of them, or all and others that fill up. Called on
/// images, it hands them on.
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::library::MaxNumBoundingBoxes;
/// # fn main() -> modulor::Result<()> {
/// let boxes = Tensor::from([[[10.0_f32, 20.0, 30.0, 40.0], [0.0, 0.0, 5.0, 5.0]]]);
/// let (boxes, labels) = MaxNumBoundingBoxes::new(3).limit(&boxes, &Tensor::from([[1, 2]]))?;
/// assert_eq!(boxes.dims()?, [1, 3, 4]);
/// assert_eq!(labels.to_vec::<i32>()?, [1, 2, -1]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct MaxNumBoundingBoxes {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many boxes an image has.
    #[config]
    max_number: usize,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
    #[skip]
    fill_value: Option<i64>,
}

impl MaxNumBoundingBoxes {
    /// What boxes and labels are filled up with; −1 unless set. As in Keras, it is not in the config.
    #[must_use]
    pub fn fill_value(self, value: i64) -> MaxNumBoundingBoxes {
        MaxNumBoundingBoxes { fill_value: Some(value), ..self }
    }

    /// Boxes, `[batch, boxes, 4]`, and their labels, `[batch, boxes]`, as so many for each image.
    pub fn limit(&self, boxes: &Tensor, labels: &Tensor) -> Result<(Tensor, Tensor)> {
        if boxes.rank() != Some(3)
            || boxes.shape().dim(2).is_some_and(|numbers| numbers != 4)
            || labels.rank() != Some(2)
        {
            return Err(Error::invalid_argument(format!(
                "boxes are [batch, boxes, 4] and labels [batch, boxes], found shapes {} and {}",
                boxes.shape(),
                labels.shape()
            )));
        }
        Ok((self.limited(boxes)?, self.limited(labels)?))
    }

    /// So many along the second axis.
    fn limited(&self, x: &Tensor) -> Result<Tensor> {
        let Some(found) = x.shape().dim(1) else {
            return Err(Error::invalid_argument(format!(
                "how many boxes there are must be known, found {}",
                x.shape()
            )));
        };
        let wanted = self.max_number;
        if found >= wanted {
            return x.slice((.., ..wanted));
        }
        let missing = i64::try_from(wanted - found)
            .map_err(|_| Error::invalid_argument(format!("{wanted} boxes are more than can be counted")))?;
        let mut sides = vec![[0, 0]; x.rank().unwrap_or(2)];
        sides[1][1] = missing;
        x.pad_with(&sides, self.fill_value.unwrap_or(-1) as f64)
    }
}

impl Layer for MaxNumBoundingBoxes {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}
