//! The data and the initial weights, which all programs share: files of safetensors in the folder `$PEERS_DATA`.

use modulor::checkpoint::safetensors::SafeTensors;
use modulor::prelude::*;
use std::path::PathBuf;

/// How many batches there are; training goes over them time and again.
pub const BATCHES: usize = 8;

/// The file of this name.
pub fn open(name: &str) -> Result<SafeTensors> {
    let folder = std::env::var_os("PEERS_DATA")
        .ok_or_else(|| Error::failed_precondition("`$PEERS_DATA` is the folder of the data, and is not set"))?;
    SafeTensors::open(PathBuf::from(folder).join(name).with_extension("safetensors"))
}

/// The first `count` digits, ink from 0 to 1, as `dims` says what each of them is, and what they are.
pub fn digits(count: usize, dims: &[i64]) -> Result<(Tensor, Tensor)> {
    let file = open("mnist")?;
    let (images, labels) = (file.read("x")?.slice(..count)?, file.read("y")?.slice(..count)?);
    Ok((images.reshape([&[count as i64], dims].concat())?, labels))
}

/// Digits in batches of `size`.
pub fn batches_of_digits(size: usize, dims: &[i64]) -> Result<Vec<(Tensor, Tensor)>> {
    let (images, labels) = digits(BATCHES * size, dims)?;
    Ok(images.split(BATCHES, 0)?.into_iter().zip(labels.split(BATCHES, 0)?).collect())
}

/// Gives the weights of a model, which are in Keras's order, the values that have these names in a file.
pub fn set_weights<S: AsRef<str>>(model: &impl Module, file: &str, names: &[S]) -> Result<()> {
    let (file, weights) = (open(file)?, model.weights());
    if weights.len() != names.len() {
        let message = format!("there are {} weights and {} names for them", weights.len(), names.len());
        return Err(Error::invalid_argument(message));
    }
    weights.iter().zip(names).try_for_each(|(weight, name)| weight.assign(&file.read(name.as_ref())?))
}
