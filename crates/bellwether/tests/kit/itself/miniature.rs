//! The kit against a real pre-fork server of the smallest kind: this executable, started again as a
//! spawner, which starts it as handlers. It serves well, or fails on purpose.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{
    Kill, Killer, Launch, Ledger, LiveSeries, Load, RecordFile, Run, Until, Verdict, ZombieWatch,
    processes, wait,
};
use crate::stage::complaint;

const ROLE: &str = "KIT_ROLE";
const FAULT: &str = "KIT_FAULT";
const HANDLERS: usize = 4;

/// Not a test of anything: the entry of the spawner and of the handlers.
#[test]
fn role() {
    match env::var(ROLE).as_deref() {
        Ok("spawner") => spawner(),
        Ok("handler") => handler(),
        _ => {}
    }
}

fn again(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "miniature::role", "--nocapture"]).env(ROLE, role);
    command
}

fn spawner() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let queue = || OwnedFd::from(listener.try_clone().unwrap());
    let start = || again("handler").stdin(queue()).spawn().unwrap();
    let mut handlers: Vec<Child> = (0..HANDLERS).map(|_| start()).collect();
    let folder = Path::new(&env::var("BELLWETHER_RUNTIME_DIR").unwrap()).join("miniature");
    std::fs::create_dir(&folder).unwrap();
    let control = UnixListener::bind(folder.join("control.sock")).unwrap();
    control.set_nonblocking(true).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let test = parent_id();
    wait::pulse(Duration::from_millis(2), || {
        if parent_id() != test {
            // The test was killed: nobody else will end this server.
            handlers.iter_mut().for_each(|it| it.kill().unwrap());
            return ControlFlow::Break(());
        }
        for handler in &mut handlers {
            if handler.try_wait().unwrap().is_some() {
                *handler = start();
            }
        }
        if let Ok((mut stream, _)) = control.accept() {
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            writeln!(stream, "{}", status(&handlers, &address)).ok();
        }
        ControlFlow::Continue(())
    });
}

fn status(handlers: &[Child], address: &str) -> Value {
    let handlers = handlers.iter().map(|it| json!({"pid": it.id(), "state": "idle"}));
    let handlers: Vec<_> = handlers.collect();
    json!({"pools": [{"addresses": [{"address": address}], "handlers": handlers}]})
}

fn handler() {
    let listener = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let record = RecordFile::open(Path::new("record")).unwrap();
    let fault = env::var(FAULT).unwrap_or_default();
    for stream in TcpListener::from(listener).incoming() {
        // A client that is gone is not the server's fault.
        serve(stream.unwrap(), &record, &fault).ok();
    }
}

fn serve(mut stream: TcpStream, record: &RecordFile, fault: &str) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let id: u64 = line.trim_end().parse().unwrap();
    let fault = if id.is_multiple_of(50) { fault } else { "" };
    if fault == "drops" {
        return Ok(());
    }
    record.start(id)?;
    if fault == "repeats" {
        record.start(id)?;
    }
    if fault != "forgets" {
        writeln!(stream, "{id} {}", std::process::id())?;
    }
    record.end(id)
}

/// A run under load, with handlers killed meanwhile.
fn trial(fault: &str) -> (Run, Ledger, Vec<Kill>) {
    let launch = Launch::of(env::current_exe().unwrap());
    let launch = launch.args(["--exact", "miniature::role", "--nocapture"]);
    let run = launch.env(ROLE, "spawner").env(FAULT, fault).start();
    run.wait_ready(HANDLERS);
    let lasting = Duration::from_millis(1500);
    let load = Load {
        address: run.socket_addr(),
        clients: 4,
        until: Until::Time(Instant::now() + lasting),
        patience: Duration::from_secs(10),
        pace: Duration::from_millis(1),
    };
    let zombies = ZombieWatch::over(run.pid());
    let series = LiveSeries::of(&run);
    let (ledger, kills) = thread::scope(|scope| {
        let ledger = scope.spawn(|| load.run());
        let kills = Killer { per_second: 20, lasting, seed: 1 }.run(&run);
        (ledger.join().unwrap(), kills)
    });
    zombies.assert_none();
    assert!(series.longest_below(HANDLERS) < lasting);
    (run, ledger, kills)
}

fn join(run: &Run, ledger: &Ledger) -> Verdict {
    Verdict::join(ledger, &run.path("record"))
}

#[test]
fn a_good_server_loses_only_what_the_killed_had_in_hand() {
    let (run, ledger, kills) = trial("");
    assert!(kills.len() > 10, "{} kills", kills.len());
    let verdict = join(&run, &ledger);
    verdict.assert_only_owned_by(&kills, 1);
    assert!(verdict.answered > 100, "{} answered", verdict.answered);
    let now = processes::children(run.pid());
    assert!(kills.iter().all(|kill| now.iter().all(|it| it.pid != kill.pid)));
}

#[test]
fn a_server_that_drops_one_request_in_fifty_is_found_out() {
    check_fault("drops", "owner: None");
}

#[test]
fn a_server_that_forgets_to_answer_is_found_out() {
    check_fault("forgets", "ended: true");
}

#[test]
fn a_server_that_does_things_twice_is_found_out() {
    check_fault("repeats", "more than once");
}

#[track_caller]
fn check_fault(fault: &str, reason: &str) {
    let (run, ledger, kills) = trial(fault);
    let text = complaint(|| join(&run, &ledger).assert_only_owned_by(&kills, 1));
    assert!(text.contains(reason), "{text}");
}
