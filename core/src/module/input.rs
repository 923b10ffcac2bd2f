//! What `build` is told about the inputs.

use super::Module;
use crate::{Error, Result, Shape, Tensor, Variable};
use std::{cell::RefCell, panic::Location};

/// The shapes of a layer's inputs: one for each tensor, in the order of [`Tree::leaves`](crate::Tree::leaves).
///
/// In `#[variable(shape = [input[-1], units])]` the word `input` stands for the first of them.
#[derive(Debug)]
pub struct InputShapes {
    shapes: Vec<Shape>,
    /// The outermost `call`, the one the user wrote.
    caller: &'static Location<'static>,
    /// Variables that were built with another shape than these inputs ask for.
    conflicts: RefCell<Vec<String>>,
    /// Variables that got their shapes from these inputs.
    sized: RefCell<Vec<Variable>>,
}

impl InputShapes {
    /// The shapes of `tensors`.
    #[track_caller]
    pub fn of(tensors: &[Tensor]) -> InputShapes {
        InputShapes::seen_from(tensors.iter().map(|tensor| tensor.shape().clone()).collect(), Location::caller())
    }

    pub(crate) fn seen_from(shapes: Vec<Shape>, caller: &'static Location<'static>) -> InputShapes {
        InputShapes { shapes, caller, conflicts: RefCell::default(), sized: RefCell::default() }
    }

    /// The number of tensors.
    pub fn count(&self) -> usize {
        self.shapes.len()
    }

    /// The shape of tensor `index`.
    pub fn shape(&self, index: usize) -> Result<&Shape> {
        self.shapes.get(index).ok_or_else(|| {
            Error::invalid_argument(format!("there is no input {index}: the layer was given {}", self.shapes.len()))
        })
    }

    /// Axis `axis` of tensor `index`, a negative axis counted from the end: `input[axis]` where `index` is 0.
    ///
    /// Fails where there is no such axis, and where its length is not known.
    pub fn dim(&self, index: usize, axis: isize) -> Result<usize> {
        let shape = self.shape(index)?;
        let input = if index == 0 { "the input".to_owned() } else { format!("input {index}") };
        let Some(dims) = shape.dims() else {
            return Err(Error::invalid_argument(format!("axis {axis} of {input} is needed, and its rank is unknown")));
        };
        let at = if axis < 0 { axis + dims.len() as isize } else { axis };
        match usize::try_from(at).ok().and_then(|at| dims.get(at)) {
            Some(Some(dim)) => Ok(*dim),
            Some(None) => {
                Err(Error::invalid_argument(format!("axis {axis} of {input} is unknown: its shape is {shape}")))
            }
            None => Err(Error::invalid_argument(format!("{input} has no axis {axis}: its shape is {shape}"))),
        }
    }

    /// Gives `variable` a shape that follows from these inputs; to be called on each build.
    ///
    /// Where it has another shape already, nothing changes, and `call` returns an error that says what each of the two
    /// inputs asked for: unless the forward pass cannot run either, then its error with that as a note.
    pub fn size(&self, variable: &Variable, name: &str, shape: &[usize]) -> Result<()> {
        match variable.shape() {
            Some(built) if built == shape => Ok(()),
            Some(built) => {
                let before = variable.sized_by().map_or(String::new(), |by| format!(" for {by}"));
                let conflict = format!("`{name}` was built as {built:?}{before}; {self} asks for {shape:?}");
                self.conflicts.borrow_mut().push(conflict);
                Ok(())
            }
            None if variable.declaration().is_none() => Err(Error::failed_precondition(format!(
                "variable `{name}` was never declared: end the constructor with `.declared()`"
            ))),
            None => {
                // Another thread may have been faster; if it gave the same shape, it is the same build.
                variable.size(shape)?;
                variable.set_sized_by(self.to_string());
                self.sized.borrow_mut().push(variable.clone());
                Ok(())
            }
        }
    }

    /// Builds `module`, all of its own variables or none of them.
    pub(crate) fn build(&self, module: &dyn Module) -> Result<()> {
        module.build(self).inspect_err(|_| self.sized.borrow().iter().for_each(Variable::unsize))
    }

    /// What the inputs contradict, one sentence for each variable.
    pub(crate) fn conflict(&self) -> Option<String> {
        let conflicts = self.conflicts.borrow();
        (!conflicts.is_empty()).then(|| conflicts.join("; "))
    }
}

/// `an input of shape (1, 3) at src/main.rs:7:5`
impl std::fmt::Display for InputShapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.shapes[..] {
            [shape] => write!(f, "an input of shape {shape}")?,
            shapes => {
                let shapes: Vec<_> = shapes.iter().map(Shape::to_string).collect();
                write!(f, "inputs of shapes {}", shapes.join(", "))?;
            }
        }
        write!(f, " at {}", self.caller)
    }
}

/// `build` written by hand, for a type that says `#[module(build = manual)]`.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::module::{InputShapes, ManualBuild};
/// use modulor::{Module, Result, Variable};
///
/// #[derive(Module)]
/// #[module(build = manual)]
/// struct Pairwise {
///     #[variable(init = 0.0)]
///     kernel: Variable,
/// }
///
/// impl ManualBuild for Pairwise {
///     fn build(&self, inputs: &InputShapes) -> Result<()> {
///         let pairs = inputs.dim(0, -1)? * inputs.dim(1, -1)?;
///         inputs.size(&self.kernel, "kernel", &[pairs])
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `build = manual` and has no build",
    label = "no `impl ManualBuild for {Self}`",
    note = "write `impl ManualBuild for {Self} {{ fn build(&self, inputs: &InputShapes) -> Result<()> {{ .. }} }}`"
)]
pub trait ManualBuild {
    /// Gives the variables of this module their shapes, with [`InputShapes::size`]; is called for every input.
    fn build(&self, inputs: &InputShapes) -> Result<()>;
}
