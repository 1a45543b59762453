//! Whether a program is ready: how its threads wait for connections at a listener.
//!
//! The kernel tells what an epoll watches (/proc/PID/fdinfo) and in which system call a thread
//! sleeps, with its arguments (/proc/PID/task/T/syscall). The latter needs the right to trace:
//! a parent that is no root has it, unless the program is set-uid or kernel.yama.ptrace_scope
//! is 2 or 3.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::ops::ControlFlow;
use std::os::fd::RawFd;

use rustix::process::Pid;

use super::call::{Call, READABLE};
use super::descriptors;

/// How a program waits for connections; the best evidence last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waits {
    /// It has the listener; that it waits there is not seen. It may be starting or busy, or wait
    /// in a way that leaves no trace (io_uring).
    Holds,
    /// The kernel does not let us look.
    Unknown,
    /// A thread sleeps in poll or select, and the listener is among what it waits for.
    Poll,
    /// A thread sleeps in accept.
    Accept,
    /// An epoll is armed with the listener.
    Epoll,
}

/// How a program waits, and how many of its threads sleep in accept, poll or select to do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) how: Waits,
    pub(crate) threads: usize,
}

/// Of processes with more threads only the first are asked.
const MOST_THREADS: usize = 512;

/// Of an epoll with more to watch only the first are read: a line has about 70 bytes.
const LONGEST: u64 = 1 << 20;

/// How processes wait at listeners; `None` when none of them has one.
pub(crate) fn how_it_waits(pids: &[Pid], listener_inodes: &[u64]) -> Option<Waits> {
    waiting(pids, listener_inodes).map(|it| it.how)
}

/// The same with the number of threads. It costs a few µs a descriptor and 10 µs a thread.
pub(crate) fn waiting(pids: &[Pid], listener_inodes: &[u64]) -> Option<Waiting> {
    let each = pids.iter().filter_map(|pid| of_process(*pid, listener_inodes));
    each.reduce(|one, other| Waiting {
        how: one.how.max(other.how),
        threads: one.threads + other.threads,
    })
}

