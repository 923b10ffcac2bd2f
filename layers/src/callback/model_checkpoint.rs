use super::file::on_vfs;
use super::monitor::{Monitor, monitored};
use super::saving::Since;
use super::{Callback, Context, Logs, SaveFreq, State};
use modulor::checkpoint::Checkpoint;
use modulor::vfs::{Vfs, disk};
use modulor::{Error, Result, nearest};
use std::path::PathBuf;
use std::sync::Arc;

/// Saves the model during training, always or where it became better: Keras's `ModelCheckpoint`.
///
/// What is written is a [checkpoint](modulor::checkpoint) at the prefix `filepath`: the model's variables below `model` and
/// the optimizer's below `optimizer`, or with `save_weights_only` the model alone, as the root. The path may hold
/// `{epoch}`, from 1, `{batch}`, and the names of logs, with a format as in `{epoch:02d}-{val_loss:.2f}`.
///
/// ```
/// use modulor_layers::callback::ModelCheckpoint;
/// let best = ModelCheckpoint::new("best-{epoch:02d}").monitor("val_accuracy").save_best_only(true);
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    filepath: String,
    monitor: Monitor,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: SaveFreq,
    initial_value_threshold: Option<f64>,
    since: Since,
    epoch: usize,
    last_saved: Option<PathBuf>,
    vfs: Arc<dyn Vfs>,
}

impl ModelCheckpoint {
    /// To this path, after every epoch.
    pub fn new(filepath: impl Into<String>) -> ModelCheckpoint {
        ModelCheckpoint {
            filepath: filepath.into(),
            monitor: Monitor::new(0.0, 0),
            save_best_only: false,
            save_weights_only: false,
            save_freq: SaveFreq::Epoch,
            initial_value_threshold: None,
            since: Since::default(),
            epoch: 0,
            last_saved: None,
            vfs: disk(),
        }
    }

    monitored! { ModelCheckpoint }
    on_vfs! { ModelCheckpoint }

    /// Whether the model is saved only where the number that is looked at is the best so far.
    #[must_use]
    pub fn save_best_only(mut self, only: bool) -> Self {
        self.save_best_only = only;
        self
    }

    /// Whether the optimizer is left out.
    #[must_use]
    pub fn save_weights_only(mut self, only: bool) -> Self {
        self.save_weights_only = only;
        self
    }

    /// How often: after every epoch unless set, or after so many batches.
    #[must_use]
    pub fn save_freq(mut self, freq: impl Into<SaveFreq>) -> Self {
        self.save_freq = freq.into();
        self
    }

    /// What the first model must be better than that is saved.
    #[must_use]
    pub fn initial_value_threshold(mut self, threshold: f64) -> Self {
        self.initial_value_threshold = Some(threshold);
        self
    }

    /// The best number so far.
    pub fn best(&self) -> Option<f64> {
        self.monitor.best
    }

    /// Where the model was saved last.
    pub fn last_saved(&self) -> Option<&std::path::Path> {
        self.last_saved.as_deref()
    }

    fn save(&mut self, epoch: usize, batch: Option<usize>, context: &mut Context) -> Result<()> {
        let logs = context.logs()?.clone();
        let path = formatted(&self.filepath, epoch, batch, &logs)?;
        if !self.is_wanted(epoch, &path, context)? {
            return Ok(());
        }
        let checkpoint = Checkpoint::new(&context.parts(self.save_weights_only)).on(self.vfs.clone());
        checkpoint.write(&path)?;
        self.last_saved = Some(path.into());
        Ok(())
    }

