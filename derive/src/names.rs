//! The built-in names that a literal string may be, so that a misspelt one is caught where it is written.
//!
//! A row is one class: the name that messages suggest, the class name, and Keras's other names. `tests/module/names.rs`
//! compares the rows with what the library of layers knows.

/// What `init = ".."` may be.
pub const INITIALIZERS: &[&[&str]] = &[
    &["constant", "Constant"],
    &["glorot_normal", "GlorotNormal"],
    &["glorot_uniform", "GlorotUniform"],
    &["he_normal", "HeNormal"],
    &["he_uniform", "HeUniform"],
    &["identity", "Identity", "IdentityInitializer"],
    &["lecun_normal", "LecunNormal"],
    &["lecun_uniform", "LecunUniform"],
    &["ones", "Ones", "one"],
    &["orthogonal", "Orthogonal", "OrthogonalInitializer"],
    &["random_normal", "RandomNormal", "normal"],
    &["random_uniform", "RandomUniform", "uniform"],
    &["stft", "STFT", "STFTInitializer"],
    &["truncated_normal", "TruncatedNormal"],
    &["variance_scaling", "VarianceScaling"],
    &["zeros", "Zeros", "zero"],
];

/// What `regularizer = ".."` may be.
pub const REGULARIZERS: &[&[&str]] =
    &[&["l1", "L1"], &["l2", "L2"], &["l1_l2", "L1L2"], &["orthogonal_regularizer", "OrthogonalRegularizer"]];

/// What `constraint = ".."` may be.
pub const CONSTRAINTS: &[&[&str]] = &[
    &["max_norm", "MaxNorm"],
    &["min_max_norm", "MinMaxNorm"],
    &["non_neg", "NonNeg", "nonneg"],
    &["unit_norm", "UnitNorm"],
];

/// What `dtype = ".."` may be.
pub const DTYPES: &[&[&str]] = &[
    &["bfloat16"],
    &["bool"],
    &["complex128"],
    &["complex64"],
    &["float16"],
    &["float32"],
    &["float64"],
    &["int16"],
    &["int32"],
    &["int64"],
    &["int8"],
    &["string"],
    &["uint16"],
    &["uint32"],
    &["uint64"],
    &["uint8"],
];
