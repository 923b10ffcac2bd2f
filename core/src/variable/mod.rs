//! Variables: shared handles to cells of state, with deferred values.

mod commit;
mod declaration;
mod seed;

pub use commit::{commit, snapshot, with_snapshot};
pub use declaration::{
    Builtins, Constraint, Declaration, Initializer, IntoConstraint, IntoInit, IntoRegularizer, Regularizer, ValueInit,
};
pub(crate) use seed::numbered;
pub use seed::{root_seed, set_seed};

use crate::op::Operand;
use crate::ops::operators::{operator, or_failed};
use crate::ops::state;
use crate::tape::Source;
use crate::tensor::{Resource, next_id};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::borrow::Borrow;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A tensor that is kept, and may change: TensorFlow's `tf.Variable`.
///
/// A clone is another handle to the same variable. It is *declared* (how it begins is known, perhaps some dims),
/// *sized* (its shape is known), then *valued*: the initial value is drawn when it is first read. `Variable::default()`
/// is not even declared; the derive declares and sizes what the attributes of a field say.
///
/// ```
/// use modulor_core::{Tensor, Variable};
/// # fn main() -> modulor_core::Result<()> {
/// let v = Variable::new(2.0);
/// v.assign_add(&Tensor::scalar(1.0_f32))?;
/// assert_eq!((&v * 5.0).item::<f32>()?, 15.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Variable {
    cell: Arc<Cell>,
    /// The tensor of dtype `resource` that ops take; a tape knows the variable by it.
    handle: Tensor,
}

/// What all handles share. Locked one at a time, or several in order of their numbers: see [`commit`].
pub(crate) struct Cell {
    id: u64,
    frozen: AtomicBool,
    state: RwLock<State>,
}

#[derive(Default)]
pub(crate) struct State {
    declared: Option<Declaration>,
    /// Where the variable lives in the outermost module that reads it first; settled once the value is drawn.
    path: Option<String>,
    shape: Option<Vec<usize>>,
    value: Option<Tensor>,
    /// The input that gave the shape and where it came from, for the error of a later one that contradicts it.
    sized_by: Option<String>,
    /// A value that was restored before the shape was known.
    queued: Option<Tensor>,
    version: u64,
}

impl Default for Variable {
    fn default() -> Variable {
        let cell = Arc::new(Cell { id: next_id(), frozen: AtomicBool::new(false), state: RwLock::default() });
        Variable { handle: Tensor::resource(cell.clone()), cell }
    }
}

impl Cell {
    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The error of reading too early.
    fn unbuilt(&self) -> Error {
        Error::failed_precondition(format!(
            "variable `{}` has no value yet: its shape follows from the first input; use `call`, not `forward`",
            self.label()
        ))
    }

    fn label(&self) -> String {
        self.path.clone().unwrap_or_else(|| self.declared_name().to_owned())
    }

    fn declared_name(&self) -> &'static str {
        self.declared.as_ref().and_then(|declared| declared.name).unwrap_or("variable")
    }

    fn dtype(&self) -> DType {
        let held = self.value.as_ref().or(self.queued.as_ref()).map(Tensor::dtype);
        held.or_else(|| self.declared.as_ref().map(Declaration::dtype)).unwrap_or(DType::F32)
    }

    /// The value, drawn now if it has not been.
    fn valued(&mut self) -> Result<&Tensor> {
        if self.value.is_none() {
            self.value = Some(self.draw()?);
        }
        Ok(self.value.as_ref().expect("set in the line above"))
    }

    fn draw(&mut self) -> Result<Tensor> {
        let (Some(dims), Some(declared)) = (&self.shape, &self.declared) else { return Err(self.unbuilt()) };
        if let Some(queued) = self.queued.take() {
            return Ok(queued);
        }
        let name = self.declared_name();
        let path = self.path.get_or_insert_with(|| seed::numbered(name));
        let value = declared
            .init
            .init(dims, declared.dtype(), seed::of_path(path))
            .map_err(|error| error.note(format!("in the initializer of variable `{path}`")))?;
        if value.dtype() != declared.dtype() || *value.shape() != **dims {
            return Err(Error::invalid_argument(format!(
                "the initializer of variable `{path}` gave {}, and {} is declared",
                value.spec(),
                Spec::new(declared.dtype(), dims)
            )));
        }
        Ok(value)
    }

    /// Replaces the value, if it fits.
    fn replace(&mut self, value: Tensor) -> Result<()> {
        self.check(&value)?;
        self.shape = Some(value.dims()?.to_vec());
        self.value = Some(value.with_mask(None));
        self.queued = None;
        self.version += 1;
        Ok(())
    }

    /// Whether a value may be assigned: its dtype is the variable's, its shape one that the variable can have.
    fn check(&self, value: &Tensor) -> Result<()> {
        value.check()?;
        let held = self.spec();
        if value.is_symbolic() {
            return Err(Error::failed_precondition("a symbol has no value to assign"));
        }
        if value.dtype() != held.dtype || !held.shape.is_compatible_with(value.shape()) {
            return Err(Error::invalid_argument(format!(
                "variable `{}` is {held}, and the value is {}",
                self.label(),
                value.spec()
            )));
        }
        Ok(())
    }

    fn spec(&self) -> Spec {
        let shape = match (&self.shape, &self.declared) {
            (Some(dims), _) => Shape::from(dims),
            (None, Some(declared)) => declared.shape.clone().map_or(Shape::unknown(), Shape::from),
            (None, None) => Shape::unknown(),
        };
        Spec::new(self.dtype(), shape)
    }
}

