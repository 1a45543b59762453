//! The template: a child that loads the application once and forks handlers from it.
//!
//! It runs the user's load function, so the spawner does not have to; it has one thread, waits
//! for requests on a socket, and ends when the spawner's side of that socket closes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, Rlimit, Signal};

use super::message::{Answer, LONGEST, Request};
use super::slot::{Delivery, Process};
use super::{descriptors as limits, fork};
use crate::address::{Listener, orphans};
use crate::balance::Slo;
use crate::error::BoxError;
use crate::handler::last_will::LastWill;
use crate::handler::post::{Order, Post, Seat};
use crate::handler::{Deadlines, Departure, Manner};
use crate::notification::Notification;
use crate::program::Ways;
use crate::scoreboard::bell::{Bell, BellFiles};
use crate::scoreboard::control::ControlPage;
use crate::scoreboard::telemetry::Telemetry;
use crate::sys::{clock, descriptors, signal, title};

/// What a handler process does with its post.
pub(crate) type Body = Box<dyn Fn(Post) -> Departure>;

/// Loads the application; called in the template, never in the spawner.
pub(crate) type Load = Box<dyn Fn() -> Result<Body, BoxError>>;

/// How many threads of a program are asked for what they use of the processors.
const MOST_THREADS: usize = 32;

/// What every handler of a pool has in common.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) generation: u64,
    pub(crate) threads: usize,
    pub(crate) manner: Manner,
    pub(crate) notification: Notification,
    pub(crate) orphan_grace: Duration,
    pub(crate) deadlines: Deadlines,
    /// How long a connection may wait in the buffer before it is late.
    pub(crate) slo_wait: Duration,
    /// Where handlers are wardens of a program: what there is to know about it.
    pub(crate) program: Option<Ways>,
    /// The limits of open descriptors as they were before the spawner raised them.
    pub(crate) descriptors: Rlimit,
    /// Descriptors that the application had opened before the server started.
    pub(crate) inherited: Vec<RawFd>,
}

impl Pattern {
    /// Returns how many threads a handler process has: behind each gate there is a runtime.
    pub(crate) const fn threads_of_a_handler(&self) -> usize {
        match self.manner {
            // A program has as many as it likes.
            _ if self.program.is_some() => MOST_THREADS,
            Manner::Serial => self.threads,
            Manner::Concurrent { workers: 1, .. } => 2 * self.threads,
            // One more hands over what the gate has accepted.
            Manner::Concurrent { workers, .. } => (2 + workers) * self.threads,
        }
    }

    /// For a pool that makes no handlers any more.
    pub(crate) fn unused() -> Self {
        Self {
            generation: 0,
            threads: 1,
            manner: Manner::Serial,
            notification: Notification::default(),
            orphan_grace: Duration::ZERO,
            deadlines: Deadlines::default(),
            slo_wait: Slo::default().wait(),
            program: None,
            descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile),
            inherited: Vec::new(),
        }
    }
}

/// The spawner's hold on its template.
pub(crate) struct Template {
    pub(crate) generation: u64,
    pub(crate) pid: Pid,
    pub(crate) socket: OwnedFd,
    /// When a template that was told to leave will have taken too long.
    pub(crate) until: Option<Duration>,
    /// Whether the spawner has ended it on purpose.
    pub(crate) condemned: bool,
    /// Whether nobody reads what it is asked: it has ended, and how is not known yet.
    pub(crate) deaf: bool,
    /// When it was forked.
    pub(crate) since: Duration,
    /// When it first told of a birth.
    pub(crate) loaded_at: Option<Duration>,
    /// How it ended; what it bore last may still be told.
    pub(crate) ended: Option<rustix::process::WaitStatus>,
}

/// Everything a new template takes with it from the spawner.
pub(crate) struct Dowry<'a> {
    /// The name of the pool.
    pub(crate) pool: &'a str,
    pub(crate) pattern: Pattern,
    pub(crate) load: &'a Load,
    pub(crate) listeners: &'a mut Vec<Listener>,
    pub(crate) control: &'a ControlPage,
    pub(crate) bell: &'a BellFiles,
    pub(crate) last_will: LastWill,
}

