//! What crosses the packages: files, golden values, whole models.

mod golden;
mod guide;
mod keras;
mod module;
mod threads;
mod tidy;
