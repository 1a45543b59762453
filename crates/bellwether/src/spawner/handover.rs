//! What a spawner leaves to its successor in the same process: a baton, as JSON in a memfd.
//!
//! The successor finds the descriptors open, and their numbers in the baton. It is read once, by
//! whoever opens the first address; a program that rehearses reads it too, and touches nothing.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use super::changing::Kind;
use super::control::Part;
use super::wishes::Wish;
pub(super) use crate::address::handover::{BATON as VARIABLE, REHEARSAL};
use crate::error::{Doing, Error, Result};
use crate::journal::Journal;
use crate::pool::handover::PoolState;
use crate::sys::descriptors;
use crate::sys::exec::{Calling, replace};

/// What it says there.
pub(crate) const REHEARSED: u8 = 6;

/// The form of the baton; another is not understood.
pub(super) const FORM: u32 = 1;

/// What a spawner leaves to its successor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Baton {
    pub(super) form: u32,
    /// Whose baton it is; an exec keeps the pid.
    pub(super) spawner: i32,
    pub(crate) name: String,
    pub(crate) started: Duration,
    pub(crate) upgrades: u64,
    pub(crate) journal: Journal,
    pub(crate) folder: PathBuf,
    pub(crate) lock: RawFd,
    pub(crate) control: RawFd,
    pub(crate) clients: Vec<ClientState>,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) change: ChangeState,
    pub(crate) pools: Vec<PoolState>,
    /// Every descriptor that it named when it was read.
    #[serde(skip)]
    pub(crate) numbers: Vec<RawFd>,
}

/// A client of the control socket as the next spawner finds it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientState {
    pub(crate) number: usize,
    pub(crate) fd: RawFd,
    pub(super) part: Part,
    /// What it has said so far.
    pub(crate) line: Vec<u8>,
    /// What it has not read yet.
    pub(crate) answer: Vec<u8>,
}

/// The change that is going on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangeState {
    pub(crate) kind: Kind,
    pub(crate) since: Duration,
    /// Why the new program has failed, when the old one comes back.
    pub(crate) problem: Option<String>,
    /// The configuration with which the old program ran, if it has said so.
    pub(crate) configuration: Option<String>,
    /// The old program, to be able to come back.
    pub(crate) old_program: RawFd,
    /// How the old program was called.
    pub(crate) old_arguments: Vec<Vec<u8>>,
    /// The program that reads this, open for an interpreter's sake.
    pub(crate) program: RawFd,
    /// Where the program was started from.
    pub(crate) path: PathBuf,
}

impl Baton {
    /// Puts the baton where a successor finds it.
    pub(super) fn lay_down(&self) -> std::io::Result<OwnedFd> {
        let fd = rustix::fs::memfd_create("bellwether-baton", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file.into())
    }

    fn become_old_program(&self) -> std::io::Error {
        let become_it = || {
            let program = descriptors::duplicate(self.change.old_program)?;
            let arguments = self.change.old_arguments.clone();
            Ok::<_, std::io::Error>(self.become_program(program, arguments))
        };
        become_it().unwrap_or_else(|error| error)
    }

    /// Lays itself down and replaces the program of this process; returns only to say why not.
    pub(super) fn become_program(
        &self,
        program: impl AsFd,
        arguments: Vec<Vec<u8>>,
    ) -> std::io::Error {
        let prepare = || {
            let laid = self.lay_down()?;
            let at = Some(laid.as_raw_fd().to_string());
            Ok::<_, std::io::Error>((Calling::with(arguments, &[(VARIABLE, at)])?, laid))
        };
        let (calling, laid) = match prepare() {
            Ok(prepared) => prepared,
            Err(error) => return error,
        };
        let mut kept = self.descriptors();
        kept.push(laid.as_raw_fd());
        // The baton that this program was given has been read.
        descriptors::survive_exec(number().ok().flatten().as_slice(), false);
        descriptors::survive_exec(&kept, true);
        let error = replace(program, &calling);
        descriptors::survive_exec(&kept, false);
        error
    }

    /// Returns every descriptor that it names, which must survive the exec.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let clients = self.clients.iter().map(|client| client.fd);
        let pools = self.pools.iter().flat_map(PoolState::descriptors);
        let own = [self.lock, self.control, self.change.old_program, self.change.program];
        clients.chain(pools).chain(own).collect()
    }

    /// Takes up the baton that was left for this process, if one was; once.
    pub(crate) fn take_up() -> Result<Option<Self>> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let baton = Self::look_at()?;
        TAKEN.store(baton.is_some(), Ordering::Relaxed);
        Ok(baton)
    }

    /// Reads the baton that was left for this process, if one was and is not settled yet.
    pub(crate) fn look_at() -> Result<Option<Self>> {
        let wrong = |problem: String| Error::configure(VARIABLE, problem);
        let Some(number) = number()? else { return Ok(None) };
        // Another process of the same environment has nothing there, or something else.
        let Ok(fd) = descriptors::duplicate(number) else { return Ok(None) };
        let Ok(baton) = read(&fd.into()) else { return Ok(None) };
        let own = if rehearsal().is_some() {
            rustix::process::getppid().map_or(0, rustix::process::Pid::as_raw_pid)
        } else {
            rustix::process::getpid().as_raw_pid()
        };
        if baton.spawner != own {
            return Ok(None);
        }
        if baton.form != FORM {
            return Err(wrong(format!(
                "the running server hands over in form {}, this program reads form {FORM}; stop \
                 the server and start this one",
                baton.form
            )));
        }
        let baton = serde_json::from_slice::<Self>(&baton.text).map_err(|error| {
            wrong(format!("what the running server handed over is wrong: {error}"))
        })?;
        Ok(Some(Self { numbers: baton.descriptors(), ..baton }))
    }
}

