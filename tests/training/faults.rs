//! What goes wrong while a model is trained, and is said.

use super::*;
use modulor::ErrorKind;
use modulor::keras::callback::{Context, LambdaCallback, LearningRateScheduler, TerminateOnNaN};
use modulor::keras::optimizer::schedule::CosineDecay;
use modulor::keras::optimizer::{LossScaleOptimizer, MultiOptimizer};
use modulor::keras::training::{Fit, Interrupt, Losses};
use modulor::tensor::{memory_in_use, set_memory_limit};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let said = |wrong: &dyn Fn(Fit<'_, Tensor, Tensor>) -> Result<History>| {
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
        let note = LambdaCallback::new().on_train_batch_end(|batch, context| {
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

/// How many steps an optimizer has taken.
fn steps_of(optimizer: &SGD) -> i64 {
    optimizer.variables()[0].value().unwrap().item::<i64>().unwrap()
}

/// Counts how often it hears of the end of a training, and whether that failed.
#[derive(Default)]
struct Ends(Vec<bool>);

impl Callback for Ends {
    fn name(&self) -> &str {
        "ends"
    }

    fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
        self.0.push(context.is_failed());
        Ok(())
    }
}

#[test]
fn a_panic_of_a_callback_is_an_error_like_others() {
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let optimizer = SGD::new();
    let model = Dense::new(1);
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    let (mut ends, mut taken) = (Ends::default(), Vec::new());
    let panics = LambdaCallback::new().on_train_batch_end(|batch, context| {
        taken = bits(&AnyModule(context.model().variables()));
        assert!(batch < 2, "not the third");
        Ok(())
    });
    let fit = trainer.fit(&x, &y).batch_size(2).verbose(0).callback(panics).callback(&mut ends);
    let error = fit.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.to_string(), "lambda_callback: a hook panicked: not the third");
    assert_eq!((steps_of(&optimizer), ends.0), (3, vec![true]));
    assert_eq!(bits(&model), taken, "the model is as the last step left it");

    let at_begin = LambdaCallback::new().on_train_begin(|_| panic!("at once"));
    let error = trainer.fit(&x, &y).verbose(0).callback(at_begin).run().unwrap_err();
    assert!(error.to_string().contains("at once"), "{error}");
    // At the end all others hear of it, and the first error is told.
    let mut ends = Ends::default();
    let at_end = LambdaCallback::new().on_train_end(|_| panic!("at last"));
    let error = trainer.fit(&x, &y).verbose(0).callback(at_end).callback(&mut ends).run().unwrap_err();
    assert!(error.to_string().contains("at last"), "{error}");
    assert_eq!(ends.0, [false]);
    trainer.fit(&x, &y).batch_size(2).verbose(0).run().unwrap();
    assert_eq!(steps_of(&optimizer), 8);
}

#[test]
fn a_panic_of_a_model_goes_on_and_leaves_all_usable() {
    /// Panics at one of its calls.
    #[derive(Module)]
    #[module(package = "faults")]
    struct Trap {
        dense: Dense,
        #[skip]
        calls: std::sync::Arc<AtomicUsize>,
    }
    impl Layer for Trap {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            assert_ne!(self.calls.fetch_add(1, Ordering::Relaxed), 4, "sprung");
            self.dense.call(x)
        }
    }
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let model = Trap { dense: Dense::new(1), calls: std::sync::Arc::default() };
    let mut trainer = model.compile("sgd", "mse").unwrap().run_eagerly(true);
    let mut ends = Ends::default();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        trainer.fit(&x, &y).batch_size(2).verbose(0).callback(&mut ends).run()
    }));
    assert!(outcome.is_err());
    assert_eq!(ends.0, [true]);
    assert_eq!(trainer.fit(&x, &y).batch_size(2).verbose(0).run().unwrap().epochs, [0]);
}

