//! Functions that are traced once for each kind of arguments, and then run as compiled graphs: TensorFlow's `tf.function`.

mod concrete;
mod cost;
mod lower;
mod plan;
mod signature;

pub use concrete::Concrete;
pub use cost::{Cost, OpCost};

use crate::op::scope;
use crate::{Error, Feed, Result, Structure, Tensor};
use signature::Signature;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::ThreadId;

/// A function over tensors and variables, traced into a graph at the first call of each kind, and run by a plan from then on.
///
/// What kind a call is of follows from the dtypes and shapes of its arguments, their structure, the training phase, the dtype
/// policy, and a plain value, the key, for those made by [`keyed`](Function::keyed). The closure runs while it is traced and
/// not otherwise: what it does beside operations on tensors and variables, it does once for each kind. Variables are captured
/// by their handles; reads and writes keep their order, and writes take effect together when a call ends, or not at all if it
/// fails.
///
/// Results have the bits of the same operations called one by one. A call allocates nothing once the results of calls
/// before it were dropped, but for operations whose shapes follow from values. Within a trace, and where a tape listens, the
/// operations are called one by one.
///
/// A clone is another handle to the same function.
///
/// ```
/// use modulor_core::{Function, Tensor, Variable};
/// # fn main() -> modulor_core::Result<()> {
/// let w = Variable::new(3.0);
/// let scaled = {
///     let w = w.clone();
///     Function::new(move |x: &Tensor| Ok(x * &w))
/// };
/// assert_eq!(scaled.call(&Tensor::from([1.0_f32, 2.0]))?.to_vec::<f32>()?, [3.0, 6.0]);
/// w.assign(&Tensor::scalar(5.0_f32))?;
/// assert_eq!(scaled.call(&Tensor::from([1.0_f32, 2.0]))?.to_vec::<f32>()?, [5.0, 10.0]);
/// assert_eq!(scaled.traces().len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Function<In: Structure = Tensor, Out: Structure = Tensor, Key = ()> {
    shared: Arc<Shared<In, Out, Key>>,
}

/// What the handles share.
struct Shared<In: Structure, Out: Structure, Key> {
    name: Option<String>,
    body: Box<Body<In, Out, Key>>,
    /// What arguments are taken as, where that was said.
    declared: Option<Declared>,
    concretes: RwLock<Vec<Traced<Out, Key>>>,
    /// Held while the function is traced, so that nothing is traced twice.
    tracing: Mutex<()>,
    /// The kinds that are being traced, by the thread that holds this lock: a function may call itself with another key.
    under_way: Mutex<Vec<(ThreadId, Signature, Key)>>,
    /// How many of the calls before this one traced, of the last few.
    recent: Mutex<Recent>,
}

type Body<In, Out, Key> = dyn Fn(&In, &Key) -> Result<Out> + Send + Sync;

/// An input signature.
struct Declared {
    structure: u64,
    specs: Vec<crate::Spec>,
}

/// One kind of arguments.
struct Traced<Out: Structure, Key> {
    signature: Signature,
    key: Key,
    concrete: Arc<Concrete<Out>>,
    /// Why it was traced.
    reason: String,
}

/// Whether a function keeps tracing.
#[derive(Default)]
struct Recent {
    /// A bit for each of the last calls: whether it traced.
    traced: u32,
    warned: bool,
}

/// So many of so many calls that trace are worth a warning.
const MANY: u32 = 5;
const OF: u32 = 10;

impl<In: Structure, Out: Structure> Function<In, Out> {
    /// A function of tensors alone.
    pub fn new(body: impl Fn(&In) -> Result<Out> + Send + Sync + 'static) -> Function<In, Out> {
        Function::keyed(move |x, ()| body(x))
    }

    /// The function of these arguments.
    ///
    /// # Errors
    ///
    /// Those of the operations, with the path of the module and the op that failed; and where a value of a traced function
    /// is looked at, the error of looking at a symbol.
    pub fn call(&self, x: impl Feed<In>) -> Result<Out> {
        self.call_keyed(x, &())
    }

    /// What a call with these arguments costs: see [`Cost`].
    pub fn cost(&self, x: impl Feed<In>) -> Result<Cost> {
        self.cost_keyed(x, &())
    }

    /// The graph of arguments like these, traced now if it was not yet: of tensors, or of placeholders, which say a dtype and
    /// as much of a shape as is known (`Tensor::placeholder`).
    ///
    /// ```
    /// use modulor_core::{DType, Function, Spec, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let double = Function::new(|x: &Tensor| Ok(x + x));
    /// let concrete = double.concrete(&Tensor::placeholder(Spec::new(DType::F32, [None, Some(2)])))?;
    /// assert_eq!(concrete.call(&[Tensor::from([[1.0_f32, 2.0]])])?.to_vec::<f32>()?, [2.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn concrete(&self, x: impl Feed<In>) -> Result<Arc<Concrete<Out>>> {
        self.concrete_keyed(x, &())
    }
}

