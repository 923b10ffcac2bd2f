//! How a variable begins and what holds of it: what a field's `#[variable(..)]` says.

use crate::{DType, Error, Result, Spec, Tensor};
use std::fmt;
use std::sync::Arc;

/// Gives a variable its first value.
pub trait Initializer: Send + Sync + 'static {
    /// A value of these dims and dtype. Equal seeds give equal values; an initializer with a seed of its own ignores it.
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor>;

    /// The spec of the one value there is, for an initializer that is a value.
    fn spec(&self) -> Option<Spec> {
        None
    }
}

/// Adds to the loss what a variable costs.
pub trait Regularizer: Send + Sync + 'static {
    /// The penalty, a scalar, in differentiable operations.
    fn penalty(&self, value: &Tensor) -> Result<Tensor>;
}

/// Projects a variable back to where it may be, after every update by an optimizer.
pub trait Constraint: Send + Sync + 'static {
    /// The projection: same dtype and shape.
    fn project(&self, value: &Tensor) -> Result<Tensor>;
}

/// How a variable begins, and what holds of it afterwards.
#[derive(Clone)]
pub struct Declaration {
    /// The name of the place that declares it: what it is called until it has a path.
    pub name: Option<&'static str>,
    /// Its first value.
    pub init: Arc<dyn Initializer>,
    /// The dims, as far as they are known before there is an input; `None` when not even their number is.
    pub shape: Option<Vec<Option<usize>>>,
    /// The type of its elements; the initial value's, or float32, where it is not said.
    pub dtype: Option<DType>,
    /// Whether optimizers change it.
    pub trainable: bool,
    /// Whether its place among the weights of its module is with the trainable ones: where settings decide that it is none,
    /// too.
    pub among_trained: bool,
    /// Whether checkpoints hold it.
    pub persistent: bool,
    /// Whether it is one of the weights of its module, and counts as parameters: what a layer computes with, not what a
    /// seed generator, a metric or an optimizer remembers.
    pub weight: bool,
    /// Whether a layer that computes in another dtype than its variables have reads it in that.
    pub autocast: bool,
    /// What it costs.
    pub regularizer: Option<Arc<dyn Regularizer>>,
    /// Where it may be.
    pub constraint: Option<Arc<dyn Constraint>>,
}

impl Declaration {
    /// Trainable, persistent, a weight, free, of whatever dtype and shape the initializer has.
    pub fn new(init: Arc<dyn Initializer>) -> Declaration {
        Declaration {
            name: None,
            init,
            shape: None,
            dtype: None,
            trainable: true,
            among_trained: false,
            persistent: true,
            weight: true,
            autocast: true,
            regularizer: None,
            constraint: None,
        }
    }

    /// The dtype it will have.
    pub fn dtype(&self) -> DType {
        self.dtype.or_else(|| self.init.spec().map(|spec| spec.dtype)).unwrap_or(DType::F32)
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Declaration { shape, trainable, persistent, weight, regularizer, constraint, .. } = self;
        f.debug_struct("Declaration")
            .field("shape", shape)
            .field("dtype", &self.dtype())
            .field("trainable", trainable)
            .field("persistent", persistent)
            .field("weight", weight)
            .field("regularized", &regularizer.is_some())
            .field("constrained", &constraint.is_some())
            .finish_non_exhaustive()
    }
}

/// What `init = ..` takes: a number, a tensor, an initializer, or the name of a built-in one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an initial value",
    label = "not an initializer",
    note = "write a number, a Tensor, an Initializer such as `Zeros`, or a name such as \"glorot_uniform\""
)]
pub trait IntoInit {
    /// The initializer.
    fn into_init(self) -> Arc<dyn Initializer>;
}

/// An initial value that has a shape of its own: a number or a tensor.
#[diagnostic::on_unimplemented(
    message = "a variable initialised by `{Self}` needs a shape",
    label = "no shape is given",
    note = "add `shape = [..]`, or give the initial value itself (a number or a Tensor)"
)]
pub trait ValueInit: IntoInit {}

/// What `regularizer = ..` takes: a regularizer, perhaps none, or the name of a built-in one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a regularizer",
    label = "not a regularizer",
    note = "write a Regularizer such as `L2::default()`, an Option of one, or a name such as \"l2\""
)]
pub trait IntoRegularizer {
    /// The regularizer, if there is one.
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>>;
}

