//! Settings of a family that need not be built in: none, or of a class of the user's.

use modulor::module::{Track, Visitor};
use modulor::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// A setting that configs have where it is set alone, as Keras leaves it out where it is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WhereSet<T>(pub Option<T>);

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Track for WhereSet<T> {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        let written = self.0.as_ref().map(serde_json::to_value).transpose();
        written.map_err(|error| Error::invalid_argument(error.to_string()))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let read = config.map(|config| serde_json::from_value(config.clone())).transpose();
        read.map(|setting| WhereSet(setting.flatten())).map_err(|error| Error::invalid_argument(error.to_string()))
    }
}

/// A setting that may be none, as the regularizer of a kernel: made from a name, a value or `None`; null in a config.
///
/// ```
/// use modulor_layers::regularizer::{AnyRegularizer, L2};
/// use modulor_layers::OrNone;
/// fn setting(given: impl Into<OrNone<AnyRegularizer>>) -> OrNone<AnyRegularizer> {
///     given.into()
/// }
/// assert_eq!(setting("l2"), setting(L2::default()));
/// assert_eq!(setting(None), OrNone(None));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrNone<A>(pub Option<A>);

/// None.
impl<A> Default for OrNone<A> {
    fn default() -> Self {
        OrNone(None)
    }
}

impl<A> From<Option<A>> for OrNone<A> {
    fn from(setting: Option<A>) -> Self {
        OrNone(setting)
    }
}

impl<A> From<A> for OrNone<A> {
    fn from(setting: A) -> Self {
        OrNone(Some(setting))
    }
}

/// Makes a class of the user's one of a family, so that layers take it as a setting, by value or by its registered name,
/// and it is written to configs and read from them.
///
/// The class implements the family's trait and serde's `Serialize` and `Deserialize`. Its registered name is
/// `package>Class`, with the name of the crate that says this; by the name alone it is read from an empty config.
///
/// ```
/// use modulor_layers::initializer::AnyInitializer;
/// use modulor_layers::library::Dense;
/// use modulor::variable::Initializer;
/// use modulor::{Call, DType, Module, Result, Tensor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// #[serde(default)]
/// struct Halves {
///     times: f64,
/// }
///
/// impl Initializer for Halves {
///     fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
///         Tensor::fill(dims, &Tensor::scalar(self.times / 2.0).cast(dtype)?)
///     }
/// }
///
/// modulor_layers::register_class!(AnyInitializer: Halves);
///
/// # fn main() -> Result<()> {
/// let layer = Dense::new(1).kernel_initializer(Halves { times: 3.0 });
/// assert_eq!(layer.call(&Tensor::from([[2.0_f32]]))?.to_vec::<f32>()?, [3.0]);
/// assert_eq!(layer.config()?["kernel_initializer"]["class_name"], "Halves");
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! register_class {
    ($any:ty: $class:ident) => {
        const _: () = {
            use $crate::registration::{Entry, Family, Own, inventory, read, write};

            type Class = <$any as Family>::Class;

            const NAME: &str = concat!(env!("CARGO_PKG_NAME"), ">", stringify!($class));

            fn own(class: $class) -> Own<Class> {
                Own { name: NAME, config: write(&class), inner: ::std::sync::Arc::new(class) }
            }

            impl From<$class> for $any {
                fn from(class: $class) -> Self {
                    <$any as Family>::own(own(class))
                }
            }

            impl From<$class> for $crate::OrNone<$any> {
                fn from(class: $class) -> Self {
                    $crate::OrNone(Some(class.into()))
                }
            }

            inventory::submit! {
                Entry::<Class> { name: NAME, make: |config| read(config).map(own) }
            }
        };
    };
}

/// A family of classes, to which users add their own.
pub trait Family {
    /// The trait of its classes, as `dyn Trait`.
    type Class: ?Sized;

    /// One of the user's as one of the family.
    fn own(own: Own<Self::Class>) -> Self;
}

/// A class that [`register_class!`](crate::register_class) made known.
pub struct Entry<T: ?Sized + 'static> {
    /// The registered name, `package>Class`.
    pub name: &'static str,
    /// Makes one out of a config.
    pub make: fn(Value) -> serde_json::Result<Own<T>>,
}

/// The config of one, which for a struct without fields is `{}`, as it is in Keras.
pub fn write(class: &impl Serialize) -> Result<Value, String> {
    match serde_json::to_value(class) {
        Ok(Value::Null) => Ok(json!({})),
        written => written.map_err(|error| error.to_string()),
    }
}

/// The inverse of [`write`].
pub fn read<C: DeserializeOwned>(config: Value) -> serde_json::Result<C> {
    let is_empty = config == json!({});
    serde_json::from_value(config).or_else(|error| match is_empty {
        true => serde_json::from_value(Value::Null).map_err(|_| error),
        false => Err(error),
    })
}

/// One of a class of the user's.
pub struct Own<T: ?Sized> {
    /// The registered name, `package>Class`.
    pub name: &'static str,
    /// Its config, or why it has none.
    pub config: Result<Value, String>,
    /// The thing itself.
    pub inner: Arc<T>,
}

impl<T: ?Sized> Clone for Own<T> {
    fn clone(&self) -> Self {
        Own { name: self.name, config: self.config.clone(), inner: self.inner.clone() }
    }
}

/// Those of one class with one config are equal.
impl<T: ?Sized> PartialEq for Own<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.config) == (other.name, &other.config)
    }
}

impl<T: ?Sized> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("name", &self.name).field("config", &self.config).finish()
    }
}

impl<T: ?Sized + 'static> Own<T> {
    /// The class's name, without the package.
    pub(crate) fn class_name(&self) -> &'static str {
        self.name.split_once('>').map_or(self.name, |(_, class)| class)
    }

    /// The form of a config.
    pub(crate) fn to_object(&self) -> Result<Value, String> {
        let module = self.name.split_once('>').map(|(package, _)| package);
        Ok(json!({
            "module": module,
            "class_name": self.class_name(),
            "config": self.config.clone()?,
            "registered_name": self.name,
        }))
    }

    /// One of the class that is registered in `entries` under `name`; `None` where there is no such class.
    pub(crate) fn read(
        entries: impl IntoIterator<Item = &'static Entry<T>>,
        name: &str,
        config: Value,
    ) -> Option<serde_json::Result<Own<T>>> {
        let entry = entries.into_iter().find(|entry| entry.name == name)?;
        Some((entry.make)(config))
    }
}
