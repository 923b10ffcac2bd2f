//! How much of classes is in both what is true and what is predicted.

use super::class::{counted, counters, defaults};
use super::total::rank;
use crate::family::EPSILON;
use modulor::{DType, Error, Result, Tensor};

/// How a batch becomes pairs of class ids.
struct Pairs<'a> {
    num_classes: usize,
    ignore_class: Option<i64>,
    /// The axis of the scores of what is true, if those are not ids, and of what is predicted.
    axes: [Option<i64>; 2],
    /// What weights are cast to.
    dtype: DType,
    weight: Option<&'a Tensor>,
}

impl Pairs<'_> {
    /// The weights of all pairs of classes, `[true, predicted]`: float64. Pairs with an id that is no class do not count.
    fn count(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Vec<Tensor>> {
        let ids = |y: &Tensor, axis: Option<i64>| {
            y.check()?;
            let ids = axis.map_or_else(|| Ok(y.clone()), |axis| y.argmax(axis))?;
            ids.cast(DType::I64)?.reshape([-1])
        };
        let (y_true, y_pred) = (ids(y_true, self.axes[0])?, ids(y_pred, self.axes[1])?);
        if !y_true.shape().is_compatible_with(y_pred.shape()) {
            let (y_true, y_pred) = (y_true.shape(), y_pred.shape());
            return Err(Error::invalid_argument(format!("{y_true} true class ids, and {y_pred} predicted ones")));
        }
        let weights = match self.weight {
            None => y_true.ones_like()?.cast(DType::F64)?,
            Some(weight) => {
                let weight = weight.cast(self.dtype)?.cast(DType::F64)?;
                let flat = if rank(&weight)? > 1 { weight.reshape([-1])? } else { weight };
                if rank(&flat)? == 1 && !flat.shape().is_compatible_with(y_true.shape()) {
                    let (weight, ids) = (flat.shape(), y_true.shape());
                    return Err(Error::invalid_argument(format!("sample weights {weight} do not fit class ids {ids}")));
                }
                flat.broadcast_like(&y_true)?
            }
        };
        let number = |number: i64| Tensor::scalar(number);
        let classes = i64::try_from(self.num_classes).unwrap_or(i64::MAX);
        let is_class = |ids: &Tensor| ids.greater_equal(number(0))?.logical_and(&ids.less(number(classes))?);
        let mut counts = is_class(&y_true)?.logical_and(&is_class(&y_pred)?)?;
        if let Some(ignored) = self.ignore_class {
            counts = counts.logical_and(&y_true.not_equal(number(ignored))?)?;
        }
        let cells = counts.select(&y_true.mul(number(classes))?.add(y_pred)?, &number(-1))?;
        let sums = weights.segment_sum(&cells, self.num_classes * self.num_classes)?;
        Ok(vec![sums.reshape([classes, classes])?])
    }
}

/// The mean over some classes of the pairs in which both are the class by those in which one is; classes that nothing
/// is of do not count.
fn mean_overlap(pairs: &Tensor, num_classes: usize, targets: &[usize]) -> Result<Tensor> {
    if let Some(wrong) = targets.iter().find(|target| **target >= num_classes) {
        return Err(Error::invalid_argument(format!("class {wrong} is not below `num_classes`, {num_classes}")));
    }
    let targets = Tensor::new([targets.len()], targets.iter().map(|target| *target as i64).collect::<Vec<_>>())?;
    let places = targets.mul(Tensor::scalar(num_classes as i64 + 1))?;
    let both = pairs.reshape([-1])?.gather(&places, 0)?;
    let of_class = |axis: i64| pairs.sum(axis)?.gather(&targets, 0);
    let any = of_class(0)?.add(of_class(1)?)?.sub(&both)?;
    let counts = any.greater(1e-9)?;
    let shares = counts.select(&both.div(&any + EPSILON)?, &both.zeros_like()?)?;
    shares.sum(..)?.div(counts.cast(DType::F64)?.sum(..)? + EPSILON)
}

fn all(num_classes: usize) -> Vec<usize> {
    (0..num_classes).collect()
}

