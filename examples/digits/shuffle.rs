//! Orders that follow from a seed.

use modulor::prelude::*;

/// The numbers below `n` in an order that follows from `seed`.
pub fn shuffled(n: usize, seed: u64) -> Result<Vec<i32>> {
    let dims = Tensor::from([n as i64]);
    let keys = Tensor::stateless_bits(&dims, &Tensor::from([seed as i64, 0]), DType::U64)?.to_vec::<u64>()?;
    let mut places: Vec<i32> = (0..n as i32).collect();
    places.sort_by_key(|&place| keys[place as usize]);
    Ok(places)
}
