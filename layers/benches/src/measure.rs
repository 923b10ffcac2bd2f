//! What is asked for, how time is taken, and the lines that say it: those of all programs that `compare.py` runs.

use modulor::Structure;
use modulor::op::profiled;
use modulor::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// How the function of a workload is called.
#[derive(Clone, Copy)]
pub enum Mode {
    /// As it is, op by op.
    Eager,
    /// As a [`Function`]: traced by its first call, and run by a plan.
    Compiled,
}

impl Mode {
    fn parse(name: &str) -> Result<Mode> {
        match name {
            "eager" => Ok(Mode::Eager),
            "compiled" => Ok(Mode::Compiled),
            other => Err(Error::invalid_argument(format!("`--mode` is eager or compiled, found {other:?}"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Eager => "eager",
            Mode::Compiled => "compiled",
        }
    }
}

/// What is to be measured, and how long.
pub struct Report {
    pub workload: String,
    /// Whether losses are printed in the place of times.
    pub check: bool,
    /// Whether what is timed is also run with a profile, which goes to the standard error.
    profile: bool,
    mode: Mode,
    threads: usize,
    seconds: f64,
    /// How many windows or rounds there are.
    pub repeats: usize,
}

impl Report {
    /// What the command line says; also sets the number of threads.
    pub fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Report> {
        let (workload, mode) = (String::new(), Mode::Eager);
        let mut report = Report { workload, check: false, profile: false, mode, threads: 2, seconds: 2.0, repeats: 5 };
        while let Some(flag) = arguments.next() {
            if flag == "--check" {
                report.check = true;
                continue;
            }
            if flag == "--profile" {
                report.profile = true;
                continue;
            }
            let value = arguments.next().unwrap_or_default();
            let broken = || Error::invalid_argument(format!("`{flag}` takes a number, found {value:?}"));
            match flag.as_str() {
                "--workload" => report.workload = value,
                "--mode" => report.mode = Mode::parse(&value)?,
                "--threads" => report.threads = value.parse().map_err(|_| broken())?,
                "--seconds" => report.seconds = value.parse().map_err(|_| broken())?,
                "--repeats" => report.repeats = value.parse().map_err(|_| broken())?,
                _ => return Err(Error::invalid_argument(format!("there is no flag {flag:?}"))),
            }
        }
        modulor::set_num_threads(report.threads);
        Ok(report)
    }

    /// Whether ops are to be called as they are.
    pub fn is_eager(&self) -> bool {
        matches!(self.mode, Mode::Eager)
    }

    /// The function of a workload in the mode that is asked for.
    pub fn function<In: Structure, Out: Structure>(
        &self,
        function: impl Fn(&In) -> Result<Out> + Send + Sync + 'static,
    ) -> Box<dyn Fn(&In) -> Result<Out>> {
        match self.mode {
            Mode::Eager => Box::new(function),
            Mode::Compiled => {
                let function = Function::new(function);
                Box::new(move |x| function.call(x))
            }
        }
    }

    /// Prints a figure, and what else is known of it.
    pub fn emit(&self, metric: &str, value: f64, more: &[(&str, f64)]) {
        let Report { workload, mode, threads, .. } = self;
        let more: String = more.iter().map(|(name, value)| format!(r#", "{name}": {value}"#)).collect();
        let peer = format!("modulor-{}", mode.name());
        println!(
            r#"{{"peer": "{peer}", "workload": "{workload}", "metric": "{metric}", "value": {value}, "threads": {threads}{more}}}"#
        );
    }

    /// The seconds that a call takes: the median, the least and the most over windows that fill the time asked for.
    pub fn time<R>(&self, mut call: impl FnMut() -> Result<R>) -> Result<[f64; 3]> {
        for _ in 0..5 {
            black_box(call()?);
        }
        let (begin, mut calls) = (Instant::now(), 0);
        while begin.elapsed().as_secs_f64() < 0.02 && calls < 1000 {
            black_box(call()?);
            calls += 1;
        }
        let one = begin.elapsed().as_secs_f64() / f64::from(calls);
        let calls = ((self.seconds / self.repeats as f64 / one) as usize).max(1);
        let mut windows = Vec::with_capacity(self.repeats);
        for _ in 0..self.repeats {
            let begin = Instant::now();
            for _ in 0..calls {
                black_box(call()?);
            }
            windows.push(begin.elapsed().as_secs_f64() / calls as f64);
        }
        if self.profile {
            let (done, profile) = profiled(|| (0..20).try_for_each(|_| call().map(drop)));
            done?;
            eprintln!("{profile}");
        }
        windows.sort_by(f64::total_cmp);
        let last = windows.len() - 1;
        Ok([(windows[last / 2] + windows[last.div_ceil(2)]) / 2.0, windows[0], windows[last]])
    }
}
