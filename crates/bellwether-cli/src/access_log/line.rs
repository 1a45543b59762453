//! One request as a line.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::header::HeaderValue;
use http::{Method, StatusCode, Uri, Version};

use crate::escape::{escaped, escaped_json};

/// The longest that parts of a line may be, in bytes; what is cut ends in `...`. With all else a
/// line fits into 4096 bytes (PIPE_BUF), which a pipe takes whole or not at all.
const METHOD: usize = 32;
const TARGET: usize = 2000;
const HEADER: usize = 700;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// As Apache's combined, with three fields more.
    #[default]
    Combined,
    /// An object a line.
    Json,
}

/// What is known of a request that has been answered, or given up.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) time: SystemTime,
    /// `None` where nobody says.
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    /// Bytes of the body that were handed over to be sent.
    pub(super) bytes: u64,
    pub(super) referer: Option<HeaderValue>,
    pub(super) agent: Option<HeaderValue>,
    pub(super) duration: Duration,
    /// How long the connection waited in the buffer, for its first request.
    pub(super) waited: Option<Duration>,
    pub(super) slot: usize,
}

impl Line {
    /// Writes it so that nothing a client says can end it or begin another.
    pub(super) fn written(&self, format: Format) -> String {
        match format {
            Format::Combined => self.combined(),
            Format::Json => self.json(),
        }
    }

    fn combined(&self) -> String {
        let quoted = |it: &Option<HeaderValue>| match it {
            Some(value) => escaped(value.as_bytes(), HEADER),
            None => "-".into(),
        };
        format!(
            "{} - - [{}] \"{} {} {:?}\" {} {} \"{}\" \"{}\" duration={} wait={} slot={}\n",
            self.client.map_or_else(|| "-".into(), |it| it.to_canonical().to_string()),
            day(self.time),
            escaped(self.method.as_str().as_bytes(), METHOD),
            escaped(self.target().as_bytes(), TARGET),
            self.version,
            self.status.as_u16(),
            self.bytes,
            quoted(&self.referer),
            quoted(&self.agent),
            milliseconds(self.duration),
            self.waited.map_or_else(|| "-".into(), |it| it.as_millis().to_string()),
            self.slot,
        )
    }

    fn json(&self) -> String {
        let text = |text: &[u8], most| format!("\"{}\"", escaped_json(text, most));
        let header = |it: &Option<HeaderValue>| match it {
            Some(value) => text(value.as_bytes(), HEADER),
            None => "null".into(),
        };
        let client = self.client.map(|it| format!("\"{}\"", it.to_canonical()));
        format!(
            "{{\"time\":\"{}\",\"client\":{},\"method\":{},\"target\":{},\"protocol\":\"{:?}\",\
             \"status\":{},\"bytes\":{},\"referer\":{},\"user_agent\":{},\"duration_ms\":{},\
             \"wait_ms\":{},\"slot\":{}}}\n",
            humantime::format_rfc3339_millis(self.time),
            client.unwrap_or_else(|| "null".into()),
            text(self.method.as_str().as_bytes(), METHOD),
            text(self.target().as_bytes(), TARGET),
            self.version,
            self.status.as_u16(),
            self.bytes,
            header(&self.referer),
            header(&self.agent),
            milliseconds(self.duration),
            self.waited.map_or_else(|| "null".into(), |it| it.as_millis().to_string()),
            self.slot,
        )
    }

