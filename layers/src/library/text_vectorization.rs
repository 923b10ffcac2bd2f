use super::settings::{Settings, defaults, of_settings};
use super::vocabulary::{Lookup, Told, documents};
use super::{IntoBatch, TokenOutput};
use modulor::module::Config;
use modulor::{DType, DTypePolicy, Ellipsis, Error, Layer, Result, Tensor};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A step of [`TextVectorization`] that is known by a name, is left out, or is a function of one's own, which no config has.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident $setting:literal, $own:literal {
        $($(#[$of:meta])* $variant:ident $name:literal;)*
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone)]
        pub enum $step {
            /// It is left out.
            None,
            $($(#[$of])* $variant,)*
            #[doc = $own]
            Custom(Arc<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>),
        }

        impl $step {
            fn name(&self) -> Option<&'static str> {
                match self {
                    $($step::$variant => Some($name),)*
                    $step::None | $step::Custom(_) => None,
                }
            }
        }

        impl fmt::Debug for $step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $step::None => "None",
                    $($step::$variant => stringify!($variant),)*
                    $step::Custom(_) => "Custom",
                })
            }
        }

        impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static> From<F> for $step {
            fn from(f: F) -> Self {
                $step::Custom(Arc::new(f))
            }
        }

        impl Serialize for $step {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                match self {
                    $step::Custom(_) => Err(S::Error::custom(concat!("`", $setting, "` is a closure, which no config has"))),
                    other => other.name().serialize(serializer),
                }
            }
        }

        impl<'de> Deserialize<'de> for $step {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let known = [$($name),*];
                match serde_json::Value::deserialize(deserializer)? {
                    serde_json::Value::Null => Ok($step::None),
                    $(serde_json::Value::String(name) if name == $name => Ok($step::$variant),)*
                    found => Err(D::Error::custom(format!(
                        concat!("`", $setting, "` is null or one of {}, found {}"), known.join(", "), found
                    ))),
                }
            }
        }
    )* };
}

steps! {
    /// What is done to a text before it is split.
    Standardize "standardize", "What this makes of strings: as many." {
        /// In small letters, and without the punctuation of ASCII.
        LowerAndStripPunctuation "lower_and_strip_punctuation";
        /// In small letters.
        Lower "lower";
        /// Without the punctuation of ASCII.
        StripPunctuation "strip_punctuation";
    }
    /// How a text becomes tokens.
    Split "split", "What this makes of a vector of strings: a matrix with a row of tokens for each, filled up with empty strings." {
        /// What white space of ASCII separates.
        Whitespace "whitespace";
        /// Each character.
        Character "character";
    }
}

/// How many neighbours make a token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum NGrams {
    /// Any number up to this.
    UpTo(usize),
    /// Each of these numbers.
    Of(Vec<usize>),
}

impl From<usize> for NGrams {
    fn from(most: usize) -> Self {
        NGrams::UpTo(most)
    }
}

impl<const N: usize> From<[usize; N]> for NGrams {
    fn from(widths: [usize; N]) -> Self {
        NGrams::Of(widths.to_vec())
    }
}

impl NGrams {
    fn widths(&self) -> Vec<i64> {
        match self {
            NGrams::UpTo(most) => (1..=*most as i64).collect(),
            NGrams::Of(widths) => widths.iter().map(|&width| i64::try_from(width).unwrap_or(i64::MAX)).collect(),
        }
    }
}

/// What a config says.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Written {
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default = "usual")]
    standardize: Standardize,
    #[serde(default = "by_space")]
    split: Split,
    #[serde(default)]
    ngrams: Option<NGrams>,
    #[serde(default)]
    output_mode: TokenOutput,
    #[serde(default)]
    output_sequence_length: Option<usize>,
    #[serde(default)]
    pad_to_max_tokens: bool,
    #[serde(default)]
    sparse: bool,
    #[serde(default)]
    ragged: bool,
    #[serde(default)]
    vocabulary: Option<Vec<String>>,
    #[serde(default)]
    idf_weights: Option<Vec<f64>>,
    #[serde(default = "utf_8")]
    encoding: String,
    #[serde(default)]
    vocabulary_size: Option<usize>,
}

