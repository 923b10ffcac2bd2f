//! Calls of the public API.
