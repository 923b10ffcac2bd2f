use super::Cell;
use super::recurrent::{Whole, states_expected, whole};
use super::recurrent_dropout::{masked, product};
use crate::activation::AnyActivation;
use crate::initializer::{AnyInitializer, Zeros};
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::ops::recurrent::{Cell as Kind, Recurrence};
use modulor::{Error, Layer, Result, Tensor};

super::cell_settings::cell! {
    /// A step of a [`GRU`](super::GRU): `h = z · h + (1 − z) · activation(g)`.
    ///
    /// The gates z and r are the recurrent activation, of what x and h bring; r multiplies h, or its product with the
    /// recurrent kernel, before that comes to g.
    ///
    /// # Variables
    ///
    /// `kernel` of `[n, 3·units]`, `recurrent_kernel` of `[units, 3·units]` and, unless `use_bias` is false, `bias` of
    /// `[2, 3·units]`, for what x and what h brings, or, unless `reset_after`, of `[3·units]`; each for z, r and g in this order.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::GRUCell;
    /// # fn main() -> modulor::Result<()> {
    /// let (x, h) = (Tensor::zeros([2, 3], DType::F32)?, Tensor::zeros([2, 4], DType::F32)?);
    /// let (y, states) = GRUCell::new(4).call((&x, &vec![h]))?;
    /// assert_eq!((y.dims()?, states.len()), (&[2, 4][..], 1));
    /// # Ok(())
    /// # }
    /// ```
    GRUCell {} "gru_cell" for super::GRU, dropout by draw of 3;
    needs { units: usize; }
    bias = { bias_initializer }
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    recurrent_activation: AnyActivation = AnyActivation::Sigmoid, into;
    /// Whether r multiplies the product of h and the recurrent kernel, as it does unless this says no, or h itself.
    reset_after: bool = true;
    /// How the bias begins; [`Zeros`] unless set.
    bias_initializer: AnyInitializer = Zeros.into(), into;
}

impl ManualBuild for GRUCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        self.declare_seeds();
        let width = self.units.saturating_mul(3);
        inputs.size(&self.kernel, "kernel", &[inputs.dim(0, -1)?, width])?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &[self.units, width])?;
        if self.use_bias {
            match self.reset_after {
                true => inputs.size(&self.bias, "bias", &[2, width])?,
                false => inputs.size(&self.bias, "bias", &[width])?,
            }
        }
        Ok(())
    }
}

impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for GRUCell {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let [h] = &states[..] else { return Err(states_expected(1, states.len())) };
        let masks = self.masks(x, h)?;
        let bias = self.use_bias.then(|| self.bias.read()).transpose()?;
        let [outer_bias, inner_bias] = match (bias, self.reset_after) {
            (Some(bias), true) => [Some(bias.slice(0)?), Some(bias.slice(1)?)],
            (bias, _) => [bias, None],
        };
        let plus = |sums: Tensor, bias: Option<Tensor>| bias.map_or_else(|| Ok(sums.clone()), |bias| sums.add(bias));
        let outer = plus(product(x, &masks.x, &self.kernel.read()?, 3)?, outer_bias)?.split(3, 1)?;
        let recurrent = self.recurrent_kernel.read()?;
        let gate = |sum: Tensor| self.recurrent_activation.apply(&sum);
        let (z, inner) = if self.reset_after {
            let inner = plus(product(h, &masks.h, &recurrent, 3)?, inner_bias)?.split(3, 1)?;
            (gate(outer[0].add(&inner[0])?)?, gate(outer[1].add(&inner[1])?)?.mul(&inner[2])?)
        } else {
            let kernels = recurrent.split(3, 1)?;
            let sum = |at: usize| outer[at].add(masked(h, &masks.h, at)?.matmul(&kernels[at])?);
            let reset = gate(sum(1)?)?.mul(masked(h, &masks.h, 2)?)?;
            (gate(sum(0)?)?, reset.matmul(&kernels[2])?)
        };
        let candidate = self.activation.apply(&outer[2].add(inner)?)?;
        let h = (&z * h).add((1.0 - &z) * candidate)?;
        Ok((h.clone(), vec![h]))
    }
}

impl Cell for GRUCell {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.units]; 1]
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        self.drawn(x, states)
    }
}

crate::register_cell!(GRUCell);

impl Whole for GRUCell {
    fn has_kernel(&self) -> bool {
        let drops = scope::training() && self.recurrent_dropout > 0.0;
        self.activation == AnyActivation::Tanh && self.recurrent_activation == AnyActivation::Sigmoid && !drops
    }

    fn run(&self, x: &Tensor, states: &[Tensor], ways: Recurrence) -> Result<(Tensor, Vec<Tensor>)> {
        let [h] = states else { return Err(states_expected(1, states.len())) };
        let masks = self.masks(&x.slice((.., 0))?, h)?;
        let bias = self.use_bias.then(|| self.bias.read()).transpose()?;
        let weights = [self.kernel.read()?, self.recurrent_kernel.read()?];
        let cell = Kind::Gru { reset_after: self.reset_after };
        whole(x, &masks, [&weights[0], &weights[1]], bias.as_ref(), &[h], Recurrence { cell, ..ways })
    }
}
