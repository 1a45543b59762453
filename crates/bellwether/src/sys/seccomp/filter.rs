//! Which system calls are stopped: a program of the kernel's packet filter (bpf(4), seccomp(2)).

/// The one architecture whose system calls are stopped: AUDIT_ARCH_* of linux/audit.h.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_00b7;
/// No architecture has this number, so nothing is stopped there; `install` refuses before.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const ARCHITECTURE: u32 = 0;

/// From here on x86_64 numbers the calls of x32 programs (__X32_SYSCALL_BIT of asm/unistd.h).
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// And the second argument: its low half, on machines that are little-endian, as both are.
const SECOND_AT: u32 = 24;

/// No call has this number.
const NONE: u32 = u32::MAX;

/// The filter; jumps are counted from the next line. With `files`, unlink(2) is stopped, too.
///
/// For every other call the kernel knows the answer without running it (the bitmap of Linux 5.11).
pub(super) const fn filter(files: bool) -> [libc::sock_filter; 13] {
    let (unlink, unlinkat) = if files { (code::UNLINK, code::UNLINKAT) } else { (NONE, NONE) };
    [
        plain(code::LOAD, ARCHITECTURE_AT),
        jump(code::IS, ARCHITECTURE, 0, 9), // a 32-bit program passes
        plain(code::LOAD, NUMBER_AT),
        jump(code::IS_AT_LEAST, X32, 7, 0),
        jump(code::IS, code::BIND, 7, 0),
        jump(code::IS, code::LISTEN, 6, 0),
        jump(code::IS, unlink, 5, 0),
        jump(code::IS, unlinkat, 4, 0),
        jump(code::IS, code::SHUTDOWN, 0, 2),
        plain(code::LOAD, SECOND_AT),
        jump(code::IS, code::SHUT_WR, 0, 1), // how servers end a response: too often to be stopped
        plain(code::RETURN, libc::SECCOMP_RET_ALLOW),
        plain(code::RETURN, libc::SECCOMP_RET_USER_NOTIF),
    ]
}

// The numbers of system calls and the codes of instructions are small.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
mod code {
    pub(super) const BIND: u32 = libc::SYS_bind as u32;
    pub(super) const LISTEN: u32 = libc::SYS_listen as u32;
    pub(super) const SHUTDOWN: u32 = libc::SYS_shutdown as u32;
    pub(super) const SHUT_WR: u32 = libc::SHUT_WR as u32;
    #[cfg(target_arch = "x86_64")]
    pub(super) const UNLINK: u32 = libc::SYS_unlink as u32;
    // Elsewhere there is unlinkat(2) alone.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) const UNLINK: u32 = UNLINKAT;
    pub(super) const UNLINKAT: u32 = libc::SYS_unlinkat as u32;
    pub(super) const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    pub(super) const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    pub(super) const IS_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
}

const fn plain(code: u16, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}
