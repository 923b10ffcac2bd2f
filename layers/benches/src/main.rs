//! Modulor's side of `peers/compare.py`: one workload, timed; what it took and what it found go to standard output as JSON,
//! a line for each figure.
//!
//! `modulor-bench --workload W1 [--threads 2] [--seconds 2] [--repeats 5] [--mode eager|compiled] [--check]`, with the data that
//! `compare.py --prepare` writes in the folder `$PEERS_DATA`. With `--check` nothing is timed, and the losses of the first
//! twenty steps are printed.

mod beside;
mod cnn;
mod data;
mod elementwise;
mod fit;
mod inference;
mod loops;
mod lstm;
mod measure;
mod mlp;
mod scale;
mod training;
mod transformer;

use measure::Report;
use modulor::prelude::*;
use std::process::ExitCode;

fn run(report: &Report) -> Result<()> {
    match report.workload.as_str() {
        "W1" => mlp::train(report),
        "W2" => cnn::train(report),
        "W3" => transformer::train(report),
        "W4" => lstm::train(report),
        "W5" => inference::measure(report),
        "W6" => mlp::fit(report),
        "W9" => elementwise::small_ops(report),
        "W10" => elementwise::chain(report),
        "beside" => beside::measure(report),
        "fit" => fit::beside_a_loop(report),
        "loops" => loops::measure(report),
        "scale" => scale::measure(report),
        other => {
            let message = format!("there are W1 to W6, W9, W10, beside, fit, loops and scale, found {other:?}");
            Err(Error::invalid_argument(message))
        }
    }
}

fn main() -> ExitCode {
    match Report::from_arguments(std::env::args().skip(1)).and_then(|report| run(&report)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