/// The number of the descriptor behind which a baton may lie.
fn number() -> Result<Option<RawFd>> {
    let Some(number) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let number = number.to_str().and_then(|it| it.parse().ok());
    let wrong = || Error::configure(VARIABLE, "it must be a number of a descriptor");
    number.map(Some).ok_or_else(wrong)
}

/// Becomes the program from before, if this one has just taken its place and cannot go on.
///
/// Returns when there is nothing to go back to, or no way.
pub(crate) fn go_back(problem: &str) {
    if rehearsal().is_some() {
        return;
    }
    // Whoever has come back already has nobody to go back to.
    let Ok(Some(mut baton)) = Baton::look_at() else { return };
    if baton.change.problem.is_some() {
        return;
    }
    baton.change.problem = Some(format!("the new program could not go on: {problem}"));
    let error = baton.become_old_program();
    tracing::error!("and the program from before is lost: {error}");
}

/// Passes a result on; a program that has just taken another's place and fails makes way for it.
pub(crate) fn or_go_back<T>(result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        go_back(&error.to_string());
    }
    result
}

/// Closes what the baton has named: from here on there is only one owner, and no way back.
pub(super) fn settle(numbers: &[RawFd]) {
    let baton = number().ok().flatten();
    numbers.iter().copied().chain(baton).for_each(|number| drop(descriptors::take(number)));
}

/// As much of a baton as every form has.
#[derive(Deserialize)]
struct Head {
    form: u32,
    spawner: i32,
    #[serde(skip)]
    text: Vec<u8>,
}

fn read(file: &File) -> Result<Head> {
    let mut text = Vec::new();
    // The descriptor is shared: a rehearsal must leave it as it was.
    let mut at = 0;
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = rustix::io::pread(file, &mut part, at) {
        text.extend_from_slice(part.get(..length).unwrap_or_default());
        at += length as u64;
    }
    let head: Head = serde_json::from_slice(&text)
        .map_err(|error| Error::configure(VARIABLE, error.to_string()))?;
    Ok(Head { text, ..head })
}

/// Returns the descriptor at which to say that the rehearsal went well; `None`: it is no rehearsal.
pub(crate) fn rehearsal() -> Option<RawFd> {
    std::env::var(REHEARSAL).ok()?.parse().ok()
}

/// Says that this program can go on from where the running server is.
pub(crate) fn rehearsed(number: RawFd) -> Result<()> {
    let fd = descriptors::duplicate(number).doing("end the rehearsal")?;
    rustix::io::write(&fd, &[REHEARSED]).doing("end the rehearsal")?;
    Ok(())
}

/// Takes a descriptor over that a baton names; the number itself stays open until [`settle`].
pub(super) fn taken(number: RawFd) -> Result<OwnedFd> {
    descriptors::duplicate(number)
        .map_err(|_| Error::configure(VARIABLE, format!("descriptor {number} was not handed over")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baton_is_read_as_it_was_laid_down_and_may_be_read_again() {
        let baton = Baton {
            form: FORM,
            spawner: 7,
            name: "shop".into(),
            started: Duration::from_millis(1500),
            upgrades: 2,
            journal: Journal::default(),
            folder: "/run/bellwether/shop".into(),
            lock: 3,
            control: 4,
            clients: Vec::new(),
            wishes: Vec::new(),
            change: ChangeState {
                kind: Kind::Upgrade,
                since: Duration::ZERO,
                problem: None,
                configuration: None,
                old_program: 5,
                old_arguments: vec![b"true".to_vec()],
                program: 6,
                path: "/usr/bin/true".into(),
            },
            pools: Vec::new(),
            numbers: Vec::new(),
        };
        assert_eq!(baton.descriptors(), [3, 4, 5, 6]);
        let file = File::from(baton.lay_down().unwrap());
        for _ in 0..2 {
            let head = read(&file).unwrap();
            assert_eq!((head.form, head.spawner), (FORM, 7));
            let again: Baton = serde_json::from_slice(&head.text).unwrap();
            assert_eq!((again.name, again.started), (baton.name.clone(), baton.started));
        }
    }
}
