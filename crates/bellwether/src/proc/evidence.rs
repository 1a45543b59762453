//! What a process is doing, as far as the kernel tells; taken before it is killed, too.

mod call;
mod thread;

use std::fmt;
use std::fs::{DirEntry, File};
use std::io::Read;

use rustix::process::Pid;

use thread::Thread;

/// How many threads are looked at; the others are counted.
const LOOKED_AT: usize = 32;

/// The most bytes that the evidence has when it is written out.
const LONGEST: usize = 300;

/// What the threads of a process were doing at one moment.
///
/// Taking it reads at most five small files of /proc a thread. None of them waits for the
/// process: those which would (`cmdline`, `maps`) are left alone. What cannot be read is said.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pid: Pid,
    /// Those that say most come first.
    threads: Vec<Thread>,
    /// How many threads there were, those not looked at included.
    count: usize,
}

impl Evidence {
    /// Looks at a process; of one that is gone there is nothing to see.
    pub(crate) fn of(pid: Pid) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        let tasks: Vec<_> = tasks.into_iter().flatten().flatten().collect();
        let read = |task: &DirEntry| Thread::read(|file| text_of(task, file));
        let mut threads: Vec<_> = tasks.iter().take(LOOKED_AT).map(read).collect();
        threads.sort_by_key(Thread::dullness);
        Self { pid, threads, count: tasks.len() }
    }

    /// Says how many threads were left out when `told` were told of.
    fn rest(&self, told: usize) -> String {
        match self.count - told {
            0 => String::new(),
            1 => ", and 1 more thread".into(),
            more => format!(", and {more} more threads"),
        }
    }

    /// A process takes SIGTERM when one of its threads does.
    fn about_term(&self) -> &'static str {
        if self.threads.iter().any(|thread| thread.ignores_term) {
            "; SIGTERM ignored"
        } else if self.threads.iter().all(|thread| thread.blocks_term) {
            "; SIGTERM blocked"
        } else {
            ""
        }
    }
}

/// The text of a small file of a thread.
fn text_of(task: &DirEntry, file: &str) -> Option<String> {
    const ENOUGH: u64 = 4096;
    let mut bytes = Vec::new();
    File::open(task.path().join(file)).ok()?.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

impl fmt::Display for Evidence {
    /// Writes one line of at most 300 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.threads.is_empty() {
            return write!(f, "nothing can be read about process {}", self.pid);
        }
        let ending = self.about_term();
        let (mut line, mut told) = (String::new(), 0);
        for thread in &self.threads {
            let next = format!("{}{thread}", if told == 0 { "" } else { ", " });
            let length = line.len() + next.len() + self.rest(told + 1).len() + ending.len();
            if told > 0 && length > LONGEST {
                break;
            }
            line.push_str(&next);
            told += 1;
        }
        let line = format!("{line}{}{ending}", self.rest(told));
        let end = (0..=LONGEST.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        f.write_str(&line[..end.unwrap_or(0)])
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use super::*;

    /// A child that is ended with its test.
    struct Subject(Child);

    impl Subject {
        fn start(program: &str, arguments: &[&str]) -> Self {
            let mut command = Command::new(program);
            Self(command.args(arguments).stdin(Stdio::piped()).spawn().unwrap())
        }

        fn pid(&self) -> Pid {
            Pid::from_child(&self.0)
        }

        /// Looks until the evidence holds these words.
        fn shows(&self, words: &[&str]) {
            self.becomes(|line| words.iter().all(|word| line.contains(word)));
        }

        fn becomes(&self, expected: impl Fn(&str) -> bool) {
            let end = Instant::now() + Duration::from_secs(20);
            loop {
                let late = Instant::now() > end;
                let line = Evidence::of(self.pid()).to_string();
                if expected(&line) {
                    return;
                }
                assert!(!late, "{line}");
                std::thread::yield_now();
            }
        }
    }

    impl Drop for Subject {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_child_that_spins_is_seen_running_and_using_the_processor() {
        let child = Subject::start("sh", &["-c", "while :; do :; done"]);
        child.shows(&["thread `sh` running", "in no system call"]);
        child.becomes(|line| line.contains(" s of CPU") && !line.contains(" 0.0 s of CPU"));
    }

    #[test]
    fn a_child_that_waits_is_seen_in_its_system_call() {
        Subject::start("sleep", &["1000"]).shows(&["thread `sleep` sleeping", "nanosleep"]);
        Subject::start("cat", &[]).shows(&["thread `cat` sleeping", "in read", "0.0 s of CPU"]);
    }

    #[test]
    fn a_child_that_is_stopped_is_seen_stopped() {
        let child = Subject::start("sleep", &["1000"]);
        rustix::process::kill_process(child.pid(), Signal::STOP).unwrap();
        child.shows(&["thread `sleep` stopped"]);
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_seen_to() {
        let child = Subject::start("sh", &["-c", "trap '' TERM; while :; do :; done"]);
        child.shows(&["; SIGTERM ignored"]);
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_can_be_read() {
        let line = Evidence::of(Pid::from_raw(i32::MAX).unwrap()).to_string();
        assert_eq!(line, format!("nothing can be read about process {}", i32::MAX));
    }

    #[test]
    fn many_threads_fit_into_a_line_of_300_bytes() {
        let stat = "1 (worker) S 1 1 1 0 -1 0 0 0 0 0 5 5 0 0\n";
        let thread = |_| Thread::read(|file| (file == "stat").then(|| stat.into()));
        let threads: Vec<_> = (0..LOOKED_AT).map(thread).collect();
        let evidence = Evidence { pid: rustix::process::getpid(), threads, count: 500 };
        let line = evidence.to_string();
        assert!(line.len() <= LONGEST, "{} bytes", line.len());
        assert!(line.starts_with("thread `worker` sleeping"), "{line}");
        assert!(line.ends_with("and 498 more threads"), "{line}");
    }
}
