//! A program's own flags: finding them among arguments with their values, in every spelling.

use std::ffi::{OsStr, OsString};
use std::ops::Range;

use serde::Deserialize;

/// A flag: `--reload`, or with a value `--port=`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) has_value: bool,
}

impl TryFrom<String> for Flag {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix('=').unwrap_or(&text);
        if !name.starts_with('-') || name.trim_start_matches('-').is_empty() || name.contains('=') {
            return Err(format!(
                "`{text}` is no flag; write --flag, or --flag= for one with a value"
            ));
        }
        Ok(Self { name: name.into(), has_value: name != text })
    }
}

/// Where a flag stands among arguments, and its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) range: Range<usize>,
    pub(crate) value: Option<String>,
}

impl Flag {
    /// The flag at this place, if it stands there.
    pub(crate) fn at(&self, arguments: &[OsString], place: usize) -> Option<Met> {
        let text = arguments.get(place)?.to_str()?;
        let rest = text.strip_prefix(self.name.as_str())?;
        let alone = Some(Met { range: place..place + 1, value: None });
        match rest.strip_prefix('=') {
            _ if !self.has_value => alone.filter(|_| rest.is_empty()),
            Some(value) => Some(Met { value: Some(value.into()), ..alone? }),
            None if rest.is_empty() => {
                let value = arguments.get(place + 1).map(|it| it.to_string_lossy().into_owned());
                Some(Met { range: place..arguments.len().min(place + 2), value })
            }
            // As in -p80.
            None => {
                alone.filter(|_| self.is_short()).map(|it| Met { value: Some(rest.into()), ..it })
            }
        }
    }

    fn is_short(&self) -> bool {
        self.name.len() == 2
    }

    /// The flag and its value as arguments.
    pub(crate) fn with(&self, value: &str) -> [OsString; 2] {
        [OsStr::new(&self.name).into(), value.into()]
    }
}

/// Whichever of the flags stands at this place.
pub(crate) fn any_at<'f>(
    flags: impl IntoIterator<Item = &'f Flag>,
    arguments: &[OsString],
    place: usize,
) -> Option<Met> {
    flags.into_iter().find_map(|flag| flag.at(arguments, place))
}

/// The last value that any of the flags is given.
pub(crate) fn last_value(flags: &[Flag], arguments: &[OsString]) -> Option<String> {
    (0..arguments.len()).filter_map(|place| any_at(flags, arguments, place)?.value).next_back()
}

/// The arguments without these flags and their values, and what was left out.
pub(crate) fn without<'f>(
    flags: impl Iterator<Item = &'f Flag> + Clone,
    arguments: &[OsString],
) -> (Vec<OsString>, Vec<String>) {
    let (mut kept, mut dropped, mut place) = (Vec::new(), Vec::new(), 0);
    while place < arguments.len() {
        match any_at(flags.clone(), arguments, place) {
            Some(Met { range, .. }) => {
                dropped.push(text(&arguments[range.clone()]));
                place = range.end;
            }
            None => {
                kept.push(arguments[place].clone());
                place += 1;
            }
        }
    }
    (kept, dropped)
}

/// Arguments as one would read them out.
pub(crate) fn text(arguments: &[OsString]) -> String {
    arguments.iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> Flag {
        text.to_owned().try_into().unwrap()
    }

    fn split(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn a_flag_is_left_out_together_with_its_value_in_every_spelling() {
        let flags = ["--port=", "-p=", "--reload"].map(flag);
        let check = |given: &str, kept: &str, dropped: &[&str]| {
            let (rest, out) = without(flags.iter(), &split(given));
            assert_eq!((text(&rest).as_str(), &out[..]), (kept, &dropped.map_to_strings()[..]));
        };
        check("app --port 80 x", "app x", &["--port 80"]);
        check("app --port=80 x", "app x", &["--port=80"]);
        check("app -p80 -p 81 -p=82", "app", &["-p80", "-p 81", "-p=82"]);
        check("--reload app --reload-dir x", "app --reload-dir x", &["--reload"]);
        check("app --ports 80", "app --ports 80", &[]);
        check("app --port", "app", &["--port"]);
        check("", "", &[]);
    }

    trait MapToStrings {
        fn map_to_strings(&self) -> Vec<String>;
    }

    impl MapToStrings for [&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(|it| (*it).to_owned()).collect()
        }
    }

    #[test]
    fn the_last_value_counts() {
        let flags = ["-b=", "--bind="].map(flag);
        let check = |given: &str, expected: Option<&str>| {
            assert_eq!(last_value(&flags, &split(given)).as_deref(), expected, "{given}");
        };
        check("-b :80 --bind=:81", Some(":81"));
        check("app", None);
        check("app -b", None);
    }

    #[test]
    fn what_is_no_flag_is_refused() {
        for wrong in ["port", "-", "--", "--=", "", "--a=b="] {
            assert!(Flag::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
