//! What crosses the packages: files, golden values, whole models.

mod golden;
mod ops;
mod tidy;
