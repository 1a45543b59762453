//! What is wrong with a request, where hyper finds nothing wrong with it.
//!
//! hyper reads requests; who they are for and how large they may be it leaves to its users. What a
//! server must refuse (RFC 9112, RFC 9113) is refused here, before a service sees it.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use http_body::Body;

use super::incoming::BodyFault;
use crate::server::Limits;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not say, or says twice, for which host it is; or says nonsense.
    Host,
    /// Its target is of a form that its method does not have.
    Target,
    /// Its body is coded in a way that we do not undo.
    Coding,
    TargetTooLong,
    HeadTooLarge,
    HeadTooSlow,
    Body(BodyFault),
}

impl Fault {
    /// Finds what is wrong with a request, if anything.
    pub(super) fn of<B: Body>(request: &Request<B>, limits: &Limits) -> Option<Self> {
        let found = [
            (Self::TargetTooLong, target_length(request) > limits.target_bytes),
            (Self::HeadTooLarge, head_length(request) > limits.head_bytes),
            (Self::Target, !has_right_target(request)),
            (Self::Host, !has_right_host(request)),
            (Self::Coding, !has_plain_coding(request)),
            (
                Self::Body(BodyFault::TooLarge),
                request.body().size_hint().lower() > limits.body_bytes,
            ),
        ];
        found.into_iter().find_map(|(fault, is_there)| is_there.then_some(fault))
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Target | Self::Body(BodyFault::Malformed) => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Body(BodyFault::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooSlow | Self::Body(BodyFault::TooSlow) => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// What the client is told.
    pub(super) fn words(self, limits: &Limits) -> String {
        let (target, head, body) = (limits.target_bytes, limits.head_bytes, limits.body_bytes);
        match self {
            Self::Host => "the request must name its host, once\n".into(),
            Self::Target => {
                "the target of the request is not of the form that its method has\n".into()
            }
            Self::Coding => "of all transfer codings only `chunked` is known here\n".into(),
            Self::TargetTooLong => format!("the target of a request may have {target} bytes\n"),
            Self::HeadTooLarge => format!("the head of a request may have {head} bytes\n"),
            Self::HeadTooSlow => "the head of the request took too long\n".into(),
            Self::Body(BodyFault::TooLarge) => format!("the body may have {body} bytes\n"),
            Self::Body(BodyFault::TooSlow) => "the body of the request took too long\n".into(),
            Self::Body(BodyFault::Malformed) => {
                "the body of the request is not well-formed\n".into()
            }
        }
    }
}

fn target_length<B>(request: &Request<B>) -> usize {
    request.uri().path_and_query().map_or(0, |target| target.as_str().len())
}

/// As it is written in HTTP/1: with a colon, a space and the end of the line for each field.
fn head_length<B>(request: &Request<B>) -> usize {
    let fields =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    target_length(request) + fields.sum::<usize>()
}

/// RFC 9112, 3.2: `host:port` is the target of CONNECT alone, `*` of OPTIONS, and CONNECT has no other.
fn has_right_target<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    let is_authority = uri.authority().is_some() && uri.path_and_query().is_none();
    match *request.method() {
        Method::CONNECT => uri.authority().is_some(),
        Method::OPTIONS => !is_authority,
        _ => !is_authority && uri.path() != "*",
    }
}

/// RFC 9112, 3.2: one host in HTTP/1.1, none or one in HTTP/1.0; RFC 9113, 8.3.1: in HTTP/2 none, or
/// the one that `:authority` names.
fn has_right_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => false,
        (None, None) => request.version() != Version::HTTP_11,
        (Some(host), None) if request.version() >= Version::HTTP_2 => {
            let authority = request.uri().authority();
            authority.is_none_or(|it| it.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()))
        }
        (Some(host), None) => is_host(host),
    }
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    text.is_empty() || !text.contains('@') && text.parse::<Authority>().is_ok()
}

/// RFC 9112, 6.1: `chunked`, which hyper undoes, is the last coding and there once. Others before it
/// the service would get still coded, and a server in front of us might have undone.
fn has_plain_coding<B>(request: &Request<B>) -> bool {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use http_body::SizeHint;

    use super::*;

    struct Length(u64);

    impl Body for Length {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[track_caller]
    fn check(version: Version, line: &str, fields: &[(&str, &str)], expected: Option<Fault>) {
        let (method, target) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(target).version(version);
        let length = fields.iter().find(|(name, _)| *name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let request = fields.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let limits =
            Limits { target_bytes: 20, head_bytes: 200, body_bytes: 5, ..Limits::default() };
        let found = Fault::of(&request.body(Length(length)).unwrap(), &limits);
        assert_eq!(found, expected, "{version:?} {line} {fields:?}");
    }

    #[test]
    fn a_request_names_its_host_once() {
        let check_1 = |fields: &[(&str, &str)], expected| {
            check(Version::HTTP_11, "GET /", fields, expected);
        };
        check_1(&[("host", "shop")], None);
        check_1(&[("host", "shop:80")], None);
        check_1(&[("host", "[::1]:80")], None);
        check_1(&[("host", "")], None);
        check_1(&[], Some(Fault::Host));
        check_1(&[("host", "shop"), ("host", "shop")], Some(Fault::Host));
        for wrong in ["a b", "a/b", "a@b", "a:b:c", "http://a", "a\t"] {
            check_1(&[("host", wrong)], Some(Fault::Host));
        }
        check(Version::HTTP_10, "GET /", &[], None);
        check(Version::HTTP_2, "GET /", &[], None);
        check(Version::HTTP_2, "GET http://shop/", &[("host", "Shop")], None);
        check(Version::HTTP_2, "GET http://shop/", &[("host", "bank")], Some(Fault::Host));
    }

    #[test]
    fn a_target_has_the_form_of_its_method() {
        let host = [("host", "x")];
        for right in ["GET /", "OPTIONS *", "GET http://a/b", "CONNECT a:1"] {
            check(Version::HTTP_11, right, &host, None);
        }
        for wrong in
            ["GET a", "GET a:1", "GET *", "OPTIONS a:1", "POST a.b", "CONNECT /", "CONNECT *"]
        {
            check(Version::HTTP_11, wrong, &host, Some(Fault::Target));
        }
    }

    #[test]
    fn chunked_is_the_only_coding() {
        let coded = |codings: &[&str], expected: Option<Fault>| {
            let codings = codings.iter().map(|it| ("transfer-encoding", *it));
            let fields: Vec<_> = [("host", "x")].into_iter().chain(codings).collect();
            check(Version::HTTP_11, "POST /", &fields, expected);
        };
        coded(&[], None);
        coded(&["chunked"], None);
        coded(&["Chunked"], None);
        for wrong in [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"], &[""]]
        {
            coded(wrong, Some(Fault::Coding));
        }
    }

    #[test]
    fn each_part_has_its_room() {
        let target = format!("GET /{}", "a".repeat(19));
        check(Version::HTTP_2, &target, &[], None);
        check(Version::HTTP_2, &format!("{target}a"), &[], Some(Fault::TargetTooLong));
        let long = "a".repeat(170);
        check(Version::HTTP_2, "GET /", &[("x", &long[..])], None);
        let too_long = "a".repeat(195);
        check(Version::HTTP_2, "GET /", &[("x", &too_long[..])], Some(Fault::HeadTooLarge));
        check(Version::HTTP_2, "GET /", &[("content-length", "5")], None);
        let too_large = Some(Fault::Body(BodyFault::TooLarge));
        check(Version::HTTP_2, "GET /", &[("content-length", "6")], too_large);
    }
}
