//! Layers: modules with a function. Implement [`forward`](Layer::forward), use [`call`](Call::call).

mod any;
mod boxed;
mod call;
pub mod functional;
mod loss;
mod named;
mod register;

pub use any::AnyLayer;
pub use call::Call;
pub use functional::infer;
pub use loss::{add_loss, collecting_losses};
pub use named::{NameLayer, Named};
pub use register::{NotALayer, Probe, ProbedLayer, make_module};

use crate::{Module, Result, Structure, Tensor, module};
use std::fmt;
use std::sync::Arc;

/// A module with a function from `In` to `Out`.
///
/// A type has one `Layer` implementation; another spelling of its input is a [`Feed`](crate::Feed) implementation. Where
/// a layer is used it is [`call`](Call::call)ed: `forward` alone builds nothing.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::{Call, Layer, Module, Result, Tensor, Variable};
///
/// #[derive(Module)]
/// struct Dense {
///     #[config]
///     units: usize,
///     #[variable(shape = [input[-1], units], init = 0.0)]
///     kernel: Variable,
/// }
///
/// impl Layer for Dense {
///     fn forward(&self, x: &Tensor) -> Result<Tensor> {
///         x.matmul(&self.kernel)
///     }
/// }
///
/// let y = Dense::new(3).call(&Tensor::from([[1.0_f32, 2.0]]))?;
/// assert_eq!(y.dims()?, [1, 3]);
/// # Ok::<(), modulor::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer from `{In}` to `{Out}`",
    label = "no `impl Layer<{In}, {Out}> for {Self}`",
    note = "write `impl Layer for {Self} {{ fn forward(&self, x: &Tensor) -> Result<Tensor> {{ .. }} }}`"
)]
pub trait Layer<In: Structure = Tensor, Out: Structure = Tensor>: Module + ShareLayer<In, Out> {
    /// The function. [`call`](Call::call) runs it once the variables have their shapes.
    fn forward(&self, x: &In) -> Result<Out>;

    /// The mask of the output, or of the first tensor of a larger one; `call` puts it there.
    ///
    /// By default there is none. A layer that leaves the steps of a sequence in their places hands on the mask of its
    /// input, `Ok(x.mask().cloned())`.
    fn mask(&self, _x: &In) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Whether [`call`](Call::call) casts floats to the compute dtype of the [policy](Module::dtype_policy), if there is
    /// one: those that the layer is given, and those that it reads from variables.
    ///
    /// One that says no is given them as they are, and casts its results.
    fn autocast(&self) -> bool {
        true
    }
}

impl<In: Structure, Out: Structure> fmt::Debug for dyn Layer<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        module::write_short(self.as_module(), f)
    }
}

/// Handles to a layer behind a `dyn Layer`. Implemented for every layer; nobody writes it.
pub trait ShareLayer<In: Structure, Out: Structure> {
    /// Another handle to this layer, in a `Box`.
    fn share_box(&self) -> Box<dyn Layer<In, Out>>;

    /// Another handle to this layer, in an `Arc`.
    fn share_arc(&self) -> Arc<dyn Layer<In, Out>>;
}

#[diagnostic::do_not_recommend]
impl<L: Layer<In, Out>, In: Structure, Out: Structure> ShareLayer<In, Out> for L {
    fn share_box(&self) -> Box<dyn Layer<In, Out>> {
        Box::new(self.share())
    }

    fn share_arc(&self) -> Arc<dyn Layer<In, Out>> {
        Arc::new(self.share())
    }
}
