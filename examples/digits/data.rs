//! The digits, from their file to tensors.

use super::shuffle::shuffled;
use flate2::read::GzDecoder;
use modulor::prelude::*;
use std::io::Read;

/// Handwritten digits: what they look like and what they are.
pub struct Digits {
    /// `[n, 8, 8]`, ink from 0 to 1.
    pub images: Tensor,
    /// `[n]`, 0 to 9.
    pub labels: Tensor,
}

const FILE: &[u8] = include_bytes!("digits.csv.gz");
const PIXELS: usize = 64;

impl Digits {
    /// All 1,797. A line of the file is 64 pixels of 0 to 16, then the class.
    pub fn load() -> Result<Digits> {
        let broken = |line: usize, what: &str| Error::data_loss(format!("digits.csv.gz, line {line}: {what}"));
        let mut text = String::new();
        GzDecoder::new(FILE).read_to_string(&mut text).map_err(|error| broken(0, &error.to_string()))?;
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let numbers = line.split(',').map(str::parse::<u8>).collect::<std::result::Result<Vec<_>, _>>();
            let numbers = numbers.map_err(|error| broken(at + 1, &error.to_string()))?;
            let [pixels @ .., label] = &*numbers else { return Err(broken(at + 1, "it is empty")) };
            if pixels.len() != PIXELS || *label > 9 {
                return Err(broken(at + 1, "expected 64 pixels and a class of 0 to 9"));
            }
            images.extend(pixels.iter().map(|&p| f32::from(p) / 16.0));
            labels.push(i32::from(*label));
        }
        Ok(Digits { images: Tensor::new([labels.len(), 8, 8], images)?, labels: Tensor::from(labels) })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.labels.shape().elements().unwrap_or_default()
    }

    /// Those at these places, in this order.
    pub fn at(&self, places: &[i32]) -> Result<Digits> {
        let places = Tensor::new([places.len()], places)?;
        Ok(Digits { images: self.images.gather(&places, 0)?, labels: self.labels.gather(&places, 0)? })
    }

    /// Four fifths to learn from and one fifth to be asked about, by chance that follows from `seed`.
    pub fn split(&self, seed: u64) -> Result<(Digits, Digits)> {
        let places = shuffled(self.len(), seed)?;
        let (test, train) = places.split_at(self.len() / 5);
        Ok((self.at(train)?, self.at(test)?))
    }
}
