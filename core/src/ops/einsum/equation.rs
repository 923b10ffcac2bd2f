//! What an equation says: the labels of axes, and what part each plays.

use crate::{Error, Result};

/// What stands for an axis, or for any number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A letter, which is one axis.
    Letter(u8),
    /// `...`, the axes that have no letter.
    Ellipsis,
}

/// The number of letters.
pub(super) const LETTERS: usize = 52;

/// All letters.
pub(super) fn letters() -> impl Iterator<Item = u8> {
    (b'A'..=b'Z').chain(b'a'..=b'z')
}

impl Label {
    /// The place of a letter's axis among those of all letters, after which come the axes of the ellipsis.
    pub(super) fn place(letter: u8) -> usize {
        match letter {
            b'A'..=b'Z' => usize::from(letter - b'A'),
            _ => 26 + usize::from(letter.saturating_sub(b'a')).min(25),
        }
    }
}

/// The labels of some operands and of what comes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Equation {
    pub(super) operands: Vec<Vec<Label>>,
    pub(super) output: Vec<Label>,
}

/// Letters and at most one ellipsis.
fn subscript(text: &str, equation: &str) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let fault = |what: String| Err(Error::invalid_argument(format!("{what} in the equation `{equation}`")));
        rest = match first {
            letter if letter.is_ascii_alphabetic() => {
                labels.push(Label::Letter(*letter));
                after
            }
            b'.' if after.starts_with(b"..") && labels.contains(&Label::Ellipsis) => {
                return fault(format!("`{text}` has more than one ellipsis"));
            }
            b'.' if after.starts_with(b"..") => {
                labels.push(Label::Ellipsis);
                &after[2..]
            }
            _ => return fault(format!("`{text}` has something other than letters and `...`")),
        };
    }
    Ok(labels)
}

impl Equation {
    /// Reads an equation with an arrow.
    pub(super) fn parse(text: &str) -> Result<Equation> {
        match text.split("->").collect::<Vec<_>>()[..] {
            [operands, output] => Equation::of(operands, Some(output), text),
            _ => Err(Error::invalid_argument(format!("expecting exactly one `->` in the equation `{text}`"))),
        }
    }

    /// Reads an equation as users write it: with spaces, and without an arrow for the labels that occur once, in order.
    pub(super) fn read(text: &str) -> Result<Equation> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match text.contains("->") {
            true => Equation::parse(&text),
            false => Equation::of(&text, None, &text),
        }
    }

    fn of(operands: &str, output: Option<&str>, equation: &str) -> Result<Equation> {
        let operands = operands.split(',').map(|text| subscript(text, equation)).collect::<Result<Vec<_>>>()?;
        let all = || operands.iter().flatten();
        let output = match output {
            Some(output) => subscript(output, equation)?,
            None => {
                let once = |&letter: &u8| all().filter(|&&label| label == Label::Letter(letter)).count() == 1;
                let ellipsis = all().find(|&&label| label == Label::Ellipsis).copied();
                ellipsis.into_iter().chain(letters().filter(once).map(Label::Letter)).collect()
            }
        };
        let unknown = output.iter().find(|label| **label != Label::Ellipsis && !all().any(|other| other == *label));
        if let Some(Label::Letter(letter)) = unknown {
            let message =
                format!("`{}` is a label of the output alone in the equation `{equation}`", char::from(*letter));
            return Err(Error::invalid_argument(message));
        }
        Ok(Equation { operands, output })
    }
}

/// The labels as text.
pub(super) fn write(labels: &[Label]) -> String {
    labels.iter().fold(String::new(), |mut text, label| {
        match label {
            Label::Letter(letter) => text.push(char::from(*letter)),
            Label::Ellipsis => text.push_str("..."),
        }
        text
    })
}

/// `AB,BC->AC`
impl std::fmt::Display for Equation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operands: Vec<String> = self.operands.iter().map(|labels| write(labels)).collect();
        write!(f, "{}->{}", operands.join(","), write(&self.output))
    }
}

/// Each label where it occurs first.
pub(super) fn distinct(labels: &[Label]) -> Vec<Label> {
    let first = |&(at, label): &(usize, &Label)| !labels[..at].contains(label);
    labels.iter().enumerate().filter(first).map(|(_, label)| *label).collect()
}

/// The parts that labels play, each in the order in which they occur.
#[derive(Debug)]
pub(super) struct Parts {
    /// The labels of the output, each once.
    pub(super) output: Vec<Label>,
    /// Those of both operands and the output.
    pub(super) batch: Vec<Label>,
    /// Those of the output and the left factor.
    pub(super) rows: Vec<Label>,
    /// Those of the output and the right factor.
    pub(super) columns: Vec<Label>,
    /// Those of both operands, over which products are summed.
    pub(super) summed: Vec<Label>,
    /// Those of one operand alone, which is summed over them beforehand.
    pub(super) own: [Vec<Label>; 2],
    /// Which operand is the left factor.
    pub(super) left: usize,
}

impl Parts {
    /// Those of an equation of one or two operands.
    pub(super) fn of(equation: &Equation) -> Parts {
        let output = distinct(&equation.output);
        let operand = |i: usize| equation.operands.get(i).map_or_else(Vec::new, |labels| distinct(labels));
        let both = [operand(0), operand(1)];
        let among = |from: &[Label], within: &[&[Label]], without: &[&[Label]]| -> Vec<Label> {
            let wanted = |label: &&Label| {
                within.iter().all(|labels| labels.contains(label)) && !without.iter().any(|l| l.contains(label))
            };
            from.iter().filter(wanted).copied().collect()
        };
        let [a, b] = [&*both[0], &*both[1]];
        let batch = among(&output, &[a, b], &[]);
        let free = [among(&output, &[a], &[b]), among(&output, &[b], &[a])];
        let summed = among(a, &[b], &[&output]);
        let own = [among(a, &[], &[b, &output]), among(b, &[], &[a, &output])];
        // The factor whose labels come last in the output is the right one, so that the product lies as the output does.
        let turned = output.last().is_some_and(|last| free[0].contains(last)) && equation.operands.len() == 2;
        let [rows, columns] = if turned { [free[1].clone(), free[0].clone()] } else { free };
        Parts { output, batch, rows, columns, summed, own, left: usize::from(turned) }
    }

    /// Whether a product of matrices for each index of the batch lies in the order of the output.
    pub(super) fn lie_in_order(&self) -> bool {
        self.product().eq(&self.output)
    }

    /// The labels of the products.
    pub(super) fn product(&self) -> impl Iterator<Item = &Label> {
        self.batch.iter().chain(&self.rows).chain(&self.columns)
    }

    /// The labels of an operand that is neither summed yet nor shared in part: as it would lie best.
    pub(super) fn best(&self, operand: usize) -> [&[Label]; 3] {
        match operand == self.left {
            true => [&self.batch, &self.rows, &self.summed],
            false => [&self.batch, &self.summed, &self.columns],
        }
    }
}
