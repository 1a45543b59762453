//! Days and times of the clock on the wall, in UTC.

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The day since 1970-01-01 on which a millisecond lies.
pub(super) const fn day(unix_ms: u64) -> u64 {
    unix_ms / DAY
}

/// A day as `2026-11-22`.
///
/// Years are counted from March, so that the leap day is their last, and in cycles of 400 years,
/// after which the calendar repeats.
pub(super) fn date(day: u64) -> String {
    const CYCLE: u64 = 146_097;
    // The first of March of the year 0 is 719,468 days before 1970-01-01.
    let (cycle, day) = ((day + 719_468) / CYCLE, (day + 719_468) % CYCLE);
    let year = (day - day / 1_460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // March to July have 153 days, and so have August to December.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", cycle * 400 + year + next)
}

/// The time of day as `09:05:07.089`.
pub(super) fn time(unix_ms: u64) -> String {
    let seconds = unix_ms % DAY / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:03}", unix_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        // By date(1): `date -ud @$((day * 86400)) +%F`.
        let check = |number: u64, expected: &str| assert_eq!(date(number), expected);
        check(0, "1970-01-01");
        check(58, "1970-02-28");
        check(59, "1970-03-01");
        check(789, "1972-02-29");
        check(790, "1972-03-01");
        check(11_016, "2000-02-29");
        check(20_779, "2026-11-22");
        check(47_540, "2100-02-28");
        check(47_541, "2100-03-01");
    }

    #[test]
    fn milliseconds_have_their_day_and_time() {
        let check = |unix_ms: u64, expected: (u64, &str)| {
            assert_eq!((day(unix_ms), time(unix_ms).as_str()), expected);
        };
        check(0, (0, "00:00:00.000"));
        check(DAY - 1, (0, "23:59:59.999"));
        check(DAY, (1, "00:00:00.000"));
        check(1_795_338_307_089, (20_779, "09:05:07.089"));
        check(u64::MAX, (213_503_982_334, "14:25:51.615"));
        assert!(!date(day(u64::MAX)).is_empty());
    }
}
