//! Arguments: tensors are fed to a graph, plain values and modules say which graph it is.
//!
//! Generated code asks `(&&&&&Probe::<T>::new()).modulor_argument()`: of the traits below the first is taken that the type has,
//! in the order structure, module, floats, slice of structures, plain value.

use super::carried::Probe;
use super::traces::Identity;
use crate::module::Track;
use crate::{Result, Structure};
use std::fmt;
use std::marker::PhantomData;

/// A way to take arguments of a type `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be an argument of a `#[function]`",
    label = "neither tensors, nor a module, nor a plain value",
    note = "tensors are a Tensor, a tuple, Vec or Option of them, or a struct with `#[derive(Structure, Clone)]`",
    note = "a plain value is Eq, Clone, Debug, Send and Sync, or floats; a graph is traced for each"
)]
pub trait Argument<T: ?Sized> {
    /// What the graph is fed with.
    type Fed: Structure;
    /// What it is traced for.
    type Key: Keep;

    /// What the graph is fed with, for this argument.
    fn fed(&self, argument: &T) -> Self::Fed;
    /// What it is traced for, with this argument.
    fn key(&self, argument: &T) -> Self::Key;
    /// Tells which modules these are.
    fn identify(&self, _argument: &T, _identity: &mut Identity) -> Result<()> {
        Ok(())
    }
    /// The argument as the body sees it.
    fn lend<'a>(&self, fed: &'a Self::Fed, argument: &'a T) -> &'a T;
}

/// The argument as the body owns it.
pub trait Given<T>: Argument<T> {
    /// A value of its own, of symbols where it is made of tensors.
    fn give(&self, fed: &Self::Fed, argument: &T) -> T;
}

/// What a key can be made of.
pub trait Keep: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {}

impl<T: Clone + PartialEq + fmt::Debug + Send + Sync + 'static> Keep for T {}

/// A plain argument by its name.
#[derive(Clone, PartialEq)]
pub struct Named<K>(pub &'static str, pub K);

/// The plain arguments, in the words of messages: `n = 3, name = "a"`.
#[derive(Clone, PartialEq)]
pub struct KeyParts<K>(pub K);

/// A list of the parts of a key, nested to the right.
pub trait Listed {
    /// Writes them, behind a comma if others came before.
    fn list(&self, f: &mut fmt::Formatter<'_>, first: bool) -> fmt::Result;
}

impl Listed for () {
    fn list(&self, _: &mut fmt::Formatter<'_>, _: bool) -> fmt::Result {
        Ok(())
    }
}

impl<K: fmt::Debug + 'static, Rest: Listed> Listed for (Named<K>, Rest) {
    fn list(&self, f: &mut fmt::Formatter<'_>, first: bool) -> fmt::Result {
        // What is no plain value has no part in the key.
        let is_one = std::any::TypeId::of::<K>() != std::any::TypeId::of::<()>();
        if is_one {
            write!(f, "{}{} = {:?}", if first { "" } else { ", " }, self.0.0, self.0.1)?;
        }
        self.1.list(f, first && !is_one)
    }
}

impl<K: Listed> fmt::Debug for KeyParts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.list(f, true)
    }
}

/// Tensors.
pub struct Tensors<T: ?Sized>(PhantomData<fn(&T)>);

/// A module, a variable, or a container of them.
pub struct Modules<T: ?Sized>(PhantomData<fn(&T)>);

/// Floats.
pub struct Floats<T: ?Sized>(PhantomData<fn(&T)>);

/// A plain value.
pub struct Plain<T: ?Sized>(PhantomData<fn(&T)>);

/// What can be no argument.
pub struct Refused<T: ?Sized>(PhantomData<fn(&T)>);

