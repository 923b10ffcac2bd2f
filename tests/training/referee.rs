//! The same trainings as Keras did.

use super::*;
use crate::golden::{Entry, Fixture};
use modulor::Structure;
use modulor::keras::callback::{Mode, ReduceLROnPlateau, SwapEMAWeights};
use modulor::keras::library::{
    BatchNormalization, Conv2D, Embedding, GRU, GlobalAveragePooling1D, GlobalAveragePooling2D, LSTM,
    LayerNormalization, MultiHeadAttention, Padding,
};
use modulor::keras::regularizer::L1;
use modulor::keras::training::{Fit, Losses, MetricOf, Metrics};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Row {
    case: String,
    model: String,
    weights: Vec<Named>,
    x: Entry,
    y: Vec<Entry>,
    val_x: Entry,
    val_y: Vec<Entry>,
    sample_weight: Option<Entry>,
    history: BTreeMap<String, Vec<f64>>,
    evaluated: BTreeMap<String, f64>,
    predicted: Vec<Entry>,
    after: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    path: String,
    value: Entry,
}

/// A model of named layers, one after the other, with what stands between them.
macro_rules! models {
    ($($name:ident { $($layer:ident: $class:ty = $made:expr),* } |$m:ident, $x:ident| $forward:expr;)*) => { $(
        #[derive(Module)]
        #[module(package = "trained")]
        struct $name {
            $($layer: $class),*
        }

        impl $name {
            fn make() -> Self {
                $name { $($layer: $made),* }
            }
        }

        impl Layer for $name {
            fn forward(&self, $x: &Tensor) -> Result<Tensor> {
                let $m = self;
                $forward
            }
        }
    )* };
}

models! {
    Plain { hidden: Dense = Dense::new(8).activation("relu"), answer: Dense = Dense::new(4).activation("softmax") }
        |m, x| m.answer.call(&m.hidden.call(x)?);
    Regularized {
        hidden: Dense = Dense::new(8).activation("tanh").kernel_regularizer("l2").activity_regularizer(L1 { l1: 0.01 }),
        answer: Dense = Dense::new(1)
    } |m, x| m.answer.call(&m.hidden.call(x)?);
    Convolutional {
        conv: Conv2D = Conv2D::new(4, 3).padding(Padding::Same).use_bias(false),
        norm: BatchNormalization = BatchNormalization::new(),
        pool: GlobalAveragePooling2D = GlobalAveragePooling2D::new(),
        answer: Dense = Dense::new(3).activation("softmax")
    } |m, x| m.answer.call(&m.pool.call(&m.norm.call(&m.conv.call(x)?)?.relu()?)?);
    Recurrent {
        embedding: Embedding = Embedding::new(9, 4).mask_zero(true),
        lstm: LSTM = LSTM::new(5),
        answer: Dense = Dense::new(1).activation("sigmoid")
    } |m, x| m.answer.call(&m.lstm.call(&m.embedding.call(x)?)?);
    Tagger {
        embedding: Embedding = Embedding::new(9, 4).mask_zero(true),
        gru: GRU = GRU::new(5).return_sequences(true),
        answer: Dense = Dense::new(4)
    } |m, x| m.answer.call(&m.gru.call(&m.embedding.call(x)?)?);
    Attending {
        embedding: Embedding = Embedding::new(9, 6),
        attention: MultiHeadAttention = MultiHeadAttention::new(2, 3),
        norm: LayerNormalization = LayerNormalization::new(),
        pool: GlobalAveragePooling1D = GlobalAveragePooling1D::new(),
        answer: Dense = Dense::new(4).activation("softmax")
    } |m, x| {
        let x = m.embedding.call(x)?;
        let y: Tensor = m.attention.call((&x, &x))?;
        m.answer.call(&m.pool.call(&m.norm.call(&x.add(y)?)?)?)
    };
}

#[derive(Module)]
#[module(package = "trained")]
struct TwoOutputs {
    hidden: Dense,
    kind: Dense,
    size: Dense,
}

type Answers = BTreeMap<String, Tensor>;

