//! `bellwether dev`: files are saved while clients ask, and nobody is refused.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::process::Signal;

use crate::installed::has;
use crate::kit::processes::{descendants, is_alive};
use crate::kit::{Launch, PATIENCE, Run, assert_quiescent, eventually};
use crate::trial::{PROGRAM, free_port, get};

/// A program that answers with the number that is written into it.
const SHOP: &str = r#"
import http.server
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(NUMBER)))
        self.end_headers()
        self.wfile.write(NUMBER)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
"#;

/// A developer at work: the program is in a folder of its own.
struct Desk {
    run: Run,
    port: u16,
}

impl Desk {
    /// Starts developing; `None` where there is no Python.
    fn open(flags: &[&str]) -> Option<Self> {
        if !has("python3") {
            println!("SKIPPED: python3: it is not installed");
            return None;
        }
        let (launch, port) = (Launch::of(PROGRAM), free_port());
        let folder = launch.path("shop");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("app.py"), text(0, port)).unwrap();
        fs::write(folder.join(".gitignore"), "built/\n").unwrap();
        let launch = launch.args(["dev", "--listen", &format!("127.0.0.1:{port}"), "-C"]);
        let run = launch.arg(folder).args(flags).args(["--", "python3", "app.py"]).start();
        let desk = Self { run, port };
        desk.await_line("bellwether: started in", 1);
        Some(desk)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run.path("shop").join(name)
    }

    /// Saves the program as some editors do: what is there is overwritten.
    fn overwrite(&self, number: u32) {
        fs::write(self.path("app.py"), text(number, self.port)).unwrap();
    }

    /// Saves the program as other editors do: a new file takes the place of the old.
    fn replace(&self, number: u32) {
        fs::write(self.path("app.py.new"), text(number, self.port)).unwrap();
        fs::rename(self.path("app.py.new"), self.path("app.py")).unwrap();
    }

    fn count(&self, words: &str) -> usize {
        self.run.stderr().lines().filter(|line| line.contains(words)).count()
    }

    /// Waits until something has been said so many times.
    #[track_caller]
    fn await_line(&self, words: &str, times: usize) {
        eventually(PATIENCE, words, || {
            assert!(self.run.is_alive(), "{}", self.run.logs());
            (self.count(words) >= times).then_some(())
        });
    }

    #[track_caller]
    fn close(mut self) {
        self.run.signal(Signal::INT);
        assert_eq!(self.run.wait().code(), Some(0), "{}", self.run.logs());
        assert_quiescent(self.run.baseline(), &self.run);
    }
}

fn text(number: u32, port: u16) -> String {
    format!("NUMBER = b'{number}'\n{}", SHOP.replace("PORT", &port.to_string()))
}

#[test]
fn five_saves_under_load_refuse_nobody_and_show_the_new_code() {
    let Some(desk) = Desk::open(&[]) else { return };
    // What is served at least, and whether there is nothing left to do.
    let (served, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let client = || {
        let mut answers = 0;
        while !over.load(Ordering::Relaxed) {
            let least = served.load(Ordering::Relaxed);
            let answer = get(desk.address()).unwrap_or_else(|error| panic!("{least}: {error}"));
            assert!(answer.parse::<u32>().unwrap() >= least, "{answer} after {least}");
            answers += 1;
        }
        answers
    };
    std::thread::scope(|scope| {
        let clients = [scope.spawn(client), scope.spawn(client)];
        for number in 1..=5 {
            if number % 2 == 0 {
                desk.replace(number)
            } else {
                desk.overwrite(number)
            }
            desk.await_line("changed: app.py; restarted in", number.try_into().unwrap());
            served.store(number, Ordering::Relaxed);
            assert_eq!(get(desk.address()).unwrap(), number.to_string());
        }
        over.store(true, Ordering::Relaxed);
        assert!(clients.into_iter().all(|client| client.join().unwrap() > 0));
    });
    assert_eq!(desk.count("restarted in"), 5, "{}", desk.run.logs());
    desk.close();
}

#[test]
fn a_mistake_is_told_once_and_those_who_wait_get_what_mends_it() {
    let Some(desk) = Desk::open(&[]) else { return };
    fs::write(desk.path("app.py"), "NUMBER = (\n").unwrap();
    let line = "changed: app.py; the program ended with exit status 1 before it was ready; \
                waiting for a change";
    desk.await_line(line, 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(desk.address()));
        desk.replace(1);
        assert_eq!(waiting.join().unwrap().unwrap(), "1", "{}", desk.run.logs());
    });
    desk.await_line("changed: app.py; restarted in", 1);
    let said = desk.run.stderr();
    assert_eq!(desk.count("SyntaxError"), 1, "{said}");
    assert!(!said.contains("ERROR") && !said.contains("error:"), "{said}");
    desk.close();
}