/// What `constraint = ..` takes: a constraint, perhaps none, or the name of a built-in one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a constraint",
    label = "not a constraint",
    note = "write a Constraint such as `NonNeg`, an Option of one, or a name such as \"non_neg\""
)]
pub trait IntoConstraint {
    /// The constraint, if there is one.
    fn into_constraint(self) -> Option<Arc<dyn Constraint>>;
}

/// A value as an initializer.
struct Constant(Tensor);

impl Initializer for Constant {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        let value = self.0.cast(dtype)?;
        if *value.shape() == *dims { Ok(value) } else { value.broadcast_to(dims) }
    }
    fn spec(&self) -> Option<Spec> {
        Some(self.0.spec().clone())
    }
}

#[diagnostic::do_not_recommend]
impl<I: Initializer> IntoInit for I {
    fn into_init(self) -> Arc<dyn Initializer> {
        Arc::new(self)
    }
}

impl IntoInit for Arc<dyn Initializer> {
    fn into_init(self) -> Arc<dyn Initializer> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<R: Regularizer> IntoRegularizer for R {
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> {
        Some(Arc::new(self))
    }
}

impl IntoRegularizer for Arc<dyn Regularizer> {
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> {
        Some(self)
    }
}

impl<R: IntoRegularizer> IntoRegularizer for Option<R> {
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> {
        self.and_then(R::into_regularizer)
    }
}

#[diagnostic::do_not_recommend]
impl<C: Constraint> IntoConstraint for C {
    fn into_constraint(self) -> Option<Arc<dyn Constraint>> {
        Some(Arc::new(self))
    }
}

impl IntoConstraint for Arc<dyn Constraint> {
    fn into_constraint(self) -> Option<Arc<dyn Constraint>> {
        Some(self)
    }
}

impl<C: IntoConstraint> IntoConstraint for Option<C> {
    fn into_constraint(self) -> Option<Arc<dyn Constraint>> {
        self.and_then(C::into_constraint)
    }
}

macro_rules! values {
    ($($t:ty => $value:ty),*) => { $(
        impl IntoInit for $t {
            fn into_init(self) -> Arc<dyn Initializer> {
                Arc::new(Constant(Tensor::scalar(self as $value)))
            }
        }
        impl ValueInit for $t {}
    )* };
}

// `init = 5.0` is float32, `init = 0` int32, as TensorFlow reads Python's numbers.
values!(f32 => f32, f64 => f32, i32 => i32, i64 => i64, bool => bool);

impl IntoInit for Tensor {
    fn into_init(self) -> Arc<dyn Initializer> {
        Arc::new(Constant(self))
    }
}
impl ValueInit for Tensor {}

/// What the library of layers knows by name, handed to core through `inventory`.
pub struct Builtins {
    /// The initializer of this name, with its defaults.
    pub initializer: fn(&str) -> Result<Arc<dyn Initializer>>,
    /// The regularizer of this name, with its defaults.
    pub regularizer: fn(&str) -> Result<Arc<dyn Regularizer>>,
    /// The constraint of this name, with its defaults.
    pub constraint: fn(&str) -> Result<Arc<dyn Constraint>>,
}

inventory::collect!(Builtins);

fn builtins() -> Result<&'static Builtins> {
    inventory::iter::<Builtins>().next().ok_or_else(|| {
        Error::not_found("initializers have names only where the library of layers is linked; depend on `modulor`")
    })
}

/// Something that could not be named, said when it is used.
struct Unknown(Error);

impl Initializer for Unknown {
    fn init(&self, _: &[usize], _: DType, _: u64) -> Result<Tensor> {
        Err(self.0.clone())
    }
}

impl Regularizer for Unknown {
    fn penalty(&self, _: &Tensor) -> Result<Tensor> {
        Err(self.0.clone())
    }
}

impl Constraint for Unknown {
    fn project(&self, _: &Tensor) -> Result<Tensor> {
        Err(self.0.clone())
    }
}

impl IntoInit for &str {
    fn into_init(self) -> Arc<dyn Initializer> {
        builtins().and_then(|known| (known.initializer)(self)).unwrap_or_else(|error| Arc::new(Unknown(error)))
    }
}

impl IntoRegularizer for &str {
    fn into_regularizer(self) -> Option<Arc<dyn Regularizer>> {
        let named = builtins().and_then(|known| (known.regularizer)(self));
        Some(named.unwrap_or_else(|error| Arc::new(Unknown(error))))
    }
}

impl IntoConstraint for &str {
    fn into_constraint(self) -> Option<Arc<dyn Constraint>> {
        let named = builtins().and_then(|known| (known.constraint)(self));
        Some(named.unwrap_or_else(|error| Arc::new(Unknown(error))))
    }
}
