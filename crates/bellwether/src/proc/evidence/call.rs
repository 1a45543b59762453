//! The system call that a thread is in.

use std::fmt;

/// The system call that a thread is in, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Call {
    #[default]
    Unknown,
    Outside,
    Number(libc::c_long),
}

impl Call {
    /// Reads proc_pid_syscall(5): `running`, or the number of the call, -1 when it is in none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.split_whitespace().next()? {
            "running" | "-1" => Self::Outside,
            number => Self::Number(number.parse().ok().filter(|number| *number >= 0)?),
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unknown => f.write_str("in an unknown place"),
            Self::Outside => f.write_str("in no system call"),
            Self::Number(number) => match name_of(number) {
                Some(name) => write!(f, "in {name}"),
                None => write!(f, "in system call {number}"),
            },
        }
    }
}

/// The name of a system call in which handlers are found, on this processor.
fn name_of(number: libc::c_long) -> Option<&'static str> {
    CALLS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

macro_rules! calls {
    ($($(#[$condition:meta])* $constant:ident $name:literal,)*) => {
        &[$($(#[$condition])* (libc::$constant, $name),)*]
    };
}

const CALLS: &[(libc::c_long, &str)] = calls! {
    SYS_accept "accept",
    SYS_accept4 "accept4",
    SYS_clock_nanosleep "clock_nanosleep",
    SYS_close "close",
    SYS_connect "connect",
    SYS_epoll_pwait "epoll_pwait",
    SYS_fallocate "fallocate",
    SYS_fcntl "fcntl",
    SYS_fdatasync "fdatasync",
    SYS_flock "flock",
    SYS_fsync "fsync",
    SYS_ftruncate "ftruncate",
    SYS_futex "futex",
    SYS_getdents64 "getdents64",
    SYS_io_uring_enter "io_uring_enter",
    SYS_ioctl "ioctl",
    SYS_madvise "madvise",
    SYS_mmap "mmap",
    SYS_munmap "munmap",
    SYS_nanosleep "nanosleep",
    SYS_openat "openat",
    SYS_ppoll "ppoll",
    SYS_pread64 "pread64",
    SYS_pselect6 "pselect6",
    SYS_pwrite64 "pwrite64",
    SYS_read "read",
    SYS_readv "readv",
    SYS_recvfrom "recvfrom",
    SYS_recvmsg "recvmsg",
    SYS_renameat2 "renameat2",
    SYS_rt_sigsuspend "rt_sigsuspend",
    SYS_rt_sigtimedwait "rt_sigtimedwait",
    SYS_semtimedop "semtimedop",
    SYS_sendfile "sendfile",
    SYS_sendmsg "sendmsg",
    SYS_sendto "sendto",
    SYS_splice "splice",
    SYS_wait4 "wait4",
    SYS_waitid "waitid",
    SYS_write "write",
    SYS_writev "writev",
    // Later processors have only the more general forms of these.
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait "epoll_wait",
    #[cfg(target_arch = "x86_64")]
    SYS_open "open",
    #[cfg(target_arch = "x86_64")]
    SYS_pause "pause",
    #[cfg(target_arch = "x86_64")]
    SYS_poll "poll",
    #[cfg(target_arch = "x86_64")]
    SYS_select "select",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_kernel_is_read() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Call::parse(text).unwrap().to_string(), expected, "{text}");
        };
        check("running\n", "in no system call");
        check("-1 0x7ffc 0x55d2\n", "in no system call");
        check(&format!("{} 0x3 0x7f20 0x20000\n", libc::SYS_read), "in read");
        check("999999 0x0\n", "in system call 999999");
    }

    #[test]
    fn rubbish_is_no_call() {
        for text in ["", " ", "-2 0x0", "read", "99999999999999999999"] {
            assert_eq!(Call::parse(text), None, "{text}");
        }
    }
}
