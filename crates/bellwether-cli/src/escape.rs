//! Text of others in lines of ours: nothing in it ends a line, begins one or commands a terminal.

/// Text between quotes as Apache writes it: printable ASCII, all else as `\xHH`.
pub(crate) fn escaped(text: &[u8], most: usize) -> String {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    shortened(text.iter().map(|byte| escape(*byte)), most)
}

/// Text between quotes in JSON, without anything that commands a terminal or a reader.
pub(crate) fn escaped_json(text: &[u8], most: usize) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        // The controls end at 9f; of others only the two line ends of Unicode end a line.
        c if c.is_control() || "\u{2028}\u{2029}".contains(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.into(),
    };
    shortened(String::from_utf8_lossy(text).chars().map(escape), most)
}

/// Puts pieces together up to a length, and says by `...` where it has left some out.
fn shortened(pieces: impl Iterator<Item = String>, most: usize) -> String {
    let mut text = String::new();
    for piece in pieces {
        if text.len() + piece.len() > most {
            return text + "...";
        }
        text += &piece;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_or_ends_a_line_is_spelled_out() {
        assert_eq!(escaped(b"a\r\nb\x1b[2J\x7f", 100), "a\\x0d\\x0ab\\x1b[2J\\x7f");
        assert_eq!(escaped_json(b"a\r\n\x1b\xe2\x80\xa8", 100), "a\\u000d\\u000a\\u001b\\u2028");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((escaped(b"abc", 3), escaped(b"abcd", 3)), ("abc".into(), "abc...".into()));
        assert_eq!(escaped_json(b"ab\"", 3), "ab...");
    }
}
