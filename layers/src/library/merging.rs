//! Layers that make one tensor of several.

use super::axes::LayerAxes;
use super::reshape::under;
use super::settings::defaults;
use modulor::{Call, DType, DTypePolicy, Error, Feed, Layer, Module, Result, Tensor};

/// The layers that work element by element, each with a function: how many inputs one takes at least and at most, and what
/// it makes of them, of one rank.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $class:ident $function:ident $least:literal..=$most:expr, |$inputs:ident| $merged:expr;)*) => { $(
        $(#[$doc])*
        ///
        /// # Shapes
        ///
        /// The inputs have one batch size and broadcast otherwise; one of fewer axes gets axes of 1 after the batch. If all
        /// have masks, the output's is where any of them is true; else there is none.
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
        }

        impl Layer<Vec<Tensor>, Tensor> for $class {
            fn forward(&self, inputs: &Vec<Tensor>) -> Result<Tensor> {
                let most: usize = $most;
                if inputs.len() < $least || inputs.len() > most {
                    return Err(wrong_count($least, most, inputs.len()));
                }
                let $inputs = aligned(inputs)?;
                $merged
            }

            fn mask(&self, inputs: &Vec<Tensor>) -> Result<Option<Tensor>> {
                let Some(masks) = inputs.iter().map(Tensor::mask).collect::<Option<Vec<_>>>() else { return Ok(None) };
                let (first, others) = masks.split_first().ok_or_else(|| wrong_count(1, usize::MAX, 0))?;
                others.iter().try_fold((*first).clone(), |any, mask| any.logical_or(mask)).map(Some)
            }
        }

        #[doc = concat!("What [`", stringify!($class), "`] makes of these.")]
        #[track_caller]
        pub fn $function(inputs: impl Feed<Vec<Tensor>>) -> Result<Tensor> {
            $class::new().call(inputs)
        }
    )* };
}

elementwise! {
    /// The sum of its inputs.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::Add;
    /// # fn main() -> modulor::Result<()> {
    /// let (a, b) = (Tensor::from([[1.0_f32, 2.0]]), Tensor::from([[10.0_f32, 20.0]]));
    /// assert_eq!(Add::new().call([&a, &b])?.to_vec::<f32>()?, [11.0, 22.0]);
    /// # Ok(())
    /// # }
    /// ```
    Add add 1..=usize::MAX, |inputs| fold(&inputs, |sum, x| sum.add(x));
    /// The first of two inputs less the second.
    Subtract subtract 2..=2, |inputs| inputs[0].sub(&inputs[1]);
    /// The product of its inputs. What a mask leaves out of an input counts as 1, or as 0 if it is left out of all.
    Multiply multiply 1..=usize::MAX, |inputs| {
        let masks: Vec<Option<Tensor>> = inputs.iter().map(mask_of_elements).collect::<Result<_>>()?;
        let factors = inputs.iter().zip(&masks).map(|(x, mask)| match mask {
            Some(mask) => mask.select(x, &x.ones_like()?),
            None => Ok(x.clone()),
        });
        let product = fold(&factors.collect::<Result<Vec<_>>>()?, |product, x| product.mul(x))?;
        match masks.into_iter().collect::<Option<Vec<Tensor>>>() {
            Some(masks) => fold(&masks, |any, mask| any.logical_or(mask))?.select(&product, &product.zeros_like()?),
            None => Ok(product),
        }
    };
    /// The mean of its inputs.
    Average average 1..=usize::MAX, |inputs| fold(&inputs, |sum, x| sum.add(x))?.div(inputs.len() as f64);
    /// The greatest of its inputs, of those that masks leave.
    Maximum maximum 1..=usize::MAX, |inputs| extreme(&inputs, |a, b| a.maximum(b));
    /// The least of its inputs, of those that masks leave.
    Minimum minimum 1..=usize::MAX, |inputs| extreme(&inputs, |a, b| a.minimum(b));
}

fn wrong_count(least: usize, most: usize, found: usize) -> Error {
    let wanted = if least == most { format!("exactly {least}") } else { format!("at least {least}") };
    Error::invalid_argument(format!("the layer takes a list of {wanted} tensors, found {found}"))
}

