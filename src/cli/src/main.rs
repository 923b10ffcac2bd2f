//! The program `modulor`: looks into the files of Modulor and TensorFlow, compares, verifies, copies and converts them.
//!
//! A command makes its whole [`Outcome`] first; printing it, and the exit status, are here.

mod checkpoint;
mod values;

use clap::{Parser, Subcommand};
use modulor::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Looks into the files of Modulor and TensorFlow, compares, verifies, copies and converts them
#[derive(Parser)]
#[command(name = "modulor", version, arg_required_else_help = true, after_help = STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const STATUS: &str = "\
Exit status: 0 when all is well; 1 when it is not: there was an error, which is on stderr, or
`verify` found damage, or `diff` a difference; 2 when the command was not understood.

Examples:
  modulor checkpoint list runs/ckpt-3
  modulor checkpoint show runs/ckpt-3 model/dense_1/w
  modulor checkpoint convert runs/ckpt-3 model.safetensors";

#[derive(Subcommand)]
enum Command {
    /// Checkpoints: the values of a model's variables, in TensorFlow's files
    #[command(subcommand)]
    Checkpoint(checkpoint::Command),
}

/// What a command found out.
#[derive(Default)]
struct Outcome {
    /// What it prints.
    text: String,
    /// What is wrong.
    errors: Vec<Error>,
    /// Whether the answer is one that scripts want to know of: a difference.
    is_negative: bool,
}

impl Outcome {
    /// Nothing but a text.
    fn text(text: impl Into<String>) -> Outcome {
        Outcome { text: text.into(), ..Outcome::default() }
    }
}

fn main() -> ExitCode {
    let Command::Checkpoint(command) = Arguments::parse().command;
    let outcome = command.run().unwrap_or_else(|error| Outcome { errors: vec![error], ..Outcome::default() });
    let printed = print(&outcome);
    match outcome.errors.is_empty() && !outcome.is_negative && printed.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Text to stdout, errors to stderr. Whoever closes a pipe has seen enough; that is no error.
fn print(outcome: &Outcome) -> io::Result<()> {
    let mut text = printable(&outcome.text);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    let printed = match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    };
    let mut errors = String::new();
    for error in &outcome.errors {
        // Writing to a string does not fail.
        let _ = writeln!(errors, "error: {error}");
    }
    if let Err(error) = &printed {
        let _ = writeln!(errors, "error: cannot write to stdout: {error}");
    }
    // Where stderr is closed there is no one left to tell.
    let _ = io::stderr().write_all(printable(&errors).as_bytes());
    printed
}

/// The text without what a terminal would obey: names in a file are a stranger's.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push('\n'),
            // As JSON writes it, so that JSON stays what it is.
            character if character.is_control() => out += &format!("\\u{:04x}", u32::from(character)),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_name_cannot_speak_to_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\tä\nb\u{9b}"), "a\\u001b[2J\\u0009ä\nb\\u009b");
    }
}
