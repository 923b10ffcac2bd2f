//! Ways to say what a training is, which must come to the same.

use super::*;
use modulor::GradientTape;
use modulor::keras::callback::LambdaCallback;
use modulor::keras::metric::AUC;
use modulor::keras::optimizer::{LossScaleOptimizer, MultiOptimizer};
use modulor::keras::training::MetricOf;
use modulor::keras::training::{Losses, Metrics};
use std::collections::BTreeMap;

const SGD_MSE: (&str, &str) = ("sgd", "mse");

fn trained(run: impl FnOnce(&mut Trainer, &Tensor, &Tensor) -> Result<()>) -> Vec<u8> {
    let (x, model) = (rows(22, 4), model());
    let y = classes(&x, 3);
    let mut trainer = model.compile(Adam::new(), "sparse_categorical_crossentropy").unwrap();
    run(&mut trainer, &x, &y).unwrap_or_else(|error| panic!("{error}"));
    bits(&model)
}

#[test]
fn a_step_has_the_same_bits_compiled_or_not_and_written_by_hand() {
    let fit = |trainer: &mut Trainer, x: &Tensor, y: &Tensor| {
        trainer.fit(x, y).batch_size(8).epochs(2).verbose(0).seed(3).run().map(|_| ())
    };
    let compiled = trained(fit);
    let (x, eager) = (rows(22, 4), model());
    let y = classes(&x, 3);
    let trainer = eager.compile(Adam::new(), "sparse_categorical_crossentropy").unwrap();
    fit(&mut trainer.run_eagerly(true), &x, &y).unwrap();
    assert_eq!(bits(&eager), compiled);
    let (x, by_hand) = (rows(22, 4), model());
    let trainer = by_hand.compile(Adam::new(), "sparse_categorical_crossentropy").unwrap();
    let mut trainer = trainer.train_step(|training, x: &Tensor, y, weight| {
        let tape = GradientTape::new();
        let forward = tape.record(|| training.forward(x, y, weight, true))?;
        training.minimize(&tape, &forward.loss)?;
        training.count(x, y, weight, &forward)?;
        Ok(forward.loss)
    });
    fit(&mut trainer, &x, &y).unwrap();
    assert_eq!(bits(&by_hand), compiled);
}

#[test]
fn the_mean_loss_has_the_same_bits_summed_outside_of_the_step_or_in_it() {
    let (x, losses) = (rows(22, 4), "sparse_categorical_crossentropy");
    let y = classes(&x, 3);
    let told = |trainer: &mut dyn FnMut(Trainer) -> Trainer| {
        let mut trainer = trainer(model().compile(Adam::new(), losses).unwrap());
        let history = trainer.fit(&x, &y).batch_size(5).epochs(3).verbose(0).seed(3).run().unwrap();
        let of_batches: Vec<f64> =
            (0..3).map(|_| trainer.train_on_batch(&x, &y, None).unwrap()["loss"].to_owned()).collect();
        (history["loss"].to_vec(), of_batches)
    };
    let outside = told(&mut |trainer| trainer);
    let within = told(&mut |trainer| trainer.train_step(|training, x, y, weight| training.train_step(x, y, weight)));
    let eager = told(&mut |trainer| trainer.run_eagerly(true));
    assert_eq!(outside, within);
    assert_eq!(outside, eager);
}

#[test]
fn each_batch_is_drawn_once() {
    let drawn = std::sync::atomic::AtomicUsize::new(0);
    let batches = From(Some(3), |_, at| {
        (at < 3).then(|| {
            drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let x = rows(4, 4);
            Ok((x.clone(), classes(&x, 3)))
        })
    });
    let mut trainer = model().compile(Adam::new(), "sparse_categorical_crossentropy").unwrap();
    trainer.fit_batches(&batches).epochs(2).verbose(0).run().unwrap();
    assert_eq!(drawn.into_inner(), 6);
}

#[test]
fn a_dataset_is_as_good_as_tensors() {
    let from_tensor_slices = trained(|trainer, x, y| {
        trainer.fit(x, y).batch_size(8).epochs(2).shuffle(false).verbose(0).validation_data(x, y).run().map(|_| ())
    });
    let from_dataset = trained(|trainer, x, y| {
        let batches = Dataset::from_tensor_slices((x.clone(), y.clone()))?.batch(8);
        let history = trainer.fit_batches(&batches).epochs(2).verbose(0).validation_batches(&batches).run()?;
        assert_eq!(history["val_loss"].len(), 2);
        let whole = trainer.evaluate(x, y).batch_size(8).verbose(0).run()?;
        assert_eq!(trainer.evaluate_batches(&batches).verbose(0).run()?, whole);
        Ok(())
    });
    assert_eq!(from_dataset, from_tensor_slices);
    let on_batches = trained(|trainer, x, y| {
        for _ in 0..2 {
            for begin in [0_i64, 8, 16] {
                let end = (begin + 8).min(22);
                trainer.train_on_batch(&x.slice(begin..end)?, &y.slice(begin..end)?, None)?;
            }
        }
        Ok(())
    });
    assert_eq!(on_batches, from_tensor_slices);
}

