//! Real programs, unmodified, on listeners of ours.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Signal, kill_process_group};

use super::passing::{receive, submit};
use super::*;
use crate::address::{Defaults, Defer, Health, open_all};
use crate::sys::socket;

/// A virtual machine that compiles its program first, beside other tests, takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program under an adopter of its own.
struct Program {
    child: Child,
    adopter: Adopter,
    seen: Vec<Seen>,
}

impl Program {
    /// Starts a command whose calls are answered here; `None` where there is no such program.
    fn start(program: &str, adjust: impl FnOnce(&mut Command)) -> Option<Self> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let channel = OwnedFd::from(theirs);
        let prepare = move || submit(channel.as_fd(), true);
        let mut command = seccomp::command_prepared(program, prepare);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        adjust(&mut command);
        let child = match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("SKIPPED: {program} is not installed");
                return None;
            }
            started => started.unwrap(),
        };
        let notifications = receive(ours.as_fd()).unwrap().expect("it was sent before the exec");
        Some(Self { child, adopter: Adopter::new(notifications), seen: Vec::new() })
    }

    fn python(script: &str, arguments: &[String]) -> Option<Self> {
        Self::start("python3", |command| {
            command.arg("-c").arg(script).args(arguments).stderr(Stdio::inherit());
        })
    }

    /// Attends until that was seen.
    fn until(&mut self, listeners: &[Listener], seen: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.adopter.attend(listeners);
            now.iter().for_each(|it| follow(it, listeners));
            self.seen.extend(now);
            if self.seen.iter().any(&seen) {
                break;
            }
            let in_vain = self.seen.contains(&Seen::Over) || Instant::now() > deadline;
            assert!(!in_vain, "only this was seen: {:?}", self.seen);
            let mut polled = [PollFd::new(&self.adopter, PollFlags::IN)];
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            rustix::event::poll(&mut polled, Some(&second)).unwrap();
        }
    }

    /// Attends until it listens on that listener of ours.
    fn until_listening(&mut self, listeners: &[Listener], index: usize) {
        self.until(
            listeners,
            |seen| matches!(seen, Seen::Listening { listener, .. } if *listener == index),
        );
    }

    /// Attends until it has ended, and says how.
    fn finish(&mut self, listeners: &[Listener]) -> ExitStatus {
        self.until(listeners, |seen| *seen == Seen::Over);
        self.child.wait().unwrap()
    }

    /// What happened without who, when and how, in words.
    fn story(&self) -> Vec<String> {
        self.seen.iter().map(in_words).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Does what the spawner would: the listener gets the mode of the program that serves it.
fn follow(seen: &Seen, listeners: &[Listener]) {
    if let Seen::Adopted { listener, nonblocking, checked, .. } = seen {
        assert!(checked, "the kernel lets a parent look");
        rustix::io::ioctl_fionbio(&listeners[*listener], *nonblocking).unwrap();
    }
}

fn in_words(seen: &Seen) -> String {
    match seen {
        Seen::Adopted { listener, .. } => format!("adopted {listener}"),
        Seen::Listening { listener, .. } => format!("listening {listener}"),
        Seen::Spared { listener, .. } => format!("spared {listener}"),
        Seen::Elsewhere { address, .. } => format!("elsewhere {address}"),
        Seen::Failed { why } => format!("failed {why}"),
        Seen::Muted => "muted".into(),
        Seen::Over => "over".into(),
    }
}

fn open(addresses: &[&str]) -> Vec<Listener> {
    let addresses: Vec<_> = addresses.iter().map(|it| it.parse().unwrap()).collect();
    let defaults = Defaults { defer_accept: Defer::Off, take_over: false };
    open_all(&addresses, defaults, &mut Vec::new()).unwrap()
}

fn port(listener: &Listener) -> u16 {
    place(listener).port()
}

fn place(listener: &Listener) -> SocketAddr {
    rustix::net::getsockname(listener).unwrap().try_into().unwrap()
}

fn is_answered(at: SocketAddr) -> bool {
    let mut connection = TcpStream::connect(at).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.starts_with("HTTP/1.") && answer.contains(" 200 ") && answer.contains("hello")
}

/// Two of these programs share one listener; each answers all by itself when the other is gone.
fn check_server(program: &str, arguments: impl Fn(u16, &Path) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "hello").unwrap();
    let listeners = open(&["127.0.0.1:0"]);
    let limit_before = limit(&listeners[0]);
    let arguments = arguments(port(&listeners[0]), folder.path());
    let start = || {
        Program::start(program, |command| {
            command.args(&arguments).current_dir(folder.path());
        })
    };
    let Some((mut one, mut other)) = start().zip(start()) else { return };
    one.until_listening(&listeners, 0);
    other.until_listening(&listeners, 0);
    let ask = |times: usize| (0..times).filter(|_| is_answered(place(&listeners[0]))).count();
    let answered = while_attended(&[&one, &other], &listeners, || ask(50));
    assert_eq!(answered, 50, "{:?} {:?}", one.story(), other.story());
    drop(one);
    let answered = while_attended(&[&other], &listeners, || ask(10));
    assert_eq!(answered, 10, "the other alone");
    assert_eq!(limit(&listeners[0]), limit_before, "nobody has set the backlog anew");
}

