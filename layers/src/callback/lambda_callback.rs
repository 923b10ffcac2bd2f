use super::{Callback, Context};
use modulor::Result;

type Hook<'a> = Option<Box<dyn FnMut(&mut Context) -> Result<()> + Send + 'a>>;
type HookAt<'a> = Option<Box<dyn FnMut(usize, &mut Context) -> Result<()> + Send + 'a>>;

/// A callback made of closures: Keras's `LambdaCallback`.
///
/// ```
/// use modulor_layers::callback::LambdaCallback;
/// let mut seen = Vec::new();
/// let callback = LambdaCallback::new().on_epoch_end(|epoch, context| {
///     seen.push((epoch, context.logs()?.get("loss")));
///     Ok(())
/// });
/// ```
#[derive(Default)]
pub struct LambdaCallback<'a> {
    train_begin: Hook<'a>,
    train_end: Hook<'a>,
    epoch_begin: HookAt<'a>,
    epoch_end: HookAt<'a>,
    train_batch_begin: HookAt<'a>,
    train_batch_end: HookAt<'a>,
}

impl<'a> LambdaCallback<'a> {
    /// Which does nothing yet.
    pub fn new() -> LambdaCallback<'a> {
        LambdaCallback::default()
    }

    /// What is done before the first epoch.
    #[must_use]
    pub fn on_train_begin(mut self, hook: impl FnMut(&mut Context) -> Result<()> + Send + 'a) -> Self {
        self.train_begin = Some(Box::new(hook));
        self
    }

    /// What is done after the last epoch.
    #[must_use]
    pub fn on_train_end(mut self, hook: impl FnMut(&mut Context) -> Result<()> + Send + 'a) -> Self {
        self.train_end = Some(Box::new(hook));
        self
    }

    /// What is done before an epoch.
    #[must_use]
    pub fn on_epoch_begin(mut self, hook: impl FnMut(usize, &mut Context) -> Result<()> + Send + 'a) -> Self {
        self.epoch_begin = Some(Box::new(hook));
        self
    }

    /// What is done after an epoch.
    #[must_use]
    pub fn on_epoch_end(mut self, hook: impl FnMut(usize, &mut Context) -> Result<()> + Send + 'a) -> Self {
        self.epoch_end = Some(Box::new(hook));
        self
    }

    /// What is done before a step on a batch.
    #[must_use]
    pub fn on_train_batch_begin(mut self, hook: impl FnMut(usize, &mut Context) -> Result<()> + Send + 'a) -> Self {
        self.train_batch_begin = Some(Box::new(hook));
        self
    }

    /// What is done after a step on a batch.
    #[must_use]
    pub fn on_train_batch_end(mut self, hook: impl FnMut(usize, &mut Context) -> Result<()> + Send + 'a) -> Self {
        self.train_batch_end = Some(Box::new(hook));
        self
    }
}

impl Callback for LambdaCallback<'_> {
    fn name(&self) -> &str {
        "lambda_callback"
    }

    fn on_train_begin(&mut self, context: &mut Context) -> Result<()> {
        self.train_begin.as_mut().map_or(Ok(()), |hook| hook(context))
    }

    fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
        self.train_end.as_mut().map_or(Ok(()), |hook| hook(context))
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        self.epoch_begin.as_mut().map_or(Ok(()), |hook| hook(epoch, context))
    }

    fn on_epoch_end(&mut self, epoch: usize, context: &mut Context) -> Result<()> {
        self.epoch_end.as_mut().map_or(Ok(()), |hook| hook(epoch, context))
    }

    fn on_train_batch_begin(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        self.train_batch_begin.as_mut().map_or(Ok(()), |hook| hook(batch, context))
    }

    fn on_train_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        self.train_batch_end.as_mut().map_or(Ok(()), |hook| hook(batch, context))
    }
}

impl std::fmt::Debug for LambdaCallback<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LambdaCallback")
    }
}
