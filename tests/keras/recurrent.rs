//! Recurrent layers beside what layers have in common: states, cells, dropout, batches of unknown size.

use super::config::same;
use super::layer::{config, essential, give};
use super::*;
use modulor::checkpoint::Checkpoint;
use modulor::graph::trace;
use modulor::keras::library::{
    Bidirectional, Cell, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, GRU, GRUCell, LSTM, LSTMCell, MergeMode, RNN, SimpleRNN,
    StackedRNNCells,
};
use modulor::module::{Track, object};
use modulor::{Call, Error, Layer, ModuleExt, Spec, scope};

type States = (Tensor, Vec<Tensor>);

fn all(tensors: Vec<Entry>) -> Vec<Tensor> {
    tensors.iter().map(tensor).collect()
}

#[test]
fn cells_compute_what_kerass_do() {
    let mut count = 0;
    for row in rows("cell") {
        let cell = <Box<dyn Cell>>::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let input = (row.tensor("x").expect("an input"), all(row.get("states")));
        let _: States = cell.call(&input).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        give(cell.as_module(), row);
        let (y, after): States = cell.call(&input).expect("it is built");
        assert_near(&y, &row.tensor("reference").expect("an output"), 4e-6, &row.case);
        let expected = all(row.get("after"));
        assert_eq!(after.len(), expected.len(), "{}", row.case);
        after.iter().zip(&expected).for_each(|(after, expected)| assert_near(after, expected, 4e-6, &row.case));
        let (mut found, mut expected) = (object(cell.as_module()).expect("a config"), config(row));
        essential(&mut found);
        essential(&mut expected);
        assert!(same(&found, &expected), "{found}\nis not\n{expected}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

/// Calls the layer of a row with states, for what `call` gives and the layer's variables.
fn with_states(row: &Row, x: &Tensor, states: &[Tensor]) -> Result<(States, Vec<Variable>)> {
    fn run<L: Layer>(
        layer: &L,
        row: &Row,
        call: impl Fn(&L, bool) -> Result<States>,
    ) -> Result<(States, Vec<Variable>)> {
        call(layer, false)?;
        let weights = give(layer.as_module(), row);
        Ok((call(layer, true)?, weights))
    }
    let input = |given: bool| (x.clone(), given.then(|| states.to_vec()));
    macro_rules! call {
        ($layer:ty) => {{
            let layer = <$layer>::from_field(Some(&config(row)))?;
            run(&layer, row, |layer, given| layer.with_states().call(&input(given)))
        }};
    }
    match row.class().as_str() {
        "SimpleRNN" => call!(SimpleRNN),
        "LSTM" => call!(LSTM),
        "GRU" => call!(GRU),
        "ConvLSTM1D" => call!(ConvLSTM1D),
        "ConvLSTM2D" => call!(ConvLSTM2D),
        "ConvLSTM3D" => call!(ConvLSTM3D),
        "RNN" => call!(RNN),
        _ => call!(Bidirectional),
    }
}

#[test]
fn states_come_and_go_as_in_keras() {
    let mut count = 0;
    for row in rows("states") {
        let x = row.tensor("x").expect("an input").with_mask(row.tensor("mask"));
        let states = all(row.get("states"));
        let tape = GradientTape::new();
        [&x].into_iter().chain(&states).for_each(|source| tape.watch(source));
        let computed = tape.record(|| with_states(row, &x, &states));
        let ((y, after), weights) = computed.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_near(&y, &row.tensor("reference").expect("an output"), 4e-6, &row.case);
        let expected = all(row.get("after"));
        assert_eq!(after.len(), expected.len(), "{}", row.case);
        after.iter().zip(&expected).for_each(|(after, expected)| assert_near(after, expected, 4e-6, &row.case));
        let dys = all(row.get("dys")).into_iter().map(|dy| Some(dy.cast(DType::F32).expect("floats")));
        let targets: Vec<_> = [y].into_iter().chain(after).zip(dys).collect();
        let sources = [&x].into_iter().chain(&states).map(|source| source as &dyn modulor::tape::Source);
        let sources = sources.chain(weights.iter().map(|weight| weight as _));
        let found = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero).expect("gradients");
        let expected = all(row.get("grads"));
        assert_eq!(found.len(), expected.len(), "{}", row.case);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let about = format!("gradient {i} of {}", row.case);
            assert_near(found.as_ref().expect("zeros at least"), expected, 4e-5, &about);
        }
        count += 1;
    }
    assert!(count >= 118, "{count}");
}

/// Calls the layer of a row batch after batch, and with states of zeros before the last, for the outputs and the states
/// before that.
fn batch_after_batch(row: &Row, xs: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    macro_rules! call {
        ($layer:ty) => {{
            let layer = <$layer>::from_field(Some(&config(row)))?;
            let _: Tensor = layer.call(&xs[0])?;
            give(layer.as_module(), row);
            layer.reset_state()?;
            let [batches @ .., last] = xs else { return Err(Error::internal("there are batches")) };
            let mut ys = batches.iter().map(|x| layer.call(x)).collect::<Result<Vec<Tensor>>>()?;
            let states = state(layer.as_module()).into_iter().filter(|state| !state.trainable());
            let states = states.map(|state| state.value()).collect::<Result<_>>()?;
            layer.reset_state()?;
            ys.push(layer.call(last)?);
            Ok((ys, states))
        }};
    }
    match row.class().as_str() {
        "SimpleRNN" => call!(SimpleRNN),
        "LSTM" => call!(LSTM),
        "GRU" => call!(GRU),
        "ConvLSTM1D" => call!(ConvLSTM1D),
        "ConvLSTM2D" => call!(ConvLSTM2D),
        "ConvLSTM3D" => call!(ConvLSTM3D),
        "RNN" => call!(RNN),
        _ => call!(Bidirectional),
    }
}

#[test]
fn states_stay_from_batch_to_batch_as_in_keras() {
    let mut count = 0;
    for row in rows("stateful") {
        let masks = row.get::<Vec<Option<Entry>>>("masks").into_iter().map(|mask| mask.map(|mask| tensor(&mask)));
        let xs: Vec<Tensor> =
            all(row.get("batches")).into_iter().zip(masks).map(|(x, mask)| x.with_mask(mask)).collect();
        let (ys, states) = batch_after_batch(row, &xs).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        for (found, expected) in [(ys, all(row.get("ys"))), (states, all(row.get("states")))] {
            assert_eq!(found.len(), expected.len(), "{}", row.case);
            found.iter().zip(&expected).for_each(|(found, expected)| assert_near(found, expected, 4e-6, &row.case));
        }
        count += 1;
    }
    assert_eq!(count, 19);
}

#[test]
fn dropout_of_a_sequence_is_kerass() {
    let mut count = 0;
    for row in rows("recurrent dropout") {
        let mut config = config(row);
        if row.class() == "SimpleRNN" {
            // It is not in its config.
            config["config"]["seed"] = row.get("seed");
        }
        let layer = <Box<dyn Layer>>::from_field(Some(&config)).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let x = row.tensor("x").expect("an input");
        layer.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        give(layer.as_module(), row);
        for expected in all(row.get("outputs")) {
            let y = scope::with_training(true, || layer.call(&x)).unwrap_or_else(|e| panic!("{}: {e}", row.case));
            assert_near(&y, &expected, 8e-6, &row.case);
        }
        count += 1;
    }
    assert!(count >= 22, "{count}");
}

#[test]
fn directions_that_are_not_merged_are_kerass() {
    let mut count = 0;
    for row in rows("apart") {
        let layer = Bidirectional::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let x = row.tensor("x").expect("an input").with_mask(row.tensor("mask"));
        let call = || layer.directions().call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let _: (Tensor, Tensor) = call();
        give(&layer, row);
        let (forth, back) = call();
        let expected = all(row.get("references"));
        assert_eq!(expected.len(), 2, "{}", row.case);
        [forth, back].iter().zip(&expected).for_each(|(y, expected)| assert_near(y, expected, 4e-6, &row.case));
        count += 1;
    }
    assert_eq!(count, 6);
}

fn input() -> Tensor {
    Tensor::new([3, 4, 2], (0..24).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>()).expect("as many")
}

fn traced(layer: &impl Layer, x: &Tensor) -> Tensor {
    let spec = Spec::new(DType::F32, [None, Some(4), Some(2)]);
    let graph = trace(|x| Ok(vec![layer.call(&x[0])?]), &[spec]).expect("traceable");
    graph.run(&[x]).expect("it runs").remove(0)
}

#[test]
fn batches_may_be_of_any_size_in_a_graph_and_have_their_mask() {
    let cells = || Box::new(StackedRNNCells::new().add(LSTMCell::new(3)).add(GRUCell::new(2)));
    let layers: [Box<dyn Layer>; 6] = [
        Box::new(SimpleRNN::new(3)),
        Box::new(LSTM::new(3).return_sequences(true)),
        Box::new(GRU::new(3).reset_after(false)),
        Box::new(GRU::new(3).activation("relu")),
        Box::new(RNN::new(cells()).go_backwards(true)),
        Box::new(Bidirectional::new(LSTM::new(3)).expect("readable")),
    ];
    let x = input();
    for layer in &layers {
        let expected = layer.call(&x).expect("it fits");
        assert_near(&traced(layer, &x), &expected, 1e-6, layer.class_name());
        let longer = Tensor::concat(&[x.clone(), x.clone()], 0).expect("as wide");
        assert_eq!(traced(layer, &longer).dims().expect("known")[0], 6);
    }
    let mask = Tensor::new([3, 4], (0..12).map(|i| i % 4 < 2).collect::<Vec<_>>()).expect("as many");
    let layer = LSTM::new(3);
    let masked = layer.call(x.with_mask(Some(mask))).expect("it fits");
    let shorter = layer.call(x.slice((.., ..2)).expect("two")).expect("it fits");
    assert_near(&masked, &shorter, 1e-6, "two of four steps");
}

#[test]
fn a_layer_that_is_stateful_goes_on_where_it_was() -> Result<()> {
    let x = input();
    let halves = [x.slice((.., ..2))?, x.slice((.., 2..))?];
    let layer = GRU::new(3).stateful(true).return_sequences(true);
    let first = [layer.call(&halves[0])?, layer.call(&halves[1])?];
    layer.reset_state()?;
    let whole = layer.call(&x)?;
    assert_near(&Tensor::concat(&first, 1)?, &whole, 1e-6, "two halves");
    let on: Tensor = layer.call(&x)?;
    assert!(to_f64(&on) != to_f64(&whole));
    assert_eq!((layer.weights().len(), layer.variables().len()), (3, 4));
    let error = layer.call(&x.slice(..2)?).unwrap_err().to_string();
    assert!(error.contains("`rnn_state` was built as [3, 3]"), "{error}");
    Ok(())
}

#[test]
fn a_bias_begins_with_ones_for_f_alone() -> Result<()> {
    let layer = LSTM::new(2).bias_initializer("zeros");
    layer.call(input())?;
    let weights = layer.weights();
    assert_eq!(to_f64(&weights[2].value()?), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let recurrent = weights[1].value()?;
    let product = recurrent.matmul_with(&recurrent, false, true)?;
    assert_near(&product, &Tensor::from([[1.0, 0.0], [0.0, 1.0]]), 1e-5, "the rows are orthonormal");
    assert_eq!(
        weights[2].path().as_deref().and_then(|path| path.split_once('/')).map(|(_, below)| below),
        Some("lstm_cell/bias")
    );
    Ok(())
}

#[test]
fn directions_stay_apart_where_they_are_not_merged() -> Result<()> {
    let layer = Bidirectional::new(LSTM::new(3).return_sequences(true))?;
    let both = layer.call(input())?;
    let apart = layer.share().merge_mode(None);
    let (forth, back) = apart.directions().call(input())?;
    assert_eq!(to_f64(&Tensor::concat(&[forth, back], -1)?), to_f64(&both));
    let error = apart.call(input()).unwrap_err().to_string();
    assert!(error.contains("call `directions()`"), "{error}");
    let summed = layer.share().merge_mode(MergeMode::Sum).call(input())?;
    assert_eq!(summed.dims()?, [3, 4, 3]);
    Ok(())
}

/// As an object of TensorFlow holds a cell: by the attribute.
#[derive(modulor::Module)]
#[module(package = "recurrent_tests")]
struct ByAttribute {
    cell: LSTMCell,
}

/// As an object of TensorFlow holds the layers of two directions.
#[derive(modulor::Module)]
#[module(package = "recurrent_tests")]
struct ByAttributes {
    forward_layer: ByAttribute,
    backward_layer: ByAttribute,
}

#[test]
fn a_checkpoint_that_goes_by_attributes_is_restored() -> Result<()> {
    let x = input();
    let states = vec![Tensor::zeros([3, 3], DType::F32)?; 2];
    let by_attribute = || ByAttribute { cell: LSTMCell::new(3) };
    let held = ByAttributes { forward_layer: by_attribute(), backward_layer: by_attribute() };
    for cell in [&held.forward_layer.cell, &held.backward_layer.cell] {
        let _: States = cell.call(&(x.slice((.., 0))?, states.clone()))?;
    }
    let prefix = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("recurrent_by_attributes");
    Checkpoint::new(&held).write(&prefix)?;
    let layer = Bidirectional::new(LSTM::new(3))?;
    layer.call(&x)?;
    Checkpoint::new(&layer).read(&prefix)?.assert_consumed()?;
    for (found, expected) in layer.weights().iter().zip(held.weights()) {
        assert_eq!(to_f64(&found.value()?), to_f64(&expected.value()?), "{:?}", found.path());
    }
    Ok(())
}

/// A cell whose state is the sum of what it was given.
#[derive(modulor::Module)]
#[module(package = "recurrent_tests")]
struct SumCell {
    #[config]
    by: f64,
    features: Variable,
}

impl Layer<States, States> for SumCell {
    fn forward(&self, (x, states): &States) -> Result<States> {
        let sum = states[0].add(x * self.by)?;
        Ok((&sum * 2.0, vec![sum]))
    }
}

impl Cell for SumCell {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![2]]
    }
}