#[test]
fn data_that_panics_is_an_error_with_its_place_on_this_thread_and_on_others() {
    let record = |at: i64| Ok((rows(1, 2).reshape([2])?, Tensor::from([at as f32])));
    let broken = Dataset::range(0..12).map(move |at| {
        let at = at.item::<i64>()?;
        assert_ne!(at, 7, "record 7 is broken");
        record(at)
    });
    let optimizer = SGD::new();
    let mut trainer = Dense::new(1).compile(optimizer.share(), "mse").unwrap();
    for data in [broken.clone(), broken.threads(3), broken.prefetch(2)] {
        let before = optimizer.variables().first().map_or(0, |_| steps_of(&optimizer));
        let mut ends = Ends::default();
        let error = trainer.fit_batches(data.batch(2)).verbose(0).callback(&mut ends).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        let said = error.to_string();
        assert!(said.contains("panicked: ") && said.contains("record 7 is broken"), "{said}");
        assert!(said.contains("in batch 3 of epoch 1"), "{said}");
        assert_eq!((steps_of(&optimizer) - before, ends.0), (3, vec![true]));
    }
    let batches = broken.batch(2);
    let error = trainer.evaluate_batches(&batches).verbose(0).run().unwrap_err().to_string();
    assert!(error.contains("record 7 is broken") && error.contains("in batch 3 of an evaluation"), "{error}");
    // An error has the number of its record, and its own words.
    let failing = Dataset::from_generator(move |_| {
        (0..12).map(move |at| if at == 7 { Err(Error::data_loss("a torn record")) } else { record(at) })
    });
    let error = trainer.fit_batches(failing.batch(2)).verbose(0).run().unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::DataLoss, "a torn record"));
    assert!(error.to_string().contains("element 7") && error.to_string().contains("batch 3 of epoch 1"), "{error}");
    assert_eq!(trainer.fit_batches(failing.take(6).batch(4)).verbose(0).run().unwrap().epochs, [0]);
}

#[test]
fn data_without_an_end_asks_for_a_number_of_steps() {
    let endless = Dataset::from_tensor_slices((rows(4, 2), zeros([4, 1]))).unwrap().repeat(None).batch(2);
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
    let error = trainer.fit_batches(&endless).verbose(0).run().unwrap_err().to_string();
    assert!(error.contains("has no end") && error.contains("`steps_per_epoch`"), "{error}");
    let fit = trainer.fit_batches(&endless).steps_per_epoch(3).verbose(0).validation_batches(&endless);
    let error = fit.run().unwrap_err().to_string();
    assert!(error.contains("`validation_steps`"), "{error}");
    assert!(trainer.evaluate_batches(&endless).verbose(0).run().unwrap_err().message().contains("`steps`"));
    assert!(trainer.predict_batches(&endless).verbose(0).run().unwrap_err().message().contains("`steps`"));
    let fit = trainer.fit_batches(&endless).steps_per_epoch(3).verbose(0).validation_batches(&endless);
    fit.validation_steps(2).run().unwrap();
    trainer.evaluate_batches(&endless).steps(2).verbose(0).run().unwrap();
}

#[test]
fn a_dataset_without_elements_or_batches_is_refused() {
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
    let data = Dataset::from_tensor_slices((rows(4, 2), zeros([4, 1]))).unwrap();
    for (empty, says) in [(data.take(0).batch(2), "0 batches"), (data.batch(0), "`batch` of 0 elements")] {
        let error = trainer.fit_batches(&empty).verbose(0).run().unwrap_err();
        assert!(error.message().contains(says), "{error}");
        assert!(trainer.evaluate_batches(&empty).verbose(0).run().unwrap_err().message().contains(says));
        assert!(trainer.predict_batches(&empty).verbose(0).run().unwrap_err().message().contains(says));
        let fit = trainer.fit_batches(data.batch(2)).verbose(0).validation_batches(&empty);
        assert!(fit.run().unwrap_err().message().contains(says));
    }
    // More than there are is one batch; the last one may be smaller.
    let optimizer = SGD::new();
    let mut trainer = Dense::new(1).compile(optimizer.share(), "mse").unwrap();
    for (size, steps) in [(100, 1), (usize::MAX, 2), (3, 4)] {
        trainer.fit(rows(4, 2), &zeros([4, 1])).batch_size(size).verbose(0).run().unwrap();
        assert_eq!(steps_of(&optimizer), steps);
    }
}

