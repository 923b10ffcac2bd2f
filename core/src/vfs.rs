//! The file system as far as this library writes to it: all of it goes through one small trait, so that a kill, a full disk
//! and a power cut at any point are unit tests.
//!
//! [`Disk`] is the real one. Every error names the path and what was tried.

use crate::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file system, of whose promises these are relied on: what is written is in the file after a [`sync`](NewFile::sync),
/// what is made, renamed or removed in a directory is so after a [`sync_dir`](Vfs::sync_dir), and a rename replaces its
/// target in one step.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// A new, empty file to write to; an error of kind [`AlreadyExists`](ErrorKind::AlreadyExists) when there is one.
    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>>;

    /// A file to read from. It must be a regular file: anything else is refused without being waited for. Where the path is
    /// a symbolic link, it must lead to a file below the path's own directory.
    fn open(&self, path: &Path) -> Result<Arc<dyn OpenFile>>;

    /// Whether there is anything under this path; a broken link counts.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<OsString>>;

    /// A second name for the bytes of a file that is no symbolic link; they are made durable by the way. Nothing may be there
    /// yet.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file another name on the same file system, in place of what had that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file, or a link to one.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// A new, empty directory in one that is there; an error of kind [`AlreadyExists`](ErrorKind::AlreadyExists) when the
    /// name is taken.
    fn create_dir(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;

    /// Waits until no one else, in this process or another, holds the lock of a directory, and takes it; dropping the
    /// result gives it back, as the end of the process does.
    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>>;

    /// As [`lock`](Vfs::lock), or `None` when someone holds it; `dir` must not be a symbolic link.
    fn try_lock(&self, dir: &Path) -> Result<Option<Box<dyn Lock>>>;
}

/// A file being written.
pub trait NewFile: Send {
    /// Appends all of the bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Returns when the bytes written so far would survive a power cut. After an error, nothing is known of the file, and
    /// it must not be used.
    fn sync(&mut self) -> Result<()>;
}

/// A file being read, by any number of threads.
pub trait OpenFile: Send + Sync + fmt::Debug {
    /// The bytes it had when it was opened.
    fn len(&self) -> u64;

    /// Whether it had none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills the buffer from `offset` on; an error of kind [`DataLoss`](ErrorKind::DataLoss) when the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()>;
}

/// A lock of a directory, held until it is dropped.
pub trait Lock: Send + Sync + fmt::Debug {}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// As [`Disk`], ready to be shared.
pub fn disk() -> Arc<dyn Vfs> {
    Arc::new(Disk)
}

