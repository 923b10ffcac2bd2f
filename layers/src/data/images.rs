//! Images in directories.

use super::Dataset;
use super::file::{class_names, files_below, files_by_class};
use super::image_file::{ColorMode, read_image};
use super::random_state::shuffle;
use crate::resize::{Interpolation, window_of_ratio};
use modulor::{DType, Error, Result, Tensor, nearest};
use std::path::{Path, PathBuf};

/// What files are taken for images by their names.
const EXTENSIONS: [&str; 5] = ["bmp", "gif", "jpeg", "jpg", "png"];

/// How a class is a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelMode {
    /// Its place among the names, a scalar of int32.
    #[default]
    Int,
    /// A vector of float32, 1 at its place.
    Categorical,
    /// 0 or 1, of two classes: float32 of `[1]`.
    Binary,
}

/// Which part of the files is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// All but the last ones.
    Training,
    /// The last ones.
    Validation,
}

/// Images in directories, one directory a class, all of one size: Keras's `image_dataset_from_directory`.
///
/// Files count by their names, which end in `.bmp`, `.gif`, `.jpeg`, `.jpg` or `.png`, at any depth below the directories of
/// the classes; a directory whose name begins with a dot is no class. They are read when they are drawn, see
/// [`read_image`]. Sizes, order and parts are Keras's, to the same seeds.
///
/// ```no_run
/// use modulor_layers::data::{ImageFolder, Subset};
/// # fn main() -> modulor::Result<()> {
/// let images = |subset| ImageFolder::new("flowers")?.image_size([180, 180]).shuffle(7).split(0.2, subset);
/// let training = images(Subset::Training)?;
/// println!("{:?}", training.class_names());
/// let training = training.dataset()?.batch(32);
/// let validation = images(Subset::Validation)?.dataset()?.batch(32);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    directory: PathBuf,
    classes: Vec<String>,
    files: Vec<(PathBuf, usize)>,
    size: [usize; 2],
    color_mode: ColorMode,
    label_mode: LabelMode,
    interpolation: Interpolation,
    fit: Fit,
    channels_first: bool,
    seed: Option<u32>,
    is_validation: bool,
}

/// What is done to an image of another ratio than that of the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Distorted,
    Cropped,
    Padded,
}

impl ImageFolder {
    /// The images below the directories of `directory`; an error where there are none.
    pub fn new(directory: impl AsRef<Path>) -> Result<ImageFolder> {
        let classes = class_names(directory.as_ref())?;
        let files = files_by_class(directory.as_ref(), &classes, &EXTENSIONS)?;
        Ok(ImageFolder::of(directory.as_ref(), classes, files))
    }

    /// The images below `directory`, at any depth, without classes: what Keras has of `labels=None`. Their labels are 0.
    pub fn without_classes(directory: impl AsRef<Path>) -> Result<ImageFolder> {
        let directory = directory.as_ref();
        let files: Vec<_> = files_below(directory, &EXTENSIONS)?.into_iter().map(|path| (path, 0)).collect();
        if files.is_empty() {
            let message = format!("{}: has no files of {}", directory.display(), EXTENSIONS.join(", "));
            return Err(Error::not_found(message));
        }
        Ok(ImageFolder::of(directory, Vec::new(), files))
    }

    fn of(directory: &Path, classes: Vec<String>, files: Vec<(PathBuf, usize)>) -> ImageFolder {
        ImageFolder {
            directory: directory.to_owned(),
            classes,
            files,
            size: [256, 256],
            color_mode: ColorMode::default(),
            label_mode: LabelMode::default(),
            interpolation: Interpolation::Bilinear,
            fit: Fit::Distorted,
            channels_first: false,
            seed: None,
            is_validation: false,
        }
    }

