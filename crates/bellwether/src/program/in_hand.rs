//! What a program has in hand: the connections of our listeners that it has accepted.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketAddrV4, SocketAddrV6, getsockname};
use rustix::process::Pid;

use super::descriptors;
use super::family::Family;
use crate::sys::sock_diag::Connection;
use crate::sys::unix_diag::Place;
use crate::sys::{inet_diag, unix_diag};

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// A TCP port; which of the machine's addresses it has does not matter, since only what a
    /// family holds counts.
    Tcp(AddressFamily, u16),
    Unix(Place),
}

impl Entrance {
    /// # Errors
    ///
    /// Those of getsockname(2) and sock_diag(7); EAFNOSUPPORT for a listener of another kind.
    pub(crate) fn of(listener: impl AsFd) -> io::Result<Self> {
        let name = getsockname(&listener)?;
        let family = name.address_family();
        let port = match family {
            AddressFamily::UNIX => return Place::of(listener).map(Self::Unix),
            AddressFamily::INET => SocketAddrV4::try_from(name)?.port(),
            AddressFamily::INET6 => SocketAddrV6::try_from(name)?.port(),
            _ => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        };
        Ok(Self::Tcp(family, port))
    }
}

/// How many connections each family has accepted and not closed, asked once.
///
/// # Errors
///
/// As [`Homes::accepted`].
#[cfg(test)]
pub(crate) fn accepted(entrances: &[Entrance], families: &[Family]) -> io::Result<Vec<usize>> {
    Homes::default().accepted(entrances, families)
}

/// Which family has which connection, remembered from look to look: a connection stays where it
/// was accepted, so that only new ones are searched for.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    /// The leader's family has the connection of that inode.
    known: HashMap<u64, Pid>,
}

impl Homes {
    /// How many connections each family has accepted and not closed.
    ///
    /// A connection counts once, for the first family that was seen to hold it. One dump of the
    /// kernel serves all families; after that it costs a few µs a descriptor of theirs, and
    /// nothing when no connection is new. A family that the kernel does not let us look into seems
    /// to hold none.
    ///
    /// # Errors
    ///
    /// Those of sock_diag(7); ENOENT where the kernel has none.
    pub(crate) fn accepted(
        &mut self,
        entrances: &[Entrance],
        families: &[Family],
    ) -> io::Result<Vec<usize>> {
        let mut homeless = open(entrances, inet_diag::connections)?;
        let leaders: HashSet<_> = families.iter().map(Family::leader).collect();
        self.known.retain(|inode, leader| leaders.contains(leader) && homeless.remove(inode));
        for family in families {
            let found = take_home(family, &mut homeless);
            self.known.extend(found.into_iter().map(|inode| (inode, family.leader())));
        }
        let mut counts: HashMap<_, usize> = HashMap::new();
        self.known.values().for_each(|leader| *counts.entry(*leader).or_default() += 1);
        // A family that is named twice is counted once.
        Ok(families.iter().map(|it| counts.remove(&it.leader()).unwrap_or(0)).collect())
    }
}

/// How many connections a family has accepted that wait for an answer, or have not for long had one.
///
/// Of Unix sockets, where the kernel does not tell, all are taken for those.
///
/// # Errors
///
/// As [`Homes::accepted`].
pub(crate) fn unanswered(entrances: &[Entrance], family: &Family) -> io::Result<usize> {
    Ok(take_home(family, &mut open(entrances, inet_diag::connections_closely)?).len())
}

/// Tells whether a family has this socket.
pub(crate) fn holds(family: &Family, inode: u64) -> bool {
    !take_home(family, &mut HashSet::from([inode])).is_empty()
}

/// Asks for the connections of a port.
type Ask = fn(AddressFamily, u16) -> io::Result<Vec<Connection>>;

/// The inodes of all accepted connections that are not idle.
fn open(entrances: &[Entrance], ask: Ask) -> io::Result<HashSet<u64>> {
    let mut connections = Vec::new();
    let mut places = Vec::new();
    for entrance in entrances {
        match entrance {
            Entrance::Tcp(family, port) => {
                connections.extend(ask(*family, *port)?);
            }
            Entrance::Unix(place) => places.push(place.clone()),
        }
    }
    if !places.is_empty() {
        connections.extend(unix_diag::connections(&places)?);
    }
    let in_use = connections.into_iter().filter(|connection| !connection.is_idle);
    Ok(in_use.map(|connection| connection.inode).collect())
}

