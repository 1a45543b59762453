//! The control socket: JSON lines with fixed verbs, for those whom the kernel vouches for.
//!
//! Nothing here blocks: clients are read and written as they allow, few at a time, and dropped
//! when they dawdle. A client whose command takes long waits without costing anything.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use serde::{Deserialize, Serialize};

use super::access::{Access, Caller};
use super::command::{Answer, Command};
use super::handover::{ClientState, taken};
use super::runtime_dir::RuntimeDir;
use crate::error::{Doing, Error, Result};
use crate::handler::refusal::OncePerSecond;
use crate::sys::poller::Interest;
use crate::sys::unix_diag;

/// The longest command line.
const LONGEST: usize = 4096;
/// After so many clients their numbers begin again: what a token of the poller has room for.
const NUMBERS: usize = 1 << 32;
/// How long one client may take for its command and for reading the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much may wait for a client that listens to the journal: about 1000 entries.
const UNREAD: usize = 256 * 1024;

static STRANGERS: OncePerSecond = OncePerSecond::new();

/// What came of listening to a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not a whole line yet, or the answer is still on its way.
    Nothing,
    /// A command, and whether the client may give it.
    Command(Command, bool),
    /// The client is gone or was sent away.
    Gone,
}

/// The place where commands come in.
pub(super) struct Control {
    /// Gone from the disk when dropped.
    folder: RuntimeDir,
    pub(super) socket: UnixListener,
    /// By numbers of which none comes twice: a client that is gone may still be heard of, as long
    /// as a template that was just forked holds a copy of its connection.
    clients: BTreeMap<usize, Client>,
    next: usize,
    access: Access,
    /// Until when nobody is let in, for want of descriptors.
    pub(super) shut_until: Option<Duration>,
}

struct Client {
    stream: OwnedFd,
    caller: Caller,
    line: Vec<u8>,
    answer: Vec<u8>,
    part: Part,
    /// When it will have taken too long.
    until: Option<Duration>,
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// It says its command.
    Speaking,
    /// It waits for something to be over.
    Waiting,
    /// It reads the journal as it is written.
    Following,
    /// It reads its answer.
    Reading,
}

impl Control {
    /// Opens the control socket in the server's folder.
    pub(super) fn open(folder: RuntimeDir, access: Access) -> Result<Self> {
        let socket = bind(&folder, &access)?;
        Ok(Self::of(folder, access, socket))
    }

    /// Goes on with a control socket that is open already.
    pub(super) fn of(folder: RuntimeDir, access: Access, socket: UnixListener) -> Self {
        Self { folder, socket, clients: BTreeMap::new(), next: 0, access, shut_until: None }
    }

    /// Describes the clients for a successor in this process.
    pub(super) fn talks(&self) -> Vec<ClientState> {
        let state = |(&number, client): (&usize, &Client)| ClientState {
            number,
            fd: client.stream.as_raw_fd(),
            part: client.part,
            line: client.line.clone(),
            answer: client.answer.clone(),
        };
        self.clients.iter().map(state).collect()
    }

    /// Goes on with a client of a predecessor.
    pub(super) fn resume(&mut self, state: ClientState, now: Duration) -> Result<()> {
        let ClientState { number, fd, part, line, answer } = state;
        let stream = taken(fd)?;
        let Some(caller) = self.caller_of(&stream) else { return Ok(()) };
        let is_timed = part == Part::Speaking || !answer.is_empty();
        let until = is_timed.then_some(now + PATIENCE);
        self.clients.insert(number, Client { stream, caller, line, answer, part, until });
        self.next = self.next.max(number + 1) % NUMBERS;
        Ok(())
    }

    pub(super) fn folder(&self) -> (PathBuf, RawFd) {
        (self.folder.path().to_owned(), self.folder.as_raw_fd())
    }

    /// Tells whether the folder is ours still, with the control socket in it.
    pub(super) fn is_there(&self) -> bool {
        let Ok(file) = std::fs::symlink_metadata(self.folder.socket()) else { return false };
        // The kernel tells 32 bits of the inode; where it tells none, the file is believed.
        let inode = u64::from(u32::MAX) & file.ino();
        let ours = unix_diag::file_inode(&self.socket).map_or(true, |its| u64::from(its) == inode);
        ours && self.folder.is_ours()
    }

    /// Opens the control socket again after somebody has removed it, and the folder if need be.
    ///
    /// Those who are in stay in.
    pub(super) fn open_anew(&mut self) -> Result<()> {
        if !self.folder.is_ours() {
            self.folder = self.folder.take_again()?;
        }
        self.socket = bind(&self.folder, &self.access)?;
        self.shut_until = None;
        Ok(())
    }

    /// Lets the next client in; returns its number and stream to be watched.
    ///
    /// When there is no descriptor left for a client, the door stays shut for a second: who
    /// knocks would otherwise wake the spawner without end.
    pub(super) fn admit(&mut self, now: Duration) -> Option<(usize, &OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream = match rustix::net::accept_with(&self.socket, flags) {
            Ok(stream) => stream,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return None,
            Err(_) => {
                self.shut_until = Some(now + Duration::from_secs(1));
                return None;
            }
        };
        let Some(caller) = self.caller_of(&stream) else {
            if STRANGERS.allows() {
                tracing::warn!("a control client of another user was turned away");
            }
            return None;
        };
        if !caller.has_room(self.clients.values().map(|client| &client.caller)) {
            return None;
        }
        let number = self.next;
        self.next = (number + 1) % NUMBERS;
        let (line, answer) = (Vec::new(), Vec::new());
        let (part, until) = (Part::Speaking, Some(now + PATIENCE));
        let client = Client { stream, caller, line, answer, part, until };
        Some((number, &self.clients.entry(number).or_insert(client).stream))
    }

