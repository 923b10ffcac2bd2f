//! Which values go through a branch or a loop that a tensor decides.
//!
//! Tensors do, and structures of them: what they become is one more result. A plain value does not, as it would have to be
//! known before the graph runs: it stays what it is, or there is an error. Generated code does not know types; it asks
//! `(&&&&Probe::<T>).modulor_part()`, and of the traits below the first is taken that the type has.

use super::staged::Place;
use crate::{Error, Result, Structure};
use std::any::type_name;
use std::marker::PhantomData;

/// Asks what a type is.
pub struct Probe<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Probe<T> {
    /// Of a type that is written.
    #[allow(clippy::new_without_default, reason = "generated code asks with it")]
    pub const fn new() -> Probe<T> {
        Probe(PhantomData)
    }
}

/// Of the type of a value.
pub const fn ask<T: ?Sized>(_: &T) -> Probe<T> {
    Probe::new()
}

/// Of what two branches give.
pub fn both<T>(_: &impl FnOnce() -> Result<T>, _: &impl FnOnce() -> Result<T>) -> Probe<T> {
    Probe::new()
}

/// Of the parts of a pair.
pub const fn parts<A, B>(_: &Probe<(A, B)>) -> (Probe<A>, Probe<B>) {
    (Probe::new(), Probe::new())
}

/// How a value goes through.
pub trait Carry {
    /// Its type.
    type Value;
    /// What of it is tensors.
    type State: Structure;

    /// What goes in.
    fn begin(&self, place: &Place, name: &str, value: &Self::Value) -> Result<Self::State>;
    /// What comes out, where it is `now` this and was `before` that; a value that is made here was nothing before.
    fn end(&self, place: &Place, name: &str, before: Option<&Self::Value>, now: Self::Value) -> Result<Self::State>;
    /// The value, made of what came out.
    fn value(&self, state: Self::State, before: Option<&Self::Value>) -> Result<Self::Value>;
}

/// How several values go through, nested to the right.
pub trait Carries<'b> {
    /// Their types.
    type Values;
    /// References to what they were.
    type Before: Copy;
    /// What of them is tensors.
    type State: Structure;

    /// What goes in.
    fn begin(&self, place: &Place, names: &[&str], values: Self::Before) -> Result<Self::State>;
    /// What comes out.
    fn end(&self, place: &Place, names: &[&str], before: Self::Before, now: Self::Values) -> Result<Self::State>;
    /// The values, made of what came out.
    fn values(&self, state: Self::State, before: Self::Before) -> Result<Self::Values>;
}

impl Carries<'_> for () {
    type Values = ();
    type Before = ();
    type State = ();

    fn begin(&self, _: &Place, _: &[&str], (): ()) -> Result<()> {
        Ok(())
    }

    fn end(&self, _: &Place, _: &[&str], (): (), (): ()) -> Result<()> {
        Ok(())
    }

    fn values(&self, (): (), (): ()) -> Result<()> {
        Ok(())
    }
}