fn of_process(pid: Pid, listeners: &[u64]) -> Option<Waiting> {
    let seen = match Holdings::of(pid, listeners) {
        Err(error) if is_refusal(&error) => Err(error),
        Err(_) => return None,
        Ok(holdings) if holdings.listeners.is_empty() => return None,
        Ok(holdings) => holdings.waiting(pid, listeners),
    };
    Some(seen.unwrap_or(Waiting { how: Waits::Unknown, threads: 0 }))
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// The descriptors of a process that matter here.
#[derive(Debug, Default)]
struct Holdings {
    listeners: Vec<RawFd>,
    epolls: Vec<RawFd>,
}

impl Holdings {
    fn of(pid: Pid, listeners: &[u64]) -> io::Result<Self> {
        let mut found = Self::default();
        descriptors::visit(pid, |number, link| {
            if link == b"anon_inode:[eventpoll]" {
                found.epolls.push(number);
            } else if descriptors::socket(link).is_some_and(|inode| listeners.contains(&inode)) {
                found.listeners.push(number);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn waiting(&self, pid: Pid, listeners: &[u64]) -> io::Result<Waiting> {
        let is_armed = self.epolls.iter().any(|epoll| is_armed(pid, *epoll, listeners));
        let asleep = match asleep(pid, &self.listeners) {
            Err(_) if is_armed => Vec::new(),
            asleep => asleep?,
        };
        let best = asleep.iter().copied().max().unwrap_or(Waits::Holds);
        let how = if is_armed { Waits::Epoll } else { best };
        Ok(Waiting { how, threads: asleep.len() })
    }
}

/// Tells whether an epoll waits for one of the listeners.
fn is_armed(pid: Pid, epoll: RawFd, listeners: &[u64]) -> bool {
    watched(pid, epoll, listeners).next().is_some()
}

/// The descriptors of listeners that an epoll waits for.
fn watched(pid: Pid, epoll: RawFd, listeners: &[u64]) -> impl Iterator<Item = RawFd> {
    let file = File::open(format!("/proc/{pid}/fdinfo/{epoll}")).into_iter();
    let lines =
        file.flat_map(|file| BufReader::new(file.take(LONGEST)).lines().map_while(Result::ok));
    let armed = lines.filter_map(|line| armed(&line));
    armed.filter(|(_, inode)| listeners.contains(inode)).map(|(number, _)| number)
}

/// Where processes wait for listeners by epoll: process, epoll, and listener, by their numbers.
pub(crate) fn watches(pids: &[Pid], listener_inodes: &[u64]) -> Vec<(Pid, RawFd, RawFd)> {
    let mut found = Vec::new();
    for pid in pids {
        let holdings = Holdings::of(*pid, listener_inodes).unwrap_or_default();
        for epoll in holdings.epolls {
            let listeners = watched(*pid, epoll, listener_inodes);
            found.extend(listeners.map(|listener| (*pid, epoll, listener)));
        }
    }
    found
}

/// Number and inode in a line of fdinfo (proc_pid_fdinfo(5)), if the epoll waits for something to read.
///
/// `tfd:       19 events:       19 data:               13  pos:0 ino:25ee16c sdev:9`
fn armed(line: &str) -> Option<(RawFd, u64)> {
    let mut words = line.strip_prefix("tfd:")?.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let events = words.by_ref().skip_while(|word| *word != "events:").nth(1)?;
    let events = u32::from_str_radix(events, 16).ok()?;
    let inode = words.find_map(|word| word.strip_prefix("ino:"))?;
    let inode = u64::from_str_radix(inode, 16).ok()?;
    (events & u32::from(READABLE) != 0).then_some((number, inode))
}

/// How each thread waits that sleeps in accept, poll or select for one of the listeners.
fn asleep(pid: Pid, listeners: &[RawFd]) -> io::Result<Vec<Waits>> {
    let mut found = Vec::new();
    let mut refusal = None;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten().take(MOST_THREADS) {
        match fs::read_to_string(task.path().join("syscall")) {
            Ok(text) => {
                found.extend(Call::parse(&text).and_then(|it| waits_by(it, pid, listeners)))
            }
            // A kernel without this file tells as little as one that refuses; but one thread may
            // just have ended.
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if found.is_empty() && is_refusal(&error) => Err(error),
        _ => Ok(found),
    }
}

/// How a thread waits that sleeps in this call, if it is for one of the listeners.
fn waits_by(call: Call, pid: Pid, listeners: &[RawFd]) -> Option<Waits> {
    let is_for = |it: &[RawFd]| it.iter().any(|number| listeners.contains(number));
    match call {
        Call::Accept(listener) => is_for(&[listener]).then_some(Waits::Accept),
        Call::Poll { .. } | Call::Select { .. } => {
            is_for(&call.watched(pid)?).then_some(Waits::Poll)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trial::{Trial, eventually, inode, listener};
    use super::*;

    /// Starts it on a listener as its input and waits until it waits so.
    fn check(program: &str, arguments: &[&str], expected: Waiting) {
        let listener = listener();
        let Some(trial) = Trial::on(&listener, program, arguments) else { return };
        let inodes = [inode(&listener)];
        eventually(&format!("{program} to be {expected:?}"), || {
            let seen = waiting(trial.family().pids(), &inodes);
            (seen == Some(expected)).then_some(())
        });
        let how = how_it_waits(trial.family().pids(), &inodes);
        assert_eq!(how, Some(expected.how), "{program} {arguments:?}");
        assert_eq!(how_it_waits(trial.family().pids(), &[1]), None);
    }

    fn python(script: &str, how: Waits, threads: usize) {
        let socket = "import socket, select, threading, time; s = socket.socket(fileno=0)";
        check("python3", &["-c", &format!("{socket}\n{script}")], Waiting { how, threads });
    }

    #[test]
    fn a_blocking_accept_is_seen() {
        python("s.accept()", Waits::Accept, 1);
    }

    #[test]
    fn every_thread_in_accept_counts() {
        python("for _ in range(3): threading.Thread(target=s.accept).start()", Waits::Accept, 3);
    }

    #[test]
    fn poll_and_select_are_seen_where_they_wait_for_the_listener() {
        python("p = select.poll(); p.register(s); p.poll()", Waits::Poll, 1);
        python("select.select([s], [], [])", Waits::Poll, 1);
    }

    #[test]
    fn who_waits_for_something_else_is_not_ready() {
        python("time.sleep(99)", Waits::Holds, 0);
        python("select.select([], [], [s])", Waits::Holds, 0);
        let other = "o, _ = socket.socketpair(); p = select.poll(); p.register(o); p.poll()";
        python(other, Waits::Holds, 0);
        let disarmed = "e = select.epoll(); e.register(s, select.EPOLLET); e.poll()";
        python(disarmed, Waits::Holds, 0);
    }

    #[test]
    fn an_armed_epoll_is_seen() {
        let epoll = "e = select.epoll(); e.register(s, select.EPOLLIN); time.sleep(99)";
        python(epoll, Waits::Epoll, 0);
    }

    #[test]
    fn programs_nobody_changed_are_seen_to_be_ready() {
        let http = "import http.server as h, socket; \
                    s = h.ThreadingHTTPServer(('', 0), h.BaseHTTPRequestHandler, False); \
                    s.socket = socket.socket(fileno=0); s.serve_forever()";
        check("python3", &["-c", http], Waiting { how: Waits::Poll, threads: 1 });
        let node = "require('http').createServer((q, r) => r.end()).listen({fd: 0})";
        check("node", &["-e", node], Waiting { how: Waits::Epoll, threads: 0 });
    }

    /// Starts a program that opens its own listener and waits until it waits so.
    fn check_own(program: &str, arguments: &[&str], expected: Waits) {
        let Some(trial) = Trial::start(program, arguments) else { return };
        eventually(&format!("{program} to be {expected:?}"), || {
            let family = trial.family();
            let mut sockets = Vec::new();
            for pid in family.pids() {
                let _ = descriptors::visit(*pid, |_, link| {
                    sockets.extend(descriptors::socket(link));
                    ControlFlow::Continue(())
                });
            }
            (how_it_waits(family.pids(), &sockets) == Some(expected)).then_some(())
        });
    }

    #[test]
    fn servers_with_a_port_of_their_own_are_seen_to_be_ready() {
        check_own("python3", &["-m", "http.server", "0", "--bind", "127.0.0.1"], Waits::Poll);
        check_own("php", &["-S", "127.0.0.1:0"], Waits::Poll);
    }

    #[test]
    fn java_is_seen_to_be_ready() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("Hello.java");
        let program = "public class Hello { public static void main(String[] a) throws Exception {
            var address = new java.net.InetSocketAddress(\"127.0.0.1\", 0);
            com.sun.net.httpserver.HttpServer.create(address, 0).start(); } }";
        fs::write(&source, program).unwrap();
        check_own("java", &[source.to_str().unwrap()], Waits::Epoll);
    }

    #[test]
    fn a_missing_process_does_not_wait() {
        assert_eq!(how_it_waits(&[Pid::from_raw(i32::MAX).unwrap()], &[1]), None);
        assert_eq!(how_it_waits(&[], &[1]), None);
    }

    #[test]
    fn what_may_not_be_looked_into_is_unknown() {
        if rustix::process::geteuid().is_root() {
            println!("SKIPPED: root may look into everything");
            return;
        }
        assert_eq!(how_it_waits(&[Pid::INIT], &[1]), Some(Waits::Unknown));
    }

    #[test]
    fn a_line_of_an_epoll_names_what_is_armed() {
        let line = |events: &str| {
            format!("tfd:       19 events: {events:>8} data:               13  pos:0 ino:ff sdev:9")
        };
        let check = |line: &str, expected| assert_eq!(armed(line), expected, "{line}");
        check(&line("19"), Some((19, 255)));
        check(&line("80002001"), Some((19, 255)));
        check(&line("40"), Some((19, 255)));
        check(&line("40000000"), None);
        check(&line("4"), None);
        check("eventfd-count:                0", None);
        check("tfd: 1 events: 19", None);
    }

    proptest! {
        #[test]
        fn rubbish_is_no_evidence(text in "\\PC{0,90}") {
            let _ = armed(&text);
            let _ = armed(&format!("tfd: {text}"));
        }
    }
}
