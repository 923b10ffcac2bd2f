//! What goes wrong while a model is trained, and is said.

use super::*;
use modulor::ErrorKind;
use modulor::keras::callback::{Context, TerminateOnNaN};
use modulor::keras::training::Losses;

fn fit(x: &Tensor, y: &Tensor, loss: &str) -> Result<History> {
    Dense::new(3).compile("sgd", loss)?.fit(x, y).batch_size(4).verbose(0).run()
}

#[test]
fn shapes_that_do_not_fit_are_refused_with_both() {
    let x = rows(8, 2);
    let error = fit(&x, &zeros([8, 1]), "mse").unwrap_err().to_string();
    assert!(error.contains("(4, 1)") && error.contains("(4, 3)"), "a loss does not broadcast: {error}");
    let error = fit(&x, &zeros([7, 3]), "mse").unwrap_err().to_string();
    assert!(error.contains("`y` has 7 samples and `x` has 8"), "{error}");
    let error = fit(&x, &Tensor::zeros([8, 2, 2], DType::I32).unwrap(), "sparse_categorical_crossentropy").unwrap_err();
    assert!(error.to_string().contains("(4, 2, 2)") && error.to_string().contains("(4, 3)"), "{error}");
    for class in [3_i64, -1] {
        let y = Tensor::from(vec![class; 8]);
        let error = fit(&x, &y, "sparse_categorical_crossentropy").unwrap_err().to_string();
        assert!(error.contains(&class.to_string()) && error.contains("batch 0 of epoch 1"), "{error}");
    }
    let error = fit(&Tensor::scalar(1.0_f32), &Tensor::scalar(1.0_f32), "mse").unwrap_err().to_string();
    assert!(error.contains("scalar"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (x, y) = (rows(4, 2), zeros([4, 1]));
    let said = |wrong: &dyn Fn(modulor::keras::training::Fit<'_, Tensor, Tensor>) -> Result<History>| {
        let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
        wrong(trainer.fit(&x, &y).verbose(0)).unwrap_err().to_string()
    };
    assert!(said(&|fit| fit.epochs(0).run()).contains("`epochs` must be 1 or more"));
    assert!(said(&|fit| fit.batch_size(0).run()).contains("`batch_size` must be 1 or more"));
    assert!(said(&|fit| fit.steps_per_epoch(0).run()).contains("`steps_per_epoch`"));
    assert!(said(&|fit| fit.validation_split(1.5).run()).contains("`validation_split`"));
    assert!(said(&|fit| fit.validation_split(0.9999).run()).contains("too few"));
    assert!(said(&|fit| fit.validation_freq(0).run()).contains("`validation_freq`"));
    assert!(said(&|fit| fit.verbose(7).run()).contains("`verbose`"));
    assert!(said(&|fit| fit.class_weight([(0, f64::NAN)]).run()).contains("class 0"));
    let both = said(&|fit| fit.class_weight([(0, 1.0)]).sample_weight(&Tensor::from([1.0_f32; 4])).run());
    assert!(both.contains("cannot both"), "{both}");
    for rate in [-1.0, f64::NAN] {
        let mut trainer = Dense::new(1).compile(SGD::new().learning_rate(rate), "mse").unwrap();
        let error = trainer.fit(&x, &y).verbose(0).run().unwrap_err().to_string();
        assert!(error.contains("learning_rate"), "{error}");
    }
    let nothing = zeros([0, 2]);
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
    let error = trainer.fit(&nothing, &zeros([0, 1])).verbose(0).run().unwrap_err();
    assert!(error.message().contains("0 batches"), "{error}");
    assert!(trainer.evaluate(&nothing, &zeros([0, 1])).verbose(0).run().is_err());
    assert!(trainer.predict(&nothing).verbose(0).run().is_err());
}

#[test]
fn unknown_names_say_what_is_near() {
    let said = |outcome: Result<Trainer>| outcome.unwrap_err().to_string();
    let model = Dense::new(1);
    assert!(said(model.compile("sgdd", "mse")).contains("did you mean `sgd`?"));
    let error = said(model.compile("sgd", "mean_squred_error"));
    assert!(error.contains("did you mean `mean_squared_error`?"), "{error}");
    let error = said(model.compile("sgd", "mse").unwrap().metrics(["acuracy"]));
    assert!(error.contains("unknown metric `acuracy`") && error.contains("`accuracy`"), "{error}");
    let (x, y) = (rows(4, 2), zeros([4, 1]));
    let mut trainer = model.compile("sgd", Losses::named([("answer", "mse")])).unwrap();
    let error = trainer.fit(&x, &y).verbose(0).run().unwrap_err().to_string();
    assert!(error.contains("`answer`") && error.contains("`output`"), "{error}");
}

#[test]
fn an_error_of_a_callback_is_given_back_and_all_hear_of_the_end() {
    struct Failing(usize);
    impl Callback for Failing {
        fn name(&self) -> &str {
            "failing"
        }
        fn on_train_batch_end(&mut self, batch: usize, _: &mut Context) -> Result<()> {
            if batch == self.0 { Err(Error::internal("no more")) } else { Ok(()) }
        }
    }
    struct Ends(usize, bool);
    impl Callback for Ends {
        fn name(&self) -> &str {
            "ends"
        }
        fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
            (self.0, self.1) = (self.0 + 1, context.is_failed());
            Ok(())
        }
    }
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let optimizer = SGD::new();
    let mut trainer = Dense::new(1).compile(optimizer.share(), "mse").unwrap();
    let mut ends = Ends(0, false);
    let fit = trainer.fit(&x, &y).batch_size(2).verbose(0);
    let error = fit.callback(Failing(1)).callback(&mut ends).run().unwrap_err();
    assert_eq!(error.to_string(), "failing: no more");
    assert_eq!((ends.0, ends.1), (1, true));
    let steps = || optimizer.variables()[0].value().unwrap().item::<i64>().unwrap();
    assert_eq!(steps(), 2, "the model is as the last step left it");
    trainer.fit(&x, &y).batch_size(2).verbose(0).run().unwrap();
    assert_eq!(steps(), 6, "and is trained on");
}

#[test]
fn data_that_fails_or_ends_is_an_error_with_its_place() {
    let batch = || (rows(2, 2), zeros([2, 1]));
    let run = |batches: &dyn Batches<Tensor>, steps: Option<usize>| {
        let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
        let fit = trainer.fit_batches(batches).epochs(2).verbose(0);
        match steps {
            Some(steps) => fit.steps_per_epoch(steps).run(),
            None => fit.run(),
        }
    };
    let failing = From(None, |_, at| Some(if at < 3 { Ok(batch()) } else { Err(Error::data_loss("a broken record")) }));
    let error = run(&failing, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(
        error.to_string().contains("a broken record") && error.to_string().contains("batch 3 of epoch 1"),
        "{error}"
    );
    let ending = From(None, |_, at| (at < 3).then(|| Ok(batch())));
    assert_eq!(run(&ending, None).unwrap().epochs, [0, 1]);
    let error = run(&ending, Some(2)).unwrap_err().to_string();
    assert!(error.contains("epoch 2 has 2 steps, and the data ended after 1"), "{error}");
    let endless = From(None, |_, _| Some(Ok(batch())));
    assert_eq!(run(&endless, Some(3)).unwrap().epochs, [0, 1]);
    let empty = From(None, |_, _| None);
    assert!(run(&empty, None).unwrap_err().message().contains("0 batches"));
    let other_shapes = From(None, |_, at| (at < 4).then(|| Ok((rows(1 + at % 3, 2), zeros([1 + at % 3, 1])))));
    assert_eq!(run(&other_shapes, None).unwrap().epochs, [0, 1], "batches may differ in size");
    let wrong = From(None, |_, at| Some(Ok((rows(2, if at < 2 { 2 } else { 3 }), zeros([2, 1])))));
    let error = run(&wrong, None).unwrap_err().to_string();
    assert!(error.contains("batch 2 of epoch 1") && error.contains("4 vs. 3") || error.contains("3 vs. 2"), "{error}");
}

/// A model with a logarithm in it, of what may be 0.
#[derive(Module)]
#[module(package = "faults")]
struct Logarithm {
    inner: Sequential,
}

#[derive(Module)]
#[module(package = "faults")]
struct Log;

impl Layer for Log {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.log()
    }
}

impl Layer for Logarithm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.inner.call(x)
    }
}

