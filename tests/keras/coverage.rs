//! That golden rows give each argument of Keras's classes every value that changes a result: both of a bool, all of words, and
//! of all else the default and another; that they have masks for layers that know of them, and training and not where it
//! matters.

use super::arguments::{self, Row as Class};
use super::*;
use std::collections::BTreeMap;

/// Arguments that are one of some words, of a class or of all.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("", "average", &["null", "micro", "macro", "weighted"]),
    ("", "class_aggregation", &["null", "uniform_average", "variance_weighted_average"]),
    ("", "curve", &["ROC", "PR", "PRGAIN"]),
    ("", "data_format", &["channels_last", "channels_first"]),
    ("", "distribution", &["truncated_normal", "untruncated_normal", "uniform"]),
    ("", "fill_mode", &["reflect", "wrap", "constant", "nearest"]),
    ("Resizing", "fill_mode", &["constant"]),
    ("", "interpolation", &["nearest", "bilinear"]),
    ("Resizing", "interpolation", &["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]),
    ("UpSampling2D", "interpolation", &["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]),
    ("", "merge_mode", &["concat", "sum", "mul", "ave", "null"]),
    ("OrthogonalRegularizer", "mode", &["rows", "columns"]),
    ("RandomFlip", "mode", &["horizontal_and_vertical", "horizontal", "vertical"]),
    ("STFTSpectrogram", "mode", &["log", "magnitude", "psd", "real", "imag", "angle", "stft"]),
    ("VarianceScaling", "mode", &["fan_in", "fan_out", "fan_avg"]),
    ("", "oov_method", &["floormod", "farmhash"]),
    ("CategoryEncoding", "output_mode", &["multi_hot", "one_hot", "count"]),
    ("Discretization", "output_mode", &["int", "one_hot", "multi_hot", "count"]),
    ("HashedCrossing", "output_mode", &["int", "one_hot"]),
    ("Hashing", "output_mode", &["int", "one_hot", "multi_hot", "count"]),
    ("", "output_mode", &["int", "one_hot", "multi_hot", "count", "tf_idf"]),
    ("Conv1D", "padding", &["valid", "same", "causal"]),
    ("", "padding", &["valid", "same"]),
    ("", "reduction", &["sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight"]),
    ("", "scaling", &["density", "spectrum", "null"]),
    ("", "score_mode", &["dot", "concat"]),
    ("", "side", &["real", "imag"]),
    ("", "split", &["whitespace", "character", "null"]),
    ("", "standardize", &["lower_and_strip_punctuation", "lower", "strip_punctuation", "null"]),
    ("", "summation_method", &["interpolation", "minoring", "majoring"]),
    ("", "vocabulary_dtype", &["int64"]),
    ("MelSpectrogram", "window", &["hann", "hamming", "null"]),
];

/// Arguments that may be any word, or one of the names of another kind.
const ANY_WORD: &[&str] =
    &["activation", "bias_axes", "equation", "oov_token", "recurrent_activation", "reverse_dtype"];

/// What no row has, of a class or of all, and why.
const EXCUSES: &[(&str, &str, &str)] = &[
    ("", "flash_attention", "it tells Keras which kernel to take on a GPU"),
    ("", "quantization_config", "there are no weights of eight bits"),
    ("", "sparse", "there are no sparse tensors"),
    ("", "use_cudnn", "it tells Keras which kernel to take on a GPU"),
    ("Bidirectional", "weights", "a layer that is built is given its weights"),
    ("EinsumDense", "gptq_unpacked_column_size", "there are no weights of four bits"),
    ("Embedding", "weights", "a row of another kind has a table that is given"),
    ("Identity", "gain", "it is in no config of Keras's; rows have it beside"),
    ("InputLayer", "batch_shape", "it computes nothing"),
    ("InputLayer", "batch_size", "it computes nothing"),
    ("InputLayer", "input_tensor", "it computes nothing"),
    ("InputLayer", "optional", "it computes nothing"),
    ("InputLayer", "ragged", "it computes nothing"),
    ("InputLayer", "shape", "it computes nothing"),
    ("MaxNumBoundingBoxes", "fill_value", "it is in no config of Keras's; rows of boxes have it beside"),
    ("RandomCrop", "seed", "where it is not told, Keras draws one when the layer is made"),
    ("RandomGrayscale", "seed", "it is in no config of Keras's; rows have it beside"),
    ("STFT", "periodic", "it is about windows by name, which are SciPy's"),
    ("SimpleRNN", "activity_regularizer", "Keras's forgets it"),
    ("SimpleRNN", "seed", "it is in no config of Keras's; rows have it beside"),
    ("SparseCategoricalCrossentropy", "axis", "it must be the last"),
    ("StringLookup", "encoding", "TensorFlow's strings are UTF-8"),
    ("TextVectorization", "encoding", "TensorFlow's strings are UTF-8"),
    ("TextVectorization", "ragged", "there are no ragged tensors"),
];

/// A value, whatever numbers are written like: 2 is 2.0, and a name says nothing.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::Array(parts) => parts.iter().map(plain).collect(),
        Value::Object(parts) => {
            let parts = parts.iter().filter(|(key, _)| !["name", "registered_name", "build_config"].contains(&&***key));
            Value::Object(parts.map(|(key, part)| (key.clone(), plain(part))).collect())
        }
        _ => value.clone(),
    }
}

/// What rows have of a class.
#[derive(Default)]
struct Seen {
    /// The values of each argument, as they are written; those that some config leaves out.
    values: BTreeMap<String, BTreeSet<String>>,
    configs: Vec<BTreeSet<String>>,
}

impl Seen {
    fn has(&self, argument: &str, value: &Value) -> bool {
        self.values.get(argument).is_some_and(|values| values.contains(&plain(value).to_string()))
    }

    /// Whether some row has the default: its config says so, or nothing.
    fn has_default(&self, argument: &str, default: &Value) -> bool {
        self.has(argument, default) || self.configs.iter().any(|keys| !keys.contains(argument))
    }

    /// Whether some row has another value.
    fn has_other(&self, argument: &str, default: &Value) -> bool {
        let default = plain(default).to_string();
        self.values.get(argument).is_some_and(|values| values.iter().any(|value| *value != default))
    }
}

/// Calls back with every object of Keras's in a config: its module, its class and its settings.
fn each_object<'a>(value: &'a Value, found: &mut dyn FnMut(&'a str, &'a str, &'a Map<String, Value>)) {
    if let (Some(module), Some(class), Some(config)) =
        (value["module"].as_str(), value["class_name"].as_str(), value["config"].as_object())
    {
        found(module, class, config);
    }
    match value {
        Value::Object(parts) => parts.values().for_each(|part| each_object(part, found)),
        Value::Array(parts) => parts.iter().for_each(|part| each_object(part, found)),
        _ => {}
    }
}

/// What rows have of all classes, by kind and name.
fn seen() -> BTreeMap<(String, String), Seen> {
    let mut seen: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for config in KERAS.cases.iter().filter_map(|row| row.values.get("config")) {
        each_object(config, &mut |module, class, config| {
            let kind = module.rsplit('.').next().expect("at least one part");
            let seen = seen.entry((kind.to_owned(), class.to_owned())).or_default();
            for (argument, value) in config {
                seen.values.entry(argument.clone()).or_default().insert(plain(value).to_string());
            }
            seen.configs.push(config.keys().cloned().collect());
        });
    }
    seen
}

/// What is missing of an argument, in words.
fn lack(class: &str, argument: &str, default: Option<&Value>, seen: &Seen) -> Option<String> {
    let of = |wanted: &str| WORDS.iter().find(|(of, name, _)| *of == wanted && *name == argument);
    if let Some((_, _, words)) = of(class).or_else(|| of("").filter(|_| default.is_some_and(is_word))) {
        let has = |word: &str| match (word, default) {
            ("null", _) => seen.has(argument, &Value::Null),
            (word, Some(default)) if default == word => seen.has_default(argument, default),
            (word, _) => seen.has(argument, &word.into()),
        };
        let missing: Vec<_> = words.iter().filter(|word| !has(word)).collect();
        return (!missing.is_empty()).then(|| format!("none of {missing:?}"));
    }
    if default.is_some_and(Value::is_string) && !ANY_WORD.contains(&argument) {
        return Some("it is a word, and `WORDS` says not which".to_owned());
    }
    match default {
        None => (seen.values.get(argument).map_or(0, BTreeSet::len) < 2).then(|| "less than two values".to_owned()),
        Some(Value::Null) if argument == "seed" => {
            (!seen.has_other(argument, &Value::Null)).then(|| "no seed".to_owned())
        }
        Some(default) if !seen.has_default(argument, default) => Some(format!("not the default {default}")),
        Some(default) => (!seen.has_other(argument, default)).then(|| format!("nothing but {default}")),
    }
}

/// Whether a default is a word, or none.
fn is_word(default: &Value) -> bool {
    default.is_string() || default.is_null()
}

/// How rows call the layers of a class.
#[derive(Default)]
struct Calls {
    /// Whether one has a mask.
    masked: bool,
    /// Whether they train.
    ways: BTreeSet<bool>,
}

/// How rows call the layers of all classes, also those that are in others.
fn calls() -> BTreeMap<&'static str, Calls> {
    let training = ["noise", "dropout", "augmentation", "distortion", "recurrent dropout", "attention dropout"];
    let mut calls: BTreeMap<&str, Calls> = BTreeMap::new();
    for row in &KERAS.cases {
        let of = if row.kind == "masked" { like(row) } else { row };
        let some = |key: &str| match row.values.get(key) {
            Some(Value::Array(masks)) => masks.iter().any(|mask| !mask.is_null()),
            Some(mask) => !mask.is_null(),
            None => false,
        };
        let masked = some("mask") || some("masks") || row.kind == "masking";
        // Rows of layers that normalize have both.
        let ways = match row.values.get("training").and_then(Value::as_bool) {
            Some(way) => vec![way],
            None if row.kind.ends_with("normalization") => vec![false, true],
            None => vec![training.contains(&&*row.kind)],
        };
        let Some(config) = of.values.get("config") else { continue };
        each_object(config, &mut |module, class, _| {
            if module == "keras.layers" {
                let calls = calls.entry(class).or_default();
                calls.masked |= masked;
                calls.ways.extend(&ways);
            }
        });
    }
    calls
}

