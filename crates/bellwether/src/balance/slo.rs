//! How long requests may wait, and how many of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A service level objective: at least such a share of requests waits no longer than this.
///
/// ```
/// use std::time::Duration;
/// use bellwether::balance::Slo;
/// let slo: Slo = "99%<50ms".parse()?;
/// assert_eq!(slo, Slo::default());
/// assert_eq!((slo.late(), slo.wait()), (0.01, Duration::from_millis(50)));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    late: f64,
    wait: Duration,
}

impl Slo {
    /// Says which share of requests may be late (more than 0, less than 1), and from which wait in
    /// the buffer on a request is late (at least 1 ms); `None` for anything else.
    #[must_use]
    pub fn new(late: f64, wait: Duration) -> Option<Self> {
        let possible = late > 0.0 && late < 1.0 && wait >= Duration::from_millis(1);
        possible.then_some(Self { late, wait })
    }

    /// Returns the share of requests that may be late, between 0 and 1.
    #[must_use]
    pub const fn late(&self) -> f64 {
        self.late
    }

    /// Returns the wait in the buffer from which on a request is late.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }
}

/// 99 % of requests wait no longer than 50 ms.
impl Default for Slo {
    fn default() -> Self {
        Self { late: 0.01, wait: Duration::from_millis(50) }
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no objective; write SHARE%<TIME with a share between 0 and 100 and at \
                 least 1 ms, like 99%<50ms or 99.9%<1s"
            )
        };
        let (share, wait) = text.split_once('<').ok_or_else(wrong)?;
        let share = number(share.trim().strip_suffix('%').ok_or_else(wrong)?).ok_or_else(wrong)?;
        let wait = time(wait.trim()).ok_or_else(wrong)?;
        // 100 - 99.9 is not quite 0.1; a share in millionths is exact enough.
        let late = ((100.0 - share) * 10_000.0).round() / 1_000_000.0;
        Self::new(late, wait).ok_or_else(wrong)
    }
}

/// Reads a time like 50ms, 1.5s or 2m.
pub(super) fn time(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let seconds = match &text[digits..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number(text[..digits].trim_end())? * seconds).ok()
}

/// Reads a plain decimal number: no sign, no exponent, no words.
fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = ((1.0 - self.late) * 100_000_000.0).round() / 1_000_000.0;
        write!(f, "{share}%<{:?}", self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_they_are_printed() {
        for text in ["99%<50ms", "99.9%<1s", "50%<1ms", "99.99%<2.5s"] {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
        assert_eq!("99 % < 50 ms".replace(" %", "%").parse::<Slo>(), Ok(Slo::default()));
    }

    #[test]
    fn what_cannot_be_an_objective_is_refused_with_what_to_write() {
        for text in [
            "",
            "99%",
            "99<50ms",
            "100%<50ms",
            "0%<",
            "99%<50",
            "99%<0ms",
            "99%<-1s",
            "inf%<1s",
            "99%<1e9s",
            "99%<x",
            "101%<1s",
            "-1%<1s",
            "99%<99999999999999999999s",
        ] {
            let complaint = text.parse::<Slo>().unwrap_err();
            assert!(complaint.contains("99%<50ms"), "{complaint}");
        }
    }
}
