//! Callbacks, one by one, by the numbers that they are told.

use super::*;
use modulor::keras::callback::{
    CSVLogger, Context, Direction, LambdaCallback, LearningRateScheduler, Logs, Mode, Params, ReduceLROnPlateau,
    SwapEMAWeights,
};
use std::sync::{Arc, Mutex};

/// A context of a small model, and the numbers of some epochs told to callbacks; how many epochs there were.
fn told(callback: impl Callback, name: &str, values: &[f64]) -> (usize, Context) {
    let model = Dense::new(1);
    let _: Tensor = model.call(rows(2, 2)).unwrap();
    let mut context = Context::new(&model, &SGD::new().learning_rate(1.0));
    context.set_direction("accuracy", Direction::Up);
    let mut list = CallbackList::new().with(callback);
    list.on_train_begin(&mut context).unwrap();
    let mut count = 0;
    for (epoch, value) in values.iter().enumerate() {
        list.on_epoch_begin(epoch, &mut context).unwrap();
        context.set_logs(Logs::from_iter([(name, *value)]));
        list.on_epoch_end(epoch, &mut context).unwrap();
        count += 1;
        if context.is_stopping() {
            break;
        }
    }
    list.on_train_end(&mut context).unwrap();
    (count, context)
}

#[test]
fn early_stopping_waits_as_long_as_it_is_told() {
    let epochs = |stopping: EarlyStopping, values: &[f64]| told(stopping.monitor("val_loss"), "val_loss", values).0;
    // What Keras does with the same numbers.
    assert_eq!(epochs(EarlyStopping::new(), &[1.0, 0.5, 0.5, 0.4]), 3);
    assert_eq!(epochs(EarlyStopping::new().patience(2), &[1.0, 0.5, 0.6, 0.5, 0.4]), 4);
    assert_eq!(epochs(EarlyStopping::new().min_delta(0.2), &[1.0, 0.5, 0.4, 0.1]), 3);
    assert_eq!(epochs(EarlyStopping::new().start_from_epoch(2), &[1.0, 2.0, 3.0, 2.5, 2.6, 1.0]), 5);
    assert_eq!(epochs(EarlyStopping::new().baseline(0.5).patience(2), &[1.0, 0.9, 0.8, 0.7, 0.6]), 5);
    assert_eq!(epochs(EarlyStopping::new().baseline(0.5).patience(2), &[0.4, 0.9, 0.8, 0.7, 0.6]), 3);
    assert_eq!(epochs(EarlyStopping::new().mode(Mode::Max), &[1.0, 2.0, 1.5]), 3);
    assert_eq!(told(EarlyStopping::new().monitor("accuracy"), "accuracy", &[0.1, 0.2, 0.1]).0, 3);
}

#[test]
fn early_stopping_brings_the_best_weights_back() {
    let model = Dense::new(1);
    let _: Tensor = model.call(rows(2, 2)).unwrap();
    let bias = model.weights()[1].clone();
    let mut context = Context::new(&model, &SGD::new());
    let mut stopping = EarlyStopping::new().monitor("loss").patience(5).restore_best_weights(true);
    let mut list = CallbackList::new().with(&mut stopping);
    list.on_train_begin(&mut context).unwrap();
    for (epoch, loss) in [0.5, 0.2, 0.4].into_iter().enumerate() {
        bias.assign(&Tensor::from([epoch as f32])).unwrap();
        context.set_logs(Logs::from_iter([("loss", loss)]));
        list.on_epoch_end(epoch, &mut context).unwrap();
    }
    list.on_train_end(&mut context).unwrap();
    drop(list);
    assert_eq!(bias.value().unwrap().to_vec::<f32>().unwrap(), [1.0]);
    assert_eq!((stopping.best(), stopping.best_epoch(), stopping.stopped_epoch()), (Some(0.2), 1, None));
}

