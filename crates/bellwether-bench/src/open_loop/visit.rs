//! One connection: connect, ask, read until the end.

use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::record::{Outcome, Record};
use super::wire::Target;

/// A longer answer than this is a wrong one.
const LONGEST: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Visit {
    socket: OwnedFd,
    number: u64,
    /// What is still to be sent.
    request: Vec<u8>,
    answer: Vec<u8>,
    record: Record,
}

impl Visit {
    /// Connects and, as loopback mostly does so at once, also asks.
    pub(super) fn connect(
        target: &Target,
        number: u64,
        request: Vec<u8>,
        record: Record,
        start: Instant,
    ) -> Result<Self, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        let mut visit = Self { socket, number, request, answer: Vec::new(), record };
        match net::connect(&visit.socket, &target.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(Errno::ADDRNOTAVAIL) => return Err(Errno::ADDRNOTAVAIL),
            // Any other refusal shows again as an event.
            Err(_) => return Ok(visit),
        }
        visit.ask(start.elapsed()).ok();
        Ok(visit)
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// What it waits for now.
    pub(super) fn interest(&self) -> EventFlags {
        if self.request.is_empty() { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT }
    }

    /// Goes on when something happened; says what came of it, if it ended.
    pub(super) fn advance(&mut self, now: Duration, target: &Target) -> Option<Record> {
        if !self.request.is_empty() && self.ask(now).is_err() {
            return Some(self.record.ended(now, Outcome::Reset));
        }
        match self.read(now) {
            Ok(false) => None,
            Ok(true) => Some(self.judge(now, target)),
            Err(_) => Some(self.record.ended(now, Outcome::Reset)),
        }
    }

    pub(super) fn give_up(self, now: Duration) -> Record {
        self.record.ended(now, Outcome::Unanswered)
    }

    fn ask(&mut self, now: Duration) -> Result<(), Errno> {
        match net::send(&self.socket, &self.request, SendFlags::NOSIGNAL) {
            Ok(length) => {
                self.request.drain(..length);
                self.record.connected.get_or_insert(now);
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Reads what is there; whether the connection ended.
    fn read(&mut self, now: Duration) -> Result<bool, Errno> {
        let mut buffer = [0; 1024];
        loop {
            match net::recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(true),
                Ok((length, _)) => {
                    self.record.first_byte.get_or_insert(now);
                    self.answer.extend_from_slice(&buffer[..length]);
                    if self.answer.len() > LONGEST {
                        return Ok(true);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn judge(&mut self, now: Duration, target: &Target) -> Record {
        let told = target.told(self.number, &self.answer);
        let outcome = match told.number {
            Some(number) if number == self.number => Outcome::Answered,
            _ if told.refused => Outcome::Refused,
            _ if self.answer.is_empty() => Outcome::Reset,
            _ => Outcome::Wrong,
        };
        self.record.told = told;
        self.record.ended(now, outcome)
    }
}
