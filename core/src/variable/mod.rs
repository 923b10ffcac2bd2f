//! Variables: shared handles to cells of state, with deferred values.

mod busy;
mod commit;
mod declaration;
mod seed;

pub use commit::{VariableUpdate, commit, commit_updates, snapshot, with_snapshot};
pub(crate) use commit::{change_at_once, restore, values_at_once};
pub use declaration::{
    Builtins, Constraint, Declaration, Initializer, IntoConstraint, IntoInit, IntoRegularizer, Regularizer, ValueInit,
};
pub(crate) use seed::numbered;
pub use seed::{root_seed, set_seed};

use crate::op::Operand;
use crate::op::scope;
use crate::ops::operators::{operator, or_failed};
use crate::ops::state;
use crate::tape::Source;
use crate::tensor::{Change, Resource, next_id};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

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

/// What all handles share. The state is locked one at a time, or several in order of their numbers: see [`commit`].
/// Nothing a user wrote runs while it is.
pub(crate) struct Cell {
    id: u64,
    frozen: AtomicBool,
    state: RwLock<State>,
    /// Held while the initial value is made, so that it is made once.
    drawing: Mutex<()>,
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
    queued: Option<Restored>,
    version: u64,
}

/// A value that waits for the shape, and the key that a file had it under.
#[derive(Clone)]
struct Restored {
    value: Tensor,
    key: Option<String>,
}

impl Default for Variable {
    fn default() -> Variable {
        let (frozen, state, drawing) = (AtomicBool::new(false), RwLock::default(), Mutex::default());
        let cell = Arc::new(Cell { id: next_id(), frozen, state, drawing });
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

    /// The value, drawn now if it has not been, and its version.
    fn valued(&self) -> Result<(Tensor, u64)> {
        if let Some(present) = self.read_state().present() {
            return Ok(present);
        }
        let _busy = busy::enter(self.id, "read", || self.name())?;
        let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have drawn it in the meantime.
        if let Some(present) = self.read_state().present() {
            return Ok(present);
        }
        let start = self.write_state().start()?;
        let value = start.draw()?;
        let mut state = self.write_state();
        if state.value.is_none() {
            state.admit(&value, || format!("the initial value of variable `{}`", start.path))?;
            state.value = Some(value.with_mask(None));
            state.queued = None;
        }
        state.present().ok_or_else(|| state.unbuilt())
    }

    /// Refuses a write out of the variable's own initializer.
    fn check_writable(&self) -> Result<()> {
        busy::check(self.id, "written", || self.name())
    }
}

/// Tells how many handles there are to a variable.
pub(crate) struct Handles(Weak<Cell>);

impl Handles {
    /// Their number; the tensor that ops know the variable by, which graphs hold, is none.
    pub(crate) fn count(&self) -> usize {
        self.0.strong_count().saturating_sub(1)
    }
}

/// All that an initial value follows from.
struct Start {
    init: Arc<dyn Initializer>,
    dims: Vec<usize>,
    dtype: DType,
    path: String,
    queued: Option<Restored>,
}

impl Start {
    /// The initial value: made outside of tapes and traces, which have no part in it, whenever it is first read.
    fn draw(&self) -> Result<Tensor> {
        match &self.queued {
            Some(queued) => Ok(queued.value.clone()),
            None => scope::outside(|| self.init.init(&self.dims, self.dtype, seed::of_path(&self.path)))
                .map_err(|error| error.note(format!("in the initializer of variable `{}`", self.path))),
        }
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
        let held = self.value.as_ref().or(self.queued.as_ref().map(|queued| &queued.value)).map(Tensor::dtype);
        held.or_else(|| self.declared.as_ref().map(Declaration::dtype)).unwrap_or(DType::F32)
    }

    /// The value and its version, if it has been drawn.
    fn present(&self) -> Option<(Tensor, u64)> {
        self.value.clone().map(|value| (value, self.version))
    }

