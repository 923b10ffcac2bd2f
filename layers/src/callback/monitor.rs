use super::{Context, State, refused, warn};
use modulor::{Error, Result};

/// Whether the greatest number is the best, or the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The greatest, as of an accuracy.
    Up,
    /// The least, as of a loss.
    Down,
}

/// What counts as better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As the metric says that is monitored.
    #[default]
    Auto,
    /// Less.
    Min,
    /// More.
    Max,
}

/// Looks at one number, and knows when it is better than the best.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub name: String,
    pub mode: Mode,
    pub min_delta: f64,
    /// How many epochs may pass without a better number.
    pub patience: usize,
    pub verbose: u8,
    pub best: Option<f64>,
    has_warned: bool,
}

impl Monitor {
    pub fn new(min_delta: f64, patience: usize) -> Monitor {
        let name = "val_loss".to_owned();
        Monitor { name, mode: Mode::Auto, min_delta, patience, verbose: 0, best: None, has_warned: false }
    }

    pub fn check(&self, class: &str) -> Result<()> {
        if self.min_delta.is_finite() {
            return Ok(());
        }
        Err(refused(class, "min_delta", "a finite number", self.min_delta))
    }

    /// The number, if it is there; else `what` is warned of, once.
    pub fn value(&mut self, context: &mut Context, what: &str) -> Result<Option<f64>> {
        let logs = context.logs()?;
        let value = logs.get(&self.name);
        if value.is_none() && !std::mem::replace(&mut self.has_warned, true) {
            warn(&format!("{what} `{}`, which is not there; there are {}", self.name, logs.names()));
        }
        Ok(value)
    }

    /// Whether one number is better than another, by more than `min_delta`.
    pub fn is_better(&self, class: &str, value: f64, than: Option<f64>, context: &Context) -> Result<bool> {
        let direction = match self.mode {
            Mode::Min => Some(Direction::Down),
            Mode::Max => Some(Direction::Up),
            Mode::Auto => context.direction(&self.name),
        };
        let direction = direction.ok_or_else(|| {
            let message = format!("{class}: it is not known whether more or less of `{}` is better", self.name);
            Error::invalid_argument(message).note("say so with `mode(Mode::Min)` or `mode(Mode::Max)`")
        })?;
        let Some(than) = than else { return Ok(true) };
        Ok(match direction {
            Direction::Down => value + self.min_delta.abs() < than,
            Direction::Up => value - self.min_delta.abs() > than,
        })
    }

    pub fn save(&self, state: &mut State) {
        state.set_number("best", self.best);
    }

    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.best = state.number("best")?;
        Ok(())
    }
}

/// The settings of callbacks that monitor a number, of a field `monitor`.
macro_rules! monitored {
    ($class:ident) => {
        /// The number that is looked at, as `val_accuracy`; `val_loss` unless set.
        #[must_use]
        pub fn monitor(mut self, name: &str) -> Self {
            name.clone_into(&mut self.monitor.name);
            self
        }

        /// What counts as better; what the metric says unless set.
        #[must_use]
        pub fn mode(mut self, mode: $crate::callback::Mode) -> Self {
            self.monitor.mode = mode;
            self
        }

        /// Whether it says what it does: 0 unless set, or 1.
        #[must_use]
        pub fn verbose(mut self, verbose: u8) -> Self {
            self.monitor.verbose = verbose;
            self
        }
    };
}
pub(super) use monitored;

/// The further settings of those that wait for some epochs, with what they are unless set.
macro_rules! patient {
    ($class:ident, min_delta = $min_delta:literal, patience = $patience:literal) => {
        #[doc = concat!("By how much a number must be better to count; ", $min_delta, " unless set.")]
        #[must_use]
        pub fn min_delta(mut self, min_delta: f64) -> Self {
            self.monitor.min_delta = min_delta;
            self
        }

        #[doc = concat!("How many epochs may pass without a better number; ", $patience, " unless set.")]
        #[must_use]
        pub fn patience(mut self, epochs: usize) -> Self {
            self.monitor.patience = epochs;
            self
        }
    };
}
pub(super) use patient;
