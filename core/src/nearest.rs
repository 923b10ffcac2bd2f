//! The known word that a mistyped one most likely meant.

/// The sentence to end an "unknown .." message with: the nearest of `known`, or all of them when none is near.
///
/// Near means at most two edits, and fewer than half the letters, so that short words do not suggest just anything.
pub(crate) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().map(|candidate| (distance(word, candidate), *candidate)).min();
    match nearest {
        None => "there are none".to_owned(),
        Some((edits, candidate)) if edits <= 2 && 2 * edits < word.chars().count().max(2) => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) => format!("there are {}", known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// Levenshtein's distance: insertions, deletions and replacements that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_lists_what_there_is() {
        assert_eq!(suggestion("untis", ["units", "use_bias"]), "did you mean `units`?");
        assert_eq!(suggestion("flavour", ["units", "use_bias"]), "there are `units`, `use_bias`");
        assert_eq!(suggestion("b", ["a"]), "there are `a`");
        assert_eq!(suggestion("b", []), "there are none");
    }
}
