//! What a handler in an attacker's hands can try, in safe code: the kernel is the way in.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::net::Shutdown;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, Signal, getpid};

/// Tries one thing and tells what came of it.
pub(crate) fn obey(word: &str) -> String {
    match word.split_once(' ').unwrap_or((word, "")) {
        ("scribble", _) => scribble("rw-s").to_string(),
        ("scribble-control", _) => scribble("r--s").to_string(),
        ("pages", _) => pages(),
        ("descriptors", _) => descriptors(),
        ("seize-control", pid) => seize_control(pid),
        ("flags", _) => flags(),
        ("shut", _) => shut().to_string(),
        ("deaf", _) => deaf(),
        ("flood", _) => flood(),
        ("leak", mebibytes) => leak(mebibytes),
        _ => format!("unknown: {word}"),
    }
}

pub(crate) fn signal_self(signal: Signal) -> String {
    // Rust's own handler for faults lets the first one pass that was not a fault.
    let _ = rustix::process::kill_process(getpid(), signal);
    let _ = rustix::process::kill_process(getpid(), signal);
    "still here".into()
}

/// Becomes a program that ignores SIGTERM and spins, and leaves connection and channel open.
pub(crate) fn ignore_term(connection: impl AsFd) -> String {
    for channel in channels() {
        let _ = rustix::io::fcntl_setfd(&channel, FdFlags::empty());
        std::mem::forget(channel);
    }
    let Ok(connection) = connection.as_fd().try_clone_to_owned() else { return "no copy".into() };
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' TERM; while :; do :; done"]).stdin(connection);
    shell.exec().to_string()
}

/// Takes so much memory and never gives it back.
fn leak(mebibytes: &str) -> String {
    let bytes = mebibytes.parse::<usize>().unwrap_or(0) << 20;
    vec![1_u8; bytes].leak();
    format!("leaked {bytes}")
}

/// Leaves a process behind that is nobody's child, as a daemon would.
pub(crate) fn leave_an_orphan() -> String {
    let shell = "sleep 0.2 & echo $!";
    let output = Command::new("sh").args(["-c", shell]).stderr(Stdio::null()).output();
    output.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stdout).trim().into())
}

/// The shared mappings of this process with these permissions: (start, end, name).
fn shared(permissions: &str) -> Vec<(u64, u64, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let fits = words.next()? == permissions && line.contains("/memfd:bellwether-");
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        fits.then_some((number(start)?, number(end)?, words.nth(3)?.to_owned()))
    };
    maps.lines().filter_map(read).collect()
}

/// Writes random bytes over all such mappings; returns how many bytes the kernel let through.
fn scribble(permissions: &str) -> usize {
    let Ok(memory) = File::options().write(true).open("/proc/self/mem") else { return 0 };
    let mut written = 0;
    for (start, end, _) in shared(permissions) {
        let mut noise = vec![0; usize::try_from(end - start).unwrap_or(0)];
        let _ = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut noise));
        written += memory.write_at(&noise, start).unwrap_or(0);
    }
    written
}

fn pages() -> String {
    let names = |permissions| {
        shared(permissions).into_iter().map(|(_, _, name)| name).collect::<Vec<_>>().join(",")
    };
    format!("writable {} readable {}", names("rw-s"), names("r--s"))
}

fn descriptors() -> String {
    let name = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let names = numbers().into_iter().filter_map(|fd| {
        let target = name(fd)?.to_string_lossy().into_owned();
        Some(target.split(':').next().unwrap_or_default().to_owned())
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Opens the spawner's control page through /proc and tries to write it there.
fn seize_control(pid: &str) -> String {
    let folder = format!("/proc/{pid}/fd");
    let Ok(entries) = std::fs::read_dir(&folder) else { return "no access".into() };
    for path in entries.flatten().map(|entry| entry.path()) {
        let target = std::fs::read_link(&path).unwrap_or_default();
        if target.to_string_lossy().contains("bellwether-control") {
            return match File::options().read(true).write(true).open(&path) {
                Err(error) => format!("refused: {error}"),
                Ok(file) => file.write_at(&[2; 64], 64).map_or_else(
                    |error| format!("refused: {error}"),
                    |length| format!("wrote {length}"),
                ),
            };
        }
    }
    "not found".into()
}

/// The numbers of all open descriptors.
fn numbers() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").map(|entries| {
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    });
    let mut numbers: Vec<i32> = entries.unwrap_or_default();
    numbers.sort_unstable();
    numbers
}

/// Duplicates of all descriptors that others share: flags and life are those of the original.
fn shared_descriptors() -> Vec<OwnedFd> {
    let Ok(own) = rustix::process::pidfd_open(getpid(), PidfdFlags::empty()) else {
        return Vec::new();
    };
    let take = |fd| rustix::process::pidfd_getfd(&own, fd, PidfdGetfdFlags::empty()).ok();
    numbers().into_iter().filter_map(take).collect()
}

/// Turns the flags of everything around: blocking, appending, asking for signals.
fn flags() -> String {
    for fd in shared_descriptors() {
        if let Ok(old) = rustix::fs::fcntl_getfl(&fd) {
            let _ = rustix::fs::fcntl_setfl(&fd, (old ^ OFlags::NONBLOCK) | OFlags::APPEND);
        }
    }
    "turned".into()
}

fn listening() -> impl Iterator<Item = OwnedFd> {
    shared_descriptors()
        .into_iter()
        .filter(|fd| rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(false))
}

/// Shuts every listener down for all who share it; returns how many.
fn shut() -> usize {
    listening().filter(|fd| rustix::net::shutdown(fd, Shutdown::Both).is_ok()).count()
}

/// The socket pairs of this process: the channel to the spawner.
fn channels() -> impl Iterator<Item = OwnedFd> {
    use rustix::net::AddressFamily;
    shared_descriptors().into_iter().filter(|fd| {
        let unix = rustix::net::sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX);
        unix && !rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(true)
    })
}

fn deaf() -> String {
    let shut = channels().filter(|fd| rustix::net::shutdown(fd, Shutdown::Both).is_ok()).count();
    format!("deaf {shut}")
}

/// Says ready over and over, and rubbish, as much as the channel takes.
fn flood() -> String {
    let noise = [b'R'; 4096];
    let pour =
        |fd: OwnedFd| (0..1000).map_while(|_| rustix::io::write(&fd, &noise).ok()).sum::<usize>();
    let poured: usize = channels().map(pour).sum();
    format!("poured {poured}")
}