    fn is_wanted(&mut self, epoch: usize, path: &str, context: &mut Context) -> Result<bool> {
        let verbose = self.monitor.verbose;
        let say = |what: String| {
            if verbose > 0 {
                println!("\nEpoch {}: {what}", epoch + 1);
            }
        };
        if !self.save_best_only {
            say(format!("saving model to {path}"));
            return Ok(true);
        }
        let Some(current) = self.monitor.value(context, "the best model is chosen by")? else { return Ok(true) };
        let (name, before) = (&self.monitor.name, self.monitor.best);
        let shown = before.map_or_else(|| "None".to_owned(), |best| format!("{best:.5}"));
        let is_better = self.monitor.is_better("ModelCheckpoint", current, before, context)?;
        if is_better {
            say(format!("{name} improved from {shown} to {current:.5}, saving model to {path}"));
            self.monitor.best = Some(current);
        } else {
            say(format!("{name} did not improve from {shown}"));
        }
        Ok(is_better)
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &str {
        "model_checkpoint"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        self.save_freq.check("ModelCheckpoint")?;
        // Keras keeps the best of trainings before this one; so does this, unless it is a new one.
        if self.monitor.best.is_none() {
            self.monitor.best = self.initial_value_threshold;
        }
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize, _: &mut Context) -> Result<()> {
        self.epoch = epoch;
        Ok(())
    }

    fn on_train_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        match self.since.is_due(batch, self.save_freq) {
            true => self.save(self.epoch, Some(batch), context),
            false => Ok(()),
        }
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        match self.save_freq {
            SaveFreq::Epoch => self.save(epoch, None, context),
            SaveFreq::Batches(_) => Ok(()),
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        self.monitor.save(&mut state);
        self.since.save(&mut state)?;
        state.set_count("epoch", self.epoch)?;
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.monitor.restore(state)?;
        self.epoch = state.count("epoch")?;
        self.since.restore(state)
    }
}

/// A path with numbers in the place of names in braces.
fn formatted(path: &str, epoch: usize, batch: Option<usize>, logs: &Logs) -> Result<String> {
    let mut text = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let unclosed = || Error::invalid_argument(format!("`{path}`: a brace is not closed"));
        let (field, after) = after.split_once('}').ok_or_else(unclosed)?;
        let (name, format) = field.split_once(':').unwrap_or((field, ""));
        let value = match name {
            "epoch" => Some(epoch as f64 + 1.0),
            "batch" => batch.map(|batch| batch as f64 + 1.0).or_else(|| logs.get(name)),
            name => logs.get(name),
        };
        let value = value.ok_or_else(|| {
            let known = ["epoch", "batch"].into_iter().chain(logs.iter().map(|(name, _)| name));
            Error::not_found(format!("`{path}`: there is no `{name}` here; {}", nearest::suggestion(name, known)))
        })?;
        text.push_str(before);
        text.push_str(&number(value, format, matches!(name, "epoch" | "batch")).ok_or_else(|| {
            let message = format!("`{path}`: the format `{format}` is none of `02d`, `.2f`, `06.3f` and the like");
            Error::invalid_argument(message)
        })?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// A number in one of Python's formats.
fn number(value: f64, format: &str, is_whole: bool) -> Option<String> {
    let (digits, kind) = match format.chars().last() {
        None => return Some(value.to_string()),
        Some(kind @ ('d' | 'f' | 'e')) => (&format[..format.len() - 1], kind),
        Some(_) => (format, 'd'),
    };
    let (width, precision) = digits.split_once('.').unwrap_or((digits, ""));
    let (zeros, width) = (width.starts_with('0'), width.trim_start_matches('0'));
    let width: usize = if width.is_empty() { 0 } else { width.parse().ok()? };
    let precision: usize = if precision.is_empty() { 6 } else { precision.parse().ok()? };
    let text = match kind {
        'd' if is_whole => format!("{value:.0}"),
        'f' => format!("{value:.precision$}"),
        'e' => format!("{value:.precision$e}"),
        _ => return None,
    };
    Some(if zeros { format!("{text:0>width$}") } else { format!("{text:>width$}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_the_numbers_of_its_moment() {
        let logs = Logs::from_iter([("val_loss", 0.128)]);
        let path = |path: &str| formatted(path, 4, Some(9), &logs);
        assert_eq!(path("m-{epoch:02d}-{val_loss:.2f}").unwrap(), "m-05-0.13");
        assert_eq!(path("{epoch}/{batch:4d}").unwrap(), "5/  10");
        assert!(path("{val_los}").unwrap_err().message().contains("did you mean `val_loss`?"));
        assert!(path("{epoch").is_err() && path("{epoch:x}").is_err() && path("{val_loss:02d}").is_err());
    }
}
