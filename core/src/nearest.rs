//! The known word that a mistyped one most likely meant.

/// The sentence to end an "unknown .." message with: the nearest of `known`, or all of them when none is near.
///
/// Near means at most two edits, and fewer than half the letters, so that short words do not suggest just anything.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
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

/// The one of `known` that is nearest to `word`, unless it has less than half of its letters in common with it.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.into_iter().map(|candidate| (distance(word, candidate), candidate)).min();
    nearest.filter(|(edits, _)| 2 * edits < word.chars().count()).map(|(_, candidate)| candidate)
}

/// The `count` of `known` that are nearest to `word`, the nearest first.
pub fn nearest_few<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let mut known: Vec<_> = known.into_iter().map(|candidate| (distance(word, candidate), candidate)).collect();
    known.sort_unstable();
    known.into_iter().take(count).map(|(_, candidate)| candidate).collect()
}

/// The insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, edits) | (edits, 0) => edits,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swapped = if swapped { rows[i - 2][j - 2] + 1 } else { replaced };
                    replaced.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[a.len()][b.len()]
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
        assert_eq!(nearest_few("untis", ["use_bias", "units", "unit"], 2), ["units", "unit"]);
    }
}