#[test]
fn targets_without_the_last_axis_are_as_with_it() {
    let run = |y: &Tensor| {
        let model = Dense::new(1).kernel_initializer("ones");
        model.compile("sgd", "mse").unwrap().fit(rows(6, 2), y).batch_size(4).shuffle(false).verbose(0).run().unwrap()
    };
    let y = rows(6, 1);
    assert_eq!(run(&y.reshape([6]).unwrap()), run(&y), "and not each with each");
    let error = fit(&rows(8, 2), &zeros([8, 3]).slice((.., 0)).unwrap(), "mse").unwrap_err().to_string();
    assert!(error.contains("(4,)") && error.contains("(4, 3)"), "{error}");
    let weighed = |weight: Tensor| {
        let mut trainer = Dense::new(3).compile("sgd", "mse").unwrap();
        trainer.fit(rows(8, 2), &zeros([8, 3])).batch_size(4).verbose(0).sample_weight(&weight).run()
    };
    let error = weighed(rows(7, 1).reshape([7]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("`sample_weight` has 7 samples and `x` has 8"), "{error}");
    let error = weighed(zeros([8, 2])).unwrap_err().to_string();
    assert!(error.contains("(4, 2)"), "{error}");
}

#[test]
fn absurd_numbers_are_refused_or_do_no_harm() {
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let (most, enough) = (usize::MAX, || {
        LambdaCallback::new().on_epoch_end(|_, context| {
            context.stop_training();
            Ok(())
        })
    });
    let page = progress::Page::default();
    let bar = || modulor::keras::callback::ProgbarLogger::to(page.clone(), true);
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap().steps_per_execution(most).unwrap();
    let fit = trainer.fit(&x, &y).batch_size(2).epochs(most).verbose(0).callback(enough()).callback(bar());
    assert_eq!(fit.run().unwrap().epochs, [0]);
    let fit = trainer.fit(&x, &y).batch_size(2).steps_per_epoch(most).validation_data(&x, &y).validation_steps(most);
    assert_eq!(fit.validation_freq(1).verbose(0).run().unwrap().epochs, [0]);
    let fit = trainer.fit(&x, &y).initial_epoch(most).epochs(most).verbose(0);
    assert!(fit.run().unwrap().epochs.is_empty(), "the last epoch has been");
    let endless = Dataset::from_tensor_slices((rows(4, 2), zeros([4, 1]))).unwrap().repeat(None).batch(2);
    let stop = LambdaCallback::new().on_train_batch_end(|_, context| {
        context.stop_training();
        Ok(())
    });
    let mut stepwise = Dense::new(1).compile("sgd", "mse").unwrap();
    let fit = stepwise.fit_batches(&endless).steps_per_epoch(most).epochs(most).verbose(0);
    assert_eq!(fit.callback(stop).callback(bar()).run().unwrap().epochs, [0]);
    assert!(stepwise.evaluate_batches(&endless).steps(0).verbose(0).run().unwrap_err().message().contains("`steps`"));
    assert!(stepwise.evaluate(&x, &y).verbose(9).run().unwrap_err().message().contains("`verbose`"));
    assert!(Dense::new(1).compile::<Tensor, Tensor>("sgd", "mse").unwrap().steps_per_execution(0).is_err());

    for rate in [f64::NAN, -0.5] {
        let scheduler = LearningRateScheduler::new(move |_, _| rate);
        let error = stepwise.fit(&x, &y).verbose(0).callback(scheduler).run().unwrap_err().to_string();
        assert!(error.contains("learning_rate") && error.contains(&rate.to_string()), "{error}");
    }
    stepwise.fit(&x, &y).verbose(0).run().unwrap();
}

#[test]
fn settings_that_make_no_sense_are_refused_before_there_is_a_trainer() {
    fn said(optimizer: impl Optimizer) -> String {
        let error =
            Dense::new(1).compile::<Tensor, Tensor>(optimizer, "mse").map(|_| ()).expect_err("it makes no sense");
        error.to_string()
    }
    for rate in [-1e-9, -0.5, 0.0, -0.0, 1e-60, f64::INFINITY, f64::NEG_INFINITY, 1e39, f64::NAN] {
        let error = said(SGD::new().learning_rate(rate));
        assert!(error.contains("sgd: ") && error.contains("`learning_rate` must be"), "{rate}: {error}");
        let error = said(LossScaleOptimizer::new(Adam::new().learning_rate(rate)));
        assert!(error.contains("`learning_rate` must be"), "{rate}: {error}");
        let error = said(MultiOptimizer::new(Adam::new()).with("a", Adam::new().learning_rate(rate)));
        assert!(error.contains("`learning_rate` must be"), "{rate}: {error}");
    }
    for momentum in [1.5, -0.1, f64::NAN] {
        assert!(said(SGD::new().momentum(momentum)).contains("`momentum` must be between 0 and 1"), "{momentum}");
    }
    assert!(said(SGD::new().clipnorm(-1.0)).contains("`clipnorm`"));
    assert!(said(SGD::new().weight_decay(f64::NAN)).contains("`weight_decay`"));
    assert!(said(Adam::new().beta_1(1.5)).contains("`beta_1`"));
    assert!(said(SGD::new().learning_rate(CosineDecay::new(f64::NAN, 10))).contains("`initial_learning_rate`"));
    assert!(said(LossScaleOptimizer::new(SGD::new()).initial_scale(0.0)).contains("`initial_scale`"));
}

#[test]
fn a_learning_rate_may_be_0_on_its_way() {
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let warm = CosineDecay { warmup_target: Some(0.5), warmup_steps: 2, ..CosineDecay::new(0.0, 2) };
    let (model, optimizer) = (Dense::new(1), SGD::new().learning_rate(warm));
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    let mut seen = Vec::new();
    let sees = LambdaCallback::new().on_train_batch_begin(|_, context| {
        seen.push(context.learning_rate()?);
        Ok(())
    });
    trainer.fit(&x, &y).batch_size(2).verbose(0).callback(sees).run().unwrap();
    assert_eq!(seen, [0.0, 0.25, 0.5, 0.25]);

    // By hand it becomes 0 and no less, whoever sets it.
    let optimizer = SGD::new();
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    for rate in [-1e-9, f64::NAN, f64::INFINITY] {
        let error = optimizer.set_learning_rate(rate).unwrap_err().to_string();
        assert_eq!(error, format!("sgd: `learning_rate` must be a finite number not below 0, found {rate}"));
    }
    assert_eq!(optimizer.current_learning_rate().unwrap(), f64::from(0.01_f32));
    optimizer.set_learning_rate(0.0).unwrap();
    let before = bits(&model);
    trainer.fit(&x, &y).verbose(0).run().unwrap();
    assert_eq!(bits(&model), before);
}

#[test]
fn another_thread_ends_a_training_at_the_edge_of_a_step() {
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let optimizer = SGD::new();
    let model = Dense::new(1);
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    let interrupt = Interrupt::new();
    let asked = interrupt.clone();
    let (begun, begins) = std::sync::mpsc::channel();
    let asks = std::thread::spawn(move || {
        begins.recv().unwrap();
        asked.interrupt();
    });
    let (mut ends, mut taken) = (Ends::default(), Vec::new());
    let tells = LambdaCallback::new().on_train_batch_end(|batch, context| {
        if (context.epoch(), batch) == (1, 1) {
            let _ = begun.send(());
        }
        taken = bits(&AnyModule(context.model().variables()));
        Ok(())
    });
    let fit = trainer.fit(&x, &y).batch_size(2).epochs(usize::MAX).verbose(0).interrupt(&interrupt);
    let error = fit.callback(tells).callback(&mut ends).run().unwrap_err();
    asks.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.to_string(), format!("interrupted after step {}", steps_of(&optimizer)));
    assert!(steps_of(&optimizer) >= 6);
    assert_eq!((bits(&model), ends.0), (taken, vec![true]));
    // It is noticed before the first step, and elsewhere.
    let before = steps_of(&optimizer);
    assert!(trainer.fit(&x, &y).verbose(0).interrupt(&interrupt).run().is_err());
    assert_eq!(steps_of(&optimizer), before);
    let error = trainer.evaluate(&x, &y).verbose(0).interrupt(&interrupt).run().unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Cancelled, "interrupted after 0 batches of an evaluation"));
    assert!(trainer.predict(&x).verbose(0).interrupt(&interrupt).run().is_err());
    interrupt.clear();
    trainer.fit(&x, &y).verbose(0).interrupt(&interrupt).run().unwrap();
}