/// Several tensors as one, from the first on.
fn fold(tensors: &[Tensor], mut join: impl FnMut(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let (first, others) = tensors.split_first().ok_or_else(|| wrong_count(1, usize::MAX, 0))?;
    others.iter().try_fold(first.with_mask(None), |joined, x| join(&joined, x))
}

/// The inputs with as many axes as the greatest of them has: more of them after the batch, which loses their masks.
fn aligned(inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut batches = inputs.iter().filter_map(|x| x.shape().dim(0));
    let first = batches.next();
    if batches.any(|batch| Some(batch) != first) {
        let shapes: Vec<String> = inputs.iter().map(|x| x.shape().to_string()).collect();
        let message = format!("the inputs must have one batch size, found shapes {}", shapes.join(", "));
        return Err(Error::invalid_argument(message));
    }
    let Some(ranks) = inputs.iter().map(Tensor::rank).collect::<Option<Vec<usize>>>() else {
        return Ok(inputs.to_vec());
    };
    let most = ranks.iter().copied().max().unwrap_or_default();
    let more = inputs.iter().zip(ranks).map(|(x, rank)| (rank..most).try_fold(x.clone(), |x, _| x.expand_dims(1)));
    more.collect()
}

/// The mask of an input as one for each of its elements.
fn mask_of_elements(x: &Tensor) -> Result<Option<Tensor>> {
    x.mask().map(|mask| mask.expand_dims(-1)?.broadcast_like(x)).transpose()
}

/// The greatest or the least of what masks leave, as Keras joins inputs one by one: where one of two is left out, it is the
/// other, and masks are heeded for as long as all inputs so far have one.
fn extreme(inputs: &[Tensor], of_two: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let mut so_far = inputs.first().map(mask_of_elements).transpose()?.flatten();
    fold(inputs, |output, x| {
        let mask = mask_of_elements(x)?;
        let x = match &mask {
            Some(mask) => mask.select(x, output)?,
            None => x.clone(),
        };
        let output = match &so_far {
            Some(counts) => counts.select(output, &x)?,
            None => output.clone(),
        };
        so_far = so_far.take().zip(mask).map(|(a, b)| a.logical_or(&b)).transpose()?;
        of_two(&output, &x)
    })
}

/// Its inputs one after the other along an axis; their other dims agree.
///
/// If any has a mask, the output has one: those of the inputs in a row, for each step where any number counts, an input
/// without a mask counting as a whole.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Concatenate;
/// # fn main() -> modulor::Result<()> {
/// let (a, b) = (Tensor::from([[1.0_f32, 2.0]]), Tensor::from([[3.0_f32]]));
/// assert_eq!(Concatenate::new().call([&a, &b])?.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Concatenate {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axis; the last unless set.
    #[config(default = -1)]
    axis: i64,
}

impl Layer<Vec<Tensor>, Tensor> for Concatenate {
    fn forward(&self, inputs: &Vec<Tensor>) -> Result<Tensor> {
        match inputs.is_empty() {
            true => Err(wrong_count(1, usize::MAX, 0)),
            false => Tensor::concat(inputs, self.axis),
        }
    }

    fn mask(&self, inputs: &Vec<Tensor>) -> Result<Option<Tensor>> {
        if inputs.iter().all(|x| x.mask().is_none()) {
            return Ok(None);
        }
        let masks = inputs.iter().map(|x| {
            let none = x.zeros_like()?.cast(DType::Bool)?;
            match x.mask() {
                None => none.logical_not(),
                Some(mask) if mask.rank() < x.rank() => mask.expand_dims(-1)?.logical_or(&none),
                Some(mask) => Ok(mask.clone()),
            }
        });
        Tensor::concat(&masks.collect::<Result<Vec<_>>>()?, self.axis)?.any(-1).map(Some)
    }
}

/// What [`Concatenate`] along this axis makes of these.
#[track_caller]
pub fn concatenate(inputs: impl Feed<Vec<Tensor>>, axis: i64) -> Result<Tensor> {
    Concatenate::new().axis(axis).call(inputs)
}

/// The sum of products of two inputs along an axis of each, sample by sample.
///
/// `axes` is one for both, or one of each; not that of the batch. With `normalize` both are divided by their Euclidean norm
/// along it first, so that the result is the cosine of their angle. The output has no mask.
///
/// # Shapes
///
/// The output has the dims of the first input but for its axis, then those of the second but for its batch and axis; or
/// `[batch, 1]` if nothing else is left.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::Dot;
/// # fn main() -> modulor::Result<()> {
/// let (a, b) = (Tensor::from([[1.0_f32, 2.0]]), Tensor::from([[3.0_f32, 4.0]]));
/// assert_eq!(Dot::new(1).call([&a, &b])?.to_vec::<f32>()?, [11.0]);
/// let (a, b) = (Tensor::zeros([2, 3, 5], DType::F32)?, Tensor::zeros([2, 10, 3], DType::F32)?);
/// assert_eq!(*Dot::new([1, 2]).call([&a, &b])?.shape(), [2, 5, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Dot {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    axes: LayerAxes,
    /// Whether the inputs are normalized; they are not unless this says so.
    #[config(default)]
    normalize: bool,
}

