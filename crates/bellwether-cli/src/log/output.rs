//! Where lines go, at once or not at all; those that found no room are counted.
//!
//! No thread does this: the process forks, and threads do not survive that.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::Level;

use super::at_once::put;
use super::format::Form;
use super::journal::Journal;
use super::record::{Content, Record};
use super::{LONGEST, json};
use crate::followed::Followed;

/// Lines of this process that found no room, all of them.
pub(crate) static LOST: AtomicU64 = AtomicU64::new(0);

/// Those of which no line has told yet.
static UNTOLD: AtomicU64 = AtomicU64::new(0);

/// The process that counts them: a forked one has lost nothing yet.
static COUNTS: AtomicU32 = AtomicU32::new(0);

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// What lines of this process look like, and where they go.
#[derive(Debug)]
pub(super) struct Output {
    form: Form,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stderr,
    Journal(Journal),
    File(Mutex<LogFile>),
}

#[derive(Debug)]
struct LogFile {
    file: Followed,
    /// Whether another should be written to, and cannot be opened.
    is_stuck: bool,
}

impl Output {
    /// Standard error, or the journal in its place.
    pub(super) fn of(form: Form) -> io::Result<Self> {
        let place = match form {
            Form::Journald => Place::Journal(Journal::open()?),
            _ => Place::Stderr,
        };
        Ok(Self { form, place })
    }

    pub(super) fn file(form: Form, path: &Path) -> io::Result<Self> {
        let file = LogFile { file: Followed::open(path)?, is_stuck: false };
        Ok(Self { form, place: Place::File(file.into()) })
    }

    /// Sends all lines there from now on.
    pub(super) fn begin(self) {
        let begun = OUTPUT.set(self);
        debug_assert!(begun.is_ok(), "the log is started once");
    }

    fn put(&self, record: &Record) -> bool {
        match &self.place {
            Place::Journal(journal) => journal.put(record),
            _ => self.put_line(self.line(record).as_bytes()),
        }
    }

    fn put_line(&self, line: &[u8]) -> bool {
        let Place::File(file) = &self.place else { return put(io::stderr().as_fd(), line) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = file.follow() {
            put(file.file.as_fd(), self.line(&problem).as_bytes());
        }
        put(file.file.as_fd(), line)
    }

    fn line(&self, record: &Record) -> String {
        match self.form {
            Form::Json => json::line(record, std::process::id()),
            // Events come as lines; this is said between them.
            _ => format!("({})\n", record.message),
        }
    }
}

impl LogFile {
    /// Goes on in the file at its path; the first time that this fails it says why.
    ///
    /// Asked before each line, so that none goes astray: that is one stat(2), and lines are few.
    fn follow(&mut self) -> Option<Record> {
        let followed = self.file.follow();
        let was_stuck = std::mem::replace(&mut self.is_stuck, followed.is_err());
        let path = self.file.path().display();
        let problem = |error| format!("{path} cannot be opened, the log goes on here: {error}");
        let error = followed.err().filter(|_| !was_stuck);
        error.map(|error| Record::now(Level::WARN, problem(error)))
    }
}

/// What was begun.
pub(super) fn begun() -> Option<(Form, bool)> {
    OUTPUT.get().map(|it| (it.form, matches!(it.place, Place::File(_))))
}

/// Writes a record.
pub(super) fn say(record: &Record) {
    counted(|output| output.put(record));
}

/// Writes a line as it is, whatever becomes of it.
pub(super) fn say_line(line: &[u8]) {
    counted(|output| output.put_line(&fitting(line)));
}

fn counted(put: impl FnOnce(&Output) -> bool) {
    static PLAIN: Output = Output { form: Form::Pretty, place: Place::Stderr };
    let output = OUTPUT.get().unwrap_or(&PLAIN);
    let pid = std::process::id();
    if COUNTS.swap(pid, Ordering::Relaxed) != pid {
        LOST.store(0, Ordering::Relaxed);
        UNTOLD.store(0, Ordering::Relaxed);
    }
    let missing = UNTOLD.swap(0, Ordering::Relaxed);
    let untold = if missing > 0 && !output.put(&lost_lines(missing)) { missing } else { 0 };
    let lost = u64::from(!put(output));
    LOST.fetch_add(lost, Ordering::Relaxed);
    UNTOLD.fetch_add(untold + lost, Ordering::Relaxed);
}

fn lost_lines(number: u64) -> Record {
    let words = format!("{number} lines of process {} are missing here", std::process::id());
    Record::now(Level::WARN, words).with("lost", Content::Plain(number.to_string()))
}

/// The log as a place to which text is written, a line a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines;

impl Write for Lines {
    /// Takes all of a line, whatever becomes of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        say_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts a line that is too long, and says so at its end.
fn fitting(line: &[u8]) -> Vec<u8> {
    const CUT: &[u8] = b" [cut]\n";
    match line.get(..LONGEST - CUT.len()) {
        Some(start) if line.len() > LONGEST => [start, CUT].concat(),
        _ => line.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, read_to_string, rename};

    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_and_still_ends() {
        let check = |length: usize, fits: bool| {
            let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
            let written = fitting(&line);
            assert_eq!(written == line, fits, "{length}");
            assert!(written.len() <= LONGEST && written.ends_with(b"\n"), "{length}");
        };
        check(1, true);
        check(LONGEST, true);
        check(LONGEST + 1, false);
        check(10 * LONGEST, false);
    }

    #[test]
    fn a_file_that_cannot_be_opened_anew_goes_on_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let (below, moved) = (folder.path().join("below"), folder.path().join("moved"));
        create_dir(&below).unwrap();
        let output = Output::file(Form::Json, &below.join("log")).unwrap();
        assert!(output.put_line(b"one\n"));
        rename(&below, &moved).unwrap();
        assert!(output.put_line(b"two\n") && output.put_line(b"three\n"));
        let all = read_to_string(moved.join("log")).unwrap();
        let lines: Vec<_> = all.lines().collect();
        assert_eq!([lines[0], lines[2], lines[3]], ["one", "two", "three"], "{all}");
        assert!(lines[1].contains("below/log cannot be opened"), "{all}");
        create_dir(&below).unwrap();
        assert!(output.put_line(b"four\n"));
        assert_eq!(read_to_string(below.join("log")).unwrap(), "four\n");
    }
}
