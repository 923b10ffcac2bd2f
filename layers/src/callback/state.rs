use modulor::{Error, Result, Tensor};
use std::collections::BTreeMap;

/// What a callback remembers: tensors by name, which checkpoints of a training hold.
///
/// Names are made of letters, digits and `_`.
///
/// ```
/// use modulor_layers::callback::State;
/// # fn main() -> modulor::Result<()> {
/// let mut state = State::default();
/// state.set_count("wait", 3)?;
/// state.set_number("best", Some(0.5));
/// assert_eq!((state.count("wait")?, state.number("best")?), (3, Some(0.5)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct State(BTreeMap<String, Tensor>);

impl State {
    /// Puts a tensor under a name.
    pub fn set(&mut self, name: &str, value: &Tensor) {
        self.0.insert(name.to_owned(), value.clone());
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// All names and tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Puts a number, or that there is none.
    pub fn set_number(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(name, &Tensor::scalar(value));
        }
    }

    /// A number, if there is one.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.get(name).map(|value| value.item::<f64>().map_err(|error| error.within(name))).transpose()
    }

    /// Puts a count.
    pub fn set_count(&mut self, name: &str, value: usize) -> Result<()> {
        let count = i64::try_from(value).map_err(|_| Error::out_of_range(format!("`{name}` counts {value}")))?;
        self.set(name, &Tensor::scalar(count));
        Ok(())
    }

    /// A count, which must be there.
    pub fn count(&self, name: &str) -> Result<usize> {
        let missing = || Error::not_found(format!("the state of a callback has no `{name}`"));
        let count = self.get(name).ok_or_else(missing)?.item::<i64>().map_err(|error| error.within(name))?;
        usize::try_from(count).map_err(|_| Error::data_loss(format!("`{name}` counts {count}")))
    }

    /// Puts a text.
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<()> {
        self.set(name, &Tensor::new([text.len()], text.as_bytes())?);
        Ok(())
    }

    /// A text; an empty one where there is none.
    pub fn text(&self, name: &str) -> Result<String> {
        let Some(value) = self.get(name) else { return Ok(String::new()) };
        String::from_utf8(value.to_vec::<u8>()?).map_err(|_| Error::data_loss(format!("`{name}` is no text")))
    }

    /// Puts some tensors, in their order.
    pub fn set_list(&mut self, name: &str, values: &[Tensor]) {
        values.iter().enumerate().for_each(|(at, value)| self.set(&format!("{name}_{at}"), value));
    }

    /// As many tensors as there are of a name, in their order.
    pub fn list(&self, name: &str) -> Vec<Tensor> {
        (0..).map_while(|at| self.get(&format!("{name}_{at}")).cloned()).collect()
    }
}
