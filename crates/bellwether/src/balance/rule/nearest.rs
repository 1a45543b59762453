//! What somebody may have meant.

/// Names the one that is most like what is written, if one is.
pub(super) fn did_you_mean(written: &str, names: &[&str]) -> String {
    let near = names.iter().map(|name| (distance(written, name), name)).min();
    let near = near.filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    near.map(|(_, name)| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// Counts the letters to insert, to remove or to replace (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<_> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = corner + usize::from(letter != *other);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_two_words_is_the_letters_to_change() {
        for (from, to, expected) in [("", "abc", 3), ("spar", "spare", 1), ("unti", "unit", 2)] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
