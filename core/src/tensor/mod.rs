//! The tensor: an immutable value, or the symbol of one in a graph that is being traced.
//!
//! Methods that compute stand beside their op in [`crate::ops`]; here are making, looking at and taking apart.

mod bytes;
mod convert;
mod decimal;
mod layout;
mod number;
mod print;
mod resource;
mod storage;
mod variant;

pub use convert::Nested;
pub use layout::Layout;
pub(crate) use number::{ByNumber, Numbers};
pub use resource::{Change, Resource};
pub(crate) use storage::{Plain, Storage, room};
pub use storage::{Text, memory_in_use, set_memory_limit, set_spare_memory};
pub(crate) use variant::{List, Variant};

use crate::shape::count;
use crate::{DType, Element, Error, Result, Shape};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A dtype and a shape: what is known of a tensor before it has a value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The type of the elements.
    pub dtype: DType,
    /// The dims, as far as they are known.
    pub shape: Shape,
}

impl Spec {
    /// A spec of both.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Spec {
        Spec { dtype, shape: shape.into() }
    }
}

/// As `float32(None, 3)`.
impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// A multidimensional array of one dtype, or a symbol of one.
///
/// A clone is another handle to the same elements; nothing ever changes them. Rank and dtype are dynamic. Named
/// operations return [`Result`]; an operator (`+`) that fails gives a tensor that carries the error, and whoever next
/// names an operation on it or looks inside receives that error. `x += y` makes the variable `x` another tensor.
///
/// Where `std::ops::Add` is imported, `t.add(x)` on an owned tensor is that operator and not the method of the same name.
///
/// ```
/// use modulor_core::Tensor;
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let y = &x.matmul(&x)? + 1.0;
/// assert_eq!(y.to_vec::<f32>()?, [8.0, 11.0, 16.0, 23.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tensor {
    inner: Arc<Inner>,
    mask: Option<Arc<Tensor>>,
}

struct Inner {
    id: u64,
    spec: Spec,
    payload: Payload,
}

pub(crate) enum Payload {
    Value(Value),
    Symbol(Symbol),
    /// What an operator could not compute, to be said at the next chance.
    Failed(Error),
}

/// Elements that are there.
pub(crate) struct Value {
    pub layout: Layout,
    pub storage: Arc<Storage>,
}

/// Output `output` of a node of a graph.
#[derive(Clone)]
pub(crate) struct Symbol {
    pub node: Arc<dyn GraphNode>,
    pub output: usize,
}

/// What a symbol points at; the op layer, further up, knows the one type behind it.
pub(crate) trait GraphNode: Any + Send + Sync {
    /// The op's name, for errors.
    fn op(&self) -> &str;

    /// Whether it is part of what models are made of, and not of a trace.
    fn is_functional(&self) -> bool;
}

