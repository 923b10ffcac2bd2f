//! `modulor checkpoint ..`: what is in a checkpoint, whether it is whole, and other files with the same values.

mod convert;
mod copy;
mod diff;
mod graph;
mod list;
mod show;
mod verify;

use crate::Outcome;
use clap::Subcommand;
use modulor::Result;
use modulor::checkpoint::bundle::Bundle;
use std::ffi::OsString;
use std::path::PathBuf;

/// What is behind a variable's path in the key of its value.
const VALUE: &str = "/.ATTRIBUTES/VARIABLE_VALUE";

#[derive(Subcommand)]
pub enum Command {
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    Graph(graph::Graph),
    Copy(copy::Copy),
    Diff(diff::Diff),
    Convert(convert::Convert),
}

impl Command {
    pub fn run(self) -> Result<Outcome> {
        match self {
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Verify(verify) => verify.run(),
            Command::Graph(graph) => graph.run(),
            Command::Copy(copy) => copy.run(),
            Command::Diff(diff) => diff.run(),
            Command::Convert(convert) => convert.run(),
        }
    }
}

/// The name that the files of a checkpoint begin with.
#[derive(Clone)]
struct Prefix(PathBuf);

/// Without `.index`, which one types when completing a file's name.
impl From<OsString> for Prefix {
    fn from(argument: OsString) -> Prefix {
        let path = PathBuf::from(argument);
        Prefix(if path.extension().is_some_and(|extension| extension == "index") {
            path.with_extension("")
        } else {
            path
        })
    }
}

impl Prefix {
    fn open(&self) -> Result<Bundle> {
        Bundle::open(&self.0)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A name on one line.
fn one_line(name: &str) -> String {
    name.replace('\n', "\\n")
}
