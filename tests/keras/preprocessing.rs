//! Layers that make numbers of strings, of categories and of ranges.

use super::config::same;
use super::layer::config;
use super::*;
use modulor::graph::trace;
use modulor::keras::data::Dataset;
use modulor::keras::library::{
    CategoryEncoding, Dense, Discretization, Embedding, HashedCrossing, Hashing, IntegerLookup, MaskValue, NGrams,
    OovMethod, OutputMode, Sequential, Split, Standardize, StringLookup, TextVectorization, TokenOutput,
};
use modulor::layer::AnyLayer;
use modulor::module::{Config, Track, object};
use modulor::{Call, Error, FromConfig, Function, Layer, ModuleExt, Spec, Tree};
use serde_json::json;

/// The inputs of a row.
pub fn inputs(row: &Row) -> Vec<Tensor> {
    row.get::<Vec<Entry>>("inputs").iter().map(tensor).collect()
}

fn settings(row: &Row) -> Config {
    config(row)["config"].as_object().expect("settings").clone()
}

/// A layer that has learnt what the row says, and its vocabulary or boundaries as a config has them.
fn ready(row: &Row) -> modulor::Result<(Box<dyn Layer>, Option<Value>)> {
    let batches: Option<Vec<Entry>> = row.get("adapt");
    let batches: Vec<Tensor> = batches.iter().flatten().map(tensor).collect();
    macro_rules! learning {
        ($class:ident, |$layer:ident| $state:expr) => {{
            let $layer = $class::from_config(&settings(row))?;
            if !batches.is_empty() {
                $layer.adapt(&batches)?;
            }
            let state = serde_json::to_value($state).expect("plain data");
            Ok((Box::new($layer), Some(state)))
        }};
    }
    match row.class().as_str() {
        "StringLookup" => learning!(StringLookup, |layer| layer.get_vocabulary(true)?),
        "IntegerLookup" => learning!(IntegerLookup, |layer| layer.get_vocabulary(true)?),
        "TextVectorization" => learning!(TextVectorization, |layer| layer.get_vocabulary(true)?),
        "Discretization" => learning!(Discretization, |layer| layer.boundaries()),
        "Hashing" => Ok((Box::new(Hashing::from_config(&settings(row))?), None)),
        other => panic!("{other} is none of these"),
    }
}

#[test]
fn layers_that_prepare_data_make_what_kerass_do_of_it() {
    let mut learnt = 0;
    for row in rows("preprocessing") {
        let (x, about) = (inputs(row), &row.case);
        let expected = row.tensor("y").expect("an output");
        let fail = |error: Error| -> ! { panic!("{about}: {error}") };
        if row.class() == "HashedCrossing" {
            let layer = HashedCrossing::from_config(&settings(row)).unwrap_or_else(|e| fail(e));
            let y: Tensor = layer.call(&x).unwrap_or_else(|e| fail(e));
            assert_eq!(y.dtype(), expected.dtype(), "{about}");
            assert_near(&y, &expected, 0.0, about);
            continue;
        }
        let (layer, state) = ready(row).unwrap_or_else(|e| fail(e));
        let recorded = row.values.get("vocabulary").or(row.values.get("boundaries"));
        if let (Some(state), Some(recorded)) = (&state, recorded) {
            assert!(same(state, recorded), "{about}: {state} is not {recorded}");
        }
        let y: Tensor = layer.call(&x[0]).unwrap_or_else(|e| fail(e));
        assert_eq!(y.dtype(), expected.dtype(), "{about}");
        assert_near(&y, &expected, 2e-7, about);
        if row.values.contains_key("adapt") {
            // What was learnt is in the config, to the bit.
            let again = <Box<dyn Layer>>::from_field(Some(&modulor::module::object(layer.as_module()).expect("one")));
            let again = again.unwrap_or_else(|e| fail(e));
            assert_near(&again.call(&x[0]).unwrap_or_else(|e| fail(e)), &y, 0.0, about);
            let config = again.config().expect("one");
            assert_eq!(config, layer.config().expect("one"), "{about}");
            if let Some(size) = config.get("vocabulary_size") {
                assert_eq!(size.as_u64(), recorded.and_then(|all| Some(all.as_array()?.len() as u64)), "{about}");
            }
            learnt += 1;
        }
    }
    assert!(learnt > 20, "{learnt}");
}

