use super::{Callback, Context, Logs};
use modulor::{Error, Result};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how far a training is: Keras's `ProgbarLogger`.
///
/// On a terminal a line grows with the steps, as Keras's does; elsewhere each epoch is one line. `fit` adds one, unless it is
/// to be silent or is given one.
///
/// ```text
/// Epoch 1/3
/// 46/46 ━━━━━━━━━━━━━━━━━━━━ 0s 3ms/step - accuracy: 0.9123 - loss: 0.3021 - val_accuracy: 0.9305 - val_loss: 0.2527
/// ```
pub struct ProgbarLogger {
    out: Box<dyn Write + Send>,
    is_live: bool,
    is_training: bool,
    begin: Instant,
    /// When the first step was over, which had to be traced.
    after_first: Option<Instant>,
    shown: Option<Instant>,
    /// How many steps are done.
    seen: usize,
    /// How wide the line is that is shown.
    width: usize,
    has_failed: bool,
}

const BAR: usize = 20;
const INTERVAL: Duration = Duration::from_millis(50);

impl Default for ProgbarLogger {
    fn default() -> Self {
        ProgbarLogger::new()
    }
}

impl ProgbarLogger {
    /// Which writes to the standard output.
    pub fn new() -> ProgbarLogger {
        ProgbarLogger::to(io::stdout(), io::stdout().is_terminal())
    }

    /// Which writes elsewhere, as to a terminal or not.
    pub fn to(out: impl Write + Send + 'static, is_terminal: bool) -> ProgbarLogger {
        ProgbarLogger {
            out: Box::new(out),
            is_live: is_terminal,
            is_training: false,
            begin: Instant::now(),
            after_first: None,
            shown: None,
            seen: 0,
            width: 0,
            has_failed: false,
        }
    }

    fn reset(&mut self) {
        (self.begin, self.after_first, self.shown, self.seen, self.width) = (Instant::now(), None, None, 0, 0);
    }

    /// Writes, as far as anybody listens: a training does not end because its terminal is gone.
    fn write(&mut self, text: &str) -> Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.has_failed = true,
            Err(error) => return Err(Error::failed_precondition(format!("progress cannot be written: {error}"))),
            Ok(()) => {}
        }
        Ok(())
    }

    fn step(&mut self, batch: usize, context: &mut Context, has_logs: bool) -> Result<()> {
        let now = Instant::now();
        if self.seen == 0 {
            self.after_first = Some(now);
        }
        self.seen = batch + 1;
        let is_early = self.shown.is_some_and(|shown| now - shown < INTERVAL);
        if context.params().verbose != 1 || !self.is_live || is_early {
            return Ok(());
        }
        let logs = if has_logs { context.logs()?.clone() } else { Logs::default() };
        self.shown = Some(now);
        self.show(context.params().steps, &logs, false)
    }

    fn finish(&mut self, context: &mut Context) -> Result<()> {
        if context.params().verbose == 0 {
            return Ok(());
        }
        let logs = context.logs()?.clone();
        self.show(Some(context.params().steps.unwrap_or(self.seen)), &logs, true)
    }

    fn show(&mut self, steps: Option<usize>, logs: &Logs, is_last: bool) -> Result<()> {
        let now = Instant::now();
        let per_step = match (self.seen, self.after_first) {
            (0, _) => Duration::ZERO,
            (seen @ 2.., Some(first)) => (now - first).div_f64((seen - 1) as f64),
            (seen, _) => (now - self.begin).div_f64(seen as f64),
        };
        let (mut line, mut hidden) = (String::new(), 0);
        let paint = |text: &str, code: u8, hidden: &mut usize| {
            if !self.is_live || text.is_empty() {
                return text.to_owned();
            }
            let painted = format!("\x1b[{code}m{text}\x1b[0m");
            *hidden += painted.len() - text.len();
            painted
        };
        match steps {
            Some(steps) => {
                let done = (BAR as f64 * self.seen.min(steps) as f64 / steps.max(1) as f64) as usize;
                let digits = steps.to_string().len();
                line += &paint(&format!("{:>digits$}/{steps}", self.seen), 1, &mut hidden);
                line += " ";
                line += &paint(&"━".repeat(done), 32, &mut hidden);
                line += &paint(&"━".repeat(BAR - done), 37, &mut hidden);
            }
            None => line += &format!("{:>7}/Unknown", self.seen),
        }
        let time = match steps {
            Some(steps) if !is_last => clock(per_step.as_secs_f64() * steps.saturating_sub(self.seen) as f64),
            _ => format!("{:.0}s", (now - self.begin).as_secs_f64()),
        };
        line += &format!(" {} {}", paint(&time, 1, &mut hidden), each(per_step));
        if !logs.is_empty() {
            line += &format!(" - {logs}");
        }
        let width = line.chars().count() - hidden;
        if self.is_live {
            let rest = " ".repeat(self.width.saturating_sub(width));
            line = format!("\r{line}{rest}");
        }
        self.width = width;
        if is_last {
            line.push('\n');
        }
        self.write(&line)
    }
}

/// The time that is left.
fn clock(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ 3601.. => format!("{}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60),
        seconds @ 61.. => format!("{}:{:02}", seconds / 60, seconds % 60),
        seconds => format!("{seconds}s"),
    }
}

/// The time of a step.
fn each(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 || seconds == 0.0 => format!("{seconds:.0}s/step"),
        seconds if seconds >= 1e-3 => format!("{:.0}ms/step", seconds * 1e3),
        seconds => format!("{:.0}us/step", seconds * 1e6),
    }
}

impl Callback for ProgbarLogger {
    fn name(&self) -> &str {
        "progbar_logger"
    }

    fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
        self.is_training = true;
        self.reset();
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
        self.is_training = false;
        // An error is told on a line of its own.
        match context.is_failed() && self.is_live && self.width > 0 {
            true => self.write("\n"),
            false => Ok(()),
        }
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        self.reset();
        match context.params() {
            params if params.verbose > 0 && params.epochs > 1 => {
                self.write(&format!("Epoch {}/{}\n", epoch + 1, params.epochs))
            }
            _ => Ok(()),
        }
    }

    fn on_epoch_end(&mut self, _: usize, context: &mut Context) -> Result<()> {
        self.finish(context)
    }

    fn on_train_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        self.step(batch, context, true)
    }

    fn on_test_begin(&mut self, _: &mut Context) -> Result<()> {
        if !self.is_training {
            self.reset();
        }
        Ok(())
    }

    fn on_test_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        if self.is_training { Ok(()) } else { self.step(batch, context, true) }
    }

    fn on_test_end(&mut self, context: &mut Context) -> Result<()> {
        if self.is_training { Ok(()) } else { self.finish(context) }
    }

    fn on_predict_begin(&mut self, _: &mut Context) -> Result<()> {
        self.reset();
        Ok(())
    }

    fn on_predict_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        self.step(batch, context, false)
    }

    fn on_predict_end(&mut self, context: &mut Context) -> Result<()> {
        self.finish(context)
    }
}

impl std::fmt::Debug for ProgbarLogger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgbarLogger").field("seen", &self.seen).finish_non_exhaustive()
    }
}
