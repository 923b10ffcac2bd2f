use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

/// Numbers by name, as `loss` and `val_accuracy`, in the order of the names, which is that of Keras's logs.
///
/// It prints as Keras's progress does:
///
/// ```
/// use modulor_layers::callback::Logs;
/// let logs = Logs::from_iter([("loss", 0.5), ("accuracy", 0.75)]);
/// assert_eq!(logs["loss"], 0.5);
/// assert_eq!(logs.to_string(), "accuracy: 0.7500 - loss: 0.5000");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(BTreeMap<String, f64>);

impl Logs {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Puts a number under a name, in place of the one there.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// Names and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, as messages list them.
    pub(super) fn names(&self) -> String {
        self.0.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// The number of a name.
///
/// # Panics
///
/// Where there is none; [`get`](Logs::get) says so instead.
impl Index<&str> for Logs {
    type Output = f64;

    fn index(&self, name: &str) -> &f64 {
        self.0.get(name).unwrap_or_else(|| panic!("there is no `{name}` among {}", self.names()))
    }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Logs {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(pairs: I) -> Self {
        Logs(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            let between = if at == 0 { "" } else { " - " };
            write!(f, "{between}{name}: {}", Short(value))?;
        }
        Ok(())
    }
}

/// A number in four digits.
pub(super) struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value.abs() > 0.001 || value == 0.0 || value.is_nan() => write!(f, "{value:.4}"),
            value => {
                // As C prints it: two digits of the exponent at least.
                let text = format!("{value:.4e}");
                let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
                write!(f, "{digits}e{sign}{power:0>2}")
            }
        }
    }
}
