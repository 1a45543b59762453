//! Habits of this project that no lint knows: who may use whom, where `unsafe` lives, how long a
//! file may be, what no file may say.
//!
//! The habits come first, then the walk over the project; the scanner is in tidy/scanner.rs.

use std::fs;
use std::path::Path;
use std::process::Command;

use scanner::{code_of, line, names_under, without_tests, words};

// By path: a file beside this one would be a test program of its own.
#[path = "tidy/scanner.rs"]
mod scanner;

/// Who may use whom inside the library; the layers, lowest first.
///
/// An edge that is not in this table fails; so does every edge of a module that has no row.
const MAY_USE: &[(&str, &str)] = &[
    ("balance", ""),
    ("error", ""),
    ("journal", "sys"),
    ("proc", ""),
    ("status", ""),
    ("simulation", "balance"),
    ("sys", ""),
    ("address", "error sys"),
    ("program", "error sys address"),
    // The only edge inside this layer: a buffer is that of an address.
    ("buffer", "error sys address"),
    ("notification", "error sys"),
    ("scoreboard", "error sys"),
    ("handler", "error sys address buffer notification scoreboard program"),
    (
        "pool",
        "error sys journal proc status address buffer notification scoreboard program handler \
         balance",
    ),
    ("spawner", "error sys journal status address handler pool"),
    (
        "server",
        "error sys address buffer notification scoreboard program handler balance pool spawner tls",
    ),
    ("http", "error address handler server spawner tls"),
    ("remote", "error sys journal proc status spawner"),
    ("tls", "error sys"),
    ("upgrade", "spawner"),
];

/// What stands for work not done; cut in two, so that this file does not say it.
const PROMISES: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Where one machine keeps its checkout.
const PRIVATE_PATH: &str = concat!("/wo", "rk/");

/// The one file of the tests that may sleep: it polls for an event until a deadline.
const MAY_SLEEP: &str = "crates/bellwether/tests/kit/wait.rs";

#[test]
fn modules_use_only_what_lies_below_them() {
    judge(is_source, |file| forbidden_edges(&file.path, &file.text));
}

#[test]
fn unsafe_stays_in_sys() {
    let outside = |path: &str| is_rust(path) && !path.starts_with("crates/bellwether/src/sys");
    judge(outside, |file| {
        let code = code_of(&file.text);
        file.places(&words(&code, "unsafe"), "unsafe outside sys")
    });
}

#[test]
fn no_source_file_is_longer_than_600_lines() {
    judge(is_source, |file| {
        (file.length() > 600).then(|| format!("{}: {} lines", file.path, file.length()))
    });
}

#[test]
fn at_most_one_source_file_in_ten_is_longer_than_350_lines() {
    let sources = project().into_iter().filter(|file| is_source(&file.path));
    let (long, others): (Vec<_>, Vec<_>) = sources.partition(|file| file.length() > 350);
    let names: Vec<_> = long.iter().map(|file| file.path.as_str()).collect();
    assert!(long.len() * 9 <= others.len(), "beside {} others: {names:?}", others.len());
}

#[test]
fn nothing_is_promised_for_later() {
    judge(is_rust, |file| {
        let promised: Vec<_> = PROMISES.iter().flat_map(|it| words(&file.text, it)).collect();
        file.places(&promised, "do it now, or open an issue")
    });
}

#[test]
fn every_folder_opens_with_an_essay_of_at_most_15_lines() {
    judge(
        |path| path.ends_with("/mod.rs"),
        |file| {
            let essay = file.text.lines().take_while(|line| line.starts_with("//!")).count();
            let fits = (1..=15).contains(&essay);
            (!fits).then(|| format!("{}:1: opens with {essay} lines of //!", file.path))
        },
    );
}

