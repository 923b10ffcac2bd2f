//! Layers behind pointers: `Box<L>`, `Arc<L>`, `Box<dyn Layer>` and `Arc<dyn Layer>` are layers themselves.

use super::{Layer, register};
use crate::{
    DTypePolicy, Module, Result, Structure, Tensor,
    module::{Config, InputShapes, Track, Visitor, held_config, shared, track_held},
};
use serde_json::Value;
use std::sync::Arc;

impl<In: Structure, Out: Structure> Track for Box<dyn Layer<In, Out>> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        (**self).track(name, visitor);
    }

    fn share(&self) -> Self {
        (**self).share_box()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        (**self).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        register::make_layer(config)
    }
}

impl<In: Structure, Out: Structure> Track for Arc<dyn Layer<In, Out>> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        track_held(self, name, visitor);
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        held_config(self)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        shared(config, || register::make_layer(config).map(Arc::from))
    }
}

macro_rules! layers_behind {
    ($($pointer:ident)*) => { $(
        impl<In: Structure, Out: Structure> Module for $pointer<dyn Layer<In, Out>> {
            fn as_module(&self) -> &dyn Module {
                (**self).as_module()
            }

            fn class_name(&self) -> &str {
                (**self).class_name()
            }

            fn default_name(&self) -> &str {
                (**self).default_name()
            }

            fn given_name(&self) -> Option<&str> {
                (**self).given_name()
            }

            fn call_arguments(&self) -> Config {
                (**self).call_arguments()
            }

            fn package(&self) -> &str {
                (**self).package()
            }

            fn fields(&self, visitor: &mut dyn Visitor) {
                (**self).fields(visitor);
            }

            fn declare(&self) {
                (**self).declare();
            }

            fn build(&self, inputs: &InputShapes) -> Result<()> {
                (**self).build(inputs)
            }

            fn dtype_policy(&self) -> Option<DTypePolicy> {
                (**self).dtype_policy()
            }

            fn config(&self) -> Result<Config> {
                (**self).config()
            }
        }

        impl<In: Structure, Out: Structure> Layer<In, Out> for $pointer<dyn Layer<In, Out>> {
            fn forward(&self, x: &In) -> Result<Out> {
                (**self).forward(x)
            }

            fn mask(&self, x: &In) -> Result<Option<Tensor>> {
                (**self).mask(x)
            }

            fn autocast(&self) -> bool {
                (**self).autocast()
            }
        }

        impl<L: Layer<In, Out>, In: Structure, Out: Structure> Layer<In, Out> for $pointer<L> {
            fn forward(&self, x: &In) -> Result<Out> {
                (**self).forward(x)
            }

            fn mask(&self, x: &In) -> Result<Option<Tensor>> {
                (**self).mask(x)
            }

            fn autocast(&self) -> bool {
                (**self).autocast()
            }
        }
    )* };
}

layers_behind! { Box Arc }
