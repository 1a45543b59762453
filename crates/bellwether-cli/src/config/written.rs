//! Values as people write them: the same in the file and on the command line.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use bellwether::balance::{Rule, Slo};
use bellwether::{Address, Amount, Error, Notification, Peer};
use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};

/// A kind of value that can be written.
pub(crate) trait Value: Sized {
    /// What to write, with an example; ends a sentence that begins with "write".
    const FORM: &'static str;
    /// Whether it can be written as a number, and whether as a text.
    const NUMBER_OR_TEXT: (bool, bool) = (false, true);
    /// Whether it is written as true or false, which on the command line are on and off.
    const SWITCH: bool = false;
    /// How its text looks: a regular expression as JSON Schema knows them (ECMA-262).
    const PATTERN: &'static str;

    /// Reads it, or says what is wrong and after a semicolon what to write instead.
    fn read(text: &str) -> Result<Self, String>;
}

/// A value that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Written<T>(pub(crate) T);

impl<T: Value> FromStr for Written<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        T::read(text).map(Self)
    }
}

impl<'de, T: Value> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: Value> Visitor<'_> for Reader<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::FORM)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Written<T>, E> {
        if !T::NUMBER_OR_TEXT.1 {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        text.parse().map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Written<T>, E> {
        if !T::SWITCH {
            return Err(E::invalid_type(Unexpected::Bool(on), &self));
        }
        let word = if on { "on" } else { "off" };
        word.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Written<T>, E> {
        if !T::NUMBER_OR_TEXT.0 {
            return Err(E::invalid_type(Unexpected::Signed(number), &self));
        }
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Written<T>, E> {
        if !T::NUMBER_OR_TEXT.0 {
            return Err(E::invalid_type(Unexpected::Unsigned(number), &self));
        }
        number.to_string().parse().map_err(E::custom)
    }
}

impl<T: Value> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::FORM.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Each of the limits holds for its own type alone.
        match T::NUMBER_OR_TEXT {
            (true, true) => json_schema!({
                "type": ["integer", "string"], "minimum": 0, "pattern": T::PATTERN
            }),
            (true, false) => json_schema!({ "type": "integer", "minimum": 0 }),
            _ if T::SWITCH => json_schema!({ "type": "boolean" }),
            _ => json_schema!({ "type": "string", "pattern": T::PATTERN }),
        }
    }
}

/// Reads what the library knows to read; of its complaint only what stands behind the text is kept.
pub(crate) fn read_as<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::Parse { problem, .. } if problem.contains("; ") => problem,
        Error::Parse { problem, .. } => format!("`{text}` is not possible; {problem}"),
        other => other.to_string(),
    })
}

impl Value for Address {
    const FORM: &'static str = "an address such as \"127.0.0.1:8080\"";
    const PATTERN: &'static str = ".";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}

impl Value for Notification {
    const FORM: &'static str = "\"all\", \"some:K\", \"one\" or \"turn\"";
    const PATTERN: &'static str = "^(all|some:[1-9][0-9]*|one|turn)$";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}

impl Value for Peer {
    const FORM: &'static str = "\"uid:N\" or \"gid:N\"";
    const PATTERN: &'static str = "^(uid|gid):[0-9]+$";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}

impl Value for Amount {
    const FORM: &'static str = "a number of handlers or a share such as \"25%\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = "^[0-9]+%?$";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}

macro_rules! whole_numbers {
    ($($number:ty)*) => {$(
        impl Value for $number {
            const FORM: &'static str = "a whole number";
            const NUMBER_OR_TEXT: (bool, bool) = (true, false);
            const PATTERN: &'static str = "^[0-9]+$";

            fn read(text: &str) -> Result<Self, String> {
                let wrong = |_| format!("`{text}` is not possible; write {}", Self::FORM);
                text.parse().map_err(wrong)
            }
        }
    )*};
}

whole_numbers!(u32 u64 usize);

/// A time; a number alone counts seconds.
impl Value for Duration {
    const FORM: &'static str = "a time such as \"30s\", \"500ms\" or \"1h\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = "^([0-9]+|([0-9]+ *[A-Za-zµ]+ *)+)$";

    fn read(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self::from_secs(seconds));
        }
        humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is not a time; write {}", Self::FORM))
    }
}

/// A size in memory; a number alone counts bytes.
impl Value for ByteSize {
    const FORM: &'static str = "a size such as \"512MiB\" or \"2GiB\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = "^[0-9.]+ *[A-Za-z]*$";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a size; write {}", Self::FORM))
    }
}

/// A share of the time; a number alone is one of a hundred, too.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Percent(pub(crate) f64);

impl Value for Percent {
    const FORM: &'static str = "a share such as \"20%\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = r"^[0-9]+(\.[0-9]+)?%?$";

