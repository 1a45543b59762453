//! Whatever is wrong is said, with what to try, and leaves nothing behind.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::net::{AddressFamily, SocketType};

use crate::kit::Launch;
use crate::stage::{PROGRAM, has, refused, serving, shell, text};

#[test]
fn a_wrong_command_line_is_refused_with_64() {
    let check = |arguments: &[&str], words: &[&str]| {
        refused(Launch::of(PROGRAM).args(arguments), 64, words);
    };
    check(&["serve", "--no-such-flag"], &["--no-such-flag", "--help"]);
    check(&["explode"], &["explode", "--help"]);
    check(&["serve", "--notification", "sum:3"], &["sum:3", "--notification", "some:K"]);
    check(&["serve", "--notification", "some:0"], &["some:0", "K from 1"]);
    check(&["serve", "--handlers", "many"], &["many", "--handlers"]);
    check(&["serve", "--handlers", "-1"], &["-1", "--handlers"]);
    check(&["serve", "--listen", "localhost"], &["localhost", "--listen", "HOST:PORT"]);
    check(&["serve", "--listen", "127.0.0.1:0?speed=9"], &["speed", "backlog"]);
    check(&["serve", "--stop-grace", "soon"], &["soon", "--stop-grace", "30s"]);
    check(&["serve", "--max-memory", "much"], &["much", "--max-memory", "512MiB"]);
    check(&["serve", "--memory-pressure", "high"], &["high", "--memory-pressure", "20%"]);
    check(&["serve", "--allow", "boss=uid:1"], &["boss", "--allow", "operate=gid:N"]);
    check(&["serve", "--allow", "read=root"], &["root", "--allow", "uid:N"]);
    check(&["check", "--quickly"], &["--quickly", "--help"]);
    check(&["generate", "poem"], &["poem", "--help"]);
    check(&["serve", "--listen", "127.0.0.1:0", "--name", "a/b"], &["a/b", "letters"]);
    check(&["status", "web", "everything"], &["everything", "--help"]);
    check(&["scale"], &["N|MIN..MAX|auto", "--help"]);
    check(&["scale", "0"], &["0", "write N, MIN..MAX"]);
    check(&["scale", "web", "8..2"], &["8..2", "write N, MIN..MAX"]);
    check(&["stop", "later"], &["later", "--help"]);
    check(&["reload", "web"], &["web", "--help"]);
}

#[test]
fn a_value_that_cannot_be_used_is_refused_with_78() {
    let check = |arguments: &[&str], words: &[&str]| {
        let launch = Launch::of(PROGRAM).args(["serve", "--listen", "127.0.0.1:0"]);
        refused(launch.args(arguments), 78, words);
    };
    check(&["--handlers", "0"], &["handlers", "0 is not possible", "choose 1 to"]);
    check(&["--handlers", "99999"], &["handlers", "99999", "choose 1 to"]);
    check(&["--threads", "0"], &["threads", "0 is not possible", "choose 1 to"]);
    check(&["--threads", "99999"], &["threads", "99999", "choose 1 to"]);
    check(&["--handlers", "8..2"], &["handlers", "8..2", "the smaller first"]);
    check(&["--stop-grace", "100000"], &["stop-grace", "1day 3h", "choose 0s to 1day"]);
    let late = ["--soft-deadline", "2s", "--hard-deadline", "1s"];
    check(&late, &["soft-deadline", "before the hard one"]);
    let twice = ["--listen", "127.0.0.1:8391", "--listen", "127.0.0.1:8391"];
    check(&twice, &["127.0.0.1:8391", "given twice"]);
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    refused(
        serving().arg("no/such/place"),
        78,
        &["no/such/place", "No such file", "give the path"],
    );
}

#[test]
fn a_file_is_no_directory() {
    let launch = serving();
    let file = launch.path("page.html");
    fs::write(&file, "hello").unwrap();
    refused(launch.arg(&file), 78, &["page.html", "not a directory", "give the path"]);
}

#[test]
fn a_wrong_directory_is_found_before_anything_is_opened() {
    // The address is wrong too, but nobody has looked at it yet.
    let arguments = ["serve", "no/such/place", "--listen", "unix:/no/such/folder/web.sock"];
    refused(Launch::of(PROGRAM).args(arguments), 78, &["no/such/place", "No such file"]);
}

#[test]
fn a_wrong_log_level_is_refused() {
    let launch = serving().env("BELLWETHER_LOG", "=");
    refused(launch, 78, &["BELLWETHER_LOG==", "debug"]);
}

