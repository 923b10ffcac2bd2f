//! What all metrics that are means have in common, as fields.

/// The type of a metric that is a weighted mean, with its settings; those behind an arrow are in configs
/// [where they are set](crate::setting::WhereSet).
macro_rules! mean {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal;
        $($(#[$about:meta])* $setting:ident: $type:ty = $default:expr;)*
        $(=> $unsaid:ident: $of:ty;)?
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
            $(#[module(default)] $unsaid: $crate::setting::WhereSet<$of>,)?
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

/// [`Metric`](super::Metric) for means of what an expression gives for every sample, and perhaps a function of the mean.
///
/// Where the values have a mask it counts beside weights alone, as in Keras.
macro_rules! metrics {
    ($($class:ident |$metric:ident, $y_true:ident, $y_pred:ident| $values:expr $(=> $after:ident)?;)*) => { $(
        impl $crate::metric::Metric for $class {
            fn name(&self) -> &str {
                &self.name
            }

            fn update_state(
                &self,
                y_true: &modulor::Tensor,
                y_pred: &modulor::Tensor,
                sample_weight: Option<&modulor::Tensor>,
            ) -> modulor::Result<()> {
                use $crate::metric::{reduction::add_mean, total::with_mask};
                let update = || {
                    let ($metric, $y_true, $y_pred) = (self, y_true.with_mask(None), y_pred.with_mask(None));
                    let values: modulor::Tensor = $values?;
                    let weight = with_mask(sample_weight, y_pred.mask())?;
                    let weight = match weight {
                        Some(weight) => with_mask(Some(&weight), values.mask())?,
                        None => None,
                    };
                    add_mean(&$metric.totals(), &values, weight.as_ref())
                };
                update().map_err(|error: modulor::Error| error.within(self.name.as_str()))
            }

            fn result(&self) -> modulor::Result<modulor::Tensor> {
                $crate::metric::reduction::ratio(&self.totals())$(?.$after())?
            }

            fn reset_state(&self) -> modulor::Result<()> {
                self.totals().reset()
            }
        }
    )* };
}
pub(super) use metrics;

/// The types of metrics that keep arrays of sums: settings, those without a default first, and the names of the sums,
/// each with that of the exact one beside it.
///
/// The arrays get their shapes from what is added to them.
macro_rules! counters {
    ($(
        $(#[$doc:meta])*
        $class:ident $name:literal, $dtype:ident;
        $($(#[$about:meta])* $setting:ident: $type:ty;)*
        => $($saved:ident $exact:ident),*;
    )*) => { $(
        $(#[$doc])*
        #[derive(modulor::Module)]
        #[module(package = "keras.metrics", name = $name, build = manual)]
        pub struct $class {
            $($(#[$about])* $setting: $type,)*
            /// The name that logs have, and what the paths of its variables begin with.
            #[config(default = $name.to_owned(), into)]
            name: String,
            #[doc = concat!("The type of the variables; `DType::", stringify!($dtype), "` unless set.")]
            #[config(default = modulor::DType::$dtype, with = $crate::metric::class::dtype_name)]
            dtype: modulor::DType,
            $(
                #[variable(init = 0.0, dtype = dtype, trainable = false, weight = false)]
                $saved: modulor::Variable,
            )*
            $(
                #[variable(init = 0.0, dtype = modulor::DType::F64, trainable = false, weight = false, persistent = false)]
                $exact: modulor::Variable,
            )*
            #[skip]
            turn: std::sync::Arc<std::sync::Mutex<()>>,
        }

        impl modulor::module::ManualBuild for $class {
            fn build(&self, _: &modulor::module::InputShapes) -> modulor::Result<()> {
                Ok(())
            }
        }

        impl $class {
            fn totals(&self) -> $crate::metric::total::Totals<'_> {
                use $crate::metric::total::{Total, Totals};
                Totals {
                    metric: self,
                    name: &self.name,
                    turn: &self.turn,
                    totals: vec![$(Total { saved: &self.$saved, exact: &self.$exact }),*],
                }
            }
        }
    )* };
}
pub(super) use counters;

/// [`Metric`](super::Metric) for those with arrays of sums: the shape of these where no batch tells, what a batch adds to
/// each, and the result of the sums, which are float64.
macro_rules! counted {
    ($(
        $class:ident |$metric:ident| {
            dims $dims:expr;
            update |$y_true:ident, $y_pred:ident, $weight:ident| $update:expr;
            result |$($sum:ident),*| $result:expr;
        }
    )*) => { $(
        impl $crate::metric::Metric for $class {
            fn name(&self) -> &str {
                &self.name
            }

            fn update_state(
                &self,
                y_true: &modulor::Tensor,
                y_pred: &modulor::Tensor,
                sample_weight: Option<&modulor::Tensor>,
            ) -> modulor::Result<()> {
                let $metric = self;
                let update = || {
                    let weight = $crate::metric::total::with_mask(sample_weight, y_pred.mask())?;
                    let ($y_true, $y_pred) = (&y_true.with_mask(None), &y_pred.with_mask(None));
                    let $weight = weight.as_ref().map(|weight| weight.with_mask(None));
                    let $weight = $weight.as_ref();
                    let more: Vec<modulor::Tensor> = $update;
                    $metric.totals().add(&more)
                };
                update().map_err(|error: modulor::Error| error.within(self.name.as_str()))
            }

            fn result(&self) -> modulor::Result<modulor::Tensor> {
                let $metric = self;
                let result = || {
                    let dims: Option<Vec<usize>> = $dims;
                    let sums = $metric.totals().read(dims.as_deref())?;
                    let [$($sum),*] = &sums[..] else { return Err(modulor::Error::internal("as many sums as names")) };
                    let result: modulor::Tensor = $result?;
                    result.cast(if $metric.dtype.is_float() { $metric.dtype } else { modulor::DType::F32 })
                };
                result().map_err(|error: modulor::Error| error.within(self.name.as_str()))
            }

            fn reset_state(&self) -> modulor::Result<()> {
                self.totals().reset()
            }
        }
    )* };
}
pub(super) use counted;

/// [`Default`] for metrics of which every setting has a default.
macro_rules! defaults {
    ($($class:ident)*) => { $(
        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }
    )* };
}
pub(super) use defaults;

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
        let dtype = dtype.filter(|dtype| dtype.is_float() || dtype.is_integer());
        dtype.ok_or_else(|| D::Error::custom(format!("a metric has a dtype of numbers, not {value}")))
    }
}
