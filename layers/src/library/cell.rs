//! What a recurrent layer takes a sequence through, step by step.

use modulor::module::{Track, Visitor};
use modulor::registry::class;
use modulor::{Error, Layer, Result, Shape, Tensor};
use serde_json::Value;
use std::any::TypeId;

/// The cell of a recurrent layer: of an input and the states, each with the batch in front, it makes an output and the
/// next states.
///
/// A layer of yours becomes one by saying what its states are, and a [`RNN`](super::RNN) takes sequences through it.
/// After [`register_cell!`](crate::register_cell) configs may name it.
///
/// ```
/// use modulor::{Call, DType, Layer, Module, Result, Tensor, Variable};
/// use modulor_layers::library::{Cell, RNN};
///
/// #[derive(Module)]
/// struct MinimalCell {
///     #[config]
///     units: usize,
///     #[variable(shape = [input[-1], units])]
///     kernel: Variable,
///     #[variable(shape = [units, units])]
///     recurrent_kernel: Variable,
/// }
///
/// impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for MinimalCell {
///     fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
///         let h = x.matmul(&self.kernel)?.add(states[0].matmul(&self.recurrent_kernel)?)?;
///         Ok((h.clone(), vec![h]))
///     }
/// }
///
/// impl Cell for MinimalCell {
///     fn state_shapes(&self) -> Vec<Vec<usize>> {
///         vec![vec![self.units]]
///     }
/// }
///
/// modulor_layers::register_cell!(MinimalCell);
///
/// # fn main() -> Result<()> {
/// let layer = RNN::new(Box::new(MinimalCell::new(3))).return_sequences(true);
/// assert_eq!(*layer.call(&Tensor::zeros([2, 5, 4], DType::F32)?)?.shape(), [2, 5, 3]);
/// # Ok(())
/// # }
/// ```
pub trait Cell: Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> + ShareCell {
    /// The dims of each state, without the batch; 0 where one follows from the input, as
    /// [`state_shapes_for`](Cell::state_shapes_for) says then.
    fn state_shapes(&self) -> Vec<Vec<usize>>;

    /// The dims of each state, without the batch, for inputs of this shape. By default they are the same for all.
    fn state_shapes_for(&self, _x: &Shape) -> Result<Vec<Vec<usize>>> {
        Ok(self.state_shapes())
    }

    /// The cell for all steps of one sequence, of the first input and states: where something is drawn once for all of
    /// them. By default it is this one.
    fn for_sequence(&self, _x: &Tensor, _states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        Ok(None)
    }
}

/// Handles to a cell behind a `dyn Cell`. Implemented for every cell; nobody writes it.
pub trait ShareCell {
    /// Another handle to this cell.
    fn share_cell(&self) -> Box<dyn Cell>;
}

impl<C: Cell> ShareCell for C {
    fn share_cell(&self) -> Box<dyn Cell> {
        Box::new(self.share())
    }
}

#[diagnostic::do_not_recommend]
impl Track for Box<dyn Cell> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        (**self).track(name, visitor);
    }

    fn share(&self) -> Self {
        (**self).share_cell()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        (**self).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let object = config.ok_or_else(|| Error::invalid_argument("the key is missing: a cell is needed"))?;
        let class = class::find(object)?;
        let mut entries = inventory::iter::<CellEntry>.into_iter();
        let entry = entries.find(|entry| (entry.type_id)() == (class.type_id)()).ok_or_else(|| {
            let message = format!("`{}` is not known as a cell", class.class);
            Error::invalid_argument(message).note("a class of yours is made known by `register_cell!`")
        })?;
        (entry.make)(object)
    }
}

/// A class of cells that configs may name.
pub struct CellEntry {
    /// The class.
    pub type_id: fn() -> TypeId,
    /// Makes one out of its serialized object.
    pub make: fn(&Value) -> Result<Box<dyn Cell>>,
}

inventory::collect!(CellEntry);

/// Makes a cell of a class out of its serialized object.
pub fn make_cell<C: Cell>(object: &Value) -> Result<Box<dyn Cell>> {
    Ok(Box::new(C::from_field(Some(object))?))
}

/// Says that a class of layers is one of cells, so that the config of a [`RNN`](crate::library::RNN) may name it.
#[macro_export]
macro_rules! register_cell {
    ($class:ty) => {
        $crate::registration::inventory::submit! {
            $crate::registration::CellEntry {
                type_id: ::core::any::TypeId::of::<$class>,
                make: $crate::registration::make_cell::<$class>,
            }
        }
    };
}
