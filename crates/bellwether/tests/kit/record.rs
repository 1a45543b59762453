//! The handlers' side of the books: a file to which all of them append when they start a request
//! and when its reply is written. It survives the death of its writers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::processes::Pid;

/// The handlers' end of the record. A handler writes [`RecordFile::start`] when it has read the id
/// and before it does anything, [`RecordFile::end`] when the whole reply is handed to the kernel.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
}

impl RecordFile {
    /// Opens the record for appending.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::options().append(true).create(true).open(path)? })
    }

    /// Says that this process starts a request.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub fn start(&self, id: u64) -> io::Result<()> {
        self.append("start", id)
    }

    /// Says that this process has answered a request.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub fn end(&self, id: u64) -> io::Result<()> {
        self.append("end", id)
    }

    fn append(&self, verb: &str, id: u64) -> io::Result<()> {
        (&self.file).write_all(line(verb, id, std::process::id().cast_signed()).as_bytes())
    }
}

/// One line, always 32 bytes long (ids below 10^16): lines of that length never cross the border of
/// a page, and only there can a SIGKILL tear the write of a line in two.
pub fn line(verb: &str, id: u64, pid: Pid) -> String {
    format!("{verb:<5} {id:>16} {pid:>8}\n")
}

/// Who started and who ended each request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub starts: BTreeMap<u64, Vec<Pid>>,
    pub ends: BTreeMap<u64, Vec<Pid>>,
}

impl Record {
    /// Reads a record; panics when there is none, or when a line of it makes no sense.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path);
        Self::parse(&text.unwrap_or_else(|error| panic!("no record {}: {error}", path.display())))
    }

    /// Reads lines like `start ID PID` and `end ID PID`, padded or not.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            record.add(line).unwrap_or_else(|| panic!("{line:?} is no line of a record"));
        }
        record
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let [verb, id, pid] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let side = match verb {
            "start" => &mut self.starts,
            "end" => &mut self.ends,
            _ => return None,
        };
        side.entry(id.parse().ok()?).or_default().push(pid.parse().ok()?);
        Some(())
    }
}
