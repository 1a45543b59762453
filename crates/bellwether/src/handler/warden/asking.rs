//! Asking a program whether it is ready: until it has answered a request of HTTP itself.
//!
//! All handlers share one queue, so any of them may take a question. As long as others do, more are
//! asked at once: where they wait in a fixed order, the last comes to a turn only while those before
//! it are occupied.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrAny, getsockname};
use rustix::process::getpid;

use super::question::{Outcome, Question};
use super::{SOON, UNSEEN, Warden, family};
use crate::program::evidence::Evidence;
use crate::program::family::Family;
use crate::program::in_hand::holds;
use crate::program::readiness::{Waits, how_it_waits};
use crate::program::{Program, Ready};

/// How long it takes from an answer to the next question: at first, and at last.
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_millis(100);
/// How many questions are asked at once at most.
const MOST: usize = 8;
/// How soon it is looked who has accepted a question, so that others are not held up by it.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The questions to one program.
#[derive(Debug)]
pub(super) struct Asking {
    path: String,
    place: io::Result<SocketAddrAny>,
    questions: Vec<Question>,
    /// How many are asked the next time, when that is, and how long it will be to the one after.
    many: usize,
    next: Duration,
    pause: Duration,
    /// Whether the program has been seen to wait for questions.
    begun: bool,
    /// What was seen last that the program itself did or did not do.
    seen: Option<String>,
}

impl Asking {
    /// For a program that is asked at this address; `None` for one that is not asked.
    pub(super) fn of(program: &Program, listener: Option<impl AsFd>) -> Option<Self> {
        let Ready::Http(path) = &program.ready else { return None };
        Some(Self {
            path: path.clone(),
            place: listener.map_or_else(|| Err(io::ErrorKind::NotFound.into()), place),
            questions: Vec::new(),
            many: 1,
            next: Duration::ZERO,
            pause: SHORT,
            begun: false,
            seen: None,
        })
    }

    /// Returns how long nothing need happen, once it is asked at all.
    pub(super) fn patience(&self, now: Duration) -> Option<Duration> {
        let patience = match &self.questions[..] {
            [] => self.next.saturating_sub(now).max(AT_ONCE),
            some if some.iter().any(Question::is_undecided) => AT_ONCE,
            _ => SOON,
        };
        self.begun.then_some(patience)
    }

    /// Says what was seen last.
    pub(super) fn seen(&self) -> String {
        let path = &self.path;
        match &self.seen {
            Some(seen) => format!("GET {path} {seen}"),
            None if self.begun => format!("GET {path} was answered by another handler so far"),
            None => format!("GET {path} was not asked, as it does not wait at its address"),
        }
    }

    /// Goes a step further; tells whether the program has answered as it should.
    fn proceed(&mut self, now: Duration) -> bool {
        if self.questions.is_empty() && self.next <= now {
            self.ask();
        }
        let is_own = |inode| holds(&Family::of(getpid()), inode);
        let mut outcomes = Vec::new();
        self.questions.retain_mut(|question| match question.proceed(now, is_own) {
            Some(outcome) => {
                outcomes.push(outcome);
                false
            }
            None => true,
        });
        if self.seen.is_none() && self.questions.iter().any(Question::is_with_the_program) {
            self.seen = Some("has no answer yet".into());
        }
        let is_ready = outcomes.into_iter().any(|outcome| self.note(outcome));
        if self.questions.is_empty() && self.next <= now {
            self.next = now + self.pause;
            self.pause = (self.pause * 3 / 2).min(LONG);
        }
        is_ready
    }

    fn ask(&mut self) {
        let place = match &self.place {
            Ok(place) => place,
            Err(error) => return self.seen = Some(format!("cannot be asked: {error}")),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bellwether-ready/1\r\n\
             Connection: close\r\n\r\n",
            self.path
        );
        for _ in 0..self.many {
            match Question::ask(place, request.as_bytes()) {
                Ok(question) => self.questions.push(question),
                Err(error) => self.seen = Some(format!("cannot be asked: {error}")),
            }
        }
    }

    /// Takes what became of a question; tells whether it makes the program ready.
    fn note(&mut self, outcome: Outcome) -> bool {
        self.many = if outcome == Outcome::Elsewhere { (self.many * 2).min(MOST) } else { 1 };
        let seen = match outcome {
            Outcome::Answered(..400) => return true,
            Outcome::Elsewhere => return false,
            Outcome::Answered(status) => format!("was answered {status}"),
            Outcome::Nonsense => "had an answer that is no HTTP".into(),
            Outcome::Closed => "had no answer, and the connection was closed".into(),
            Outcome::Unseen(error) => format!("cannot be seen to be answered: {error}"),
        };
        self.seen = Some(seen);
        false
    }
}

