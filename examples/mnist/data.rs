//! The digits, from their files to tensors.

use super::shuffle::shuffled;
use modulor::data::read_idx;
use modulor::prelude::*;
use serde::Deserialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Handwritten digits: what they look like and what they are.
pub struct Digits {
    /// `[n, 28, 28, 1]`, ink from 0 to 1.
    pub images: Tensor,
    /// `[n]`, 0 to 9.
    pub labels: Tensor,
}

const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;

impl Digits {
    fn new(pixels: Vec<f32>, labels: Vec<i32>) -> Result<Digits> {
        Ok(Digits { images: Tensor::new([labels.len(), SIDE, SIDE, 1], pixels)?, labels: Tensor::from(labels) })
    }

    /// Those of a folder: to learn from, and held out.
    ///
    /// It has either the files of MNIST as they were published, as they are or compressed by gzip, with 10,000 to be held
    /// out; or `0.json` to `9.json`, with the pixels of a class each, of which a fifth is held out, by chance.
    pub fn load(folder: &Path) -> Result<(Digits, Digits)> {
        if find(folder, "train-images-idx3-ubyte").is_some() {
            return Ok((Digits::published(folder, "train")?, Digits::published(folder, "t10k")?));
        }
        if !folder.join("9.json").exists() {
            let message = format!("there are no digits in {}: examples/mnist/fetch.sh brings them", folder.display());
            return Err(Error::not_found(message));
        }
        let all = Digits::by_class(folder)?;
        let places = shuffled(all.len(), 1)?;
        let (test, train) = places.split_at(all.len() / 5);
        Ok((all.at(train)?, all.at(test)?))
    }

    /// One of the two sets of the files that were published.
    fn published(folder: &Path, set: &str) -> Result<Digits> {
        let read = |name: String| {
            let missing = || Error::not_found(format!("there is no {name} in {}", folder.display()));
            let path = find(folder, &name).ok_or_else(missing)?;
            Ok((read_idx(&path)?, path))
        };
        let (images, of_images) = read(format!("{set}-images-idx3-ubyte"))?;
        let (labels, of_labels) = read(format!("{set}-labels-idx1-ubyte"))?;
        let &[count, SIDE, SIDE] = images.dims()? else {
            let message = format!("expected images of 28×28 pixels, found dims {:?}", images.dims()?);
            return Err(broken(&of_images, &message));
        };
        if labels.dims()? != [count] {
            let message = format!("expected {count} labels, found dims {:?}", labels.dims()?);
            return Err(broken(&of_labels, &message));
        }
        let labels = labels.to_vec::<u8>()?;
        if let Some(label) = labels.iter().find(|&&label| label > 9) {
            return Err(broken(&of_labels, &format!("a label of {label}")));
        }
        let pixels = images.to_vec::<u8>()?.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        Digits::new(pixels, labels.into_iter().map(i32::from).collect())
    }

    /// All of the files of the classes.
    fn by_class(folder: &Path) -> Result<Digits> {
        #[derive(Deserialize)]
        struct Class {
            data: Vec<f32>,
        }
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for label in 0..10 {
            let path = folder.join(format!("{label}.json"));
            let file = File::open(&path).map_err(|error| broken(&path, &error.to_string()))?;
            let class: Class =
                serde_json::from_reader(BufReader::new(file)).map_err(|error| broken(&path, &error.to_string()))?;
            if !class.data.len().is_multiple_of(PIXELS) {
                return Err(broken(&path, &format!("{} pixels are no whole number of images", class.data.len())));
            }
            labels.resize(labels.len() + class.data.len() / PIXELS, label);
            pixels.extend(class.data);
        }
        Digits::new(pixels, labels)
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
}

fn broken(path: &Path, what: &str) -> Error {
    Error::data_loss(format!("{}: {what}", path.display()))
}

/// A file under its name, or that with `.gz`.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].iter().map(|name| folder.join(name)).find(|path| path.exists())
}