fn usual() -> Standardize {
    Standardize::LowerAndStripPunctuation
}

fn by_space() -> Split {
    Split::Whitespace
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

/// The settings: those of the text, and the lookup of its tokens.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(from = "Written", into = "Written")]
struct Vectorization {
    text: Written,
    lookup: Lookup<String>,
}

impl From<Written> for Vectorization {
    fn from(mut text: Written) -> Self {
        let told = Told {
            max_tokens: text.max_tokens,
            mask_token: Some(String::new()),
            output_mode: text.output_mode,
            sparse: text.sparse,
            pad_to_max_tokens: text.pad_to_max_tokens,
            vocabulary: text.vocabulary.take(),
            idf_weights: text.idf_weights.take(),
            ..Told::default()
        };
        Vectorization { text, lookup: Lookup::from(told) }
    }
}

impl From<Vectorization> for Written {
    fn from(settings: Vectorization) -> Self {
        let Told { vocabulary, idf_weights, .. } = settings.lookup.said();
        let vocabulary_size = Some(settings.lookup.size().unwrap_or(settings.lookup.start()));
        Written { vocabulary, idf_weights, vocabulary_size, ..settings.text }
    }
}

impl Settings for Vectorization {
    fn finish(&self, _: &mut Config) {}
}

/// The punctuation of ASCII, as Keras strips it.
const PUNCTUATION: &str = r##"[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"##;

/// Tokens: of one text where there was but one.
struct Tokens {
    tokens: Tensor,
    is_one: bool,
}

fn refused(message: impl Into<String>) -> Error {
    Error::invalid_argument(message)
}

impl Vectorization {
    fn check(&self) -> Result<()> {
        let text = &self.text;
        if text.ragged {
            return Err(refused("`ragged` must be false: there are no ragged tensors here, and rows are filled up"));
        }
        if let Some(length) = text.output_sequence_length.filter(|_| text.output_mode != TokenOutput::Int) {
            let found = text.output_mode;
            let message =
                format!("`output_sequence_length` is for the `output_mode` int, found {length} with {found:?}");
            return Err(refused(message));
        }
        if text.encoding != "utf-8" {
            return Err(refused(format!("the encoding of a text is utf-8, found {:?}", text.encoding)));
        }
        if matches!(&text.ngrams, Some(ngrams) if ngrams.widths().iter().any(|&width| width < 1)) {
            return Err(refused(format!("`ngrams` must be at least 1, found {:?}", text.ngrams)));
        }
        self.lookup.check()
    }

    fn standardized(&self, x: &Tensor) -> Result<Tensor> {
        match &self.text.standardize {
            Standardize::None => Ok(x.clone()),
            Standardize::Lower => x.string_lower(""),
            Standardize::StripPunctuation => x.regex_replace(PUNCTUATION, ""),
            Standardize::LowerAndStripPunctuation => x.string_lower("")?.regex_replace(PUNCTUATION, ""),
            Standardize::Custom(f) => strings(f(x)?, "`standardize`"),
        }
    }

    /// The tokens of texts: rows that are filled up with empty strings, unless texts are tokens.
    fn tokens(&self, x: &Tensor, length: Option<usize>) -> Result<Tokens> {
        self.check()?;
        let x = self.standardized(&strings(x.clone(), "the input")?)?;
        let rank = x.rank().ok_or_else(|| refused("the rank of the input is needed"))?;
        let nothing = Tensor::strings([], [""])?;
        let ngrams = self.text.ngrams.as_ref().map(NGrams::widths);
        let is_one = rank == 0 || rank == 1 && matches!(self.text.split, Split::None);
        let (tokens, splits) = match &self.text.split {
            Split::None => match ngrams {
                None => return Ok(Tokens { tokens: x, is_one: false }),
                Some(_) => rows(&if rank < 2 { x.reshape([1, -1])? } else { x })?,
            },
            split => {
                let texts = match rank {
                    0 => x.reshape([1])?,
                    1 => x,
                    2 if x.shape().dim(1) == Some(1) => x.squeeze([1])?,
                    _ => {
                        let message = format!(
                            "to be split, texts are a vector or of [batch, 1], found shape {}; without `split` they may \
                             be of any",
                            x.shape()
                        );
                        return Err(refused(message));
                    }
                };
                match split {
                    Split::Character => texts.unicode_split()?,
                    Split::Custom(f) => {
                        let matrix = strings(f(&texts)?, "`split`")?;
                        match (matrix.rank(), &ngrams, length) {
                            (Some(2), None, None) => return one_of(matrix, is_one),
                            (Some(2), ..) => rows(&matrix)?,
                            _ => {
                                let message = format!("`split` must give a matrix of tokens, found {}", matrix.spec());
                                return Err(refused(message));
                            }
                        }
                    }
                    _ => texts.string_split("")?,
                }
            }
        };
        let (tokens, splits) = match ngrams {
            Some(widths) => tokens.string_ngrams(&splits, widths, " ")?,
            None => (tokens, splits),
        };
        one_of(tokens.rows_to_tensor(&splits, length, &nothing)?, is_one)
    }
}

/// A tensor that must be of strings.
fn strings(x: Tensor, what: &str) -> Result<Tensor> {
    match x.dtype() {
        DType::String => Ok(x),
        found => Err(refused(format!("{what} must be strings, found {found}"))),
    }
}

/// Rows of tokens, or the one row of one text.
fn one_of(tokens: Tensor, is_one: bool) -> Result<Tokens> {
    let tokens = if is_one { tokens.slice(0)? } else { tokens };
    Ok(Tokens { tokens, is_one })
}

/// The elements of a matrix in a row, and where those of each row begin and end.
fn rows(matrix: &Tensor) -> Result<(Tensor, Tensor)> {
    if matrix.rank() != Some(2) {
        return Err(refused(format!("neighbours are in the rows of a matrix, found shape {}", matrix.shape())));
    }
    let shape = matrix.shape_tensor()?.cast(DType::I64)?;
    let (columns, one) = (shape.slice(1)?, Tensor::scalar(1_i64));
    // A step for each row, and one for the end.
    let steps = matrix.string_length(modulor::CharUnit::Byte)?.sum([1])?.ones_like()?.cast(DType::I64)?;
    let ends = Tensor::concat(&[one.reshape([1])?.sub(&one)?, steps.mul(&columns)?.cumsum(0)?], 0)?;
    Ok((matrix.reshape([-1])?, ends))
}

/// Texts as vectors: standardised, split into tokens, which may be joined with their neighbours, and looked up in a
/// vocabulary, which is told or learnt by [`adapt`](TextVectorization::adapt).
///
/// Indices are int64 in rows as long as the longest, or of `output_sequence_length`, filled up with 0; 1 is that of tokens
/// which the vocabulary lacks, and its terms follow. In the other modes a text is one vector, with the place of unknown tokens
/// first; of [`OneHot`](TokenOutput::OneHot) each token is one, and rows are filled up with zeros, where Keras gives ragged
/// ones. The vocabulary is in the config, also one that was learnt; see [`StringLookup`](super::StringLookup).
///
/// # Shapes
///
/// `[batch]` or `[batch, 1]` becomes `[batch, length]` or `[batch, vocabulary]`. Without `split` each string of any shape is a
/// token.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::TextVectorization;
/// # fn main() -> modulor::Result<()> {
/// let layer = TextVectorization::new().output_sequence_length(4);
/// let texts = Tensor::strings([2], ["The cat sat.", "The dog!"])?;
/// layer.adapt([&texts])?;
/// assert_eq!(layer.get_vocabulary(true)?, ["", "[UNK]", "the", "sat", "dog", "cat"]);
/// assert_eq!(layer.call(&texts)?.to_vec::<i64>()?, [2, 5, 3, 0, 2, 4, 0, 0]);
/// # Ok(())
/// # }
/// ```
///
/// Steps of one's own are closures:
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::{NGrams, TextVectorization};
/// # fn main() -> modulor::Result<()> {
/// let layer = TextVectorization::new()
///     .standardize(|x: &Tensor| x.regex_replace("[0-9]+", "#"))
///     .ngrams(NGrams::from(2))
///     .vocabulary(["a", "#", "a #"]);
/// assert_eq!(layer.call(&Tensor::strings([1], ["a 42"])?)?.to_vec::<i64>()?, [2, 3, 4]);
/// # Ok(())
/// # }
/// ```
pub struct TextVectorization {
    dtype: DTypePolicy,
    settings: Vectorization,
}

impl TextVectorization {
    /// Indices of a vocabulary that is set or learnt later.
    pub fn new() -> TextVectorization {
        let text = Written {
            max_tokens: None,
            standardize: usual(),
            split: by_space(),
            ngrams: None,
            output_mode: TokenOutput::Int,
            output_sequence_length: None,
            pad_to_max_tokens: false,
            sparse: false,
            ragged: false,
            vocabulary: None,
            idf_weights: None,
            encoding: utf_8(),
            vocabulary_size: None,
        };
        TextVectorization { dtype: DTypePolicy::default(), settings: text.into() }
    }

    /// The same with another setting, and nothing learnt.
    fn with(self, change: impl FnOnce(&mut Written)) -> TextVectorization {
        let Told { vocabulary, idf_weights, .. } = self.settings.lookup.told;
        let mut text = Written { vocabulary, idf_weights, ..self.settings.text };
        change(&mut text);
        TextVectorization { dtype: self.dtype, settings: text.into() }
    }

    /// How many indices there are at most, those of special terms included; any number unless set.
    #[must_use]
    pub fn max_tokens(self, max_tokens: impl Into<Option<usize>>) -> TextVectorization {
        let max_tokens = max_tokens.into();
        self.with(|text| text.max_tokens = max_tokens)
    }

    /// What is done to a text before it is split, or a closure that does it; small letters without punctuation unless set.
    #[must_use]
    pub fn standardize(self, standardize: impl Into<Standardize>) -> TextVectorization {
        let standardize = standardize.into();
        self.with(|text| text.standardize = standardize)
    }

    /// How a text becomes tokens, or a closure that makes a matrix of tokens of a vector of strings; by white space unless
    /// set.
    #[must_use]
    pub fn split(self, split: impl Into<Split>) -> TextVectorization {
        let split = split.into();
        self.with(|text| text.split = split)
    }

    /// How many neighbours are joined to tokens; a token is a token alone unless set.
    #[must_use]
    pub fn ngrams(self, ngrams: impl Into<Option<NGrams>>) -> TextVectorization {
        let ngrams = ngrams.into();
        self.with(|text| text.ngrams = ngrams)
    }

    /// What tokens become; indices unless set.
    #[must_use]
    pub fn output_mode(self, output_mode: TokenOutput) -> TextVectorization {
        self.with(|text| text.output_mode = output_mode)
    }

    /// How many indices a text becomes, cut or filled up; as many as the longest has unless set.
    #[must_use]
    pub fn output_sequence_length(self, output_sequence_length: impl Into<Option<usize>>) -> TextVectorization {
        let output_sequence_length = output_sequence_length.into();
        self.with(|text| text.output_sequence_length = output_sequence_length)
    }

    /// Whether vectors have `max_tokens` places though the vocabulary has fewer; not unless set.
    #[must_use]
    pub fn pad_to_max_tokens(self, pad_to_max_tokens: bool) -> TextVectorization {
        self.with(|text| text.pad_to_max_tokens = pad_to_max_tokens)
    }

    /// The terms in the order of their indices, with the special ones in front or without them; learnt unless set.
    #[must_use]
    pub fn vocabulary<T: Into<String>>(self, vocabulary: impl IntoIterator<Item = T>) -> TextVectorization {
        let vocabulary = Some(vocabulary.into_iter().map(Into::into).collect());
        self.with(|text| text.vocabulary = vocabulary)
    }

    /// As [`vocabulary`](TextVectorization::vocabulary), of a file; see
    /// [`StringLookup::vocabulary_file`](super::StringLookup::vocabulary_file).
    pub fn vocabulary_file(self, path: impl AsRef<Path>) -> Result<TextVectorization> {
        let vocabulary = self.settings.lookup.of_file(path.as_ref())?;
        Ok(self.with(|text| text.vocabulary = Some(vocabulary)))
    }

    /// What counts are multiplied by, one for each term of `vocabulary`.
    #[must_use]
    pub fn idf_weights(self, idf_weights: impl Into<Vec<f64>>) -> TextVectorization {
        let idf_weights = Some(idf_weights.into());
        self.with(|text| text.idf_weights = idf_weights)
    }

    /// Learns the vocabulary of some batches of texts, instead of what was learnt before; see
    /// [`StringLookup::adapt`](super::StringLookup::adapt). A text is a document.
    pub fn adapt<B: IntoBatch>(&self, batches: impl IntoIterator<Item = B>) -> Result<()> {
        let tokens = batches.into_iter().map(|batch| Ok(self.settings.tokens(&batch.into_batch()?, None)?.tokens));
        self.settings.lookup.learn(documents::<String, _>(tokens))
    }

    /// The terms in the order of their indices, with the special ones in front or without them.
    pub fn get_vocabulary(&self, include_special_tokens: bool) -> Result<Vec<String>> {
        self.settings.lookup.terms(include_special_tokens)
    }

    /// How many indices there are, those of special terms included.
    pub fn vocabulary_size(&self) -> Result<usize> {
        self.settings.lookup.size()
    }

    /// Takes another vocabulary; see [`StringLookup::set_vocabulary`](super::StringLookup::set_vocabulary).
    pub fn set_vocabulary<T: Into<String>>(&self, vocabulary: impl IntoIterator<Item = T>) -> Result<()> {
        self.settings.lookup.set(vocabulary.into_iter().map(Into::into).collect(), None)
    }

    /// As [`set_vocabulary`](Self::set_vocabulary), with a weight for each term.
    pub fn set_weighted_vocabulary<T: Into<String>>(
        &self,
        vocabulary: impl IntoIterator<Item = T>,
        idf_weights: impl Into<Vec<f64>>,
    ) -> Result<()> {
        self.settings.lookup.set(vocabulary.into_iter().map(Into::into).collect(), Some(idf_weights.into()))
    }

    /// As [`set_vocabulary`](Self::set_vocabulary), of a [file](Self::vocabulary_file).
    pub fn set_vocabulary_from_file(&self, path: impl AsRef<Path>) -> Result<()> {
        self.settings.lookup.set_from_file(path.as_ref())
    }
}

impl Layer for TextVectorization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let settings = &self.settings;
        let length = settings.text.output_sequence_length;
        let Tokens { tokens, is_one } = settings.tokens(x, length)?;
        let y = settings.lookup.look_up(&tokens, !matches!(settings.text.split, Split::None))?;
        // What was not split is not filled up yet.
        match (length, tokens.rank()) {
            (Some(length), Some(rank)) if !is_one && matches!(settings.text.split, Split::None) && rank > 0 => {
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                let mut paddings = vec![[0, 0]; rank];
                paddings[rank - 1][1] = length;
                y.pad(paddings)?.slice((Ellipsis, 0..length))
            }
            _ => Ok(y),
        }
    }

    fn autocast(&self) -> bool {
        false
    }
}

of_settings! {
    TextVectorization "text_vectorization" [
        "max_tokens" "standardize" "split" "ngrams" "output_mode" "output_sequence_length" "pad_to_max_tokens" "sparse"
        "ragged" "vocabulary" "idf_weights" "encoding" "vocabulary_size"
    ]
}

defaults!(TextVectorization);
