//! Socket options that `rustix` lacks: TCP_INFO, deferred accept, unsent data, drop counters, a SYN
//! filter.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

fn set_option<T>(fd: impl AsFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: `value` is readable for `size` bytes; the kernel copies it, and what the filter of
    // `refuse_new` points at, during the call and keeps no pointer.
    let done =
        unsafe { libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option into an array of words; what the kernel does not fill stays zero.
fn get_option<const N: usize>(fd: impl AsFd, level: i32, option: i32) -> io::Result<[u32; N]> {
    let mut value = [0u32; N];
    let mut size = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `size` bytes, which is the array's size, and plain
    // integers are valid whatever it writes.
    let done =
        unsafe { libc::getsockopt(fd, level, option, value.as_mut_ptr().cast(), &raw mut size) };
    if done == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// The part of `struct tcp_info` that is used here, as 32-bit words (linux/tcp.h).
const INFO_WORDS: usize = 34;
const UNACKED: usize = 6;
const SACKED: usize = 7;
const LAST_DATA_RECV: usize = 13;
const LAST_ACK_RECV: usize = 14;
/// tcpi_bytes_received, 64 bits at byte 128.
const BYTES_RECEIVED: usize = 32;

/// What waits at a listening TCP socket and how much may wait: (depth, limit).
///
/// On a listener `tcpi_unacked` is the length of the accept queue and `tcpi_sacked` its limit
/// (tcp_get_info in net/ipv4/tcp.c).
pub(crate) fn tcp_queue(listener: impl AsFd) -> io::Result<(u32, u32)> {
    let info = get_option::<INFO_WORDS>(listener, libc::IPPROTO_TCP, libc::TCP_INFO)?;
    Ok((info[UNACKED], info[SACKED]))
}

/// Milliseconds since an accepted TCP connection last received something.
///
/// Its data if there is any, else the end of the handshake; exact to one tick of the kernel
/// (1/HZ: 1 to 10 ms).
pub(crate) fn tcp_quiet_ms(connection: impl AsFd) -> io::Result<u32> {
    let info = get_option::<INFO_WORDS>(connection, libc::IPPROTO_TCP, libc::TCP_INFO)?;
    let has_data = info[BYTES_RECEIVED] != 0 || info[BYTES_RECEIVED + 1] != 0;
    Ok(info[if has_data { LAST_DATA_RECV } else { LAST_ACK_RECV }])
}

/// Lets the kernel take no more of what we write than so much beyond what the client's window and
/// the network let it send, about (tcp(7), TCP_NOTSENT_LOWAT).
#[cfg(feature = "http")]
pub(crate) fn bound_unsent(connection: impl AsFd, bytes: u32) -> io::Result<()> {
    set_option(connection, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, &bytes)
}

/// Who is at the other side of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its process; 0 for one that cannot be seen from here.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Asks the kernel who is at the other side (SO_PEERCRED, unix(7)).
///
/// Asked here and not by `rustix`, whose type has no room for process 0.
pub(crate) fn peer(socket: impl AsFd) -> io::Result<Peer> {
    let [pid, uid, gid] = get_option::<3>(socket, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
    Ok(Peer { pid, uid, gid })
}

/// How many connections the kernel has dropped at this listener since it was opened.
///
/// SK_MEMINFO_DROPS is word 8 of SO_MEMINFO (linux/sock_diag.h).
pub(crate) fn drops(listener: impl AsFd) -> io::Result<u32> {
    Ok(get_option::<9>(listener, libc::SOL_SOCKET, libc::SO_MEMINFO)?[8])
}

/// How many connections the kernel has dropped at full accept queues of this network namespace.
///
/// `ListenOverflows` of /proc/net/netstat: two lines, names above numbers.
pub(crate) fn overflows_everywhere() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    pairs.find(|(name, _)| *name == "ListenOverflows")?.1.parse().ok()
}

/// Lets a connection into the accept queue only once its first data has come.
///
/// `seconds` bounds how long the kernel waits for the data before it lets it in anyway.
pub(crate) fn defer_accept(listener: impl AsFd, seconds: u32) -> io::Result<()> {
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds)
}

/// Makes a listening TCP socket ignore new connections and keep those it has.
///
/// Attaches a filter that drops segments which open a connection (SYN without ACK); a client
/// that knocks now sends its SYN again after a second, and finds the successor or is refused.
/// The filter sees the TCP header at offset 0 (tcp_v4_rcv calls it with the header pulled).
pub(crate) fn refuse_new(listener: impl AsFd) -> io::Result<()> {
    const FLAGS_BYTE: u32 = 13;
    const SYN_OR_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    // Instruction codes of classic BPF (linux/bpf_common.h), as the numbers that they are.
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        op(LOAD_BYTE, 0, 0, FLAGS_BYTE),
        op(AND, 0, 0, SYN_OR_ACK),
        op(JUMP_IF_EQUAL, 0, 1, SYN),
        op(RETURN, 0, 0, 0),
        op(RETURN, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 5, filter: program.as_mut_ptr() };
    set_option(listener, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Lets new connections in again, if [`refuse_new`] keeps them out.
pub(crate) fn admit_new(listener: impl AsFd) -> io::Result<()> {
    match set_option(listener, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0i32) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_queue_of_a_listener_counts_what_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(tcp_queue(&listener).unwrap().0, 3);
        assert_eq!(clients.len(), 3);
    }

    #[test]
    fn a_listener_that_refuses_new_connections_keeps_the_old_ones() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).unwrap();
        refuse_new(&listener).unwrap();
        let late = TcpStream::connect_timeout(&address, std::time::Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn a_listener_that_refused_new_connections_admits_them_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        refuse_new(&listener).unwrap();
        for _ in 0..2 {
            admit_new(&listener).unwrap();
        }
        assert!(TcpStream::connect(listener.local_addr().unwrap()).is_ok());
    }
}
