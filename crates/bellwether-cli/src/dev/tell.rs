//! What the developer reads, between the lines of the program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::Listener;

use super::course::in_short;
use super::watch::Watch;
use crate::banner::{places, row};
use crate::log::{Lines, has_colours};
use crate::words::counted;

/// How something that is told is coloured (ECMA-48): as usual, good, bad.
#[derive(Clone, Copy, Debug)]
enum Colour {
    Good = 32,
    Bad = 31,
}

/// Says on standard error where the program can be reached, and what is watched.
pub(super) fn begin(command: &[String], listeners: &[&Listener], watch: &Watch, folder: &Path) {
    let command = command.join(" ");
    let mut lines = vec![format!("bellwether {} develops {command}", env!("CARGO_PKG_VERSION"))];
    lines.extend(places(listeners.iter().copied(), "http"));
    lines.push(row("watches", &watched(watch.roots(), watch.folders(), folder)));
    lines.push(row("restarts", "when a file has changed; requests wait, and get the new code"));
    lines.push(row("stop", "Ctrl-C finishes running requests, twice ends them at once"));
    write(&(lines.join("\n") + "\n"));
}

/// Says that the program serves; after a restart, why there was one.
pub(super) fn ready(changes: &[PathBuf], folder: &Path, took: Duration) {
    let took = time(took);
    let line = match changes {
        [] => format!("started in {took}"),
        changes => format!("changed: {}; restarted in {took}", in_short(changes, folder)),
    };
    write(&text(Colour::Good, &line));
}

/// Says that the program does not serve, and that this is not tried again in vain.
pub(super) fn ended(changes: &[PathBuf], folder: &Path, why: &str) {
    let line = match changes {
        [] => format!("{why}; waiting for a change"),
        changes => format!("changed: {}; {why}; waiting for a change", in_short(changes, folder)),
    };
    write(&text(Colour::Bad, &line));
}

fn write(text: &str) {
    if tracing::enabled!(tracing::Level::INFO) {
        let _ = Lines.write_all(text.as_bytes());
    }
}

/// A line of ours among those of the program.
fn text(colour: Colour, line: &str) -> String {
    let line = crate::words::clean(line);
    if has_colours() {
        format!("\x1b[{}mbellwether:\x1b[0m {line}\n", colour as u8)
    } else {
        format!("bellwether: {line}\n")
    }
}

fn watched(roots: &[PathBuf], folders: usize, folder: &Path) -> String {
    let name = |root: &PathBuf| match root.strip_prefix(folder) {
        Ok(within) if within == Path::new("") => root.display().to_string(),
        Ok(within) => within.display().to_string(),
        Err(_) => root.display().to_string(),
    };
    let names: Vec<_> = roots.iter().map(name).collect();
    match u64::try_from(folders).unwrap_or(u64::MAX) {
        0 => names.join(", "),
        number => {
            let number = counted(number, "folder");
            format!("{} ({number}), but not what git ignores", names.join(", "))
        }
    }
}

/// How long something took, as exact as it is of interest.
fn time(took: Duration) -> String {
    match took.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_of_interest() {
        let check = |ms: u64, expected: &str| {
            assert_eq!(time(Duration::from_millis(ms)), expected);
        };
        check(0, "0 ms");
        check(999, "999 ms");
        check(1000, "1.0 s");
        check(12_345, "12.3 s");
    }

    #[test]
    fn what_is_watched_is_named_as_seen_from_the_folder() {
        let check = |roots: &[&str], folders: usize, expected: &str| {
            let roots: Vec<_> = roots.iter().map(PathBuf::from).collect();
            assert_eq!(watched(&roots, folders, Path::new("/shop")), expected);
        };
        check(&["/shop"], 1, "/shop (1 folder), but not what git ignores");
        check(&["/shop/src", "/etc"], 2, "src, /etc (2 folders), but not what git ignores");
        check(&["/shop/app.py"], 0, "app.py");
    }
}
