//! In which form lines are written: as chosen, or as who reads them likes it.

use crate::config::written::Value;

/// What was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// By where the lines go.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// For programs: an object a line.
    Json,
    /// For the journal of systemd, with its fields.
    Journald,
}

impl Value for Format {
    const FORM: &'static str = "\"auto\", \"pretty\", \"json\" or \"journald\"";
    const PATTERN: &'static str = "^(auto|pretty|json|journald)$";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            "journald" => Ok(Self::Journald),
            _ => Err(format!("`{text}` is no form of a log; write {}", Self::FORM)),
        }
    }
}

/// Who reads the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) is_terminal: bool,
    pub(super) is_journal: bool,
    pub(super) is_file: bool,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Pretty,
    Json,
    Journald,
}

impl Format {
    /// The form for this reader.
    pub(super) const fn for_reader(self, reader: Reader) -> Form {
        match self {
            Self::Pretty => Form::Pretty,
            Self::Json => Form::Json,
            Self::Journald => Form::Journald,
            Self::Auto if reader.is_file => Form::Json,
            Self::Auto if reader.is_journal => Form::Journald,
            Self::Auto if reader.is_terminal => Form::Pretty,
            Self::Auto => Form::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_text_the_journal_its_fields_and_programs_json() {
        let check = |format: Format, [terminal, journal, file]: [bool; 3], expected| {
            let reader = Reader { is_terminal: terminal, is_journal: journal, is_file: file };
            assert_eq!(format.for_reader(reader), expected, "{format:?} {reader:?}");
        };
        check(Format::Auto, [true, false, false], Form::Pretty);
        check(Format::Auto, [false, true, false], Form::Journald);
        check(Format::Auto, [false, false, false], Form::Json);
        check(Format::Auto, [true, true, true], Form::Json);
        for reader in [[true, false, false], [false, true, false], [false, false, true]] {
            check(Format::Pretty, reader, Form::Pretty);
            check(Format::Json, reader, Form::Json);
            check(Format::Journald, reader, Form::Journald);
        }
    }

    #[test]
    fn a_form_is_a_word() {
        assert_eq!(Format::read("json"), Ok(Format::Json));
        assert!(Format::read("JSON").unwrap_err().contains("write \"auto\""));
    }
}
