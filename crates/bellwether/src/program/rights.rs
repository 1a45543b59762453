//! What a program may: as which user it runs, and within which limits.
//!
//! The order matters: limits first, which only root may raise; then the groups, the group and the
//! user, after which nothing of that is possible any more.

use rustix::fs::{Gid, Uid};
use rustix::process::{Pid, Signal};
use rustix::thread;

use super::Program;
use super::resource::Resource;

/// The number that means "as it is" to the kernel, and so is nobody's.
const NOBODY: u32 = u32::MAX;

/// What a program may, as its owner says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Its user and its first group.
    pub(super) user: Option<(u32, u32)>,
    /// Its other groups, where a user is set.
    pub(super) groups: Vec<u32>,
    /// Soft and hard; `None` is no limit.
    pub(super) limits: Vec<(Resource, Option<u64>, Option<u64>)>,
    pub(super) no_new_privileges: bool,
}

impl Program {
    /// Sets as which user and group it runs, by their numbers; default: the server's.
    ///
    /// Only root may choose. All other groups are given up, but for those of [`Program::groups`].
    /// Its handler does not become ready where the system refuses that.
    #[must_use]
    pub const fn user(mut self, user: u32, group: u32) -> Self {
        self.rights.user = Some((user, group));
        self
    }

    /// Adds groups that it has beside the first, by their numbers, where a user is set.
    ///
    /// ```
    /// let program = bellwether::Program::new("gunicorn").user(33, 33).groups([4, 100]);
    /// # assert_ne!(program, bellwether::Program::new("gunicorn").user(33, 33));
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.rights.groups.extend(groups);
        self
    }

    /// Limits what each of its processes may use: soft, and hard, up to which it may raise the
    /// soft limit itself; `None` is no limit.
    ///
    /// Only root may raise a hard limit above the server's ([`Resource::limits`]).
    ///
    /// ```
    /// use bellwether::{Program, Resource};
    ///
    /// let program = Program::new("gunicorn").limit(Resource::OpenFiles, Some(1024), Some(4096));
    /// # assert_ne!(program, Program::new("gunicorn"));
    /// ```
    #[must_use]
    pub fn limit(mut self, resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Self {
        self.rights.limits.push((resource, soft, hard));
        self
    }

    /// Keeps it from getting more privileges than it starts with, by set-user-id programs or
    /// capabilities of files (PR_SET_NO_NEW_PRIVS); an adopted program has no others anyway.
    ///
    /// ```
    /// let program = bellwether::Program::new("gunicorn").no_new_privileges();
    /// # assert_ne!(program, bellwether::Program::new("gunicorn"));
    /// ```
    #[must_use]
    pub const fn no_new_privileges(mut self) -> Self {
        self.rights.no_new_privileges = true;
        self
    }
}

impl Rights {
    /// Whose the program's files are to be, if it matters.
    pub(crate) const fn owner(&self) -> Option<u32> {
        match self.user {
            Some((user, _)) => Some(user),
            None => None,
        }
    }

    /// Makes them those of this process, which has one thread and is about to become the program.
    ///
    /// An error says what was refused, and why that may be.
    pub(super) fn assume(&self, warden: Pid) -> Result<(), String> {
        for (resource, soft, hard) in &self.limits {
            resource.set(*soft, *hard).map_err(|errno| {
                let (soft, hard) = (bound(*soft), bound(*hard));
                let hint = "; only root may raise a hard limit, and `nofile` not above fs.nr_open";
                format!("its limit `{resource}` cannot be {soft}:{hard}: {errno}{hint}")
            })?;
        }
        if let Some((user, group)) = self.user {
            self.change_user(user, group)
                .map_err(|why| format!("it cannot run as user {user} of group {group}: {why}"))?;
            die_with(warden)
                .map_err(|errno| format!("it cannot be tied to its warden: {errno}"))?;
        }
        if self.no_new_privileges {
            thread::set_no_new_privs(true)
                .map_err(|errno| format!("its privileges cannot be limited: {errno}"))?;
        }
        Ok(())
    }

    fn change_user(&self, user: u32, group: u32) -> Result<(), String> {
        if [user, group].iter().chain(&self.groups).any(|number| *number == NOBODY) {
            return Err(format!("{NOBODY} is nobody"));
        }
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        let groups: Vec<_> = self.groups.iter().map(|number| Gid::from_raw(*number)).collect();
        thread::set_thread_groups(&groups)
            .and_then(|()| thread::set_thread_res_gid(group, group, group))
            .and_then(|()| thread::set_thread_res_uid(user, user, user))
            .map_err(|errno| format!("{errno}; only root may change the user"))
    }
}

/// Ends this process when its parent dies, which a change of the user has the kernel forget
/// (PR_SET_PDEATHSIG of prctl(2)); a parent that has died meanwhile is an error.
fn die_with(parent: Pid) -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH) }
}

fn bound(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_of_the_kernel_in_nobodys_name() {
        let rights = Program::new("x").user(NOBODY, 1).rights;
        let refusal = rights.assume(rustix::process::getpid()).unwrap_err();
        assert!(refusal.contains("is nobody"), "{refusal}");
    }

    #[test]
    fn what_the_kernel_refuses_names_the_limit() {
        let rights = Program::new("x").limit(Resource::OpenFiles, Some(9), Some(8)).rights;
        let refusal = rights.assume(rustix::process::getpid()).unwrap_err();
        assert!(refusal.contains("`nofile` cannot be 9:8"), "{refusal}");
    }
}
