//! The registry's way to layers.

use super::{AnyLayer, Layer};
use crate::{
    Error, Module, Result, Structure,
    module::{FromConfig, read_object, reading},
    registry::class::{self, Make},
};
use serde_json::Value;
use std::{any::Any, marker::PhantomData};

/// A layer out of its serialized object, whatever registered class it is of.
pub(super) fn make_layer<In: Structure, Out: Structure>(object: Option<&Value>) -> Result<Box<dyn Layer<In, Out>>> {
    let Some(object) = object else {
        return Err(Error::invalid_argument("the key is missing: a layer is needed"));
    };
    make_any(object)?.into_layer()
}

/// A layer out of its serialized object, of whatever structures.
pub(super) fn make_any(object: &Value) -> Result<AnyLayer> {
    let entry = class::find(object)?;
    match (entry.layer)() {
        Some(make) => make(object).and_then(AnyLayer::made),
        None => Err(Error::invalid_argument(format!("`{}` is a module and not a layer", entry.class))),
    }
}

/// A module out of its serialized object, whatever registered class it is of.
pub fn make_module(object: &Value) -> Result<Box<dyn Module>> {
    let entry = class::find(object)?;
    let module = (entry.module)(object)?.downcast::<Box<dyn Module>>();
    module.map(|module| *module).map_err(|_| Error::internal("a registered class made something that is not a module"))
}

/// Finds out, for generated code, whether `T` is a layer, and of what: `(&&Probe::<T>::new()).layer()`.
///
/// With one reference more than [`NotALayer`] needs, method resolution tries [`ProbedLayer`] first.
pub struct Probe<T>(PhantomData<T>);

impl<T: FromConfig> Probe<T> {
    /// A probe for `T`.
    #[allow(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Probe(PhantomData)
    }

    /// Makes a `T` as a module.
    pub fn module(object: &Value) -> Result<Box<dyn Any>> {
        let module: Box<dyn Module> = Box::new(make::<T>(object)?);
        Ok(Box::new(module))
    }
}

fn make<T: FromConfig>(object: &Value) -> Result<T> {
    let class = object["class_name"].as_str().unwrap_or_default();
    reading(|| read_object(class.split('<').next().unwrap_or(class), Some(object)))
}

/// The answer for a type that is no layer.
pub trait NotALayer {
    /// There is no way to make one.
    fn layer(&self) -> Option<Make> {
        None
    }
}

impl<T> NotALayer for Probe<T> {}

/// The answer for a layer.
pub trait ProbedLayer<In, Out> {
    /// The way to make one.
    fn layer(&self) -> Option<Make>;
}

impl<T: Layer<In, Out> + FromConfig, In: Structure, Out: Structure> ProbedLayer<In, Out> for &Probe<T> {
    fn layer(&self) -> Option<Make> {
        Some(|object| {
            let layer: Box<dyn Layer<In, Out>> = Box::new(make::<T>(object)?);
            Ok(Box::new(AnyLayer::of(layer)))
        })
    }
}

/// Registers a generic module type for given types, so that configs can name it: `register!(Residual<Dense>)`.
///
/// A type without parameters registers itself. An optional second argument is the package, by default the crate's name;
/// it must be the one that the type's `#[module(package = ..)]` gives.
#[macro_export]
macro_rules! register {
    ($type:ty) => {
        $crate::register!($type, ::core::env!("CARGO_PKG_NAME"));
    };
    ($type:ty, $package:expr) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Entry {
                package: $package,
                class: ::core::stringify!($type),
                source: ::core::concat!(::core::module_path!(), "::", ::core::stringify!($type)),
                type_id: ::core::any::TypeId::of::<$type>,
                module: $crate::__private::LayerProbe::<$type>::module,
                layer: || {
                    #[allow(unused_imports)]
                    use $crate::__private::{NotALayer as _, ProbedLayer as _};
                    (&&$crate::__private::LayerProbe::<$type>::new()).layer()
                },
            }
        }
    };
}
