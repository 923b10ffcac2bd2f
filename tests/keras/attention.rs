//! Layers of attention, embeddings and einsums beside what layers have in common.

use super::config::same;
use super::layer::{config, essential, give};
use super::*;
use modulor::checkpoint::Checkpoint;
use modulor::graph::trace;
use modulor::keras::library::{
    AdditiveAttention, Attention, AttentionInputs, EinsumDense, Embedding, GroupQueryAttention, MultiHeadAttention,
    ReversibleEmbedding, ScoreMode,
};
use modulor::module::{Track, object};
use modulor::tape::Source;
use modulor::{Call, Error, Feed, Layer, ModuleExt, Spec, Structure, collecting_losses, scope};

fn all(tensors: Vec<Entry>) -> Vec<Tensor> {
    tensors.iter().map(tensor).collect()
}

/// The results of a layer of a row that takes the inputs as `In`, with its weights and what they cost.
type Called = (Vec<Tensor>, Vec<Variable>, Vec<Tensor>);

/// Calls the layer of a row as the row says.
fn called<L, In>(layer: &L, row: &Row, x: &In) -> Result<Called>
where
    L: Layer<In> + Attentive<In>,
    In: Structure,
    for<'a> &'a In: Feed<In>,
{
    let _: Tensor = layer.call(x)?;
    let weights = give(layer.as_module(), row);
    let (causal, scores) = (row.get("causal"), row.get("scores"));
    let (results, mut losses) = collecting_losses(|| layer.results(x, causal, scores));
    losses.extend(layer.regularization_losses()?);
    assert_eq!(layer.count_params(), row.get::<usize>("parameters"), "{}", row.case);
    let (mut found, mut expected) = (object(layer.as_module())?, config(row));
    [&mut found, &mut expected].into_iter().for_each(essential);
    assert!(same(&found, &expected), "{found}\nis not\n{expected}");
    Ok((results?, weights, losses))
}

/// A layer of attention in all ways that it may be called.
trait Attentive<In> {
    fn results(&self, x: &In, causal: bool, scores: bool) -> Result<Vec<Tensor>>;
}

macro_rules! attentive {
    ($($layer:ty: $inputs:ty;)*) => { $(
        impl Attentive<$inputs> for $layer {
            fn results(&self, x: &$inputs, causal: bool, scores: bool) -> Result<Vec<Tensor>> {
                let both = |(y, weights): (Tensor, Tensor)| vec![y, weights];
                match (causal, scores) {
                    (false, false) => Ok(vec![self.call(x)?]),
                    (true, false) => Ok(vec![self.causal().call(x)?]),
                    (false, true) => self.with_scores().call(x).map(both),
                    (true, true) => self.causal().with_scores().call(x).map(both),
                }
            }
        }
    )* };
}

attentive! {
    Attention: Vec<Tensor>;
    AdditiveAttention: Vec<Tensor>;
    MultiHeadAttention: AttentionInputs;
    GroupQueryAttention: AttentionInputs;
}

/// The inputs of a row as layers of several heads take them.
pub fn named(x: &[Tensor], mask: Option<&Tensor>) -> AttentionInputs {
    let mut inputs = AttentionInputs::new(&x[0], &x[1]);
    if let Some(key) = x.get(2) {
        inputs = inputs.key(key);
    }
    mask.map_or(inputs.clone(), |mask| inputs.attention_mask(mask))
}

/// The inputs of a row, with their masks, and the mask of the call.
pub fn inputs(row: &Row) -> (Vec<Tensor>, Option<Tensor>) {
    let masks: Vec<Option<Entry>> = row.get("masks");
    let masked = |(x, mask): (Tensor, Option<Entry>)| x.with_mask(mask.map(|mask| tensor(&mask)));
    let x = all(row.get("inputs")).into_iter().zip(masks).map(masked);
    (x.collect(), row.tensor("attention_mask"))
}

fn layer<L: Track>(row: &Row) -> L {
    L::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case))
}

fn call(row: &Row, x: &[Tensor]) -> Result<Called> {
    let mask = row.tensor("attention_mask");
    match row.class().as_str() {
        "Attention" => called(&layer::<Attention>(row), row, &x.to_vec()),
        "AdditiveAttention" => called(&layer::<AdditiveAttention>(row), row, &x.to_vec()),
        "MultiHeadAttention" => called(&layer::<MultiHeadAttention>(row), row, &named(x, mask.as_ref())),
        _ => called(&layer::<GroupQueryAttention>(row), row, &named(x, mask.as_ref())),
    }
}

