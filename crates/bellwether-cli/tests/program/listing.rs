//! Lists of folders.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::clients::{curl, raw, url};
use crate::stage::serve_site;

#[test]
fn a_folder_without_index_is_listed_where_that_was_asked_for() {
    let fill = |site: &std::path::Path| fs::write(site.join("file"), "").unwrap();
    let (mut listing, mut plain) = (serve_site(&["--listing"], fill), serve_site(&[], fill));
    assert_eq!(raw(&plain, "GET /", "").status, 404);
    let reply = raw(&listing, "GET /", "");
    assert_eq!((reply.status, reply.text()), (200, "file\n"));
    assert_eq!(raw(&listing, "POST /", "").status, 405);
    let head = raw(&listing, "HEAD /", "");
    assert_eq!((head.header("content-length"), head.body.len()), (Some("5"), 0));
    assert_eq!((plain.stop().code(), listing.stop().code()), (Some(0), Some(0)));
}

#[test]
fn what_can_be_asked_for_is_listed_folders_first() {
    let mut run = serve_site(&["--listing"], |site| {
        let sub = site.join("sub");
        for folder in ["", "z", ".hidden", "indexed"] {
            fs::create_dir(sub.join(folder)).unwrap();
        }
        for file in ["b", "a&b <i>.txt", ".secret", ".hidden/file", "indexed/index.html"] {
            fs::write(sub.join(file), "1234").unwrap();
        }
        fs::write(sub.join(std::ffi::OsStr::from_bytes(b"\xff")), "no text").unwrap();
        symlink("nowhere", sub.join("dangling")).unwrap();
        symlink("/dev/null", sub.join("device")).unwrap();
        symlink("b", sub.join("link")).unwrap();
    });
    let names = ["indexed/", "z/", "a&b <i>.txt", "b", "link"];
    assert_eq!(raw(&run, "GET /sub/", "").text().lines().collect::<Vec<_>>(), names);
    assert_eq!(raw(&run, "GET /sub", "").header("location"), Some("/sub/"));
    assert_eq!(raw(&run, "GET /sub/indexed/", "").text(), "1234");

    let page = raw(&run, "GET /sub/", "Accept: text/html\r\n");
    assert_eq!(page.header("vary"), Some("accept"));
    for words in ["<title>/sub/</title>", "\"../\"", "a&amp;b &lt;i&gt;.txt", "4 B", "color-scheme"]
    {
        assert!(page.text().contains(words), "no {words} in {}", page.text());
    }
    assert_eq!(raw(&run, "GET /sub/a%26b%20%3Ci%3E%2Etxt", "").text(), "1234");

    let reply = raw(&run, "GET /sub/", "Accept: application/json\r\n");
    let json: Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!((&json["path"], &json["complete"]), (&"/sub/".into(), &true.into()));
    assert_eq!(json["entries"][0]["kind"], "folder");
    assert_eq!(
        (&json["entries"][3]["name"], &json["entries"][3]["size"]),
        (&"b".into(), &4.into())
    );
    assert_eq!(json["entries"][3]["modified"].as_str().map(str::len), Some(20));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn no_list_leads_out_of_the_directory_or_into_what_is_hidden() {
    let mut run = serve_site(&["--listing"], |site| {
        fs::write(site.join("../secret"), "").unwrap();
        fs::create_dir(site.join(".git")).unwrap();
        fs::create_dir(site.join("sub")).unwrap();
    });
    for path in [
        "/../",
        "/sub/../../",
        "/%2e%2e/",
        "/%2e%2e%2f",
        "/sub/..%2f../",
        "//",
        "//etc/",
        "/%2fetc/",
        "/%2f/",
        "/..%5c/",
        "/%00/",
        "/sub%00/",
        "/%ff/",
        "/.git/",
        "/%2egit/",
        "/sub/none/",
    ] {
        for accept in ["*/*", "text/html", "application/json"] {
            let reply = raw(&run, &format!("GET {path}"), &format!("Accept: {accept}\r\n"));
            assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        }
    }
    if let Some(reply) = curl(&["--path-as-is", &url(&run, "/sub/../../")]) {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn of_very_many_files_the_first_are_listed_with_a_note() {
    let mut run = serve_site(&["--listing"], |site| {
        for number in 0..5001 {
            fs::write(site.join(format!("{number:05}")), "").unwrap();
        }
    });
    let reply = raw(&run, "GET /", "");
    assert_eq!(reply.text().lines().count(), 5001);
    assert!(reply.text().ends_with("(There is more here than the 5000 looked at.)\n"));
    let reply = raw(&run, "GET /", "Accept: application/json\r\n");
    let json: Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(json["complete"], false);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_begins_with_a_dot_is_found_only_where_that_was_asked_for() {
    let fill = |site: &std::path::Path| {
        for folder in [".git", ".well-known", "sub"] {
            fs::create_dir(site.join(folder)).unwrap();
        }
        for file in [".git/config", ".well-known/token", "sub/.env", "index.html"] {
            fs::write(site.join(file), "it").unwrap();
        }
    };
    let mut open = serve_site(&["--hidden"], fill);
    let mut plain = serve_site(&["--spa", "--listing"], fill);
    let page = "Accept: text/html\r\n";
    for path in ["/.git/config", "/%2egit/config", "/.git", "/.git/", "/sub/.env", "/./sub/.%65nv"]
    {
        assert_eq!(raw(&plain, &format!("GET {path}"), page).status, 404, "{path}");
    }
    for path in ["/.git/config", "/sub/.env", "/.well-known/token"] {
        assert_eq!(raw(&open, &format!("GET {path}"), "").text(), "it", "{path}");
    }
    assert_eq!(raw(&plain, "GET /.well-known/token", "").text(), "it");
    assert_eq!((plain.stop().code(), open.stop().code()), (Some(0), Some(0)));
}
