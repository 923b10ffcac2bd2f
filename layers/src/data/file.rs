//! Files that are read: whole or as a stream, as they are or compressed.

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use modulor::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// How the bytes of a file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip.
    Gzip,
    /// By zlib.
    Zlib,
}

impl Compression {
    /// Gzip for names that end in `.gz`, else none.
    pub fn of(path: impl AsRef<Path>) -> Compression {
        match path.as_ref().extension() {
            Some(extension) if extension.eq_ignore_ascii_case("gz") => Compression::Gzip,
            _ => Compression::None,
        }
    }
}

/// No stream of deflate becomes more than so many times as long.
const MOST: u64 = 1032;

/// A file as the bytes that it holds.
pub(super) struct Source {
    pub path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// How many bytes there can be at most.
    pub most: u64,
    /// How many were read.
    pub at: u64,
}

impl Source {
    pub fn open(path: &Path, compression: Compression) -> Result<Source> {
        let file = File::open(path).map_err(|error| refused(path, &error))?;
        let metadata = file.metadata().map_err(|error| refused(path, &error))?;
        if metadata.is_dir() {
            return Err(Error::failed_precondition(format!(
                "{}: is a directory, and a file is needed",
                path.display()
            )));
        }
        let (file, length) = (BufReader::with_capacity(1 << 16, file), metadata.len());
        let reader: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            Compression::Zlib => Box::new(BufReader::new(ZlibDecoder::new(file))),
        };
        let most = if compression == Compression::None { length } else { length.saturating_mul(MOST) };
        Ok(Source { path: path.to_owned(), reader, most, at: 0 })
    }

    /// The next bytes, fewer only where the file ends. What is not there is not allocated for.
    pub fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read =
            (&mut self.reader).take(count).read_to_end(&mut bytes).map_err(|error| refused(&self.path, &error))?;
        self.at += read as u64;
        Ok(bytes)
    }

    /// All that is left.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        self.take(u64::MAX)
    }

    /// An error of what the file holds.
    pub fn broken(&self, what: impl std::fmt::Display) -> Error {
        broken(&self.path, what)
    }

    pub fn into_reader(self) -> Box<dyn Read + Send> {
        self.reader
    }
}

/// An error of what a file holds.
pub(super) fn broken(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::data_loss(format!("{}: {what}", path.display()))
}

/// An error of the operating system, or of a decoder.
pub(super) fn refused(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            ErrorKind::FailedPrecondition
        }
        io::ErrorKind::OutOfMemory => ErrorKind::ResourceExhausted,
        _ => ErrorKind::DataLoss,
    };
    Error::new(kind, format!("{}: {error}", path.display()))
}

/// The files below a directory, of whatever depth, whose names end in one of `extensions`: directory by directory, each in
/// order. Links to directories are not followed.
pub(super) fn files_below(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let (mut waiting, mut directories) = (vec![directory.to_owned()], Vec::new());
    while let Some(directory) = waiting.pop() {
        let (mut files, refuse) = (Vec::new(), |error| refused(&directory, &error));
        for entry in std::fs::read_dir(&directory).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let path = entry.path();
            if entry.file_type().map_err(refuse)?.is_dir() {
                waiting.push(path);
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)) && path.is_file() {
                files.push(path);
            }
        }
        files.sort_by(|a, b| by_bytes(a, b));
        directories.push((directory, files));
    }
    directories.sort_by(|(a, _), (b, _)| by_bytes(a, b));
    Ok(directories.into_iter().flat_map(|(_, files)| files).collect())
}

/// The order of texts, in which a directory may come between another one and what is in that.
fn by_bytes(a: &Path, b: &Path) -> std::cmp::Ordering {
    a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes())
}

/// The names of the directories in a directory, in order, but for those that begin with a dot.
pub(super) fn class_names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| refused(directory, &error))? {
        let path = entry.map_err(|error| refused(directory, &error))?.path();
        if path.is_dir() {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(broken(&path, "the name of a class must be UTF-8"));
            };
            names.extend((!name.starts_with('.')).then(|| name.to_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The files below the directories of `names` in a directory, each with the place of its class among them; an error where
/// there are none.
pub(super) fn files_by_class(directory: &Path, names: &[String], extensions: &[&str]) -> Result<Vec<(PathBuf, usize)>> {
    let mut files = Vec::new();
    for (class, name) in names.iter().enumerate() {
        let found = files_below(&directory.join(name), extensions)?;
        files.extend(found.into_iter().map(|path| (path, class)));
    }
    if files.is_empty() {
        let message = format!("{}: has no directories with files of {}", directory.display(), extensions.join(", "));
        return Err(Error::not_found(message));
    }
    Ok(files)
}
