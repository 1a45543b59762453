//! Programs that have a port of their own, to which their handler's relay carries connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::installed::has;
use crate::kit::processes::{descendants, is_alive};
use crate::kit::{Launch, PATIENCE, Run, assert_quiescent, eventually};
use crate::life::{SERVES, pid_of, refusal, stop};
use crate::programs::Program;
use crate::trial::{self, PROGRAM, free_port, get, run};

/// Tries one program with a port of its own, where it is installed.
#[track_caller]
fn check(name: &str) {
    let program = Program::with_a_port().into_iter().find(|it| it.name == name).unwrap();
    if let Some(why) = program.missing() {
        return println!("SKIPPED: {name}: {why}");
    }
    let Some(seen) = trial::of(&program) else { return };
    assert_eq!(seen.requests, 1000);
    assert!(seen.pass.contains("the last resort"), "{}", seen.pass);
}

#[test]
fn node_by_its_variable() {
    check("node by PORT");
}

#[test]
fn python_by_its_variable() {
    check("Python by PORT");
}

/// Starts a Python script that begins with [`SERVES`] and finds its port as its argument.
fn python(script: &str, flags: &[&str]) -> Option<(Run, SocketAddr)> {
    if !has("python3") {
        println!("SKIPPED: python3: it is not installed");
        return None;
    }
    let (launch, port) = (Launch::of(PROGRAM), free_port());
    let path = launch.path("app.py");
    std::fs::write(&path, format!("{SERVES}{script}")).unwrap();
    let command = ["python3", path.to_str().unwrap(), "{port}"].map(Into::into);
    let server = run(launch, port, &[&["--pass", "port"], flags].concat(), &command);
    Some((server, SocketAddr::from(([127, 0, 0, 1], port))))
}

const SERIAL: &str = "serve(bound(int(sys.argv[1])))";

/// Serves each connection in a thread, until it is closed.
const ECHOES: &str = "
import threading
def echo(connection):
    with connection:
        while words := connection.recv(65536):
            connection.sendall(words)
listener = bound(int(sys.argv[1]))
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],)).start()
";

#[track_caller]
fn reload(server: &Run) {
    let mut reload = Command::new(PROGRAM);
    reload.arg("reload").env("BELLWETHER_RUNTIME_DIR", server.runtime());
    let told = reload.output().unwrap();
    assert!(told.status.success(), "{told:?}\n{}", server.logs());
}

/// How many connections the handlers are seen to have.
fn open(server: &Run) -> u64 {
    let pool = server.pool();
    let handlers = pool["handlers"].as_array().unwrap();
    handlers.iter().map(|it| it["open"].as_u64().unwrap()).sum()
}

#[test]
fn what_is_carried_counts_as_in_hand() {
    let Some((server, address)) = python(ECHOES, &["--handlers", "2"]) else { return };
    server.wait_ready(2);
    let clients = [0; 5].map(|_| TcpStream::connect(address).unwrap());
    for mut client in &clients {
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
    }
    eventually(PATIENCE, "five in hand", || (open(&server) == 5).then_some(()));
    drop(clients);
    eventually(PATIENCE, "none in hand", || (open(&server) == 0).then_some(()));
    stop(server);
}

#[test]
fn a_request_in_hand_is_finished_and_an_idle_connection_holds_nobody_up() {
    let flags = ["--handlers", "1", "-e", "SLEEP=4"];
    let Some((server, address)) = python(SERIAL, &flags) else { return };
    server.wait_ready(1);
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| get(address));
        eventually(PATIENCE, "it to be busy", || (open(&server) == 1).then_some(()));
        reload(&server);
        assert!(answer.join().unwrap().is_ok(), "{}", server.logs());
    });
    let idle = TcpStream::connect(address).unwrap();
    eventually(PATIENCE, "it to be taken", || (open(&server) == 1).then_some(()));
    stop(server);
    drop(idle);
}

#[test]
fn what_a_program_said_last_reaches_a_client_that_reads_late() {
    let script = "
listener = bound(int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    if connection.recv(4):
        connection.sendall(b'x' * 1000000)
        os._exit(0)
";
    let flags = ["--handlers", "1", "--kind", "serial"];
    let Some((server, address)) = python(script, &flags) else { return };
    server.wait_ready(1);
    let first = server.handler_pids();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"last").unwrap();
    // The client has read nothing when the program has ended.
    let is_there = || descendants(server.pid()).iter().any(|it| it.parent == first[0]);
    eventually(PATIENCE, "it to end", || (!is_there()).then_some(()));
    let mut words = Vec::new();
    client.read_to_end(&mut words).unwrap();
    assert_eq!(words.len(), 1_000_000, "{}", server.logs());
    eventually(PATIENCE, "another", || (server.handler_pids() != first).then_some(()));
    drop(client);
    stop(server);
}

#[test]
fn a_program_that_serves_one_at_a_time_leaves_the_next_to_others() {
    let Some((server, address)) = python(SERIAL, &["--handlers", "2"]) else { return };
    server.wait_ready(2);
    // Whoever takes this one waits for its first word.
    let idle = TcpStream::connect(address).unwrap();
    eventually(PATIENCE, "it to be taken", || (open(&server) == 1).then_some(()));
    for _ in 0..20 {
        get(address).unwrap();
    }
    assert_eq!(open(&server), 1);
    drop(idle);
    stop(server);
}

