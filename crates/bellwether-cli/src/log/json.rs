//! A record as an object on one line, never longer than a pipe takes whole.

use super::LONGEST;
use super::record::{Content, Record};
use crate::escape::escaped_json;

/// The longest that a message, a field and the name of one may be, in bytes as written; what is cut
/// ends in `...`.
const MESSAGE: usize = 2000;
const FIELD: usize = 600;
const NAME: usize = 60;

/// What the end of a line may need: how many fields are left out, brackets, the line end.
const END: usize = 48;

/// Writes a record as one line; fields that find no room are counted in `left_out`.
pub(super) fn line(record: &Record, pid: u32) -> String {
    let mut line = format!(
        "{{\"time\":\"{}\",\"level\":\"{}\",\"pid\":{pid},\"message\":\"{}\",\"fields\":{{",
        humantime::format_rfc3339_micros(record.time),
        record.level.as_str().to_ascii_lowercase(),
        escaped_json(record.message.as_bytes(), MESSAGE),
    );
    let (mut comma, mut left_out) = ("", 0);
    for (name, content) in &record.fields {
        let field =
            format!("{comma}\"{}\":{}", escaped_json(name.as_bytes(), NAME), value(content));
        if line.len() + field.len() + END > LONGEST {
            left_out += 1;
        } else {
            line += &field;
            comma = ",";
        }
    }
    if left_out > 0 { line + &format!("}},\"left_out\":{left_out}}}\n") } else { line + "}}\n" }
}

fn value(content: &Content) -> String {
    match content {
        Content::Plain(text) => text.clone(),
        Content::Text(text) => format!("\"{}\"", escaped_json(text.as_bytes(), FIELD)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::{Value, json};
    use tracing::Level;

    use super::*;

    fn record(message: &str, fields: &[(&'static str, Content)]) -> Record {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_338_307_089_001);
        let fields = fields.to_vec();
        Record { time, level: Level::WARN, message: message.into(), fields }
    }

    fn text(text: &str) -> Content {
        Content::Text(text.into())
    }

    #[track_caller]
    fn read(record: &Record) -> Value {
        let line = line(record, 7);
        assert!(line.len() <= LONGEST, "{}", line.len());
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line:?}");
        assert!(line.trim_end().chars().all(|c| !c.is_control()), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn an_event_is_an_object_with_its_fields() {
        let fields = [("slot", Content::Plain("3".into())), ("how", text("SIGKILL"))];
        let expected = json!({"time": "2026-11-22T09:05:07.089001Z", "level": "warn", "pid": 7,
            "message": "a handler ended", "fields": {"slot": 3, "how": "SIGKILL"}});
        assert_eq!(read(&record("a handler ended", &fields)), expected);
        assert_eq!(read(&record("x", &[]))["fields"], json!({}));
    }

    #[test]
    fn nothing_in_it_ends_a_line_or_commands_a_terminal() {
        for evil in ["a\"}\n{\"b\":1", "\u{1b}[2J", "back\\slash\\", "\0\u{2028}\u{9b}", "é😀"] {
            let json = read(&record(evil, &[("text", text(evil))]));
            assert_eq!((&json["message"], &json["fields"]["text"]), (&evil.into(), &evil.into()));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        for long in ["x".repeat(9000), "\u{1}".repeat(9000), "\"😀".repeat(9000)] {
            let all = read(&record(&long, &[("a", text(&long)), ("b", text(&long))]));
            for value in [&all["message"], &all["fields"]["a"], &all["fields"]["b"]] {
                assert!(value.as_str().unwrap().ends_with("..."), "{all}");
            }
            let many = vec![("name", text(&long)); 100];
            let all = read(&record(&long, &many));
            assert!(all["left_out"].as_u64() >= Some(95), "{all}");
        }
    }
}