#[test]
fn a_plateau_lowers_the_learning_rate() {
    let rate = |plateau: ReduceLROnPlateau, values: &[f64]| {
        told(plateau.monitor("loss"), "loss", values).1.learning_rate().unwrap()
    };
    let half = || ReduceLROnPlateau::new().factor(0.5);
    assert_eq!(rate(half().patience(2), &[1.0, 1.0, 1.0]), 0.5);
    assert_eq!(rate(half().patience(1), &[1.0, 1.0, 1.0]), 0.25);
    assert_eq!(rate(half().patience(1).cooldown(2), &[1.0, 1.0, 1.0]), 0.5);
    assert_eq!(rate(half().patience(1).min_lr(0.4), &[1.0, 1.0, 1.0, 1.0]), f64::from(0.4_f32));
    assert_eq!(rate(half().patience(1), &[1.0, 0.9, 0.8]), 1.0);
    for wrong in [half().factor(1.0), half().factor(0.0), half().min_lr(-1.0)] {
        let mut context = Context::new(&Dense::new(1), &SGD::new());
        assert!(CallbackList::new().with(wrong).on_train_begin(&mut context).is_err());
    }
}

#[test]
fn a_number_whose_direction_nobody_knows_is_an_error() {
    let mut context = Context::new(&Dense::new(1), &SGD::new());
    context.set_logs(Logs::from_iter([("own", 1.0)]));
    let mut list = CallbackList::new().with(EarlyStopping::new().monitor("own"));
    let error = list.on_epoch_end(0, &mut context).unwrap_err();
    assert!(error.to_string().contains("`own`") && error.to_string().contains("Mode::Min"), "{error}");
}

#[test]
fn hooks_come_in_kerass_order() {
    struct Listening(Arc<Mutex<Vec<String>>>);
    impl Callback for Listening {
        fn name(&self) -> &str {
            "listening"
        }
        fn on_train_begin(&mut self, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push("train{".to_owned());
            Ok(())
        }
        fn on_train_end(&mut self, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push("}train".to_owned());
            Ok(())
        }
        fn on_epoch_begin(&mut self, epoch: usize, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push(format!("epoch {epoch}{{"));
            Ok(())
        }
        fn on_epoch_end(&mut self, _: usize, context: &mut Context) -> Result<()> {
            assert!(context.logs()?.get("val_loss").is_some());
            self.0.lock().unwrap().push("}".to_owned());
            Ok(())
        }
        fn on_train_batch_begin(&mut self, batch: usize, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push(format!("{batch}<"));
            Ok(())
        }
        fn on_train_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
            assert!(context.logs()?.get("loss").is_some_and(f64::is_finite));
            self.0.lock().unwrap().push(format!(">{batch}"));
            Ok(())
        }
        fn on_test_begin(&mut self, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push("test".to_owned());
            Ok(())
        }
        fn on_test_batch_end(&mut self, batch: usize, _: &mut Context) -> Result<()> {
            self.0.lock().unwrap().push(format!("t{batch}"));
            Ok(())
        }
    }
    let heard = Arc::default();
    let (x, model) = (rows(10, 2), Dense::new(1));
    let y = zeros([10, 1]);
    let mut trainer = model.compile("sgd", "mse").unwrap().steps_per_execution(2).unwrap();
    let fit = trainer.fit(&x, &y).batch_size(4).verbose(0).validation_data(&x, &y);
    fit.callback(Listening(Arc::clone(&heard))).run().unwrap();
    assert_eq!(
        heard.lock().unwrap().join(" "),
        "train{ epoch 0{ 0< >1 2< >2 test t0 t1 t2 } }train",
        "two steps are one execution"
    );
}

#[test]
fn learning_rates_are_scheduled_and_logged() {
    let (x, y) = (rows(4, 2), zeros([4, 1]));
    let mut trainer = Dense::new(1).compile(SGD::new().learning_rate(0.5), "mse").unwrap();
    let halving = LearningRateScheduler::new(|_, rate| rate / 2.0);
    let history = trainer.fit(&x, &y).epochs(3).verbose(0).callback(halving).run().unwrap();
    assert_eq!(history["learning_rate"], [0.25, 0.125, 0.0625]);
}

