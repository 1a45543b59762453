//! The signals that we heed, as something that can be waited for.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::pipe::register;

/// Signals of one meaning that have arrived.
#[derive(Debug)]
pub(super) struct Signals(UnixStream);

impl Signals {
    /// Those by which we are told to stop: Ctrl-C, SIGTERM, and the end of the terminal.
    pub(super) fn to_stop() -> io::Result<Self> {
        let hangs_up = if is_ignored(SIGHUP) { None } else { Some(SIGHUP) };
        Self::of([SIGINT, SIGTERM].into_iter().chain(hangs_up))
    }

    /// The one by which we are told to stop at once.
    pub(super) fn to_stop_at_once() -> io::Result<Self> {
        Self::of([SIGQUIT])
    }

    fn of(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let (heard, written) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        for signal in signals {
            register(signal, written.try_clone()?)?;
        }
        Ok(Self(heard))
    }

    /// Tells how many have arrived since this was asked last.
    pub(super) fn arrived(&mut self) -> usize {
        self.0.read(&mut [0; 64]).unwrap_or(0)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells whether whoever started us wants us to ignore a signal, as nohup(1) does.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ignores_a_signal_is_known() {
        // The runtime of Rust ignores SIGPIPE.
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(SIGTERM));
    }
}