#[test]
fn weights_of_a_dataset_are_those_of_tensors() {
    let weight = Tensor::from((0..22).map(|at| at as f32 / 10.0).collect::<Vec<f32>>());
    let from_tensor_slices = trained(|trainer, x, y| {
        trainer.fit(x, y).batch_size(8).shuffle(false).verbose(0).sample_weight(&weight).run().map(|_| ())
    });
    let from_dataset = trained(|trainer, x, y| {
        let batches = Dataset::from_tensor_slices((x.clone(), y.clone(), weight.clone()))?.batch(8);
        trainer.fit_batches(batches).verbose(0).run().map(|_| ())
    });
    assert_eq!(from_dataset, from_tensor_slices);
    let by_class = trained(|trainer, x, y| {
        trainer.fit(x, y).batch_size(8).shuffle(false).verbose(0).class_weight([(1, 3.0)]).run().map(|_| ())
    });
    let by_class_of_dataset = trained(|trainer, x, y| {
        let batches = Dataset::from_tensor_slices((x.clone(), y.clone()))?.batch(8);
        trainer.fit_batches(batches).verbose(0).class_weight([(1, 3.0)]).run().map(|_| ())
    });
    assert_eq!(by_class_of_dataset, by_class);
}

#[test]
fn orders_follow_from_the_seed_and_the_epoch() {
    let shuffled = |seed: u64| {
        trained(|trainer, x, y| trainer.fit(x, y).batch_size(8).epochs(2).verbose(0).seed(seed).run().map(|_| ()))
    };
    assert_eq!(shuffled(1), shuffled(1));
    assert_ne!(shuffled(1), shuffled(2));
}

#[test]
fn predictions_of_batches_are_joined() {
    let (x, model) = (rows(10, 2), Dense::new(3));
    let mut trainer = model.compile(SGD_MSE.0, SGD_MSE.1).unwrap();
    let whole: Tensor = model.call(&x).unwrap();
    for size in [1, 4, 10, 32] {
        let found = trainer.predict(&x).batch_size(size).verbose(0).run().unwrap();
        assert_eq!(found.to_vec::<f32>().unwrap(), whole.to_vec::<f32>().unwrap());
    }
    assert_eq!(trainer.predict_on_batch(&x).unwrap().to_vec::<f32>().unwrap(), whole.to_vec::<f32>().unwrap());
}

#[test]
fn metrics_are_looked_at_by_their_handles() {
    let x = rows(16, 2);
    let y = classes(&x, 2).expand_dims(-1).unwrap();
    let auc = AUC::new();
    let model = Dense::new(1).activation("sigmoid");
    let mut trainer = model
        .compile("adam", "crossentropy")
        .unwrap()
        .metrics([MetricOf::from("accuracy"), auc.share().into()])
        .unwrap();
    let logs = trainer.evaluate(&x, &y).verbose(0).run().unwrap();
    assert_eq!(logs.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["accuracy", "auc", "loss"]);
    let found: f32 = auc.result().unwrap().item().unwrap();
    assert_eq!(f64::from(found), logs["auc"]);
    let error = trainer.metrics(["mse"]).unwrap_err();
    assert!(error.message().contains("before the first batch"), "{error}");
}

#[test]
fn outputs_of_models_have_the_names_of_their_layers() -> Result<()> {
    let build = || -> Result<Model<Tensor, (Tensor, Tensor)>> {
        let x = Input::new([2]);
        let hidden = Dense::new(4).kernel_initializer("ones").call(&x)?;
        let answer = Dense::new(1).kernel_initializer("ones").named("answer").call(&hidden)?;
        let kind = Dense::new(3).kernel_initializer("ones").activation("softmax").named("kind").call(&hidden)?;
        Model::new(&x, (&answer, &kind))
    };
    assert_eq!(build()?.output_names(), ["answer", "kind"]);
    let (x, answers) = (rows(8, 2), rows(8, 1));
    let kinds = classes(&x, 3);
    let trainer = || {
        let losses = Losses::named([("kind", "sparse_categorical_crossentropy"), ("answer", "mse")]);
        let metrics = Metrics::named([("kind", vec![MetricOf::from("accuracy")]), ("answer", vec!["mae".into()])]);
        build()?.compile("sgd", losses)?.metrics(metrics)
    };
    let in_order = trainer()?.fit(&x, &(answers.clone(), kinds.clone())).verbose(0).shuffle(false).run()?;
    let names: Vec<&str> = in_order.series().iter().map(|series| &*series.name).collect();
    // Keras's names of the same model.
    assert_eq!(names, ["answer_loss", "answer_mae", "kind_accuracy", "kind_loss", "loss"]);
    let by_name = BTreeMap::from([("kind".to_owned(), kinds), ("answer".to_owned(), answers.clone())]);
    assert_eq!(trainer()?.fit(&x, &by_name).verbose(0).shuffle(false).run()?, in_order);
    // One that has no loss has no targets.
    let mut one = build()?.compile("sgd", Losses::named([("answer", "mse")]))?;
    let of_one = BTreeMap::from([("answer".to_owned(), answers)]);
    let history = one.fit(&x, &of_one).verbose(0).run()?;
    assert_eq!(history.series().len(), 1);
    let mut wrong = build()?.compile("sgd", Losses::named([("anser", "mse")]))?;
    let error = wrong.fit(&x, &of_one).verbose(0).run().unwrap_err().to_string();
    assert!(error.contains("`anser`") && error.contains("did you mean `answer`?"), "{error}");
    Ok(())
}