impl<In: Structure, Out: Structure, Key> Function<In, Out, Key>
where
    Key: Clone + PartialEq + fmt::Debug + Send + Sync + 'static,
{
    /// A function of tensors and a plain value, for each of which it is traced anew.
    ///
    /// ```
    /// use modulor_core::{Function, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let power = Function::keyed(|x: &Tensor, n: &u32| (1..*n).try_fold(x.clone(), |y, _| y.mul(x)));
    /// let x = Tensor::scalar(2.0_f32);
    /// assert_eq!(power.call_keyed(&x, &3)?.item::<f32>()?, 8.0);
    /// assert_eq!(power.call_keyed(&x, &5)?.item::<f32>()?, 32.0);
    /// assert_eq!(power.traces()[1], "the key is 5, and was 3");
    /// # Ok(())
    /// # }
    /// ```
    pub fn keyed(body: impl Fn(&In, &Key) -> Result<Out> + Send + Sync + 'static) -> Function<In, Out, Key> {
        Function::of(None, None, Box::new(body))
    }

    fn of(name: Option<String>, declared: Option<Declared>, body: Box<Body<In, Out, Key>>) -> Function<In, Out, Key> {
        let shared = Shared {
            name,
            body,
            declared,
            concretes: RwLock::default(),
            tracing: Mutex::default(),
            under_way: Mutex::default(),
            recent: Mutex::default(),
        };
        Function { shared: Arc::new(shared) }
    }

    /// The same function by a name, for messages; it has not been traced.
    #[must_use]
    pub fn named(self, name: &str) -> Function<In, Out, Key> {
        let shared = self.shared;
        let declared = shared.declared.as_ref();
        let declared = declared.map(|d| Declared { structure: d.structure, specs: d.specs.clone() });
        Function::of(Some(name.to_owned()), declared, Box::new(move |x, key| (shared.body)(x, key)))
    }

    /// The same function for arguments like these alone: each call is of one kind, whatever those dims are that are not
    /// known here. It has not been traced. TensorFlow's `input_signature`.
    ///
    /// ```
    /// use modulor_core::{DType, Function, Spec, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let rows = Tensor::placeholder(Spec::new(DType::F32, [None, Some(2)]));
    /// let double = Function::new(|x: &Tensor| Ok(x + x)).taking(&rows);
    /// double.call(&Tensor::from([[1.0_f32, 2.0]]))?;
    /// double.call(&Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]))?;
    /// assert_eq!(double.traces().len(), 1);
    /// let error = double.call(&Tensor::from([1.0_f32])).unwrap_err();
    /// assert_eq!(error.message(), "the function takes float32(None, 2), and float32(1,) was given");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn taking(self, x: impl Feed<In>) -> Function<In, Out, Key> {
        let shared = self.shared;
        let (leaves, structure) = signature::leaves(&x.feed());
        let specs = leaves.iter().map(|leaf| leaf.spec().clone()).collect();
        let (name, declared) = (shared.name.clone(), Some(Declared { structure, specs }));
        Function::of(name, declared, Box::new(move |x, key| (shared.body)(x, key)))
    }

    /// As [`call`](Function::call), with a key.
    pub fn call_keyed(&self, x: impl Feed<In>, key: &Key) -> Result<Out> {
        self.call_with(&x.feed(), key, &*self.shared.body)
    }

    /// As [`call_keyed`](Function::call_keyed), of a body that the caller has: it does what the body of each call before did.
    pub(crate) fn call_with(&self, x: &In, key: &Key, body: &dyn Fn(&In, &Key) -> Result<Out>) -> Result<Out> {
        let (leaves, structure) = signature::leaves(x);
        leaves.iter().try_for_each(Tensor::check)?;
        if are_eager() {
            return body(x, key);
        }
        let concrete = self.find(x, &leaves, structure, key, body)?;
        concrete.run(&leaves)
    }

    /// One that is only called with bodies of the caller's, by this name.
    pub(crate) fn without_body(name: &str) -> Function<In, Out, Key> {
        let body = |_: &In, _: &Key| Err(Error::internal("the caller has the body"));
        Function::of(Some(name.to_owned()), None, Box::new(body))
    }

    /// How often its plans hold each variable, by its number.
    pub(crate) fn held(&self, counts: &mut HashMap<u64, usize>) {
        self.concretes().iter().for_each(|concrete| concrete.held(counts));
    }

    /// As [`call`](Function::call), of a function with one result, which is written into `out`: into its own elements if it is
    /// of the result's dtype and shape and nobody else holds them.
    pub fn call_into(&self, x: impl Feed<In>, key: &Key, out: &mut Tensor) -> Result<()> {
        let x = x.feed();
        let (leaves, structure) = signature::leaves(&x);
        leaves.iter().try_for_each(Tensor::check)?;
        if are_eager() {
            return concrete::only((self.shared.body)(&x, key)?, out);
        }
        let concrete = self.find(&x, &leaves, structure, key, &*self.shared.body)?;
        concrete.run_into(&leaves, out)
    }

    /// As [`concrete`](Function::concrete), with a key.
    pub fn concrete_keyed(&self, x: impl Feed<In>, key: &Key) -> Result<Arc<Concrete<Out>>> {
        let x = x.feed();
        let (leaves, structure) = signature::leaves(&x);
        self.find(&x, &leaves, structure, key, &*self.shared.body)
    }

    /// What a call with these arguments costs; it is traced and compiled now if it was not yet, and not made.
    ///
    /// # Errors
    ///
    /// Those of tracing and compiling.
    pub fn cost_keyed(&self, x: impl Feed<In>, key: &Key) -> Result<Cost> {
        let x = x.feed();
        let (leaves, structure) = signature::leaves(&x);
        self.find(&x, &leaves, structure, key, &*self.shared.body)?.cost(&leaves)
    }

    /// Why the function was traced, once for each graph that it has.
    pub fn traces(&self) -> Vec<String> {
        let concretes = self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner);
        concretes.iter().map(|traced| traced.reason.clone()).collect()
    }

    /// The graphs that it has, in the order in which they were traced.
    pub fn concretes(&self) -> Vec<Arc<Concrete<Out>>> {
        let concretes = self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner);
        concretes.iter().map(|traced| traced.concrete.clone()).collect()
    }

    /// The graph for arguments of this kind.
    fn find(
        &self,
        x: &In,
        leaves: &[Tensor],
        structure: u64,
        key: &Key,
        body: &dyn Fn(&In, &Key) -> Result<Out>,
    ) -> Result<Arc<Concrete<Out>>> {
        if let Some(declared) = &self.shared.declared {
            self.check(declared, leaves, structure)?;
        }
        if let Some(found) = self.known(leaves, structure, key) {
            self.note(false);
            return Ok(found);
        }
        let here = std::thread::current().id();
        let is_within = lock(&self.shared.under_way).iter().any(|(thread, ..)| *thread == here);
        let _tracing = (!is_within).then(|| lock(&self.shared.tracing));
        // Another thread may have traced it in the meantime.
        if let Some(found) = self.known(leaves, structure, key) {
            return Ok(found);
        }
        let specs = || match &self.shared.declared {
            Some(declared) => declared.specs.clone(),
            None => leaves.iter().map(|leaf| leaf.spec().clone()).collect(),
        };
        let concretes = || self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner);
        let signature = Signature::new(specs(), structure);
        if lock(&self.shared.under_way).iter().any(|(_, other, with)| *other == signature && with == key) {
            let what = self.shared.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
            let message =
                format!("the function{what} calls itself without end: with the same kind of arguments and key");
            return Err(Error::invalid_argument(message));
        }
        let _under_way =
            UnderWay::enter(&self.shared.under_way, (here, Signature::new(specs(), structure), key.clone()));
        let reason = concretes().iter().map(|traced| self.differs(traced, &signature, key)).min_by_key(Vec::len);
        let is_first = reason.is_none();
        let reason = reason.map_or_else(|| "it had not been traced".to_owned(), |reasons| reasons.join("; "));
        let concrete =
            Concrete::trace(x, &signature, is_first, |x| body(x, key)).map_err(|error| match &self.shared.name {
                Some(name) => error.within(name.as_str()),
                None => error,
            })?;
        let concrete = Arc::new(concrete);
        let traced = Traced { signature, key: key.clone(), concrete: concrete.clone(), reason };
        self.shared.concretes.write().unwrap_or_else(PoisonError::into_inner).push(traced);
        self.note(true);
        Ok(concrete)
    }

    fn known(&self, leaves: &[Tensor], structure: u64, key: &Key) -> Option<Arc<Concrete<Out>>> {
        let is_declared = self.shared.declared.is_some();
        let concretes = self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner);
        let found = concretes.iter().find(|traced| {
            traced.signature.structure == structure
                && (is_declared || traced.signature.is_of(leaves))
                && traced.key == *key
                && traced.signature.surroundings.are_here()
        });
        found.map(|traced| traced.concrete.clone())
    }

    fn check(&self, declared: &Declared, leaves: &[Tensor], structure: u64) -> Result<()> {
        let fits = |(spec, leaf): (&crate::Spec, &Tensor)| {
            spec.dtype == leaf.dtype() && spec.shape.is_compatible_with(leaf.shape())
        };
        if declared.structure == structure && declared.specs.iter().zip(leaves).all(fits) {
            return Ok(());
        }
        let list = |specs: &[&crate::Spec]| specs.iter().map(|spec| spec.to_string()).collect::<Vec<_>>().join(", ");
        let (taken, given): (Vec<_>, Vec<_>) =
            (declared.specs.iter().collect(), leaves.iter().map(Tensor::spec).collect());
        let what = self.shared.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
        let other = if declared.structure != structure { " in another structure" } else { "" };
        Err(Error::invalid_argument(format!(
            "the function{what} takes {}, and {} was given{other}",
            list(&taken),
            list(&given)
        )))
    }

    /// In what arguments of a new kind differ from those of another.
    fn differs(&self, traced: &Traced<Out, Key>, signature: &Signature, key: &Key) -> Vec<String> {
        let mut reasons = traced.signature.differences(signature);
        if traced.key != *key {
            reasons.push(format!("the key is {key:?}, and was {:?}", traced.key));
        }
        reasons
    }

    /// Remembers whether a call traced, and warns once where calls keep doing so.
    fn note(&self, traced: bool) {
        if !traced && self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner).len() < MANY as usize {
            return;
        }
        let mut recent = lock(&self.shared.recent);
        recent.traced = (recent.traced << 1 | u32::from(traced)) & ((1 << OF) - 1);
        if recent.traced.count_ones() < MANY || recent.warned {
            return;
        }
        recent.warned = true;
        drop(recent);
        let reasons = self.traces();
        let (name, last) = (self.shared.name.as_deref().unwrap_or("a function"), reasons.last());
        eprintln!(
            "warning: {MANY} of the last {OF} calls of {name} traced it anew, the last because {}; say which dims may differ \
             with `taking`, and give plain values as tensors",
            last.map_or("", String::as_str)
        );
    }
}

