//! Who may say what at the control socket.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::sys::socket as sys;

/// What a control client may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// See how the server is: `status`, `events`, `why`.
    Read,
    /// Change how many serve, and for how long: `scale`, `reload`, `drain`, `stop`.
    Operate,
    /// Change what serves: `upgrade`.
    Admin,
}

/// A user or a group, by number.
///
/// ```
/// # use bellwether::Peer;
/// assert_eq!("uid:33".parse::<Peer>()?, Peer::User(33));
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The user with this number.
    User(u32),
    /// Everybody whose process has this number as its group.
    Group(u32),
}

/// The most clients at once; more are turned away.
const CLIENTS: usize = 32;
/// How many of these places are kept for roles above `Read`.
const RESERVED: usize = 8;
/// The most clients at once of one user, other than root and the server's own.
const OF_ONE_USER: usize = 8;

/// A control client, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) role: Role,
    /// Whether it is root or the server's own user.
    trusted: bool,
}

impl Caller {
    /// Tells whether there is room for it beside those who are in.
    pub(crate) fn has_room<'a>(&self, others: impl Iterator<Item = &'a Self>) -> bool {
        let (mut all, mut of_its_user) = (0, 0);
        for other in others {
            all += 1;
            of_its_user += usize::from(other.uid == self.uid);
        }
        let reserved = if self.role > Role::Read { 0 } else { RESERVED };
        all < CLIENTS - reserved && (self.trusted || of_its_user < OF_ONE_USER)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of uid {}", self.pid, self.uid)
    }
}

/// Who has which role, beside root and the server's own user, who may do everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access(Vec<(Role, Peer)>);

impl Access {
    pub(crate) fn allow(&mut self, role: Role, peer: Peer) {
        self.0.push((role, peer));
    }

    /// Says who a client is that has a role; `own` is the user of the server.
    pub(crate) fn admit(&self, own: u32, peer: &sys::Peer) -> Option<Caller> {
        let sys::Peer { pid, uid, gid } = *peer;
        let trusted = uid == 0 || uid == own;
        let role = if trusted { Role::Admin } else { self.role_of(uid, gid)? };
        Some(Caller { pid, uid, role, trusted })
    }

    /// Returns the highest role that was given to a process with these numbers.
    fn role_of(&self, uid: u32, gid: u32) -> Option<Role> {
        let is = |peer: Peer| peer == Peer::User(uid) || peer == Peer::Group(gid);
        self.0.iter().filter(|(_, peer)| is(*peer)).map(|(role, _)| *role).max()
    }

    /// Tells whether anybody else is let in at all.
    pub(crate) const fn is_private(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Peer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (kind, number) = text.split_once(':').unwrap_or_default();
        match (kind, number.parse()) {
            ("uid", Ok(number)) => Ok(Self::User(number)),
            ("gid", Ok(number)) => Ok(Self::Group(number)),
            _ => Err(Error::Parse {
                what: "peer",
                text: text.into(),
                problem: "write uid:N or gid:N, with a number (`id` shows them)".into(),
            }),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(number) => write!(f, "uid:{number}"),
            Self::Group(number) => write!(f, "gid:{number}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_owner_may_do_everything_and_others_what_they_were_given() {
        let mut access = Access::default();
        let role = |access: &Access, uid, gid| {
            access.admit(1000, &sys::Peer { pid: 7, uid, gid }).map(|caller| caller.role)
        };
        assert_eq!(role(&access, 0, 0), Some(Role::Admin));
        assert_eq!(role(&access, 1000, 7), Some(Role::Admin));
        assert_eq!(role(&access, 33, 33), None);
        access.allow(Role::Read, Peer::Group(33));
        access.allow(Role::Operate, Peer::User(33));
        assert_eq!(role(&access, 33, 33), Some(Role::Operate));
        assert_eq!(role(&access, 34, 33), Some(Role::Read));
    }

    #[test]
    fn many_who_read_leave_room_for_those_who_operate() {
        let caller = |uid, role| Caller { pid: 7, uid, role, trusted: uid == 0 };
        let mut inside = Vec::new();
        for uid in 1..=4 {
            for _ in 0..20 {
                let reader = caller(uid, Role::Read);
                if reader.has_room(inside.iter()) {
                    inside.push(reader);
                }
            }
        }
        assert_eq!(inside.len(), 24, "8 of each user, and not all places");
        assert!(!caller(1, Role::Operate).has_room(inside.iter()), "it has its 8 already");
        assert!(caller(5, Role::Operate).has_room(inside.iter()));
        for _ in 0..8 {
            assert!(caller(0, Role::Admin).has_room(inside.iter()));
            inside.push(caller(0, Role::Admin));
        }
        assert!(!caller(0, Role::Admin).has_room(inside.iter()), "all 32 are taken");
    }

    #[test]
    fn peers_are_numbers_with_a_kind() {
        for text in ["uid:0", "gid:4294967295"] {
            assert_eq!(text.parse::<Peer>().unwrap().to_string(), text);
        }
        for text in ["", "33", "uid:", "uid:root", "user:3", "gid:-1"] {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }
}
