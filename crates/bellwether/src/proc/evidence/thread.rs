//! What one thread of a process is doing, read from its files in /proc.

use std::fmt;
use std::time::Duration;

use super::call::Call;
use crate::proc::plain;

/// The bit of SIGTERM in a mask of signals.
const TERM: u64 = 1 << (libc::SIGTERM - 1);

/// One thread, as its files in /proc describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    name: String,
    /// The letter of proc_pid_stat(5); `None` when it could not be read.
    state: Option<char>,
    cpu: Duration,
    call: Call,
    /// Where in the kernel it waits.
    place: Option<String>,
    /// How often it went to sleep, and how often another took its processor.
    switches: Option<(u64, u64)>,
    pub(super) blocks_term: bool,
    pub(super) ignores_term: bool,
    /// The names of files that could not be read.
    unread: Vec<&'static str>,
}

/// Takes what the text of one file of /proc says; `None` when it makes no sense.
type Take = fn(&mut Thread, &str) -> Option<()>;

/// The files that every thread has, and who reads them.
const FILES: [(&str, Take); 4] = [
    ("stat", Thread::take_stat),
    ("status", Thread::take_status),
    ("syscall", Thread::take_syscall),
    ("wchan", Thread::take_wchan),
];

impl Thread {
    /// Reads what there is through `file`, which returns the text of a file by its name.
    pub(super) fn read(file: impl Fn(&str) -> Option<String>) -> Self {
        let mut thread = Self::default();
        for (name, take) in FILES {
            thread.take(name, file(name), take);
        }
        // Only root may read it, and mostly the place is known already.
        if thread.place.is_none() {
            thread.take("stack", file("stack"), Self::take_stack);
        }
        thread
    }

    fn take(&mut self, name: &'static str, text: Option<String>, take: Take) {
        if text.and_then(|text| take(self, &text)).is_none() {
            self.unread.push(name);
        }
    }

    /// proc_pid_stat(5): the name stands in parentheses and may hold anything, so the last closes it.
    fn take_stat(&mut self, text: &str) -> Option<()> {
        // The kernel counts in ticks of 1/100 s towards user space, whatever it counts in inside.
        const TICK: Duration = Duration::from_millis(10);
        let (before, after) = text.rsplit_once(')')?;
        let mut fields = after.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let user: u32 = fields.nth(10)?.parse().ok()?;
        let system: u32 = fields.next()?.parse().ok()?;
        self.name = plain(before.split_once('(')?.1.as_bytes());
        self.state = Some(state);
        self.cpu = TICK.saturating_mul(user).saturating_add(TICK.saturating_mul(system));
        Some(())
    }

    fn take_status(&mut self, text: &str) -> Option<()> {
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mask = |name| u64::from_str_radix(value(name)?, 16).ok();
        self.blocks_term = mask("SigBlk:")? & TERM != 0;
        self.ignores_term = mask("SigIgn:")? & TERM != 0;
        let slept = value("voluntary_ctxt_switches:")?.parse().ok()?;
        let preempted = value("nonvoluntary_ctxt_switches:")?.parse().ok()?;
        self.switches = Some((slept, preempted));
        Some(())
    }

    fn take_syscall(&mut self, text: &str) -> Option<()> {
        self.call = Call::parse(text)?;
        Some(())
    }

    /// `wchan` is 0 where the thread does not wait, or where nothing may be told.
    fn take_wchan(&mut self, text: &str) -> Option<()> {
        let place = text.trim();
        if place != "0" {
            self.place = Some(symbol(place)?);
        }
        Some(())
    }

    /// The first line of `stack`, like `[<0>] do_wait+0x51/0x90`, is where the thread is.
    fn take_stack(&mut self, text: &str) -> Option<()> {
        if let Some(line) = text.lines().next() {
            self.place = Some(symbol(line.split_once("] ")?.1)?);
        }
        Some(())
    }