impl<In: Structure, Out: Structure, Key> Clone for Function<In, Out, Key> {
    fn clone(&self) -> Self {
        Function { shared: self.shared.clone() }
    }
}

impl<In: Structure, Out: Structure, Key> fmt::Debug for Function<In, Out, Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graphs = self.shared.concretes.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Function").field("name", &self.shared.name).field("graphs", &graphs).finish()
    }
}

/// An entry of those under way, for as long as this lives.
struct UnderWay<'a, T>(&'a Mutex<Vec<T>>);

impl<'a, T> UnderWay<'a, T> {
    fn enter(all: &'a Mutex<Vec<T>>, entry: T) -> UnderWay<'a, T> {
        lock(all).push(entry);
        UnderWay(all)
    }
}

impl<T> Drop for UnderWay<'_, T> {
    fn drop(&mut self) {
        lock(self.0).pop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f`, in which functions run their bodies, operation by operation, and are not traced; or, told `false`, in which they
/// are again. TensorFlow's `tf.config.run_functions_eagerly`: for looking at values inside of a function.
///
/// ```
/// use modulor_core::{Function, Tensor, function::with_eager_functions};
/// # fn main() -> modulor_core::Result<()> {
/// let shown = Function::new(|x: &Tensor| {
///     println!("{}", x.item::<f32>()?);
///     x.square()
/// });
/// let x = Tensor::scalar(3.0_f32);
/// assert!(shown.call(&x).is_err(), "a symbol has no value");
/// assert_eq!(with_eager_functions(true, || shown.call(&x))?.item::<f32>()?, 9.0);
/// # Ok(())
/// # }
/// ```
pub fn with_eager_functions<R>(eager: bool, f: impl FnOnce() -> R) -> R {
    scope::changed(|scopes| scopes.eager_functions = eager, f)
}

/// Whether functions run their bodies here.
pub(crate) fn are_eager() -> bool {
    scope::with(|scopes| scopes.eager_functions)
}

/// Whether operations have to be called one by one here: a trace or a tape wants to hear of each.
fn is_watched(leaves: &[Tensor]) -> bool {
    scope::with(|scopes| scopes.trace.is_some() || !scopes.tapes.is_empty()) || leaves.iter().any(Tensor::is_symbolic)
}