    /// These classes alone, in this order, which is that of the labels: said before the files are shuffled or split. An error
    /// for a class that is no directory, and where there are no images.
    pub fn select_classes<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Result<ImageFolder> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if let Some(unknown) = names.iter().find(|name| !self.classes.contains(name)) {
            let hint = nearest::suggestion(unknown, self.classes.iter().map(String::as_str));
            let message = format!("{}: there is no class `{unknown}`; {hint}", self.directory.display());
            return Err(Error::not_found(message));
        }
        let files = files_by_class(&self.directory, &names, &EXTENSIONS)?;
        Ok(ImageFolder { classes: names, files, ..self })
    }

    /// Rows and columns; 256 of each unless set.
    #[must_use]
    pub fn image_size(self, size: [usize; 2]) -> ImageFolder {
        ImageFolder { size, ..self }
    }

    /// What the channels are; red, green and blue unless set.
    #[must_use]
    pub fn color_mode(self, color_mode: ColorMode) -> ImageFolder {
        ImageFolder { color_mode, ..self }
    }

    /// How a class is a label; by its number unless set.
    #[must_use]
    pub fn label_mode(self, label_mode: LabelMode) -> ImageFolder {
        ImageFolder { label_mode, ..self }
    }

    /// How images are resized; bilinearly unless set.
    #[must_use]
    pub fn interpolation(self, interpolation: Interpolation) -> ImageFolder {
        ImageFolder { interpolation, ..self }
    }

    /// Whether what is resized is the largest window in the middle with the ratio of the size; the whole image is, distorted,
    /// unless set.
    #[must_use]
    pub fn crop_to_aspect_ratio(self, crop: bool) -> ImageFolder {
        ImageFolder { fit: if crop { Fit::Cropped } else { Fit::Distorted }, ..self }
    }

    /// Whether images are resized to lie in the size, and zeros surround them; they are distorted unless set.
    #[must_use]
    pub fn pad_to_aspect_ratio(self, pad: bool) -> ImageFolder {
        ImageFolder { fit: if pad { Fit::Padded } else { Fit::Distorted }, ..self }
    }

    /// Whether the channels come before the rows; they come last unless set.
    #[must_use]
    pub fn channels_first(self, channels_first: bool) -> ImageFolder {
        ImageFolder { channels_first, ..self }
    }

    /// The files in an order that follows from a seed, and is another in each epoch: said before they are split, so that both
    /// parts are of all classes. Without it they are in the order of classes and names.
    #[must_use]
    pub fn shuffle(mut self, seed: u32) -> ImageFolder {
        shuffle(&mut self.files, seed);
        ImageFolder { seed: Some(seed), ..self }
    }

    /// A part of the files, so that the other part, of the same files and the same share, has the rest: for validation the
    /// last `share` of them, rounded down, which must be above 0 and below 1. An error where the part is empty.
    pub fn split(mut self, share: f64, subset: Subset) -> Result<ImageFolder> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::invalid_argument(format!("a share must be above 0 and below 1, found {share}")));
        }
        let at = self.files.len() - (share * self.files.len() as f64) as usize;
        let last = self.files.split_off(at);
        if subset == Subset::Validation {
            self.files = last;
        }
        if self.files.is_empty() {
            let message = format!("{}: no image is left for {subset:?} by {share}", self.directory.display());
            return Err(Error::not_found(message));
        }
        Ok(ImageFolder { is_validation: subset == Subset::Validation, ..self })
    }

    /// The names of the classes: a label is a place in them.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The files, in the order of their classes and names, or as they were shuffled first.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Images, float32 of `[rows, columns, channels]` from 0 to 255, and labels. (By the nearest places Keras gives integers.)
    ///
    /// An error where labels are to be binary and the classes are not two. An error of an iteration names the file.
    pub fn dataset(&self) -> Result<Dataset<(Tensor, Tensor)>> {
        let (mode, count) = (self.label_mode, self.classes.len());
        if mode == LabelMode::Binary && count != 2 {
            let message = format!("binary labels need two classes, found {:?}", self.classes);
            return Err(Error::invalid_argument(message));
        }
        let images = self.clone();
        Ok(self.places().map(move |at| {
            let (path, class) = images.file(&at)?;
            let label = match mode {
                LabelMode::Int => Tensor::scalar(*class as i32),
                LabelMode::Categorical => Tensor::scalar(*class as i32).one_hot(count.max(1), DType::F32)?,
                LabelMode::Binary => Tensor::from([*class as f32]),
            };
            Ok((images.read(path)?, label))
        }))
    }

    /// The images of [`dataset`](ImageFolder::dataset) alone.
    pub fn images(&self) -> Dataset<Tensor> {
        let images = self.clone();
        self.places().map(move |at| images.read(&images.file(&at)?.0))
    }

    /// The places of the files, as they come.
    fn places(&self) -> Dataset<Tensor> {
        let places = Dataset::range(0..self.files.len() as i64);
        match self.seed.filter(|_| !self.is_validation) {
            Some(seed) => places.shuffle(usize::MAX, seed.into()),
            None => places,
        }
    }

    fn file(&self, at: &Tensor) -> Result<&(PathBuf, usize)> {
        let at = at.item::<i64>()? as usize;
        self.files.get(at).ok_or_else(|| Error::internal("a place is one of a file"))
    }

    fn read(&self, path: &Path) -> Result<Tensor> {
        let image = read_image(path, self.color_mode)?.expand_dims(0)?;
        let resized = |x: &Tensor, size| self.interpolation.resized(x, size, false)?.cast(DType::F32);
        let image = match self.fit {
            Fit::Distorted => resized(&image, self.size),
            Fit::Cropped => resized(&window_of_ratio(&image, self.size)?, self.size),
            Fit::Padded => self.padded(&image, resized),
        };
        let image = image.map_err(|error| error.note(format!("of {}", path.display())))?.squeeze([0])?;
        if self.channels_first { image.permute([2, 0, 1]) } else { Ok(image) }
    }

    /// As large as lies in the size, in the middle of zeros, in the float32 of TensorFlow.
    fn padded(&self, x: &Tensor, resized: impl Fn(&Tensor, [usize; 2]) -> Result<Tensor>) -> Result<Tensor> {
        let (dims, to) = (x.dims()?, self.size.map(|size| size as f32));
        let from = [dims[1] as f32, dims[2] as f32];
        let ratio = (from[0] / to[0]).max(from[1] / to[1]);
        let inner = from.map(|from| from / ratio);
        let before = [0, 1].map(|i| ((to[i] - inner[i]) / 2.0).floor().max(0.0) as i64);
        let inner = inner.map(|inner| inner.floor() as usize);
        let after = [0, 1].map(|i| (self.size[i] as i64 - before[i] - inner[i] as i64).max(0));
        resized(x, inner)?.pad([[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    }
}