counters! {
    /// The intersection of what is true and what is predicted by their union, the mean over some classes.
    ///
    /// `y_true` and `y_pred` are class ids, or scores of classes on an axis. Ids that are no class do not count. Weights are
    /// cast to the dtype of the metric, so that parts of whole numbers are lost unless that is a float.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::metric::{IoU, Metric};
    /// # fn main() -> modulor::Result<()> {
    /// let iou = IoU::new(2, vec![0]);
    /// iou.update_state(&Tensor::from([0, 0, 1, 1]), &Tensor::from([0, 1, 0, 1]), None)?;
    /// assert!((iou.result()?.item::<f32>()? - 1.0 / 3.0).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Variables
    ///
    /// `total_confusion_matrix` of `[num_classes, num_classes]`: the weights of all pairs of a true class and a predicted
    /// one.
    IoU "io_u", I64;
    #[config]
    num_classes: usize;
    #[config]
    target_class_ids: Vec<usize>;
    /// A true class whose pairs do not count; none unless set.
    #[config(default, into)]
    ignore_class: Option<i64>;
    /// Whether `y_true` is class ids, not scores; it is unless this says no.
    #[config(default = true)]
    sparse_y_true: bool;
    /// Whether `y_pred` is class ids, not scores; it is unless this says no.
    #[config(default = true)]
    sparse_y_pred: bool;
    /// The axis of scores; -1 unless set.
    #[config(default = -1)]
    axis: i64;
    => total_confusion_matrix exact_total_confusion_matrix;

    /// [`IoU`] of all classes.
    ///
    /// # Variables
    ///
    /// As [`IoU`] has.
    MeanIoU "mean_io_u", I64;
    #[config]
    num_classes: usize;
    /// A true class whose pairs do not count; none unless set.
    #[config(default, into)]
    ignore_class: Option<i64>;
    /// Whether `y_true` is class ids, not scores; it is unless this says no.
    #[config(default = true)]
    sparse_y_true: bool;
    /// Whether `y_pred` is class ids, not scores; it is unless this says no.
    #[config(default = true)]
    sparse_y_pred: bool;
    /// The axis of scores; -1 unless set.
    #[config(default = -1)]
    axis: i64;
    => total_confusion_matrix exact_total_confusion_matrix;

    /// [`IoU`] of one-hot `y_true`.
    ///
    /// # Variables
    ///
    /// As [`IoU`] has.
    OneHotIoU "one_hot_io_u", I64;
    #[config]
    num_classes: usize;
    #[config]
    target_class_ids: Vec<usize>;
    /// A true class whose pairs do not count; none unless set.
    #[config(default, into)]
    ignore_class: Option<i64>;
    /// Whether `y_pred` is class ids, not scores.
    #[config(default)]
    sparse_y_pred: bool;
    /// The axis of scores; -1 unless set.
    #[config(default = -1)]
    axis: i64;
    => total_confusion_matrix exact_total_confusion_matrix;

    /// [`MeanIoU`] of one-hot `y_true`.
    ///
    /// # Variables
    ///
    /// As [`IoU`] has.
    OneHotMeanIoU "one_hot_mean_io_u", I64;
    #[config]
    num_classes: usize;
    /// A true class whose pairs do not count; none unless set.
    #[config(default, into)]
    ignore_class: Option<i64>;
    /// Whether `y_pred` is class ids, not scores.
    #[config(default)]
    sparse_y_pred: bool;
    /// The axis of scores; -1 unless set.
    #[config(default = -1)]
    axis: i64;
    => total_confusion_matrix exact_total_confusion_matrix;

    /// [`IoU`] of the classes 0 and 1, which `y_pred` has a probability of.
    ///
    /// # Variables
    ///
    /// As [`IoU`] has.
    BinaryIoU "binary_io_u", I64;
    /// The classes that the result is the mean of; both unless set.
    #[config(default = vec![0, 1], into)]
    target_class_ids: Vec<usize>;
    /// The least probability of class 1; ½ unless set.
    #[config(default = 0.5)]
    threshold: f64;
    => total_confusion_matrix exact_total_confusion_matrix;
}

defaults! { BinaryIoU }

macro_rules! of_classes {
    ($($class:ident |$metric:ident| $classes:expr, $targets:expr, $ignored:expr, $axes:expr;)*) => {
        counted! {
            $($class |$metric| {
                dims Some(vec![$classes, $classes]);
                update |y_true, y_pred, weight| {
                    let (num_classes, ignore_class, axes) = ($classes, $ignored, $axes);
                    Pairs { num_classes, ignore_class, axes, dtype: $metric.dtype, weight }.count(y_true, y_pred)?
                };
                result |pairs| mean_overlap(pairs, $classes, &$targets);
            })*
        }
    };
}

/// The axis of scores, where they are no ids.
fn axis(sparse: bool, axis: i64) -> Option<i64> {
    (!sparse).then_some(axis)
}

of_classes! {
    IoU |m| m.num_classes, m.target_class_ids, m.ignore_class,
        [axis(m.sparse_y_true, m.axis), axis(m.sparse_y_pred, m.axis)];
    MeanIoU |m| m.num_classes, all(m.num_classes), m.ignore_class,
        [axis(m.sparse_y_true, m.axis), axis(m.sparse_y_pred, m.axis)];
    OneHotIoU |m| m.num_classes, m.target_class_ids, m.ignore_class, [Some(m.axis), axis(m.sparse_y_pred, m.axis)];
    OneHotMeanIoU |m| m.num_classes, all(m.num_classes), m.ignore_class,
        [Some(m.axis), axis(m.sparse_y_pred, m.axis)];
}

counted! {
    BinaryIoU |metric| {
        dims Some(vec![2, 2]);
        update |y_true, y_pred, weight| {
            let y_pred = y_pred.cast(DType::F32)?.greater_equal(metric.threshold)?;
            let pairs = Pairs { num_classes: 2, ignore_class: None, axes: [None; 2], dtype: metric.dtype, weight };
            pairs.count(y_true, &y_pred)?
        };
        result |pairs| mean_overlap(pairs, 2, &metric.target_class_ids);
    }
}
