//! The service manager, as the spawner sees it: what sd_notify(3) says, and sockets kept in custody.
//!
//! The spawner never waits for it: a message that finds the manager's queue full is kept and sent
//! with the next one. (The crate `sd-notify` would wait, and knows no abstract names.)

mod line;
#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use line::{Line, MOST_DESCRIPTORS};

use crate::address::unclaimed;
use crate::error::Result;
use crate::sys::clock;

/// The longest name of a stored descriptor that systemd accepts (fdname_is_valid).
const LONGEST_NAME: usize = 255;

/// The service manager that has started this process; every call does nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    line: Option<Line>,
    phase: Phase,
    status: String,
    watchdog: Option<Watchdog>,
}

/// What the manager was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

/// The manager kills a service that has not pinged it for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watchdog {
    /// Half of that time.
    pause: Duration,
    /// The monotonic moment of the next ping.
    next: Duration,
}

impl Manager {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, once.
    ///
    /// The socket that it opens is the spawner's: it must exist after the application's own
    /// descriptors were listed and be closed in children, who would speak in the spawner's name.
    pub(crate) fn from_environment() -> Self {
        let own = rustix::process::getpid().to_string();
        Self::read(&own, clock::now(), |name| std::env::var(name).ok()).unwrap_or_else(|error| {
            tracing::warn!("the service manager is not told anything: {error}");
            Self::default()
        })
    }

    fn read(own_pid: &str, now: Duration, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let Some(name) = get("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let line = Some(Line::to(&name)?);
        let for_us = get("WATCHDOG_PID").is_none_or(|pid| pid == own_pid);
        let limit = get("WATCHDOG_USEC").filter(|_| for_us).and_then(|text| text.parse().ok());
        let watchdog = limit.filter(|&limit| limit > 0).map(|limit: u64| {
            let pause = Duration::from_micros(limit) / 2;
            Watchdog { pause, next: now + pause }
        });
        Ok(Self { line, watchdog, ..Self::default() })
    }

    /// Tells whether there is anybody to tell.
    pub(crate) const fn is_there(&self) -> bool {
        self.line.is_some()
    }

    /// Says that the minimum of handlers is ready: once, and again after [`Manager::reloading`].
    pub(crate) fn ready(&mut self, status: &str) {
        match self.phase {
            Phase::Starting | Phase::Reloading => self.enter(Phase::Ready, "READY=1", status),
            Phase::Ready | Phase::Stopping => self.status(status),
        }
    }

    /// Says that a reload begins; [`Manager::ready`] ends it, whatever came of it.
    pub(crate) fn reloading(&mut self) {
        if matches!(self.phase, Phase::Ready | Phase::Reloading) {
            self.phase = Phase::Reloading;
            let now = clock::now().as_micros();
            self.tell(format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
        }
    }

    /// Goes on where a predecessor in this process was, which had said that it reloads.
    pub(crate) const fn resume(&mut self) {
        self.phase = Phase::Reloading;
    }

    /// Says, once, that the server stops.
    pub(crate) fn stopping(&mut self, status: &str) {
        match self.phase {
            Phase::Stopping => self.status(status),
            _ => self.enter(Phase::Stopping, "STOPPING=1", status),
        }
    }

    /// Shows a line in `systemctl status`; nothing is sent when it is the same as before.
    pub(crate) fn status(&mut self, status: &str) {
        let status = one_line(status);
        if status != self.status {
            self.tell(format!("STATUS={status}\n"));
            self.status = status;
        }
    }

    /// Asks for this much time from now on to start, reload or stop, where less was left.
    pub(crate) fn extend(&mut self, by: Duration) {
        self.tell(format!("EXTEND_TIMEOUT_USEC={}\n", by.as_micros()));
    }

    /// Gives copies of descriptors into custody: who is started after our death gets them back.
    ///
    /// A descriptor that is there already is not stored twice. The unit must allow as many with
    /// `FileDescriptorStoreMax=`; 253 at most go with one call.
    pub(crate) fn store(&mut self, name: &str, fds: &[BorrowedFd<'_>]) {
        let Some(line) = &mut self.line else { return };
        // Without FDPOLL=0 the manager drops a listener that a handler has shut down, though the
        // spawner can mend it.
        let text = format!("FDSTORE=1\nFDNAME={}\nFDPOLL=0\n", fd_name(name));
        for some in fds.chunks(MOST_DESCRIPTORS) {
            line.send(text.clone(), some);
        }
    }

    /// Ends the custody of all that was stored under this name.
    pub(crate) fn unstore(&mut self, name: &str) {
        self.tell(format!("FDSTOREREMOVE=1\nFDNAME={}\n", fd_name(name)));
    }

    /// Ends the custody of stored listeners that no address has claimed, and closes them.
    ///
    /// To be called when all addresses are open and before anything is stored: otherwise clients
    /// would queue for ever at an address that is no longer served.
    pub(crate) fn forget_unclaimed(&mut self) {
        for (name, _listener) in unclaimed() {
            tracing::info!("{name}: a listener of an earlier server; no address claims it");
            self.unstore(&name);
        }
    }

    /// The monotonic moment at which [`Manager::ping`] has something to do.
    pub(crate) fn next_ping(&self) -> Option<Duration> {
        let retry = self.line.as_ref().and_then(|line| line.retry);
        let ping = self.watchdog.map(|watchdog| watchdog.next);
        retry.into_iter().chain(ping).min()
    }

    /// Tells the watchdog that the spawner's loop is alive, if it is time, and sends what was kept.
    pub(crate) fn ping(&mut self, now: Duration) {
        if let Some(line) = &mut self.line {
            line.flush(now);
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| watchdog.next <= now) {
            watchdog.next = now + watchdog.pause;
            self.tell("WATCHDOG=1\n".into());
        }
    }

    fn enter(&mut self, phase: Phase, what: &str, status: &str) {
        self.phase = phase;
        self.status = one_line(status);
        self.tell(format!("{what}\nSTATUS={}\n", self.status));
    }

    fn tell(&mut self, text: String) {
        if let Some(line) = &mut self.line {
            line.send(text, &[]);
        }
    }
}

/// A line of text alone: what it says must not be taken for another assignment.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// A name that systemd accepts, and gives back in the colon-separated `LISTEN_FDNAMES`.
fn fd_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != ':' { c } else { '-' };
    name.chars().map(plain).take(LONGEST_NAME).collect()
}