impl Layer<Tensor, Answers> for TwoOutputs {
    fn forward(&self, x: &Tensor) -> Result<Answers> {
        let x = self.hidden.call(x)?;
        Ok(BTreeMap::from([("kind".to_owned(), self.kind.call(&x)?), ("size".to_owned(), self.size.call(&x)?)]))
    }
}

/// What is compiled, and what is said to `fit`.
struct Said<'s, Out: Structure> {
    fixture: &'s Fixture<Row>,
    row: &'s Row,
    loss: Losses,
    metrics: Metrics,
    weighted: Metrics,
    loss_weights: Option<Vec<f64>>,
    y: Out,
    val_y: Out,
}

impl<'s, Out: Structure> Said<'s, Out> {
    fn tensor(&self, entry: &Entry) -> Tensor {
        tensor(self.fixture, entry)
    }

    fn check<M: Layer<Tensor, Out>>(
        self,
        model: M,
        said: impl Fn(Fit<'_, Tensor, Out>) -> Fit<'_, Tensor, Out>,
    ) -> Result<()> {
        let (row, about) = (self.row, &*self.row.case);
        let (x, val_x) = (self.tensor(&row.x), self.tensor(&row.val_x));
        let _: Out = model.call(&x)?;
        let weights: BTreeMap<String, Variable> = model.named_variables().into_iter().collect();
        let variable = |named: &Named| {
            weights
                .get(&named.path)
                .unwrap_or_else(|| panic!("{about}: no {}: {:?}", named.path, weights.keys()))
                .clone()
        };
        for named in &row.weights {
            variable(named).assign(&self.tensor(&named.value))?;
        }
        let (use_ema, has_plateau) = (about.ends_with("averages"), about.ends_with("plateau"));
        let adam = Adam::new().learning_rate(0.02).use_ema(use_ema).ema_momentum(0.9);
        let mut trainer =
            model.compile(adam, self.loss.clone())?.metrics(self.metrics)?.weighted_metrics(self.weighted)?;
        if let Some(weights) = &self.loss_weights {
            trainer = trainer.loss_weights(weights.clone())?;
        }
        let mut fit = said(trainer.fit(&x, &self.y).batch_size(8).epochs(3).verbose(0).shuffle(false));
        if row.history.contains_key("val_loss") && !about.ends_with("split") {
            fit = fit.validation_data(&val_x, &self.val_y);
        }
        if let Some(weight) = &row.sample_weight {
            fit = fit.sample_weight(&tensor(self.fixture, weight));
        }
        if use_ema {
            fit = fit.callback(SwapEMAWeights::new());
        }
        if has_plateau {
            fit = fit.callback(ReduceLROnPlateau::new().monitor("accuracy").factor(0.5).patience(1).mode(Mode::Min));
        }
        let history = fit.run()?;

        let names: Vec<&str> = history.series().iter().map(|series| &*series.name).collect();
        assert_eq!(names, row.history.keys().collect::<Vec<_>>(), "{about}");
        for (name, values) in &row.history {
            // In a graph Keras does not know how many samples a batch has, and takes all batches as equal here.
            if name.ends_with("kind_loss") || name.ends_with("size_loss") {
                continue;
            }
            near(&history[name], values, &format!("{about}: {name}"));
        }
        let evaluated = trainer.evaluate(&val_x, &self.val_y).batch_size(8).verbose(0).run()?;
        for (name, value) in row.evaluated.iter().filter(|(name, _)| !name.ends_with("_loss")) {
            near(&[evaluated[name]], &[*value], &format!("{about}: {name} evaluated"));
        }
        let predicted = trainer.predict(&val_x).batch_size(8).verbose(0).run()?.to_tree().leaves();
        assert_eq!(predicted.len(), row.predicted.len());
        for (found, expected) in predicted.iter().zip(&row.predicted) {
            near(&numbers(found), &numbers(&tensor(self.fixture, expected)), &format!("{about}: predicted"));
        }
        // The softmax does not see this one: its gradient is rounding errors, which Adam makes large.
        for named in row.after.iter().filter(|named| named.path != "attention/key/bias") {
            let found = variable(named).value()?;
            near(&numbers(&found), &numbers(&tensor(self.fixture, &named.value)), &format!("{about}: {}", named.path));
        }
        Ok(())
    }
}

fn tensor(fixture: &Fixture<Row>, entry: &Entry) -> Tensor {
    let array = fixture.array(entry).expect("an entry names an array");
    Tensor::from_bytes(DType::from_name(&array.dtype).unwrap(), array.shape, &array.bytes).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.cast(DType::F64).unwrap().to_vec().unwrap()
}

fn near(found: &[f64], expected: &[f64], about: &str) {
    assert_eq!(found.len(), expected.len(), "{about}: {found:?} and {expected:?}");
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= 1e-5 * y.abs().max(0.1), "{about}: {found:?} is not {expected:?}");
    }
}