#[test]
fn tests_wait_for_events_and_do_not_sleep() {
    let waits = |path: &str| is_in("tests", path) && path != MAY_SLEEP;
    judge(waits, |file| {
        let code = code_of(&file.text);
        let sleeps = names_under(&code, "thread").into_iter().filter(|(_, name)| *name == "sleep");
        file.places(&sleeps.map(|(at, _)| at).collect::<Vec<_>>(), "wait for an event instead")
    });
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    judge(|_| true, |file| file.places(&words(&file.text, PRIVATE_PATH), "a path of one machine"));
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_source(path: &str) -> bool {
    is_in("src", path)
}

/// Whether this is Rust in the folder of that name of any member.
fn is_in(folder: &str, path: &str) -> bool {
    is_rust(path) && path.starts_with("crates/") && path.split('/').nth(2) == Some(folder)
}

/// The edges of one file that the table does not have, a line of complaint for each.
fn forbidden_edges(path: &str, text: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix("crates/bellwether/src/") else { return Vec::new() };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    if module == "lib" || inside.ends_with("tests.rs") {
        return Vec::new();
    }
    let row = MAY_USE.iter().find(|(user, _)| *user == module).map_or("", |(_, used)| used);
    // A path to oneself is no edge; but `balance` is to be lifted out one day and names no root.
    let own = if module == "balance" { "" } else { module };
    let allowed = |name: &str| name == own || row.split(' ').any(|used| used == name);
    let code = without_tests(&code_of(text));
    let edges = edges(inside, &code).into_iter().filter(|(_, name)| !allowed(name));
    edges
        .map(|(at, name)| format!("{path}:{}: {module} may not use {name}", line(&code, at)))
        .collect()
}

/// What a file uses of the crate, named from the root or through as many `super` as lead there.
fn edges<'a>(inside: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let depth = inside.trim_end_matches("/mod.rs").split('/').count();
    let mut through_super = names_under(code, &vec!["super"; depth].join("::"));
    // Inside an inline module the same number of `super` ends below the root, at other names.
    through_super.retain(|(_, name)| MAY_USE.iter().any(|(module, _)| module == name));
    let from_root = names_under(code, "crate").into_iter().map(|(at, name)| (at, owner(name)));
    from_root.chain(through_super).collect()
}

/// The module of what the root re-exports; the two names everyone writes without their module.
fn owner(name: &str) -> &str {
    if matches!(name, "Error" | "Result") { "error" } else { name }
}

/// A text file of the project, its path counted from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn length(&self) -> usize {
        self.text.lines().count()
    }

    /// A line of complaint for each offset.
    fn places(&self, offsets: &[usize], complaint: &str) -> Vec<String> {
        let place = |at: &usize| format!("{}:{}: {complaint}", self.path, line(&self.text, *at));
        offsets.iter().map(place).collect()
    }
}

/// Fails with all complaints about all chosen files, so that one run shows everything.
fn judge<C>(chosen: impl Fn(&str) -> bool, complaints: impl Fn(&File) -> C)
where
    C: IntoIterator<Item = String>,
{
    let files: Vec<_> = project().into_iter().filter(|file| chosen(&file.path)).collect();
    let found: Vec<_> = files.iter().flat_map(complaints).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// What git tracks or is about to; a file that is not text, or just vanished, is passed over.
fn project() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output();
    let paths = match git {
        Ok(listing) if listing.status.success() => String::from_utf8_lossy(&listing.stdout)
            .split_terminator('\0')
            .map(String::from)
            .collect(),
        _ => walk(&root, ""),
    };
    let read = |path| fs::read_to_string(root.join(&path)).ok().map(|text| File { path, text });
    paths.into_iter().filter_map(read).collect()
}

/// The same where git does not answer, as in an unpacked release: all but what is built or hidden.
fn walk(root: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "target" && !name.starts_with('.'))
        .map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") })
        .flat_map(|path| if root.join(&path).is_dir() { walk(root, &path) } else { vec![path] })
        .collect()
}

#[test]
fn the_project_is_seen_whole() {
    for path in ["Cargo.toml", "crates/bellwether/src/lib.rs", "crates/bellwether/tests/tidy.rs"] {
        assert!(project().iter().any(|file| file.path == path), "{path} was not seen");
    }
}

#[test]
fn an_edge_that_is_not_in_the_table_is_reported_with_its_line() {
    let check = |inside: &str, text: &str, expected: &[&str]| {
        let path = format!("crates/bellwether/src/{inside}");
        let expected: Vec<_> = expected.iter().map(|it| format!("{path}:{it}")).collect();
        assert_eq!(forbidden_edges(&path, text), expected, "{text}");
    };
    check("buffer.rs", "use crate::{address::Address, error::Error, sys};", &[]);
    check("buffer.rs", "\nuse crate::notification::X;", &["2: buffer may not use notification"]);
    check(
        "address/open.rs",
        "use crate::{\n sys,\n buffer::B,\n};",
        &["3: address may not use buffer"],
    );
    check("handler/serve.rs", "use super::super::spawner::X;", &["1: handler may not use spawner"]);
    check("handler/serve.rs", "use super::spawner::X;", &[]);
    check("notification.rs", "use super::{buffer, sys};", &["1: notification may not use buffer"]);
    check("sys/mod.rs", "use crate::sys::clock; use crate::Error;", &["1: sys may not use error"]);
    check("balance/fixed.rs", "use crate::balance::X;", &["1: balance may not use balance"]);
    check("balance/fixed.rs", "use super::Reading;", &[]);
    check("novel.rs", "use crate::error::Error;", &["1: novel may not use error"]);
    check("buffer.rs", "// crate::spawner\n#[cfg(test)]\nmod tests { use crate::server::S; }", &[]);
    check("lib.rs", "pub use crate::spawner::X;", &[]);
}
