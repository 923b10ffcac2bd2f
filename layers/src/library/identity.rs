use super::recurrent::{Otherwise, Under};
use super::settings::defaults;
use modulor::module::Track;
use modulor::{DTypePolicy, Layer, Module, Result, Structure, Tensor};
use std::marker::PhantomData;

/// Hands its input on, with its mask: a tensor, or, by [`over`](Identity::over), any structure of tensors.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Identity;
/// # fn main() -> modulor::Result<()> {
/// assert_eq!(Identity::new().call(&Tensor::from([1, 2]))?.to_vec::<i32>()?, [1, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Identity {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
}

impl Layer for Identity {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// The function of [`IdentityOver`].
#[derive(Debug)]
pub struct Whole<S>(PhantomData<fn() -> S>);

impl<S> Clone for Whole<S> {
    fn clone(&self) -> Self {
        Whole::default()
    }
}

impl<S> Default for Whole<S> {
    fn default() -> Self {
        Whole(PhantomData)
    }
}

impl<S: Structure> Otherwise for Whole<S> {}

/// An [`Identity`] of a structure of tensors: tuples, lists, maps, or a [`Tree`](modulor::Tree) of any.
pub type IdentityOver<S> = Under<Identity, Whole<S>>;

impl Identity {
    /// This layer as one that takes and gives a structure, each tensor of it with its own mask.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::Identity;
    /// # fn main() -> modulor::Result<()> {
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([0.5_f32]));
    /// let (again, other) = Identity::new().over().call((&a, &b))?;
    /// assert_eq!((again.to_vec::<i32>()?, other.to_vec::<f32>()?), (vec![1, 2], vec![0.5]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<S: Structure>(&self) -> IdentityOver<S> {
        Under::of(self.share(), Whole::default())
    }
}

impl<S: Structure> Layer<S, S> for IdentityOver<S> {
    fn forward(&self, x: &S) -> Result<S> {
        Ok(x.clone())
    }
}

defaults! { Identity }