    /// What the initial value is to be drawn from.
    fn start(&mut self) -> Result<Start> {
        let (Some(dims), Some(declared)) = (&self.shape, &self.declared) else { return Err(self.unbuilt()) };
        let (init, dims, dtype) = (declared.init.clone(), dims.clone(), declared.dtype());
        let (queued, name) = (self.queued.clone(), self.declared_name());
        // What was restored owes nothing to a path, and takes no number of a name.
        let path = match (&self.path, &queued) {
            (Some(path), _) => path.clone(),
            (None, Some(_)) => name.to_owned(),
            (None, None) => self.path.insert(seed::numbered(name)).clone(),
        };
        Ok(Start { init, dims, dtype, path, queued })
    }

    /// Whether a first value is what was declared: `what` names it in the error.
    fn admit(&self, value: &Tensor, what: impl Fn() -> String) -> Result<()> {
        value.check()?;
        if value.is_symbolic() {
            let message = format!("{} is a symbol, which has no value to begin with", what());
            return Err(Error::failed_precondition(message));
        }
        let declared = Spec::new(self.declared.as_ref().map_or(value.dtype(), Declaration::dtype), self.spec().shape);
        if *value.spec() != declared {
            let message = format!("{} is {}, and {declared} is declared", what(), value.spec());
            return Err(Error::invalid_argument(message));
        }
        Ok(())
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

    /// Changes the value where it is, unless somebody else holds it.
    fn alter(&mut self, change: Change) -> Result<()> {
        let Some(value) = &mut self.value else { return Err(self.unbuilt()) };
        change.make(value)?;
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
        if !self.takes(value.spec()) {
            return Err(Error::invalid_argument(format!(
                "variable `{}` is {held}, and the value is {}",
                self.label(),
                value.spec()
            )));
        }
        Ok(())
    }

    /// Whether a value of this dtype and shape can be the variable's, as far as it is known what it is.
    fn takes(&self, spec: &Spec) -> bool {
        let held = self.spec();
        let is_known = self.declared.is_some() || self.value.is_some();
        !is_known || held.dtype == spec.dtype && held.shape.is_compatible_with(&spec.shape)
    }

    /// Takes a restored value: now if the shape is known, else when it will be. It has been checked.
    fn admit_restored(&mut self, value: Tensor, key: Option<String>) -> Result<()> {
        if self.shape.is_some() {
            return self.replace(value);
        }
        self.queued = Some(Restored { value: value.with_mask(None), key });
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
        self.valued().map(|(value, _)| value)
    }

    fn write(&self, value: Tensor) -> Result<()> {
        self.check_writable()?;
        self.write_state().replace(value.clone())?;
        commit::note_in_snapshot(self.id, &value);
        Ok(())
    }

    fn update(&self, change: Change) -> Result<()> {
        self.check_writable()?;
        // The first value is drawn before the lock is taken.
        self.valued()?;
        let mut state = self.write_state();
        state.alter(change)?;
        let value = scope::with(|scopes| scopes.snapshot.is_some()).then(|| state.value.clone()).flatten();
        drop(state);
        value.iter().for_each(|value| commit::note_in_snapshot(self.id, value));
        Ok(())
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
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

    /// The variable behind a handle.
    pub(crate) fn of_handle(handle: &Tensor) -> Result<Variable> {
        let cell = Arc::downcast(Arc::clone(handle.as_resource()?).as_any());
        let cell = cell.map_err(|_| Error::unimplemented("this resource is no variable"))?;
        Ok(Variable { cell, handle: handle.clone() })
    }

    /// Says how the variable begins. Repeatable until a value is drawn; after that it only says whether it is trained.
    pub fn declare(&self, declaration: Declaration) {
        let mut state = self.cell.write_state();
        if state.value.is_some() {
            if let Some(declared) = &mut state.declared {
                declared.trainable = declaration.trainable;
            }
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
        if let Some(Restored { value, key }) = &state.queued
            && *value.shape() != wanted
        {
            let key = key.as_ref().map_or(String::new(), |key| format!(" from `{key}`"));
            return Err(Error::invalid_argument(format!(
                "variable `{}` was restored as {}{key}, and this input asks for {wanted}",
                state.label(),
                value.shape()
            )));
        }
        state.shape = Some(dims.to_vec());
        Ok(())
    }

    /// Takes a shape back that led to nothing, unless a value has been drawn in the meantime.
    pub(crate) fn unsize(&self) {
        let mut state = self.cell.write_state();
        if state.value.is_none() {
            (state.shape, state.sized_by) = (None, None);
        }
    }

    /// Whether a value of this dtype and shape may be restored.
    pub(crate) fn takes(&self, spec: &Spec) -> bool {
        self.cell.read_state().takes(spec)
    }

    /// A restored value that waits for the shape.
    pub(crate) fn queued(&self) -> Option<Tensor> {
        self.cell.read_state().queued.as_ref().map(|queued| queued.value.clone())
    }

    /// What gave the variable its shape, in words.
    pub(crate) fn sized_by(&self) -> Option<String> {
        self.cell.read_state().sized_by.clone()
    }

    /// Remembers what gave the variable its shape.
    pub(crate) fn set_sized_by(&self, origin: String) {
        self.cell.write_state().sized_by = Some(origin);
    }

    /// Says where the variable lives. The last word before the value is drawn counts: its random start follows from it. One
    /// that was given its value before takes the first word.
    pub fn stamp(&self, path: &str) {
        let mut state = self.cell.write_state();
        if state.value.is_none() || state.path.is_none() {
            state.path = Some(path.to_owned());
        }
    }

    /// What tells this variable from every other; its clones share it.
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// What tells how many handles there are, without being one.
    pub(crate) fn handles(&self) -> Handles {
        Handles(Arc::downgrade(&self.cell))
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

    /// The dtype and the dims, as far as they are known.
    pub fn spec(&self) -> Spec {
        self.cell.read_state().spec()
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
    /// Within a layer that computes in another dtype than its variables have, floats are read in that, unless the variable
    /// is declared without `autocast`. An error that names the variable when its shape is not known yet.
    pub fn read(&self) -> Result<Tensor> {
        let value = state::read(&self.handle, self.dtype())?;
        match scope::with(|scopes| scopes.autocast) {
            Some(dtype) if value.dtype().is_float() && self.autocasts() => value.cast(dtype),
            _ => Ok(value),
        }
    }

    fn autocasts(&self) -> bool {
        self.cell.read_state().declared.as_ref().is_none_or(|declared| declared.autocast)
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
        commit::restore([(self.clone(), value.clone(), None)])
    }
}

/// As `<Variable 'my_model/dense/kernel' float32(3, 3)>`.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Before the lock is taken: it takes it too, and a thread that waits to write would stand between.
        let frozen = if self.trainable() { "" } else { ", not trainable" };
        let state = self.cell.read_state();
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
    ($($trait:ident $operator:ident $method:ident $op:ident;)*) => { $(
        operator!(@ $trait $operator $op, Tensor, &Variable);
        operator!(@ $trait $operator $op, &Tensor, &Variable);
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
    Add add add AddV2;
    Sub sub sub Sub;
    Mul mul mul Mul;
    Div div div RealDiv;
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
    fn a_snapshot_within_another_keeps_its_moment_and_tells_it_of_writes() {
        let (a, b) = (Variable::new(1.0), Variable::new(1.0));
        let elsewhere = |v: &Variable, value: f32| {
            let v = v.clone();
            std::thread::spawn(move || v.assign(&Tensor::scalar(value))).join().unwrap().unwrap();
        };
        let read = |v: &Variable| v.read().unwrap().item::<f32>().unwrap();
        with_snapshot(std::slice::from_ref(&a), || {
            elsewhere(&a, 5.0);
            elsewhere(&b, 5.0);
            assert_eq!(snapshot(std::slice::from_ref(&a)).unwrap()[0].item::<f32>().unwrap(), 1.0);
            with_snapshot(&[a.clone(), b.clone()], || {
                elsewhere(&b, 6.0);
                assert_eq!([read(&a), read(&b)], [1.0, 5.0]);
                a.assign(&Tensor::scalar(2.0_f32)).unwrap();
            })
            .unwrap();
            assert_eq!([read(&a), read(&b)], [2.0, 6.0]);
            with_snapshot(std::slice::from_ref(&b), || assert_eq!(read(&a), 2.0)).unwrap();
            a.restore(&Tensor::scalar(3.0_f32)).unwrap();
            assert_eq!(read(&a), 3.0);
        })
        .unwrap();
    }

    #[test]
    fn an_initializer_runs_once_and_may_use_every_variable_but_its_own() {
        struct From(Variable, Arc<std::sync::atomic::AtomicUsize>);
        impl Initializer for From {
            fn init(&self, _: &[usize], _: DType, _: u64) -> Result<Tensor> {
                self.1.fetch_add(1, Ordering::Relaxed);
                commit([(self.0.clone(), &self.0 + 1.0)])?;
                self.0.read()
            }
        }
        let declared_from = |v: &Variable, from: &Variable| {
            let runs = Arc::default();
            let init = Arc::new(From(from.clone(), Arc::clone(&runs)));
            v.declare(Declaration { shape: Some(vec![]), ..Declaration::new(init) });
            runs
        };
        let (a, b) = (Variable::new(1.0), Variable::default());
        let runs = declared_from(&b, &a);
        let read = || b.value().unwrap().item::<f32>().unwrap();
        let all = std::thread::scope(|s| [s.spawn(read), s.spawn(read)].map(|thread| thread.join().unwrap()));
        assert_eq!(all, [2.0, 2.0]);
        assert_eq!(runs.load(Ordering::Relaxed), 1);

        let own = Variable::default();
        declared_from(&own, &own);
        let error = own.read().unwrap_err();
        assert!(error.message().contains("by its own initializer"), "{error}");
    }

    #[test]
    fn a_first_value_is_drawn_outside_of_traces_and_is_never_a_symbol() {
        struct Twice(Variable);
        impl Initializer for Twice {
            fn init(&self, _: &[usize], _: DType, _: u64) -> Result<Tensor> {
                Ok(&self.0 * 2.0)
            }
        }
        let (a, b) = (Variable::new(3.0), Variable::default());
        b.declare(Declaration { shape: Some(vec![]), ..Declaration::new(Arc::new(Twice(a))) });
        crate::graph::trace(
            |x| {
                assert_eq!(b.value()?.item::<f32>()?, 6.0);
                let error = Variable::new(x[0].clone()).value().unwrap_err();
                assert!(error.message().contains("is a symbol"), "{error}");
                Ok(vec![])
            },
            &[Spec::new(DType::F32, [2])],
        )
        .unwrap();
    }

    #[test]
    fn additions_from_all_threads_count() {
        let v = Variable::new(0.0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..100).for_each(|_| v.assign_add(&Tensor::scalar(1.0_f32)).unwrap()));
            }
        });
        assert_eq!(v.value().unwrap().item::<f32>().unwrap(), 400.0);
        assert_eq!(v.version(), 400);
    }

    #[test]
    fn a_variable_prints_while_it_is_written() {
        let v = Variable::new(1.0);
        let (done, finished) = std::sync::mpsc::channel();
        for write in [true, false] {
            let (v, done) = (v.clone(), done.clone());
            std::thread::spawn(move || {
                for _ in 0..2000 {
                    match write {
                        true => v.stamp("path"),
                        false => drop(v.to_string()),
                    }
                }
                done.send(()).unwrap();
            });
        }
        let patience = std::time::Duration::from_secs(60);
        (0..2).for_each(|_| finished.recv_timeout(patience).expect("nobody waits for the other"));
    }

    #[test]
    fn a_restored_value_is_checked_against_a_later_declaration() {
        let v = Variable::default();
        v.restore(&Tensor::from([1.0_f32, 2.0])).unwrap();
        v.declare(Declaration { shape: Some(vec![Some(3)]), ..Declaration::new(0.0.into_init()) });
        let error = v.read().unwrap_err();
        assert!(error.message().ends_with("is float32(2,), and float32(3,) is declared"), "{error}");
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
