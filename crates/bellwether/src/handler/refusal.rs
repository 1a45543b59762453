//! What each errno of `accept` means for the handler that got it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use crate::sys::clock;

/// What a handler does after an `accept` that gave no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another was first: wait again.
    Lost,
    /// That one connection failed on its way: try again at once.
    Retry,
    /// A resource is used up: stay out for a while, others may have it.
    Pause,
    /// The listener itself is broken: leave, so that the spawner looks at it.
    Leave,
}

impl Refusal {
    /// Reads the errno (accept(2), with Linux's habit of passing on pending network errors).
    pub(crate) fn of(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::Lost,
            Errno::INTR
            | Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::TIMEDOUT
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH => Self::Retry,
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Self::Leave,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM; what is unknown is treated as gently.
            _ => Self::Pause,
        }
    }
}

/// The growing pauses of a handler that lacks a resource: 10 ms, doubling up to 1 s.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    in_a_row: u32,
    retries: u32,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);
    /// Retries at once are for single bad connections; so many in a row are something else.
    const RETRIES: u32 = 16;

    /// Returns how long to stay out after this refusal; `None`: not at all.
    pub(crate) fn after(&mut self, refusal: Refusal) -> Option<Duration> {
        match refusal {
            Refusal::Lost | Refusal::Leave => None,
            Refusal::Retry => {
                self.retries += 1;
                (self.retries > Self::RETRIES).then_some(Self::FIRST)
            }
            Refusal::Pause => {
                let pause = Self::FIRST.saturating_mul(1 << self.in_a_row.min(7));
                self.in_a_row += 1;
                Some(pause.min(Self::LONGEST))
            }
        }
    }

    /// A connection was won: all is well again.
    pub(crate) const fn reset(&mut self) {
        self.in_a_row = 0;
        self.retries = 0;
    }
}

/// Lets one line a second through, whatever goes wrong how often.
pub(crate) struct OncePerSecond(AtomicU64);

impl OncePerSecond {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Tells whether the line may be written now.
    pub(crate) fn allows(&self) -> bool {
        let now = clock::now_ns();
        let last = self.0.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= 1_000_000_000;
        due && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_has_its_row() {
        let check = |codes: &[i32], refusal| {
            for &code in codes {
                assert_eq!(Refusal::of(Errno::from_raw_os_error(code)), refusal, "errno {code}");
            }
        };
        check(&[libc::EAGAIN], Refusal::Lost);
        check(&[libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EINTR], Refusal::Retry);
        check(&[libc::ENOPROTOOPT, libc::EHOSTDOWN, libc::ENONET, libc::EPERM], Refusal::Retry);
        check(&[libc::EHOSTUNREACH, libc::EOPNOTSUPP, libc::ENETUNREACH], Refusal::Retry);
        check(&[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM], Refusal::Pause);
        check(&[libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EFAULT], Refusal::Leave);
    }

    #[test]
    fn pauses_double_up_to_a_second_and_start_again_after_a_win() {
        let mut pauses = Pauses::default();
        let ms: Vec<_> = (0..9).filter_map(|_| pauses.after(Refusal::Pause)).collect();
        assert_eq!(ms[0], Duration::from_millis(10));
        assert_eq!(ms[1], Duration::from_millis(20));
        assert_eq!(ms[8], Duration::from_secs(1));
        pauses.reset();
        assert_eq!(pauses.after(Refusal::Pause), Some(Duration::from_millis(10)));
    }

    #[test]
    fn retries_without_end_become_pauses() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.after(Refusal::Retry), None);
        let paused = (0..20).filter(|_| pauses.after(Refusal::Retry).is_some()).count();
        assert!(paused > 0);
    }

    #[test]
    fn one_line_a_second_is_let_through() {
        let limit = OncePerSecond::new();
        assert!(limit.allows());
        assert!(!limit.allows());
    }
}
