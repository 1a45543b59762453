//! Server-sent events, as curl gets them.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::kit::{Run, assert_conserved};
use crate::stage::{reload, start};

/// A client that listens, as far as curl is installed.
fn listen(run: &Run) -> Option<(Child, BufReader<ChildStdout>)> {
    let mut curl = Command::new("curl");
    let url = format!("http://{}/events", run.socket_addr());
    curl.args(["-q", "-sS", "-N", "--noproxy", "*", "--max-time", "20", &url]);
    let Ok(mut client) = curl.stdout(Stdio::piped()).spawn() else {
        println!("SKIPPED: curl: it is not installed");
        return None;
    };
    let heard = client.stdout.take().unwrap();
    Some((client, BufReader::new(heard)))
}

/// The number in the next event; `None` at the end.
fn next(heard: &mut impl BufRead) -> Option<u64> {
    let mut line = String::new();
    while heard.read_line(&mut line).unwrap() > 0 {
        if let Some(number) = line.strip_prefix("data: ") {
            return Some(number.trim_end().parse().unwrap());
        }
        line.clear();
    }
    None
}

#[test]
fn events_come_one_by_one_and_end_well_when_their_handler_leaves() {
    let mut run = start("axum");
    let Some((mut client, mut heard)) = listen(&run) else { return };
    assert_eq!([next(&mut heard), next(&mut heard)], [Some(0), Some(1)]);
    reload(&run);
    let mut last = 1;
    while let Some(number) = next(&mut heard) {
        assert_eq!(number, last + 1, "none is lost");
        last = number;
    }
    assert!(client.wait().unwrap().success(), "the answer is whole");
    let (mut client, mut heard) = listen(&run).unwrap();
    assert_eq!(next(&mut heard), Some(0), "the next handler is there to ask again");
    client.kill().unwrap();
    client.wait().unwrap();
    assert_conserved(&run.status());
    assert!(run.stop().success());
}
