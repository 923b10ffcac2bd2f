//! The attributes of a node, in TensorFlow's kinds and names, as data.

use crate::{DType, Error, Result, Shape};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The value of one attribute.
#[derive(Clone, PartialEq)]
pub enum Attr {
    /// An integer.
    Int(i64),
    /// A float; TensorFlow's are single precision.
    Float(f32),
    /// A bool.
    Bool(bool),
    /// A string.
    Str(String),
    /// A dtype.
    Type(DType),
    /// A shape.
    Shape(Shape),
    /// A function.
    Func(Func),
    /// A list of one kind.
    List(Vec<Attr>),
}

/// A function as an attribute: a graph, which [`flow`](crate::flow) makes and reads.
#[derive(Clone)]
pub struct Func(pub(crate) Arc<dyn Any + Send + Sync>);

/// Whether both are the same graph, not one that is like it.
impl PartialEq for Func {
    fn eq(&self, other: &Func) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// As `function`: the text of a graph shows what it is.
impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("function")
    }
}

/// The attributes of one op, by name.
#[derive(Clone, PartialEq, Default)]
pub struct Attrs(BTreeMap<String, Attr>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $get:ident $variant:ident $t:ty, $what:literal;)*) => { $(
        impl From<$t> for Attr {
            fn from(value: $t) -> Attr { Attr::$variant(value) }
        }
        impl Attrs {
            $(#[$doc])*
            pub fn $get(&self, name: &str, default: impl Into<Option<$t>>) -> Result<$t> {
                match (self.0.get(name), default.into()) {
                    (Some(Attr::$variant(value)), _) => Ok(value.clone()),
                    (None, Some(default)) => Ok(default),
                    (None, None) => Err(Error::invalid_argument(format!("attribute `{name}` is missing"))),
                    (Some(other), _) => Err(Error::invalid_argument(format!(
                        concat!("attribute `{}` takes ", $what, ", found {:?}"), name, other
                    ))),
                }
            }
        }
    )* };
}

kinds! {
    /// An integer, or the default given; an error when it is missing without one, or of another kind.
    int Int i64, "an integer";
    /// A float, or the default given; an error as for [`int`](Attrs::int).
    float Float f32, "a float";
    /// A bool, or the default given; an error as for [`int`](Attrs::int).
    bool Bool bool, "a bool";
    /// A string, or the default given; an error as for [`int`](Attrs::int).
    string Str String, "a string";
    /// A dtype, or the default given; an error as for [`int`](Attrs::int).
    dtype Type DType, "a dtype";
    /// A shape, or the default given; an error as for [`int`](Attrs::int).
    shape Shape Shape, "a shape";
    /// A function, or the default given; an error as for [`int`](Attrs::int).
    func Func Func, "a function";
}

impl Attrs {
    /// None yet.
    pub fn new() -> Attrs {
        Attrs::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Attr>) -> Attrs {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// One by name, of whatever kind.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.get(name)
    }

    /// A list of integers; empty when missing.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>> {
        let wrong = |found: &Attr| {
            Error::invalid_argument(format!("attribute `{name}` takes a list of integers, found {found:?}"))
        };
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Attr::List(items)) => {
                items.iter().map(|item| if let Attr::Int(i) = item { Ok(*i) } else { Err(wrong(item)) }).collect()
            }
            Some(other) => Err(wrong(other)),
        }
    }

    /// All, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Attr {
    fn from(value: &str) -> Attr {
        Attr::Str(value.to_owned())
    }
}

impl From<&[i64]> for Attr {
    fn from(values: &[i64]) -> Attr {
        Attr::List(values.iter().copied().map(Attr::Int).collect())
    }
}

/// As in a graph's text: `3`, `true`, `"NHWC"`, `float32`, `[1, 2]`.
impl fmt::Debug for Attr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attr::Int(value) => write!(f, "{value}"),
            Attr::Float(value) => write!(f, "{value:?}"),
            Attr::Bool(value) => write!(f, "{value}"),
            Attr::Str(value) => write!(f, "{value:?}"),
            Attr::Type(value) => write!(f, "{value}"),
            Attr::Shape(value) => write!(f, "{value}"),
            Attr::Func(value) => write!(f, "{value:?}"),
            Attr::List(values) => f.debug_list().entries(values).finish(),
        }
    }
}

/// As in a graph's text: `{transpose_a=true}`, or nothing when there are none.
impl fmt::Debug for Attrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("}")
    }
}
