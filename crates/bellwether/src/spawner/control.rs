//! The control socket: JSON lines with fixed verbs, for this user and root alone.
//!
//! Nothing here blocks: clients are read and written as they allow, few at a time, and dropped
//! when they dawdle.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use serde::Deserialize;

use super::runtime_dir::RuntimeDir;
use crate::error::{Doing, Error, Result};
use crate::handler::refusal::OncePerSecond;

/// The longest command line.
const LONGEST: usize = 4096;
/// The most clients at once; more are turned away.
const CLIENTS: usize = 32;
/// How long one client may take for its command and for reading the answer.
const PATIENCE: Duration = Duration::from_secs(5);

static STRANGERS: OncePerSecond = OncePerSecond::new();

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub(crate) enum Command {
    /// How the server is.
    Status,
}

/// What came of listening to a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not a whole line yet, or the answer is still on its way.
    Nothing,
    /// A command to be answered.
    Command(Command),
    /// The client is gone or was sent away.
    Gone,
}

/// The place where commands come in.
pub(crate) struct Control {
    /// Gone from the disk when dropped.
    _folder: RuntimeDir,
    pub(crate) socket: UnixListener,
    clients: [Option<Client>; CLIENTS],
    /// Until when nobody is let in, for want of descriptors.
    pub(crate) shut_until: Option<Duration>,
}

struct Client {
    stream: OwnedFd,
    line: Vec<u8>,
    answer: Vec<u8>,
    until: Duration,
}

impl Control {
    /// Opens the control socket in the server's folder, readable and writable for its owner.
    pub(crate) fn open(folder: RuntimeDir) -> Result<Self> {
        let path = folder.socket();
        // We hold the folder's lock: a socket that is still there is a dead server's.
        let _ = std::fs::remove_file(&path);
        let mask = rustix::process::umask(rustix::fs::Mode::from(0o177));
        let bound = UnixListener::bind(&path);
        rustix::process::umask(mask);
        let socket = bound.map_err(|error| {
            let hint = "set BELLWETHER_RUNTIME_DIR to a shorter or other folder";
            Error::configure(
                path.display(),
                format!("cannot open the control socket: {error}; {hint}"),
            )
        })?;
        socket.set_nonblocking(true).doing("set O_NONBLOCK on the control socket")?;
        Ok(Self { _folder: folder, socket, clients: [const { None }; CLIENTS], shut_until: None })
    }

    /// Lets the next client in; returns its number and stream to be watched.
    ///
    /// When there is no descriptor left for a client, the door stays shut for a second: who
    /// knocks would otherwise wake the spawner without end.
    pub(crate) fn admit(&mut self, now: Duration) -> Option<(usize, &OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream = match rustix::net::accept_with(&self.socket, flags) {
            Ok(stream) => stream,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return None,
            Err(_) => {
                self.shut_until = Some(now + Duration::from_secs(1));
                return None;
            }
        };
        if !may_command(&stream) {
            if STRANGERS.allows() {
                tracing::warn!("a control client of another user was turned away");
            }
            return None;
        }
        let number = self.clients.iter().position(Option::is_none)?;
        let (line, answer) = (Vec::new(), Vec::new());
        let client = Client { stream, line, answer, until: now + PATIENCE };
        Some((number, &self.clients[number].insert(client).stream))
    }

    /// Reads what a client says, or goes on sending what it asked for.
    pub(crate) fn listen(&mut self, number: usize) -> Heard {
        let Some(client) = self.client(number) else { return Heard::Gone };
        if !client.answer.is_empty() {
            return self.send(number);
        }
        match client.read() {
            Ok(None) => Heard::Nothing,
            Ok(Some(line)) => match serde_json::from_slice(&line) {
                Ok(command) => Heard::Command(command),
                Err(error) => {
                    let problem = serde_json::json!({ "error": error.to_string() });
                    self.answer(number, &problem.to_string())
                }
            },
            Err(_) => self.dismiss(number),
        }
    }

    /// Sends an answer line; what does not fit now follows when the client has read some.
    pub(crate) fn answer(&mut self, number: usize, line: &str) -> Heard {
        let Some(client) = self.client(number) else { return Heard::Gone };
        client.answer.extend(line.bytes());
        client.answer.push(b'\n');
        self.send(number)
    }

    /// Returns the stream of a client whose answer is not sent yet.
    pub(crate) fn waits_to_read(&self, number: usize) -> Option<&OwnedFd> {
        let client = self.clients.get(number)?.as_ref()?;
        (!client.answer.is_empty()).then_some(&client.stream)
    }

    /// Sends clients away that took too long.
    pub(crate) fn dismiss_late(&mut self, now: Duration) {
        for client in &mut self.clients {
            if client.as_ref().is_some_and(|client| client.until <= now) {
                *client = None;
            }
        }
    }

    /// Returns when the next client will have taken too long.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.clients.iter().flatten().map(|client| client.until).chain(self.shut_until).min()
    }

    fn client(&mut self, number: usize) -> Option<&mut Client> {
        self.clients.get_mut(number)?.as_mut()
    }

    fn send(&mut self, number: usize) -> Heard {
        match self.client(number).map(Client::write) {
            Some(Ok(true)) => Heard::Nothing,
            _ => self.dismiss(number),
        }
    }

    fn dismiss(&mut self, number: usize) -> Heard {
        if let Some(client) = self.clients.get_mut(number) {
            *client = None;
        }
        Heard::Gone
    }
}

impl Client {
    /// Reads on; returns the line once it is whole.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; LONGEST];
        match rustix::net::recv(&self.stream, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((length, _)) => self.line.extend(bytes.iter().take(length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let Some(end) = self.line.iter().position(|&byte| byte == b'\n') {
            let rest = self.line.split_off(end + 1);
            return Ok(Some(std::mem::replace(&mut self.line, rest)));
        }
        if self.line.len() >= LONGEST { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) }
    }

    /// Writes what the client can take; `false` when the answer is out and the talk over.
    fn write(&mut self) -> io::Result<bool> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(&self.stream, &self.answer, flags) {
            Ok(length) => drop(self.answer.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(!self.answer.is_empty())
    }
}

/// Root and the user who started the server may command it (SO_PEERCRED, unix(7)).
fn may_command(stream: &OwnedFd) -> bool {
    let own = rustix::process::geteuid().as_raw();
    crate::sys::socket::peer(stream).is_ok_and(|(_, uid)| uid == 0 || uid == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_fixed_verbs() {
        assert_eq!(
            serde_json::from_str::<Command>(r#"{"verb":"status"}"#).unwrap(),
            Command::Status
        );
        for rubbish in ["", "status", "{}", r#"{"verb":"explode"}"#, "[1]", "\u{0}"] {
            assert!(serde_json::from_str::<Command>(rubbish).is_err(), "{rubbish}");
        }
    }
}
