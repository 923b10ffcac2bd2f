//! Sequences out of others: parts of a series, and sequences made one length.

use super::Dataset;
use modulor::{Element, Error, Result, Tensor, step};

/// Sequences that begin along a series of steps: Keras's `timeseries_dataset_from_array`.
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::data::Timeseries;
/// # fn main() -> modulor::Result<()> {
/// let series = Tensor::from([0, 1, 2, 3, 4, 5]);
/// let windows = Timeseries::new(3).sequence_stride(2).with_targets(&series, &series.slice(3..)?)?;
/// let first = windows.iter().next().unwrap()?;
/// assert_eq!((first.0.to_vec::<i32>()?, first.1.item::<i32>()?), (vec![0, 1, 2], 3));
/// assert_eq!(windows.batch(2).cardinality().known(), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Timeseries {
    sequence_length: usize,
    sequence_stride: usize,
    sampling_rate: usize,
    start_index: usize,
    end_index: Option<usize>,
}

impl Timeseries {
    /// Sequences of so many steps.
    pub fn new(sequence_length: usize) -> Timeseries {
        Timeseries { sequence_length, sequence_stride: 1, sampling_rate: 1, start_index: 0, end_index: None }
    }

    /// How many steps a sequence begins behind the one before it; 1 unless set.
    #[must_use]
    pub fn sequence_stride(self, sequence_stride: usize) -> Timeseries {
        Timeseries { sequence_stride, ..self }
    }

    /// How many steps of the series are one of a sequence; 1 unless set.
    #[must_use]
    pub fn sampling_rate(self, sampling_rate: usize) -> Timeseries {
        Timeseries { sampling_rate, ..self }
    }

    /// The step from which on the series is used; its first unless set.
    #[must_use]
    pub fn start_index(self, start_index: usize) -> Timeseries {
        Timeseries { start_index, ..self }
    }

    /// The step before which it ends; it is used to its end unless set.
    #[must_use]
    pub fn end_index(self, end_index: impl Into<Option<usize>>) -> Timeseries {
        Timeseries { end_index: end_index.into(), ..self }
    }

    /// The sequences of data whose steps lie along the first axis: elements `[sequence_length, ..]`, in the order of their
    /// beginnings.
    ///
    /// An error where a setting is 0, or where the data has no steps from `start_index` to `end_index`.
    pub fn dataset(&self, data: &Tensor) -> Result<Dataset<Tensor>> {
        let data = self.part(data)?;
        let (count, parts) = (self.beginnings(&data, None)?, self.clone());
        Ok(Dataset::range(0..count).map(move |number| parts.sequence(&data, &number)))
    }

    /// As [`dataset`](Timeseries::dataset), each sequence with what stands in `targets` at its beginning; as many as there are
    /// targets for.
    ///
    /// To foretell a step, give the targets without as many as the sequences are long.
    pub fn with_targets(&self, data: &Tensor, targets: &Tensor) -> Result<Dataset<(Tensor, Tensor)>> {
        let data = self.part(data)?;
        let (count, parts, targets) = (self.beginnings(&data, Some(targets))?, self.clone(), targets.clone());
        // As in Keras, the targets are cut as the data is.
        let (start, stride) = (self.start_index as i64, self.sequence_stride as i64);
        Ok(Dataset::range(0..count).map(move |number| {
            let target = targets.slice(start + number.item::<i64>()? * stride)?;
            Ok((parts.sequence(&data, &number)?, target))
        }))
    }

