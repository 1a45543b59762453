//! For how long answers may be kept.

use std::fs;

use crate::clients::{curl, raw, url};
use crate::stage::serve_site;

const PAGE: &str = "Accept: text/html\r\n";

fn fill(site: &std::path::Path) {
    fs::create_dir_all(site.join("assets/sub")).unwrap();
    for file in ["index.html", "assets/app.js", "assets/sub/index.html", "with space.txt"] {
        fs::write(site.join(file), "0123456789").unwrap();
    }
}

#[test]
fn without_a_rule_clients_ask_each_time() {
    let mut run = serve_site(&["--listing", "--spa"], fill);
    for path in ["/", "/index.html", "/assets/app.js", "/nothing", "/assets/", "/a/b"] {
        for accept in ["", PAGE] {
            let reply = raw(&run, &format!("GET {path}"), accept);
            assert_eq!(reply.header("cache-control"), Some("no-cache"), "{path}");
        }
    }
    for (path, status) in [("/assets", 307), ("/assets/app.js", 416)] {
        let reply = raw(&run, &format!("GET {path}"), "Range: bytes=99-\r\n");
        assert_eq!((reply.status, reply.header("cache-control")), (status, None), "{path}");
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn the_last_rule_that_fits_a_file_counts() {
    let rules = ["max-age=60", "/assets/*=max-age=31536000,immutable", "*.html=no-store"];
    let flags: Vec<_> = rules.iter().flat_map(|rule| ["--cache", rule]).chain(["--spa"]).collect();
    let mut run = serve_site(&flags, fill);
    let check = |path: &str, words: &str| {
        for method in ["GET", "HEAD"] {
            let reply = raw(&run, &format!("{method} {path}"), PAGE);
            assert_eq!(reply.header("cache-control"), Some(words), "{method} {path}");
        }
    };
    check("/", "no-store");
    check("/with%20space.txt", "max-age=60");
    check("/assets/app.js", "max-age=31536000,immutable");
    check("/%61ssets/app.js?v=1", "max-age=31536000,immutable");
    check("/assets/sub/", "no-store");
    // What is not there must not be kept as if it were, nor the page that is sent instead.
    check("/assets/gone.js", "no-cache");
    check("/assets/gone", "no-store");
    if let Some(reply) = curl(&[&url(&run, "/assets/app.js")]) {
        assert_eq!(reply.header("cache-control"), Some("max-age=31536000,immutable"));
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_is_unchanged_or_a_part_says_it_too() {
    let mut run = serve_site(&["--cache", "max-age=60"], fill);
    let etag = raw(&run, "GET /", "").header("etag").unwrap().to_owned();
    let check = |headers: &str, status: u16| {
        let reply = raw(&run, "GET /", headers);
        assert_eq!((reply.status, reply.header("cache-control")), (status, Some("max-age=60")));
    };
    check(&format!("If-None-Match: {etag}\r\n"), 304);
    check("Range: bytes=2-4\r\n", 206);
    check(&format!("Range: bytes=2-4\r\nIf-Range: {etag}\r\n"), 206);
    check("Range: bytes=2-4\r\nIf-Range: \"other\"\r\n", 200);
    assert_eq!(run.stop().code(), Some(0));
}
