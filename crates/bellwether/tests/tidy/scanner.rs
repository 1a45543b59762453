//! Just enough of Rust's grammar to find words and paths in code, and not in comments or literals.

/// Blanks comments and literals; what is left is code, every byte where it was.
pub(crate) fn code_of(text: &str) -> String {
    let (mut code, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        // An `r` or `b` starts a literal only where it starts a word.
        let within_word = code.ends_with(is_word) && is_word(first);
        let silent = if within_word { 0 } else { silent_length(rest) };
        if silent == 0 {
            code.push(first);
        }
        code.push_str(&blank(&rest[..silent]));
        rest = &rest[silent.max(first.len_utf8())..];
    }
    code
}

fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// The length of the comment or literal that starts here; 0 where code goes on.
fn silent_length(text: &str) -> usize {
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment_length(text.as_bytes()),
        [b'"', ..] => string_length(text),
        [b'\'', b'\\', ..] => 3 + until(text.get(3..).unwrap_or_default(), "'"),
        // Anything else behind a quote is a lifetime.
        [b'\'', ..] if text.chars().nth(2) == Some('\'') => 1 + until(&text[1..], "'"),
        [b'b' | b'c' | b'r', ..] => raw_string_length(text).unwrap_or(0),
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment_length(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        match text[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|next| {
        let ends = next == '"' && !escaped;
        escaped = next == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

fn raw_string_length(text: &str) -> Option<usize> {
    let fence = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let body = fence.trim_start_matches('#').strip_prefix('"')?;
    let hashes = fence.len() - body.len() - 1;
    Some(text.len() - body.len() + until(body, &format!("\"{}", "#".repeat(hashes))))
}

fn until(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

/// Blanks what is compiled for tests only.
pub(crate) fn without_tests(code: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(code.len()), code);
    while let Some(at) = rest.find("#[cfg(test)]") {
        let end = at + item_length(&rest[at..]);
        kept.push_str(&rest[..at]);
        kept.push_str(&blank(&rest[at..end]));
        rest = &rest[end..];
    }
    kept + rest
}

/// To the brace that closes the item starting here, or to the semicolon of one without braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    let end = code.find(|next| {
        depth += i32::from(next == '{') - i32::from(next == '}');
        depth <= 0 && matches!(next, '}' | ';')
    });
    end.map_or(code.len(), |at| at + 1)
}

/// The names right behind `root::`, alone or as members of a group, and where they stand.
pub(crate) fn names_under<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let prefix = format!("{root}::");
    let paths = words(code, &prefix).into_iter().map(|at| at + prefix.len());
    paths.flat_map(|at| members(code, at)).map(|at| (at, word(&code[at..]))).collect()
}

/// Where the members of the group at this place start; the place itself when it is no group.
fn members(code: &str, place: usize) -> Vec<usize> {
    if !code[place..].starts_with('{') {
        return vec![place];
    }
    let (mut starts, mut depth, mut expected) = (Vec::new(), 0, false);
    for (at, next) in code[place..].char_indices() {
        depth += i32::from(next == '{') - i32::from(next == '}');
        match next {
            '{' | '}' | ',' => expected = depth == 1 && next != '}',
            _ if expected && !next.is_whitespace() => {
                starts.push(place + at);
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    starts
}

/// Where the text is found, but not as a part of a longer word.
pub(crate) fn words(text: &str, wanted: &str) -> Vec<usize> {
    let joined = |at: usize| text[..at].ends_with(is_word) && text[at..].starts_with(is_word);
    let found = text.match_indices(wanted).map(|(at, _)| at);
    found.filter(|at| !joined(*at) && !joined(at + wanted.len())).collect()
}

/// The word at the start of the text, or the one character that stands in its place.
fn word(text: &str) -> &str {
    let end = text.find(|next| !is_word(next)).unwrap_or(text.len());
    text.get(..end.max(1)).unwrap_or(text)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

pub(crate) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[test]
fn comments_and_literals_are_not_code() {
    let check = |text: &str, expected: &str| {
        let code = code_of(text);
        assert_eq!(code.len(), text.len(), "every byte stays where it was: {text}");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
    };
    check("a // unsafe\nb", "a b");
    check("a/* x /* y */ z */b", "a b");
    check("/// don't\n//! say \"it\nc", "c");
    check(r#"f("a \" // b\\", c)"#, "f( , c)");
    check(r###"f(r#"a " b"#, br"\", cr##"x"#"##)"###, "f( , , )");
    check("f('\"', '\\'', b'\"', '\\\\', 'ü', x)", "f( , , b , , , x)");
    check("fn f<'a>(x: &'a str, r#in: for_b) {}", "fn f<'a>(x: &'a str, r#in: for_b) {}");
    check("f(\"ü\nü\"); g()", "f( ); g()");
}

#[test]
fn code_for_tests_is_not_seen() {
    let check = |code: &str, expected: &str| {
        let kept = without_tests(code);
        assert_eq!(kept.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{code}");
    };
    check("a();\n#[cfg(test)]\nmod tests { fn f() { b(); } }\nc();", "a(); c();");
    check("#[cfg(test)] mod tests; a();", "a();");
    check("#[cfg(test)] use crate::{a, b}; #[cfg(test)] fn f() {} c();", "; c();");
}

#[test]
fn words_are_found_whole() {
    let check = |text: &str, wanted: &str, expected: &[usize]| {
        assert_eq!(words(text, wanted), expected, "{wanted} in {text}");
    };
    check("unsafe { unsafe_code; not_unsafe }", "unsafe", &[0]);
    check("my_crate::a $crate::b (crate::c)", "crate::", &[13, 23]);
    check("abcd abc", "abc", &[5]);
}

#[test]
fn names_are_found_in_paths_and_groups() {
    let check = |code: &str, root: &str, expected: &[&str]| {
        let names: Vec<_> = names_under(code, root).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, expected, "{code}");
    };
    check("pub(crate) use crate::sys::clock;", "crate", &["sys"]);
    check("use crate::{\n a::{b, c::{d}},\n e,\n f::g,\n};", "crate", &["a", "e", "f"]);
    check("crate::a::b(crate::c::D, $crate::e!())", "crate", &["a", "c", "e"]);
    check("use crate::*;", "crate", &["*"]);
    check("std::thread::{self, sleep}; thread::sleep(x)", "thread", &["self", "sleep", "sleep"]);
}
