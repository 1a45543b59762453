//! Whether the kernel has ended somebody for want of memory.

/// What the kernel's count of such deaths was when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Oom {
    seen: u64,
}

impl Oom {
    pub(crate) fn now() -> Self {
        Self { seen: count() }
    }

    /// Tells whether the kernel has killed anybody for memory since it was last asked.
    ///
    /// It counts for the whole machine (`oom_kill` of /proc/vmstat, Linux 4.13); together with a
    /// SIGKILL that nobody here sent that says enough.
    pub(crate) fn struck(&mut self) -> bool {
        let now = count();
        std::mem::replace(&mut self.seen, now) < now
    }
}

fn count() -> u64 {
    std::fs::read_to_string("/proc/vmstat").map_or(0, |text| parse(&text).unwrap_or(0))
}

fn parse(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_others() {
        assert_eq!(parse("pgfault 7\noom_kill 3\noom_kill_x 9\n"), Some(3));
        assert_eq!(parse("oom_killer 3\n"), None);
        assert!(!Oom::now().struck());
    }
}