/// Takes out what the processes of a family hold.
fn take_home(family: &Family, homeless: &mut HashSet<u64>) -> Vec<u64> {
    let mut found = Vec::new();
    for pid in family.pids() {
        if homeless.is_empty() {
            break;
        }
        // A process that has just ended holds nothing.
        let _ = descriptors::visit(*pid, |_, link| {
            found.extend(descriptors::socket(link).and_then(|inode| homeless.take(&inode)));
            if homeless.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Instant;

    use super::super::family::Census;
    use super::super::readiness::{Waits, how_it_waits};
    use super::super::trial::{Trial, client, eventually, inode, listener};
    use super::*;

    /// Accepts all that comes and keeps it.
    const KEEPS: &str = "import socket; s = socket.socket(fileno=0); k = []
while 1: k.append(s.accept())";

    fn own_family() -> Family {
        Family::of(rustix::process::getpid())
    }

    #[test]
    fn what_each_family_accepted_is_counted() {
        let listeners = [listener(), listener()];
        let trials = listeners.each_ref().map(|it| Trial::on(it, "python3", &["-c", KEEPS]));
        let [Some(one), Some(other)] = trials else { return };
        let families = [one.family(), other.family()];
        let entrances = listeners.each_ref().map(|it| Entrance::of(it).unwrap());
        assert_eq!(accepted(&entrances, &families).unwrap(), [0, 0]);
        let mut homes = Homes::default();
        let clients = [0, 0, 1, 0].map(|which| client(&listeners[which]));
        let mut look = |expected: [usize; 2]| {
            eventually(&format!("{expected:?}"), || {
                (homes.accepted(&entrances, &families).unwrap() == expected).then_some(())
            });
            assert_eq!(accepted(&entrances, &families).unwrap(), expected);
        };
        look([3, 1]);
        assert_eq!(accepted(&entrances[..1], &families).unwrap(), [3, 0]);
        // Who hangs up is still in hand: the program does not look.
        drop(clients);
        look([3, 1]);
        drop(one);
        look([0, 1]);
    }

    #[test]
    fn a_connection_counts_once_however_many_processes_have_it() {
        let listener = listener();
        let forks = "import socket, os; s = socket.socket(fileno=0); c = s.accept(); os.fork()
while 1: s.accept()";
        let Some(trial) = Trial::on(&listener, "python3", &["-c", forks]) else { return };
        let _client = client(&listener);
        let entrance = [Entrance::of(&listener).unwrap()];
        let alone = |pid| accepted(&entrance, &[Family::of(pid)]).unwrap() == [1];
        eventually("a fork that has it", || {
            let family = trial.family();
            let &[parent, child] = family.pids() else { return None };
            (alone(parent) && alone(child)).then_some(())
        });
        let parts = trial.family().pids().iter().map(|pid| Family::of(*pid)).collect::<Vec<_>>();
        assert_eq!(accepted(&entrance, &parts).unwrap(), [1, 0]);
    }

    #[test]
    fn connections_of_a_unix_listener_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let entrance = [Entrance::of(&listener).unwrap()];
        let families = [own_family()];
        let _clients = [0; 3].map(|_| UnixStream::connect(&path).unwrap());
        assert_eq!(accepted(&entrance, &families).unwrap(), [0]);
        let kept = [listener.accept().unwrap(), listener.accept().unwrap()];
        assert_eq!(accepted(&entrance, &families).unwrap(), [2]);
        drop(kept);
        assert_eq!(accepted(&entrance, &families).unwrap(), [0]);
    }

    /// The median of many.
    fn print_cost(what: &str, mut look: impl FnMut()) {
        let mut once = || {
            let start = Instant::now();
            look();
            start.elapsed()
        };
        let mut times: Vec<_> = (0..101).map(|_| once()).collect();
        times.sort();
        println!("{what}: {:?}", times[50]);
    }

    /// Handlers on one listener, so many connections each on average.
    fn print_costs(handlers: usize, each: usize) {
        let listener = listener();
        let entrance = [Entrance::of(&listener).unwrap()];
        let started = (0..handlers).map(|_| Trial::on(&listener, "python3", &["-c", KEEPS]));
        let Some(trials) = started.collect::<Option<Vec<_>>>() else { return };
        let _clients: Vec<_> = (0..handlers * each).map(|_| client(&listener)).collect();
        let families: Vec<_> = eventually("all to run", || {
            let families: Vec<_> = trials.iter().map(Trial::family).collect();
            let inodes = [inode(&listener)];
            let ready = |it: &Family| how_it_waits(it.pids(), &inodes) == Some(Waits::Accept);
            families.iter().all(ready).then_some(families)
        });
        let total: usize = accepted(&entrance, &families).unwrap().iter().sum();
        assert_eq!(total, handlers * each);
        println!("-- {handlers} handlers with {each} connections each");
        print_cost("dump", || drop(open(&entrance, inet_diag::connections)));
        print_cost("accepted", || drop(accepted(&entrance, &families)));
        let mut homes = Homes::default();
        print_cost("accepted, remembered", || drop(homes.accepted(&entrance, &families)));
        print_cost("census", || drop(Census::take()));
        let census = Census::take();
        print_cost("families of it", || {
            trials.iter().for_each(|it| drop(census.family(it.leader())))
        });
        print_cost("families one by one", || trials.iter().for_each(|it| drop(it.family())));
        print_cost("how they wait", || {
            let inodes = [inode(&listener)];
            families.iter().for_each(|it| assert!(how_it_waits(it.pids(), &inodes).is_some()));
        });
    }

    /// Says what looks cost; run it alone, with --ignored --nocapture.
    #[test]
    #[ignore = "a measurement"]
    fn what_a_look_costs() {
        print_costs(16, 100);
        print_costs(64, 0);
    }
}
