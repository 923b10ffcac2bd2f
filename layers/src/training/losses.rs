//! The losses of all outputs of a model.

use super::outputs::{Output, paired};
use crate::loss::{AnyLoss, Loss};
use crate::metric::Mean;
use modulor::{Error, Result, Tensor, Tree, nearest};
use std::sync::{Arc, Mutex, PoisonError};

/// The loss of one output: a [`Loss`], or one by Keras's name for it. `"crossentropy"` is binary, sparse or categorical by
/// the shapes of targets and predictions.
#[derive(Clone)]
pub struct LossOf(Kind);

#[derive(Clone)]
enum Kind {
    Given(Arc<dyn Loss>),
    Named(String),
}

impl<L: Loss> From<L> for LossOf {
    fn from(loss: L) -> Self {
        LossOf(Kind::Given(Arc::new(loss)))
    }
}

impl From<&str> for LossOf {
    fn from(name: &str) -> Self {
        LossOf(Kind::Named(name.to_owned()))
    }
}

const BY_SHAPES: [&str; 2] = ["crossentropy", "ce"];

impl LossOf {
    /// An error for a name that nothing has.
    fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Named(name) if !BY_SHAPES.contains(&&*name.to_lowercase()) => AnyLoss::named(name).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn resolved(&self, y_true: &Tensor, output: &Output) -> Result<Arc<dyn Loss>> {
        let name = match &self.0 {
            Kind::Given(loss) => return Ok(loss.clone()),
            Kind::Named(name) if BY_SHAPES.contains(&&*name.to_lowercase()) => match output.targets(y_true) {
                Targets::Binary => "binary_crossentropy",
                Targets::Sparse => "sparse_categorical_crossentropy",
                Targets::Categorical => "categorical_crossentropy",
            },
            Kind::Named(name) => name,
        };
        Ok(Arc::new(AnyLoss::named(name)?))
    }
}

/// What targets are to the predictions of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Targets {
    /// One probability for each.
    Binary,
    /// Numbers of classes.
    Sparse,
    /// A number for each class.
    Categorical,
}

/// The losses of all outputs of a model.
///
/// ```
/// use modulor_layers::loss::Huber;
/// use modulor_layers::training::{LossOf, Losses};
/// let one = Losses::from("mse");
/// let each = Losses::from([LossOf::from("mse"), Huber::default().into()]);
/// let by_name = Losses::named([("age", "mse"), ("sex", "binary_crossentropy")]);
/// ```
#[derive(Clone)]
pub struct Losses(Setting);

#[derive(Clone)]
enum Setting {
    All(LossOf),
    Each(Vec<Option<LossOf>>),
    Named(Vec<(String, LossOf)>),
}

impl<L: Loss> From<L> for Losses {
    fn from(loss: L) -> Self {
        Losses(Setting::All(loss.into()))
    }
}

impl From<&str> for Losses {
    fn from(name: &str) -> Self {
        Losses(Setting::All(name.into()))
    }
}

impl From<LossOf> for Losses {
    fn from(loss: LossOf) -> Self {
        Losses(Setting::All(loss))
    }
}

impl<L: Into<LossOf>, const N: usize> From<[L; N]> for Losses {
    fn from(losses: [L; N]) -> Self {
        Losses(Setting::Each(losses.into_iter().map(|loss| Some(loss.into())).collect()))
    }
}

impl Losses {
    /// A loss for each output by its name; those that are not named have none. The outputs of a
    /// [`Model`](crate::model::Model) have the names of the layers that they come from, those of a map or a derived struct their
    /// keys; others are `output_0`, `output_1`, ..
    pub fn named<'n, L: Into<LossOf>>(losses: impl IntoIterator<Item = (&'n str, L)>) -> Losses {
        Losses(Setting::Named(losses.into_iter().map(|(name, loss)| (name.to_owned(), loss.into())).collect()))
    }

    /// A loss for each output, in their order, or none.
    pub fn each(losses: impl IntoIterator<Item = Option<LossOf>>) -> Losses {
        Losses(Setting::Each(losses.into_iter().collect()))
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Setting::All(loss) => loss.check(),
            Setting::Each(losses) => losses.iter().flatten().try_for_each(LossOf::check),
            Setting::Named(losses) => losses.iter().try_for_each(|(_, loss)| loss.check()),
        }
    }

    /// The loss of each output.
    fn of_outputs(&self, outputs: &[Output]) -> Result<Vec<Option<LossOf>>> {
        match &self.0 {
            Setting::All(loss) => Ok(outputs.iter().map(|_| Some(loss.clone())).collect()),
            Setting::Each(losses) if losses.len() == outputs.len() => Ok(losses.clone()),
            Setting::Each(losses) => Err(Error::invalid_argument(format!(
                "there are {} losses, and the model has {} outputs",
                losses.len(),
                outputs.len()
            ))),
            Setting::Named(losses) => {
                let mut of = vec![None; outputs.len()];
                for (name, loss) in losses {
                    let at = outputs.iter().position(|output| output.name == *name);
                    let at = at.ok_or_else(|| unknown_output("loss", name, outputs))?;
                    of[at] = Some(loss.clone());
                }
                Ok(of)
            }
        }
    }
}

