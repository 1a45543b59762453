//! A log that nobody reads must not stop the server.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;

use crate::clients::raw;
use crate::kit::control::{pool, ready};
use crate::kit::{Kill, PATIENCE, Run, eventually};
use crate::stage::{ask, serve, serving, shell};

/// Starts a server whose standard error is this pipe.
fn serve_into(pipe: PipeWriter) -> Run {
    let script = r#"exec 2>&0 </dev/null "$0" serve --listen 127.0.0.1:0 --handlers 2"#;
    let run = shell(script).stdin(OwnedFd::from(pipe)).start();
    run.wait_ready(2);
    run
}

/// Makes the server write to its log: a dead handler is reported.
fn kill_a_handler(run: &Run) {
    let victim = run.handler_pids()[0];
    Kill::of(victim).expect("it lived");
    eventually(PATIENCE, "another handler in its place", || {
        let status = run.status();
        let crashed = pool(&status)["totals"]["crashed"].as_u64() > Some(0);
        (crashed && ready(&status).len() == 2).then_some(())
    });
}

#[test]
fn a_full_pipe_does_not_stop_the_server() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fill(&mut writer);
    let mut run = serve_into(writer);
    kill_a_handler(&run);
    assert_eq!(raw(&run, "GET /whoami", "").status, 200);
    // The banner and the dead handler at least.
    let lost = run.status()["lost_lines"].as_u64();
    assert!(lost >= Some(2), "{lost:?}");
    let status = ask(&run, &["status"]).stdout;
    let words = format!("log         {} lines lost", lost.unwrap());
    assert!(String::from_utf8_lossy(&status).contains(&words), "{words}");
    let (told, reading) = (run.pid(), std::thread::spawn(move || read_all(reader)));
    assert_eq!(run.stop().code(), Some(0));
    let rest = reading.join().unwrap();
    assert!(rest.contains(&format!("lines of process {told} are missing here)")), "{rest}");
    let others = rest.lines().filter(|it| it.contains("are missing here")).count();
    assert_eq!(others, 1, "a handler tells of what the spawner has lost: {rest}");
}

fn read_all(mut pipe: PipeReader) -> String {
    let mut all = String::new();
    pipe.read_to_string(&mut all).unwrap();
    all.trim_start_matches('x').into()
}

/// Writes until nothing fits any more.
pub(crate) fn fill(pipe: &mut PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(&*pipe).unwrap();
    fcntl_setfl(&*pipe, flags | OFlags::NONBLOCK).unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    fcntl_setfl(&*pipe, flags).unwrap();
}

#[test]
fn a_closed_pipe_does_not_stop_the_server() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut run = serve_into(writer);
    kill_a_handler(&run);
    assert_eq!(raw(&run, "GET /whoami", "").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_dead_handler_is_reported_without_colours() {
    let mut run = serve(&[]);
    kill_a_handler(&run);
    let log = run.stderr();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("SIGKILL")), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn the_level_is_a_choice() {
    let check = |level: &str, banner: bool| {
        let mut run = serving().env("BELLWETHER_LOG", level).start();
        run.wait_ready(2);
        assert_eq!(run.stop().code(), Some(0));
        assert_eq!(run.stderr().contains("listens at"), banner, "{level}");
    };
    check("info", true);
    check("debug", true);
    check("warn", false);
    check("off", false);
}
