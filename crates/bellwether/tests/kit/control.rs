//! A server's control socket, as its clients see it.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::processes::Pid;

/// One answer; a spawner that is alive never needs as long.
const ANSWER: Duration = Duration::from_secs(10);

/// The end of a change; none that a test asks for takes as long.
const CHANGE: Duration = Duration::from_secs(60);

/// The way to a server's status; cheap to clone into a sampling thread.
#[derive(Clone, Debug)]
pub struct Control {
    runtime: PathBuf,
}

impl Control {
    /// The control socket of the only server that lives under this runtime directory.
    pub fn under(runtime: &Path) -> Self {
        Self { runtime: runtime.to_owned() }
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// No socket yet (or more than one), nobody behind it, no answer, or one that is not JSON.
    pub fn status(&self) -> io::Result<Value> {
        self.ask("status")
    }

    /// Asks for the last entries of the journal, the oldest first.
    ///
    /// # Errors
    /// As for the status.
    pub fn journal(&self) -> io::Result<Vec<Value>> {
        let why = self.ask("why")?;
        let entries = why["entries"].as_array().cloned();
        entries.ok_or_else(|| io::Error::other(format!("no entries in {why}")))
    }

    fn ask(&self, verb: &str) -> io::Result<Value> {
        hear(&mut self.say(&json!({"verb": verb}), ANSWER)?)
    }

    /// Says a command and waits until it is over; returns the answer.
    #[track_caller]
    pub fn tell(&self, command: &Value) -> Value {
        self.begin(command).answer()
    }

    /// Says a command; what comes of it is heard later, or never.
    #[track_caller]
    pub fn begin(&self, command: &Value) -> Pending {
        let stream = self.say(command, CHANGE);
        Pending(stream.unwrap_or_else(|error| panic!("cannot say {command}: {error}")))
    }

    /// Connects, and says nothing yet.
    #[track_caller]
    pub fn knock(&self) -> Pending {
        Pending(self.connect(CHANGE).unwrap_or_else(|error| panic!("cannot connect: {error}")))
    }

    fn say(&self, command: &Value, patience: Duration) -> io::Result<BufReader<UnixStream>> {
        let mut stream = self.connect(patience)?;
        stream.get_mut().write_all(format!("{command}\n").as_bytes())?;
        Ok(stream)
    }

    fn connect(&self, patience: Duration) -> io::Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(self.socket()?)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(BufReader::new(stream))
    }

    fn socket(&self) -> io::Result<PathBuf> {
        let folders = fs::read_dir(&self.runtime)?.filter_map(Result::ok);
        let sockets: Vec<_> =
            folders.map(|it| it.path().join("control.sock")).filter(|it| it.exists()).collect();
        match sockets.as_slice() {
            [only] => Ok(only.clone()),
            others => Err(io::Error::other(format!("not one control socket: {others:?}"))),
        }
    }
}

/// A command that was said. A client that drops it goes away without waiting for the answer.
#[derive(Debug)]
pub struct Pending(BufReader<UnixStream>);

impl Pending {
    /// Says a command where nothing was said before.
    #[track_caller]
    pub fn say(&mut self, command: &Value) {
        self.0.get_mut().write_all(format!("{command}\n").as_bytes()).expect("a server that hears");
    }

    /// The next line of the answer.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        match hear(&mut self.0) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// The next line, unless the server has closed the connection.
    pub fn line(&mut self) -> Option<Value> {
        hear(&mut self.0).ok()
    }
}

fn hear(stream: &mut BufReader<UnixStream>) -> io::Result<Value> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// The part of a status that is about its first pool.
#[track_caller]
pub fn pool(status: &Value) -> &Value {
    pools(status).first().unwrap_or_else(|| panic!("no pool in {status}"))
}

/// The parts of a status about its pools.
#[track_caller]
pub fn pools(status: &Value) -> &[Value] {
    status["pools"].as_array().unwrap_or_else(|| panic!("no list of pools in {status}"))
}

/// All handlers that the spawner lists.
#[track_caller]
pub fn listed(status: &Value) -> Vec<Pid> {
    handlers(status).filter(|it| !it["pid"].is_null()).map(pid).collect()
}

/// The handlers that can serve: idle or busy.
#[track_caller]
pub fn ready(status: &Value) -> Vec<Pid> {
    handlers(status)
        .filter(|it| matches!(it["state"].as_str(), Some("idle" | "busy")))
        .map(pid)
        .collect()
}

/// The handlers of all pools.
#[track_caller]
fn handlers(status: &Value) -> impl Iterator<Item = &Value> {
    pools(status).iter().flat_map(|pool| {
        pool["handlers"].as_array().unwrap_or_else(|| panic!("no list of handlers in {pool}"))
    })
}

fn pid(handler: &Value) -> Pid {
    let pid = handler["pid"].as_i64().and_then(|number| Pid::try_from(number).ok());
    pid.unwrap_or_else(|| panic!("no pid in {handler}"))
}
