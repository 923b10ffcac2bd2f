//! Our side of `compare.py`: one call on a model of a hundred variables of a million elements, timed; what it took and what
//! it found go to standard output as JSON.

use std::process::ExitCode;
use std::time::Instant;

use modulor::checkpoint::{Checkpoint, list_variables};
use modulor::prelude::*;

const VARIABLES: usize = 100;
const ELEMENTS: usize = 1_000_000;

#[derive(Module)]
struct Block {
    #[variable(shape = [1_000_000], init = Zeros)]
    w: Variable,
}

#[derive(Module)]
struct Model {
    blocks: Vec<Block>,
}

/// A model whose variables are declared and have no values.
fn fresh() -> Model {
    Model { blocks: (0..VARIABLES).map(|_| Block::new()).collect() }
}

fn valued() -> Result<Model> {
    let model = fresh();
    let mut bits = 1_u32;
    for block in &model.blocks {
        // A multiplicative generator: no two blocks alike, every value in [1, 2).
        let values: Vec<f32> = (0..ELEMENTS)
            .map(|_| {
                bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from_bits(0x3F80_0000 | bits >> 9)
            })
            .collect();
        block.w.assign(&Tensor::new([ELEMENTS], values)?)?;
    }
    Ok(model)
}

/// The sum of the bits of all values.
fn bits(model: &Model) -> Result<u64> {
    let mut sum = 0;
    for block in &model.blocks {
        let value = block.w.value()?;
        sum += value.view::<f32>()?.iter().map(|x| u64::from(x.to_bits())).sum::<u64>();
    }
    Ok(sum)
}

/// The largest memory this process has had, from /proc.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// One command; `held` is the model with values that restores go over, made when it is first needed.
fn run(command: &str, prefix: &str, held: &mut Option<Model>) -> Result<String> {
    if command == "list" {
        let start = Instant::now();
        let variables = list_variables(prefix)?;
        let seconds = start.elapsed().as_secs_f64();
        return Ok(format!(r#"{{"seconds": {seconds}, "variables": {}}}"#, variables.len()));
    }
    let new;
    let model = match command {
        "restore" => {
            new = fresh();
            &new
        }
        _ => match held {
            Some(model) => model,
            None => held.insert(valued()?),
        },
    };
    let checkpoint = Checkpoint::new(model);
    let start = Instant::now();
    match command {
        "write" => checkpoint.write(prefix)?,
        _ => drop(checkpoint.read(prefix)?.assert_consumed()?),
    }
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_kib();
    Ok(format!(r#"{{"seconds": {seconds}, "peak_kib": {peak}, "bits": {}}}"#, bits(model)?))
}

fn main() -> ExitCode {
    let mut held = None;
    // One command in the arguments, or any number of them on standard input, for one warm process.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let lines: Box<dyn Iterator<Item = String>> = match &arguments[..] {
        [] => Box::new(std::io::stdin().lines().map_while(std::result::Result::ok)),
        all => Box::new(std::iter::once(all.join(" "))),
    };
    for line in lines {
        let Some((command @ ("write" | "restore" | "overwrite" | "list"), prefix)) = line.split_once(' ') else {
            eprintln!("checkpoint-bench [write|restore|overwrite|list PREFIX], or such lines on standard input");
            return ExitCode::from(2);
        };
        match run(command, prefix, &mut held) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