/// Does something while the calls of programs are answered: some shut down each connection.
fn while_attended<T>(programs: &[&Program], listeners: &[Listener], act: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for program in programs {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    program.adopter.attend(listeners);
                    let mut polled = [PollFd::new(&program.adopter, PollFlags::IN)];
                    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
                    rustix::event::poll(&mut polled, Some(&moment)).unwrap();
                }
            });
        }
        let result = act();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// How many connections may wait at the listener.
fn limit(listener: &Listener) -> u32 {
    socket::tcp_queue(listener).unwrap().1
}

#[test]
fn python_serves_our_listener() {
    check_server("python3", |port, _| {
        ["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"].map(String::from).into()
    });
}

#[test]
fn a_program_behind_a_shell_serves_our_listener() {
    check_server("sh", |port, _| vec!["-c".into(), format!("python3 -m http.server {port}; true")]);
}

#[test]
fn node_serves_our_listener() {
    check_server("node", |port, _| {
        let server = "require('http').createServer((request, answer) => answer.end('hello'))";
        vec!["-e".into(), format!("{server}.listen({port})")]
    });
}

#[test]
fn php_serves_our_listener() {
    check_server("php", |port, folder| {
        vec!["-S".into(), format!("127.0.0.1:{port}"), "-t".into(), folder.display().to_string()]
    });
}

#[test]
fn java_serves_our_listener() {
    check_server("java", |port, folder| {
        let file = folder.join("Main.java");
        std::fs::write(&file, JAVA).unwrap();
        vec!["-XX:TieredStopAtLevel=1".into(), file.display().to_string(), port.to_string()]
    });
}

const JAVA: &str = r#"
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Main {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", exchange -> {
            byte[] answer = "hello".getBytes();
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
    }
}
"#;

/// Runs a script to its end; it has failed if it says so, and the story is as expected.
fn check_story(script: &str, arguments: &[String], listeners: &[Listener], expected: &[&str]) {
    let script = format!("import os, socket, sys\n{script}");
    let Some(mut program) = Program::python(&script, arguments) else { return };
    let status = program.finish(listeners);
    assert!(status.success(), "{status}: {:?}", program.story());
    assert_eq!(program.story(), expected);
}

#[test]
fn a_unix_socket_is_known_by_its_path_from_anywhere_and_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock").display().to_string();
    let name = format!("bellwether-test-{}", std::process::id());
    let listeners = open(&[&path, &format!("unix:@{name}")]);
    let script = "
os.chdir(os.path.dirname(sys.argv[1]))
for name in sys.argv[1], 'web.sock', '\\0' + sys.argv[2]:
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    s.listen(5)
    c = socket.socket(socket.AF_UNIX)
    c.connect(name)
    s.accept()
s = socket.socket(socket.AF_UNIX)
s.bind('other.sock')
s.listen(5)
os.unlink('other.sock')";
    let other = format!("elsewhere unix:{}", folder.path().join("other.sock").display());
    let expected = [
        "adopted 0",
        "listening 0",
        "adopted 0",
        "listening 0",
        "adopted 1",
        "listening 1",
        &other,
        "over",
    ];
    check_story(script, &[path, name], &listeners, &expected);
}

#[test]
fn the_file_of_our_socket_stays_when_a_program_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listeners = open(&[path.to_str().unwrap()]);
    let script = "
