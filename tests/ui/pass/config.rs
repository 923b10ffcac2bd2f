use modulor::prelude::*;

/// A setting of each kind.
#[derive(Module)]
pub struct A {
    #[config]
    pub units: usize,
    #[config(default)]
    label: Option<String>,
    #[config(default = 0.5)]
    rate: f64,
    #[config(with = as_text)]
    text: Text,
    #[config(default = Text(1), with = as_text)]
    other: Text,
}

#[derive(Clone)]
pub struct Text(u32);

mod as_text {
    use super::Text;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(text.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        u32::deserialize(deserializer).map(Text)
    }
}

fn main() {
    let a = A::new(3, Text(4)).label(None).rate(0.1).other(Text(5));
    assert_eq!(a.units, 3);
}
