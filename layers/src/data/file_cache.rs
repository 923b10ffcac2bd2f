//! Elements that are kept in a file.

use super::file::{Compression, Source, broken};
use super::node::{Items, Node};
use super::tf_record::next_record;
use super::{Cardinality, Dataset, source};
use modulor::vfs::{NewFile, disk};
use modulor::{DType, Error, ErrorKind, Result, Structure, Tensor, Tree};
use modulor_wire::record::Writer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first record of a file: what it is, and in which order the bytes of a number are.
const HEAD: &[u8] = if cfg!(target_endian = "little") { b"modulor cache 1 <" } else { b"modulor cache 1 >" };
/// How the last record begins, which ends with the number of elements.
const END: u8 = b'.';
/// How the record of an element begins.
const ELEMENT: u8 = b'e';
/// Bytes are written once they are so many.
const WRITE: usize = 1 << 20;

struct FileCache<T> {
    inner: Arc<dyn Node<T>>,
    path: PathBuf,
}

impl<T: Structure> Dataset<T> {
    /// Keeps the elements of the first epoch in a file, once they have been read to the end, and gives them in every epoch, of
    /// this program or of a later one: tf.data's `cache` with a name of a file. What stands before is read once, and is
    /// neither shuffled nor drawn anew.
    ///
    /// The file comes to be at once and whole: it is written under another name beside it, and an iteration that ends before
    /// its last element leaves none. It is not looked at whether what stands before is still what the file was made of: remove
    /// the file to have it made anew. A file that is no cache, damaged or cut off is an error that names it, as is an element
    /// of another structure.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("squares-{}.cache", std::process::id()));
    /// let squares = Dataset::range(0..3).map(|n| n.mul(&n)).cache_to_file(&path);
    /// assert_eq!(squares.iter().count(), 3);
    /// let read = Dataset::range(0..0).cache_to_file(&path);
    /// let read = read.iter().map(|n| n?.item::<i64>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(read, [0, 1, 4]);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn cache_to_file(&self, path: impl AsRef<Path>) -> Dataset<T> {
        Dataset::of(FileCache { inner: self.node.clone(), path: path.as_ref().to_owned() })
    }
}

impl<T: Structure> Node<T> for FileCache<T> {
    fn items(&self, _: u64, skip: u64) -> Items<T> {
        match disk().exists(&self.path) {
            Ok(true) => read(&self.path, skip),
            Ok(false) => written(self.inner.items(0, 0), self.path.clone(), skip),
            Err(error) => source::only(error),
        }
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }
}

// ---- writing ----