impl Resource for Cell {
    fn name(&self) -> String {
        self.read_state().label()
    }

    fn spec(&self) -> Result<Spec> {
        let state = self.read_state();
        if state.shape.is_none() {
            return Err(state.unbuilt());
        }
        Ok(state.spec())
    }

    fn read(&self) -> Result<Tensor> {
        if let Some(value) = commit::in_snapshot(self.id) {
            return Ok(value);
        }
        if let Some(value) = &self.read_state().value {
            return Ok(value.clone());
        }
        self.write_state().valued().cloned()
    }

    fn write(&self, value: Tensor) -> Result<()> {
        self.write_state().replace(value.clone())?;
        commit::note_in_snapshot(self.id, &value);
        Ok(())
    }

    fn update(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        let mut state = self.write_state();
        let value = change(state.valued()?)?;
        state.replace(value.clone())?;
        drop(state);
        commit::note_in_snapshot(self.id, &value);
        Ok(())
    }

    fn trainable(&self) -> bool {
        !self.frozen.load(Ordering::Relaxed) && self.read_state().declared.as_ref().is_none_or(|d| d.trainable)
    }
}

impl Variable {
    /// A trainable variable that begins with this value: a number (float32, or int32 of a whole literal) or a tensor.
    pub fn new(init: impl ValueInit) -> Variable {
        let variable = Variable::default();
        variable.declare(Declaration::new(init.into_init()));
        variable
    }

    /// Says how the variable begins. Repeatable until a value is drawn; of no effect after that.
    pub fn declare(&self, declaration: Declaration) {
        let mut state = self.cell.write_state();
        if state.value.is_some() {
            return;
        }
        state.shape = match &declaration.shape {
            Some(dims) => dims.iter().copied().collect(),
            None => declaration.init.spec().and_then(|spec| spec.shape.known().map(<[_]>::to_vec)),
        };
        state.declared = Some(declaration);
    }

    /// Gives the shape. An error when it already has another, or one that the declaration or a restored value forbids.
    pub fn size(&self, dims: &[usize]) -> Result<()> {
        let mut state = self.cell.write_state();
        let wanted = Shape::from(dims);
        if let Some(built) = &state.shape {
            return match **built == *dims {
                true => Ok(()),
                false => Err(Error::invalid_argument(format!(
                    "variable `{}` was built as {}, and this input asks for {wanted}",
                    state.label(),
                    Shape::from(built)
                ))),
            };
        }
        if !state.spec().shape.is_compatible_with(&wanted) {
            return Err(Error::invalid_argument(format!(
                "variable `{}` is declared as {}, and {wanted} was asked for",
                state.label(),
                state.spec().shape
            )));
        }
        if let Some(queued) = &state.queued
            && *queued.shape() != wanted
        {
            return Err(Error::invalid_argument(format!(
                "variable `{}` was restored as {}, and this input asks for {wanted}",
                state.label(),
                queued.shape()
            )));
        }
        state.shape = Some(dims.to_vec());
        Ok(())
    }

    /// What gave the variable its shape, in words.
    pub(crate) fn sized_by(&self) -> Option<String> {
        self.cell.read_state().sized_by.clone()
    }

    /// Remembers what gave the variable its shape.
    pub(crate) fn set_sized_by(&self, origin: String) {
        self.cell.write_state().sized_by = Some(origin);
    }

