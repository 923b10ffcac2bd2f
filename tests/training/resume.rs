//! Trainings that were interrupted, and are taken up again.

use super::*;
use crate::checkpoint::fault_vfs::FaultVfs;
use modulor::keras::callback::{CSVLogger, Context, LearningRateScheduler, ReduceLROnPlateau};
use std::path::Path;

/// Ends the training by an error after so many batches.
struct Interrupt(Option<usize>);

impl Callback for Interrupt {
    fn name(&self) -> &str {
        "interrupt"
    }

    fn on_train_batch_end(&mut self, _: usize, _: &mut Context) -> Result<()> {
        match &mut self.0 {
            Some(0) => Err(Error::internal("interrupted")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What a training comes to: the bits of its weights, its history and its log.
#[derive(Debug, PartialEq)]
struct End {
    bits: Vec<u8>,
    history: History,
    log: String,
    stopped: Option<usize>,
    /// The best number that a model was saved for, and the models that were.
    best: Option<f64>,
    saved: Vec<String>,
}

const SAMPLES: usize = 44;

/// A training with chance, orders, schedules and a stop, begun as by a new process; it ends early after so many batches.
fn train(folder: &Path, backup: Option<usize>, interrupt: Option<usize>) -> Result<End> {
    let x = rows(SAMPLES, 5);
    let y = classes(&x, 3);
    let (model, log) = (model(), folder.join("log.csv"));
    let mut stopping = EarlyStopping::new().patience(2).monitor("val_accuracy").restore_best_weights(true);
    let mut saving = ModelCheckpoint::new(folder.join("best/{epoch:02d}-{val_loss:.4f}").display().to_string())
        .save_best_only(true)
        .save_weights_only(true);
    let mut trainer = model
        .compile(AdamW::new().learning_rate(0.03), "sparse_categorical_crossentropy")?
        .metrics(["accuracy"])?
        .weighted_metrics(["mae"].map(|_| "sparse_top_k_categorical_accuracy"))?;
    let mut fit = trainer
        .fit(&x, &y)
        .batch_size(8)
        .epochs(6)
        .verbose(0)
        .seed(5)
        .validation_split(0.2)
        .callback(LearningRateScheduler::new(|epoch, rate| if epoch > 0 { rate * 0.9 } else { rate }))
        .callback(&mut stopping)
        .callback(ReduceLROnPlateau::new().patience(1).factor(0.5))
        .callback(CSVLogger::new(&log))
        .callback(&mut saving)
        .callback(Interrupt(interrupt));
    if let Some(batches) = backup {
        fit = fit.callback(BackupAndRestore::new(folder.join("backup")).save_freq(batches));
    }
    let history = fit.run()?;
    let stopped = stopping.stopped_epoch();
    let log = std::fs::read_to_string(log).expect("it was written");
    let mut saved: Vec<String> = std::fs::read_dir(folder.join("best"))
        .expect("a model was saved")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".index"))
        .collect();
    saved.sort();
    Ok(End { bits: bits(&model), history, log, stopped, best: saving.best(), saved })
}

#[test]
fn one_that_was_interrupted_anywhere_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(folder.path(), None, None).unwrap();
    // Five batches in each of the epochs.
    let steps = 5 * whole.history.epochs.len();
    let mut place = 12345_usize;
    for round in 0..20 {
        place = (place * 1_103_515_245 + 12345) % (1 << 31);
        let folder = tempfile::tempdir().unwrap();
        let (at, every) = ((place >> 8) % (steps - 1), 1 + round % 3);
        let error = train(folder.path(), Some(every), Some(at)).unwrap_err();
        assert_eq!(error.message(), "interrupted");
        let taken_up = train(folder.path(), Some(every), None).unwrap();
        assert_eq!(taken_up, whole, "after {at} batches of {steps}, saved every {every}");
        assert!(!folder.path().join("backup").exists(), "a training that is through needs no backup");
    }
}

#[test]
fn one_that_was_interrupted_twice_or_between_epochs_is_the_same_too() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(folder.path(), None, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for at in [6, 2, 4] {
        train(folder.path(), Some(2), Some(at)).unwrap_err();
    }
    assert_eq!(train(folder.path(), Some(2), None).unwrap(), whole);
}

#[test]
fn one_is_saved_and_logged_on_the_file_system_that_it_is_told() {
    let vfs: std::sync::Arc<dyn modulor::vfs::Vfs> = std::sync::Arc::new(FaultVfs::default());
    let run = |vfs: &std::sync::Arc<dyn modulor::vfs::Vfs>, interrupt: Option<usize>| {
        let (x, model) = (rows(SAMPLES, 5), model());
        let y = classes(&x, 3);
        let mut trainer = model.compile("adam", "sparse_categorical_crossentropy")?;
        let fit = trainer.fit(&x, &y).batch_size(8).epochs(3).verbose(0).seed(5).callback(Interrupt(interrupt));
        let fit = fit.callback(CSVLogger::new("log.csv").on(vfs.clone()));
        let fit = fit.callback(ModelCheckpoint::new("best-{epoch}").save_weights_only(true).on(vfs.clone()));
        fit.callback(BackupAndRestore::new("backup").save_freq(2).on(vfs.clone())).run().map(|_| bits(&model))
    };
    let root = Path::new(".");
    let whole = run(&vfs, None).unwrap();
    let log = vfs.open(Path::new("log.csv")).unwrap().len();
    let names = |vfs: &std::sync::Arc<dyn modulor::vfs::Vfs>| {
        vfs.list(root).unwrap().into_iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert!(names(&vfs).contains(&"best-3.index".to_owned()) && !names(&vfs).contains(&"backup".to_owned()));
    let other: std::sync::Arc<dyn modulor::vfs::Vfs> = std::sync::Arc::new(FaultVfs::default());
    run(&other, Some(10)).unwrap_err();
    assert!(names(&other).contains(&"backup".to_owned()), "{:?}", names(&other));
    assert_eq!(run(&other, None).unwrap(), whole);
    assert_eq!(names(&other), names(&vfs));
    assert_eq!(other.open(Path::new("log.csv")).unwrap().len(), log);
    assert!(!root.join("backup").exists() && !root.join("log.csv").exists(), "nothing of it is on the disk");
}

#[test]
fn one_with_other_callbacks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), Some(1), Some(3)).unwrap_err();
    let (x, model) = (rows(8, 5), model());
    let y = classes(&x, 3);
    let mut trainer = model.compile("adamw", "sparse_categorical_crossentropy").unwrap();
    let backup = BackupAndRestore::new(folder.path().join("backup"));
    let error = trainer.fit(&x, &y).verbose(0).callback(backup).run().unwrap_err();
    assert!(error.to_string().contains("callbacks"), "{error}");
}
