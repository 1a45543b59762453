//! Becoming another program: rehearse, lay the baton down, exec; and take up where it was.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, WaitStatus};

use super::Spawner;
use super::change::Event;
use super::changing::Kind;
use super::control::Control;
use super::event::Source;
use super::handover::{Baton, ChangeState, FORM, settle, taken};
use super::rehearsal::Rehearsal;
use crate::error::{Doing, Result};
use crate::pool::{Plan, Pool};
use crate::sys::clock;
use crate::sys::exec::own_arguments;
use crate::sys::poller::Interest;

/// The program that runs now, even if its file was replaced.
const OWN: &str = "/proc/self/exe";

fn open_program(path: &Path) -> Result<File, String> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        Err(error) => Err(format!(
            "the new program {} cannot be opened: {error}; put it there and try again",
            path.display()
        )),
    }
}

impl Spawner {
    /// Lets the new program show that it can go on from here.
    pub(super) fn rehearse(&mut self) {
        let upgrades = self.change.kind == Kind::Upgrade;
        let path = if upgrades { self.program.as_path() } else { Path::new(OWN) };
        let begun = open_program(path).and_then(|program| {
            self.change.program = Some(program);
            self.begin_rehearsal().map_err(|error| format!("no rehearsal is possible: {error}"))
        });
        if let Err(problem) = begun {
            self.change_failed(problem);
        }
    }

    fn begin_rehearsal(&mut self) -> std::io::Result<()> {
        let what = match self.change.kind {
            Kind::Reload => "the new configuration",
            Kind::Upgrade => "the new program",
        };
        let old = open_program(Path::new(OWN)).map_err(std::io::Error::other)?;
        let program = self.change.program.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        let baton = self.baton(program, &old, None);
        let rehearsal = Rehearsal::begin(what, program, &baton, self.rehearsal_limit)?;
        self.poller.add(&rehearsal.words, Source::Rehearsal.token(), Interest::Read)?;
        self.change.rehearsal = Some(rehearsal);
        Ok(())
    }

    pub(super) fn hear_rehearsal(&mut self) {
        if let Some(rehearsal) = &mut self.change.rehearsal
            && !rehearsal.hear()
        {
            let _ = self.poller.remove(&rehearsal.words);
        }
    }

    /// Ends a rehearsal that takes too long.
    pub(super) fn end_late_rehearsal(&mut self) {
        if let Some(rehearsal) = &mut self.change.rehearsal
            && rehearsal.until <= clock::now()
        {
            rehearsal.kill();
        }
    }

    /// Learns that a child has ended; returns whether it was one that rehearsed.
    pub(super) fn rehearsal_ended(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let Some(rehearsal) = self.change.rehearsal.take_if(|it| it.pid() == pid) else {
            return false;
        };
        let _ = self.poller.remove(&rehearsal.words);
        match rehearsal.judge(status) {
            Ok(()) => self.step_change(Event::Rehearsed),
            Err(problem) => self.change_failed(problem),
        }
        true
    }

    /// Describes everything that a successor must know.
    fn baton(&self, program: &File, old_program: &File, problem: Option<String>) -> Baton {
        let (configuration, old_arguments) = match problem {
            Some(_) => (self.change.old_configuration.clone(), self.change.old_arguments.clone()),
            None => (self.configuration.clone(), own_arguments()),
        };
        let (folder, lock) = self.control.folder();
        let present = self.pools.iter().filter(|pool| !pool.has_retired());
        Baton {
            form: FORM,
            spawner: rustix::process::getpid().as_raw_pid(),
            name: self.name.clone(),
            started: self.started,
            upgrades: self.upgrades,
            journal: self.journal.clone(),
            folder,
            lock,
            control: self.control.socket.as_raw_fd(),
            clients: self.control.talks(),
            wishes: self.wishes.clone(),
            change: ChangeState {
                kind: self.change.kind,
                since: self.change.since,
                problem,
                configuration,
                old_arguments,
                old_program: old_program.as_raw_fd(),
                program: program.as_raw_fd(),
                path: self.program.clone(),
            },
            pools: present.map(Pool::state_of_affairs).collect(),
            numbers: Vec::new(),
        }
    }

    /// Becomes the new program; comes back only if that is not possible.
    pub(super) fn replace(&mut self) {
        let Some(program) = self.change.program.take() else { return };
        let error = match open_program(Path::new(OWN)) {
            Ok(old) => self.become_program(&program, &self.baton(&program, &old, None)),
            Err(problem) => std::io::Error::other(problem),
        };
        self.change_failed(format!("this process could not become the new program: {error}"));
    }

    /// Becomes the old program again; comes back only if that is not possible.
    pub(super) fn return_to_old_program(&mut self) {
        let Some(old) = self.change.old_program.take() else { return };
        let problem = self.problem_of_change();
        let baton = self.baton(&old, &old, Some(problem.clone()));
        let error = self.become_program(&old, &baton);
        self.change_failed(format!("{problem}; and the program from before is lost: {error}"));
    }

    /// Keeps the program that runs beside the pools.
    pub(super) fn keep_companion(&mut self) {
        if self.companion.due().is_some_and(|due| due <= clock::now())
            && let Ok(own) = open_program(Path::new(OWN))
        {
            self.companion.keep(&own);
        }
    }

    fn become_program(&self, program: &File, baton: &Baton) -> std::io::Error {
        self.pools.iter().for_each(Pool::restore_limits);
        self.pools.iter().for_each(Pool::end_templates);
        self.companion.end_for_now();
        let comes_back = baton.change.problem.is_some();
        let arguments = baton.change.old_arguments.clone();
        let arguments = if comes_back { arguments } else { own_arguments() };
        let error = baton.become_program(program, arguments);
        crate::pool::descriptors::raise_again();
        error
    }

    /// Takes up where the program before this one was.
    pub(super) fn resume(setting: super::Setting, baton: Baton, plans: Vec<Plan>) -> Result<Self> {
        let mut states = baton.pools;
        let mut pools = Vec::new();
        for plan in plans {
            let at = states.iter().position(|state| state.name == plan.name);
            pools.push(match at {
                Some(at) => Pool::resume(plan, states.swap_remove(at))?,
                None => Pool::new(plan)?,
            });
        }
        for state in states {
            pools.push(Pool::left_over(state)?);
        }
        let folder = super::RuntimeDir::resume(baton.folder, taken(baton.lock)?, baton.spawner);
        let control = Control::of(folder, setting.access.clone(), taken(baton.control)?.into());
        let mut spawner = Self::with(setting, control, pools)?;
        spawner.name = baton.name;
        spawner.started = baton.started;
        spawner.succeeds = true;
        spawner.upgrades = baton.upgrades;
        spawner.service.resume();
        spawner.journal = baton.journal;
        spawner.wishes = baton.wishes;
        spawner.program.clone_from(&baton.change.path);
        for client in baton.clients {
            let number = client.number;
            spawner.control.resume(client, clock::now())?;
            if let Some((stream, interest)) = spawner.control.watched(number) {
                let token = Source::Client(number).token();
                spawner.poller.add(stream, token, interest).doing("watch a client")?;
            }
        }
        spawner.resume_change(baton.change)?;
        settle(&baton.numbers);
        Ok(spawner)
    }
}
