//! Whether the machine lacks memory: read from /proc.

use super::cgroup;
use crate::proc::usage::read;

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
