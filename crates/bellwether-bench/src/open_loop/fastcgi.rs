//! Just enough of FastCGI 1.0 to ask an application one thing on a connection of its own.

const VERSION: u8 = 1;
const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const END_REQUEST: u8 = 3;
const HEADER: usize = 8;
/// Role "responder"; the application closes the connection when it has answered.
const BEGIN: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

/// All records of one request to run `script`.
pub(super) fn request(script: &str, query: &str) -> Vec<u8> {
    let parameters = [
        ("SCRIPT_FILENAME", script),
        ("SCRIPT_NAME", "/"),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", query),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
    ];
    let pairs: Vec<u8> = parameters.iter().flat_map(|(name, value)| pair(name, value)).collect();
    [record(BEGIN_REQUEST, &BEGIN), record(PARAMS, &pairs), record(PARAMS, &[]), record(STDIN, &[])]
        .concat()
}

/// What the application wrote to its standard output; `None` when it did not come to its end.
pub(super) fn output(mut answer: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    loop {
        let (header, rest) = answer.split_at_checked(HEADER)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let (content, rest) = rest.split_at_checked(length)?;
        (_, answer) = rest.split_at_checked(header[6].into())?;
        match header[1] {
            STDOUT => output.extend_from_slice(content),
            END_REQUEST => return Some(output),
            _ => {}
        }
    }
}

/// All of ours are far shorter than the 65,535 bytes a record may hold.
#[allow(clippy::cast_possible_truncation, reason = "a query is short")]
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[VERSION, kind, 0, 1, high, low, 0, 0], content].concat()
}

fn pair(name: &str, value: &str) -> Vec<u8> {
    [length(name), length(value), name.into(), value.into()].concat()
}

/// One byte up to 127, else four with the highest bit set.
#[allow(clippy::cast_possible_truncation, reason = "a name or value is short")]
fn length(text: &str) -> Vec<u8> {
    match text.len() {
        short @ 0..128 => vec![short as u8],
        long => (long as u32 | 1 << 31).to_be_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_the_specification_writes_them() {
        assert_eq!(pair("ab", "c"), [2, 1, b'a', b'b', b'c']);
        assert_eq!(length(&"x".repeat(300)), [0x80, 0, 1, 44]);
    }

    #[test]
    fn output_is_put_together_from_records_with_their_padding_left_out() {
        let mut padded = record(STDOUT, b"hel");
        padded[6] = 2;
        let answer =
            [padded, vec![0, 0], record(7, b"a complaint"), record(STDOUT, b"lo")].concat();
        let whole = [answer.clone(), record(END_REQUEST, &[0; 8])].concat();
        assert_eq!(output(&whole).unwrap(), b"hello");
        assert_eq!(output(&answer), None, "it did not end");
        assert_eq!(output(&whole[..whole.len() - 1]), None, "the end is cut");
        assert_eq!(output(b""), None);
    }

    #[test]
    fn a_request_ends_its_parameters_and_its_input() {
        let request = request("/x.php", "a=1");
        assert!(request.starts_with(&[1, BEGIN_REQUEST, 0, 1, 0, 8, 0, 0, 0, 1]));
        assert!(request.ends_with(&[1, PARAMS, 0, 1, 0, 0, 0, 0, 1, STDIN, 0, 1, 0, 0, 0, 0]));
    }
}