/// What came of listening to a template.
pub(crate) enum Heard {
    Answer(Answer),
    Nothing,
    /// Nobody is left who could say anything.
    End,
}

impl Template {
    /// Forks a template; it starts to load at once.
    pub(crate) fn fork(dowry: Dowry<'_>) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let generation = dowry.pattern.generation;
        let pid = fork::template(|| Workshop::open(dowry, &theirs))?;
        Ok(Self {
            generation,
            pid,
            socket: ours,
            until: None,
            condemned: false,
            deaf: false,
            since: clock::now(),
            loaded_at: None,
            ended: None,
        })
    }

    /// Asks for a handler. Never blocks: a template that does not listen is an error.
    pub(crate) fn ask(
        &self,
        request: Request,
        channel: &OwnedFd,
        page: &OwnedFd,
    ) -> io::Result<()> {
        let fds = [channel.as_fd(), page.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&fds));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(&request.encode())], &mut rights, flags)?;
        Ok(())
    }

    /// Returns the next answer, if one has come; rubbish is skipped.
    pub(crate) fn answer(&self) -> Heard {
        let mut bytes = [0; LONGEST];
        loop {
            match rustix::net::recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                // Its side is closed by all who had it: template and go-betweens.
                Ok((0, _)) => return Heard::End,
                Ok((length, _)) => {
                    if let Some(answer) = bytes.get(..length).and_then(Answer::decode) {
                        return Heard::Answer(answer);
                    }
                }
                // It died with requests unread; what it had said before is still there.
                Err(rustix::io::Errno::CONNRESET) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Heard::Nothing,
                Err(_) => return Heard::End,
            }
        }
    }

    /// Tells whether it can be asked for handlers.
    pub(crate) const fn is_hearing(&self) -> bool {
        self.ended.is_none() && !self.condemned && !self.deaf
    }

    /// Sends it SIGKILL.
    pub(crate) fn end(&self) {
        // Where it lives on for want of descriptors, it hears its socket close.
        let _ = Process::of(self.pid).signal(Signal::KILL);
    }

    /// Ends the template at once; the handlers live on.
    pub(crate) fn kill(&mut self) {
        self.condemned = true;
        let later = Process::of(self.pid).signal(Signal::KILL) == Delivery::Later;
        self.until = later.then(|| clock::now() + Delivery::PAUSE);
    }
}

/// The inside of the template process.
struct Workshop<'a>(Dowry<'a>);

impl<'a> Workshop<'a> {
    fn open(dowry: Dowry<'a>, socket: &OwnedFd) -> Departure {
        let workshop = Self(dowry);
        workshop.settle_in(socket);
        match (workshop.0.load)() {
            Ok(body) => workshop.work(&body, socket),
            Err(error) => {
                say(socket, &Answer::NotLoaded { problem: error.to_string() });
                Departure::NotStarted
            }
        }
    }

    /// Gives up what was the spawner's: its signals, descriptors, terminal and name.
    fn settle_in(&self, socket: &OwnedFd) {
        signal::clean_slate();
        signal::ignore_terminal();
        let _ = rustix::process::setpgid(None, None);
        // A load that hangs does not hear its socket close.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let (generation, pool) = (self.0.pattern.generation, self.0.pool);
        name_process(orphans::TEMPLATE, &format!("template gen {generation} of {pool}"));
        limits::restore(&self.0.pattern.descriptors);
        let mut keep = self.0.kept();
        keep.extend([socket, self.0.control.file()].map(AsRawFd::as_raw_fd));
        keep.extend(self.0.bell.descriptors());
        descriptors::close_all_but(&keep);
        silence_input();
    }

    fn work(mut self, body: &Body, socket: &OwnedFd) -> Departure {
        while let Some(asked) = next_request(socket) {
            let request = asked.request;
            let tell = |born| say(socket, &answer(request, born));
            fork::handler(tell, || self.become_handler(asked, body));
        }
        Departure::Done
    }

