//! Tables of text, drawn as those that Keras prints.

use std::fmt;

/// On which side of its column a text stands.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// Columns of a width each, with a line below every row.
pub(super) struct Table {
    header: Vec<String>,
    align: Vec<Align>,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of lines of so many characters; `ends` says, as shares of those, where each column ends.
    pub fn new(columns: &[(&str, Align)], ends: &[f64], length: usize) -> Table {
        let mut at = 0;
        let wished: Vec<usize> = ends
            .iter()
            .map(|end| {
                let width = ((end * length as f64) as usize).saturating_sub(at);
                at += width;
                // A space on either side.
                width + 2
            })
            .collect();
        // What borders and spaces take is taken from all columns alike.
        let room = length.saturating_sub(columns.len() + 1);
        let mut excess = wished.iter().sum::<usize>().saturating_sub(room);
        let mut widths = Vec::new();
        for (at, width) in wished.iter().enumerate() {
            let share = half_even(excess, wished.len() - at).min(*width);
            excess -= share;
            widths.push((width - share).saturating_sub(2).max(1));
        }
        let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Table { header, align: columns.iter().map(|(_, align)| *align).collect(), widths, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, [left, fill, between, right]: [char; 4]) -> fmt::Result {
        let columns = self.widths.iter().map(|width| fill.to_string().repeat(width + 2));
        writeln!(f, "{left}{}{right}", columns.collect::<Vec<_>>().join(&between.to_string()))
    }

    fn cells(&self, f: &mut fmt::Formatter<'_>, cells: &[String], border: char) -> fmt::Result {
        let wrapped: Vec<Vec<String>> =
            cells.iter().zip(&self.widths).map(|(cell, &width)| wrap(cell, width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            for ((lines, &width), align) in wrapped.iter().zip(&self.widths).zip(&self.align) {
                let text = lines.get(at).map_or("", String::as_str);
                match align {
                    Align::Left => write!(f, "{border} {text:<width$} ")?,
                    Align::Center => write!(f, "{border} {text:^width$} ")?,
                    Align::Right => write!(f, "{border} {text:>width$} ")?,
                }
            }
            writeln!(f, "{border}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f, ['┏', '━', '┳', '┓'])?;
        self.cells(f, &self.header, '┃')?;
        self.line(f, ['┡', '━', '╇', '┩'])?;
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 {
                self.line(f, ['├', '─', '┼', '┤'])?;
            }
            self.cells(f, row, '│')?;
        }
        self.line(f, ['└', '─', '┴', '┘'])
    }
}

/// The quotient, rounded to the nearest integer, of two equally near the even one.
fn half_even(dividend: usize, divisor: usize) -> usize {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Equal => quotient + quotient % 2,
        std::cmp::Ordering::Greater => quotient + 1,
    }
}

/// Lines of at most so many characters, broken between words; of a longer word the end is left out.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let needed = word.trim_end().chars().count();
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + needed > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    let fit = |line: String| {
        let line = line.trim_end();
        match line.chars().count() > width {
            true => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
            false => line.to_owned(),
        }
    };
    lines.into_iter().map(fit).collect()
}

/// The words with the spaces behind them; those in front stand with the first.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_space = true;
    let mut met_word = false;
    for (at, letter) in text.char_indices() {
        if in_space && !letter.is_whitespace() {
            if met_word {
                words.push(&text[start..at]);
                start = at;
            }
            met_word = true;
        }
        in_space = letter.is_whitespace();
    }
    words.push(&text[start..]);
    words
}
