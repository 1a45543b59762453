//! Frames of HTTP/2 (RFC 9113, 4 to 6), written and read by hand.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::kit::PATIENCE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// GET, http, / and the host `a`: static fields 2, 6 and 4 of RFC 7541, appendix A, and field 1
/// with a value of its own.
pub(crate) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];

/// POST in place of GET: static field 3.
pub(crate) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 1, b'a'];

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// A field that is not indexed, its name and value as they are.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let [name_length, length] = [name, value].map(|text| u8::try_from(text.len()).unwrap());
    assert!(name_length < 127 && length < 127, "a longer one has another form");
    [&[0, name_length], name.as_bytes(), &[length], value.as_bytes()].concat()
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The last four bytes that a GOAWAY or RST_STREAM begins with: its reason.
    pub(crate) fn reason(&self) -> u32 {
        let begin = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[begin..begin + 4].try_into().unwrap())
    }
}

/// A client of HTTP/2 that says what it is told.
pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Connects, and begins as a client does, with these settings.
    pub(crate) fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let mut peer = Self::silent(address);
        peer.send(PREFACE);
        peer.send(&frame(SETTINGS, 0, 0, settings));
        peer
    }

    /// Connects and says nothing.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends what the server need not take; tells whether it did.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; `None` at the end.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        self.try_frame().unwrap_or_else(|error| {
            let waited = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
            assert!(!waited.contains(&error.kind()), "neither a frame nor an end: {error}");
            None
        })
    }

    fn try_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Some(Frame { kind: head[3], flags: head[4], stream, payload }))
    }

    /// Reads on to a frame that is wanted; `None` at the end.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.frame()?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }
}
