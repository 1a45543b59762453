//! The options of an address, written as a query.

use std::fmt;
use std::str::FromStr;

/// How an address is opened.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `backlog=N` | how many connections may wait in the buffer; the kernel clips it to `net.core.somaxconn` | 4096 |
/// | `nodelay=on\|off` | TCP_NODELAY: small replies leave at once | on |
/// | `defer_accept=on\|off\|SECONDS` | a connection counts as arrived when its first data has come | on for HTTP, off otherwise |
/// | `v6only=on\|off` | an IPv6 address takes no IPv4 clients | off |
/// | `mode=OCTAL` | permissions of a socket file | 777 less the umask |
///
/// ```
/// use bellwether::{Defer, Options};
/// let options: Options = "backlog=64&defer_accept=5".parse()?;
/// assert_eq!(options.backlog, Some(64));
/// assert_eq!(options.defer_accept, Some(Defer::Seconds(5)));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many connections may wait, 1 to 2^31 - 1; `None`: 4096, or as inherited.
    pub backlog: Option<u32>,
    /// Whether small replies leave at once (TCP_NODELAY); `None`: on.
    pub nodelay: Option<bool>,
    /// Whether a connection arrives only with its first data; `None`: as the protocol likes it.
    pub defer_accept: Option<Defer>,
    /// Whether an IPv6 address refuses IPv4 clients; `None`: off.
    pub v6only: Option<bool>,
    /// Permissions of a socket file, 0 to 0o777; `None`: 0o777 less the umask.
    pub mode: Option<u32>,
}

/// Whether the kernel holds a connection back until its first data has come (TCP_DEFER_ACCEPT).
///
/// Right where the client speaks first, as in HTTP: half the context switches and a tenth more
/// requests a second were measured. Wrong where the server speaks first: it would never start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defer {
    /// A connection arrives when its handshake is complete.
    Off,
    /// A connection arrives with its first data, or about this many seconds after its handshake.
    Seconds(u32),
}

impl Defer {
    /// The kernel's shortest patience, which is enough for a client that speaks first.
    pub const ON: Self = Self::Seconds(1);
}

impl FromStr for Options {
    type Err = String;

    fn from_str(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(key, value)?;
        }
        Ok(options)
    }
}

impl Options {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "backlog" => self.backlog = Some(parse_backlog(value)?),
            "nodelay" => self.nodelay = Some(parse_switch(key, value)?),
            "defer_accept" => self.defer_accept = Some(parse_defer(value)?),
            "v6only" => self.v6only = Some(parse_switch(key, value)?),
            "mode" => self.mode = Some(parse_mode(value)?),
            _ => {
                return Err(format!(
                    "option `{key}` is not known; there are backlog, nodelay, defer_accept, v6only and mode"
                ));
            }
        }
        Ok(())
    }
}

fn parse_backlog(value: &str) -> Result<u32, String> {
    match value.parse::<i32>() {
        Ok(number) if number > 0 => Ok(number.unsigned_abs()),
        _ => Err(format!("backlog `{value}` must be a number from 1 to {}", i32::MAX)),
    }
}

fn parse_switch(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{key} must be on or off, not `{value}`")),
    }
}

fn parse_defer(value: &str) -> Result<Defer, String> {
    match value {
        "on" => Ok(Defer::ON),
        "off" | "0" => Ok(Defer::Off),
        _ => match value.parse() {
            Ok(seconds @ 1..=3600) => Ok(Defer::Seconds(seconds)),
            _ => Err(format!("defer_accept must be on, off or 1 to 3600 seconds, not `{value}`")),
        },
    }
}

fn parse_mode(value: &str) -> Result<u32, String> {
    match u32::from_str_radix(value, 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        _ => Err(format!("mode must be octal permissions such as 660, not `{value}`")),
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        let pairs = [
            ("backlog", self.backlog.map(|n| n.to_string())),
            ("nodelay", self.nodelay.map(switch)),
            ("defer_accept", self.defer_accept.map(|defer| defer.to_string())),
            ("v6only", self.v6only.map(switch)),
            ("mode", self.mode.map(|mode| format!("{mode:o}"))),
        ];
        let mut sign = '?';
        for (key, value) in pairs {
            let Some(value) = value else { continue };
            write!(f, "{sign}{key}={value}")?;
            sign = '&';
        }
        Ok(())
    }
}

impl fmt::Display for Defer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            &Self::ON => f.write_str("on"),
            Self::Seconds(seconds) => write!(f, "{seconds}"),
        }
    }
}