#[test]
fn attention_is_kerass() {
    let (mut count, mut exact) = (0, 0);
    for row in rows("attention") {
        let (x, _) = inputs(row);
        let tape = GradientTape::new();
        x.iter().for_each(|x| tape.watch(x));
        let computed = tape.record(|| call(row, &x));
        let (found, weights, losses) = computed.unwrap_or_else(|e: Error| panic!("{}: {e}", row.case));
        let masks = [found[0].mask().cloned(), row.tensor("output_mask")].map(|mask| mask.as_ref().map(to_f64));
        assert_eq!(masks[0], masks[1], "{}", row.case);
        assert_near(&found[0], &row.tensor("y").expect("an output"), 4e-6, &row.case);
        count += 1;
        let Some(references) = row.get::<Option<Vec<Entry>>>("references").map(all) else { continue };
        assert_eq!(found.len(), references.len(), "{}", row.case);
        found.iter().zip(&references).for_each(|(y, expected)| assert_near(y, expected, 4e-6, &row.case));
        let sum = |losses: &[Tensor]| losses.iter().flat_map(to_f64).sum::<f64>();
        let expected = sum(&all(row.get("losses")));
        assert!((sum(&losses) - expected).abs() < 4e-6 * expected.max(1.0), "{}", row.case);
        let dys = all(row.get("dys")).into_iter().map(|dy| Some(dy.cast(DType::F32).expect("floats")));
        let targets: Vec<_> = found.into_iter().zip(dys).chain(losses.into_iter().map(|loss| (loss, None))).collect();
        let weights = weights.iter().filter(|weight| weight.trainable()).map(|weight| weight as &dyn Source);
        let sources = x.iter().map(|x| x as &dyn Source).chain(weights);
        let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero).expect("gradients");
        let expected: Vec<Option<Entry>> = row.get("grads");
        assert_eq!(gradients.len(), expected.len(), "{}", row.case);
        for (i, (found, expected)) in gradients.iter().zip(expected).enumerate() {
            let found = found.as_ref().expect("zeros at least");
            let about = format!("gradient {i} of {}", row.case);
            match expected {
                Some(expected) => assert_near(found, &tensor(&expected), 4e-5, &about),
                None => assert!(to_f64(found).iter().all(|&x| x == 0.0), "{about}"),
            }
        }
        exact += 1;
    }
    assert!(count > 110 && exact > 100, "{count}, {exact}");
}

