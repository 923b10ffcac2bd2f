use super::Cell;
use super::recurrent::states_expected;
use super::recurrent_dropout::product;
use crate::initializer::{AnyInitializer, Zeros};
use modulor::module::{InputShapes, ManualBuild};
use modulor::{Error, Layer, Result, Tensor};

super::cell_settings::cell! {
    /// A step of a [`SimpleRNN`](super::SimpleRNN): `h = activation(x · kernel + h · recurrent_kernel + bias)`.
    ///
    /// # Variables
    ///
    /// `kernel` of `[n, units]`, `recurrent_kernel` of `[units, units]` and, unless `use_bias` is false, `bias` of `[units]`.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::SimpleRNNCell;
    /// # fn main() -> modulor::Result<()> {
    /// let (x, h) = (Tensor::zeros([2, 3], DType::F32)?, Tensor::zeros([2, 4], DType::F32)?);
    /// let (y, states) = SimpleRNNCell::new(4).call((&x, &vec![h]))?;
    /// assert_eq!((y.dims()?, states.len()), (&[2, 4][..], 1));
    /// # Ok(())
    /// # }
    /// ```
    SimpleRNNCell {} "simple_rnn_cell" for super::SimpleRNN, dropout by draw of 1;
    needs { units: usize; }
    bias = { bias_initializer }
    /// How the bias begins; [`Zeros`] unless set.
    bias_initializer: AnyInitializer = Zeros.into(), into;
}

impl ManualBuild for SimpleRNNCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        self.declare_seeds();
        let width = self.units;
        inputs.size(&self.kernel, "kernel", &[inputs.dim(0, -1)?, width])?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &[self.units, width])?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[width])?;
        }
        Ok(())
    }
}

impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for SimpleRNNCell {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let [h] = &states[..] else { return Err(states_expected(1, states.len())) };
        let masks = self.masks(x, h)?;
        let mut outer = product(x, &masks.x, &self.kernel.read()?, 1)?;
        if self.use_bias {
            outer = outer.bias_add(&self.bias)?;
        }
        let h = self.activation.apply(&outer.add(product(h, &masks.h, &self.recurrent_kernel.read()?, 1)?)?)?;
        Ok((h.clone(), vec![h]))
    }
}

impl Cell for SimpleRNNCell {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.units]; 1]
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        self.drawn(x, states)
    }
}

crate::register_cell!(SimpleRNNCell);
