use super::Numbers;
use super::axes::floating;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// `x·scale + offset`, as of pixels from 0 to 255 to numbers from 0 to 1.
///
/// Integers become float32; float16 and bfloat16 are computed in it. Of several numbers each belongs to a place along the
/// last axes.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Rescaling;
/// # fn main() -> modulor::Result<()> {
/// let y = Rescaling::new(0.5).offset(-1.0).call(&Tensor::from([[0_u8, 2, 4]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 0.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Rescaling {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    scale: Numbers,
    /// What is added after scaling; 0 unless set.
    #[config(default = Numbers::One(0.0), into)]
    offset: Numbers,
}

impl Layer for Rescaling {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, dtype) = floating(x, &self.dtype)?;
        let [scale, offset] = [&self.scale, &self.offset].map(|numbers| numbers.tensor(wide.dtype()));
        wide.mul(scale?)?.add(offset?)?.cast(dtype)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}
