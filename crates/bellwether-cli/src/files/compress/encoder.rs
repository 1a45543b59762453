//! What makes text smaller, at levels that cost little.
//!
//! Measured with a page of 76,225 bytes: zstd 2 to 29.3 %, gzip 2 to 29.5 %, brotli 1 to 31.2 %; by
//! the server the page costs 0.21, 0.44 and 0.77 ms of a processor, and 0.04 ms as it is. Windows are
//! small, because each answer on its way has one.

use std::io::{self, Write};
use std::mem::take;

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::coding::Coding;

const ZSTD_LEVEL: i32 = 2;
const BROTLI_LEVEL: u32 = 1;
const GZIP_LEVEL: u32 = 2;

/// How far back brotli and zstd look, as a power of two: 128 KiB.
const WINDOW: u32 = 17;

/// The size in which brotli hands over what it has made.
const BROTLI_BUFFER: usize = 16 << 10;

/// One text on its way.
pub(super) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// Begins with a text of this length; `None` where memory is short.
    pub(super) fn new(coding: Coding, length: u64) -> Option<Self> {
        Some(match coding {
            Coding::Zstd => Self::Zstd(zstd_encoder(length).ok()?),
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_LEVEL,
                WINDOW,
            ))),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
        })
    }

    /// Takes some text, and gives what has come out so far.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(it) => it.write_all(text).map(|()| take(it.get_mut())),
            Self::Brotli(it) => it.write_all(text).map(|()| take(it.get_mut())),
            Self::Gzip(it) => it.write_all(text).map(|()| take(it.get_mut())),
        }
    }

    /// Gives the rest.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(it) => it.finish(),
            Self::Brotli(it) => Ok(it.into_inner()),
            Self::Gzip(it) => it.finish(),
        }
    }
}

fn zstd_encoder(length: u64) -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.window_log(WINDOW)?;
    // Tables for a short text are small.
    encoder.set_pledged_src_size(Some(length))?;
    Ok(encoder)
}
