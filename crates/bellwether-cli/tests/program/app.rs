//! Applications that run in the browser, and pages about errors.

use std::fs;
use std::path::Path;

use crate::clients::{Reply, curl, raw, url};
use crate::kit::Run;
use crate::stage::serve_site;

const PAGE: &str = "Accept: text/html,*/*;q=0.8\r\n";

fn app(site: &Path) {
    fs::write(site.join("../secret"), "secret").unwrap();
    fs::create_dir(site.join("assets")).unwrap();
    fs::write(site.join("assets/app.js"), "run()").unwrap();
    fs::write(site.join("index.html"), "the app").unwrap();
    fs::write(site.join("404.html"), "lost, says the operator").unwrap();
}

fn page(run: &Run, path: &str) -> Reply {
    raw(run, &format!("GET {path}"), PAGE)
}

#[test]
fn a_path_that_leads_nowhere_is_the_application_s_business() {
    let mut run = serve_site(&["--spa"], app);
    for path in ["/", "/user/7", "/user/7?tab=a.b", "/assets", "/v1.2/x", "/assets/", "/a%20b"] {
        let path = if path == "/assets" { "/assets/nothing" } else { path };
        let reply = page(&run, path);
        assert_eq!((reply.status, reply.text()), (200, "the app"), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
    assert_eq!(page(&run, "/assets/app.js").text(), "run()");
    assert_eq!(page(&run, "/assets/gone.js").status, 404);
    assert_eq!(raw(&run, "GET /user/7", "Accept: application/json\r\n").status, 404);
    assert_eq!(raw(&run, "GET /user/7", "").status, 404);
    assert_eq!(raw(&run, "POST /user/7", PAGE).status, 405);
    let head = raw(&run, "HEAD /user/7", PAGE);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("7"), 0));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn the_page_of_an_application_can_be_kept_and_asked_for_in_parts() {
    let mut run = serve_site(&["--spa=index.html"], app);
    let first = page(&run, "/user/7");
    let etag = first.header("etag").unwrap();
    let again = raw(&run, "GET /user/8", &format!("{PAGE}If-None-Match: {etag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let part = raw(&run, "GET /user/8", &format!("{PAGE}Range: bytes=4-\r\n"));
    assert_eq!((part.status, part.text()), (206, "app"));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_way_out_of_the_directory_is_no_page_of_the_application() {
    let mut run = serve_site(&["--spa", "--listing"], app);
    for path in [
        "/../secret",
        "/assets/../../secret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/%2fetc/passwd",
        "//etc/passwd",
        "//host.example",
        "/secret%00",
        "/%ff",
    ] {
        let reply = page(&run, path);
        assert_eq!((reply.status, reply.text()), (404, "lost, says the operator"), "{path}");
    }
    // On Linux a backslash is a letter like any other.
    assert_eq!(page(&run, "/..%5csecret").status, 404);
    if let Some(reply) =
        curl(&["--path-as-is", "-H", "Accept: text/html", &url(&run, "/../secret")])
    {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn an_application_without_its_page_is_not_found() {
    let mut run = serve_site(&["--spa=gone.html"], |site| fs::write(site.join("a"), "").unwrap());
    assert_eq!(page(&run, "/user/7").status, 404);
    assert!(run.stderr().contains("site/gone.html"), "{}", run.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn the_operator_s_page_says_that_something_is_not_there() {
    let mut run = serve_site(&[], app);
    let reply = page(&run, "/nothing");
    assert_eq!((reply.status, reply.text()), (404, "lost, says the operator"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    for kept in ["etag", "last-modified", "accept-ranges"] {
        assert_eq!(reply.header(kept), None, "{kept}");
    }
    let part =
        raw(&run, "GET /nothing", &format!("{PAGE}Range: bytes=0-1\r\nIf-None-Match: *\r\n"));
    assert_eq!((part.status, part.body.len()), (404, 23));
    let head = raw(&run, "HEAD /nothing", PAGE);
    assert_eq!((head.status, head.header("content-length")), (404, Some("23")));
    assert!(raw(&run, "GET /nothing", "").text().starts_with("Not found."));
    assert_eq!(raw(&run, "PUT /nothing", PAGE).status, 405);
    assert_eq!(page(&run, "/404.html").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}
