//! Lines about requests, and what answers say about their wait.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;

use crate::clients::{Reply, connect, curl, raw, url};
use crate::kit::{PATIENCE, Run, eventually};
use crate::stage::{has, refused, serve, serve_site, serving, text};

/// Starts a server of a directory with one file, which writes its log into the run's folder.
fn logging(flags: &[&str]) -> Run {
    let launch = serving();
    let (site, log) = (launch.path("site"), launch.path("access.log"));
    fs::create_dir(&site).unwrap();
    fs::write(site.join("a.txt"), "hello").unwrap();
    let run = launch.arg(&site).args(["--access-log", text(&log)]).args(flags).start();
    run.wait_ready(2);
    run
}

/// Waits until a file has that many lines.
#[track_caller]
fn lines(file: &Path, number: usize) -> Vec<String> {
    eventually(PATIENCE, &format!("{number} lines in {}", file.display()), || {
        let lines: Vec<_> = fs::read_to_string(file).ok()?.lines().map(str::to_owned).collect();
        (lines.len() >= number).then_some(lines)
    })
}

#[test]
fn every_request_has_its_line_in_the_form_that_log_readers_know() {
    let mut run = logging(&[]);
    raw(&run, "GET /a.txt?b=c", "User-Agent: me/1\r\nReferer: http://x/\r\n");
    let first = lines(&run.path("access.log"), 1).remove(0);
    assert!(first.starts_with("127.0.0.1 - - ["), "{first}");
    let rest = "\"GET /a.txt?b=c HTTP/1.1\" 200 5 \"http://x/\" \"me/1\" duration=";
    assert!(first.contains(&format!(" +0000] {rest}")), "{first}");
    assert!(first.contains(" wait=") && first.contains(" slot="), "{first}");
    for (number, (line, said)) in [
        ("HEAD /a.txt", "\"HEAD /a.txt HTTP/1.1\" 200 0 \"-\" \"-\""),
        ("GET /none", "\"GET /none HTTP/1.1\" 404 53 "),
        ("POST /a.txt", "\"POST /a.txt HTTP/1.1\" 405 "),
        ("GET /../../etc/passwd", "\"GET /../../etc/passwd HTTP/1.1\" 404 "),
    ]
    .into_iter()
    .enumerate()
    {
        raw(&run, line, "");
        let last = lines(&run.path("access.log"), number + 2).pop().unwrap();
        assert!(last.contains(said), "no {said} in {last}");
    }
    let mode = rustix::fs::stat(run.path("access.log")).unwrap().st_mode;
    assert_eq!(mode & 0o007, 0, "addresses of clients are for everybody to read");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn programs_get_json_over_every_protocol() {
    let mut run = logging(&["--access-log-format", "json", "--threads", "2"]);
    let place = url(&run, "/a.txt");
    let mut number = 0;
    for (flag, protocol) in [
        ("--http1.0", "HTTP/1.0"),
        ("--http1.1", "HTTP/1.1"),
        ("--http2-prior-knowledge", "HTTP/2.0"),
    ] {
        let Some(_) = curl(&[flag, "-r", "1-2", "-A", "it's \"me\"", &place]) else { return };
        number += 1;
        let line = lines(&run.path("access.log"), number).pop().unwrap();
        let json: Value = serde_json::from_str(&line).unwrap();
        let check = |key: &str, expected: Value| assert_eq!(json[key], expected, "{key}: {line}");
        check("client", "127.0.0.1".into());
        check("target", "/a.txt".into());
        check("protocol", protocol.into());
        check("status", 206.into());
        check("bytes", 2.into());
        check("user_agent", "it's \"me\"".into());
        assert!(json["wait_ms"].is_u64() && json["duration_ms"].is_f64(), "{line}");
        assert!(json["slot"].as_u64().unwrap() < 2, "{line}");
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn lines_of_several_handlers_are_whole_and_none_is_missing_at_the_end() {
    let mut run = logging(&["--notification", "turn", "--access-log-format", "json"]);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let run = &run;
            scope.spawn(move || {
                for number in 0..50 {
                    raw(run, &format!("GET /{client}/{number}?{}", "x".repeat(500)), "");
                }
            });
        }
    });
    assert_eq!(run.stop().code(), Some(0));
    let all = fs::read_to_string(run.path("access.log")).unwrap();
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 200);
    let slots: std::collections::BTreeSet<_> = all.iter().map(|it| it["slot"].as_u64()).collect();
    assert_eq!(slots.len(), 2, "{slots:?}");
}

