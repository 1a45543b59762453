//! The PROXY header, by which a proxy of connections says for whom it opened one.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, sections 2.1 and 2.2. It comes
//! before everything else, also before the handshake of TLS, and nothing behind it may be taken out
//! of the connection: so bytes are looked at first, and read when they are known to belong to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;

use super::complaints::Complaints;
use super::patience::{First, first_of, patience, patiently};
use crate::handler::{Shift, Stream};

/// The longest header of version 1, with its end of line.
const MOST_1: usize = 107;

/// The longest header of version 2 with all that is added to it; nginx reads as much.
const MOST: usize = 4096;

const BEGINNING_1: &[u8] = b"PROXY ";
const BEGINNING_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// In version 2, where its command and its kind of address are, and the command `LOCAL`.
const COMMAND: usize = 12;
const LOCAL: u8 = 0x20;

static COMPLAINTS: Complaints = Complaints::new();

/// What begins a connection in place of a whole PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rubbish {
    /// Something else.
    Other,
    /// A header that is wrong in itself.
    Broken,
    /// A part of one, and nothing more in time.
    Late,
}

/// What the bytes of a connection are, as far as they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// A header of so many bytes, for this client: none for the proxy itself, or for one that it
    /// does not name.
    Whole(Option<SocketAddr>, usize),
    /// The beginning of one.
    Part,
    Rubbish(Rubbish),
}

/// Reads the PROXY header of a trusted peer, and returns the client that it names, if any.
///
/// # Errors
/// The connection is to be closed; the operator was told, where it is not just gone.
pub(super) async fn preface(
    stream: &mut Stream,
    peer: Option<SocketAddr>,
    limit: Duration,
    shift: &mut Shift,
) -> Result<Option<SocketAddr>, ()> {
    let rubbish = match patiently(read(stream), limit, patience(shift)).await {
        Some(Ok(Ok(client))) => return Ok(client),
        Some(Ok(Err(rubbish))) => rubbish,
        Some(Err(_)) => return Err(()), // who looks whether somebody is there goes without a word
        None if is_over(shift).await => return Err(()),
        None => Rubbish::Late,
    };
    let peer = peer.map_or_else(|| "a Unix socket".into(), |it| it.to_string());
    COMPLAINTS.say(format_args!(
        "closed a connection from {peer}: a trusted peer is to begin with a PROXY header, and this \
         one {rubbish}; let it send one (HAProxy: send-proxy-v2, nginx: proxy_protocol on), trust \
         only peers that do, or leave the PROXY protocol off"
    ));
    Err(())
}

async fn is_over(shift: &mut Shift) -> bool {
    matches!(first_of(shift.over(), std::future::ready(())).await, First::One(()))
}

/// Reads a header and not a byte more.
async fn read(stream: &mut Stream) -> io::Result<Result<Option<SocketAddr>, Rubbish>> {
    let (mut bytes, mut length) = (vec![0; MOST], 0);
    loop {
        let there = length + stream.peek(&mut bytes[length..]).await?;
        if there == length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (end, outcome) = match beginning(&mut bytes[..there]) {
            Beginning::Whole(client, end) => (end, Some(client)),
            Beginning::Part => (there, None),
            Beginning::Rubbish(rubbish) => return Ok(Err(rubbish)),
        };
        // Part of it was read before, if it came in pieces.
        stream.read_exact(&mut bytes[length..end]).await?;
        length = end;
        if let Some(client) = outcome {
            return Ok(Ok(client));
        }
    }
}

fn beginning(bytes: &mut [u8]) -> Beginning {
    let begins = |it: &[u8]| it.iter().zip(bytes.iter()).all(|(it, byte)| it == byte);
    if !begins(BEGINNING_1) && !begins(BEGINNING_2) {
        return Beginning::Rubbish(Rubbish::Other);
    }
    // Of what kind the addresses are does not matter to `LOCAL`: they are to be passed over.
    if bytes.starts_with(BEGINNING_2)
        && let Some([LOCAL, kind]) = bytes.get_mut(COMMAND..COMMAND + 2)
    {
        *kind = 0;
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(bytes, config) {
        Ok((_, length)) if !is_strict(&bytes[..length]) => Beginning::Rubbish(Rubbish::Broken),
        Ok((header, length)) => {
            let address = header.proxied_address().filter(|it| it.protocol == Protocol::Stream);
            Beginning::Whole(address.map(|it| it.source), length)
        }
        Err(Error::BufferTooShort) if bytes.len() < most(bytes) => Beginning::Part,
        Err(_) => Beginning::Rubbish(Rubbish::Broken),
    }
}

/// How long this header can be at most, as far as it tells already.
fn most(bytes: &[u8]) -> usize {
    if bytes.starts_with(BEGINNING_1) {
        return bytes.iter().position(|byte| *byte == b'\n').map_or(MOST_1, |end| end + 1);
    }
    match bytes.get(COMMAND + 2..) {
        Some([high, low, ..]) => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            MOST.min(COMMAND + 4 + length)
        }
        _ => MOST,
    }
}

