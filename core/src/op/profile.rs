//! How long each operation takes: a profile of what a thread does.

use super::Op;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the operations of a thread took while it was looked at.
///
/// It prints as a table of ops, those that took most first:
///
/// ```
/// use modulor_core::{Function, Tensor, op::profiled};
/// # fn main() -> modulor_core::Result<()> {
/// let f = Function::new(|x: &Tensor| (x * 2.0 + 1.0).tanh());
/// let x = Tensor::from([1.0_f32, 2.0]);
/// f.call(&x)?;
/// let (y, profile) = profiled(|| f.call(&x));
/// y?;
/// assert_eq!(profile.events().len(), 1);
/// assert_eq!(profile.events()[0].name, "elementwise(Mul, AddV2, Tanh)");
/// assert!(profile.to_string().starts_with("op"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Profile {
    events: Vec<Event>,
    time: Duration,
}

/// One operation, or several that are one step of a plan.
#[derive(Clone, Debug)]
pub struct Event {
    /// The op; for a step of several, all of them.
    pub name: String,
    /// The path of names that it was called in.
    pub path: Option<Arc<str>>,
    /// When it began, from the beginning of the profile.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// What all operations of one name took.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name.
    pub name: String,
    /// How many there were.
    pub calls: usize,
    /// What they took together.
    pub time: Duration,
}

/// A profile under way.
struct Recording {
    begin: Instant,
    events: Vec<Event>,
}

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Runs `f` and takes the time of every operation that this thread calls meanwhile, be it one by one or as a step of a plan.
/// A profile within a profile has its operations to itself.
pub fn profiled<R>(f: impl FnOnce() -> R) -> (R, Profile) {
    /// Puts back the profile around this one, on return and on unwinding.
    struct Back(Option<Recording>);
    impl Drop for Back {
        fn drop(&mut self) {
            RECORDING.set(self.0.take());
        }
    }
    let begin = Instant::now();
    let back = Back(RECORDING.replace(Some(Recording { begin, events: Vec::new() })));
    let result = f();
    let time = begin.elapsed();
    let events = RECORDING.take().map(|recording| recording.events).unwrap_or_default();
    drop(back);
    (result, Profile { events, time })
}

/// Whether this thread is looked at.
pub(crate) fn is_profiled() -> bool {
    RECORDING.with_borrow(Option::is_some)
}

/// Runs `f`, which is one operation, and takes its time if this thread is looked at.
pub(crate) fn timed<R>(op: &dyn Op, path: impl FnOnce() -> Option<Arc<str>>, f: impl FnOnce() -> R) -> R {
    if !is_profiled() {
        return f();
    }
    let begin = Instant::now();
    let result = f();
    let time = begin.elapsed();
    RECORDING.with_borrow_mut(|recording| {
        if let Some(recording) = recording {
            let start = begin.saturating_duration_since(recording.begin);
            recording.events.push(Event { name: op.describe(), path: path(), start, time });
        }
    });
    result
}

impl Profile {
    /// The operations, in the order in which they ended.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How long all of it took, with what lies between the operations.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// What the operations of each name took, those that took most first.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: HashMap<&str, Row> = HashMap::new();
        for event in &self.events {
            let new = || Row { name: event.name.clone(), calls: 0, time: Duration::ZERO };
            let row = rows.entry(&event.name).or_insert_with(new);
            row.calls += 1;
            row.time += event.time;
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        rows.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// The profile as a file of Chrome's tracing format, JSON, which `chrome://tracing` and Perfetto show.
    pub fn chrome_trace(&self) -> String {
        let event = |event: &Event| {
            serde_json::json!({
                "name": event.name, "cat": "op", "ph": "X", "pid": 1, "tid": 1,
                "ts": event.start.as_nanos() as f64 / 1e3, "dur": event.time.as_nanos() as f64 / 1e3,
                "args": { "path": event.path.as_deref().unwrap_or_default() },
            })
        };
        let events: Vec<_> = self.events.iter().map(event).collect();
        serde_json::json!({ "traceEvents": events, "displayTimeUnit": "ns" }).to_string()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(9, 60);
        let whole = self.time.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut text = format!("{:width$}  {:>7}  {:>11}  {:>6}\n", "op", "calls", "µs", "%");
        let mut line = |name: &str, calls: &str, time: Duration| {
            let short: String = name.chars().take(width).collect();
            let (micros, part) = (time.as_secs_f64() * 1e6, time.as_secs_f64() / whole * 100.0);
            writeln!(text, "{short:width$}  {calls:>7}  {micros:>11.1}  {part:>6.1}")
        };
        for row in &rows {
            line(&row.name, &row.calls.to_string(), row.time)?;
        }
        let within: Duration = rows.iter().map(|row| row.time).sum();
        line("(between)", "", self.time.saturating_sub(within))?;
        line("all", &self.events.len().to_string(), self.time)?;
        f.write_str(&text)
    }
}