#[test]
fn a_request_cannot_forge_a_line() {
    let mut run = logging(&[]);
    // A byte that no address has is refused before anybody sees it.
    let rubbish = b"GET /\"%0a\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let forged = b"GET /\"%0a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   User-Agent: a\" 200 \xc2\x9b2J\ttab\\\r\n\r\n";
    let status = |request: &[u8]| {
        let mut stream = connect(&run);
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Reply::read(&answer).status
    };
    assert_eq!([status(rubbish), status(forged)], [400, 404]);
    let [line] = &lines(&run.path("access.log"), 1)[..] else { panic!("more than one line") };
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    assert!(line.contains("\"a\\\" 200 \\xc2\\x9b2J\\x09tab\\\\\" duration="), "{line}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_file_that_was_moved_is_made_anew() {
    let mut run = logging(&[]);
    let (log, moved) = (run.path("access.log"), run.path("access.log.1"));
    raw(&run, "GET /before", "");
    lines(&log, 1);
    fs::rename(&log, &moved).unwrap();
    eventually(PATIENCE, "a line in the new file", || {
        raw(&run, "GET /after", "");
        fs::read_to_string(&log).is_ok_and(|text| text.contains("/after")).then_some(())
    });
    assert!(fs::read_to_string(&moved).unwrap().contains("/before"));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_client_that_leaves_early_is_noted_with_what_it_was_sent() {
    let size = 64 << 20;
    let mut run = logging(&[]);
    let file = fs::File::create(run.path("site/large.bin")).unwrap();
    file.set_len(size).unwrap();
    let mut stream = connect(&run);
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    let line = lines(&run.path("access.log"), 1).remove(0);
    let bytes: u64 = line.split(' ').nth(9).and_then(|it| it.parse().ok()).unwrap();
    assert!((1000..size).contains(&bytes), "{line}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn standard_output_is_a_place_for_lines_too() {
    let mut run = serve(&["--access-log", "-"]);
    raw(&run, "GET /whoami", "");
    eventually(PATIENCE, "a line", || run.stdout().contains("GET /whoami").then_some(()));
    assert_eq!(run.stop().code(), Some(0));
    assert_eq!(run.stdout().lines().count(), 1);
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_is_served() {
    let launch = serving();
    let log = launch.path("none/access.log");
    let words = ["access log", "none/access.log", "No such file", "may write to"];
    refused(launch.args(["--access-log", text(&log)]), 78, &words);
}

#[test]
fn over_a_unix_socket_neither_client_nor_wait_is_known() {
    if !has("curl") {
        return;
    }
    let launch = serving();
    let (socket, log) = (launch.path("web.sock"), launch.path("access.log"));
    let address = format!("unix:{}", text(&socket));
    let flags = ["--listen", &address, "--access-log", text(&log), "--server-timing", "on"];
    let mut run = launch.args(flags).start();
    run.wait_ready(2);
    let reply = curl(&["--unix-socket", text(&socket), "http://localhost/whoami"]).unwrap();
    assert_eq!(reply.header("server-timing"), None);
    let line = lines(&run.path("access.log"), 1).remove(0);
    assert!(line.starts_with("- - - [") && line.contains(" wait=- "), "{line}");
    assert_eq!(run.stop().code(), Some(0));
}

/// The headers of an answer over a connection that is kept.
fn headers(stream: &mut std::net::TcpStream) -> String {
    stream.write_all(b"HEAD /a.txt HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn the_first_answer_of_a_connection_tells_its_wait_where_that_was_asked_for() {
    let fill = |site: &Path| fs::write(site.join("a.txt"), "hello").unwrap();
    let (mut tells, mut silent) =
        (serve_site(&["--server-timing", "on"], fill), serve_site(&[], fill));
    let mut stream = connect(&tells);
    let first = headers(&mut stream);
    let wait = first.lines().find_map(|line| line.strip_prefix("server-timing: buffer;dur="));
    assert!(wait.is_some_and(|it| it.parse::<u64>().is_ok()), "{first}");
    assert!(!headers(&mut stream).contains("server-timing"));
    assert!(!headers(&mut connect(&silent)).contains("server-timing"));
    drop(stream);
    assert_eq!((tells.stop().code(), silent.stop().code()), (Some(0), Some(0)));
}