impl<'b, K: Carry<Value: 'b>, Rest: Carries<'b>> Carries<'b> for (K, Rest) {
    type Values = (K::Value, Rest::Values);
    type Before = (Option<&'b K::Value>, Rest::Before);
    type State = (K::State, Rest::State);

    fn begin(&self, place: &Place, names: &[&str], values: Self::Before) -> Result<Self::State> {
        let (name, names) = first(names)?;
        let value = values.0.ok_or_else(|| Error::internal("what a loop carries has a value"))?;
        Ok((self.0.begin(place, name, value)?, self.1.begin(place, names, values.1)?))
    }

    fn end(&self, place: &Place, names: &[&str], before: Self::Before, now: Self::Values) -> Result<Self::State> {
        let (name, names) = first(names)?;
        Ok((self.0.end(place, name, before.0, now.0)?, self.1.end(place, names, before.1, now.1)?))
    }

    fn values(&self, state: Self::State, before: Self::Before) -> Result<Self::Values> {
        Ok((self.0.value(state.0, before.0)?, self.1.values(state.1, before.1)?))
    }
}

fn first<'a, 'n>(names: &'a [&'n str]) -> Result<(&'n str, &'a [&'n str])> {
    names.split_first().map(|(name, rest)| (*name, rest)).ok_or_else(|| Error::internal("a value has a name"))
}

/// A structure of tensors.
pub struct Tensors<T>(PhantomData<fn() -> T>);

/// The result of something that can fail: where it failed, so does the branch.
pub struct Failing<T>(PhantomData<fn() -> T>);

/// A plain value, which stays what it is.
pub struct Plain<T>(PhantomData<fn() -> T>);

/// A value that cannot be compared, and so cannot go through.
pub struct Opaque<T>(PhantomData<fn() -> T>);

/// Structures, first.
pub trait StructurePart<T> {
    /// How it goes through.
    fn modulor_part(&self) -> Tensors<T>;
}

impl<T: Structure> StructurePart<T> for &&&Probe<T> {
    fn modulor_part(&self) -> Tensors<T> {
        Tensors(PhantomData)
    }
}

/// Results with structures, after structures.
pub trait FailingPart<T> {
    /// How it goes through.
    fn modulor_part(&self) -> Failing<T>;
}

impl<T: Structure> FailingPart<T> for &&Probe<Result<T>> {
    fn modulor_part(&self) -> Failing<T> {
        Failing(PhantomData)
    }
}

/// Values that can be compared, after results.
pub trait PlainPart<T> {
    /// How it goes through.
    fn modulor_part(&self) -> Plain<T>;
}

impl<T: Clone + PartialEq> PlainPart<T> for &Probe<T> {
    fn modulor_part(&self) -> Plain<T> {
        Plain(PhantomData)
    }
}

/// What is left over.
pub trait AnyPart<T> {
    /// How it goes through.
    fn modulor_part(&self) -> Opaque<T>;
}

impl<T> AnyPart<T> for Probe<T> {
    fn modulor_part(&self) -> Opaque<T> {
        Opaque(PhantomData)
    }
}

impl<T: Structure> Carry for Tensors<T> {
    type Value = T;
    type State = T;

    fn begin(&self, _: &Place, _: &str, value: &T) -> Result<T> {
        Ok(value.clone())
    }

    fn end(&self, _: &Place, _: &str, _: Option<&T>, now: T) -> Result<T> {
        Ok(now)
    }

    fn value(&self, state: T, _: Option<&T>) -> Result<T> {
        Ok(state)
    }
}

impl<T: Structure> Carry for Failing<T> {
    type Value = Result<T>;
    type State = T;

    fn begin(&self, place: &Place, name: &str, _: &Result<T>) -> Result<T> {
        Err(place.refuse(format!("{name} is a `Result`"), "take the value out of it with `?` before"))
    }

    fn end(&self, _: &Place, _: &str, _: Option<&Result<T>>, now: Result<T>) -> Result<T> {
        now
    }

    fn value(&self, state: T, _: Option<&Result<T>>) -> Result<Result<T>> {
        Ok(Ok(state))
    }
}

impl<T: Clone + PartialEq> Carry for Plain<T> {
    type Value = T;
    type State = ();

    fn begin(&self, _: &Place, _: &str, _: &T) -> Result<()> {
        Ok(())
    }

    fn end(&self, place: &Place, name: &str, before: Option<&T>, now: T) -> Result<()> {
        let (fact, kind) = match before {
            Some(before) if *before == now => return Ok(()),
            Some(_) => (format!("changes {name}"), type_name::<T>()),
            None => (format!("gives {name}"), type_name::<T>()),
        };
        let help = "make it a tensor, as `Tensor::scalar(..)`, or let a plain `bool` or range decide";
        Err(place.refuse(format!("{fact}, a `{kind}`, which is not made of tensors"), help))
    }

    fn value(&self, (): (), before: Option<&T>) -> Result<T> {
        before.cloned().ok_or_else(|| Error::internal("a plain value that goes through was there before"))
    }
}

impl<T> Carry for Opaque<T> {
    type Value = T;
    type State = ();

    fn begin(&self, place: &Place, name: &str, _: &T) -> Result<()> {
        Err(opaque::<T>(place, name))
    }

    fn end(&self, place: &Place, name: &str, _: Option<&T>, _: T) -> Result<()> {
        Err(opaque::<T>(place, name))
    }

    fn value(&self, (): (), _: Option<&T>) -> Result<T> {
        Err(Error::internal("an opaque value does not go through"))
    }
}

fn opaque<T>(place: &Place, name: &str) -> Error {
    let help = "change it outside, or make it of tensors; of a reference to a tensor make a `Tensor`, with `.clone()`";
    place.refuse(format!("may change {name}, a `{}`, which is not made of tensors", type_name::<T>()), help)
}

/// A value of the surroundings that is used in a branch or a loop.
pub struct Copied<'a, T: ?Sized>(pub &'a T);

/// Values that can be cloned.
pub trait DupClone<T> {
    /// A clone.
    fn modulor_owned(&self, place: &Place, name: &str) -> Result<T>;
    /// A clone.
    fn modulor_lent(&self) -> T;
}

impl<T: Clone> DupClone<T> for &Copied<'_, T> {
    fn modulor_owned(&self, _: &Place, _: &str) -> Result<T> {
        Ok(self.0.clone())
    }

    fn modulor_lent(&self) -> T {
        self.0.clone()
    }
}

/// Values that cannot be cloned.
pub trait DupAny<'a, T: ?Sized> {
    /// An error.
    fn modulor_owned(&self, place: &Place, name: &str) -> Result<T>
    where
        T: Sized;
    /// A reference.
    fn modulor_lent(&self) -> &'a T;
}

impl<'a, T: ?Sized> DupAny<'a, T> for Copied<'a, T> {
    fn modulor_owned(&self, place: &Place, name: &str) -> Result<T>
    where
        T: Sized,
    {
        let help = "use it by reference";
        Err(place.refuse(format!("moves or changes {name}, a `{}`, which cannot be cloned", type_name::<T>()), help))
    }

    fn modulor_lent(&self) -> &'a T {
        self.0
    }
}