folder = os.path.dirname(sys.argv[1])
open(folder + '/own.txt', 'w')
os.unlink(folder + '/own.txt')
assert os.listdir(folder) == ['web.sock']
os.unlink(sys.argv[1])
here = os.open(folder, os.O_RDONLY)
os.unlink('web.sock', dir_fd=here)
os.chdir(folder)
s = socket.socket(socket.AF_UNIX)
s.bind('web.sock')
s.listen(5)
os.remove('./web.sock')";
    let arguments = [path.display().to_string()];
    let expected = ["spared 0", "spared 0", "adopted 0", "listening 0", "spared 0", "over"];
    check_story(script, &arguments, &listeners, &expected);
    assert!(path.exists());
}

#[test]
fn other_addresses_and_other_protocols_go_on() {
    let listeners = open(&["127.0.0.1:0"]);
    let port = port(&listeners[0]).to_string();
    let script = "
port = int(sys.argv[1])
u = socket.socket(type=socket.SOCK_DGRAM)
u.bind(('127.0.0.1', port))
s = socket.socket()
s.bind(('127.0.0.1', port))
s.listen()
assert s.getsockname() == ('127.0.0.1', port)
t = socket.socket()
t.bind(('127.0.0.1', 0))
t.listen()
socket.create_connection(t.getsockname())
n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
n.bind((0, 0))
try: socket.socket(socket.AF_UNIX).bind('')
except OSError: pass";
    let expected = ["adopted 0", "listening 0", "elsewhere tcp://127.0.0.1:0", "over"];
    check_story(script, &[port], &listeners, &expected);
}

#[test]
fn one_listener_takes_the_place_of_both_families_and_of_any_address() {
    if TcpListener::bind("[::1]:0").is_err() {
        return println!("SKIPPED: there is no IPv6 here");
    }
    let listeners = open(&["127.0.0.1:0"]);
    let script = "
port = int(sys.argv[1])
for family, host in (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::'), (socket.AF_INET, '127.0.0.2'):
    s = socket.socket(family)
    s.bind((host, port))
    s.listen()
    socket.create_connection(('127.0.0.1', port))
    s.accept()";
    let expected = ["adopted 0", "listening 0"].repeat(3);
    let port = port(&listeners[0]).to_string();
    check_story(script, &[port], &listeners, &[&expected[..], &["over"]].concat());
}

#[test]
fn a_descriptor_stays_as_it_was_and_the_backlog_too() {
    let listeners = open(&["127.0.0.1:0"]);
    let script = "
import threading
place = ('127.0.0.1', int(sys.argv[1]))
for inheritable in False, True:
    s = socket.socket()
    s.set_inheritable(inheritable)
    s.setblocking(False)
    threads = [threading.Thread(target=s.bind, args=(place,)), threading.Thread(target=s.listen, args=(1,))]
    for thread in threads:
        thread.start()
        thread.join()
    assert s.get_inheritable() == inheritable
s.bind(place)
s.listen(2)";
    let expected = ["adopted 0", "listening 0"].repeat(3);
    let port = port(&listeners[0]).to_string();
    check_story(script, &[port], &listeners, &[&expected[..], &["over"]].concat());
    assert_eq!(listeners[0].mend().unwrap(), Health::Good);
}

#[test]
fn a_child_of_the_program_is_attended_as_itself() {
    let listeners = open(&["127.0.0.1:0"]);
    let script = "
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen()";
    let port = port(&listeners[0]).to_string();
    check_story(script, &[port], &listeners, &["adopted 0", "listening 0", "over"]);
}

#[test]
fn a_socket_that_cannot_be_replaced_is_told_that_its_address_is_in_use() {
    let listeners = open(&["127.0.0.1:0"]);
    // The kernel puts nothing at a number above the limit of descriptors.
    let script = "
import errno, resource
s = socket.socket()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try: s.bind(('127.0.0.1', int(sys.argv[1])))
except OSError as error: assert error.errno == errno.EADDRINUSE, error
else: sys.exit(1)";
    let Some(mut program) = Program::python(
        &format!("import socket, sys\n{script}"),
        &[port(&listeners[0]).to_string()],
    ) else {
        return;
    };
    assert!(program.finish(&listeners).success());
    assert!(matches!(program.seen[..], [Seen::Failed { .. }, Seen::Over]), "{:?}", program.seen);
}
