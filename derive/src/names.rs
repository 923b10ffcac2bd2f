//! The built-in names that a literal string may be, so that a misspelt one is caught where it is written.
//!
//! The layers crate compares these lists with its own.

/// What `init = ".."` may be.
pub const INITIALIZERS: &[&str] = &[
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
];

/// What `regularizer = ".."` may be.
pub const REGULARIZERS: &[&str] = &["l1", "l1_l2", "l2", "orthogonal_regularizer"];

/// What `constraint = ".."` may be.
pub const CONSTRAINTS: &[&str] = &["max_norm", "min_max_norm", "non_neg", "unit_norm"];

/// What `dtype = ".."` may be.
pub const DTYPES: &[&str] = &[
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
];
