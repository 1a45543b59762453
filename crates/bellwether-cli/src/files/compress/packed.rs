//! The body of an answer that may be made smaller.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::encoder::Encoder;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body as it is, or smaller.
pub(crate) enum Packed<B> {
    Plain(B),
    Smaller(Box<Smaller<B>>),
    /// What HEAD gets in the place of a smaller one, whose length nobody knows.
    Nothing,
}

/// A body on its way through an encoder.
pub(crate) struct Smaller<B> {
    body: B,
    /// `None` once all has come out.
    encoder: Option<Encoder>,
    /// How many bytes are still to come; a file that has grown meanwhile is cut there.
    left: u64,
    _at_work: Arc<()>,
}

impl<B> Smaller<B> {
    pub(super) fn new(body: B, length: u64, encoder: Encoder, work: &Arc<()>) -> Self {
        Self { body, encoder: Some(encoder), left: length, _at_work: Arc::clone(work) }
    }
}

impl<B> Smaller<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        while let Some(encoder) = &mut self.encoder {
            let out = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(frame) => {
                    let text = frame.map_err(Into::into)?.into_data().unwrap_or_default();
                    let length = text.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left -= length as u64;
                    encoder.write(&text[..length])?
                }
                // The client is to notice that the file has been cut, and not to keep it.
                None if self.left > 0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof))?,
                None => self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?,
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.into())));
            }
        }
        Poll::Ready(None)
    }
}

impl<B> Body for Packed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Plain(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Smaller(body) => body.poll(cx).map_ok(Frame::data),
            Self::Nothing => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Plain(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Smaller(_) | Self::Nothing => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::{BodyExt, Full};

    use super::super::coding::Coding;
    use super::*;

    fn sent(text: &str, length: u64, coding: Coding) -> Result<Bytes, BoxError> {
        let encoder = Encoder::new(coding, length).unwrap();
        let body = Full::new(Bytes::from(text.to_owned()));
        let body = Packed::Smaller(Box::new(Smaller::new(body, length, encoder, &Arc::new(()))));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body.collect()).map(|all| all.to_bytes())
    }

    fn unpacked(bytes: &[u8], coding: Coding) -> String {
        let mut text = String::new();
        match coding {
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(bytes).unwrap().read_to_string(&mut text)
            }
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
        }
        .unwrap();
        text
    }

    #[test]
    fn what_comes_out_is_smaller_and_says_the_same() {
        let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        let length = text.len() as u64;
        for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
            let bytes = sent(&text, length, coding).unwrap();
            assert!(bytes.len() * 2 < text.len(), "{coding:?}: {}", bytes.len());
            assert_eq!(unpacked(&bytes, coding), text, "{coding:?}");
        }
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_cut_or_the_answer_is() {
        for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
            let grown = sent("0123456789", 4, coding).unwrap();
            assert_eq!(unpacked(&grown, coding), "0123", "{coding:?}");
            assert!(sent("0123", 10, coding).is_err(), "{coding:?}");
        }
    }
}
