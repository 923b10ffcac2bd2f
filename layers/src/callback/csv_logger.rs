use super::file::{self, on_vfs};
use super::{Callback, Context, Logs, State};
use modulor::vfs::{Vfs, disk};
use modulor::{Error, Result};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Writes the numbers of every epoch to a file of separated values, with a line of names at the top: Keras's `CSVLogger`.
///
/// The names are those of the first epoch that is written; where it had no validation, their `val_` names too, and `NA`
/// stands for what an epoch lacks. A training that is taken up again goes on with the file as it was at that place. The file is
/// written anew after every epoch, and takes the place of the one before in one step.
///
/// ```
/// use modulor_layers::callback::CSVLogger;
/// let log = CSVLogger::new("training.csv").separator(';').append(true);
/// ```
#[derive(Clone, Debug)]
pub struct CSVLogger {
    filename: PathBuf,
    separator: char,
    append: bool,
    text: String,
    keys: Vec<String>,
    vfs: Arc<dyn Vfs>,
}

impl CSVLogger {
    /// To this file, in place of one that is there.
    pub fn new(filename: impl Into<PathBuf>) -> CSVLogger {
        let (text, keys) = (String::new(), Vec::new());
        CSVLogger { filename: filename.into(), separator: ',', append: false, text, keys, vfs: disk() }
    }

    on_vfs! { CSVLogger }

    /// What stands between two values; a comma unless set.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Whether lines are added to a file that is there.
    #[must_use]
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    fn write(&self) -> Result<()> {
        file::replace(&self.vfs, &self.filename, &self.text)
    }

    fn line<'s>(&mut self, values: impl Iterator<Item = &'s str>) {
        let quoted = |value: &str| match value.contains([self.separator, '"', '\n']) {
            true => format!("\"{}\"", value.replace('"', "\"\"")),
            false => value.to_owned(),
        };
        let line = values.map(quoted).collect::<Vec<_>>().join(&self.separator.to_string());
        self.text.push_str(&line);
        self.text.push_str("\r\n");
    }

    fn header(&mut self, logs: &Logs) {
        self.keys = logs.iter().map(|(name, _)| name.to_owned()).collect();
        if !self.keys.iter().any(|key| key.starts_with("val_")) {
            let validation: Vec<String> = self.keys.iter().map(|key| format!("val_{key}")).collect();
            self.keys.extend(validation);
        }
        if self.text.is_empty() {
            let keys = self.keys.clone();
            self.line(["epoch"].into_iter().chain(keys.iter().map(String::as_str)));
        }
    }
}

impl Callback for CSVLogger {
    fn name(&self) -> &str {
        "csv_logger"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        self.keys.clear();
        self.text.clear();
        if self.append && self.vfs.exists(&self.filename)? {
            self.text = file::read(&self.vfs, &self.filename)?;
        }
        self.write()
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        let logs = context.logs()?.clone();
        if self.keys.is_empty() {
            self.header(&logs);
        }
        let mut values = vec![epoch.to_string()];
        for key in &self.keys {
            let mut value = String::new();
            let written = match logs.get(key) {
                Some(number) => write!(value, "{number:?}"),
                None => write!(value, "NA"),
            };
            written.map_err(|_| Error::internal("a number was not written to a text"))?;
            values.push(value);
        }
        self.line(values.iter().map(String::as_str));
        self.write()
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        state.set_text("text", &self.text)?;
        state.set_text("keys", &self.keys.join("\n"))?;
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.text = state.text("text")?;
        self.keys = state.text("keys")?.lines().map(str::to_owned).collect();
        self.write()
    }
}
