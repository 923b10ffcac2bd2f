//! A picture in the language DOT.

use super::{Diagram, Sort, Ways};
use std::fmt::Write;

/// The picture.
pub(super) fn write(diagram: &Diagram, ways: Ways) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&diagram.title));
    text.push_str("  compound=true; rankdir=TB; nodesep=0.3; ranksep=0.5;\n");
    text.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n");
    text.push_str("  edge [color=\"#57606a\", arrowsize=0.7];\n");
    add(&mut text, diagram, ways, "n", 1);
    text.push_str("}\n");
    text
}

/// The boxes and lines of a model whose names begin with `prefix`.
fn add(text: &mut String, diagram: &Diagram, ways: Ways, prefix: &str, depth: usize) {
    let indent = "  ".repeat(depth);
    for (at, item) in diagram.boxes.iter().enumerate() {
        let id = format!("{prefix}{at}");
        let lines = item.text(ways);
        if let Some(inner) = item.inner.as_ref().filter(|inner| ways.expands && !inner.boxes.is_empty()) {
            let _ = writeln!(text, "{indent}subgraph cluster_{id} {{");
            let _ = writeln!(
                text,
                "{indent}  label={}; style=\"rounded,dashed\"; fontname=\"Helvetica\"; fontsize=11;",
                quoted(&lines.join(" · "))
            );
            add(text, inner, ways, &format!("{id}_"), depth + 1);
            let _ = writeln!(text, "{indent}}}");
            continue;
        }
        let color = match item.sort {
            Sort::Input => "#e7f5ec",
            Sort::Weighted => "#e8f0fb",
            Sort::Plain => "#f6f6f4",
            Sort::Operation => "#fdf4e0",
        };
        let _ = writeln!(text, "{indent}{id} [label={}, fillcolor=\"{color}\"];", quoted(&lines.join("\n")));
    }
    for &(from, to) in &diagram.lines {
        // A line to a model ends at one of its boxes and is cut off at its frame.
        let (tail, from) = end(diagram, ways, prefix, from, false);
        let (head, to) = end(diagram, ways, prefix, to, true);
        let frames: Vec<String> = [("ltail", tail), ("lhead", head)]
            .into_iter()
            .filter_map(|(key, frame)| frame.map(|frame| format!("{key}=cluster_{frame}")))
            .collect();
        let frames = if frames.is_empty() { String::new() } else { format!(" [{}]", frames.join(", ")) };
        let _ = writeln!(text, "{indent}{from} -> {to}{frames};");
    }
}

/// The box that a line ends at, and the frame that it ends at if that is in one.
fn end(diagram: &Diagram, ways: Ways, prefix: &str, at: usize, is_head: bool) -> (Option<String>, String) {
    let id = format!("{prefix}{at}");
    match diagram.boxes[at].inner.as_ref().filter(|inner| ways.expands && !inner.boxes.is_empty()) {
        None => (None, id),
        Some(inner) => {
            let ends = if is_head { &inner.inputs } else { &inner.outputs };
            let at = ends.first().copied().unwrap_or_default();
            (Some(id.clone()), end(inner, ways, &format!("{id}_"), at, is_head).1)
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
