//! Words among a program's arguments, by which recipes tell commands apart.

use std::ffi::OsString;

/// Tells whether any of the words is there; `*` always is.
pub(crate) fn any(words: &[String], arguments: &[OsString]) -> bool {
    let met = |word: &String| arguments.iter().any(|it| is(&it.to_string_lossy(), word));
    words.iter().any(|word| word == "*" || met(word))
}

fn is(argument: &str, word: &str) -> bool {
    // As in --server=Starlet, -Slocalhost:80, and among the directives of one argument of nginx.
    let is_value = argument.starts_with('-') && argument.ends_with(&format!("={word}"));
    let is_attached = word.len() == 2 && word.starts_with('-') && argument.starts_with(word);
    let is_within = word.contains(' ') && argument.contains(word);
    argument == word || is_value || is_attached || is_within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_met_as_arguments_values_and_phrases() {
        let check = |word: &str, arguments: &[&str], expected| {
            let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
            assert_eq!(any(&[word.to_owned()], &arguments), expected, "{word} {arguments:?}");
        };
        check("run", &["--app", "x", "run"], true);
        check("run", &["runner"], false);
        check("-S", &["-Slocalhost:80"], true);
        check("-S", &["--S"], false);
        check("Starlet", &["--server=Starlet"], true);
        check("daemon off", &["-g", "worker_processes 1; daemon off;"], true);
        check("*", &[], true);
        check("x", &[], false);
    }
}