#[test]
fn dropout_of_attention_is_kerass() {
    let mut count = 0;
    for row in rows("attention dropout") {
        let x = all(row.get("inputs"));
        let outputs = |layer: &dyn Fn() -> Result<Tensor>| {
            for expected in all(row.get("outputs")) {
                let y = scope::with_training(true, layer).unwrap_or_else(|e| panic!("{}: {e}", row.case));
                assert_near(&y, &expected, 8e-6, &row.case);
            }
        };
        macro_rules! check {
            ($layer:ty, $x:expr) => {{
                let layer = layer::<$layer>(row);
                let _: Tensor = layer.call(&$x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
                give(layer.as_module(), row);
                outputs(&|| layer.call(&$x));
            }};
        }
        match row.class().as_str() {
            "Attention" => check!(Attention, x.clone()),
            "AdditiveAttention" => check!(AdditiveAttention, x.clone()),
            "MultiHeadAttention" => check!(MultiHeadAttention, named(&x, None)),
            _ => check!(GroupQueryAttention, named(&x, None)),
        }
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn products_of_attention_are_kerass() {
    let mut count = 0;
    for row in rows("dot product attention") {
        let x = all(row.get("inputs"));
        let (bias, mask) = (row.tensor("bias"), row.tensor("mask"));
        let y =
            x[0].dot_product_attention(&x[1], &x[2], bias.as_ref(), mask.as_ref(), row.get("scale"), row.get("causal"));
        let y = y.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_near(&y, &row.tensor("reference").expect("an output"), 2e-6, &row.case);
        count += 1;
    }
    assert_eq!(count, 36);
}

#[test]
fn zeros_are_masked_whatever_their_type() {
    let mut count = 0;
    for row in rows("masking") {
        let (layer, x) = (layer::<Box<dyn Layer>>(row), row.tensor("x").expect("an input"));
        layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        give(layer.as_module(), row);
        let y = layer.call(&x).expect("it is built");
        assert_near(&y, &row.tensor("y").expect("an output"), 0.0, &row.case);
        let expected = to_f64(&row.tensor("output_mask").expect("a mask"));
        assert_eq!(y.mask().map(to_f64), Some(expected), "{}", row.case);
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn an_embedding_goes_back_as_in_keras() {
    let mut count = 0;
    for row in rows("reversed") {
        let (layer, x) = (layer::<ReversibleEmbedding>(row).reversed(), row.tensor("x").expect("an input"));
        layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let weights = give(layer.as_module(), row);
        let tape = GradientTape::new();
        tape.watch(&x);
        let y = tape.record(|| layer.call(&x)).expect("it is built");
        assert_near(&y, &row.tensor("reference").expect("an output"), 4e-6, &row.case);
        let dy = row.tensor("dy").map(|dy| dy.cast(DType::F32).expect("floats"));
        let sources = [&x as &dyn Source].into_iter().chain(weights.iter().map(|weight| weight as _));
        let found = tape.gradients_with(&[(y, dy)], sources, UnconnectedGradients::Zero).expect("gradients");
        for (i, (found, expected)) in found.iter().zip(row.get::<Vec<Option<Entry>>>("grads")).enumerate() {
            let Some(expected) = expected else { continue };
            let about = format!("gradient {i} of {}", row.case);
            assert_near(found.as_ref().expect("zeros at least"), &tensor(&expected), 4e-5, &about);
        }
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn kernels_of_einsums_begin_by_the_fans_of_their_axes() {
    let mut count = 0;
    for row in rows("first kernel") {
        let (layer, x) = (layer::<EinsumDense>(row), row.tensor("x").expect("an input"));
        layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let kernel = layer.weights()[0].value().expect("it is built");
        assert_near(&kernel, &row.tensor("kernel").expect("a kernel"), 1e-6, &row.case);
        count += 1;
    }
    assert_eq!(count, 18);
}

fn wave(dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>()).expect("as many")
}

/// Sequences whose lengths are known when the graph runs.
#[test]
fn attention_takes_batches_and_sequences_of_any_size() {
    let (query, value) = (wave(&[2, 3, 4]), wave(&[2, 5, 4]));
    let open = || Spec::new(DType::F32, [None, None, Some(4)]);
    let heads = MultiHeadAttention::new(2, 3).sliding_window(2).seed(1);
    let fewer = GroupQueryAttention::new(3, 4, 2);
    let (products, sums) = (Attention::new().use_scale(true), AdditiveAttention::new());
    let mask = |x: &Tensor| Ok::<_, Error>(x.with_mask(Some(x.sum(-1)?.greater(0.0)?)));
    let calls = |x: &[Tensor]| {
        let (query, value) = (mask(&x[0])?, mask(&x[1])?);
        let (other, scores): (Tensor, Tensor) = fewer.causal().with_scores().call((&query, &value))?;
        Ok(vec![
            heads.call((&query, &value))?,
            heads.causal().call((&query, &value))?,
            fewer.causal().call((&query, &value))?,
            other,
            scores,
            products.causal().call([&query, &value])?,
            sums.causal().call([&query, &value])?,
            products.call([&query, &value])?,
        ])
    };
    let eager = calls(&[query.clone(), value.clone()]).expect("it fits");
    let traced = trace(calls, &[open(), open()]).expect("traceable").run(&[&query, &value]).expect("it runs");
    for (i, (traced, eager)) in traced.iter().zip(&eager).enumerate() {
        assert_near(traced, eager, 2e-6, &format!("call {i}"));
    }
}

#[test]
fn attention_is_found_in_checkpoints_by_the_names_of_its_attributes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (query, value) = (wave(&[2, 3, 4]), wave(&[2, 5, 4]));
    let layers = [(); 2].map(|()| MultiHeadAttention::new(2, 3).use_gate(true));
    let [first, second] = layers.each_ref().map(|layer| -> Tensor { layer.call((&query, &value)).expect("it fits") });
    assert_ne!(to_f64(&first), to_f64(&second));
    let path = folder.path().join("ckpt");
    Checkpoint::new(&layers[0]).write(&path).expect("writable");
    Checkpoint::new(&layers[1]).read(&path).expect("readable").assert_consumed().expect("all");
    let again: Tensor = layers[1].call((&query, &value)).expect("it fits");
    assert_eq!(to_f64(&first), to_f64(&again));
    let names: Vec<String> = layers[0].named_variables().into_iter().map(|(name, _)| name).collect();
    let expected = ["attention_output", "gate", "key", "query", "value"];
    assert_eq!(names, expected.map(|part| [format!("{part}/bias"), format!("{part}/kernel")]).concat());
}

#[test]
fn what_attention_cannot_do_it_says() {
    let (query, value) = (wave(&[2, 3, 4]), wave(&[2, 5, 4]));
    let grid = wave(&[2, 3, 2, 4]);
    let heads = |layer: MultiHeadAttention| -> Result<Tensor> { layer.call((&query, &value)) };
    let over =
        |axes: Vec<i64>| -> Result<Tensor> { MultiHeadAttention::new(2, 3).attention_axes(axes).call((&grid, &grid)) };
    let again = || -> Result<Tensor> {
        let layer = MultiHeadAttention::new(2, 3);
        let _: Tensor = layer.call((&query, &value))?;
        layer.call((&wave(&[2, 3, 5]), &value))
    };
    let masked = AttentionInputs::new(&grid, &grid).attention_mask(&Tensor::from([[true], [false]]));
    let rows: Vec<(Result<Tensor>, &str)> = vec![
        (Attention::new().call([&query]), "the inputs must be a query, a value and perhaps a key, found 1 tensors"),
        (Attention::new().dropout(2.0).call([&query, &value]), "`dropout` must be from 0 to 1, found 2"),
        (Attention::new().score_mode(ScoreMode::Concat).call([&query, &wave(&[2, 5, 3])]), "Incompatible shapes"),
        (again(), "`query/kernel` was built as [4, 2, 3] for inputs of shapes (2, 5, 4), (2, 3, 4), (2, 5, 4) at"),
        (heads(MultiHeadAttention::new(0, 3)), "`num_heads` must be at least 1, found 0"),
        (heads(MultiHeadAttention::new(2, 3).sliding_window(0)), "`sliding_window` must be at least 1, found 0"),
        (over(vec![]), "attention goes over an axis between the first and the last, found (2, 3, 2, 4)"),
        (MultiHeadAttention::new(2, 3).call((&wave(&[2, 4]), &value)), "attention goes over an axis between"),
        (over(vec![3]), "`attention_axes` has 3, which is none of the axes of 4 before the last"),
        (MultiHeadAttention::new(2, 3).causal().call((&grid, &grid)), "a causal mask is for attention over one axis"),
        (
            MultiHeadAttention::new(2, 3).sliding_window(1).call((&grid, &grid)),
            "`sliding_window` is for attention over one axis",
        ),
        (MultiHeadAttention::new(2, 3).call(masked), "an attention mask must have at least 4 axes"),
        (
            GroupQueryAttention::new(3, 4, 3).call((&query, &value)),
            "`num_key_value_heads` must divide `num_query_heads`, found 3 and 4",
        ),
        (GroupQueryAttention::new(3, 4, 2).call((&grid, &grid)), "must have rank 3, found shape (2, 3, 2, 4)"),
        (Embedding::new(0, 2).call(Tensor::from([1])), "`input_dim` must be at least 1, found 0"),
        (Embedding::new(3, 2).call(Tensor::from([-1])), "indices[0] = -1 is not in [0, 3)"),
        (EinsumDense::new("abcd", 3).call(&query), "`equation` is of the form X,Y->Z"),
        (
            EinsumDense::new("abc,cd->abd", 3).call(&query),
            "`output_shape` must have 2 dims for the output `abd`, found 1",
        ),
        (
            EinsumDense::new("abc,cd->abd", [7, 3]).call(&query),
            "the dim of `b` is 3 in the input, and 7 in `output_shape`",
        ),
        (EinsumDense::new("ab,bc->ac", 3).call(&query), "`ab` are fewer axes than an input of 3 has"),
        (EinsumDense::new("abcd,de->abce", [2, 2, 3]).call(&query), "`abcd` are more axes than an input of 3 has"),
        (EinsumDense::new("abc,cd->abe", [3, 2]).call(&query), "`e` is neither an axis of the input"),
        (EinsumDense::new("abc,cdf->abd", [3, 2]).call(&query), "`f` of the kernel is neither an axis of the input"),
        (EinsumDense::new("abc,cd->abd", [3, 2]).bias_axes("x").call(&query), "`x` of `bias_axes` is no axis"),
    ];
    for (result, words) in rows {
        let error = result.expect_err(words).to_string();
        assert!(error.contains(words), "{error}\nis not\n{words}");
    }
}