fn logarithm() -> Logarithm {
    Logarithm { inner: Sequential::new().add(Log).add(Dense::new(1)) }
}

#[test]
fn what_is_not_finite_ends_the_training_with_the_first_operation_that_made_it() {
    // The third batch has a 0.
    let x = Tensor::new([8, 1], (0..8).map(|at| if at == 5 { 0.0 } else { 1.0 }).collect::<Vec<f32>>()).unwrap();
    let y = zeros([8, 1]);
    for eagerly in [false, true] {
        let model = logarithm();
        let mut trainer = model.compile("adam", "mse").unwrap().check_numerics(true).run_eagerly(eagerly);
        let mut taken = Vec::new();
        let note = modulor::keras::callback::LambdaCallback::new().on_train_batch_end(|batch, context| {
            taken = bits(&AnyModule(context.model().variables()));
            assert!(batch < 2);
            Ok(())
        });
        let fit = trainer.fit(&x, &y).batch_size(2).shuffle(false).verbose(0);
        let error = fit.callback(note).run().unwrap_err().to_string();
        assert!(error.contains("step 3: the loss has 1"), "{error}");
        assert!(error.contains("came first out of `Log` of float32(2, 1)"), "{error}");
        assert!(error.contains("logarithm/inner/log"), "the layer is named: {error}");
        assert!(error.contains("batch 2 of epoch 1"), "{error}");
        assert_eq!(bits(&model), taken, "the step was not taken");
    }

    let model = logarithm();
    let optimizer = SGD::new();
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    let fit = trainer.fit(&x, &y).batch_size(2).shuffle(false).epochs(3).verbose(0);
    let history = fit.callback(TerminateOnNaN::new()).run().unwrap();
    assert!(history.epochs.is_empty());
    assert_eq!(optimizer.variables()[0].value().unwrap().item::<i64>().unwrap(), 2);
    let fit = trainer.fit(&x, &y).batch_size(2).shuffle(false).verbose(0);
    assert!(fit.callback(TerminateOnNaN::new().raise_error(true)).run().is_err());
}

