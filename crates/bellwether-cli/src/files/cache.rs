//! For how long clients and caches may keep an answer without asking again.
//!
//! Without a rule they may keep it, and ask each time whether it is still the same: a few bytes, and
//! nobody sees yesterday's page beside today's script. So do most hosts of static sites. Without any
//! word a cache would guess, by the age of the file (RFC 9111, 4.2.2).

use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;

const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// What `Cache-Control` may say in an answer, and whether with a number of seconds (RFC 9111, 5.2.2;
/// RFC 8246; RFC 5861).
const DIRECTIVES: [(&str, bool); 12] = [
    ("max-age", true),
    ("s-maxage", true),
    ("stale-while-revalidate", true),
    ("stale-if-error", true),
    ("no-cache", false),
    ("no-store", false),
    ("no-transform", false),
    ("must-revalidate", false),
    ("proxy-revalidate", false),
    ("public", false),
    ("private", false),
    ("immutable", false),
];

/// What is said of the files whose path is like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheRule {
    /// A path in which `*` stands for anything.
    pattern: String,
    words: HeaderValue,
}

impl CacheRule {
    /// Reads `PATTERN=DIRECTIVES`, or directives for all files; or says what is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let of_some = text.starts_with(['/', '*']);
        let (pattern, words) = if of_some { text.split_once('=').ok_or("=")? } else { ("*", text) };
        for directive in words.split(',') {
            check(directive.trim())?;
        }
        let words = HeaderValue::try_from(words).map_err(|error| error.to_string())?;
        Ok(Self { pattern: pattern.into(), words })
    }
}

fn check(directive: &str) -> Result<(), String> {
    let (name, value) = directive.split_once('=').map_or((directive, None), |(n, v)| (n, Some(v)));
    let known = DIRECTIVES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let is_number = |value: &str| value.parse::<u32>().is_ok() && !value.starts_with('+');
    match (known, value) {
        (None, _) => Err(format!("there is no directive `{name}`")),
        (Some((_, true)), Some(value)) if is_number(value) => Ok(()),
        (Some((_, true)), _) => Err(format!("`{name}` wants a number of seconds: {name}=3600")),
        (Some((_, false)), None) => Ok(()),
        (Some((_, false)), Some(_)) => Err(format!("`{name}` has no value")),
    }
}

/// All rules; the last that fits a path counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache(Vec<CacheRule>);

impl Cache {
    pub(super) fn of(rules: impl Iterator<Item = CacheRule>) -> Self {
        Self(rules.collect())
    }

    /// Says in an answer how long this file, known by its path in a URL, may be kept.
    pub(super) fn tell<B>(&self, path: &str, answer: &mut Response<B>) {
        // What is no file (a redirection, a range that is not there) is kept by nobody.
        let kept = [StatusCode::OK, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED];
        if kept.contains(&answer.status()) {
            answer.headers_mut().insert(CACHE_CONTROL, self.words(path));
        }
    }

    fn words(&self, path: &str) -> HeaderValue {
        let index = if path.ends_with('/') { "index.html" } else { "" };
        let path = percent_decode_str(path).decode_utf8_lossy() + index;
        let fits = |rule: &&CacheRule| is_like(path.as_bytes(), rule.pattern.as_bytes());
        self.0.iter().rfind(fits).map_or(ASK_EACH_TIME, |rule| rule.words.clone())
    }
}

/// Says in an answer that is no file that it may be another the next time.
pub(super) fn tell_of_none<B>(answer: &mut Response<B>) {
    answer.headers_mut().insert(CACHE_CONTROL, ASK_EACH_TIME);
}

/// Tells whether a text is like a pattern in which `*` stands for anything.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    // Where the last star is, and up to where the text has been taken for it.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        if pattern.get(next) == Some(&b'*') {
            star = Some((next, at));
            next += 1;
        } else if pattern.get(next) == Some(&text[at]) {
            (at, next) = (at + 1, next + 1);
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            (at, next) = (taken + 1, place + 1);
        } else {
            return false;
        }
    }
    pattern[next..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let check = |text: &str, pattern: &str, expected| {
            assert_eq!(is_like(text.as_bytes(), pattern.as_bytes()), expected, "{text} {pattern}");
        };
        check("/a", "/a", true);
        check("/a", "/b", false);
        check("/assets/x/y.js", "/assets/*", true);
        check("/assets", "/assets/*", false);
        check("/assets/", "/assets/*", true);
        check("/x/y.min.js", "*.js", true);
        check("/x/y.jsx", "*.js", false);
        check("/x/ab-ab-abc.js", "/x/*ab*abc*", true);
        check("/x/ab-ab-ab.js", "/x/*ab*abc*", false);
        check("/", "*", true);
        check("", "*", true);
        check("", "", true);
        check("/a", "", false);
    }

    #[test]
    fn the_last_rule_that_fits_counts() {
        let rules = ["max-age=60", "/assets/*=max-age=31536000,immutable", "*.html=no-store"];
        let cache = Cache::of(rules.into_iter().map(|rule| CacheRule::read(rule).unwrap()));
        let check = |path: &str, expected: &str| assert_eq!(cache.words(path), expected, "{path}");
        check("/x", "max-age=60");
        check("/assets/app.js", "max-age=31536000,immutable");
        check("/%61ssets/app.js", "max-age=31536000,immutable");
        check("/assets/x.html", "no-store");
        check("/sub/", "no-store");
        assert_eq!(Cache::default().words("/x"), "no-cache");
    }

    #[test]
    fn a_rule_that_no_cache_would_understand_is_refused() {
        let check = |text: &str, words: &str| {
            let said = CacheRule::read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        };
        check("maxage=60", "`maxage`");
        check("max-age", "number of seconds");
        check("max-age=1h", "number of seconds");
        check("max-age=-1", "number of seconds");
        check("max-age=+1", "number of seconds");
        check("immutable=1", "no value");
        check("public,", "``");
        check("/x", "=");
        check("/x=", "``");
        check("", "``");
        check("public\r\nX: y", "no directive");
        for fine in ["public, max-age=60", "*.js=Max-Age=60,Immutable", "/a=b=no-store"] {
            assert_eq!(CacheRule::read(fine).is_ok(), !fine.starts_with("/a"), "{fine}");
        }
    }
}
