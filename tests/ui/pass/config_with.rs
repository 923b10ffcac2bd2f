//! `#[config(with = PATH)]`: the functions at `PATH` write and read the setting.

use modulor::module::FromConfig;
use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config(with = as_number)]
    text: Text,
}

#[derive(Clone)]
struct Text(String);

mod as_number {
    use super::Text;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(text.0.len() as u64)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        usize::deserialize(deserializer).map(|length| Text("a".repeat(length)))
    }
}

#[test]
fn the_functions_write_and_read() {
    let config = A::new(Text("abc".to_owned())).config().expect("plain data");
    assert_eq!(config["text"], 3);
    assert_eq!(A::from_config(&config).expect("its own config").text.0, "aaa");
}
