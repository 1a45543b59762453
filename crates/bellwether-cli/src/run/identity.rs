//! As whom a program runs: names found in the user database, wherever the system keeps it.

use std::ffi::{CString, OsString};
use std::fmt::Display;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use rustix::thread::CapabilitySet;

use crate::config::nearest::nearest;
use crate::config::rights::Account;
use crate::config::rules::Problem;
use crate::config::settings::PoolSettings;
use crate::config::written::Written;

/// A user with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Its other groups.
    pub(crate) groups: Vec<u32>,
    /// What a program of the user finds in its environment.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

impl Identity {
    /// Finds whom the settings of a pool name, if they do.
    pub(crate) fn of(pool: &PoolSettings) -> Result<Option<Self>, Problem> {
        let user = pool.user.as_ref().map(|Written(it)| it);
        let group = pool.group.as_ref().map(|Written(it)| it);
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let own = rustix::process::geteuid().as_raw();
        let entry = user.map(find_user).transpose()?.flatten();
        let number = match (&entry, user) {
            (Some(entry), _) => entry.uid.as_raw(),
            (None, user) => user.and_then(Account::number).unwrap_or(own),
        };
        let group = match (group, &entry) {
            (Some(group), _) => find_group(group)?,
            (None, Some(entry)) => entry.gid,
            (None, None) => {
                let message =
                    format!("user: {number} is nobody's number here, so its group is not known");
                return Err(problem("user", message, "add a group, too"));
            }
        };
        let groups = entry.as_ref().map(|it| other_groups(it, group)).transpose()?;
        Ok(Some(Self {
            user: number,
            group: group.as_raw(),
            groups: groups.unwrap_or_default(),
            variables: entry.as_ref().map(variables).unwrap_or_default(),
        }))
    }

    /// Looks whether this process may start a program as them; `None` where it is them already.
    pub(crate) fn assumable(self) -> Result<Option<Self>, Problem> {
        if may(CapabilitySet::SETUID | CapabilitySet::SETGID) {
            return Ok(Some(self));
        }
        let own = (rustix::process::geteuid(), rustix::process::getegid());
        if (self.user, self.group) == (own.0.as_raw(), own.1.as_raw()) {
            return Ok(None);
        }
        let message = format!(
            "user: only root may run a program as user {} of group {}, and this is user {} of group {}",
            self.user,
            self.group,
            own.0.as_raw(),
            own.1.as_raw()
        );
        Err(problem(
            "user",
            message,
            "start bellwether as root (or with CAP_SETUID and CAP_SETGID), or leave user and group out",
        ))
    }
}

impl Identity {
    /// Looks whether the calls of a program that runs as them can be answered.
    pub(crate) fn check_adoption(&self) -> Result<(), Problem> {
        let own = rustix::process::geteuid().as_raw();
        if self.user == own || may(CapabilitySet::SYS_PTRACE) {
            return Ok(());
        }
        let message = "user: to adopt a program of another user needs CAP_SYS_PTRACE, which is \
                       missing here";
        let hint = "add it (docker run --cap-add SYS_PTRACE), start bellwether as that user, or \
                    give the program its address by another --pass";
        Err(problem("user", message.into(), hint))
    }
}

/// Looks whether this process may give a program these limits.
pub(crate) fn limits_are_allowed(pool: &PoolSettings) -> Result<(), Problem> {
    let is_above = |wanted: Option<u64>, ours: Option<u64>| match (wanted, ours) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(ours)) => wanted > ours,
    };
    for (Written(limited), Written(range)) in &pool.limits {
        let (_, ours) = limited.0.limits();
        if is_above(range.hard, ours) && !may(CapabilitySet::SYS_RESOURCE) {
            let ours = ours.unwrap_or(u64::MAX);
            let message =
                format!("limits: {} is limited to {ours} for this server itself", limited.0);
            return Err(problem(
                "limits",
                message,
                "choose no more; only root may raise a hard limit",
            ));
        }
    }
    Ok(())
}