#[test]
fn a_log_is_kerass_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let log = |append: bool, epochs: &[usize]| {
        let mut context = Context::new(&Dense::new(1), &SGD::new());
        let mut list = CallbackList::new().with(CSVLogger::new(&path).append(append));
        list.on_train_begin(&mut context).unwrap();
        for &epoch in epochs {
            context.set_logs(Logs::from_iter([("loss", 0.5), ("accuracy", epoch as f64)]));
            list.on_epoch_end(epoch, &mut context).unwrap();
        }
        list.on_train_end(&mut context).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    let header = "epoch,accuracy,loss,val_accuracy,val_loss\r\n";
    assert_eq!(log(false, &[0, 1]), format!("{header}0,0.0,0.5,NA,NA\r\n1,1.0,0.5,NA,NA\r\n"));
    assert_eq!(log(true, &[2]), format!("{header}0,0.0,0.5,NA,NA\r\n1,1.0,0.5,NA,NA\r\n2,2.0,0.5,NA,NA\r\n"));
    assert_eq!(log(false, &[0]), format!("{header}0,0.0,0.5,NA,NA\r\n"));
}

#[test]
fn the_best_model_is_saved_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best-{epoch:02d}").display().to_string();
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let model = Dense::new(1);
    let mut trainer = model.compile(SGD::new().learning_rate(0.1), "mse").unwrap();
    let mut saving = ModelCheckpoint::new(path).monitor("loss").save_best_only(true).save_weights_only(true);
    trainer.fit(&x, &y).epochs(3).verbose(0).callback(&mut saving).run().unwrap();
    assert!(saving.last_saved().unwrap().ends_with("best-03"), "{saving:?}");
    let before = bits(&model);
    model.weights()[0].assign(&zeros([2, 1])).unwrap();
    Checkpoint::new(&model).read(folder.path().join("best-03")).unwrap().assert_consumed().unwrap();
    assert_eq!(bits(&model), before);
    assert!(folder.path().join("best-01.index").exists());
}

#[test]
fn closures_are_callbacks() {
    let (x, y) = (rows(4, 2), zeros([4, 1]));
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
    let mut losses = Vec::new();
    let callback = LambdaCallback::new().on_epoch_end(|epoch, context| {
        losses.push((epoch, context.logs()?["loss"]));
        Ok(())
    });
    let history = trainer.fit(&x, &y).epochs(2).verbose(0).callback(callback).run().unwrap();
    assert_eq!(losses, [(0, history["loss"][0]), (1, history["loss"][1])]);
}

#[test]
fn averages_are_swapped_in_and_out() {
    let (x, y) = (rows(8, 2), zeros([8, 1]));
    let model = Dense::new(1);
    let optimizer = SGD::new().use_ema(true);
    let mut trainer = model.compile(optimizer.share(), "mse").unwrap();
    trainer.fit(&x, &y).epochs(2).batch_size(2).verbose(0).callback(SwapEMAWeights::new()).run().unwrap();
    let mut plain = Dense::new(1).compile("sgd", "mse").unwrap();
    let error = plain.fit(&x, &y).verbose(0).callback(SwapEMAWeights::new()).run().unwrap_err();
    assert!(error.to_string().contains("use_ema"), "{error}");

    let mut context = Context::new(&model, &optimizer);
    context.set_params(Params { epochs: 1, ..Params::default() });
    let mut list = CallbackList::new().with(SwapEMAWeights::new());
    let before = bits(&model);
    list.on_test_begin(&mut context).unwrap();
    list.on_test_end(&mut context).unwrap();
    assert_eq!(bits(&model), before);
}

#[test]
fn all_of_kerass_that_need_no_network_are_here() {
    let ours = modulor::keras::callback::CALLBACKS;
    assert!(ours.is_sorted() && ours.contains(&"EarlyStopping"));
}
