//! What layers that look terms up are told, and the vocabulary that they look them up in.

use super::IntoBatch;
use super::category_encoding::{OutputMode, encoded};
use super::settings::Settings;
use modulor::{DType, Error, HashTable, Result, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// What a term becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenOutput {
    /// Its index in the vocabulary.
    #[default]
    Int,
    /// A vector, 1 at its index.
    OneHot,
    /// With the others of its sample a vector, 1 at each index that is there.
    #[serde(alias = "binary")]
    MultiHot,
    /// With the others of its sample a vector of how often each index is there.
    Count,
    /// As a count, each times the weight of its index.
    #[serde(alias = "tf-idf")]
    TfIdf,
}

/// How integers that the vocabulary lacks are given one of several indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OovMethod {
    /// By the remainder of a division.
    #[default]
    Floormod,
    /// By a hash of their digits.
    Farmhash,
}

/// The key of a hash: two integers, or one for both.
///
/// ```
/// use modulor_layers::library::Salt;
/// assert_eq!(Salt::from(3), Salt::from([3, 3]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SaltForm", into = "[i64; 2]")]
pub struct Salt(pub(super) [i64; 2]);

#[derive(Deserialize)]
#[serde(untagged)]
enum SaltForm {
    One(i64),
    Two([i64; 2]),
}

impl From<SaltForm> for Salt {
    fn from(form: SaltForm) -> Self {
        match form {
            SaltForm::One(word) => Salt([word; 2]),
            SaltForm::Two(words) => Salt(words),
        }
    }
}

impl From<Salt> for [i64; 2] {
    fn from(salt: Salt) -> Self {
        salt.0
    }
}

impl From<i64> for Salt {
    fn from(word: i64) -> Self {
        Salt([word; 2])
    }
}

impl From<[i64; 2]> for Salt {
    fn from(words: [i64; 2]) -> Self {
        Salt(words)
    }
}

/// A term of a vocabulary.
pub(super) trait Term:
    Clone + Debug + Eq + Hash + Ord + Send + Sync + Serialize + DeserializeOwned + 'static
{
    const DTYPE: DType;

    /// Stands for what the vocabulary lacks.
    fn unknown() -> Self;

    /// The setting of a class beside those that both have, by which the other is told apart.
    fn own_settings() -> OwnSettings;

    fn tensor(terms: &[Self]) -> Result<Tensor>;

    fn terms(x: &Tensor) -> Result<Vec<Self>>;

    /// A line of a file as a term, if it is one.
    fn of_line(line: &str) -> Option<Self>;
}

/// Settings that one of the classes has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OwnSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vocabulary_dtype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
}

impl Term for String {
    const DTYPE: DType = DType::String;

    fn unknown() -> Self {
        "[UNK]".to_owned()
    }
    fn own_settings() -> OwnSettings {
        OwnSettings { encoding: Some("utf-8".to_owned()), vocabulary_dtype: None }
    }
    fn tensor(terms: &[Self]) -> Result<Tensor> {
        Tensor::strings([terms.len()], terms)
    }
    fn terms(x: &Tensor) -> Result<Vec<Self>> {
        let term = |text: &[u8]| match std::str::from_utf8(text) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                let found = String::from_utf8_lossy(text);
                Err(Error::invalid_argument(format!("a vocabulary is UTF-8, which {found:?} is not")))
            }
        };
        x.to_strings()?.iter().map(|text| term(text)).collect()
    }
    fn of_line(line: &str) -> Option<Self> {
        Some(line.to_owned())
    }
}

impl Term for i64 {
    const DTYPE: DType = DType::I64;

    fn unknown() -> Self {
        -1
    }
    fn own_settings() -> OwnSettings {
        OwnSettings { vocabulary_dtype: Some("int64".to_owned()), encoding: None }
    }
    fn tensor(terms: &[Self]) -> Result<Tensor> {
        Tensor::new([terms.len()], terms)
    }
    fn terms(x: &Tensor) -> Result<Vec<Self>> {
        x.cast(DType::I64)?.to_vec()
    }
    fn of_line(line: &str) -> Option<Self> {
        line.trim().parse().ok()
    }
}

