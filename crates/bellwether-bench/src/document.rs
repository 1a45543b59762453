//! A document in which a suite keeps its tables between two marks.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const END: &str = "<!-- end -->";

/// Puts `text` in the place of what stood between the marks of `suite`.
pub(crate) fn put(file: &Path, suite: &str, text: &str) -> Result<()> {
    let name = file.display();
    let old = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let new = between_marks(&old, suite, text)
        .with_context(|| format!("{name} has no marks `{}` and `{END}`", begin(suite)))?;
    fs::write(file, new).with_context(|| format!("cannot write {name}"))
}

fn begin(suite: &str) -> String {
    format!("<!-- begin: made by `bellwether-bench {suite}` -->")
}

/// `None` when there are no such marks.
fn between_marks(old: &str, suite: &str, text: &str) -> Option<String> {
    let mark = begin(suite);
    let (before, rest) = old.split_once(&mark)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{mark}\n\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_replaces_only_what_is_its_own() {
        let page = |first: &str, second: &str| {
            let (one, other) = (begin("one"), begin("other"));
            format!("# Page\n{one}{first}{END}\nand\n{other}{second}{END}\n")
        };
        let check = |suite, expected: Option<String>| {
            assert_eq!(between_marks(&page("old", "old"), suite, "new"), expected, "{suite}");
        };
        check("one", Some(page("\n\nnew\n", "old")));
        check("other", Some(page("old", "\n\nnew\n")));
        check("third", None);
        assert_eq!(between_marks(&begin("one"), "one", "new"), None, "without an end");
    }
}
