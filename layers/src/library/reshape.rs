use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};

/// Every sample under other dims: `[batch, ..]` becomes `[batch, target_shape..]`.
///
/// One of the dims may be -1, for whatever is left.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::Reshape;
/// # fn main() -> modulor::Result<()> {
/// let y = Reshape::new([3, -1]).call(&Tensor::zeros([5, 12], DType::F32)?)?;
/// assert_eq!(*y.shape(), [5, 3, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Reshape {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    target_shape: Vec<i64>,
}

impl Layer for Reshape {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        reshaped(x, &self.target_shape)
    }
}

/// The samples of a batch under other dims. Any dim of the input may be unknown, and the batch empty: what a dim of -1 stands
/// for follows from those of a sample, or else from the number of elements.
pub(super) fn reshaped(x: &Tensor, target: &[i64]) -> Result<Tensor> {
    let needed =
        |what: &str| Error::invalid_argument(format!("{what} is needed, found an input of shape {}", x.shape()));
    let dims = x.shape().dims().ok_or_else(|| needed("a known rank"))?;
    let (batch, sample) = dims.split_first().ok_or_else(|| needed("a batch of samples"))?;
    let mut wanted = vec![batch.map_or(-1, |n| n as i64)];
    wanted.extend(target);
    let elements: Option<i64> = sample.iter().map(|dim| dim.map(|n| n as i64)).product();
    if let (Some(open), Some(elements)) = (target.iter().position(|&dim| dim == -1), elements) {
        let others: i64 = target.iter().enumerate().filter(|&(at, _)| at != open).map(|(_, &dim)| dim).product();
        if others <= 0 || elements % others != 0 {
            let message = format!("a sample of {} has {elements} elements, which cannot be {target:?}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        wanted[open + 1] = elements / others;
    }
    if batch.is_none() && wanted[1..].contains(&-1) {
        let batch = x.shape_tensor()?.slice(..1)?;
        return x.reshape_by(&Tensor::concat(
            &[batch, Tensor::new([target.len()], wanted[1..].to_vec())?.cast(DType::I32)?],
            0,
        )?);
    }
    x.reshape(wanted)
}

/// This under dims of which some may be unknown: those follow from the others, or else all from a tensor of them.
pub(super) fn under(x: &Tensor, dims: &[Option<usize>], all: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
    let open = dims.iter().filter(|dim| dim.is_none()).count();
    match open == 0 || open == 1 && !dims.contains(&Some(0)) {
        true => x.reshape(dims.iter().map(|dim| dim.map_or(-1, |dim| dim as i64)).collect::<Vec<_>>()),
        false => x.reshape_by(&all()?),
    }
}