#[test]
fn metrics_that_layers_hold_are_told() -> Result<()> {
    /// Counts how large its answers are.
    #[derive(Module)]
    #[module(package = "settings")]
    struct Counting {
        dense: Dense,
        size: Mean,
    }
    impl Layer for Counting {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            let y: Tensor = self.dense.call(x)?;
            self.size.update_state(&y.abs()?, None)?;
            Ok(y)
        }
    }
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    for eagerly in [false, true] {
        let model = Counting { dense: Dense::new(1).kernel_initializer("ones"), size: Mean::new().name("size") };
        let mut trainer = model.compile(SGD::new().learning_rate(1e-30), "mse")?.metrics(["mae"])?.run_eagerly(eagerly);
        let fit = trainer.fit(&x, &y).batch_size(4).epochs(2).verbose(0).validation_data(&x, &y);
        let history = fit.run()?;
        // Targets are 0, so that it is the same.
        assert_eq!(history["size"].len(), 2);
        for name in ["size", "val_size"] {
            assert!((history[name][1] - history["mae"][1]).abs() < 1e-6, "{history}");
        }
        assert_eq!(trainer.evaluate(&x, &y).verbose(0).run()?.len(), 3);
    }
    Ok(())
}

#[test]
fn steps_that_scale_the_loss_are_compiled_to_the_bits_of_those_that_are_not() {
    // The second batch is too much for float16: its step is left out.
    let mut values = rows(12, 2).to_vec::<f32>().unwrap();
    values[8..16].iter_mut().for_each(|x| *x *= 1e5);
    let x = Tensor::new([12, 2], values).unwrap();
    let y = zeros([12, 1]);
    let optimizers: [fn() -> LossScaleOptimizer; 3] = [
        || LossScaleOptimizer::new(SGD::new().momentum(0.5)).dynamic_growth_steps(2),
        || LossScaleOptimizer::new(Adam::new().weight_decay(0.1)).dynamic_growth_steps(2),
        || {
            LossScaleOptimizer::new(MultiOptimizer::new(SGD::new()).with(".*/bias", Adam::new()))
                .dynamic_growth_steps(2)
        },
    ];
    for optimizer in optimizers {
        let trained = |eagerly: bool| {
            let model = Sequential::new().add(Dense::new(3).dtype("mixed_float16")).add(Dense::new(1));
            modulor::module::name::stamp(&model, "scaled");
            model.call(&x).unwrap();
            for weight in model.weights() {
                let dims = weight.shape().unwrap();
                weight
                    .assign(
                        &rows(1, dims.iter().product())
                            .reshape(dims.iter().map(|&dim| dim as i64).collect::<Vec<_>>())
                            .unwrap(),
                    )
                    .unwrap();
            }
            let optimizer = optimizer();
            let mut trainer = model.compile(optimizer.share(), "mse").unwrap().run_eagerly(eagerly);
            let mut scales = Vec::new();
            let sees = LambdaCallback::new().on_train_batch_end(|_, _| {
                scales.push(optimizer.scale()?);
                Ok(())
            });
            trainer.fit(&x, &y).batch_size(4).shuffle(false).epochs(3).verbose(0).callback(sees).run().unwrap();
            (bits(&model), bits(&optimizer), scales)
        };
        let compiled = trained(false);
        assert_eq!(compiled.2[..6], [32768.0, 16384.0, 16384.0, 32768.0, 16384.0, 16384.0]);
        assert_eq!(compiled, trained(true));
        assert!(compiled.0.chunks(4).all(|value| f32::from_le_bytes(value.try_into().unwrap()).is_finite()));
    }
}
