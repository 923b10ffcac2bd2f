use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A way to end a training from elsewhere: from another thread, or by Ctrl-C. A clone is another handle to the same one.
///
/// A [`fit`](super::Trainer::fit) that was given one by [`interrupt`](super::Fit::interrupt) ends at the edge of a step with an
/// error of kind [`Cancelled`](modulor::ErrorKind::Cancelled) that says how many steps there were. The model is as the last step
/// left it; callbacks have heard of the end; [`BackupAndRestore`](crate::callback::BackupAndRestore) has saved the training
/// there, so that the next call goes on with the very next step. A validation within a training is not broken off.
///
/// Nothing here listens to signals. For Ctrl-C the crate `ctrlc` does, in one line:
///
/// ```text
/// let interrupt = Interrupt::new();
/// let asked = interrupt.clone();
/// ctrlc::set_handler(move || asked.interrupt())?;
/// let outcome = trainer.fit(&x, &y).epochs(100).interrupt(&interrupt).run();
/// ```
///
/// ```
/// use modulor::{ErrorKind, Tensor};
/// use modulor_layers::callback::LambdaCallback;
/// use modulor_layers::library::Dense;
/// use modulor_layers::training::{Compile, Interrupt};
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[0.0_f32], [1.0], [2.0], [3.0]]);
/// let mut trainer = Dense::new(1).compile("sgd", "mse")?;
/// let interrupt = Interrupt::new();
/// let other = interrupt.clone();
/// let asks = LambdaCallback::new().on_train_batch_end(move |batch, _| {
///     if batch == 1 {
///         other.interrupt();
///     }
///     Ok(())
/// });
/// let fit = trainer.fit(&x, &x).batch_size(1).verbose(0).callback(asks).interrupt(&interrupt);
/// let error = fit.run().unwrap_err();
/// assert_eq!((error.kind(), error.message()), (ErrorKind::Cancelled, "interrupted after step 3"));
/// interrupt.clear();
/// trainer.fit(&x, &x).verbose(0).interrupt(&interrupt).run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Nobody has asked yet.
    pub fn new() -> Interrupt {
        Interrupt::default()
    }

    /// Asks whatever was given this to end.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Forgets that somebody has asked.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
