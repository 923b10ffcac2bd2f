//! Batches of data: slices of tensors, or what else gives them.

use crate::data::{Cardinality, Dataset, Gather, caught};
use modulor::{Error, Result, Structure, Tensor, Tree};
use std::collections::BTreeMap;

/// Inputs, targets and weights of some samples.
#[derive(Clone, Debug)]
pub struct Batch<In> {
    /// What the model is given.
    pub x: In,
    /// What it should give; [`Tree::None`] where nothing is known of that.
    pub y: Tree,
    /// How much each sample counts; [`Tree::None`] for 1 each.
    pub weight: Tree,
}

/// Batches in an order that follows from the epoch alone, so that a training can be taken up anywhere.
pub trait Batches<In> {
    /// How many an epoch has, if that is known.
    fn cardinality(&self) -> Option<usize>;

    /// Whether an epoch has no end, so that it must be said how many of its batches are wanted.
    fn is_infinite(&self) -> bool {
        false
    }

    /// Those of an epoch but for the first `skip`. Orders, where they are random, follow from `seed` and the epoch.
    fn epoch<'b>(
        &'b self,
        seed: u64,
        epoch: usize,
        skip: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch<In>>> + 'b>>;
}

impl<In, B: Batches<In> + ?Sized> Batches<In> for &B {
    fn cardinality(&self) -> Option<usize> {
        (**self).cardinality()
    }

    fn is_infinite(&self) -> bool {
        (**self).is_infinite()
    }

    fn epoch<'b>(
        &'b self,
        seed: u64,
        epoch: usize,
        skip: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch<In>>> + 'b>> {
        (**self).epoch(seed, epoch, skip)
    }
}

/// Datasets of batches: each element is one, as a tuple of its parts. Orders follow from the seeds of the dataset.
macro_rules! datasets {
    ($($element:ty, <$($extra:ident),*> |$part:pat_param| $batch:expr;)*) => { $(
        impl<X: Structure, $($extra: Structure),*> Batches<X> for Dataset<$element> {
            fn cardinality(&self) -> Option<usize> {
                self.cardinality().known().and_then(|count| count.try_into().ok())
            }

            fn is_infinite(&self) -> bool {
                self.cardinality() == Cardinality::Infinite
            }

            fn epoch<'b>(
                &'b self,
                _: u64,
                epoch: usize,
                skip: usize,
            ) -> Result<Box<dyn Iterator<Item = Result<Batch<X>>> + 'b>> {
                Ok(Box::new(self.iter_at(epoch as u64, skip as u64).map(|element| element.map(|$part| $batch))))
            }
        }
    )* };
}

datasets! {
    (X, Y), <Y> |(x, y)| Batch { x, y: y.to_tree(), weight: Tree::None };
    (X, Y, W), <Y, W> |(x, y, weight)| Batch { x, y: y.to_tree(), weight: weight.to_tree() };
}

/// The batches of an epoch but for the first `skip`; where they panic, that is an error in the place of a batch.
pub(super) fn guarded<'b, In>(
    batches: &'b dyn Batches<In>,
    seed: u64,
    epoch: usize,
    skip: usize,
) -> Result<impl Iterator<Item = Result<Batch<In>>> + use<'b, In>> {
    const WHAT: &str = "what gives the batches";
    let mut found = caught(WHAT, || batches.epoch(seed, epoch, skip))?;
    Ok(std::iter::from_fn(move || caught(WHAT, || found.next().transpose()).transpose()))
}

/// An error where the data has no end and nothing says how much of it is wanted.
pub(super) fn must_end<In>(batches: &dyn Batches<In>, steps: Option<usize>, setting: &str) -> Result<()> {
    match steps.is_none() && batches.is_infinite() {
        true => Err(Error::invalid_argument(format!("the data has no end: say how many batches with `{setting}`"))),
        false => Ok(()),
    }
}

/// Slices of tensors along their first axis.
pub(super) struct TensorBatches<In> {
    x: In,
    y: Tree,
    weight: Tree,
    samples: usize,
    batch_size: usize,
    shuffle: bool,
    gather: Gather,
}

impl<In: Structure> TensorBatches<In> {
    pub fn new(x: In, y: Tree, weight: Tree, batch_size: usize, shuffle: bool) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::invalid_argument("`batch_size` must be 1 or more, found 0"));
        }
        let samples = samples(&x, &y, &weight)?;
        if samples == 0 {
            return Err(Error::invalid_argument("there are no samples, and so 0 batches"));
        }
        Ok(TensorBatches { x, y, weight, samples, batch_size, shuffle, gather: Gather::new() })
    }

    fn slice(&self, begin: usize, end: usize) -> Result<Batch<In>> {
        let mut slice = |t: &Tensor| part(t, begin, end);
        Ok(Batch { x: self.x.replace(&mut slice)?, y: self.y.map(&mut slice)?, weight: self.weight.map(&mut slice)? })
    }

    /// The rows at these places.
    fn gather(&self, places: &[usize], buffers: &mut Vec<Tensor>) -> Result<Batch<In>> {
        let mut rows = self.gather.rows(places, buffers);
        Ok(Batch { x: self.x.replace(&mut rows)?, y: self.y.map(&mut rows)?, weight: self.weight.map(&mut rows)? })
    }
}