    /// Asks the kernel who is at the other side (SO_PEERCRED, unix(7)).
    fn caller_of(&self, stream: &OwnedFd) -> Option<Caller> {
        let peer = crate::sys::socket::peer(stream).ok()?;
        self.access.admit(rustix::process::geteuid().as_raw(), &peer)
    }

    /// Reads what a client says, or goes on sending what it asked for.
    pub(super) fn listen(&mut self, number: usize, hung_up: bool) -> Heard {
        let Some(client) = self.client(number) else { return Heard::Gone };
        match client.part {
            Part::Reading | Part::Following if !client.answer.is_empty() => {
                return self.send(number);
            }
            // What it asked for goes on; only the answer has no reader any more.
            Part::Waiting | Part::Following | Part::Reading if hung_up => {
                return self.dismiss(number);
            }
            Part::Waiting | Part::Following | Part::Reading => return Heard::Nothing,
            Part::Speaking => {}
        }
        match client.read() {
            Ok(None) => Heard::Nothing,
            Ok(Some(line)) => match serde_json::from_slice::<Command>(&line) {
                Ok(command) => {
                    let may = command.role() <= client.caller.role;
                    client.part = Part::Waiting;
                    client.until = None;
                    Heard::Command(command, may)
                }
                Err(error) => self.answer(number, &Answer::Unknown { reason: error.to_string() }),
            },
            Err(_) => self.dismiss(number),
        }
    }

    /// Returns who a client is, for the journal.
    pub(super) fn who(&self, number: usize) -> String {
        let client = self.clients.get(&number);
        client.map_or_else(|| "a client".into(), |client| client.caller.to_string())
    }

    /// Answers a client; what does not fit now follows when the client has read some.
    pub(super) fn answer(&mut self, number: usize, answer: &impl Serialize) -> Heard {
        self.put(number, Part::Reading, answer)
    }

    /// Sends a client one line, with more to follow.
    pub(super) fn put_more(&mut self, number: usize, line: &impl Serialize) -> Heard {
        self.put(number, Part::Following, line)
    }

    fn put(&mut self, number: usize, part: Part, line: &impl Serialize) -> Heard {
        let Some(client) = self.client(number) else { return Heard::Gone };
        let line = serde_json::to_vec(line).unwrap_or_default();
        if client.answer.len() + line.len() > UNREAD && part == Part::Following {
            return self.dismiss(number); // it does not read what it asked for
        }
        client.answer.extend(line);
        client.answer.push(b'\n');
        client.part = part;
        client.until = Some(crate::sys::clock::now() + PATIENCE);
        self.send(number)
    }

    /// The clients that follow the journal.
    pub(super) fn followers(&self) -> Vec<usize> {
        let following = self.clients.iter().filter(|(_, client)| client.part == Part::Following);
        following.map(|(number, _)| *number).collect()
    }

    /// Returns what to watch a client for.
    pub(super) fn watched(&self, number: usize) -> Option<(&OwnedFd, Interest)> {
        let client = self.clients.get(&number)?;
        let interest = match client.part {
            Part::Speaking => Interest::Read,
            _ if !client.answer.is_empty() => Interest::Write,
            _ => Interest::HangUp,
        };
        Some((&client.stream, interest))
    }

    /// Sends clients away that took too long.
    pub(super) fn dismiss_late(&mut self, now: Duration) {
        self.clients.retain(|_, client| client.until.is_none_or(|until| until > now));
    }

    /// Returns when the next client will have taken too long.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let clients = self.clients.values().filter_map(|client| client.until);
        clients.chain(self.shut_until).min()
    }

    fn client(&mut self, number: usize) -> Option<&mut Client> {
        self.clients.get_mut(&number)
    }

    fn send(&mut self, number: usize) -> Heard {
        let now = crate::sys::clock::now();
        match self.client(number).map(|client| client.write(now)) {
            Some(Ok(true)) => Heard::Nothing,
            _ => self.dismiss(number),
        }
    }

    fn dismiss(&mut self, number: usize) -> Heard {
        self.clients.remove(&number);
        Heard::Gone
    }
}

fn bind(folder: &RuntimeDir, access: &Access) -> Result<UnixListener> {
    let path = folder.socket();
    // We hold the folder's lock: a socket that is still there is a dead server's.
    let _ = std::fs::remove_file(&path);
    let mask = rustix::process::umask(rustix::fs::Mode::from(0o177));
    let bound = UnixListener::bind(&path);
    rustix::process::umask(mask);
    let hint = "set BELLWETHER_RUNTIME_DIR to a shorter or other folder";
    let failed = |error: io::Error| {
        let problem = format!("cannot open the control socket: {error}; {hint}");
        Error::configure(path.display(), problem)
    };
    let socket = bound.map_err(failed)?;
    if !access.is_private() {
        // Everybody may knock; the kernel says who it is.
        folder.let_others_in().map_err(failed)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(failed)?;
    }
    socket.set_nonblocking(true).doing("set O_NONBLOCK on the control socket")?;
    Ok(socket)
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
    fn write(&mut self, now: Duration) -> io::Result<bool> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(&self.stream, &self.answer, flags) {
            Ok(length) => {
                drop(self.answer.drain(..length));
                self.until = Some(now + PATIENCE);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if self.answer.is_empty() && self.part == Part::Following {
            self.until = None;
            return Ok(true);
        }
        Ok(!self.answer.is_empty())
    }
}
