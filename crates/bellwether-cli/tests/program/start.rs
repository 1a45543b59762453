//! A server as a file describes it.

use std::fs;

use crate::clients::{curl, raw};
use crate::kit::{Launch, Run};
use crate::stage::{PROGRAM, ask, refused, text};

/// Prepares a start with this file, in a folder of its own that is not the current one.
fn starting(text: &str) -> Launch {
    let launch = Launch::of(PROGRAM);
    let folder = launch.path("etc");
    fs::create_dir_all(folder.join("public")).unwrap();
    fs::write(folder.join("public/page.txt"), "from a file").unwrap();
    fs::write(folder.join("shop.toml"), text).unwrap();
    launch.args(["start", "-c", "etc/shop.toml"])
}

#[track_caller]
fn started(text: &str) -> Run {
    let run = starting(text).start();
    run.wait_ready(2);
    run
}

const FILES: &str = "
    [pool.web]
    serve = 'public'
    listen = ['127.0.0.1:0']
    handlers = '2..4'
    notification = 'turn'
    stop-grace = '5s'";

#[test]
fn files_beside_the_file_are_served_until_the_stop() {
    let mut run = started(FILES);
    let reply = raw(&run, "GET /page.txt", "");
    assert_eq!((reply.status, reply.text()), (200, "from a file"));
    assert_eq!(run.stop().code(), Some(0));
    assert!(run.stderr().contains("every connection was finished"), "{}", run.stderr());
}

#[test]
fn a_server_has_the_name_of_its_file_or_the_one_in_it() {
    let mut run = started(FILES);
    assert_eq!(run.status()["name"], "shop");
    assert!(ask(&run, &["status", "--name", "shop"]).status.success());
    assert_eq!(run.stop().code(), Some(0));
    let mut run = started(&format!("name = 'corner'\n{FILES}"));
    assert_eq!(run.status()["name"], "corner");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_socket_file_is_made_beside_the_file() {
    let mut run = started("[pool.web]\nlisten = ['127.0.0.1:0', 'unix:web.sock']\nhandlers = 2\n");
    let socket = run.path("etc/web.sock");
    assert!(socket.exists(), "{}", run.stderr());
    if let Some(reply) = curl(&["--unix-socket", text(&socket), "http://localhost/whoami"]) {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_file_is_found_in_the_current_folder() {
    let launch = Launch::of(PROGRAM);
    let text = "[pool.web]\nlisten = ['127.0.0.1:0']\nhandlers = 2\nthreads = 2\n";
    fs::write(launch.path("bellwether.toml"), text).unwrap();
    let mut run = launch.arg("start").start();
    run.wait_ready(2);
    assert!(run.stderr().contains("2 processes x 2 threads"), "{}", run.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_the_file_says_is_refused_where_the_machine_refuses_it() {
    let path = "unix:no/such/folder/web.sock";
    let launch = starting(&format!("[pool.web]\nlisten = ['{path}']\n"));
    refused(launch, 78, &["no/such/folder", "does not exist"]);
}
