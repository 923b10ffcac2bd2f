//! Layers whose structures are known when the program runs.

use super::{Call, Layer, NameLayer, register};
use crate::{Error, Module, Result, Structure, Tree};
use serde_json::Value;
use std::any::{Any, type_name};

/// A layer of whatever structures, as a registered class gives it: called with trees of tensors.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::layer::AnyLayer;
/// use modulor::{Layer, Module, Result, Structure, Tensor};
///
/// #[derive(Module)]
/// struct Sum;
///
/// impl Layer<(Tensor, Tensor), Tensor> for Sum {
///     fn forward(&self, (a, b): &(Tensor, Tensor)) -> Result<Tensor> {
///         a.add(b)
///     }
/// }
///
/// let sum = AnyLayer::of(Sum);
/// let (a, b) = (Tensor::scalar(1.0_f32), Tensor::scalar(2.0_f32));
/// assert_eq!(sum.call(&(a, b).to_tree())?.leaves()[0].item::<f32>()?, 3.0);
/// assert!(sum.call(&Tensor::scalar(1.0_f32).to_tree()).is_err());
/// # Ok::<(), modulor::Error>(())
/// ```
pub struct AnyLayer(Box<dyn Erased>);

trait Erased: Send + Sync {
    fn call(&self, x: &Tree) -> Result<Tree>;
    fn as_module(&self) -> &dyn Module;
    fn named(self: Box<Self>, name: String) -> Box<dyn Erased>;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

struct Typed<In: Structure, Out: Structure>(Box<dyn Layer<In, Out>>);

impl<In: Structure, Out: Structure> Erased for Typed<In, Out> {
    fn call(&self, x: &Tree) -> Result<Tree> {
        Ok(self.0.call(&In::from_tree(x.clone())?)?.to_tree())
    }

    fn as_module(&self) -> &dyn Module {
        &self.0
    }

    fn named(self: Box<Self>, name: String) -> Box<dyn Erased> {
        Box::new(Typed::<In, Out>(Box::new(self.0.named(name))))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        Box::new(self.0)
    }
}

impl AnyLayer {
    /// A layer of known structures.
    pub fn of<In: Structure, Out: Structure>(layer: impl Layer<In, Out>) -> AnyLayer {
        AnyLayer(Box::new(Typed::<In, Out>(Box::new(layer))))
    }

    /// What the registry made.
    pub(super) fn made(made: Box<dyn Any>) -> Result<AnyLayer> {
        let made = made.downcast::<AnyLayer>();
        made.map(|layer| *layer).map_err(|_| Error::internal("a registered layer is made as one of any structures"))
    }

    /// The layer that a serialized object describes, of whatever registered class.
    pub fn from_object(object: &Value) -> Result<AnyLayer> {
        register::make_any(object)
    }

    /// Calls it; an error where the tree is not of the structure that it takes.
    pub fn call(&self, x: &Tree) -> Result<Tree> {
        self.0.call(x)
    }

    /// The layer under a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> AnyLayer {
        AnyLayer(self.0.named(name.into()))
    }

    /// The layer as a module.
    pub fn module(&self) -> &dyn Module {
        self.0.as_module()
    }

    /// The layer as one of known structures; an error if they are not these.
    pub fn into_layer<In: Structure, Out: Structure>(self) -> Result<Box<dyn Layer<In, Out>>> {
        let class = self.module().class_name().to_owned();
        self.0.into_any().downcast::<Box<dyn Layer<In, Out>>>().map(|layer| *layer).map_err(|_| {
            let wanted = format!("`{}` to `{}`", type_name::<In>(), type_name::<Out>());
            Error::invalid_argument(format!("`{class}` is not a layer from {wanted}"))
        })
    }
}

impl std::fmt::Debug for AnyLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.module().fmt(f)
    }
}
