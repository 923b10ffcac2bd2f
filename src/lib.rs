//! Modulor.
