//! The limits that the kernel keeps for each process, by the names that ulimit(1) and systemd know.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Resource as Kind, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result};

/// What a process may use only so much of (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// `as`: its address space, in bytes.
    AddressSpace,
    /// `core`: the file of its memory when it crashes, in bytes.
    Core,
    /// `cpu`: processor time, in seconds; SIGXCPU, and at the hard limit SIGKILL.
    Cpu,
    /// `data`: memory that it asks for, in bytes.
    Data,
    /// `fsize`: a file that it writes, in bytes; SIGXFSZ.
    FileSize,
    /// `memlock`: memory that it keeps from being swapped, in bytes.
    LockedMemory,
    /// `msgqueue`: POSIX message queues of its user, in bytes.
    MessageQueues,
    /// `nice`: up to which priority it may raise itself, as 20 − nice.
    Nice,
    /// `nofile`: open descriptors, one more than the highest number.
    OpenFiles,
    /// `nproc`: processes and threads of its user.
    Processes,
    /// `rtprio`: its real-time priority.
    RealTimePriority,
    /// `rttime`: processor time in one go at a real-time priority, in microseconds.
    RealTimeTime,
    /// `sigpending`: signals that wait for its user.
    PendingSignals,
    /// `stack`: the stack of its first thread, in bytes.
    Stack,
}

const ALL: [(&str, Resource, Kind); 14] = [
    ("as", Resource::AddressSpace, Kind::As),
    ("core", Resource::Core, Kind::Core),
    ("cpu", Resource::Cpu, Kind::Cpu),
    ("data", Resource::Data, Kind::Data),
    ("fsize", Resource::FileSize, Kind::Fsize),
    ("memlock", Resource::LockedMemory, Kind::Memlock),
    ("msgqueue", Resource::MessageQueues, Kind::Msgqueue),
    ("nice", Resource::Nice, Kind::Nice),
    ("nofile", Resource::OpenFiles, Kind::Nofile),
    ("nproc", Resource::Processes, Kind::Nproc),
    ("rtprio", Resource::RealTimePriority, Kind::Rtprio),
    ("rttime", Resource::RealTimeTime, Kind::Rttime),
    ("sigpending", Resource::PendingSignals, Kind::Sigpending),
    ("stack", Resource::Stack, Kind::Stack),
];

impl Resource {
    /// Returns the names of all there are.
    ///
    /// ```
    /// assert!(bellwether::Resource::names().any(|name| name == "nofile"));
    /// ```
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.into_iter().map(|(name, ..)| name)
    }

    /// Tells whether its limit counts bytes.
    ///
    /// ```
    /// use bellwether::Resource;
    ///
    /// assert!(Resource::Core.is_in_bytes() && !Resource::OpenFiles.is_in_bytes());
    /// ```
    #[must_use]
    pub const fn is_in_bytes(self) -> bool {
        use Resource::{AddressSpace, Core, Data, FileSize, LockedMemory, MessageQueues, Stack};
        matches!(self, AddressSpace | Core | Data | FileSize | LockedMemory | MessageQueues | Stack)
    }

    /// Returns the soft and the hard limit of this process; `None` is no limit.
    ///
    /// The hard limit is what a program may be given without privileges.
    ///
    /// ```
    /// let (soft, hard) = bellwether::Resource::OpenFiles.limits();
    /// assert!(hard.is_none() || soft <= hard);
    /// ```
    #[must_use]
    pub fn limits(self) -> (Option<u64>, Option<u64>) {
        let Rlimit { current, maximum } = getrlimit(self.row().2);
        (current, maximum)
    }

    /// Sets the limits of this process and of all that come of it.
    pub(super) fn set(self, soft: Option<u64>, hard: Option<u64>) -> rustix::io::Result<()> {
        setrlimit(self.row().2, Rlimit { current: soft, maximum: hard })
    }

    fn row(self) -> (&'static str, Self, Kind) {
        // Each has a row (checked below); what stands for none limits nothing.
        ALL.into_iter().find(|row| row.1 == self).unwrap_or(("?", self, Kind::Rss))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

impl FromStr for Resource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = ALL.into_iter().find(|(name, ..)| *name == text);
        found.map(|(_, resource, _)| resource).ok_or_else(|| Error::Parse {
            what: "resource",
            text: text.into(),
            problem: format!("choose one of {}", ALL.map(|(name, ..)| name).join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_has_a_name_by_which_it_is_found() {
        let all = [
            Resource::AddressSpace,
            Resource::Core,
            Resource::Cpu,
            Resource::Data,
            Resource::FileSize,
            Resource::LockedMemory,
            Resource::MessageQueues,
            Resource::Nice,
            Resource::OpenFiles,
            Resource::Processes,
            Resource::RealTimePriority,
            Resource::RealTimeTime,
            Resource::PendingSignals,
            Resource::Stack,
        ];
        assert_eq!(all.len(), Resource::names().count());
        for resource in all {
            assert_eq!(resource.to_string().parse::<Resource>().unwrap(), resource);
        }
        let refusal = "files".parse::<Resource>().unwrap_err().to_string();
        assert!(refusal.contains("nofile"), "{refusal}");
    }

    #[test]
    fn the_limits_of_this_process_can_be_set_as_they_are() {
        let (soft, hard) = Resource::Core.limits();
        Resource::Core.set(soft, hard).unwrap();
        assert_eq!(Resource::Core.limits(), (soft, hard));
    }
}
