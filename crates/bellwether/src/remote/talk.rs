//! A talk at a control socket: one command, then lines until either side closes.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::find::Server;
use crate::error::{Doing, Error, Result};
use crate::spawner::command::{Answer, Command};
use crate::sys::socket::peer;

/// How long a running server may take for an answer that it knows by heart.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The longest line, in bytes: a status of ten pools of 4096 handlers is half as long.
pub(super) const LONGEST: usize = 32 << 20;

/// What came of listening.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A whole line, without its end.
    Line(Vec<u8>),
    /// Not a whole line in time; what there is of it is kept.
    Nothing,
    /// The server has closed the connection.
    End,
}

/// A command that was said, and what is heard since.
#[derive(Debug)]
pub(super) struct Talk {
    server: String,
    verb: &'static str,
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Talk {
    /// Says a command to a server.
    pub(super) fn begin(server: &Server, command: &Command) -> Result<Self> {
        let mut stream = server.connect()?;
        let (server, verb) = (server.name.clone(), command.verb());
        let doing = format!("say `{verb}` to server `{server}`");
        let text = serde_json::to_string(command).doing(&doing)?;
        match stream.write_all(format!("{text}\n").as_bytes()) {
            // Whoever was turned away at the door finds the reason there.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            said => said.doing(&doing)?,
        }
        Ok(Self { server, verb, stream: BufReader::new(stream), line: Vec::new() })
    }

    /// The process at the other end, as it is numbered here.
    pub(super) fn spawner(&self) -> Option<i32> {
        let pid = peer(self.stream.get_ref()).ok()?.pid;
        i32::try_from(pid).ok().filter(|pid| *pid > 0)
    }

    /// Hears the answer that a server gives at once.
    pub(super) fn answer<T: DeserializeOwned>(mut self) -> Result<T> {
        match self.hear(Some(PATIENCE))? {
            Heard::Line(line) => self.read(&line),
            Heard::Nothing => Err(self.silent()),
            Heard::End => Err(self.ended()),
        }
    }

    /// Hears the next line, for at most this time.
    pub(super) fn hear(&mut self, patience: Option<Duration>) -> Result<Heard> {
        let until = patience.map(|patience| Instant::now() + patience);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Heard::Nothing);
            }
            let doing = self.hearing();
            self.stream.get_ref().set_read_timeout(left).doing(&doing)?;
            let more = match self.stream.fill_buf() {
                Ok([]) => return Ok(Heard::End),
                Ok(more) => more,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => continue,
                    // It closed without reading all that we said.
                    ErrorKind::ConnectionReset => return Ok(Heard::End),
                    _ => return Err(error).doing(&doing),
                },
            };
            let end = more.iter().position(|&byte| byte == b'\n');
            let length = end.unwrap_or(more.len());
            self.line.extend(more.iter().take(length));
            self.stream.consume(end.map_or(length, |end| end + 1));
            if self.line.len() > LONGEST {
                return Err(self.strange(&format!("it is longer than {LONGEST} bytes")));
            }
            if end.is_some() {
                return Ok(Heard::Line(std::mem::take(&mut self.line)));
            }
        }
    }

    /// Reads a line as what was asked for, or as the reason why that does not come.
    pub(super) fn read<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T> {
        let error = match serde_json::from_slice(line) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        Err(match serde_json::from_slice(line) {
            Ok(answer) => self.refusal(answer),
            Err(_) => self.strange(&format!("{error} in {}", beginning(line))),
        })
    }

    /// The error for an answer that something was not done.
    pub(super) fn refusal(&self, answer: Answer) -> Error {
        match answer {
            Answer::Failed { reason } => Error::Change { problem: reason },
            Answer::Refused { reason } => Error::Busy { problem: reason },
            Answer::Denied { reason } => Error::Denied { problem: reason },
            Answer::Unknown { reason } => Error::System {
                doing: format!("make server `{}` understand `{}`", self.server, self.verb),
                source: std::io::Error::other(format!("{reason}; {}", versions())),
            },
            Answer::Done { what, .. } => {
                self.strange(&format!("it says only that this is done: {what}"))
            }
        }
    }

    /// The error that the server runs and does not answer.
    pub(super) fn silent(&self) -> Error {
        let pid = peer(self.stream.get_ref()).map_or(0, |peer| peer.pid);
        let what = match pid {
            0 => "it is stopped or hangs".into(),
            _ if is_stopped(pid) => {
                format!("process {pid} is stopped; `kill -CONT {pid}` lets it go on")
            }
            _ => format!("process {pid} hangs, or has no processor to run on"),
        };
        let problem = format!(
            "server `{}` has not answered `{}` within {} s: {what}",
            self.server,
            self.verb,
            PATIENCE.as_secs()
        );
        Error::NoServer { problem }
    }

    /// The error that the connection has ended without an answer.
    pub(super) fn ended(&self) -> Error {
        let source = format!(
            "server `{}` closed the connection before; it has ended, was killed, or turned us away \
             (`bellwether status` tells)",
            self.server
        );
        Error::System { doing: self.hearing(), source: std::io::Error::other(source) }
    }

    fn strange(&self, problem: &str) -> Error {
        let doing = format!("understand the answer of server `{}` to `{}`", self.server, self.verb);
        Error::System { doing, source: std::io::Error::other(format!("{problem}; {}", versions())) }
    }

    fn hearing(&self) -> String {
        format!("hear the answer to `{}`", self.verb)
    }
}

fn versions() -> String {
    format!("is it of another version than this one ({})?", env!("CARGO_PKG_VERSION"))
}

/// The first words of a line, harmless to a terminal.
fn beginning(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(60)]);
    format!("{text:?}{}", if line.len() > 60 { "…" } else { "" })
}

/// Whether a process was stopped by a signal or a debugger (proc_pid_stat(5)).
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 't'))
}
