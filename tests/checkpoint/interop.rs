//! The checkpoints under `tests/interop/fixtures`, with what TensorFlow says is in them.

use modulor::prelude::*;
use modulor_wire::crc;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One fixture.
pub struct Interop {
    pub folder: PathBuf,
    /// Of its checkpoint.
    pub prefix: PathBuf,
    expected: Value,
}

impl Interop {
    pub fn open(name: &str) -> Interop {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/fixtures").join(name);
        let expected = std::fs::read(folder.join("expected.json")).expect("it is committed");
        let expected: Value = serde_json::from_slice(&expected).expect("it is JSON");
        Interop { prefix: folder.join("ckpt/model"), folder, expected }
    }

    fn tensors(&self) -> &[Value] {
        self.expected["checkpoint"]["tensors"].as_array().expect("a list")
    }

    /// The keys of the variables, sorted.
    pub fn keys(&self) -> Vec<&str> {
        let keys = self.tensors().iter().map(|tensor| tensor["key"].as_str().expect("a string"));
        let mut keys: Vec<&str> = keys.filter(|key| *key != "_CHECKPOINTABLE_OBJECT_GRAPH").collect();
        keys.sort_unstable();
        keys
    }

    /// Holds a variable against the value of the variable at a path.
    pub fn check(&self, path: &str, variable: &Variable) {
        self.check_key(&format!("{path}/.ATTRIBUTES/VARIABLE_VALUE"), variable);
    }

    /// Holds a variable against the value under a key.
    pub fn check_key(&self, key: &str, variable: &Variable) {
        let tensor = self.tensors().iter().find(|tensor| tensor["key"] == key);
        let tensor = tensor.unwrap_or_else(|| panic!("there is no {key}"));
        let value = variable.value().expect("it has a value");
        assert_eq!(tensor["dtype"], value.dtype().name(), "{key}");
        assert_eq!(tensor["shape"], json!(value.dims().expect("known")), "{key}");
        if value.dtype() == DType::String {
            let texts: Vec<Value> =
                value.to_strings().expect("strings").iter().map(|text| json!(base64(text))).collect();
            assert_eq!(json!(texts), tensor["data_b64"], "{key}");
        } else if let Some(crc) = tensor["crc32c_masked"].as_u64() {
            let found = crc::mask(crc::crc32c(&value.to_bytes().expect("plain bytes")));
            assert_eq!(u64::from(found), crc, "{key}: {value}");
        } else {
            let wanted = tensor["data"].as_array().expect("numbers");
            let wanted: Vec<f32> = wanted.iter().map(|x| x.as_f64().expect("a number") as f32).collect();
            assert!(value.to_vec::<f32>().expect("floats") == wanted, "{key}: {value}");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