/// All that a config says of a lookup, the vocabulary included.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Term")]
pub(super) struct Told<T> {
    #[serde(default)]
    pub invert: bool,
    #[serde(default)]
    pub max_tokens: Option<usize>,
    #[serde(default = "one")]
    pub num_oov_indices: usize,
    #[serde(default = "T::unknown")]
    pub oov_token: T,
    #[serde(default)]
    pub mask_token: Option<T>,
    #[serde(default)]
    pub output_mode: TokenOutput,
    #[serde(default)]
    pub sparse: bool,
    #[serde(default)]
    pub pad_to_max_tokens: bool,
    #[serde(default)]
    pub oov_method: OovMethod,
    #[serde(default)]
    pub salt: Option<Salt>,
    #[serde(default)]
    pub vocabulary: Option<Vec<T>>,
    #[serde(default)]
    pub idf_weights: Option<Vec<f64>>,
    #[serde(default)]
    pub vocabulary_size: Option<usize>,
    #[serde(flatten)]
    pub own: OwnSettings,
}

fn one() -> usize {
    1
}

impl<T: Term> Default for Told<T> {
    fn default() -> Self {
        Told {
            invert: false,
            max_tokens: None,
            num_oov_indices: 1,
            oov_token: T::unknown(),
            mask_token: None,
            output_mode: TokenOutput::Int,
            sparse: false,
            pad_to_max_tokens: false,
            oov_method: OovMethod::Floormod,
            salt: None,
            vocabulary: None,
            idf_weights: None,
            vocabulary_size: None,
            own: T::own_settings(),
        }
    }
}

/// A vocabulary that is ready.
struct Vocabulary<T> {
    /// The terms behind the special ones.
    terms: Vec<T>,
    table: HashTable,
    /// Of each index, and 0 up to the most terms there may be where vectors are as long as that.
    weights: Option<Vec<f32>>,
}

/// What was set or learnt since, shared by all handles to a layer.
struct Learnt<T> {
    /// What a config says of it, if that is not what the layer was told.
    said: Option<(Vec<T>, Option<Vec<f64>>)>,
    ready: Option<Arc<Vocabulary<T>>>,
}

/// A lookup: its settings and its vocabulary.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Told<T>", into = "Told<T>", bound = "T: Term")]
pub(super) struct Lookup<T: Term> {
    pub told: Told<T>,
    learnt: Arc<RwLock<Learnt<T>>>,
}

impl<T: Term> From<Told<T>> for Lookup<T> {
    fn from(mut told: Told<T>) -> Self {
        let own = T::own_settings();
        told.own.vocabulary_dtype = told.own.vocabulary_dtype.or(own.vocabulary_dtype);
        told.own.encoding = told.own.encoding.or(own.encoding);
        Lookup { told, learnt: Arc::new(RwLock::new(Learnt { said: None, ready: None })) }
    }
}

impl<T: Term> From<Lookup<T>> for Told<T> {
    fn from(lookup: Lookup<T>) -> Self {
        lookup.said()
    }
}

impl<T: Term> Settings for Lookup<T> {}

fn refused(message: impl Into<String>) -> Error {
    Error::invalid_argument(message)
}

fn in_file(error: Error, path: &Path) -> Error {
    error.note(format!("in the vocabulary file {}", path.display()))
}

impl<T: Term> Lookup<T> {
    /// The settings with the vocabulary that is there now.
    pub fn said(&self) -> Told<T> {
        let size = self.ready().ok().map(|ready| self.start() + ready.terms.len());
        let mut told = self.told.clone();
        if let Some((vocabulary, idf_weights)) = self.read(|learnt| learnt.said.clone()) {
            (told.vocabulary, told.idf_weights) = (Some(vocabulary), idf_weights);
        }
        Told { vocabulary_size: size, ..told }
    }

