//! The structs of losses: settings, and the function that they are the settings of.

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
            $($(#[$about])* pub $setting: $kind,)*
        }

        impl Default for $class {
            fn default() -> Self {
                $class { name: $name.to_owned(), reduction: Default::default(), $($setting: $default,)* }
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
        }
    )* };
}

pub(super) use losses;
