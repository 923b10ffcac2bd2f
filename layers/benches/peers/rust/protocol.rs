//! What all peers in Rust have in common: the flags, the data, how time is taken, and the lines that say it.

#![allow(dead_code)] // no peer needs all of it

use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

pub const BATCHES: usize = 8;

/// A tensor of a file.
pub enum Values {
    Floats(Vec<usize>, Vec<f32>),
    Ids(Vec<usize>, Vec<i64>),
}

/// The tensors of a file in the folder of the data, by name.
pub fn read(name: &str) -> HashMap<String, Values> {
    let folder = std::env::var("PEERS_DATA").expect("`$PEERS_DATA` is the folder of the data");
    let bytes = std::fs::read(format!("{folder}/{name}.safetensors")).expect("`compare.py --prepare` wrote it");
    let file = SafeTensors::deserialize(&bytes).expect("it is a file of safetensors");
    let values = |(name, tensor): (String, safetensors::tensor::TensorView)| {
        let (dims, data) = (tensor.shape().to_vec(), tensor.data());
        let values = match tensor.dtype() {
            Dtype::F32 => Values::Floats(dims, data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()),
            Dtype::I64 => Values::Ids(dims, data.as_chunks().0.iter().map(|&x| i64::from_le_bytes(x)).collect()),
            other => panic!("{name} is of {other:?}"),
        };
        (name, values)
    };
    file.tensors().into_iter().map(values).collect()
}

/// Numbers below `count` in an order without pattern.
pub fn shuffled(count: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut state = seed;
    for at in (1..count).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(at, (state >> 33) as usize % (at + 1));
    }
    order
}

/// What is to be measured, and how long.
pub struct Report {
    pub workload: String,
    pub mode: String,
    pub threads: usize,
    pub peer: String,
    check: bool,
    seconds: f64,
    repeats: usize,
}

impl Report {
    pub fn from_arguments() -> Report {
        let arguments: Vec<String> = std::env::args().collect();
        let text = |flag: &str, or: &str| {
            let at = arguments.iter().position(|argument| argument == flag);
            at.and_then(|at| arguments.get(at + 1)).map_or(or, String::as_str).to_owned()
        };
        let number = |flag: &str, or: f64| text(flag, "").parse().unwrap_or(or);
        Report {
            workload: text("--workload", ""),
            mode: text("--mode", ""),
            threads: number("--threads", 2.0) as usize,
            peer: String::new(),
            check: arguments.iter().any(|argument| argument == "--check"),
            seconds: number("--seconds", 2.0),
            repeats: number("--repeats", 5.0) as usize,
        }
    }

    pub fn emit(&self, metric: &str, value: f64, more: &[(&str, f64)]) {
        let Report { workload, threads, peer, .. } = self;
        let more: String = more.iter().map(|(name, value)| format!(r#", "{name}": {value}"#)).collect();
        println!(
            r#"{{"peer": "{peer}", "workload": "{workload}", "metric": "{metric}", "value": {value}, "threads": {threads}{more}}}"#
        );
    }

    /// The seconds that a call takes: the median, the least and the most over windows that fill the time asked for.
    fn time<R>(&self, mut call: impl FnMut() -> R) -> [f64; 3] {
        for _ in 0..5 {
            black_box(call());
        }
        let (begin, mut calls) = (Instant::now(), 0);
        while begin.elapsed().as_secs_f64() < 0.02 && calls < 1000 {
            black_box(call());
            calls += 1;
        }
        let one = begin.elapsed().as_secs_f64() / f64::from(calls);
        let calls = ((self.seconds / self.repeats as f64 / one) as usize).max(1);
        let mut windows = Vec::with_capacity(self.repeats);
        for _ in 0..self.repeats {
            let begin = Instant::now();
            for _ in 0..calls {
                black_box(call());
            }
            windows.push(begin.elapsed().as_secs_f64() / calls as f64);
        }
        windows.sort_by(f64::total_cmp);
        let last = windows.len() - 1;
        [(windows[last / 2] + windows[last.div_ceil(2)]) / 2.0, windows[0], windows[last]]
    }

    /// `step(batch)` trains and gives the loss. Twenty steps whose losses are looked at, then timed ones.
    pub fn train(&self, mut step: impl FnMut(usize) -> f32) {
        for at in 0..20 {
            let loss = step(at % BATCHES);
            if self.check || [1, 6, 20].contains(&(at + 1)) {
                self.emit(&format!("loss_{}", at + 1), loss.into(), &[]);
            }
        }
        if !self.check {
            let mut at = 20;
            let [middle, least, most] = self.time(|| {
                at += 1;
                step(at % BATCHES)
            });
            self.emit("step_ms", middle * 1e3, &[("min", least * 1e3), ("max", most * 1e3)]);
        }
    }

    /// Times a model that is asked; `total` is the sum of what it gives.
    pub fn ask<R>(&self, name: &str, total: f32, call: impl FnMut() -> R) {
        self.emit(&format!("{name}_check"), total.into(), &[]);
        if !self.check {
            let [middle, least, most] = self.time(call);
            self.emit(&format!("{name}_us"), middle * 1e6, &[("min", least * 1e6), ("max", most * 1e6)]);
        }
    }

    pub fn small_ops<R>(&self, check: f32, call: impl FnMut() -> R) {
        self.emit("check", check.into(), &[]);
        if !self.check {
            let [middle, least, most] = self.time(call).map(|seconds| seconds * 1e6 / 200.0);
            self.emit("us_per_op", middle, &[("min", least), ("max", most)]);
        }
    }

    pub fn chain<R>(&self, elements: usize, check: f32, call: impl FnMut() -> R) {
        self.emit("check", check.into(), &[]);
        if !self.check {
            let [middle, least, most] = self.time(call).map(|seconds| 8e-9 * elements as f64 / seconds);
            self.emit("GB_per_s", middle, &[("best", least), ("worst", most)]);
        }
    }
}