    fn read<R>(&self, look: impl FnOnce(&Learnt<T>) -> R) -> R {
        look(&self.learnt.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The index of what the vocabulary lacks, or the first of several.
    fn oov_start(&self) -> usize {
        usize::from(self.told.mask_token.is_some() && self.told.output_mode == TokenOutput::Int)
    }

    /// The index of the first term that is not special.
    pub fn start(&self) -> usize {
        self.oov_start() + self.told.num_oov_indices
    }

    /// The special terms, in the order of their indices.
    fn special(&self) -> Vec<T> {
        let mask = self.told.mask_token.iter().take(self.oov_start()).cloned();
        mask.chain(std::iter::repeat_n(self.told.oov_token.clone(), self.told.num_oov_indices)).collect()
    }

    /// Refuses settings that contradict each other.
    pub fn check(&self) -> Result<()> {
        let told = &self.told;
        if told.sparse {
            return Err(refused("`sparse` must be false: there are no sparse tensors here, and vectors are dense"));
        }
        if let Some(max) = told.max_tokens.filter(|&max| max <= 1) {
            return Err(refused(format!("`max_tokens` must be greater than 1, found {max}")));
        }
        if told.pad_to_max_tokens && told.max_tokens.is_none() {
            return Err(refused("with `pad_to_max_tokens` there must be `max_tokens`"));
        }
        if told.salt.is_some() && T::DTYPE != DType::String && told.oov_method != OovMethod::Farmhash {
            return Err(refused("a `salt` is for the `oov_method` farmhash, found floormod"));
        }
        if told.invert && told.output_mode != TokenOutput::Int {
            return Err(refused(format!("with `invert` the `output_mode` must be int, found {:?}", told.output_mode)));
        }
        if told.idf_weights.is_some() && told.output_mode != TokenOutput::TfIdf {
            return Err(refused(format!(
                "`idf_weights` are for the `output_mode` tf_idf, found {:?}",
                told.output_mode
            )));
        }
        for (setting, known) in [(&told.own.encoding, "utf-8"), (&told.own.vocabulary_dtype, "int64")] {
            if let Some(found) = setting.as_ref().filter(|found| *found != known) {
                return Err(refused(format!("a vocabulary is of {known}, found {found:?}")));
            }
        }
        Ok(())
    }

    /// The vocabulary that was set or learnt, or the one that the layer was told.
    fn ready(&self) -> Result<Arc<Vocabulary<T>>> {
        if let Some(ready) = self.read(|learnt| learnt.ready.clone()) {
            return Ok(ready);
        }
        let Some(vocabulary) = &self.told.vocabulary else {
            let message = "there is no vocabulary yet: give one with `vocabulary`, or learn one with `adapt`";
            return Err(Error::failed_precondition(message));
        };
        let ready = Arc::new(self.vocabulary(vocabulary, self.told.idf_weights.as_deref())?);
        self.learnt.write().unwrap_or_else(PoisonError::into_inner).ready = Some(ready.clone());
        Ok(ready)
    }

    /// A vocabulary out of terms, with or without the special ones in front, and their weights.
    fn vocabulary(&self, vocabulary: &[T], idf_weights: Option<&[f64]>) -> Result<Vocabulary<T>> {
        self.check()?;
        let told = &self.told;
        match (told.output_mode == TokenOutput::TfIdf, idf_weights) {
            (true, None) => return Err(refused("with the `output_mode` tf_idf there must be `idf_weights`")),
            (false, Some(_)) => {
                let found = told.output_mode;
                return Err(refused(format!("`idf_weights` are for the `output_mode` tf_idf, found {found:?}")));
            }
            _ => {}
        }
        if vocabulary.is_empty() {
            return Err(refused("a vocabulary must have a term, found none"));
        }
        let special = self.special();
        let is_whole = vocabulary.starts_with(&special);
        let terms = if is_whole { &vocabulary[special.len()..] } else { vocabulary };
        let order = || match special.is_empty() {
            true => "there are none in this one".to_owned(),
            false => format!("leave out all, or have exactly {special:?} in front"),
        };
        let mut seen = HashSet::new();
        if let Some(term) = terms.iter().find(|&term| !seen.insert(term)) {
            return Err(refused(format!("a term comes once in a vocabulary, found {term:?} again")));
        }
        let reserved = told.mask_token.iter().chain(told.invert.then_some(&told.oov_token));
        if let Some(term) = reserved.into_iter().find(|term| seen.contains(term)) {
            let message = format!("{term:?} is a special term, and was found among the others; {}", order());
            return Err(refused(message));
        }
        let size = self.start() + terms.len();
        if let Some(max) = told.max_tokens.filter(|&max| size > max) {
            return Err(refused(format!("`max_tokens` is {max}, and the vocabulary has {size} with special terms")));
        }
        let weights = idf_weights.map(|weights| {
            if weights.len() != vocabulary.len() {
                let (weights, terms) = (weights.len(), vocabulary.len());
                return Err(refused(format!("there must be a weight for each of the {terms} terms, found {weights}")));
            }
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            let before = std::iter::repeat_n(mean, if is_whole { 0 } else { self.start() });
            Ok(before.chain(weights.iter().copied()).map(|weight| weight as f32).collect())
        });
        self.built(terms.to_vec(), weights.transpose()?)
    }

    /// A vocabulary of terms that are as they must be, with the weights of all indices.
    fn built(&self, terms: Vec<T>, weights: Option<Vec<f32>>) -> Result<Vocabulary<T>> {
        let start = self.start() as i64;
        let indices = Tensor::new([terms.len()], (start..start + terms.len() as i64).collect::<Vec<_>>())?;
        let own = T::tensor(&terms)?;
        let table = if self.told.invert { HashTable::new(&indices, &own)? } else { HashTable::new(&own, &indices)? };
        let weights = weights.map(|mut weights| {
            let size = self.told.max_tokens.filter(|_| self.told.pad_to_max_tokens).unwrap_or(weights.len());
            weights.resize(size, 0.0);
            weights
        });
        Ok(Vocabulary { terms, table, weights })
    }

    /// Takes a vocabulary in the place of the one before; `said` is what a config says of it.
    fn take(&self, ready: Vocabulary<T>, said: (Vec<T>, Option<Vec<f64>>)) -> Result<()> {
        let is_open = self.told.output_mode == TokenOutput::Int || self.told.pad_to_max_tokens;
        let before = self.ready().ok().map(|ready| ready.terms.len());
        if let Some(before) = before.filter(|&before| !is_open && before != ready.terms.len()) {
            let (before, after) = (self.start() + before, self.start() + ready.terms.len());
            let message = format!("vectors have {before} places, and those of the new vocabulary would have {after}");
            return Err(Error::failed_precondition(message));
        }
        let mut learnt = self.learnt.write().unwrap_or_else(PoisonError::into_inner);
        *learnt = Learnt { said: Some(said), ready: Some(Arc::new(ready)) };
        Ok(())
    }

    pub fn set(&self, vocabulary: Vec<T>, idf_weights: Option<Vec<f64>>) -> Result<()> {
        let ready = self.vocabulary(&vocabulary, idf_weights.as_deref())?;
        self.take(ready, (vocabulary, idf_weights))
    }

    /// Sets the vocabulary to the lines of a file.
    /// The terms of a file, one on each line, with all of the special ones in front or without them.
    pub fn of_file(&self, path: &Path) -> Result<Vec<T>> {
        let bytes = std::fs::read(path).map_err(|error| in_file(Error::not_found(error.to_string()), path))?;
        if bytes.is_empty() {
            return Err(in_file(refused("there is no term: the file is empty"), path));
        }
        let special = self.special();
        let (mut terms, mut lines): (Vec<T>, HashMap<T, usize>) = Default::default();
        for (line, text) in (1..).zip(bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|&byte| byte == b'\n')) {
            let wrong = |what: String| in_file(refused(format!("line {line} is {what}")), path);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let found = std::str::from_utf8(text);
            let text = found.map_err(|_| wrong(format!("not UTF-8: {:?}", String::from_utf8_lossy(text))))?;
            let term = T::of_line(text).ok_or_else(|| wrong(format!("no {}: {text:?}", T::DTYPE)))?;
            terms.push(term.clone());
            if special.starts_with(&terms) {
                continue;
            }
            if text.is_empty() {
                return Err(wrong("empty".to_owned()));
            }
            if let Some(first) = lines.insert(term, line) {
                return Err(wrong(format!("{text:?}, as line {first} is: a term comes once")));
            }
        }
        Ok(terms)
    }

    pub fn set_from_file(&self, path: &Path) -> Result<()> {
        let note = |error: Error| in_file(error, path);
        if self.told.output_mode == TokenOutput::TfIdf {
            return Err(note(refused("a file has no weights, which the `output_mode` tf_idf needs")));
        }
        self.set(self.of_file(path)?, None).map_err(note)
    }

    /// The terms by their indices.
    pub fn terms(&self, with_special: bool) -> Result<Vec<T>> {
        self.check()?;
        let terms = match self.ready() {
            Ok(ready) => ready.terms.clone(),
            Err(error) if self.told.vocabulary.is_some() => return Err(error),
            Err(_) => Vec::new(),
        };
        Ok(if with_special { self.special().into_iter().chain(terms).collect() } else { terms })
    }

    /// How many indices there are.
    pub fn size(&self) -> Result<usize> {
        Ok(self.terms(true)?.len())
    }

    /// The values of a table, one for each element: indices, or with `invert` terms.
    fn found(&self, x: &Tensor, vocabulary: &Vocabulary<T>) -> Result<Tensor> {
        let told = &self.told;
        if told.invert {
            let unknown = T::tensor(std::slice::from_ref(&told.oov_token))?.reshape([])?;
            let found = vocabulary.table.find(x, &unknown)?;
            return match &told.mask_token {
                Some(mask) => {
                    let mask = T::tensor(std::slice::from_ref(mask))?.reshape([])?;
                    x.equal(Tensor::scalar(0_i64))?.select(&mask, &found)
                }
                None => Ok(found),
            };
        }
        let start = self.oov_start() as i64;
        let unknown = if told.num_oov_indices == 1 { start } else { -1 };
        let found = vocabulary.table.find(x, &Tensor::scalar(unknown))?;
        let is_masked =
            told.mask_token.as_ref().map(|mask| x.equal(T::tensor(std::slice::from_ref(mask))?.reshape([])?));
        let is_masked = is_masked.transpose()?;
        let masked = |by: i64, found: &Tensor| match &is_masked {
            Some(is_masked) => is_masked.select(&Tensor::scalar(by), found),
            None => Ok(found.clone()),
        };
        // In vectors, what is masked is in no place at all.
        let nowhere = if told.output_mode == TokenOutput::Int { 0 } else { i64::MAX };
        let found = match told.num_oov_indices {
            0 => within(&masked(0, &found)?, x, self.start() + vocabulary.terms.len())?,
            1 => found,
            several => {
                let several = i64::try_from(several).unwrap_or(i64::MAX);
                let buckets = match (told.oov_method, told.salt) {
                    (OovMethod::Floormod, _) if T::DTYPE != DType::String => x.floor_mod(Tensor::scalar(several))?,
                    (_, salt) => {
                        let texts = if T::DTYPE == DType::String { x.clone() } else { x.as_string()? };
                        hashed(&texts, told.num_oov_indices, salt)?
                    }
                };
                found.equal(Tensor::scalar(-1_i64))?.select(&buckets.add(Tensor::scalar(start))?, &found)?
            }
        };
        masked(nowhere, &found)
    }

    /// What the layer makes of terms, or with `invert` of indices. A last axis of 1 gives way to vectors of one term unless
    /// it is one of `rows` that happen to be as short.
    pub fn look_up(&self, x: &Tensor, rows: bool) -> Result<Tensor> {
        self.check()?;
        let vocabulary = self.ready()?;
        let key = if self.told.invert { DType::I64 } else { T::DTYPE };
        let x = match (x.dtype(), key) {
            (found, wanted) if found == wanted => x.clone(),
            (DType::String, _) | (_, DType::String) => {
                return Err(refused(format!("the input must be of {key}, found {}", x.dtype())));
            }
            _ => x.cast(key)?,
        };
        let found = self.found(&x, &vocabulary)?;
        let depth = self.told.max_tokens.filter(|_| self.told.pad_to_max_tokens);
        let depth = depth.unwrap_or(self.start() + vocabulary.terms.len());
        let mode = match self.told.output_mode {
            TokenOutput::Int => return Ok(found),
            TokenOutput::OneHot if rows => return found.one_hot(depth, DType::I64),
            TokenOutput::OneHot => OutputMode::OneHot,
            TokenOutput::MultiHot => OutputMode::MultiHot,
            TokenOutput::Count | TokenOutput::TfIdf => OutputMode::Count,
        };
        let encoded = encoded(&found, None, mode, depth, DType::I64)?;
        match (&vocabulary.weights, self.told.output_mode) {
            (Some(weights), TokenOutput::TfIdf) => {
                encoded.cast(DType::F32)?.mul(&Tensor::new([weights.len()], weights.as_slice())?)
            }
            _ => Ok(encoded),
        }
    }

    /// Learns a vocabulary of documents, each a list of terms.
    pub fn learn(&self, documents: impl IntoIterator<Item = Result<Vec<Vec<T>>>>) -> Result<()> {
        self.check()?;
        if self.told.vocabulary.is_some() {
            let message = "the vocabulary is told by `vocabulary`, and not learnt";
            return Err(Error::failed_precondition(message));
        }
        // Of each term how often it comes, and in how many documents.
        let mut counts: HashMap<T, (u64, u64)> = HashMap::new();
        let mut total = 0_u64;
        for batch in documents {
            for document in batch? {
                total += 1;
                let mut seen = HashSet::new();
                for term in document {
                    let is_new = seen.insert(term.clone());
                    let count = counts.entry(term).or_default();
                    count.0 += 1;
                    count.1 += u64::from(is_new);
                }
            }
        }
        counts.remove(&self.told.oov_token);
        counts.retain(|term, _| self.told.mask_token.as_ref() != Some(term));
        if counts.is_empty() {
            return Ok(());
        }
        let mut terms: Vec<(T, (u64, u64))> = counts.into_iter().collect();
        terms.sort_unstable_by(|(a, (times_a, _)), (b, (times_b, _))| (times_b, b).cmp(&(times_a, a)));
        if let Some(max) = self.told.max_tokens {
            terms.truncate(max.saturating_sub(self.start()));
        }
        let weights = (self.told.output_mode == TokenOutput::TfIdf).then(|| {
            let weight = |within: u64| (1.0 + total as f64 / (1.0 + within as f64)).ln() as f32;
            let own: Vec<f32> = terms.iter().map(|(_, (_, within))| weight(*within)).collect();
            let mean = (own.iter().copied().map(f64::from).sum::<f64>() / own.len().max(1) as f64) as f32;
            std::iter::repeat_n(mean, self.start()).chain(own).collect::<Vec<f32>>()
        });
        let terms: Vec<T> = terms.into_iter().map(|(term, _)| term).collect();
        // With weights, those of the special terms are said too.
        let said = match &weights {
            Some(weights) => (
                self.special().into_iter().chain(terms.iter().cloned()).collect(),
                Some(weights.iter().map(|&weight| weight.into()).collect()),
            ),
            None => (terms.clone(), None),
        };
        let ready = self.built(terms, weights)?;
        self.take(ready, said)
    }
}

/// The indices, or an error where one is that of nothing.
fn within(found: &Tensor, x: &Tensor, size: usize) -> Result<Tensor> {
    if found.is_symbolic() {
        // A graph says it when it runs: there is nothing at such a place.
        return Tensor::range(0, size as i64, 1)?.gather(found, 0);
    }
    let lacking: Vec<usize> =
        found.to_vec::<i64>()?.iter().enumerate().filter(|(_, index)| **index < 0).map(|(at, _)| at).collect();
    if lacking.is_empty() {
        return Ok(found.clone());
    }
    let at = Tensor::new([lacking.len().min(8)], lacking.iter().take(8).map(|&at| at as i64).collect::<Vec<_>>())?;
    let shown = x.reshape([-1])?.gather(&at, 0)?;
    Err(refused(format!(
        "with `num_oov_indices` of 0 all of the input must be in the vocabulary, which lacks {shown}; \
         with 1 there is an index for the rest"
    )))
}

/// A bucket for each string.
pub(super) fn hashed(texts: &Tensor, buckets: usize, salt: Option<Salt>) -> Result<Tensor> {
    match salt {
        Some(Salt(key)) => texts.to_hash_bucket_strong(buckets, key),
        None => texts.to_hash_bucket_fast(buckets),
    }
}

/// The documents of batches: the rows along the first axis, or the one that a vector is.
pub(super) fn documents<T: Term, B: IntoBatch>(
    batches: impl IntoIterator<Item = B>,
) -> impl Iterator<Item = Result<Vec<Vec<T>>>> {
    batches.into_iter().map(|batch| {
        let batch = batch.into_batch()?;
        if (batch.dtype() == DType::String) != (T::DTYPE == DType::String) {
            return Err(refused(format!("a batch must be of {}, found {}", T::DTYPE, batch.dtype())));
        }
        let terms = T::terms(&batch)?;
        let rows = if batch.rank() > Some(1) { batch.dims()?[0] } else { 1 };
        Ok(match terms.len().checked_div(rows) {
            Some(each) if each > 0 => terms.chunks(each).map(<[T]>::to_vec).collect(),
            _ => vec![Vec::new(); rows],
        })
    })
}