impl<In: Structure> Batches<In> for TensorBatches<In> {
    fn cardinality(&self) -> Option<usize> {
        Some(self.samples.div_ceil(self.batch_size))
    }

    fn epoch<'b>(
        &'b self,
        seed: u64,
        epoch: usize,
        skip: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch<In>>> + 'b>> {
        let bounds = (0..self.samples).step_by(self.batch_size).skip(skip);
        let bounds = bounds.map(|begin| (begin, self.samples.min(begin + self.batch_size)));
        if !self.shuffle {
            return Ok(Box::new(bounds.map(|(begin, end)| self.slice(begin, end))));
        }
        let order = order(self.samples, seed, epoch)?;
        // Full batches and the last one each have their buffers.
        let (mut full, mut rest) = (Vec::new(), Vec::new());
        Ok(Box::new(bounds.map(move |(begin, end)| {
            let buffers = if end - begin == self.batch_size { &mut full } else { &mut rest };
            self.gather(&order[begin..end], buffers)
        })))
    }
}

/// The numbers below `n` in an order that follows from a seed and the epoch.
fn order(n: usize, seed: u64, epoch: usize) -> Result<Vec<usize>> {
    let count =
        i64::try_from(n).map_err(|_| Error::out_of_range(format!("{n} samples are more than can be counted")))?;
    let seeds = Tensor::from([seed as i64, epoch as i64]);
    let keys = Tensor::stateless_bits(&Tensor::from([count]), &seeds, modulor::DType::U64)?.to_vec::<u64>()?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&at| keys[at]);
    Ok(order)
}

/// Some of the elements of the first axis, without a copy, and of the mask.
pub(super) fn part(t: &Tensor, begin: usize, end: usize) -> Result<Tensor> {
    let mask = t.mask().map(|mask| mask.rows(begin..end)).transpose()?;
    Ok(t.rows(begin..end)?.with_mask(mask))
}

/// How many samples there are: all tensors must have as many.
pub(super) fn samples<In: Structure>(x: &In, y: &Tree, weight: &Tree) -> Result<usize> {
    let mut found: Option<usize> = None;
    for (what, tree) in [("x", x.to_tree()), ("y", y.clone()), ("sample_weight", weight.clone())] {
        for leaf in tree.leaves() {
            let Some(&count) = leaf.dims()?.first() else {
                return Err(Error::invalid_argument(format!("`{what}` is a scalar, and has no axis of samples")));
            };
            match found {
                Some(samples) if samples != count => {
                    return Err(Error::invalid_argument(format!(
                        "`{what}` has {count} samples and `x` has {samples}: all must have as many"
                    )));
                }
                _ => found = Some(count),
            }
        }
    }
    found.ok_or_else(|| Error::invalid_argument("there are no tensors to take samples from"))
}

/// Tensors and what is left of them for validation: the end of each.
pub(super) type Split<In> = ((In, Tree, Tree), (In, Tree, Tree));

/// Splits off the last part of all tensors.
pub(super) fn split<In: Structure>(x: &In, y: &Tree, weight: &Tree, validation_split: f64) -> Result<Split<In>> {
    let samples = samples(x, y, weight)?;
    if !(validation_split > 0.0 && validation_split < 1.0) {
        let message = format!("`validation_split` must be above 0 and below 1, found {validation_split}");
        return Err(Error::invalid_argument(message));
    }
    let at = (samples as f64 * (1.0 - validation_split)).floor() as usize;
    if at == 0 || at == samples {
        return Err(Error::invalid_argument(format!(
            "{samples} samples are too few for a `validation_split` of {validation_split}"
        )));
    }
    let take = |begin: usize, end: usize| {
        let mut part = |t: &Tensor| part(t, begin, end);
        Ok::<_, Error>((x.replace(&mut part)?, y.map(&mut part)?, weight.map(&mut part)?))
    };
    Ok((take(0, at)?, take(at, samples)?))
}

/// The weight of every sample, by its class: 1 of a class that has none.
pub(super) fn weights_of_classes(y: &Tree, class_weight: &BTreeMap<i64, f64>) -> Result<Tree> {
    let Tree::Leaf(y) = y else {
        return Err(Error::invalid_argument("`class_weight` is for models with one output"));
    };
    let classes = match y.dims()? {
        [] => return Err(Error::invalid_argument("`y` is a scalar, and has no axis of samples")),
        [_] => y.clone(),
        [.., 1] => y.squeeze([-1])?,
        [..] => y.argmax(-1)?,
    };
    if classes.rank() != Some(1) {
        let message = format!("`class_weight` is for targets of one class each, found {}", y.spec());
        return Err(Error::invalid_argument(message));
    }
    let classes = match classes.dtype().is_float() {
        true => classes
            .cast(modulor::DType::F64)?
            .to_vec::<f64>()?
            .into_iter()
            .map(|class| class.round_ties_even() as i64)
            .collect(),
        false => classes.cast(modulor::DType::I64)?.to_vec::<i64>()?,
    };
    let weights = classes.iter().map(|class| class_weight.get(class).map_or(1.0, |&weight| weight as f32));
    Ok(Tree::Leaf(Tensor::new([classes.len()], weights.collect::<Vec<f32>>())?))
}