impl Warden<'_> {
    /// Asks the program, once it waits for connections, as far as that can be seen.
    pub(super) fn ask(&mut self, now: Duration) -> Option<Evidence> {
        let begins = self.asking.as_ref().is_some_and(|it| !it.begun) && self.can_be_asked(now);
        let asking = self.asking.as_mut()?;
        asking.begun |= begins;
        if !asking.begun {
            return None;
        }
        let before = asking.seen();
        if asking.proceed(now) {
            // Whoever has one of the others is to have it whole.
            asking.questions.iter_mut().for_each(Question::finish);
            self.asking = None;
            return Some(Evidence::Http);
        }
        if asking.seen() != before || begins {
            self.say_why_not();
        }
        None
    }

    /// Tells whether the program waits for connections, as far as can be seen.
    fn can_be_asked(&mut self, now: Duration) -> bool {
        if let (Some(port), Some(asking)) = (&self.port, &mut self.asking) {
            let found = port.found(&family());
            found.iter().for_each(|place| asking.place = Ok((*place).into()));
            return found.is_some();
        }
        match how_it_waits(&family(), &self.inodes) {
            // Waiting or not: from now on an answer tells more than what can be seen.
            Some(Waits::Holds | Waits::Unknown) => now.saturating_sub(self.since) >= UNSEEN,
            Some(Waits::Poll | Waits::Accept | Waits::Epoll) => true,
            None => false,
        }
    }
}

/// Where a listener is reached from its own machine.
fn place(listener: impl AsFd) -> io::Result<SocketAddrAny> {
    let name = getsockname(listener)?;
    if name.address_family() == AddressFamily::UNIX {
        return Ok(name);
    }
    let mut place = SocketAddr::try_from(name)?;
    match place.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => place.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => place.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(place.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn asking() -> Asking {
        let program = Program::new("x").ready(Ready::Http("/up".into()));
        Asking::of(&program, Some(TcpListener::bind("127.0.0.1:0").unwrap())).unwrap()
    }

    #[test]
    fn a_listener_at_all_addresses_is_asked_at_its_own() {
        let check = |bound: &str, expected: &str| {
            let Ok(listener) = TcpListener::bind(bound) else {
                println!("SKIPPED: no {bound}");
                return;
            };
            let place = SocketAddr::try_from(place(listener).unwrap()).unwrap();
            assert_eq!(place.ip().to_string(), expected, "{bound}");
        };
        check("0.0.0.0:0", "127.0.0.1");
        check("[::]:0", "::1");
        check("127.0.0.2:0", "127.0.0.2");
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        assert_eq!(place(&listener).unwrap().address_family(), AddressFamily::UNIX);
    }

    #[test]
    fn the_last_thing_that_the_program_did_is_told() {
        let mut asking = asking();
        let mut check = |outcome: Option<Outcome>, ready, words: &str| {
            asking.begun |= outcome.is_some();
            let is_ready = outcome.is_some_and(|outcome| asking.note(outcome));
            assert_eq!(is_ready, ready, "{words}");
            assert!(asking.seen().contains(words), "{:?}, not {words}", asking.seen());
        };
        check(None, false, "GET /up was not asked");
        check(Some(Outcome::Elsewhere), false, "by another handler so far");
        check(Some(Outcome::Answered(503)), false, "GET /up was answered 503");
        check(Some(Outcome::Elsewhere), false, "GET /up was answered 503");
        check(Some(Outcome::Closed), false, "closed");
        check(Some(Outcome::Nonsense), false, "no HTTP");
        check(Some(Outcome::Unseen("x".into())), false, "seen to be answered: x");
        check(Some(Outcome::Answered(400)), false, "400");
        check(Some(Outcome::Answered(302)), true, "400");
    }

    #[test]
    fn the_more_others_answer_the_more_are_asked_at_once() {
        let mut asking = asking();
        let mut many = |outcome| {
            asking.note(outcome);
            asking.many
        };
        assert_eq!([(); 5].map(|()| many(Outcome::Elsewhere)), [2, 4, 8, 8, 8]);
        assert_eq!(many(Outcome::Answered(503)), 1);
    }
}