/// A training of some 40 epochs, saved to a folder after every epoch; gives the bits of its weights.
fn train_long(folder: &Path, interrupt: &Interrupt, callback: impl Callback) -> Result<Vec<u8>> {
    let (x, model) = (rows(44, 5), model());
    let y = classes(&x, 3);
    let mut trainer = model.compile(Adam::new(), "sparse_categorical_crossentropy")?;
    let fit = trainer.fit(&x, &y).batch_size(8).epochs(40).seed(5).verbose(0).interrupt(interrupt);
    fit.callback(callback).callback(BackupAndRestore::new(folder.join("backup"))).run()?;
    Ok(bits(&model))
}

const FOLDER: &str = "MODULOR_TRAINING_FOLDER";

/// A process that is ended by Ctrl-C.
#[test]
#[ignore = "is run by another test, in a process of its own"]
fn interrupted_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let interrupt = Interrupt::new();
    let asked = interrupt.clone();
    ctrlc::set_handler(move || asked.interrupt()).unwrap();
    let tells = LambdaCallback::new().on_train_batch_end(|batch, context| {
        println!("batch {} {batch}", context.epoch());
        // Nothing is timed: the parent's signal comes in the middle of the training.
        if (context.epoch(), batch) == (3, 2) {
            let pause = std::time::Duration::from_millis(1);
            (0..20_000).take_while(|_| !interrupt.is_interrupted()).for_each(|_| std::thread::sleep(pause));
        }
        Ok(())
    });
    let error = train_long(Path::new(&folder), &interrupt, tells).unwrap_err();
    println!("said {}: {error}", error.kind() == ErrorKind::Cancelled);
}

