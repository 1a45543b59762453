//! Headers by which proxies say for whom they ask, read from the right: `Forwarded` (RFC 7239) and
//! `X-Forwarded-…`.
//!
//! Each proxy adds to the right of what it was sent, so what is on the left may be anybody's. An
//! element is cut off at the right before anything to the left of it is looked at: a quote that a
//! client leaves open cannot swallow what a proxy has added. (Crates that read the header whole
//! from the left take such a header for broken, and its client for nobody.)

use std::borrow::Cow;
use std::iter::successors;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};

/// For whom a proxy says that it asks; what it does not say, or not so that it can be read, is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) client: Option<(IpAddr, Option<u16>)>,
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<Authority>,
}

pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(super) const X_FORWARDED: &str = "x-forwarded-";
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The hops of all lines of `Forwarded`, the nearest first.
pub(super) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    lines.flat_map(|line| elements(text(line))).map(|element| hop(element).unwrap_or_default())
}

/// The hops of all lines of `X-Forwarded-For`, the nearest first, each with what the other headers
/// have at the same place from the right; where they are shorter, their first.
pub(super) fn x_forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let (mut schemes, mut hosts) = (None, None);
    let mut protos = list(headers, X_FORWARDED_PROTO);
    let mut names = list(headers, X_FORWARDED_HOST);
    list(headers, X_FORWARDED_FOR).map(move |client| {
        schemes = protos.next().or(schemes);
        hosts = names.next().or(hosts);
        Hop { client: node(client), scheme: schemes.and_then(scheme), host: hosts.and_then(host) }
    })
}

/// The elements of all lines of a header without quotes, the last first.
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().rev().map(text);
    lines.flat_map(|line| line.rsplit(',')).map(str::trim).filter(|it| !it.is_empty())
}

/// What is not ASCII is nothing that could be read, but it is there.
fn text(line: &HeaderValue) -> &str {
    line.to_str().unwrap_or("?")
}

/// The elements of a line of `Forwarded`, the last first; empty ones are none (RFC 9110, 5.6.1).
fn elements(line: &str) -> impl Iterator<Item = &str> {
    let cuts = successors(Some(cut_last(line, ',')), |(rest, _)| Some(cut_last((*rest)?, ',')));
    cuts.map(|(_, element)| element.trim()).filter(|it| !it.is_empty())
}

/// Cuts a text in two at the last mark that no quotes surround, as far as the right of it tells.
fn cut_last(text: &str, mark: char) -> (Option<&str>, &str) {
    let mut quoted = false;
    for (at, character) in text.char_indices().rev() {
        match character {
            '"' if !is_escaped(&text[..at]) => quoted = !quoted,
            it if it == mark && !quoted => return (Some(&text[..at]), &text[at + 1..]),
            _ => {}
        }
    }
    (None, text)
}

/// Tells whether what comes behind this is escaped by a backslash.
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Reads an element: pairs with a semicolon between them, each name once.
fn hop(element: &str) -> Option<Hop> {
    let mut pairs = [("for", None), ("proto", None), ("host", None), ("by", None)];
    let mut rest = Some(element);
    while let Some(text) = rest {
        let (before, pair) = cut_last(text, ';');
        rest = before;
        let Some((name, value)) = pair.trim().split_once('=') else {
            if pair.trim().is_empty() {
                continue;
            }
            return None;
        };
        let known = pairs.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, place)) = known
            && place.replace(value_of(value)?).is_some()
        {
            return None;
        }
    }
    let [client, proto, name, _] = pairs.map(|(_, value)| value);
    Some(Hop {
        client: client.as_deref().and_then(node),
        scheme: proto.as_deref().and_then(scheme),
        host: name.as_deref().and_then(host),
    })
}

