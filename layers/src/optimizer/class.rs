//! What the classes of optimizers have in common beside their arithmetic.

/// An optimizer's class: its name in logs, its default rate and decay, and its own settings, one a row. Gives the struct,
/// `new`, a builder method for each setting, and what makes it a module with a config.
macro_rules! optimizer {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal, learning_rate = $rate:literal, weight_decay = $decay:expr;
        $($(#[$setting_doc:meta])* $setting:ident: $type:ty = $default:expr;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $class {
            state: State,
            $($setting: $type,)*
        }

        impl $class {
            /// One with Keras's defaults.
            pub fn new() -> $class {
                $class { state: State::new($name, $rate, $decay), $($setting: $default,)* }
            }

            $(
                $(#[$setting_doc])*
                #[must_use]
                pub fn $setting(mut self, $setting: $type) -> $class {
                    self.$setting = $setting;
                    self
                }
            )*
        }

        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }

        impl modulor::module::Track for $class {
            fn track(&self, name: &str, visitor: &mut dyn modulor::module::Visitor) {
                visitor.module(name, self);
            }

            fn share(&self) -> Self {
                $class { state: self.state.share(), $($setting: self.$setting.clone(),)* }
            }

            fn field_config(&self) -> Result<Option<serde_json::Value>> {
                modulor::module::object(self).map(Some)
            }

            fn from_field(config: Option<&serde_json::Value>) -> Result<Self> {
                modulor::module::read_object(stringify!($class), config)
            }
        }

        impl modulor::Module for $class {
            fn as_module(&self) -> &dyn modulor::Module {
                self
            }

            fn class_name(&self) -> &str {
                stringify!($class)
            }

            fn default_name(&self) -> &str {
                self.state.name()
            }

            fn package(&self) -> &str {
                "keras.optimizers"
            }

            fn fields(&self, visitor: &mut dyn modulor::module::Visitor) {
                self.state.visit(visitor);
            }

            fn build(&self, _: &modulor::module::InputShapes) -> Result<()> {
                Ok(())
            }

            fn config(&self) -> Result<modulor::module::Config> {
                let mut config = modulor::module::Config::new();
                self.state.write(&mut config)?;
                $(config.insert(stringify!($setting).to_owned(), self.$setting.into());)*
                Ok(config)
            }
        }

        impl modulor::FromConfig for $class {
            fn from_config(config: &modulor::module::Config) -> Result<Self> {
                let mut optimizer = $class::new();
                let within = |error: modulor::Error| error.within(stringify!($class));
                optimizer.state.read(config, &[$(stringify!($setting)),*]).map_err(within)?;
                $(crate::optimizer::state::setting(config, stringify!($setting), &mut optimizer.$setting).map_err(within)?;)*
                Ok(optimizer)
            }
        }

        modulor::register!($class, "keras.optimizers");
    };
}
pub(super) use optimizer;
