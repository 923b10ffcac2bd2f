//! What crosses the packages: files, golden values, whole models.

mod bad_input;
mod checkpoint;
mod coverage;
mod data;
mod digits;
mod flow;
mod function;
mod golden;
mod graph_def;
mod guide;
mod keras;
mod mnist;
mod model;
mod module;
mod ops;
mod printing;
mod threads;
mod tidy;
mod training;
