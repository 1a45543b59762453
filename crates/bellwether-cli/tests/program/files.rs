//! Files of a directory over HTTP.

use std::fs;
use std::os::unix::fs::symlink;

use crate::clients::{Reply, curl, raw, url};
use crate::stage::{serve_site, text};

fn etag(reply: &Reply) -> String {
    reply.header("etag").expect("a version").to_owned()
}

#[test]
fn files_and_folders_are_served_with_their_type() {
    let mut run = serve_site(&[], |site| {
        fs::write(site.join("index.html"), "<p>start").unwrap();
        fs::write(site.join("notes.txt"), "größer").unwrap();
        fs::create_dir(site.join("sub")).unwrap();
        fs::write(site.join("sub/index.html"), "<p>sub").unwrap();
        fs::write(site.join("with space.bin"), [0, 1, 2]).unwrap();
    });
    let check = |path: &str, body: &[u8], kind: &str| {
        let reply = raw(&run, &format!("GET {path}"), "");
        assert_eq!((reply.status, &reply.body[..]), (200, body), "{path}");
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
    };
    check("/", b"<p>start", "text/html; charset=utf-8");
    check("/notes.txt?v=1", "größer".as_bytes(), "text/plain; charset=utf-8");
    check("/sub/", b"<p>sub", "text/html; charset=utf-8");
    check("/with%20space.bin", &[0, 1, 2], "application/octet-stream");
    assert_eq!(raw(&run, "GET /sub", "").header("location"), Some("/sub/"));
    let site = run.path("site");
    assert!(run.stderr().contains(text(&site)), "{}", run.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_part_of_a_file_can_be_asked_for() {
    let mut run = serve_site(&[], |site| fs::write(site.join("digits"), "0123456789").unwrap());
    let Some(part) = curl(&["-r", "2-4", &url(&run, "/digits")]) else { return };
    assert_eq!((part.status, part.text()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(raw(&run, "GET /digits", "Range: bytes=-3\r\n").text(), "789");
    assert_eq!(raw(&run, "GET /digits", "Range: bytes=20-\r\n").status, 416);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_download_goes_on_only_with_the_same_version_of_the_file() {
    let mut run = serve_site(&[], |site| fs::write(site.join("digits"), "0123456789").unwrap());
    let version = etag(&raw(&run, "GET /digits", ""));
    let ask = |version: &str| {
        let headers = format!("Range: bytes=5-\r\nIf-Range: {version}\r\n");
        raw(&run, "GET /digits", &headers)
    };
    let same = ask(&version);
    assert_eq!((same.status, same.text()), (206, "56789"));
    let other = ask("\"another version\"");
    assert_eq!((other.status, other.text()), (200, "0123456789"));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let mut run = serve_site(&[], |site| fs::write(site.join("page"), "text").unwrap());
    let first = raw(&run, "GET /page", "");
    let modified = first.header("last-modified").expect("a date");
    let check = |header: String, status: u16| {
        let reply = raw(&run, "GET /page", &format!("{header}\r\n"));
        assert_eq!(reply.status, status, "{header}");
        assert_eq!(reply.body.is_empty(), status == 304, "{header}");
    };
    check(format!("If-None-Match: {}", etag(&first)), 304);
    check("If-None-Match: \"other\"".into(), 200);
    check(format!("If-Modified-Since: {modified}"), 304);
    check("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT".into(), 200);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_compressed_variant_is_sent_to_who_accepts_it() {
    let mut run = serve_site(&[], |site| {
        fs::write(site.join("page.html"), "plain").unwrap();
        fs::write(site.join("page.html.gz"), "as gzip").unwrap();
        fs::write(site.join("page.html.br"), "as brotli").unwrap();
        fs::write(site.join("page.html.zst"), "as zstd").unwrap();
    });
    let check = |accepted: &str, encoding: Option<&str>, body: &str| {
        let reply = raw(&run, "GET /page.html", &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!(
            (reply.header("content-encoding"), reply.text()),
            (encoding, body),
            "{accepted}"
        );
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{accepted}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"), "{accepted}");
    };
    check("identity", None, "plain");
    check("gzip", Some("gzip"), "as gzip");
    check("br;q=1.0, gzip;q=0.5", Some("br"), "as brotli");
    check("zstd", Some("zstd"), "as zstd");
    check("deflate", None, "plain");
    if let Some(reply) = curl(&["-H", "Accept-Encoding: gzip", &url(&run, "/page.html")]) {
        assert_eq!(reply.text(), "as gzip");
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn nothing_above_the_directory_is_reached() {
    let mut run = serve_site(&[], |site| {
        fs::write(site.join("../secret"), "secret").unwrap();
        fs::create_dir(site.join("sub")).unwrap();
    });
    for path in [
        "/../secret",
        "/../../etc/passwd",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/sub/%2e%2e/%2e%2e/secret",
        "/..%5csecret",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/secret%00.html",
        "/%ff",
    ] {
        let reply = raw(&run, &format!("GET {path}"), "");
        assert_eq!(reply.status, 404, "{path}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("root:"), "{path}");
    }
    if let Some(reply) = curl(&["--path-as-is", &url(&run, "/../secret")]) {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_symbolic_link_is_followed() {
    let mut run = serve_site(&[], |site| {
        fs::write(site.join("../elsewhere"), "linked").unwrap();
        symlink("../elsewhere", site.join("link")).unwrap();
        symlink("loop", site.join("loop")).unwrap();
        symlink("nowhere", site.join("dangling")).unwrap();
    });
    assert_eq!(raw(&run, "GET /link", "").text(), "linked");
    assert_eq!(raw(&run, "GET /loop", "").status, 404);
    assert_eq!(raw(&run, "GET /dangling", "").status, 404);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_folder_is_never_sent_to_another_server() {
    let mut run = serve_site(&[], |site| fs::create_dir(site.join("host.example")).unwrap());
    let reply = raw(&run, "GET //host.example", "");
    assert_eq!((reply.status, reply.header("location")), (404, None));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_is_no_file_makes_nobody_wait() {
    let mut run = serve_site(&[], |site| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            site.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        symlink("/dev/zero", site.join("endless")).unwrap();
        std::os::unix::net::UnixListener::bind(site.join("socket")).unwrap();
        fs::create_dir(site.join("empty")).unwrap();
        fs::write(site.join("file"), "").unwrap();
    });
    let long = format!("/{}", "x".repeat(300));
    for path in ["/pipe", "/socket", "/endless", "/empty/", "/file/below", "/nothing", &long] {
        assert_eq!(raw(&run, &format!("GET {path}"), "").status, 404, "{path}");
    }
    let page = raw(&run, "GET /nothing", "Accept: text/html\r\n");
    assert!(page.text().contains("<h1>Not found</h1>"), "{}", page.text());
    fs::remove_file(run.path("site/socket")).unwrap();
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn files_are_only_read() {
    let mut run = serve_site(&[], |site| fs::write(site.join("page"), "text").unwrap());
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = raw(&run, &format!("{method} /page"), "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let head = raw(&run, "HEAD /page", "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("4"), 0));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_file_from_before_1970_is_served_without_its_date() {
    let mut run = serve_site(&[], |site| {
        let file = fs::File::create(site.join("old")).unwrap();
        let time = rustix::fs::Timespec { tv_sec: -1_000_000_000, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::futimens(&file, &times).unwrap();
    });
    for method in ["GET", "HEAD"] {
        let reply = raw(&run, &format!("{method} /old"), "");
        assert_eq!((reply.status, reply.header("last-modified")), (200, None), "{method}");
    }
    assert_eq!(run.stop().code(), Some(0));
}
