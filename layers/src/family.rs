//! What initializers, regularizers, constraints and losses have in common: a visible list of classes that Keras names,
//! and one type for any of them.

use modulor::{Error, Result, nearest};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// Keras's ε: what it adds to a divisor that may be 0, and how near to 0 and 1 it lets a probability come.
pub(crate) const EPSILON: f64 = 1e-7;

/// One family: the enum of its classes, from a list of rows of class name and Keras's other names for it.
///
/// The enum serializes as Keras does, `{"module": .., "class_name": .., "config": {..}, "registered_name": null}`, and is
/// read from that or from a name alone. Classes are [`Default`] and serde types that implement the family's trait.
macro_rules! family {
    (
        $(#[$doc:meta])*
        $any:ident: $trait:ident, $noun:literal of $module:literal, listed in $list:ident;
        $($class:ident $($alias:literal)*;)*
    ) => {
        #[doc = concat!("The class names of all that are built in, each a variant of [`", stringify!($any), "`].")]
        pub const $list: &[&str] = &[$(stringify!($class)),*];

        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $any {
            $(#[doc = concat!("[`", stringify!($class), "`].")] $class($class),)*
            /// One of the user's, of a class that [`register_class!`](crate::register_class) made known.
            Own($crate::setting::Own<dyn $trait>),
            /// A name that nothing has, kept until it is used, which is an error.
            Unknown(String),
        }

        impl $any {
            /// The error for a name that nothing has, which speaks of class names or of Keras's other names.
            fn unknown(name: &str) -> modulor::Error {
                const OTHERS: &[&str] = &[$($($alias,)*)*];
                if name.contains('>') {
                    let message = format!("unknown {} `{name}`; `register_class!` makes a class of your own known", $noun);
                    return modulor::Error::not_found(message);
                }
                let other = name.starts_with(char::is_lowercase) && !OTHERS.is_empty();
                $crate::family::unknown($noun, name, if other { OTHERS } else { $list })
            }

            #[doc = concat!("The ", $noun, " of a class name or one of Keras's other names, with its defaults; or, as")]
            /// `package>Class`, of a class of the user's, with an empty config.
            ///
            /// Any other name is an error that says what there is.
            pub fn named(name: &str) -> modulor::Result<$any> {
                match name {
                    $(stringify!($class) $(| $alias)* => Ok(<$class>::default().into()),)*
                    _ => Self::of_users(name, serde_json::json!({})).unwrap_or_else(|| Err(Self::unknown(name))),
                }
            }

            /// One of a class of the user's; `None` where no such class is registered.
            fn of_users(name: &str, config: serde_json::Value) -> Option<modulor::Result<$any>> {
                let own = $crate::setting::Own::read(inventory::iter::<$crate::setting::Entry<dyn $trait>>(), name, config)?;
                let refused = |error| modulor::Error::invalid_argument(format!("{name}: {error}"));
                Some(own.map(Self::Own).map_err(refused))
            }

            /// The class name.
            pub fn class_name(&self) -> &str {
                match self {
                    $(Self::$class(_) => stringify!($class),)*
                    Self::Own(own) => own.class_name(),
                    Self::Unknown(name) => name,
                }
            }

            fn inner(&self) -> modulor::Result<&dyn $trait> {
                match self {
                    $(Self::$class(inner) => Ok(inner),)*
                    Self::Own(own) => Ok(&*own.inner),
                    Self::Unknown(name) => Err(Self::unknown(name)),
                }
            }
        }

        /// By name, with its defaults.
        impl From<&str> for $any {
            fn from(name: &str) -> Self {
                Self::named(name).unwrap_or_else(|_| Self::Unknown(name.to_owned()))
            }
        }

        /// By name, with its defaults.
        impl From<&str> for $crate::OrNone<$any> {
            fn from(name: &str) -> Self {
                $crate::OrNone(Some(name.into()))
            }
        }

        $(
            impl From<$class> for $any {
                fn from(inner: $class) -> Self {
                    $any::$class(inner)
                }
            }

            impl From<$class> for $crate::OrNone<$any> {
                fn from(inner: $class) -> Self {
                    $crate::OrNone(Some(inner.into()))
                }
            }
        )*

        impl serde::Serialize for $any {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                let config = match self {
                    $(Self::$class(inner) => serde_json::to_value(inner),)*
                    Self::Own(own) => return own.to_object().map_err(serde::ser::Error::custom)?.serialize(serializer),
                    Self::Unknown(name) => Err(serde::ser::Error::custom(Self::unknown(name))),
                };
                serde_json::json!({
                    "module": $module,
                    "class_name": self.class_name(),
                    "config": config.map_err(serde::ser::Error::custom)?,
                    "registered_name": null,
                })
                .serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $any {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let (class, config) = $crate::family::read($noun, $module, $list, deserializer)?;
                let Some(config) = config else { return Self::named(&class).map_err(serde::de::Error::custom) };
                match class.as_str() {
                    $(stringify!($class) $(| $alias)* => {
                        let inner: std::result::Result<$class, _> = serde_json::from_value(config);
                        inner.map(Self::$class).map_err(|error| serde::de::Error::custom(format!("{class}: {error}")))
                    })*
                    _ => Self::of_users(&class, config)
                        .unwrap_or_else(|| Err(Self::unknown(&class)))
                        .map_err(serde::de::Error::custom),
                }
            }
        }

        inventory::collect!($crate::setting::Entry<dyn $trait>);

        impl $crate::setting::Family for $any {
            type Class = dyn $trait;

            fn own(own: $crate::setting::Own<dyn $trait>) -> Self {
                Self::Own(own)
            }
        }
    };
}
pub(crate) use family;

/// What nothing is, in words for who clones a module: the bound of a `Clone` that no module has.
#[diagnostic::on_unimplemented(
    message = "`{M}` is not cloned: make each by itself, or take `share()`, the same one again, or `copy()`, another one with the same values",
    label = "would that be the same one or another one?",
    note = "in a list that is `(0..4).map(|_| Dense::new(3)).collect()`"
)]
pub trait SharedOrCopied<M> {}

