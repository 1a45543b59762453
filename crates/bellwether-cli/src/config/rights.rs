//! What a program may: values as people write them.

use bellwether::Resource;
use bytesize::ByteSize;

use super::nearest::nearest;
use super::written::Value;

/// A user or a group, by name or by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account(pub(crate) String);

impl Account {
    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl Value for Account {
    const FORM: &'static str = "a name such as \"www-data\" or a number";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = "^[^:-][^:]*$";

    fn read(text: &str) -> Result<Self, String> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        // The last number means nobody, and to the kernel "as it is".
        let fits = !is_number || text.parse::<u32>().is_ok_and(|number| number != u32::MAX);
        let is_name = !text.is_empty() && !text.starts_with('-') && !text.contains([':', '\0']);
        let wrong = || format!("`{text}` is not possible; write {}", Self::FORM);
        (is_name && fits).then(|| Self(text.into())).ok_or_else(wrong)
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Limited(pub(crate) Resource);

impl Value for Limited {
    const FORM: &'static str = "the name of a limit such as \"nofile\"";
    const PATTERN: &'static str = "^(as|core|cpu|data|fsize|memlock|msgqueue|nice|nofile|nproc|\
                                   rtprio|rttime|sigpending|stack)$";

    fn read(text: &str) -> Result<Self, String> {
        let names: Vec<_> = Resource::names().collect();
        text.parse().map(Self).map_err(|_| match nearest(text, &names) {
            Some(near) => format!("there is no limit `{text}`; did you mean `{near}`?"),
            None => format!("there is no limit `{text}`; there are {}", names.join(", ")),
        })
    }
}

/// How much a program may use: soft and hard, `None` being no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
    /// Whether a unit of bytes was written.
    pub(crate) in_bytes: bool,
}

impl Value for Range {
    const FORM: &'static str = "a number, \"SOFT:HARD\" or \"unlimited\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str =
        "^(unlimited|[0-9.]+ *[A-Za-z]*)(:(unlimited|[0-9.]+ *[A-Za-z]*))?$";

    fn read(text: &str) -> Result<Self, String> {
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        let wrong = || format!("`{text}` is not possible; write {}", Self::FORM);
        let ((soft, one), (hard, other)) = bound(soft).zip(bound(hard)).ok_or_else(wrong)?;
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            return Err(format!("`{text}` has the soft limit above the hard one; write SOFT:HARD"));
        }
        Ok(Self { soft, hard, in_bytes: one || other })
    }
}

/// A limit, and whether it has a unit.
fn bound(text: &str) -> Option<(Option<u64>, bool)> {
    match (text, text.parse()) {
        ("unlimited", _) => Some((None, false)),
        // That is how the kernel writes it.
        (_, Ok(u64::MAX)) => None,
        (_, Ok(number)) => Some((Some(number), false)),
        _ => text.parse::<ByteSize>().ok().map(|size| (Some(size.0), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let check = |text: &str, soft, hard, in_bytes| {
            assert_eq!(Range::read(text), Ok(Range { soft, hard, in_bytes }), "{text}");
        };
        check("4096", Some(4096), Some(4096), false);
        check("0", Some(0), Some(0), false);
        check("16:64", Some(16), Some(64), false);
        check("16:unlimited", Some(16), None, false);
        check("unlimited", None, None, false);
        check("1 MiB:2GiB", Some(1 << 20), Some(2 << 30), true);
        for wrong in ["", ":", "1:", ":1", "-1", "much", "1:2:3", "18446744073709551615"] {
            assert!(Range::read(wrong).unwrap_err().contains("; write"), "{wrong}");
        }
        for wrong in ["2:1", "unlimited:1"] {
            assert!(Range::read(wrong).unwrap_err().contains("above"), "{wrong}");
        }
    }

    #[test]
    fn a_limit_has_a_name() {
        assert_eq!(Limited::read("nofile"), Ok(Limited(Resource::OpenFiles)));
        assert!(Limited::read("nofiles").unwrap_err().contains("did you mean `nofile`?"));
        assert!(Limited::read("colour").unwrap_err().contains("there are as, core, cpu"));
        // The schema knows them all.
        let named = |name: &str| {
            Limited::PATTERN[2..Limited::PATTERN.len() - 2].split('|').any(|it| it == name)
        };
        assert!(Resource::names().all(named));
    }

    #[test]
    fn an_account_is_a_name_or_a_number_of_somebody() {
        let check = |text: &str, fits| assert_eq!(Account::read(text).is_ok(), fits, "{text}");
        check("www-data", true);
        check("33", true);
        check("0", true);
        check("4294967294", true);
        check("4294967295", false);
        check("99999999999", false);
        check("", false);
        check("-1", false);
        check("a:b", false);
        assert_eq!(Account("33".into()).number(), Some(33));
    }
}
