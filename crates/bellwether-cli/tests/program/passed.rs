//! Sockets and standard descriptors as a parent passes them, or does not.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use crate::clients::raw;
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