#[test]
fn a_program_or_its_warden_may_be_killed() {
    let Some((server, address)) = python(SERIAL, &["--handlers", "2"]) else { return };
    for victim in ["program", "warden"] {
        server.wait_ready(2);
        let before = server.handler_pids();
        let family = descendants(before[0]);
        let pid = if victim == "program" { family[0].pid } else { before[0] };
        kill_process(pid_of(pid), Signal::KILL).unwrap();
        eventually(PATIENCE, "another in its place", || {
            let now = server.handler_pids();
            (now.len() == 2 && now != before).then_some(())
        });
        eventually(PATIENCE, "all of it to end", || {
            family.iter().all(|it| !is_alive(it.pid)).then_some(())
        });
        for _ in 0..20 {
            get(address).unwrap();
        }
    }
    stop(server);
}

#[test]
fn a_program_is_found_to_serve_one_at_a_time_and_handlers_follow_the_load() {
    let flags = ["--handlers", "1..6", "-e", "SLEEP=0.2"];
    let Some((server, address)) = python(SERIAL, &flags) else { return };
    server.wait_ready(1);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..10).for_each(|_| drop(get(address).unwrap())));
        }
        eventually(PATIENCE, "more handlers", || (server.handler_pids().len() >= 4).then_some(()));
    });
    assert_eq!(server.pool()["totals"]["crashed"], 0, "{}", server.logs());
    stop(server);
}

#[test]
fn clients_of_a_unix_socket_and_of_a_port_reach_the_same_programs() {
    if !has("python3") || !has("curl") {
        return println!("SKIPPED: python3 or curl: it is not installed");
    }
    let (launch, port) = (Launch::of(PROGRAM), free_port());
    let (path, socket) = (launch.path("app.py"), launch.path("shop.sock"));
    std::fs::write(&path, format!("{SERVES}{SERIAL}")).unwrap();
    let (path, socket) = (path.display().to_string(), socket.display().to_string());
    let listen = [format!("unix:{socket}"), format!("127.0.0.1:{port}")];
    let flags = ["run", "--listen", &listen[0], "--listen", &listen[1], "--pass", "port"];
    let launch = launch.args(flags).args(["--handlers", "2", "--", "python3", &path, "{port}"]);
    let server = launch.start();
    server.wait_ready(2);
    for _ in 0..20 {
        let mut curl = Command::new("curl");
        let got = curl.args(["-s", "--unix-socket", &socket, "http://shop/"]).output().unwrap();
        assert!(got.status.success(), "{got:?}");
        get(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    }
    reload(&server);
    stop(server);
}

#[test]
fn a_program_that_does_not_heed_its_port_is_told() {
    let flags = ["--handlers", "1", "--boot-timeout", "1s", "--kill-after", "200ms"];
    let Some((server, _)) = python("serve(bound(0))", &flags) else { return };
    let said = refusal(server);
    assert!(said.contains("not ready within 1 s"), "{said}");
    assert!(said.contains("does not accept at 127.0.0.1:"), "{said}");
}

/// A server that runs another, which cannot adopt its program then: its command and its address.
fn nested(launch: Launch, flags: &[&str]) -> (Run, SocketAddr) {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let inner = [PROGRAM, "run", "--name", "inner", "--listen", &listen, "--handlers", "1"];
    let path = launch.path("app.py");
    std::fs::write(&path, format!("{SERVES}serve(bound(int(os.environ.get('PORT', '{port}'))))"))
        .unwrap();
    let python = ["python3", path.to_str().unwrap()];
    let command = [&inner[..], flags, &["--"], &python[..]].concat();
    let command: Vec<String> = command.into_iter().map(Into::into).collect();
    let flags = ["--name", "outer", "--handlers", "1", "--boot-timeout", "20s", "--pass", "adopt"];
    (run(launch, port, &flags, &command), SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn where_a_program_cannot_be_adopted_it_gets_a_port_and_the_reason_is_told() {
    if !has("python3") {
        return println!("SKIPPED: python3: it is not installed");
    }
    let (mut server, address) = nested(Launch::of(PROGRAM), &[]);
    eventually(PATIENCE, "it to serve", || get(address).ok());
    for _ in 0..20 {
        get(address).unwrap();
    }
    let said = server.logs();
    assert!(said.contains("cannot be adopted, so it gets a port of its own"), "{said}");
    assert!(said.contains("somebody around this server answers"), "{said}");
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    assert_quiescent(server.baseline(), &server);
}

#[test]
fn whoever_insists_on_adopting_is_told_why_that_cannot_be() {
    let (server, _) = nested(Launch::of(PROGRAM), &["--pass", "adopt"]);
    let said = refusal(server);
    assert!(said.contains("adopt: somebody around this server answers"), "{said}");
    assert!(said.contains("exit status 78"), "{said}");
}

#[test]
fn a_client_may_close_its_half_before_the_answer() {
    let Some((server, address)) = python(ECHOES, &["--handlers", "1"]) else { return };
    server.wait_ready(1);
    let mut client = TcpStream::connect(address).unwrap();
    let words = vec![b'w'; 3 << 20];
    std::thread::scope(|scope| {
        let mut writer = &client;
        scope.spawn(move || {
            writer.write_all(&words).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        (&client).read_to_end(&mut heard).unwrap();
        assert_eq!(heard.len(), 3 << 20);
    });
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    stop(server);
}
