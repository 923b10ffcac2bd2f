use super::augmentation::{Draws, random_layers};
use crate::resize::{Interpolation, middle_of_ratio, rows_and_columns, window_at};
use modulor::{DType, Result, Tensor};

random_layers! {
    /// In training, a window of `height` rows and `width` columns, somewhere in the images, the same of all in a batch. Of images
    /// that do not have more of both, the window lies where the middle of their ratio begins, and what is there of it is resized.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomCrop;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomCrop::new(1, 2).seed(1);
    /// let x = Tensor::from([[[1.0_f32], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]);
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y[1] - y[0] == 1.0);
    /// # Ok(())
    /// # }
    /// ```
    RandomCrop {
        #[config]
        height: usize,
        #[config]
        width: usize,
    }
    |layer, x, draws| {
        let size = [layer.height, layer.width];
        super::window::at_least_one(&[("height", &size[..1]), ("width", &size[1..])])?;
        let [rows, columns] = rows_and_columns(x)?;
        if rows > layer.height && columns > layer.width {
            let from_top = window(draws, rows, layer.height)?;
            let from_left = window(draws, columns, layer.width)?;
            return x.gather(&from_top, 1)?.gather(&from_left, 2);
        }
        let part = window_at(x, middle_of_ratio([rows, columns], size), size)?;
        match rows_and_columns(&part)? == size {
            true => Ok(part),
            false => Interpolation::Bilinear.resized(&part, size, false)?.cast(x.dtype()),
        }
    };
}

/// So many neighbours of `all` places, int32.
fn window(draws: &mut Draws, all: usize, count: usize) -> Result<Tensor> {
    let first = draws.one(0.0, (all - count + 1) as f64, DType::F32)?.cast(DType::I32)?;
    Tensor::from((0..count as i32).collect::<Vec<_>>()).add(first)
}
