//! What every word of the grammar does, one file each: `place_word.rs`, as in `variable_shape.rs`.
//!
//! A test of the derive knows all words, and misses the file of a word that has none.

mod config;
mod config_default;
mod config_into;
mod config_with;
mod config_written;
mod field_alias;
mod field_default;
mod field_flatten;
mod field_rename;
mod field_trainable;
mod no_word;
mod register;
mod skip;
mod skip_default;
mod type_bound;
mod type_build;
mod type_crate;
mod type_migrate;
mod type_name;
mod type_no_config;
mod type_no_new;
mod type_package;
mod type_transparent;
mod type_version;
mod variable_constraint;
mod variable_dtype;
mod variable_init;
mod variable_persistent;
mod variable_regularizer;
mod variable_shape;
mod variable_trainable;
mod variable_weight;
mod variable_when;
mod variant_default;
mod variant_rename;
mod variant_tagged;
