//! Explicit names.

use super::Layer;
use crate::{
    DTypePolicy, Module, Result, Structure, Tensor,
    module::{Config, InputShapes, Track, Visitor, object, track_held},
};
use serde_json::Value;
use std::{fmt, ops::Deref, sync::Arc};

/// A layer with a name of its own, which a `Sequential` or a `Model` takes instead of an automatic one.
///
/// Made by [`named`](NameLayer::named). It is the layer in every other respect, and it gives a layer without variables an
/// identity, so that its two places in a model are one layer.
pub struct Named<L> {
    name: String,
    layer: Arc<L>,
}

/// Gives names to layers.
pub trait NameLayer: Module + Sized {
    /// The layer under `name`.
    fn named(self, name: impl Into<String>) -> Named<Self> {
        Named { name: name.into(), layer: Arc::new(self) }
    }
}

impl<M: Module> NameLayer for M {}

impl<L: Module> Track for Named<L> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        track_held(&self.layer, name, visitor);
    }

    fn share(&self) -> Self {
        Named { name: self.name.clone(), layer: self.layer.clone() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        let mut object = object(self.layer.as_module())?;
        object["config"]["name"] = self.name.as_str().into();
        Ok(Some(object))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let layer = L::from_field(config)?;
        let name = config.and_then(|config| config["config"]["name"].as_str());
        let name = name.unwrap_or_else(|| layer.default_name()).to_owned();
        Ok(Named { name, layer: Arc::new(layer) })
    }
}

impl<L: Module> Module for Named<L> {
    fn as_module(&self) -> &dyn Module {
        self.layer.as_module()
    }

    fn class_name(&self) -> &str {
        self.layer.class_name()
    }

    fn default_name(&self) -> &str {
        &self.name
    }

    fn given_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn call_arguments(&self) -> Config {
        self.layer.call_arguments()
    }

    fn package(&self) -> &str {
        self.layer.package()
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.layer.fields(visitor);
    }

    fn declare(&self) {
        self.layer.declare();
    }

    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.layer.build(inputs)
    }

    fn dtype_policy(&self) -> Option<DTypePolicy> {
        self.layer.dtype_policy()
    }

    fn config(&self) -> Result<Config> {
        let mut config = self.layer.config()?;
        config.insert("name".to_owned(), self.name.as_str().into());
        Ok(config)
    }
}

impl<L: Layer<In, Out>, In: Structure, Out: Structure> Layer<In, Out> for Named<L> {
    fn forward(&self, x: &In) -> Result<Out> {
        self.layer.forward(x)
    }

    fn mask(&self, x: &In) -> Result<Option<Tensor>> {
        self.layer.mask(x)
    }

    fn autocast(&self) -> bool {
        self.layer.autocast()
    }
}

/// What the layer has methods for, it has under its name.
impl<L> Deref for Named<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.layer
    }
}

impl<L> fmt::Debug for Named<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}
