//! Times and numbers as people read them.

use std::time::Duration;

/// Seconds in at most 7 characters.
pub(crate) fn age(seconds: f64) -> String {
    const UNITS: [(u64, &str, u64, &str); 3] =
        [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")];
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match UNITS.iter().find(|(unit, ..)| whole >= *unit) {
        Some((unit, name, part, part_name)) => {
            format!("{}{name}{:02}{part_name}", whole / unit, whole % unit / part)
        }
        None => format!("{whole}s"),
    }
}

/// Seconds that were used, in at most 5 characters.
pub(crate) fn spent(seconds: f64) -> String {
    let hours = seconds / 3600.0;
    match seconds {
        ..9.95 => format!("{seconds:.1}s"),
        ..9_999.5 => format!("{seconds:.0}s"),
        _ if hours < 9_999.5 => format!("{hours:.0}h"),
        _ => format!("{:.0}d", hours / 24.0),
    }
}

/// Bytes in at most 5 characters.
pub(crate) fn memory(bytes: u64) -> String {
    let (mut number, mut units) = (bytes as f64 / 1024.0, ["K", "M", "G", "T", "P"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if number < 999.5 {
            break;
        }
        (number, unit) = (number / 1024.0, next);
    }
    let digits = usize::from(number < 9.95 && unit != "K");
    format!("{number:.digits$}{unit}")
}

/// A number in at most 7 characters.
pub(crate) fn count(number: u64) -> String {
    const STEPS: [(u64, char); 4] = [
        (1_000_000_000_000_000, 'P'),
        (1_000_000_000_000, 'T'),
        (1_000_000_000, 'G'),
        (1_000_000, 'M'),
    ];
    if number < 10_000_000 {
        return number.to_string();
    }
    let step = STEPS.iter().find(|(step, _)| number >= *step);
    step.map_or_else(String::new, |(step, letter)| {
        format!("{}.{}{letter}", number / step, number % step / (step / 10))
    })
}

/// A number with its noun, which has an `s` unless there is one.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(number))
}

/// A number as exact as it is of use: with at most three digits behind the point.
pub(crate) fn figure(number: f64) -> String {
    let text = format!("{number:.3}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A short time in two digits.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = if seconds < 1.0 { (seconds * 1000.0, "ms") } else { (seconds, "s") };
    let digits = if number < 1.0 { 2 } else { usize::from(number < 10.0) };
    format!("{number:.digits$} {unit}")
}

/// A text in which no control character reaches the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A command line as it can be typed into a shell.
pub(crate) fn shown(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_short() {
        let check = |seconds: f64, expected: &str| assert_eq!(age(seconds), expected);
        check(0.4, "0s");
        check(59.9, "59s");
        check(60.0, "1m00s");
        check(3_725.0, "1h02m");
        check(90_000.0, "1d01h");
        check(999.0 * 86_400.0, "999d00h");
        check(-1.0, "0s");
        check(f64::NAN, "0s");
    }

    #[test]
    fn what_was_used_is_short() {
        let check = |seconds: f64, expected: &str| assert_eq!(spent(seconds), expected);
        check(0.0, "0.0s");
        check(9.94, "9.9s");
        check(9.96, "10s");
        check(9_999.0, "9999s");
        check(36_000.0, "10h");
        check(1e9, "11574d");
        let check = |bytes: u64, expected: &str| assert_eq!(memory(bytes), expected);
        check(0, "0K");
        check(900 << 10, "900K");
        check(1 << 20, "1.0M");
        check(1_536 << 20, "1.5G");
        check(200 << 30, "200G");
        check(u64::MAX, "16384P");
    }

    #[test]
    fn a_number_is_short() {
        let check = |number: u64, expected: &str| assert_eq!(count(number), expected);
        check(0, "0");
        check(9_999_999, "9999999");
        check(12_345_678, "12.3M");
        check(1_234_567_890, "1.2G");
        check(u64::MAX, "18446.7P");
    }

    #[test]
    fn a_noun_agrees_with_its_number() {
        assert_eq!(counted(0, "handler"), "0 handlers");
        assert_eq!(counted(1, "handler"), "1 handler");
        assert_eq!(counted(2, "handler"), "2 handlers");
    }

    #[test]
    fn a_figure_has_no_more_digits_than_it_needs() {
        let check = |number: f64, expected: &str| assert_eq!(figure(number), expected);
        check(0.0, "0");
        check(1200.0, "1200");
        check(3.018_372_000_000_000_3, "3.018");
        check(-0.5, "-0.5");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn a_time_has_two_digits() {
        let check = |us, expected: &str| assert_eq!(time(Duration::from_micros(us)), expected);
        check(16, "0.02 ms");
        check(3_072, "3.1 ms");
        check(57_344, "57 ms");
        check(1_310_720, "1.3 s");
        check(83_886_080, "84 s");
    }

    #[test]
    fn a_text_cannot_command_the_terminal() {
        assert_eq!(clean("GET /\u{1b}[2J\u{9b}1m é\n"), "GET /?[2J?1m é?");
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        let check = |words: &[&str], expected: &str| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            assert_eq!(shown(&words), expected);
        };
        check(&["run", "--", "node", "a.js"], "run -- node a.js");
        check(&["sh", "-c", "node it's; true", ""], r"sh -c 'node it'\''s; true' ''");
    }
}