    /// In a new process: takes what a handler needs, closes the rest, serves.
    fn become_handler(&mut self, asked: Asked, body: &Body) -> Departure {
        let pattern = self.0.pattern.clone();
        let (slot, generation) = (asked.request.number, pattern.generation);
        let title = format!("handler {slot} gen {generation} of {}", self.0.pool);
        name_process(&format!("{} {slot}", orphans::HANDLER), &title);
        let telemetry = Telemetry::map(&asked.page, pattern.threads, asked.received);
        let pages = (telemetry, self.0.control.view(), Bell::of(self.0.bell));
        let (Ok(telemetry), Ok(control), Ok(bell)) = pages else { return Departure::NotStarted };
        let Asked { request: Request { number, .. }, channel, page, .. } = asked;
        // A warden is never stuck, and has more to end than itself.
        if pattern.program.is_none() {
            self.0.last_will.make(number, telemetry.clone());
        }
        drop(page);
        let mut keep = self.0.kept();
        keep.extend([&channel, bell.rope(), bell.doorbell()].map(AsRawFd::as_raw_fd));
        descriptors::close_all_but(&keep);
        body(Post {
            seat: Seat {
                slot: number,
                generation: pattern.generation,
                thread: 0,
                threads: pattern.threads,
            },
            spawner: self.0.last_will.spawner(),
            listeners: std::mem::take(self.0.listeners),
            notification: pattern.notification,
            orphan_grace: pattern.orphan_grace,
            orphan_limit: self.0.last_will.in_hand(),
            deadlines: pattern.deadlines,
            slo_wait: pattern.slo_wait,
            telemetry,
            control,
            bell,
            channel,
            order: Mutex::new(Order::Serve),
            not_ready: AtomicUsize::new(pattern.threads),
            broken_up: AtomicBool::new(false),
        })
    }
}

impl Dowry<'_> {
    /// The descriptors that template and handlers both keep.
    fn kept(&self) -> Vec<RawFd> {
        let listeners = self.listeners.iter().map(AsRawFd::as_raw_fd);
        self.pattern.inherited.iter().copied().chain(listeners).collect()
    }
}

/// A request as it arrived in the template.
struct Asked {
    request: Request,
    channel: OwnedFd,
    page: OwnedFd,
    received: Duration,
}

/// Waits for the next request; `None` when the spawner has closed the socket.
fn next_request(socket: &OwnedFd) -> Option<Asked> {
    loop {
        let (bytes, fds) = receive(socket)?;
        let received = clock::now();
        let [channel, page] = <[OwnedFd; 2]>::try_from(fds).ok()?;
        if let Some(request) = Request::decode(&bytes) {
            return Some(Asked { request, channel, page, received });
        }
    }
}

fn receive(socket: &OwnedFd) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(socket, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.ok()?,
        }
    };
    let fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let fds = fds.collect();
    (received.bytes > 0).then(|| (bytes[..received.bytes].to_vec(), fds))
}

fn answer(request: Request, born: io::Result<Pid>) -> Answer {
    let Request { slot, ticket, .. } = request;
    match born {
        Ok(pid) => Answer::Born { slot, ticket, pid: pid.as_raw_pid() },
        Err(error) => Answer::NotForked { slot, ticket, problem: error.to_string() },
    }
}

fn say(socket: &OwnedFd, answer: &Answer) {
    // A spawner that is gone is noticed at the next receive.
    let _ = rustix::net::send(socket, &answer.encode(), SendFlags::NOSIGNAL);
}

/// Names this process in 15 bytes, by which it is found, and in a line for people.
fn name_process(name: &str, line: &str) {
    title::show(&format!("bellwether: {line}"));
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// Points standard input at nothing: handlers must not fight over a terminal.
fn silence_input() {
    if let Ok(null) = File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_each_gate_there_is_a_thread_that_serves_or_a_runtime_of_several() {
        let check = |threads, manner, expected| {
            let pattern = Pattern { threads, manner, ..Pattern::unused() };
            assert_eq!(pattern.threads_of_a_handler(), expected);
        };
        let concurrent = |workers| Manner::Concurrent { partable: true, room: 9, workers };
        check(3, Manner::Serial, 3);
        check(3, concurrent(1), 6);
        check(1, concurrent(4), 6);
        check(2, concurrent(4), 12);
    }
}