macro_rules! ways {
    ($($(#[$doc:meta])* $name:ident $of:ty, $way:ident, $bound:path;)*) => { $(
        $(#[$doc])*
        pub trait $name<T: ?Sized> {
            /// The way to take such an argument.
            fn modulor_argument(&self) -> $way<T>;
        }

        impl<T: ?Sized + $bound> $name<T> for $of {
            fn modulor_argument(&self) -> $way<T> {
                $way(PhantomData)
            }
        }
    )* };
}

ways! {
    /// Structures, first.
    StructureArgument &&&&&Probe<T>, Tensors, StructureOrSized;
    /// Modules, after structures.
    ModuleArgument &&&&Probe<T>, Modules, Track;
    /// Floats, after modules.
    FloatArgument &&&Probe<T>, Floats, FloatKey;
    /// Values that can be compared, after floats.
    EqArgument &Probe<T>, Plain, Comparable;
    /// What is left over.
    AnyArgument Probe<T>, Refused, Anything;
}

/// Lists of structures, after floats.
pub trait SliceArgument<T: ?Sized> {
    /// The way to take such an argument.
    fn modulor_argument(&self) -> Tensors<T>;
}

impl<S: Structure> SliceArgument<[S]> for &&Probe<[S]> {
    fn modulor_argument(&self) -> Tensors<[S]> {
        Tensors(PhantomData)
    }
}

/// A structure, by a bound that is not `Sized`.
pub trait StructureOrSized {}

impl<S: Structure> StructureOrSized for S {}

/// Whatever there is.
pub trait Anything {}

impl<T: ?Sized> Anything for T {}

/// A plain value, or a reference to what one can be made of, as `str`.
pub trait Comparable: ToOwned<Owned: Eq + Clone + fmt::Debug + Send + Sync + 'static> {}

impl<T: ?Sized + ToOwned<Owned: Eq + Clone + fmt::Debug + Send + Sync + 'static>> Comparable for T {}

impl<S: Structure> Argument<S> for Tensors<S> {
    type Fed = S;
    type Key = ();

    fn fed(&self, argument: &S) -> S {
        argument.clone()
    }

    fn key(&self, _: &S) {}

    fn lend<'a>(&self, fed: &'a S, _: &'a S) -> &'a S {
        fed
    }
}

impl<S: Structure> Given<S> for Tensors<S> {
    fn give(&self, fed: &S, _: &S) -> S {
        fed.clone()
    }
}

impl<S: Structure> Argument<[S]> for Tensors<[S]> {
    type Fed = Vec<S>;
    type Key = ();

    fn fed(&self, argument: &[S]) -> Vec<S> {
        argument.to_vec()
    }

    fn key(&self, _: &[S]) {}

    fn lend<'a>(&self, fed: &'a Vec<S>, _: &'a [S]) -> &'a [S] {
        fed
    }
}

impl<T: ?Sized + Track> Argument<T> for Modules<T> {
    type Fed = ();
    type Key = ();

    fn fed(&self, _: &T) {}

    fn key(&self, _: &T) {}

    fn identify(&self, argument: &T, identity: &mut Identity) -> Result<()> {
        identity.add(argument)
    }

    fn lend<'a>(&self, (): &'a (), argument: &'a T) -> &'a T {
        argument
    }
}

impl<T: Track> Given<T> for Modules<T> {
    fn give(&self, (): &(), argument: &T) -> T {
        argument.share()
    }
}

/// Floats, told apart by their bits: a NaN is one value, and zeros of two signs are two.
pub trait FloatKey {
    /// What is kept of them.
    type Kept: Keep;

    /// The bits.
    fn kept(&self) -> Self::Kept;
}

/// A float that equals itself alone.
#[derive(Clone, Copy)]
pub struct Bits(f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Bits) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FloatKey for f64 {
    type Kept = Bits;

    fn kept(&self) -> Bits {
        Bits(*self)
    }
}

impl FloatKey for f32 {
    type Kept = Bits;

    fn kept(&self) -> Bits {
        Bits(f64::from(*self))
    }
}

impl<T: FloatKey> FloatKey for Option<T> {
    type Kept = Option<T::Kept>;

    fn kept(&self) -> Self::Kept {
        self.as_ref().map(T::kept)
    }
}

impl<T: FloatKey> FloatKey for [T] {
    type Kept = Vec<T::Kept>;

    fn kept(&self) -> Self::Kept {
        self.iter().map(T::kept).collect()
    }
}

impl<T: FloatKey> FloatKey for Vec<T> {
    type Kept = Vec<T::Kept>;

    fn kept(&self) -> Self::Kept {
        self[..].kept()
    }
}

impl<T: FloatKey, const N: usize> FloatKey for [T; N] {
    type Kept = Vec<T::Kept>;

    fn kept(&self) -> Self::Kept {
        self[..].kept()
    }
}

impl<A: FloatKey, B: FloatKey> FloatKey for (A, B) {
    type Kept = (A::Kept, B::Kept);

    fn kept(&self) -> Self::Kept {
        (self.0.kept(), self.1.kept())
    }
}

impl<T: ?Sized + FloatKey> Argument<T> for Floats<T> {
    type Fed = ();
    type Key = T::Kept;

    fn fed(&self, _: &T) {}

    fn key(&self, argument: &T) -> T::Kept {
        argument.kept()
    }

    fn lend<'a>(&self, (): &'a (), argument: &'a T) -> &'a T {
        argument
    }
}

impl<T: FloatKey + Clone> Given<T> for Floats<T> {
    fn give(&self, (): &(), argument: &T) -> T {
        argument.clone()
    }
}

impl<T: ?Sized + Comparable> Argument<T> for Plain<T> {
    type Fed = ();
    type Key = T::Owned;

    fn fed(&self, _: &T) {}

    fn key(&self, argument: &T) -> T::Owned {
        argument.to_owned()
    }

    fn lend<'a>(&self, (): &'a (), argument: &'a T) -> &'a T {
        argument
    }
}

impl<T: Comparable + Clone> Given<T> for Plain<T> {
    fn give(&self, (): &(), argument: &T) -> T {
        argument.clone()
    }
}
