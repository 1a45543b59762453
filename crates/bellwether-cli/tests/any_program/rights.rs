//! What programs may: other users than ours, limits, and a server that is nobody special itself.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::kit::processes::{children, is_alive};
use crate::kit::{Launch, PATIENCE, Run, eventually};
use crate::life::{SERVES, python, stop};
use crate::trial::{PROGRAM, free_port, get, reload, run};

/// Who is nobody on any machine.
const NOBODY: u32 = 65_534;

const TWO: &[&str] = &["--handlers", "2"];

const NOBODYS: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// A program that says what it may.
const TELLS: &str = r#"
import resource
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        tied = open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0]
        body = repr([os.getresuid(), os.getresgid(), os.getgroups(), tied,
            resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE),
            os.environ.get("USER")]).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % len(body) + body)
        connection.close()
"#;

/// Whether we can become others; if not, that is said.
fn is_root() -> bool {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can start programs as other users");
    }
    geteuid().is_root()
}

/// A Python that anybody may run: root's own may lie in root's folder.
fn anybodys_python() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path).map(|folder| folder.join("python3"));
    let runs = |file: &std::path::PathBuf| {
        let mut tried = Command::new("setpriv");
        let tried = tried.args(NOBODYS).arg(file).args(["-c", ""]).output();
        tried.is_ok_and(|it| it.status.success())
    };
    let found = candidates.filter(|file| file.is_file()).find(runs);
    if found.is_none() {
        println!("SKIPPED: setpriv(1), or a Python that everybody may run, is not there");
    }
    found.map(|file| file.to_str().unwrap().into())
}

/// A launch in a folder with these permissions.
fn launch_in(mode: u32, program: &str) -> Launch {
    let launch = Launch::of(program);
    std::fs::set_permissions(launch.path(""), std::fs::Permissions::from_mode(mode)).unwrap();
    launch
}

/// Starts a script as nobody, given its address in this way.
pub(crate) fn as_nobody(pass: &str, script: &str, flags: &[&str]) -> Option<(Run, SocketAddr)> {
    let python = is_root().then(anybodys_python).flatten()?;
    let (launch, port) = (launch_in(0o755, PROGRAM), free_port());
    let path = launch.path("app.py");
    let script = script.replace("PORT", &port.to_string());
    std::fs::write(&path, format!("{SERVES}{TELLS}{script}")).unwrap();
    let flags = [&["--user", "65534", "--pass", pass], flags].concat();
    let server = run(launch, port, &flags, &[python, path.to_str().unwrap().into()]);
    Some((server, SocketAddr::from(([127, 0, 0, 1], port))))
}

#[test]
fn a_program_of_another_user_serves_is_replaced_and_ends() {
    let ways = [
        ("adopt", "serve(bound(PORT))"),
        ("listen-fds", "serve(socket.socket(fileno=3))"),
        ("stdin", "serve(socket.socket(fileno=0))"),
    ];
    for (pass, script) in ways {
        let Some((server, address)) = as_nobody(pass, script, TWO) else { return };
        server.wait_ready(2);
        let nobody = "(65534, 65534, 65534)";
        for _ in 0..3 {
            let told = get(address).unwrap();
            assert!(told.starts_with(&format!("[{nobody}, {nobody}, [], ")), "{pass}: {told}");
        }
        reload(&server);
        get(address).unwrap();
        end_with_its_warden(&server);
        stop(server);
    }
}

/// Ends a warden by force; its program must end, too, though it is not of our user.
#[track_caller]
fn end_with_its_warden(server: &Run) {
    eventually(PATIENCE, "two handlers", || (server.handler_pids().len() == 2).then_some(()));
    let warden = server.handler_pids()[0];
    let programs = children(warden);
    assert_eq!(programs.len(), 1, "{programs:?}");
    // The spawner would help; the kernel alone must do.
    server.signal(Signal::STOP);
    kill_process(Pid::from_raw(warden).unwrap(), Signal::KILL).unwrap();
    eventually(PATIENCE, "its program to end", || (!is_alive(programs[0].pid)).then_some(()));
    server.signal(Signal::CONT);
    eventually(PATIENCE, "another in its place", || {
        let now = server.handler_pids();
        (now.len() == 2 && !now.contains(&warden)).then_some(())
    });
    server.wait_ready(2);
}

#[test]
fn a_program_has_the_limits_and_names_of_its_user() {
    let flags = [
        "--handlers",
        "2",
        "--limit",
        "nofile=200:300",
        "--limit",
        "core=0",
        "--no-new-privileges",
    ];
    let script = "serve(socket.socket(fileno=3))";
    let Some((server, address)) = as_nobody("listen-fds", script, &flags) else { return };
    server.wait_ready(2);
    let told = get(address).unwrap();
    assert!(told.ends_with("[], '1', (200, 300), (0, 0), 'nobody']"), "{told}");
    stop(server);
}