modulor::keras::register_cell!(SumCell);

#[test]
fn a_cell_of_the_users_own_goes_through_sequences_and_configs() -> Result<()> {
    let layer = RNN::new(Box::new(SumCell { by: 0.5, features: Variable::new(0.0) }));
    let expected = input().sum(1)?;
    let (y, states) = layer.with_states().call(&(input(), None))?;
    assert_near(&y, &expected, 1e-6, "twice the half of the sum");
    let (again, _) = layer.with_states().call(&(input(), Some(states)))?;
    assert_near(&again, &(expected * 2.0), 1e-6, "and on");
    let config = layer.field_config()?;
    assert_eq!(config.as_ref().map(|config| &config["config"]["cell"]["class_name"]), Some(&"SumCell".into()));
    let read = <Box<dyn Layer>>::from_field(config.as_ref())?;
    assert_near(&read.call(input())?, &y, 1e-6, "read");
    Ok(())
}

#[test]
fn what_a_recurrent_layer_cannot_do_it_says() {
    let x = input();
    let given = |layer: LSTM, states: usize| {
        let states = vec![Tensor::zeros([3, 2], DType::F32).expect("zeros"); states];
        layer.with_states().call(&(x.clone(), Some(states))).map(|(y, _)| y)
    };
    let no_steps = Tensor::zeros([3, 0, 2], DType::F32).expect("zeros");
    let rows: [(Result<Tensor>, &str); 11] = [
        (LSTM::new(0).call(&x), "`units` must be at least 1, found 0"),
        (LSTM::new(usize::MAX).call(&x), "lstm"),
        (GRU::new(usize::MAX / 2).call(&x), "gru"),
        (SimpleRNN::new(usize::MAX).call(&x), "simple_rnn"),
        (LSTM::new(2).return_state(true).call(&x), "call `with_states()`"),
        (LSTM::new(2).call(Tensor::from([[1.0_f32]])), "`[batch, time, ..]`, found shape (1, 1)"),
        (given(LSTM::new(2), 1), "the cell has 2 states, and 1 were given"),
        (given(LSTM::new(3), 2), "disagree on units"),
        (LSTM::new(2).call(&no_steps), "at least one step"),
        (SimpleRNN::new(2).call(&no_steps), "at least one step"),
        (RNN::new(Box::new(StackedRNNCells::new())).call(&x), "0 cells have 0 states"),
    ];
    for (result, words) in rows {
        let error: Error = result.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    let same_way = Bidirectional::of(LSTM::new(2), LSTM::new(2)).map(|_| ()).unwrap_err();
    assert!(same_way.to_string().contains("`go_backwards`"), "{same_way}");
    let config = serde_json::json!({"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}});
    let error = <Box<dyn Cell>>::from_field(Some(&config)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("`Dense` is not known as a cell"), "{error}");
}
