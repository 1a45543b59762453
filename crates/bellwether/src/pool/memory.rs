//! How much memory a process has, and whether the machine lacks it: read from /proc.

use std::fs::File;
use std::io::Read;

use rustix::process::Pid;

use super::cgroup;

/// Returns the bytes of memory of a process, shared pages counted in proportion (PSS).
///
/// Where the kernel does not tell PSS (another user's process, or before Linux 4.14), the
/// resident set is returned, which counts shared pages in full. `None` when neither can be read,
/// as when the process is gone.
///
/// The kernel walks all pages of the process for it: about 1 ms a gigabyte.
pub(crate) fn pss(pid: Pid) -> Option<u64> {
    let read = |file, field| bytes_of(&read(&format!("/proc/{pid}/{file}"))?, field);
    read("smaps_rollup", "Pss:").or_else(|| read("status", "VmRSS:"))
}

/// Returns how much of the last ten seconds somebody waited for memory, in percent, 0 to 100.
///
/// `None` where the kernel has no pressure stall information (psi=0, before Linux 4.20).
pub(crate) fn pressure() -> Option<f64> {
    pressures().map(|(some, _)| some)
}

/// Returns the same, and how much of the time nobody went on because all waited for memory; within our
/// own control group, where that tells.
pub(crate) fn pressures() -> Option<(f64, f64)> {
    let own = cgroup::own().first().map(|group| group.join("memory.pressure"));
    let own = own.and_then(|file| read(file.to_str()?));
    let text = own.or_else(|| read("/proc/pressure/memory"))?;
    Some((avg10(&text, "some ")?, avg10(&text, "full ").unwrap_or(0.0)))
}

/// Reads a file of /proc, as far as anything is looked for in it.
fn read(path: &str) -> Option<String> {
    const ENOUGH: u64 = 4096;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Finds a line like `Pss:   1234 kB` (proc_pid_smaps(5), proc_pid_status(5)).
fn bytes_of(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Finds the share in a line like `some avg10=0.12 avg60=…` (Documentation/accounting/psi.rst).
fn avg10(text: &str, who: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(who))?;
    let word = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    word.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_living_process_is_read() {
        let own = rustix::process::getpid();
        let bytes = pss(own).unwrap();
        assert!(bytes > 4096, "{bytes}");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_memory() {
        assert_eq!(pss(Pid::from_raw(i32::MAX).unwrap()), None);
    }

    #[test]
    fn a_field_of_captured_text_is_found() {
        let rollup = "559bd2a0f000-7ffead8d4000 ---p 00000000 00:00 0      [rollup]\n\
                      Rss:                1712 kB\n\
                      Pss:                 275 kB\n\
                      Pss_Dirty:           112 kB\n";
        assert_eq!(bytes_of(rollup, "Pss:"), Some(275 * 1024));
        let status = "Name:\tcat\nVmHWM:\t    1700 kB\nVmRSS:\t    1664 kB\nThreads:\t1\n";
        assert_eq!(bytes_of(status, "VmRSS:"), Some(1664 * 1024));
    }

    #[test]
    fn rubbish_is_no_memory() {
        let huge = format!("Pss: {} kB\n", u64::MAX);
        for text in ["", "Pss:", "Pss: kB", "Pss: -1 kB", "Pss: 1 MB", "Pss: 1e3 kB", &huge] {
            assert_eq!(bytes_of(text, "Pss:"), None, "{text}");
        }
    }

    #[test]
    fn the_share_of_waiting_is_found() {
        let check = |text: &str, expected| assert_eq!(avg10(text, "some "), expected, "{text}");
        let full = "full avg10=7.00 avg60=0.00 avg300=0.00 total=0\n";
        check(&format!("some avg10=2.04 avg60=0.75 avg300=0.40 total=157\n{full}"), Some(2.04));
        check("some avg10=100.00 avg60=0.00\n", Some(100.0));
        check(full, None);
        assert_eq!(avg10(full, "full "), Some(7.0));
    }

    #[test]
    fn rubbish_is_no_pressure() {
        for text in [
            "",
            "some",
            "some avg10=",
            "some avg10=NaN",
            "some avg10=inf",
            "some avg10=-1",
            "some avg10=101",
            "someavg10=1",
            "some avg60=1",
        ] {
            assert_eq!(avg10(text, "some "), None, "{text}");
        }
    }
}
