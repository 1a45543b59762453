//! One line of a table: a name, the bytes that are sent, and what comes back.

/// A line `name | what is sent | what comes back`.
///
/// In what is sent, `¶` is the end of a line (CR LF), `\n \r \t \0 \\ \xHH` are bytes, and
/// `{ab*100}` is a hundred times `ab`. What comes back are answers with commas between them, and
/// whether the connection is `open` for a next request or `closed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) expected: String,
}

impl Row {
    /// Reads a table; lines that begin with `#` are remarks.
    pub(crate) fn table(text: &str) -> Vec<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.filter(|line| !line.starts_with('#')).map(Self::of).collect()
    }

    fn of(line: &str) -> Self {
        let parts: Vec<_> = line.split(" | ").collect();
        let [name, sent, expected] = parts[..] else { panic!("not three parts: {line}") };
        Self { name: name.trim().into(), sent: bytes(sent), expected: expected.trim().into() }
    }

    /// How many answers there should be.
    pub(crate) fn answers(&self) -> usize {
        let (answers, _) = self.expected.split_once(';').unwrap();
        answers.split(", ").filter(|answer| !answer.is_empty()).count()
    }
}

/// The bytes that a text stands for.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let behind = &rest[first.len_utf8()..];
        rest = match first {
            '¶' => {
                bytes.extend(b"\r\n");
                behind
            }
            '\\' => escape(behind, &mut bytes),
            '{' if repetition(behind).is_some() => repeat(behind, &mut bytes),
            other => {
                bytes.extend(other.to_string().as_bytes());
                behind
            }
        };
    }
    bytes
}

fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let (byte, length) = match text.as_bytes()[0] {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'x' => (u8::from_str_radix(&text[1..3], 16).unwrap(), 3),
        other => (other, 1),
    };
    bytes.push(byte);
    &text[length..]
}

/// What is repeated, how often, and what lies behind, in a text like `a*100} and more`.
fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let (inside, behind) = text.split_once('}')?;
    let (what, count) = inside.rsplit_once('*')?;
    Some((what, count.parse().ok()?, behind))
}

fn repeat<'a>(text: &'a str, into: &mut Vec<u8>) -> &'a str {
    let (what, count, behind) = repetition(text).unwrap();
    into.extend(bytes(what).repeat(count));
    behind
}

#[test]
fn a_line_is_read_as_it_is_meant() {
    let check = |text: &str, expected: &[u8]| assert_eq!(bytes(text), expected, "{text}");
    check("GET / HTTP/1.1¶¶", b"GET / HTTP/1.1\r\n\r\n");
    check(r"a\n\r\t\0\\\xff\x0bz", b"a\n\r\t\0\\\xff\x0bz");
    check("{a*3}{b}{A¶*2}", b"aaa{b}A\r\nA\r\n");
    let row = Row::of(" two | A¶ | 200 a, 100; open ");
    assert_eq!((row.answers(), &row.name[..], &row.expected[..]), (2, "two", "200 a, 100; open"));
    assert_eq!(Row::table("# no\n\n none |  | ; closed")[0].answers(), 0);
}