impl Vfs for Disk {
    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.map_err(|e| refused("create", path, &e))?;
        Ok(Box::new(DiskWriter { file, path: path.to_owned(), written: 0 }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn OpenFile>> {
        let failed = |e: io::Error| refused("open", path, &e);
        let file = match open_itself(path) {
            Err(e) if is_link(path) => {
                // What the link leads to is opened by its own name, so that it cannot change after the check.
                let target = fs::canonicalize(path).map_err(failed)?;
                let home = fs::canonicalize(directory_of(path)).map_err(failed)?;
                if !target.starts_with(&home) {
                    return Err(Error::failed_precondition(format!(
                        "{}: is a symbolic link to {}, which is outside its directory; links that leave it are not followed",
                        path.display(),
                        target.display()
                    )));
                }
                open_itself(&target).map_err(|_| failed(e))?
            }
            other => other.map_err(failed)?,
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let message = format!("{}: is {}, and a regular file is needed", path.display(), kind_of(&metadata));
            return Err(Error::failed_precondition(message));
        }
        Ok(Arc::new(DiskReader { file, path: path.to_owned(), len: metadata.len() }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(refused("look for", path, &e)),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        let entries = fs::read_dir(dir).and_then(|entries| entries.map(|e| Ok(e?.file_name())).collect());
        let mut names: Vec<OsString> = entries.map_err(|e| refused("list", dir, &e))?;
        names.sort();
        Ok(names)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        if is_link(from) {
            let message = format!("{}: is a symbolic link, and gets no second name", from.display());
            return Err(Error::failed_precondition(message));
        }
        let linked = fs::hard_link(from, to).and_then(|()| File::open(to)?.sync_all());
        linked.map_err(|e| refused(&format!("link {} as", from.display()), to, &e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| refused(&format!("rename {} to", from.display()), to, &e))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| refused("remove", path, &e))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        fs::create_dir(path).map_err(|e| refused("create directory", path, &e))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        fs::remove_dir(path).map_err(|e| refused("remove directory", path, &e))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        // Only Unix can open a directory and sync it; elsewhere the file system keeps its own order.
        if cfg!(unix) {
            let synced = File::open(path).and_then(|dir| dir.sync_all());
            synced.map_err(|e| refused("sync directory", path, &e))?;
        }
        Ok(())
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>> {
        let failed = |e: io::Error| refused("lock directory", dir, &e);
        let file = File::open(dir).map_err(failed)?;
        loop {
            match file.lock() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                locked => return locked.map(|()| Box::new(DiskLock(file)) as _).map_err(failed),
            }
        }
    }

    fn try_lock(&self, dir: &Path) -> Result<Option<Box<dyn Lock>>> {
        let failed = |e: io::Error| refused("lock directory", dir, &e);
        let file = open_itself(dir).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(DiskLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

/// The directory a path lies in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Opens what stands under this very name, neither following a link nor waiting for the other end of a pipe.
fn open_itself(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOFOLLOW);
    options.open(path)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn kind_of(metadata: &fs::Metadata) -> &'static str {
    if metadata.is_dir() {
        return "a directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "no file"
}

/// An error of the operating system in our words: what was tried, with what, and why it did not work.
fn refused(tried: &str, path: &Path, error: &io::Error) -> Error {
    let why = match error.raw_os_error() {
        // std's text names the number; the words say enough.
        Some(_) => {
            let text = error.to_string();
            let words = text.split(" (os error").next().unwrap_or_default();
            words.chars().take(1).flat_map(char::to_lowercase).chain(words.chars().skip(1)).collect()
        }
        None => error.to_string(),
    };
    Error::new(kind_for(error), format!("cannot {tried} {}: {why}", path.display()))
}

fn kind_for(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    #[cfg(unix)]
    if let Some(libc::EMFILE | libc::ENFILE) = error.raw_os_error() {
        return ErrorKind::ResourceExhausted;
    }
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => ErrorKind::ResourceExhausted,
        Io::InvalidInput | Io::InvalidFilename => ErrorKind::InvalidArgument,
        Io::Unsupported => ErrorKind::Unimplemented,
        Io::PermissionDenied
        | Io::ReadOnlyFilesystem
        | Io::NotADirectory
        | Io::IsADirectory
        | Io::DirectoryNotEmpty
        | Io::CrossesDevices
        | Io::ResourceBusy
        | Io::WouldBlock => ErrorKind::FailedPrecondition,
        _ => ErrorKind::DataLoss,
    }
}

struct DiskWriter {
    file: File,
    path: PathBuf,
    written: u64,
}

impl NewFile for DiskWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        let written = write_all(&mut self.file, &mut rest);
        self.written += (bytes.len() - rest.len()) as u64;
        written.map_err(|stopped| {
            let tried = format!("write {} bytes at offset {} of", rest.len(), self.written);
            refused(&tried, &self.path, &stopped)
        })
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().map_err(|e| refused("sync", &self.path, &e))
    }
}

/// How often a write that would have to wait is tried again, a millisecond later each time.
const MOST_WAITS: usize = 1000;

/// Writes all of the bytes, however many a call takes, and whatever interrupts it; what is left is in `rest`.
fn write_all(file: &mut impl Write, rest: &mut &[u8]) -> io::Result<()> {
    let mut waits = 0;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => *rest = rest.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && waits < MOST_WAITS => {
                waits += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[derive(Debug)]
struct DiskReader {
    file: File,
    path: PathBuf,
    len: u64,
}

impl OpenFile for DiskReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&self.file, buffer, offset).map_err(|e| {
            let tried = format!("read {} bytes at offset {offset} of", buffer.len());
            match e.kind() {
                io::ErrorKind::UnexpectedEof => Error::data_loss(format!(
                    "cannot {tried} {}: the file had {} bytes when it was opened, and is shorter now",
                    self.path.display(),
                    self.len
                )),
                _ => refused(&tried, &self.path, &e),
            }
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::{Mutex, PoisonError};
    // There is one position for all threads.
    static POSITION: Mutex<()> = Mutex::new(());
    let _guard = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

/// A directory that was opened and locked; closing it unlocks it.
#[derive(Debug)]
struct DiskLock(#[expect(dead_code, reason = "held open")] File);

impl Lock for DiskLock {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes few bytes at a time, and is interrupted in between, for ever after `until`.
    struct Reluctant {
        taken: Vec<u8>,
        calls: usize,
        until: usize,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                _ if self.calls > self.until => Err(io::ErrorKind::WouldBlock.into()),
                1 => Err(io::ErrorKind::Interrupted.into()),
                2 => Err(io::ErrorKind::WouldBlock.into()),
                _ => {
                    let few = bytes.len().min(7);
                    self.taken.extend_from_slice(&bytes[..few]);
                    Ok(few)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn b06_a_write_that_is_interrupted_or_short_goes_on() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut file = Reluctant { taken: Vec::new(), calls: 0, until: usize::MAX };
        write_all(&mut file, &mut &*bytes).unwrap();
        assert_eq!(file.taken, bytes);

        let (mut file, mut rest) = (Reluctant { taken: Vec::new(), calls: 0, until: 6 }, &*bytes);
        let error = write_all(&mut file, &mut rest).unwrap_err();
        assert_eq!((error.kind(), rest), (io::ErrorKind::WouldBlock, &bytes[14..]));
    }

    #[cfg(unix)]
    #[test]
    fn b08_what_the_system_refuses_is_said_in_words() {
        for (code, kind, words) in [
            (libc::EDQUOT, ErrorKind::ResourceExhausted, "disk quota exceeded"),
            (libc::ENOSPC, ErrorKind::ResourceExhausted, "no space left on device"),
            (libc::EMFILE, ErrorKind::ResourceExhausted, "too many open files"),
            (libc::EXDEV, ErrorKind::FailedPrecondition, "invalid cross-device link"),
            (libc::EACCES, ErrorKind::FailedPrecondition, "permission denied"),
        ] {
            let error = refused("rename", Path::new("/runs/ckpt.index"), &io::Error::from_raw_os_error(code));
            assert_eq!((error.kind(), error.message()), (kind, &*format!("cannot rename /runs/ckpt.index: {words}")));
        }
    }
}
