//! Processes as `/proc` shows them: who is whose child, and in what state.

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr;

use rustix::process::{WaitOptions, waitpid};

/// A process id, as the kernel and the control socket write it.
pub type Pid = i32;

/// One process at the moment of the look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    /// `R`, `S`, `D`, `T`, `Z`, … as in proc(5).
    pub state: char,
    /// Clock ticks since boot; with the pid it names a process for good.
    pub started: u64,
    pub name: String,
}

impl Process {
    /// Looks a process up; `None` when it is gone.
    pub fn find(pid: Pid) -> Option<Self> {
        parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Dead, but not yet waited for by its parent.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// The value of a variable in the environment that its program was started with.
    pub fn variable(&self, name: &str) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let text = String::from_utf8_lossy(&environment).into_owned();
        text.split('\0').find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.into()))
    }
}

/// Every process that can be seen.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| Process::find(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// The processes whose parent is `pid`, zombies too.
pub fn children(pid: Pid) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == pid).collect()
}

/// Children, their children and so on, from one snapshot.
pub fn descendants(pid: Pid) -> Vec<Process> {
    let everyone = all();
    let mut family = BTreeSet::from([pid]);
    // A process may stand before its parent in the list: go round until nobody is added.
    while everyone.iter().any(|it| family.contains(&it.parent) && family.insert(it.pid)) {}
    everyone.into_iter().filter(|it| it.pid != pid && family.contains(&it.pid)).collect()
}

/// Neither gone nor a zombie.
pub fn is_alive(pid: Pid) -> bool {
    Process::find(pid).is_some_and(|process| !process.is_zombie())
}

/// The id of the test process.
pub fn own() -> Pid {
    std::process::id().cast_signed()
}

/// Waits for a zombie among our own children, so that it disappears.
pub fn reap(pid: Pid) {
    waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::NOHANG).ok();
}

/// The name may hold spaces and parentheses: it ends at the last `)` of the line.
fn parse(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    Some(Process {
        pid: pid.trim().parse().ok()?,
        state: fields.first()?.chars().next()?,
        parent: number(&fields, 1)?,
        group: number(&fields, 2)?,
        session: number(&fields, 3)?,
        started: number(&fields, 19)?,
        name: name.to_owned(),
    })
}

fn number<T: FromStr>(fields: &[&str], index: usize) -> Option<T> {
    fields.get(index)?.parse().ok()
}