/// This program in another process, which runs one ignored test.
fn child(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command.args([&format!("training::faults::{test}"), "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts")
}

#[cfg(unix)]
#[test]
fn a_process_that_gets_sigint_saves_its_training_and_another_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut started = child("interrupted_child", folder.path());
    let mut lines = BufReader::new(started.stdout.take().expect("it is piped")).lines().map_while(std::io::Result::ok);
    assert!(lines.any(|line| line.contains("batch 3 2")));
    let sent = Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let said: Vec<String> = lines.collect();
    assert!(said.iter().any(|line| line == "said true: interrupted after step 22"), "{said:?}");
    assert!(started.wait().unwrap().success());

    let mut first = None;
    let notes = LambdaCallback::new().on_train_batch_end(|batch, context| {
        first.get_or_insert((context.epoch(), batch));
        Ok(())
    });
    let taken_up = train_long(folder.path(), &Interrupt::new(), notes).unwrap();
    assert_eq!(first, Some((3, 4)), "not a step is lost");
    let other = tempfile::tempdir().unwrap();
    assert_eq!(taken_up, train_long(other.path(), &Interrupt::new(), Ends::default()).unwrap());
}

#[test]
fn what_is_frozen_and_thawed_in_the_middle_counts_from_the_next_epoch() {
    let (x, y) = (rows(8, 2), rows(8, 1));
    for eagerly in [false, true] {
        let model = Sequential::new().add(Dense::new(2)).add(Dense::new(1));
        model.call(&x).unwrap();
        let (first, last) = (model.layers()[0].weights()[0].clone(), model.layers()[1].weights()[0].clone());
        let value = |variable: &Variable| variable.value().unwrap().to_bytes().unwrap();
        model.layers()[0].freeze();
        let optimizer = Adam::new();
        let mut trainer = model.compile(optimizer.share(), "mse").unwrap().run_eagerly(eagerly);
        let mut seen = vec![(value(&first), value(&last))];
        let turns = LambdaCallback::new()
            .on_epoch_begin(|epoch, _| {
                if epoch == 1 {
                    model.layers()[0].thaw();
                    model.layers()[1].freeze();
                }
                Ok(())
            })
            .on_epoch_end(|_, _| {
                seen.push((value(&first), value(&last)));
                Ok(())
            });
        trainer.fit(&x, &y).batch_size(4).epochs(2).verbose(0).callback(turns).run().unwrap();
        let changed: Vec<_> = seen.windows(2).map(|pair| (pair[0].0 != pair[1].0, pair[0].1 != pair[1].1)).collect();
        assert_eq!(changed, [(false, true), (true, false)], "the first layer, and the last");
        // Compiled anew it goes on, with an optimizer that knows some of the variables.
        model.layers()[1].thaw();
        let mut trainer = model.compile(optimizer.share(), "mae").unwrap();
        trainer.fit(&x, &y).batch_size(4).verbose(0).run().unwrap();
        // Nothing is trained of what is frozen altogether.
        model.layers().iter().for_each(|layer| layer.freeze());
        let before = bits(&model);
        trainer.fit(&x, &y).batch_size(4).verbose(0).run().unwrap();
        assert_eq!(bits(&model), before);
    }
}