    /// Says where the variable lives. The last word before the value is drawn counts: its random start follows from it.
    pub fn stamp(&self, path: &str) {
        let mut state = self.cell.write_state();
        if state.value.is_none() {
            state.path = Some(path.to_owned());
        }
    }

    /// What tells this variable from every other; its clones share it.
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// Its place in the outermost module that read it first, `my_model/dense_1/kernel`; none before that.
    pub fn path(&self) -> Option<String> {
        self.cell.read_state().path.clone()
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        let label = self.cell.read_state().label();
        label.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// How it was declared, if it was.
    pub fn declaration(&self) -> Option<Declaration> {
        self.cell.read_state().declared.clone()
    }

    /// Whether its shape is known.
    pub fn is_sized(&self) -> bool {
        self.cell.read_state().shape.is_some()
    }

    /// Whether its value has been drawn, assigned or restored.
    pub fn is_valued(&self) -> bool {
        self.cell.read_state().value.is_some()
    }

    /// The dims, once they are known.
    pub fn shape(&self) -> Option<Vec<usize>> {
        self.cell.read_state().shape.clone()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.cell.read_state().dtype()
    }

    /// Rises with every write; caches made from the value are good for one version.
    pub fn version(&self) -> u64 {
        self.cell.read_state().version
    }

    /// Whether it is declared trainable and not frozen.
    pub fn trainable(&self) -> bool {
        self.cell.trainable()
    }

    /// Freezes, or thaws what was declared trainable, before or after building.
    pub fn set_trainable(&self, trainable: bool) {
        self.cell.frozen.store(!trainable, Ordering::Relaxed);
    }

    /// Whether it has been frozen, whatever its declaration says.
    pub fn is_frozen(&self) -> bool {
        self.cell.frozen.load(Ordering::Relaxed)
    }

    /// Whether checkpoints hold it.
    pub fn persistent(&self) -> bool {
        self.cell.read_state().declared.as_ref().is_none_or(|declared| declared.persistent)
    }

    /// Whether it is one of the weights of its module, not just state that is kept there.
    pub fn is_weight(&self) -> bool {
        self.cell.read_state().declared.as_ref().is_none_or(|declared| declared.weight)
    }

    /// The value as operations see it: recorded by tapes, a node in a trace. Draws the initial value if need be.
    ///
    /// An error that names the variable when its shape is not known yet.
    pub fn read(&self) -> Result<Tensor> {
        state::read(&self.handle, self.dtype())
    }

    /// A reference to the value, seen by no tape and no trace; later writes do not move it.
    pub fn value(&self) -> Result<Tensor> {
        self.cell.read()
    }

    /// Replaces the value; dtype and shape must be the variable's.
    pub fn assign(&self, value: &Tensor) -> Result<()> {
        state::assign(&self.handle, value)
    }

    /// Adds to the value.
    pub fn assign_add(&self, value: &Tensor) -> Result<()> {
        state::assign_add(&self.handle, value)
    }

    /// Subtracts from the value.
    pub fn assign_sub(&self, value: &Tensor) -> Result<()> {
        state::assign_sub(&self.handle, value)
    }

    /// Assigns a value that may come before the shape is known: then it waits, and replaces the initial one.
    ///
    /// What is known of dtype and dims must fit now; the rest is checked when the variable is sized.
    pub fn restore(&self, value: &Tensor) -> Result<()> {
        let mut state = self.cell.write_state();
        if state.shape.is_some() {
            return state.replace(value.clone());
        }
        state.check(value)?;
        state.queued = Some(value.clone());
        Ok(())
    }
}

/// As `<Variable 'my_model/dense/kernel' float32(3, 3)>`.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.cell.read_state();
        let frozen = if self.trainable() { "" } else { ", not trainable" };
        write!(f, "<Variable '{}' {}{frozen}>", state.label(), state.spec())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Operand for Variable {
    fn operand(&self, _: DType) -> Result<Tensor> {
        self.read()
    }
}

impl Source for Variable {
    fn watched(&self) -> &Tensor {
        &self.handle
    }
    fn label(&self) -> String {
        format!("variable `{}`", self.cell.read_state().label())
    }
    fn zeros(&self) -> Result<Tensor> {
        self.value()?.zeros_like()
    }
}

macro_rules! operators {
    ($($trait:ident $operator:ident $method:ident;)*) => { $(
        operator!(@ $trait $operator $method, Tensor, &Variable);
        operator!(@ $trait $operator $method, &Tensor, &Variable);
        operators!(@ $trait $operator $method, Tensor);
        operators!(@ $trait $operator $method, &Tensor);
        operators!(@ $trait $operator $method, &Variable);
        operators!(@ $trait $operator $method, f64);

        impl $trait<&Variable> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: &Variable) -> Tensor {
                or_failed(other.read().and_then(|other| Tensor::$method(&Tensor::number(self, other.dtype())?, other)))
            }
        }
    )* };
    (@ $trait:ident $operator:ident $method:ident, $right:ty) => {
        impl $trait<$right> for &Variable {
            type Output = Tensor;
            #[track_caller]
            fn $operator(self, other: $right) -> Tensor {
                or_failed(self.read().and_then(|value| Tensor::$method(&value, other)))
            }
        }
    };
}