/// Tells whether this process has these privileges.
fn may(what: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(what))
}

/// The entry of a user; `None` where a number has none.
fn find_user(account: &Account) -> Result<Option<User>, Problem> {
    let by_number = account.number().map(Uid::from_raw).map(User::from_uid);
    let found = by_number.unwrap_or_else(|| User::from_name(&account.0));
    match found.map_err(|errno| unreadable("user", &account.0, errno))? {
        None if account.number().is_none() => Err(unknown("user", &account.0, "/etc/passwd")),
        found => Ok(found),
    }
}

fn find_group(account: &Account) -> Result<Gid, Problem> {
    if let Some(number) = account.number() {
        return Ok(Gid::from_raw(number));
    }
    let found =
        Group::from_name(&account.0).map_err(|errno| unreadable("group", &account.0, errno))?;
    found.map(|it| it.gid).ok_or_else(|| unknown("group", &account.0, "/etc/group"))
}

fn other_groups(user: &User, group: Gid) -> Result<Vec<u32>, Problem> {
    // A name of the database has no zero in it.
    let name = CString::new(user.name.as_str()).unwrap_or_default();
    let all = getgrouplist(&name, group).map_err(|errno| unreadable("user", &user.name, errno))?;
    Ok(all.into_iter().filter(|it| *it != group).map(Gid::as_raw).collect())
}

/// As login(1) and systemd set them.
fn variables(user: &User) -> Vec<(&'static str, OsString)> {
    let name = OsString::from(&user.name);
    vec![("HOME", user.dir.clone().into()), ("USER", name.clone()), ("LOGNAME", name)]
}

fn unknown(key: &'static str, name: &str, file: &str) -> Problem {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    let hint = nearest(name, &names).map_or_else(
        || {
            format!(
                "`getent {}` lists those that there are",
                if key == "user" { "passwd" } else { key }
            )
        },
        |near| format!("did you mean `{near}`?"),
    );
    problem(key, format!("{key}: there is no {key} `{name}`"), &hint)
}

fn unreadable(key: &'static str, name: &str, why: impl Display) -> Problem {
    let message = format!("{key}: `{name}` cannot be looked up: {why}");
    problem(key, message, "write the number")
}

fn problem(key: &'static str, message: String, hint: &str) -> Problem {
    Problem { keys: vec![(key, String::new())], message, hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(toml: &str) -> Result<Option<Identity>, Problem> {
        Identity::of(&toml::from_str(toml).unwrap())
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = found("user = 'root'").unwrap().unwrap();
        assert_eq!((root.user, root.group), (0, 0));
        assert!(root.variables.contains(&("USER", "root".into())));
        assert_eq!(found("user = 0").unwrap().unwrap(), root);
        let other = found("user = 'root'\ngroup = 7").unwrap().unwrap();
        assert_eq!((other.user, other.group), (0, 7));
        let nameless = found("user = 4000000000\ngroup = 7").unwrap().unwrap();
        assert_eq!((nameless.user, nameless.group, nameless.groups), (4_000_000_000, 7, vec![]));
        assert_eq!(nameless.variables, []);
        let own = found("group = 7").unwrap().unwrap();
        assert_eq!((own.user, own.group), (rustix::process::geteuid().as_raw(), 7));
        assert_eq!(found("").unwrap(), None);
    }

    #[test]
    fn who_is_not_there_is_told_with_whoever_is_meant() {
        let check = |toml: &str, key: &str, words: &str| {
            let problem = found(toml).unwrap_err();
            assert_eq!(problem.keys[0].0, key, "{problem:?}");
            assert!(format!("{} {}", problem.message, problem.hint).contains(words), "{problem:?}");
        };
        check("user = 'rooot'", "user", "did you mean `root`?");
        check("user = 'no such user'", "user", "getent passwd");
        check("user = 'root'\ngroup = 'rooot'", "group", "did you mean `root`?");
        check("user = 4000000000", "user", "add a group");
    }
}
