//! Processor time of handlers: what they used, and how long they waited for a processor.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

/// Threads of the application's own that are asked, too.
const AIR: usize = 16;

/// What a process has used of the processors since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessorTime {
    /// Time on a processor.
    pub(crate) used: Duration,
    /// Time in which it could have run and waited for a processor.
    pub(crate) delayed: Duration,
}

impl ProcessorTime {
    /// Reads it from /proc; `None` when the process is gone, or the kernel does not tell
    /// (CONFIG_SCHED_INFO).
    ///
    /// The file of a process tells of its first thread alone, so that one with several threads is
    /// asked thread by thread: 6 µs, or 6 µs and 9 µs a thread. What threads used that have ended
    /// is not in it, and of very many threads only the first are asked.
    pub(crate) fn of(pid: Pid, threads: usize) -> Option<Self> {
        if threads == 1 {
            return parse(&fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?);
        }
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let files = tasks
            .take(2 * threads + AIR)
            .filter_map(|task| Some(task.ok()?.path().join("schedstat")));
        let times = files.filter_map(|file| parse(&fs::read_to_string(file).ok()?));
        times.reduce(Self::and)
    }

    /// What was used since an earlier look.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            used: self.used.saturating_sub(earlier.used),
            delayed: self.delayed.saturating_sub(earlier.delayed),
        }
    }

    /// The later of two looks; a thread that ended took its share with it.
    pub(crate) fn or_before(self, before: Self) -> Self {
        Self { used: self.used.max(before.used), delayed: self.delayed.max(before.delayed) }
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_add(other.used),
            delayed: self.delayed.saturating_add(other.delayed),
        }
    }

    /// What it would have used had it never waited.
    pub(crate) const fn wanted(self) -> Duration {
        self.used.saturating_add(self.delayed)
    }
}

/// Reads nanoseconds on a processor, nanoseconds in the run queue, time slices
/// (Documentation/scheduler/sched-stats.rst).
fn parse(text: &str) -> Option<ProcessorTime> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (used, delayed) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let (used, delayed) = (Duration::from_nanos(used), Duration::from_nanos(delayed));
    Some(ProcessorTime { used, delayed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_numbers_are_nanoseconds() {
        let expected = ProcessorTime {
            used: Duration::from_nanos(1_234_567),
            delayed: Duration::from_nanos(89),
        };
        assert_eq!(parse("1234567 89 12\n"), Some(expected));
        for rubbish in ["", "7", "a b c", "-1 2 3", "1 x 3", "99999999999999999999 1 1"] {
            assert_eq!(parse(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn this_process_has_used_some_and_a_missing_one_none() {
        let own = rustix::process::getpid();
        let all = ProcessorTime::of(own, 2).unwrap();
        assert!(all.used > Duration::ZERO && all.wanted() >= all.used);
        assert!(ProcessorTime::of(own, 1).is_some());
        assert_eq!(ProcessorTime::of(Pid::from_raw(i32::MAX).unwrap(), 2), None);
    }
}