fn words<const N: usize>(words: [&str; N]) -> Tensor {
    Tensor::strings([N], words).expect("as many")
}

#[test]
fn handles_and_copies_have_the_vocabulary_and_a_later_one_goes_to_handles_alone() {
    let layer = StringLookup::new();
    let shared = layer.share();
    layer.adapt([words(["a", "b", "a"])]).expect("strings");
    let copy = layer.copy().expect("a config");
    assert_eq!(shared.get_vocabulary(true).expect("learnt"), ["[UNK]", "a", "b"]);
    layer.set_vocabulary(["x"]).expect("a vocabulary");
    assert_eq!(shared.get_vocabulary(false).expect("set"), ["x"]);
    assert_eq!(copy.get_vocabulary(false).expect("copied"), ["a", "b"]);
    assert_eq!((shared.vocabulary_size().expect("one"), copy.vocabulary_size().expect("one")), (2, 3));
    assert_eq!(StringLookup::new().get_vocabulary(true).expect("special terms"), ["[UNK]"]);
}

#[test]
fn a_vocabulary_is_read_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("words.txt");
    std::fs::write(&path, "b\na\n[UNK]\n").expect("a file");
    let layer = StringLookup::new();
    layer.set_vocabulary_from_file(&path).expect("a file");
    let x = words(["a", "b", "c", "[UNK]"]);
    assert_eq!(layer.call(&x).and_then(|y| y.to_vec::<i64>()).expect("strings"), [2, 1, 0, 3]);
    // As Keras's archives have it, with special terms in front; ends of lines are of either kind.
    std::fs::write(&path, "\n[UNK]\n[UNK]\na\r\nc d").expect("a file");
    let told = StringLookup::new().mask_token("").num_oov_indices(2).vocabulary_file(&path).expect("a file");
    let x = words(["a", "c d", "", "b"]);
    let y = told.call(&x).and_then(|y| y.to_vec::<i64>()).expect("strings");
    assert_eq!((&y[..3], told.vocabulary_size().expect("read")), (&[3_i64, 4, 0][..], 5));
    assert_eq!(told.copy().and_then(|copy| copy.get_vocabulary(false)).expect("a config"), ["a", "c d"]);
    std::fs::write(&path, "\n[UNK]\nb\na\n").expect("a file");
    let text = TextVectorization::new().vocabulary_file(&path).expect("a file");
    assert_eq!(text.call(words(["a b x"])).and_then(|y| y.to_vec::<i64>()).expect("strings"), [3, 2, 1]);

    let refused = |bytes: &[u8], wanted: &str| {
        std::fs::write(&path, bytes).expect("a file");
        let error = StringLookup::new().vocabulary_file(&path).map(|_| ()).expect_err(wanted).to_string();
        assert!(error.contains(wanted) && error.contains("words.txt"), "{error}");
    };
    refused(b"", "the file is empty");
    refused(b"a\n\nb\n", "line 2 is empty");
    refused(b"a\nb\nc\nb\n", "line 4 is \"b\", as line 2 is");
    refused(b"a\nb\xff\n", "line 2 is not UTF-8");
    std::fs::write(&path, "7\nx\n").expect("a file");
    let error = IntegerLookup::new().set_vocabulary_from_file(&path).expect_err("x is none").to_string();
    assert!(error.contains("line 2 is no int64: \"x\"") && error.contains("words.txt"), "{error}");
    std::fs::write(&path, "7\n5\n").expect("a file");
    let numbers = IntegerLookup::new().vocabulary_file(&path).expect("numbers");
    let y = numbers.call(Tensor::from([5, 7, 6])).and_then(|y| y.to_vec::<i64>()).expect("integers");
    assert_eq!(y, [2, 1, 0]);
    let error = layer.set_vocabulary_from_file(folder.path().join("none")).expect_err("no file");
    assert_eq!(error.kind(), modulor::ErrorKind::NotFound, "{error}");
}

