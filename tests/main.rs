//! What crosses the packages: files, golden values, whole models.

mod golden;
mod guide;
mod module;
mod ops;
mod printing;
mod tidy;
