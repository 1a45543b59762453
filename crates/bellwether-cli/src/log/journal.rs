//! Records for the journal of systemd, by its native protocol
//! (systemd.io/JOURNAL_NATIVE_PROTOCOL), and whether it reads standard error.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::at_once::put;
use super::record::Record;

/// Where the journal takes records.
const SOCKET: &str = "/run/systemd/journal/socket";

/// By what systemd names what standard error is connected to (systemd.exec(5)).
const STREAM: &str = "JOURNAL_STREAM";

/// The longest that a message and a field may be, in bytes; the journal itself would take more.
const MESSAGE: usize = 16 << 10;
const FIELD: usize = 2 << 10;

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    pub(super) fn open() -> io::Result<Self> {
        Self::at(SOCKET)
    }

    fn at(path: impl Into<PathBuf>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.into() })
    }

    /// Hands a record over if that is possible at once, and tells whether it was.
    ///
    /// Where the journal is away, it goes to standard error with its priority before it
    /// (sd-daemon(3)): there it may still be read.
    pub(super) fn put(&self, record: &Record) -> bool {
        match self.socket.send_to(&datagram(record), &self.path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => put(io::stderr().as_fd(), prefixed(record).as_bytes()),
        }
    }
}

/// Tells whether it is the journal that reads standard error.
pub(super) fn reads_stderr() -> bool {
    let said = std::env::var(STREAM).unwrap_or_default();
    rustix::fs::fstat(io::stderr()).is_ok_and(|it| is_stream(&said, it.st_dev, it.st_ino))
}

/// Tells whether `DEVICE:INODE` means this one.
fn is_stream(said: &str, device: u64, inode: u64) -> bool {
    said == format!("{device}:{inode}")
}

fn datagram(record: &Record) -> Vec<u8> {
    let head = format!("PRIORITY={}\nSYSLOG_IDENTIFIER=bellwether\n", record.priority());
    let mut bytes = head.into_bytes();
    add(&mut bytes, "MESSAGE", &cut(&record.message, MESSAGE));
    for (name, content) in record.fields.iter().take(32) {
        add(&mut bytes, &field_name(name), &cut(&content.to_string(), FIELD));
    }
    bytes
}

/// Adds a field; a value of several lines has its length before it.
fn add(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend(value.as_bytes());
    bytes.push(b'\n');
}

/// The name of one of our fields among those of all others: `BELLWETHER_SLOT`.
fn field_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("BELLWETHER_{}", name.chars().map(plain).take(48).collect::<String>())
}

/// A text up to a length in bytes, and `...` where that is not all.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", text.get(..end).unwrap_or_default())
}

/// A record as one line whose priority the journal understands.
fn prefixed(record: &Record) -> String {
    let fields = record.fields.iter().map(|(name, content)| format!(" {name}={content}"));
    let text = record.message.clone() + &fields.collect::<String>();
    let plain = text.replace(|c: char| c.is_control(), " ");
    format!("<{}>{}\n", record.priority(), cut(&plain, super::LONGEST - 16))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::super::record::Content;
    use super::*;

    fn record(message: &str) -> Record {
        let record = Record::now(Level::WARN, message.into());
        record.with("slot", Content::Plain("3".into()))
    }

    #[test]
    fn the_journal_reads_what_it_says_that_it_reads() {
        assert!(is_stream("8:42", 8, 42));
        for other in ["", "8:43", "9:42", "8", "8:42:1", "x:y"] {
            assert!(!is_stream(other, 8, 42), "{other}");
        }
    }

    #[test]
    fn a_record_has_its_priority_and_its_fields() {
        let head = "PRIORITY=4\nSYSLOG_IDENTIFIER=bellwether\n";
        let expected = format!("{head}MESSAGE=it ended\nBELLWETHER_SLOT=3\n");
        assert_eq!(datagram(&record("it ended")), expected.as_bytes());
        let lines = datagram(&record("two\nlines\nPRIORITY=0"));
        let length = 20_u64.to_le_bytes();
        let rest = &b"two\nlines\nPRIORITY=0\nBELLWETHER_SLOT=3\n"[..];
        let expected = [head.as_bytes(), b"MESSAGE\n", &length, rest].concat();
        assert_eq!(lines, expected);
        assert_eq!(field_name("took.s"), "BELLWETHER_TOOK_S");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(
            (cut("abc", 3), cut("abcd", 3), cut("aé", 2)),
            ("abc".into(), "abc...".into(), "a...".into())
        );
        assert!(datagram(&record(&"x".repeat(1 << 20))).len() < 64 << 10);
    }

    #[test]
    fn a_journal_that_reads_takes_datagrams_and_one_that_does_not_makes_nobody_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let reader = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path).unwrap();
        assert!(journal.put(&record("first")));
        let mut bytes = [0; 4096];
        let length = reader.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], datagram(&record("first")));
        // Some hundred datagrams fill its queue (net.unix.max_dgram_qlen), or its memory.
        let taken = (0..100_000).take_while(|_| journal.put(&record("more"))).count();
        assert!((1..100_000).contains(&taken), "{taken}");
    }

    #[test]
    fn without_a_journal_the_priority_stands_before_the_line() {
        assert_eq!(prefixed(&record("two\nlines")), "<4>two lines slot=3\n");
        let journal = Journal::at("/none/socket").unwrap();
        assert!(journal.put(&record("a line of a test")));
    }
}
