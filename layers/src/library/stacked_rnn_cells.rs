use super::Cell;
use modulor::module::{
    Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name, object, read_object, reading,
};
use modulor::op::scope;
use modulor::{Call, DTypePolicy, Error, Layer, Result, Shape, Tensor};
use serde_json::Value;
use std::collections::HashMap;

/// Cells one after the other as one: the output of each is the input of the next, and the states are those of all.
///
/// Each has a name in it, `lstm_cell`, `lstm_cell_1`, .. by its class and how many of that class are before it.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{GRUCell, LSTMCell, RNN, StackedRNNCells};
/// # fn main() -> modulor::Result<()> {
/// let cells = StackedRNNCells::new().add(LSTMCell::new(4)).add(GRUCell::new(2));
/// let layer = RNN::new(Box::new(cells));
/// assert_eq!(*layer.call(&Tensor::zeros([2, 5, 3], DType::F32)?)?.shape(), [2, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct StackedRNNCells {
    dtype: DTypePolicy,
    cells: Vec<Box<dyn Cell>>,
}

impl StackedRNNCells {
    /// No cells yet.
    pub fn new() -> StackedRNNCells {
        StackedRNNCells::default()
    }

    /// With one more cell at the end.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "as Sequential's")]
    pub fn add(mut self, cell: impl Cell) -> StackedRNNCells {
        self.cells.push(Box::new(cell));
        self
    }

    /// What it computes in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[must_use]
    pub fn dtype(mut self, dtype: impl Into<DTypePolicy>) -> StackedRNNCells {
        self.dtype = dtype.into();
        self
    }

    /// The cells with their names.
    fn places(&self) -> impl Iterator<Item = (String, &Box<dyn Cell>)> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        self.cells.iter().map(move |cell| {
            let base = cell.default_name();
            let count = counts.entry(base).or_default();
            *count += 1;
            (name::numbered(base, *count - 1), cell)
        })
    }

    /// The cells with their states.
    fn with_states<'a>(&'a self, states: &'a [Tensor]) -> Result<Vec<(&'a dyn Cell, &'a [Tensor])>> {
        let expected = self.state_shapes().len();
        if self.cells.is_empty() || states.len() != expected {
            let message = format!("{} cells have {expected} states, and {} were given", self.cells.len(), states.len());
            return Err(Error::invalid_argument(message));
        }
        let mut rest = states;
        let own = self.cells.iter().map(|cell| {
            let (own, others) = rest.split_at(cell.state_shapes().len());
            rest = others;
            (&**cell, own)
        });
        Ok(own.collect())
    }
}

impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for StackedRNNCells {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let (mut x, mut all) = (x.clone(), Vec::new());
        for (cell, states) in self.with_states(states)? {
            let (y, after): (Tensor, Vec<Tensor>) = cell.call(&(x, states.to_vec()))?;
            x = y;
            all.extend(after);
        }
        Ok((x, all))
    }
}

impl Cell for StackedRNNCells {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        self.cells.iter().flat_map(|cell| cell.state_shapes()).collect()
    }

    /// What a cell gives has the shape of its first state.
    fn state_shapes_for(&self, x: &Shape) -> Result<Vec<Vec<usize>>> {
        let (mut x, mut all) = (x.clone(), Vec::new());
        for cell in &self.cells {
            let shapes = cell.state_shapes_for(&x)?;
            if let Some(output) = shapes.first() {
                x = [x.dim(0)].into_iter().chain(output.iter().map(|&dim| Some(dim))).collect();
            }
            all.extend(shapes);
        }
        Ok(all)
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        if !scope::training() {
            return Ok(None);
        }
        let (mut x, mut cells) = (x.clone(), Vec::new());
        for (cell, states) in self.with_states(states)? {
            let own = cell.for_sequence(&x, states)?.unwrap_or_else(|| cell.share_cell());
            // A step, to know what the next cell is given.
            let (y, _): (Tensor, Vec<Tensor>) = own.call(&(x, states.to_vec()))?;
            x = y;
            cells.push(own);
        }
        Ok(Some(Box::new(StackedRNNCells { dtype: self.dtype.clone(), cells })))
    }
}

impl Track for StackedRNNCells {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        StackedRNNCells { dtype: self.dtype.clone(), cells: self.cells.share() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("StackedRNNCells", config)
    }
}

impl Module for StackedRNNCells {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "StackedRNNCells"
    }

    fn default_name(&self) -> &str {
        "stacked_rnn_cells"
    }

    fn package(&self) -> &str {
        "keras.layers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.places().for_each(|(name, cell)| cell.track(&name, visitor));
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        Some(self.dtype.clone())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            let cells = self.places().map(|(name, cell)| {
                let mut object = object(cell.as_module())?;
                object["config"]["name"] = name.into();
                Ok(object)
            });
            config.insert("cells".to_owned(), Value::Array(cells.collect::<Result<_>>()?));
            Ok(())
        })
    }
}

impl FromConfig for StackedRNNCells {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "StackedRNNCells", version: 1, migrate: None };
        const KEYS: &[&str] = &["dtype", "cells"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let Some(Value::Array(cells)) = config.get("cells") else {
            return Err(Error::invalid_argument("config of `StackedRNNCells`: `cells` must be a list of cells"));
        };
        let read = |cell: &Value| <Box<dyn Cell>>::from_field(Some(cell));
        let cells = reading(|| cells.iter().map(read).collect::<Result<_>>())?;
        SCHEMA.close(StackedRNNCells { dtype: SCHEMA.policy(config)?, cells }, config, KEYS)
    }
}

modulor::register!(StackedRNNCells, "keras.layers");
crate::register_cell!(StackedRNNCells);