    /// Sorts threads that burn a processor or hang in the kernel before those that merely wait.
    pub(super) const fn dullness(&self) -> u8 {
        match self.state {
            Some('R') => 0,
            Some('D') => 1,
            Some('T' | 't' | 'Z' | 'X') => 2,
            Some(_) => 3,
            None => 4,
        }
    }
}

/// The name of a function of the kernel, without its offset.
fn symbol(text: &str) -> Option<String> {
    let name = text.split('+').next()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    (!name.is_empty() && name.len() <= 64 && name.chars().all(is_name)).then(|| name.into())
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state.is_some() {
            write!(f, "thread `{}` {}", self.name, self.doing())?;
            write!(f, ", {:.1} s of CPU", self.cpu.as_secs_f64())?;
        } else {
            f.write_str("a thread")?;
        }
        write!(f, ", {}", self.call)?;
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        if let Some((waits, preempted)) = self.switches {
            write!(f, ", slept {waits} times, preempted {preempted}")?;
        }
        if !self.unread.is_empty() {
            write!(f, " ({} not readable)", self.unread.join(", "))?;
        }
        Ok(())
    }
}

impl Thread {
    const fn doing(&self) -> &'static str {
        match self.state {
            Some('R') => "running",
            Some('S') => "sleeping",
            Some('D') => "sleeping uninterruptibly",
            Some('T') => "stopped",
            Some('t') => "stopped by a debugger",
            Some('Z') => "ended, not reaped",
            Some('X') => "ended",
            _ => "idle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a thread that computes, as captured from a kernel.
    fn captured(file: &str) -> Option<String> {
        let text = match file {
            "stat" => {
                "77 (racer) 0) R 1 77 77 0 -1 4194560 95 0 0 0 1200 30 0 0 20 0 1 0 5 8192 193\n"
            }
            "status" => {
                "Name:\tracer) 0\nSigBlk:\t0000000000004000\nSigIgn:\t0000000000001000\n\
                 voluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t1200\n"
            }
            "syscall" => "running\n",
            "wchan" => "0",
            "stack" => "[<0>] pipe_read+0x51/0x90\n[<0>] vfs_read+0x1/0x2\n",
            _ => return None,
        };
        Some(text.into())
    }

    #[test]
    fn captured_files_are_read_and_told() {
        let thread = Thread::read(captured);
        assert!(thread.blocks_term && !thread.ignores_term);
        assert_eq!(
            thread.to_string(),
            "thread `racer) 0` running, 12.3 s of CPU, in no system call at pipe_read, \
             slept 3 times, preempted 1200"
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let thread = Thread::read(|file| captured(file).filter(|_| file == "stat"));
        assert_eq!(
            thread.to_string(),
            "thread `racer) 0` running, 12.3 s of CPU, in an unknown place \
             (status, syscall, wchan, stack not readable)"
        );
        assert!(Thread::read(|_| None).to_string().contains("stat, status, syscall"));
    }

    #[test]
    fn rubbish_is_not_readable() {
        for rubbish in ["", ")", "(", "1 (a) ", "1 (a) R 1 2 3", "\0\0", "SigBlk:\tg\n"] {
            let thread = Thread::read(|_| Some(rubbish.into()));
            assert!(thread.unread.contains(&"stat"), "{rubbish:?}");
            assert!(thread.unread.contains(&"status"), "{rubbish:?}");
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let named = |file: &str| Some(captured(file)?.replace("racer", "\x1b[2J\n"));
        assert!(Thread::read(named).to_string().starts_with("thread ` [2J ) 0`"));
    }

    #[test]
    fn places_are_names_of_functions() {
        assert_eq!(symbol("do_wait+0x51/0x90").as_deref(), Some("do_wait"));
        assert_eq!(symbol("do_sys_poll.constprop.0").as_deref(), Some("do_sys_poll.constprop.0"));
        for text in ["", "+0x1", "a b", "\x1b[2J", &"x".repeat(65)] {
            assert_eq!(symbol(text), None, "{text:?}");
        }
    }
}