    /// What was asked for; HTTP/2 names the server, too, which says nothing here.
    fn target(&self) -> String {
        let path = self.target.path_and_query().map(|it| it.as_str().to_owned());
        path.unwrap_or_else(|| self.target.to_string())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// A time as `22/Nov/2026:09:05:07 +0000`.
fn day(time: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 2026-11-22T09:05:07Z
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let part = |range| text.get(range).unwrap_or_default();
    let number = part(5..7).parse().unwrap_or(1_usize);
    let month = MONTHS.get(number.wrapping_sub(1)).unwrap_or(&"Jan");
    format!("{}/{month}/{}:{} +0000", part(8..10), part(0..4), part(11..19))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::Value;

    use super::*;

    pub(in super::super) fn line() -> Line {
        Line {
            time: UNIX_EPOCH + Duration::from_millis(1_795_338_307_089),
            client: Some([192, 0, 2, 7].into()),
            method: Method::GET,
            target: Uri::from_static("/a?b=c"),
            version: Version::HTTP_11,
            status: StatusCode::OK,
            bytes: 1234,
            referer: None,
            agent: Some(HeaderValue::from_static("curl/8")),
            duration: Duration::from_micros(1_500),
            waited: Some(Duration::from_millis(4)),
            slot: 3,
        }
    }

    #[test]
    fn a_line_has_what_readers_of_combined_logs_expect_and_a_little_more() {
        let check = |line: Line, expected: &str| {
            assert_eq!(line.written(Format::Combined), format!("{expected}\n"));
        };
        let day = "[22/Nov/2026:09:05:07 +0000]";
        let more = "duration=1.500 wait=4 slot=3";
        let expected =
            format!("192.0.2.7 - - {day} \"GET /a?b=c HTTP/1.1\" 200 1234 \"-\" \"curl/8\" {more}");
        check(line(), &expected);
        let later = Line {
            client: None,
            target: Uri::from_static("http://host/a"),
            version: Version::HTTP_2,
            referer: Some(HeaderValue::from_static("http://x/")),
            agent: None,
            waited: None,
            ..line()
        };
        let expected = format!(
            "- - - {day} \"GET /a HTTP/2.0\" 200 1234 \"http://x/\" \"-\" duration=1.500 wait=- slot=3"
        );
        check(later, &expected);
        let mapped = "::ffff:192.0.2.7".parse().ok();
        assert!(Line { client: mapped, ..line() }.combined().starts_with("192.0.2.7 "));
    }

    #[test]
    fn programs_get_an_object_a_line() {
        let text = Line { waited: None, ..line() }.written(Format::Json);
        let json: Value = serde_json::from_str(&text).unwrap();
        let check = |key: &str, expected: Value| assert_eq!(json[key], expected, "{key}");
        check("time", "2026-11-22T09:05:07.089Z".into());
        check("client", "192.0.2.7".into());
        check("method", "GET".into());
        check("target", "/a?b=c".into());
        check("protocol", "HTTP/1.1".into());
        check("status", 200.into());
        check("bytes", 1234.into());
        check("referer", Value::Null);
        check("user_agent", "curl/8".into());
        check("duration_ms", 1.5.into());
        check("wait_ms", Value::Null);
        check("slot", 3.into());
        assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "{text}");
    }

    #[test]
    fn no_client_can_forge_a_line_or_command_a_terminal() {
        let evil: &[&[u8]] = &[
            b"a\" 200 1 \"x",
            b"back\\slash\\",
            b"tab\tx",
            b"\xff\x9b31m",
            "\u{9b}31m".as_bytes(),
        ];
        for bytes in evil {
            let agent = HeaderValue::from_bytes(bytes).ok();
            assert!(agent.is_some(), "{bytes:?}");
            let line = Line { agent, ..line() };
            let combined = line.written(Format::Combined);
            assert!(combined.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            assert_eq!(combined.replace("\\\\", "").replace("\\\"", "").matches('"').count(), 6);
            let json = line.written(Format::Json);
            assert!(json.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["user_agent"], String::from_utf8_lossy(bytes).as_ref());
        }
    }

    #[test]
    fn the_longest_line_fits_into_what_a_pipe_takes_whole() {
        let long = HeaderValue::from_bytes(&[0xff; 9000]).ok();
        let target = format!("/{}", "%0a\"".repeat(9000)).parse().unwrap_or_default();
        let line = Line {
            client: "2001:db8:1111:2222:3333:4444:5555:6666".parse().ok(),
            method: Method::from_bytes(&[b'X'; 500]).unwrap(),
            target,
            bytes: u64::MAX,
            referer: long.clone(),
            agent: long,
            duration: Duration::from_secs(u64::MAX / 1000),
            waited: Some(Duration::from_secs(u64::MAX / 1000)),
            slot: usize::MAX,
            ..line()
        };
        for format in [Format::Combined, Format::Json] {
            let written = line.written(format);
            assert!(written.len() <= 4096, "{}", written.len());
            assert!(written.contains("...") && written.ends_with('\n'), "{written}");
        }
    }
}