/// Whether a header has the form that the crate is more lenient about, in version 1.
fn is_strict(header: &[u8]) -> bool {
    let Some(words) = header.strip_prefix(BEGINNING_1) else { return true };
    let line = words.strip_suffix(b"\r\n").unwrap_or_default();
    let is_printed = line.iter().all(|byte| (b' '..=b'~').contains(byte));
    let is_known = line.starts_with(b"TCP") && !line.contains(&b'+');
    let is_unknown = line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ");
    header.len() <= MOST_1 && is_printed && (is_known || is_unknown)
}

impl fmt::Display for Rubbish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "began with something else",
            Self::Broken => "sent a broken one",
            Self::Late => "did not send it in time",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;

    use super::*;

    const BROKEN: Beginning = Beginning::Rubbish(Rubbish::Broken);
    const OTHER: Beginning = Beginning::Rubbish(Rubbish::Other);

    fn whole(client: &str, length: usize) -> Beginning {
        Beginning::Whole(client.parse().ok(), length)
    }

    #[track_caller]
    fn check(bytes: impl AsRef<[u8]>, expected: Beginning) {
        let mut bytes = bytes.as_ref().to_vec();
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(beginning(&mut bytes), expected, "{shown:?}");
    }

    #[test]
    fn version_1_is_a_line() {
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", whole("192.0.2.1:4711", 41));
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET /", whole("192.0.2.1:4711", 41));
        check("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", whole("[2001:db8::1]:1", 32));
        check("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", whole("255.255.255.255:65535", 44));
        check("PROXY UNKNOWN\r\n", whole("", 15));
        check("PROXY UNKNOWN\r\nPROXY ", whole("", 15));
        check("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", whole("", 43));
        check(format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)), whole("", 107));
    }

    #[test]
    fn version_1_is_that_line_and_nothing_like_it() {
        check(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), BROKEN);
        check(format!("PROXY UNKNOWN {}", "x".repeat(93)), BROKEN);
        check("PROXY UNKNOWNx\r\n", BROKEN);
        check("PROXY UNKNOWN\nGET / HTTP/1.1\r\n", BROKEN);
        check("PROXY UNKNOWN \0\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\rx", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\nGET / HTTP/1.1\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 65536\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 -1 443\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1  192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 \r\n", BROKEN);
        check("PROXY TCP4 192.0.2.01 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY TCP4 2001:db8::1 ::1 4711 443\r\n", BROKEN);
        check("PROXY TCP6 192.0.2.1 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY TCP4 example.com 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY UDP4 192.0.2.1 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY tcp4 192.0.2.1 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY  TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", BROKEN);
        check("PROXY\tTCP4 192.0.2.1 192.0.2.2 4711 443\r\n", OTHER);
        check("proxy TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", OTHER);
        check(" PROXY UNKNOWN\r\n", OTHER);
    }

    /// A header of version 2: command, kind of address, all else with its length.
    fn second(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BEGINNING_2, &[command, kind], &length, rest].concat()
    }

    const FOUR: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x67, 1, 187];

    #[test]
    fn version_2_is_read_by_its_lengths() {
        check(second(0x21, 0x11, FOUR), whole("192.0.2.1:4711", 28));
        check([&second(0x21, 0x11, FOUR)[..], b"GET /"].concat(), whole("192.0.2.1:4711", 28));
        let mut six = [0; 36];
        six[..2].copy_from_slice(&[0x20, 1]);
        (six[15], six[33]) = (9, 80);
        check(second(0x21, 0x21, &six), whole("[2001::9]:80", 52));
        check(second(0x21, 0x11, &[FOUR, &[4, 0, 2, 0, 0]].concat()), whole("192.0.2.1:4711", 33));
        check(second(0x21, 0x11, &[FOUR, &[0xff; 9]].concat()), whole("192.0.2.1:4711", 37));
        check(second(0x21, 0x11, &[FOUR, &[0; 4068]].concat()), whole("192.0.2.1:4711", 4096));
        check(second(LOCAL, 0, &[]), whole("", 16));
        check(second(LOCAL, 0x11, FOUR), whole("", 28));
        check(second(LOCAL, 0x31, &[1, 2, 3]), whole("", 19));
        check(second(LOCAL, 0xff, &[]), whole("", 16));
        check(second(0x21, 0, &[]), whole("", 16));
        check(second(0x21, 0, &[9; 40]), whole("", 56));
        check(second(0x21, 0x12, FOUR), whole("", 28));
        check(second(0x21, 0x31, &[b'/'; 216]), whole("", 232));
    }

    #[test]
    fn version_2_is_refused_where_its_lengths_or_numbers_are_wrong() {
        check(second(0x21, 0x11, &FOUR[..11]), BROKEN);
        check(second(0x21, 0x21, FOUR), BROKEN);
        check(second(0x21, 0x31, &[b'/'; 215]), BROKEN);
        check(second(0x21, 0x41, FOUR), BROKEN);
        check(second(0x21, 0x13, FOUR), BROKEN);
        check(second(0x22, 0x11, FOUR), BROKEN);
        check(second(0x11, 0x11, FOUR), BROKEN);
        check(&second(0x21, 0x11, &[0; 4081])[..MOST], BROKEN);
        check(&second(0x21, 0x11, &[0; 65535])[..MOST], BROKEN);
        check(b"\r\n\r\n\0\r\nQUIT\r!\x11\0\0", OTHER);
        check(b"\r\n\r\nGET / HTTP/1.1", OTHER);
    }

    #[test]
    fn what_else_clients_begin_with_is_told_from_it_at_once() {
        for other in ["G", "PUT / HTTP/1.1\r\n", "PRI * HTTP/2.0", "\x16\x03\x01", "\n", "\0"] {
            check(other, OTHER);
        }
        for part in
            ["P", "PROX", "PROXY ", "PROXY TCP4 192.0.2.1 19", "\r", "\r\n\r\n\0\r\nQUIT\n!"]
        {
            check(part, Beginning::Part);
        }
    }

    /// What is read of what came, and what is left behind it.
    fn come(pieces: &[&[u8]]) -> (io::Result<Result<Option<SocketAddr>, Rubbish>>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, mut client) = UnixStream::pair().unwrap();
            let mut stream = Stream::Unix(ours);
            let send = async {
                for piece in pieces {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(client);
            };
            let (outcome, ()) = tokio::join!(read(&mut stream), send);
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (outcome, rest)
        })
    }

    #[test]
    fn a_header_may_come_byte_by_byte_and_nothing_behind_it_is_taken() {
        let second = second(0x21, 0x11, &[FOUR, &[0; 200]].concat());
        for header in [&b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"[..], &second] {
            let all = [header, b"GET / HTTP/1.1\r\n"].concat();
            let single: Vec<_> = all.chunks(1).collect();
            for pieces in [vec![&all[..]], single, all.chunks(7).collect()] {
                let (outcome, rest) = come(&pieces);
                assert_eq!(outcome.unwrap(), Ok("192.0.2.1:4711".parse().ok()));
                assert_eq!(rest, b"GET / HTTP/1.1\r\n");
            }
        }
    }

    #[test]
    fn who_closes_before_its_end_is_just_gone() {
        for pieces in [&[][..], &[&b"PROXY TCP4"[..]], &[BEGINNING_2]] {
            assert!(come(pieces).0.is_err(), "{pieces:?}");
        }
        assert_eq!(come(&[b"GET / HTTP/1.1\r\n"]).0.unwrap(), Err(Rubbish::Other));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            first in prop::sample::select(vec![&b"PROXY "[..], b"PROXY TCP4 ", BEGINNING_2, b""]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = [first, &rest].concat();
            let length = bytes.len();
            if let Beginning::Whole(_, end) = beginning(&mut bytes) {
                prop_assert!((15..=length).contains(&end));
            }
        }
    }
}
