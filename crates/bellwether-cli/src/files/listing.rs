//! What is in a folder, as a page, as JSON or as plain text.

use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use bytesize::ByteSize;
use http::Response;
use http::header::{self, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use super::disk::can_be_written;
use crate::page::{self, Body, wants, wants_html};

/// How many names of a folder are looked at. More would hold up the other requests of the thread
/// for too long: each costs some two microseconds.
const MOST: usize = 5000;

/// After how many of them the other requests have their turn.
const TURN: usize = 250;

/// What stands as it is in a link; a colon would make a scheme of what is before it.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is in a folder.
#[derive(Debug)]
pub(super) struct Listing {
    /// The path of the folder, as people write it.
    path: String,
    entries: Vec<Entry>,
    /// Whether these are all.
    is_complete: bool,
}

/// A file or a folder that can be asked for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    // The order of the fields is that of the list: folders first.
    is_file: bool,
    name: String,
    size: u64,
    modified: Option<String>,
}

impl Listing {
    /// Reads the folder that is asked for by this path, which ends with a slash.
    ///
    /// # Errors
    /// What the file system says: it is no folder, or may not be read.
    pub(super) async fn of(place: &Path, path: &str) -> io::Result<Self> {
        let mut names = std::fs::read_dir(place)?;
        let (mut entries, mut is_complete) = (Vec::new(), false);
        for _ in 0..MOST / TURN {
            is_complete = read_some(&mut names, &mut entries)?;
            if is_complete {
                break;
            }
            tokio::task::yield_now().await;
        }
        entries.sort();
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        Ok(Self { path, entries, is_complete: is_complete || names.next().is_none() })
    }

    /// Makes the answer, in the form that these request headers ask for.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let mut answer = if wants(asked, "application/json") {
            page::json(format!("{}\n", self.json()))
        } else if wants_html(asked) {
            page::html(self.html())
        } else {
            page::text(self.text())
        };
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        answer
    }

    fn html(&self) -> String {
        let rows: String = self.parent().into_iter().chain(self.entries.iter().map(row)).collect();
        let note = self.note().map(|note| format!("<p>{note}</p>\n")).unwrap_or_default();
        let title = escaped(&self.path);
        // The rows last: names may look like the other places.
        let page = include_str!("listing.html").replace("@note@", &note);
        let (head, tail) = page.split_once("@rows@").unwrap_or_default();
        format!("{}{rows}{tail}", head.replace("@title@", &title))
    }

    fn parent(&self) -> Option<String> {
        (self.path != "/").then(|| "<tr><td><a href=\"../\">../</a><td><td>\n".into())
    }

    fn text(&self) -> String {
        let names = self.entries.iter().map(|entry| entry.shown() + "\n");
        names.chain(self.note().map(|note| format!("({note})\n"))).collect()
    }

    fn json(&self) -> Value {
        let entries = self.entries.iter().map(|entry| match entry.is_file {
            true => json!({
                "name": entry.name, "kind": "file", "size": entry.size, "modified": entry.modified
            }),
            false => json!({ "name": entry.name, "kind": "folder", "modified": entry.modified }),
        });
        let entries: Vec<_> = entries.collect();
        json!({ "path": self.path, "complete": self.is_complete, "entries": entries })
    }

    fn note(&self) -> Option<String> {
        (!self.is_complete).then(|| format!("There is more here than the {MOST} looked at."))
    }
}

/// Reads names for one turn; tells whether these were the last.
fn read_some(names: &mut ReadDir, entries: &mut Vec<Entry>) -> io::Result<bool> {
    for _ in 0..TURN {
        match names.next() {
            None => return Ok(true),
            Some(name) => entries.extend(Entry::of(&name?)),
        }
    }
    Ok(false)
}

impl Entry {
    /// `None` for what is hidden and for what would not be found if it were asked for.
    fn of(found: &DirEntry) -> Option<Self> {
        let name = found.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
        // Links count as what they lead to.
        let about = std::fs::metadata(found.path()).ok()?;
        let is_file = about.is_file();
        let modified = about.modified().ok().filter(|time| can_be_written(*time)).map(date);
        (is_file || about.is_dir()).then_some(Self { is_file, name, size: about.len(), modified })
    }

    fn shown(&self) -> String {
        format!("{}{}", self.name, if self.is_file { "" } else { "/" })
    }
}

fn row(entry: &Entry) -> String {
    let link = utf8_percent_encode(&entry.name, PLAIN);
    let slash = if entry.is_file { "" } else { "/" };
    let size = if entry.is_file { ByteSize(entry.size).to_string() } else { String::new() };
    let modified = entry.modified.as_deref().unwrap_or_default();
    // Of an RFC 3339 time: the day, and hours and minutes.
    let when = modified.get(..16).unwrap_or_default().replace('T', " ");
    let name = escaped(&entry.name);
    format!("<tr><td><a href=\"{link}{slash}\"><bdi>{name}</bdi>{slash}</a><td>{size}<td>{when}\n")
}

fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Text that means nothing but itself in HTML.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        c if c.is_control() => char::REPLACEMENT_CHARACTER.to_string(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, is_file: bool) -> Entry {
        Entry { is_file, name: name.into(), size: 1536, modified: None }
    }

    fn listing(path: &str, names: &[&str]) -> Listing {
        let entries = names.iter().map(|name| entry(name, true)).collect();
        Listing { path: path.into(), entries, is_complete: true }
    }

    #[test]
    fn names_are_neither_markup_nor_links_to_elsewhere() {
        let check = |name: &str, link: &str, shown: &str| {
            let row = row(&entry(name, true));
            assert!(row.contains(&format!("href=\"{link}\"><bdi>{shown}</bdi></a>")), "{row}");
        };
        check("plain-1.txt", "plain-1.txt", "plain-1.txt");
        check("<script>", "%3Cscript%3E", "&lt;script&gt;");
        check("a\"b'c", "a%22b%27c", "a&quot;b&#39;c");
        check("javascript:alert(1)", "javascript%3Aalert%281%29", "javascript:alert(1)");
        check("a?b#c%d", "a%3Fb%23c%25d", "a?b#c%d");
        check("größe", "gr%C3%B6%C3%9Fe", "größe");
        check("two\nlines", "two%0Alines", "two\u{fffd}lines");
        check("@rows@", "%40rows%40", "@rows@");
    }

    #[test]
    fn the_page_has_its_path_a_way_up_and_nothing_from_elsewhere() {
        let page = listing("/a<b/@rows@/", &["@note@", "@title@"]).html();
        assert!(page.contains("<title>/a&lt;b/@rows@/</title>"), "{page}");
        assert!(page.contains("href=\"../\"") && page.contains(">@note@<"), "{page}");
        assert!(page.contains("1.5 KiB") && page.contains(">@title@<"), "{page}");
        assert!(!page.contains("http") && !page.contains("src="), "{page}");
        assert!(!listing("/", &[]).html().contains("../"));
    }

    #[test]
    fn folders_come_first() {
        let mut entries = [entry("b", true), entry("c", false), entry("a", true)];
        entries.sort();
        assert_eq!(entries.map(|entry| entry.shown()), ["c/", "a", "b"]);
    }
}
