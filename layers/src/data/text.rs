//! Text: lines, and files by class.

use super::file::{Compression, Source, broken, class_names, files_by_class, refused};
use super::node::Items;
use super::{Dataset, source};
use modulor::{Result, Tensor};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A line is never longer: one that is would be a file of another kind.
const LONGEST_LINE: u64 = 1 << 28;

impl Dataset<Tensor> {
    /// The lines of files, scalars of dtype string, without their ends; files whose names end in `.gz` are decompressed.
    /// TensorFlow's `TextLineDataset`.
    ///
    /// ```
    /// use modulor_layers::data::Dataset;
    /// # fn main() -> modulor::Result<()> {
    /// let path = std::env::temp_dir().join(format!("lines-{}.txt", std::process::id()));
    /// std::fs::write(&path, "to be\r\nor not").unwrap();
    /// let lines = Dataset::text_lines([&path]).iter().map(|line| Ok(line?.to_strings()?[0].to_vec()));
    /// assert_eq!(lines.collect::<modulor::Result<Vec<_>>>()?, [&b"to be"[..], b"or not"]);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_lines<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Dataset<Tensor> {
        source::of_files(paths, |path| {
            let mut reader = match Source::open(path, Compression::of(path)) {
                Ok(file) => BufReader::new(file.into_reader()),
                Err(error) => return source::only(error),
            };
            let (path, mut number) = (path.to_owned(), 0_u64);
            Box::new(std::iter::from_fn(move || {
                number += 1;
                let mut line = Vec::new();
                match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line) {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) => return Some(Err(refused(&path, &error).note(format!("at line {number}")))),
                }
                if line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
                    let message = format!("line {number} is longer than {LONGEST_LINE} bytes");
                    return Some(Err(broken(&path, message)));
                }
                let text = line.strip_suffix(b"\n").map_or(&*line, |text| text.strip_suffix(b"\r").unwrap_or(text));
                Some(Tensor::strings([], [text]))
            })) as Items<Tensor>
        })
    }
}

/// Text files in directories, one directory a class: Keras's `text_dataset_from_directory`.
///
/// ```
/// use modulor_layers::data::TextFolder;
/// # fn main() -> modulor::Result<()> {
/// # let reviews = std::env::temp_dir().join(format!("reviews-{}", std::process::id()));
/// # for (path, text) in [("neg/1.txt", "dull"), ("pos/7.txt", "a joy")] {
/// #     std::fs::create_dir_all(reviews.join(path).parent().unwrap()).unwrap();
/// #     std::fs::write(reviews.join(path), text).unwrap();
/// # }
/// let folder = TextFolder::new(&reviews)?;
/// assert_eq!(folder.class_names(), ["neg", "pos"]);
/// let (text, label) = folder.dataset().iter().last().unwrap()?;
/// assert_eq!((&*text.to_strings()?[0], label.item::<i32>()?), (&b"a joy"[..], 1));
/// # std::fs::remove_dir_all(reviews).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TextFolder {
    classes: Vec<String>,
    files: Vec<(PathBuf, usize)>,
}

impl TextFolder {
    /// The files that end in `.txt` below the directories of `directory`, but for those whose names begin with a dot; an error
    /// where there are none.
    pub fn new(directory: impl AsRef<Path>) -> Result<TextFolder> {
        let classes = class_names(directory.as_ref())?;
        let files = files_by_class(directory.as_ref(), &classes, &["txt"])?;
        Ok(TextFolder { classes, files })
    }

    /// The names of the directories in order: a label is a place in them.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// Texts, scalars of dtype string, and labels, scalars of int32: in the order of classes and names.
    pub fn dataset(&self) -> Dataset<(Tensor, Tensor)> {
        read_each(self.files.clone(), |path| Tensor::strings([], [Source::open(path, Compression::None)?.rest()?]))
    }
}

/// What `read` makes of each of some files, with its label.
pub(super) fn read_each(
    files: Vec<(PathBuf, usize)>,
    read: impl Fn(&Path) -> Result<Tensor> + Send + Sync + 'static,
) -> Dataset<(Tensor, Tensor)> {
    let files: Dataset<(PathBuf, usize)> = files.into_iter().collect();
    files.map(move |(path, label)| Ok((read(&path)?, Tensor::scalar(label as i32))))
}
