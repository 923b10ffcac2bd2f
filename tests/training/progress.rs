//! What is shown of a training.

use super::*;
use modulor::keras::callback::{Context, Logs, Params, ProgbarLogger};
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is written about two epochs of three steps.
fn shown(is_terminal: bool, verbose: u8) -> String {
    let page = Page::default();
    let mut context = Context::new(&Dense::new(1), &SGD::new());
    context.set_params(Params { epochs: 2, steps: Some(3), verbose });
    let mut list = CallbackList::new().with(ProgbarLogger::to(page.clone(), is_terminal));
    list.on_train_begin(&mut context).unwrap();
    for epoch in 0..2 {
        list.on_epoch_begin(epoch, &mut context).unwrap();
        for batch in 0..3 {
            context.set_logs(Logs::from_iter([("loss", 0.5), ("accuracy", 0.25)]));
            list.on_train_batch_end(batch, &mut context).unwrap();
        }
        context.set_logs(Logs::from_iter([("loss", 0.5), ("accuracy", 0.25), ("val_loss", 0.00012)]));
        list.on_epoch_end(epoch, &mut context).unwrap();
    }
    list.on_train_end(&mut context).unwrap();
    let bytes = page.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_file_gets_two_lines_for_each_epoch() {
    let lines: Vec<String> = shown(false, 1).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!((&*lines[0], &*lines[2]), ("Epoch 1/2", "Epoch 2/2"));
    assert!(lines[1].starts_with("3/3 ━━━━━━━━━━━━━━━━━━━━ 0s "), "{lines:?}");
    assert!(lines[1].ends_with("/step - accuracy: 0.2500 - loss: 0.5000 - val_loss: 1.2000e-04"), "{lines:?}");
}

#[test]
fn a_terminal_gets_a_line_that_grows() {
    let text = shown(true, 1);
    assert!(text.contains("\r\u{1b}[1m1/3\u{1b}[0m \u{1b}[32m━━━━━━\u{1b}[0m"), "{text:?}");
    assert!(text.contains("\r\u{1b}[1m3/3\u{1b}[0m"), "{text:?}");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn silence_is_silence() {
    assert_eq!(shown(true, 0), "");
}

#[test]
fn a_bar_that_fit_is_given_is_the_one_that_shows_it() {
    let (x, page) = (rows(8, 2), Page::default());
    let mut trainer = Dense::new(1).compile("sgd", "mse").unwrap();
    let bar = || ProgbarLogger::to(page.clone(), false);
    trainer.fit(&x, &zeros([8, 1])).epochs(2).callback(bar()).run().unwrap();
    trainer.evaluate(&x, &zeros([8, 1])).callback(bar()).run().unwrap();
    let shown = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (5, "Epoch 1/2", "Epoch 2/2"), "{shown}");
    assert!(lines[4].starts_with("1/1 ") && lines[4].contains(" - loss: "), "{shown}");
}