/// Gives out numbers that no tensor, variable or node of this process shares.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Tensor {
    /// A tensor of these dims over these elements in row-major order; the vector's memory is taken over, not copied.
    ///
    /// An error when the dims do not count as many elements as there are.
    pub fn new<T: Element>(dims: impl Into<Vec<usize>>, elements: impl Into<Vec<T>>) -> Result<Tensor> {
        let (dims, elements) = (dims.into(), elements.into());
        let wanted = count(&dims)?;
        if wanted != elements.len() {
            return Err(Error::invalid_argument(format!(
                "a tensor of shape {} has {wanted} elements, and {} were given",
                Shape::from(dims),
                elements.len()
            )));
        }
        Ok(Tensor::plain(T::DTYPE, dims, Plain::from_vec(T::store(elements))))
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::plain(T::DTYPE, Vec::new(), Plain::from_vec(T::store(vec![value])))
    }

    /// A tensor of strings.
    pub fn strings<S: AsRef<[u8]>>(
        dims: impl Into<Vec<usize>>,
        elements: impl IntoIterator<Item = S>,
    ) -> Result<Tensor> {
        let dims = dims.into();
        let elements: Vec<Text> = elements.into_iter().map(|s| Text::from(s.as_ref())).collect();
        let wanted = count(&dims)?;
        if wanted != elements.len() {
            return Err(Error::invalid_argument(format!(
                "a tensor of shape {} has {wanted} strings, and {} were given",
                Shape::from(dims),
                elements.len()
            )));
        }
        Ok(Tensor::value(DType::String, Layout::contiguous(dims), Arc::new(Storage::Text(elements))))
    }

    /// A tensor over bytes in native order, as files hold them; bools must be 0 or 1.
    pub fn from_bytes(dtype: DType, dims: impl Into<Vec<usize>>, bytes: &[u8]) -> Result<Tensor> {
        let dims = dims.into();
        let wanted = count(&dims)?.checked_mul(dtype.size());
        if dtype.size() == 0 || wanted != Some(bytes.len()) {
            return Err(Error::invalid_argument(format!(
                "{} bytes are not a tensor of {dtype} and shape {}",
                bytes.len(),
                Shape::from(dims)
            )));
        }
        if dtype == DType::Bool && bytes.iter().any(|&b| b > 1) {
            return Err(Error::invalid_argument("a bool is stored as 0 or 1, and other bytes were given"));
        }
        let mut plain = Plain::unfilled(bytes.len())?;
        plain.bytes_mut().copy_from_slice(bytes);
        Ok(Tensor::plain(dtype, dims, plain))
    }

    /// Zeros (empty strings) of any dtype but `resource` and `variant`.
    pub fn zeros(dims: impl Into<Vec<usize>>, dtype: DType) -> Result<Tensor> {
        let dims = dims.into();
        let elements = count(&dims)?;
        match dtype {
            DType::Resource | DType::Variant => {
                Err(Error::invalid_argument(format!("there is no zero of dtype {dtype}")))
            }
            DType::String => {
                // One empty string, repeated: there may be more of them than there is memory for.
                let layout = Layout::contiguous(Vec::new()).broadcast(&dims);
                Ok(Tensor::value(dtype, layout, Arc::new(Storage::Text(vec![Text::from([])]))))
            }
            _ => Ok(Tensor::plain(dtype, dims, Plain::zeroed(bytes_of(dtype, elements)?)?)),
        }
    }

    /// The handle to a resource.
    pub fn resource(resource: Arc<dyn Resource>) -> Tensor {
        let layout = Layout::contiguous(Vec::new());
        Tensor::value(DType::Resource, layout, Arc::new(Storage::Resource(resource)))
    }

    pub(crate) fn plain(dtype: DType, dims: Vec<usize>, plain: Plain) -> Tensor {
        Tensor::value(dtype, Layout::contiguous(dims), Arc::new(Storage::Plain(plain)))
    }

    pub(crate) fn value(dtype: DType, layout: Layout, storage: Arc<Storage>) -> Tensor {
        let spec = Spec::new(dtype, &*layout.dims);
        Tensor::from_payload(spec, Payload::Value(Value { layout, storage }))
    }

    pub(crate) fn symbol(node: Arc<dyn GraphNode>, output: usize, spec: Spec) -> Tensor {
        Tensor::from_payload(spec, Payload::Symbol(Symbol { node, output }))
    }

    /// A tensor in place of a result that could not be computed.
    pub(crate) fn failed(error: Error) -> Tensor {
        Tensor::from_payload(Spec::new(DType::F32, Shape::unknown()), Payload::Failed(error))
    }

    fn from_payload(spec: Spec, payload: Payload) -> Tensor {
        Tensor { inner: Arc::new(Inner { id: next_id(), spec, payload }), mask: None }
    }

    /// What tells this tensor from every other; its clones share it.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The dtype and shape.
    pub fn spec(&self) -> &Spec {
        &self.inner.spec
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.inner.spec.dtype
    }

    /// The shape: of a value wholly known, of a symbol as far as tracing could tell.
    pub fn shape(&self) -> &Shape {
        &self.inner.spec.shape
    }

    /// The dims, all known; an error for a symbol of which they are not.
    pub fn dims(&self) -> Result<&[usize]> {
        self.check()?;
        self.shape().known().ok_or_else(|| {
            Error::failed_precondition(format!("the shape {} of this symbol is not wholly known", self.shape()))
        })
    }

    /// The number of dims, if it is known.
    pub fn rank(&self) -> Option<usize> {
        self.shape().rank()
    }

    /// Whether this stands for a value that a graph will compute.
    pub fn is_symbolic(&self) -> bool {
        matches!(self.inner.payload, Payload::Symbol(_))
    }

    /// Whether this stands for a tensor of models: an input of one, or what was made of such with layers and operations.
    pub fn is_functional(&self) -> bool {
        matches!(&self.inner.payload, Payload::Symbol(symbol) if symbol.node.is_functional())
    }

    /// The error of the operator that made this tensor, if it failed.
    pub fn check(&self) -> Result<()> {
        match &self.inner.payload {
            Payload::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The mask that travels with this handle: bools that say which steps count.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_deref()
    }

    /// The same tensor with a mask beside it, or without one. Operations drop it; layers decide.
    #[must_use]
    pub fn with_mask(&self, mask: Option<Tensor>) -> Tensor {
        Tensor { inner: self.inner.clone(), mask: mask.map(Arc::new) }
    }

    pub(crate) fn payload(&self) -> &Payload {
        &self.inner.payload
    }

    /// The value, or an error that names the op a symbol comes from.
    pub(crate) fn evaluated(&self) -> Result<&Value> {
        match &self.inner.payload {
            Payload::Value(value) => Ok(value),
            Payload::Failed(error) => Err(error.clone()),
            Payload::Symbol(symbol) => Err(Error::failed_precondition(format!(
                "a symbol has no value to look at: this {} is an output of a graph that is being traced",
                self.spec()
            ))
            .in_op(symbol.node.op())),
        }
    }

    /// Another tensor over the same elements.
    pub(crate) fn alias(&self) -> Result<Tensor> {
        let Value { layout, storage } = self.evaluated()?;
        Ok(Tensor::value(self.dtype(), layout.clone(), storage.clone()))
    }

    /// The dims, and the elements to write over: where no other handle or view shares them, and they are all there is and
    /// lie in row-major order. This handle is that of another tensor then.
    pub(crate) fn elements_mut(&mut self) -> Option<(&[usize], &mut [u8])> {
        let inner = Arc::get_mut(&mut self.inner)?;
        let Payload::Value(Value { layout, storage }) = &mut inner.payload else { return None };
        let wanted = layout.len() * inner.spec.dtype.size();
        let Storage::Plain(plain) = Arc::get_mut(storage)? else { return None };
        if layout.offset != 0 || !layout.is_contiguous() || plain.bytes().len() != wanted {
            return None;
        }
        (inner.id, self.mask) = (next_id(), None);
        Some((&layout.dims, plain.bytes_mut()))
    }

    /// Whether the elements lie in row-major order, one after the other.
    pub fn is_contiguous(&self) -> bool {
        matches!(&self.inner.payload, Payload::Value(value) if value.layout.is_contiguous())
    }

    /// The resource behind a handle.
    pub fn as_resource(&self) -> Result<&Arc<dyn Resource>> {
        match &*self.evaluated()?.storage {
            Storage::Resource(resource) => Ok(resource),
            _ => Err(Error::invalid_argument(format!("expected a resource, found a tensor of {}", self.dtype()))),
        }
    }
}

/// The bytes of so many elements.
pub(crate) fn bytes_of(dtype: DType, elements: usize) -> Result<usize> {
    elements.checked_mul(dtype.size()).filter(|&n| isize::try_from(n).is_ok()).ok_or_else(|| {
        Error::resource_exhausted(format!("{elements} elements of {dtype} are more bytes than can be addressed"))
    })
}
