//! Names that TensorFlow takes for nodes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Names that are taken.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number to try next behind a name.
    next: HashMap<String, usize>,
}

impl Names {
    /// Takes a name, and says whether it was free.
    pub fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// The first that is free of `wanted`, `wanted_1`, ..; it is taken then.
    pub fn unique(&mut self, wanted: &str) -> String {
        let wanted = legal(wanted);
        let mut name = wanted.clone().into_owned();
        while !self.taken.insert(name.clone()) {
            let next = self.next.entry(wanted.clone().into_owned()).or_insert(1);
            name = format!("{wanted}_{next}");
            *next += 1;
        }
        name
    }
}

/// Whether TensorFlow takes a name: letters, digits and `.` `_` `\` `/` `>` `-`, the first one a letter, a digit or `.`.
pub(super) fn is_legal(name: &str) -> bool {
    matches!(legal(name), Cow::Borrowed(_)) && !name.is_empty()
}

/// The name with another character in the place of each that is not taken.
fn legal(name: &str) -> Cow<'_, str> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let rest = |c: char| first(c) || matches!(c, '_' | '\\' | '/' | '>' | '-');
    if name.chars().enumerate().all(|(i, c)| if i == 0 { first(c) } else { rest(c) }) {
        return Cow::Borrowed(name);
    }
    let legal = |(i, c): (usize, char)| match i {
        0 if !first(c) => '.',
        _ if !rest(c) => '_',
        _ => c,
    };
    Cow::Owned(name.chars().enumerate().map(legal).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_no_two_are_equal() {
        let mut names = Names::default();
        assert!(names.take("a_1"));
        assert!(!names.take("a_1"));
        let all = ["a", "a", "a", "gelu:0/Mul", "_hidden", "größe", "a_1"].map(|name| names.unique(name));
        assert_eq!(all, ["a", "a_2", "a_3", "gelu_0/Mul", ".hidden", "gr__e", "a_1_1"]);
        assert!(is_legal("a/b>c-d.e\\f") && !is_legal("") && !is_legal("a b") && !is_legal("_a") && !is_legal("a:0"));
    }
}
