//! What lies beyond the edges of an image, in configs.

use modulor::FillMode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A [`FillMode`] by the name that Keras has for it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FillMode", rename_all = "lowercase")]
enum Named {
    Constant,
    Reflect,
    Wrap,
    Nearest,
}

pub(super) fn serialize<S: Serializer>(mode: &FillMode, serializer: S) -> Result<S::Ok, S::Error> {
    Named::serialize(mode, serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FillMode, D::Error> {
    Named::deserialize(deserializer)
}
