//! All connections that are open, and the clock that starts the next.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::record::{Outcome, Record};
use super::visit::Visit;
use super::wire::Target;
use crate::arrivals::Arrival;

/// More at once are not begun: the ports of one address end at about 28,000.
const MOST: usize = 20_000;
const ALARM: u64 = u64::MAX;

pub(super) struct Crowd {
    target: Target,
    epoll: OwnedFd,
    /// Epoll's own timeout is exact to a millisecond only.
    alarm: OwnedFd,
    start: Instant,
    visits: Vec<Option<Visit>>,
    free: Vec<usize>,
    begun: u64,
    records: Vec<Record>,
    events: Vec<epoll::Event>,
}

impl Crowd {
    pub(super) fn new(target: Target) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), EventFlags::IN)?;
        Ok(Self {
            target,
            epoll,
            alarm,
            start: Instant::now(),
            visits: Vec::new(),
            free: Vec::new(),
            begun: 0,
            records: Vec::new(),
            events: Vec::with_capacity(256),
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn len(&self) -> usize {
        self.visits.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a request, or writes down that it could not be sent.
    pub(super) fn begin(&mut self, arrival: Arrival) -> Result<()> {
        self.begun += 1;
        let record = Record::new(arrival, self.now());
        if self.len() >= MOST {
            self.records.push(record.ended(self.now(), Outcome::NotSent));
            return Ok(());
        }
        let request = self.target.request(self.begun, arrival.work);
        match Visit::connect(&self.target, self.begun, request, record, self.start) {
            Ok(visit) => self.add(visit),
            Err(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL) => {
                self.records.push(record.ended(self.now(), Outcome::NotSent));
                Ok(())
            }
            Err(errno) => Err(errno).context("cannot open a client's socket"),
        }
    }

    fn add(&mut self, visit: Visit) -> Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.visits.push(None);
            self.visits.len() - 1
        });
        let name = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, visit.socket(), name, visit.interest())?;
        self.visits[index] = Some(visit);
        Ok(())
    }

    /// Waits until something happens to a connection, or until `moment`.
    pub(super) fn wait(&mut self, moment: Duration) -> Result<()> {
        let time = moment.saturating_sub(self.now()).max(Duration::from_nanos(1));
        let once =
            Itimerspec { it_interval: Duration::ZERO.try_into()?, it_value: time.try_into()? };
        timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &once)?;
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for answers"),
        }
        for event in events.drain(..) {
            let name = event.data.u64();
            // Setting the alarm again also takes back that it rang.
            if name != ALARM {
                self.advance(usize::try_from(name)?)?;
            }
        }
        self.events = events;
        Ok(())
    }

    fn advance(&mut self, index: usize) -> Result<()> {
        let now = self.now();
        let Some(visit) = &mut self.visits[index] else { return Ok(()) };
        let before = visit.interest();
        if let Some(record) = visit.advance(now, &self.target) {
            self.records.push(record);
            self.visits[index] = None;
            self.free.push(index);
        } else if visit.interest() != before {
            let name = EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, visit.socket(), name, visit.interest())?;
        }
        Ok(())
    }

    /// Gives up those that are not answered, and says what came of all.
    pub(super) fn into_records(mut self) -> Vec<Record> {
        let now = self.now();
        let unanswered = self.visits.drain(..).flatten().map(|visit| visit.give_up(now));
        self.records.extend(unanswered);
        self.records
    }
}
