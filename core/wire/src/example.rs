//! An example: the features of one sample by name, as records of data sets hold them.

use std::collections::BTreeMap;

use prost::Message;

use crate::{Error, Result};

/// `tensorflow.Example`.
///
/// ```
/// use modulor_wire::example::{Example, Values};
/// let bytes = Example::from_iter([("x".to_owned(), Values::Ints(vec![1, -2]))]).to_bytes();
/// let mut example = Example::parse(&bytes)?;
/// assert_eq!(example.take("x"), Some(Values::Ints(vec![1, -2])));
/// assert_eq!(example.take("y"), None);
/// # Ok::<(), modulor_wire::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    features: BTreeMap<String, Values>,
}

/// The values of a feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of no kind, and so none.
    Nothing,
    /// Strings of bytes.
    Bytes(Vec<Vec<u8>>),
    /// Of 32 bits.
    Floats(Vec<f32>),
    /// Of 64 bits.
    Ints(Vec<i64>),
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Strings of bytes.
    Bytes,
    /// Of 32 bits.
    Floats,
    /// Of 64 bits.
    Ints,
}

impl Values {
    /// What they are, if anything.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Values::Nothing => None,
            Values::Bytes(_) => Some(Kind::Bytes),
            Values::Floats(_) => Some(Kind::Floats),
            Values::Ints(_) => Some(Kind::Ints),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::Nothing => 0,
            Values::Bytes(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Ints(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Example {
    /// Reads the message.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let message = ExampleProto::decode(bytes).map_err(|error| Error::new(error.to_string()))?;
        let features = message.features.unwrap_or_default().feature;
        let values = |feature: FeatureProto| match feature.kind {
            None => Values::Nothing,
            Some(KindProto::Bytes(list)) => Values::Bytes(list.value),
            Some(KindProto::Floats(list)) => Values::Floats(list.value),
            Some(KindProto::Ints(list)) => Values::Ints(list.value),
        };
        Ok(features.into_iter().map(|(name, feature)| (name, values(feature))).collect())
    }

    /// The message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let feature = |values: &Values| FeatureProto {
            kind: match values.clone() {
                Values::Nothing => None,
                Values::Bytes(value) => Some(KindProto::Bytes(BytesList { value })),
                Values::Floats(value) => Some(KindProto::Floats(FloatList { value })),
                Values::Ints(value) => Some(KindProto::Ints(Int64List { value })),
            },
        };
        let feature = self.features.iter().map(|(name, values)| (name.clone(), feature(values))).collect();
        ExampleProto { features: Some(FeaturesProto { feature }) }.encode_to_vec()
    }

    /// Takes a feature out, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Values> {
        self.features.remove(name)
    }
}

impl FromIterator<(String, Values)> for Example {
    fn from_iter<I: IntoIterator<Item = (String, Values)>>(features: I) -> Self {
        Self { features: features.into_iter().collect() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ExampleProto {
    #[prost(message, optional, tag = "1")]
    features: Option<FeaturesProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FeaturesProto {
    #[prost(btree_map = "string, message", tag = "1")]
    feature: BTreeMap<String, FeatureProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FeatureProto {
    #[prost(oneof = "KindProto", tags = "1, 2, 3")]
    kind: Option<KindProto>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum KindProto {
    #[prost(message, tag = "1")]
    Bytes(BytesList),
    #[prost(message, tag = "2")]
    Floats(FloatList),
    #[prost(message, tag = "3")]
    Ints(Int64List),
}

#[derive(Clone, PartialEq, Message)]
struct BytesList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    value: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct FloatList {
    #[prost(float, repeated, tag = "1")]
    value: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct Int64List {
    #[prost(int64, repeated, tag = "1")]
    value: Vec<i64>,
}
