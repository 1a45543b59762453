//! How a program is run: values as people write them.

use std::time::Duration;

use bellwether::{Output, Pass, Ready, Serves};
use rustix::process::Signal;

use super::written::Value;

/// How a program is given the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassWay {
    /// As its recipe says.
    Auto,
    /// In one way, whatever the recipe says.
    Only(Pass),
}

impl Value for PassWay {
    const FORM: &'static str =
        "\"auto\", \"listen-fds\", \"fd:N\", \"stdin\", \"adopt\" or \"port\"";
    const PATTERN: &'static str = "^(auto|listen-fds|fd:[0-9]+|stdin|adopt|port)$";

    fn read(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("fd:").and_then(|number| number.parse::<i32>().ok());
        match (text, number) {
            ("auto", _) => Ok(Self::Auto),
            ("listen-fds", _) => Ok(Self::Only(Pass::ListenFds)),
            ("stdin", _) => Ok(Self::Only(Pass::StandardInput)),
            ("adopt", _) => Ok(Self::Only(Pass::Adopt)),
            ("port", _) => Ok(Self::Only(Pass::Port)),
            (_, Some(number)) if number >= 3 => Ok(Self::Only(Pass::Descriptors(number))),
            _ => Err(format!("`{text}` is not possible; write {}, with N from 3 on", Self::FORM)),
        }
    }
}

/// By what a program is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadyWay(pub(crate) Ready);

impl Value for ReadyWay {
    const FORM: &'static str =
        "\"auto\", \"notify\", \"accept\", \"http:/PATH\", \"fd:N\" or \"after:TIME\"";
    const PATTERN: &'static str = "^(auto|notify|accept|http:/[!-~]*|fd:[0-9]+|after:.+)$";

    fn read(text: &str) -> Result<Self, String> {
        let not_possible = || format!("`{text}` is not possible; write {}", Self::FORM);
        match text.split_once(':') {
            None if text == "auto" => Ok(Self(Ready::Auto)),
            None if text == "notify" => Ok(Self(Ready::Notify)),
            None if text == "accept" => Ok(Self(Ready::Accept)),
            Some(("http", path))
                if path.starts_with('/') && path.bytes().all(|it| it.is_ascii_graphic()) =>
            {
                Ok(Self(Ready::Http(path.into())))
            }
            Some(("fd", number)) => match number.parse() {
                Ok(number) if number >= 3 => Ok(Self(Ready::Descriptor(number))),
                _ => Err(format!("{}, with N from 3 on", not_possible())),
            },
            Some(("after", time)) => Duration::read(time).map(|time| Self(Ready::After(time))),
            _ => Err(not_possible()),
        }
    }
}

/// How many connections a program serves at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KindOf(pub(crate) Serves);

impl Value for KindOf {
    const FORM: &'static str = "\"auto\", \"serial\" or \"concurrent\"";
    const PATTERN: &'static str = "^(auto|serial|concurrent)$";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(Serves::Auto)),
            "serial" => Ok(Self(Serves::Serial)),
            "concurrent" => Ok(Self(Serves::Concurrent)),
            _ => Err(format!("`{text}` is not possible; write {}", Self::FORM)),
        }
    }
}

/// What becomes of the lines of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogWay(pub(crate) Output);

impl Value for LogWay {
    const FORM: &'static str = "\"plain\" or \"prefix\"";
    const PATTERN: &'static str = "^(plain|prefix)$";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "plain" => Ok(Self(Output::Through)),
            "prefix" => Ok(Self(Output::Prefixed)),
            _ => Err(format!("`{text}` is not possible; write {}", Self::FORM)),
        }
    }
}

/// The signal by which a program finishes what it has and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StopSignal(pub(crate) i32);

/// The signals by which programs end, by their names.
pub(crate) const SIGNALS: [(&str, Signal); 7] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

impl Value for StopSignal {
    const FORM: &'static str =
        "\"TERM\", \"INT\", \"QUIT\", \"HUP\", \"USR1\", \"USR2\" or \"WINCH\"";
    const PATTERN: &'static str = "^(SIG)?(TERM|INT|QUIT|HUP|USR1|USR2|WINCH)$";

    fn read(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let found = SIGNALS.iter().find(|(known, _)| *known == name);
        let signal = found.map(|(_, signal)| Self(signal.as_raw()));
        signal.ok_or_else(|| format!("`{text}` is not possible; write {}", Self::FORM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_read_as_it_is_written() {
        let pass = |text: &str| PassWay::read(text).ok();
        assert_eq!(pass("auto"), Some(PassWay::Auto));
        assert_eq!(pass("fd:7"), Some(PassWay::Only(Pass::Descriptors(7))));
        assert!(
            ["", "fd:", "fd:0", "fd:1", "fd:2", "fd:-1", "port:1", "FD:3"]
                .iter()
                .all(|it| pass(it).is_none())
        );
        let ready = |text: &str| ReadyWay::read(text).ok().map(|it| it.0);
        assert_eq!(ready("after:2s"), Some(Ready::After(Duration::from_secs(2))));
        assert_eq!(ready("notify"), Some(Ready::Notify));
        assert_eq!(ready("http:/up?x=a:b"), Some(Ready::Http("/up?x=a:b".into())));
        assert_eq!(ready("fd:4"), Some(Ready::Descriptor(4)));
        assert!(
            ["after:", "after:x", "never", "fd:2", "fd:", "fd:x", "auto:", "http:", "http:/a b"]
                .iter()
                .all(|it| ready(it).is_none())
        );
        assert_eq!(LogWay::read("prefix"), Ok(LogWay(Output::Prefixed)));
        assert!(LogWay::read("json").unwrap_err().contains("plain"));
        assert_eq!(StopSignal::read("SIGUSR2"), Ok(StopSignal(Signal::USR2.as_raw())));
        assert!(StopSignal::read("KILL").unwrap_err().contains("WINCH"));
    }
}
