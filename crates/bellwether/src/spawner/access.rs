//! Who may say what at the control socket.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

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

/// Who has which role, beside root and the server's own user, who may do everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access(Vec<(Role, Peer)>);

impl Access {
    pub(crate) fn allow(&mut self, role: Role, peer: Peer) {
        self.0.push((role, peer));
    }

    /// Returns the highest role of a process with these numbers.
    pub(crate) fn role_of(&self, own: u32, uid: u32, gid: u32) -> Option<Role> {
        if uid == 0 || uid == own {
            return Some(Role::Admin);
        }
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
        assert_eq!(access.role_of(1000, 0, 0), Some(Role::Admin));
        assert_eq!(access.role_of(1000, 1000, 7), Some(Role::Admin));
        assert_eq!(access.role_of(1000, 33, 33), None);
        access.allow(Role::Read, Peer::Group(33));
        access.allow(Role::Operate, Peer::User(33));
        assert_eq!(access.role_of(1000, 33, 33), Some(Role::Operate));
        assert_eq!(access.role_of(1000, 34, 33), Some(Role::Read));
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
