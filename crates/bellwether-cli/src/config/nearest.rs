//! "Did you mean …": the known word nearest to one that is not known.

/// Finds the known word that was most likely meant, if one is likely.
pub(crate) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let typed = unknown.to_lowercase().replace('_', "-");
    let (mistakes, word) = known.iter().map(|word| (distance(&typed, word), *word)).min()?;
    // One mistake in three letters is still the same word; so are its letters in another order.
    (mistakes <= word.len().max(3) / 3 || sorted(&typed) == sorted(word)).then_some(word)
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// How many letters must be added, removed or changed to get from one word to the other
/// (Levenshtein), row by row.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["listen", "handlers", "stop-grace", "serve"];
        let check = |typed, expected| assert_eq!(nearest(typed, &known), expected, "{typed}");
        check("handler", Some("handlers"));
        check("hanlders", Some("handlers"));
        check("stop_grace", Some("stop-grace"));
        check("Listen", Some("listen"));
        check("server", Some("serve"));
        check("sevre", Some("serve"));
        check("workers", None);
        check("", None);
    }
}
