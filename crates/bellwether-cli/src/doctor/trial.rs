//! One way of running a program, tried: a server of its own, for a few seconds.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bellwether::journal::Entry;
use bellwether::status::Status;
use bellwether::{Buffer, Error, Listener, remote};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};

use super::facts::Facts;
use super::probe::answered;
use super::{Doctor, Tried, advice};
use crate::words::clean;

/// From one look at the server to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// How many handlers there are, to see that they share the address.
const HANDLERS: usize = 2;

/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// What all ways have in common.
pub(super) struct Trial<'a> {
    order: &'a Doctor,
    listener: &'a Listener,
    /// The listener as children inherit it.
    passed: OwnedFd,
    /// How many may wait at the listener.
    backlog: u32,
    /// How long the next may take to start.
    patience: Duration,
}

/// A server that was started to be looked at; it does not outlive this value.
struct Started {
    server: Child,
    name: String,
    said: File,
}

impl<'a> Trial<'a> {
    pub(super) fn new(order: &'a Doctor, listener: &'a Listener) -> Result<Self, Error> {
        let system = |source| Error::System { doing: "pass an address on".into(), source };
        // A duplicate that does not close on exec.
        let passed = rustix::io::dup(listener).map_err(|errno| system(errno.into()))?;
        let backlog = Buffer::of(listener).map_or(0, |it| it.limit);
        Ok(Self { order, listener, passed, backlog, patience: order.patience() })
    }

    /// Tries one way.
    pub(super) fn tried(&mut self, way: &str, by_itself: bool) -> Result<Tried, Error> {
        let pass = if by_itself { "auto" } else { way };
        if !self.order.json {
            tracing::info!("trying --pass {way}");
        }
        let (facts, problem) = match self.seen(pass)? {
            Ok(facts) => {
                // Who works once in this time needs not be waited for much longer where it does not.
                let enough = Duration::from_secs_f64(facts.ready_ms / 1000.0) * 4;
                self.patience = self.patience.min(enough.max(Duration::from_secs(3)));
                (Some(facts), None)
            }
            Err(problem) => (None, Some(problem)),
        };
        Ok(Tried { way: way.into(), by_itself, facts, problem })
    }

    fn seen(&self, pass: &str) -> Result<Result<Facts, String>, Error> {
        self.put_right();
        let mut started = self.start(pass)?;
        if let Err(problem) = started.wait_until_ready(self.patience + GRACE) {
            return Ok(Err(problem));
        }
        let (speaks, answered) = answered(self.listener.address());
        let mut facts = Facts { speaks, answered, ..Facts::default() };
        let entries = remote::events(Some(&started.name), false)?;
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        facts.read(&entries);
        for pool in &remote::status(Some(&started.name))?.pools {
            facts.look(pool);
        }
        self.look_at_the_socket(&mut facts);
        let began = Instant::now();
        facts.stops_well = started.stop()?.success();
        facts.stop_ms = began.elapsed().as_secs_f64() * 1000.0;
        Ok(Ok(facts))
    }

    /// Undoes what the last one may have done to the socket.
    fn put_right(&self) {
        let _ = rustix::io::ioctl_fionbio(self.listener, false);
        if is_tcp(self.listener) {
            let _ = rustix::net::sockopt::set_tcp_nodelay(self.listener, true);
        }
    }

    fn look_at_the_socket(&self, facts: &mut Facts) {
        let flags = rustix::fs::fcntl_getfl(self.listener);
        facts.nonblocking = flags.is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        // What has not been put right yet.
        let backlog = |it: Buffer| it.limit != self.backlog;
        facts.sets_backlog |= Buffer::of(self.listener).is_ok_and(backlog);
        let nodelay = || rustix::net::sockopt::tcp_nodelay(self.listener).ok();
        facts.nodelay = is_tcp(self.listener).then(nodelay).flatten();
    }

    fn start(&self, pass: &str) -> Result<Started, Error> {
        let system = |source| Error::System { doing: "start a server to try".into(), source };
        let name = format!("doctor-{}", std::process::id());
        let said = std::env::temp_dir().join(format!("bellwether-{name}.log"));
        let options = File::options().read(true).write(true).create_new(true).open(&said);
        let said_in = options.map_err(system)?;
        // It is read and written by those who have it open.
        std::fs::remove_file(said).map_err(system)?;
        let mut command = Command::new(std::env::current_exe().map_err(system)?);
        command.arg("run").args(self.arguments(pass, &name)).stdin(Stdio::null());
        let out = said_in.try_clone().map_err(system)?;
        let error = said_in.try_clone().map_err(system)?;
        let server = command.stdout(out).stderr(error).spawn().map_err(system)?;
        Ok(Started { server, name, said: said_in })
    }

    fn arguments(&self, pass: &str, name: &str) -> Vec<String> {
        let Doctor { start, command, .. } = self.order;
        let patience = format!("{}ms", self.patience.as_millis());
        let (listen, grace) = (format!("fd:{}", self.passed.as_raw_fd()), format!("{GRACE:?}"));
        let all = [
            ("--listen", listen),
            ("--handlers", HANDLERS.to_string()),
            ("--name", name.into()),
            ("--pass", pass.into()),
            ("--boot-timeout", patience),
            ("--stop-grace", grace),
        ];
        let words = all.into_iter().flat_map(|(flag, value)| [flag.into(), value]);
        words.chain(start.words()).chain(["--".to_owned()]).chain(command.iter().cloned()).collect()
    }
}

impl Started {
    /// Waits until all handlers are ready; an error says why they are not.
    fn wait_until_ready(&mut self, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return Err(self.last_words());
            }
            if remote::status(Some(&self.name)).is_ok_and(|status| is_ready(&status)) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err("it was not ready in time".into())
    }

    /// The error that the server ended with, or the last that was said.
    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let _ = self.said.seek(SeekFrom::Start(0));
        let _ = self.said.read_to_string(&mut text);
        advice::reason(&clean_lines(&text))
    }

    /// Tells it to stop and waits until it has.
    fn stop(&mut self) -> Result<ExitStatus, Error> {
        let _ = kill_process(Pid::from_child(&self.server), Signal::TERM);
        let system = |source| Error::System { doing: "wait for a server to end".into(), source };
        self.server.wait().map_err(system)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            let _ = self.stop();
        }
    }
}

fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn is_ready(status: &Status) -> bool {
    let is_there = |state: &str| matches!(state, "idle" | "busy");
    let handlers = status.pools.iter().flat_map(|pool| &pool.handlers);
    handlers.filter(|it| is_there(&it.state)).count() == HANDLERS
}

fn is_tcp(listener: &Listener) -> bool {
    listener.address().starts_with("tcp://")
}