    fn read(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".%".contains(&byte));
        let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
        number
            .filter(|_| plain)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a share; write {}", Self::FORM))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Something that is done or not: true or false in the file, on or off on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

impl Value for Switch {
    const FORM: &'static str = "true or false";
    const NUMBER_OR_TEXT: (bool, bool) = (false, false);
    const SWITCH: bool = true;
    const PATTERN: &'static str = "^(on|off)$";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err(format!("`{text}` is not possible; write on or off")),
        }
    }
}

/// Between which numbers of handlers a pool may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handlers {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Handlers {
    /// What "auto" stands for, as the library has it.
    const AUTO: &'static str = "1..256";
}

/// A rule by which the number of handlers follows the load.
impl Value for Rule {
    const FORM: &'static str = "a rule such as \"demand\" or \"spare:min=5,max=10\"";
    const PATTERN: &'static str = ".";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// How long requests may wait, and how many of them longer.
impl Value for Slo {
    const FORM: &'static str = "an objective such as \"99%<50ms\"";
    const PATTERN: &'static str = r"^[0-9.]+%<[0-9.]+(ms|s|m)$";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Value for Handlers {
    const FORM: &'static str = "a number of handlers, \"MIN..MAX\" or \"auto\"";
    const NUMBER_OR_TEXT: (bool, bool) = (true, true);
    const PATTERN: &'static str = r"^(auto|[0-9]+(\.\.[0-9]+)?)$";

    fn read(text: &str) -> Result<Self, String> {
        let text_or_range = if text == "auto" { Self::AUTO } else { text };
        let (min, max) = text_or_range.split_once("..").unwrap_or((text, text));
        match (min.parse(), max.parse()) {
            (Ok(min), Ok(max)) => Ok(Self { min, max }),
            _ => Err(format!("`{text}` is not possible; write {}", Self::FORM)),
        }
    }
}

/// The name of a server or a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// The longest that a folder of the runtime directory may have.
    const LONGEST: usize = 48;

    /// Makes a name of any text: what does not fit is replaced or left out.
    pub(crate) fn made_of(text: &str) -> Self {
        let plain = |c: char| if fits(c) { c } else { '-' };
        let name: String = text.chars().map(plain).take(Self::LONGEST).collect();
        match name.trim_start_matches('.') {
            "" => Self("server".into()),
            name => Self(name.into()),
        }
    }
}

impl Value for Name {
    const FORM: &'static str = "a name of letters, digits, `-`, `_` or `.`";
    const PATTERN: &'static str = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,47}$";

    fn read(text: &str) -> Result<Self, String> {
        let long = (1..=Self::LONGEST).contains(&text.len());
        if long && text.chars().all(fits) && !text.starts_with('.') {
            return Ok(Self(text.into()));
        }
        Err(format!(
            "`{text}` cannot be a name; use 1 to 48 letters, digits, `-`, `_` or `.`, not starting \
             with `.`"
        ))
    }
}

fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units_or_the_smallest_sensible_one() {
        let time = |text: &str, expected: u64| {
            assert_eq!(Duration::read(text), Ok(Duration::from_millis(expected)), "{text}");
        };
        time("5", 5000);
        time("1500ms", 1500);
        time("1m 30s", 90_000);
        let size = |text: &str, expected: u64| {
            assert_eq!(ByteSize::read(text).map(|it| it.0), Ok(expected), "{text}");
        };
        size("4096", 4096);
        size("512MiB", 512 << 20);
        size("1 GB", 1_000_000_000);
        let share = |text: &str, expected: f64| {
            assert_eq!(Percent::read(text), Ok(Percent(expected)), "{text}");
        };
        share("20%", 20.0);
        share("12.5%", 12.5);
        share("7", 7.0);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_write() {
        fn check<T: Value>(text: &str) {
            let complaint = T::read(text).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!(complaint.contains("; "), "{complaint}");
        }
        check::<Duration>("soon");
        check::<Duration>("-1");
        check::<ByteSize>("much");
        check::<u64>("-1");
        check::<Percent>("-1%");
        check::<Percent>("inf");
        check::<Percent>("%");
        check::<Handlers>("8..");
        check::<Handlers>("automatic");
        check::<Slo>("99%");
        check::<Rule>("guess");
        check::<Name>("a/b");
        check::<Peer>("root");
        check::<Amount>("101%");
        check::<Address>("localhost");
        check::<Notification>("some:0");
        check::<Switch>("true");
    }

    #[test]
    fn any_text_makes_a_name() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Name::made_of(text).0, expected);
            assert!(Name::read(expected).is_ok(), "{expected}");
        };
        check("shop", "shop");
        check("my shop", "my-shop");
        check("...", "server");
        check("", "server");
    }
}