#[test]
fn categories_are_counted_by_their_weights() {
    for row in rows("count_weights") {
        let [x, weights, expected] = ["x", "weights", "y"].map(|name| row.tensor(name).expect("it is recorded"));
        let layer = CategoryEncoding::new(4).output_mode(OutputMode::Count);
        let Some(model) = row.get::<Option<Value>>("model") else {
            let y: Tensor = layer.with_count_weights().call((&x, &weights)).expect("as many");
            assert_near(&y, &expected, 1e-6, &row.case);
            continue;
        };
        let read = AnyLayer::from_object(&model).expect("a model");
        let written = object(read.module()).expect("a config");
        let given = |config: &Value| config["config"]["layers"][2]["inbound_nodes"][0]["kwargs"].clone();
        assert_eq!(given(&written), given(&model));
        for model in [read, AnyLayer::from_object(&written).expect("a model")] {
            let given = Tree::List(vec![Tree::Leaf(x.clone()), Tree::Leaf(weights.clone())]);
            let y = model.call(&given).expect("as many").leaves().remove(0);
            assert_near(&y, &expected, 1e-6, "a model");
        }
    }
    let layer = CategoryEncoding::new(4);
    let (x, weights) = (Tensor::from([1, 2]), Tensor::from([0.5_f32, 1.0]));
    let fault = |layer: &CategoryEncoding, weights: &Tensor| {
        let y: modulor::Result<Tensor> = layer.with_count_weights().call((&x, weights));
        y.expect_err("it does not fit").to_string()
    };
    assert!(fault(&layer, &weights).contains("`count_weights` are for the `output_mode` count, found MultiHot"));
    let short = fault(&layer.output_mode(OutputMode::Count), &Tensor::from([0.5_f32]));
    assert!(short.contains("a weight for each of the categories of (2,), found (1,)"), "{short}");
}

#[test]
fn models_pipelines_and_compiled_functions_hold_such_layers() {
    let text = TextVectorization::new().output_sequence_length(3).vocabulary(["a", "b"]);
    let model = Sequential::new().add(text.share()).add(Embedding::new(4, 2)).add(Dense::new(1));
    let texts = words(["a b", "", "b c a d"]);
    let y: Tensor = model.call(&texts).expect("texts");
    assert_eq!(y.dims().expect("a value"), [3, 3, 1]);
    let graph = trace(|x| Ok(vec![model.call(&x[0])?]), &[Spec::new(DType::String, [None])]).expect("a trace");
    assert_near(&graph.run(&[&texts]).expect("texts")[0], &y, 1e-6, "a trace of a model");
    let own = text.share();
    let function = Function::new(move |x: &Tensor| own.call(x));
    for _ in 0..2 {
        let y: Tensor = function.call(&texts).expect("texts");
        assert_eq!(y.to_vec::<i64>().expect("indices"), [2, 3, 0, 0, 0, 0, 3, 1, 2]);
    }
    let own = text.share();
    let batches = Dataset::from_tensor_slices(texts).expect("rows").batch(2).map(move |x| own.call(&x)).threads(2);
    let found = batches.iter().map(|y| y?.to_vec::<i64>()).collect::<modulor::Result<Vec<_>>>().expect("indices");
    assert_eq!(found, [vec![2, 3, 0, 0, 0, 0], vec![3, 1, 2]]);
}

