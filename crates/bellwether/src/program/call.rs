//! The system call in which a thread of another process sleeps, as far as it is one that waits for
//! connections.

use std::fs::File;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt as _;

use rustix::process::Pid;

/// Of a longer list of poll, and of higher descriptors in select, nothing is read.
const MOST_WATCHED: u64 = 4096;

/// POLLIN and POLLRDNORM, which are EPOLLIN and EPOLLRDNORM.
pub(super) const READABLE: u16 = 0x0041;

/// A call that waits for connections, or for descriptors that its process keeps a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Accept(RawFd),
    /// An array of struct pollfd.
    Poll {
        list: u64,
        length: u64,
    },
    /// An fd_set of what is to be read, and one more than its highest descriptor.
    Select {
        set: u64,
        end: u64,
    },
}

impl Call {
    /// Reads /proc/PID/task/T/syscall: `288 0x3 0x7ffcdefb8be0 …`; a thread that does not sleep is
    /// `running`, or has number -1.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let number: libc::c_long = words.next()?.parse().ok()?;
        let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let (first, second) = (argument()?, argument()?);
        match number {
            libc::SYS_accept | libc::SYS_accept4 => Some(Self::Accept(descriptor(first))),
            number if is_poll(number) => Some(Self::Poll { list: first, length: second }),
            number if is_select(number) => Some(Self::Select { set: second, end: first }),
            _ => None,
        }
    }

    /// What the thread waits to read from; `None` where that is not seen.
    pub(super) fn watched(self, pid: Pid) -> Option<Vec<RawFd>> {
        match self {
            Self::Accept(listener) => Some(vec![listener]),
            Self::Poll { list, length } => {
                let length = Some(length).filter(|it| *it <= MOST_WATCHED)?;
                memory(pid, list, length * 8).map(|list| polled(&list))
            }
            // The kernel reads whole words of it.
            Self::Select { set, end } => {
                let end = Some(end).filter(|it| *it <= MOST_WATCHED)?;
                memory(pid, set, end.div_ceil(64) * 8).map(|set| selected(&set))
            }
        }
    }
}

/// A descriptor is an `int`: what the register has above it means nothing.
fn descriptor(register: u64) -> RawFd {
    let low = u32::try_from(register & u64::from(u32::MAX));
    low.map_or(-1, u32::cast_signed)
}

#[cfg(target_arch = "x86_64")]
const fn is_poll(number: libc::c_long) -> bool {
    number == libc::SYS_poll || number == libc::SYS_ppoll
}

#[cfg(target_arch = "x86_64")]
const fn is_select(number: libc::c_long) -> bool {
    number == libc::SYS_select || number == libc::SYS_pselect6
}

#[cfg(not(target_arch = "x86_64"))]
const fn is_poll(number: libc::c_long) -> bool {
    number == libc::SYS_ppoll
}

#[cfg(not(target_arch = "x86_64"))]
const fn is_select(number: libc::c_long) -> bool {
    number == libc::SYS_pselect6
}

/// What another process has there; the thread may have woken meanwhile and use it otherwise.
fn memory(pid: Pid, address: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let file = File::open(format!("/proc/{pid}/mem")).ok()?;
    file.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

/// The descriptors of a list of struct pollfd that wait for something to read.
fn polled(list: &[u8]) -> Vec<RawFd> {
    let (entries, _) = list.as_chunks::<8>();
    let entries = entries.iter().map(|&[a, b, c, d, low, high, _, _]| {
        (RawFd::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([low, high]))
    });
    entries.filter(|(_, events)| events & READABLE != 0).map(|(number, _)| number).collect()
}

/// The descriptors of an fd_set.
fn selected(set: &[u8]) -> Vec<RawFd> {
    let (words, _) = set.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let bits = words.flat_map(|word| (0..64).map(move |bit| word >> bit & 1 == 1));
    (0..).zip(bits).filter(|(_, is_set)| *is_set).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_is_a_number_and_its_arguments() {
        let check = |number: libc::c_long, arguments: &str, expected| {
            let text = format!("{number} {arguments} 0x0 0x0 0x0 0x1 0x2\n");
            assert_eq!(Call::parse(&text), expected, "{text}");
        };
        check(libc::SYS_accept, "0x3 0x7ffc", Some(Call::Accept(3)));
        check(libc::SYS_accept4, "0xffffffff00000003 0x0", Some(Call::Accept(3)));
        check(libc::SYS_accept, "0xffffffffffffffff 0x0", Some(Call::Accept(-1)));
        check(libc::SYS_ppoll, "0x7f00 0x2", Some(Call::Poll { list: 0x7f00, length: 2 }));
        check(libc::SYS_pselect6, "0x5 0x7f00", Some(Call::Select { set: 0x7f00, end: 5 }));
        check(libc::SYS_read, "0x3 0x7ffc", None);
        check(libc::SYS_accept, "3 0x7ffc", None);
        check(-1, "0x7ffc 0x7ffd", None);
        for rubbish in ["", "running\n", "43", "43 0x1"] {
            assert_eq!(Call::parse(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn lists_are_read_from_a_process() {
        let own = rustix::process::getpid();
        // Waits for 5 to be read from, and for 6 to be written to.
        let list: [[i32; 2]; 2] = [5, 6].map(|number| [number, i32::from(number == 5)]);
        let address = |start: usize| u64::try_from(start).unwrap();
        let list_call = |length| Call::Poll { list: address(list.as_ptr().addr()), length };
        if cfg!(target_endian = "little") {
            assert_eq!(list_call(2).watched(own), Some(vec![5]));
        }
        let set = [1u64 << 3, 1 << 63];
        let set_call = |end| Call::Select { set: address(set.as_ptr().addr()), end };
        assert_eq!(set_call(128).watched(own), Some(vec![3, 127]));
        assert_eq!(set_call(4).watched(own), Some(vec![3]));
        for unreadable in [
            list_call(MOST_WATCHED + 1),
            set_call(u64::MAX),
            Call::Poll { list: 0, length: 1 },
            Call::Select { set: u64::MAX, end: 1 },
        ] {
            assert_eq!(unreadable.watched(own), None, "{unreadable:?}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_read_within_its_bounds(
            text in "\\PC{0,90}", bytes in proptest::collection::vec(any::<u8>(), 0..90)
        ) {
            let _ = Call::parse(&text);
            prop_assert!(polled(&bytes).len() <= bytes.len() / 8);
            let highest = selected(&bytes).last().copied().unwrap_or(-1);
            prop_assert!(usize::try_from(highest + 1).unwrap() <= bytes.len() * 8);
        }
    }
}