/// What is missing of a layer's calls, in words.
fn lacks_of_calls(class: &Class, calls: Option<&Calls>) -> Vec<(&'static str, String)> {
    let mut lacks = Vec::new();
    if class.masks && !calls.is_some_and(|calls| calls.masked) {
        lacks.push(("a mask", "no row has one".to_owned()));
    }
    if class.call.iter().any(|argument| argument == "training") && calls.is_none_or(|calls| calls.ways.len() < 2) {
        lacks.push(("training", "not with and without".to_owned()));
    }
    lacks
}

#[test]
fn rows_have_every_value_that_changes_a_result() {
    let (seen, none, calls) = (seen(), Seen::default(), calls());
    let (mut lacks, mut count) = (Vec::new(), 0);
    for class in &arguments::rows() {
        let of = seen.get(&(class.kind.clone(), class.class.clone())).unwrap_or(&none);
        let given = class.given.iter().map(|(name, _)| (name, None));
        let known = class.said.iter().chain(&class.unsaid).map(|(name, default)| (name, Some(default)));
        for (name, default) in given.chain(known.filter(|(name, _)| !class.given.contains_key(*name))) {
            if ["name", "dtype", "trainable"].contains(&&**name) {
                continue;
            }
            count += 1;
            lacks.extend(lack(&class.class, name, default, of).map(|lack| (class.class.clone(), name.clone(), lack)));
        }
        let of_calls = lacks_of_calls(class, calls.get(&*class.class)).into_iter();
        lacks.extend(of_calls.map(|(name, lack)| (class.class.clone(), name.to_owned(), lack)));
    }
    let excuses = |(of, what, _): &(&str, &str, &str), (class, name, _): &(String, String, String)| {
        (of.is_empty() || of == class) && what == name
    };
    let lines = lacks.iter().filter(|lack| !EXCUSES.iter().any(|excuse| excuses(excuse, lack)));
    let lines: Vec<String> = lines.map(|(class, name, lack)| format!("{class}, {name}: {lack}")).collect();
    assert!(lines.is_empty(), "{} are missing:\n{}", lines.len(), lines.join("\n"));
    for excuse in EXCUSES {
        assert!(lacks.iter().any(|lack| excuses(excuse, lack)), "{excuse:?} is not needed");
    }
    let has = |(of, name, _): &&(&str, &str, &[&str])| {
        seen.iter().any(|((_, class), seen)| (of.is_empty() || of == class) && seen.values.contains_key(*name))
    };
    assert!(WORDS.iter().all(|words| has(&words)), "{:?}", WORDS.iter().find(|words| !has(words)));
    assert!(count > 1000, "{count} arguments");
}