    /// The steps of the data that are used.
    fn part(&self, data: &Tensor) -> Result<Tensor> {
        let settings = [
            ("sequence_length", self.sequence_length),
            ("sequence_stride", self.sequence_stride),
            ("sampling_rate", self.sampling_rate),
        ];
        if let Some((name, _)) = settings.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid_argument(format!("`{name}` must be at least 1, found 0")));
        }
        let steps = steps(data, "data")?;
        let (start, end) = (self.start_index, self.end_index.unwrap_or(steps));
        if start >= end || end > steps {
            let message = format!("`start_index` {start} and `end_index` {end} hold no part of {steps} steps");
            return Err(Error::invalid_argument(message));
        }
        data.slice(start as i64..end as i64)
    }

    /// How many sequences begin in the data.
    fn beginnings(&self, data: &Tensor, targets: Option<&Tensor>) -> Result<i64> {
        let span = (self.sequence_length - 1).saturating_mul(self.sampling_rate);
        let mut places = steps(data, "data")?.saturating_sub(span);
        if let Some(targets) = targets {
            places = places.min(steps(targets, "targets")?.saturating_sub(self.start_index));
        }
        Ok(places.div_ceil(self.sequence_stride) as i64)
    }

    fn sequence(&self, data: &Tensor, number: &Tensor) -> Result<Tensor> {
        let start = number.item::<i64>()? * self.sequence_stride as i64;
        // That it is within the data has been counted.
        let span = ((self.sequence_length - 1) * self.sampling_rate) as i64;
        let rate = i64::try_from(self.sampling_rate).unwrap_or(i64::MAX);
        data.slice(step(start..start + span + 1, rate))
    }
}

fn steps(tensor: &Tensor, name: &str) -> Result<usize> {
    match tensor.dims()? {
        [steps, ..] => Ok(*steps),
        [] => Err(Error::invalid_argument(format!("`{name}` is a scalar, and has no steps"))),
    }
}

/// An end of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Where it begins: Keras's `pre`.
    #[default]
    Front,
    /// Where it stops: Keras's `post`.
    Back,
}

/// Sequences of numbers made one length: Keras's `pad_sequences`.
///
/// ```
/// use modulor_layers::data::{End, PadSequences};
/// # fn main() -> modulor::Result<()> {
/// let sequences = [vec![1, 2, 3], vec![4]];
/// assert_eq!(PadSequences::new().rows(&sequences, 0)?.to_vec::<i32>()?, [1, 2, 3, 0, 0, 4]);
/// let back = PadSequences::new().maxlen(2).padding(End::Back).rows(&sequences, -1)?;
/// assert_eq!(back.to_vec::<i32>()?, [2, 3, 4, -1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PadSequences {
    maxlen: Option<usize>,
    padding: End,
    truncating: End,
}

impl PadSequences {
    /// As long as the longest sequence, filled and cut at the front.
    pub fn new() -> PadSequences {
        PadSequences::default()
    }

    /// How long all become; as long as the longest unless set.
    #[must_use]
    pub fn maxlen(self, maxlen: impl Into<Option<usize>>) -> PadSequences {
        PadSequences { maxlen: maxlen.into(), ..self }
    }

    /// At which end a short sequence is filled; in front unless set.
    #[must_use]
    pub fn padding(self, padding: End) -> PadSequences {
        PadSequences { padding, ..self }
    }

    /// At which end a long sequence is cut; in front unless set.
    #[must_use]
    pub fn truncating(self, truncating: End) -> PadSequences {
        PadSequences { truncating, ..self }
    }

    /// The sequences as rows, `[sequences, maxlen]`, short ones filled with `value`.
    ///
    /// An error where all of them are more than memory holds.
    pub fn rows<T: Element>(&self, sequences: &[impl AsRef<[T]>], value: T) -> Result<Tensor> {
        let longest = sequences.iter().map(|sequence| sequence.as_ref().len()).max();
        let length = self.maxlen.or(longest).unwrap_or_default();
        let (mut rows, count) = (Vec::new(), sequences.len().checked_mul(length));
        if count.is_none_or(|count| rows.try_reserve_exact(count).is_err()) {
            let message = format!("{} sequences of length {length} are more than memory holds", sequences.len());
            return Err(Error::resource_exhausted(message));
        }
        for sequence in sequences {
            let sequence = sequence.as_ref();
            let cut = sequence.len().saturating_sub(length);
            let kept = match self.truncating {
                End::Front => &sequence[cut..],
                End::Back => &sequence[..sequence.len() - cut],
            };
            let filling = std::iter::repeat_n(value.clone(), length - kept.len());
            match self.padding {
                End::Front => rows.extend(filling.chain(kept.iter().cloned())),
                End::Back => rows.extend(kept.iter().cloned().chain(filling)),
            }
        }
        Tensor::new([sequences.len(), length], rows)
    }
}
