//! Where clients connect: parsing, printing, opening, inheriting.
//!
//! An [`Address`] is what was typed; opening it ([`open`]) yields a [`Listener`], which the
//! spawner keeps for the life of the server and every handler inherits. [`inherit`] takes over
//! sockets that a parent (systemd, an earlier server) has opened, [`returning`] takes back our own:
//! those that were [`stored`], and those that [`orphans`] hold.

mod bound;
pub(crate) mod handover;
pub(crate) mod inherit;
mod listener;
mod open;
mod options;
pub(crate) mod orphans;
mod returning;
mod stored;
mod unix;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use listener::Listener;
pub(crate) use listener::{Health, Kind};
pub(crate) use open::{Defaults, open_all};
pub use options::{Defer, Options};
pub(crate) use stored::{unclaimed, unclaimed_numbers};

use crate::error::Error;

const FORMS: &str = "write HOST:PORT, :PORT, unix:/PATH, unix:@NAME, fd:N or systemd:NAME";

/// A place where clients connect, with its options.
///
/// | text | meaning |
/// |---|---|
/// | `tcp://127.0.0.1:8080`, `127.0.0.1:8080`, `[::1]:80`, `localhost:80` | TCP; a name opens every address it has |
/// | `:8080`, `8080`, `*:8080` | TCP on all interfaces, IPv6 and IPv4 |
/// | `unix:/run/x.sock`, `/run/x.sock` | a Unix stream socket at a path |
/// | `unix:@name` | a Unix stream socket in the abstract namespace |
/// | `fd:3` | a listening socket inherited as descriptor 3 |
/// | `systemd:web`, `systemd:` | the sockets passed by `LISTEN_FDS`, by name or all |
///
/// Options follow as a query, see [`Options`]: `:8080?backlog=1024&nodelay=off`.
///
/// ```
/// # use bellwether::Address;
/// let address: Address = "127.0.0.1:8080?backlog=64".parse()?;
/// assert_eq!(address.to_string(), "tcp://127.0.0.1:8080?backlog=64");
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) place: Place,
    pub(crate) options: Options,
}

/// The address without its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A host (empty: all interfaces) and a port (0: the kernel chooses).
    Tcp { host: String, port: u16 },
    /// A socket file.
    Unix(PathBuf),
    /// A name in the abstract namespace, without the leading NUL.
    Abstract(String),
    /// An inherited descriptor by number.
    Descriptor(i32),
    /// Inherited descriptors by the name that systemd gave them; `None`: all of them.
    Systemd(Option<String>),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let wrong = |problem: String| Error::Parse { what: "address", text: text.into(), problem };
        Ok(Self {
            place: parse_place(place).map_err(wrong)?,
            options: query.parse().map_err(wrong)?,
        })
    }
}

fn parse_place(text: &str) -> Result<Place, String> {
    if let Some(rest) = text.strip_prefix("unix:") {
        return parse_unix(rest.strip_prefix("//").unwrap_or(rest));
    }
    if text.starts_with(['/', '.', '@']) {
        return parse_unix(text);
    }
    if let Some(number) = text.strip_prefix("fd:") {
        return parse_descriptor(number);
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        return Ok(Place::Systemd((!name.is_empty()).then(|| name.into())));
    }
    match text.split_once("://") {
        Some(("tcp", rest)) => parse_tcp(rest),
        Some((scheme, _)) => Err(format!("`{scheme}://` is not known; {FORMS}")),
        None => parse_tcp(text),
    }
}

fn parse_unix(text: &str) -> Result<Place, String> {
    match text.strip_prefix('@') {
        Some("") => Err(format!("the name is missing; {FORMS}")),
        Some(name) => Ok(Place::Abstract(name.into())),
        None if text.is_empty() => Err(format!("the path is missing; {FORMS}")),
        None => Ok(Place::Unix(text.into())),
    }
}

fn parse_descriptor(text: &str) -> Result<Place, String> {
    match text.parse() {
        Ok(number) if number >= 0 => Ok(Place::Descriptor(number)),
        _ => Err("the number of a descriptor is missing; write for example fd:3".into()),
    }
}

fn parse_tcp(text: &str) -> Result<Place, String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => ("", text),
        None => return Err(format!("the port is missing; {FORMS}")),
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err("an IPv6 address needs brackets: [::1]:8080".into());
    }
    let port = port.parse().map_err(|_| format!("`{port}` is not a port (0 to 65535)"))?;
    let host = host.trim_matches(['[', ']']);
    Ok(Place::Tcp { host: if host == "*" { "" } else { host }.into(), port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.options)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.is_empty() => write!(f, "tcp://*:{port}"),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
            Self::Systemd(name) => write!(f, "systemd:{}", name.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: &str) {
        let address: Address = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(address.to_string(), printed);
        assert_eq!(printed.parse::<Address>().unwrap(), address, "printing and parsing agree");
    }

    #[test]
    fn every_form_of_an_address_is_read_and_printed() {
        check("tcp://127.0.0.1:8080", "tcp://127.0.0.1:8080");
        check("127.0.0.1:8080", "tcp://127.0.0.1:8080");
        check("localhost:0", "tcp://localhost:0");
        check("[::1]:80", "tcp://[::1]:80");
        check(":8080", "tcp://*:8080");
        check("8080", "tcp://*:8080");
        check("*:8080/", "tcp://*:8080");
        check("unix:/run/x.sock", "unix:/run/x.sock");
        check("unix:///run/x.sock", "unix:/run/x.sock");
        check("./x.sock?mode=660", "unix:./x.sock?mode=660");
        check("@name", "unix:@name");
        check("fd:3", "fd:3");
        check("systemd:web", "systemd:web");
        check("systemd:", "systemd:");
        check(
            ":1?backlog=9&nodelay=off&defer_accept=on",
            "tcp://*:1?backlog=9&nodelay=off&defer_accept=on",
        );
    }

    #[test]
    fn a_wrong_address_is_refused_with_what_to_write() {
        for (text, hint) in [
            ("", "port is missing"),
            ("localhost", "port is missing"),
            ("::1:80", "brackets"),
            ("http://x:1", "not known"),
            (":99999", "not a port"),
            ("unix:", "path is missing"),
            ("unix:@", "name is missing"),
            ("fd:x", "descriptor"),
            ("fd:-1", "descriptor"),
            (":80?backlog=0", "backlog"),
            (":80?speed=9", "not known"),
            (":80?nodelay=maybe", "on or off"),
            ("/x?mode=999", "octal"),
        ] {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}
