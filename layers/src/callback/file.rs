//! Files that callbacks write, through the file system that they are told.

use modulor::vfs::Vfs;
use modulor::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of a file.
pub(super) fn read(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<String> {
    let file = vfs.open(path)?;
    let length = usize::try_from(file.len());
    let length = length.map_err(|_| Error::resource_exhausted(format!("{}: is too large", path.display())))?;
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(|_| Error::data_loss(format!("{}: is no text", path.display())))
}

/// Puts a text in the place of whatever the file was, in one step.
pub(super) fn replace(vfs: &Arc<dyn Vfs>, path: &Path, text: &str) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::invalid_argument(format!("{}: is no file", path.display())))?;
    let fresh = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    if vfs.exists(&fresh)? {
        vfs.remove_file(&fresh)?;
    }
    let mut file = vfs.create(&fresh)?;
    file.write(text.as_bytes())?;
    file.sync()?;
    drop(file);
    vfs.rename(&fresh, path)?;
    vfs.sync_dir(&directory(path))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The setting of the file system.
macro_rules! on_vfs {
    ($class:ident) => {
        /// On another file system than that of the machine.
        #[must_use]
        pub fn on(mut self, vfs: std::sync::Arc<dyn modulor::vfs::Vfs>) -> Self {
            self.vfs = vfs;
            self
        }
    };
}
pub(super) use on_vfs;
