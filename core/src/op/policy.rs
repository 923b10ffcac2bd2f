//! What layers compute in, and what their variables are kept in.

use super::scope;
use crate::{DType, Error, Result, nearest};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The dtype that a layer computes in, and that of its variables: Keras's `DTypePolicy`.
///
/// The name of a dtype stands for both. `mixed_float16` and `mixed_bfloat16` compute in half precision and keep variables
/// in float32. A layer that has a policy casts floats that it is given to the [compute dtype](Self::compute_dtype), and so
/// does a read of a variable of floats while it runs; gradients come to the variable in its own dtype.
///
/// ```
/// use modulor_core::{DType, DTypePolicy};
/// # fn main() -> modulor_core::Result<()> {
/// let policy = DTypePolicy::from("mixed_bfloat16");
/// assert_eq!((policy.compute_dtype()?, policy.variable_dtype()?), (DType::BF16, DType::F32));
/// assert!(DTypePolicy::from("mixed_float8").compute_dtype().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DTypePolicy(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Of(DType),
    /// Computes in this and keeps variables in float32.
    Mixed(DType),
    /// A name that says nothing; an error where it is used.
    Unknown(Arc<str>),
}

/// The names that are not those of dtypes.
const MIXED: [(&str, DType); 2] = [("mixed_float16", DType::F16), ("mixed_bfloat16", DType::BF16)];

impl DTypePolicy {
    /// The name.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Of(dtype) => dtype.name(),
            Kind::Mixed(dtype) => MIXED.iter().find(|(_, known)| known == dtype).map_or("", |(name, _)| name),
            Kind::Unknown(name) => name,
        }
    }

    /// What floats that a layer is given are cast to, and variables while it runs. An error for a name that says nothing.
    pub fn compute_dtype(&self) -> Result<DType> {
        match &self.0 {
            Kind::Of(dtype) | Kind::Mixed(dtype) => Ok(*dtype),
            Kind::Unknown(name) => Err(unknown(name)),
        }
    }

    /// What the variables of a layer are kept in. An error for a name that says nothing.
    pub fn variable_dtype(&self) -> Result<DType> {
        match &self.0 {
            Kind::Mixed(_) => Ok(DType::F32),
            _ => self.compute_dtype(),
        }
    }

    /// What reads of variables are cast to, if to anything.
    pub(crate) fn autocast(&self) -> Result<Option<DType>> {
        let (compute, variable) = (self.compute_dtype()?, self.variable_dtype()?);
        Ok((compute != variable).then_some(compute))
    }
}

fn unknown(name: &str) -> Error {
    let known = MIXED.iter().map(|(name, _)| *name).chain(["float32", "float64", "float16", "bfloat16"]);
    Error::invalid_argument(format!("unknown dtype policy `{name}`; {}", nearest::suggestion(name, known)))
}

/// The [ambient](dtype_policy) one.
impl Default for DTypePolicy {
    fn default() -> Self {
        dtype_policy()
    }
}

/// A name that says nothing is an error where the policy is used.
impl From<&str> for DTypePolicy {
    fn from(name: &str) -> Self {
        let mixed = MIXED.iter().find(|(known, _)| *known == name).map(|(_, dtype)| Kind::Mixed(*dtype));
        let plain = || DType::from_name(name).ok().filter(|&dtype| dtype.has_elements()).map(Kind::Of);
        DTypePolicy(mixed.or_else(plain).unwrap_or_else(|| Kind::Unknown(name.into())))
    }
}

impl From<DType> for DTypePolicy {
    fn from(dtype: DType) -> Self {
        DTypePolicy(Kind::Of(dtype))
    }
}

impl fmt::Debug for DTypePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<DTypePolicy {:?}>", self.name())
    }
}

/// As Keras writes it, an object.
impl Serialize for DTypePolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.compute_dtype().map_err(S::Error::custom)?;
        let config = json!({ "name": self.name() });
        json!({ "module": "keras", "class_name": "DTypePolicy", "config": config, "registered_name": null })
            .serialize(serializer)
    }
}

/// From an object or a name; null is the [ambient](dtype_policy) one.
impl<'de> Deserialize<'de> for DTypePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let class = value["class_name"].as_str();
        let name = match (&value, class) {
            (Value::Null, _) => return Ok(dtype_policy()),
            (Value::String(name), _) => Some(name.as_str()),
            (_, Some("DTypePolicy" | "FloatDTypePolicy")) => value["config"]["name"].as_str(),
            _ => None,
        };
        let policy = name.map(DTypePolicy::from).ok_or_else(|| {
            D::Error::custom(format!("expected a dtype policy, a name or a serialized `DTypePolicy`; found {value}"))
        })?;
        policy.compute_dtype().map_err(D::Error::custom)?;
        Ok(policy)
    }
}

static AMBIENT: RwLock<DTypePolicy> = RwLock::new(DTypePolicy(Kind::Of(DType::F32)));

/// The policy that a layer is made with which is given no other; `float32` unless set.
pub fn dtype_policy() -> DTypePolicy {
    let scoped = scope::with(|scopes| scopes.policy.clone());
    scoped.unwrap_or_else(|| AMBIENT.read().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Sets the policy of all layers that are made from now on, on any thread: `keras.config.set_dtype_policy`.
///
/// An error for a name that says nothing. [`with_dtype_policy`] is for some layers alone.
pub fn set_dtype_policy(policy: impl Into<DTypePolicy>) -> Result<()> {
    let policy = policy.into();
    policy.compute_dtype()?;
    *AMBIENT.write().unwrap_or_else(PoisonError::into_inner) = policy;
    Ok(())
}

/// Runs `f`, in which layers are made with this policy unless they are given another.
///
/// ```
/// use modulor_core::{dtype_policy, with_dtype_policy};
/// assert_eq!(with_dtype_policy("mixed_float16", || dtype_policy().name().to_owned()), "mixed_float16");
/// assert_eq!(dtype_policy().name(), "float32");
/// ```
pub fn with_dtype_policy<R>(policy: impl Into<DTypePolicy>, f: impl FnOnce() -> R) -> R {
    let policy = policy.into();
    scope::changed(|scopes| scopes.policy = Some(policy), f)
}