#[test]
fn a_folder_that_its_user_may_not_enter_is_named() {
    let Some(python) = is_root().then(anybodys_python).flatten() else { return };
    let mut server = run(launch_in(0o700, PROGRAM), free_port(), &["--user", "nobody"], &[python]);
    assert_eq!(server.wait().code(), Some(70));
    let said = server.stderr();
    assert!(said.contains("cannot be entered: Permission denied"), "{said}");
}

#[test]
fn what_nobody_may_do_is_said_before_an_address_is_opened() {
    let check = |flags: &[&str], words: &[&str]| {
        let mut server =
            run(Launch::of(PROGRAM), free_port(), flags, &["sleep".into(), "9".into()]);
        assert!(matches!(server.wait().code(), Some(64 | 78)), "{}", server.logs());
        let said = server.stderr();
        for word in words {
            assert!(said.contains(word), "no {word:?} in: {said}");
        }
        assert!(!said.contains("listens at"), "{said}");
    };
    check(&["--user", "rooot"], &["there is no user `rooot`", "did you mean `root`?"]);
    check(&["--group", "rooot"], &["there is no group `rooot`", "did you mean `root`?"]);
    check(&["--user", "4000000000"], &["add a group"]);
    check(&["--limit", "nofiles=5"], &["did you mean `nofile`?"]);
    check(&["--limit", "nofile"], &["NAME=VALUE"]);
    check(&["--limit", "nofile=1KiB"], &["nofile does not count bytes"]);
    check(&["--limit", "nofile=9:8"], &["soft limit above the hard one"]);
}

/// Starts a server that is nobody's; its program is in the folder of the run.
pub(crate) fn nobodys(script: &str, flags: &[&str]) -> Option<(Run, SocketAddr)> {
    let python = is_root().then(anybodys_python).flatten()?;
    let launch = launch_in(0o755, "setpriv").args(NOBODYS);
    let (program, path, port) = (launch.path("bellwether"), launch.path("app.py"), free_port());
    // Where it was built, nobody may be allowed to look. A process of its own writes: what another
    // test forks meanwhile would keep our descriptor, and the file busy.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    std::fs::write(&path, format!("{SERVES}{}", script.replace("PORT", &port.to_string())))
        .unwrap();
    chown(launch.path("run"), Some(NOBODY), Some(NOBODY)).unwrap();
    let listen = format!("127.0.0.1:{port}");
    let launch = launch.arg(program).args(["run", "--listen", &listen, "--canary", "50ms"]);
    let launch = launch.args(flags).args(["--", &python]).arg(path);
    Some((launch.start(), SocketAddr::from(([127, 0, 0, 1], port))))
}

#[test]
fn an_ordinary_user_needs_no_privilege() {
    let Some((server, address)) = nobodys("serve(bound(PORT))", TWO) else {
        return;
    };
    server.wait_ready(2);
    let answers: std::collections::BTreeSet<_> = (0..200).map(|_| get(address).unwrap()).collect();
    assert_eq!(answers.len(), 2, "both serve: {answers:?}");
    reload(&server);
    get(address).unwrap();
    end_with_its_warden(&server);
    stop(server);
}

#[test]
fn an_ordinary_user_cannot_give_what_it_does_not_have() {
    let check = |flags: &[&str], words: &str| {
        let Some((mut server, _)) = nobodys("serve(bound(PORT))", flags) else { return };
        assert_eq!(server.wait().code(), Some(78), "{}", server.logs());
        let said = server.stderr();
        assert!(said.contains(words) && !said.contains("listens at"), "{said}");
    };
    check(&["--user", "root"], "only root may run a program as user 0");
    check(&["--limit", "nofile=unlimited"], "only root may raise a hard limit");
    // Who it is already is no change.
    let own = ["--user", "nobody", "--group", "65534", "--handlers", "1"];
    let Some((server, address)) = nobodys("serve(bound(PORT))", &own) else { return };
    server.wait_ready(1);
    get(address).unwrap();
    stop(server);
}

#[test]
fn limits_hold_for_a_program_of_our_own_user() {
    let script = format!("{TELLS}serve(bound(PORT))");
    let flags = ["--handlers", "1", "--limit", "nofile=123:456", "--limit", "core=1MiB"];
    let Some((server, address)) = python(&script, &flags) else { return };
    server.wait_ready(1);
    let told = get(address).unwrap();
    assert!(told.contains("(123, 456), (1048576, 1048576)"), "{told}");
    stop(server);
}

#[test]
fn a_program_of_another_user_can_open_its_output_by_name() {
    let script = "open('/dev/stdout', 'w').write('opened\\n')\nserve(bound(PORT))";
    let flags = ["--handlers", "2", "--log", "prefix", "--name", "shop"];
    let Some((server, _)) = as_nobody("adopt", script, &flags) else { return };
    server.wait_ready(2);
    assert!(server.stdout().contains("shop/0 | opened"), "{}", server.logs());
    stop(server);
}