/// The square of the least norm that counts.
const LEAST: f64 = 1e-14;

impl Layer<Vec<Tensor>, Tensor> for Dot {
    fn forward(&self, inputs: &Vec<Tensor>) -> Result<Tensor> {
        let [a, b] = &inputs[..] else { return Err(wrong_count(2, 2, inputs.len())) };
        let axes = match &self.axes {
            LayerAxes::One(axis) => [*axis, *axis],
            LayerAxes::Several(axes) => <[i64; 2]>::try_from(&axes[..]).map_err(|_| {
                Error::invalid_argument(format!("`axes` must be one for both inputs, or one of each, found {axes:?}"))
            })?,
        };
        let [(a_shape, a_axis), (b_shape, b_axis)] = [place(a, axes[0])?, place(b, axes[1])?];
        if let (Some(m), Some(n)) = (a_shape[a_axis], b_shape[b_axis])
            && m != n
        {
            let message = format!(
                "axis {} of the first input and {} of the second must be equally long, found shapes {} and {}",
                axes[0],
                axes[1],
                a.shape(),
                b.shape()
            );
            return Err(Error::invalid_argument(message));
        }
        let normalized = |x: &Tensor, axis: usize| match self.normalize {
            true => x.l2_normalize(axis as i64, LEAST),
            false => Ok(x.clone()),
        };
        let rows = matrices(&normalized(a, a_axis)?, a_axis, a_shape.len())?;
        let columns = matrices(&normalized(b, b_axis)?, b_axis, b_shape.len())?;
        let product = rows.matmul_with(&columns, false, true)?;
        let kept = |shape: &[Option<usize>], axis: usize| -> Vec<usize> {
            (1..shape.len()).filter(|&other| other != axis).collect()
        };
        let (a_kept, b_kept) = (kept(&a_shape, a_axis), kept(&b_shape, b_axis));
        if a_kept.is_empty() && b_kept.is_empty() {
            return product.squeeze([2]);
        }
        let kept = [(a, 0)].into_iter().chain(a_kept.into_iter().map(|axis| (a, axis)));
        let kept: Vec<(&Tensor, usize)> = kept.chain(b_kept.into_iter().map(|axis| (b, axis))).collect();
        let dims: Vec<Option<usize>> = kept.iter().map(|(x, axis)| x.shape().dim(*axis)).collect();
        under(&product, &dims, || {
            let dims = kept.iter().map(|(x, axis)| x.shape_tensor()?.slice(*axis..axis + 1));
            Tensor::concat(&dims.collect::<Result<Vec<_>>>()?, 0)
        })
    }
}

/// The dims of an input of [`Dot`], and the place of its axis.
fn place(x: &Tensor, axis: i64) -> Result<(Vec<Option<usize>>, usize)> {
    let dims = x.shape().dims().ok_or_else(|| Error::invalid_argument("the ranks of inputs must be known"))?;
    let at = if axis < 0 { axis.saturating_add(dims.len() as i64) } else { axis };
    match usize::try_from(at) {
        Ok(at) if at > 0 && at < dims.len() => Ok((dims, at)),
        _ => Err(Error::invalid_argument(format!(
            "`axes` must be of a sample, which that of the batch is not, found {axis} for an input of shape {}",
            x.shape()
        ))),
    }
}

/// Every sample as a matrix whose last axis is this one, of one row if there is no other.
fn matrices(x: &Tensor, axis: usize, rank: usize) -> Result<Tensor> {
    let others: Vec<usize> = (0..rank).filter(|&other| other != axis).collect();
    let x = x.permute(others.iter().chain([&axis]).map(|&axis| axis as i64).collect::<Vec<_>>())?;
    if rank == 2 {
        return x.expand_dims(1);
    }
    if rank == 3 {
        return Ok(x);
    }
    let dims = x.shape().dims().unwrap_or_else(|| vec![None; rank]);
    let rows = dims[1..rank - 1].iter().copied().product();
    under(&x, &[dims[0], rows, dims[rank - 1]], || {
        let dims = x.shape_tensor()?;
        let rows = dims.slice(1..rank - 1)?.prod_keepdims(0)?;
        Tensor::concat(&[dims.slice(..1)?, rows, dims.slice(rank - 1..)?], 0)
    })
}

/// What [`Dot`] along these axes makes of these.
#[track_caller]
pub fn dot(inputs: impl Feed<Vec<Tensor>>, axes: impl Into<LayerAxes>) -> Result<Tensor> {
    Dot::new(axes).call(inputs)
}

defaults! { Add Subtract Multiply Average Maximum Minimum Concatenate }
