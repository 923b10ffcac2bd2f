//! What the codecs read, write and refuse.

mod corpus;

mod checksums;
mod fixtures;
mod graphs;
mod messages;
mod records;
mod slices;
mod states;
mod strings;
mod tables;