operators! {
    Add add add;
    Sub sub sub;
    Mul mul mul;
    Div div div;
}

impl Neg for &Variable {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        or_failed(self.read().and_then(|value| Tensor::neg(&value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_goes_from_declared_to_sized_to_valued() {
        let v = Variable::default();
        assert!(v.read().unwrap_err().message().contains("use `call`"));
        let mut declaration = Declaration::new(2.0.into_init());
        declaration.shape = Some(vec![None, Some(2)]);
        v.declare(declaration);
        assert!(!v.is_sized());
        assert!(v.size(&[3, 4]).unwrap_err().message().contains("declared as (None, 2)"));
        v.size(&[3, 2]).unwrap();
        assert!(v.is_sized() && !v.is_valued());
        assert_eq!(v.read().unwrap().to_vec::<f32>().unwrap(), [2.0; 6]);
        assert!(v.size(&[4, 2]).unwrap_err().message().contains("was built as (3, 2)"));
        assert_eq!(v.version(), 0);
        v.assign(&Tensor::zeros([3, 2], DType::F32).unwrap()).unwrap();
        assert_eq!(v.version(), 1);
        let error = v.assign(&Tensor::scalar(1.0_f32)).unwrap_err();
        assert!(error.to_string().contains("holds float32(3, 2), and the value is float32()"), "{error}");
    }

    #[test]
    fn a_restored_value_waits_for_the_shape_and_is_checked_against_it() {
        let declared = || {
            let v = Variable::default();
            let mut declaration = Declaration::new(0.0.into_init());
            declaration.shape = Some(vec![None]);
            v.declare(declaration);
            v.restore(&Tensor::from([1.0_f32, 2.0])).unwrap();
            v
        };
        let v = declared();
        v.size(&[2]).unwrap();
        assert_eq!(v.value().unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
        assert!(declared().size(&[3]).unwrap_err().message().contains("was restored as (2,)"));
        assert!(declared().restore(&Tensor::from([1_i32])).is_err());
    }

    #[test]
    fn a_commit_is_all_or_nothing_and_a_snapshot_sees_one_moment() {
        let (a, b) = (Variable::new(1.0), Variable::new(1.0));
        let bad = [(a.clone(), Tensor::scalar(2.0_f32)), (b.clone(), Tensor::from([2.0_f32, 2.0]))];
        assert!(commit(bad).is_err());
        assert_eq!(a.value().unwrap().item::<f32>().unwrap(), 1.0);
        let both = [a.clone(), b.clone()];
        let read = || both.each_ref().map(|v| v.read().unwrap().item::<f32>().unwrap());
        with_snapshot(&both, || {
            let (a, b) = (a.clone(), b.clone());
            std::thread::spawn(move || commit([(a, Tensor::scalar(5.0_f32)), (b, Tensor::scalar(5.0_f32))]))
                .join()
                .unwrap()
                .unwrap();
            assert_eq!(read(), [1.0, 1.0]);
        })
        .unwrap();
        assert_eq!(read(), [5.0, 5.0]);
    }

    #[test]
    fn equal_seeds_and_paths_start_equal() {
        struct Seed;
        impl Initializer for Seed {
            fn init(&self, _: &[usize], _: DType, seed: u64) -> Result<Tensor> {
                Tensor::scalar(seed as i64).cast(DType::F32)
            }
        }
        let start = |path: &str| {
            let v = Variable::default();
            v.declare(Declaration { shape: Some(vec![]), ..Declaration::new(Arc::new(Seed)) });
            v.stamp(path);
            v.value().unwrap().item::<f32>().unwrap()
        };
        assert_eq!(start("model/w"), start("model/w"));
        assert_ne!(start("model/w"), start("model/v"));
    }
}