#[test]
fn a_loss_that_reaches_nothing_names_a_variable() {
    /// Answers without looking at its weights.
    #[derive(Module)]
    #[module(package = "faults")]
    struct Blind {
        dense: Dense,
    }
    impl Layer for Blind {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.dense.call(x)?;
            x.sum_keepdims(-1)
        }
    }
    let model = Blind { dense: Dense::new(1) };
    let mut trainer = model.compile("sgd", "mse").unwrap();
    let error = trainer.fit(rows(4, 2), &zeros([4, 1])).verbose(0).run().unwrap_err().to_string();
    assert!(error.contains("no gradient") && error.contains("`blind/dense/bias`"), "{error}");
}

#[test]
fn metrics_count_beyond_what_float32_tells_apart() {
    use modulor::keras::metric::{BinaryAccuracy, Mean, MeanSquaredError, Metric, Precision, Sum};
    // Beyond 2²⁴ a float32 does not see one more.
    let (many, few) = ((1 << 24) as f32, 1000);
    let counts = |update: &dyn Fn(f32, f32)| {
        update(1.0, many);
        (0..few).for_each(|_| update(1.0, 1.0));
    };
    let (mean, sum) = (Mean::new(), Sum::new());
    counts(&|value, weight| mean.update_state(&Tensor::scalar(value), Some(&Tensor::scalar(weight))).unwrap());
    mean.update_state(&Tensor::scalar(0.0_f32), Some(&Tensor::scalar(many + few as f32))).unwrap();
    assert_eq!(mean.result().unwrap().item::<f32>().unwrap(), 0.5);
    counts(&|value, weight| sum.update_state(&Tensor::scalar(value), Some(&Tensor::scalar(weight))).unwrap());
    sum.update_state(&Tensor::scalar(-many), None).unwrap();
    assert_eq!(sum.result().unwrap().item::<f32>().unwrap(), few as f32);
    let each: [Box<dyn Metric>; 3] =
        [Box::new(BinaryAccuracy::new()), Box::new(Precision::new()), Box::new(MeanSquaredError::new())];
    for metric in each {
        // What is right, and as often what is wrong; squares of 0 and of 1.
        let update = |truth: f32, weight: f32| {
            metric
                .update_state(&Tensor::from([truth]), &Tensor::from([1.0_f32]), Some(&Tensor::from([weight])))
                .unwrap();
        };
        counts(&update);
        update(0.0, many + few as f32);
        assert_eq!(metric.result().unwrap().item::<f32>().unwrap(), 0.5, "{}", metric.name());
    }
}

/// A process whose tensors may take just so much memory.
#[test]
#[ignore = "is run by another test, in a process of its own"]
fn bounded_child() {
    if std::env::var_os(FOLDER).is_none() {
        return;
    }
    let (x, model) = (rows(64, 32), model());
    let y = classes(&x, 3);
    let mut trainer = model.compile(Adam::new(), "sparse_categorical_crossentropy").unwrap();
    trainer.fit(&x, &y).batch_size(32).verbose(0).run().unwrap();
    modulor::tensor::set_spare_memory(0);
    let (mut refused, mut went) = (0, 0);
    // From nothing more than there is, in small steps, up to what a training needs.
    for more in (0..).map(|step| step * 256) {
        let before = bits(&model);
        let mut taken = before.clone();
        let note = LambdaCallback::new().on_train_batch_end(|_, context| {
            taken = bits(&AnyModule(context.model().variables()));
            Ok(())
        });
        let fit = trainer.fit(&x, &y).batch_size(32).verbose(0).callback(note);
        set_memory_limit(memory_in_use() + more);
        let outcome = fit.run();
        set_memory_limit(usize::MAX);
        match outcome {
            Ok(_) => went += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
                assert_eq!(bits(&model), taken, "with {more} bytes: the model is as the last step left it");
                refused += 1;
            }
        }
        if went == 3 {
            break;
        }
    }
    println!("said {refused} of {}", refused + went);
    trainer.fit(&x, &y).batch_size(32).verbose(0).run().unwrap();
}

#[test]
fn memory_that_is_refused_anywhere_leaves_the_model_as_the_last_step_did() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("bounded_child", folder.path()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("said "), "{said}");
    println!("{said}");
}