#[test]
fn three_epochs_are_kerass() {
    let fixture: Fixture<Row> = Fixture::read("keras/training").expect("the fixture is there");
    for row in &fixture.cases {
        let one = |entries: &[Entry]| tensor(&fixture, &entries[0]);
        let sparse = || Losses::from("sparse_categorical_crossentropy");
        let said = |loss: Losses| Said {
            fixture: &fixture,
            row,
            loss,
            metrics: Metrics::from(["accuracy"]),
            weighted: Metrics::default(),
            loss_weights: None,
            y: one(&row.y),
            val_y: one(&row.val_y),
        };
        let accuracy = || Metrics::from(["accuracy"]);
        let checked = match &*row.case {
            "dense, class weights" => Said { weighted: accuracy(), ..said(sparse()) }
                .check(Plain::make(), |fit| fit.class_weight([(0, 2.0), (3, 0.5)])),
            "dense, sample weights" => {
                Said { weighted: Metrics::from(["sparse_categorical_crossentropy"]), ..said(sparse()) }
                    .check(Plain::make(), |fit| fit)
            }
            "dense, validation split" => said(sparse()).check(Plain::make(), |fit| fit.validation_split(0.25)),
            "dense, every other validation" => said(sparse()).check(Plain::make(), |fit| fit.validation_freq(2)),
            "dense, from the second epoch" => said(sparse()).check(Plain::make(), |fit| fit.initial_epoch(1)),
            "dense, some steps" => {
                said(sparse()).check(Plain::make(), |fit| fit.steps_per_epoch(3).validation_steps(2))
            }
            case if case.starts_with("dense") => said(sparse()).check(Plain::make(), |fit| fit),
            "regularized" => {
                Said { metrics: Metrics::from(["mae"]), ..said("mse".into()) }.check(Regularized::make(), |fit| fit)
            }
            "convolutional" => said("categorical_crossentropy".into()).check(Convolutional::make(), |fit| fit),
            "recurrent" => said("binary_crossentropy".into())
                .check(Recurrent::make(), |fit| fit.class_weight([(0, 0.7), (1, 1.6)])),
            "tagger, masked" => {
                let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
                Said { weighted: accuracy(), ..said(loss.into()) }.check(Tagger::make(), |fit| fit)
            }
            "attending" => said(sparse()).check(Attending::make(), |fit| fit),
            "two outputs" => {
                let answers = |entries: &[Entry]| {
                    let named = ["kind", "size"].into_iter().zip(entries);
                    named.map(|(name, entry)| (name.to_owned(), tensor(&fixture, entry))).collect::<Answers>()
                };
                let model = TwoOutputs {
                    hidden: Dense::new(8).activation("relu"),
                    kind: Dense::new(3).activation("softmax"),
                    size: Dense::new(1),
                };
                let metrics = [("kind", vec![MetricOf::from("accuracy")]), ("size", vec!["mae".into(), "mse".into()])];
                Said {
                    fixture: &fixture,
                    row,
                    loss: Losses::named([("kind", "sparse_categorical_crossentropy"), ("size", "mse")]),
                    metrics: Metrics::named(metrics),
                    weighted: Metrics::default(),
                    loss_weights: Some(vec![2.0, 0.25]),
                    y: answers(&row.y),
                    val_y: answers(&row.val_y),
                }
                .check(model, |fit| fit)
            }
            other => panic!("no training for {other}, of {}", row.model),
        };
        checked.unwrap_or_else(|error| panic!("{}: {error}", row.case));
    }
    assert_eq!(fixture.cases.len(), 15);
}
