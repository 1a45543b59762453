//! Whether a program is serial or concurrent, judged by what was seen of it over time.
//!
//! A serial program has at most one connection for each thread that accepts, and a thread that
//! has one does not wait for another. An instant proves nothing, since a connection may end
//! between two looks; several do.

use super::readiness::{Waiting, Waits};

/// What a program does with connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One at a time, for each thread that accepts.
    Serial,
    /// Several at once.
    Concurrent,
    /// Not seen yet.
    #[default]
    Unknown,
}

/// So often a thread with a connection must be seen not to wait for another.
const ENOUGH: u32 = 3;

/// What was seen of a program so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Habits {
    is_armed: bool,
    /// Threads that were seen to wait at once.
    acceptors: usize,
    most_in_hand: usize,
    /// Looks at which every connection could have had an acceptor of its own, and at which not.
    apart: u32,
    together: u32,
}

impl Habits {
    /// Takes one look: how the program waits, and how many connections it has in hand, looked for
    /// at about the same time.
    pub(crate) fn observe(&mut self, waiting: Option<Waiting>, in_hand: usize) {
        self.most_in_hand = self.most_in_hand.max(in_hand);
        let Some(Waiting { how, threads }) = waiting else { return };
        self.is_armed |= how == Waits::Epoll;
        if threads > self.acceptors {
            // What was seen before was seen of too few.
            *self = Self { acceptors: threads, apart: 0, together: 0, ..*self };
        }
        if in_hand == 0 || self.acceptors == 0 || how == Waits::Unknown {
            return;
        }
        let votes =
            if threads + in_hand <= self.acceptors { &mut self.apart } else { &mut self.together };
        *votes = votes.saturating_add(1);
    }

    pub(crate) const fn kind(&self) -> Kind {
        let acceptors = if self.acceptors == 0 { 1 } else { self.acceptors };
        if self.is_armed || self.most_in_hand > acceptors {
            Kind::Concurrent
        } else if self.apart >= ENOUGH && self.apart >= self.together {
            Kind::Serial
        } else {
            Kind::Unknown
        }
    }

    /// How many connections a serial program can have at once, as far as was seen.
    #[cfg(test)]
    pub(crate) const fn acceptors(&self) -> usize {
        self.acceptors
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::super::in_hand::{Entrance, accepted};
    use super::super::readiness::waiting;
    use super::super::trial::{Trial, client, eventually, inode, listener};
    use super::*;

    fn check(looks: &[(Waits, usize, usize)], expected: Kind) {
        let mut habits = Habits::default();
        for &(how, threads, in_hand) in looks {
            habits.observe(Some(Waiting { how, threads }), in_hand);
        }
        assert_eq!(habits.kind(), expected, "{looks:?}");
    }

    #[test]
    fn little_proves_nothing() {
        check(&[], Kind::Unknown);
        check(&[(Waits::Accept, 1, 0); 9], Kind::Unknown);
        check(&[(Waits::Accept, 1, 0), (Waits::Holds, 0, 1)], Kind::Unknown);
        check(&[(Waits::Unknown, 0, 1); 9], Kind::Unknown);
        check(&[(Waits::Holds, 0, 1); 9], Kind::Unknown);
    }

    #[test]
    fn a_thread_that_never_waits_while_it_has_a_connection_is_serial() {
        let [idle, busy] = [(Waits::Accept, 1, 0), (Waits::Holds, 0, 1)];
        check(&[idle, busy, busy, busy], Kind::Serial);
        let ended_between_two_looks = (Waits::Poll, 1, 1);
        check(&[idle, busy, busy, ended_between_two_looks, busy], Kind::Serial);
        check(&[idle, ended_between_two_looks, ended_between_two_looks, busy], Kind::Unknown);
    }

    #[test]
    fn several_threads_that_accept_may_be_serial_each() {
        let idle = (Waits::Accept, 4, 0);
        let busy = (Waits::Accept, 1, 3);
        check(&[idle, busy, busy, (Waits::Holds, 0, 4)], Kind::Serial);
        // Before they were seen to be four, they seemed to be concurrent.
        check(&[busy, busy, busy], Kind::Concurrent);
        check(&[busy, busy, busy, idle], Kind::Unknown);
        check(&[busy, idle, busy, busy, busy], Kind::Serial);
        check(&[idle, (Waits::Accept, 0, 5)], Kind::Concurrent);
    }

    #[test]
    fn what_waits_by_epoll_or_has_several_is_concurrent() {
        check(&[(Waits::Epoll, 0, 0)], Kind::Concurrent);
        check(&[(Waits::Poll, 1, 2)], Kind::Concurrent);
        check(&[(Waits::Unknown, 0, 2)], Kind::Concurrent);
        let mut habits = Habits::default();
        habits.observe(None, 2);
        assert_eq!((habits.kind(), habits.acceptors()), (Kind::Concurrent, 0));
    }

    /// A server of Python's that answers one byte with one byte.
    fn server(of: &str) -> String {
        format!(
            "import socket, socketserver as v
class H(v.BaseRequestHandler):
    def handle(self):
        while (b := self.request.recv(1)): self.request.sendall(b)
s = v.{of}(('', 0), H, False); s.socket = socket.socket(fileno=0); s.serve_forever()"
        )
    }

    /// Looks at a server while two clients talk to it at once, one of them in vain if it is serial.
    fn check_server(of: &str, expected: Kind) {
        let listener = listener();
        let Some(trial) = Trial::on(&listener, "python3", &["-c", &server(of)]) else { return };
        let (inodes, entrance) = ([inode(&listener)], [Entrance::of(&listener).unwrap()]);
        let mut habits = Habits::default();
        let mut clients = Vec::new();
        eventually(of, || {
            let families = [trial.family()];
            let in_hand = accepted(&entrance, &families).unwrap()[0];
            habits.observe(waiting(families[0].pids(), &inodes), in_hand);
            if habits.acceptors() == 1 && clients.is_empty() {
                clients.extend([0; 2].map(|_| client(&listener)));
                clients[0].write_all(b"x").unwrap();
                clients[0].read_exact(&mut [0]).unwrap();
            }
            (habits.kind() != Kind::Unknown).then_some(())
        });
        assert_eq!(habits.kind(), expected, "{of}: {habits:?}");
    }

    #[test]
    fn real_servers_show_what_they_are() {
        check_server("TCPServer", Kind::Serial);
        check_server("ThreadingTCPServer", Kind::Concurrent);
    }
}
