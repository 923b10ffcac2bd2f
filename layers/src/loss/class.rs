//! The structs of losses: settings, and the function that they are the settings of.

use modulor::{DType, DTypePolicy};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Losses, each a row: its name in logs, the function it computes, and settings in the order of the function's arguments.
macro_rules! losses {
    ($($(#[$doc:meta])* $class:ident, $name:literal = $function:ident {
        $($(#[$about:meta])* $setting:ident: $kind:ty = $default:expr,)*
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $class {
            /// The name in logs.
            pub name: String,
            /// What becomes of the losses of all samples.
            pub reduction: $crate::loss::Reduction,
            /// What predictions are cast to; nothing unless set. (Keras's are cast to float32 unless set.) Not in
            /// configurations, as in Keras.
            #[serde(skip_serializing, deserialize_with = "crate::loss::class::compute_dtype")]
            pub dtype: Option<modulor::DType>,
            $($(#[$about])* pub $setting: $kind,)*
        }

        impl Default for $class {
            fn default() -> Self {
                $class { name: $name.to_owned(), reduction: Default::default(), dtype: None, $($setting: $default,)* }
            }
        }

        impl $crate::loss::Loss for $class {
            fn name(&self) -> &str {
                &self.name
            }
            fn losses(&self, y_true: &modulor::Tensor, y_pred: &modulor::Tensor) -> modulor::Result<modulor::Tensor> {
                $function(y_true, y_pred, $(self.$setting.to_owned()),*)
            }
            fn reduction(&self) -> $crate::loss::Reduction {
                self.reduction
            }
            fn dtype(&self) -> Option<modulor::DType> {
                self.dtype
            }
        }
    )* };
}

pub(super) use losses;

/// The dtype that a policy computes in, by name or serialized; none of null.
pub(super) fn compute_dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DType>, D::Error> {
    let policy = Option::<DTypePolicy>::deserialize(deserializer)?;
    policy.map(|policy| policy.compute_dtype()).transpose().map_err(D::Error::custom)
}
