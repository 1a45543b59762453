//! Text that is made smaller on its way.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::clients::{Reply, curl, raw, url};
use crate::kit::Run;
use crate::stage::serve_site;

fn text() -> String {
    (0..5000).map(|number| format!("line {number}\n")).collect()
}

fn fill(site: &Path) {
    for file in ["a.txt", "a.html", "a.js", "a.svg", "a.png", "packed.txt", "404.html"] {
        fs::write(site.join(file), text()).unwrap();
    }
    fs::write(site.join("packed.txt.gz"), "by hand").unwrap();
    fs::write(site.join("small.txt"), &text()[..1023]).unwrap();
    fs::write(site.join("enough.txt"), &text()[..1024]).unwrap();
    fs::create_dir(site.join("many")).unwrap();
    for number in 0..40 {
        fs::write(site.join(format!("many/{number}")), "").unwrap();
    }
}

fn ask(run: &Run, method: &str, path: &str, accepted: &str, more: &str) -> Reply {
    let headers = format!("Accept-Encoding: {accepted}\r\n{more}");
    raw(run, &format!("{method} {path}"), &headers)
}

/// The text that was sent, as the client sees it.
fn unpacked(reply: &Reply) -> String {
    let (mut text, body) = (String::new(), &reply.body[..]);
    let read = match reply.header("content-encoding") {
        Some("zstd") => zstd::stream::read::Decoder::new(body).unwrap().read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        other => panic!("{other:?} is no encoding"),
    };
    read.unwrap();
    text
}

#[test]
fn text_is_smaller_for_clients_that_accept_it_and_head_says_the_same() {
    let mut run = serve_site(&[], fill);
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.1", "gzip"),
        ("*", "zstd"),
    ] {
        for path in ["/a.txt", "/a.html", "/a.js", "/a.svg", "/a.txt?v=1"] {
            let reply = ask(&run, "GET", path, accepted, "");
            assert_eq!((reply.status, reply.header("content-encoding")), (200, Some(coding)));
            assert_eq!(unpacked(&reply), text(), "{path} {accepted}");
            assert!(reply.body.len() * 2 < text().len(), "{path} {accepted}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"));
            assert!(reply.header("etag").unwrap().starts_with("W/\""), "{path} {accepted}");
            assert_eq!(
                (reply.header("content-length"), reply.header("accept-ranges")),
                (None, None)
            );
            let head = ask(&run, "HEAD", path, accepted, "");
            assert_eq!(head.body.len(), 0);
            assert_eq!(head.headers(), reply.headers(), "{path} {accepted}");
        }
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_would_gain_nothing_or_is_asked_for_as_it_is_stays_so() {
    let (mut run, mut off) = (serve_site(&[], fill), serve_site(&["--compress", "off"], fill));
    let check = |run: &Run, path: &str, accepted: &str, coding: Option<&str>| {
        for method in ["GET", "HEAD"] {
            let reply = ask(run, method, path, accepted, "");
            assert_eq!(reply.header("content-encoding"), coding, "{method} {path} {accepted}");
            assert!(reply.header("content-length").is_some(), "{method} {path} {accepted}");
            assert_eq!(reply.header("accept-ranges"), Some("bytes"), "{method} {path} {accepted}");
            assert!(reply.header("etag").unwrap().starts_with('"'), "{method} {path} {accepted}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"), "{method} {path} {accepted}");
        }
    };
    check(&run, "/a.txt", "identity", None);
    check(&run, "/a.txt", "deflate", None);
    check(&run, "/a.txt", "gzip;q=0", None);
    check(&run, "/a.png", "gzip", None);
    check(&run, "/small.txt", "gzip", None);
    check(&run, "/packed.txt", "gzip", Some("gzip"));
    check(&off, "/a.txt", "gzip, br, zstd", None);
    assert_eq!(ask(&run, "GET", "/packed.txt", "gzip", "").text(), "by hand");
    assert_eq!(
        ask(&run, "GET", "/enough.txt", "gzip", "").header("content-encoding"),
        Some("gzip")
    );
    assert_eq!((run.stop().code(), off.stop().code()), (Some(0), Some(0)));
}

#[test]
fn conditions_and_ranges_are_about_the_same_form() {
    let mut run = serve_site(&[], fill);
    let weak = ask(&run, "GET", "/a.txt", "gzip", "").header("etag").unwrap().to_owned();
    let strong = ask(&run, "GET", "/a.txt", "identity", "").header("etag").unwrap().to_owned();
    assert_eq!(weak, format!("W/{strong}"));
    let check = |headers: &str, status: u16, etag: &str, coding: Option<&str>| {
        let reply = ask(&run, "GET", "/a.txt", "gzip", headers);
        assert_eq!((reply.status, reply.header("etag")), (status, Some(etag)), "{headers}");
        assert_eq!(reply.header("content-encoding"), coding, "{headers}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"), "{headers}");
    };
    check(&format!("If-None-Match: {weak}\r\n"), 304, &weak, None);
    check(&format!("If-None-Match: {strong}\r\n"), 304, &strong, None);
    check("If-None-Match: W/\"other\"\r\n", 200, &weak, Some("gzip"));
    check("Range: bytes=0-9\r\n", 206, &strong, None);
    check(&format!("Range: bytes=0-9\r\nIf-Range: {strong}\r\n"), 206, &strong, None);
    // Whoever has the beginning of the smaller form gets the whole file, never a part of it.
    check(&format!("Range: bytes=9-\r\nIf-Range: {weak}\r\n"), 200, &strong, None);
    assert_eq!(ask(&run, "GET", "/a.txt", "gzip", "Range: bytes=5-5\r\n").text(), "0");
    let failed = ask(&run, "GET", "/a.txt", "gzip", &format!("If-Match: {weak}\r\n"));
    assert_eq!(failed.status, 412);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn lists_and_pages_about_errors_are_text_too() {
    let mut run = serve_site(&["--listing"], fill);
    let page = "Accept: text/html\r\n";
    let lost = ask(&run, "GET", "/nothing", "br", page);
    assert_eq!((lost.status, unpacked(&lost)), (404, text()));
    let list = ask(&run, "GET", "/many/", "zstd", page);
    assert!(unpacked(&list).contains("href=\"39\""));
    for reply in [&lost, &list] {
        let vary: Vec<_> =
            reply.headers().into_iter().filter(|it| it.starts_with("vary")).collect();
        assert!(vary.iter().any(|it| it.contains("accept-encoding")), "{vary:?}");
        assert!(vary.iter().any(|it| it.ends_with("accept")), "{vary:?}");
    }
    let head = ask(&run, "HEAD", "/many/", "zstd", page);
    assert_eq!(head.headers(), list.headers());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn curl_unpacks_what_it_is_sent() {
    let mut run = serve_site(&[], fill);
    let place = url(&run, "/a.txt");
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let Some(reply) = curl(&["--compressed", version, &place]) else { return };
        assert!(reply.header("content-encoding").is_some(), "{version}");
        assert_eq!(reply.text(), text(), "{version}");
        let Some(head) = curl(&["--compressed", version, "-I", &place]) else { return };
        assert_eq!(head.header("content-encoding"), reply.header("content-encoding"), "{version}");
        assert_eq!(head.header("content-length"), None, "{version}");
        let Some(part) = curl(&["--compressed", version, "-r", "0-3", &place]) else { return };
        assert_eq!((part.status, part.text()), (206, "line"), "{version}");
    }
    assert_eq!(run.stop().code(), Some(0));
}
