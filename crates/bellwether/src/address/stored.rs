//! Listeners that the service manager kept for us while there was no spawner.

use std::os::fd::{OwnedFd, RawFd};

use rustix::net::sockopt;

use super::bound::Bound;
use super::inherit::Passed;
use crate::sys::descriptors;

/// Takes back the stored listener that is bound there, if there is one.
pub(super) fn take(wanted: &Bound) -> Option<OwnedFd> {
    let passed = Passed::from_environment().ok()?;
    let bound = |fd| descriptors::duplicate(fd).ok().and_then(Bound::of);
    let stored = passed.stored().map(|(fd, _)| (fd, bound(fd)));
    choose(wanted, stored).and_then(descriptors::take)
}

fn choose(
    wanted: &Bound,
    mut stored: impl Iterator<Item = (RawFd, Option<Bound>)>,
) -> Option<RawFd> {
    stored.find(|(_, bound)| bound.as_ref() == Some(wanted)).map(|(fd, _)| fd)
}

/// Takes, to be closed, the stored listeners that no address has claimed, with their names.
pub(crate) fn unclaimed() -> Vec<(String, OwnedFd)> {
    let Ok(passed) = Passed::from_environment() else { return Vec::new() };
    let sockets = passed.stored().filter(|(fd, _)| is_socket(*fd));
    sockets.filter_map(|(fd, name)| Some((name.into(), descriptors::take(fd)?))).collect()
}

/// Returns the numbers of the stored listeners that no address has claimed so far.
pub(crate) fn unclaimed_numbers() -> Vec<RawFd> {
    let Ok(passed) = Passed::from_environment() else { return Vec::new() };
    let numbers = passed.stored().map(|(fd, _)| fd);
    numbers.filter(|fd| !descriptors::was_taken(*fd) && is_socket(*fd)).collect()
}

fn is_socket(fd: RawFd) -> bool {
    descriptors::duplicate(fd).is_ok_and(|fd| sockopt::socket_type(&fd).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str, alone: bool) -> Bound {
        Bound::tcp(text.parse().unwrap(), alone)
    }

    #[test]
    fn a_stored_listener_serves_the_address_where_it_is_bound_and_no_other() {
        let path = |text: &str, inode| Bound::Path(text.into(), inode);
        let stored = [
            None,
            Some(tcp("127.0.0.1:80", false)),
            Some(tcp("[::]:80", false)),
            Some(path("/run/x", 7)),
            Some(Bound::Abstract(b"x".into())),
        ];
        let check = |wanted: Bound, expected: Option<RawFd>| {
            let stored = (3..).zip(stored.iter().cloned());
            assert_eq!(choose(&wanted, stored), expected, "{wanted:?}");
        };
        check(tcp("127.0.0.1:80", false), Some(4));
        check(tcp("127.0.0.1:81", false), None);
        check(tcp("127.0.0.2:80", false), None);
        check(tcp("[::]:80", false), Some(5));
        check(tcp("[::]:80", true), None);
        check(path("/run/x", 7), Some(6));
        check(path("/run/x", 8), None);
        check(path("x", 7), None);
        check(Bound::Abstract(b"x".into()), Some(7));
    }

    #[test]
    fn nothing_is_taken_where_nothing_was_stored() {
        assert!(take(&tcp("127.0.0.1:80", false)).is_none());
        assert!(unclaimed().is_empty());
    }
}
