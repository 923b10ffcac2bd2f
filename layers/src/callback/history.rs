use super::{Callback, Context, Logs, State, plot};
use modulor::{Error, Result};
use std::fmt;
use std::ops::Index;

/// The numbers of one name, over the epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name, as `val_loss`.
    pub name: String,
    /// The epochs that have it, from 0.
    pub epochs: Vec<usize>,
    /// What it was in each of them.
    pub values: Vec<f64>,
}

/// What happened in each epoch: Keras's `History`, which `fit` gives back.
///
/// It prints as a table, and makes a picture of its curves.
///
/// ```
/// use modulor_layers::callback::{History, Logs};
/// let mut history = History::default();
/// history.add(0, &Logs::from_iter([("loss", 0.5), ("val_loss", 0.6)]));
/// history.add(1, &Logs::from_iter([("loss", 0.25), ("val_loss", 0.5)]));
/// assert_eq!(history.epochs, [0, 1]);
/// assert_eq!(history["loss"], [0.5, 0.25]);
/// assert_eq!(
///     history.to_string(),
///     "epoch    loss  val_loss\n\
///      \u{20}   1  0.5000    0.6000\n\
///      \u{20}   2  0.2500    0.5000\n"
/// );
/// assert!(history.to_svg().starts_with("<svg"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The epochs, from 0.
    pub epochs: Vec<usize>,
    series: Vec<Series>,
}

impl History {
    /// The numbers of all names, in the order of the names.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The numbers of a name, of those epochs that have it.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.series.iter().find(|series| series.name == name).map(|series| &*series.values)
    }

    /// Adds an epoch.
    pub fn add(&mut self, epoch: usize, logs: &Logs) {
        self.epochs.push(epoch);
        for (name, value) in logs.iter() {
            let at = match self.series.binary_search_by(|series| (*series.name).cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    self.series.insert(at, Series { name: name.to_owned(), epochs: Vec::new(), values: Vec::new() });
                    at
                }
            };
            self.series[at].epochs.push(epoch);
            self.series[at].values.push(value);
        }
    }

    /// The curves as a picture: one for each number, with that of validation beside that of training.
    pub fn to_svg(&self) -> String {
        plot::svg(self)
    }

    /// The number of a name in an epoch.
    fn at(&self, series: &Series, epoch: usize) -> Option<f64> {
        series.epochs.iter().position(|&other| other == epoch).map(|at| series.values[at])
    }
}

/// The numbers of a name.
///
/// # Panics
///
/// Where no epoch has it; [`get`](History::get) says so instead.
impl Index<&str> for History {
    type Output = [f64];

    fn index(&self, name: &str) -> &[f64] {
        self.get(name).unwrap_or_else(|| {
            let names: Vec<&str> = self.series.iter().map(|series| &*series.name).collect();
            panic!("there is no `{name}` in the history, which has {names:?}")
        })
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| super::logs::Short(value).to_string());
        let columns: Vec<(&str, Vec<String>)> = self
            .series
            .iter()
            .map(|series| (&*series.name, self.epochs.iter().map(|&epoch| text(self.at(series, epoch))).collect()))
            .collect();
        let width = |(name, cells): &(&str, Vec<String>)| {
            cells.iter().map(String::len).chain([name.len()]).max().unwrap_or_default()
        };
        write!(f, "epoch")?;
        columns.iter().try_for_each(|column| write!(f, "  {:>1$}", column.0, width(column)))?;
        writeln!(f)?;
        for (at, epoch) in self.epochs.iter().enumerate() {
            write!(f, "{:>5}", epoch + 1)?;
            columns.iter().try_for_each(|column| write!(f, "  {:>1$}", column.1[at], width(column)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Callback for History {
    fn name(&self) -> &str {
        "history"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        *self = History::default();
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let logs = context.logs()?.clone();
        self.add(epoch, &logs);
        Ok(())
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        let epochs = |epochs: &[usize]| {
            let counted = epochs.iter().map(|&epoch| i64::try_from(epoch));
            let counted = counted.collect::<std::result::Result<Vec<_>, _>>();
            let counted = counted.map_err(|_| Error::out_of_range("there are more epochs than can be counted"))?;
            modulor::Tensor::new([counted.len()], counted)
        };
        state.set("epochs", &epochs(&self.epochs)?);
        for (at, Series { name, epochs: in_epochs, values }) in self.series.iter().enumerate() {
            state.set_text(&format!("name_{at}"), name)?;
            state.set(&format!("epochs_{at}"), &epochs(in_epochs)?);
            state.set(&format!("values_{at}"), &modulor::Tensor::new([values.len()], values.as_slice())?);
        }
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        let epochs = |name: &str| -> Result<Vec<usize>> {
            let Some(epochs) = state.get(name) else { return Ok(Vec::new()) };
            Ok(epochs.to_vec::<i64>()?.into_iter().filter_map(|epoch| epoch.try_into().ok()).collect())
        };
        *self = History { epochs: epochs("epochs")?, series: Vec::new() };
        for at in 0.. {
            let Some(values) = state.get(&format!("values_{at}")) else { break };
            let (name, values) = (state.text(&format!("name_{at}"))?, values.to_vec()?);
            self.series.push(Series { name, epochs: epochs(&format!("epochs_{at}"))?, values });
        }
        Ok(())
    }
}