#[test]
fn what_does_not_start_at_first_is_waited_for_and_ctrl_c_ends_the_waiting() {
    let Some(desk) = Desk::open(&["--handlers", "2"]) else { return };
    fs::remove_file(desk.path("app.py")).unwrap();
    desk.await_line("waiting for a change", 1);
    desk.close();
}

#[test]
fn what_git_ignores_restarts_nothing() {
    let Some(desk) = Desk::open(&["--ignore", "uploads/"]) else { return };
    for folder in ["built", "uploads", "node_modules"] {
        fs::create_dir(desk.path(folder)).unwrap();
        fs::write(desk.path(folder).join("page.js"), "1").unwrap();
    }
    fs::write(desk.path("app.pyc"), "1").unwrap();
    fs::write(desk.path(".app.py.swp"), "1").unwrap();
    // The kernel tells of changes in their order, so all of the above have been seen by then.
    fs::create_dir(desk.path("pages")).unwrap();
    fs::write(desk.path("pages/index.html"), "1").unwrap();
    desk.await_line("changed: pages/index.html; restarted in", 1);
    assert_eq!(desk.count("changed:"), 1, "{}", desk.run.logs());
    desk.close();
}

#[test]
fn a_crash_is_mended_without_a_change() {
    let Some(desk) = Desk::open(&[]) else { return };
    let family = descendants(desk.run.pid());
    let program = family.iter().find(|it| it.name.starts_with("python")).unwrap();
    let pid = rustix::process::Pid::from_raw(program.pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    eventually(PATIENCE, "its end", || (!is_alive(program.pid)).then_some(()));
    assert_eq!(get(desk.address()).unwrap(), "0");
    assert_eq!(desk.count("changed:"), 0, "{}", desk.run.logs());
    desk.close();
}

#[test]
fn who_stops_its_server_ends_developing() {
    let Some(mut desk) = Desk::open(&["--name", "desk"]) else { return };
    let mut stop = std::process::Command::new(PROGRAM);
    stop.args(["stop", "--name", "desk"]).env("BELLWETHER_RUNTIME_DIR", desk.run.runtime());
    assert!(stop.output().unwrap().status.success(), "{}", desk.run.logs());
    assert_eq!(desk.run.wait().code(), Some(0), "{}", desk.run.logs());
    assert_quiescent(desk.run.baseline(), &desk.run);
}

#[test]
fn nothing_outlives_a_developer_who_is_killed() {
    let Some(mut desk) = Desk::open(&[]) else { return };
    let family = descendants(desk.run.pid());
    assert!(family.len() >= 4, "a server, a template, a warden, a program: {family:?}");
    desk.run.signal(Signal::KILL);
    desk.run.wait();
    eventually(PATIENCE, "all to end", || family.iter().all(|it| !is_alive(it.pid)).then_some(()));
}

#[test]
fn a_file_may_be_watched_alone() {
    let Some(desk) = Desk::open(&["--watch", "shop/.gitignore"]) else { return };
    desk.overwrite(1);
    fs::write(desk.path(".gitignore"), "").unwrap();
    desk.await_line("changed: .gitignore; restarted in", 1);
    assert_eq!(get(desk.address()).unwrap(), "1");
    assert_eq!(desk.count("changed:"), 1, "{}", desk.run.logs());
    desk.close();
}

#[test]
fn what_it_cannot_develop_is_said_before_anything_starts() {
    let refused = |launch: Launch, code: i32, words: &[&str]| {
        let mut run = launch.start();
        assert_eq!(run.wait().code(), Some(code), "{}", run.logs());
        let said = run.stderr();
        assert!(words.iter().all(|it| said.contains(it)), "no {words:?} in: {said}");
        assert_quiescent(run.baseline(), &run);
    };
    let check = |arguments: &[&str], code: i32, words: &[&str]| {
        refused(Launch::of(PROGRAM).arg("dev").args(arguments), code, words);
    };
    check(&[], 64, &["<CMD>"]);
    check(&["--handlers", "3", "--", "true"], 64, &["--handlers", "3"]);
    check(&["--", "no-such-program"], 78, &["cannot run `no-such-program`", "PATH"]);
    check(&["-w", "none", "--", "true"], 78, &["watch: `none`", "name a file or a folder"]);
    check(&["--ignore", "[z-a]", "--", "true"], 78, &["ignore: `[z-a]`", ".gitignore"]);
    check(&["-C", "none", "--", "true"], 78, &["directory: `none`"]);
    let taken = Launch::of(PROGRAM).env("BELLWETHER_DEV", "1").args(["dev", "--", "true"]);
    refused(taken, 78, &["BELLWETHER_DEV", "unset it"]);
}
