//! Toy variables.
#![allow(missing_docs)]
use crate::{DType, Error, Result, Tensor};
use std::sync::{Arc, Mutex, atomic::{AtomicU64, Ordering}};
#[derive(Clone)] pub struct Variable(Arc<Inner>);
struct Inner { id: u64, state: Mutex<State> }
#[derive(Default)] struct State { declaration: Option<Declaration>, frozen: Option<bool>, shape: Option<Vec<usize>>, sized_by: Option<String>, path: Option<String>, value: Option<Tensor> }
impl Default for Variable { fn default() -> Self { static NEXT: AtomicU64 = AtomicU64::new(0); Variable(Arc::new(Inner { id: NEXT.fetch_add(1, Ordering::Relaxed), state: Default::default() })) } }
#[derive(Clone)]
pub struct Declaration { pub init: Arc<dyn Initializer>, pub shape: Option<Vec<Option<usize>>>, pub dtype: Option<DType>, pub trainable: bool, pub persistent: bool, pub regularizer: Option<Arc<dyn Regularizer>>, pub constraint: Option<Arc<dyn Constraint>> }
pub trait Initializer: Send + Sync + 'static { fn draw(&self, seed: u64, shape: &[usize]) -> Result<Tensor>; fn own_shape(&self) -> Option<Vec<usize>> { None } }
pub trait Regularizer: Send + Sync + 'static { fn penalty(&self, value: &Tensor) -> Result<Tensor>; }
pub trait Constraint: Send + Sync + 'static { fn project(&self, value: &Tensor) -> Result<Tensor>; }
#[derive(Clone, Copy, Default)] pub struct Zeros;
impl Initializer for Zeros { fn draw(&self, _: u64, s: &[usize]) -> Result<Tensor> { Tensor::new(s, vec![0.0; s.iter().product()]) } }
#[derive(Clone, Copy, Default)] pub struct RandomNormal;
impl Initializer for RandomNormal { fn draw(&self, seed: u64, s: &[usize]) -> Result<Tensor> { let mut z = seed; Tensor::new(s, (0..s.iter().product()).map(|_| { z = z.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); (z >> 40) as f32 / 16777216.0 - 0.5 }).collect::<Vec<_>>()) } }
struct Constant(Tensor);
impl Initializer for Constant { fn draw(&self, _: u64, _: &[usize]) -> Result<Tensor> { Ok(self.0.clone()) } fn own_shape(&self) -> Option<Vec<usize>> { self.0.shape().known().map(<[_]>::to_vec) } }
#[diagnostic::on_unimplemented(message = "`{Self}` is not an initial value", label = "not an initializer", note = "write a number, a Tensor or an Initializer such as `Zeros`")]
pub trait IntoInit { fn into_init(self) -> Arc<dyn Initializer>; }
#[diagnostic::do_not_recommend] impl<I: Initializer> IntoInit for I { fn into_init(self) -> Arc<dyn Initializer> { Arc::new(self) } }
#[diagnostic::on_unimplemented(message = "a variable initialised by `{Self}` needs a shape", label = "no shape is given", note = "add `shape = [..]`, or give the initial value itself (a number or a Tensor)")]
pub trait ValueInit: IntoInit {}
macro_rules! val { ($($t:ty)*) => { $(impl IntoInit for $t { fn into_init(self) -> Arc<dyn Initializer> { Arc::new(Constant(Tensor::scalar(self as f32))) } } impl ValueInit for $t {})* } } val!(f64 i32);
impl IntoInit for Tensor { fn into_init(self) -> Arc<dyn Initializer> { Arc::new(Constant(self)) } } impl ValueInit for Tensor {}
impl IntoInit for &str { fn into_init(self) -> Arc<dyn Initializer> { match self { "zeros" => Arc::new(Zeros), _ => Arc::new(RandomNormal) } } }
pub trait IntoRegularizer { fn into_regularizer(self) -> Option<Arc<dyn Regularizer>>; }
impl IntoRegularizer for Option<Arc<dyn Regularizer>> { fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> { self } }
impl IntoRegularizer for &str { fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> { struct L2; impl Regularizer for L2 { fn penalty(&self, v: &Tensor) -> Result<Tensor> { Ok(Tensor::scalar(v.to_vec::<f32>()?.iter().map(|x| 0.01 * x * x).sum())) } } Some(Arc::new(L2)) } }
pub trait IntoConstraint { fn into_constraint(self) -> Option<Arc<dyn Constraint>>; }
impl IntoConstraint for Option<Arc<dyn Constraint>> { fn into_constraint(self) -> Option<Arc<dyn Constraint>> { self } }
impl IntoConstraint for &str { fn into_constraint(self) -> Option<Arc<dyn Constraint>> { None } }
impl std::fmt::Debug for Variable { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "Variable({})", self.id()) } }
impl Variable {
    fn state(&self) -> std::sync::MutexGuard<'_, State> { self.0.state.lock().unwrap_or_else(|e| e.into_inner()) }
    pub fn new(init: impl ValueInit) -> Variable { let v = Variable::default(); v.declare(Declaration { init: init.into_init(), shape: None, dtype: None, trainable: true, persistent: true, regularizer: None, constraint: None }); v }
    pub fn declare(&self, d: Declaration) { let mut s = self.state(); if s.value.is_some() { return } s.shape = d.shape.as_ref().map_or_else(|| d.init.own_shape(), |d| d.iter().copied().collect()); s.declaration = Some(d) }
    pub fn size(&self, shape: &[usize]) -> Result<()> { let mut s = self.state(); match &s.shape { Some(old) if old != shape => return Err(Error::invalid_argument(format!("was built as {old:?}, not {shape:?}"))), _ => s.shape = Some(shape.to_vec()) } Ok(()) }
    pub fn sized_by(&self) -> Option<String> { self.state().sized_by.clone() }
    pub fn set_sized_by(&self, text: String) { self.state().sized_by = Some(text) }
    pub fn stamp(&self, path: &str) { let mut s = self.state(); if s.value.is_none() { s.path = Some(path.into()) } }
    pub fn id(&self) -> u64 { self.0.id }
    pub fn is_declared(&self) -> bool { self.state().declaration.is_some() }
    pub fn is_sized(&self) -> bool { self.state().shape.is_some() }
    pub fn is_valued(&self) -> bool { self.state().value.is_some() }
    pub fn path(&self) -> Option<String> { self.state().path.clone() }
    pub fn shape(&self) -> Option<Vec<usize>> { self.state().shape.clone() }
    pub fn declaration(&self) -> Option<Declaration> { self.state().declaration.clone() }
    pub fn trainable(&self) -> bool { let s = self.state(); s.frozen.map_or_else(|| s.declaration.as_ref().is_none_or(|d| d.trainable), |f| !f) }
    pub fn set_trainable(&self, t: bool) { self.state().frozen = Some(!t) }
    pub fn read(&self) -> Result<Tensor> {
        let mut s = self.state();
        if let Some(v) = &s.value { return Ok(v.clone()) }
        let (Some(shape), Some(d)) = (&s.shape, &s.declaration) else { return Err(Error::failed_precondition("the variable is not built; use `call`")) };
        let seed = s.path.as_deref().unwrap_or("").bytes().fold(0xcbf29ce484222325, |h: u64, b| (h ^ b as u64).wrapping_mul(0x100000001b3));
        let v = d.init.draw(seed, shape)?; s.value = Some(v.clone()); Ok(v)
    }
    pub fn assign(&self, t: Tensor) -> Result<()> { let mut s = self.state(); s.shape = Some(t.dims()?.to_vec()); s.value = Some(t); Ok(()) }
}