/// The elements as they come, but the first `skip`, which are in the file when the last one has come.
fn written<T: Structure>(mut items: Items<T>, path: PathBuf, skip: u64) -> Items<T> {
    let mut file = None;
    let mut is_over = false;
    Box::new(std::iter::from_fn(move || {
        while !is_over {
            let next = items.next();
            is_over = !matches!(next, Some(Ok(_)));
            let step = || -> Result<Option<T>> {
                let file = match &mut file {
                    Some(file) => file,
                    none => none.insert(Unfinished::new(&path)?),
                };
                match next.transpose()? {
                    Some(element) => file.add(&element).map(|()| Some(element)),
                    None => file.finish().map(|()| None),
                }
            };
            match step() {
                Ok(Some(_)) if file.as_ref().is_some_and(|file| file.count <= skip) => {}
                Ok(element) => return element.map(Ok),
                Err(error) => {
                    is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }))
}

/// A file that is written under another name, and removed unless it is finished.
struct Unfinished {
    path: PathBuf,
    beside: PathBuf,
    file: Box<dyn NewFile>,
    records: Writer<Vec<u8>>,
    count: u64,
    is_finished: bool,
}

impl Unfinished {
    fn new(path: &Path) -> Result<Unfinished> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or_else(|| {
            let message = format!("{}: is no name of a file to keep elements in", path.display());
            Error::invalid_argument(message)
        })?;
        // What another process of this number left behind keeps its name.
        let (beside, file) = loop {
            let mut name = name.to_owned();
            name.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
            let beside = path.with_file_name(name);
            match disk().create(&beside) {
                Ok(file) => break (beside, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let records = Writer::new(Vec::new());
        let mut unfinished = Unfinished { path: path.to_owned(), beside, file, records, count: 0, is_finished: false };
        unfinished.record(HEAD)?;
        Ok(unfinished)
    }

    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        self.records.write(bytes).map_err(|error| super::file::refused(&self.beside, &error))
    }

    fn add<T: Structure>(&mut self, element: &T) -> Result<()> {
        let mut bytes = vec![ELEMENT];
        write_tree(&element.to_tree(), &mut bytes)?;
        self.record(&bytes)?;
        self.count += 1;
        self.flush(WRITE)
    }

    /// Writes what waits, if it is so much.
    fn flush(&mut self, least: usize) -> Result<()> {
        let waiting = std::mem::replace(&mut self.records, Writer::new(Vec::new())).into_inner();
        if waiting.len() < least {
            self.records = Writer::new(waiting);
            return Ok(());
        }
        self.file.write(&waiting)
    }

    fn finish(&mut self) -> Result<()> {
        let end = [&[END][..], &self.count.to_ne_bytes()].concat();
        self.record(&end)?;
        self.flush(0)?;
        self.file.sync()?;
        disk().rename(&self.beside, &self.path)?;
        self.is_finished = true;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk().sync_dir(directory.unwrap_or(Path::new(".")))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nobody asks for it any more, whether it can be removed or not.
            let _ = disk().remove_file(&self.beside);
        }
    }
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    out.extend(number.to_ne_bytes());
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_number(text.len() as u64, out);
    out.extend(text);
}

/// A part as a letter and what it is made of.
fn write_tree(tree: &Tree, out: &mut Vec<u8>) -> Result<()> {
    match tree {
        Tree::Leaf(tensor) => write_tensor(tensor, out)?,
        Tree::List(parts) => {
            out.push(b'l');
            write_number(parts.len() as u64, out);
            parts.iter().try_for_each(|part| write_tree(part, out))?;
        }
        Tree::Map(parts) => {
            out.push(b'm');
            write_number(parts.len() as u64, out);
            for (name, part) in parts {
                write_text(name.as_bytes(), out);
                write_tree(part, out)?;
            }
        }
        Tree::None => out.push(b'n'),
    }
    Ok(())
}

fn write_tensor(tensor: &Tensor, out: &mut Vec<u8>) -> Result<()> {
    if let Some(mask) = tensor.mask() {
        out.push(b'k');
        write_tensor(mask, out)?;
    }
    out.push(b't');
    write_number(tensor.dtype().number() as u64, out);
    write_number(tensor.dims()?.len() as u64, out);
    tensor.dims()?.iter().for_each(|&dim| write_number(dim as u64, out));
    match tensor.dtype() {
        DType::String => tensor.to_strings()?.iter().for_each(|text| write_text(text, out)),
        _ => write_text(&tensor.to_bytes()?, out),
    }
    Ok(())
}

// ---- reading ----

/// The elements of a file but the first `skip`.
fn read<T: Structure>(path: &Path, skip: u64) -> Items<T> {
    let mut file = match Source::open(path, Compression::None) {
        Ok(file) => file,
        Err(error) => return source::only(error),
    };
    let (mut count, mut is_over) = (None, false);
    Box::new(std::iter::from_fn(move || {
        while !is_over {
            let element = match next_element(&mut file, &mut count, skip) {
                Ok(Next::Element(element)) => Some(Ok(element)),
                Ok(Next::Skipped) => continue,
                Ok(Next::End) => None,
                Err(error) => Some(Err(error.note("remove the file to have it written anew"))),
            };
            is_over = !matches!(element, Some(Ok(_)));
            return element;
        }
        None
    }))
}

enum Next<T> {
    Element(T),
    Skipped,
    End,
}

/// What the next record of a file holds; `count` is how many elements there were, once the head has been read.
fn next_element<T: Structure>(file: &mut Source, count: &mut Option<u64>, skip: u64) -> Result<Next<T>> {
    let begin = file.at;
    let mut record = || {
        let record = next_record(file, begin)?;
        record.ok_or_else(|| file.broken("ends before its last record: it was cut off"))
    };
    let Some(before) = *count else {
        let head = record();
        return match head {
            Ok(head) if head == HEAD => {
                *count = Some(0);
                Ok(Next::Skipped)
            }
            _ => Err(file.broken("is no file of kept elements of this machine's order of bytes")),
        };
    };
    let bytes = record()?;
    match bytes.split_first() {
        Some((&ELEMENT, _)) if before < skip => {
            *count = Some(before + 1);
            Ok(Next::Skipped)
        }
        Some((&ELEMENT, bytes)) => {
            *count = Some(before + 1);
            let mut rest = Rest { bytes, path: &file.path };
            let tree = rest.tree(0)?;
            if !rest.bytes.is_empty() {
                return Err(rest.broken());
            }
            let element = T::from_tree(tree);
            Ok(Next::Element(
                element.map_err(|error| error.note(format!("element {before} of {}", file.path.display())))?,
            ))
        }
        Some((&END, stored)) if stored == before.to_ne_bytes() => match file.take(1)?.is_empty() {
            true => Ok(Next::End),
            false => Err(file.broken("goes on after its last record")),
        },
        _ => Err(file.broken(format!("the record after {before} elements is none of an element and not the last one"))),
    }
}

/// What is left of a record.
struct Rest<'a> {
    bytes: &'a [u8],
    path: &'a Path,
}

/// How deep parts may lie in parts.
const DEEPEST: usize = 64;

impl<'a> Rest<'a> {
    fn broken(&self) -> Error {
        broken(self.path, "an element is not as it is written")
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let at = usize::try_from(count).ok().and_then(|count| self.bytes.split_at_checked(count));
        let (taken, rest) = at.ok_or_else(|| self.broken())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)))
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let count = self.number()?;
        self.take(count)
    }

    fn letter(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn tree(&mut self, depth: usize) -> Result<Tree> {
        if depth > DEEPEST {
            return Err(self.broken());
        }
        match self.letter()? {
            b'n' => Ok(Tree::None),
            b'l' => {
                let count = self.number()?;
                // Each takes at least its letter, so that no more are made than are there.
                (0..count).map(|_| self.tree(depth + 1)).collect::<Result<Vec<_>>>().map(Tree::List)
            }
            b'm' => {
                let (count, mut parts) = (self.number()?, BTreeMap::new());
                for _ in 0..count {
                    let name = std::str::from_utf8(self.text()?).map_err(|_| self.broken())?.to_owned();
                    parts.insert(name, self.tree(depth + 1)?);
                }
                Ok(Tree::Map(parts))
            }
            letter => self.tensor(letter, depth).map(Tree::Leaf),
        }
    }

    fn tensor(&mut self, letter: u8, depth: usize) -> Result<Tensor> {
        if letter == b'k' && depth <= DEEPEST {
            let (letter, depth) = (self.letter()?, depth + 1);
            let mask = self.tensor(letter, depth)?;
            let letter = self.letter()?;
            return Ok(self.tensor(letter, depth)?.with_mask(Some(mask)));
        }
        if letter != b't' {
            return Err(self.broken());
        }
        let dtype = i32::try_from(self.number()?).ok().and_then(DType::from_number).ok_or_else(|| self.broken())?;
        let rank = self.number()?;
        let dims = (0..rank).map(|_| Ok(self.number()? as usize)).collect::<Result<Vec<_>>>()?;
        if dtype != DType::String {
            let bytes = self.text()?;
            return Tensor::from_bytes(dtype, dims, bytes).map_err(|_| self.broken());
        }
        let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim)).ok_or_else(|| self.broken())?;
        let texts = (0..count).map(|_| self.text()).collect::<Result<Vec<_>>>()?;
        Tensor::strings(dims, texts).map_err(|_| self.broken())
    }
}