/// Variables as a module, to take their bits.
#[derive(Module)]
#[module(package = "faults")]
struct AnyModule(Vec<Variable>);

#[test]
fn variables_that_a_loss_does_not_reach_are_named() {
    #[derive(Module)]
    #[module(package = "faults")]
    struct Half {
        used: Dense,
        unused: Dense,
    }
    impl Layer for Half {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.unused.call(x)?;
            self.used.call(x)
        }
    }
    let model = Half { used: Dense::new(1), unused: Dense::new(1).use_bias(false) };
    let mut trainer = model.compile("sgd", "mse").unwrap();
    let (x, y) = (rows(4, 2), zeros([4, 1]));
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    assert_eq!(trainer.without_gradient().len(), 1);
    assert!(trainer.without_gradient()[0].ends_with("unused/kernel"), "{:?}", trainer.without_gradient());
    model.unused.freeze();
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    assert!(trainer.without_gradient().is_empty());
}

#[test]
fn frozen_variables_are_seen_to_be_frozen() {
    let model = Sequential::new().add(Dense::new(2)).add(Dense::new(1));
    let mut trainer = model.compile("sgd", "mse").unwrap();
    let (x, y) = (rows(4, 2), rows(4, 1));
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    let first = model.layers()[0].weights()[0].clone();
    model.layers()[0].freeze();
    let before = first.value().unwrap().to_bytes().unwrap();
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    assert_eq!(first.value().unwrap().to_bytes().unwrap(), before);
    model.layers()[0].thaw();
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    assert_ne!(first.value().unwrap().to_bytes().unwrap(), before);
}
