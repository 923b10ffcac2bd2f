//! Callbacks: what happens beside the steps of training. Keras's names, arguments and defaults.
//!
//! A [`Callback`] has a hook for every moment of `fit`, `evaluate` and `predict`; each is given the [`Context`]: the model,
//! the optimizer, the numbers of this moment, and the way to stop. What a callback remembers is its
//! [`state`](Callback::state), which is saved with the training, so that one that was interrupted goes on as if it had not
//! been. A [`CallbackList`] serves a loop of one's own as well.

mod backup_and_restore;
mod context;
mod csv_logger;
mod early_stopping;
mod file;
mod history;
mod lambda_callback;
mod learning_rate_scheduler;
mod list;
mod logs;
mod model_checkpoint;
mod monitor;
mod plot;
mod progbar_logger;
mod reduce_lr_on_plateau;
mod saving;
mod state;
mod swap_ema_weights;
mod terminate_on_nan;

pub use context::{Context, Params};
pub use list::CallbackList;
pub use logs::Logs;
pub use monitor::{Direction, Mode};
pub use saving::SaveFreq;
pub use state::State;

use modulor::{Error, Result};

/// What is to be done where a step computes what is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFinite {
    /// Training stops, with a line that says why.
    Stop,
    /// Training stops with an error.
    Fail,
}

macro_rules! hooks {
    ($($(#[$doc:meta])* $hook:ident($($at:ident)?);)*) => {
        /// What happens beside the steps of training: a hook for each of its moments, all of which do nothing unless they
        /// are written.
        ///
        /// An error of a hook ends the training, which gives it back, and so does a panic, as an error; what the model holds is
        /// that of the last step. The callbacks that training began with all hear of its end in any case.
        ///
        /// ```
        /// use modulor::Result;
        /// use modulor_layers::callback::{Callback, Context};
        ///
        /// /// Stops when a loss is low enough.
        /// struct Enough(f64);
        ///
        /// impl Callback for Enough {
        ///     fn name(&self) -> &str {
        ///         "enough"
        ///     }
        ///
        ///     fn on_epoch_end(&mut self, _epoch: usize, context: &mut Context) -> Result<()> {
        ///         if context.logs()?.get("loss").is_some_and(|loss| loss < self.0) {
        ///             context.stop_training();
        ///         }
        ///         Ok(())
        ///     }
        /// }
        /// ```
        pub trait Callback: Send {
            /// What its state is saved under.
            fn name(&self) -> &str;

            $(
                $(#[$doc])*
                #[allow(unused_variables)]
                fn $hook(&mut self, $($at: usize,)? context: &mut Context) -> Result<()> {
                    Ok(())
                }
            )*

            /// What it remembers: all that must be there for a training that is taken up again to go on as if it had never
            /// stopped.
            fn state(&self) -> Result<State> {
                Ok(State::default())
            }

            /// Takes up what another one remembered, after `on_train_begin`.
            fn set_state(&mut self, state: &State) -> Result<()> {
                let _ = state;
                Ok(())
            }

            /// What it wants done where a step computes what is not finite; steps are checked where any callback asks for it.
            fn non_finite(&self) -> Option<NonFinite> {
                None
            }
        }

        impl<C: Callback + ?Sized> Callback for &mut C {
            fn name(&self) -> &str {
                (**self).name()
            }
            $(
                fn $hook(&mut self, $($at: usize,)? context: &mut Context) -> Result<()> {
                    (**self).$hook($($at,)? context)
                }
            )*
            fn state(&self) -> Result<State> {
                (**self).state()
            }
            fn set_state(&mut self, state: &State) -> Result<()> {
                (**self).set_state(state)
            }
            fn non_finite(&self) -> Option<NonFinite> {
                (**self).non_finite()
            }
        }

        impl CallbackList<'_> {
            $(
                $(#[$doc])*
                pub fn $hook(&mut self, $($at: usize,)? context: &mut Context) -> Result<()> {
                    self.each(context, |callback, context| callback.$hook($($at,)? context))
                }
            )*
        }
    };
}

hooks! {
    /// Before the first epoch.
    on_train_begin();
    /// After the last epoch, and after an error: [`Context::is_failed`] tells.
    on_train_end();
    /// Before the first batch of an epoch, which counts from 0.
    on_epoch_begin(epoch);
    /// After validation. The logs are those of the whole epoch, and what is put there the later callbacks see.
    on_epoch_end(epoch);
    /// Before a step of training on a batch, which counts from 0 in its epoch.
    on_train_batch_begin(batch);
    /// After a step of training. The logs are those of the epoch so far, computed where they are asked for.
    on_train_batch_end(batch);
    /// Before the first batch of an evaluation.
    on_test_begin();
    /// After the last batch of an evaluation.
    on_test_end();
    /// Before a batch of an evaluation.
    on_test_batch_begin(batch);
    /// After a batch of an evaluation.
    on_test_batch_end(batch);
    /// Before the first batch that is predicted.
    on_predict_begin();
    /// After the last batch that is predicted.
    on_predict_end();
    /// Before a batch that is predicted.
    on_predict_batch_begin(batch);
    /// After a batch that is predicted.
    on_predict_batch_end(batch);
}

/// One file a row: its callback, and after a bar what else of it is public.
macro_rules! list {
    ($($file:ident: $class:ident $(| $($other:ident)*)?;)*) => {
        $(pub use $file::{$class, $($($other),*)?};)*

        /// The class names of all that are built in.
        pub const CALLBACKS: &[&str] = &[$(stringify!($class)),*];
    };
}

list! {
    backup_and_restore: BackupAndRestore;
    csv_logger: CSVLogger;
    early_stopping: EarlyStopping;
    history: History | Series;
    lambda_callback: LambdaCallback;
    learning_rate_scheduler: LearningRateScheduler;
    model_checkpoint: ModelCheckpoint;
    progbar_logger: ProgbarLogger;
    reduce_lr_on_plateau: ReduceLROnPlateau;
    swap_ema_weights: SwapEMAWeights;
    terminate_on_nan: TerminateOnNaN;
}

/// Tells the user something that is no error.
fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// An error of a setting that makes no sense.
fn refused(class: &str, setting: &str, must: &str, found: impl std::fmt::Display) -> Error {
    Error::invalid_argument(format!("{class}: `{setting}` must be {must}, found {found}"))
}
