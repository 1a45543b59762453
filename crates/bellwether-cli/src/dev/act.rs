//! Doing what the course says: one process, one address that stays, one attempt at a time.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use bellwether::{Address, Error, Listener, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::attempt::{Attempt, describe, has_cut, was_told};
use super::command::Dev;
use super::course::{Action, Course, Event};
use super::notices::{Notice, Notices};
use super::signals::Signals;
use super::tell;
use super::watch::Watch;
use crate::ending::{CUT, Ending};
use crate::log;
use crate::run::plan::Plan;

/// A program in the making.
struct Workshop {
    listeners: Vec<(Listener, String)>,
    /// From where paths are told.
    folder: PathBuf,
    watch: Watch,
    notices: Notices,
    stop: Signals,
    stop_at_once: Signals,
    attempt: Option<Attempt>,
    /// Why it does not serve, if it has said so.
    problem: Option<String>,
    /// How the last attempt has ended.
    last: Option<ExitStatus>,
    course: Course,
    begun: Instant,
}

/// Runs a program, and runs it anew whenever a file has changed, until this process is told to stop.
pub(super) fn run(order: &Dev) -> Result<(), Ending> {
    log::start()?;
    let mut workshop = Workshop::open(order)?;
    workshop.start()?;
    workshop.work()?;
    let cut = workshop.last.is_some_and(has_cut);
    if cut { Err(Ending::Said(CUT)) } else { Ok(()) }
}

impl Workshop {
    /// Opens all that stays, after a look whether the program can be run at all.
    fn open(order: &Dev) -> Result<Self> {
        let settings = order.settings();
        let plan = Plan::of(&settings)?;
        let folder = settings.directory.clone().unwrap_or_else(|| ".".into());
        let folder = folder.canonicalize().map_err(doing("find the folder to watch"))?;
        let mut watch = Watch::begin(&folder, &order.watch, &order.ignore)?;
        // Until then Ctrl-C simply ends us.
        let addresses = order.addresses(&plan)?;
        // What has changed until now the first start sees.
        watch.changes();
        // Before the addresses are open: what holds them has to leave in good order.
        let stop = Signals::to_stop().map_err(doing("heed signals"))?;
        let stop_at_once = Signals::to_stop_at_once().map_err(doing("heed signals"))?;
        let notices = Notices::open()?;
        let listeners = opened(&addresses)?;
        let places: Vec<_> = listeners.iter().map(|(listener, _)| listener).collect();
        tell::begin(&settings.command, &places, &watch, &folder);
        Ok(Self {
            listeners,
            folder,
            watch,
            notices,
            stop,
            stop_at_once,
            attempt: None,
            problem: None,
            last: None,
            course: Course::begin(Duration::ZERO),
            begun: Instant::now(),
        })
    }

    /// Goes on until it is time to leave.
    fn work(&mut self) -> Result<()> {
        loop {
            self.wait()?;
            for event in self.happened() {
                let action = self.course.step(event, self.begun.elapsed());
                if action == Some(Action::Leave) {
                    return Ok(());
                }
                self.act(action)?;
            }
        }
    }

    /// Waits until something happens, or it is time for something.
    fn wait(&self) -> Result<()> {
        let limit = self.course.due().map(|due| {
            let rest = due.saturating_sub(self.begun.elapsed());
            Timespec {
                tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: rest.subsec_nanos().into(),
            }
        });
        let signals = [self.stop.as_fd(), self.stop_at_once.as_fd()];
        let program = self.attempt.as_ref().map(AsFd::as_fd);
        let sources = signals.into_iter().chain(program);
        let sources = sources.chain([self.watch.as_fd(), self.notices.as_fd()]);
        let mut polled: Vec<_> =
            sources.map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)).collect();
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(doing("wait for changes")(errno.into())),
        }
    }

    /// What has happened since the last time.
    fn happened(&mut self) -> Vec<Event> {
        // Whoever has ended says nothing more: all its words are there to be read below.
        let ended = self.attempt.as_mut().and_then(Attempt::ended);
        let mut events = Vec::new();
        for notice in self.notices.from(self.attempt.as_ref().map(Attempt::pid)) {
            match notice {
                Notice::Ready => events.push(Event::Ready),
                Notice::Problem(problem) => self.problem = Some(problem),
            }
        }
        if let Some(status) = ended {
            (self.attempt, self.last) = (None, Some(status));
            events.push(Event::Ended { told: was_told(status) });
        }
        events.extend(self.watch.changes().into_iter().map(Event::Changed));
        events.extend((0..self.stop.arrived()).map(|_| Event::Stop));
        events.extend((self.stop_at_once.arrived() > 0).then_some(Event::StopAtOnce));
        events.push(Event::Time);
        events
    }

    fn act(&mut self, action: Option<Action>) -> Result<()> {
        match action {
            Some(Action::Start) => self.start()?,
            Some(Action::End) => self.attempt.iter().for_each(Attempt::end),
            Some(Action::EndAtOnce) => self.attempt.iter().for_each(Attempt::end_at_once),
            Some(Action::TellReady) => {
                let (changes, since) = self.course.reason();
                let took = self.begun.elapsed().saturating_sub(since);
                tell::ready(changes, &self.folder, took);
            }
            Some(Action::TellEnded) => {
                tell::ended(self.course.reason().0, &self.folder, &self.why());
            }
            Some(Action::Leave) | None => {}
        }
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.problem = None;
        self.course.reconsider(|changes| self.watch.leave_out_what_passed(changes));
        self.attempt = Some(Attempt::start(&self.listeners, &self.notices)?);
        Ok(())
    }

    /// Why the program does not run.
    fn why(&self) -> String {
        let unsaid = || self.last.map_or_else(String::new, describe);
        self.problem.clone().unwrap_or_else(unsaid)
    }
}

/// Opens addresses, and returns with each listener what was typed behind `?`.
fn opened(addresses: &[Address]) -> Result<Vec<(Listener, String)>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let text = address.to_string();
        let options = text.split_once('?').map_or("", |(_, options)| options);
        let opened = Listener::open(std::slice::from_ref(address))?;
        listeners.extend(opened.into_iter().map(|it| (it, options.to_owned())));
    }
    Ok(listeners)
}

fn doing(what: &str) -> impl Fn(std::io::Error) -> Error {
    let doing = what.to_owned();
    move |source| Error::System { doing: doing.clone(), source }
}
