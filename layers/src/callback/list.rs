use super::{Callback, Context, ProgbarLogger, State};
use crate::data::caught;
use modulor::Result;

/// Callbacks that are called one after the other.
///
/// Where one of them asks for it, the training is saved with the states of all: after the last hook of a moment, so that
/// it can be taken up there.
#[derive(Default)]
pub struct CallbackList<'a> {
    callbacks: Vec<Box<dyn Callback + 'a>>,
}

impl<'a> CallbackList<'a> {
    /// None yet.
    pub fn new() -> CallbackList<'a> {
        CallbackList::default()
    }

    /// With one more at the end; `&mut callback` leaves it to be looked at afterwards.
    #[must_use]
    pub fn with(mut self, callback: impl Callback + 'a) -> CallbackList<'a> {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// With a bar at the end, unless all is to be silent or there is a bar already.
    pub(crate) fn with_progress(self, verbose: u8) -> CallbackList<'a> {
        let bar = ProgbarLogger::new();
        match verbose == 0 || self.callbacks.iter().any(|callback| callback.name() == bar.name()) {
            true => self,
            false => self.with(bar),
        }
    }

    /// What is to be done where a step computes what is not finite: the strictest of what callbacks want.
    pub fn non_finite(&self) -> Option<super::NonFinite> {
        let wanted = self.callbacks.iter().filter_map(|callback| callback.non_finite());
        wanted.reduce(|a, b| if a == super::NonFinite::Fail { a } else { b })
    }

    /// Calls one hook of all, up to the first error, and then does what they asked for. A panic is an error.
    pub(super) fn each(
        &mut self,
        context: &mut Context,
        hook: impl Fn(&mut dyn Callback, &mut Context) -> Result<()>,
    ) -> Result<()> {
        for callback in &mut self.callbacks {
            one(&mut **callback, context, &hook)?;
        }
        for (vfs, prefix) in std::mem::take(&mut context.restores) {
            let states = context.restore(&vfs, &prefix, &self.names())?;
            for (callback, state) in self.callbacks.iter_mut().zip(states) {
                one(&mut **callback, context, |callback, _| callback.set_state(&state))?;
            }
        }
        for (vfs, prefix) in std::mem::take(&mut context.saves) {
            context.save(&vfs, &prefix, &self.states()?)?;
        }
        Ok(())
    }

    /// As the hook [`on_train_end`](Callback::on_train_end), of all, whatever one of them says; the first error of any.
    pub(crate) fn end(&mut self, context: &mut Context) -> Result<()> {
        let mut outcome = Ok(());
        for callback in &mut self.callbacks {
            outcome = outcome.and(one(&mut **callback, context, |callback, context| callback.on_train_end(context)));
        }
        outcome
    }

    /// A name for each, of which no two are equal.
    fn names(&self) -> Vec<String> {
        self.callbacks.iter().enumerate().map(|(at, callback)| format!("{}_{at}", callback.name())).collect()
    }

    fn states(&self) -> Result<Vec<(String, State)>> {
        let states = self.names().into_iter().zip(&self.callbacks);
        states.map(|(name, callback)| Ok((name, callback.state()?))).collect()
    }
}

/// Calls a hook of one.
fn one(
    callback: &mut dyn Callback,
    context: &mut Context,
    hook: impl Fn(&mut dyn Callback, &mut Context) -> Result<()>,
) -> Result<()> {
    let outcome = caught("a hook", || hook(callback, context));
    outcome.map_err(|error| error.within(callback.name()))
}

impl std::fmt::Debug for CallbackList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.callbacks.iter().map(|callback| callback.name())).finish()
    }
}
