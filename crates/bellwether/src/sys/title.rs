//! The line that ps(1) and top(1) show for this process (`/proc/PID/cmdline`).
//!
//! The kernel is told once where it stands (PR_SET_MM_MAP of prctl(2), which needs no privilege): in
//! memory of its own. The arguments and the environment stay as they are, so that whoever reads them
//! still finds them. From then on another line is a write to memory and no system call, and each
//! forked process has a copy of its own. Where the kernel refuses, all stays as it was.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// The longest line, with at least one NUL behind it: without that the kernel would read on in the
/// environment (`get_mm_cmdline` of Linux).
const ROOM: usize = 256;

type Line = [AtomicU8; ROOM];

static LINE: OnceLock<&'static Line> = OnceLock::new();

/// What PR_SET_MM_MAP takes (`struct prctl_mm_map` of linux/prctl.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Lets this process, and those that it forks, show another line than their arguments.
///
/// To be called while the process has one thread: another could move the end of the heap between
/// the look and the call.
///
/// # Errors
/// The kernel refuses: it has no CONFIG_CHECKPOINT_RESTORE, or a filter does.
pub(crate) fn begin() -> io::Result<()> {
    if LINE.get().is_some() {
        return Ok(());
    }
    // On the heap: of what is mapped from a file the kernel shows nothing.
    let line: &'static Line = Box::leak(Box::new([const { AtomicU8::new(0) }; ROOM]));
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let start = line.as_ptr() as u64;
    let known = Map::of(&stat).ok_or(io::ErrorKind::InvalidData)?;
    announce(&Map { arg_start: start, arg_end: start + ROOM as u64, ..known })?;
    let _ = LINE.set(line);
    Ok(())
}

/// Shows this line, cut where it is too long; nothing happens where none was begun.
pub(crate) fn show(text: &str) {
    let Some(line) = LINE.get() else { return };
    let bytes = text.bytes().filter(|byte| *byte != 0).take(ROOM - 1);
    for (place, byte) in line.iter().zip(bytes.chain(std::iter::repeat(0))) {
        place.store(byte, Ordering::Relaxed);
    }
}

impl Map {
    /// What /proc/PID/stat says (proc_pid_stat(5), fields from 3 on stand behind the name).
    fn of(stat: &str) -> Option<Self> {
        let (_, behind) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            start_code: field(26)?,
            end_code: field(27)?,
            start_stack: field(28)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            arg_start: field(48)?,
            arg_end: field(49)?,
            env_start: field(50)?,
            env_end: field(51)?,
            // None: the auxiliary vector, and the program behind /proc/PID/exe, stay.
            exe_fd: u32::MAX,
            ..Self::default()
        })
    }
}

fn announce(map: &Map) -> io::Result<()> {
    // SAFETY: an increment of 0 only asks where the heap ends.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map = Map { brk, ..*map };
    let (what, size) = (libc::PR_SET_MM_MAP as libc::c_ulong, size_of::<Map>());
    // SAFETY: all values but one are those that the kernel has given, the end of the heap included,
    // which nobody moves meanwhile; the line lies in memory that is never given back, and the kernel
    // only reads there, when somebody asks for /proc/PID/cmdline.
    let done =
        unsafe { libc::prctl(libc::PR_SET_MM, what, &raw const map, size, 0 as libc::c_ulong) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_others_read_and_the_arguments_stay() {
        let arguments: Vec<_> = std::env::args_os().collect();
        show("nothing was begun");
        if let Err(error) = begin() {
            println!("SKIPPED: titles: {error}");
            return;
        }
        let shown = || {
            let bytes = std::fs::read("/proc/self/cmdline").unwrap();
            String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
        };
        let check = |text: &str, expected: &str| {
            show(text);
            assert_eq!(shown(), expected);
        };
        check("bellwether: spawner web 4/8 handlers", "bellwether: spawner web 4/8 handlers");
        check("short", "short");
        check("two\0parts", "twoparts");
        check(&"x".repeat(2 * ROOM), &"x".repeat(ROOM - 1));
        check("", "");
        assert_eq!(std::env::args_os().collect::<Vec<_>>(), arguments);
        // The heap still grows.
        assert_eq!(vec![1_u8; 1 << 20].len(), 1 << 20);
    }

    #[test]
    fn a_process_of_any_name_is_read() {
        let numbers: Vec<String> = (4..=52).map(|field| (field * 1000).to_string()).collect();
        let map = Map::of(&format!("7 (a) b) R {}", numbers.join(" "))).unwrap();
        let ends = (map.start_code, map.start_stack, map.start_brk, map.env_end);
        assert_eq!(ends, (26_000, 28_000, 47_000, 51_000));
        assert_eq!(Map::of("7 (a) R 1 2 3"), None);
        assert_eq!(Map::of(""), None);
    }
}