#[test]
fn a_privileged_port_needs_a_privilege() {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u16>().unwrap() <= 81 {
        println!("SKIPPED: privileged port: on this machine every user may open port 81");
        return;
    }
    let as_nobody = ["--reuid", "65534", "--clear-groups", PROGRAM];
    let works = has("setpriv")
        && Command::new("setpriv")
            .args(as_nobody)
            .arg("--version")
            .output()
            .unwrap()
            .status
            .success();
    if !works {
        println!("SKIPPED: privileged port: setpriv cannot run the program as another user");
        return;
    }
    let launch = Launch::of("setpriv").args(as_nobody).args(["serve", "--listen", "127.0.0.1:81"]);
    refused(launch, 69, &["127.0.0.1:81", "permission denied (as uid 65534", "above 1023"]);
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_refused() {
    let path = format!("unix:/tmp/{}.sock", "x".repeat(120));
    let launch = Launch::of(PROGRAM).args(["serve", "--listen", &path]);
    refused(launch, 78, &[&path, "at most 107", "choose a shorter one"]);
}

#[test]
fn the_folder_of_a_socket_must_be_there() {
    let launch = Launch::of(PROGRAM);
    let folder = launch.path("nowhere");
    let socket = format!("unix:{}/web.sock", text(&folder));
    let launch = launch.args(["serve", "--listen", &socket]);
    refused(launch, 78, &[text(&folder), "does not exist", "make it or choose"]);
}

#[test]
fn a_file_in_the_place_of_a_socket_survives() {
    let launch = Launch::of(PROGRAM);
    let file = launch.path("precious");
    fs::write(&file, "data").unwrap();
    let mut run = launch.args(["serve", "--listen", &format!("unix:{}", text(&file))]).start();
    crate::stage::assert_refused(&mut run, 78, &["precious", "not a socket", "another path"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[test]
fn an_interface_of_another_machine_is_refused() {
    // 192.0.2.0/24 is for documents and belongs to nobody (RFC 5737).
    let launch = Launch::of(PROGRAM).args(["serve", "--listen", "192.0.2.1:0"]);
    refused(launch, 69, &["192.0.2.1", "ip address"]);
}

#[test]
fn a_number_that_is_not_open_is_refused() {
    let launch = shell(r#"exec "$0" serve --listen fd:9 9>&-"#);
    refused(launch, 78, &["fd:9", "not open", "must pass a listening socket"]);
}

#[test]
fn a_runtime_directory_that_cannot_be_is_refused() {
    let launch = serving();
    let file = launch.path("file");
    fs::write(&file, "").unwrap();
    let below = file.join("run");
    let launch = launch.env("BELLWETHER_RUNTIME_DIR", &below);
    refused(launch, 78, &[text(&below), "set BELLWETHER_RUNTIME_DIR"]);
}

#[test]
fn status_says_that_nobody_runs() {
    refused(Launch::of(PROGRAM).arg("status"), 69, &["no server runs", "start one"]);
}

#[test]
fn status_says_that_a_name_is_unknown() {
    let launch = Launch::of(PROGRAM).args(["status", "--name", "ghost"]);
    refused(launch, 69, &["ghost", "none runs", "start one"]);
}

#[test]
fn a_server_that_does_not_run_can_be_told_nothing() {
    let asks = [
        &["scale", "4"][..],
        &["reload"],
        &["upgrade"],
        &["drain"],
        &["stop", "--now"],
        &["events", "-f"],
        &["why"],
    ];
    for arguments in asks {
        refused(Launch::of(PROGRAM).args(arguments), 69, &["no server runs", "start one"]);
        let named = Launch::of(PROGRAM).args(arguments).args(["--name", "ghost"]);
        refused(named, 69, &["ghost", "none runs"]);
    }
}

#[test]
fn a_stopped_server_is_not_waited_for() {
    let mut run = crate::stage::serve(&["--name", "shop"]);
    let frozen = crate::kit::Hold::stop(&[run.pid()]);
    let output = crate::stage::ask(&run, &["status"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    let wake = format!("kill -CONT {}", run.pid());
    assert!(said.contains("`shop` has not answered") && said.contains(&wake), "{said}");
    drop(frozen);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn without_an_address_the_default_is_taken() {
    let _taken = take("127.0.0.1:8080");
    refused(Launch::of(PROGRAM).arg("serve"), 69, &["127.0.0.1:8080", "choose another"]);
    let script = r#"export LISTEN_PID=1 LISTEN_FDS=1; exec "$0" serve"#;
    refused(shell(script), 69, &["127.0.0.1:8080", "choose another"]);
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=0; exec "$0" serve"#;
    refused(shell(script), 69, &["127.0.0.1:8080", "choose another"]);
}

/// Takes an address, or finds it taken: the server under test never opens it. Two runs of this
/// test may take it together.
fn take(address: &str) -> rustix::io::Result<OwnedFd> {
    let address: SocketAddr = address.parse().unwrap();
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}