#[test]
fn a_functional_model_looks_terms_up() {
    use modulor::keras::model::{Input, Model};
    let x = Input::with_shape([1]).dtype(DType::String).build();
    let lookup = StringLookup::new().vocabulary(["a", "b"]).output_mode(TokenOutput::OneHot);
    let y: Tensor = lookup.call(&x).expect("a symbol");
    let model = Model::new(&x, &y).expect("a model");
    let found: Tensor = model.call(words(["b", "z"]).reshape([2, 1]).expect("a column")).expect("strings");
    assert_eq!(found.to_vec::<i64>().expect("vectors"), [0, 0, 1, 1, 0, 0]);
}

#[test]
fn what_these_layers_cannot_do_they_say() {
    let (x, ints, negative) = (words(["a", "b"]), Tensor::from([[0, 1]]), Tensor::from([[0, -1]]));
    let lookup = || StringLookup::new().vocabulary(["a", "b"]);
    let text = || TextVectorization::new().vocabulary(["a"]);
    let with = |key: &str| {
        let mut config = lookup().config().expect("one");
        config.insert(key.to_owned(), json!(true));
        StringLookup::from_config(&config).expect("a config")
    };
    let mut ragged = text().config().expect("one");
    ragged.insert("ragged".to_owned(), json!(true));
    let ragged = TextVectorization::from_config(&ragged).expect("a config");
    let refused: Vec<(Box<dyn Layer>, &Tensor, &str)> = vec![
        (Box::new(with("sparse")), &x, "there are no sparse tensors"),
        (Box::new(ragged), &x, "there are no ragged tensors"),
        (Box::new(StringLookup::new()), &x, "there is no vocabulary yet"),
        (Box::new(lookup().max_tokens(1)), &x, "`max_tokens` must be greater than 1, found 1"),
        (Box::new(lookup().max_tokens(2)), &x, "`max_tokens` is 2, and the vocabulary has 3"),
        (Box::new(lookup().pad_to_max_tokens(true)), &x, "there must be `max_tokens`"),
        (Box::new(lookup().invert(true).output_mode(TokenOutput::Count)), &x, "must be int, found Count"),
        (Box::new(lookup().output_mode(TokenOutput::TfIdf)), &x, "there must be `idf_weights`"),
        (Box::new(lookup().idf_weights([1.0, 2.0])), &x, "`idf_weights` are for the `output_mode` tf_idf, found Int"),
        (
            Box::new(lookup().output_mode(TokenOutput::TfIdf).idf_weights([1.0])),
            &x,
            "a weight for each of the 2 terms, found 1",
        ),
        (Box::new(lookup().vocabulary(["a", "a"])), &x, "found \"a\" again"),
        (Box::new(lookup().vocabulary([""; 0])), &x, "must have a term, found none"),
        (Box::new(lookup().mask_token("b")), &x, "\"b\" is a special term"),
        (Box::new(lookup().oov_token("b").invert(true)), &ints, "\"b\" is a special term"),
        (Box::new(lookup()), &ints, "the input must be of string, found int32"),
        (Box::new(IntegerLookup::new().vocabulary([1])), &x, "the input must be of int64, found string"),
        (Box::new(IntegerLookup::new().vocabulary([1]).salt(3)), &ints, "a `salt` is for the `oov_method` farmhash"),
        (Box::new(lookup().num_oov_indices(0).vocabulary(["a"])), &x, "which lacks"),
        (Box::new(text().output_mode(TokenOutput::Count).output_sequence_length(3)), &x, "`output_sequence_length` is"),
        (Box::new(text()), &ints, "the input must be strings, found int32"),
        (Box::new(text().ngrams(NGrams::Of(vec![0]))), &x, "`ngrams` must be at least 1, found Some(Of([0]))"),
        (Box::new(text().split(|x: &Tensor| Ok(x.clone()))), &x, "`split` must give a matrix"),
        (Box::new(Hashing::new(0)), &x, "`num_bins` must be at least 1, found 0"),
        (Box::new(Hashing::new(2).dtype("float32")), &x, "and `dtype` is float32"),
        (Box::new(Hashing::new(3).mask_value(MaskValue::Int(3))), &x, "`mask_value` is no value of string"),
        (Box::new(Discretization::new()), &ints, "found neither"),
        (Box::new(Discretization::new().num_bins(3)), &ints, "there are no boundaries yet"),
        (Box::new(Discretization::new().bin_boundaries([2.0, 1.0])), &ints, "that do not fall"),
        (Box::new(Discretization::new().bin_boundaries([2.0])), &x, "found string"),
        (Box::new(CategoryEncoding::new(3)), &negative, "must not be negative, found -1"),
        (
            Box::new(CategoryEncoding::new(3).output_mode(OutputMode::Count)),
            &negative,
            "must not be negative, found -1",
        ),
    ];
    for (layer, x, words) in refused {
        let error = layer.call(x).map(|y: Tensor| format!("{y:?}")).expect_err(words).to_string();
        assert!(error.contains(words), "{error}\nhas not: {words}");
    }
    let crossing = HashedCrossing::new(5);
    for (inputs, words) in [
        (vec![x.clone()], "at least two features are crossed, found 1"),
        (vec![ints.clone(), ints.clone()], "found (1, 2)"),
        (vec![x.clone(), Tensor::from([1])], "must have one shape"),
        (vec![x.clone(), Tensor::from([1.0_f32, 2.0])], "integers or strings, found float32"),
    ] {
        let error = crossing.call(&inputs).map(|y: Tensor| format!("{y:?}")).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    for (error, words) in [
        (lookup().adapt([&x]), "is told by `vocabulary`, and not learnt"),
        (StringLookup::new().adapt([&ints]), "a batch must be of string, found int32"),
        (Discretization::new().bin_boundaries([1.0]).adapt([&ints]), "told by `bin_boundaries`"),
        (Discretization::new().num_bins(3).epsilon(0.0).adapt([&ints]), "`epsilon` must be between 0 and 1, found 0"),
        (Discretization::new().num_bins(3).adapt([Tensor::from([0.0_f32; 0])]), "at least one number"),
        (lookup().output_mode(TokenOutput::Count).set_vocabulary(["z"]), "vectors have 3 places"),
    ] {
        let error = error.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let closure = text().standardize(|x: &Tensor| x.string_upper("")).config().expect_err("a closure").to_string();
    assert!(closure.contains("`standardize` is a closure, which no config has"), "{closure}");
}

#[test]
fn closures_may_be_steps_of_a_text() {
    let pairs = |x: &Tensor| Tensor::stack(&[x.clone(), x.string_upper("")?], 1);
    let layer = TextVectorization::new()
        .standardize(Standardize::None)
        .split(Split::from(pairs))
        .ngrams(NGrams::from([2]))
        .vocabulary(["a A", "b B"]);
    let y: Tensor = layer.call(words(["b", "a", "c"])).expect("texts");
    assert_eq!(y.to_vec::<i64>().expect("indices"), [3, 2, 1]);
    assert_eq!(y.dims().expect("a value"), [3, 1]);
}

#[test]
fn a_graph_refuses_what_a_vocabulary_without_an_index_for_the_rest_lacks() {
    let layer = IntegerLookup::new().vocabulary([5, 7]).num_oov_indices(0).oov_method(OovMethod::Floormod);
    let graph = trace(|x| Ok(vec![layer.call(&x[0])?]), &[Spec::new(DType::I64, [None])]).expect("a trace");
    let found = graph.run(&[&Tensor::from([7_i64, 5])]).expect("both are there");
    assert_eq!(found[0].to_vec::<i64>().expect("indices"), [1, 0]);
    assert!(graph.run(&[&Tensor::from([7_i64, 6])]).is_err());
}
