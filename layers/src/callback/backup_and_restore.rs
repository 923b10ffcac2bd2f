use super::file::on_vfs;
use super::saving::Since;
use super::{Callback, Context, SaveFreq, State, refused};
use modulor::Result;
use modulor::vfs::{Vfs, disk};
use std::path::PathBuf;
use std::sync::Arc;

/// Saves the training to a folder, and takes it up there where one that was interrupted left it: Keras's
/// `BackupAndRestore`.
///
/// All of it is saved: model, optimizer, metrics, seeds, the place in the data, and what every callback remembers. A training
/// that was interrupted at any moment and is called again, with the same data and callbacks, ends with the bits and the
/// history of one that was not. (Keras's begins the epoch anew, and its callbacks with it.) A save takes the place of the one
/// before it in one step, so that Keras's `double_checkpoint` has nothing to do here.
///
/// ```
/// use modulor_layers::callback::BackupAndRestore;
/// let backup = BackupAndRestore::new("backup").save_freq(100);
/// ```
#[derive(Clone, Debug)]
pub struct BackupAndRestore {
    backup_dir: PathBuf,
    save_freq: SaveFreq,
    delete_checkpoint: bool,
    since: Since,
    vfs: Arc<dyn Vfs>,
}

const NAME: &str = "training";

impl BackupAndRestore {
    /// To this folder, which is made if it is missing, after every epoch.
    pub fn new(backup_dir: impl Into<PathBuf>) -> BackupAndRestore {
        let (save_freq, since) = (SaveFreq::Epoch, Since::default());
        BackupAndRestore { backup_dir: backup_dir.into(), save_freq, delete_checkpoint: true, since, vfs: disk() }
    }

    on_vfs! { BackupAndRestore }

    /// How often: after every epoch unless set, or after so many batches. One that is interrupted by the
    /// [`Interrupt`](crate::training::Interrupt) it was given is saved there in any case.
    #[must_use]
    pub fn save_freq(mut self, freq: impl Into<SaveFreq>) -> Self {
        self.save_freq = freq.into();
        self
    }

    /// Whether the backup is removed when the training is through; it is unless set.
    #[must_use]
    pub fn delete_checkpoint(mut self, delete: bool) -> Self {
        self.delete_checkpoint = delete;
        self
    }

    fn prefix(&self) -> PathBuf {
        self.backup_dir.join(NAME)
    }

    fn is_there(&self) -> Result<bool> {
        self.vfs.exists(&self.backup_dir.join(format!("{NAME}.index")))
    }
}

impl Callback for BackupAndRestore {
    fn name(&self) -> &str {
        "backup_and_restore"
    }

    fn on_train_begin(&mut self, context: &mut Context) -> Result<()> {
        self.save_freq.check("BackupAndRestore")?;
        self.since = Since::default();
        if self.backup_dir.as_os_str().is_empty() {
            return Err(refused("BackupAndRestore", "backup_dir", "the path of a folder", "an empty one"));
        }
        if self.is_there()? {
            context.restore_training_on(self.vfs.clone(), self.prefix());
        }
        Ok(())
    }

    fn on_train_batch_end(&mut self, batch: usize, context: &mut Context) -> Result<()> {
        if self.since.is_due(batch, self.save_freq) || context.is_interrupted() {
            context.save_training_on(self.vfs.clone(), self.prefix());
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, _: usize, context: &mut Context) -> Result<()> {
        if self.save_freq == SaveFreq::Epoch || context.is_interrupted() {
            context.save_training_on(self.vfs.clone(), self.prefix());
        }
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context) -> Result<()> {
        if !self.delete_checkpoint || context.is_failed() || !self.is_there()? {
            return Ok(());
        }
        // The index goes first: without it the rest is no backup.
        let mut names = self.vfs.list(&self.backup_dir)?;
        names.retain(|name| name.to_string_lossy().starts_with(&format!("{NAME}.")));
        names.sort_by_key(|name| !name.to_string_lossy().ends_with(".index"));
        for name in names {
            self.vfs.remove_file(&self.backup_dir.join(name))?;
        }
        // A folder that holds something else stays.
        drop(self.vfs.remove_dir(&self.backup_dir));
        Ok(())
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        self.since.save(&mut state)?;
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.since.restore(state)
    }
}
