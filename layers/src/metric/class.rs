//! What all metrics that are means have in common, as fields.

/// The type of a metric that is a weighted mean, with its settings.
macro_rules! mean {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal;
        $($(#[$about:meta])* $setting:ident: $type:ty = $default:expr;)*
    ) => {
        $(#[$doc])*
        ///
        /// # Variables
        ///
        /// `total`, the weighted sum, and `count`, the sum of the weights.
        #[derive(modulor::Module)]
        #[module(package = "keras.metrics", name = $name)]
        pub struct $class {
            /// The name that logs have, and what the paths of its variables begin with.
            #[config(default = $name.to_owned(), into)]
            name: String,
            /// The type of the result and of the variables; float32 unless set.
            #[config(default = modulor::DType::F32, with = $crate::metric::class::dtype_name)]
            dtype: modulor::DType,
            #[variable(init = 0.0, dtype = dtype, trainable = false, weight = false)]
            total: modulor::Variable,
            #[variable(init = 0.0, dtype = dtype, trainable = false, weight = false)]
            count: modulor::Variable,
            #[variable(init = 0.0, dtype = modulor::DType::F64, trainable = false, weight = false, persistent = false)]
            exact_total: modulor::Variable,
            #[variable(init = 0.0, dtype = modulor::DType::F64, trainable = false, weight = false, persistent = false)]
            exact_count: modulor::Variable,
            #[skip]
            turn: std::sync::Arc<std::sync::Mutex<()>>,
            $($(#[$about])* #[config(default = $default)] $setting: $type,)*
        }

        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }

        impl $class {
            fn totals(&self) -> $crate::metric::total::Totals<'_> {
                use $crate::metric::total::{Total, Totals};
                Totals {
                    metric: self,
                    name: &self.name,
                    turn: &self.turn,
                    totals: vec![
                        Total { saved: &self.total, exact: &self.exact_total },
                        Total { saved: &self.count, exact: &self.exact_count },
                    ],
                }
            }
        }
    };
}
pub(super) use mean;

/// Dtypes in configs: a name, or the object that Keras calls a policy.
pub(super) mod dtype_name {
    use modulor::DType;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(dtype: &DType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(dtype.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = value.as_str().or_else(|| value["config"]["name"].as_str());
        let dtype = name.map(DType::from_name).transpose().map_err(D::Error::custom)?;
        let dtype = dtype.filter(|dtype| dtype.is_float());
        dtype.ok_or_else(|| D::Error::custom(format!("a metric has a dtype of floats, not {value}")))
    }
}
