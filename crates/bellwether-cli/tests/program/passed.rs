//! Sockets and standard descriptors as a parent passes them, or does not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::clients::{Reply, raw};
use crate::kit::PATIENCE;
use crate::stage::{refused, shell};

/// What a service manager does: passes a listening socket as descriptor 3.
const PASSED: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web;";

#[test]
fn a_passed_socket_is_served_without_being_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = format!(r#"{PASSED} exec "$0" serve --handlers 2"#);
    let mut run = shell(&script).stdin(OwnedFd::from(listener.try_clone().unwrap())).start();
    run.wait_ready(2);
    assert_eq!(run.socket_addr(), address);
    assert_eq!(raw(&run, "GET /whoami", "").status, 200);
    assert!(run.stderr().contains(&format!("http://{address}/")), "{}", run.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_passed_socket_has_a_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(r#"{PASSED} exec "$0" serve --handlers 2 --listen systemd:web"#);
    let mut run = shell(&script).stdin(OwnedFd::from(listener)).start();
    run.wait_ready(2);
    assert_eq!(raw(&run, "GET /", "").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_socket_can_be_passed_by_number() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = r#"exec 7<&0 </dev/null; exec "$0" serve --handlers 2 --listen fd:7"#;
    let mut run = shell(script).stdin(OwnedFd::from(listener)).start();
    run.wait_ready(2);
    assert_eq!(raw(&run, "GET /", "").status, 200);
    assert_eq!(run.stop().code(), Some(0));
}

/// What a service manager does with a socket that an earlier life of the server has stored.
const STORED: &str = "exec 3<&0 </dev/null
    export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=bellwether-web-0;";

const QUESTION: &[u8] = b"GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_stored_listener_is_served_again_with_what_waits_in_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.write_all(QUESTION).unwrap();
    let script = format!(r#"{STORED} exec "$0" serve --handlers 2 --listen {address}"#);
    // The first life closes the door when it stops; the second opens it.
    for life in 1..=2 {
        let mut run = shell(&script).stdin(OwnedFd::from(listener.try_clone().unwrap())).start();
        run.wait_ready(2);
        assert_eq!(run.socket_addr(), address);
        assert_eq!(raw(&run, "GET /whoami", "").status, 200, "life {life}");
        assert_eq!(run.stop().code(), Some(0));
    }
    let mut reply = Vec::new();
    waiting.read_to_end(&mut reply).unwrap();
    assert_eq!(Reply::read(&reply).status, 200);
}

#[test]
fn a_stored_socket_file_is_served_again_and_removed_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut waiting = UnixStream::connect(&path).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.write_all(QUESTION).unwrap();
    let listen = format!("unix:{}?mode=600", path.display());
    let script = format!(r#"{STORED} exec "$0" serve --handlers 2 --listen '{listen}'"#);
    let mut run = shell(&script).stdin(OwnedFd::from(listener)).start();
    run.wait_ready(2);
    let mut reply = Vec::new();
    waiting.read_to_end(&mut reply).unwrap();
    assert_eq!(Reply::read(&reply).status, 200);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(run.stop().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_stored_listener_is_not_a_socket_of_systemd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(r#"{STORED} exec "$0" serve --listen systemd:"#);
    let launch = shell(&script).stdin(OwnedFd::from(listener));
    refused(launch, 78, &["systemd:", "no socket was passed"]);
}

#[test]
fn descriptors_that_were_promised_and_not_passed_are_refused() {
    let script = r#"exec 3<&-; export LISTEN_PID=$$ LISTEN_FDS=999; exec "$0" serve"#;
    refused(shell(script), 78, &["LISTEN_FDS=999", "descriptor 3 is not open", "must pass"]);
}

#[test]
fn a_passed_descriptor_that_is_no_socket_is_refused() {
    let script = r#"exec 3</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" serve"#;
    refused(shell(script), 78, &["LISTEN_FDS=1", "not a socket"]);
}

#[test]
fn a_wrong_count_of_descriptors_is_refused() {
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=many; exec "$0" serve"#;
    refused(shell(script), 78, &["LISTEN_FDS=many", "0 to 65535"]);
}

#[test]
fn descriptors_for_another_process_are_left_alone() {
    let script = r#"export LISTEN_PID=1 LISTEN_FDS=999
        exec "$0" serve --listen 127.0.0.1:0 --handlers 2"#;
    let mut run = shell(script).start();
    run.wait_ready(2);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn closed_standard_descriptors_do_no_harm() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!(r#"exec "$0" serve --listen 127.0.0.1:0 --handlers 2 {closed}"#);
        let mut run = shell(&script).start();
        run.wait_ready(2);
        assert_eq!(raw(&run, "GET /whoami", "").status, 200, "{closed}");
        assert_eq!(run.stop().code(), Some(0), "{closed}");
    }
}