/// What modules that are built in have in common: a `Debug` in short, and the words of [`SharedOrCopied`].
macro_rules! built_in {
    ($($class:ident)*) => { $(
        // A bound without a lifetime of its own that never holds would be an error here, and not where it is asked for.
        #[doc(hidden)]
        impl Clone for $class
        where
            for<'a> &'a $class: $crate::family::SharedOrCopied<$class>,
        {
            fn clone(&self) -> Self {
                modulor::module::Track::share(self)
            }
        }

        impl std::fmt::Debug for $class {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                modulor::module::write_short(self, f)
            }
        }
    )* };
}
pub(crate) use built_in;

/// The error for a name that nothing in a list has.
pub(crate) fn unknown(noun: &str, name: &str, known: &[&str]) -> Error {
    Error::not_found(format!("unknown {noun} `{name}`; {}", nearest::suggestion(name, known.iter().copied())))
}

/// A class name, of a class of the user's the registered one, and its config where the serialized form has one.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    noun: &str,
    home: &str,
    known: &[&str],
    deserializer: D,
) -> std::result::Result<(String, Option<Value>), D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Name(String),
        Object {
            module: Option<String>,
            class_name: String,
            #[serde(default)]
            config: Option<Value>,
            #[serde(default)]
            registered_name: Option<String>,
        },
    }
    match Form::deserialize(deserializer)? {
        Form::Name(name) => Ok((name, None)),
        Form::Object { registered_name: Some(name), config, .. } if name.contains('>') => {
            Ok((name, Some(config.unwrap_or_else(|| json!({})))))
        }
        Form::Object { module: Some(module), class_name, .. } if module != home => {
            Err(serde::de::Error::custom(unknown(noun, &format!("{module}.{class_name}"), known)))
        }
        Form::Object { class_name, config, .. } => Ok((class_name, config)),
    }
}

/// A setting that Keras keeps as a float32 and writes as the float64 that this is.
pub(crate) fn as_float32<S: serde::Serializer>(value: &f64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*value as f32))
}

/// A number that a setting can take: finite and not negative.
pub(crate) fn not_negative(name: &str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(Error::invalid_argument(format!("`{name}` must be a finite number not below 0, found {value}")))
}

/// The configuration `{}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoSettings {}

/// Makes [`NoSettings`] the serde form of unit structs, which say `#[serde(into = "NoSettings", from = "NoSettings")]`.
macro_rules! no_settings {
    ($($class:ident)*) => { $(
        impl From<$class> for $crate::family::NoSettings {
            fn from(_: $class) -> Self {
                $crate::family::NoSettings {}
            }
        }
        impl From<$crate::family::NoSettings> for $class {
            fn from(_: $crate::family::NoSettings) -> Self {
                $class
            }
        }
    )* };
}
pub(crate) use no_settings;
