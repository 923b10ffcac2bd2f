//! Terms by their indices in a vocabulary.

use super::settings::{defaults, of_settings};
use super::vocabulary::{Lookup, documents};
use super::{IntoBatch, OovMethod, Salt, TokenOutput};
use modulor::{DTypePolicy, Layer, Result, Tensor};
use std::path::Path;

/// The layers, by the terms that they look up.
macro_rules! lookups {
    ($(
        $(#[$doc:meta])*
        $class:ident $name:literal $term:ty [$($key:literal)*];
    )*) => { $(
        $(#[$doc])*
        pub struct $class {
            dtype: DTypePolicy,
            settings: Lookup<$term>,
        }

        impl $class {
            /// Indices of a vocabulary that is set or learnt later.
            pub fn new() -> $class {
                $class { dtype: DTypePolicy::default(), settings: Lookup::from(super::vocabulary::Told::default()) }
            }

            /// The same with another setting, and nothing learnt.
            fn with(self, change: impl FnOnce(&mut super::vocabulary::Told<$term>)) -> $class {
                let mut told = self.settings.told;
                change(&mut told);
                $class { dtype: self.dtype, settings: Lookup::from(told) }
            }

            /// How many indices there are at most, those of special terms included; any number unless set.
            #[must_use]
            pub fn max_tokens(self, max_tokens: impl Into<Option<usize>>) -> $class {
                let max_tokens = max_tokens.into();
                self.with(|told| told.max_tokens = max_tokens)
            }

            /// How many indices are for what the vocabulary lacks; one unless set. Several are given out by a hash; with
            /// none, what it lacks is an error.
            #[must_use]
            pub fn num_oov_indices(self, num_oov_indices: usize) -> $class {
                self.with(|told| told.num_oov_indices = num_oov_indices)
            }

            /// What stands for nothing: it has index 0, and no place in vectors. There is none unless set.
            #[must_use]
            pub fn mask_token(self, mask_token: impl Into<$term>) -> $class {
                let mask_token = Some(mask_token.into());
                self.with(|told| told.mask_token = mask_token)
            }

            /// What indices of no term become again.
            #[must_use]
            pub fn oov_token(self, oov_token: impl Into<$term>) -> $class {
                let oov_token = oov_token.into();
                self.with(|told| told.oov_token = oov_token)
            }

            /// The terms in the order of their indices, with all of the special ones in front or with none of them; learnt
            /// unless set.
            #[must_use]
            pub fn vocabulary<T: Into<$term>>(self, vocabulary: impl IntoIterator<Item = T>) -> $class {
                let vocabulary = Some(vocabulary.into_iter().map(Into::into).collect());
                self.with(|told| told.vocabulary = vocabulary)
            }

            /// As [`vocabulary`](Self::vocabulary), of a file with a term on each line: Keras's path in the place of a
            /// vocabulary. The special terms of the settings so far are seen in front of the others, as Keras's archives have
            /// them there, and a layer that Keras gives a path takes for others.
            ///
            /// # Errors
            ///
            /// What is no vocabulary, by its line: one that is empty, is no such term, or was there before.
            pub fn vocabulary_file(self, path: impl AsRef<Path>) -> Result<$class> {
                let vocabulary = self.settings.of_file(path.as_ref())?;
                Ok(self.with(|told| told.vocabulary = Some(vocabulary)))
            }

            /// What counts are multiplied by, one for each term of `vocabulary`; where that is without special terms, these
            /// get the mean.
            #[must_use]
            pub fn idf_weights(self, idf_weights: impl Into<Vec<f64>>) -> $class {
                let idf_weights = Some(idf_weights.into());
                self.with(|told| told.idf_weights = idf_weights)
            }

            /// Whether it goes the other way, from indices to terms; not unless set.
            #[must_use]
            pub fn invert(self, invert: bool) -> $class {
                self.with(|told| told.invert = invert)
            }

            /// What a term becomes; its index unless set.
            #[must_use]
            pub fn output_mode(self, output_mode: TokenOutput) -> $class {
                self.with(|told| told.output_mode = output_mode)
            }

            /// Whether vectors have `max_tokens` places though the vocabulary has fewer; not unless set.
            #[must_use]
            pub fn pad_to_max_tokens(self, pad_to_max_tokens: bool) -> $class {
                self.with(|told| told.pad_to_max_tokens = pad_to_max_tokens)
            }

            /// The key of the hash that gives out several indices, which is SipHash then; without one it is FarmHash.
            #[must_use]
            pub fn salt(self, salt: impl Into<Salt>) -> $class {
                let salt = Some(salt.into());
                self.with(|told| told.salt = salt)
            }

            /// Learns the vocabulary of some batches, instead of what was learnt before: its terms by how often they come,
            /// and where that is the same in falling order; as many as `max_tokens` allows.
            ///
            /// For the weights of [`TfIdf`](TokenOutput::TfIdf) each row along the first axis is a document, and a vector is
            /// one: `ln(1 + documents / (1 + documents with the term))`.
            ///
            /// An error where the vocabulary is told by the settings, and where vectors would get other lengths than they
            /// have.
            pub fn adapt<B: IntoBatch>(&self, batches: impl IntoIterator<Item = B>) -> Result<()> {
                self.settings.learn(documents(batches))
            }

            /// The terms in the order of their indices, with the special ones in front or without them. Of a layer that has
            /// no vocabulary yet those alone.
            pub fn get_vocabulary(&self, include_special_tokens: bool) -> Result<Vec<$term>> {
                self.settings.terms(include_special_tokens)
            }

            /// How many indices there are, those of special terms included.
            pub fn vocabulary_size(&self) -> Result<usize> {
                self.settings.size()
            }

            /// Takes another vocabulary, as [`vocabulary`](Self::vocabulary) does.
            ///
            /// An error where a term comes twice, a special one among others, or there are too many; where vectors would get
            /// other lengths than they have; and in the mode [`TfIdf`](TokenOutput::TfIdf), which needs weights.
            pub fn set_vocabulary<T: Into<$term>>(&self, vocabulary: impl IntoIterator<Item = T>) -> Result<()> {
                self.settings.set(vocabulary.into_iter().map(Into::into).collect(), None)
            }

            /// As [`set_vocabulary`](Self::set_vocabulary), with a weight for each term.
            pub fn set_weighted_vocabulary<T: Into<$term>>(
                &self,
                vocabulary: impl IntoIterator<Item = T>,
                idf_weights: impl Into<Vec<f64>>,
            ) -> Result<()> {
                self.settings.set(vocabulary.into_iter().map(Into::into).collect(), Some(idf_weights.into()))
            }

            /// As [`set_vocabulary`](Self::set_vocabulary), of a [file](Self::vocabulary_file).
            pub fn set_vocabulary_from_file(&self, path: impl AsRef<Path>) -> Result<()> {
                self.settings.set_from_file(path.as_ref())
            }
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                self.settings.look_up(x, false)
            }

            // Terms and indices are no floats.
            fn autocast(&self) -> bool {
                false
            }
        }

        of_settings! {
            $class $name [
                "invert" "max_tokens" "num_oov_indices" "oov_token" "mask_token" "output_mode" "sparse"
                "pad_to_max_tokens" "idf_weights" "vocabulary" "vocabulary_size" "oov_method" "salt" $($key)*
            ]
        }
    )* };
}

lookups! {
    /// Strings by their indices in a vocabulary, which is told, read from a file, or learnt by
    /// [`adapt`](StringLookup::adapt).
    ///
    /// The first indices are those of special terms: the `mask_token`, if there is one and the output is of indices, and
    /// `num_oov_indices` for what the vocabulary lacks. The output is of int64, and with weights of float32.
    ///
    /// The vocabulary is in the config, also one that was learnt, so that it is in copies, and in whatever holds the config;
    /// in Keras's configs one that was learnt is missing. It is no variable, and in no checkpoint: nor is it in TensorFlow's
    /// checkpoints or Keras's files of weights, which have weights of terms alone, but in Keras's archives, as a file that
    /// [`vocabulary_file`](StringLookup::vocabulary_file) reads.
    ///
    /// # Shapes
    ///
    /// Indices have the shape of the input; vectors are as those of [`CategoryEncoding`](super::CategoryEncoding).
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::{StringLookup, TokenOutput};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = StringLookup::new().vocabulary(["a", "b", "c"]);
    /// let x = Tensor::strings([2, 2], ["c", "z", "a", "a"])?;
    /// assert_eq!(layer.call(&x)?.to_vec::<i64>()?, [3, 0, 1, 1]);
    ///
    /// let counts = StringLookup::new().output_mode(TokenOutput::Count);
    /// counts.adapt([&x])?;
    /// assert_eq!(counts.get_vocabulary(true)?, ["[UNK]", "a", "z", "c"]);
    /// assert_eq!(counts.call(&x)?.to_vec::<i64>()?, [0, 0, 1, 1, 0, 2, 0, 0]);
    ///
    /// let back = StringLookup::new().vocabulary(layer.get_vocabulary(true)?).invert(true);
    /// let terms = back.call(&Tensor::from([[1_i64, 0]]))?;
    /// assert_eq!(terms.to_strings()?, Tensor::strings([2], ["a", "[UNK]"])?.to_strings()?);
    /// # Ok(())
    /// # }
    /// ```
    StringLookup "string_lookup" String ["encoding"];
    /// Integers by their indices in a vocabulary, as [`StringLookup`] does it with strings.
    ///
    /// The input becomes int64. What stands for terms that the vocabulary lacks is -1.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::IntegerLookup;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = IntegerLookup::new().vocabulary([12, 36, 1138]).num_oov_indices(2);
    /// assert_eq!(layer.call(&Tensor::from([36, 12, 7, 8]))?.to_vec::<i64>()?, [3, 2, 1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    IntegerLookup "integer_lookup" i64 ["vocabulary_dtype"];
}

impl IntegerLookup {
    /// How several indices are given to what the vocabulary lacks; by the remainder of a division unless set.
    #[must_use]
    pub fn oov_method(self, oov_method: OovMethod) -> IntegerLookup {
        self.with(|told| told.oov_method = oov_method)
    }
}

defaults!(StringLookup IntegerLookup);