pub(super) fn unknown_output(what: &str, name: &str, outputs: &[Output]) -> Error {
    let known = nearest::suggestion(name, outputs.iter().map(|output| &*output.name));
    Error::not_found(format!("a {what} is given for the output `{name}`, which the model does not have; {known}"))
}

/// The losses, once it is known what the outputs are.
pub(super) struct CompiledLoss {
    setting: Losses,
    weights: Mutex<Option<Vec<f64>>>,
    built: Mutex<Option<Arc<Built>>>,
}

struct Built {
    /// Of each output: its loss, the weight of that, and what counts it alone, where there are several.
    losses: Vec<Option<(Arc<dyn Loss>, Option<f64>)>>,
    means: Vec<(usize, String, Mean)>,
}

impl CompiledLoss {
    pub fn new(setting: Losses) -> Result<CompiledLoss> {
        setting.check()?;
        Ok(CompiledLoss { setting, weights: Mutex::default(), built: Mutex::default() })
    }

    pub fn set_weights(&self, weights: Vec<f64>) -> Result<()> {
        if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
            return Err(Error::invalid_argument(format!("loss weights are finite numbers, found {weight}")));
        }
        *self.weights.lock().unwrap_or_else(PoisonError::into_inner) = Some(weights);
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    pub fn build(&self, y: &Tree, outputs: &[Output]) -> Result<()> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if built.is_some() {
            return Ok(());
        }
        let of = self.setting.of_outputs(outputs)?;
        let y = paired(y, outputs.len(), &of.iter().map(Option::is_some).collect::<Vec<_>>())?;
        let count = of.iter().flatten().count();
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weights) = weights.as_ref().filter(|weights| weights.len() != count) {
            let message = format!("there are {} loss weights and {count} losses", weights.len());
            return Err(Error::invalid_argument(message));
        }
        let mut weights = weights.iter().flatten().copied();
        let (mut losses, mut means) = (Vec::new(), Vec::new());
        for (at, ((loss, y), output)) in of.iter().zip(y).zip(outputs).enumerate() {
            let (Some(loss), Some(y)) = (loss, y) else {
                losses.push(None);
                continue;
            };
            losses.push(Some((loss.resolved(&y, output)?, weights.next())));
            if count > 1 {
                let name = format!("{}_loss", output.name);
                means.push((at, name.clone(), Mean::new().name(name)));
            }
        }
        *built = Some(Arc::new(Built { losses, means }));
        Ok(())
    }

    fn built(&self) -> Result<Arc<Built>> {
        let built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.clone().ok_or_else(|| Error::internal("losses are built before they are computed"))
    }

    /// What counts the loss of each output, by its name in logs.
    pub fn means(&self) -> Vec<(String, Mean)> {
        use modulor::module::Track;
        let built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let means = built.iter().flat_map(|built| &built.means);
        means.map(|(_, name, mean)| (name.clone(), mean.share())).collect()
    }

    /// The sum of the weighted losses, float32 or wider, beside those of each output that has one.
    pub fn value(&self, y: &Tree, y_pred: &[Tensor], weight: &Tree) -> Result<(Option<Tensor>, Vec<(usize, Tensor)>)> {
        let built = self.built()?;
        let has_loss: Vec<bool> = built.losses.iter().map(Option::is_some).collect();
        let (y, weight) = (paired(y, y_pred.len(), &has_loss)?, repeated(weight, y_pred.len(), &has_loss)?);
        let (mut sum, mut each): (Option<Tensor>, _) = (None, Vec::new());
        for (at, loss) in built.losses.iter().enumerate() {
            let (Some((loss, factor)), Some(y)) = (loss, &y[at]) else { continue };
            let value = loss.value(y, &y_pred[at], weight[at].as_ref())?;
            let value = if value.rank() == Some(0) { value } else { value.mean(..)? };
            let value = if value.dtype().size() < 4 { value.cast(modulor::DType::F32)? } else { value };
            each.push((at, value.clone()));
            let value = match factor {
                Some(factor) => value.mul(*factor)?,
                None => value,
            };
            sum = Some(match sum {
                Some(sum) => sum.add(value.cast(sum.dtype())?)?,
                None => value,
            });
        }
        Ok((sum, each))
    }

    /// Counts the losses of each output.
    pub fn count(&self, each: &[(usize, Tensor)], samples: &Tensor) -> Result<()> {
        for (at, _, mean) in &self.built()?.means {
            if let Some((_, value)) = each.iter().find(|(other, _)| other == at) {
                mean.update_state(value, Some(samples))?;
            }
        }
        Ok(())
    }
}

/// The weights of each output: one for all is given to each.
pub(super) fn repeated(weight: &Tree, outputs: usize, has_loss: &[bool]) -> Result<Vec<Option<Tensor>>> {
    match weight {
        Tree::None => Ok(vec![None; outputs]),
        Tree::Leaf(weight) => Ok(vec![Some(weight.clone()); outputs]),
        several => paired(several, outputs, has_loss).map_err(|error| error.within("sample_weight")),
    }
}