/// A value without its quotes. What needs them (`[::1]:80`) is also read where they are forgotten.
fn value_of(text: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = text.strip_prefix('"') else {
        let is_odd = |c: char| c == '"' || c.is_ascii_whitespace();
        return (!text.is_empty() && !text.contains(is_odd)).then_some(text.into());
    };
    let inside = inside.strip_suffix('"').filter(|inside| !is_escaped(inside))?;
    let (mut plain, mut characters) = (String::new(), inside.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
    Some(plain.into())
}

/// An address, with or without its port; `unknown` and what a proxy calls by a name of its own
/// (`_secret`) are none.
fn node(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), Some(address.port())));
    }
    // A port, too, may go by a name of its own.
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.starts_with('_') => host,
        _ => text,
    };
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = match bracketed {
        Some(inside) => inside.parse::<Ipv6Addr>().ok()?.into(),
        None => host.parse::<IpAddr>().ok()?,
    };
    Some((address.to_canonical(), None))
}

fn scheme(text: &str) -> Option<Scheme> {
    [Scheme::HTTP, Scheme::HTTPS].into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text))
}

/// A name with or without a port, and nothing before it.
pub(super) fn host(text: &str) -> Option<Authority> {
    text.parse().ok().filter(|it: &Authority| !it.as_str().contains('@') && !it.host().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hops as `client scheme host`, with `-` for what is not told, the nearest first.
    fn written(hops: impl Iterator<Item = Hop>) -> Vec<String> {
        let dash = || "-".to_owned();
        hops.map(|hop| {
            let client = hop.client.map_or_else(dash, |(address, port)| match port {
                Some(port) => SocketAddr::new(address, port).to_string(),
                None => address.to_string(),
            });
            let scheme = hop.scheme.map_or_else(dash, |it| it.to_string());
            format!("{client} {scheme} {}", hop.host.map_or_else(dash, |it| it.to_string()))
        })
        .collect()
    }

    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        assert_eq!(written(forwarded(&headers)), expected, "{lines:?}");
    }

    #[test]
    fn elements_are_read_as_the_rfc_writes_them() {
        check(&[], &[]);
        check(&["for=192.0.2.60;proto=http;by=203.0.113.43"], &["192.0.2.60 http -"]);
        check(&["For=\"[2001:db8:cafe::17]:4711\""], &["[2001:db8:cafe::17]:4711 - -"]);
        check(&["for=192.0.2.43, for=198.51.100.17"], &["198.51.100.17 - -", "192.0.2.43 - -"]);
        check(&["for=192.0.2.43", "for=198.51.100.17"], &["198.51.100.17 - -", "192.0.2.43 - -"]);
        check(&["for=\"_gazonk\""], &["- - -"]);
        check(&["for=unknown"], &["- - -"]);
        check(&["for=_hidden, for=_SEVKISEK"], &["- - -", "- - -"]);
        check(&["host=example.com;FOR=192.0.2.1;PROTO=HTTPS"], &["192.0.2.1 https example.com"]);
        check(&["for=192.0.2.1;host=\"example.com:8443\""], &["192.0.2.1 - example.com:8443"]);
        check(&["for=\"192.0.2.1:80\""], &["192.0.2.1:80 - -"]);
        check(&["for=\"192.0.2.1:_port\""], &["192.0.2.1 - -"]);
        check(&["for=\"[2001:db8::1]:_port\""], &["2001:db8::1 - -"]);
        check(&["for=\"[::ffff:192.0.2.1]\""], &["192.0.2.1 - -"]);
        check(&["secret=1;for=192.0.2.1"], &["192.0.2.1 - -"]);
        check(&["secret=\"a,b;c\\\"d\";for=192.0.2.1"], &["192.0.2.1 - -"]);
        check(&["for=\"192.0.2\\.1\""], &["192.0.2.1 - -"]);
        check(&[",, for=192.0.2.1 ,"], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1;;", ""], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1; proto=https"], &["192.0.2.1 https -"]);
    }

    #[test]
    fn what_is_not_written_so_tells_nothing() {
        check(&["192.0.2.1"], &["- - -"]);
        check(&["for 192.0.2.1"], &["- - -"]);
        check(&["for="], &["- - -"]);
        check(&["for=192.0.2.1;for=192.0.2.2"], &["- - -"]);
        check(&["for=192.0.2.1;by=a;by=b"], &["- - -"]);
        check(&["for=\"192.0.2.1"], &["- - -"]);
        check(&["for=192.0.2.1\""], &["- - -"]);
        check(&["for=\"192.0.2.1\\\""], &["- - -"]);
        check(&["for=\"192.0.2.1\"x"], &["- - -"]);
        check(&["for=192.0.2.1 x"], &["- - -"]);
        check(&["for=192.0.2.999"], &["- - -"]);
        check(&["for=\"[192.0.2.1]\""], &["- - -"]);
        check(&["for=\"192.0.2.1:99999\""], &["- - -"]);
        check(&["for=\"2001:db8::1]\""], &["- - -"]);
        check(&["for=localhost"], &["- - -"]);
        check(&["for=192.0.2.1;proto=ftp;host=\"a@b\""], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1;host=\"a b\""], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1;host=\"\""], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1;host=\":80\""], &["192.0.2.1 - -"]);
        check(&["for=192.0.2.1, \u{fc}"], &["- - -"]);
        check(&[";"], &["- - -"]);
    }

    #[test]
    fn nothing_that_a_client_sends_changes_what_a_proxy_adds() {
        let mut client = vec!["for=\"", "for=\"x", "\"", "\\", "\\\"", "for=\"\\", "for=1.1.1.1;"];
        client.extend(["\"\"\"", "\\\\\"", ";;;\"", "a=\"b", "for=1.1.1.1;host=\"x, for=2.2.2.2"]);
        for sent in client {
            for added in ["for=192.0.2.1", "for=\"192.0.2.1\"", "by=\"_x\";for=192.0.2.1"] {
                let mut headers = HeaderMap::new();
                let line = format!("{sent}, {added}");
                headers.append(FORWARDED, line.parse().unwrap());
                let hop = forwarded(&headers).next().unwrap();
                assert_eq!(written([hop].into_iter()), ["192.0.2.1 - -"], "{line}");
            }
        }
    }

    #[test]
    fn the_headers_without_a_standard_are_read_side_by_side() {
        let check = |lines: &[(&str, &str)], expected: &[&str]| {
            let mut headers = HeaderMap::new();
            for (name, line) in lines {
                let name: HeaderName = format!("{X_FORWARDED}{name}").parse().unwrap();
                headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            assert_eq!(written(x_forwarded(&headers)), expected, "{lines:?}");
        };
        check(&[], &[]);
        check(&[("proto", "https")], &[]);
        check(&[("for", "192.0.2.1")], &["192.0.2.1 - -"]);
        check(&[("for", "192.0.2.1, 192.0.2.2")], &["192.0.2.2 - -", "192.0.2.1 - -"]);
        check(&[("for", "192.0.2.1"), ("for", "192.0.2.2")], &["192.0.2.2 - -", "192.0.2.1 - -"]);
        check(&[("for", "192.0.2.1:80")], &["192.0.2.1:80 - -"]);
        check(&[("for", "2001:db8::1")], &["2001:db8::1 - -"]);
        check(&[("for", "[2001:db8::1]")], &["2001:db8::1 - -"]);
        check(&[("for", "[2001:db8::1]:443")], &["[2001:db8::1]:443 - -"]);
        check(&[("for", "unknown")], &["- - -"]);
        check(&[("for", "\"192.0.2.1\"")], &["- - -"]);
        check(&[("for", "192.0.2.1, \u{fc}")], &["- - -"]);
        check(&[("for", " ,192.0.2.1,,")], &["192.0.2.1 - -"]);
        let one = [("for", "192.0.2.1, 192.0.2.2"), ("proto", "https"), ("host", "shop.example")];
        check(&one, &["192.0.2.2 https shop.example", "192.0.2.1 https shop.example"]);
        let two = [("for", "192.0.2.1, 192.0.2.2"), ("proto", "https, http")];
        check(&two, &["192.0.2.2 http -", "192.0.2.1 https -"]);
        let forged = [("for", "192.0.2.1"), ("proto", "https, http"), ("host", "evil, good")];
        check(&forged, &["192.0.2.1 http good"]);
        check(&[("for", "192.0.2.1"), ("proto", "gopher")], &["192.0.2.1 - -"]);
    }
}
