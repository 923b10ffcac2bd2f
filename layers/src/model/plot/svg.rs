//! A picture as SVG.

use super::layout::{Size, layout};
use super::{Diagram, Item, Sort, Ways};
use std::fmt::Write;

/// Around the picture, and around what is in a box.
const MARGIN: f64 = 16.0;
/// Beside the text of a box.
const PADDING: f64 = 12.0;
const LINE: f64 = 16.0;
const FONT: f64 = 12.0;

const STYLE: &str = "text{font-family:Helvetica,Arial,sans-serif;font-size:12px;fill:#24292f;text-anchor:middle}\
.name{font-weight:bold}.class{fill:#57606a}.shape{fill:#57606a;font-size:11px}.title{font-weight:bold;text-anchor:start}\
.box{stroke-width:1.2}.input{fill:#e7f5ec;stroke:#3b8f5c}.weighted{fill:#e8f0fb;stroke:#4674b8}\
.plain{fill:#f6f6f4;stroke:#8b8f94}.operation{fill:#fdf4e0;stroke:#c08a2b}\
.model{fill:#fafbfd;stroke:#7d8894;stroke-width:1.2;stroke-dasharray:5 3}\
.line{fill:none;stroke:#57606a;stroke-width:1.2}.head{fill:#57606a}";

/// The picture.
pub(super) fn write(diagram: &Diagram, ways: Ways) -> String {
    let (drawn, size) = draw(diagram, ways);
    let (width, height) = (size[0] + 2.0 * MARGIN, size[1] + 2.0 * MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <g transform=\"translate({MARGIN} {MARGIN})\">\n{drawn}</g>\n</svg>\n",
        escaped(&diagram.title)
    )
}

/// The boxes and lines of a model, and what room they take.
fn draw(diagram: &Diagram, ways: Ways) -> (String, Size) {
    let inner: Vec<Option<(String, Size)>> = diagram
        .boxes
        .iter()
        .map(|item| item.inner.as_ref().filter(|_| ways.expands).map(|inner| draw(inner, ways)))
        .collect();
    let sizes: Vec<Size> = diagram.boxes.iter().zip(&inner).map(|(item, inner)| size(item, inner, ways)).collect();
    let layout = layout(&sizes, &diagram.lines);
    let mut drawn = String::new();
    for points in &layout.lines {
        line(&mut drawn, points);
    }
    for (((item, inner), size), at) in diagram.boxes.iter().zip(&inner).zip(&sizes).zip(&layout.boxes) {
        let corner = [at[0] - size[0] / 2.0, at[1]];
        match inner {
            Some((inner, room)) => model(&mut drawn, item, inner, *room, corner, *size, ways),
            None => leaf(&mut drawn, item, corner, *size, ways),
        }
    }
    (drawn, layout.size)
}

/// What room a box takes.
fn size(item: &Item, inner: &Option<(String, Size)>, ways: Ways) -> Size {
    let lines = item.text(ways);
    match inner {
        Some((_, room)) => {
            // It is bold as a whole.
            let title = 1.08 * text_width(&lines.join(" · "));
            [room[0].max(title) + 2.0 * MARGIN, room[1] + 2.0 * MARGIN + LINE]
        }
        None => {
            let text = lines.iter().map(|line| text_width(line)).fold(0.0, f64::max);
            [(text + 2.0 * PADDING).max(64.0), lines.len() as f64 * LINE + 10.0]
        }
    }
}

fn leaf(drawn: &mut String, item: &Item, [x, y]: [f64; 2], [width, height]: Size, ways: Ways) {
    let (class, round) = match item.sort {
        Sort::Input => ("input", 5.0),
        Sort::Weighted => ("weighted", 5.0),
        Sort::Plain => ("plain", 5.0),
        Sort::Operation => ("operation", height / 2.0),
    };
    let _ = writeln!(
        drawn,
        "<rect class=\"box {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\"/>"
    );
    let middle = x + width / 2.0;
    for (at, (text, kind)) in item.text(ways).iter().zip(kinds(ways)).enumerate() {
        let base = y + 5.0 + LINE * at as f64 + FONT;
        let _ = writeln!(drawn, "<text class=\"{kind}\" x=\"{middle:.1}\" y=\"{base:.1}\">{}</text>", escaped(text));
    }
}

/// What each line of a text is.
fn kinds(ways: Ways) -> impl Iterator<Item = &'static str> {
    ways.names.then_some("name").into_iter().chain([if ways.names { "class" } else { "name" }, "shape"])
}

fn model(
    drawn: &mut String,
    item: &Item,
    inner: &str,
    room: Size,
    [x, y]: [f64; 2],
    [width, height]: Size,
    ways: Ways,
) {
    let _ = writeln!(
        drawn,
        "<rect class=\"model\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\"/>"
    );
    let title = escaped(&item.text(ways).join(" · "));
    let _ = writeln!(drawn, "<text class=\"title\" x=\"{:.1}\" y=\"{:.1}\">{title}</text>", x + 10.0, y + 6.0 + FONT);
    let (left, top) = (x + (width - room[0]) / 2.0, y + MARGIN + LINE);
    let _ = writeln!(drawn, "<g transform=\"translate({left:.1} {top:.1})\">\n{inner}</g>");
}

/// A line down through its points, straight up and down in each of them, with a head at its end.
fn line(drawn: &mut String, points: &[[f64; 2]]) {
    const HEAD: f64 = 7.0;
    let Some((&[x, y], rest)) = points.split_first() else { return };
    let mut path = format!("M{x:.1} {y:.1}");
    let mut before = [x, y];
    for (at, &[x, y]) in rest.iter().enumerate() {
        let y = if at + 1 == rest.len() { y - HEAD } else { y };
        if (x - before[0]).abs() < 0.05 {
            let _ = write!(path, "V{y:.1}");
        } else {
            let middle = (before[1] + y) / 2.0;
            let _ = write!(path, "C{:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}", before[0]);
        }
        before = [x, y];
    }
    let _ = writeln!(drawn, "<path class=\"line\" d=\"{path}\"/>");
    let [x, y] = before;
    let _ =
        writeln!(drawn, "<path class=\"head\" d=\"M{:.1} {y:.1}H{:.1}L{x:.1} {:.1}Z\"/>", x - 3.5, x + 3.5, y + HEAD);
}

/// About how wide a text is: letters of Helvetica, the bold ones.
fn text_width(text: &str) -> f64 {
    let letter = |letter: char| match letter {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | 'I' | '·' => 0.3,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' => 0.39,
        'm' | 'M' | 'W' | '@' | '%' => 0.89,
        'w' | '→' => 0.8,
        letter if letter.is_uppercase() => 0.72,
        letter if letter.is_ascii() => 0.59,
        _ => 0.65,
    };
    text.chars().map(letter).sum::<f64>() * FONT * 1.12
}

/// A text within a picture.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
