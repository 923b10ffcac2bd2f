//! A history as a picture: small panels of curves, in SVG.

use super::History;
use super::history::Series;
use std::fmt::Write;

/// The size of a panel, with what is around the curves.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 36.0;
/// Panels beside each other.
const COLUMNS: usize = 2;

const TRAINING: &str = "#2563eb";
const VALIDATION: &str = "#ea580c";

/// The curves of a history: a panel for each number, with that of validation in it.
pub(super) fn svg(history: &History) -> String {
    let panels: Vec<(&str, Vec<&Series>)> = panels(history.series());
    let columns = COLUMNS.min(panels.len()).max(1);
    let rows = panels.len().div_ceil(columns).max(1);
    let (width, height) = (WIDTH * columns as f64, HEIGHT * rows as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (at, (name, series)) in panels.iter().enumerate() {
        let (x, y) = (WIDTH * (at % columns) as f64, HEIGHT * (at / columns) as f64);
        let _infallible = writeln!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>", panel(name, series));
    }
    svg.push_str("</svg>\n");
    svg
}

/// What belongs in one panel: numbers whose names differ by `val_` alone.
fn panels(series: &[Series]) -> Vec<(&str, Vec<&Series>)> {
    let mut panels: Vec<(&str, Vec<&Series>)> = Vec::new();
    for one in series {
        let name = one.name.strip_prefix("val_").unwrap_or(&one.name);
        match panels.iter_mut().find(|(other, _)| *other == name) {
            Some((_, together)) => together.push(one),
            None => panels.push((name, vec![one])),
        }
    }
    // The loss comes first.
    panels.sort_by_key(|(name, _)| (*name != "loss", *name));
    panels
}

fn panel(name: &str, series: &[&Series]) -> String {
    let finite = || series.iter().flat_map(|one| one.values.iter().copied()).filter(|value| value.is_finite());
    let epochs = || series.iter().flat_map(|one| one.epochs.iter().map(|&epoch| epoch as f64 + 1.0));
    let across = Scale::of(epochs(), true).onto(LEFT, WIDTH - RIGHT);
    let up = Scale::of(finite(), false).onto(HEIGHT - BOTTOM, TOP);
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments| {
        let _infallible = writeln!(text, "{words}");
    };
    line(format_args!(
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"13\" font-weight=\"600\" fill=\"#111827\">{}</text>",
        escaped(name)
    ));
    for tick in up.ticks() {
        let y = up.at(tick);
        let end = WIDTH - RIGHT;
        line(format_args!("<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>"));
        let (x, y) = (LEFT - 8.0, y + 4.0);
        line(format_args!(
            "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#6b7280\">{}</text>",
            up.label(tick)
        ));
    }
    for tick in across.ticks() {
        let (x, y) = (across.at(tick), HEIGHT - BOTTOM + 16.0);
        line(format_args!(
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#6b7280\">{}</text>",
            across.label(tick)
        ));
    }
    let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0);
    line(format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#6b7280\">epoch</text>"));
    for (at, one) in series.iter().enumerate() {
        let is_validation = one.name.starts_with("val_");
        let (color, label) = if is_validation { (VALIDATION, "validation") } else { (TRAINING, "training") };
        let points = one.epochs.iter().zip(&one.values).filter(|(_, value)| value.is_finite());
        let points: Vec<(f64, f64)> =
            points.map(|(&epoch, &value)| (across.at(epoch as f64 + 1.0), up.at(value))).collect();
        let joined: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        line(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
            joined.join(" ")
        ));
        // A curve of few points shows them.
        if points.len() <= 12 {
            for (x, y) in points {
                line(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{color}\"/>"));
            }
        }
        if series.len() > 1 {
            let x = WIDTH - RIGHT - 84.0 * (series.len() - at) as f64 + 14.0;
            line(format_args!(
                "<line x1=\"{x}\" y1=\"16\" x2=\"{}\" y2=\"16\" stroke=\"{color}\" stroke-width=\"2\"/>",
                x + 14.0
            ));
            line(format_args!("<text x=\"{}\" y=\"20\" fill=\"#374151\">{label}</text>", x + 18.0));
        }
    }
    text
}

/// Numbers on a line, with round ones to mark it by.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, are_whole: bool) -> Scale {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
        let spread = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
        let step = round(spread / 4.0);
        let step = if are_whole { step.max(1.0).round() } else { step };
        let (low, high) = match are_whole {
            true if high > low => (low, high),
            true => (low - 1.0, high + 1.0),
            false => ((low / step).floor() * step, (high / step).ceil() * step),
        };
        Scale { low, high: if high > low { high } else { low + step }, step, from: 0.0, to: 1.0 }
    }

    fn onto(self, from: f64, to: f64) -> Scale {
        Scale { from, to, ..self }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil();
        let ticks = (0..16).map(|at| (first + f64::from(at)) * self.step);
        ticks.take_while(|tick| *tick <= self.high + self.step * 1e-6).collect()
    }

    /// A number with as many digits as the step has.
    fn label(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        match digits <= 5 && value.abs() < 1e6 {
            true => format!("{value:.digits$}").replace("-0", if value.abs() < self.step / 2.0 { "0" } else { "-0" }),
            false => format!("{value:.1e}"),
        }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below a number.
fn round(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= value * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::Logs;
    use super::*;

    #[test]
    fn a_picture_has_a_panel_for_each_number_and_shows_nothing_that_is_not_finite() {
        let mut history = History::default();
        for (epoch, loss) in [0.9, f64::NAN, 0.1].into_iter().enumerate() {
            let logs = [("accuracy", 0.5), ("loss", loss), ("val_accuracy", 0.25), ("val_loss", f64::INFINITY)];
            history.add(epoch, &Logs::from_iter(logs));
        }
        let svg = svg(&history);
        assert_eq!(svg.matches("<g ").count(), 2);
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.find(">loss<") < svg.find(">accuracy<"));
    }

    #[test]
    fn ticks_are_round_and_around_what_is_shown() {
        let scale = Scale::of([0.13, 0.87].into_iter(), false).onto(0.0, 1.0);
        assert_eq!(
            scale.ticks().iter().map(|&tick| scale.label(tick)).collect::<Vec<_>>(),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert!(scale.low <= 0.13 && scale.high >= 0.87);
        let same = Scale::of([3.0; 2].into_iter(), true);
        assert!(same.ticks().contains(&3.0));
        assert!(Scale::of(std::iter::empty(), false).ticks().len() > 1);
    }
}
