//! What programs write, with their handlers before each line.

use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::process::Command;

use crate::kit::{Launch, PATIENCE, Run, assert_quiescent, eventually};
use crate::life::{python, python_from, stop};
use crate::trial::{PROGRAM, get, reload};

const FLAGS: &[&str] = &["--log", "prefix", "--name", "shop", "--handlers", "2"];

/// The lines of handlers in a text of ours, each by its handler.
fn said_by(handler: &str, text: &str) -> Vec<String> {
    let prefix = format!("{handler} | ");
    text.lines().filter_map(|line| Some(line.strip_prefix(&prefix)?.to_owned())).collect()
}

#[test]
fn every_line_names_its_handler_and_goes_where_it_went() {
    let script = r"
os.write(1, b'bad \xff\n'); os.write(2, b'to the error\n'); os.write(1, b'o'); os.write(1, b'ne\ntwo\n')
import signal
def end(*_):
    os.write(1, b'last words')
    os._exit(0)
signal.signal(signal.SIGTERM, end)
serve(bound(PORT))";
    let Some((mut server, address)) = python(script, FLAGS) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    let (output, error) = (server.stdout(), server.stderr());
    for handler in ["shop/0", "shop/1"] {
        let said = said_by(handler, &output);
        assert_eq!(said, ["bad \u{fffd}", "one", "two", "last words"], "{output}");
        assert_eq!(said_by(handler, &error), ["to the error"], "{error}");
    }
    assert_eq!(output.lines().count(), 8, "{output}");
    assert_quiescent(server.baseline(), &server);
}

#[test]
fn without_it_lines_go_as_they_come() {
    let script = "os.write(1, b'as it is')\nserve(bound(PORT))";
    let Some((server, _)) = python(script, &["--handlers", "1"]) else { return };
    server.wait_ready(1);
    assert_eq!(server.stdout(), "as it is");
    stop(server);
}

#[test]
fn what_a_program_says_before_it_dies_is_there() {
    let script = "
import subprocess
subprocess.Popen(['sleep', '1000'])
os.write(2, b'I cannot go on')
os._exit(7)";
    let Some((mut server, _)) = python(script, FLAGS) else { return };
    assert_eq!(server.wait().code(), Some(70));
    let error = server.stderr();
    assert!(said_by("shop/0", &error).contains(&"I cannot go on".to_owned()), "{error}");
    server.wait_gone();
}

/// Starts a program that writes as much as it can as a request comes, its server's output going to
/// this pipe.
fn talker(pipe: PipeWriter) -> Option<(Run, std::net::SocketAddr)> {
    let script = r#"exec 1>&0 </dev/null "$0" "$@""#;
    let launch = Launch::of("sh").args(["-c", script, PROGRAM]).stdin(OwnedFd::from(pipe));
    let script = "
import threading
def talk():
    while True: os.write(1, b'x' * 1000 + b'\\n')
threading.Thread(target=talk, daemon=True).start()
serve(bound(PORT))";
    python_from(launch, script, FLAGS)
}

#[test]
fn whoever_does_not_read_holds_up_the_lines_alone() {
    let (reader, writer) = std::io::pipe().unwrap();
    let Some((mut server, address)) = talker(writer) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    reload(&server);
    get(address).unwrap();
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    check_lines(reader);
}

/// What was there when the server ended: whole lines, but for the last.
fn check_lines(mut reader: PipeReader) {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let whole = text.rsplit_once('\n').unwrap().0;
    assert!(whole.lines().count() > 10, "{} bytes", text.len());
    for line in whole.lines() {
        let end = line.strip_prefix("shop/0 | ").or_else(|| line.strip_prefix("shop/1 | "));
        assert_eq!(end, Some("x".repeat(1000).as_str()), "lines are mixed");
    }
}

#[test]
fn whoever_has_gone_ends_nobody() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let Some((server, address)) = talker(writer) else { return };
    server.wait_ready(2);
    for _ in 0..20 {
        get(address).unwrap();
    }
    assert_eq!(server.pool()["totals"]["crashed"], 0, "{}", server.logs());
    stop(server);
}

#[test]
fn a_full_disk_ends_nobody() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let script = r#"exec 1>&0 2>&0 </dev/null "$0" "$@""#;
    let launch = Launch::of("sh").args(["-c", script, PROGRAM]).stdin(full);
    let script = "print('hello', flush=True)\nserve(bound(PORT))";
    let Some((server, address)) = python_from(launch, script, FLAGS) else { return };
    server.wait_ready(2);
    get(address).unwrap();
    stop(server);
}

#[test]
fn a_terminal_shows_each_handler_in_its_colour() {
    let Ok(true) = Command::new("script").arg("--version").output().map(|it| it.status.success())
    else {
        return println!("SKIPPED: script(1) is not installed");
    };
    let check = |no_colour: &str, expected: &str| {
        let command = format!(
            "{PROGRAM} run -l 127.0.0.1:0 --log prefix --name shop --handlers 1 \
             -- sh -c 'echo hello; exit 7'"
        );
        // No `-e`: that it does not start is what ends it.
        let launch = Launch::of("script").args(["-q", "-c", &command, "/dev/null"]);
        let mut server = launch.env("NO_COLOR", no_colour).env("SHELL", "/bin/sh").start();
        server.wait();
        let seen = server.stdout();
        assert!(seen.contains(expected), "{seen}");
        eventually(PATIENCE, "all to end", || server.processes().is_empty().then_some(()));
    };
    check("", "\x1b[36mshop/0 |\x1b[0m hello");
    check("1", "\nshop/0 | hello");
}
